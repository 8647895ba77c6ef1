//! `towline demo`: the whole way once, on lines that real servers wrote, without any set-up.
//!
//! ```text
//! writer thread ─► log files ─► agent::run, as `towline run` ─► receivers on loopback ─► ledger ─► screen
//! ```
//! Only the files, the receivers and the screen are the demo's own; what is between them is the agent.

mod ledger;
mod receivers;
mod screen;
mod script;

use std::{
    env,
    fmt::Write as _,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process,
    sync::mpsc::RecvTimeoutError,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use clap::Args;
use tokio::sync::oneshot;

use self::{
    ledger::Ledger,
    receivers::Receivers,
    screen::Screen,
    script::{Record, Script},
};
use super::{Exit, Failure, Global, Loaded, begin_log, load, summary::summary};
use crate::{
    agent,
    report::{self, Status},
};

/// How long everything may take beyond the pace.
const PATIENCE: Duration = Duration::from_secs(8);
/// How often it is looked whether all is done.
const LOOK: Duration = Duration::from_millis(30);

/// See it work: ships bundled log lines, attacks included, to receivers of its own.
///
/// Needs no set-up, no network and no rights. In a temporary folder it writes lines of real servers at a
/// watchable pace and ships them as `towline run` does: as CEF to a TLS syslog receiver, as ECS to a bulk
/// receiver, both in this process on loopback, with a certificate made on the spot. It shows each line
/// beside what came in, then the balance, and ends by itself. It fails (1) if anything did not arrive
/// exactly once. --config is not used.
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    /// Milliseconds between two records; 0 writes everything at once.
    #[arg(long, value_name = "MS", default_value_t = 150)]
    #[arg(value_parser = clap::value_parser!(u64).range(..=60_000))]
    pace_ms: u64,
    /// Leave the folder (configuration, logs, spool, certificate) and say where it is.
    #[arg(long)]
    keep: bool,
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Result<Exit, Failure> {
    let internal = |error: &dyn std::error::Error| Failure::of(Exit::Internal, error);
    let failed = |error: &dyn std::error::Error| Failure::of(Exit::Failed, error);
    let script = Script::bundled().map_err(|error| internal(&error))?;
    let folder = Folder::new(arguments.keep).map_err(|error| failed(&error))?;
    let receivers = Receivers::start().map_err(|error| failed(&*error))?;
    let config = prepare(&script, folder.path(), &receivers).map_err(|error| failed(&error))?;
    let loaded = load(&Global { config, ..*global })?;
    begin_log(global, &loaded.config);

    let mut screen = Screen::new();
    screen.title("What `towline check` says of the demo's configuration");
    screen.say(&format!("{}\n", summary(&loaded.config)));
    let records = script.records(folder.path());
    let socket = report::socket_path(&loaded.config.agent.state);
    let running = Running::start(loaded).map_err(|error| failed(&error))?;
    let pace = Duration::from_millis(arguments.pace_ms);
    if let Err(error) = write(&records, pace) {
        running.stop()?;
        return Err(failed(&error));
    }
    let patience = pace.saturating_mul(records.len().try_into().unwrap_or(u32::MAX)) + PATIENCE;
    let watch = Watch { records: &records, socket: &socket, until: Instant::now() + patience };
    let mut ledger = Ledger::default();
    let status = watch.watch(&receivers, &running, &mut ledger, &mut screen);
    let mut faults = ledger.faults(&records);
    let ended = running.thread.is_finished();
    running.stop()?;
    if ended {
        return Err(Failure::new(
            Exit::Failed,
            "stopped by a signal before everything had arrived",
        ));
    }
    receivers.arrivals.try_iter().for_each(|received| ledger.take(received));
    faults.extend(ledger.repeated());
    match status {
        Some(status) => balance(&mut screen, &status, &mut faults),
        None => faults.push("the agent did not account for everything in time".into()),
    }
    if arguments.keep {
        screen.say(&format!("\nEverything is left in {}\n", folder.path().display()));
    }
    verdict(&mut screen, records.len(), &faults)
}

fn verdict(screen: &mut Screen, records: usize, faults: &[String]) -> Result<Exit, Failure> {
    if faults.is_empty() {
        let text = format!(
            "\n{records} records written; each arrived exactly once as CEF and exactly once as ECS."
        );
        screen.verdict(true, &text);
        return Ok(Exit::Done);
    }
    screen.verdict(false, "\nNot everything arrived exactly once.");
    Err(Failure::new(Exit::Failed, faults.join("\n")))
}

/// Shows the balance and notes where it is not what it should be.
fn balance(screen: &mut Screen, status: &Status, faults: &mut Vec<String>) {
    screen
        .title("The balance (read from files and made by the agent itself, for each destination)");
    let width = status.destinations.iter().map(|d| d.name.len()).max().unwrap_or_default();
    for destination in &status.destinations {
        let (name, balance) = (&destination.name, &destination.balance);
        screen.say(&format!("  {name:width$}  {balance}\n"));
        if !balance.closes() {
            faults.push(format!("the balance of {name} does not close: {balance}"));
        }
    }
}

/// Writes the configuration, and empty logs so that `check` finds them. Returns where the configuration is.
fn prepare(script: &Script, folder: &Path, receivers: &Receivers) -> io::Result<PathBuf> {
    let quoted =
        |path: PathBuf| toml::Value::String(path.to_string_lossy().into_owned()).to_string();
    let ca = folder.join("receivers.pem");
    fs::write(&ca, &receivers.certificate)?;
    let mut config = format!(
        "[agent]\nstate = {}\nlog_level = \"warn\"\n\n[mappings]\nfolder = {}\n",
        quoted(folder.join("state")),
        quoted(folder.join("mappings")),
    );
    for source in &script.sources {
        let path = source.path(folder);
        File::create_new(&path)?;
        let (name, zone) = (&source.name, &source.time_zone);
        let (mapping, layout) = (&source.mapping, &source.layout);
        let _ = write!(
            config,
            "\n[source.{name}]\nmapping = {mapping:?}\nfiles = [{}]\nlayout = {layout:?}\ntime_zone = {zone:?}\n",
            quoted(path)
        );
    }
    let (syslog, bulk, tls) = (receivers.syslog, receivers.bulk, quoted(ca));
    let _ = write!(
        config,
        "\n[destination.siem.syslog]\naddress = [\"{syslog}\"]\ntls = {{ ca = {tls} }}\n\n\
         [destination.search.elasticsearch]\nurls = [\"https://{bulk}\"]\ntls = {{ ca = {tls} }}\n"
    );
    let path = folder.join("towline.toml");
    fs::write(&path, config)?;
    Ok(path)
}

/// Begins to append the records to their files, at a pace. A file that cannot be written ends the writing, and what
/// is missing then is found.
fn write(records: &[Record], pace: Duration) -> io::Result<()> {
    let mut writes = Vec::new();
    for record in records {
        writes.push((OpenOptions::new().append(true).open(&record.path)?, record.text));
    }
    thread::Builder::new().name("writer".into()).spawn(move || {
        for (mut file, text) in writes {
            if let Err(error) = file.write_all(text.as_bytes()) {
                tracing::error!("a line cannot be written: {error}");
                return;
            }
            thread::sleep(pace);
        }
    })?;
    Ok(())
}

/// The agent on its thread.
struct Running {
    thread: JoinHandle<Result<(), agent::Error>>,
    stop: oneshot::Sender<()>,
}

impl Running {
    fn start(loaded: Loaded) -> io::Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new().name("agent".into()).spawn(move || {
            agent::run(&loaded.config, &loaded.library, async {
                // Also when the demo gave up.
                let _ = stopped.await;
            })
        })?;
        Ok(Self { thread, stop })
    }

    /// Stops the agent in order.
    fn stop(self) -> Result<(), Failure> {
        // It may have ended by itself: then its result says why.
        let _ = self.stop.send(());
        match self.thread.join() {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Failure::of(Exit::Failed, &error)),
            Err(_) => Err(Failure::new(Exit::Internal, "the agent had panicked")),
        }
    }
}

/// What is waited for, and for how long.
struct Watch<'a> {
    records: &'a [Record],
    socket: &'a Path,
    until: Instant,
}

impl Watch<'_> {
    /// Shows each record in its turn, until all are there and the agent knows it. `None` when that did not happen.
    fn watch(
        &self,
        receivers: &Receivers,
        running: &Running,
        ledger: &mut Ledger,
        screen: &mut Screen,
    ) -> Option<Status> {
        let mut shown = 0;
        // A signal ends the agent; the demo then ends, too.
        while Instant::now() < self.until && !running.thread.is_finished() {
            match receivers.arrivals.recv_timeout(LOOK) {
                Ok(received) => ledger.take(received),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return None,
            }
            while let Some(record) = self.records.get(shown)
                && let Some((cef, ecs)) = ledger.event(record)
            {
                shown += 1;
                screen.event(shown, record, cef, ecs);
            }
            if shown == self.records.len()
                && let Some(status) = settled(self.socket, ledger.counts())
            {
                return Some(status);
            }
        }
        None
    }
}

/// The status, once each destination has acknowledged all it got and got all there is.
fn settled(socket: &Path, (syslog, bulk): (u64, u64)) -> Option<Status> {
    let status = report::ask(socket).ok()?;
    let shipped: Vec<_> = status.destinations.iter().map(|d| d.balance.shipped).collect();
    let pending: u64 = status.destinations.iter().map(|d| d.balance.pending).sum();
    (pending == 0 && shipped == [syslog, bulk]).then_some(status)
}

/// A new folder of this run. It goes with this value, unless it is kept.
struct Folder {
    path: PathBuf,
    keep: bool,
}

impl Folder {
    fn new(keep: bool) -> io::Result<Self> {
        let unique = getrandom::u32().map_err(|error| io::Error::other(error.to_string()))?;
        let name = format!("towline-demo-{}-{unique:08x}", process::id());
        let path = env::temp_dir().join(name);
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self { path: path.canonicalize()?, keep })
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.keep
            && let Err(error) = fs::remove_dir_all(&self.path)
        {
            eprintln!("towline: {} cannot be removed: {error}", self.path.display());
        }
    }
}
