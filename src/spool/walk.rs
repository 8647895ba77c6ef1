//! Walks the frames of a segment, one after another, and finds the next one behind a damaged one.

use std::{io, sync::Arc};

use super::{
    bytes::Damage,
    disk::{DiskFile, read_full},
    frame::{HEADER_BYTES, Header},
};

/// How much is read at once.
const WINDOW_BYTES: u64 = 256 << 10;

/// What stands at a place of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// Nothing more before the given end.
    End,
    /// A frame whose header is good; [`Walk::body`] has its payload.
    Frame { header: Header, at: u64 },
    /// Bytes that are no frame; walking goes on behind them.
    Bad(Bad),
}

/// Bytes that are no frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Bad {
    /// Where they begin.
    pub(crate) at: u64,
    /// Where the next good header is, or the given end.
    pub(crate) to: u64,
    /// What is wrong.
    pub(crate) why: Damage,
}

/// A place in a segment, with what was read ahead of it.
pub(crate) struct Walk {
    file: Arc<dyn DiskFile>,
    salt: u32,
    at: u64,
    window: Vec<u8>,
    window_at: u64,
    body: std::ops::Range<usize>,
}

impl Walk {
    pub(crate) fn new(file: Arc<dyn DiskFile>, salt: u32, at: u64) -> Self {
        Self { file, salt, at, window: Vec::new(), window_at: 0, body: 0..0 }
    }

    /// The next place to be looked at.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    /// The file that is walked.
    pub(crate) fn file(&self) -> &dyn DiskFile {
        &*self.file
    }

    /// The payload of the frame that the last step found. Not yet checked.
    pub(crate) fn body(&self) -> &[u8] {
        self.window.get(self.body.clone()).unwrap_or_default()
    }

    /// The next frame before `end`, with its payload.
    pub(crate) fn next(&mut self, end: u64) -> io::Result<Step> {
        self.step(end, true)
    }

    /// The next frame before `end`, without its payload: to find a place quickly.
    pub(crate) fn skip(&mut self, end: u64) -> io::Result<Step> {
        self.step(end, false)
    }

    fn step(&mut self, end: u64, body: bool) -> io::Result<Step> {
        let at = self.at;
        if at >= end {
            return Ok(Step::End);
        }
        let head = self.fill(at, HEADER_BYTES as u64, end)?;
        let header = match Header::decode(&self.window[head..], self.salt) {
            Ok(header) if at + header.bytes() <= end => header,
            Ok(_) => return self.bad(at, end, end, Damage("the frame is incomplete")),
            Err(why) => {
                let to = self.search(at + 1, end)?;
                return self.bad(at, to, end, why);
            }
        };
        self.body = 0..0;
        if body {
            let start = self.fill(at, header.bytes(), end)?;
            self.body = start + HEADER_BYTES..start + header.bytes() as usize;
            if self.window.len() < self.body.end {
                return self.bad(at, end, end, Damage("the file is shorter than it was"));
            }
        }
        self.at = at + header.bytes();
        Ok(Step::Frame { header, at })
    }

    fn bad(&mut self, at: u64, to: u64, end: u64, why: Damage) -> io::Result<Step> {
        self.at = to.min(end);
        Ok(Step::Bad(Bad { at, to: self.at, why }))
    }

    /// The next place with a good header, or the end.
    fn search(&mut self, from: u64, end: u64) -> io::Result<u64> {
        let mut at = from;
        while at + HEADER_BYTES as u64 <= end {
            let start = self.fill(at, HEADER_BYTES as u64, end)?;
            let window = &self.window[start..];
            if window.len() < HEADER_BYTES {
                break;
            }
            let places = window.len() - HEADER_BYTES + 1;
            let found = (0..places).find(|n| Header::decode(&window[*n..], self.salt).is_ok());
            match found {
                Some(n) => return Ok(at + n as u64),
                None => at += places as u64,
            }
        }
        Ok(end)
    }

    /// Makes the window hold `count` bytes from `at`, as far as the file has them; says where they begin in it.
    fn fill(&mut self, at: u64, count: u64, end: u64) -> io::Result<usize> {
        let held = self.window_at..self.window_at + self.window.len() as u64;
        if held.contains(&at) && at + count <= held.end {
            return Ok((at - held.start) as usize);
        }
        let count = count.max(WINDOW_BYTES).min(end.saturating_sub(at)) as usize;
        // What is held already is not read again.
        let kept = if held.contains(&at) { (held.end - at) as usize } else { 0 };
        let start = self.window.len() - kept;
        self.window.copy_within(start.., 0);
        self.window.resize(count.max(kept), 0);
        self.window_at = at;
        let read = read_full(&*self.file, &mut self.window[kept..], at + kept as u64);
        // A failed read must not leave bytes behind that look like the file's.
        self.window.truncate(kept + *read.as_ref().unwrap_or(&0));
        read.map(|_| 0)
    }
}
