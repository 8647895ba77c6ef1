//! A strict syslog receiver, and what a courier makes of receivers that refuse, reset, close and stall.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use rustls::{RootCertStore, ServerConfig, server::WebPkiClientVerifier};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
};
use tokio_rustls::TlsAcceptor;

use super::{
    PATIENCE, Running, certs::Certs, feed::Shelf, feed::id, syslog_settings, until, within,
};
use crate::{
    deliver::{TlsSettings, Transport, pem},
    spool::Sequence,
};

/// What the receiver does with a connection.
#[derive(Clone)]
pub(super) enum Plan {
    /// Reads to the end.
    Read,
    /// Reads so many messages and resets the connection.
    Reset(usize),
    /// Reads so many messages and closes.
    Close(usize),
    /// Reads so many messages, then nothing more until it is told; then it resets the connection.
    StallThenReset(usize, Arc<Notify>),
    /// Sends something that is no TLS.
    Garbage,
}

/// What was received.
#[derive(Default)]
pub(super) struct Seen {
    /// By number: how often, and how often marked as a replay.
    pub(super) messages: BTreeMap<u64, (u32, u32)>,
    pub(super) connections: usize,
    /// What was not exactly right.
    pub(super) faults: Vec<String>,
}

/// A receiver on loopback.
pub(super) struct Receiver {
    pub(super) address: String,
    pub(super) seen: Arc<Mutex<Seen>>,
}

/// How a receiver knows its clients.
pub(super) enum Knows {
    Tcp,
    Anyone,
    Certificates,
}

impl Receiver {
    /// Listens; `plans` are for the first connections, the last one for all that follow.
    pub(super) async fn start(certs: &Certs, knows: Knows, plans: Vec<Plan>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let acceptor = acceptor(certs, &knows);
        let shared = seen.clone();
        tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                let n = {
                    let mut seen = shared.lock().unwrap();
                    seen.connections += 1;
                    seen.connections - 1
                };
                let plan = plans[n.min(plans.len() - 1)].clone();
                tokio::spawn(serve(tcp, acceptor.clone(), plan, shared.clone()));
            }
        });
        Self { address, seen }
    }

    fn missing(&self, count: u64) -> Vec<u64> {
        let seen = self.seen.lock().unwrap();
        (1..=count).filter(|n| !seen.messages.contains_key(n)).collect()
    }

    fn faults(&self) -> Vec<String> {
        self.seen.lock().unwrap().faults.clone()
    }

    fn connections(&self) -> usize {
        self.seen.lock().unwrap().connections
    }

    fn count(&self) -> usize {
        self.seen.lock().unwrap().messages.len()
    }
}

fn acceptor(certs: &Certs, knows: &Knows) -> Option<TlsAcceptor> {
    let builder =
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap();
    let builder = match knows {
        Knows::Tcp => return None,
        Knows::Anyone => builder.with_no_client_auth(),
        Knows::Certificates => {
            let mut roots = RootCertStore::empty();
            for ca in pem::certificates(&certs.path("ca.pem")).unwrap() {
                roots.add(ca.der).unwrap();
            }
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.unwrap())
        }
    };
    let chain = pem::certificates(&certs.path("server.pem")).unwrap();
    let key = pem::private_key(&certs.path("server.key")).unwrap();
    let config = builder.with_single_cert(chain.into_iter().map(|c| c.der).collect(), key);
    Some(TlsAcceptor::from(Arc::new(config.unwrap())))
}

async fn serve(tcp: TcpStream, acceptor: Option<TlsAcceptor>, plan: Plan, seen: Arc<Mutex<Seen>>) {
    match (acceptor, plan) {
        (_, Plan::Garbage) => {
            let mut tcp = tcp;
            let _ = tcp.write_all(b"220 mail.example.org ESMTP\r\n").await;
            let _ = tcp.read(&mut [0; 1024]).await;
        }
        (Some(acceptor), plan) => {
            // A client that is refused is the client's affair.
            if let Ok(mut stream) = acceptor.accept(tcp).await {
                read(&mut stream, &plan, &seen).await;
                if matches!(plan, Plan::Reset(_) | Plan::StallThenReset(..)) {
                    reset(stream.into_inner().0);
                }
            }
        }
        (None, plan) => {
            let mut tcp = tcp;
            read(&mut tcp, &plan, &seen).await;
            if matches!(plan, Plan::Reset(_) | Plan::StallThenReset(..)) {
                reset(tcp);
            }
        }
    }
}

/// Closes with a reset, whatever is unread.
fn reset(tcp: TcpStream) {
    let _ = rustix::net::sockopt::set_socket_linger(&tcp, Some(Duration::ZERO));
}

async fn read(stream: &mut (impl AsyncRead + Unpin), plan: &Plan, seen: &Mutex<Seen>) {
    let mut messages = 0;
    loop {
        match plan {
            Plan::Reset(after) | Plan::Close(after) if messages >= *after => return,
            Plan::StallThenReset(after, told) if messages >= *after => {
                return told.notified().await;
            }
            _ => {}
        }
        match message(stream).await {
            Ok(Some(text)) => note(&text, seen),
            Ok(None) => return,
            Err(fault) => return seen.lock().unwrap().faults.push(fault),
        }
        messages += 1;
    }
}

/// One octet-counted message, `None` at an end between two, an error for anything that RFC 5425 does not allow.
/// An end inside a message is the network's fault, not the sender's.
async fn message(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<String>, String> {
    let mut length = 0usize;
    loop {
        match stream.read_u8().await {
            Ok(b' ') if length > 0 => break,
            Ok(b'0') if length == 0 => return Err("a leading zero".into()),
            Ok(digit @ b'0'..=b'9') if length < 1_000_000 => {
                length = length * 10 + usize::from(digit - b'0');
            }
            Ok(other) => return Err(format!("{other:#x} where a length was due")),
            Err(_) => return Ok(None),
        }
    }
    let mut bytes = vec![0; length];
    if stream.read_exact(&mut bytes).await.is_err() {
        return Ok(None);
    }
    String::from_utf8(bytes).map(Some).map_err(|e| e.to_string())
}

fn note(text: &str, seen: &Mutex<Seen>) {
    let mut seen = seen.lock().unwrap();
    let parsed = || {
        let header = text.strip_prefix('<')?.split_once(">1 ")?.1;
        let params = header.split_once(" [")?.1.split_once("] ")?.0;
        let value = |name: &str| {
            let rest = params.split_once(&format!(" {name}=\""))?.1;
            Some(rest.split_once('"')?.0.to_owned())
        };
        let replay = value("replay").as_deref() == Some("true");
        Some((value("seq")?.parse::<u64>().ok()?, value("id")?, replay))
    };
    match parsed() {
        Some((n, said, replay)) if said == id(n).to_string() => {
            let entry = seen.messages.entry(n).or_default();
            entry.0 += 1;
            entry.1 += u32::from(replay);
        }
        _ => seen.faults.push(format!("not what was sent: {text}")),
    }
}

fn tls(receiver: &Receiver, tls: TlsSettings) -> super::super::Settings {
    syslog_settings(vec![receiver.address.clone()], Transport::Tls, tls)
}

#[tokio::test]
async fn everything_arrives_once_over_mutual_tls() {
    let certs = Certs::make();
    let receiver = Receiver::start(&certs, Knows::Certificates, vec![Plan::Read]).await;
    let running = Running::start(&tls(&receiver, certs.client("")), Shelf::with(5000));
    running.delivered().await;
    running.add(10);
    running.delivered().await;
    let (_, mark) = running.stop().await;
    assert_eq!(mark.acked, Sequence(5011));
    assert_eq!(mark.safe, mark.acked, "both sides closed in order: nothing is in doubt");
    assert_eq!(mark.tally.shipped, 5010);
    let seen = receiver.seen.lock().unwrap();
    assert_eq!(seen.faults, Vec::<String>::new());
    assert_eq!(seen.messages.len(), 5010);
    assert!(seen.messages.values().all(|m| *m == (1, 0)));
    assert_eq!(seen.connections, 1);
}

#[tokio::test]
async fn everything_arrives_once_over_tcp() {
    let receiver = Receiver::start(&Certs::make(), Knows::Tcp, vec![Plan::Read]).await;
    let address = vec![receiver.address.clone()];
    let settings = syslog_settings(address, Transport::Tcp, TlsSettings::default());
    let running = Running::start(&settings, Shelf::with(3000));
    running.delivered().await;
    let (_, mark) = running.stop().await;
    assert_eq!(mark.safe, mark.acked);
    until("all is read", || receiver.count() == 3000).await;
    assert_eq!(receiver.faults(), Vec::<String>::new());
}

#[tokio::test]
async fn filtered_events_are_counted_and_not_sent() {
    let certs = Certs::make();
    let receiver = Receiver::start(&certs, Knows::Anyone, vec![Plan::Read]).await;
    let mut settings = tls(&receiver, certs.anonymous());
    settings.kinds = vec!["xmpp.*".into()];
    let running = Running::start(&settings, Shelf::with(1000));
    running.delivered().await;
    let (shelf, mark) = running.stop().await;
    assert_eq!((mark.tally.shipped, mark.tally.filtered), (900, 100));
    assert_eq!(shelf.mark(), mark, "the last mark is on disk");
    assert_eq!(receiver.count(), 900);
}

#[tokio::test]
async fn what_the_spool_lost_is_counted_once_and_passed() {
    let certs = Certs::make();
    let plans = vec![Plan::Reset(100), Plan::Read];
    let receiver = Receiver::start(&certs, Knows::Anyone, plans).await;
    let shelf = Shelf::with(500);
    shelf.lose(50, 80);
    let running = Running::start(&tls(&receiver, certs.anonymous()), shelf);
    until("all is read", || receiver.count() == 470).await;
    running.delivered().await;
    let (_, mark) = running.stop().await;
    assert_eq!((mark.tally.shipped, mark.tally.lost), (470, 30));
}

#[tokio::test]
async fn a_refused_client_certificate_is_noticed_although_the_handshake_succeeds() {
    let certs = Certs::make();
    let receiver = Receiver::start(&certs, Knows::Certificates, vec![Plan::Read]).await;
    for (settings, expected) in [
        (certs.client("other-"), "refuses our client certificate"),
        (certs.anonymous(), "it wants a client certificate; set tls.certificate and tls.key"),
    ] {
        let running = Running::start(&tls(&receiver, settings), Shelf::with(10));
        until("a refusal is told", || running.status.view().trouble.is_some()).await;
        let view = running.status.view();
        let (_, text) = view.trouble.unwrap();
        assert!(text.contains(expected), "{text}");
        assert!(view.needs_a_person);
        let (_, mark) = running.stop().await;
        assert_eq!(mark.acked, Sequence(1), "nothing counts");
    }
    assert_eq!(receiver.count(), 0);
}

#[tokio::test]
async fn resets_in_the_middle_lose_nothing() {
    let certs = Certs::make();
    let plans = vec![Plan::Reset(300), Plan::Reset(1500), Plan::Close(700), Plan::Read];
    let receiver = Receiver::start(&certs, Knows::Anyone, plans).await;
    let running = Running::start(&tls(&receiver, certs.anonymous()), Shelf::with(4000));
    until("all is read", || receiver.missing(4000).is_empty()).await;
    running.delivered().await;
    assert!(running.status.view().replays >= 3);
    let (_, mark) = running.stop().await;
    assert_eq!(mark.tally.shipped, 4000, "a replay is not counted twice");
    assert_eq!(receiver.faults(), Vec::<String>::new());
    let seen = receiver.seen.lock().unwrap();
    let unmarked = seen.messages.values().filter(|(times, replays)| times - replays > 1).count();
    assert_eq!(unmarked, 0, "what comes twice says that it may");
}

#[tokio::test]
async fn what_only_the_kernel_had_is_sent_again() {
    let certs = Certs::make();
    let told = Arc::new(Notify::new());
    let plans = vec![Plan::StallThenReset(5, told.clone()), Plan::Read];
    let receiver = Receiver::start(&certs, Knows::Anyone, plans).await;
    let running = Running::start(&tls(&receiver, certs.anonymous()), Shelf::with(200));
    // The peer's kernel takes it all, its program reads five of them and dies.
    running.delivered().await;
    until("five are read", || receiver.count() == 5).await;
    assert_eq!(running.status.view().mark.safe, Sequence(1));
    told.notify_one();
    until("all is read", || receiver.missing(200).is_empty()).await;
    running.delivered().await;
    let (_, mark) = running.stop().await;
    assert_eq!(mark.tally.shipped, 200);
    let seen = receiver.seen.lock().unwrap();
    assert!(seen.messages.values().all(|(_, replays)| *replays == 1), "all of it is marked");
}

#[tokio::test]
async fn an_unclean_end_sends_the_window_again_and_a_clean_one_does_not() {
    let certs = Certs::make();
    let receiver = Receiver::start(&certs, Knows::Anyone, vec![Plan::Read]).await;
    let settings = tls(&receiver, certs.anonymous());
    let running = Running::start(&settings, Shelf::with(500));
    running.delivered().await;
    let saved = running.shelf.next();
    until("the mark is on disk", || running.shelf.mark().acked == saved).await;
    let shelf = running.kill().await;
    assert!(shelf.mark().safe < shelf.mark().acked);

    let running = Running::start(&settings, shelf);
    until("the window comes again", || {
        receiver.seen.lock().unwrap().messages.values().all(|m| *m == (2, 1))
    })
    .await;
    running.add(1);
    running.delivered().await;
    let (shelf, mark) = running.stop().await;
    assert_eq!(mark.safe, mark.acked);
    assert_eq!(mark.tally.shipped, 501);

    let running = Running::start(&settings, shelf);
    running.add(1);
    running.delivered().await;
    running.stop().await;
    let seen = receiver.seen.lock().unwrap();
    assert_eq!(seen.messages[&500], (2, 1), "no third time");
    assert_eq!(seen.messages[&502], (1, 0));
}

#[tokio::test]
async fn stopping_while_the_receiver_is_away_keeps_the_doubt() {
    let certs = Certs::make();
    let told = Arc::new(Notify::new());
    let plans = vec![Plan::StallThenReset(5, told.clone()), Plan::Garbage];
    let receiver = Receiver::start(&certs, Knows::Anyone, plans).await;
    let running = Running::start(&tls(&receiver, certs.anonymous()), Shelf::with(200));
    running.delivered().await;
    told.notify_one();
    until("it was tried again", || receiver.connections() > 1).await;
    let (shelf, mark) = running.stop().await;
    assert_eq!((mark.safe, mark.acked), (Sequence(1), Sequence(201)));
    assert_eq!(shelf.mark(), mark);

    let well = Receiver::start(&certs, Knows::Anyone, vec![Plan::Read]).await;
    let running = Running::start(&tls(&well, certs.anonymous()), shelf);
    until("all of it comes again", || well.missing(200).is_empty()).await;
    until("nothing is under way", || running.status.view().peer.is_some()).await;
    let (_, mark) = running.stop().await;
    assert_eq!((mark.safe, mark.acked), (Sequence(201), Sequence(201)));
    assert_eq!(mark.tally.shipped, 200);
}

#[tokio::test]
async fn the_next_address_is_taken_when_one_is_gone_or_refuses() {
    let certs = Certs::make();
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone_address = gone.local_addr().unwrap().to_string();
    drop(gone);
    let closing = Receiver::start(&certs, Knows::Anyone, vec![Plan::Close(0)]).await;
    let well = Receiver::start(&certs, Knows::Anyone, vec![Plan::Read]).await;
    let addresses = vec![gone_address, closing.address.clone(), well.address.clone()];
    let settings = syslog_settings(addresses, Transport::Tls, certs.anonymous());
    let running = Running::start(&settings, Shelf::with(100));
    until("the last address gets everything", || well.missing(100).is_empty()).await;
    running.delivered().await;
    assert_eq!(running.status.view().peer.as_deref(), Some(well.address.as_str()));
    running.stop().await;
    assert!(closing.connections() >= 1);
}

#[tokio::test]
async fn a_receiver_that_takes_nothing_is_given_up_and_nothing_is_lost() {
    let certs = Certs::make();
    let stalled = Plan::StallThenReset(0, Arc::new(Notify::new()));
    let receiver = Receiver::start(&certs, Knows::Anyone, vec![stalled, Plan::Read]).await;
    let mut settings = tls(&receiver, certs.anonymous());
    settings.timeout = Duration::from_millis(400);
    // More than the socket buffers of both sides hold.
    let count = 100_000;
    settings.batch_events_max = 5000;
    settings.batch_bytes_max = 1 << 20;
    let running = Running::start(&settings, Shelf::with(count));
    until("it is given up", || receiver.connections() == 2).await;
    let (_, text) = running.status.view().trouble.unwrap();
    assert!(text.contains("took nothing for 400ms"), "{text}");
    until("all is read", || receiver.count() == 100_000).await;
    running.delivered().await;
    running.stop().await;
    assert_eq!(receiver.faults(), Vec::<String>::new());
}

#[tokio::test]
async fn what_is_no_tls_is_named() {
    let certs = Certs::make();
    let receiver = Receiver::start(&certs, Knows::Anyone, vec![Plan::Garbage]).await;
    let running = Running::start(&tls(&receiver, certs.anonymous()), Shelf::with(1));
    until("it is told", || running.status.view().trouble.is_some()).await;
    let (_, text) = running.status.view().trouble.unwrap();
    assert!(text.contains("is not TLS"), "{text}");
    running.stop().await;
}

#[tokio::test]
async fn stopping_is_quick_although_the_receiver_is_away() {
    let running = Running::start(
        &syslog_settings(vec!["127.0.0.1:1".into()], Transport::Tcp, TlsSettings::default()),
        Shelf::with(10),
    );
    until("it is told", || running.status.view().trouble.is_some()).await;
    let begun = std::time::Instant::now();
    let (shelf, mark) = within("it stops", running.stop()).await;
    assert!(begun.elapsed() < PATIENCE / 10);
    assert_eq!(mark.acked, Sequence(1));
    assert_eq!(shelf.mark(), mark);
}
