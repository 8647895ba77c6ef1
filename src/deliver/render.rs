//! Events → the bytes that a destination wants, framed as its transport wants them.

use std::{io::Write, sync::Arc};

use super::{Kind, Schema, Settings, SyslogSettings, Transport};
use crate::{
    encode::{Agent, Cef, CefTable, Ecs, Encoder, Syslog, syslog::Sending},
    event::{Event, Tables},
    guard::Shippable,
    spool::Sequence,
};

/// What stands around an event on its way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Framing {
    /// `MSG-LEN SP SYSLOG-MSG` (RFC 5425, RFC 6587).
    Counted,
    /// Nothing: a datagram is its own frame.
    Bare,
    /// A `create` action line before it and a newline after it.
    Create,
}

/// How an event becomes text.
pub(crate) trait Encode: Send + 'static {
    /// Prepares for the events of these tables.
    fn prepare(&mut self, tables: &Arc<Tables>);

    /// Appends one event.
    fn write(&mut self, event: &Numbered<'_>, out: &mut Vec<u8>);
}

/// An event with its place in the spool.
pub(crate) struct Numbered<'a> {
    pub(crate) sequence: Sequence,
    pub(crate) event: &'a Event<Shippable>,
    /// It may have been delivered before.
    pub(crate) replay: bool,
}

/// Encoder and framing of one destination.
pub(crate) struct Render {
    pub(crate) encoder: Box<dyn Encode>,
    pub(crate) framing: Framing,
    scratch: Vec<u8>,
}

/// The encoders of the configuration, prepared for one set of tables at a time.
struct Configured {
    /// `None`: the event alone, as ECS.
    syslog: Option<SyslogSettings>,
    agent: Agent,
    cef: Arc<CefTable>,
    ready: Option<Ready>,
}

struct Ready {
    tables: Arc<Tables>,
    header: Option<Syslog>,
    schema: Encoder,
}

impl Encode for Configured {
    fn prepare(&mut self, tables: &Arc<Tables>) {
        if self.ready.as_ref().is_some_and(|ready| Arc::ptr_eq(&ready.tables, tables)) {
            return;
        }
        let schema = match self.syslog.as_ref().map(|s| (s.schema, s.cef_version)) {
            Some((Schema::Cef, version)) => {
                Encoder::Cef(Cef::new(version, &self.cef, &self.agent, tables).into())
            }
            Some((Schema::Ecs, _)) | None => Encoder::Ecs(Ecs::new(&self.agent, tables).into()),
        };
        let header = self.syslog.as_ref().map(|s| header(s, &self.agent, tables));
        self.ready = Some(Ready { tables: tables.clone(), header, schema });
    }

    fn write(&mut self, numbered: &Numbered<'_>, out: &mut Vec<u8>) {
        let Some(ready) = &self.ready else { return };
        let Numbered { sequence, event, replay } = *numbered;
        let message = |out: &mut Vec<u8>| ready.schema.write(sequence, event, out);
        match &ready.header {
            None => message(out),
            Some(header) => {
                let sending = if replay { Sending::Again } else { Sending::First };
                header.write_as(sending, sequence, event, message, out);
            }
        }
    }
}

fn header(settings: &SyslogSettings, agent: &Agent, tables: &Tables) -> Syslog {
    let SyslogSettings { header, facility, sd_id, message_bytes_max, .. } = settings;
    Syslog::new(*header, *facility, sd_id, *message_bytes_max, agent, tables)
        .in_zone(jiff::tz::TimeZone::system())
}

impl Render {
    /// What a destination's settings say.
    pub(crate) fn of(settings: &Settings, agent: Agent, cef: Arc<CefTable>) -> Self {
        let (syslog, framing) = match &settings.kind {
            Kind::Syslog(syslog) if syslog.transport == Transport::Udp => {
                (Some(syslog.clone()), Framing::Bare)
            }
            Kind::Syslog(syslog) => (Some(syslog.clone()), Framing::Counted),
            Kind::Elasticsearch(_) => (None, Framing::Create),
        };
        Self::new(Box::new(Configured { syslog, agent, cef, ready: None }), framing)
    }

    /// Events through an encoder into a framing.
    pub(crate) fn new(encoder: Box<dyn Encode>, framing: Framing) -> Self {
        Self { encoder, framing, scratch: Vec::new() }
    }

    /// Appends one framed event. Returns where the event itself begins.
    pub(crate) fn write(&mut self, event: &Numbered<'_>, out: &mut Vec<u8>) -> usize {
        match self.framing {
            Framing::Bare => {
                let body = out.len();
                self.encoder.write(event, out);
                body
            }
            Framing::Counted => {
                // The length stands before the message and has no fixed width.
                self.scratch.clear();
                self.encoder.write(event, &mut self.scratch);
                decimal(self.scratch.len(), out);
                out.push(b' ');
                let body = out.len();
                out.extend_from_slice(&self.scratch);
                body
            }
            Framing::Create => {
                out.extend_from_slice(br#"{"create":{"_id":""#);
                hex(&event.event.id.0, out);
                out.extend_from_slice(b"\"}}\n");
                let body = out.len();
                self.encoder.write(event, out);
                out.push(b'\n');
                body
            }
        }
    }
}

fn decimal(number: usize, out: &mut Vec<u8>) {
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{number}");
}

fn hex(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend(bytes.iter().flat_map(|b| [b >> 4, b & 15]).map(|d| DIGITS[usize::from(d)]));
}
