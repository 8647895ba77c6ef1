//! The seam between the spool and the file system. Everything that can fail passes through here, so that a test can
//! let it fail.
//!
//! Promises that the spool builds on: `append` may write less than it was given; what `sync` has passed survives a power
//! cut; a rename is atomic, and survives a power cut after `sync_folder`.

use std::{
    any::Any,
    ffi::OsString,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    path::Path,
    sync::Arc,
};

use super::{Error, lock};

/// How a file is opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// It must exist; only for reading.
    Read,
    /// It must exist; for reading and appending.
    Append,
    /// It is made new and empty; for reading and appending.
    Create,
}

/// Space of a file system.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Space {
    /// Bytes that we may still write.
    pub available: u64,
    /// Bytes in all.
    pub total: u64,
}

/// A file system.
pub trait Disk: Send + Sync {
    /// Makes a folder and those above it, for our user alone; fine if it is there.
    fn create_folder(&self, folder: &Path) -> io::Result<()>;
    /// Names in a folder.
    fn list(&self, folder: &Path) -> io::Result<Vec<OsString>>;
    /// Opens a file.
    fn open(&self, path: &Path, mode: Mode) -> io::Result<Arc<dyn DiskFile>>;
    /// Gives a file another name, over one that may be there.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes names in a folder survive a power cut.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
    /// Space on the file system of a folder.
    fn space(&self, folder: &Path) -> io::Result<Space>;
    /// Takes the lock file for as long as the returned value lives.
    fn lock(&self, path: &Path) -> Result<Box<dyn Any + Send + Sync>, Error>;
}

/// An open file. One writes, many read.
pub trait DiskFile: Send + Sync {
    /// Writes at the end; says how much was written.
    fn append(&self, bytes: &[u8]) -> io::Result<usize>;
    /// Reads at an offset; 0 at the end.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Its length.
    fn bytes(&self) -> io::Result<u64>;
    /// Cuts it.
    fn truncate(&self, bytes: u64) -> io::Result<()>;
    /// Makes its content survive a power cut.
    fn sync(&self) -> io::Result<()>;
}

/// Appends all of it.
pub(crate) fn append_all(file: &dyn DiskFile, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.append(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reads until `bytes` is full or the file ends; says how much that was.
pub(crate) fn read_full(file: &dyn DiskFile, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < bytes.len() {
        match file.read_at(&mut bytes[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// Writes a small file so that after a crash either the old or the new one is there, whole.
pub(crate) fn replace(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = Path::new(&temporary);
    let file = disk.open(temporary, Mode::Create).map_err(Error::io("create", temporary))?;
    append_all(&*file, bytes).map_err(Error::io("write", temporary))?;
    file.sync().map_err(Error::io("sync", temporary))?;
    disk.rename(temporary, path).map_err(Error::io("replace", path))?;
    disk.sync_folder(folder).map_err(Error::io("sync", folder))
}

/// The real file system. Files are readable by their owner only.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.file_name())).collect()
    }

    fn open(&self, path: &Path, mode: Mode) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).mode(0o600);
        match mode {
            Mode::Read => {}
            Mode::Append => _ = options.append(true),
            // An old leftover is cut only after it is ours: `append` and `truncate` exclude each other.
            Mode::Create => _ = options.append(true).create(true),
        }
        let file = options.open(path)?;
        if mode == Mode::Create {
            file.set_len(0)?;
        }
        Ok(Arc::new(file))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }

    fn space(&self, folder: &Path) -> io::Result<Space> {
        let stat = rustix::fs::statvfs(folder)?;
        Ok(Space {
            available: stat.f_bavail.saturating_mul(stat.f_frsize),
            total: stat.f_blocks.saturating_mul(stat.f_frsize),
        })
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn Any + Send + Sync>, Error> {
        Ok(Box::new(lock::acquire(path)?))
    }
}

impl DiskFile for File {
    fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        (&mut &*self).write(bytes)
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, bytes, offset)
    }

    fn bytes(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        self.set_len(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}
