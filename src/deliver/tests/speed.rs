//! How fast a courier is: events per second, and CPU of everything but the receiver. Run it alone and optimised:
//! `cargo test --release --lib deliver::tests::speed -- --ignored --nocapture`.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    sync::Arc,
    thread,
    time::Instant,
};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::{certs::Certs, settings, spool::Working, spool::append, spool::open, syslog_settings};
use crate::{
    deliver::{Credentials, ElasticsearchSettings, Kind, Settings, TlsSettings, Transport, pem},
    spool::Sequence,
};

const EVENTS: u64 = 400_000;

/// Receivers run on threads of this name, so that their CPU can be left out.
const SINK: &str = "sink";

#[test]
#[ignore = "a measurement: needs an optimised build and a quiet machine"]
fn syslog_over_tls() {
    let certs = Certs::make();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let config = Arc::new(server_config(&certs));
    sink(move || {
        let (tcp, _) = listener.accept().unwrap();
        let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), tcp);
        let mut buffer = vec![0; 1 << 18];
        while stream.read(&mut buffer).is_ok_and(|n| n > 0) {}
    });
    measure(
        "CEF, RFC 5424, TLS",
        &syslog_settings(vec![address], Transport::Tls, certs.anonymous()),
    );
}

#[test]
#[ignore = "a measurement: needs an optimised build and a quiet machine"]
fn bulk_without_compression() {
    bulk(false);
}

#[test]
#[ignore = "a measurement: needs an optimised build and a quiet machine"]
fn bulk_with_gzip() {
    bulk(true);
}

fn bulk(gzip: bool) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    sink(move || answer_bulk(&listener, gzip));
    let settings = settings(Kind::Elasticsearch(ElasticsearchSettings {
        urls: vec![url],
        data_stream: "logs-test-default".into(),
        credentials: Credentials::None,
        gzip,
        tls: TlsSettings::default(),
    }));
    measure(if gzip { "ECS, _bulk, gzip" } else { "ECS, _bulk" }, &settings);
}

fn sink(work: impl FnOnce() + Send + 'static) {
    thread::Builder::new().name(SINK.into()).spawn(work).unwrap();
}

fn server_config(certs: &Certs) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = pem::certificates(&certs.path("server.pem")).unwrap();
    let key = pem::private_key(&certs.path("server.key")).unwrap();
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain.into_iter().map(|c| c.der).collect(), key)
        .unwrap()
}

/// Creates everything, and counts only what it must know.
fn answer_bulk(listener: &TcpListener, gzip: bool) {
    let mut stream = BufReader::with_capacity(1 << 18, listener.accept().unwrap().0);
    let mut line = String::new();
    let mut length = 0;
    while stream.read_line(&mut line).is_ok_and(|n| n > 0) {
        if let Some(said) = line.to_lowercase().strip_prefix("content-length: ") {
            length = said.trim().parse().unwrap();
        }
        let ends = line == "\r\n";
        line.clear();
        if !ends {
            continue;
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).unwrap();
        let body = if gzip { unpack(&body) } else { body };
        let count = memchr::memchr_iter(b'\n', &body).count() / 2;
        let items = vec![r#"{"create":{"status":201}}"#; count].join(",");
        let answer = format!(r#"{{"errors":false,"items":[{items}]}}"#);
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", answer.len());
        stream.get_mut().write_all((head + &answer).as_bytes()).unwrap();
    }
}

fn unpack(body: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(body).read_to_end(&mut plain).unwrap();
    plain
}

fn measure(what: &str, settings: &Settings) {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path(), 64 << 20);
    append(&spool, 1, EVENTS);
    let settings =
        Settings { batch_events_max: 4000, batch_bytes_max: 2 << 20, ..settings.clone() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (cpu, begun) = (cpu_seconds(), Instant::now());
    let mark = runtime.block_on(async {
        let working = Working::start(&settings, folder.path(), &spool);
        working.delivered(EVENTS + 1).await;
        working.stop().await
    });
    assert_eq!(mark.acked, Sequence(EVENTS + 1));
    let (cpu, seconds) = (cpu_seconds() - cpu, begun.elapsed().as_secs_f64());
    let millions = EVENTS as f64 / 1e6;
    eprintln!(
        "{what}: {:.0} events/s, {:.2} CPU-seconds per million events",
        millions * 1e6 / seconds,
        cpu / millions
    );
}

/// CPU of all threads but the receivers', in seconds.
fn cpu_seconds() -> f64 {
    let ticks = |folder: std::path::PathBuf| -> Option<u64> {
        let stat = std::fs::read_to_string(folder.join("stat")).ok()?;
        let (name, rest) = stat.split_once('(')?.1.rsplit_once(") ")?;
        let field = |n: usize| rest.split(' ').nth(n)?.parse::<u64>().ok();
        (name != SINK).then_some(field(11)? + field(12)?)
    };
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let total: u64 = threads.filter_map(|t| ticks(t.ok()?.path())).sum();
    total as f64 / 100.0
}
