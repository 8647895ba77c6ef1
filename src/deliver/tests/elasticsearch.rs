//! Whatever a search node does with a batch: every event is there exactly once, or among the dead letters.

use std::time::{Duration, Instant};

use super::{
    Running,
    bulk::{Item, Items, Plan, Server, Whole, create, well},
    feed::Shelf,
    settings, until,
};
use crate::{
    deliver::{Credentials, ElasticsearchSettings, Kind, Secret, Settings, TlsSettings},
    spool::Sequence,
};

fn to(urls: &[&str]) -> Settings {
    settings(Kind::Elasticsearch(ElasticsearchSettings {
        urls: urls.iter().map(|u| (*u).to_owned()).collect(),
        data_stream: "logs-test-default".into(),
        credentials: Credentials::Basic { user: "u".into(), password: Secret::new("p".into()) },
        gzip: true,
        tls: TlsSettings::default(),
    }))
}

/// Ships `count` events to a server with these habits; every one that is not dead must be there, and the books
/// must say so.
async fn check(count: u64, plan: Plan, items: Items) -> (Server, Shelf) {
    let server = Server::start(plan, items).await;
    let running = Running::start(&to(&[&server.url]), Shelf::with(count));
    running.delivered().await;
    let (shelf, mark) = running.stop().await;
    let dead = shelf.letters().len() as u64;
    assert_eq!((mark.tally.shipped, mark.tally.dead), (count - dead, dead));
    assert_eq!(mark.safe, Sequence(count + 1));
    assert_eq!(server.count() as u64, count - dead);
    assert_eq!(server.seen.lock().unwrap().faults, Vec::<String>::new());
    (server, shelf)
}

#[tokio::test]
async fn everything_is_created_over_one_connection() {
    let (server, shelf) = check(2000, well(), create()).await;
    let seen = server.seen.lock().unwrap();
    assert_eq!((seen.connections, seen.requests), (1, 20));
    assert!(seen.tries.values().all(|t| *t == 1));
    assert_eq!(seen.authorization.as_deref(), Some("Basic dTpw"));
    assert!(shelf.letters().is_empty());
}

#[tokio::test]
async fn busy_items_are_sent_again_alone_and_bad_ones_die_with_their_reason() {
    // 30 % of all tries are told to come back, 1 % of events are refused for good.
    let items: Items = Box::new(|n, tries| match n {
        n if n % 100 == 7 => Item::Fail(400, "document_parsing_exception"),
        n if (n * 7 + u64::from(tries) * 3) % 10 < 3 => {
            Item::Fail(429, "es_rejected_execution_exception")
        }
        _ => Item::Create,
    });
    let (server, shelf) = check(3000, well(), items).await;
    let letters = shelf.letters();
    assert_eq!(letters.len(), 30);
    let dead = &letters[&107];
    assert_eq!(dead.status, 400);
    assert_eq!(dead.reason, "document_parsing_exception: because of 107");
    assert!(dead.body.starts_with(r#"{"@timestamp""#) && dead.body.ends_with('}'), "{}", dead.body);
    let seen = server.seen.lock().unwrap();
    assert!(
        seen.tries.iter().all(|(n, t)| *t == 1 || n % 100 != 7),
        "the dead are not tried again"
    );
    assert_eq!(seen.tries[&1], 1, "what was created is not sent again");
}

#[tokio::test]
async fn lost_answers_do_not_make_duplicates() {
    let plan: Plan = Box::new(|n, _| match n % 6 {
        0 => Whole::DoneButTruncated,
        1 => Whole::DoneButSilent,
        2 => Whole::DoneButGarbage,
        3 => Whole::ItemsThenClose,
        _ => Whole::Items,
    });
    let (server, _) = check(1000, plan, create()).await;
    assert!(server.seen.lock().unwrap().tries.values().any(|t| *t > 1), "some were sent again");
}

#[tokio::test]
async fn a_server_in_trouble_is_waited_for() {
    let plan: Plan = Box::new(|n, _| match n {
        0 | 1 => Whole::Status(503, "", "starting"),
        2 => Whole::Status(429, "retry-after: 1\r\n", r#"{"error":{"type":"busy"}}"#),
        3 => Whole::Status(408, "", ""),
        _ => Whole::Items,
    });
    let begun = Instant::now();
    check(100, plan, create()).await;
    assert!(begun.elapsed() >= Duration::from_secs(1), "Retry-After is honoured");
}

#[tokio::test]
async fn too_large_requests_become_smaller_ones() {
    let limit = 5000;
    let plan: Plan = Box::new(move |_, length| match length {
        length if length > limit => Whole::Status(413, "", "too large"),
        _ => Whole::Items,
    });
    let (server, shelf) = check(500, plan, create()).await;
    assert!(shelf.letters().is_empty());
    let seen = server.seen.lock().unwrap();
    assert!(seen.largest > limit, "the limit was met");
    // 100 kB go into 20 requests of that size; the limit is found and then kept to.
    assert!(seen.requests < 60, "{}", seen.requests);
}

#[tokio::test]
async fn one_event_that_is_too_large_does_not_hold_up_the_others() {
    // Events with n % 300 == 299 are the longest: their action and document have 427 bytes.
    let plan: Plan = Box::new(move |_, length| match length {
        length if length > 400 => Whole::Status(413, "", "too large"),
        _ => Whole::Items,
    });
    let (_, shelf) = check(600, plan, create()).await;
    let letters = shelf.letters();
    assert!(letters.contains_key(&299) && letters.contains_key(&599), "{:?}", letters.keys());
    assert!(letters.len() < 100 && letters.values().all(|l| l.status == 413));
}

#[tokio::test]
async fn a_request_that_is_refused_as_a_whole_is_searched_for_the_culprit() {
    let server = Server::start(well(), create()).await;
    let seen = server.seen.clone();
    seen.lock().unwrap().refuse(77);
    let running = Running::start(&to(&[&server.url]), Shelf::with(200));
    running.delivered().await;
    let (shelf, mark) = running.stop().await;
    assert_eq!(shelf.letters().keys().copied().collect::<Vec<_>>(), [77]);
    assert_eq!(shelf.letters()[&77].reason, "parse_exception: line 77");
    assert_eq!((mark.tally.shipped, mark.tally.dead), (199, 1));
}

#[tokio::test]
async fn refused_credentials_lose_nothing_and_are_said_loudly() {
    let whole = r#"{"error":{"type":"security_exception","reason":"missing authentication"}}"#;
    let plan: Plan = Box::new(move |n, _| match n {
        0 => Whole::Status(401, "", whole),
        1 => Whole::Status(403, "", whole),
        _ => Whole::Items,
    });
    let server = Server::start(plan, create()).await;
    let running = Running::start(&to(&[&server.url]), Shelf::with(50));
    until("it is said", || running.status.view().needs_a_person).await;
    let (_, text) = running.status.view().trouble.unwrap();
    assert!(text.contains("security_exception: missing authentication"), "{text}");
    assert!(text.contains("credentials") && !text.contains("dTpw"), "{text}");
    running.delivered().await;
    assert!(!running.status.view().needs_a_person);
    let (shelf, mark) = running.stop().await;
    assert!(shelf.letters().is_empty());
    assert_eq!(mark.tally.shipped, 50);
}

#[tokio::test]
async fn items_that_are_not_at_fault_are_held() {
    let items: Items = Box::new(|_, tries| match tries {
        0 => Item::Fail(404, "index_not_found_exception"),
        1 => Item::Fail(403, "cluster_block_exception"),
        _ => Item::Create,
    });
    let (_, shelf) = check(100, well(), items).await;
    assert!(shelf.letters().is_empty());
}

#[tokio::test]
async fn a_server_that_hangs_is_left_for_the_next_one() {
    let hanging = Server::start(Box::new(|_, _| Whole::Hang), create()).await;
    let server = Server::start(well(), create()).await;
    let mut settings = to(&["http://127.0.0.1:1", &hanging.url, &server.url]);
    settings.timeout = Duration::from_millis(300);
    let running = Running::start(&settings, Shelf::with(300));
    running.delivered().await;
    running.stop().await;
    assert_eq!(server.count(), 300);
    assert_eq!(hanging.count(), 0);
}

#[tokio::test]
async fn dead_letters_wait_for_the_disk() {
    let items: Items = Box::new(|n, _| match n {
        5 => Item::Fail(400, "no"),
        _ => Item::Create,
    });
    let server = Server::start(well(), items).await;
    let shelf = Shelf::with(10);
    shelf.fail_writes(3);
    let running = Running::start(&to(&[&server.url]), shelf);
    running.delivered().await;
    let (shelf, mark) = running.stop().await;
    assert_eq!(shelf.letters().len(), 1);
    assert_eq!(shelf.mark(), mark);
}

#[tokio::test]
async fn a_killed_run_is_repeated_without_duplicates() {
    let server = Server::start(well(), create()).await;
    let mut shelf = Shelf::with(0);
    for round in 1..=5u64 {
        let running = Running::start(&to(&[&server.url]), shelf);
        running.add(1000);
        until("some are there", || server.count() as u64 > round * 1000 - 900).await;
        shelf = running.kill().await;
    }
    let running = Running::start(&to(&[&server.url]), shelf);
    running.delivered().await;
    let (_, mark) = running.stop().await;
    assert_eq!(mark.tally.shipped, 5000);
    assert_eq!(server.count(), 5000);
}

#[tokio::test]
async fn what_answers_something_else_is_named() {
    let plan: Plan = Box::new(|_, _| Whole::Status(404, "", "<h1>Welcome to nginx</h1>"));
    let server = Server::start(plan, create()).await;
    let running = Running::start(&to(&[&server.url]), Shelf::with(5));
    until("it is told", || running.status.view().trouble.is_some()).await;
    let (_, text) = running.status.view().trouble.unwrap();
    assert!(text.contains("Welcome to nginx") && text.contains("is it the URL of"), "{text}");
    let (shelf, mark) = running.stop().await;
    assert_eq!(mark.acked, Sequence(1));
    assert!(shelf.letters().is_empty());
}
