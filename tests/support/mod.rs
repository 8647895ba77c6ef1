//! What the integration tests share: real receivers, started by the tests themselves and stopped with them, and the
//! binary under test.

pub(crate) mod agent;
pub(crate) mod front;
pub(crate) mod receivers;
pub(crate) mod strict;

use std::{
    fs,
    io::Read,
    net::TcpListener,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// The project's folder.
pub(crate) fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where `tests/receivers/setup.sh` leaves what it installs.
pub(crate) fn work() -> PathBuf {
    let work = project().join("tests/receivers/work");
    assert!(
        work.join("certs/ca.pem").exists(),
        "the receivers are not installed: run `cargo xtask test`, or tests/receivers/setup.sh once"
    );
    work
}

/// A certificate or key file of the tests' own authority.
pub(crate) fn certificate(name: &str) -> PathBuf {
    work().join("certs").join(name)
}

/// The labelled corpus of genuine logs, if it is beside the project (`TOWLINE_CORPUS` or `../shared/corpus`).
/// Tests over the whole corpus are skipped without it, and say so.
pub(crate) fn corpus() -> Option<PathBuf> {
    let folder = std::env::var_os("TOWLINE_CORPUS")
        .map_or_else(|| project().join("../shared/corpus"), PathBuf::from);
    if folder.join("score.py").exists() {
        return Some(folder);
    }
    eprintln!("SKIPPED: the corpus is not at {} (set TOWLINE_CORPUS)", folder.display());
    None
}

/// A file's bytes, decompressed where its name ends in `.gz`.
pub(crate) fn read(path: &Path) -> Vec<u8> {
    let bytes = fs::read(path).expect("readable");
    if path.extension().is_some_and(|extension| extension == "gz") {
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(&bytes[..]).read_to_end(&mut plain).expect("gzip");
        return plain;
    }
    bytes
}

/// A TCP port of 127.0.0.1 that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("loopback").local_addr().expect("bound").port()
}

/// Waits until `ready` is true, looking rarely enough not to disturb what it waits for. Panics with `what` when
/// `patience` is over.
pub(crate) fn wait_until(what: &str, patience: Duration, mut ready: impl FnMut() -> bool) {
    let start = Instant::now();
    let pause = (patience / 200).clamp(Duration::from_millis(20), Duration::from_millis(500));
    while !ready() {
        assert!(start.elapsed() < patience, "waited {patience:?} in vain: {what}");
        std::thread::sleep(pause);
    }
}
