//! `towline map`: a dry run. What would become of the lines of a file, without an agent, a spool or a receiver.

use std::{
    fs::File,
    io::{self, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use clap::Args;
use jiff::tz::TimeZone;

use super::{
    Exit, Failure,
    dry_run::{DryRun, Format, Input},
};
use crate::{event::Time, map::Library, parse::Clock};

/// Standard input.
const STDIN: &str = "-";
/// The folder that is laid over the shipped mappings unless another is named.
const MAPPINGS: &str = "/etc/towline/mappings";

/// Map a file's lines and show the events, without shipping anything.
///
/// Reads a log file (or standard input) once, from its beginning to its end, and prints what would be shipped. A
/// summary of the lines that no binding knows goes to standard error.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples (`towline map --source ? -` names the sources):
  towline map --source NAME /var/log/chat.log
  journalctl -u chat -o cat | towline map --source NAME --format ecs -
  towline map --source NAME --format jsonl --year 2026 --time-zone UTC old.log")]
pub(super) struct Arguments {
    /// The source mapping: a file of mappings/sources.
    #[arg(long, short, value_name = "NAME")]
    source: String,
    /// How its lines are written: a layout of the source, or `auto` to find out from the first lines.
    #[arg(long, value_name = "NAME", default_value = "auto")]
    layout: String,
    /// What is printed.
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: Format,
    /// The privacy profile. One with pseudonyms uses a key of this run alone.
    #[arg(long, value_name = "PROFILE", default_value = "standard")]
    privacy: String,
    /// The year of times that say none [default: by the file's age].
    #[arg(long, value_name = "YEAR")]
    year: Option<i16>,
    /// The time zone of times that say none, for example `Europe/Berlin` [default: the host's].
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// Your folder of mappings, laid over the shipped ones [default: /etc/towline/mappings, if it is there].
    #[arg(long, value_name = "FOLDER")]
    mappings: Option<PathBuf>,
    /// The log file; `-` for standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let library = library(arguments)?;
    let mapping =
        library.mapping(&arguments.source).map_err(|problems| Failure::problems(&problems))?;
    let (input, modified) = open(&arguments.file)?;
    let mut input = Input::new(input);
    input.fill().map_err(|error| unreadable(&arguments.file, &error))?;
    let clock = Clock::new(zone(arguments)?, modified, arguments.year);
    let mut run = DryRun::new(&library, &mapping, &arguments.privacy, arguments.format)?
        .file(&arguments.file, modified)
        .layout(&arguments.layout, input.bytes())?;
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    match run.all(&mut input, &clock, &mut out).and_then(|()| out.flush()) {
        // Whoever reads has seen enough (`| head`).
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(Exit::Done),
        Err(error) => return Err(unreadable(&arguments.file, &error)),
        Ok(()) => {}
    }
    eprint!("{}", run.unrecognised().summary());
    Ok(Exit::Done)
}

fn library(arguments: &Arguments) -> Result<Library, Failure> {
    let library = match &arguments.mappings {
        Some(folder) if folder.is_dir() => Library::open(folder),
        Some(folder) => {
            let message = format!("--mappings {}: there is no such folder", folder.display());
            return Err(Failure::new(Exit::Configuration, message));
        }
        None if Path::new(MAPPINGS).is_dir() => Library::open(Path::new(MAPPINGS)),
        None => Library::shipped(),
    };
    library.map_err(|problems| Failure::problems(&problems))
}

/// The input and the time that its times are not later than.
fn open(path: &Path) -> Result<(Box<dyn Read>, Time), Failure> {
    if path == Path::new(STDIN) {
        return Ok((Box::new(io::stdin().lock()), Time::now()));
    }
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    let modified = file.metadata().and_then(|metadata| metadata.modified()).ok();
    let modified = modified.and_then(|time| jiff::Timestamp::try_from(time).ok());
    let modified = modified.and_then(|time| i64::try_from(time.as_nanosecond()).ok());
    Ok((Box::new(file), modified.map_or_else(Time::now, Time)))
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("{}: {error}", path.display()))
}

fn zone(arguments: &Arguments) -> Result<TimeZone, Failure> {
    let Some(name) = &arguments.time_zone else { return Ok(TimeZone::system()) };
    if name.eq_ignore_ascii_case("utc") {
        return Ok(TimeZone::UTC);
    }
    TimeZone::get(name)
        .map_err(|error| Failure::new(Exit::Configuration, format!("--time-zone {name}: {error}")))
}
