//! Bytes that are no frames are kept aside for an investigation: bounded, and never in the way of anything.
//!
//! `quarantine/<segment>-<offset>.bytes` is a copy of damaged bytes, `quarantine/<segment>.bad` a whole segment, whose header
//! was damaged. What does not fit goes oldest first, which is the order of the names.

use std::{
    ffi::OsString,
    ops::Range,
    path::{Path, PathBuf},
};

use super::disk::{Disk, DiskFile, Mode, append_all, read_full};

/// The folder within the spool.
pub(crate) const FOLDER: &str = "quarantine";
/// Most bytes of one piece that are kept.
const PIECE_BYTES_MAX: u64 = 16 << 20;
/// Most bytes kept in all.
const BYTES_MAX: u64 = 256 << 20;
/// Most files kept.
const FILES_MAX: usize = 256;

/// Copies bytes of a segment; says where to. A failure is said and leaves the copy out: the bytes stay where they are.
pub(crate) fn keep(
    disk: &dyn Disk,
    spool: &Path,
    segment: &Path,
    file: &dyn DiskFile,
    bytes: Range<u64>,
) -> Option<PathBuf> {
    let length = bytes.end.saturating_sub(bytes.start).min(PIECE_BYTES_MAX);
    let stem = segment.file_stem()?.to_string_lossy();
    let target = spool.join(FOLDER).join(format!("{stem}-{:012}.bytes", bytes.start));
    let copy = || -> std::io::Result<()> {
        let mut content = vec![0; length as usize];
        let read = read_full(file, &mut content, bytes.start)?;
        content.truncate(read);
        let file = disk.open(&target, Mode::Create)?;
        append_all(&*file, &content)?;
        file.sync()
    };
    match copy() {
        Ok(()) => {
            bound(disk, &spool.join(FOLDER));
            Some(target)
        }
        Err(error) => {
            tracing::warn!("cannot keep damaged bytes of {} aside: {error}", segment.display());
            None
        }
    }
}

/// Moves a whole file aside; says where to.
pub(crate) fn set_aside(disk: &dyn Disk, spool: &Path, path: &Path) -> std::io::Result<PathBuf> {
    let mut name = path.file_name().map(OsString::from).unwrap_or_default();
    name.push(".bad");
    let target = spool.join(FOLDER).join(name);
    disk.rename(path, &target)?;
    bound(disk, &spool.join(FOLDER));
    Ok(target)
}

/// Removes the oldest beyond the limits, never the newest.
fn bound(disk: &dyn Disk, folder: &Path) {
    let Ok(mut names) = disk.list(folder) else { return };
    names.sort();
    let size = |name: &OsString| {
        disk.open(&folder.join(name), Mode::Read).and_then(|file| file.bytes()).unwrap_or(0)
    };
    let mut total: u64 = 0;
    for (index, name) in names.iter().rev().enumerate() {
        total = total.saturating_add(size(name));
        if index > 0 && (total > BYTES_MAX || index >= FILES_MAX) {
            // A leftover that cannot be removed now is tried again with the next piece.
            _ = disk.remove(&folder.join(name));
        }
    }
}
