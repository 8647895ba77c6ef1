//! Levels of log lines, to compare what programs call them.

use toml::de::DeValue;

use super::{sheet::Wrong, value};

/// How important a program finds a line, from least to most.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    /// Every step.
    Trace,
    /// For developers.
    Debug,
    /// Ordinary.
    Info,
    /// Ordinary, but worth noting.
    Notice,
    /// Should be looked at.
    Warning,
    /// Something failed.
    Error,
    /// The program is in trouble, or ends.
    Critical,
}

/// Names in the configuration.
const NAMES: &[(&str, Level)] = &[
    ("trace", Level::Trace),
    ("debug", Level::Debug),
    ("info", Level::Info),
    ("notice", Level::Notice),
    ("warning", Level::Warning),
    ("error", Level::Error),
    ("critical", Level::Critical),
];

impl Level {
    /// Its name in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        // Every level has a name, in their order.
        NAMES[self as usize].0
    }

    /// The level that a program means by `name`, in any case: names of syslog (RFC 5424), of the usual logging
    /// libraries, and their abbreviations. `None` for a name that nobody uses for a level.
    #[must_use]
    pub fn of(name: &[u8]) -> Option<Self> {
        const LONGEST: usize = 13;
        let mut lower = [0; LONGEST];
        let lower = lower.get_mut(..name.len())?;
        lower.copy_from_slice(name);
        lower.make_ascii_lowercase();
        Some(match &*lower {
            b"trace" | b"trc" | b"finest" | b"finer" | b"verbose" | b"all" => Self::Trace,
            b"debug" | b"dbg" | b"fine" => Self::Debug,
            b"info" | b"inf" | b"information" | b"informational" | b"config" => Self::Info,
            b"notice" => Self::Notice,
            b"warning" | b"warn" | b"wrn" => Self::Warning,
            b"error" | b"err" | b"severe" => Self::Error,
            b"critical" | b"crit" | b"fatal" | b"alert" | b"emergency" | b"emerg" | b"panic" => {
                Self::Critical
            }
            _ => return None,
        })
    }
}

/// Reads a level of the configuration; of a program's name for one it says what it is called here.
pub(super) fn read(value: &DeValue<'_>) -> Result<Level, Wrong> {
    value::choice(NAMES)(value).map_err(|wrong| {
        let meant = value.as_str().and_then(|word| Level::of(word.as_bytes()));
        match NAMES.iter().find(|(_, level)| Some(*level) == meant) {
            Some((name, _)) => wrong.hint(format!("did you mean `{name}`?")),
            None => wrong,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_what_programs_call_levels() {
        assert_eq!(Level::of(b"WARN"), Some(Level::Warning));
        assert_eq!(Level::of(b"Informational"), Some(Level::Info));
        assert_eq!(Level::of(b"emerg"), Some(Level::Critical));
        for name in [&b""[..], b"loud", b"informationals", &[0xff; 5000]] {
            assert_eq!(Level::of(name), None);
        }
    }

    #[test]
    fn every_name_of_the_configuration_is_known_and_in_order() {
        assert!(NAMES.is_sorted_by_key(|(_, level)| *level));
        for (name, level) in NAMES {
            assert_eq!(Level::of(name.as_bytes()), Some(*level), "{name}");
            assert_eq!(level.name(), *name);
        }
    }
}
