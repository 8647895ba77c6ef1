//! Takes passwords, SASL exchanges, tokens and secret keys out of text, under every privacy profile.
//!
//! ```text
//! <auth mechanism='PLAIN'>AGp1…</auth>   →  <auth mechanism='PLAIN'>[redacted]</auth>
//! password = <<"s3cret">>                →  password = <<[redacted]>>
//! ```
//!
//! One vectorised scan of an event's text looks for triggers: pieces of words like `password`, beginnings of elements
//! like `<auth`. Nearly all events have none, and that is all it costs them. Where there is one, each field is read by
//! itself: a value never reaches from one field into the next, and so a user who calls himself `password=` blanks a word
//! of the message but never the field that says who he is.
//!
//! A value that has no end (a torn line, a cut one) is taken out up to the end of the text. What is no value stays:
//! `Accepted password for`, `password_length=5`, `reason=INVALID_PASSWORD`.
//!
//! Limits, known and meant: of an unquoted value only the first word is seen as the value (`password=two words`), and a
//! secret in prose without `=` or `:` (`my password is x`) is not seen at all.
//!
//! Linear: reading goes forward only, and goes on behind what was taken out.

mod elements;
mod keys;
mod other;
mod triggers;

use std::ops::Range;

pub(crate) use self::keys::names_secret;
use self::triggers::{Trigger, Triggers};

/// What stands in the place of a secret.
pub const REDACTED: &str = "[redacted]";

/// Finds secrets. Made once.
#[derive(Debug)]
pub(crate) struct Secrets {
    triggers: Triggers,
}

impl Secrets {
    pub(crate) fn new() -> Self {
        Self { triggers: Triggers::new() }
    }

    /// Whether some secret may be in the text. `false` is certain.
    pub(crate) fn may_be_in(&self, text: &str) -> bool {
        self.triggers.next(text.as_bytes(), 0).is_some()
    }

    /// The text without its secrets, if it has any.
    pub(crate) fn redact(&self, text: &str) -> Option<String> {
        let runs = self.find(text.as_bytes());
        if runs.is_empty() {
            return None;
        }
        let mut out = String::with_capacity(text.len());
        let mut copied = 0;
        for run in runs {
            out.push_str(text.get(copied..run.start).unwrap_or_default());
            out.push_str(REDACTED);
            copied = run.end;
        }
        out.push_str(text.get(copied..).unwrap_or_default());
        Some(out)
    }

    /// The secrets of a text, ascending, none in another.
    fn find(&self, text: &[u8]) -> Vec<Range<usize>> {
        let mut found = Found { runs: Vec::new() };
        let mut at = 0;
        while let Some((trigger, place)) = self.triggers.next(text, at) {
            match trigger {
                Trigger::Word => keys::read(text, place.clone(), &mut found),
                Trigger::Element => elements::read(text, place.clone(), &mut found),
                Trigger::Term => elements::read_term(text, place.clone(), &mut found),
                Trigger::Record => elements::read_record(text, place.clone(), &mut found),
                Trigger::Private => elements::read_form_field(text, place.end, &mut found),
                Trigger::Authorization => other::authorization(text, place.clone(), &mut found),
                Trigger::Cookie => other::cookie(text, place.clone(), &mut found),
                Trigger::Bearer => other::bearer(text, place.end, &mut found),
                Trigger::Jwt => other::jwt(text, place.start, &mut found),
                Trigger::Url => other::url(text, place.end, &mut found),
                Trigger::Pem => other::pem(text, place.end, &mut found),
                Trigger::Arguments => other::arguments(text, place.end, &mut found),
                Trigger::Dialback => other::dialback(text, place.end, &mut found),
            }
            at = found.end().max(place.start + 1);
        }
        found.runs
    }
}

/// Secrets found so far, ascending.
pub(crate) struct Found {
    runs: Vec<Range<usize>>,
}

impl Found {
    /// Adds one, unless it is empty, was taken out before or lies before what was.
    fn add(&mut self, text: &[u8], run: Range<usize>) {
        let run = run.start.max(self.end())..run.end;
        if run.start < run.end && text.get(run.clone()) != Some(REDACTED.as_bytes()) {
            self.runs.push(run);
        }
    }

    fn end(&self) -> usize {
        self.runs.last().map_or(0, |run| run.end)
    }
}

#[cfg(test)]
mod tests;
