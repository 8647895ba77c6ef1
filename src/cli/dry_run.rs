//! The dry run behind `towline map`: parse → map → session → guard → privacy → encode, record by record, as the agent
//! does it, but with line numbers and without a spool.

use std::{
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::ValueEnum;

use super::{Exit, Failure, unrecognised::Unrecognised};
use crate::{
    encode::{Agent, Cef, CefTable, Ecs},
    event::{Event, EventId, FieldId, KindId, Raw, Time, Value, field},
    guard::{Guard, Mode, Privacy, Shippable},
    map::{Library, Mapping, Origin, Scratch},
    parse::{Clock, Cut, Layout, Record, detect},
    session::{Limits, Memory, Rules},
    spool::Sequence,
    tail::{FileId, Flush},
};

/// How much is read at once.
const READ_BYTES: usize = if cfg!(test) { 64 } else { 1 << 20 };
/// A line that does not end within this is cut: more memory is not spent on one.
const BUFFER_BYTES_MAX: usize = if cfg!(test) { 1_024 } else { 16 << 20 };
/// Where the CEF table is.
const CEF: &str = "schemas/cef.toml";

/// What is printed for each record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum Format {
    /// A line and its fields, for people.
    Table,
    /// The event as ECS JSON.
    Ecs,
    /// The event as CEF.
    Cef,
    /// One JSON object: line, lines, kind, ecs and cef.
    Jsonl,
}

/// The memory of the source's connections, if it has connections.
fn memory(mapping: &Mapping) -> Result<Option<Memory>, Failure> {
    let rules = mapping.session.as_ref().map(|spec| Rules::new(spec, &mapping.tables)).transpose();
    let rules = rules.map_err(|error| Failure::of(Exit::Configuration, &error))?;
    Ok(rules.map(|rules| Memory::new(Arc::new(rules), Limits::default())))
}

/// What happens to an event behind its mapping.
struct Refine {
    guard: Guard,
    privacy: Privacy,
    ecs: Ecs,
    cef: Cef,
}

impl Refine {
    fn new(library: &Library, mapping: &Mapping, profile: &str) -> Result<Self, Failure> {
        let wrong = |message: String| Failure::new(Exit::Configuration, message);
        let tables = &mapping.tables;
        let spec = library.privacy(profile).ok_or_else(|| {
            let names: Vec<_> = library.profiles().collect();
            let hint = crate::problem::suggest(profile, names).unwrap_or_default();
            wrong(format!("--privacy {profile}: there is no such profile; {hint}"))
        })?;
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|error| wrong(format!("no random key: {error}")))?;
        let privacy = Privacy::new(spec, tables.clone(), Some(&key))
            .map_err(|error| wrong(format!("--privacy {profile}: {error}")))?;
        let table = library.document(CEF).unwrap_or_else(|| toml::Table::new().into());
        let table = CefTable::from_value(table).map_err(|error| {
            Failure::problems(&[library.problem(CEF, &error.path, &error.problem)])
        })?;
        let agent = Agent {
            id: [0; 16],
            name: "dry-run".to_owned(),
            version: env!("CARGO_PKG_VERSION"),
            host_name: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            host_ip: Vec::new(),
        };
        Ok(Self {
            guard: Guard::new(Mode::default(), tables.clone()),
            privacy,
            ecs: Ecs::new(&agent, tables),
            cef: Cef::new(1, &table, &agent, tables),
        })
    }
}

/// What is read and not mapped yet.
pub(super) struct Input {
    input: Box<dyn Read>,
    buffer: Vec<u8>,
    ended: bool,
}

impl Input {
    pub(super) fn new(input: Box<dyn Read>) -> Self {
        Self { input, buffer: Vec::new(), ended: false }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer
    }

    /// Reads on, by [`READ_BYTES`] or to the end.
    pub(super) fn fill(&mut self) -> io::Result<()> {
        let before = self.buffer.len();
        let wanted = u64::try_from(READ_BYTES).unwrap_or(u64::MAX);
        self.input.by_ref().take(wanted).read_to_end(&mut self.buffer)?;
        self.ended = self.buffer.len() - before < READ_BYTES;
        Ok(())
    }

    /// Drops the rest of a line, its newline included, and returns how many bytes that were.
    fn skip_line(&mut self) -> io::Result<u64> {
        let mut skipped = 0;
        loop {
            let newline = memchr::memchr(b'\n', &self.buffer);
            let used = newline.map_or(self.buffer.len(), |at| at + 1);
            self.buffer.drain(..used);
            skipped += used as u64;
            if newline.is_some() || self.ended {
                return Ok(skipped);
            }
            self.fill()?;
        }
    }
}

/// One dry run.
pub(super) struct DryRun<'r> {
    mapping: &'r Mapping,
    refine: Refine,
    layout: Option<&'r Layout>,
    format: Format,
    path: PathBuf,
    read: Time,
    memory: Option<Memory>,
    scratch: Scratch,
    event: Event<Raw>,
    unrecognised: Unrecognised,
    text: Vec<u8>,
    cef: Vec<u8>,
    /// Number of the next physical line.
    line: u64,
    /// Offset of the next record's first byte.
    offset: u64,
}

impl<'r> DryRun<'r> {
    /// A dry run of a mapping, rendered for a privacy profile.
    pub(super) fn new(
        library: &Library,
        mapping: &'r Mapping,
        profile: &str,
        format: Format,
    ) -> Result<Self, Failure> {
        Ok(Self {
            mapping,
            refine: Refine::new(library, mapping, profile)?,
            layout: mapping.layouts.first(),
            format,
            path: PathBuf::new(),
            read: Time::default(),
            memory: memory(mapping)?,
            scratch: Scratch::new(),
            event: Event::new(KindId(0), EventId::default(), Time(0)),
            unrecognised: Unrecognised::default(),
            text: Vec::new(),
            cef: Vec::new(),
            line: 1,
            offset: 0,
        })
    }

    /// The file that is read, and when it was changed last.
    pub(super) fn file(mut self, path: &Path, modified: Time) -> Self {
        path.clone_into(&mut self.path);
        self.read = modified;
        self
    }

    /// The layout of that name; `auto`: the one that the first bytes look like.
    pub(super) fn layout(mut self, name: &str, bytes: &[u8]) -> Result<Self, Failure> {
        let layouts = &self.mapping.layouts;
        if name == "auto" {
            // A file that fits none is read by the first: its lines are unrecognised then, and said to be so.
            self.layout = layouts.get(detect(layouts, bytes).unwrap_or(0));
            return Ok(self);
        }
        self.layout = layouts.iter().find(|layout| layout.name() == name);
        if self.layout.is_none() {
            let names: Vec<_> = layouts.iter().map(|layout| layout.name()).collect();
            let message = format!(
                "--layout {name}: source `{}` has no such layout; it has: auto {}",
                self.mapping.name,
                names.join(" ")
            );
            return Err(Failure::new(Exit::Configuration, message));
        }
        Ok(self)
    }

    /// What was not recognised so far.
    pub(super) fn unrecognised(&self) -> &Unrecognised {
        &self.unrecognised
    }

    /// Maps everything that there is to read.
    pub(super) fn all(
        &mut self,
        input: &mut Input,
        clock: &Clock,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let Some(layout) = self.layout else { return Ok(()) };
        let mut cuts: Vec<Cut> = Vec::new();
        loop {
            let full = input.buffer.len() >= BUFFER_BYTES_MAX;
            let flush = match (input.ended, full) {
                (true, _) => Flush::End,
                (false, true) => Flush::Idle,
                (false, false) => Flush::No,
            };
            cuts.clear();
            let mut used = layout.records(&input.buffer, flush, &mut cuts);
            let endless = used == 0 && full && !input.ended;
            if endless {
                // One line that is longer than the buffer: its beginning is the record.
                used = layout.records(&input.buffer, Flush::End, &mut cuts);
            }
            self.records(&input.buffer[..used], &cuts, (layout, clock), out)?;
            input.buffer.drain(..used);
            if input.ended {
                return Ok(());
            }
            input.fill()?;
            if endless {
                self.offset += input.skip_line()?;
                self.line += 1;
            }
        }
    }

    fn records(
        &mut self,
        bytes: &[u8],
        cuts: &[Cut],
        (layout, clock): (&Layout, &Clock),
        out: &mut impl Write,
    ) -> io::Result<()> {
        let mut record = Record::new(b"");
        let mut at = 0;
        let (first, offset) = (self.line, self.offset);
        let mut counted = 0;
        for cut in cuts {
            counted += newlines(&bytes[at..cut.start]);
            at = cut.start;
            self.line = first + counted;
            self.offset = offset + at as u64;
            let line = &bytes[cut.start..cut.end];
            record = record.reuse(line);
            layout.parse(line, clock, &mut record);
            self.record(&record, cut.lines, clock, out)?;
        }
        self.line = first + counted + newlines(&bytes[at..]);
        self.offset = offset + bytes.len() as u64;
        Ok(())
    }

    fn record(
        &mut self,
        record: &Record<'_>,
        lines: u32,
        clock: &Clock,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let path = self.path.as_os_str().as_encoded_bytes();
        let origin = Origin {
            source: &self.mapping.name,
            file: FileId::default(),
            generation: 0,
            path,
            offset: self.offset,
            read: self.read,
            agent_id: &[0; 16],
            keep_original: true,
            clock,
        };
        self.mapping.map(record, &origin, &mut self.scratch, &mut self.event);
        if let Some(memory) = &mut self.memory {
            memory.apply(origin.file, origin.source, origin.offset, &mut self.event);
        }
        let said = self.event.text_of(field::MESSAGE).unwrap_or_default();
        self.unrecognised.count(self.event.recognised, said);
        let raw =
            std::mem::replace(&mut self.event, Event::new(KindId(0), EventId::default(), Time(0)));
        let event = self.refine.privacy.apply(self.refine.guard.clean(raw));
        self.text.clear();
        match self.format {
            Format::Table => self.table(&event),
            Format::Ecs => self.refine.ecs.write(Sequence(0), &event, &mut self.text),
            Format::Cef => self.refine.cef.write(&event, &mut self.text),
            Format::Jsonl => self.json_line(&event, lines)?,
        }
        self.text.push(b'\n');
        out.write_all(&self.text)
    }

    fn table(&mut self, event: &Event<Shippable>) {
        let kind = &self.mapping.tables.kind(event.kind).name;
        let time = timestamp(event.time);
        let binding = self.mapping.matched(&self.scratch).unwrap_or("-");
        self.text = format!("{:>6}  {time}  {kind}  ({binding})", self.line).into_bytes();
        for one in &event.fields {
            if PLACE.contains(&one.id) {
                continue;
            }
            let name = &self.mapping.tables.field(one.id).name;
            let value = match one.value {
                Value::Date(time) => timestamp(time).into(),
                value => event.show(value),
            };
            self.text.extend_from_slice(format!("\n        {name} = {value}").as_bytes());
        }
    }

    fn json_line(&mut self, event: &Event<Shippable>, lines: u32) -> io::Result<()> {
        let kind = event.recognised.then(|| &self.mapping.tables.kind(event.kind).name);
        write!(self.text, "{{\"line\":{},\"lines\":{lines},\"kind\":", self.line)?;
        serde_json::to_writer(&mut self.text, &kind)?;
        self.text.extend_from_slice(b",\"ecs\":");
        self.refine.ecs.write(Sequence(0), event, &mut self.text);
        self.cef.clear();
        self.refine.cef.write(event, &mut self.cef);
        self.text.extend_from_slice(b",\"cef\":");
        serde_json::to_writer(&mut self.text, &String::from_utf8_lossy(&self.cef))?;
        self.text.push(b'}');
        Ok(())
    }
}

/// Fields that are the same for all records of a file, or the record itself: a table for people is better without.
const PLACE: [FieldId; 4] = [field::ORIGINAL, field::LOG_PATH, field::LOG_OFFSET, field::DATASET];

fn newlines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

fn timestamp(time: Time) -> String {
    jiff::Timestamp::from_nanosecond(time.0.into()).unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map::{File, Layer, shipped_files};

    const SOURCE: &str = "\
about = 'X'
family = 'xmpp'
layouts = ['text', 'json']
[layout.text]
line = '{log.logger} {log.level:level}: {message:rest}'
[layout.json]
format = 'json'
[session]
id = 'log.logger'
where = ['c2s*']
starts = ['xmpp.c2s_connect']
keep = ['source.ip', 'user.name', 'user.domain']
[binding.connected]
kind = 'xmpp.c2s_connect'
message = 'connected from {source.ip:ip}'
[binding.bound]
kind = 'xmpp.session_bind'
message = 'bound {xmpp.jid:jid}'
";

    fn library() -> Library {
        let mut files = shipped_files();
        let name = "sources/x.toml".to_owned();
        let (path, layer) = (name.clone().into(), Layer::Shipped);
        files.push(File { path, name, layer, text: SOURCE.to_owned() });
        Library::of(files).unwrap()
    }

    fn run(format: Format, text: &str) -> String {
        let library = library();
        let mapping = library.mapping("x").unwrap();
        let mut input = Input::new(Box::new(io::Cursor::new(text.as_bytes().to_vec())));
        input.fill().unwrap();
        let clock = Clock::utc(Time(0));
        let mut run = DryRun::new(&library, &mapping, "full", format)
            .unwrap()
            .layout("auto", input.bytes())
            .unwrap();
        let mut out = Vec::new();
        run.all(&mut input, &clock, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// `line+lines kind message` of each record, from JSON that a strict parser took.
    fn records(text: &str) -> Vec<String> {
        let of_line = |line: &str| {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(value["cef"].as_str().unwrap().starts_with("CEF:1|"), "{line}");
            let message = value["ecs"]["message"].as_str().unwrap_or_default();
            let message: String = message.chars().take(30).collect();
            let kind = value["kind"].as_str().unwrap_or("null");
            format!("{}+{} {kind} {message}", value["line"], value["lines"])
        };
        run(Format::Jsonl, text).lines().map(of_line).collect()
    }

    #[test]
    fn records_have_their_physical_lines() {
        let text =
            "c2s1 info: bound romeo@example.net\nc2s1 error: two\n  lines\n\nc2s1 warn: last";
        assert_eq!(
            records(text),
            [
                "1+1 xmpp.session_bind bound romeo@example.net",
                "2+3 null two\\u{0a}  lines",
                "5+1 null last",
            ]
        );
        assert_eq!(records(""), [""; 0]);
        assert_eq!(records("\n\nc2s1 info: x\n").last().unwrap(), "3+1 null x");
    }

    #[test]
    fn a_line_without_end_is_one_record() {
        let long = "y".repeat(3 * BUFFER_BYTES_MAX);
        let text = format!("c2s1 info: {long}\nc2s1 info: after\n");
        assert_eq!(records(&text), ["1+1 null yyyyyyyyyyyyyyyyyyyyyyyyyyyyyy", "2+1 null after"]);
    }

    #[test]
    fn later_lines_of_a_connection_know_its_address() {
        let text = "c2s1 info: connected from 198.51.100.7\nc2s1 info: bound romeo@example.net\n";
        let last: serde_json::Value =
            serde_json::from_str(run(Format::Ecs, text).lines().last().unwrap()).unwrap();
        assert_eq!(last["source"]["ip"], "198.51.100.7");
        assert_eq!(last["user"]["name"], "romeo");
        assert!(last["event"]["original"].as_str().unwrap().starts_with("c2s1 info: bound"));
    }

    #[test]
    fn a_table_is_for_people() {
        let table = run(Format::Table, "main info: bound romeo@example.net\n");
        expect_test::expect![[r"
            1  1970-01-01T00:00:00Z  xmpp.session_bind  (bound)
                    xmpp.jid = romeo@example.net
                    log.logger = main
                    log.level = info
                    message = bound romeo@example.net
                    user.name = romeo
                    user.domain = example.net
                    tags = no-time-in-log
        "]]
        .assert_eq(table.trim_start());
    }

    #[test]
    fn an_unknown_layout_or_profile_says_which_there_are() {
        let library = library();
        let mapping = library.mapping("x").unwrap();
        let run = DryRun::new(&library, &mapping, "full", Format::Table).unwrap();
        let failure = run.layout("jsn", b"").err().unwrap();
        assert_eq!(
            failure.message,
            "--layout jsn: source `x` has no such layout; it has: auto text json"
        );
        let failure = DryRun::new(&library, &mapping, "ful", Format::Table).err().unwrap();
        assert_eq!(
            failure.message,
            "--privacy ful: there is no such profile; did you mean `full`?"
        );
    }
}
