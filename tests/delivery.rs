//! Every record of genuine logs, hostile ones included, exactly once at rsyslog, syslog-ng and OpenSearch.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::Value;

use crate::support::{
    agent::{Agent, status, towline},
    certificate, corpus, project, read,
    receivers::{OpenSearch, Received, SyslogServer},
    strict, wait_until,
};

/// A source and the folders of the corpus that it reads.
const SOURCES: [(&str, &[&str]); 5] = [
    ("prosody", &["xmpp/prosody-"]),
    ("ejabberd", &["xmpp/ejabberd-"]),
    ("tox-bootstrapd", &["tox/tox-bootstrapd-"]),
    ("utox", &["tox/utox-"]),
    ("tox-app", &["tox/log4j2-", "tox/logback-", "tox/python-", "tox/toxbot"]),
];

/// Copies the logs of each source into `logs/<source>/`, decompressed. At most `bytes_max` of a file, cut at a line end.
fn lay_out(corpus: &Path, logs: &Path, bytes_max: usize) {
    for (source, prefixes) in SOURCES {
        let folder = logs.join(source);
        fs::create_dir_all(&folder).expect("folder");
        let mut count = 0;
        for family in ["xmpp", "tox"] {
            for entry in fs::read_dir(corpus.join(family)).expect("family").flatten() {
                let name = format!("{family}/{}", entry.file_name().to_string_lossy());
                let callback = name.ends_with("toxcore-callback-text");
                if callback || !prefixes.iter().any(|prefix| name.starts_with(prefix)) {
                    continue;
                }
                for file in fs::read_dir(entry.path()).into_iter().flatten().flatten() {
                    let from = file.file_name().to_string_lossy().into_owned();
                    if from.starts_with("expected")
                        || from.starts_with("truth")
                        || from.ends_with(".md")
                    {
                        continue;
                    }
                    let mut bytes = read(&file.path());
                    if bytes.len() > bytes_max {
                        let end = bytes[..bytes_max].iter().rposition(|byte| *byte == b'\n');
                        bytes.truncate(end.map_or(bytes_max, |end| end + 1));
                    }
                    let to =
                        format!("{}-{}.log", name.replace('/', "-"), from.trim_end_matches(".gz"));
                    fs::write(folder.join(to), bytes).expect("copy");
                    count += 1;
                }
            }
        }
        assert!(count > 0, "no log for {source}");
    }
}

/// Records that `towline map` sees in a file.
fn records(source: &str, file: &Path) -> usize {
    let output = towline()
        .args(["map", "--source", source, "--format", "jsonl", "--time-zone", "UTC"])
        .arg(file)
        .output()
        .expect("towline map");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout.iter().filter(|byte| **byte == b'\n').count()
}

fn configuration(folder: &Path, rsyslog: u16, syslog_ng: u16, node: &str, stream: &str) -> PathBuf {
    let mut text = format!("[agent]\nstate = \"{}/state\"\n\n", folder.display());
    for (source, _) in SOURCES {
        text += &format!(
            "[source.{source}]\nmapping = \"{source}\"\nfiles = [\"{}/logs/{source}/*.log\"]\ntime_zone = \"UTC\"\n\n",
            folder.display()
        );
    }
    for (name, port) in [("rsyslog", rsyslog), ("syslog-ng", syslog_ng)] {
        text += &format!(
            "[destination.{name}.syslog]\naddress = [\"localhost:{port}\"]\ntransport = \"tls\"\ntls = {{ ca = \"{}\", certificate = \"{}\", key = \"{}\" }}\n\n",
            certificate("ca.pem").display(),
            certificate("client.pem").display(),
            certificate("client.key").display()
        );
    }
    text += &format!(
        "[destination.search.elasticsearch]\nurls = [\"{node}\"]\ndata_stream = \"{stream}\"\n"
    );
    let config = folder.join("towline.toml");
    fs::write(&config, text).expect("configuration");
    config
}

/// Ships all of `logs` and compares what the receivers hold with what `towline map` sees.
fn ship_and_compare(folder: &Path, stream: &str) {
    let rsyslog = SyslogServer::rsyslog(folder);
    let syslog_ng = SyslogServer::syslog_ng(folder);
    let node = OpenSearch::node();
    node.prepare(stream);
    let config = configuration(folder, rsyslog.tls_port, syslog_ng.tls_port, &node.url(), stream);
    let mut wanted = 0;
    for (source, _) in SOURCES {
        for file in fs::read_dir(folder.join("logs").join(source)).expect("folder").flatten() {
            wanted += records(source, &file.path());
        }
    }
    assert!(wanted > 100, "only {wanted} records");
    let agent = Agent::run(&config);
    wait_until("everything is delivered", Duration::from_secs(600), || {
        let status = status(&config);
        let destinations = status["destinations"].as_array().cloned().unwrap_or_default();
        destinations.len() == 3
            && destinations.iter().all(|d| {
                let balance = &d["balance"];
                balance["pending"] == 0 && balance["read"].as_u64() >= Some(wanted as u64)
            })
    });
    let report = status(&config);
    agent.stop();
    wait_until("rsyslog has written", Duration::from_secs(30), || rsyslog.count() >= wanted);
    wait_until("syslog-ng has written", Duration::from_secs(30), || syslog_ng.count() >= wanted);

    for (name, server) in [("rsyslog", &rsyslog), ("syslog-ng", &syslog_ng)] {
        let received = server.received();
        let ids = check_messages(name, &received);
        assert_eq!(ids.len(), wanted, "{name}: different events; {report}");
        let own = received.iter().filter(|message| message.message.contains("|towline."));
        assert_eq!(received.len() - own.count(), wanted, "{name}: an event twice");
    }
    check_documents(node, stream, wanted);
    eprintln!("{wanted} records, each once at rsyslog, syslog-ng and OpenSearch");
}

/// Each message is valid RFC 5424 with valid CEF and no raw control character; returns the event ids.
fn check_messages(name: &str, received: &[Received]) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for message in received {
        let raw = &message.raw;
        let hostile = raw.chars().find(|c| strict::is_hostile(*c));
        assert_eq!(hostile, None, "{name}: {raw:?}");
        let parsed = strict::rfc5424(raw).unwrap_or_else(|error| panic!("{name}: {error}: {raw}"));
        let cef =
            strict::cef(parsed.message).unwrap_or_else(|error| panic!("{name}: {error}: {raw}"));
        // The agent's own events come beside those of the lines.
        if cef.header[4].starts_with("towline.") {
            continue;
        }
        let id = cef
            .extension
            .get("externalId")
            .unwrap_or_else(|| panic!("{name}: no externalId: {raw}"));
        assert_eq!(id.len(), 32, "{raw}");
        let data =
            parsed.data.get("towline@32473").unwrap_or_else(|| panic!("{name}: no SD: {raw}"));
        assert_eq!(data.get("id"), Some(id), "{name}: {raw}");
        ids.insert(id.clone());
    }
    ids
}

/// Each event is once in the data stream; its types are those of its mapping, and no field was turned away.
fn check_documents(node: &OpenSearch, stream: &str, wanted: usize) {
    node.count(stream);
    let of_lines = serde_json::json!({ "query": { "bool": { "must_not": { "prefix": { "event.code": "towline." } } } } });
    let (_, answer) = node.call("POST", &format!("/{stream}/_count"), Some(&of_lines));
    assert_eq!(answer["count"], wanted, "documents in the data stream: {answer}");
    let ignored = serde_json::json!({ "query": { "exists": { "field": "_ignored" } } });
    let (_, answer) = node.call("POST", &format!("/{stream}/_count"), Some(&ignored));
    assert_eq!(answer["count"], 0, "malformed fields: {answer}");
    for document in node.documents(stream).iter().take(20_000) {
        let source = &document["_source"];
        let text = source.to_string();
        assert!(!text.chars().any(strict::is_hostile), "{text}");
        assert!(source["event"]["kind"].is_string() && source["@timestamp"].is_string(), "{text}");
        for port in ["/source/port", "/destination/port", "/event/severity", "/log/offset"] {
            let value = source.pointer(port).unwrap_or(&Value::Null);
            assert!(value.is_null() || value.is_u64(), "{port} in {text}");
        }
    }
}

#[test]
fn genuine_lines_arrive_exactly_once() {
    let folder = tempfile::tempdir().expect("temporary folder");
    for (source, _) in SOURCES {
        let from = project().join("tests/data").join(source);
        let to = folder.path().join("logs").join(source);
        fs::create_dir_all(&to).expect("folder");
        for file in fs::read_dir(&from).expect("tests/data").flatten() {
            fs::copy(file.path(), to.join(file.file_name())).expect("copy");
        }
    }
    ship_and_compare(folder.path(), "logs-towline.genuine-default");
}

#[test]
fn the_whole_corpus_arrives_exactly_once() {
    let Some(corpus) = corpus() else { return };
    let folder = tempfile::tempdir().expect("temporary folder");
    lay_out(&corpus, &folder.path().join("logs"), usize::MAX);
    ship_and_compare(folder.path(), "logs-towline.corpus-default");
}
