//! Syslog over TLS (RFC 5425) and TCP (RFC 6587): octet-counted messages, several addresses in order, and the
//! evidence by which a batch counts.
//!
//! Syslog has no acknowledgement. A batch counts when TLS has nothing left to write, the peer's kernel has
//! acknowledged its last byte, and the read side, asked after that, is quiet. The read side is watched at all
//! times: a TLS 1.3 receiver that refuses our certificate says so only there. Any close that we did not begin
//! breaks the connection, and `window` says what is sent again. A middlebox that ends TLS voids the evidence.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use tokio::{
    io::AsyncWrite,
    time::{sleep, timeout, timeout_at},
};

use super::{
    SyslogSettings, TlsSettings, Transport,
    dial::{self, Address, Wire},
    kernel::ReadSide,
    parcel::Sent,
    trouble::{Pace, Trouble},
    window::REPLAY_AGE,
};

/// How often to look for evidence while waiting: first, and at most.
const LOOK_MIN: Duration = Duration::from_millis(1);
const LOOK_MAX: Duration = Duration::from_millis(50);

/// A connection in use.
struct Line {
    wire: Wire,
    address: Address,
    since: Instant,
    /// When the peer last took something.
    heard: Instant,
    /// Bytes of ours that have evidence.
    acknowledged: u64,
}

/// Sends octet-counted messages to the first address that answers.
pub(crate) struct Sender {
    addresses: Vec<Address>,
    tls: Option<TlsSettings>,
    limit: Duration,
    /// Where the next attempt begins.
    first: usize,
    line: Option<Line>,
}

impl Sender {
    /// A sender; nothing is connected yet.
    pub(crate) fn new(settings: &SyslogSettings, limit: Duration) -> Result<Self, String> {
        let tls = (settings.transport == Transport::Tls).then(|| settings.tls.clone());
        let port = Some(if tls.is_some() { 6514 } else { 514 });
        let addresses = settings.address.iter().map(|a| Address::parse(a, port));
        let addresses = addresses.collect::<Result<Vec<_>, _>>()?;
        if addresses.is_empty() {
            return Err("the destination has no address".into());
        }
        Ok(Self { addresses, tls, limit, first: 0, line: None })
    }

    /// Writes a whole batch, connecting first where needed.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Sent {
        if self.line.is_none()
            && let Err(trouble) = self.connect().await
        {
            return Sent::Left(trouble);
        }
        match self.write(bytes).await {
            Ok(()) => Sent::Taken,
            Err(trouble) => Sent::Broken(trouble),
        }
    }

    /// Where the connection leads, if there is one.
    pub(crate) fn peer(&self) -> Option<String> {
        self.line.as_ref().map(|line| line.address.to_string())
    }

    /// The connection in words.
    pub(crate) fn describe(&self) -> String {
        self.line.as_ref().map_or_else(|| "nothing".into(), |line| line.wire.describe())
    }

    /// Whether the connection has outlived the time in which a refusal or a crash would have shown.
    pub(crate) fn proven(&self) -> bool {
        self.line.as_ref().is_some_and(|l| l.since.elapsed() >= REPLAY_AGE && l.acknowledged > 0)
    }

    /// Bytes that went into the connection.
    pub(crate) fn written(&self) -> u64 {
        self.line.as_ref().map_or(0, |line| line.wire.counted().written)
    }

    /// Bytes of the connection that have evidence.
    pub(crate) async fn evidence(&mut self) -> Result<u64, Trouble> {
        let limit = self.limit;
        let Some(line) = &mut self.line else { return Ok(0) };
        let looked = poll_fn(|cx| Poll::Ready(line.look(cx, limit))).await;
        match looked {
            Ok(bytes) => {
                if self.proven() {
                    self.first = 0;
                }
                Ok(bytes)
            }
            Err(error) => Err(self.broke(&error)),
        }
    }

    /// Returns when there is a reason to ask for evidence: new evidence, or the end of the connection.
    pub(crate) async fn watch(&mut self, in_flight: bool) {
        let Some(line) = &mut self.line else { return std::future::pending().await };
        let before = line.acknowledged;
        let mut pause = LOOK_MIN;
        loop {
            let ended = poll_fn(|cx| match line.wire.poll_quiet(cx) {
                Ok(()) => Poll::Pending,
                Err(_) => Poll::Ready(()),
            });
            if !in_flight {
                return ended.await;
            }
            if timeout(pause, ended).await.is_ok() {
                return;
            }
            let waited_long = line.heard.elapsed() >= self.limit;
            if waited_long || line.wire.acknowledged().map_or(true, |now| now > before) {
                return;
            }
            pause = (pause * 2).min(LOOK_MAX);
        }
    }

    /// Ends the connection in order. True when the receiver ended its side too, which says that it has read
    /// everything that this connection carried.
    pub(crate) async fn close(&mut self, deadline: tokio::time::Instant) -> bool {
        let Some(mut line) = self.line.take() else { return true };
        let closing = async {
            poll_fn(|cx| Pin::new(&mut line.wire).poll_shutdown(cx)).await?;
            poll_fn(|cx| match line.wire.poll_quiet(cx) {
                Ok(()) => Poll::Pending,
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
                Err(error) => Poll::Ready(Err(error)),
            })
            .await?;
            while line.wire.acknowledged()? < line.wire.counted().written {
                sleep(LOOK_MIN).await;
            }
            io::Result::Ok(())
        };
        matches!(timeout_at(deadline, closing).await, Ok(Ok(())))
    }

    /// Lets go of the connection without a word: half a message may have been written.
    pub(crate) fn abandon(&mut self) {
        self.line = None;
    }

    /// Connects to the first address that answers and does not refuse us.
    pub(crate) async fn connect(&mut self) -> Result<(), Trouble> {
        let mut troubles = Vec::new();
        for n in 0..self.addresses.len() {
            let at = (self.first + n) % self.addresses.len();
            match self.try_address(at).await {
                Ok(line) => {
                    self.line = Some(line);
                    self.first = at;
                    return Ok(());
                }
                Err(trouble) => troubles.push(trouble),
            }
        }
        Err(join(troubles))
    }

    async fn try_address(&self, at: usize) -> Result<Line, Trouble> {
        let address = self.addresses[at].clone();
        let mut wire = Wire::dial(&address, self.tls.as_ref(), self.limit).await?;
        wire.settle().await.map_err(|error| self.refused(&error, &address))?;
        let now = Instant::now();
        Ok(Line { wire, address, since: now, heard: now, acknowledged: 0 })
    }

    /// A close right after the handshake is a refusal, whether it comes with an alert or without.
    fn refused(&self, error: &io::Error, address: &Address) -> Trouble {
        let mut trouble = dial::explain(error, address, self.tls.as_ref());
        if error.get_ref().is_none() {
            trouble.pace = Pace::Slow;
            trouble.what += match self.tls.as_ref().and_then(|t| t.certificate.as_ref()) {
                Some(_) => {
                    " right after the TLS handshake: it probably refuses our client certificate (its log says why)"
                }
                None => {
                    " right after the TLS handshake: it probably wants a client certificate (tls.certificate, tls.key)"
                }
            };
        }
        trouble
    }

    /// Writes everything and leaves nothing in TLS. Each step may take as long as the time limit.
    async fn write(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        let Some(line) = &mut self.line else { return Err(Trouble::grow("not connected")) };
        let mut done = 0;
        loop {
            let step = poll_fn(|cx| line.poll_step(cx, &bytes[done..]));
            match timeout(self.limit, step).await {
                Ok(Ok(0)) => return Ok(()),
                Ok(Ok(n)) => {
                    done += n;
                    line.heard = Instant::now();
                }
                Ok(Err(error)) => return Err(self.broke(&error)),
                Err(_) => {
                    let text = format!("the receiver took nothing for {:?}", self.limit);
                    return Err(self.broke(&io::Error::new(io::ErrorKind::TimedOut, text)));
                }
            }
        }
    }

    /// Gives the connection up. One that broke before it was proven makes the next address the first.
    fn broke(&mut self, error: &io::Error) -> Trouble {
        let proven = self.proven();
        let Some(line) = self.line.take() else { return Trouble::grow("not connected") };
        if !proven {
            self.first = (self.first + 1) % self.addresses.len();
        }
        dial::explain(error, &line.address, self.tls.as_ref())
    }
}

impl Line {
    /// One step of writing: how many bytes were taken, 0 when all are taken and flushed.
    fn poll_step(&mut self, cx: &mut Context<'_>, rest: &[u8]) -> Poll<io::Result<usize>> {
        self.wire.poll_quiet(cx)?;
        if rest.is_empty() {
            ready!(Pin::new(&mut self.wire).poll_flush(cx))?;
            return Poll::Ready(Ok(0));
        }
        match ready!(Pin::new(&mut self.wire).poll_write(cx, rest))? {
            0 => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            n => Poll::Ready(Ok(n)),
        }
    }

    /// How far the evidence goes. The order matters: first what is acknowledged, then whether the read side is
    /// quiet, asked of the kernel itself; a reset empties the send queue, and must not look like an answer.
    fn look(&mut self, cx: &mut Context<'_>, limit: Duration) -> io::Result<u64> {
        let acknowledged = self.wire.acknowledged()?;
        self.wire.poll_quiet(cx)?;
        match self.wire.read_side()? {
            ReadSide::Quiet => {}
            // What it says has to go through TLS before we know whether it is the end.
            ReadSide::Speaks => return Ok(self.acknowledged),
            ReadSide::Closed => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
        let now = Instant::now();
        if acknowledged > self.acknowledged || acknowledged == self.wire.counted().written {
            self.acknowledged = acknowledged;
            self.heard = now;
        } else if now.duration_since(self.heard) >= limit {
            let text = format!("the receiver has acknowledged nothing for {limit:?}");
            return Err(io::Error::new(io::ErrorKind::TimedOut, text));
        }
        Ok(self.acknowledged)
    }
}

/// One trouble out of those of all addresses.
pub(super) fn join(troubles: Vec<Trouble>) -> Trouble {
    let all_slow = troubles.iter().all(|p| p.pace == Pace::Slow);
    let what = troubles.iter().map(|p| p.what.as_str()).collect::<Vec<_>>().join("; ");
    if all_slow { Trouble::slow(what) } else { Trouble::grow(what) }
}
