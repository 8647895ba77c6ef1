//! The vocabulary that all stages share: events, their fields, and the tables that give both a meaning.
//!
//! An event is an event kind of the catalogue plus a flat list of typed fields. All text of one event lives in
//! one buffer, its `text`; a [`Value::Text`] is a range of that buffer. What the buffer *is* says how far the
//! event has come: [`Raw`] bytes straight from a log, or one of the two text types that only `guard` can make.
//! That is why no code outside `guard` can put unchecked text into an event that a later stage accepts.
//!
//! This module imports no other stage.

use std::{borrow::Cow, collections::HashMap, fmt, net::IpAddr};

use serde::{Deserialize, Serialize};

/// Nanoseconds since 1970-01-01T00:00:00Z.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
pub struct Time(pub i64);

impl Time {
    /// The system's clock. Only the edges (`agent`, `cli`) call it; the pure stages get a time as an argument.
    #[must_use]
    pub fn now() -> Self {
        let now = jiff::Timestamp::now().as_nanosecond();
        Self(i64::try_from(now).unwrap_or(i64::MAX))
    }

    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000_000)
    }

    /// Milliseconds since the epoch, rounded down (CEF `rt`).
    #[must_use]
    pub fn millis(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }
}

/// 128 bits that stay the same whenever the same line of the same file is read again (ECS `event.id`).
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
pub struct EventId(pub [u8; 16]);

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Index of a field in [`Tables::fields`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct FieldId(pub u16);

/// Index of an event kind in [`Tables::kinds`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct KindId(pub u16);

/// Fields that stages name themselves. Every [`Tables`] begins with them, in this order.
pub mod field {
    use super::FieldId;

    macro_rules! well_known {
        ($($constant:ident = $name:literal),* $(,)?) => {
            #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
            enum Order { $($constant),* }
            $(#[doc = concat!("`", $name, "`")] pub const $constant: FieldId = FieldId(Order::$constant as u16);)*
            /// Their names, in the order of their ids.
            pub const NAMES: &[&str] = &[$($name),*];
        };
    }

    well_known! {
        MESSAGE = "message",
        ORIGINAL = "event.original",
        TAGS = "tags",
        LEVEL = "log.level",
        LOGGER = "log.logger",
        LOG_PATH = "log.file.path",
        LOG_OFFSET = "log.offset",
        OUTCOME = "event.outcome",
        REASON = "event.reason",
        DATASET = "event.dataset",
        SERVICE_TYPE = "service.type",
        USER_NAME = "user.name",
        USER_DOMAIN = "user.domain",
        TARGET_NAME = "user.target.name",
        TARGET_DOMAIN = "user.target.domain",
        SOURCE_IP = "source.ip",
        SOURCE_PORT = "source.port",
        DESTINATION_IP = "destination.ip",
        DESTINATION_PORT = "destination.port",
        DESTINATION_DOMAIN = "destination.domain",
        JID = "xmpp.jid",
        TARGET_JID = "xmpp.target.jid",
        RESOURCE = "xmpp.resource",
        CONNECTION_ID = "xmpp.connection.id",
        SESSION_ID = "towline.session.id",
        TRUNCATED = "towline.truncated",
        UNCOERCED = "towline.uncoerced",
        HOST_NAME = "host.hostname",
        PROCESS_NAME = "process.name",
        PROCESS_PID = "process.pid",
        THREAD_NAME = "process.thread.name",
        ERROR_MESSAGE = "error.message",
    }
}

/// ECS data types, as far as fields of events use them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldType {
    /// Short text (`keyword`, `constant_keyword`, `wildcard`): at most 1,024 bytes.
    Keyword,
    /// Long text (`text`, `match_only_text`): at most 32 KiB.
    Text,
    /// 64-bit integer (`long`, `integer`, `short`, `byte`, `unsigned_long` as far as it fits).
    Long,
    /// Floating point (`float`, `double`, `scaled_float`).
    Double,
    /// `true` or `false`.
    Boolean,
    /// IPv4 or IPv6 address.
    Ip,
    /// A point in time.
    Date,
}

/// What is known of one field.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FieldDef {
    /// Dotted ECS name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub ty: FieldType,
    /// Rendered as an array even when it has one value (ECS `normalize: array`). An event holds each element
    /// as a [`Field`] of its own.
    #[serde(default)]
    pub array: bool,
}

/// An entry of the catalogue: something that can happen.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct KindDef {
    /// `<family>.<event>`, for example `xmpp.auth_failure`; CEF's device event class id and ECS `event.code`.
    pub name: String,
    /// CEF name: constant, without variable parts.
    pub title: String,
    /// 0–10: CEF severity, ECS `event.severity`, syslog severity by a table.
    pub severity: u8,
    /// ECS `event.kind`.
    pub kind: String,
    /// ECS `event.category`.
    pub category: Vec<String>,
    /// ECS `event.type`.
    #[serde(rename = "type")]
    pub types: Vec<String>,
    /// ECS `event.outcome`, where the kind itself settles it. A field of the event goes before it.
    pub outcome: Option<String>,
    /// ATT&CK technique ids (ECS `threat.technique.id`).
    pub attack: Vec<String>,
    /// What it means and what an analyst should do.
    pub meaning: String,
}

/// Field and kind definitions: what ids in events refer to. Stored in each spool segment, so that a segment can
/// be read without the mappings that made it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "TablesData", into = "TablesData")]
pub struct Tables {
    fields: Vec<FieldDef>,
    kinds: Vec<KindDef>,
    field_ids: HashMap<String, FieldId>,
    kind_ids: HashMap<String, KindId>,
}

#[derive(Serialize, Deserialize)]
struct TablesData {
    fields: Vec<FieldDef>,
    kinds: Vec<KindDef>,
}

impl From<TablesData> for Tables {
    fn from(data: TablesData) -> Self {
        Self::new(data.fields, data.kinds)
    }
}

impl From<Tables> for TablesData {
    fn from(tables: Tables) -> Self {
        Self { fields: tables.fields, kinds: tables.kinds }
    }
}

impl Tables {
    /// Tables of these definitions; ids are their positions. At most 65,535 of each are addressable.
    #[must_use]
    pub fn new(fields: Vec<FieldDef>, kinds: Vec<KindDef>) -> Self {
        let ids = |n: usize| u16::try_from(n).unwrap_or(u16::MAX);
        let field_ids =
            fields.iter().enumerate().map(|(n, f)| (f.name.clone(), FieldId(ids(n)))).collect();
        let kind_ids =
            kinds.iter().enumerate().map(|(n, k)| (k.name.clone(), KindId(ids(n)))).collect();
        Self { fields, kinds, field_ids, kind_ids }
    }

    /// All fields, in the order of their ids.
    #[must_use]
    pub fn fields(&self) -> &[FieldDef] {
        &self.fields
    }

    /// All kinds, in the order of their ids.
    #[must_use]
    pub fn kinds(&self) -> &[KindDef] {
        &self.kinds
    }

    /// The definition of a field.
    #[must_use]
    pub fn field(&self, id: FieldId) -> &FieldDef {
        &self.fields[usize::from(id.0)]
    }

    /// The definition of a kind.
    #[must_use]
    pub fn kind(&self, id: KindId) -> &KindDef {
        &self.kinds[usize::from(id.0)]
    }

    /// The id of a field by its dotted name.
    #[must_use]
    pub fn field_id(&self, name: &str) -> Option<FieldId> {
        self.field_ids.get(name).copied()
    }

    /// The id of a kind by its name.
    #[must_use]
    pub fn kind_id(&self, name: &str) -> Option<KindId> {
        self.kind_ids.get(name).copied()
    }
}

/// A range of an event's text, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// Length in bytes.
    #[must_use]
    pub fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    /// Whether it holds nothing.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// As a range for slicing.
    #[must_use]
    pub fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// A typed value.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Value {
    /// A range of the event's text.
    Text(Span),
    /// A 64-bit integer.
    Long(i64),
    /// A floating point number, always finite.
    Double(f64),
    /// A truth value.
    Boolean(bool),
    /// An address.
    Ip(IpAddr),
    /// A point in time.
    Date(Time),
}

/// One field of an event and its value. A field that is an array appears once per element.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Field {
    /// Which field.
    pub id: FieldId,
    /// Its value, of the field's type.
    pub value: Value,
}

/// Text of an event as it came from a log: any bytes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Raw(pub Vec<u8>);

/// The text of an event at some stage of its way.
pub trait Text {
    /// The whole buffer that spans refer to.
    fn bytes(&self) -> &[u8];
}

impl Text for Raw {
    fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Something that happened: an event kind plus typed fields, with all its text in `text`.
#[derive(Clone, PartialEq, Debug)]
pub struct Event<T> {
    /// What happened.
    pub kind: KindId,
    /// False where no binding knew the line: `kind` is then the catalogue's kind for unrecognised lines.
    pub recognised: bool,
    /// Stable identity, see [`EventId`].
    pub id: EventId,
    /// When it happened (ECS `@timestamp`).
    pub time: Time,
    /// When the agent read it (ECS `event.created`).
    pub created: Time,
    /// Severity where it differs from its kind's, 0–10.
    pub severity: Option<u8>,
    /// Typed fields in the order in which they were found.
    pub fields: Vec<Field>,
    /// The text that spans in `fields` refer to.
    pub text: T,
}

impl<T: Text> Event<T> {
    /// The bytes of a text value; empty for a span outside the text.
    #[must_use]
    pub fn slice(&self, span: Span) -> &[u8] {
        self.text.bytes().get(span.range()).unwrap_or_default()
    }

    /// The first value of a field.
    #[must_use]
    pub fn get(&self, id: FieldId) -> Option<Value> {
        self.fields.iter().find(|field| field.id == id).map(|field| field.value)
    }

    /// Whether the event has the field.
    #[must_use]
    pub fn has(&self, id: FieldId) -> bool {
        self.fields.iter().any(|field| field.id == id)
    }

    /// The bytes of the first value of a text field.
    #[must_use]
    pub fn text_of(&self, id: FieldId) -> Option<&[u8]> {
        match self.get(id)? {
            Value::Text(span) => Some(self.slice(span)),
            _ => None,
        }
    }

    /// A value as people read it, for tables and messages.
    #[must_use]
    pub fn show(&self, value: Value) -> Cow<'_, str> {
        match value {
            Value::Text(span) => String::from_utf8_lossy(self.slice(span)),
            Value::Long(n) => n.to_string().into(),
            Value::Double(n) => n.to_string().into(),
            Value::Boolean(b) => b.to_string().into(),
            Value::Ip(ip) => ip.to_string().into(),
            Value::Date(time) => time.0.to_string().into(),
        }
    }
}

impl Event<Raw> {
    /// An event without fields.
    #[must_use]
    pub fn new(kind: KindId, id: EventId, time: Time) -> Self {
        Self {
            kind,
            recognised: true,
            id,
            time,
            created: time,
            severity: None,
            fields: Vec::new(),
            text: Raw::default(),
        }
    }

    /// Copies text into the event's buffer and returns where it is.
    pub fn store(&mut self, text: &[u8]) -> Span {
        let start = u32::try_from(self.text.0.len()).unwrap_or(u32::MAX);
        self.text.0.extend_from_slice(text);
        Span { start, end: u32::try_from(self.text.0.len()).unwrap_or(u32::MAX) }
    }

    /// Adds a text value to a field, beside values it may have already.
    pub fn push_text(&mut self, id: FieldId, text: &[u8]) {
        let span = self.store(text);
        self.fields.push(Field { id, value: Value::Text(span) });
    }

    /// Adds a value to a field, beside values it may have already.
    pub fn push(&mut self, id: FieldId, value: Value) {
        self.fields.push(Field { id, value });
    }
}
