//! One value of the file → what is meant by it, or what is wrong with it. Touches no file and no network.

use std::{net::Ipv6Addr, ops::RangeInclusive, path::PathBuf, time::Duration};

use globset::{Glob, GlobBuilder};
use jiff::tz::TimeZone;
use toml::de::DeValue;

use super::sheet::{Wrong, kind_of};
use crate::problem;

/// A text that is not empty.
pub(super) fn text(value: &DeValue<'_>) -> Result<String, Wrong> {
    match value.as_str() {
        Some("") => Err(Wrong::new("the text is empty").hint("leave the key out for its default")),
        Some(text) => Ok(text.to_owned()),
        None => Err(Wrong::new(format!("expected a text, found {}", kind_of(value)))
            .hint("a text stands in quotes")),
    }
}

/// A whole number within limits.
pub(super) fn whole(limits: RangeInclusive<u64>) -> impl Fn(&DeValue<'_>) -> Result<u64, Wrong> {
    move |value| {
        let wrong = Wrong::new(format!("expected a whole number, found {}", kind_of(value)));
        let number = match value {
            DeValue::Integer(number) => number,
            DeValue::String(_) => return Err(wrong.hint("without quotes")),
            _ => return Err(wrong),
        };
        let number = i128::from_str_radix(number.as_str(), number.radix()).unwrap_or(i128::MAX);
        match u64::try_from(number) {
            Ok(number) if limits.contains(&number) => Ok(number),
            _ => {
                let (start, end) = (limits.start(), limits.end());
                let to = if end - start == 1 { "or" } else { "to" };
                Err(out_of_limits(&format!("{start} {to} {end}")))
            }
        }
    }
}

fn out_of_limits(limits: &str) -> Wrong {
    Wrong::new("out of limits").hint(format!("possible: {limits}"))
}

/// One of some words.
pub(super) fn choice<T: Copy>(
    words: &'static [(&'static str, T)],
) -> impl Fn(&DeValue<'_>) -> Result<T, Wrong> {
    move |value| {
        let word = text(value)?;
        let found = words.iter().find(|(name, _)| *name == word);
        found.map(|(_, meaning)| *meaning).ok_or_else(|| {
            let names = words.iter().map(|(name, _)| *name);
            Wrong::new(format!("`{word}` is not possible here"))
                .maybe_hint(problem::suggest(&word, names))
        })
    }
}

const SIZES: &[(&str, u64)] = &[
    ("B", 1),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

const TIMES: &[(&str, u64)] = &[("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];

/// A size in bytes: a number, or a text with a unit, `"1GiB"`.
pub(super) fn size(limits: RangeInclusive<u64>) -> impl Fn(&DeValue<'_>) -> Result<u64, Wrong> {
    move |value| {
        let bytes = with_unit(value, SIZES, "bytes, or a size like `\"64MiB\"`")?;
        let shown = || format!("{} to {}", show_size(*limits.start()), show_size(*limits.end()));
        if limits.contains(&bytes) { Ok(bytes) } else { Err(out_of_limits(&shown())) }
    }
}

/// A time in milliseconds: a number, or a text with a unit, `"2s"`.
pub(super) fn time(
    limits: RangeInclusive<u64>,
) -> impl Fn(&DeValue<'_>) -> Result<Duration, Wrong> {
    move |value| {
        let millis = with_unit(value, TIMES, "milliseconds, or a time like `\"200ms\"`")?;
        let show = |millis: &u64| show_time(Duration::from_millis(*millis));
        let shown = || format!("{} to {}", show(limits.start()), show(limits.end()));
        if limits.contains(&millis) {
            Ok(Duration::from_millis(millis))
        } else {
            Err(out_of_limits(&shown()))
        }
    }
}

fn with_unit(value: &DeValue<'_>, units: &[(&str, u64)], expected: &str) -> Result<u64, Wrong> {
    let DeValue::String(text) = value else {
        return whole(0..=u64::MAX)(value)
            .map_err(|_| Wrong::new(format!("expected {expected}, found {}", kind_of(value))));
    };
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = (&text[..digits], text[digits..].trim_start());
    let wrong = || Wrong::new(format!("`{text}` is not a number with a unit"));
    let names = || units.iter().map(|(name, _)| *name);
    let number: u64 = number.parse().map_err(|_| wrong().hint(format!("expected {expected}")))?;
    let exact = units.iter().find(|(name, _)| *name == unit);
    let Some((_, times)) = exact else {
        let meant = near_unit(unit, names());
        let hint = meant.map(|name| format!("did you mean `{number}{name}`?"));
        return Err(wrong().maybe_hint(hint.or_else(|| problem::suggest("", names()))));
    };
    number.checked_mul(*times).ok_or_else(|| wrong().hint("the number is too large"))
}

/// The unit that was meant by `gib`, `k` or `seconds`.
fn near_unit<'u>(
    unit: &str,
    names: impl DoubleEndedIterator<Item = &'u str> + Clone,
) -> Option<&'u str> {
    let unit = unit.to_lowercase();
    let lower = |name: &&str| name.to_lowercase();
    let same = names.clone().find(|name| lower(name) == unit);
    let begun = names.clone().rev().find(|name| !unit.is_empty() && lower(name).starts_with(&unit));
    let longer = names.clone().find(|name| unit.len() > 2 && unit.starts_with(&lower(name)));
    same.or(begun).or(longer).filter(|_| !unit.starts_with("milli"))
}

/// A size as it can be written in the configuration: `64MiB`.
#[must_use]
pub fn show_size(bytes: u64) -> String {
    let whole = SIZES.iter().filter(|(_, unit)| bytes != 0 && bytes.is_multiple_of(*unit));
    let unit = whole.max_by_key(|(_, unit)| unit);
    unit.map_or_else(|| "0B".to_owned(), |(name, unit)| format!("{}{name}", bytes / unit))
}

/// A time as it can be written in the configuration: `2s`.
pub(super) fn show_time(time: Duration) -> String {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let unit = TIMES.iter().rev().find(|(_, unit)| millis != 0 && millis.is_multiple_of(*unit));
    unit.map_or_else(|| "0ms".to_owned(), |(name, unit)| format!("{}{name}", millis / unit))
}

/// A path from the root.
pub(super) fn absolute(value: &DeValue<'_>) -> Result<PathBuf, Wrong> {
    let path = PathBuf::from(text(value)?);
    if path.is_absolute() {
        Ok(path)
    } else {
        Err(Wrong::new(format!("`{}` is not an absolute path", path.display()))
            .hint("begin it with `/`"))
    }
}

/// A glob of files, from the root.
pub(super) fn file_glob(value: &DeValue<'_>) -> Result<String, Wrong> {
    let pattern = absolute(value)?.display().to_string();
    if pattern.ends_with('/') {
        let hint = format!("for all files of the folder: `{pattern}*`");
        return Err(Wrong::new("this is a folder, not a file").hint(hint));
    }
    glob(&pattern)
}

/// A glob of files to leave out: of a name, or of a path.
pub(super) fn exclude_glob(value: &DeValue<'_>) -> Result<String, Wrong> {
    glob(&text(value)?)
}

fn glob(pattern: &str) -> Result<String, Wrong> {
    match GlobBuilder::new(pattern).literal_separator(true).build() {
        Ok(_) => Ok(pattern.to_owned()),
        Err(error) => Err(Wrong::new(format!("not a glob: {}", error.kind())).hint(
            "possible: `*`, `**`, `?`, `[a-z]`, `{a,b}`; `\\` before one that is meant literally",
        )),
    }
}

/// The kinds of the catalogue that a glob like `xmpp.*` means. Without a catalogue the glob itself.
pub(super) fn kinds(
    value: &DeValue<'_>,
    catalogue: &[String],
) -> Result<(String, Vec<String>), Wrong> {
    let pattern = text(value)?;
    let wrong = |error: globset::Error| {
        Wrong::new(format!("not a glob: {}", error.kind())).hint("for example `xmpp.*`")
    };
    let glob = Glob::new(&pattern).map_err(wrong)?.compile_matcher();
    let matching: Vec<_> = catalogue.iter().filter(|kind| glob.is_match(kind)).cloned().collect();
    if catalogue.is_empty() {
        let kinds = vec![pattern.clone()];
        return Ok((pattern, kinds));
    }
    if matching.is_empty() {
        let names = catalogue.iter().map(String::as_str);
        let hint = problem::nearest(&pattern, names).map(|near| format!("did you mean `{near}`?"));
        let hint = hint.unwrap_or_else(|| format!("families: {}", families(catalogue)));
        return Err(Wrong::new(format!("no event kind is called `{pattern}`")).hint(hint));
    }
    Ok((pattern, matching))
}

fn families(catalogue: &[String]) -> String {
    let family = |kind: &String| Some(kind.split_once('.')?.0.to_owned());
    let families: std::collections::BTreeSet<_> = catalogue.iter().filter_map(family).collect();
    let shown: Vec<_> = families.iter().map(|family| format!("`{family}.*`")).collect();
    shown.join(", ")
}

/// A time zone of the IANA database.
pub(super) fn time_zone(value: &DeValue<'_>) -> Result<TimeZone, Wrong> {
    let name = text(value)?;
    TimeZone::get(&name).map_err(|_| {
        let wrong = Wrong::new(format!("there is no time zone `{name}`"));
        let all: Vec<_> = jiff::tz::db().available().map(|name| name.to_string()).collect();
        if all.is_empty() {
            return wrong.hint("this host has no time zone database: install the package tzdata");
        }
        let near = problem::nearest(&name, all.iter().map(String::as_str));
        wrong.hint(near.map_or_else(
            || "names are those of the IANA database, like `Europe/Berlin` or `UTC`".to_owned(),
            |near| format!("did you mean `{near}`?"),
        ))
    })
}

/// `host:port`, `192.0.2.1:port` or `[2001:db8::1]:port`.
pub(super) fn address(port: u16) -> impl Fn(&DeValue<'_>) -> Result<String, Wrong> {
    move |value| {
        let address = text(value)?;
        if let Some((_, rest)) = address.split_once("://") {
            return Err(Wrong::new("an address has no scheme").hint(format!("write `{rest}`")));
        }
        if address.parse::<Ipv6Addr>().is_ok() {
            return Err(Wrong::new(format!("`{address}` has no port"))
                .hint(format!("write `[{address}]:{port}`")));
        }
        let Some((host, number)) = address.rsplit_once(':').filter(|_| !address.ends_with(']'))
        else {
            return Err(Wrong::new(format!("`{address}` has no port"))
                .hint(format!("write `{address}:{port}`")));
        };
        if !number.parse::<u16>().is_ok_and(|port| port > 0) {
            return Err(
                Wrong::new(format!("`{number}` is not a port")).hint("possible: 1 to 65535")
            );
        }
        host_name(host).map(|()| address.clone())
    }
}

fn host_name(host: &str) -> Result<(), Wrong> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inner) if inner.parse::<Ipv6Addr>().is_ok() => Ok(()),
        Some(inner) => Err(Wrong::new(format!("`{inner}` is not an IPv6 address"))
            .hint("only IPv6 addresses stand in brackets")),
        None if host.contains(':') => Err(Wrong::new(format!("`{host}` holds a colon"))
            .hint("an IPv6 address stands in brackets: `[2001:db8::1]:6514`")),
        None if host.is_empty() => Err(Wrong::new("the host is missing").hint("write `host:port`")),
        None if !host.chars().all(plain) => {
            Err(Wrong::new(format!("`{host}` is not a host name"))
                .hint("letters, digits, `-` and `.`"))
        }
        None => Ok(()),
    }
}

/// An http or https URL of a server. Never repeats the value: somebody may have put a password into it.
pub(super) fn url(value: &DeValue<'_>) -> Result<hyper::Uri, Wrong> {
    let text = text(value)?;
    let uri: hyper::Uri =
        text.parse().map_err(|_| Wrong::new("this is not a URL").hint(URL_HINT))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(
            Wrong::new("the URL does not begin with `https://` or `http://`").hint(URL_HINT)
        );
    }
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    if authority.contains('@') {
        return Err(Wrong::new("user and password do not belong into the URL")
            .hint("use `basic = { user = \"…\", password = { file = \"…\" } }`"));
    }
    let port = authority.rsplit_once(']').map_or(authority, |(_, port)| port).split_once(':');
    if port.is_some() && uri.port_u16().is_none_or(|port| port == 0) {
        return Err(Wrong::new("the port of the URL is not one").hint("possible: 1 to 65535"));
    }
    if uri.query().is_some() {
        return Err(Wrong::new("a URL with a query is not possible here").hint(URL_HINT));
    }
    Ok(uri)
}

const URL_HINT: &str = "for example `https://search.example.net:9200`";

/// A name that becomes a file name: of a source or a destination.
pub(super) fn name(name: &str) -> Result<(), Wrong> {
    const BYTES_MAX: usize = 64;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if (1..=BYTES_MAX).contains(&name.len()) && name.bytes().all(plain) {
        return Ok(());
    }
    Err(Wrong::new(format!("`{name}` is not possible as a name"))
        .hint("letters, digits, `-` and `_`, at most 64 of them"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_are_shown_as_they_can_be_written() {
        let sizes = [0, 1, 1023, 1024, 1536, 100_000_000, 1 << 30, u64::MAX];
        let shown = sizes.map(show_size);
        assert_eq!(shown[..7], ["0B", "1B", "1023B", "1KiB", "1536B", "100MB", "1GiB"]);
        for (size, shown) in sizes.iter().zip(&shown) {
            let value = DeValue::String(shown.as_str().into());
            assert_eq!(super::size(0..=u64::MAX)(&value).as_ref(), Ok(size));
        }
        let shown =
            [0, 1, 1500, 60_000, 5_400_000].map(|millis| show_time(Duration::from_millis(millis)));
        assert_eq!(shown, ["0ms", "1ms", "1500ms", "1m", "90m"]);
    }
}
