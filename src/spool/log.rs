//! The spool itself: opening, appending, and what others ask of it.

use std::{
    any::Any,
    sync::{Arc, Mutex},
};

use super::{
    Books, BooksDelta, Counts, Cursor, Error, Kept, Listener, Notice, Range, Reader, Recovered,
    Sequence, Settings, cursor,
    disk::{Disk, RealDisk},
    frame::{Builder, Compression, EVENT_BYTES_MAX},
    quarantine,
    recover::{self, Found},
    segment::{Chain, Packed},
    shared::{Index, Shared, hold},
    writer::{Beginning, Current, Writer},
};
use crate::{
    event::{Event, Tables, Time},
    guard::Shippable,
    tail::{FileId, Position},
};

/// Reason under which a new destination counts what was there before it.
pub const BEFORE_START: &str = "before_start";

/// The durable log. One thread appends; any number read.
pub struct Spool {
    shared: Arc<Shared>,
    writer: Mutex<Writer>,
    /// Files that the next append declares unknown.
    forgotten: Mutex<Vec<FileId>>,
    /// Held as long as the spool is open.
    _lock: Box<dyn Any + Send + Sync>,
}

impl Spool {
    /// Opens the spool or makes a new one: takes the lock, repairs what a crash left, and says what it found. Other `tables`
    /// than those of the last segment begin a new one.
    pub fn open(
        settings: &Settings,
        agent_id: [u8; 16],
        tables: Arc<Tables>,
        now: Time,
    ) -> Result<(Arc<Self>, Recovered), Error> {
        Self::open_on(Arc::new(RealDisk), settings, agent_id, tables, now)
    }

    /// The same on any disk.
    pub fn open_on(
        disk: Arc<dyn Disk>,
        settings: &Settings,
        agent_id: [u8; 16],
        tables: Arc<Tables>,
        now: Time,
    ) -> Result<(Arc<Self>, Recovered), Error> {
        let folder = &settings.folder;
        for folder in [folder.clone(), folder.join(quarantine::FOLDER), folder.join(cursor::FOLDER)]
        {
            disk.create_folder(&folder).map_err(Error::io("create the folder", &folder))?;
        }
        let lock = disk.lock(&folder.join("lock"))?;
        let packed = Packed::new(&tables).map_err(Error::io("store the tables in", folder))?;
        let mut found = recover::recover(&*disk, folder)?;
        let report = std::mem::take(&mut found.report);
        let next = found.next;
        let (current, index) = begin(&*disk, settings, agent_id, &packed, &mut found, now)?;
        let shared = Shared::new(disk, folder.clone(), index, found.state, current.tail(next));
        shared.remember_tables(packed.hash, &tables);
        let writer = Writer {
            current,
            builder: Builder::new(Compression::None),
            settings: settings.clone(),
            agent_id,
            tables,
            packed,
            next,
        };
        let spool = Self {
            shared: Arc::new(shared),
            writer: Mutex::new(writer),
            forgotten: Mutex::default(),
            _lock: lock,
        };
        Ok((Arc::new(spool), report))
    }

    /// Appends events and what they change, all or nothing, in one write. Waits while there is no room. Returns the first event's
    /// sequence.
    pub fn append(
        &self,
        events: &[Event<Shippable>],
        positions: &[Position],
        books: &BooksDelta,
        now: Time,
    ) -> Result<Sequence, Error> {
        let forgotten = std::mem::take(&mut *hold(&self.forgotten));
        let mut writer = hold(&self.writer);
        if events.is_empty() && positions.is_empty() && books.is_empty() && forgotten.is_empty() {
            return Ok(Sequence(writer.next));
        }
        let result = self
            .build(&mut writer, events, positions, &forgotten, books)
            .and_then(|()| writer.append(&self.shared, events.len() as u64, now));
        if result.is_err() {
            hold(&self.forgotten).extend(&forgotten);
        }
        let first = result?;
        self.publish(&writer, positions, &forgotten, books);
        let next = writer.next;
        drop(writer);
        self.shared.announce(next);
        Ok(Sequence(first))
    }

    fn build(
        &self,
        writer: &mut Writer,
        events: &[Event<Shippable>],
        positions: &[Position],
        forgotten: &[FileId],
        books: &BooksDelta,
    ) -> Result<(), Error> {
        let builder = &mut writer.builder;
        builder.clear();
        builder.events(events).map_err(|(index, bytes)| Error::EventTooLarge {
            index,
            bytes,
            max: EVENT_BYTES_MAX,
        })?;
        check_ids(builder, &writer.tables, events.is_empty())?;
        let state = hold(&self.shared.state);
        for position in positions {
            builder.position(position, state.offset(position.file, position.generation));
        }
        forgotten.iter().for_each(|file| builder.forget(*file));
        let mut after = state.books.clone();
        after.add(books);
        builder.books(&after, &state.ledger);
        Ok(())
    }

    /// What was written counts from now on.
    fn publish(
        &self,
        writer: &Writer,
        positions: &[Position],
        forgotten: &[FileId],
        books: &BooksDelta,
    ) {
        let mut state = hold(&self.shared.state);
        positions.iter().for_each(|position| state.moved(position.clone()));
        forgotten.iter().for_each(|file| state.forget(*file));
        state.books.add(books);
        {
            let mut tail = hold(&self.shared.tail);
            (tail.bytes, tail.written) = (writer.current.bytes, writer.next);
            if writer.settings.durability == super::Durability::Batch {
                tail.synced = tail.bytes;
            }
        }
        let mut index = hold(&self.shared.index);
        index.next = writer.next;
        if let Some(last) = index.segments.back_mut() {
            last.bytes = writer.current.bytes;
        }
    }

    /// Makes everything appended survive a power cut.
    pub fn sync(&self) -> Result<(), Error> {
        let (file, path, bytes) = {
            let tail = hold(&self.shared.tail);
            if tail.broken {
                drop(tail);
                return hold(&self.writer).mend(&self.shared);
            }
            if tail.synced == tail.bytes {
                return Ok(());
            }
            (tail.file.clone(), tail.path.clone(), tail.bytes)
        };
        let synced = file.sync();
        let mut tail = hold(&self.shared.tail);
        // Another segment has begun meanwhile: it did so after this one was synced.
        if !Arc::ptr_eq(&tail.file, &file) {
            return Ok(());
        }
        match synced {
            Ok(()) => tail.synced = tail.synced.max(bytes),
            Err(error) => {
                tail.broken = true;
                return Err(Error::io("sync", &*path)(error));
            }
        }
        Ok(())
    }

    /// A reader that begins with this sequence.
    #[must_use]
    pub fn reader(&self, from: Sequence) -> Reader {
        Reader::new(self.shared.clone(), from)
    }

    /// A destination's cursor; one never seen begins at `start`, and what was before that counts as dropped.
    pub fn cursor(&self, destination: &str, start: Sequence) -> Result<Cursor, Error> {
        let mut counts = Counts::default();
        let before = start.0.saturating_sub(1) - self.holes_before(start);
        if before > 0 {
            counts.dropped.insert(BEFORE_START.to_owned(), before);
        }
        Cursor::load(self.shared.disk.clone(), &self.shared.folder, destination, start, counts)
    }

    /// All cursors there are, also of destinations that are configured no longer.
    pub fn cursors(&self) -> Result<Vec<Kept>, Error> {
        let all = cursor::load_all(&*self.shared.disk, &self.shared.folder)?;
        all.into_iter().map(|(_, kept)| kept).collect()
    }

    /// Removes the cursor of a destination that is configured no longer.
    pub fn forget_cursor(&self, destination: &str) -> Result<(), Error> {
        let path = self.shared.folder.join(cursor::FOLDER).join(cursor::file_name(destination));
        self.shared.disk.remove(&path).map_err(Error::io("remove", &path))
    }

    /// Removes segments that every one of these cursors has passed. Returns how many.
    pub fn release(&self, cursors: &[Sequence]) -> Result<usize, Error> {
        let Some(least) = cursors.iter().min() else { return Ok(0) };
        let mut count = 0;
        loop {
            let mut index = hold(&self.shared.index);
            let passed = index.segments.get(1).is_some_and(|second| second.follows <= least.0);
            let Some(oldest) = index.segments.front().filter(|_| passed) else { break };
            let path = oldest.path.clone();
            match self.shared.disk.remove(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::io("remove", &*path)(error));
                }
                _ => {}
            }
            index.segments.pop_front();
            count += 1;
        }
        self.shared.wake();
        Ok(count)
    }

    /// Calls a listener after each append with the sequence that comes next. It must be quick: it runs on the appending thread.
    pub fn subscribe(&self, listener: Listener) {
        hold(&self.shared.listeners).push(listener);
    }

    /// Ends waiting for room or for the disk, now and from now on; [`Spool::append`] then fails with [`Error::Stopping`].
    pub fn stop(&self) {
        self.shared.stop();
    }

    /// Lets positions of files go that nobody needs to recognise any more: written with the next append.
    pub fn forget_files(&self, files: &[FileId]) {
        hold(&self.forgotten).extend(files);
    }

    /// The sequence that the next event gets.
    #[must_use]
    pub fn next_sequence(&self) -> Sequence {
        Sequence(hold(&self.shared.index).next)
    }

    /// The oldest sequence that a reader can begin with.
    #[must_use]
    pub fn oldest_sequence(&self) -> Sequence {
        let index = hold(&self.shared.index);
        Sequence(index.segments.front().map_or(index.next, |oldest| oldest.first))
    }

    /// How many events from this sequence on are still to be handed over.
    #[must_use]
    pub fn pending(&self, from: Sequence) -> u64 {
        let next = self.next_sequence();
        let holes = self.holes_before(next).saturating_sub(self.holes_before(from));
        next.0.saturating_sub(from.0).saturating_sub(holes)
    }

    /// How many of the events that a cursor counts were lost to the spool by a power cut after they were delivered, and
    /// came again under another sequence. The balance has them twice.
    #[must_use]
    pub fn repeated(&self, kept: &Kept) -> u64 {
        let passed = kept.next.0.saturating_sub(1) - self.holes_before(kept.next);
        kept.counts.total().saturating_sub(passed)
    }

    fn holes_before(&self, next: Sequence) -> u64 {
        hold(&self.shared.state).ledger.holes_in(Range { first: Sequence(1), next })
    }

    /// What was counted on the way in.
    #[must_use]
    pub fn books(&self) -> Books {
        hold(&self.shared.state).books.clone()
    }

    /// How far each file is in the spool.
    #[must_use]
    pub fn positions(&self) -> Vec<Position> {
        hold(&self.shared.state).positions()
    }

    /// Bytes of all segments.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        hold(&self.shared.index).bytes()
    }

    /// What the agent should say in an event, since the last call.
    #[must_use]
    pub fn take_notices(&self) -> Vec<Notice> {
        self.shared.take_notices()
    }

    /// Why appending waits, if it does.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.shared.what_troubles()
    }
}

/// Ids outside the tables could never be read again.
fn check_ids(builder: &Builder, tables: &Tables, none: bool) -> Result<(), Error> {
    let ids = builder.ids();
    for (what, id, count) in
        [("kind", ids.kind, tables.kinds().len()), ("field", ids.field, tables.fields().len())]
    {
        // Without events, or without fields, the largest id is a zero that nobody wrote.
        if usize::from(id) >= count && !none && (id > 0 || what == "kind") {
            return Err(Error::Foreign { what, id, count });
        }
    }
    Ok(())
}

/// Goes on with the last segment, or begins another.
fn begin(
    disk: &dyn Disk,
    settings: &Settings,
    agent_id: [u8; 16],
    tables: &Packed,
    found: &mut Found,
    now: Time,
) -> Result<(Current, Index), Error> {
    let mut index = Index { next: found.next, ..Index::default() };
    for entry in &found.entries {
        index.add(&entry.path, entry.header.first, entry.header.follows, entry.bytes);
    }
    let chain = found.chain.take();
    if let (Some(last), Some(chain)) = (found.entries.last(), &chain) {
        let same = last.header.agent_id == agent_id && last.header.tables_hash == tables.hash;
        if same && found.whole && found.next == found.valid_next {
            return Ok((resume(last, chain.clone()), index));
        }
    }
    let (mut follows, mut previous) = (found.valid_next, chain.as_ref().map(Chain::hash));
    if let Some(last) = found.entries.last().filter(|last| last.header.first == found.next) {
        // It holds no event; the new one takes its place, and stands where it stood.
        (follows, previous) = (last.header.follows, Some(last.header.previous));
    }
    let beginning = Beginning {
        first: found.next,
        follows,
        previous: previous.unwrap_or_default(),
        agent_id,
        tables,
        state: &found.state,
        time: now,
    };
    let current = beginning.write(disk, &settings.folder)?;
    index.add(&current.path, current.first, current.follows, current.bytes);
    Ok((current, index))
}

fn resume(last: &recover::Entry, chain: Chain) -> Current {
    Current {
        file: last.file.clone(),
        path: last.path.as_path().into(),
        first: last.header.first,
        follows: last.header.follows,
        bytes: last.bytes,
        chain,
        dirty: false,
    }
}
