//! What the TOML parser found wrong, in words that help.

use toml::de::Error;

use super::sheet::{Sheet, Wrong};

/// Whether the values of a file can be looked at in spite of its errors.
pub(super) enum Readable {
    /// Yes: what is there means what it says.
    Yes,
    /// No: further errors would be guesses.
    No,
}

/// Reports what the parser found.
pub(super) fn report(sheet: &Sheet<'_>, errors: Vec<Error>) -> Readable {
    let mut readable = Readable::Yes;
    for error in errors {
        let wrong = match error.message() {
            "duplicate key" => Wrong::new("the same name a second time")
                .hint("a name stands once; give this one another, or join both"),
            message => {
                readable = Readable::No;
                Wrong::new(format!("not TOML: {message}")).maybe_hint(hint(message))
            }
        };
        sheet.error(error.span().unwrap_or(0..0), wrong);
    }
    readable
}

fn hint(message: &str) -> Option<String> {
    let known = [
        ("must be quoted", "put the text in quotes: `key = \"text\"`"),
        ("invalid boolean", "put a text in quotes; a truth value is `true` or `false`"),
        ("unclosed table", "a table begins with `[name]`"),
        ("unclosed array", "a list ends with `]`"),
        ("inline table", "a table in braces stands on one line and ends with `}`"),
        ("basic string", "a text ends with the same `\"` it begins with, on the same line"),
        ("cannot extend", "a table in braces is complete; write all its keys inside"),
    ];
    known.iter().find(|(part, _)| message.contains(part)).map(|(_, hint)| (*hint).to_owned())
}
