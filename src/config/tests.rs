//! The reference configuration is right, and its defaults are those of the code.

use std::{os::unix::fs::PermissionsExt, path::Path};

use proptest::prelude::*;

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
            let unused_key = |warning: &Warning| warning.message.contains("its key is not used");
            assert!(warnings.iter().all(unused_key), "{warnings:?}");
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
        ("privacy.key", "hunter3\n"),
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
    assert_eq!(said.privacy.key.take(), Some(Secret::new("hunter3".into())));
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

/// Each key that the code knows stands in the reference. What it knows it lists when it meets one it does not know.
#[test]
fn the_reference_names_every_key() {
    let folder = tempfile::tempdir().unwrap();
    let on = with_files(&switched_on(), folder.path());
    let mut keys = 0;
    for line in on.lines().filter(|line| line.starts_with('[')) {
        let broken = on.replace(&format!("\n{line}\n"), &format!("\n{line}\n\"?\" = 1\n"));
        let said = Said::of_text(Path::new("towline.toml"), broken);
        let problems = said.check_within(&Known::default(), &|_| None).unwrap_err();
        let [problem] = &problems[..] else { panic!("{line}: {problems:?}") };
        let hint = problem.hint.as_deref().expect(line);
        for key in hint.split('`').skip(1).step_by(2) {
            assert!(
                is_named(&on, line, key),
                "{line} has `{key}`, which the reference does not name"
            );
            keys += 1;
        }
    }
    assert!(keys > 40, "only {keys} keys");
}

/// Whether the reference sets a key under a header, or, for destinations, says that it is as above.
fn is_named(on: &str, header: &str, key: &str) -> bool {
    let below = on.split(&format!("\n{header}\n")).nth(1).unwrap_or_default();
    let table = below.split("\n[").next().unwrap_or_default();
    let sets = |line: &str| line.trim_start_matches("# ").starts_with(&format!("{key} = "));
    let as_above = table.rsplit("\n# And ").next().filter(|_| table.contains("\n# And "));
    let words =
        |text: &str| text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == key);
    table.lines().any(sets) || as_above.is_some_and(words)
}

/// What mappings define is looked up where it is known.
#[test]
fn names_of_the_mappings_are_checked() {
    let text = SHORTEST
        .replace("chatd\"\n", "chatt\"\ndrop = [\"tox.ui_or_*\", \"auth_failure\", \"smtp.*\"]\n")
        .replace(
            "[destination.search",
            "kinds = [\"xmpp.*\", \"xmpp.auth_failrue\"]\n[destination.search",
        );
    let said = Said::of_text(Path::new("t"), text);
    let problems = said.check_within(&known(), &|_| None).unwrap_err();
    let shown: Vec<_> = problems
        .iter()
        .map(|p| format!("{} / {}", p.message, p.hint.as_deref().unwrap()))
        .collect();
    assert_eq!(
        shown,
        [
            "there is no mapping `chatt` / did you mean `chatd`?",
            "no event kind is called `auth_failure` / did you mean `xmpp.auth_failure`?",
            "no event kind is called `smtp.*` / families: `towline.*`, `tox.*`, `xmpp.*`",
            "no event kind is called `xmpp.auth_failrue` / did you mean `xmpp.auth_failure`?",
        ]
    );
}

#[test]
fn a_profile_with_pseudonyms_needs_a_key() {
    let profile = |name: &str, needs_key| KnownProfile { name: name.into(), needs_key };
    let known =
        Known { profiles: vec![profile("strict", true), profile("full", false)], ..known() };
    let check = |privacy: &str| {
        let text = format!("{SHORTEST}[privacy]\n{privacy}\n");
        let said = Said::of_text(Path::new("t"), text);
        let checked = said.check_within(&known, &|name| Some(name.into()));
        checked.map(|(config, _)| config.privacy).map_err(|problems| problems[0].message.clone())
    };
    let key = Some(Secret::new("sixteen-bytes-or-more".into()));
    assert_eq!(
        check("profile = \"strict\"\nkey = { env = \"sixteen-bytes-or-more\" }"),
        Ok(Privacy { profile: "strict".into(), key })
    );
    assert_eq!(check("profile = \"full\""), Ok(Privacy { profile: "full".into(), key: None }));
    let wrong = |message: &str| Err(message.to_owned());
    assert_eq!(
        check("profile = \"strict\""),
        wrong("profile `strict` makes pseudonyms, and has no key")
    );
    let short = "profile = \"strict\"\nkey = { env = \"short\" }";
    assert_eq!(check(short), wrong("the key is shorter than 16 bytes"));
}

#[test]
fn layouts_are_those_of_the_mapping() {
    let with = |layout: &str| {
        SHORTEST.replace("[\"/var", &format!("[]\nlayout = \"{layout}\"\nexclude = [\"/var"))
    };
    let with = |layout: &str| with(layout).replace("files = []", "files = [\"/a\"]");
    assert_eq!(meant(&with("plain"), &known()).sources[0].layout.as_deref(), Some("plain"));
    assert_eq!(meant(&with("auto"), &known()).sources[0].layout, None);
    let said = Said::of_text(Path::new("t"), with("plian"));
    let problems = said.check_within(&known(), &|_| None).unwrap_err();
    assert_eq!(problems[0].message, "mapping `chatd` has no layout `plian`");
    assert_eq!(problems[0].hint.as_deref(), Some("did you mean `plain`?"));
}

#[test]
fn drop_means_kinds_without_globs() {
    let text = SHORTEST.replace("mapping", "drop = [\"t*\", \"tox.ui_or_audio_noise\"]\nmapping");
    assert_eq!(meant(&text, &known()).sources[0].drop, ["towline.start", "tox.ui_or_audio_noise"]);
}

#[test]
fn secrets_come_from_files_variables_and_credentials() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("search");
    fs::write(&file, "hunter2\r\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let environment = |name: &str| match name {
        "CREDENTIALS_DIRECTORY" => Some(folder.path().as_os_str().to_owned()),
        "SECRET" => Some("hunter2".into()),
        _ => None,
    };
    let file = format!("file = \"{}\"", file.display());
    for place in [file.as_str(), "env = \"SECRET\"", "credential = \"search\""] {
        let text = format!("{SHORTEST}api_key = {{ {place} }}\n");
        let said = Said::of_text(Path::new("t"), text);
        let (config, _) = said.check_within(&known(), &environment).unwrap();
        let Kind::Elasticsearch(settings) = &config.destinations[1].kind else { panic!("{place}") };
        assert_eq!(
            settings.credentials,
            Credentials::ApiKey(Secret::new("hunter2".into())),
            "{place}"
        );
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}

#[test]
fn secrets_of_several_lines_are_refused() {
    let environment = |_: &str| Some("hunter\nX-Evil: 2".into());
    let text = format!("{SHORTEST}api_key = {{ env = \"SECRET\" }}\n");
    let problems =
        Said::of_text(Path::new("t"), text).check_within(&known(), &environment).unwrap_err();
    assert_eq!(problems[0].message, "the secret holds a line end or another control character");
    assert!(!problems[0].to_string().contains("hunter"));
}

proptest! {
    /// Whatever a file holds, there are problems or a configuration, and a secret in it is never shown.
    #[test]
    fn any_text_is_read_or_refused(
        pieces in proptest::collection::vec(proptest::sample::select(PIECES), 0..30),
    ) {
        let text: String = pieces.concat();
        let said = Said::of_text(Path::new("t"), text);
        let _ = said.mappings_folder();
        if let Err(problems) = said.check_within(&known(), &|_| None) {
            prop_assert!(!problems.is_empty());
            for problem in problems {
                let shown = problem.to_string();
                prop_assert!(!shown.contains("hunter2"), "{}", shown);
                prop_assert!(problem.place.is_some());
            }
        }
    }

    #[test]
    fn any_garbage_is_refused(text in "(\\PC|[\n\"'=\\[\\]{}#.]){1,200}") {
        prop_assert!(Said::of_text(Path::new("t"), text).check_within(&known(), &|_| None).is_err());
    }
}

/// Pieces of configurations, right and wrong.
const PIECES: &[&str] = &[
    "[agent]\n",
    "state = ",
    "\"/x\"\n",
    "[source.chat]\n",
    "mapping = \"chatd\"\n",
    "files = [\"/a\"]\n",
    "[destination.siem.syslog]\n",
    "address = [\"h:1\"]\n",
    "[destination.s.elasticsearch]\n",
    "urls = [\"https://h\"]\n",
    "password = \"hunter2\"",
    "\n",
    "basic = { user = \"u\", ",
    "pasword = 'hunter2' }\n",
    "api_key = hunter2\n",
    "api_key = \"\"\"\nhunter2\"\"\"\n",
    "urls = [\"https://u:hunter2@h\"]\n",
    "tls = { ca = 1 }\n",
    "kinds = [\"xmpp.*\"]\n",
    "[[source]]\n",
    "[source]\n",
    "source = 1\n",
    "\"",
    "'",
    "{",
    "}",
    "[",
    "]",
    ",",
    "=",
    "#",
    "\\",
    "1GiB",
    "\u{1b}",
    "[privacy]\nkey = \"hunter2\"\n",
    "[spool]\nmax_bytes = \"9999999999999TiB\"\n",
    "level_min = \"warn\"\n",
];
