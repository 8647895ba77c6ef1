//! `towline status`: how far is a running agent?

use std::{
    io::{self, Write},
    path::PathBuf,
};

use clap::Args;

use super::{Exit, Failure, Global};
use crate::{
    config::Said,
    report::{self, AskError, Status},
};

/// Say how far a running agent is: its files, its spool, and the balance of each destination.
///
/// Asks the agent over the socket in its state folder. The balance, in records, closes at every moment:
/// read + generated = shipped + pending + dead + dropped + lost.
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// The agent's state folder [default: what the configuration says].
    #[arg(long, value_name = "FOLDER")]
    state: Option<PathBuf>,
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Result<Exit, Failure> {
    let state = match &arguments.state {
        Some(state) => state.clone(),
        None => {
            Said::read(&global.config).map_err(|problem| Failure::problems(&[problem]))?.state()
        }
    };
    match report::ask(&report::socket_path(&state)) {
        Ok(status) => {
            print(&status, arguments.json).map_err(|error| Failure::of(Exit::Failed, &error))?;
            Ok(Exit::Done)
        }
        Err(error @ AskError::NotRunning { .. }) => Err(Failure::of(Exit::NotRunning, &error)),
        Err(error) => Err(Failure::of(Exit::Failed, &error)),
    }
}

fn print(status: &Status, json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, status)?;
        writeln!(out)?;
    } else {
        write!(out, "{status}")?;
    }
    out.flush()
}
