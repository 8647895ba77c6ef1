//! Bytes → records: which lines belong together.
//!
//! A record begins at a line that the layout's start rule knows and goes on to the next such line. White space before a
//! header is never skipped: it is how continuation lines differ from headers. A record that may still grow stays
//! unread, so that a restart finds it whole.

use super::{Layout, Start};
use crate::tail::Flush;

/// Longest record. What is longer is cut: a single line ends there, of many lines the rest is the next record.
pub const RECORD_BYTES_MAX: usize = 1 << 20;
/// Most lines of a record.
pub const LINES_MAX: u32 = 10_000;

/// One record among the bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cut {
    /// Its first byte.
    pub start: usize,
    /// One past its last byte: without the newlines at its end, with those inside.
    pub end: usize,
    /// Where the next record begins.
    pub next: usize,
    /// How many physical lines it takes.
    pub lines: u32,
    /// Its first line begins a record. Otherwise it continues one that was cut or handed out before.
    pub begins: bool,
    /// It is longer than a record may be, and was cut.
    pub truncated: bool,
    /// Its length in bytes before it was cut at [`RECORD_BYTES_MAX`]; of a record of many lines what is known so far.
    pub full_len: usize,
}

impl Layout {
    /// Cuts bytes into records, appends them to `out` and returns how many bytes they take. Without a flush, the last
    /// record stays open unless every line is a record; a line without its newline counts only at the end of a file.
    pub fn records(&self, bytes: &[u8], flush: Flush, out: &mut Vec<Cut>) -> usize {
        let mut open: Option<Cut> = None;
        let mut at = 0;
        while at < bytes.len() {
            let newline = memchr::memchr(b'\n', &bytes[at..]).map(|n| at + n);
            let (end, next) = match newline {
                Some(newline) => (newline, newline + 1),
                None if flush == Flush::End => (bytes.len(), bytes.len()),
                None => break,
            };
            self.take_line(bytes, (at, end, next), &mut open, out);
            at = next;
        }
        let Some(last) = open else { return at };
        if flush == Flush::No {
            return last.start;
        }
        push(bytes, last, out);
        last.next
    }

    fn take_line(
        &self,
        bytes: &[u8],
        (start, end, next): (usize, usize, usize),
        open: &mut Option<Cut>,
        out: &mut Vec<Cut>,
    ) {
        let line = &bytes[start..end];
        let begins = self.begins(line);
        let record =
            Cut { start, end, next, lines: 1, begins, truncated: false, full_len: end - start };
        if matches!(self.start, Start::Every) {
            if !line.iter().all(|b| *b == b'\r') {
                push(bytes, record, out);
            }
            return;
        }
        match open {
            Some(current) if !begins || self.is_open(&bytes[current.start..current.end]) => {
                let longer = end - current.start;
                if longer <= RECORD_BYTES_MAX && current.lines < LINES_MAX {
                    *current =
                        Cut { end, next, lines: current.lines + 1, full_len: longer, ..*current };
                    return;
                }
                push(bytes, Cut { truncated: true, full_len: longer, ..*current }, out);
            }
            Some(current) => push(bytes, *current, out),
            None => {}
        }
        *open = Some(record);
    }

    /// Whether a record cannot be complete, whatever the next line looks like.
    fn is_open(&self, record: &[u8]) -> bool {
        matches!(self.start, Start::Syslog)
            && self.syslog.as_ref().is_some_and(|header| header.is_open(record))
    }

    /// Whether a physical line begins a record.
    pub(super) fn begins(&self, line: &[u8]) -> bool {
        match &self.start {
            Start::Every => true,
            Start::Syslog => self.syslog.as_ref().is_some_and(|header| header.begins(line)),
            Start::Header => self.lines.iter().any(|known| known.template.begins(known.head, line)),
            Start::Begins(template) => template.begins(usize::MAX, line),
            Start::Continues(template) => !template.begins(usize::MAX, line),
        }
    }
}

/// Adds a record, without the empty lines at its end and no longer than a record may be.
fn push(bytes: &[u8], mut record: Cut, out: &mut Vec<Cut>) {
    while record.lines > 1 && record.end > record.start && bytes[record.end - 1] == b'\n' {
        record.end -= 1;
    }
    if record.end - record.start > RECORD_BYTES_MAX {
        record.end = record.start + RECORD_BYTES_MAX;
        record.truncated = true;
    }
    out.push(record);
}
