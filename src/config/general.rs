//! The tables that exist once: `[agent]`, `[privacy]`, `[spool]`, `[mappings]`, `[guard]`.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    Agent, Known, KnownProfile, LogFormat, LogLevel, Privacy,
    secret::{Environment, secret},
    sheet::{Section, Wrong},
    value,
};
use crate::{
    deliver::Secret,
    guard::Mode,
    problem,
    spool::{self, Durability, WhenFull},
};

const STATE: &str = "/var/lib/towline";
const STOP_DEADLINE: Duration = Duration::from_secs(10);
const MAPPINGS_FOLDER: &str = "/etc/towline/mappings";
const PROFILE: &str = "standard";
/// What `guard` takes as a key for pseudonyms.
const KEY_BYTES_MIN: usize = 16;
const SPOOL_BYTES_MAX: u64 = 1 << 30;
const SEGMENT_BYTES: u64 = 64 << 20;
/// A spool has room for at least so many segments: the oldest goes only as a whole.
const SEGMENTS_MIN: u64 = 4;
const RESERVE_PERCENT: u64 = 5;
const SYNC_INTERVAL: Duration = Duration::from_secs(1);

/// `[agent]`: the agent, and how long it may take to stop.
pub(super) fn agent(root: &mut Section<'_>) -> (Agent, Duration) {
    const FORMAT: &[(&str, LogFormat)] = &[("text", LogFormat::Text), ("json", LogFormat::Json)];
    const LEVEL: &[(&str, LogLevel)] = &[
        ("error", LogLevel::Error),
        ("warn", LogLevel::Warn),
        ("info", LogLevel::Info),
        ("debug", LogLevel::Debug),
        ("trace", LogLevel::Trace),
    ];
    let mut section = root.section("agent");
    let state = section.take("state", value::absolute);
    let name = section.take("name", value::text);
    let log_format = section.take("log_format", value::choice(FORMAT));
    let log_level = section.take("log_level", value::choice(LEVEL));
    let stop = section.take("stop_deadline_ms", value::time(0..=600_000));
    section.finish(|_| None);
    let agent = Agent {
        state: state.map_or_else(|| STATE.into(), |placed| placed.value),
        name: name.map_or_else(host_name, |placed| placed.value),
        log_format: log_format.map_or_else(LogFormat::default, |placed| placed.value),
        log_level: log_level.map_or_else(LogLevel::default, |placed| placed.value),
    };
    (agent, stop.map_or(STOP_DEADLINE, |placed| placed.value))
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// `[privacy]`.
pub(super) fn privacy(
    root: &mut Section<'_>,
    known: &Known,
    environment: Environment<'_>,
) -> Privacy {
    let mut section = root.section("privacy");
    let profile = section.take("profile", |value| profile(value::text(value)?, known));
    let key = secret(&mut section, "key", environment);
    let at = profile.as_ref().map_or_else(|| section.at.clone(), |placed| placed.at.clone());
    let profile = profile
        .map(|placed| placed.value)
        .unwrap_or_else(|| KnownProfile { name: PROFILE.to_owned(), needs_key: false });
    match (section.has("key"), profile.needs_key) {
        (true, false) => {
            let message =
                format!("profile `{}` makes no pseudonyms: its key is not used", profile.name);
            section
                .sheet
                .warn(section.place_of("key"), Wrong::new(message).hint("leave `key` out"));
        }
        (false, true) => {
            let wrong =
                Wrong::new(format!("profile `{}` makes pseudonyms, and has no key", profile.name));
            section
                .sheet
                .error(at, wrong.hint("add `key = { file = \"/etc/towline/privacy.key\" }`"));
        }
        _ => {}
    }
    check_length(&section, key.as_ref(), profile.needs_key);
    section.finish(|_| None);
    Privacy { profile: profile.name, key }
}

/// A key that can be guessed makes pseudonyms that can be undone.
fn check_length(section: &Section<'_>, key: Option<&Secret>, needed: bool) {
    if needed && key.is_some_and(|key| key.reveal().len() < KEY_BYTES_MIN) {
        let wrong = Wrong::new(format!("the key is shorter than {} bytes", KEY_BYTES_MIN));
        section
            .sheet
            .error(section.place_of("key"), wrong.hint("make one: `openssl rand -hex 32`"));
    }
}

fn profile(name: String, known: &Known) -> Result<KnownProfile, Wrong> {
    let names = known.profiles.iter().map(|profile| profile.name.as_str());
    if known.profiles.is_empty() {
        return Ok(KnownProfile { name, needs_key: false });
    }
    let found = known.profiles.iter().find(|profile| profile.name == name).cloned();
    found.ok_or_else(|| {
        Wrong::new(format!("there is no privacy profile `{name}`"))
            .maybe_hint(problem::suggest(&name, names))
    })
}

/// `[spool]`.
pub(super) fn spool(root: &mut Section<'_>, state: &Path) -> spool::Settings {
    const DURABILITY: &[(&str, Durability)] =
        &[("batch", Durability::Batch), ("interval", Durability::Interval)];
    const FULL: &[(&str, WhenFull)] =
        &[("wait", WhenFull::Wait), ("drop_oldest", WhenFull::DropOldest)];
    let mut section = root.section("spool");
    let bytes_max = section.take("max_bytes", value::size(1 << 20..=1 << 44));
    let segment = section.take("segment_bytes", value::size(64 << 10..=1 << 30));
    let reserve = section.take("reserve_percent", value::whole(0..=90));
    let durability = section.take("durability", value::choice(DURABILITY));
    let sync = section.take("sync_ms", value::time(10..=60_000));
    let full = section.take("full", value::choice(FULL));
    let bytes_max = bytes_max.map_or(SPOOL_BYTES_MAX, |placed| placed.value);
    let largest = bytes_max / SEGMENTS_MIN;
    let segment_bytes = match segment {
        None => SEGMENT_BYTES.min(largest),
        Some(given) => {
            if given.value > largest {
                let wrong = Wrong::new("`segment_bytes` is more than a quarter of `max_bytes`");
                let hint = format!("at most `{}`", value::show_size(largest));
                section.sheet.error(given.at, wrong.hint(hint));
            }
            given.value
        }
    };
    let durability = durability.map_or_else(Durability::default, |placed| placed.value);
    if durability == Durability::Batch && section.has("sync_ms") {
        let wrong = Wrong::new("`sync_ms` without `durability = \"interval\"`");
        section.sheet.warn(section.place_of("sync_ms"), wrong.hint("it has no effect"));
    }
    section.finish(|_| None);
    spool::Settings {
        folder: state.join("spool"),
        bytes_max,
        segment_bytes,
        reserve_percent: reserve.map_or(RESERVE_PERCENT, |placed| placed.value) as u8,
        durability,
        sync_interval: sync.map_or(SYNC_INTERVAL, |placed| placed.value),
        full: full.map_or_else(WhenFull::default, |placed| placed.value),
    }
}

/// `[mappings]`: the user's folder.
pub(super) fn mappings(root: &mut Section<'_>) -> PathBuf {
    let mut section = root.section("mappings");
    let folder = section.take("folder", value::absolute);
    section.finish(|_| None);
    folder.map_or_else(|| MAPPINGS_FOLDER.into(), |placed| placed.value)
}

/// `[guard]`.
pub(super) fn guard(root: &mut Section<'_>) -> Mode {
    const MODE: &[(&str, Mode)] =
        &[("escape", Mode::Escape), ("strip", Mode::Strip), ("reject", Mode::Reject)];
    let mut section = root.section("guard");
    let mode = section.take("mode", value::choice(MODE));
    section.finish(|_| None);
    mode.map_or_else(Mode::default, |placed| placed.value)
}

/// Names that other shippers use.
pub(super) fn other_sections(name: &str) -> Option<String> {
    Some(match name {
        "input" | "inputs" => "did you mean `[source.NAME]`?".to_owned(),
        "output" | "outputs" | "sink" | "sinks" => {
            "did you mean `[destination.NAME.syslog]`?".to_owned()
        }
        "state" | "name" => format!("`{name}` belongs into `[agent]`"),
        _ => return None,
    })
}
