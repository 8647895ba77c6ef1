//! What the globs of a source match at this moment, for people who want to know before anything is read.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    Error, Settings,
    discover::{Globs, Visitor},
};

/// Files of a source, and what stands in the way of reading them.
#[derive(Debug, Default)]
pub struct Matching {
    /// Files that can be read, sorted.
    pub files: Vec<PathBuf>,
    /// Files and folders that this process may not read, sorted.
    pub refused: Vec<(PathBuf, io::Error)>,
    /// There are more entries than one walk looks at.
    pub cut: bool,
}

/// The files that the globs of a source match now.
///
/// # Errors
/// When a glob cannot be compiled.
pub fn matching(settings: &Settings) -> Result<Matching, Error> {
    let mut matching = Matching::default();
    matching.cut = !Globs::new(settings)?.walk(&mut matching);
    matching.files.sort_unstable();
    matching.files.dedup();
    matching.refused.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    matching.refused.dedup_by(|(a, _), (b, _)| a == b);
    Ok(matching)
}

impl Visitor for Matching {
    fn file(&mut self, path: PathBuf, _: Option<u64>) {
        // Opening a pipe would wait for its other end.
        let opened = match fs::metadata(&path) {
            Ok(metadata) if !metadata.is_file() => return,
            Ok(_) => fs::File::open(&path).map(drop),
            Err(error) => Err(error),
        };
        match opened {
            Ok(()) => self.files.push(path),
            // A link that leads nowhere, or a file that has just gone, is none.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => self.refused.push((path, error)),
        }
    }

    fn folder(&mut self, _: &Path) {}

    fn problem(&mut self, path: &Path, error: io::Error) {
        self.refused.push((path.to_owned(), error));
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::symlink, time::Duration};

    use super::*;
    use crate::tail::Start;

    #[test]
    fn finds_what_would_be_read() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.log", "a.log", "a.log.1", "old.log.gz", "x.txt"] {
            fs::write(folder.path().join(name), "line\n").unwrap();
        }
        symlink("nowhere", folder.path().join("dead.log")).unwrap();
        let glob = |glob: &str| folder.path().join(glob).to_str().unwrap().to_owned();
        let settings = Settings {
            source: "chat".into(),
            files: vec![glob("*.log"), glob("a.*"), glob("none/*")],
            exclude: vec!["b.*".into()],
            start: Start::Beginning,
            record_wait: Duration::ZERO,
        };
        let found = matching(&settings).unwrap();
        assert_eq!(found.files, [folder.path().join("a.log"), folder.path().join("a.log.1")]);
        assert!(found.refused.is_empty() && !found.cut, "{found:?}");
    }
}
