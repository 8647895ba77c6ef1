//! `towline check`: is the configuration right, and what will be done?

use std::io::{self, Write};

use clap::Args;

use super::{Exit, Failure, Global, begin_log, load, summary::summary};
use crate::{config::Config, deliver, map};

/// Check the configuration and say what would be done.
///
/// Reads the configuration, the secrets and certificates it names, and all mappings, whose examples are
/// run. Every error is shown with its file, line and column, and with what would be right. Without
/// errors it prints, on standard output, what `towline run` would do.
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    /// Also try every destination: address, TLS handshake, credentials. Nothing is shipped.
    #[arg(long)]
    connect: bool,
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Result<Exit, Failure> {
    let loaded = load(global)?;
    begin_log(global, &loaded.config);
    let problems = map::check(&loaded.library);
    if !problems.is_empty() {
        return Err(Failure::problems(&problems));
    }
    for warning in &loaded.warnings {
        eprintln!("warning: {warning}\n");
    }
    print(&summary(&loaded.config))?;
    if arguments.connect { connect(&loaded.config) } else { Ok(Exit::Done) }
}

fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|error| Failure::of(Exit::Failed, &error))
}

/// Tries all destinations at the same time and tells of each in its turn.
fn connect(config: &Config) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::of(Exit::Internal, &error))?;
    let tries = config.destinations.iter().cloned().map(|destination| {
        let name = destination.name.clone();
        let tried = runtime.spawn(async move { deliver::check::connect_check(&destination).await });
        (name, tried)
    });
    let mut failed = 0;
    for (name, tried) in tries.collect::<Vec<_>>() {
        match runtime.block_on(tried).map_err(|error| Failure::of(Exit::Internal, &error))? {
            Ok(answer) => print(&told(&name, "answers", &answer))?,
            Err(trouble) => {
                failed += 1;
                print(&told(&name, "fails", &trouble.to_string()))?;
            }
        }
    }
    match failed {
        0 => Ok(Exit::Done),
        1 => Err(Failure::new(Exit::Temporary, "1 destination does not take events")),
        n => Err(Failure::new(Exit::Temporary, format!("{n} destinations do not take events"))),
    }
}

fn told(name: &str, how: &str, lines: &str) -> String {
    let lines: Vec<_> = lines.lines().map(|line| format!("    {line}\n")).collect();
    format!("destination {name} {how}\n{}", lines.concat())
}
