//! Syslog over UDP (RFC 5426): one message a datagram, to the first address that resolves.
//!
//! Lossy by nature: a datagram counts when our kernel has taken it. An ICMP "port unreachable" of an earlier one
//! is the only thing that is ever heard of a receiver; it makes us wait, and what was lost before stays lost.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{net::UdpSocket, time::timeout};

use super::{
    SyslogSettings,
    dial::{self, Address},
    parcel::{Parcel, Refused, Sent},
    syslog::join,
    trouble::Trouble,
};

/// The largest payload of a UDP datagram over IPv4.
const DATAGRAM_BYTES_MAX: usize = 65_507;

/// Sends datagrams.
pub(crate) struct Sender {
    addresses: Vec<Address>,
    limit: Duration,
    line: Option<(UdpSocket, Address)>,
}

impl Sender {
    /// A sender; nothing is resolved yet.
    pub(crate) fn new(settings: &SyslogSettings, limit: Duration) -> Result<Self, String> {
        let addresses = settings.address.iter().map(|a| Address::parse(a, Some(514)));
        let addresses = addresses.collect::<Result<Vec<_>, _>>()?;
        if addresses.is_empty() {
            return Err("the destination has no address".into());
        }
        Ok(Self { addresses, limit, line: None })
    }

    /// Sends what is left of a parcel, each item as a datagram.
    pub(crate) async fn send(&mut self, parcel: &mut Parcel) -> Sent {
        if let Err(trouble) = self.connect().await {
            return Sent::Left(trouble);
        }
        let Some((socket, address)) = self.line.take() else {
            return Sent::Left(Trouble::grow("not connected"));
        };
        let items = std::mem::take(&mut parcel.items);
        for (n, item) in items.iter().enumerate() {
            let trouble = match timeout(self.limit, datagram(&socket, parcel.slice(item))).await {
                Ok(Ok(())) => continue,
                Ok(Err(error)) if error.raw_os_error() == Some(TOO_LONG) => {
                    let reason =
                        "longer than a datagram may be; set message_bytes_max lower".into();
                    parcel.refused.push(Refused { item: *item, status: 0, reason });
                    continue;
                }
                Ok(Err(error)) => dial::explain(&error, &address, None),
                Err(_) => Trouble::grow(format!("{address}: the network takes nothing")),
            };
            // The socket is given up: the name may lead elsewhere by now.
            parcel.items.extend_from_slice(&items[n..]);
            return Sent::Left(trouble);
        }
        self.line = Some((socket, address));
        Sent::Taken
    }

    /// Where datagrams go.
    pub(crate) fn peer(&self) -> Option<String> {
        self.line.as_ref().map(|(_, address)| address.to_string())
    }

    /// Resolves the name and takes a socket, unless there is one.
    pub(crate) async fn connect(&mut self) -> Result<(), Trouble> {
        if self.line.is_some() {
            return Ok(());
        }
        let mut troubles = Vec::new();
        for address in &self.addresses {
            match open(address, self.limit).await {
                Ok(socket) => {
                    self.line = Some((socket, address.clone()));
                    return Ok(());
                }
                Err(trouble) => troubles.push(trouble),
            }
        }
        Err(join(troubles))
    }
}

/// `EMSGSIZE` of Linux.
const TOO_LONG: i32 = rustix::io::Errno::MSGSIZE.raw_os_error();

async fn datagram(socket: &UdpSocket, bytes: &[u8]) -> io::Result<()> {
    if bytes.len() > DATAGRAM_BYTES_MAX {
        return Err(io::Error::from_raw_os_error(TOO_LONG));
    }
    socket.send(bytes).await.map(|_| ())
}

async fn open(address: &Address, limit: Duration) -> Result<UdpSocket, Trouble> {
    let failed = |error: io::Error| Trouble::grow(format!("{address}: {error}"));
    let peers = dial::resolve(address, limit).await?;
    let Some(peer) = peers.first() else {
        return Err(Trouble::grow(format!("{address}: the name has no address")));
    };
    let local: SocketAddr = match peer {
        SocketAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
        SocketAddr::V6(_) => ([0u16; 8], 0).into(),
    };
    let socket = UdpSocket::bind(local).await.map_err(failed)?;
    socket.connect(peer).await.map_err(failed)?;
    Ok(socket)
}
