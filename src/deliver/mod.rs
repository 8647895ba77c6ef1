//! Batches of the spool → receivers, and what they answered. Knows sockets, TLS and acknowledgements; knows nothing
//! of files, mappings or how events came to be.

mod answer;
pub mod check;
pub mod courier;
mod desk;
mod dial;
mod elasticsearch;
pub mod feed;
mod filter;
mod http;
mod kernel;
mod parcel;
mod pem;
mod pin;
mod port;
pub mod trouble;
mod render;
mod retry;
pub mod status;
pub mod stock;
mod syslog;
mod tell;
mod tls;
mod udp;
pub mod window;

#[cfg(test)]
mod tests;

pub use self::{
    courier::{Courier, Stop, Supplies},
    status::{Status, View},
    stock::counts,
};
pub use crate::encode::syslog::Header;

use std::{fmt, path::PathBuf, time::Duration};

/// A secret: a password, key or token. Never printed, also not by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a secret in.
    #[must_use]
    pub fn new(secret: String) -> Self {
        Self(secret)
    }

    /// The secret itself, for the one place that sends it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// TLS towards a receiver. Verification is always on.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TlsSettings {
    /// PEM file of trust anchors; the system's where none.
    pub ca: Option<PathBuf>,
    /// PEM file of the client certificate and its chain.
    pub certificate: Option<PathBuf>,
    /// PEM file of the client certificate's key.
    pub key: Option<PathBuf>,
    /// Name to verify and to send (SNI) instead of the address's host.
    pub server_name: Option<String>,
    /// RFC 5425 fingerprints of the receiver's certificate, `sha-256:AA:BB…`; they replace the path check.
    pub fingerprints: Vec<String>,
}

/// How syslog messages travel.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Transport {
    /// RFC 5425: TLS, octet counting.
    #[default]
    Tls,
    /// RFC 6587 octet counting without TLS.
    Tcp,
    /// RFC 5426, one message a datagram. Lossy by nature.
    Udp,
}

/// How an event is written into a syslog message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Schema {
    /// ArcSight Common Event Format.
    #[default]
    Cef,
    /// ECS JSON.
    Ecs,
}

/// A syslog destination.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SyslogSettings {
    /// `host:port`, tried in order.
    pub address: Vec<String>,
    /// See [`Transport`].
    pub transport: Transport,
    /// See [`Header`].
    pub header: Header,
    /// See [`Schema`].
    pub schema: Schema,
    /// `CEF:0` or `CEF:1`.
    pub cef_version: u8,
    /// Whole messages longer than this are cut, structured data kept whole.
    pub message_bytes_max: usize,
    /// Syslog facility, 0–23.
    pub facility: u8,
    /// SD-ID of our structured data, `name@enterprise-number`.
    pub sd_id: String,
    /// TLS, with [`Transport::Tls`].
    pub tls: TlsSettings,
}

/// How an Elasticsearch destination knows us.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Credentials {
    /// Nothing is sent.
    #[default]
    None,
    /// HTTP Basic.
    Basic {
        /// User name.
        user: String,
        /// Password.
        password: Secret,
    },
    /// `Authorization: ApiKey …` (the encoded form).
    ApiKey(Secret),
}

/// An Elasticsearch or OpenSearch destination.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ElasticsearchSettings {
    /// Base URLs, tried in order.
    pub urls: Vec<String>,
    /// Data stream that takes the events.
    pub data_stream: String,
    /// See [`Credentials`].
    pub credentials: Credentials,
    /// gzip request bodies.
    pub gzip: bool,
    /// TLS, with `https://`.
    pub tls: TlsSettings,
}

/// Where a destination leads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Syslog in its forms.
    Syslog(SyslogSettings),
    /// `_bulk` of Elasticsearch or OpenSearch.
    Elasticsearch(ElasticsearchSettings),
}

/// Where a destination that is new to the spool begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Begin {
    /// With the oldest event kept.
    #[default]
    Oldest,
    /// With the next event.
    Now,
}

/// A configured receiver.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Its name in the configuration.
    pub name: String,
    /// Where it leads.
    pub kind: Kind,
    /// Event kinds it takes, as globs (`xmpp.*`); empty: all.
    pub kinds: Vec<String>,
    /// Smallest severity it takes, 0–10.
    pub severity_min: u8,
    /// See [`Begin`].
    pub start: Begin,
    /// Events in a batch, at most.
    pub batch_events_max: usize,
    /// Bytes of a batch as encoded, about at most.
    pub batch_bytes_max: usize,
    /// First and longest pause between tries.
    pub retry_min: Duration,
    /// See `retry_min`.
    pub retry_max: Duration,
    /// How long one connect, write or answer may take.
    pub timeout: Duration,
}
