//! One process per state directory: an advisory lock (`flock`) on a file that holds the owner's process id.
//!
//! The kernel releases it when the process ends, however it ends; the file itself stays.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use rustix::fs::{FlockOperation, flock};

use super::Error;

/// Holds the lock as long as it lives.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "the open file is the lock")] File);

/// Takes the lock, or says who has it.
pub(crate) fn acquire(path: &Path) -> Result<Lock, Error> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(Error::io("open the lock file", path))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            return Err(Error::Locked { path: path.to_owned(), pid: holder(&mut file) });
        }
        Err(errno) => return Err(Error::io("lock", path)(errno.into())),
    }
    sign(&mut file).map_err(Error::io("write the process id to", path))?;
    Ok(Lock(file))
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn sign(file: &mut File) -> io::Result<()> {
    // A full disk must not keep the agent from starting: the id only makes an error clearer.
    match write_pid(file) {
        Err(error) if error.kind() == io::ErrorKind::StorageFull => Ok(()),
        other => other,
    }
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_opener_learns_who_is_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let first = acquire(&path).unwrap();
        let error = acquire(&path).unwrap_err();
        assert!(
            matches!(&error, Error::Locked { pid: Some(pid), .. } if *pid == std::process::id())
        );
        assert!(error.to_string().contains(&format!("in use by process {}", std::process::id())));
        drop(first);
        acquire(&path).unwrap();
    }
}
