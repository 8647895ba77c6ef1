//! Pattern text → [`Template`]. Errors say where and what to write instead.

use regex_automata::{meta::Regex, util::syntax};

use super::{
    CaptureSpec, CaptureType, Literal, PIECES_MAX, Piece, TYPES, Template, TemplateError,
    matching::Ending,
};
use crate::parse::time::TimeFormat;

/// Most bytes that the automaton of one `re` may take.
const REGEX_BYTES_MAX: usize = 1 << 20;

impl Template {
    /// Compiles a pattern that whole texts are to match.
    pub fn compile(pattern: &str) -> Result<Self, TemplateError> {
        Self::compile_for(pattern, Ending::Whole)
    }

    /// Compiles a pattern that the beginnings of texts are to match: a `re` at its end need not reach theirs.
    pub fn compile_prefix(pattern: &str) -> Result<Self, TemplateError> {
        Self::compile_for(pattern, Ending::Prefix)
    }

    fn compile_for(pattern: &str, ending: Ending) -> Result<Self, TemplateError> {
        let template =
            Self { pattern: pattern.to_owned(), pieces: Vec::new(), captures: Vec::new() };
        let mut compiler = Compiler { pattern, ending, at: 0, literal: Vec::new(), template };
        compiler.run()?;
        Ok(compiler.template)
    }
}

/// A placeholder as it is written.
struct Placeholder<'p> {
    start: usize,
    name: &'p str,
    type_at: usize,
    type_name: &'p str,
    argument_at: usize,
    argument: Option<String>,
}

struct Compiler<'p> {
    pattern: &'p str,
    ending: Ending,
    at: usize,
    /// Literal text that is not yet a piece.
    literal: Vec<u8>,
    template: Template,
}

impl<'p> Compiler<'p> {
    fn run(&mut self) -> Result<(), TemplateError> {
        while let Some(byte) = self.peek(0) {
            match (byte, self.peek(1)) {
                (b'{', Some(b'{')) | (b'}', Some(b'}')) => {
                    self.literal.push(byte);
                    self.at += 2;
                }
                (b'{', _) => self.placeholder()?,
                (b'}', _) => {
                    return Err(error(self.at, "a closing brace without an opening one")
                        .hint("write `}}` for a literal brace"));
                }
                _ => {
                    self.literal.push(byte);
                    self.at += 1;
                }
            }
        }
        self.flush();
        self.check_order()
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.pattern.as_bytes().get(self.at + ahead).copied()
    }

    fn flush(&mut self) {
        if !self.literal.is_empty() {
            self.template.pieces.push(Piece::Literal(Literal::boxed(&self.literal)));
            self.literal.clear();
        }
    }

    fn placeholder(&mut self) -> Result<(), TemplateError> {
        let written = self.read()?;
        self.flush();
        if self.template.pieces.len() + 2 > PIECES_MAX {
            return Err(error(written.start, format!("more than {PIECES_MAX} pieces")));
        }
        let last = self.ending == Ending::Whole && self.at == self.pattern.len();
        let ty = capture_type(&written, last)?;
        let keep = written.name != "_" || matches!(ty, CaptureType::Kv);
        if keep
            && written.name != "_"
            && self.template.captures.iter().any(|c| c.name == written.name)
        {
            return Err(error(written.start, format!("`{}` is captured twice", written.name))
                .hint("use `{_}` for what need not be kept"));
        }
        let slot = if keep {
            let slot = self.template.captures.len();
            self.template
                .captures
                .push(CaptureSpec { name: written.name.to_owned(), ty: ty.clone() });
            u16::try_from(slot).ok()
        } else {
            None
        };
        self.template.pieces.push(Piece::Capture { ty, slot });
        Ok(())
    }

    /// Reads `{name:type('argument')}` and goes behind it.
    fn read(&mut self) -> Result<Placeholder<'p>, TemplateError> {
        let start = self.at;
        self.at += 1;
        let name = self
            .run_of(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'@' | b'$' | b'-'));
        if name.is_empty() || name == "$" {
            return Err(error(self.at, "a placeholder needs a name")
                .hint("`{name}`, `{name:type}` or `{_}`; write `{{` for a literal brace"));
        }
        let (mut type_at, mut type_name) = (self.at, "word");
        let (mut argument_at, mut argument) = (self.at, None);
        if self.peek(0) == Some(b':') {
            self.at += 1;
            type_at = self.at;
            type_name = self.run_of(|b| b.is_ascii_alphanumeric() || b == b'_');
            if self.peek(0) == Some(b'(') {
                argument_at = self.at + 2;
                argument = Some(self.argument()?);
            }
        }
        if self.peek(0) != Some(b'}') {
            return Err(error(self.at, "expected `}` at the end of a placeholder")
                .hint("a name has letters, digits, `_`, `.`, `-`, `@`, and `$` at its beginning"));
        }
        self.at += 1;
        Ok(Placeholder { start, name, type_at, type_name, argument_at, argument })
    }

    fn run_of(&mut self, accept: impl Fn(u8) -> bool) -> &'p str {
        let start = self.at;
        while self.peek(0).is_some_and(&accept) {
            self.at += 1;
        }
        &self.pattern[start..self.at]
    }

    /// Reads `('…')` or `("…")`. Inside, a backslash before the quote makes it literal; every other one stays.
    fn argument(&mut self) -> Result<String, TemplateError> {
        let open = self.at;
        self.at += 1;
        let Some(quote @ (b'\'' | b'"')) = self.peek(0) else {
            return Err(error(self.at, "an argument stands in quotes").hint("like `until(', ')`"));
        };
        self.at += 1;
        let mut argument = Vec::new();
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some(b'\\'), Some(next)) if next == quote => {
                    argument.push(quote);
                    self.at += 2;
                }
                (Some(byte), Some(b')')) if byte == quote => {
                    self.at += 2;
                    break;
                }
                (Some(byte), _) if byte == quote => {
                    return Err(error(
                        self.at,
                        "expected `)` behind the quote that ends an argument",
                    )
                    .hint("write a backslash before a quote inside"));
                }
                (Some(byte), _) => {
                    argument.push(byte);
                    self.at += 1;
                }
                (None, _) => return Err(error(open, "an argument without an end")),
            }
        }
        String::from_utf8(argument).map_err(|_| error(open, "an argument that is no UTF-8"))
    }

    /// `rest` must be last, and two captures that could both take anything may not stand side by side.
    fn check_order(&self) -> Result<(), TemplateError> {
        let mut pieces = self.template.pieces.iter().peekable();
        while let Some(piece) = pieces.next() {
            let (Piece::Capture { ty, .. }, Some(next)) = (piece, pieces.peek()) else { continue };
            if matches!(ty, CaptureType::Rest) {
                return Err(error(
                    self.pattern.len(),
                    "`rest` takes everything: nothing can follow it",
                )
                .hint("use `text` or `longest`"));
            }
            if let Piece::Capture { ty: next, .. } = next
                && ty.any_bytes()
                && next.any_bytes()
            {
                return Err(error(
                    self.pattern.len(),
                    "two captures side by side that may both take anything",
                )
                .hint("put literal text or `spaces` between them"));
            }
        }
        Ok(())
    }
}

impl CaptureType {
    /// Only what follows says where it ends.
    pub(crate) fn open_ended(&self) -> bool {
        use CaptureType::{Jid, Kv, Longest, Text, User, Word};
        matches!(self, Word | Text | Longest | User | Jid | Kv)
    }

    fn any_bytes(&self) -> bool {
        use CaptureType::{Longest, Rest, Text, User};
        matches!(self, Text | Longest | User | Rest)
    }
}

fn capture_type(written: &Placeholder<'_>, last: bool) -> Result<CaptureType, TemplateError> {
    let needs_none = |ty| match written.argument {
        None => Ok(ty),
        Some(_) => {
            Err(error(written.argument_at, format!("`{}` takes no argument", written.type_name)))
        }
    };
    let argument = || match written.argument.as_deref() {
        Some(argument) if !argument.is_empty() => Ok(argument),
        _ => Err(error(written.type_at, format!("`{}` needs an argument", written.type_name))
            .hint(format!("like `{}`", example(written.type_name)))),
    };
    match written.type_name {
        "word" => needs_none(CaptureType::Word),
        "text" => needs_none(CaptureType::Text),
        "longest" => needs_none(CaptureType::Longest),
        "rest" => needs_none(CaptureType::Rest),
        "until" => Ok(CaptureType::Until(Literal::boxed(&escapes(argument()?)))),
        "until_tab" => needs_none(CaptureType::Until(Literal::boxed(b"\t"))),
        "quoted" => needs_none(CaptureType::Quoted),
        "ip" => needs_none(CaptureType::Ip),
        "port" => needs_none(CaptureType::Port),
        "int" => needs_none(CaptureType::Int),
        "hex" => needs_none(CaptureType::Hex),
        "float" => needs_none(CaptureType::Float),
        "jid" => needs_none(CaptureType::Jid),
        "user" => needs_none(CaptureType::User),
        "tox_id" => needs_none(CaptureType::ToxId),
        "tox_key" => needs_none(CaptureType::ToxKey),
        "spaces" => needs_none(CaptureType::Spaces),
        "maybe_spaces" => needs_none(CaptureType::MaybeSpaces),
        "ansi" => needs_none(CaptureType::Ansi),
        "level" => needs_none(CaptureType::Level),
        "bool" => needs_none(CaptureType::Bool),
        "kv" => needs_none(CaptureType::Kv),
        "time" => TimeFormat::compile(argument()?)
            .map(CaptureType::Time)
            .map_err(|e| error(written.argument_at + e.offset, e.message)),
        "re" => regex(argument()?, last).map_err(|why| {
            error(
                written.argument_at,
                format!("a regular expression that cannot be compiled: {why}"),
            )
        }),
        other => Err(unknown_type(written.type_at, other)),
    }
}

fn example(type_name: &str) -> &'static str {
    match type_name {
        "time" => "time('%b %d %H:%M:%S')",
        "re" => "re('[a-z]+')",
        _ => "until(', ')",
    }
}

/// `\t`, `\n`, `\r`, `\e` and `\\` of an `until` argument.
fn escapes(argument: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(argument.len());
    let mut bytes = argument.bytes().peekable();
    while let Some(byte) = bytes.next() {
        let special = match (byte, bytes.peek()) {
            (b'\\', Some(b't')) => b'\t',
            (b'\\', Some(b'n')) => b'\n',
            (b'\\', Some(b'r')) => b'\r',
            (b'\\', Some(b'e')) => 0x1b,
            (b'\\', Some(b'\\')) => b'\\',
            _ => {
                out.push(byte);
                continue;
            }
        };
        out.push(special);
        bytes.next();
    }
    out
}

/// A `re` that is the last piece must reach the end; elsewhere it takes what it takes.
fn regex(argument: &str, last: bool) -> Result<CaptureType, String> {
    let pattern = if last { format!("(?:{argument})\\z") } else { argument.to_owned() };
    // Bytes of a log need not be UTF-8.
    let syntax = syntax::Config::new().utf8(false).unicode(false).dot_matches_new_line(false);
    Regex::builder()
        .configure(
            Regex::config()
                .utf8_empty(false)
                .nfa_size_limit(Some(REGEX_BYTES_MAX))
                .onepass_size_limit(Some(REGEX_BYTES_MAX))
                .hybrid_cache_capacity(2 * REGEX_BYTES_MAX),
        )
        .syntax(syntax)
        .build(&pattern)
        .map(|regex| CaptureType::Re(Box::new(regex)))
        .map_err(|e| e.syntax_error().map_or_else(|| e.to_string(), ToString::to_string))
}

fn unknown_type(offset: usize, name: &str) -> TemplateError {
    let names = TYPES.iter().map(|(known, _)| *known);
    let nearest = names.clone().min_by_key(|known| distance(name, known));
    let error = error(offset, format!("unknown type `{name}`"));
    match nearest.filter(|known| distance(name, known) <= 2) {
        Some(known) => error.hint(format!("did you mean `{known}`?")),
        None => error.hint(format!("one of {}", names.collect::<Vec<_>>().join(", "))),
    }
}

/// Levenshtein distance, for names of a few letters.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

fn error(offset: usize, message: impl Into<String>) -> TemplateError {
    TemplateError { offset, message: message.into(), hint: None }
}

impl TemplateError {
    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
