//! The command line: one file per command, and what they share.

#[macro_use]
mod exit;
mod check;
mod log;
mod status;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use self::exit::{Exit, Failure};
use crate::config::{self, Config, Known, LogFormat, LogLevel, Said};

/// Ships the logs of XMPP and Tox programs to a SIEM: recognised, typed, safe and complete.
///
/// Towline follows log files, recognises what they report, and delivers it as CEF or ECS events over syslog or to
/// Elasticsearch. Every event is on disk before it is sent and stays there until the receiver has it.
#[derive(Parser, Debug)]
#[command(name = "towline", version, propagate_version = true, after_help = exit_codes!())]
#[command(after_long_help = concat!(
"Examples:
  towline check                           is the configuration right, and what will be done?
  towline check --connect                 ... and do the destinations answer?
  towline run                             do it, until SIGTERM
  towline status                          how far is it?

", exit_codes!()))]
pub struct Arguments {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Args, Debug)]
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
    /// Check the configuration and say what would be done.
    Check(check::Arguments),
    /// Say how far a running agent is.
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
        Command::Status(arguments) => status::run(global, arguments),
    }
}

/// The configuration and what it was checked against.
pub(crate) struct Loaded {
    pub(crate) config: Config,
    pub(crate) warnings: Vec<config::Warning>,
}

/// Loads the configuration, and the names in it against the mappings.
pub(crate) fn load(global: &Global) -> Result<Loaded, Failure> {
    let said = Said::read(&global.config).map_err(|problem| Failure::problems(&[problem]))?;
    let (config, warnings) =
        said.check(&Known::default()).map_err(|problems| Failure::problems(&problems))?;
    Ok(Loaded { config, warnings })
}

/// Begins logging as the command line says, or else the configuration.
pub(crate) fn begin_log(global: &Global, config: &Config) {
    let format = global.log_format.unwrap_or(config.agent.log_format);
    log::begin(format, global.log_level.unwrap_or(config.agent.log_level));
}
