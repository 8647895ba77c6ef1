//! `Event<Clean>` → `Event<Shippable>`: what a privacy profile says is done with each field.
//!
//! A profile names fields. Free text (`message`, `error.message`, stack traces, uncoerced values) can hold the same
//! data again, so it is treated too, unless the profile keeps whole lines (`event.original`):
//!
//! - Of a recognised event it stays, for it is the program's own words, but each run that is the text of a field which
//!   the profile does not keep is taken out (`[text length=34]`), and so are bodies that stand in it as markup
//!   (see `bodies`). Where the event has such a field and the free text does not show it literally (it may have been
//!   quoted or cut), nobody can say what else is the body: the kind's title takes the text's place.
//! - Of an unrecognised event it is what [`UnrecognisedText`] says (see `words`).
//!
//! Secrets never reach this step: they were taken out when the text was made clean.

use std::{fmt, net::IpAddr, ops::Range, sync::Arc};

use memchr::memmem;

use super::{
    Clean, Shippable, append, bodies, compact::compact, push_text, slice, text_span,
    tokens::Tokens, words,
};
use crate::{
    event::{Event, Field, FieldDef, FieldId, FieldType, Span, Tables, Value, field},
    map::{PrivacySpec, Treatment, UnrecognisedText},
};

/// Fields that hold a program's own words, with anything in them. (Other fields of type `text` hold a value.)
const CONTAINERS: &[&str] =
    &["message", "event.original", "error.message", "error.stack_trace", "towline.uncoerced"];

/// Values shorter than this are searched for as whole words only: every `a` in a message is not the body `a`.
const WORD_BYTES_MIN: usize = 4;

/// A privacy profile, ready for events of some tables. One for all events; shared between threads.
#[derive(Debug)]
pub struct Privacy {
    treatments: Vec<Treatment>,
    /// Per field: its text may hold what the profile takes out elsewhere.
    free: Vec<bool>,
    containers: Vec<FieldId>,
    template: Option<(FieldId, FieldId)>,
    whole_lines: bool,
    unrecognised: UnrecognisedText,
    tokens: Option<Tokens>,
    tables: Arc<Tables>,
}

/// A profile cannot be used as it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ProfileError {
    /// It replaces values by keyed tokens, and there is no key.
    NoKey,
    /// The key is too short to be one.
    ShortKey,
    /// A field's glob cannot be read.
    Glob(String),
}

impl fmt::Display for ProfileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKey => f.write_str(
                "this profile replaces names and addresses by keyed tokens and needs `key` in [privacy]",
            ),
            Self::ShortKey => write!(
                f,
                "the privacy key is too short: it needs at least {} random bytes",
                Tokens::KEY_BYTES_MIN
            ),
            Self::Glob(name) => write!(f, "`{name}` in [fields] is no field name and no glob"),
        }
    }
}

impl std::error::Error for ProfileError {}

impl Privacy {
    /// A profile for events of these tables. `key` is for profiles with pseudonyms.
    ///
    /// # Errors
    ///
    /// [`ProfileError`] where the profile needs a key that is not there, or names fields by a broken glob.
    pub fn new(
        spec: &PrivacySpec,
        tables: Arc<Tables>,
        key: Option<&[u8]>,
    ) -> Result<Self, ProfileError> {
        let treatments = treatments(spec, &tables)?;
        let containers =
            CONTAINERS.iter().filter_map(|name| tables.field_id(name)).collect::<Vec<_>>();
        let is_free = |(n, def): (usize, &FieldDef)| {
            def.ty == FieldType::Text || containers.iter().any(|id| usize::from(id.0) == n)
        };
        let free = tables.fields().iter().enumerate().map(is_free).collect();
        let template = tables
            .field_id("towline.template.hash")
            .zip(tables.field_id("towline.template.length"));
        let keyed = treatments.contains(&Treatment::Pseudonym)
            || spec.unrecognised == UnrecognisedText::Hash;
        let tokens = match key {
            Some(key) if keyed => Some(Tokens::new(key).ok_or(ProfileError::ShortKey)?),
            None if keyed => return Err(ProfileError::NoKey),
            _ => None,
        };
        let whole_lines = treatment_of(&treatments, field::ORIGINAL) == Treatment::Keep;
        Ok(Self {
            treatments,
            free,
            containers,
            template,
            whole_lines,
            unrecognised: spec.unrecognised,
            tokens,
            tables,
        })
    }

    /// Whether whole lines (`event.original`) are shipped, so that it is worth copying them.
    #[must_use]
    pub fn keeps_whole_lines(&self) -> bool {
        self.whole_lines
    }

    /// Does with each field what the profile says.
    #[must_use]
    pub fn apply(&self, event: Event<Clean>) -> Event<Shippable> {
        let Event { kind, recognised, id, time, created, severity, mut fields, text } = event;
        let mut text = text.0;
        let free = self.treat_free(&text, &fields, recognised, &self.tables.kind(kind).title);
        let hashed = if recognised { None } else { self.hash(&text, &fields) };
        let mut free = free.into_iter().peekable();
        let mut place = 0;
        fields.retain_mut(|field| {
            let new = free.next_if(|(n, _)| *n == place);
            place += 1;
            let value = match new {
                Some((_, new)) => new.map(|new| Value::Text(append(&mut text, &new))),
                None => self.treat(*field, &mut text),
            };
            value.map(|value| field.value = value).is_some()
        });
        if let (Some((hash, length)), Some((hash_id, length_id))) = (hashed, self.template) {
            push_text(&mut text, &mut fields, hash_id, &hash);
            fields.push(Field { id: length_id, value: Value::Long(length) });
        }
        let text = Shippable(compact(text, &mut fields));
        Event { kind, recognised, id, time, created, severity, fields, text }
    }

    /// What is shipped of an unrecognised line instead of its text: its template's hash and its length.
    fn hash(&self, text: &str, fields: &[Field]) -> Option<(String, i64)> {
        let tokens =
            self.tokens.as_ref().filter(|_| self.unrecognised == UnrecognisedText::Hash)?;
        let message = fields.iter().find(|field| field.id == field::MESSAGE).and_then(text_span)?;
        let message = slice(text, message);
        Some((words::template(message, tokens), i64::try_from(message.len()).unwrap_or(i64::MAX)))
    }

    /// What is shipped of a field's value, if anything.
    fn treat(&self, field: Field, text: &mut String) -> Option<Value> {
        match (treatment_of(&self.treatments, field.id), field.value) {
            (Treatment::Keep, value) => Some(value),
            (Treatment::Truncate, Value::Ip(ip)) => Some(Value::Ip(network(ip))),
            (Treatment::Pseudonym, Value::Ip(ip)) => {
                self.tokens.as_ref().map(|tokens| Value::Ip(tokens.address(ip)))
            }
            (Treatment::Drop, _) => None,
            (treatment, Value::Text(span)) => {
                let value = self.treat_text(treatment, slice(text, span))?;
                Some(Value::Text(append(text, &value)))
            }
            // A number, truth value or date has no length, no network and no token.
            _ => None,
        }
    }

    fn treat_text(&self, treatment: Treatment, value: &str) -> Option<String> {
        match treatment {
            Treatment::Keep => Some(value.to_owned()),
            Treatment::Drop => None,
            Treatment::Length => Some(format!("[length={}]", value.len())),
            Treatment::Truncate => Some(match value.parse::<IpAddr>() {
                Ok(ip) => network(ip).to_string(),
                Err(_) => format!("[length={}]", value.len()),
            }),
            Treatment::Pseudonym => self.tokens.as_ref().map(|tokens| tokens.text(value)),
        }
    }

    /// What becomes of free text fields that cannot stay as they are (`None`: they go), with their places, in order.
    fn treat_free(
        &self,
        text: &str,
        fields: &[Field],
        recognised: bool,
        title: &str,
    ) -> Vec<(usize, Option<String>)> {
        if self.whole_lines && (recognised || self.unrecognised == UnrecognisedText::Keep) {
            return Vec::new();
        }
        let mut changed = Vec::new();
        for (n, field) in fields.iter().enumerate() {
            let Value::Text(span) = field.value else { continue };
            if !self.is_free(field.id)
                || treatment_of(&self.treatments, field.id) != Treatment::Keep
            {
                continue;
            }
            let new = if recognised {
                let title = (field.id == field::MESSAGE).then_some(title);
                self.without_bodies(text, span, fields, title)
            } else {
                match self.unrecognised {
                    UnrecognisedText::Keep => None,
                    UnrecognisedText::Treat => {
                        words::treat(slice(text, span), self.tokens.as_ref())
                    }
                    UnrecognisedText::Hash => {
                        changed.push((n, None));
                        continue;
                    }
                }
            };
            if new.is_some() {
                changed.push((n, new));
            }
        }
        changed
    }

    /// Free text of a recognised event, if it has to change. With a `title`, it is where a body is expected to stand, and
    /// the title takes its place if the body is not found.
    fn without_bodies(
        &self,
        text: &str,
        span: Span,
        fields: &[Field],
        title: Option<&str>,
    ) -> Option<String> {
        let value = slice(text, span);
        let mut runs = Vec::new();
        for field in fields {
            let Value::Text(hidden) = field.value else { continue };
            if !self.is_hidden(field.id) || hidden.is_empty() {
                continue;
            }
            let before = runs.len();
            self.find_hidden(text, span, field.id, hidden, &mut runs);
            let is_cut = || is_cut(text, fields, &self.tables.field(field.id).name);
            match (runs[before..].iter().map(|(run, _)| run.start).min(), title) {
                (None, Some(title)) if self.is_body(field.id) && matters(slice(text, hidden)) => {
                    return Some(title.to_owned());
                }
                // Only the beginning of a value that was cut is known: all behind it may be the rest.
                (Some(start), _) if is_cut() => {
                    runs.truncate(before);
                    runs.push((
                        start..value.len(),
                        self.placeholder(field.id, value.len() - start),
                    ));
                }
                _ => {}
            }
        }
        bodies::find(value, &mut runs);
        match &self.tokens {
            Some(tokens) => {
                let new = replace(value, runs, |plain| words::treat(plain, Some(tokens)));
                (new != value).then_some(new)
            }
            None if runs.is_empty() => None,
            None => Some(replace(value, runs, |_| None)),
        }
    }

    /// Where a field's text stands in the free text at `span`, and what takes its place.
    fn find_hidden(
        &self,
        text: &str,
        span: Span,
        id: FieldId,
        hidden: Span,
        runs: &mut Vec<(Range<usize>, String)>,
    ) {
        let needle = slice(text, hidden);
        let replacement = match &self.tokens {
            Some(tokens) if treatment_of(&self.treatments, id) == Treatment::Pseudonym => {
                tokens.text(needle)
            }
            _ => self.placeholder(id, needle.len()),
        };
        if span.start <= hidden.start && hidden.end <= span.end {
            let start = (hidden.start - span.start) as usize;
            runs.push((start..start + hidden.len(), replacement));
        } else {
            occurrences(slice(text, span), needle, |run| runs.push((run, replacement.clone())));
        }
    }

    /// Whether a field's text must not be seen in free text either.
    fn is_hidden(&self, id: FieldId) -> bool {
        treatment_of(&self.treatments, id) != Treatment::Keep
            && !self.containers.contains(&id)
            && id != field::TRUNCATED
    }

    fn is_body(&self, id: FieldId) -> bool {
        matches!(treatment_of(&self.treatments, id), Treatment::Length | Treatment::Drop)
    }

    fn placeholder(&self, id: FieldId, length: usize) -> String {
        let name = &self.tables.field(id).name;
        let last = name.rsplit('.').next().unwrap_or(name);
        format!("[{last} length={length}]")
    }

    fn is_free(&self, id: FieldId) -> bool {
        self.free.get(usize::from(id.0)).copied().unwrap_or(true)
    }
}

/// A field outside of the tables (there is none) would be dropped.
fn treatment_of(treatments: &[Treatment], id: FieldId) -> Treatment {
    treatments.get(usize::from(id.0)).copied().unwrap_or(Treatment::Drop)
}

/// An exact name goes before a glob, a longer glob before a shorter one.
fn treatments(spec: &PrivacySpec, tables: &Tables) -> Result<Vec<Treatment>, ProfileError> {
    let mut globs = Vec::new();
    for (pattern, treatment) in spec.fields.iter().filter(|(name, _)| name.contains('*')) {
        let glob = globset::Glob::new(pattern).map_err(|_| ProfileError::Glob(pattern.clone()))?;
        globs.push((pattern.len(), glob.compile_matcher(), *treatment));
    }
    globs.sort_by_key(|(len, ..)| std::cmp::Reverse(*len));
    let treatment = |def: &FieldDef| {
        let exact = spec.fields.iter().find(|(name, _)| *name == def.name).map(|(_, t)| *t);
        let glob = || globs.iter().find(|(_, glob, _)| glob.is_match(&def.name)).map(|(.., t)| *t);
        exact.or_else(glob).unwrap_or(spec.default)
    };
    Ok(tables.fields().iter().map(treatment).collect())
}

/// The network of an address: /24 of IPv4, /48 of IPv6.
fn network(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => IpAddr::V4((ip.to_bits() & 0xffff_ff00).into()),
        IpAddr::V6(ip) => IpAddr::V6((ip.to_bits() & (!0 << 80)).into()),
    }
}

/// Whether missing a value in a text is a reason not to trust the text.
fn matters(value: &str) -> bool {
    value.chars().any(char::is_alphanumeric)
}

/// Where `needle` stands in `text`; a short one as a whole word only.
fn occurrences(text: &str, needle: &str, mut found: impl FnMut(Range<usize>)) {
    if !matters(needle) {
        return;
    }
    for start in memmem::find_iter(text.as_bytes(), needle.as_bytes()) {
        let run = start..start + needle.len();
        let joined = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        let in_word =
            joined(text[..run.start].chars().next_back()) || joined(text[run.end..].chars().next());
        if needle.len() >= WORD_BYTES_MIN || !in_word {
            found(run);
        }
    }
}

/// Whether the guard cut the field's text (see `towline.truncated`).
fn is_cut(text: &str, fields: &[Field], name: &str) -> bool {
    let notes = fields.iter().filter(|field| field.id == field::TRUNCATED).filter_map(text_span);
    notes.map(|span| slice(text, span)).any(|note| note.split(' ').next() == Some(name))
}

/// Puts replacements in the place of runs; of runs that overlap the first one's goes for all of them. What lies
/// between runs is replaced too, where `between` says so.
pub(crate) fn replace(
    text: &str,
    mut runs: Vec<(Range<usize>, String)>,
    between: impl Fn(&str) -> Option<String>,
) -> String {
    runs.sort_by_key(|(run, _)| (run.start, std::cmp::Reverse(run.end)));
    let mut out = String::with_capacity(text.len());
    let push_plain = |out: &mut String, plain: &str| match between(plain) {
        Some(new) => out.push_str(&new),
        None => out.push_str(plain),
    };
    let mut copied = 0;
    for (run, replacement) in runs {
        if run.start >= copied {
            push_plain(&mut out, &text[copied..run.start]);
            out.push_str(&replacement);
        }
        copied = copied.max(run.end);
    }
    push_plain(&mut out, &text[copied..]);
    out
}
