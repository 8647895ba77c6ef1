//! A disk in memory that fails where a test wants it to, and that knows what a power cut would leave.

use std::{
    any::Any,
    collections::BTreeMap,
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use crate::spool::{
    Error,
    disk::{Disk, DiskFile, Mode, Space},
    shared::hold,
};

/// What happens at an operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// The process ends before it.
    Crash,
    /// An append writes a part and the process ends; anything else is done and the process ends.
    CrashWithin,
    /// It fails so many times in a row, an append after writing a part.
    Fail(rustix::io::Errno, u64),
    /// An append writes one byte and says so.
    Short,
}

/// What is left after the process or the machine ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Left {
    /// Everything: only the process ended.
    All,
    /// What was synced.
    Synced,
    /// What was synced, half of what was not, and all names.
    Half,
    /// What was synced, and zeros in place of what was not; all names.
    Zeros,
}

pub(crate) const LEFT: [Left; 4] = [Left::All, Left::Synced, Left::Half, Left::Zeros];

#[derive(Clone, Default)]
struct Inode {
    now: Vec<u8>,
    synced: Vec<u8>,
    /// A sync failed with bytes from here on: later ones say that all is well, and these bytes are not on the disk.
    forgotten_from: Option<usize>,
}

#[derive(Default)]
struct World {
    inodes: BTreeMap<u64, Inode>,
    names: BTreeMap<PathBuf, u64>,
    synced_names: BTreeMap<PathBuf, u64>,
    operations: u64,
    fault: Option<(u64, Fault)>,
    crashed: bool,
    available: u64,
    locked: bool,
}

#[derive(Clone)]
pub(crate) struct SimDisk(Arc<Mutex<World>>);

impl SimDisk {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(World { available: 1 << 30, ..World::default() })))
    }

    /// Lets the operation of this number (from now on, from 0) fail.
    pub(crate) fn fail_at(&self, operation: u64, fault: Fault) {
        let mut world = hold(&self.0);
        world.operations = 0;
        world.fault = Some((operation, fault));
    }

    pub(crate) fn operations(&self) -> u64 {
        hold(&self.0).operations
    }

    pub(crate) fn crashed(&self) -> bool {
        hold(&self.0).crashed
    }

    pub(crate) fn set_available(&self, bytes: u64) {
        hold(&self.0).available = bytes;
    }

    /// The disk as the next start finds it.
    pub(crate) fn after(&self, left: Left) -> Self {
        let world = hold(&self.0);
        let names = if left == Left::Synced { &world.synced_names } else { &world.names };
        let inodes = world.inodes.iter().map(|(number, inode)| {
            let unsynced = inode.now.get(inode.synced.len()..).unwrap_or_default();
            // What was cut and not synced may come back: only growth is modelled for the partial cases.
            let grown = inode.now.len() >= inode.synced.len();
            let content = match left {
                Left::All => inode.now.clone(),
                Left::Half if grown => [&inode.synced, &unsynced[..unsynced.len() / 2]].concat(),
                Left::Zeros if grown => {
                    let mut content = inode.synced.clone();
                    content.resize(inode.now.len(), 0);
                    content
                }
                _ => inode.synced.clone(),
            };
            (*number, Inode { now: content.clone(), synced: content, forgotten_from: None })
        });
        Self(Arc::new(Mutex::new(World {
            inodes: inodes.collect(),
            names: names.clone(),
            synced_names: names.clone(),
            available: world.available,
            ..World::default()
        })))
    }

    /// Files below a folder.
    pub(crate) fn files(&self, folder: &Path) -> Vec<PathBuf> {
        hold(&self.0).names.keys().filter(|path| path.parent() == Some(folder)).cloned().collect()
    }

    /// Changes a file behind the spool's back.
    pub(crate) fn edit(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut world = hold(&self.0);
        let number = world.names[path];
        let inode = world.inodes.get_mut(&number).unwrap();
        change(&mut inode.now);
        inode.synced = inode.now.clone();
    }

    pub(crate) fn read(&self, path: &Path) -> Vec<u8> {
        let world = hold(&self.0);
        world.inodes[&world.names[path]].now.clone()
    }

    pub(crate) fn delete(&self, path: &Path) {
        let mut world = hold(&self.0);
        world.names.remove(path);
        world.synced_names.remove(path);
    }
}

impl World {
    /// Counts an operation. `Ok(true)`: do it half (or do it, where there are no halves) and then fail.
    fn step(&mut self) -> io::Result<Option<Fault>> {
        if self.crashed {
            return Err(crash());
        }
        let number = self.operations;
        self.operations += 1;
        let Some((at, fault)) = self.fault else { return Ok(None) };
        match fault {
            Fault::Fail(_, times) if (at..at + times).contains(&number) => Ok(Some(fault)),
            _ if number != at => Ok(None),
            Fault::Crash => {
                self.crashed = true;
                Err(crash())
            }
            Fault::CrashWithin => {
                self.crashed = true;
                Ok(Some(fault))
            }
            fault => Ok(Some(fault)),
        }
    }

    /// An operation without halves: done before a crash, not done when it fails.
    fn whole<T>(&mut self, act: impl FnOnce(&mut Self) -> io::Result<T>) -> io::Result<T> {
        match self.step()? {
            Some(Fault::Fail(errno, _)) => Err(errno.into()),
            Some(Fault::CrashWithin) => act(self).and(Err(crash())),
            _ => act(self),
        }
    }
}

fn crash() -> io::Error {
    io::Error::other("the process has ended")
}

fn missing() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl Disk for SimDisk {
    fn create_folder(&self, _: &Path) -> io::Result<()> {
        hold(&self.0).whole(|_| Ok(()))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        hold(&self.0).whole(|world| {
            let inside = world.names.keys().filter(|path| path.parent() == Some(folder));
            Ok(inside.filter_map(|path| path.file_name()).map(OsString::from).collect())
        })
    }

    fn open(&self, path: &Path, mode: Mode) -> io::Result<Arc<dyn DiskFile>> {
        let inode = hold(&self.0).whole(|world| {
            if let Some(number) = world.names.get(path) {
                if mode == Mode::Create {
                    let inode = world.inodes.entry(*number).or_default();
                    inode.now.clear();
                    inode.forgotten_from = None;
                }
                return Ok(*number);
            }
            if mode != Mode::Create {
                return Err(missing());
            }
            let number = world.inodes.keys().last().map_or(0, |last| last + 1);
            world.inodes.insert(number, Inode::default());
            world.names.insert(path.to_owned(), number);
            Ok(number)
        })?;
        Ok(Arc::new(SimFile { world: self.0.clone(), inode }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        hold(&self.0).whole(|world| {
            let number = world.names.remove(from).ok_or_else(missing)?;
            world.names.insert(to.to_owned(), number);
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        hold(&self.0).whole(|world| world.names.remove(path).map(drop).ok_or_else(missing))
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        hold(&self.0).whole(|world| {
            let inside = |path: &PathBuf| path.parent() == Some(folder);
            world.synced_names.retain(|path, _| !inside(path));
            let now = world.names.iter().filter(|(path, _)| inside(path));
            world.synced_names.extend(now.map(|(path, number)| (path.clone(), *number)));
            Ok(())
        })
    }

    fn space(&self, _: &Path) -> io::Result<Space> {
        hold(&self.0).whole(|world| Ok(Space { available: world.available, total: 1 << 30 }))
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn Any + Send + Sync>, Error> {
        let mut world = hold(&self.0);
        world.whole(|_| Ok(())).map_err(Error::io("lock", path))?;
        if std::mem::replace(&mut world.locked, true) {
            return Err(Error::Locked { path: path.to_owned(), pid: None });
        }
        Ok(Box::new(SimLock(self.0.clone())))
    }
}

struct SimLock(Arc<Mutex<World>>);

impl Drop for SimLock {
    fn drop(&mut self) {
        hold(&self.0).locked = false;
    }
}

struct SimFile {
    world: Arc<Mutex<World>>,
    inode: u64,
}

impl SimFile {
    fn whole<T>(&self, act: impl FnOnce(&mut Inode) -> T) -> io::Result<T> {
        let inode = self.inode;
        hold(&self.world).whole(|world| Ok(act(world.inodes.entry(inode).or_default())))
    }
}

impl DiskFile for SimFile {
    fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut world = hold(&self.world);
        let fault = world.step()?;
        let count = match fault {
            None => bytes.len(),
            Some(Fault::Short) => 1.min(bytes.len()),
            // Half of it, or nearly all: of several frames some are then whole.
            Some(_) if world.operations.is_multiple_of(2) => bytes.len() / 2,
            Some(_) => bytes.len() * 7 / 8,
        };
        let inode = world.inodes.entry(self.inode).or_default();
        inode.now.extend_from_slice(&bytes[..count]);
        match fault {
            Some(Fault::Fail(errno, _)) => Err(errno.into()),
            Some(Fault::CrashWithin) => Err(crash()),
            _ => Ok(count),
        }
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.whole(|inode| {
            let rest = inode.now.get(offset as usize..).unwrap_or_default();
            let count = rest.len().min(bytes.len());
            bytes[..count].copy_from_slice(&rest[..count]);
            count
        })
    }

    fn bytes(&self) -> io::Result<u64> {
        self.whole(|inode| inode.now.len() as u64)
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        self.whole(|inode| {
            inode.now.truncate(bytes as usize);
            inode.forgotten_from = inode.forgotten_from.filter(|from| *from < bytes as usize);
        })
    }

    fn sync(&self) -> io::Result<()> {
        let mut world = hold(&self.world);
        let fault = world.step()?;
        let inode = world.inodes.entry(self.inode).or_default();
        if let Some(Fault::Fail(errno, _)) = fault {
            let common = inode.now.iter().zip(&inode.synced).take_while(|(a, b)| a == b).count();
            inode.forgotten_from.get_or_insert(common);
            return Err(errno.into());
        }
        if inode.forgotten_from.is_none() {
            inode.synced = inode.now.clone();
        }
        if fault == Some(Fault::CrashWithin) { Err(crash()) } else { Ok(()) }
    }
}
