//! What is known of the connections of one source.

use std::{collections::HashMap, sync::Arc, time::Duration};

use super::{
    ID_BYTES_MAX, TAG_FORGERY, VALUE_BYTES_MAX,
    rules::{Group, Groups, Outcome, Rules},
    table::{Connection, Table},
};
use crate::{
    event::{Event, Raw, Span, Time, Value, field},
    tail::FileId,
};

/// How much is remembered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Connections per file.
    pub connections: usize,
    /// Files.
    pub files: usize,
    /// Bytes of all connections together.
    pub bytes: usize,
    /// How long after its latest event, in the time of events, a connection is taken for gone.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 65_536,
            files: 1_024,
            bytes: 128 << 20,
            idle: Duration::from_secs(24 * 60 * 60),
        }
    }
}

/// Memory of the connections of one source.
#[derive(Debug)]
pub struct Memory {
    rules: Arc<Rules>,
    limits: Limits,
    files: HashMap<FileId, Table>,
    bytes: usize,
    uses: u64,
    /// The id at hand, kept for its buffer.
    id: Vec<u8>,
}

impl Memory {
    /// An empty memory.
    #[must_use]
    pub fn new(rules: Arc<Rules>, limits: Limits) -> Self {
        Self { rules, limits, files: HashMap::new(), bytes: 0, uses: 0, id: Vec::new() }
    }

    /// How many connections are known.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.files.values().map(Table::len).sum()
    }

    /// Bytes that they take, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// A file's connections go on in another one: after a rotation the program writes into a new file.
    pub fn inherit(&mut self, from: FileId, to: FileId) {
        if from != to
            && let Some(table) = self.files.remove(&from)
            && let Some(replaced) = self.files.insert(to, table)
        {
            self.bytes -= replaced.bytes();
        }
    }

    /// Forgets a file's connections.
    pub fn forget(&mut self, file: FileId) {
        if let Some(table) = self.files.remove(&file) {
            self.bytes -= table.bytes();
        }
    }

    /// Learns from an event and completes it. `offset` is where its record begins in the file.
    pub fn apply(&mut self, file: FileId, source: &str, offset: u64, event: &mut Event<Raw>) {
        let Some(look) = Look::at(&self.rules, event) else { return };
        if !look.has_id_field {
            event.push(field::CONNECTION_ID, Value::Text(look.id));
        }
        if look.forged {
            return;
        }
        self.id.clear();
        self.id.extend_from_slice(event.slice(look.id));
        self.make_room_for_file(file);
        let table = self.files.entry(file).or_default();
        table.used = self.uses;
        let before = table.bytes();
        let role = self.rules.role(event.kind);
        if role.starts {
            let session = Some(session_id(source, file, &self.id, offset, event.time));
            table.insert(&self.id, Connection::new(session, event.time));
        }
        let lesson = Lesson::of(&self.rules, &look, event);
        if let Some(connection) = table.find(&self.id) {
            if is_idle(connection, event.time, self.limits.idle) {
                *connection = Connection::new(None, event.time);
            }
            connection.seen = connection.seen.max(event.time);
            let learnt = lesson.teach(&self.rules, connection, event);
            lesson.complete(&self.rules, connection, event);
            if learnt {
                table.measure(&self.id);
            }
        } else if lesson.is_worth_it(&self.rules, event) {
            let mut connection = Connection::new(None, event.time);
            lesson.teach(&self.rules, &mut connection, event);
            table.insert(&self.id, connection);
        }
        if role.ends {
            table.remove(&self.id);
        }
        self.bytes = self.bytes - before + table.bytes();
        if table.len() > self.limits.connections || self.bytes > self.limits.bytes {
            self.keep_within_limits(file);
        }
    }

    /// Forgets what was quiet longest: of the file at hand its oldest connections, and for the sake of bytes all of the
    /// file that was not used longest first.
    fn keep_within_limits(&mut self, file: FileId) {
        while self.bytes > self.limits.bytes
            && let Some(oldest) = self.oldest_file().filter(|oldest| *oldest != file)
        {
            self.forget(oldest);
        }
        let Some(table) = self.files.get_mut(&file) else { return };
        while table.len() > self.limits.connections || self.bytes > self.limits.bytes {
            let before = table.bytes();
            if !table.remove_oldest() {
                return;
            }
            self.bytes -= before - table.bytes();
        }
    }

    fn oldest_file(&self) -> Option<FileId> {
        self.files.iter().min_by_key(|(_, table)| table.used).map(|(file, _)| *file)
    }

    /// Forgets the file that was not used longest, if there are too many.
    fn make_room_for_file(&mut self, file: FileId) {
        self.uses += 1;
        if self.files.len() < self.limits.files || self.files.contains_key(&file) {
            return;
        }
        if let Some(oldest) = self.oldest_file() {
            self.forget(oldest);
        }
    }
}

/// What one look over an event's fields says.
struct Look {
    id: Span,
    has_id_field: bool,
    outcome: Outcome,
    /// One bit per field that is remembered: the event has it.
    present: u64,
    forged: bool,
}

impl Look {
    /// `None` where the event belongs to no connection.
    fn at(rules: &Rules, event: &Event<Raw>) -> Option<Self> {
        let mut own = None;
        let mut other = None;
        let mut outcome = rules.role(event.kind).outcome;
        let mut present = 0;
        let mut forged = false;
        for field in &event.fields {
            if let Some(place) = rules.place(field.id) {
                present |= 1 << place;
            }
            let Value::Text(span) = field.value else { continue };
            match field.id {
                field::CONNECTION_ID => own = own.or(Some(span)),
                field::OUTCOME => outcome = Outcome::of(event.slice(span)),
                field::TAGS => forged |= event.slice(span) == TAG_FORGERY.as_bytes(),
                id if rules.id == Some(id) => other = other.or(Some(span)),
                _ => {}
            }
        }
        let id = own.or(other)?;
        let is_id = !id.is_empty() && id.len() <= ID_BYTES_MAX;
        (is_id && rules.is_connection(event.slice(id))).then_some(Self {
            id,
            has_id_field: own.is_some(),
            outcome,
            present,
            forged,
        })
    }
}

/// What an event may teach and what it may be given.
struct Lesson {
    /// Whose values are learnt.
    teaches: Groups,
    /// Names are learnt only where none is known.
    names_first_only: bool,
    /// Whether it may be given the name of who is logged in.
    takes_names: bool,
    present: u64,
}

impl Lesson {
    fn of(rules: &Rules, look: &Look, event: &Event<Raw>) -> Self {
        let role = rules.role(event.kind);
        let mut teaches =
            Groups::NONE.with(Group::Source).with(Group::Destination).with(Group::Transport);
        if look.outcome != Outcome::Failure {
            teaches = teaches.with(Group::Alone);
        }
        let shows_who_is_in = match look.outcome {
            Outcome::Success => role.authentication || role.session || role.account,
            Outcome::Unknown => role.session && !role.authentication,
            Outcome::Failure => false,
        };
        if shows_who_is_in {
            teaches = teaches.with(Group::Identity);
        }
        Self {
            teaches,
            names_first_only: !role.authentication && !role.session,
            takes_names: !role.authentication || look.outcome == Outcome::Success,
            present: look.present,
        }
    }

    /// Whether there is something to learn for a connection of which nothing is known.
    fn is_worth_it(&self, rules: &Rules, event: &Event<Raw>) -> bool {
        self.present != 0
            && event.fields.iter().any(|field| {
                rules.place(field.id).is_some_and(|place| self.teaches.has(rules.group(place)))
            })
    }

    /// Remembers what the event says. True if something is new.
    fn teach(&self, rules: &Rules, connection: &mut Connection, event: &Event<Raw>) -> bool {
        if self.present == 0 {
            return false;
        }
        let mut teaches = self.teaches;
        let contradicted = contradicted(rules, connection, event);
        if self.names_first_only && contradicted.has(Group::Identity) {
            teaches = teaches.without(Group::Identity);
        }
        for place in 0..rules.keep.len() {
            let group = rules.group(place);
            if contradicted.has(group) && teaches.has(group) {
                connection.forget(place);
            }
        }
        let mut done = 0_u64;
        let mut learnt = false;
        for field in &event.fields {
            let Some(place) = rules.place(field.id) else { continue };
            if done & (1 << place) != 0 || !teaches.has(rules.group(place)) {
                continue;
            }
            done |= 1 << place;
            let bytes = match field.value {
                Value::Text(span) => event.slice(span),
                _ => &[],
            };
            let is_text = matches!(field.value, Value::Text(_));
            if is_text && (bytes.is_empty() || bytes.len() > VALUE_BYTES_MAX) {
                continue;
            }
            if !connection.has(place, field.value, bytes) {
                connection.remember(place, field.value, bytes, rules.keep.len());
                learnt = true;
            }
        }
        learnt
    }

    /// Gives the event what it lacks.
    fn complete(&self, rules: &Rules, connection: &Connection, event: &mut Event<Raw>) {
        let contradicted = contradicted(rules, connection, event);
        event.text.0.reserve(connection.text_len() + SESSION_ID_DIGITS);
        for (place, id) in rules.keep.iter().enumerate() {
            let group = rules.group(place);
            if self.present & (1 << place) != 0
                || contradicted.has(group)
                || (group == Group::Identity && !self.takes_names)
            {
                continue;
            }
            match connection.value(place) {
                None => {}
                Some((Value::Text(_), bytes)) => event.push_text(*id, bytes),
                Some((value, _)) => event.push(*id, value),
            }
        }
        if let Some(session) = &connection.session {
            event.push_text(field::SESSION_ID, session);
        }
    }
}

/// The joined groups in which the event has another value than is known: it is about somebody else, or about another
/// end.
fn contradicted(rules: &Rules, connection: &Connection, event: &Event<Raw>) -> Groups {
    let mut groups = Groups::NONE;
    for field in &event.fields {
        let Some(place) = rules.place(field.id) else { continue };
        let group = rules.group(place);
        if group.is_joined() && connection.contradicts(place, field.value, event) {
            groups = groups.with(group);
        }
    }
    groups
}

fn is_idle(connection: &Connection, now: Time, idle: Duration) -> bool {
    let quiet = now.0.saturating_sub(connection.seen.0).max(0);
    u128::from(quiet.unsigned_abs()) > idle.as_nanos()
}

/// Digits of `towline.session.id`: 128 bits.
const SESSION_ID_DIGITS: usize = 32;

/// `towline.session.id`: the first 128 bits of BLAKE3 over the source's name, the file, the connection's id, and offset and
/// time of its opening. The same whenever the same lines are read again; the time tells generations of a file apart.
fn session_id(
    source: &str,
    file: FileId,
    id: &[u8],
    offset: u64,
    time: Time,
) -> [u8; SESSION_ID_DIGITS] {
    let mut hasher = blake3::Hasher::new();
    for part in [source.as_bytes(), &file.0, id] {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
    }
    hasher.update(&offset.to_le_bytes()).update(&time.0.to_le_bytes());
    let mut digits = [0; SESSION_ID_DIGITS];
    digits.copy_from_slice(&hasher.finalize().to_hex().as_bytes()[..SESSION_ID_DIGITS]);
    digits
}
