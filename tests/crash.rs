//! SIGKILL at random moments, receivers that are away or refuse: nothing lost, nothing twice.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use serde_json::Value;

use crate::support::{
    agent::{Agent, status},
    certificate,
    front::{Front, Verdict},
    receivers::{OpenSearch, SyslogServer},
    wait_until,
};

/// A line of a chat server that names one user; the number makes it unique.
fn line(number: usize) -> String {
    format!(
        "Nov 22 10:{:02}:{:02} c2s{number:x}\tinfo\tAuthenticated as user{number:06}@example.net\n",
        number / 60 % 60,
        number % 60
    )
}

/// Numbers of the events that name a user, as often as they are there.
fn numbers<'a>(names: impl Iterator<Item = &'a str>) -> BTreeMap<usize, usize> {
    let mut seen = BTreeMap::new();
    for name in names {
        if let Some(number) = name.strip_prefix("user").and_then(|digits| digits.parse().ok()) {
            *seen.entry(number).or_default() += 1;
        }
    }
    seen
}

fn user_of(document: &Value) -> &str {
    document["_source"]["user"]["name"].as_str().unwrap_or_default()
}

/// The user name in a CEF message.
fn suser(message: &str) -> &str {
    ["suser=", "duser="]
        .iter()
        .find_map(|key| message.split_once(key))
        .map_or("", |(_, rest)| rest.split([' ', '@']).next().unwrap_or_default())
}

struct Laboratory {
    folder: tempfile::TempDir,
}

impl Laboratory {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        fs::create_dir(folder.path().join("logs")).expect("folder");
        Self { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn log(&self) -> PathBuf {
        self.path().join("logs/chat.log")
    }

    /// A configuration with one chat source and these destinations.
    fn config(&self, destinations: &str) -> PathBuf {
        let config = self.path().join("towline.toml");
        let text = format!(
            "[agent]\nstate = \"{path}/state\"\n\n[source.chat]\nmapping = \"prosody\"\nfiles = [\"{path}/logs/chat.log\"]\ntime_zone = \"UTC\"\n\n{destinations}",
            path = self.path().display()
        );
        fs::write(&config, text).expect("configuration");
        config
    }
}

fn syslog(name: &str, port: u16) -> String {
    format!(
        "[destination.{name}.syslog]\naddress = [\"localhost:{port}\"]\ntransport = \"tls\"\ntls = {{ ca = \"{}\", certificate = \"{}\", key = \"{}\" }}\n\n",
        certificate("ca.pem").display(),
        certificate("client.pem").display(),
        certificate("client.key").display()
    )
}

fn elasticsearch(name: &str, url: &str, stream: &str) -> String {
    format!(
        "[destination.{name}.elasticsearch]\nurls = [\"{url}\"]\ndata_stream = \"{stream}\"\n\n"
    )
}

/// Writes numbered lines, rotating by rename now and then.
fn write_and_rotate(log: &Path, lines: usize, every: usize, pause: Duration) {
    let mut file = fs::File::create(log).expect("log");
    for number in 0..lines {
        if number > 0 && number % every == 0 {
            fs::rename(log, log.with_extension(format!("log.{}", number / every))).expect("rotate");
            file = fs::File::create(log).expect("log");
        }
        file.write_all(line(number).as_bytes()).expect("write");
        if number % 200 == 0 {
            std::thread::sleep(pause);
        }
    }
}

#[test]
fn killed_fifty_times_while_200_000_lines_are_written_and_rotated() {
    const LINES: usize = 200_000;
    let laboratory = Laboratory::new();
    let rsyslog = SyslogServer::rsyslog(laboratory.path());
    let node = OpenSearch::node();
    let stream = "logs-towline.crash-default";
    node.prepare(stream);
    let config = laboratory.config(
        &(syslog("siem", rsyslog.tls_port) + &elasticsearch("search", &node.url(), stream)),
    );
    let (log, done) = (laboratory.log(), AtomicBool::new(false));
    let mut kills = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            write_and_rotate(&log, LINES, 15_000, Duration::from_millis(25));
            done.store(true, Ordering::SeqCst);
        });
        let mut seed = 0x5eed_u64;
        while kills < 50 {
            let agent = Agent::run(&config);
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            std::thread::sleep(Duration::from_millis(30 + (seed >> 33) % 900));
            agent.kill();
            kills += 1;
        }
    });
    assert!(done.load(Ordering::SeqCst));
    let agent = Agent::run(&config);
    wait_until("nothing is pending", Duration::from_secs(300), || {
        let status = status(&config);
        let destinations = status["destinations"].as_array().cloned().unwrap_or_default();
        destinations.len() == 2
            && destinations.iter().all(|d| {
                let balance = &d["balance"];
                balance["pending"] == 0 && balance["read"].as_u64() >= Some(LINES as u64)
            })
    });
    let balance = status(&config);
    agent.stop();

    let documents = node.documents(stream);
    let at_node = numbers(documents.iter().map(user_of));
    let missing: Vec<_> = (0..LINES).filter(|n| !at_node.contains_key(n)).take(10).collect();
    assert!(missing.is_empty(), "lost at the search node: {missing:?}… of {LINES}; {balance}");
    let twice: Vec<_> = at_node.iter().filter(|(_, times)| **times > 1).take(10).collect();
    assert!(twice.is_empty(), "twice at the search node: {twice:?}");

    let received = rsyslog.received();
    let at_rsyslog = numbers(received.iter().map(|message| suser(&message.message)));
    let missing: Vec<_> = (0..LINES).filter(|n| !at_rsyslog.contains_key(n)).take(10).collect();
    assert!(missing.is_empty(), "lost at rsyslog: {missing:?}… of {LINES}");
    // What comes twice over plain syslog is the same event: same id, so that the receiver can tell.
    let of_lines = received.iter().filter(|message| suser(&message.message).starts_with("user"));
    let ids: BTreeSet<_> =
        of_lines.filter_map(|m| m.message.split("externalId=").nth(1)?.split(' ').next()).collect();
    assert_eq!(ids.len(), LINES, "one id per line");
    eprintln!(
        "killed {kills} times; search node: {} documents; rsyslog: {} messages of {LINES} lines",
        documents.len(),
        received.len()
    );
}

#[test]
fn receivers_that_are_away_for_a_minute_get_everything_afterwards() {
    const LINES: usize = 30_000;
    let laboratory = Laboratory::new();
    let mut rsyslog = SyslogServer::rsyslog(laboratory.path());
    let config = laboratory.config(&syslog("siem", rsyslog.tls_port));
    let agent = Agent::run(&config);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            write_and_rotate(&laboratory.log(), LINES, 10_000, Duration::from_millis(300))
        });
        std::thread::sleep(Duration::from_secs(5));
        rsyslog.stop();
        std::thread::sleep(Duration::from_secs(60));
        rsyslog.start();
    });
    wait_until("all events are at rsyslog", Duration::from_secs(120), || {
        let balance = &status(&config)["destinations"][0]["balance"];
        let all = balance["pending"] == 0 && balance["read"].as_u64() >= Some(LINES as u64);
        all && rsyslog.count() >= LINES
    });
    agent.stop();
    let seen = numbers(rsyslog.received().iter().map(|message| suser(&message.message)));
    let missing: Vec<_> = (0..LINES).filter(|n| !seen.contains_key(n)).take(10).collect();
    assert!(missing.is_empty(), "lost: {missing:?}…");
}

#[test]
fn refused_items_go_to_the_dead_letters_and_busy_ones_come_again() {
    const LINES: usize = 20_000;
    let laboratory = Laboratory::new();
    let node = OpenSearch::node();
    let stream = "logs-towline.refused-default";
    node.prepare(stream);
    let refused = |document: &Value| {
        let name = document["user"]["name"].as_str().unwrap_or_default();
        name.strip_prefix("user")
            .and_then(|n| n.parse::<usize>().ok())
            .is_some_and(|n| n % 100 == 7)
    };
    let front = Front::start(&node.url(), move |number, document| {
        if refused(document) {
            Verdict::Refuse
        } else if number.wrapping_mul(2_654_435_761) % 100 < 30 {
            Verdict::Busy
        } else {
            Verdict::Forward
        }
    });
    let config = laboratory.config(&elasticsearch("search", &front.url, stream));
    write_and_rotate(&laboratory.log(), LINES, LINES, Duration::ZERO);
    let agent = Agent::run(&config);
    wait_until("all events are at the search node", Duration::from_secs(120), || {
        let balance = &status(&config)["destinations"][0]["balance"];
        balance["pending"] == 0 && balance["read"].as_u64() >= Some(LINES as u64)
    });
    let balance = status(&config)["destinations"][0]["balance"].clone();
    agent.stop();
    assert!(front.busy.load(Ordering::SeqCst) > 0);
    let seen = numbers(node.documents(stream).iter().map(user_of));
    let expected: Vec<usize> = (0..LINES).filter(|n| n % 100 != 7).collect();
    assert_eq!(seen.keys().copied().collect::<Vec<_>>(), expected);
    assert!(seen.values().all(|times| *times == 1));

    let dead = dead_letters(&laboratory.path().join("state"));
    // The agent's own events about dead letters may be there as well.
    let dead: Vec<_> = dead.iter().filter(|letter| letter.to_string().contains("user0")).collect();
    assert_eq!(dead.len(), LINES / 100, "{balance}");
    assert!(
        dead.iter().all(|letter| letter["reason"]
            .as_str()
            .is_some_and(|r| r.contains("failed to parse field [refused]"))),
        "{}",
        dead[0]
    );
    assert_eq!(balance["dead"], LINES / 100, "{balance}");
}

/// All dead letters below a state folder.
fn dead_letters(state: &Path) -> Vec<Value> {
    let mut letters = Vec::new();
    let mut folders = vec![state.join("dead"), state.join("spool/dead")];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for path in entries.map(|entry| entry.expect("entry").path()) {
            if path.is_dir() {
                folders.push(path);
            } else {
                let text = fs::read_to_string(&path).expect("text");
                letters.extend(
                    text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")),
                );
            }
        }
    }
    letters
}
