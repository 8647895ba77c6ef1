//! Couriers against strict receivers on loopback, with a feed in memory. `feed` is the spool's stand-in, `syslog`
//! and `bulk` are receivers that refuse whatever is not exactly right, `certs` makes certificates on the spot.

mod bulk;
mod certs;
mod check;
mod elasticsearch;
mod feed;
mod speed;
mod spool;
mod syslog;
mod tls;
mod udp;

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
};

use self::feed::{Numbers, Shelf};
use super::{
    Begin, Header, Kind, Schema, Settings, SyslogSettings, TlsSettings, Transport,
    courier::{Courier, Parts},
    feed::Mark,
    render::{Framing, Render},
    status::Status,
};

/// Nothing in these tests takes this long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// A courier at work, and what it works on.
struct Running {
    shelf: Shelf,
    status: Arc<Status>,
    wake: Arc<Notify>,
    stop: watch::Sender<Option<Instant>>,
    done: JoinHandle<Mark>,
}

impl Running {
    /// Starts a courier over a shelf, where the shelf's mark says.
    fn start(settings: &Settings, shelf: Shelf) -> Self {
        let framing = match &settings.kind {
            Kind::Syslog(s) if s.transport == Transport::Udp => Framing::Bare,
            Kind::Syslog(_) => Framing::Counted,
            Kind::Elasticsearch(_) => Framing::Create,
        };
        let (stop, stopped) = watch::channel(None);
        let wake = Arc::new(Notify::new());
        let parts = Parts {
            feed: Box::new(shelf.reader()),
            render: Render::new(Box::new(Numbers { json: framing == Framing::Create }), framing),
            mark: shelf.mark(),
            wake: wake.clone(),
            stop: stopped,
        };
        let courier = Courier::assemble(settings, parts).unwrap();
        let status = courier.status();
        Self { shelf, status, wake, stop, done: tokio::spawn(courier.run()) }
    }

    /// Puts more events on the shelf.
    fn add(&self, count: u64) {
        self.shelf.add(count);
        self.wake.notify_one();
    }

    /// Waits until everything on the shelf is in the books.
    async fn delivered(&self) {
        let next = self.shelf.next();
        until("everything is delivered", || self.status.view().mark.acked == next).await;
    }

    /// Stops in order.
    async fn stop(self) -> (Shelf, Mark) {
        let begun = Instant::now();
        let _ = self.stop.send(Some(begun + Duration::from_secs(10)));
        let mark = within("the courier stops", self.done).await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(8), "it waited for the deadline");
        (self.shelf, mark)
    }

    /// Stops as SIGKILL does: nothing is written down any more.
    async fn kill(self) -> Shelf {
        self.done.abort();
        let _ = self.done.await;
        self.shelf
    }
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    within(what, async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(done) => done,
        Err(_) => panic!("waited too long until {what}"),
    }
}

fn settings(kind: Kind) -> Settings {
    Settings {
        name: "siem".into(),
        kind,
        kinds: vec![],
        severity_min: 0,
        start: Begin::Oldest,
        batch_events_max: 100,
        batch_bytes_max: 64 << 10,
        retry_min: Duration::from_millis(5),
        retry_max: Duration::from_millis(50),
        timeout: Duration::from_secs(5),
    }
}

fn syslog_settings(address: Vec<String>, transport: Transport, tls: TlsSettings) -> Settings {
    settings(Kind::Syslog(SyslogSettings {
        address,
        transport,
        header: Header::Rfc5424,
        schema: Schema::Cef,
        cef_version: 1,
        message_bytes_max: 8192,
        facility: 16,
        sd_id: "towline@32473".into(),
        tls,
    }))
}
