//! `towline map`: a dry run. What would become of the lines of a file, without an agent, a spool or a receiver.

use std::{
    fs::File,
    io::{self, BufWriter, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::{Args, ValueEnum};
use jiff::tz::TimeZone;

use super::{Exit, Failure, unrecognised::Unrecognised};
use crate::{
    encode::{Agent, Cef, CefTable, Ecs},
    event::{Event, EventId, FieldId, KindId, Raw, Time, Value, field},
    guard::{Guard, Mode, Privacy, Shippable},
    map::{Library, Mapping, Origin, Scratch},
    parse::{Clock, Cut, Layout, Record, detect},
    session::{Limits, Memory, Rules},
    spool::Sequence,
    tail::{FileId, Flush},
};

/// How much is read at once.
const READ_BYTES: usize = 1 << 20;
/// A record that does not end within this is cut: more memory is not spent on one.
const BUFFER_BYTES_MAX: usize = 16 << 20;
const STDIN: &str = "-";

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

/// What is printed for each record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Format {
    /// A line and its fields, for people.
    Table,
    /// The event as ECS JSON.
    Ecs,
    /// The event as CEF.
    Cef,
    /// One JSON object: line, lines, kind, ecs and cef.
    Jsonl,
}

/// The folder that is laid over the shipped mappings unless another is named.
const MAPPINGS: &str = "/etc/towline/mappings";
/// Where the CEF table is.
const CEF: &str = "schemas/cef.toml";

pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let library = library(arguments)?;
    let mapping =
        library.mapping(&arguments.source).map_err(|problems| Failure::problems(&problems))?;
    let (input, modified) = open(&arguments.file)?;
    let mut input = Input { input, buffer: Vec::new(), ended: false };
    input.fill().map_err(|error| unreadable(&arguments.file, &error))?;
    let layout = layout(&mapping, &arguments.layout, &input.buffer)?;
    let clock = Clock::new(zone(arguments)?, modified, arguments.year);
    let refine = Refine::new(&library, &mapping, &arguments.privacy)?;
    let memory = memory(&mapping)?;
    let mut run = Run {
        mapping: &mapping,
        layout,
        clock: &clock,
        refine: &refine,
        format: arguments.format,
        path: &arguments.file,
        read: modified,
        memory,
        scratch: Scratch::new(),
        event: Event::new(KindId(0), EventId::default(), Time(0)),
        unrecognised: Unrecognised::default(),
        text: Vec::new(),
        cef: Vec::new(),
        line: 1,
        offset: 0,
    };
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    match run.all(&mut input, &mut out).and_then(|()| out.flush()) {
        // Whoever reads has seen enough (`| head`).
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(Exit::Done),
        Err(error) => return Err(unreadable(&arguments.file, &error)),
        Ok(()) => {}
    }
    eprint!("{}", run.unrecognised.summary());
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

fn layout<'m>(mapping: &'m Mapping, name: &str, bytes: &[u8]) -> Result<&'m Layout, Failure> {
    let layouts = &mapping.layouts;
    let wanted = if name == "auto" {
        // A file that fits none is read by the first: its lines are unrecognised then, and said to be so.
        detect(layouts, bytes).map_or(layouts.first(), |at| layouts.get(at))
    } else {
        layouts.iter().find(|layout| layout.name() == name)
    };
    wanted.ok_or_else(|| {
        let names: Vec<_> = layouts.iter().map(|layout| layout.name()).collect();
        let hint = crate::problem::suggest(name, names).unwrap_or_default();
        let message = format!("--layout {name}: `{}` has no such layout; {hint}", mapping.name);
        Failure::new(Exit::Configuration, message)
    })
}

/// What is known of the connections of the file's program.
fn memory(mapping: &Mapping) -> Result<Option<Memory>, Failure> {
    let rules = mapping.session.as_ref().map(|spec| Rules::new(spec, &mapping.tables)).transpose();
    let rules = rules
        .map_err(|error| Failure::new(Exit::Configuration, format!("{}: {error}", mapping.name)))?;
    Ok(rules.map(|rules| Memory::new(Arc::new(rules), Limits::default())))
}

/// What happens to an event behind its mapping and memory.
struct Refine {
    guard: Guard,
    privacy: Privacy,
    ecs: Ecs,
    cef: Cef,
}

impl Refine {
    fn new(library: &Library, mapping: &Mapping, profile: &str) -> Result<Self, Failure> {
        let wrong = |message: String| Failure::new(Exit::Configuration, message);
        let tables = &mapping.tables;
        let spec = library.privacy(profile).ok_or_else(|| {
            let names: Vec<_> = library.profiles().collect();
            let hint = crate::problem::suggest(profile, names).unwrap_or_default();
            wrong(format!("--privacy {profile}: there is no such profile; {hint}"))
        })?;
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|error| wrong(format!("no random key: {error}")))?;
        let privacy = Privacy::new(spec, tables.clone(), Some(&key))
            .map_err(|error| wrong(format!("--privacy {profile}: {error}")))?;
        let table = library.document(CEF).unwrap_or_else(|| toml::Table::new().into());
        let table = CefTable::from_value(table).map_err(|error| {
            Failure::problems(&[library.problem(CEF, &error.path, &error.problem)])
        })?;
        let agent = Agent {
            id: [0; 16],
            name: "dry-run".to_owned(),
            version: env!("CARGO_PKG_VERSION"),
            host_name: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            host_ip: Vec::new(),
        };
        Ok(Self {
            guard: Guard::new(Mode::default(), tables.clone()),
            privacy,
            ecs: Ecs::new(&agent, tables),
            cef: Cef::new(1, &table, &agent, tables),
        })
    }
}

/// What is read and not mapped yet.
struct Input {
    input: Box<dyn Read>,
    buffer: Vec<u8>,
    ended: bool,
}

impl Input {
    /// Reads on, by [`READ_BYTES`] or to the end.
    fn fill(&mut self) -> io::Result<()> {
        let before = self.buffer.len();
        let wanted = u64::try_from(READ_BYTES).unwrap_or(u64::MAX);
        self.input.by_ref().take(wanted).read_to_end(&mut self.buffer)?;
        self.ended = self.buffer.len() - before < READ_BYTES;
        Ok(())
    }
}

/// One dry run.
struct Run<'r> {
    mapping: &'r Mapping,
    refine: &'r Refine,
    layout: &'r Layout,
    clock: &'r Clock,
    format: Format,
    path: &'r Path,
    read: Time,
    memory: Option<Memory>,
    scratch: Scratch,
    event: Event<Raw>,
    unrecognised: Unrecognised,
    text: Vec<u8>,
    cef: Vec<u8>,
    /// Number of the next physical line.
    line: u64,
    /// Offset of the next record's first byte.
    offset: u64,
}

impl Run<'_> {
    fn all(&mut self, input: &mut Input, out: &mut impl Write) -> io::Result<()> {
        let mut cuts: Vec<Cut> = Vec::new();
        loop {
            let full = input.buffer.len() >= BUFFER_BYTES_MAX;
            let flush = match (input.ended, full) {
                (true, _) => Flush::End,
                (false, true) => Flush::Idle,
                (false, false) => Flush::No,
            };
            cuts.clear();
            let mut used = self.layout.records(&input.buffer, flush, &mut cuts);
            if used == 0 && full {
                // One line that is longer than the buffer.
                used = input.buffer.len();
            }
            self.records(&input.buffer[..used], &cuts, out)?;
            input.buffer.drain(..used);
            if input.ended {
                return Ok(());
            }
            input.fill()?;
        }
    }

    fn records(&mut self, bytes: &[u8], cuts: &[Cut], out: &mut impl Write) -> io::Result<()> {
        let mut record = Record::new(b"");
        let mut at = 0;
        let (first, offset) = (self.line, self.offset);
        let mut counted = 0;
        for cut in cuts {
            counted += newlines(&bytes[at..cut.start]);
            at = cut.start;
            self.line = first + counted;
            self.offset = offset + at as u64;
            let line = &bytes[cut.start..cut.end];
            record = record.reuse(line);
            self.layout.parse(line, self.clock, &mut record);
            self.record(&record, cut.lines, out)?;
        }
        self.line = first + counted + newlines(&bytes[at..]);
        self.offset = offset + bytes.len() as u64;
        Ok(())
    }

    fn record(&mut self, record: &Record<'_>, lines: u32, out: &mut impl Write) -> io::Result<()> {
        let path = self.path.as_os_str().as_encoded_bytes();
        let origin = Origin {
            source: &self.mapping.name,
            file: FileId::default(),
            generation: 0,
            path,
            offset: self.offset,
            read: self.read,
            agent_id: &[0; 16],
            keep_original: true,
            clock: self.clock,
        };
        self.mapping.map(record, &origin, &mut self.scratch, &mut self.event);
        if let Some(memory) = &mut self.memory {
            memory.apply(origin.file, origin.source, origin.offset, &mut self.event);
        }
        let said = self.event.text_of(field::MESSAGE).unwrap_or_default();
        self.unrecognised.count(self.event.recognised, said);
        let raw =
            std::mem::replace(&mut self.event, Event::new(KindId(0), EventId::default(), Time(0)));
        let event = self.refine.privacy.apply(self.refine.guard.clean(raw));
        self.text.clear();
        match self.format {
            Format::Table => self.table(&event),
            Format::Ecs => self.refine.ecs.write(Sequence(0), &event, &mut self.text),
            Format::Cef => self.refine.cef.write(&event, &mut self.text),
            Format::Jsonl => self.json_line(&event, lines)?,
        }
        self.text.push(b'\n');
        out.write_all(&self.text)
    }

    fn table(&mut self, event: &Event<Shippable>) {
        let kind = &self.mapping.tables.kind(event.kind).name;
        let time = timestamp(event.time);
        let binding = self.mapping.matched(&self.scratch).unwrap_or("-");
        self.text = format!("{:>6}  {time}  {kind}  ({binding})", self.line).into_bytes();
        for one in &event.fields {
            if PLACE.contains(&one.id) {
                continue;
            }
            let name = &self.mapping.tables.field(one.id).name;
            let value = match one.value {
                Value::Date(time) => timestamp(time).into(),
                value => event.show(value),
            };
            self.text.extend_from_slice(format!("\n        {name} = {value}").as_bytes());
        }
    }

    fn json_line(&mut self, event: &Event<Shippable>, lines: u32) -> io::Result<()> {
        let kind = event.recognised.then(|| &self.mapping.tables.kind(event.kind).name);
        write!(self.text, "{{\"line\":{},\"lines\":{lines},\"kind\":", self.line)?;
        serde_json::to_writer(&mut self.text, &kind)?;
        self.text.extend_from_slice(b",\"ecs\":");
        self.refine.ecs.write(Sequence(0), event, &mut self.text);
        self.cef.clear();
        self.refine.cef.write(event, &mut self.cef);
        self.text.extend_from_slice(b",\"cef\":");
        serde_json::to_writer(&mut self.text, &String::from_utf8_lossy(&self.cef))?;
        self.text.push(b'}');
        Ok(())
    }
}

/// Fields that are the same for all records of a file, or the record itself: a table for people is better without.
const PLACE: [FieldId; 4] = [field::ORIGINAL, field::LOG_PATH, field::LOG_OFFSET, field::DATASET];

fn newlines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

fn timestamp(time: Time) -> String {
    jiff::Timestamp::from_nanosecond(time.0.into()).unwrap_or_default().to_string()
}
