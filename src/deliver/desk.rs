//! The courier's desk: takes batches from the feed, filters and renders them into parcels, and writes down what
//! became of them. Synchronous: it may wait for a disk, so the courier lets it work on a thread for that.

use std::sync::Arc;

use bytes::Bytes;
use tracing::error;

use super::{
    feed::{Feed, Gap, Mark, Next},
    filter::Filter,
    parcel::{Item, Parcel},
    render::{Numbered, Render},
    window::{Rewind, Tally},
};
use crate::spool::{Batch, Sequence};

/// How large parcels may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Events that are read at once.
    pub(crate) events_max: usize,
    /// Bytes as rendered, about.
    pub(crate) bytes_max: usize,
}

/// One destination's desk.
pub(crate) struct Desk {
    feed: Box<dyn Feed>,
    filter: Filter,
    render: Render,
    size: Size,
    /// A batch that did not fit into one parcel, and its first event that is still to do.
    rest: Option<(Batch, usize)>,
    /// Everything before this one is in the books already.
    counted: Sequence,
    /// Everything before this one may be a repetition.
    replay: Sequence,
    /// Length of the last parcel: the next one will be about as long.
    guess: usize,
}

impl Desk {
    /// A desk that begins where the feed stands; `rewind` says what of it is a repetition.
    pub(crate) fn new(
        feed: Box<dyn Feed>,
        filter: Filter,
        render: Render,
        size: Size,
        rewind: Rewind,
    ) -> Self {
        let mut desk = Self {
            feed,
            filter,
            render,
            size,
            rest: None,
            counted: Sequence(0),
            replay: Sequence(0),
            guess: 0,
        };
        desk.rewind(rewind);
        desk
    }

    /// The next parcel, or `None` when there is nothing new.
    pub(crate) fn prepare(&mut self) -> Result<Option<Parcel>, String> {
        let (batch, from) = match self.rest.take() {
            Some(rest) => rest,
            None => match self.feed.next(self.size.events_max, self.size.bytes_max)? {
                Next::Batch(batch) => (batch, 0),
                Next::Gap(gap) => return Ok(Some(self.gap(&gap))),
                Next::Nothing => return Ok(None),
            },
        };
        self.filter.prepare(&batch.tables);
        self.render.encoder.prepare(&batch.tables);
        Ok(Some(self.pack(batch, from)))
    }

    /// A gap as a parcel without items, which brings it to the books.
    fn gap(&self, gap: &Gap) -> Parcel {
        let count = gap.next.0.saturating_sub(gap.first.max(self.counted).0);
        let tally = match gap.dropped {
            true => Tally { dropped: count, ..Tally::default() },
            false => Tally { lost: count, ..Tally::default() },
        };
        error!("{}", gap.what);
        Parcel {
            bytes: Bytes::new(),
            items: Vec::new(),
            refused: Vec::new(),
            next: gap.next,
            tables: Arc::default(),
            tally,
        }
    }

    fn pack(&mut self, batch: Batch, from: usize) -> Parcel {
        let mut bytes = Vec::with_capacity(self.guess);
        let mut items = Vec::with_capacity(batch.events.len() - from);
        let mut tally = Tally::default();
        let mut done = from;
        for (sequence, event) in &batch.events[from..] {
            if bytes.len() >= self.size.bytes_max {
                break;
            }
            done += 1;
            let fresh = u64::from(*sequence >= self.counted);
            if !self.filter.takes(event) {
                tally.filtered += fresh;
                continue;
            }
            tally.shipped += fresh;
            let start = bytes.len();
            let replay = *sequence < self.replay;
            let numbered = Numbered { sequence: *sequence, event, replay };
            let body = self.render.write(&numbered, &mut bytes);
            let (sequence, kind, end) = (*sequence, event.kind, bytes.len());
            items.push(Item { sequence, id: event.id, kind, start, body, end });
        }
        self.guess = bytes.len() + bytes.len() / 16;
        let next = match batch.events.get(done) {
            Some((sequence, _)) => *sequence,
            None => batch.next,
        };
        let tables = batch.tables.clone();
        if done < batch.events.len() {
            self.rest = Some((batch, done));
        }
        Parcel { bytes: bytes.into(), items, refused: Vec::new(), next, tables, tally }
    }

    /// Goes back after a break.
    pub(crate) fn rewind(&mut self, rewind: Rewind) {
        self.rest = None;
        self.counted = rewind.counted;
        self.replay = rewind.replay;
        self.feed.rewind(rewind.from);
    }

    /// Puts what was refused for good among the dead letters, and counts it as dead instead of shipped.
    pub(crate) fn bury(&mut self, parcel: &mut Parcel) -> Result<(), String> {
        self.feed.bury(&parcel.letters())?;
        let fresh =
            parcel.refused.iter().filter(|r| r.item.sequence >= self.counted).count() as u64;
        parcel.refused.clear();
        parcel.tally.dead += fresh;
        parcel.tally.shipped = parcel.tally.shipped.saturating_sub(fresh);
        Ok(())
    }

    /// Writes down how far the destination is.
    pub(crate) fn save(&mut self, mark: &Mark) -> Result<(), String> {
        self.feed.save(mark)
    }
}

/// Lets a desk work on a thread that may wait for a disk. `None` when the runtime is stopping, or, which is a mistake
/// of ours, the work panicked: then the courier ends, and what it held is sent again by the next run.
pub(crate) async fn aside<T: Send + 'static>(
    mut desk: Box<Desk>,
    work: impl FnOnce(&mut Desk) -> T + Send + 'static,
) -> Option<(Box<Desk>, T)> {
    let done = tokio::task::spawn_blocking(move || {
        let done = work(&mut desk);
        (desk, done)
    });
    match done.await {
        Ok(done) => Some(done),
        Err(failed) => {
            if failed.is_panic() {
                error!("a courier ends because of a mistake in the program: {failed}");
            }
            None
        }
    }
}
