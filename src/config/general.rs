//! The tables that exist once: `[agent]`, `[privacy]`, `[spool]`, `[mappings]`, `[guard]`.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    Agent, GuardMode, Known, LogFormat, LogLevel, Privacy,
    secret::{Environment, secret},
    sheet::{Section, Wrong},
    value,
};
use crate::{
    problem,
    spool::{self, Durability, WhenFull},
};

const STATE: &str = "/var/lib/towline";
const STOP_DEADLINE: Duration = Duration::from_secs(10);
const MAPPINGS_FOLDER: &str = "/etc/towline/mappings";
const PROFILE: &str = "standard";
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
    let profile = profile.map_or_else(|| PROFILE.to_owned(), |placed| placed.value);
    if section.has("key") && NEEDS_NO_KEY.contains(&profile.as_str()) {
        let wrong =
            Wrong::new(format!("profile `{profile}` makes no pseudonyms: its key is not used"));
        section.sheet.warn(section.place_of("key"), wrong.hint("leave `key` out"));
    }
    section.finish(|_| None);
    Privacy { profile, key }
}

const NEEDS_NO_KEY: [&str; 2] = ["full", "standard"];

fn profile(name: String, known: &Known) -> Result<String, Wrong> {
    let profiles: Vec<&str> = match known.profiles.is_empty() {
        true => NEEDS_NO_KEY.to_vec(),
        false => known.profiles.iter().map(String::as_str).collect(),
    };
    if profiles.contains(&name.as_str()) {
        return Ok(name);
    }
    let wrong = Wrong::new(match name.as_str() {
        "pseudonymous" | "strict" => format!("profile `{name}` is not in this version"),
        _ => format!("there is no privacy profile `{name}`"),
    });
    Err(wrong.maybe_hint(problem::suggest(&name, profiles)))
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
pub(super) fn guard(root: &mut Section<'_>) -> GuardMode {
    const MODE: &[(&str, GuardMode)] = &[
        ("escape", GuardMode::Escape),
        ("strip", GuardMode::Strip),
        ("reject", GuardMode::Reject),
    ];
    let mut section = root.section("guard");
    let mode = section.take("mode", value::choice(MODE));
    section.finish(|_| None);
    mode.map_or_else(GuardMode::default, |placed| placed.value)
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
