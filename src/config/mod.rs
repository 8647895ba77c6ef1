//! `towline.toml` → a checked [`Config`]. Whatever is wrong in it is said with file, line, column and what would be
//! right, all of it at once; what comes out needs no further check.
//!
//! It reads the configuration, the secrets and the certificates it names, and the environment; it opens no socket
//! and writes nothing. `packaging/towline.toml` is its manual: every key, every default.

mod destination;
mod general;
mod level;
mod mask;
mod secret;
mod sheet;
mod source;
mod syntax;
mod tls;
mod value;

#[cfg(test)]
mod tests;

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::tz::TimeZone;

pub use self::{level::Level, value::show_size};
use self::{
    secret::Environment,
    sheet::{Section, Sheet, Wrong},
};
use crate::{
    deliver::{self, Secret},
    guard,
    problem::Problem,
    spool, tail,
};

/// Where the configuration is looked for.
pub const PATH: &str = "/etc/towline/towline.toml";

/// The configuration as it is installed: every key with what it means and its default.
pub const REFERENCE: &str = include_str!("../../packaging/towline.toml");

/// The largest configuration that is read.
const TEXT_BYTES_MAX: u64 = 4 << 20;

/// Something doubtful that stops nothing.
pub type Warning = Problem;

/// What is meant by a configuration.
#[derive(Clone, PartialEq, Debug)]
pub struct Config {
    /// Who and where the agent is.
    pub agent: Agent,
    /// What it reads, in the order of the file; at least one.
    pub sources: Vec<Source>,
    /// What is done with personal fields.
    pub privacy: Privacy,
    /// How the spool is kept.
    pub spool: spool::Settings,
    /// Where it ships to, in the order of the file; at least one.
    pub destinations: Vec<deliver::Settings>,
    /// The user's own mappings.
    pub mappings_folder: PathBuf,
    /// What is done with characters that forge or hide.
    pub guard_mode: guard::Mode,
    /// How long stopping may take.
    pub stop_deadline: Duration,
}

/// Who and where the agent is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Agent {
    /// Folder of spool, cursors, dead letters and status socket.
    pub state: PathBuf,
    /// ECS `agent.name`; the host's name where nothing is said.
    pub name: String,
    /// How the agent's own log is written.
    pub log_format: LogFormat,
    /// From which level on.
    pub log_level: LogLevel,
}

/// Form of the agent's own log on standard error.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Least important level of the agent's own log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
pub enum LogLevel {
    /// What failed.
    Error,
    /// What should be looked at.
    Warn,
    /// What happens.
    #[default]
    Info,
    /// For finding out why.
    Debug,
    /// Everything.
    Trace,
}

/// A set of files and what reads them.
#[derive(Clone, PartialEq, Debug)]
pub struct Source {
    /// Its name in the configuration.
    pub name: String,
    /// The mapping that gives its lines a meaning.
    pub mapping: String,
    /// Its files.
    pub tail: tail::Settings,
    /// How its lines are written; `None`: found out file by file.
    pub layout: Option<String>,
    /// The zone of times that do not say theirs.
    pub time_zone: TimeZone,
    /// Lines of a lesser level are dropped and counted.
    pub level_min: Option<Level>,
    /// Names of the event kinds that are dropped and counted, sorted, without globs where the catalogue is known.
    pub drop: Vec<String>,
    /// What is done with lines that no binding knows.
    pub unrecognised: Unrecognised,
}

/// What is done with lines that no binding knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Unrecognised {
    /// Ship them as unrecognised events.
    #[default]
    Ship,
    /// Drop and count them.
    Drop,
}

/// What is done with personal fields.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Privacy {
    /// A table of `mappings/privacy`.
    pub profile: String,
    /// The key of pseudonyms, for profiles that make any.
    pub key: Option<Secret>,
}

/// Names that the mappings define. Where a list is empty, names of its sort are not checked.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Known {
    /// Mappings of sources.
    pub mappings: Vec<KnownMapping>,
    /// Event kinds of the catalogue.
    pub kinds: Vec<String>,
    /// Privacy profiles.
    pub profiles: Vec<KnownProfile>,
}

/// A mapping and its layouts.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct KnownMapping {
    /// Its name: its file's.
    pub name: String,
    /// Names of its layouts.
    pub layouts: Vec<String>,
}

/// A privacy profile.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct KnownProfile {
    /// Its name: its file's.
    pub name: String,
    /// Whether it makes pseudonyms, for which it needs a key.
    pub needs_key: bool,
}

/// Reads and checks a configuration.
///
/// # Errors
/// Everything that is wrong in it, in the order of the file.
pub fn load(path: &Path, known: &Known) -> Result<(Config, Vec<Warning>), Vec<Problem>> {
    Said::read(path).map_err(|problem| vec![problem])?.check(known)
}

/// A configuration as it was said: read, not checked.
pub struct Said {
    path: PathBuf,
    text: String,
}

impl Said {
    /// Reads a configuration.
    ///
    /// # Errors
    /// When there is none, or it is no text.
    pub fn read(path: &Path) -> Result<Self, Problem> {
        let wrong = |error: std::io::Error| {
            let problem = Problem::of_file(path, format!("cannot read the configuration: {error}"));
            match error.kind() {
                std::io::ErrorKind::NotFound => {
                    problem.hint("name another with --config; an example is packaging/towline.toml")
                }
                _ => problem,
            }
        };
        let mut bytes = Vec::new();
        let file = fs::File::open(path).map_err(wrong)?;
        file.take(TEXT_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(wrong)?;
        if bytes.len() as u64 > TEXT_BYTES_MAX {
            return Err(Problem::of_file(path, "larger than 4MiB: this is no configuration"));
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let valid = error.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(error.as_bytes());
            let shown = mask::mask_broken(&text);
            Problem::at(path, &shown, valid..valid + 1, "not UTF-8").hint("save the file as UTF-8")
        })?;
        Ok(Self::of_text(path, text))
    }

    /// A configuration from a text that is in no file.
    #[must_use]
    pub fn of_text(path: &Path, text: String) -> Self {
        Self { path: path.to_owned(), text }
    }

    /// The folder of the user's mappings, which has to be known before names of mappings can be checked. The
    /// default where what was said is wrong: [`Said::check`] says so.
    #[must_use]
    pub fn mappings_folder(&self) -> PathBuf {
        self.glance(general::mappings)
    }

    /// The agent's state folder, for who only wants to find it. The default where what was said is wrong.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.glance(|root| general::agent(root).0.state)
    }

    /// Reads something without checking the rest.
    fn glance<T>(&self, read: impl Fn(&mut Section<'_>) -> T) -> T {
        let (table, _) = toml::de::DeTable::parse_recoverable(&self.text);
        let sheet = Sheet::new(&self.path, "");
        read(&mut Section::root(&sheet, table.get_ref()))
    }

    /// Finds out what is meant.
    ///
    /// # Errors
    /// Everything that is wrong in it, in the order of the file.
    pub fn check(&self, known: &Known) -> Result<(Config, Vec<Warning>), Vec<Problem>> {
        self.check_within(known, &|name| std::env::var_os(name))
    }

    fn check_within(
        &self,
        known: &Known,
        environment: Environment<'_>,
    ) -> Result<(Config, Vec<Warning>), Vec<Problem>> {
        let (table, errors) = toml::de::DeTable::parse_recoverable(&self.text);
        let shown = match errors.is_empty() {
            true => mask::mask(&self.text),
            false => mask::mask_broken(&self.text),
        };
        let sheet = Sheet::new(&self.path, &shown);
        let config = match syntax::report(&sheet, &self.text, errors) {
            syntax::Readable::Yes => {
                whole_file(Section::root(&sheet, table.get_ref()), known, environment)
            }
            syntax::Readable::No => None,
        };
        let (errors, warnings) = sheet.findings();
        match config {
            Some(config) if errors.is_empty() => Ok((config, warnings)),
            _ => Err(errors),
        }
    }
}

fn whole_file(
    mut root: Section<'_>,
    known: &Known,
    environment: Environment<'_>,
) -> Option<Config> {
    let sheet = root.sheet;
    let (agent, stop_deadline) = general::agent(&mut root);
    let named = root.named("source");
    let none = named.is_empty();
    let read = named.into_iter().filter_map(|(name, section)| {
        Some((name.at.clone(), source::source(name, section, known)?))
    });
    let sources: Vec<_> = read.collect();
    source::warn_when_read_twice(sheet, &sources);
    if none && !root.is_misspelt("source") {
        let hint = "add `[source.chat]` with `mapping = \"…\"` and `files = […]`";
        sheet.error_at_end(Wrong::new("there is no source").hint(hint));
    }
    let privacy = general::privacy(&mut root, known, environment);
    let spool = general::spool(&mut root, &agent.state);
    let named = root.named("destination");
    if named.is_empty() && !root.is_misspelt("destination") {
        let hint = "add `[destination.siem.syslog]` with `address = [\"siem.example.net:6514\"]`";
        sheet.error_at_end(Wrong::new("there is no destination").hint(hint));
    }
    let destinations = destination::Destinations { known, environment };
    let destinations =
        named.into_iter().filter_map(|(name, section)| destinations.read(name, section));
    let destinations = destinations.collect();
    let mappings_folder = general::mappings(&mut root);
    let guard_mode = general::guard(&mut root);
    root.finish(general::other_sections);
    let sources = sources.into_iter().map(|(_, source)| source).collect();
    Some(Config {
        agent,
        sources,
        privacy,
        spool,
        destinations,
        mappings_folder,
        guard_mode,
        stop_deadline,
    })
}
