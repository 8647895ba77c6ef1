//! Strict readers of what Towline sends, written from the specifications alone and independent of the encoders.

use std::collections::BTreeMap;

/// A message of RFC 5424, taken apart.
#[derive(Debug)]
pub(crate) struct Message<'a> {
    /// SD-ID → PARAM-NAME → value, unescaped.
    pub(crate) data: BTreeMap<&'a str, BTreeMap<&'a str, String>>,
    /// MSG.
    pub(crate) message: &'a str,
}

fn check(condition: bool, what: &str) -> Result<(), String> {
    if condition { Ok(()) } else { Err(what.to_owned()) }
}

fn header_field<'a>(text: &mut &'a str, what: &str, longest: usize) -> Result<&'a str, String> {
    let (field, rest) = text.split_once(' ').ok_or_else(|| format!("no space after {what}"))?;
    let printable = field.bytes().all(|byte| (0x21..=0x7e).contains(&byte));
    check(!field.is_empty() && field.len() <= longest && printable, what)?;
    *text = rest;
    Ok(field)
}

/// RFC 5424 section 6, without any tolerance.
pub(crate) fn rfc5424(message: &str) -> Result<Message<'_>, String> {
    let rest = message.strip_prefix('<').ok_or("no PRI")?;
    let (priority, rest) = rest.split_once('>').ok_or("PRI has no end")?;
    check(priority == "0" || !priority.starts_with('0'), "leading zero in PRI")?;
    let priority: u8 = priority.parse().map_err(|_| "PRI is no number")?;
    check(priority <= 191, "PRI over 191")?;
    let mut rest = rest.strip_prefix("1 ").ok_or("VERSION is not 1")?;
    let timestamp = header_field(&mut rest, "TIMESTAMP", 40)?;
    let fraction = timestamp.split_once('.').map_or("", |(_, f)| f.trim_end_matches('Z'));
    check(timestamp.contains('T') && timestamp.ends_with('Z') && fraction.len() <= 6, "TIMESTAMP")?;
    header_field(&mut rest, "HOSTNAME", 255)?;
    header_field(&mut rest, "APP-NAME", 48)?;
    header_field(&mut rest, "PROCID", 128)?;
    header_field(&mut rest, "MSGID", 32)?;
    let (data, rest) = structured_data(rest)?;
    let message = rest.strip_prefix(' ').ok_or("no space before MSG")?;
    Ok(Message { data, message })
}

type Data<'a> = BTreeMap<&'a str, BTreeMap<&'a str, String>>;

fn structured_data(mut rest: &str) -> Result<(Data<'_>, &str), String> {
    let mut data = BTreeMap::new();
    if let Some(rest) = rest.strip_prefix('-') {
        return Ok((data, rest));
    }
    while let Some(element) = rest.strip_prefix('[') {
        let end = element.find([' ', ']']).ok_or("SD-ELEMENT has no end")?;
        let (id, mut params) = (&element[..end], &element[end..]);
        check(!id.is_empty() && id.len() <= 32, "SD-ID")?;
        let mut values = BTreeMap::new();
        while let Some(param) = params.strip_prefix(' ') {
            let (name, value) = param.split_once("=\"").ok_or("PARAM-NAME")?;
            check(
                !name.is_empty() && name.len() <= 32 && !name.contains([' ', ']', '"']),
                "PARAM-NAME",
            )?;
            let (mut text, mut escaped, mut end) = (String::new(), false, None);
            for (at, c) in value.char_indices() {
                match (escaped, c) {
                    (true, _) => {
                        check(matches!(c, '"' | '\\' | ']'), "escape in PARAM-VALUE")?;
                        text.push(c);
                        escaped = false;
                    }
                    (false, '\\') => escaped = true,
                    (false, '"') => {
                        end = Some(at);
                        break;
                    }
                    (false, _) => {
                        check(c != ']', "unescaped ] in PARAM-VALUE")?;
                        text.push(c);
                    }
                }
            }
            params = &value[end.ok_or("PARAM-VALUE has no end")? + 1..];
            values.insert(name, text);
        }
        rest = params.strip_prefix(']').ok_or("SD-ELEMENT has no ]")?;
        check(data.insert(id, values).is_none(), "SD-ID twice")?;
    }
    check(!data.is_empty(), "no STRUCTURED-DATA")?;
    Ok((data, rest))
}

/// A CEF message, taken apart.
#[derive(Debug)]
pub(crate) struct Cef {
    /// The seven header fields, unescaped; the first is the version.
    pub(crate) header: Vec<String>,
    /// Extension key → value, unescaped.
    pub(crate) extension: BTreeMap<String, String>,
}

/// CEF as its standard describes it, without any tolerance.
pub(crate) fn cef(message: &str) -> Result<Cef, String> {
    let mut rest = message.strip_prefix("CEF:").ok_or("no CEF: prefix")?;
    let mut header = Vec::new();
    while header.len() < 7 {
        let (mut field, mut chars, mut end) = (String::new(), rest.char_indices(), None);
        while let Some((at, c)) = chars.next() {
            match c {
                '|' => {
                    end = Some(at);
                    break;
                }
                '\\' => match chars.next() {
                    Some((_, c @ ('\\' | '|'))) => field.push(c),
                    _ => return Err("escape in the header".into()),
                },
                _ => field.push(c),
            }
        }
        rest = &rest[end.ok_or("fewer than seven pipes")? + 1..];
        header.push(field);
    }
    check(header[0] == "0" || header[0] == "1", "version")?;
    check(header[6].parse::<u8>().is_ok_and(|severity| severity <= 10), "severity")?;
    let mut extension = BTreeMap::new();
    while !rest.is_empty() {
        let (key, value) = rest.split_once('=').ok_or("a key without =")?;
        check(!key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric()), key)?;
        let (mut text, mut chars, mut next) = (String::new(), value.char_indices(), value.len());
        let mut blank = None;
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => match chars.next() {
                    Some((_, c @ ('\\' | '='))) => text.push(c),
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 'r')) => text.push('\r'),
                    _ => return Err(format!("escape in the value of {key}")),
                },
                '=' => {
                    // An unescaped = belongs to the next key, which begins after the last space.
                    let (at, length) = blank.ok_or_else(|| format!("unescaped = in {key}"))?;
                    text.truncate(length);
                    next = at;
                    break;
                }
                ' ' => {
                    blank = Some((at + 1, text.len()));
                    text.push(' ');
                }
                _ => text.push(c),
            }
        }
        check(!text.is_empty() && text.trim() == text, key)?;
        rest = &value[next..];
        check(extension.insert(key.to_owned(), text).is_none(), "a key twice")?;
    }
    for (key, _) in extension.iter().filter(|(key, _)| key.ends_with("Label")) {
        check(extension.contains_key(key.trim_end_matches("Label")), "a label without its value")?;
    }
    Ok(Cef { header, extension })
}

/// Characters that guard must have escaped.
pub(crate) fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}'
        )
}
