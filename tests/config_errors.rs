//! Broken configurations and what `towline check` says of them: `config/NAME.toml` → `config/NAME.txt`.
//! `UPDATE_EXPECT=1` writes the expected texts anew; read the difference.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config")
}

/// Runs `towline check` in a folder, with an environment that does not depend on who runs the tests.
fn check(folder: &Path, config: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_towline"))
        .args(["check", "--config", config])
        .current_dir(folder)
        .env_clear()
        .env("PATH", "hunter2")
        .stdin(Stdio::null())
        .output()
        .expect("towline runs")
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("UTF-8")
}

#[test]
fn every_broken_configuration_is_refused_with_place_and_hint() {
    let entries = fs::read_dir(folder()).expect("folder").map(|entry| entry.expect("entry").path());
    let configs: BTreeSet<PathBuf> = entries
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    assert!(configs.len() >= 40, "only {} configurations", configs.len());
    let mut texts = Vec::new();
    for config in &configs {
        let name = config.file_name().expect("a name").to_str().expect("UTF-8");
        let output = check(&folder(), name);
        assert_eq!(output.status.code(), Some(78), "{name}");
        assert_eq!(text(output.stdout), "", "{name}");
        let said = text(output.stderr);
        expect_test::expect_file![config.with_extension("txt")].assert_eq(&said);
        texts.push((name, said));
    }
    let files = fs::read_dir(folder()).expect("folder").count();
    assert_eq!(
        files,
        2 * configs.len(),
        "a configuration without its text, or a text without its configuration"
    );
    texts.iter().for_each(|(name, said)| judge(name, said));
}

/// What has to be true of every such text, whatever it says.
fn judge(name: &str, said: &str) {
    assert!(
        !said.contains("hunter2") && !said.contains("aHVudGVyMg"),
        "{name} prints a secret:\n{said}"
    );
    assert!(!said.contains(|c: char| c.is_control() && c != '\n'), "{name}: a control character");
    let mut problems = said.trim_end().split("\n\n");
    let head = problems.next().expect("a head");
    let problems: Vec<_> = problems.collect();
    let count = if problems.len() == 1 {
        "1 error".to_owned()
    } else {
        format!("{} errors", problems.len())
    };
    assert_eq!(head, format!("towline: {count}"), "{name}");
    for problem in problems {
        let mut place = problem.strip_prefix(name).expect(problem).split(':').skip(1);
        let number = |part: Option<&str>| part.and_then(|part| part.parse::<usize>().ok());
        assert!(number(place.next()) > Some(0) && number(place.next()) > Some(0), "{problem}");
        let lines: Vec<_> = problem.lines().collect();
        assert!(lines.len() == 3 && lines[2].contains('^'), "{name} shows no line:\n{problem}");
        let hint = lines[2].trim_start_matches([' ', '|']).trim_start_matches('^');
        assert!(!hint.trim().is_empty(), "{name} gives no hint:\n{problem}");
    }
}

#[test]
fn a_missing_configuration_is_refused() {
    let output = check(&folder(), "no_such_file.toml");
    assert_eq!(output.status.code(), Some(78));
    expect_test::expect![[r#"
        towline: 1 error

        no_such_file.toml: cannot read the configuration: No such file or directory (os error 2)
              | name another with --config; an example is packaging/towline.toml
    "#]]
    .assert_eq(&text(output.stderr));
}

/// Right, but doubtful: exit code 0 and warnings.
#[test]
fn doubtful_settings_are_warned_of() {
    let folder = tempfile::tempdir().expect("folder");
    let key = folder.path().join("key");
    fs::write(&key, "hunter2\n").expect("written");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("mode");
    let config = r#"
[source.chat]
mapping = "prosody"
files = ["/var/log/prosody/*.log"]
[source.again]
mapping = "prosody"
files = ["/var/log/prosody/*.log"]
[spool]
durability = "batch"
sync_ms = 100
[privacy]
profile = "full"
key = { env = "PATH" }
[destination.siem.syslog]
address = ["siem.example.net:6514"]
schema = "ecs"
cef_version = 1
[destination.search.elasticsearch]
urls = ["http://search.example.net:9200"]
api_key = { file = "KEY" }
"#;
    let config = config.replace("KEY", key.to_str().expect("UTF-8"));
    fs::write(folder.path().join("towline.toml"), config).expect("written");
    let output = check(folder.path(), "towline.toml");
    let said = text(output.stderr).replace(folder.path().to_str().expect("UTF-8"), "FOLDER");
    // The caret is as wide as the folder's name, which differs.
    let said = said.split_inclusive('^').filter(|part| *part != "^").collect::<String>();
    assert_eq!(output.status.code(), Some(0), "{said}");
    expect_test::expect![[r#"
        warning: towline.toml:5:9: source `chat` also reads `/var/log/prosody/*.log`
            5 | [source.again]
              |         ^ the events of these files are shipped twice

        warning: towline.toml:10:1: `sync_ms` without `durability = "interval"`
           10 | sync_ms = 100
              | ^ it has no effect

        warning: towline.toml:13:1: profile `full` makes no pseudonyms: its key is not used
           13 | key = { env = "PATH" }
              | ^ leave `key` out

        warning: towline.toml:17:1: `cef_version` without `schema = "cef"`
           17 | cef_version = 1
              | ^ it has no effect

        warning: towline.toml:19:9: the password or key goes over the network unencrypted
           19 | urls = ["http://search.example.net:9200"]
              |         ^ use `https://`

        warning: towline.toml:20:20: every user of this host can read FOLDER/key
           20 | api_key = { file = "FOLDER/key" }
              |                    ^ chmod o-rwx FOLDER/key

    "#]]
    .assert_eq(&said);
}
