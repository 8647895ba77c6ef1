//! The command line as its users meet it: exit codes, what `check` says of a right configuration, `status`.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Command, Output, Stdio},
};

use crate::support::free_port;

fn towline(arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_towline"))
        .args(arguments)
        .current_dir(folder)
        .env("TZ", "UTC")
        .stdin(Stdio::null())
        .output()
        .expect("towline runs")
}

/// Standard output and standard error, with the folder's name replaced.
fn said(output: &Output, folder: &Path) -> (String, String) {
    let folder = folder.to_str().expect("UTF-8");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(folder, "FOLDER");
    (text(&output.stdout), text(&output.stderr))
}

/// A folder with a configuration, three logs and a compressed one.
fn folder(destinations: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path();
    fs::create_dir(path.join("logs")).expect("logs");
    for name in ["chat.log", "chat.log.1", "other.log", "old.log.gz"] {
        fs::write(path.join("logs").join(name), "\n").expect("written");
    }
    let shown = path.display();
    let config = format!(
        "[agent]\nstate = \"{shown}/state\"\n\n[source.chat]\nmapping = \"prosody\"\nfiles = [\"{shown}/logs/*.log*\"]\nexclude = [\"other.*\"]\nlevel_min = \"info\"\n\n[source.none]\nmapping = \"prosody\"\nfiles = [\"{shown}/none/*.log\"]\nlayout = \"syslog\"\ndrop = [\"xmpp.auth_*\"]\nunrecognised = \"drop\"\n\n[spool]\nfull = \"drop_oldest\"\nmax_bytes = \"100MB\"\n\n{destinations}"
    );
    fs::write(path.join("towline.toml"), config).expect("written");
    folder
}

const CHECK: [&str; 3] = ["check", "--config", "towline.toml"];

#[test]
fn check_says_what_will_be_done() {
    let folder = folder(
        r#"[destination.siem.syslog]
address = ["siem.example.net:6514", "[2001:db8::1]:6514"]
kinds = ["xmpp.*"]
severity_min = 3
[destination.plain.syslog]
address = ["siem.example.net:514"]
transport = "udp"
schema = "ecs"
[destination.search.elasticsearch]
urls = ["https://search.example.net:9200"]
"#,
    );
    let output = towline(&CHECK, folder.path());
    let (out, err) = said(&output, folder.path());
    assert_eq!((output.status.code(), err.as_str()), (Some(0), ""));
    expect_test::expect![[r#"
        source chat          mapping prosody, layout found out file by file; only from level info on
            FOLDER/logs/*.log*: 2 files now
            FOLDER/logs/chat.log
            FOLDER/logs/chat.log.1
        source none          mapping prosody, layout syslog; drops 10 event kinds; drops unrecognised lines
            FOLDER/none/*.log: no file now
        privacy              profile standard
        spool                FOLDER/state/spool, up to 100MB; the oldest events are dropped when it is full
        destination siem     CEF:1 over syslog (TLS) to siem.example.net:6514, [2001:db8::1]:6514; only xmpp.*; only from severity 3 on
        destination plain    ECS over syslog (UDP, unencrypted and lossy) to siem.example.net:514
        destination search   ECS to https://search.example.net:9200, data stream logs-towline.events-default
    "#]].assert_eq(&out);
    assert!(!folder.path().join("state").exists(), "check writes nothing");
}

#[test]
fn check_connect_tries_every_destination() {
    let there = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let (open, closed) = (there.local_addr().expect("bound").port(), free_port());
    // A receiver reads until its sender closes, then closes, too.
    std::thread::spawn(move || {
        for sender in there.incoming() {
            let _ = std::io::copy(&mut sender.expect("a sender"), &mut std::io::sink());
        }
    });
    let syslog = |name: &str, port: u16| {
        format!(
            "[destination.{name}.syslog]\naddress = [\"127.0.0.1:{port}\"]\ntransport = \"tcp\"\n"
        )
    };
    let folder = folder(&syslog("there", open));
    let mut connect = CHECK.to_vec();
    connect.push("--connect");
    let output = towline(&connect, folder.path());
    let (out, err) = said(&output, folder.path());
    assert_eq!(output.status.code(), Some(0), "{out}{err}");
    assert!(out.contains("destination there answers\n"), "{out}");

    let folder = self::folder(&format!("{}{}", syslog("there", open), syslog("gone", closed)));
    let output = towline(&connect, folder.path());
    let (out, err) = said(&output, folder.path());
    assert_eq!(output.status.code(), Some(75), "{out}{err}");
    assert!(out.contains("destination there answers\n"), "{out}");
    assert!(out.contains("destination gone fails\n") && out.contains("refused"), "{out}");
    assert!(err.contains("1 destination does not take events"), "{err}");
}

#[test]
fn status_of_an_agent_that_does_not_run() {
    let folder = folder("[destination.siem.syslog]\naddress = [\"siem.example.net:6514\"]\n");
    for arguments in [&["status"][..], &["status", "--json"]] {
        let output = towline(&[arguments, &["-c", "towline.toml"]].concat(), folder.path());
        let said = said(&output, folder.path());
        assert_eq!(output.status.code(), Some(3));
        assert_eq!(said, (String::new(), "towline: no agent is running on FOLDER/state\n".into()));
    }
}

#[test]
fn usage_errors_and_version() {
    let here = Path::new(".");
    assert_eq!(towline(&[], here).status.code(), Some(2));
    assert_eq!(towline(&["chekc"], here).status.code(), Some(2));
    assert_eq!(towline(&["check", "--nosuch"], here).status.code(), Some(2));
    let version = towline(&["--version"], here);
    assert!(version.status.success());
    assert_eq!(version.stdout, format!("towline {}\n", env!("CARGO_PKG_VERSION")).into_bytes());
}

/// A mapping of the user's that is wrong is told with the configuration's own errors.
#[test]
fn mappings_and_configuration_are_told_together() {
    let folder = folder("[destination.siem.syslog]\naddress = [\"siem.example.net\"]\n");
    let path = folder.path();
    fs::create_dir_all(path.join("mappings/events")).expect("mappings");
    fs::write(path.join("mappings/events/own.toml"), "[\"xmpp.own\"]\nseverity = 11\n")
        .expect("written");
    let config = fs::read_to_string(path.join("towline.toml")).expect("text");
    let config = format!("{config}[mappings]\nfolder = \"{}/mappings\"\n", path.display());
    fs::write(path.join("towline.toml"), config).expect("written");
    let output = towline(&CHECK, path);
    let (out, err) = said(&output, path);
    assert_eq!((output.status.code(), out.as_str()), (Some(78), ""));
    assert!(err.contains("FOLDER/mappings/events/own.toml:"), "{err}");
    assert!(err.contains("towline.toml:22:12: `siem.example.net` has no port"), "{err}");
}

/// Everything the reference shows as an example exists: mappings, layouts, kinds. Only files do not.
#[test]
fn the_reference_is_right_for_the_shipped_mappings() {
    let is_setting = |line: &&str| line.starts_with(|c: char| c.is_ascii_lowercase() || c == '[');
    let on = |line: &str| match line.strip_prefix('#').filter(is_setting) {
        Some(setting) => format!("{setting}\n"),
        None => format!("{line}\n"),
    };
    let needs_file =
        |line: &str| ["tls = ", "basic = ", "key = "].iter().any(|key| line.starts_with(key));
    let lines = towline::config::REFERENCE.lines().map(on);
    let config: String = lines.filter(|line| !needs_file(line)).collect();
    let folder = tempfile::tempdir().expect("folder");
    fs::write(folder.path().join("towline.toml"), config).expect("written");
    let output = towline(&CHECK, folder.path());
    let (out, err) = said(&output, folder.path());
    assert_eq!((output.status.code(), err.as_str()), (Some(0), ""), "{out}");
    for name in ["source chat", "destination siem", "destination search"] {
        assert!(out.contains(name), "{out}");
    }
}
