//! What the demo shows: the line as it was written, the CEF and the essence of the ECS that came in, the balance.

use std::{
    env,
    fmt::Write as _,
    io::{self, IsTerminal, Write},
};

use serde_json::Value;

use super::{ledger::kind, script::Record};

/// Fields that every event has, or that repeat what stands beside them.
const NOT_ESSENTIAL: [&str; 19] = [
    "@timestamp",
    "message",
    "agent.",
    "ecs.",
    "host.",
    "log.",
    "process.",
    "related.",
    "service.",
    "event.action",
    "event.code",
    "event.created",
    "event.dataset",
    "event.id",
    "event.kind",
    "event.module",
    "event.type",
    "threat.framework",
    "towline.",
];

/// Standard output, with colours on a terminal.
pub(super) struct Screen {
    colours: bool,
    /// Whoever reads has seen enough (`| head`): the demo goes on without showing.
    gone: bool,
}

/// How something stands out.
#[derive(Clone, Copy)]
enum Style {
    Title,
    Note,
    Control,
    Good,
    Bad,
}

impl Screen {
    /// Standard output.
    pub(super) fn new() -> Self {
        let colours = io::stdout().is_terminal() && env::var_os("NO_COLOR").is_none();
        Self { colours, gone: false }
    }

    /// Shows a text.
    pub(super) fn say(&mut self, text: &str) {
        let mut out = io::stdout().lock();
        if !self.gone && out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
            self.gone = true;
        }
    }

    /// Shows a record and what came in of it.
    pub(super) fn event(&mut self, number: usize, record: &Record, cef: &str, ecs: &Value) {
        let mut text = String::new();
        if let Some(note) = &record.note {
            let _ = writeln!(text, "{}\n", self.styled(Style::Note, &format!("── {note} ──")));
        }
        let title = format!("{number:3}  {}: {}", record.source, kind(ecs));
        let _ = writeln!(text, "{}", self.styled(Style::Title, &title));
        let line = record.text.strip_suffix('\n').unwrap_or(record.text);
        let _ = writeln!(text, "     written  {}", self.visible(line));
        let _ = writeln!(text, "     CEF      {}", self.visible(cef));
        let _ = writeln!(text, "     ECS      {}\n", self.visible(&essence(ecs)));
        self.say(&text);
    }

    /// Shows a heading.
    pub(super) fn title(&mut self, text: &str) {
        let text = format!("{}\n", self.styled(Style::Title, text));
        self.say(&text);
    }

    /// Shows how it ended.
    pub(super) fn verdict(&mut self, good: bool, text: &str) {
        let style = if good { Style::Good } else { Style::Bad };
        let text = format!("{}\n", self.styled(style, text));
        self.say(&text);
    }

    fn styled(&self, style: Style, text: &str) -> String {
        if !self.colours {
            return text.to_owned();
        }
        let code = match style {
            Style::Title => "1",
            Style::Note => "33",
            Style::Control => "7;31",
            Style::Good => "1;32",
            Style::Bad => "1;31",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// A text whose control characters are pictures, so that they can be told from escapes.
    fn visible(&self, text: &str) -> String {
        let mut shown = String::with_capacity(text.len());
        for c in text.chars() {
            match picture(c) {
                Some(picture) => shown.push_str(&self.styled(Style::Control, &picture)),
                None => shown.push(c),
            }
        }
        shown
    }
}

/// What is shown in place of a character that does something: ␛ of ESC, ⟨202E⟩ of U+202E.
fn picture(c: char) -> Option<String> {
    match c {
        '\0'..=' ' if c != ' ' => char::from_u32(0x2400 + c as u32).map(String::from),
        '\u{7f}' => Some("␡".to_owned()),
        c if c.is_control() => Some(format!("⟨{:02X}⟩", c as u32)),
        '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{61c}'
        | '\u{feff}' => Some(format!("⟨{:04X}⟩", c as u32)),
        _ => None,
    }
}

/// The fields that tell events from each other, as `name=value`.
fn essence(document: &Value) -> String {
    let mut fields = Vec::new();
    flatten("", document, &mut fields);
    fields.join("  ")
}

fn flatten(name: &str, value: &Value, fields: &mut Vec<String>) {
    if NOT_ESSENTIAL.iter().any(|prefix| !name.is_empty() && format!("{name}.").starts_with(prefix))
    {
        return;
    }
    match value {
        Value::Object(members) => members.iter().for_each(|(member, value)| {
            let dot = if name.is_empty() { "" } else { "." };
            flatten(&format!("{name}{dot}{member}"), value, fields);
        }),
        Value::String(text) => fields.push(format!("{name}={text}")),
        Value::Array(items) => {
            let items: Vec<_> =
                items.iter().map(|v| v.as_str().map_or(v.to_string(), str::to_owned)).collect();
            fields.push(format!("{name}={}", items.join(",")));
        }
        other => fields.push(format!("{name}={other}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_that_is_shown_does_anything() {
        let screen = Screen { colours: false, gone: false };
        let shown = screen.visible("a\tb\u{1b}[2J\r\n\u{85}\u{7f}\u{202e}\u{2028} ä{}");
        assert_eq!(shown, "a␉b␛[2J␍␊⟨85⟩␡⟨202E⟩⟨2028⟩ ä{}");
        let colours = Screen { colours: true, gone: false };
        assert_eq!(colours.visible("\u{7}"), "\x1b[7;31m␇\x1b[0m");
    }

    #[test]
    fn the_essence_tells_events_apart() {
        let document = json!({
            "@timestamp": "T", "message": "m", "agent": { "id": "1" }, "log": { "offset": 1 },
            "event": { "code": "k", "category": ["authentication", "session"], "severity": 6 },
            "user": { "name": "bob" }, "towline": { "session": { "id": "1" } },
        });
        let essence = essence(&document);
        assert_eq!(
            essence,
            "event.category=authentication,session  event.severity=6  user.name=bob"
        );
    }
}
