//! The header that a syslog daemon puts before a line. What follows it is the inner layout's.
//!
//! Four forms: RFC 5424 (`<30>1 2026-11-22T01:15:03.9+00:00 host app 17 - - `), RFC 3164 with or without its
//! priority (`<30>Nov 22 01:15:03 host app[17]: `), and the file format of today's daemons, which has RFC 3339 time in
//! RFC 3164's place. Continuation lines may follow inside structured data: some writers leave newlines in it raw.

use super::{
    names::{self, Names},
    record::{Name, Record, Scalar, Slice},
    time::{self, Clock, TimeFormat},
};

/// Names of RFC 5424's severities.
const SEVERITIES: [&str; 8] =
    ["emerg", "alert", "crit", "error", "warning", "notice", "info", "debug"];
/// Most structured-data parameters that are read; the rest stays in the message.
const PARAMETERS_MAX: usize = 200;
/// Longest host name (RFC 5424), and longest tag we believe in.
const NAME_MAX: usize = 255;
/// Longest record that is looked at for an open value; it is looked at for each line that may belong to it.
const OPEN_BYTES_MAX: usize = 64 << 10;

/// The formats that times of headers have.
#[derive(Clone, Debug)]
pub(crate) struct Header {
    rfc3339: TimeFormat,
    rfc3164: TimeFormat,
}

/// A header as far as its fixed fields go.
struct Fields {
    priority: Option<u8>,
    time: Option<time::Fields>,
    host: Slice,
    process: Slice,
    pid: Slice,
    msgid: Slice,
    /// Where structured data begins (RFC 5424), or the message.
    end: usize,
    rfc5424: bool,
}

impl Header {
    pub(crate) fn new() -> Self {
        let rfc3164 =
            TimeFormat::compile("%b %d %H:%M:%S").expect("a constant that the tests compile");
        Self { rfc3339: TimeFormat::strict_rfc3339(), rfc3164 }
    }

    /// Whether a line begins with a header; looks at no more than its fixed fields.
    pub(crate) fn begins(&self, line: &[u8]) -> bool {
        self.read(line).is_some()
    }

    /// Whether a line says who wrote it, too. Other formats that begin with a time and a word do not.
    pub(crate) fn is_sure(&self, line: &[u8]) -> bool {
        self.read(line).is_some_and(|fields| fields.rfc5424 || !fields.process.is_empty())
    }

    /// Whether a record ends inside a quoted value of its structured data: what follows, even if it looks like a
    /// header, is that value's. Longer records are not looked at.
    pub(crate) fn is_open(&self, record: &[u8]) -> bool {
        let start = match self.read(record) {
            Some(fields) if fields.rfc5424 && record.len() <= OPEN_BYTES_MAX => fields.end,
            _ => return false,
        };
        let mut at = start;
        while record.get(at) == Some(&b'[') {
            match skip_element(record, at) {
                Ok(end) => at = end,
                Err(open) => return open,
            }
        }
        false
    }

    /// Adds the header's parts and says where the message begins. `None`, and nothing added, if there is no header.
    pub(crate) fn parse(
        &self,
        record: &mut Record<'_>,
        names: &Names,
        clock: &Clock,
    ) -> Option<usize> {
        let line = record.line();
        let fields = self.read(line)?;
        if let Some(time) = fields.time.and_then(|time| time.time(clock)) {
            record.push(Name::Known(names::TIMESTAMP), Scalar::Time(time));
        }
        for (name, slice) in [
            (names::HOST, fields.host),
            (names::PROCESS, fields.process),
            (names::MSGID, fields.msgid),
        ] {
            if !slice.is_empty() && record.text(slice) != b"-" {
                record.push(Name::Known(name), Scalar::Text(slice));
            }
        }
        if let Some(pid) = decimal(record.text(fields.pid)) {
            record.push(Name::Known(names::PID), Scalar::Long(pid));
        }
        if let Some(priority) = fields.priority {
            push_priority(record, priority);
        }
        let mut at = fields.end;
        if fields.rfc5424 {
            at = structured_data(record, names, at);
            at += usize::from(line[at..].starts_with(b" "));
        }
        // Daemons hand on the space behind RFC 3164's colon as part of the message.
        at += usize::from(line[at..].starts_with(b" "));
        if line[at..].starts_with(b"\xef\xbb\xbf") {
            at += 3;
        }
        Some(at)
    }

    fn read(&self, line: &[u8]) -> Option<Fields> {
        let (priority, mut at) = match priority(line) {
            Some((priority, used)) => (Some(priority), used),
            None if line.first() == Some(&b'<') => return None,
            None => (None, 0),
        };
        if priority.is_some() && line[at..].starts_with(b"1 ") {
            at += 2;
            return self.rfc5424(line, priority, at);
        }
        let old = line.get(at).is_some_and(u8::is_ascii_alphabetic);
        let format = if old { &self.rfc3164 } else { &self.rfc3339 };
        let mut time = time::Fields::default();
        let used = format.read(line.get(at..)?, &mut time)?;
        at += used;
        if line.get(at) != Some(&b' ') {
            return None;
        }
        at += 1;
        Some(tag(line, at, Fields::new(priority, Some(time), at)))
    }

    fn rfc5424(&self, line: &[u8], priority: Option<u8>, mut at: usize) -> Option<Fields> {
        let mut next = || {
            let start = at;
            let length = line[at..].iter().take(NAME_MAX + 1).position(|b| *b == b' ')?;
            at += length + 1;
            (length > 0).then(|| Slice::line(start, start + length))
        };
        let time = next()?;
        let (host, process, pid, msgid) = (next()?, next()?, next()?, next()?);
        let written = line.get(time.range())?;
        let mut fields = time::Fields::default();
        let time = match self.rfc3339.read(written, &mut fields) {
            Some(used) if used == written.len() => Some(fields),
            None if written == b"-" => None,
            _ => return None,
        };
        let fields = Fields::new(priority, time, at);
        Some(Fields { host, process, pid, msgid, rfc5424: true, ..fields })
    }
}

impl Fields {
    fn new(priority: Option<u8>, time: Option<time::Fields>, end: usize) -> Self {
        let none = Slice::default();
        let (host, process, pid, msgid) = (none, none, none, none);
        Self { priority, time, host, process, pid, msgid, end, rfc5424: false }
    }
}

/// `<134>` and its length.
fn priority(line: &[u8]) -> Option<(u8, usize)> {
    let rest = line.strip_prefix(b"<")?;
    let digits = rest.iter().take(4).take_while(|b| b.is_ascii_digit()).count();
    let value = decimal(&rest[..digits]).filter(|value| *value <= 191)?;
    (rest.get(digits) == Some(&b'>')).then_some((u8::try_from(value).ok()?, digits + 2))
}

fn decimal(text: &[u8]) -> Option<i64> {
    if !(1..=18).contains(&text.len()) || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(text.iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0')))
}

/// `host app[pid]: ` behind RFC 3164's time: what of it is there. A first word that ends with a colon is a tag
/// without a host; a second one that does not is the message's.
fn tag(line: &[u8], at: usize, fields: Fields) -> Fields {
    let word = |at: usize| {
        let rest = &line[at..];
        let length = rest.iter().take(NAME_MAX + 1).position(|b| *b == b' ').unwrap_or(rest.len());
        &rest[..length.min(NAME_MAX + 1)]
    };
    let first = word(at);
    if first.ends_with(b":") && process(first).is_some() {
        return tagged(first, at, fields);
    }
    if first.is_empty() || first.len() > NAME_MAX || at + first.len() >= line.len() {
        return Fields { end: at, ..fields };
    }
    let host = Slice::line(at, at + first.len());
    let after = at + first.len() + 1;
    let fields = Fields { host, end: after, ..fields };
    tagged(word(after), after, fields)
}

fn tagged(word: &[u8], at: usize, fields: Fields) -> Fields {
    let Some((name, pid)) = process(word) else { return fields };
    let slice = |range: std::ops::Range<usize>| Slice::line(at + range.start, at + range.end);
    Fields { process: slice(name), pid: slice(pid), end: at + word.len(), ..fields }
}

/// `app[pid]:` or `app:`: the ranges of name and pid.
fn process(word: &[u8]) -> Option<(std::ops::Range<usize>, std::ops::Range<usize>)> {
    let tag = word.strip_suffix(b":")?;
    if let Some(inner) = tag.strip_suffix(b"]") {
        let open = memchr::memrchr(b'[', inner)?;
        return (open > 0).then_some((0..open, open + 1..inner.len()));
    }
    let plain = !tag.is_empty() && !tag.iter().any(|b| matches!(b, b'[' | b']' | b':'));
    plain.then_some((0..tag.len(), 0..0))
}

fn push_priority(record: &mut Record<'_>, priority: u8) {
    let severity = priority & 7;
    let name = record.store(SEVERITIES[usize::from(severity)].as_bytes());
    record.push(Name::Known(names::LEVEL), Scalar::Text(name));
    record.push(Name::Known(names::FACILITY), Scalar::Long(i64::from(priority >> 3)));
    record.push(Name::Known(names::SEVERITY), Scalar::Long(i64::from(severity)));
}

/// Reads `-` or `[id name="value" …]…` at a place and says where it ends. What is malformed is no structured data
/// but the message's beginning.
fn structured_data(record: &mut Record<'_>, names: &Names, start: usize) -> usize {
    let line = record.line();
    if let Some(rest) = line[start..].strip_prefix(b"-")
        && matches!(rest.first(), None | Some(b' '))
    {
        return start + 1;
    }
    let mark = record.mark();
    let mut at = start;
    while line[at..].starts_with(b"[") {
        match element(record, names, at) {
            Some(end) => at = end,
            None => {
                record.back_to(mark);
                return start;
            }
        }
    }
    if at > start && !matches!(line.get(at), None | Some(b' ')) {
        record.back_to(mark);
        return start;
    }
    at
}

fn element(record: &mut Record<'_>, names: &Names, start: usize) -> Option<usize> {
    let line = record.line();
    let mut at = start + 1 + name(line.get(start + 1..)?)?;
    for _ in 0..PARAMETERS_MAX {
        match line.get(at)? {
            b']' => return Some(at + 1),
            b' ' => at += 1,
            _ => return None,
        }
        let length = name(line.get(at..)?)?;
        let key = Slice::line(at, at + length);
        at += length;
        if !line[at..].starts_with(b"=\"") {
            return None;
        }
        at += 2;
        let (end, escaped) = value(line, at)?;
        let text = if escaped { unescaped(record, at, end) } else { Slice::line(at, end) };
        let key = names.resolve(record, key).name;
        record.push(key, Scalar::Text(text));
        at = end + 1;
    }
    None
}

/// Goes over `[id name="value" …]`: behind it, or whether it ends inside a value (otherwise it is malformed).
fn skip_element(text: &[u8], start: usize) -> Result<usize, bool> {
    let malformed = || false;
    let mut at = start + 1 + name(&text[start + 1..]).ok_or_else(malformed)?;
    loop {
        match text.get(at) {
            Some(b']') => return Ok(at + 1),
            Some(b' ') => at += 1,
            _ => return Err(false),
        }
        at += name(text.get(at..).unwrap_or_default()).ok_or_else(malformed)?;
        if !text.get(at..).is_some_and(|rest| rest.starts_with(b"=\"")) {
            return Err(false);
        }
        at += 2;
        at = value(text, at).ok_or(true)?.0 + 1;
    }
}

/// Length of an SD-NAME (RFC 5424 allows 32 bytes; writers do not count).
fn name(text: &[u8]) -> Option<usize> {
    let accept = |b: &u8| b.is_ascii_graphic() && !matches!(b, b'=' | b']' | b'"');
    let length = text.iter().take(NAME_MAX).take_while(|b| accept(b)).count();
    (length > 0).then_some(length)
}

/// Where a value ends, and whether it has escapes.
fn value(line: &[u8], start: usize) -> Option<(usize, bool)> {
    let mut at = start;
    let mut escaped = false;
    loop {
        at += memchr::memchr2(b'"', b'\\', line.get(at..)?)?;
        if line[at] == b'"' {
            return Some((at, escaped));
        }
        escaped = true;
        at += 2;
    }
}

/// `\"`, `\\` and `\]` resolved; any other backslash stays (RFC 5424, 6.3.3).
fn unescaped(record: &mut Record<'_>, start: usize, end: usize) -> Slice {
    let line = record.line();
    let arena = record.arena();
    let mark = arena.len();
    let mut rest = &line[start..end];
    while let Some(at) = memchr::memchr(b'\\', rest) {
        arena.extend_from_slice(&rest[..at]);
        let keep = !matches!(rest.get(at + 1), Some(b'"' | b'\\' | b']'));
        if keep {
            arena.push(b'\\');
        }
        let after = (at + 1).min(rest.len());
        // The escaped byte is copied here, so that a second backslash is not taken for a new escape.
        let copied = usize::from(!keep);
        arena.extend_from_slice(&rest[after..after + copied]);
        rest = &rest[after + copied..];
    }
    arena.extend_from_slice(rest);
    record.stored(mark)
}

/// `#012` of a daemon that escapes control characters → the character. `None` if there is none.
pub(crate) fn unescape_octal(text: &[u8], out: &mut Vec<u8>) -> bool {
    let start = out.len();
    let mut rest = text;
    let mut found = false;
    while let Some(at) = memchr::memchr(b'#', rest) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at..];
        if let Some(control) = octal(rest) {
            out.push(control);
            rest = &rest[4..];
            found = true;
        } else {
            out.push(b'#');
            rest = &rest[1..];
        }
    }
    if found {
        out.extend_from_slice(rest);
    } else {
        out.truncate(start);
    }
    found
}

/// `#` and three octal digits that name a control character.
fn octal(text: &[u8]) -> Option<u8> {
    let [b'#', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] = text else { return None };
    let code = (a - b'0') << 6 | (b - b'0') << 3 | (c - b'0');
    (code < 0x20 || code == 0x7f).then_some(code)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::Time;

    /// The parts and the message of a line.
    fn parsed(line: &[u8]) -> String {
        let names = Names::new(&[], &[]);
        let header = Header::new();
        // 2026-11-24T12:00:00Z
        let clock = Clock::utc(Time(1_795_521_600_000_000_000));
        let mut record = Record::new(line);
        record.know(names.all());
        let Some(at) = header.parse(&mut record, &names, &clock) else {
            assert!(record.parts().is_empty());
            assert!(!header.begins(line));
            return "-".to_owned();
        };
        assert!(header.begins(line));
        let show = |value| match value {
            Scalar::Text(slice) => String::from_utf8_lossy(record.text(slice)).into_owned(),
            Scalar::Long(n) => n.to_string(),
            Scalar::Time(time) => time.seconds().to_string(),
            other => format!("{other:?}"),
        };
        let mut out: Vec<String> = record
            .parts()
            .iter()
            .map(|part| format!("{}={}", record.name(part), show(part.value)))
            .collect();
        out.push(String::from_utf8_lossy(&line[at..]).into_owned());
        out.join("|")
    }

    #[test]
    fn all_forms_of_headers() {
        for (line, expected) in [
            (
                "<30>1 2026-11-22T01:15:03.917984+00:00 vm app 17 - -  Hello",
                "@timestamp=1795310103|host.hostname=vm|process.name=app|process.pid=17|log.level=info|log.syslog.facility.code=3|log.syslog.severity.code=6|Hello",
            ),
            (
                r#"<131>1 - - - - ID7 [a@1 x.y="q\"\\\]\n" z=""][b@1] it"#,
                r#"log.syslog.msgid=ID7|log.level=error|log.syslog.facility.code=16|log.syslog.severity.code=3|x.y=q"\]\n|z=|it"#,
            ),
            (
                "<14>Nov 22 01:15:03 vm app[17]: Hello",
                "@timestamp=1795310103|host.hostname=vm|process.name=app|process.pid=17|log.level=info|log.syslog.facility.code=1|log.syslog.severity.code=6|Hello",
            ),
            (
                "Nov  2 01:15:03 vm app: Hello: x",
                "@timestamp=1793582103|host.hostname=vm|process.name=app|Hello: x",
            ),
            (
                "2026-11-22T01:15:03.9+00:00 vm app[x-1]: ",
                "@timestamp=1795310103|host.hostname=vm|process.name=app|",
            ),
            (
                "Nov 22 01:15:03 app[17]: Hello",
                "@timestamp=1795310103|process.name=app|process.pid=17|Hello",
            ),
            (
                "Nov 22 01:15:03 vm last message repeated",
                "@timestamp=1795310103|host.hostname=vm|last message repeated",
            ),
            (
                "<30>1 2026-11-22T01:15:03Z vm app 17 - [broken x=1] Hello",
                "@timestamp=1795310103|host.hostname=vm|process.name=app|process.pid=17|log.level=info|log.syslog.facility.code=3|log.syslog.severity.code=6|[broken x=1] Hello",
            ),
            ("<192>Nov 22 01:15:03 vm app: x", "-"),
            ("\tNov 22 01:15:03 vm app: x", "-"),
            ("Hello", "-"),
            ("", "-"),
        ] {
            assert_eq!(parsed(line.as_bytes()), expected, "{line}");
        }
    }

    #[test]
    fn control_characters_of_daemons() {
        let mut out = Vec::new();
        assert!(unescape_octal(b"a#012#011b #400 #101 #177#", &mut out));
        assert_eq!(out, b"a\n\tb #400 #101 \x7f#");
        assert!(!unescape_octal(b"channel #general", &mut out));
    }

    proptest! {
        #[test]
        fn never_panics(line in proptest::collection::vec(any::<u8>(), 0..120)) {
            parsed(&line);
        }

        #[test]
        fn never_panics_on_what_looks_like_a_header(
            head in "(<3[0-9]>)?(1 )?(Nov 22 01:15:03|2026-11-22T01:15:03Z|-)? ?",
            rest in r#"(vm|app|\[|\]|:|=|"|\\| |-|x|1|#012){0,30}"#
        ) {
            parsed(format!("{head}{rest}").as_bytes());
        }
    }
}
