//! Appends frames and begins segments. One thread at a time.
//!
//! The file always ends with a whole frame when a call returns: what a failed write left is cut before anything else is
//! written. A segment is built aside, synced, and then renamed into place, after the one before it was synced: so the newest segment
//! is always whole, and nothing older than it can be torn.

use std::{path::Path, sync::Arc};

use super::{
    Durability, Error, Notice, Range, Sequence, Settings, WhenFull,
    disk::{Disk, DiskFile, Mode, append_all, read_full},
    frame::{Builder, Compression},
    segment::{self, Chain, Packed},
    shared::{Shared, Tail, hold},
    state::State,
};
use crate::event::{Tables, Time};

/// The segment that is written.
pub(crate) struct Current {
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) path: Arc<Path>,
    pub(crate) first: u64,
    pub(crate) follows: u64,
    /// Bytes of whole frames.
    pub(crate) bytes: u64,
    pub(crate) chain: Chain,
    /// A failed write may have left bytes behind the whole frames.
    pub(crate) dirty: bool,
}

/// What a new segment is made of.
pub(crate) struct Beginning<'a> {
    pub(crate) first: u64,
    pub(crate) follows: u64,
    pub(crate) previous: [u8; 32],
    pub(crate) agent_id: [u8; 16],
    pub(crate) tables: &'a Packed,
    pub(crate) state: &'a State,
    pub(crate) time: Time,
}

impl Beginning<'_> {
    /// Writes the segment, whole or not at all.
    pub(crate) fn write(&self, disk: &dyn Disk, folder: &Path) -> Result<Current, Error> {
        let path = folder.join(segment::name(self.first));
        let temporary = folder.join(format!("{}.tmp", segment::name(self.first)));
        let header = segment::Header {
            agent_id: self.agent_id,
            key_id: [0; 16],
            first: self.first,
            follows: self.follows,
            time: self.time.0,
            previous: self.previous,
            tables_hash: self.tables.hash,
            tables_stored: self.tables.stored.len() as u32,
            tables_crc: crc32c::crc32c(&self.tables.stored),
            tables_raw: self.tables.raw_bytes,
        };
        let head = header.encode();
        let mut bytes = [head.as_slice(), &self.tables.stored].concat();
        let mut chain = Chain::new(&head);
        let salt = segment::salt(self.first);
        let mut snapshot = snapshot(self.state, Compression::Lz4);
        bytes.extend_from_slice(snapshot.seal(self.first, self.time.0, salt));
        snapshot.headers().for_each(|frame| chain.frame(&frame, salt));

        let file = disk.open(&temporary, Mode::Create).map_err(Error::io("create", &temporary))?;
        let written = append_all(&*file, &bytes)
            .map_err(Error::io("write", &temporary))
            .and_then(|()| file.sync().map_err(Error::io("sync", &temporary)));
        if let Err(error) = written {
            // It holds space that may be what is missing; if it cannot be removed, the next attempt empties it.
            _ = disk.remove(&temporary);
            return Err(error);
        }
        disk.rename(&temporary, &path).map_err(Error::io("rename", &temporary))?;
        disk.sync_folder(folder).map_err(Error::io("sync", folder))?;
        Ok(Current {
            file,
            path: path.into(),
            first: self.first,
            follows: self.follows,
            bytes: bytes.len() as u64,
            chain,
            dirty: false,
        })
    }
}

fn snapshot(state: &State, compression: Compression) -> Builder {
    let mut builder = Builder::new(compression);
    builder.snapshot();
    for position in state.positions() {
        // From nowhere: a snapshot tells nothing of frames before it.
        builder.position(&position, 0);
    }
    builder.books(&state.books, &state.ledger);
    builder
}

/// The writing end of a spool.
pub(crate) struct Writer {
    pub(crate) current: Current,
    pub(crate) builder: Builder,
    pub(crate) settings: Settings,
    pub(crate) agent_id: [u8; 16],
    pub(crate) tables: Arc<Tables>,
    pub(crate) packed: Packed,
    /// The sequence of the next event.
    pub(crate) next: u64,
}

impl Writer {
    /// Writes what the builder holds as one append of so many events; waits for room and for the disk.
    pub(crate) fn append(
        &mut self,
        shared: &Shared,
        events: u64,
        time: Time,
    ) -> Result<u64, Error> {
        let first = self.next;
        let bytes = self.builder.bytes() as u64;
        let full = self.current.bytes + bytes > self.segment_bytes();
        let switch = full && self.next > self.current.first;
        let head = if switch { self.head_bytes(shared) } else { 0 };
        self.patiently(shared, |writer| writer.room(shared, head + bytes))?;
        self.patiently(shared, |writer| {
            writer.mend(shared)?;
            if switch && writer.next > writer.current.first {
                writer.switch(shared, time)?;
            }
            writer.write(first, time).map(|()| true)
        })?;
        self.next = first + events;
        Ok(first)
    }

    /// Tries until it works, as long as waiting may help.
    fn patiently(
        &mut self,
        shared: &Shared,
        mut attempt: impl FnMut(&mut Self) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        loop {
            match attempt(self) {
                Ok(true) => {
                    shared.trouble(None);
                    return Ok(());
                }
                Ok(false) => {}
                Err(error) if error.passes() => shared.trouble(Some(error.to_string())),
                Err(error) => return Err(error),
            }
            shared.pause()?;
        }
    }

    /// Segments are small against the spool, so that there is always one that can go.
    fn segment_bytes(&self) -> u64 {
        self.settings.segment_bytes.min(self.settings.bytes_max / 4)
    }

    /// What a new segment takes before its first event, at most.
    fn head_bytes(&self, shared: &Shared) -> u64 {
        let tables = segment::HEADER_BYTES + self.packed.stored.len();
        let mut snapshot = snapshot(&hold(&shared.state), Compression::None);
        (tables + snapshot.seal(1, 0, 0).len()) as u64
    }

    /// Whether so many bytes may be added. Makes room where the settings say so.
    fn room(&mut self, shared: &Shared, bytes: u64) -> Result<bool, Error> {
        loop {
            let (segments, used) = {
                let index = hold(&shared.index);
                (index.segments.len(), index.bytes())
            };
            // The last segment holds the newest snapshot and stays; alone it is never in its own way.
            let full = used + bytes > self.settings.bytes_max && segments > 1;
            let space = shared
                .disk
                .space(&shared.folder)
                .map_err(Error::io("look at the free space of", &shared.folder))?;
            let reserve = space.total / 100 * u64::from(self.settings.reserve_percent);
            let tight = space.available < reserve.saturating_add(bytes);
            if !full && !tight {
                return Ok(true);
            }
            if self.settings.full == WhenFull::DropOldest && segments > 1 {
                drop_oldest(shared)?;
                continue;
            }
            shared.trouble(Some(if full {
                format!("{used} of {} bytes are waiting to be delivered", self.settings.bytes_max)
            } else {
                format!(
                    "the disk has {} bytes left, of which {reserve} are to stay free; free some space",
                    space.available
                )
            }));
            return Ok(false);
        }
    }

    /// Begins a new segment after everything in the present one is safe.
    fn switch(&mut self, shared: &Shared, time: Time) -> Result<(), Error> {
        self.current.trim()?;
        let old = &self.current;
        if let Err(error) = old.file.sync() {
            hold(&shared.tail).broken = true;
            return Err(Error::io("sync", &*old.path)(error));
        }
        let state = hold(&shared.state).clone();
        let beginning = Beginning {
            first: self.next,
            follows: self.next,
            previous: old.chain.hash(),
            agent_id: self.agent_id,
            tables: &self.packed,
            state: &state,
            time,
        };
        self.current = beginning.write(&*shared.disk, &shared.folder)?;
        let new = &self.current;
        hold(&shared.index).add(&new.path, new.first, new.follows, new.bytes);
        *hold(&shared.tail) = new.tail(self.next);
        Ok(())
    }

    fn write(&mut self, first: u64, time: Time) -> Result<(), Error> {
        let current = &mut self.current;
        current.trim()?;
        let salt = segment::salt(current.first);
        let bytes = self.builder.seal(first, time.0, salt);
        current.dirty = true;
        let mut written =
            append_all(&*current.file, bytes).map_err(Error::io("write", &*current.path));
        if written.is_ok() && self.settings.durability == Durability::Batch {
            written = current.file.sync().map_err(Error::io("sync", &*current.path));
        }
        if let Err(error) = written {
            // Also what was written and not synced goes: after a failed sync nobody knows what the disk has.
            _ = current.trim();
            return Err(error);
        }
        current.dirty = false;
        current.bytes += bytes.len() as u64;
        self.builder.headers().for_each(|header| current.chain.frame(&header, salt));
        Ok(())
    }

    /// Writes the segment anew if a sync failed: the kernel may have forgotten what it could not write, so syncing the
    /// same file again would prove nothing.
    pub(crate) fn mend(&mut self, shared: &Shared) -> Result<(), Error> {
        if !hold(&shared.tail).broken {
            return Ok(());
        }
        let current = &mut self.current;
        let temporary = current.path.with_extension("seg.tmp");
        let disk = &*shared.disk;
        let file = disk.open(&temporary, Mode::Create).map_err(Error::io("create", &temporary))?;
        copy(&*current.file, &*file, current.bytes).map_err(Error::io("write", &temporary))?;
        file.sync().map_err(Error::io("sync", &temporary))?;
        disk.rename(&temporary, &current.path).map_err(Error::io("rename", &temporary))?;
        disk.sync_folder(&shared.folder).map_err(Error::io("sync", &shared.folder))?;
        current.file = file;
        current.dirty = false;
        hold(&shared.index).renew();
        let mut tail = current.tail(self.next);
        tail.synced = current.bytes;
        *hold(&shared.tail) = tail;
        Ok(())
    }
}

impl Current {
    /// Cuts what a failed write left behind the last whole frame.
    fn trim(&mut self) -> Result<(), Error> {
        if self.dirty {
            self.file.truncate(self.bytes).map_err(Error::io("cut", &*self.path))?;
            self.dirty = false;
        }
        Ok(())
    }

    /// As those see it who sync it.
    pub(crate) fn tail(&self, written: u64) -> Tail {
        let (file, path) = (self.file.clone(), self.path.clone());
        Tail { file, path, written, bytes: self.bytes, synced: self.bytes, broken: false }
    }
}

fn copy(from: &dyn DiskFile, to: &dyn DiskFile, bytes: u64) -> std::io::Result<()> {
    let mut piece = vec![0; (bytes as usize).min(1 << 20)];
    let mut at = 0;
    while at < bytes {
        let count = piece.len().min((bytes - at) as usize);
        if read_full(from, &mut piece[..count], at)? < count {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        append_all(to, &piece[..count])?;
        at += count as u64;
    }
    Ok(())
}

/// Removes the oldest segment, delivered or not.
fn drop_oldest(shared: &Shared) -> Result<(), Error> {
    let (oldest, next) = {
        let index = hold(&shared.index);
        match (index.segments.front(), index.segments.get(1)) {
            (Some(oldest), Some(second)) => (oldest.clone(), second.follows),
            _ => return Ok(()),
        }
    };
    shared.disk.remove(&oldest.path).map_err(Error::io("remove", &*oldest.path))?;
    let mut state = hold(&shared.state);
    state.ledger.dropped_before = state.ledger.dropped_before.max(next);
    hold(&shared.index).segments.pop_front();
    drop(state);
    let range = Range { first: Sequence(oldest.first), next: Sequence(next) };
    tracing::warn!(
        "the spool is full: dropped its oldest segment, {} events from {}",
        range.len(),
        oldest.first
    );
    shared.notice(Notice::Dropped(range));
    Ok(())
}
