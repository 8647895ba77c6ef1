//! Events → the bytes that a destination wants, framed as its transport wants them.

use std::{io::Write, sync::Arc};

use crate::{
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

impl Render {
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
