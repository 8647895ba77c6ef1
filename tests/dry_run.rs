//! `towline map`: what it prints is what an agent would ship.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use serde_json::Value;

/// The events of some lines, in order.
fn events(source: &str, lines: &str) -> Vec<Value> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_towline"))
        .args(["map", "--source", source, "--format", "ecs", "--privacy", "full", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("towline");
    child.stdin.take().expect("standard input").write_all(lines.as_bytes()).expect("lines");
    let output = child.wait_with_output().expect("output");
    assert!(output.status.success());
    output
        .stdout
        .split(|b| *b == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect()
}

#[test]
fn later_events_of_a_connection_are_completed() {
    let lines = "\
2026-11-22 10:00:00.1+00:00 [info] <0.70.0>@ejabberd_listener:accept/7:273 (<0.71.0>) Accepted connection 192.0.2.200:40001 -> 192.0.2.201:5222
2026-11-22 10:00:01.1+00:00 [info] <0.71.0>@ejabberd_c2s:bind/2:450 (tls|<0.71.0>) Opened c2s session for benvolio@verona.example/tower
2026-11-22 10:00:02.1+00:00 [info] <0.72.0>@ejabberd_c2s:bind/2:450 (tls|<0.72.0>) Opened c2s session for paris@verona.example/hall
";
    let events = events("ejabberd", lines);
    assert_eq!(events.len(), 3);
    assert_eq!(events[1]["source"]["ip"], "192.0.2.200");
    assert_eq!(events[1]["source"]["port"], 40001);
    assert_eq!(events[1]["towline"]["session"]["id"], events[0]["towline"]["session"]["id"]);
    assert!(events[0]["towline"]["session"]["id"].is_string());
    assert_eq!(events[2]["source"]["ip"], Value::Null);
}
