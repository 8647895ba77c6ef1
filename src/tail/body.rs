//! Where bytes come from: a file, a compressed copy of one, or memory that outlived its file.

use std::{
    fs::{File, Metadata, OpenOptions},
    io::{self, Read},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use flate2::read::MultiGzDecoder;
use rustix::{fs::OFlags, io::Errno};

/// Bytes addressed by their offset in the uncompressed file.
pub(super) enum Body {
    Plain(File),
    Gz(Box<Gz>),
    Memory(Memory),
}

/// Bytes that were read before their file was truncated.
pub(super) struct Memory {
    /// Offset of the first one.
    pub(super) start: u64,
    pub(super) bytes: Vec<u8>,
}

impl Body {
    /// Opens a regular file; a pipe or a device is refused and cannot block.
    pub(super) fn open(path: &Path) -> io::Result<(Self, Metadata)> {
        let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        Ok((Self::Plain(file), meta))
    }

    /// Opens a file, plain or gzip by its name.
    pub(super) fn open_any(path: &Path) -> io::Result<(Self, Metadata)> {
        if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("gz")) {
            let meta = std::fs::metadata(path)?;
            return Ok((Self::open_gz(path)?, meta));
        }
        if super::discover::is_compressed(path) {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "only .gz can be unpacked"));
        }
        Self::open(path)
    }

    /// Opens a gzip file for reading what it holds.
    pub(super) fn open_gz(path: &Path) -> io::Result<Self> {
        Gz::open(path.to_owned()).map(|gz| Self::Gz(Box::new(gz)))
    }

    /// Fills `buffer` as far as there are bytes. Fewer than asked for means: the end, for now.
    pub(super) fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => read_full(buffer, |part, done| {
                file.read_at(part, offset.saturating_add(done as u64))
            }),
            Self::Gz(gz) => gz.read_at(offset, buffer),
            Self::Memory(memory) => Ok(memory.read_at(offset, buffer)),
        }
    }

    /// Where the first byte is that was ever written, if a hole is before it. `None`: there is no hole.
    pub(super) fn after_hole(&self) -> io::Result<Option<u64>> {
        let Self::Plain(file) = self else { return Ok(None) };
        match rustix::fs::seek(file, rustix::fs::SeekFrom::Data(0)) {
            Ok(0) | Err(Errno::INVAL) => Ok(None),
            Ok(at) => Ok(Some(at)),
            // Nothing but a hole.
            Err(Errno::NXIO) => Ok(Some(file.metadata()?.len())),
            Err(e) => Err(e.into()),
        }
    }

    /// Metadata of the open file; of memory there is none.
    pub(super) fn metadata(&self) -> Option<io::Result<Metadata>> {
        match self {
            Self::Plain(file) => Some(file.metadata()),
            Self::Gz(_) | Self::Memory(_) => None,
        }
    }
}

impl Memory {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> usize {
        let from = offset.checked_sub(self.start).and_then(|from| usize::try_from(from).ok());
        let Some(rest) = from.and_then(|from| self.bytes.get(from..)) else { return 0 };
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        length
    }
}

fn read_full(
    buffer: &mut [u8],
    mut read: impl FnMut(&mut [u8], usize) -> io::Result<usize>,
) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match read(&mut buffer[done..], done) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(done)
}

/// A gzip file that is read forwards. It remembers the last window, because reading always begins a little
/// before the position; going back further begins anew.
pub(super) struct Gz {
    path: PathBuf,
    decoder: MultiGzDecoder<File>,
    /// The uncompressed bytes from `start` on that were asked for last.
    window: Memory,
}

impl Gz {
    fn open(path: PathBuf) -> io::Result<Self> {
        let decoder = MultiGzDecoder::new(File::open(&path)?);
        Ok(Self { path, decoder, window: Memory { start: 0, bytes: Vec::new() } })
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        if offset < self.window.start {
            *self = Self::open(std::mem::take(&mut self.path))?;
        }
        self.forget_before(offset)?;
        let have = self.window.bytes.len();
        if have < buffer.len() {
            self.window.bytes.resize(buffer.len(), 0);
            let read = read_full(&mut self.window.bytes[have..], |part, _| self.decoder.read(part));
            self.window.bytes.truncate(have + *read.as_ref().unwrap_or(&0));
            read?;
        }
        Ok(self.window.read_at(offset, buffer))
    }

    /// Moves the window's start to `offset`, or to the end if that comes first.
    fn forget_before(&mut self, offset: u64) -> io::Result<()> {
        let ahead = offset - self.window.start;
        let held = self.window.bytes.len() as u64;
        if ahead <= held {
            self.window.bytes.drain(..usize::try_from(ahead).unwrap_or(usize::MAX));
            self.window.start = offset;
            return Ok(());
        }
        self.window.bytes.clear();
        let skipped = io::copy(&mut (&mut self.decoder).take(ahead - held), &mut io::sink())?;
        self.window.start += held + skipped;
        Ok(())
    }
}
