//! A layout: one way in which a program or a framework writes lines. Cuts bytes into records and takes them apart.

mod detect;
mod parse;
mod records;
mod spec;

use super::{
    names::{Names, Replacement},
    syslog::Header,
    template::{CaptureType, Piece, Template, TemplateError},
    time::TimeFormat,
};

pub use detect::detect;
pub use records::{Cut, LINES_MAX, RECORD_BYTES_MAX};
pub use spec::{Format, LayoutSpec, StartRule};

/// A compiled [`LayoutSpec`].
#[derive(Clone, Debug)]
pub struct Layout {
    name: String,
    format: Format,
    lines: Vec<Line>,
    syslog: Option<Header>,
    start: Start,
    names: Names,
    time: Vec<TimeFormat>,
    levels: Vec<Replacement>,
    unescape_octal: bool,
}

/// A line template, prepared.
#[derive(Clone, Debug)]
struct Line {
    template: Template,
    /// How many of its pieces come before the message: its header.
    head: usize,
    /// Known names of its captures.
    slots: Vec<u16>,
}

/// What begins a record.
#[derive(Clone, Debug)]
enum Start {
    /// Every line.
    Every,
    /// A syslog header.
    Syslog,
    /// The header of one of the line templates.
    Header,
    /// What this matches.
    Begins(Template),
    /// What this does not match.
    Continues(Template),
}

/// A layout that cannot be compiled.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LayoutError {
    /// A template is wrong. `key` is the specification's key, `index` which of several.
    #[error("{key}: {error}")]
    Template {
        /// `line` or `start`.
        key: &'static str,
        /// Which of several templates.
        index: usize,
        /// What is wrong with it.
        error: TemplateError,
    },
    /// A time format is wrong.
    #[error("time: {message}")]
    Time {
        /// Which of several formats.
        index: usize,
        /// Byte in it.
        offset: usize,
        /// What is wrong.
        message: String,
    },
    /// A layout of text without a template.
    #[error("a layout of text needs a `line`")]
    NoLine,
    /// A layout of JSON with a template.
    #[error("a layout of JSON has no `line`")]
    LineOfJson,
}

impl Layout {
    /// Compiles a specification.
    pub fn compile(spec: &LayoutSpec) -> Result<Self, LayoutError> {
        if spec.format == Format::Text && spec.line.is_empty() && !spec.syslog {
            return Err(LayoutError::NoLine);
        }
        if spec.format == Format::Json && !spec.line.is_empty() {
            return Err(LayoutError::LineOfJson);
        }
        let mut names = Names::new(&spec.rename, &spec.require);
        let mut lines = Vec::new();
        for (index, pattern) in spec.line.iter().enumerate() {
            let template = Template::compile(pattern).map_err(|error| LayoutError::Template {
                key: "line",
                index,
                error,
            })?;
            lines.push(Line::new(template, &mut names));
        }
        let formats = if spec.time.is_empty() { &["auto".to_owned()][..] } else { &spec.time };
        let time = formats.iter().enumerate().map(|(index, format)| {
            TimeFormat::compile(format).map_err(|error| LayoutError::Time {
                index,
                offset: error.offset,
                message: error.message,
            })
        });
        Ok(Self {
            name: spec.name.clone(),
            format: spec.format,
            start: start(spec, &lines)?,
            lines,
            syslog: spec.syslog.then(Header::new),
            names,
            time: time.collect::<Result<_, _>>()?,
            levels: spec.levels.iter().map(|(from, to)| Replacement::new(from, to)).collect(),
            unescape_octal: spec.unescape_octal,
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Names that parts may have by number ([`super::Name::Known`]), in the order of those numbers.
    #[must_use]
    pub fn names(&self) -> &[Box<str>] {
        self.names.all()
    }

    /// Gives these names numbers too: a stage that looks for them need not compare text then.
    pub fn know<'n>(&mut self, names: impl Iterator<Item = &'n str>) {
        self.names.know(names);
    }

    /// The line templates, in the order in which they are tried.
    pub fn lines(&self) -> impl Iterator<Item = &Template> {
        self.lines.iter().map(|line| &line.template)
    }
}

impl Line {
    fn new(template: Template, names: &mut Names) -> Self {
        let mut slots = Vec::new();
        for capture in template.captures() {
            slots.push(names.know([capture.name.as_str()].into_iter()).unwrap_or(u16::MAX));
        }
        let message = |piece: &Piece| match piece {
            Piece::Literal(_) => false,
            Piece::Capture { ty: CaptureType::Rest | CaptureType::Kv, .. } => true,
            Piece::Capture { slot, .. } => slot.is_some_and(|slot| {
                template.captures().get(usize::from(slot)).is_some_and(|c| c.name == "message")
            }),
        };
        let head = template.pieces().iter().position(message).unwrap_or(template.pieces().len());
        Self { template, head, slots }
    }

    /// Any text matches it: it says nothing about what the line is.
    fn takes_anything(&self) -> bool {
        self.head == 0 && self.template.literal_bytes() == 0
    }
}

fn prefix(pattern: &str) -> Result<Template, LayoutError> {
    Template::compile_prefix(pattern).map_err(|error| LayoutError::Template {
        key: "start",
        index: 0,
        error,
    })
}

fn start(spec: &LayoutSpec, lines: &[Line]) -> Result<Start, LayoutError> {
    Ok(match &spec.start {
        StartRule::Every => Start::Every,
        StartRule::Begins(pattern) => Start::Begins(prefix(pattern)?),
        StartRule::Continues(pattern) => Start::Continues(prefix(pattern)?),
        StartRule::Usual if spec.format == Format::Json => Start::Every,
        StartRule::Header | StartRule::Usual if spec.syslog => Start::Syslog,
        StartRule::Header | StartRule::Usual if lines.iter().any(|line| line.head == 0) => {
            Start::Every
        }
        StartRule::Header | StartRule::Usual => Start::Header,
    })
}

#[cfg(test)]
mod tests;
