//! The program's own log: `tracing` to standard error.

use std::io::{self, IsTerminal};

use tracing_subscriber::{filter::LevelFilter, fmt};

use crate::config::{LogFormat, LogLevel};

/// Begins logging. Only the first call of a process counts.
pub(super) fn begin(format: LogFormat, level: LogLevel) {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let log = fmt().with_writer(io::stderr).with_max_level(level).with_target(false);
    let begun = match format {
        LogFormat::Text => log.with_ansi(io::stderr().is_terminal()).try_init(),
        LogFormat::Json => log.json().flatten_event(true).with_target(true).try_init(),
    };
    if let Err(error) = begun {
        tracing::debug!("logging was begun before: {error}");
    }
}
