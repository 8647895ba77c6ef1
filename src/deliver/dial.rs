//! Address → connection: name resolution, TCP, TLS, each with its time limit and an error for an admin.
//!
//! Names are resolved anew for each connection, so a receiver that moves is found again.

use std::{
    fmt, io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use rustls::ProtocolVersion;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{TlsSettings, kernel, tls, trouble::Trouble};

/// When a silent connection is probed, how often and how many times: a peer that vanished is noticed in two minutes.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_PROBES: u32 = 6;

/// How long a TLS 1.3 receiver gets to refuse our certificate after the handshake. With TLS 1.3 the handshake is
/// over for us before the receiver has looked at the certificate; most receivers speak at once when they accept
/// (a session ticket) and all do when they refuse.
const REFUSAL_WAIT: Duration = Duration::from_millis(250);

/// `host:port`, `address:port` or `[v6]:port`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Address {
    /// Reads an address; `port` is for those that name none.
    pub(crate) fn parse(text: &str, port: Option<u16>) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is no address; write host:port, or [address]:port for IPv6");
        let bare_v6 = text.matches(':').count() > 1 && !text.starts_with('[');
        let (host, said) = match text.rsplit_once(':') {
            Some((host, said)) if !said.ends_with(']') && !bare_v6 => (host, Some(said)),
            _ => (text, None),
        };
        let port = match said {
            Some(said) => Some(said.parse().map_err(|_| wrong())?),
            None => port,
        };
        let host = match host.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']').ok_or_else(wrong)?,
            None => host,
        };
        match port {
            Some(port) if !host.is_empty() && port > 0 => Ok(Self { host: host.into(), port }),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// A TCP connection that counts its bytes.
pub(crate) struct Counted {
    tcp: TcpStream,
    /// Bytes that the kernel took.
    pub(crate) written: u64,
    /// Bytes that came.
    pub(crate) read: u64,
}

/// A connection to a receiver.
pub(crate) enum Wire {
    /// TCP.
    Plain(Counted),
    /// TLS over TCP.
    Tls(Box<TlsStream<Counted>>),
}

impl Wire {
    /// Connects.
    pub(crate) async fn dial(
        address: &Address,
        tls: Option<&TlsSettings>,
        limit: Duration,
    ) -> Result<Self, Trouble> {
        let config = match tls {
            Some(settings) => Some((client(settings).await?, settings)),
            None => None,
        };
        let tcp = connect(address, limit).await?;
        let counted = Counted { tcp, written: 0, read: 0 };
        let Some((config, settings)) = config else { return Ok(Self::Plain(counted)) };
        let name = tls::server_name(settings, &address.host)
            .map_err(|e| Trouble::slow(format!("{address}: {e}")))?;
        let handshake = TlsConnector::from(config).connect(name, counted);
        match timeout(limit, handshake).await {
            Ok(Ok(mut stream)) => {
                stream.get_mut().1.set_buffer_limit(Some(tls::BUFFER_BYTES_MAX));
                Ok(Self::Tls(Box::new(stream)))
            }
            Ok(Err(error)) => Err(explain(&error, address, Some(settings))),
            Err(_) => Err(Trouble::grow(format!(
                "{address}: no TLS handshake within {limit:?}: is this the port of its TLS listener?"
            ))),
        }
    }

    /// The connection below, with its counters.
    pub(crate) fn counted(&self) -> &Counted {
        match self {
            Self::Plain(counted) => counted,
            Self::Tls(stream) => stream.get_ref().0,
        }
    }

    /// The connection in words: protocol, cipher, and the peer's address.
    pub(crate) fn describe(&self) -> String {
        let peer = self.counted().tcp.peer_addr().map_or_else(|_| "?".into(), |p| p.to_string());
        let Self::Tls(stream) = self else { return format!("TCP ({peer})") };
        let session = stream.get_ref().1;
        let version = match session.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
            _ => "TLS 1.2",
        };
        let suite = session.negotiated_cipher_suite().and_then(|s| s.suite().as_str());
        format!("{version}, {} ({peer})", suite.unwrap_or("unknown cipher"))
    }

    /// Bytes that the peer's kernel has acknowledged.
    pub(crate) fn acknowledged(&self) -> io::Result<u64> {
        let counted = self.counted();
        Ok(counted.written.saturating_sub(kernel::unacknowledged(&counted.tcp)?))
    }

    /// What the kernel sees on the read side, see [`kernel::read_side`].
    pub(crate) fn read_side(&self) -> io::Result<kernel::ReadSide> {
        kernel::read_side(&self.counted().tcp)
    }

    /// Takes what the peer says, up to where it is quiet. A syslog receiver has nothing to say but its end.
    pub(crate) fn poll_quiet(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let mut scratch = [0u8; 512];
        // A peer that talks without end must not keep us from writing.
        for _ in 0..64 {
            let mut buffer = ReadBuf::new(&mut scratch);
            match Pin::new(&mut *self).poll_read(cx, &mut buffer) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                Poll::Ready(Ok(())) => {}
            }
        }
        cx.waker().wake_by_ref();
        Ok(())
    }

    /// Gives the receiver the time to refuse us after the handshake, see [`REFUSAL_WAIT`].
    pub(crate) async fn settle(&mut self) -> io::Result<()> {
        let late = match self {
            Self::Plain(_) => false,
            Self::Tls(s) => s.get_ref().1.protocol_version() == Some(ProtocolVersion::TLSv1_3),
        };
        if !late {
            return Ok(());
        }
        let before = self.counted().read;
        let spoke = std::future::poll_fn(|cx| match self.poll_quiet(cx) {
            Err(error) => Poll::Ready(Err(error)),
            Ok(()) if self.counted().read > before => Poll::Ready(Ok(())),
            Ok(()) => Poll::Pending,
        });
        timeout(REFUSAL_WAIT, spoke).await.unwrap_or(Ok(()))
    }
}

/// Reads certificate files on a thread that may wait for a disk.
async fn client(settings: &TlsSettings) -> Result<std::sync::Arc<rustls::ClientConfig>, Trouble> {
    let settings = settings.clone();
    tokio::task::spawn_blocking(move || tls::client(&settings))
        .await
        .map_err(|_| Trouble::grow("the runtime is stopping"))?
        .map_err(Trouble::slow)
}

async fn connect(address: &Address, limit: Duration) -> Result<TcpStream, Trouble> {
    let mut last = None;
    for peer in resolve(address, limit).await? {
        match timeout(limit, TcpStream::connect(peer)).await {
            Ok(Ok(tcp)) => {
                prepare(&tcp);
                return Ok(tcp);
            }
            Ok(Err(error)) => last = Some(unreachable(address, peer, &error)),
            Err(_) => {
                last = Some(format!(
                    "{address} ({}): no answer within {limit:?}: is a firewall in between?",
                    peer.ip()
                ));
            }
        }
    }
    Err(Trouble::grow(last.unwrap_or_else(|| format!("{address}: the name has no address"))))
}

/// All addresses of a host, as the system resolves it now.
pub(crate) async fn resolve(
    address: &Address,
    limit: Duration,
) -> Result<Vec<SocketAddr>, Trouble> {
    let found = timeout(limit, tokio::net::lookup_host((address.host.as_str(), address.port)));
    match found.await {
        Ok(Ok(found)) => Ok(found.collect()),
        Ok(Err(error)) => Err(Trouble::grow(format!(
            "{address}: the name cannot be resolved: {error}; check its spelling and this machine's DNS"
        ))),
        Err(_) => Err(Trouble::grow(format!("{address}: DNS does not answer within {limit:?}"))),
    }
}

fn unreachable(address: &Address, peer: SocketAddr, error: &io::Error) -> String {
    let hint = match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            ": nothing listens there; is the receiver running, and is the port right?"
        }
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            ": no route; check the network"
        }
        _ => "",
    };
    match address.host == peer.ip().to_string() {
        true => format!("{address}: {error}{hint}"),
        false => format!("{address} ({}): {error}{hint}", peer.ip()),
    }
}

/// Options that help but that nothing depends on.
fn prepare(tcp: &TcpStream) {
    use rustix::net::sockopt;
    let _ = tcp.set_nodelay(true);
    let _ = sockopt::set_socket_keepalive(tcp, true);
    let _ = sockopt::set_tcp_keepidle(tcp, KEEPALIVE_IDLE);
    let _ = sockopt::set_tcp_keepintvl(tcp, KEEPALIVE_INTERVAL);
    let _ = sockopt::set_tcp_keepcnt(tcp, KEEPALIVE_PROBES);
}

/// What an error of a connection means.
pub(crate) fn explain(
    error: &io::Error,
    address: &Address,
    settings: Option<&TlsSettings>,
) -> Trouble {
    let inner = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
    if let (Some(inner), Some(settings)) = (inner, settings) {
        let what = format!("{address}: {}", tls::explain(inner, settings, &address.host));
        return match tls::needs_a_person(inner) {
            true => Trouble::slow(what),
            false => Trouble::grow(what),
        };
    }
    Trouble::grow(match error.kind() {
        io::ErrorKind::UnexpectedEof => format!("{address}: the receiver closed the connection"),
        io::ErrorKind::ConnectionReset => format!("{address}: the receiver reset the connection"),
        io::ErrorKind::BrokenPipe => format!("{address}: the connection is closed"),
        _ => format!("{address}: {error}"),
    })
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.tcp).poll_read(cx, buffer);
        self.read += (buffer.filled().len() - before) as u64;
        polled
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.tcp).poll_write(cx, bytes);
        self.note(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.tcp).poll_write_vectored(cx, slices);
        self.note(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

impl Counted {
    fn note(&mut self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(n)) = &polled {
            self.written += *n as u64;
        }
        polled
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_read(cx, buffer),
            Self::Tls(io) => Pin::new(io).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_write(cx, bytes),
            Self::Tls(io) => Pin::new(io).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_write_vectored(cx, slices),
            Self::Tls(io) => Pin::new(io).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(io) => io.is_write_vectored(),
            Self::Tls(io) => io.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_flush(cx),
            Self::Tls(io) => Pin::new(io).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_shutdown(cx),
            Self::Tls(io) => Pin::new(io).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_with_their_ports() {
        let read = |text| Address::parse(text, Some(6514)).map(|a| a.to_string());
        assert_eq!(read("siem:514").unwrap(), "siem:514");
        assert_eq!(read("siem").unwrap(), "siem:6514");
        assert_eq!(read("[::1]:514").unwrap(), "[::1]:514");
        assert_eq!(read("[::1]").unwrap(), "[::1]:6514");
        assert_eq!(read("::1").unwrap(), "[::1]:6514");
        assert_eq!(read("10.1.2.3:1").unwrap(), "10.1.2.3:1");
        for wrong in ["", ":514", "siem:", "siem:x", "siem:70000", "siem:0", "[::1:514"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert!(Address::parse("siem", None).is_err());
    }
}
