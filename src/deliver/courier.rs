//! The one loop that serves a destination: take, send, ack, back off. All couriers are this one; what differs is
//! their `Port`.
//!
//! ```text
//!  feed ─► desk ─► parcel ─► port ─► receiver
//!            ▲  (the next one is prepared while one is on its way)
//!            └──── window ◄── evidence: mark {acked, safe} on disk at most once a second
//! ```
//!
//! Invariants: a mark moves only on evidence; a dead letter is on disk before the mark passes it; nothing is given
//! up but what the receiver refuses for good. After a break or an unclean end, everything between `safe` and what
//! was sent goes again, marked as a replay. The mark on disk may be a second old, so after a crash up to a second's
//! events go twice without being marked; their `event.id` tells.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Settings,
    desk::{Desk, Size, aside},
    feed::{Feed, Mark},
    filter::Filter,
    parcel::{Parcel, Sent},
    port::Port,
    render::Render,
    retry::Retry,
    status::Status,
    stock::Stock,
    tell::Teller,
    trouble::Trouble,
    window::{Rewind, Tally, Window},
};
use tokio::{
    sync::{Notify, watch},
    time::{sleep, sleep_until},
};

use crate::{
    encode::{Agent, CefTable},
    spool::{DeadLetters, Spool},
};

/// A mark is written down at most this often, and at the end.
const SAVE_INTERVAL: Duration = Duration::from_secs(1);

/// `None`: go on. `Some(deadline)`: finish what is in hand, and be done by then.
pub type Stop = watch::Receiver<Option<Instant>>;

/// Serves one destination.
pub struct Courier {
    port: Port,
    limit: Duration,
    retry: Retry,
    window: Window,
    tally: Tally,
    /// Somewhere else while it works on a thread of its own.
    desk: Option<Box<Desk>>,
    /// The parcel on its way, and the one after it.
    hand: Option<Parcel>,
    ahead: Option<Parcel>,
    teller: Teller,
    /// Woken when the spool has something new.
    wake: Arc<Notify>,
    stop: Stop,
    /// What is on disk, and when it was written.
    saved: Mark,
    saved_at: Instant,
    /// There are new dead letters: the mark has to pass them before they could be written twice.
    urgent: bool,
}

/// What the agent gives a courier.
pub struct Supplies {
    /// Where events come from.
    pub spool: Arc<Spool>,
    /// Where those go that the receiver will never take.
    pub dead: DeadLetters,
    /// Who we are.
    pub agent: Agent,
    /// ECS field → CEF key.
    pub cef: Arc<CefTable>,
    /// See [`Stop`].
    pub stop: Stop,
}

/// What a courier is made of beside its settings.
pub(crate) struct Parts {
    pub(crate) feed: Box<dyn Feed>,
    pub(crate) render: Render,
    pub(crate) mark: Mark,
    pub(crate) wake: Arc<Notify>,
    pub(crate) stop: Stop,
}

/// Why the loop ends.
enum End {
    /// Somebody said so.
    Stop,
}

impl Courier {
    /// A courier that goes on where the destination's cursor says.
    ///
    /// # Errors
    /// When the settings cannot be used, or the cursor cannot be read; in words for an admin.
    pub fn new(settings: &Settings, supplies: Supplies) -> Result<Self, String> {
        let Supplies { spool, dead, agent, cef, stop } = supplies;
        let wake = Arc::new(Notify::new());
        // A courier that is gone must not be kept by the spool, which outlives a reload.
        let sleeper = Arc::downgrade(&wake);
        spool.subscribe(Box::new(move |_| {
            if let Some(wake) = sleeper.upgrade() {
                wake.notify_one();
            }
        }));
        let stock = Stock::open(spool, dead, &settings.name, settings.start);
        let stock = stock.map_err(|error| error.to_string())?;
        let (mark, render) = (stock.mark(), Render::of(settings, agent, cef));
        Self::assemble(settings, Parts { feed: Box::new(stock), render, mark, wake, stop })
    }

    /// A courier that goes on where `mark` says.
    pub(crate) fn assemble(settings: &Settings, parts: Parts) -> Result<Self, String> {
        let Parts { feed, render, mark, wake, stop } = parts;
        let port = Port::new(settings)?;
        let filter = Filter::new(&settings.kinds, settings.severity_min)?;
        let window = Window::new(port.doubt(), mark.safe, mark.acked);
        let rewind = Rewind { from: mark.safe, counted: mark.acked, replay: mark.acked };
        let size = Size {
            events_max: settings.batch_events_max.max(1),
            bytes_max: settings.batch_bytes_max.max(1),
        };
        let status = Arc::new(Status::default());
        status.saved(mark);
        status.at(mark, None);
        Ok(Self {
            port,
            limit: settings.timeout,
            retry: Retry::new(settings.retry_min, settings.retry_max),
            window,
            tally: mark.tally,
            desk: Some(Box::new(Desk::new(feed, filter, render, size, rewind))),
            hand: None,
            ahead: None,
            teller: Teller::new(&settings.name, status),
            wake,
            stop,
            saved: mark,
            saved_at: Instant::now(),
            urgent: false,
        })
    }

    /// What this courier tells of itself.
    #[must_use]
    pub fn status(&self) -> Arc<Status> {
        self.teller.status.clone()
    }

    /// Serves until told to stop. Returns how far it came.
    pub async fn run(mut self) -> Mark {
        while self.stop.borrow().is_none() {
            match self.turn().await {
                Ok(()) => {}
                Err(End::Stop) => break,
            }
        }
        self.finish().await
    }

    async fn turn(&mut self) -> Result<(), End> {
        self.collect().await?;
        self.settle().await?;
        self.save_when_due().await?;
        if self.hand.is_none() {
            self.hand = match self.ahead.take() {
                Some(parcel) => Some(parcel),
                None => self.prepare().await?,
            };
        }
        match self.hand.take() {
            Some(parcel) => self.deliver(parcel).await,
            None => self.idle().await,
        }
    }

    /// Sends a parcel; meanwhile the next one is prepared.
    async fn deliver(&mut self, mut parcel: Parcel) -> Result<(), End> {
        let sent = if parcel.items.is_empty() && parcel.refused.is_empty() {
            Sent::Taken
        } else {
            self.send(&mut parcel).await?
        };
        self.bury(&mut parcel).await?;
        match sent {
            Sent::Taken => {
                let now = Instant::now();
                self.window.sent(parcel.next, parcel.tally, self.port.written(), now);
                if self.port.proven() {
                    self.well();
                }
                Ok(())
            }
            Sent::Left(trouble) => {
                if self.port.proven() {
                    self.retry.succeeded();
                }
                self.hand = Some(parcel);
                self.pause(trouble).await
            }
            Sent::Broken(trouble) => {
                self.hand = Some(parcel);
                self.broke(trouble).await
            }
        }
    }

    async fn send(&mut self, parcel: &mut Parcel) -> Result<Sent, End> {
        let look_ahead = self.ahead.is_none();
        let desk = self.desk.take();
        let ahead = async {
            match desk {
                Some(desk) if look_ahead => match aside(desk, Desk::prepare).await {
                    Some((desk, ahead)) => (Some(desk), ahead),
                    None => (None, Ok(None)),
                },
                desk => (desk, Ok(None)),
            }
        };
        let deadline = passed(self.stop.clone());
        let sending = async {
            tokio::select! {
                sent = self.port.send(parcel) => Some(sent),
                () = deadline => None,
            }
        };
        let (sent, (desk, ahead)) = tokio::join!(sending, ahead);
        self.desk = desk;
        match ahead {
            Ok(Some(parcel)) => self.ahead = Some(parcel),
            Ok(None) => {}
            Err(trouble) => self.teller.later(&trouble),
        }
        sent.ok_or_else(|| {
            self.port.abandon();
            End::Stop
        })
    }

    /// Asks for evidence and moves the mark by it.
    async fn collect(&mut self) -> Result<(), End> {
        match self.port.evidence().await {
            Ok(bytes) => {
                let tally = self.window.acknowledge(bytes, Instant::now());
                self.tally.add(tally);
                self.teller.status.at(self.mark(), self.port.peer());
                if tally.shipped > 0 && self.port.proven() {
                    self.well();
                }
                Ok(())
            }
            Err(trouble) => self.broke(trouble).await,
        }
    }

    /// Ends the connection in order when the doubt about it holds too much of the spool.
    async fn settle(&mut self) -> Result<(), End> {
        if !self.window.holds_too_much(Instant::now()) || self.window.in_flight() {
            return Ok(());
        }
        if self.port.close((Instant::now() + self.limit).into()).await {
            self.window.ended();
            return Ok(());
        }
        self.broke(Trouble::grow("the receiver did not end its side of a connection that we ended"))
            .await
    }

    /// The connection is gone: everything in doubt goes again.
    async fn broke(&mut self, trouble: Trouble) -> Result<(), End> {
        let in_hand = self.hand.take().map(|parcel| parcel.next);
        self.ahead = None;
        let rewind = self.window.broke(in_hand);
        if rewind.from < rewind.replay {
            self.teller.status.replayed();
        }
        if let Some(desk) = &mut self.desk {
            desk.rewind(rewind);
        }
        self.teller.status.at(self.mark(), None);
        self.pause(trouble).await
    }

    /// Waits for something new, for evidence, for the time to save, or for the end.
    async fn idle(&mut self) -> Result<(), End> {
        let due = (self.mark() != self.saved).then(|| self.saved_at + SAVE_INTERVAL);
        let due = async {
            match due {
                Some(due) => sleep_until(due.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.wake.notified() => Ok(()),
            () = self.port.watch(self.window.in_flight()) => Ok(()),
            () = due => Ok(()),
            _ = self.stop.changed() => Err(End::Stop),
        }
    }

    async fn pause(&mut self, trouble: Trouble) -> Result<(), End> {
        let pause = self.retry.pause(trouble.pace);
        self.teller.trouble(&trouble, self.retry.tries(), pause);
        if self.stop.borrow().is_some() {
            return Err(End::Stop);
        }
        if pause.is_zero() {
            return Ok(());
        }
        tokio::select! {
            () = sleep(pause) => Ok(()),
            _ = self.stop.changed() => Err(End::Stop),
        }
    }

    fn well(&mut self) {
        self.teller.well(self.retry.tries(), self.port.peer());
        self.retry.succeeded();
    }

    async fn prepare(&mut self) -> Result<Option<Parcel>, End> {
        loop {
            match self.at_desk(|desk| desk.prepare()).await? {
                Ok(parcel) => return Ok(parcel),
                Err(trouble) => self.pause(Trouble::grow(trouble)).await?,
            }
        }
    }

    async fn bury(&mut self, parcel: &mut Parcel) -> Result<(), End> {
        if parcel.refused.is_empty() {
            return Ok(());
        }
        self.teller.refused(&parcel.refused);
        let mut refused = parcel.take_refused();
        loop {
            let (parcel_back, done) = self
                .at_desk(move |desk| {
                    let done = desk.bury(&mut refused);
                    (refused, done)
                })
                .await?;
            refused = parcel_back;
            match done {
                Ok(()) => break,
                Err(trouble) => self.pause(Trouble::grow(trouble)).await?,
            }
        }
        parcel.tally = refused.tally;
        self.urgent = true;
        Ok(())
    }

    fn mark(&self) -> Mark {
        Mark { acked: self.window.acked(), safe: self.window.safe(), tally: self.tally }
    }

    async fn save_when_due(&mut self) -> Result<(), End> {
        let mark = self.mark();
        let due = self.urgent || self.saved_at.elapsed() >= SAVE_INTERVAL;
        if mark == self.saved || !due {
            return Ok(());
        }
        self.urgent = false;
        self.save(mark).await
    }

    async fn save(&mut self, mark: Mark) -> Result<(), End> {
        self.saved_at = Instant::now();
        match self.at_desk(move |desk| desk.save(&mark)).await? {
            Ok(()) => {
                self.saved = mark;
                self.teller.status.saved(mark);
            }
            Err(trouble) => {
                let what = format!("how far delivery is could not be written down: {trouble}");
                self.teller.trouble(&Trouble::grow(what), 1, SAVE_INTERVAL);
            }
        }
        Ok(())
    }

    /// Lets the desk do something that may wait for a disk.
    async fn at_desk<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Desk) -> T + Send + 'static,
    ) -> Result<T, End> {
        let Some(desk) = self.desk.take() else { return Err(End::Stop) };
        let (desk, done) = aside(desk, work).await.ok_or(End::Stop)?;
        self.desk = Some(desk);
        Ok(done)
    }

    /// Waits for the last evidence, ends the connection in order, and writes the last mark.
    async fn finish(mut self) -> Mark {
        let deadline = self.stop.borrow().unwrap_or_else(Instant::now);
        while self.window.in_flight() && Instant::now() < deadline {
            if self.collect().await.is_err() {
                break;
            }
            tokio::select! {
                () = self.port.watch(self.window.in_flight()) => {}
                () = sleep_until(deadline.into()) => {}
            }
        }
        let clean = self.port.close(deadline.into()).await && !self.window.in_flight();
        if clean {
            self.window.ended();
        }
        let mark = self.mark();
        // The end of the loop: whatever is left undone is done by the next run.
        let _ = self.save(mark).await;
        self.teller.status.at(mark, None);
        mark
    }
}

/// Returns when the deadline of the stop has passed.
async fn passed(mut stop: Stop) {
    loop {
        let deadline = *stop.borrow_and_update();
        match deadline {
            Some(deadline) => return sleep_until(deadline.into()).await,
            None if stop.changed().await.is_err() => return std::future::pending().await,
            None => {}
        }
    }
}
