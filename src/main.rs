//! Parses arguments, calls the command, prints the one error.

use std::process::ExitCode;

use clap::Parser;
use towline::cli;

fn main() -> ExitCode {
    match cli::run(&cli::Arguments::parse()) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            eprintln!("towline: {failure}");
            failure.exit.into()
        }
    }
}
