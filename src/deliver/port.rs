//! A destination's transport behind one face, for the courier.

use super::{
    Kind, Settings, Transport, elasticsearch,
    parcel::{Parcel, Sent},
    syslog,
    trouble::Trouble,
    udp,
    window::Doubt,
};

/// How parcels leave.
pub(crate) enum Port {
    /// Syslog over TLS or TCP.
    Stream(syslog::Sender),
    /// Syslog over UDP.
    Datagram(udp::Sender),
    /// `_bulk`.
    Bulk(Box<elasticsearch::Sender>),
}

impl Port {
    /// The transport of a destination; nothing is connected yet.
    pub(crate) fn new(settings: &Settings) -> Result<Self, String> {
        let limit = settings.timeout;
        Ok(match &settings.kind {
            Kind::Syslog(syslog) if syslog.transport == Transport::Udp => {
                Self::Datagram(udp::Sender::new(syslog, limit)?)
            }
            Kind::Syslog(syslog) => Self::Stream(syslog::Sender::new(syslog, limit)?),
            Kind::Elasticsearch(search) => {
                let bytes_max = settings.batch_bytes_max;
                Self::Bulk(Box::new(elasticsearch::Sender::new(search, bytes_max, limit)?))
            }
        })
    }

    /// How long what was acknowledged stays in doubt.
    pub(crate) fn doubt(&self) -> Doubt {
        match self {
            Self::Stream(_) => Doubt::Window,
            Self::Datagram(_) | Self::Bulk(_) => Doubt::None,
        }
    }

    /// Sends what is left of a parcel.
    pub(crate) async fn send(&mut self, parcel: &mut Parcel) -> Sent {
        match self {
            Self::Stream(sender) => sender.send(&parcel.bytes).await,
            Self::Datagram(sender) => sender.send(parcel).await,
            Self::Bulk(sender) => sender.send(parcel).await,
        }
    }

    /// Where the connection leads, if there is one.
    pub(crate) fn peer(&self) -> Option<String> {
        match self {
            Self::Stream(sender) => sender.peer(),
            Self::Datagram(sender) => sender.peer(),
            Self::Bulk(sender) => sender.peer(),
        }
    }

    /// Bytes that went into the connection, as far as evidence is counted in bytes.
    pub(crate) fn written(&self) -> u64 {
        match self {
            Self::Stream(sender) => sender.written(),
            Self::Datagram(_) | Self::Bulk(_) => 0,
        }
    }

    /// Bytes of the connection that have evidence. An error is the end of the connection.
    pub(crate) async fn evidence(&mut self) -> Result<u64, Trouble> {
        match self {
            Self::Stream(sender) => sender.evidence().await,
            Self::Datagram(_) | Self::Bulk(_) => Ok(0),
        }
    }

    /// Whether the receiver has shown that it is well.
    pub(crate) fn proven(&self) -> bool {
        match self {
            Self::Stream(sender) => sender.proven(),
            Self::Datagram(_) => true,
            Self::Bulk(sender) => sender.proven(),
        }
    }

    /// Returns when there is a reason to ask for evidence.
    pub(crate) async fn watch(&mut self, in_flight: bool) {
        match self {
            Self::Stream(sender) => sender.watch(in_flight).await,
            Self::Datagram(_) | Self::Bulk(_) => std::future::pending().await,
        }
    }

    /// Lets go of a connection in the middle of something.
    pub(crate) fn abandon(&mut self) {
        match self {
            Self::Stream(sender) => sender.abandon(),
            Self::Datagram(_) => {}
            Self::Bulk(sender) => sender.close(),
        }
    }

    /// Ends the connection in order; true when nothing that was sent is in doubt any more.
    pub(crate) async fn close(&mut self, deadline: tokio::time::Instant) -> bool {
        match self {
            Self::Stream(sender) => sender.close(deadline).await,
            Self::Datagram(_) => true,
            Self::Bulk(sender) => {
                sender.close();
                true
            }
        }
    }
}
