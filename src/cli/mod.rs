//! The command line: one file per command, and what they share.

#[macro_use]
mod exit;
mod check;
mod demo;
mod dry_run;
mod log;
mod map;
mod run;
mod status;
mod summary;
mod unrecognised;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use self::exit::{Exit, Failure};
use crate::{
    config::{self, Config, Known, LogFormat, LogLevel, Said},
    map::{Library, PrivacySpec, Treatment},
};

/// Ships the logs of XMPP and Tox programs to a SIEM: recognised, typed, safe and complete.
///
/// Towline follows log files, recognises what they report, and delivers it as CEF or ECS events over
/// syslog or to Elasticsearch. Every event is on disk before it is sent and stays there until the
/// receiver has it.
#[derive(Parser, Debug)]
#[command(name = "towline", version, verbatim_doc_comment, after_help = exit_codes!())]
#[command(after_long_help = concat!(
"Examples:
  towline demo                      see it work: bundled logs, receivers of its own, no set-up
  towline map --source NAME FILE    what becomes of this log? Nothing is sent or written
  towline check                     is the configuration right, and what will be done?
  towline check --connect           ... and do the destinations answer?
  towline run                       do it, until SIGTERM
  towline status                    how far is it?

", exit_codes!()))]
pub struct Arguments {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Args, Debug)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Global {
    /// The configuration.
    #[arg(long, short, global = true, value_name = "FILE", default_value = config::PATH)]
    config: PathBuf,
    /// How messages on standard error are written [default: what the configuration says].
    #[arg(long, global = true, value_name = "FORMAT")]
    log_format: Option<LogFormat>,
    /// From which level on there are messages on standard error [default: what the configuration says].
    #[arg(long, global = true, value_name = "LEVEL")]
    log_level: Option<LogLevel>,
}

#[derive(Subcommand, Debug)]
enum Command {
    Check(check::Arguments),
    Demo(demo::Arguments),
    Map(map::Arguments),
    Run(run::Arguments),
    Status(status::Arguments),
}

/// Does what the command line says.
///
/// # Errors
/// With what to print and the exit code.
pub fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let global = &arguments.global;
    match &arguments.command {
        Command::Check(arguments) => check::run(global, arguments),
        Command::Demo(arguments) => demo::run(global, arguments),
        Command::Map(arguments) => map::run(arguments),
        Command::Run(arguments) => run::run(global, arguments),
        Command::Status(arguments) => status::run(global, arguments),
    }
}

/// The configuration and what it was checked against.
pub(crate) struct Loaded {
    pub(crate) config: Config,
    pub(crate) warnings: Vec<config::Warning>,
    pub(crate) library: Library,
}

/// Loads the mappings and the configuration. What is wrong in either is told together.
pub(crate) fn load(global: &Global) -> Result<Loaded, Failure> {
    let said = Said::read(&global.config).map_err(|problem| Failure::problems(&[problem]))?;
    match Library::open(&said.mappings_folder()) {
        Ok(library) => match said.check(&known(&library)) {
            Ok((config, warnings)) => Ok(Loaded { config, warnings, library }),
            Err(problems) => Err(Failure::problems(&problems)),
        },
        Err(mut problems) => {
            problems.extend(said.check(&Known::default()).err().into_iter().flatten());
            Err(Failure::problems(&problems))
        }
    }
}

/// The names that a configuration may use.
fn known(library: &Library) -> Known {
    // A source that cannot be read has no layouts to check; that it cannot is said when it is compiled.
    let layouts =
        |name: &str| library.source(name).map_or_else(|_| Vec::new(), |source| source.layouts);
    let mapping = |name: &str| config::KnownMapping {
        name: name.to_owned(),
        layouts: layouts(name).into_iter().map(|layout| layout.name).collect(),
    };
    let needs_key = |spec: &PrivacySpec| {
        let treatments = spec.fields.iter().map(|(_, treatment)| treatment);
        treatments.chain([&spec.default]).any(|treatment| *treatment == Treatment::Pseudonym)
    };
    let profile = |name: &str| config::KnownProfile {
        name: name.to_owned(),
        needs_key: library.privacy(name).is_some_and(needs_key),
    };
    Known {
        mappings: library.sources().map(mapping).collect(),
        kinds: library.tables().kinds().iter().map(|kind| kind.name.clone()).collect(),
        profiles: library.profiles().map(profile).collect(),
    }
}

/// Begins logging as the command line says, or else the configuration.
pub(crate) fn begin_log(global: &Global, config: &Config) {
    let format = global.log_format.unwrap_or(config.agent.log_format);
    log::begin(format, global.log_level.unwrap_or(config.agent.log_level));
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    /// `docs/cli.md` is what `--help` says.
    #[test]
    fn the_manual_is_the_help() {
        let mut program = Arguments::command();
        program.build();
        let mut manual = format!(
            "# The command line\n\nThis is what `towline --help` and `towline COMMAND --help` say; a test keeps it so.\n\n{}",
            section(&mut program.clone(), "towline")
        );
        for command in program.get_subcommands_mut().filter(|command| command.get_name() != "help")
        {
            let name = format!("towline {}", command.get_name());
            manual.push_str(&section(command, &name));
        }
        expect_test::expect_file!["../../docs/cli.md"].assert_eq(manual.trim_end_matches('\n'));
    }

    fn section(command: &mut clap::Command, name: &str) -> String {
        let help = command.render_long_help().to_string();
        let lines: Vec<_> = help.trim_end().lines().map(str::trim_end).collect();
        format!("## {name}\n\n```text\n{}\n```\n\n", lines.join("\n"))
    }
}
