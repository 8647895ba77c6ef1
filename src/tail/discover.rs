//! Globs → files: a directory walk that enters only folders a glob can lead into.
//!
//! File names are bytes. Symbolic links are followed where a pattern names them; `**` does not enter linked
//! folders, so there are no cycles. Compressed files are never tailed: they are looked at only as rotated
//! copies.

use std::{
    fs, io,
    os::unix::{ffi::OsStrExt, fs::DirEntryExt},
    path::{Component, Path, PathBuf},
};

use globset::{GlobBuilder, GlobMatcher, GlobSet, GlobSetBuilder};

use super::{Error, Settings};

/// Entries that one walk looks at, at most.
const ENTRIES_MAX: usize = 200_000;
/// Folders below a glob's fixed part, at most.
const DEPTH_MAX: usize = 32;
/// Name endings of compressed files.
pub(super) const COMPRESSED: &[&str] = &["gz", "zst", "xz", "bz2", "lz4", "zip"];

/// The globs of one source.
pub(super) struct Globs {
    include: Vec<Pattern>,
    exclude: GlobSet,
}

struct Pattern {
    /// Folder that every match lies under.
    prefix: PathBuf,
    pieces: Vec<Piece>,
    whole: GlobMatcher,
}

enum Piece {
    Name(PathBuf),
    Match(GlobMatcher),
    /// Any number of folders.
    Any,
}

/// What a walk comes across.
pub(super) trait Visitor {
    /// A path that a glob matches; the inode is of the entry itself, `None` for a link.
    fn file(&mut self, path: PathBuf, inode: Option<u64>);
    /// A folder whose entries were read: new files may appear in it.
    fn folder(&mut self, path: &Path);
    /// A folder that cannot be read.
    fn problem(&mut self, path: &Path, error: io::Error);
}

impl Globs {
    pub(super) fn new(settings: &Settings) -> Result<Self, Error> {
        let wrong = |glob: &str, why: String| Error::Glob {
            source_name: settings.source.clone(),
            glob: glob.to_owned(),
            why,
        };
        let include = settings
            .files
            .iter()
            .map(|glob| Pattern::new(glob).map_err(|why| wrong(glob, why)))
            .collect::<Result<_, _>>()?;
        let mut exclude = GlobSetBuilder::new();
        for glob in &settings.exclude {
            let anywhere = if glob.contains('/') { glob.clone() } else { format!("**/{glob}") };
            let built = GlobBuilder::new(&anywhere).literal_separator(true).build();
            exclude.add(built.map_err(|e| wrong(glob, e.kind().to_string()))?);
        }
        let exclude = exclude.build().map_err(|e| wrong("", e.to_string()))?;
        Ok(Self { include, exclude })
    }

    /// Whether a file of this path belongs to the source.
    pub(super) fn matches(&self, path: &Path) -> bool {
        !is_compressed(path)
            && self.include.iter().any(|pattern| pattern.whole.is_match(path))
            && !self.exclude.is_match(path)
    }

    /// Visits every file that a glob matches. `false`: there were more entries than one walk may look at.
    pub(super) fn walk(&self, visitor: &mut dyn Visitor) -> bool {
        let mut walk = Walk { globs: self, visitor, entries: 0 };
        for pattern in &self.include {
            walk.enter(&pattern.prefix, &pattern.pieces, 0);
        }
        walk.entries < ENTRIES_MAX
    }
}

impl Pattern {
    fn new(glob: &str) -> Result<Self, String> {
        let absolute = std::path::absolute(glob).map_err(|e| e.to_string())?;
        let text = absolute.to_str().ok_or("not UTF-8")?;
        let compile = |part: &str| {
            let glob = GlobBuilder::new(part).literal_separator(true).build();
            glob.map(|glob| glob.compile_matcher()).map_err(|e| e.kind().to_string())
        };
        let whole = compile(text)?;
        let mut prefix = PathBuf::new();
        let mut pieces = Vec::new();
        // Alternatives that span folders cannot be taken apart at the separators.
        let apart =
            !text.split('{').skip(1).any(|s| s.split('}').next().unwrap_or(s).contains('/'));
        for component in absolute.components() {
            let name = component.as_os_str().to_str().ok_or("not UTF-8")?;
            let fixed = !name.contains(['*', '?', '[', '{', '\\']);
            match component {
                Component::Normal(_) if fixed && pieces.is_empty() => prefix.push(name),
                Component::Normal(_) if !apart => {
                    pieces.push(Piece::Any);
                    break;
                }
                Component::Normal(_) if name == "**" => pieces.push(Piece::Any),
                Component::Normal(_) if fixed => pieces.push(Piece::Name(name.into())),
                Component::Normal(_) => pieces.push(Piece::Match(compile(name)?)),
                _ => prefix.push(component),
            }
        }
        if pieces.is_empty() {
            let name = prefix.file_name().map(PathBuf::from).ok_or("names no file")?;
            prefix.pop();
            pieces.push(Piece::Name(name));
        }
        Ok(Self { prefix, pieces, whole })
    }
}

struct Walk<'w> {
    globs: &'w Globs,
    visitor: &'w mut dyn Visitor,
    entries: usize,
}

impl Walk<'_> {
    fn enter(&mut self, folder: &Path, pieces: &[Piece], depth: usize) {
        let Some((first, rest)) = pieces.split_first() else { return };
        if depth > DEPTH_MAX {
            return;
        }
        match first {
            Piece::Name(name) => self.named(folder, &folder.join(name), rest, depth),
            Piece::Match(_) | Piece::Any => self.list(folder, pieces, rest, depth),
        }
    }

    fn named(&mut self, folder: &Path, path: &Path, rest: &[Piece], depth: usize) {
        self.entries += 1;
        if !rest.is_empty() {
            return self.enter(path, rest, depth + 1);
        }
        if folder.is_dir() {
            self.visitor.folder(folder);
        }
        match fs::metadata(path) {
            Ok(meta) if meta.is_file() => self.found(path.to_owned(), None),
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => self.visitor.problem(path, e),
        }
    }

    fn list(&mut self, folder: &Path, pieces: &[Piece], rest: &[Piece], depth: usize) {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(e)
                if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
            {
                return;
            }
            Err(e) => return self.visitor.problem(folder, e),
        };
        self.visitor.folder(folder);
        let any = matches!(pieces.first(), Some(Piece::Any));
        if any {
            // No folder at all is also any number of them.
            self.enter(folder, rest, depth + 1);
        }
        for entry in entries.flatten() {
            self.entries += 1;
            if self.entries >= ENTRIES_MAX {
                return;
            }
            self.entry(&entry, pieces, rest, depth);
        }
    }

    fn entry(&mut self, entry: &fs::DirEntry, pieces: &[Piece], rest: &[Piece], depth: usize) {
        let Ok(kind) = entry.file_type() else { return };
        let any = match pieces.first() {
            Some(Piece::Match(matcher)) if matcher.is_match(entry.file_name()) => false,
            Some(Piece::Any) => true,
            _ => return,
        };
        let path = entry.path();
        let is_folder = || kind.is_dir() || (kind.is_symlink() && path.is_dir());
        if any && kind.is_dir() {
            self.enter(&path, pieces, depth + 1);
        } else if !any && !rest.is_empty() && is_folder() {
            self.enter(&path, rest, depth + 1);
        } else if rest.is_empty() && kind.is_file() {
            self.found(path, Some(entry.ino()));
        } else if rest.is_empty() && kind.is_symlink() {
            self.found(path, None);
        }
    }

    fn found(&mut self, path: PathBuf, inode: Option<u64>) {
        if self.globs.matches(&path) {
            self.visitor.file(path, inode);
        }
    }
}

/// Whether the name says so.
pub(super) fn is_compressed(path: &Path) -> bool {
    let extension = path.extension().map(|e| e.as_bytes().to_ascii_lowercase());
    extension.is_some_and(|e| COMPRESSED.iter().any(|known| known.as_bytes() == e))
}

#[cfg(test)]
mod tests {
    use std::{ffi::OsStr, os::unix::fs::symlink, time::Duration};

    use super::*;
    use crate::tail::Start;

    #[derive(Default)]
    struct Seen(Vec<PathBuf>, Vec<PathBuf>);

    impl Visitor for Seen {
        fn file(&mut self, path: PathBuf, _: Option<u64>) {
            self.0.push(path);
        }
        fn folder(&mut self, path: &Path) {
            self.1.push(path.to_owned());
        }
        fn problem(&mut self, path: &Path, error: io::Error) {
            panic!("{}: {error}", path.display());
        }
    }

    fn globs(folder: &Path, files: &[&str], exclude: &[&str]) -> Globs {
        let files = files.iter().map(|f| format!("{}/{f}", folder.display())).collect();
        let exclude = exclude.iter().map(|&f| f.to_owned()).collect();
        let record_wait = Duration::from_millis(200);
        let source = "test".to_owned();
        Globs::new(&Settings { source, files, exclude, start: Start::Beginning, record_wait })
            .expect("globs compile")
    }

    fn check(files: &[&str], exclude: &[&str], expected: &[&str]) {
        let folder = tempfile::tempdir().expect("a folder");
        for path in ["a.log", "b.log", "b.log.1", "b.log.2.gz", "x/c.log", "x/y/d.log", "x/y/e.txt"]
        {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().expect("has one")).expect("a folder");
            fs::write(path, "x\n").expect("a file");
        }
        symlink("x", folder.path().join("link")).expect("a link");
        symlink("a.log", folder.path().join("z.log")).expect("a link");
        let globs = globs(folder.path(), files, exclude);
        let mut seen = Seen::default();
        assert!(globs.walk(&mut seen));
        let mut names: Vec<_> = seen
            .0
            .iter()
            .map(|p| p.strip_prefix(folder.path()).expect("below").to_str().expect("text"))
            .collect();
        names.sort_unstable();
        assert_eq!(names, expected, "{files:?}");
        assert!(seen.0.iter().all(|path| globs.matches(path)));
        assert!(!seen.1.is_empty(), "folders to watch");
    }

    #[test]
    fn globs_find_what_they_name() {
        check(&["a.log"], &[], &["a.log"]);
        check(&["*.log"], &[], &["a.log", "b.log", "z.log"]);
        check(&["*.log*"], &["*.1"], &["a.log", "b.log", "z.log"]);
        check(&["**/*.log"], &[], &["a.log", "b.log", "x/c.log", "x/y/d.log", "z.log"]);
        check(&["*/c.log"], &[], &["link/c.log", "x/c.log"]);
        check(&["{a,x/c}.log"], &[], &["a.log", "x/c.log"]);
        check(&["x/**/[de].*"], &["*.txt"], &["x/y/d.log"]);
        check(&["nowhere/*.log", "b.log"], &[], &["b.log"]);
    }

    #[test]
    fn names_are_bytes() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(OsStr::from_bytes(b"\xff\xfe\x1b[2J.log"));
        fs::write(&path, "x\n").expect("a file");
        let mut seen = Seen::default();
        globs(folder.path(), &["*.log"], &[]).walk(&mut seen);
        assert_eq!(seen.0, [path]);
    }

    #[test]
    fn a_broken_glob_names_its_source() {
        let files = vec!["/var/log/[a".to_owned()];
        let (exclude, start) = (Vec::new(), Start::Beginning);
        let (source, record_wait) = ("chat".to_owned(), Duration::ZERO);
        let error = Globs::new(&Settings { source, files, exclude, start, record_wait }).err();
        let text = error.expect("is refused").to_string();
        assert!(text.starts_with("source \"chat\": glob \"/var/log/[a\": "), "{text}");
    }
}
