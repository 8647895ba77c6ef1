//! Which layout a file has, told from its first lines.

use super::{Layout, Line, Start};
use crate::{
    event::Time,
    parse::{record::Record, time::Clock},
    tail::Flush,
};

/// How many lines, and how many bytes, decide.
const LINES: usize = 20;
const BYTES: usize = 64 << 10;

/// The layout of these lines: the first in order that fits nearly as many of them as any other does. One that takes
/// any line is chosen only when no other fits a quarter of them. `None` if nothing fits.
#[must_use]
pub fn detect(layouts: &[Layout], bytes: &[u8]) -> Option<usize> {
    let bytes = head(bytes);
    let lines = bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty()).count();
    let fits: Vec<usize> = layouts.iter().map(|layout| layout.fits(bytes)).collect();
    let specific = |n: &usize| !layouts[*n].takes_anything();
    let best = (0..layouts.len()).filter(specific).map(|n| fits[n]).max().unwrap_or(0);
    let first =
        (0..layouts.len()).filter(specific).find(|n| fits[*n] > 0 && fits[*n] * 5 >= best * 4);
    let any = (0..layouts.len()).find(|n| !specific(n) && fits[*n] > 0);
    if best * 4 >= lines { first.or(any) } else { any.or(first) }
}

/// The first complete lines.
fn head(bytes: &[u8]) -> &[u8] {
    let bytes = &bytes[..bytes.len().min(BYTES)];
    let end = memchr::memchr_iter(b'\n', bytes).take(LINES).last();
    end.map_or(bytes, |end| &bytes[..end])
}

impl Layout {
    /// How many of these lines begin a record that is of this layout.
    fn fits(&self, bytes: &[u8]) -> usize {
        let mut cuts = Vec::new();
        self.records(bytes, Flush::End, &mut cuts);
        let clock = Clock::utc(Time(0));
        let mut record = Record::new(b"");
        let mut fits = 0;
        for cut in cuts.iter().filter(|cut| cut.begins) {
            record = record.reuse(b"");
            let line = &bytes[cut.start..cut.end];
            let looks = self.look(line, &clock, &mut record);
            let sure = self.syslog.as_ref().is_none_or(|header| header.is_sure(line));
            // Where most lines continue a record, they are no evidence against it: an exact rule, not a guess, says so.
            let lines = match self.start {
                Start::Continues(_) => cut.lines as usize,
                _ => 1,
            };
            fits += if looks.fits && looks.complete && sure { lines } else { 0 };
        }
        fits
    }

    fn takes_anything(&self) -> bool {
        self.syslog.is_none() && self.lines.iter().any(Line::takes_anything)
    }
}
