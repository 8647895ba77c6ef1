//! Shippable event → the bytes of a wire schema: ECS JSON or CEF, and the syslog header around either.
//!
//! What does not change from event to event is prepared once per [`Tables`] ([`Ecs::new`], [`Cef::new`],
//! [`Syslog::new`]); writing then copies ready-made fragments and values into the caller's buffer. Pure: no
//! I/O, no clock, no sockets. Text arrives [`Shippable`], so without control characters; an encoder only
//! escapes what its format gives a meaning.
//!
//! To add a schema: `encode/<name>.rs`, a variant of [`Encoder`] and an arm in [`Encoder::write`].

pub mod assets;
pub mod cef;
pub mod ecs;
pub mod syslog;

mod found;
mod json;
mod scalar;
mod special;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod speed;

use std::net::IpAddr;

pub use self::{cef::Cef, cef::table::CefTable, ecs::Ecs, syslog::Syslog};
use crate::{
    event::{Event, Span},
    guard::Shippable,
    spool::Sequence,
};

/// Who we are: `agent.type`, APP-NAME, CEF vendor and product in lower case.
pub(crate) const PRODUCT: &str = "towline";

/// Who ships, and from where: `agent.*`, `host.*`, `observer.*`, `dvchost`, syslog's HOSTNAME.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Agent {
    /// Random once, kept in the state directory.
    pub id: [u8; 16],
    /// Its name in the configuration; the host's where none is given.
    pub name: String,
    /// Version of the program.
    pub version: &'static str,
    /// Name of the machine it runs on.
    pub host_name: String,
    /// Addresses of that machine, loopback aside.
    pub host_ip: Vec<IpAddr>,
}

/// A wire schema, ready to write.
#[derive(Debug)]
pub enum Encoder {
    /// Elastic Common Schema, one JSON object an event.
    Ecs(Box<Ecs>),
    /// ArcSight Common Event Format, one line an event.
    Cef(Box<Cef>),
}

impl Encoder {
    /// Appends one event, without a line end. A sequence of 0 (a dry run) is not written.
    pub fn write(&self, sequence: Sequence, event: &Event<Shippable>, out: &mut Vec<u8>) {
        match self {
            Self::Ecs(ecs) => ecs.write(sequence, event, out),
            Self::Cef(cef) => cef.write(event, out),
        }
    }
}

/// The text of a span; empty for one that lies outside or cuts a character.
pub(crate) fn text(event: &Event<Shippable>, span: Span) -> &str {
    event.text.as_str().get(span.range()).unwrap_or_default()
}

/// The family of a kind's name: `xmpp` of `xmpp.auth_failure`.
pub(crate) fn family(kind: &str) -> &str {
    kind.split_once('.').map_or(kind, |(family, _)| family)
}

/// What a kind's name says happened: `auth_failure` of `xmpp.auth_failure`.
pub(crate) fn action(kind: &str) -> &str {
    kind.split_once('.').map_or(kind, |(_, action)| action)
}
