//! The reference configuration is right, and its defaults are those of the code.

use std::{os::unix::fs::PermissionsExt, path::Path};

use super::*;
use crate::deliver::{Credentials, Kind};

fn known() -> Known {
    Known {
        mappings: vec![KnownMapping { name: "chatd".into(), layouts: vec!["plain".into()] }],
        kinds: ["xmpp.auth_failure", "tox.ui_or_audio_noise", "towline.start"]
            .map(String::from)
            .into(),
        profiles: Vec::new(),
    }
}

#[track_caller]
fn meant(text: &str, known: &Known) -> Config {
    let said = Said::of_text(Path::new("towline.toml"), text.to_owned());
    match said.check_within(known, &|_| None) {
        Ok((config, warnings)) => {
            assert!(warnings.is_empty(), "{warnings:?}");
            config
        }
        Err(problems) => {
            let shown: Vec<_> = problems.iter().map(ToString::to_string).collect();
            panic!("{}", shown.join("\n\n"))
        }
    }
}

/// The shortest right configuration.
const SHORTEST: &str = r#"
[source.chat]
mapping = "chatd"
files = ["/var/log/chatd/*.log"]
[destination.siem.syslog]
address = ["siem1.example.net:6514", "siem2.example.net:6514"]
[destination.search.elasticsearch]
urls = ["https://search.example.net:9200"]
"#;

/// The reference with every setting switched on: `#key` becomes `key`.
fn switched_on() -> String {
    let is_setting = |line: &&str| line.starts_with(|c: char| c.is_ascii_lowercase() || c == '[');
    let on = |line: &str| match line.strip_prefix('#').filter(is_setting) {
        Some(setting) => format!("{setting}\n"),
        None => format!("{line}\n"),
    };
    REFERENCE.lines().map(on).collect()
}

/// The reference's files of `/etc/towline`, made in a folder, and the text that names them there.
fn with_files(text: &str, folder: &Path) -> String {
    for (name, body) in [
        ("ca.pem", "-----BEGIN CERTIFICATE-----"),
        ("client.pem", "-----BEGIN CERTIFICATE-----"),
        ("client.key", "-----BEGIN PRIVATE KEY-----"),
        ("search.password", "hunter2\n"),
    ] {
        let path = folder.join(name);
        fs::write(&path, body).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(
            text.contains(&format!("\"/etc/towline/{name}\"")),
            "{name} is not in the reference"
        );
    }
    text.replace("/etc/towline/", &format!("{}/", folder.display()))
}

#[test]
fn the_reference_as_installed_lacks_only_a_source_and_a_destination() {
    let said = Said::of_text(Path::new("towline.toml"), REFERENCE.to_owned());
    let problems = said.check_within(&known(), &|_| None).unwrap_err();
    let messages: Vec<_> = problems.iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(messages, ["there is no source", "there is no destination"]);
}

/// What the reference says is a default is one: leaving everything out means the same.
#[test]
fn the_defaults_of_the_reference_are_those_of_the_code() {
    let folder = tempfile::tempdir().unwrap();
    let mut said = meant(&with_files(&switched_on(), folder.path()), &Known::default());
    let meant = meant(SHORTEST, &Known::default());
    // What the reference shows as an example.
    said.agent.name.clone_from(&meant.agent.name);
    said.mappings_folder = "/etc/towline/mappings".into();
    let (source, plain) = (&mut said.sources[0], &meant.sources[0]);
    source.mapping.clone_from(&plain.mapping);
    source.tail.files.clone_from(&plain.tail.files);
    assert_eq!(std::mem::take(&mut source.tail.exclude), ["*.gz"]);
    assert_eq!(source.time_zone.iana_name(), Some("Europe/Berlin"));
    source.time_zone = TimeZone::system();
    assert_eq!(source.level_min.take(), Some(Level::Info));
    assert_eq!(std::mem::take(&mut source.drop), ["tox.ui_or_audio_noise"]);
    assert_eq!(std::mem::take(&mut said.destinations[0].kinds), ["xmpp.*", "tox.*", "towline.*"]);
    let [siem, search] = &mut said.destinations[..] else { panic!("two destinations") };
    let Kind::Syslog(syslog) = &mut siem.kind else { panic!("syslog") };
    assert_eq!(std::mem::take(&mut syslog.tls).key, Some(folder.path().join("client.key")));
    let Kind::Elasticsearch(elasticsearch) = &mut search.kind else { panic!("elasticsearch") };
    assert_eq!(std::mem::take(&mut elasticsearch.tls).ca, Some(folder.path().join("ca.pem")));
    let password = Secret::new("hunter2".into());
    let basic = Credentials::Basic { user: "towline".into(), password };
    assert_eq!(std::mem::take(&mut elasticsearch.credentials), basic);
    assert_eq!(said, meant);
}

/// Each key that the code knows stands in the reference.
#[test]
fn the_reference_names_every_key() {
    let on = switched_on();
    for key in [
        "log_format",
        "stop_deadline_ms",
        "record_wait_ms",
        "unrecognised",
        "profile",
        "mode",
        "folder",
        "segment_bytes",
        "reserve_percent",
        "sync_ms",
        "facility",
        "sd_id",
        "batch_events_max",
        "batch_bytes_max",
        "retry_ms_min",
        "retry_ms_max",
        "timeout_ms",
        "compression",
        "basic",
        "tls",
    ] {
        assert!(on.lines().any(|line| line.starts_with(&format!("{key} = "))), "{key}");
    }
}
