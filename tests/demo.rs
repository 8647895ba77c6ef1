//! `towline demo` as somebody meets it who has only the program: no set-up, no terminal, attacks in the lines.

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

/// Runs the demo at full pace, with this folder for temporary files.
fn demo(temporary: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_towline"))
        .args(["demo", "--pace-ms", "0"])
        .args(arguments)
        .env("TMPDIR", temporary)
        .stdin(Stdio::null())
        .output()
        .expect("towline runs")
}

/// What it showed of one record.
struct Shown<'a> {
    kind: &'a str,
    written: &'a str,
    cef: &'a str,
    ecs: &'a str,
}

fn shown(out: &str) -> Vec<Shown<'_>> {
    let lines: Vec<_> = out.lines().collect();
    lines
        .windows(4)
        .filter_map(|four| {
            Some(Shown {
                kind: four[0].rsplit_once(": ")?.1,
                written: four[1].strip_prefix("     written  ")?,
                cef: four[2].strip_prefix("     CEF      ")?,
                ecs: four[3].strip_prefix("     ECS      ")?,
            })
        })
        .collect()
}

#[test]
fn everything_arrives_and_the_balance_closes() {
    let temporary = tempfile::tempdir().expect("folder");
    let begun = Instant::now();
    let output = demo(temporary.path(), &[]);
    let out = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(output.status.code(), Some(0), "{out}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(begun.elapsed() < Duration::from_secs(15));

    let events = shown(&out);
    assert!(events.len() > 30, "{out}");
    let balance = format!(
        "{0} read + 1 generated = {1} shipped + 0 pending + 0 dead + 0 dropped + 0 lost\n",
        events.len(),
        events.len() + 1
    );
    assert_eq!(out.matches(&balance).count(), 2, "{out}");
    assert_eq!(fs::read_dir(temporary.path()).expect("folder").count(), 0, "it leaves nothing");
}

#[test]
fn attacks_are_shown_and_forge_nothing() {
    let temporary = tempfile::tempdir().expect("folder");
    let out = String::from_utf8(demo(temporary.path(), &[]).stdout).expect("UTF-8");
    let raw: Vec<_> = out.chars().filter(|c| c.is_control() && *c != '\n').collect();
    assert!(raw.is_empty(), "without a terminal there is nothing but text: {raw:?}");

    let events = shown(&out);
    let of = |needle: &str| {
        let found: Vec<_> = events.iter().filter(|e| e.written.contains(needle)).collect();
        assert_eq!(found.len(), 1, "{needle}: {out}");
        found[0]
    };
    // A line break and a forged login: one event that is not a login, the break visible in both forms.
    let forged = of("␊␉Nov 22 03:00:00 c2s55aa00112233␉info␉Authenticated as root");
    assert_eq!(forged.kind, "xmpp.stream_error_sent");
    assert!(forged.ecs.contains(r"CNa\u{0a}\u{09}Nov 22 03:00:00"), "{}", forged.ecs);
    assert!(forged.cef.contains(r"CNa\\\\u{0a}\\\\u{09}Nov 22 03:00:00"), "{}", forged.cef);
    let forged = of("SAb␍␊<34>1");
    assert_eq!(forged.kind, "xmpp.auth_failure");
    assert!(forged.ecs.contains(r"user.name=SAb\u{0d}\u{0a}<34>1"), "{}", forged.ecs);
    let terminal = of("SAc␛[2J");
    assert!(terminal.cef.contains(r"suser=SAc\\u{1b}[2J"), "{}", terminal.cef);
    let header = of("|CEF:0|Evil|");
    assert!(header.cef.contains(r"src\=1.2.3.4 act\=allow"), "{}", header.cef);
    assert!(header.cef.contains(" act=auth_failure outcome=failure "), "{}", header.cef);

    let logins: Vec<_> = events.iter().filter(|e| e.kind == "xmpp.auth_success").collect();
    assert_eq!(logins.len(), 3, "{out}");
    for login in logins {
        assert!(
            !login.written.contains("root") && !login.ecs.contains("root"),
            "{}",
            login.written
        );
    }
}

#[test]
fn keep_leaves_what_run_would_take() {
    let temporary = tempfile::tempdir().expect("folder");
    let output = demo(temporary.path(), &["--keep"]);
    let out = String::from_utf8(output.stdout).expect("UTF-8");
    let kept = out.lines().find_map(|line| line.strip_prefix("Everything is left in "));
    let config = Path::new(kept.expect("it says where")).join("towline.toml");
    let check = Command::new(env!("CARGO_BIN_EXE_towline"))
        .args(["check", "--config"])
        .arg(&config)
        .output()
        .expect("towline runs");
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
    let said = String::from_utf8(check.stdout).expect("UTF-8");
    assert!(out.contains(&said), "the demo showed this configuration: {said}");
}

#[test]
fn without_a_place_to_write_it_fails() {
    let temporary = tempfile::tempdir().expect("folder");
    let output = demo(&temporary.path().join("none"), &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(!output.stderr.is_empty());
}
