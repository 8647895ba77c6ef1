//! Exit codes, and the one error a command ends with.

use std::{fmt, process::ExitCode};

use crate::problem::Problem;

/// The exit codes, as `--help` shows them. Those from 64 on are those of `sysexits.h`.
macro_rules! exit_codes {
    () => {
        "\
Exit codes:
   0  done
   1  failed
   2  the command line is wrong
   3  status: the agent is not running
  70  a fault of the program
  75  check --connect: a destination does not answer; try again
  78  the configuration or a mapping is wrong"
    };
}

/// How a command ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Failed.
    Failed = 1,
    /// The agent is not running.
    NotRunning = 3,
    /// A fault of the program (`EX_SOFTWARE`).
    Internal = 70,
    /// A destination does not answer (`EX_TEMPFAIL`).
    Temporary = 75,
    /// The configuration or a mapping is wrong (`EX_CONFIG`).
    Configuration = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not do what it should.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What to print, without `towline:`.
    pub message: String,
}

impl Failure {
    /// A failure with a message.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }

    /// A failure with an error and what caused it.
    pub fn of(exit: Exit, error: &dyn std::error::Error) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            message.push_str(": ");
            message.push_str(&error.to_string());
            cause = error.source();
        }
        Self { exit, message }
    }

    /// Files are wrong.
    pub fn problems(problems: &[Problem]) -> Self {
        let count = match problems.len() {
            1 => "1 error".to_owned(),
            n => format!("{n} errors"),
        };
        let shown: Vec<_> = problems.iter().map(|problem| format!("{problem}\n\n")).collect();
        Self {
            exit: Exit::Configuration,
            message: format!("{count}\n\n{}", shown.concat().trim_end()),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}
