//! The real thing: spool, encoders, cursor file and dead letters, over sockets, with a kill in between.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{sync::watch, task::JoinHandle};

use super::{
    bulk::{Item, Items, Server, create, well},
    certs::Certs,
    feed::id,
    settings,
    syslog::{Knows, Plan, Receiver},
    syslog_settings, until, within,
};
use crate::{
    deliver::{
        Credentials, ElasticsearchSettings, Kind, Settings, TlsSettings, Transport,
        courier::{Courier, Supplies},
        feed::Mark,
        status::Status,
        stock,
    },
    encode::{Agent, CefTable},
    event::{Event, Field, FieldDef, FieldType, KindDef, KindId, Span, Tables, Time, Value, field},
    guard::Shippable,
    spool::{
        self, Books, DeadLetters, Durability, Keep, Sequence, Spool, WhenFull, disk::RealDisk,
    },
};

/// Small, so that there are many.
const SEGMENT: u64 = 32 << 10;

pub(super) fn open(folder: &Path, segment_bytes: u64) -> Arc<Spool> {
    let settings = spool::Settings {
        folder: folder.join("spool"),
        bytes_max: 1 << 30,
        segment_bytes,
        reserve_percent: 0,
        durability: Durability::Interval,
        sync_interval: Duration::from_secs(1),
        full: WhenFull::Wait,
    };
    Spool::open(&settings, [7; 16], tables(), Time(1)).unwrap().0
}

fn tables() -> Arc<Tables> {
    let fields = field::NAMES.iter().map(|name| FieldDef {
        name: (*name).to_owned(),
        ty: FieldType::Keyword,
        array: false,
    });
    let kinds = ["xmpp.auth_failure", "xmpp.noise"].map(|name| KindDef {
        name: name.to_owned(),
        title: "Something happened".to_owned(),
        severity: 5,
        kind: "event".to_owned(),
        category: vec!["authentication".to_owned()],
        types: vec!["start".to_owned()],
        outcome: None,
        attack: Vec::new(),
        meaning: String::new(),
    });
    Arc::new(Tables::new(fields.collect(), kinds.to_vec()))
}

fn event(n: u64) -> Event<Shippable> {
    let text = format!("romeo{n}@example.net [1] \"says\" \\ héllo {n}").into_bytes();
    let span = Span { start: 0, end: u32::try_from(text.len()).unwrap() };
    Event {
        kind: KindId(u16::from(n.is_multiple_of(10))),
        recognised: true,
        id: id(n),
        time: Time(1_700_000_000_000_000_000),
        created: Time(1_700_000_000_500_000_000),
        severity: None,
        fields: vec![Field { id: field::MESSAGE, value: Value::Text(span) }],
        text: Shippable::revalidate(text).unwrap(),
    }
}

pub(super) fn append(spool: &Spool, from: u64, count: u64) {
    let events: Vec<_> = (from..from + count).map(event).collect();
    for chunk in events.chunks(50) {
        let books = Books { read: chunk.len() as u64, ..Books::default() };
        spool.append(chunk, &[], &books, Time(1)).unwrap();
    }
}

pub(super) struct Working {
    status: Arc<Status>,
    stop: watch::Sender<Option<Instant>>,
    done: JoinHandle<Mark>,
}

impl Working {
    pub(super) fn start(settings: &Settings, folder: &Path, spool: &Arc<Spool>) -> Self {
        let (stop, stopped) = watch::channel(None);
        let disk = Arc::new(RealDisk);
        let dead = DeadLetters::open(disk, &folder.join("dead"), "siem", Keep::default());
        let supplies = Supplies {
            spool: spool.clone(),
            dead: dead.unwrap(),
            agent: Agent { host_name: "chat1".into(), ..Agent::default() },
            cef: Arc::new(CefTable::shipped().unwrap()),
            stop: stopped,
        };
        let courier = Courier::new(settings, supplies).unwrap();
        Self { status: courier.status(), stop, done: tokio::spawn(courier.run()) }
    }

    pub(super) async fn delivered(&self, next: u64) {
        until("all is acked", || self.status.view().mark.acked == Sequence(next)).await;
    }

    pub(super) async fn stop(self) -> Mark {
        let _ = self.stop.send(Some(Instant::now() + Duration::from_secs(5)));
        within("it stops", self.done).await.unwrap()
    }
}

fn kept(spool: &Spool) -> Mark {
    stock::mark(&spool.cursors().unwrap()[0])
}

#[tokio::test]
async fn syslog_from_the_spool_survives_resets_kills_and_releases() {
    let folder = tempfile::tempdir().unwrap();
    let certs = Certs::make();
    let plans = vec![Plan::Reset(700), Plan::Read];
    let receiver = Receiver::start(&certs, Knows::Certificates, plans).await;
    let address = vec![receiver.address.clone()];
    let mut settings = syslog_settings(address, Transport::Tls, certs.client(""));
    settings.kinds = vec!["xmpp.auth*".into()];
    let count = || receiver.seen.lock().unwrap().messages.len() as u64;

    let spool = open(folder.path(), SEGMENT);
    append(&spool, 1, 1500);
    let working = Working::start(&settings, folder.path(), &spool);
    working.delivered(1501).await;
    append(&spool, 1501, 500);
    working.delivered(2001).await;
    until("the mark is on disk", || kept(&spool).acked == Sequence(2001)).await;
    let safe = working.status.view().mark.safe;
    assert_eq!(safe, kept(&spool).safe);
    spool.release(&[safe]).unwrap();
    working.done.abort();
    let _ = working.done.await;
    until("its desk is gone too", || Arc::strong_count(&spool) == 1).await;
    drop(spool);

    let spool = open(folder.path(), SEGMENT);
    append(&spool, 2001, 500);
    let working = Working::start(&settings, folder.path(), &spool);
    working.delivered(2501).await;
    let mark = working.stop().await;
    assert_eq!(mark.safe, Sequence(2501));
    assert_eq!((mark.tally.shipped, mark.tally.filtered), (2250, 250));
    assert_eq!(kept(&spool), mark);
    assert_eq!(count(), 2250);
    let seen = receiver.seen.lock().unwrap();
    assert_eq!(seen.faults, Vec::<String>::new());
    assert!(seen.messages.values().all(|(times, replays)| times - replays <= 1));
}

#[tokio::test]
async fn bulk_from_the_spool_is_exactly_once_and_the_dead_are_in_their_file() {
    let folder = tempfile::tempdir().unwrap();
    let items: Items = Box::new(|n, tries| match n {
        n if n % 100 == 7 => Item::Fail(400, "document_parsing_exception"),
        n if (n + u64::from(tries)) % 3 == 0 => Item::Fail(429, "busy"),
        _ => Item::Create,
    });
    let server = Server::start(well(), items).await;
    let settings = settings(Kind::Elasticsearch(ElasticsearchSettings {
        urls: vec![server.url.clone()],
        data_stream: "logs-test-default".into(),
        credentials: Credentials::None,
        gzip: true,
        tls: TlsSettings::default(),
    }));
    let spool = open(folder.path(), SEGMENT);
    append(&spool, 1, 1000);
    let working = Working::start(&settings, folder.path(), &spool);
    until("some are there", || server.count() > 300).await;
    working.done.abort();
    let _ = working.done.await;
    let working = Working::start(&settings, folder.path(), &spool);
    working.delivered(1001).await;
    let mark = working.stop().await;
    assert_eq!((mark.tally.shipped, mark.tally.dead), (990, 10));
    assert_eq!(server.count(), 990);
    assert_eq!(server.seen.lock().unwrap().faults, Vec::<String>::new());

    let text = std::fs::read_to_string(folder.path().join("dead/siem.jsonl")).unwrap();
    let mut letters: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    // A kill between a letter and the mark repeats it, with the same id.
    letters.dedup_by_key(|letter| letter["event_id"].clone());
    let letter = &letters[0];
    assert_eq!(letter["sequence"], 7);
    assert_eq!(letter["kind"], "xmpp.auth_failure");
    assert_eq!(letter["reason"], "document_parsing_exception: because of 7");
    let body: serde_json::Value = serde_json::from_str(letter["body"].as_str().unwrap()).unwrap();
    assert_eq!(body["event"]["id"], letter["event_id"]);
}

#[tokio::test]
async fn a_destination_that_begins_now_gets_only_what_is_new() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(well(), create()).await;
    let mut settings = settings(Kind::Elasticsearch(ElasticsearchSettings {
        urls: vec![server.url.clone()],
        data_stream: "logs-test-default".into(),
        credentials: Credentials::None,
        gzip: false,
        tls: TlsSettings::default(),
    }));
    settings.start = crate::deliver::Begin::Now;
    let spool = open(folder.path(), SEGMENT);
    append(&spool, 1, 100);
    let working = Working::start(&settings, folder.path(), &spool);
    append(&spool, 101, 20);
    working.delivered(121).await;
    working.stop().await;
    let seen = server.seen.lock().unwrap();
    assert_eq!(seen.documents.keys().copied().collect::<Vec<_>>(), (101..=120).collect::<Vec<_>>());
    let counts = &spool.cursors().unwrap()[0].counts;
    assert_eq!((counts.shipped, counts.dropped[spool::BEFORE_START]), (20, 100));
}
