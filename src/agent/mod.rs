//! The wiring: which stage runs on which thread, what connects them, and the order of stopping. The only module that
//! knows every stage.
//!
//! ```text
//! thread `reader`   tailer ─► refineries ─► spool.append        waits here when the spool is full
//! thread `keeper`   spool.sync, spool.release                   once a second
//! tokio             one courier a destination ◄─ spool.reader   woken by appends
//!                   status socket, signals
//! ```
//! Stopping: the reader first (a record that is still open stays in its file), then a sync, then the couriers, each
//! with the deadline to finish what is in hand.

mod identity;
mod own;
mod reader;
mod refinery;
mod status;

use std::{
    collections::{HashMap, HashSet},
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinSet,
};
use tracing::{error, info, warn};

use self::{
    own::{Own, Watched},
    reader::{Reader, View},
    refinery::{Common, Refinery},
};
use crate::{
    config::Config,
    deliver::{self, Courier, Supplies},
    encode::{self, CefTable},
    event::Time,
    guard::{Guard, Privacy},
    map::Library,
    report::{self, Socket},
    spool::{DeadLetters, Durability, Keep, Sequence, Spool, disk::RealDisk},
    tail::Tailer,
};

/// How often the keeper syncs and releases, at least.
const KEEP: Duration = Duration::from_secs(1);
/// Threads for sockets: delivery is a few large writes.
const SOCKET_THREADS: usize = 2;

/// Why the agent cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder of the agent.
    #[error("cannot use {}: {source}", path.display())]
    State {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The configuration does not fit the mappings, or a destination cannot be set up.
    #[error("{0}")]
    Configuration(String),
    /// The spool cannot be opened.
    #[error(transparent)]
    Spool(#[from] crate::spool::Error),
    /// Tailing cannot begin.
    #[error(transparent)]
    Tail(#[from] crate::tail::Error),
    /// The runtime for sockets cannot be started.
    #[error("cannot start: {0}")]
    Runtime(#[from] io::Error),
}

/// Runs until SIGTERM or SIGINT, or until `until` is done; then stops in order.
///
/// # Errors
/// Nothing was read or sent when this fails.
pub fn run(
    config: &Config,
    library: &Library,
    until: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Error> {
    let state = &config.agent.state;
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::State { path, source }
    };
    fs::DirBuilder::new().recursive(true).mode(0o750).create(state).map_err(at(state))?;
    let agent = identity::agent(state, &config.agent.name).map_err(at(state))?;
    let (spool, recovered) =
        Spool::open(&config.spool, agent.id, library.tables().clone(), Time::now())?;
    tell_recovered(&recovered);
    let common = common(config, library, agent.id)?;
    let refineries = refineries(config, library, &common)?;
    let settings = config.sources.iter().map(|source| source.tail.clone()).collect();
    let tailer = Tailer::new(settings, spool.positions(), Time::now())?;

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(SOCKET_THREADS)
        .enable_all()
        .build()?;
    let _inside = runtime.enter();
    let (stop_couriers, stop) = watch::channel(None);
    let couriers = couriers(config, library, &agent, &spool, &stop)?;
    let watched = couriers.iter().map(|(name, courier)| {
        let status = courier.status();
        Watched { name: name.clone(), told: status.view().mark.tally.dead, status }
    });
    let own = Own::new(common.clone(), watched.collect());
    let view = Arc::new(View::default());
    let board = status::Board::new(config, &agent, &spool, &view, &couriers);
    let socket =
        Socket::bind(&report::socket_path(state)).map_err(at(&report::socket_path(state)))?;
    runtime.spawn(socket.serve(move || board.status()));

    let quit = Arc::new(AtomicBool::new(false));
    let interrupter = tailer.interrupter();
    let keeper = keep(config, &spool, &couriers, &quit)?;
    let reader = Reader {
        tailer,
        refineries,
        spool: spool.clone(),
        own,
        stop: quit.clone(),
        view,
        seen: HashSet::new(),
        latest: HashMap::new(),
    };
    let reading = thread::Builder::new().name("reader".into()).spawn(|| reader.run())?;
    let mut delivering = JoinSet::new();
    for (_, courier) in couriers {
        delivering.spawn(courier.run());
    }
    info!(
        version = agent.version,
        sources = config.sources.len(),
        destinations = config.destinations.len(),
        "running"
    );
    runtime.block_on(asked_to_stop(until))?;

    info!("stopping");
    let deadline = Instant::now() + config.stop_deadline;
    quit.store(true, Ordering::SeqCst);
    interrupter.interrupt();
    // Only a reader that waits for room is told to give up waiting: what it holds is read again.
    while !reading.is_finished() && spool.trouble().is_none() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(5));
    }
    spool.stop();
    if reading.join().is_err() {
        error!("the reader had panicked; what it held is read again at the next start");
    }
    if keeper.join().is_err() {
        error!("the keeper had panicked");
    }
    if let Err(problem) = spool.sync() {
        error!("the last events may be read again after a power cut: {problem}");
    }
    let _ = stop_couriers.send(Some(deadline));
    runtime.block_on(async { while delivering.join_next().await.is_some() {} });
    info!("stopped");
    Ok(())
}

/// Waits for a signal or for `until`.
async fn asked_to_stop(until: impl Future<Output = ()>) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = until => {}
    }
    Ok(())
}

/// What all refineries share.
fn common(config: &Config, library: &Library, agent_id: [u8; 16]) -> Result<Common, Error> {
    let tables = library.tables().clone();
    let profile = library.privacy(&config.privacy.profile).ok_or_else(|| {
        Error::Configuration(format!("there is no privacy profile \"{}\"", config.privacy.profile))
    })?;
    let key = config.privacy.key.as_ref().map(|key| key.reveal().as_bytes());
    let privacy = Privacy::new(profile, tables.clone(), key)
        .map_err(|error| Error::Configuration(format!("[privacy] {error}")))?;
    let keep_original = privacy.keeps_whole_lines();
    let guard = Arc::new(Guard::new(config.guard_mode, tables.clone()));
    Ok(Common { tables, guard, privacy: Arc::new(privacy), agent_id, keep_original })
}

fn refineries(config: &Config, library: &Library, common: &Common) -> Result<Vec<Refinery>, Error> {
    let refinery = |source: &crate::config::Source| {
        let mapping = library.mapping(&source.mapping).map_err(|problems| {
            let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
            Error::Configuration(problems.join("\n"))
        })?;
        Refinery::new(common.clone(), source, mapping)
            .map_err(|what| Error::Configuration(format!("source \"{}\": {what}", source.name)))
    };
    config.sources.iter().map(refinery).collect()
}

/// One courier a destination, by name.
fn couriers(
    config: &Config,
    library: &Library,
    agent: &encode::Agent,
    spool: &Arc<Spool>,
    stop: &deliver::Stop,
) -> Result<Vec<(String, Courier)>, Error> {
    let cef = Arc::new(cef_table(library)?);
    let courier = |settings: &deliver::Settings| {
        let folder = config.agent.state.join("dead");
        let dead = DeadLetters::open(Arc::new(RealDisk), &folder, &settings.name, Keep::default())?;
        let supplies = Supplies {
            spool: spool.clone(),
            dead,
            agent: agent.clone(),
            cef: cef.clone(),
            stop: stop.clone(),
        };
        let courier = Courier::new(settings, supplies).map_err(|what| {
            Error::Configuration(format!("destination \"{}\": {what}", settings.name))
        })?;
        Ok((settings.name.clone(), courier))
    };
    config.destinations.iter().map(courier).collect()
}

/// ECS field → CEF key, as the mappings say.
fn cef_table(library: &Library) -> Result<CefTable, Error> {
    const PATH: &str = "schemas/cef.toml";
    let document = library
        .document(PATH)
        .ok_or_else(|| Error::Configuration(format!("there is no {PATH} among the mappings")))?;
    CefTable::from_value(document).map_err(|error| Error::Configuration(format!("{PATH}: {error}")))
}

/// The keeper: makes appends durable in time and lets segments go that every destination has passed.
fn keep(
    config: &Config,
    spool: &Arc<Spool>,
    couriers: &[(String, Courier)],
    quit: &Arc<AtomicBool>,
) -> io::Result<thread::JoinHandle<()>> {
    let interval = match config.spool.durability {
        Durability::Batch => KEEP,
        Durability::Interval => config.spool.sync_interval.min(KEEP),
    };
    let statuses: Vec<_> = couriers.iter().map(|(_, courier)| courier.status()).collect();
    let (spool, quit) = (spool.clone(), quit.clone());
    thread::Builder::new().name("keeper".into()).spawn(move || {
        while !quit.load(Ordering::SeqCst) {
            thread::sleep(interval);
            if let Err(problem) = spool.sync() {
                error!("what was appended may not survive a power cut: {problem}");
            }
            let safe: Vec<Sequence> =
                statuses.iter().map(|status| status.view().mark.safe).collect();
            if let Err(problem) = spool.release(&safe) {
                warn!("segments that nobody needs cannot be removed: {problem}");
            }
        }
    })
}

fn tell_recovered(recovered: &crate::spool::Recovered) {
    for torn in &recovered.torn {
        warn!(path = %torn.path.display(), bytes = torn.bytes, "a torn end of the spool was cut off: its lines are read again");
    }
    for gap in &recovered.corrupt {
        error!("{gap}");
    }
    for (path, why) in &recovered.set_aside {
        error!(path = %path.display(), "a segment cannot be read and was set aside: {why}");
    }
    for (name, why) in &recovered.cursors {
        error!(
            destination = name,
            "its cursor cannot be read, it begins with the oldest event: {why}"
        );
    }
}
