//! All mapping files: the shipped ones, and the user's laid over them. The only part of `map` that reads files.
//!
//! The catalogue, the fields and the tables of schemas and privacy are read when the library is opened; a source only
//! when it is asked for, since a program that reads one log needs one of them.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs,
    path::Path,
    sync::Arc,
};

use super::{
    catalogue::{self, Categories},
    compile,
    engine::Mapping,
    fields, layout, privacy,
    read::Reader,
    shipped,
    source::{self, Known, SourceSpec},
    spec::{Checked, PrivacySpec},
    tree::{self, File, Layer, Place, Table},
};
use crate::{
    event::{FieldId, Tables},
    parse::LayoutSpec,
    problem::{Problem, nearest},
};

/// Largest mapping file.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Most files of the user's folder.
const FILES_MAX: usize = 1_000;
/// The folders that the mappings folder has.
const FOLDERS: &[&str] = &["events", "layouts", "sources", "schemas", "privacy"];

/// All mapping files, checked as far as they are read.
#[derive(Debug)]
pub struct Library {
    files: Vec<File>,
    /// Path inside the folder → the merged table.
    merged: BTreeMap<String, Table>,
    tables: Arc<Tables>,
    upper: HashSet<FieldId>,
    layouts: HashMap<String, (LayoutSpec, Place)>,
    privacy: BTreeMap<String, PrivacySpec>,
}

impl Library {
    /// The shipped files alone.
    ///
    /// # Errors
    /// What is wrong in them.
    pub fn shipped() -> Checked<Self> {
        Self::of(shipped::files())
    }

    /// The shipped files and, laid over them, those of the user's folder.
    ///
    /// # Errors
    /// All that is wrong in the files, or a file or folder that cannot be read.
    pub fn open(user: &Path) -> Checked<Self> {
        let mut files = shipped::files();
        read_folder(user, &mut files).map_err(|problem| vec![problem])?;
        Self::of(files)
    }

    /// A library of these files; the shipped ones must come first.
    ///
    /// # Errors
    /// All that is wrong in them.
    pub fn of(files: Vec<File>) -> Checked<Self> {
        let merged = merge(&files)?;
        let mut reader = Reader::new(&files);
        let (tables, upper) = tables(&mut reader, &merged);
        let layouts = layouts(&mut reader, &merged);
        let privacy = folder(&merged, "privacy")
            .map(|(name, table)| {
                (name.to_owned(), privacy::profile(&mut reader, name, table, &tables))
            })
            .collect();
        let problems = std::mem::take(&mut reader.problems);
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self { files, merged, tables: Arc::new(tables), upper, layouts, privacy })
    }

    /// What ids in events refer to.
    #[must_use]
    pub fn tables(&self) -> &Arc<Tables> {
        &self.tables
    }

    /// Names of the sources.
    pub fn sources(&self) -> impl Iterator<Item = &str> + Clone {
        folder(&self.merged, "sources").map(|(name, _)| name)
    }

    /// A merged file as plain TOML, for a stage that reads it itself: `schemas/cef.toml`.
    #[must_use]
    pub fn document(&self, path: &str) -> Option<toml::Value> {
        self.merged.get(path).map(tree::to_value)
    }

    /// A problem with the value at a dotted path of such a file (or the nearest table above it that is there).
    #[must_use]
    pub fn problem(&self, path: &str, dotted: &str, message: &str) -> Problem {
        let place = self.merged.get(path).and_then(|table| tree::place_of(table, dotted));
        match place {
            Some(place) => place.problem(&self.files, message),
            None => Problem::of_file(Path::new(path), message),
        }
    }

    /// A privacy profile by its name.
    #[must_use]
    pub fn privacy(&self, name: &str) -> Option<&PrivacySpec> {
        self.privacy.get(name)
    }

    /// Names of the privacy profiles.
    pub fn profiles(&self) -> impl Iterator<Item = &str> + Clone {
        self.privacy.keys().map(String::as_str)
    }

    /// What a source's file says.
    ///
    /// # Errors
    /// All that is wrong in it; a hint if there is no such source.
    pub fn source(&self, name: &str) -> Checked<SourceSpec> {
        let mut reader = Reader::new(&self.files);
        let Some(table) = self.merged.get(&format!("sources/{name}.toml")) else {
            let message = format!("there is no source mapping `{name}`");
            let problem = Problem::of_file(Path::new("mappings/sources"), message);
            let near = nearest(name, self.sources()).map(|near| format!("did you mean `{near}`? "));
            let all = self.sources().collect::<Vec<_>>().join(" ");
            return Err(vec![
                problem.hint(format!("{}there are: {all}", near.unwrap_or_default())),
            ]);
        };
        let known = Known { tables: &self.tables, layouts: &self.layouts };
        let spec = source::source(&mut reader, name, table, &known);
        if !reader.problems.is_empty() {
            reader.problems.extend(self.overrides_nothing(name));
        }
        match spec {
            Some(spec) => reader.finish(spec),
            None => Err(reader.problems),
        }
    }

    /// What is probably meant where a user's file that is wrong has no shipped one to be laid over.
    fn overrides_nothing(&self, name: &str) -> Option<Problem> {
        let path = format!("sources/{name}.toml");
        let files = || self.files.iter().filter(|file| file.name == path);
        let own = files().next()?;
        if files().any(|file| file.layer == Layer::Shipped) {
            return None;
        }
        let near = nearest(name, self.sources().filter(|other| *other != name))?;
        let message = format!("source `{name}` overrides nothing, and is not complete");
        Some(Problem::of_file(&own.path, message).hint(format!("did you mean `{near}.toml`?")))
    }

    /// A source, compiled.
    ///
    /// # Errors
    /// All that is wrong in it.
    pub fn mapping(&self, name: &str) -> Checked<Mapping> {
        self.compile(&self.source(name)?)
    }

    pub(crate) fn compile(&self, spec: &SourceSpec) -> Checked<Mapping> {
        let mut reader = Reader::new(&self.files);
        match compile::mapping(&mut reader, spec, &self.tables, &self.upper) {
            Some(mapping) => reader.finish(mapping),
            None => Err(reader.problems),
        }
    }

    pub(crate) fn files(&self) -> &[File] {
        &self.files
    }
}

/// (name, table) of each file of a folder.
fn folder<'m>(
    merged: &'m BTreeMap<String, Table>,
    folder: &'static str,
) -> impl Iterator<Item = (&'m str, &'m Table)> + Clone {
    merged.iter().filter_map(move |(path, table)| {
        let name = path.strip_prefix(folder)?.strip_prefix('/')?.strip_suffix(".toml")?;
        Some((name, table))
    })
}

/// Parses all files and lays each of the user's over the shipped one of the same path.
fn merge(files: &[File]) -> Checked<BTreeMap<String, Table>> {
    let mut merged: BTreeMap<String, Table> = BTreeMap::new();
    let mut problems = Vec::new();
    for (index, file) in files.iter().enumerate() {
        match tree::parse(index, file) {
            Err(more) => problems.extend(more),
            Ok(table) => match merged.get_mut(&file.name) {
                Some(base) => tree::overlay(base, table, files, &mut problems),
                None => drop(merged.insert(file.name.clone(), table)),
            },
        }
    }
    if problems.is_empty() { Ok(merged) } else { Err(problems) }
}

fn tables(reader: &mut Reader<'_>, merged: &BTreeMap<String, Table>) -> (Tables, HashSet<FieldId>) {
    let mut all = fields::of_ecs(shipped::ECS_FIELDS);
    let mut upper = Vec::new();
    if let Some(table) = merged.get("fields.toml") {
        let (own, own_upper) = fields::of_file(reader, table);
        all.extend(own);
        upper = own_upper;
    }
    let fields = fields::ordered(reader, all);
    let events: Vec<_> = folder(merged, "events").map(|(_, table)| table).collect();
    let categories = Categories::parse(shipped::ECS_CATEGORIES);
    let kinds = catalogue::kinds(reader, &events, &categories);
    let tables = Tables::new(fields, kinds);
    let upper = upper.iter().filter_map(|name| tables.field_id(name)).collect();
    (tables, upper)
}

fn layouts(
    reader: &mut Reader<'_>,
    merged: &BTreeMap<String, Table>,
) -> HashMap<String, (LayoutSpec, Place)> {
    let mut layouts = HashMap::new();
    for (name, table) in folder(merged, "layouts") {
        let place = table.entries.first().map(|entry| entry.key_place).unwrap_or_default();
        let spec = layout::layout(reader, name, table, place);
        layouts.insert(name.to_owned(), (spec, layout::pattern_place(table).unwrap_or(place)));
    }
    layouts
}

/// Reads the user's folder: `fields.toml` and the `.toml` files of the known folders.
fn read_folder(user: &Path, files: &mut Vec<File>) -> Result<(), Problem> {
    let unreadable = |path: &Path, error: std::io::Error| {
        Problem::of_file(path, format!("cannot be read: {error}"))
    };
    let own = user.join("fields.toml");
    if own.exists() {
        files.push(read_file(&own, "fields.toml")?);
    }
    for folder in FOLDERS {
        let path = user.join(folder);
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(unreadable(&path, error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| unreadable(&path, error))?;
            names.extend(entry.file_name().into_string().ok().filter(|n| n.ends_with(".toml")));
        }
        names.sort();
        for name in names {
            if files.len() > FILES_MAX {
                return Err(Problem::of_file(&path, format!("more than {FILES_MAX} files")));
            }
            files.push(read_file(&path.join(&name), &format!("{folder}/{name}"))?);
        }
    }
    Ok(())
}

fn read_file(path: &Path, name: &str) -> Result<File, Problem> {
    let fail = |why: String| Problem::of_file(path, why);
    let size = fs::metadata(path).map_err(|e| fail(format!("cannot be read: {e}")))?.len();
    if size > FILE_BYTES_MAX {
        return Err(fail(format!("larger than {FILE_BYTES_MAX} bytes")));
    }
    let text = fs::read_to_string(path).map_err(|e| fail(format!("cannot be read: {e}")))?;
    Ok(File { path: path.to_owned(), name: name.to_owned(), layer: Layer::User, text })
}
