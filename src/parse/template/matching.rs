//! Matching: the backtracker and its budget.

use std::ops::Range;

use super::{CaptureType, Captured, Literal, Piece, Template, value};
use crate::parse::{
    logfmt,
    record::{Scalar, Slice},
    time::Clock,
};

/// Steps that every match may take, however short the text.
const STEPS_BASE: usize = 4_096;
/// Steps per byte of the text on top of that.
const STEPS_PER_BYTE: usize = 4;
/// Bytes that a search passes over for the price of one step.
const BYTES_PER_STEP: usize = 32;

impl Template {
    /// Matches the whole text. Pushes one value per capture, in order; nothing when there is no match.
    pub fn matches(&self, text: &[u8], clock: &Clock, out: &mut Vec<Captured>) -> bool {
        if let Some(Piece::Literal(last)) = self.pieces.last()
            && !text.ends_with(last.bytes())
        {
            return false;
        }
        let pieces = &self.pieces;
        Run::new(pieces, text, Ending::Whole, Some((clock, out))).go().is_some()
    }

    /// Matches the beginning of the text and says where the match ends. An open-ended capture at the template's end
    /// takes as much as it may.
    pub fn matches_prefix(
        &self,
        text: &[u8],
        clock: &Clock,
        out: &mut Vec<Captured>,
    ) -> Option<usize> {
        Run::new(&self.pieces, text, Ending::Prefix, Some((clock, out))).go()
    }

    /// How far a text that does not match is like this template: how many pieces match its beginning, and where they
    /// end. For explanations, not for speed.
    #[must_use]
    pub fn reach(&self, text: &[u8]) -> (usize, usize) {
        let end = |n: usize| Run::new(&self.pieces[..n], text, Ending::Prefix, None).go();
        let reached = (0..=self.pieces.len()).rev().find_map(|n| Some((n, end(n)?)));
        reached.unwrap_or_default()
    }

    /// Whether the text begins like the first `pieces` pieces of this template. Captures nothing, asks no time zone:
    /// this is called for every physical line.
    #[must_use]
    pub(crate) fn begins(&self, pieces: usize, text: &[u8]) -> bool {
        let pieces = self.pieces.get(..pieces).unwrap_or(&self.pieces);
        Run::new(pieces, text, Ending::Prefix, None).go().is_some()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// The match must reach the end of the text.
    Whole,
    Prefix,
}

struct Run<'r, 'o> {
    pieces: &'r [Piece],
    text: &'r [u8],
    ending: Ending,
    /// `None`: only look.
    keep: Option<(&'r Clock, &'o mut Vec<Captured>)>,
    steps: usize,
}

impl<'r, 'o> Run<'r, 'o> {
    fn new(
        pieces: &'r [Piece],
        text: &'r [u8],
        ending: Ending,
        keep: Option<(&'r Clock, &'o mut Vec<Captured>)>,
    ) -> Self {
        let steps = text.len().saturating_mul(STEPS_PER_BYTE).saturating_add(STEPS_BASE);
        Self { pieces, text, ending, keep, steps }
    }

    fn go(mut self) -> Option<usize> {
        let mark = self.mark();
        let end = self.from(0, 0);
        if end.is_none() {
            self.undo(mark);
        }
        end
    }

    fn mark(&self) -> usize {
        self.keep.as_ref().map_or(0, |(_, out)| out.len())
    }

    fn undo(&mut self, mark: usize) {
        if let Some((_, out)) = &mut self.keep {
            out.truncate(mark);
        }
    }

    fn spend(&mut self, bytes: usize) -> Option<()> {
        self.steps = self.steps.checked_sub(1 + bytes / BYTES_PER_STEP)?;
        Some(())
    }

    /// Matches the pieces from `piece` on at `at`; where that ends. May leave captures behind when it fails.
    fn from(&mut self, mut piece: usize, mut at: usize) -> Option<usize> {
        let (pieces, text) = (self.pieces, self.text);
        while let Some(next) = pieces.get(piece) {
            match next {
                Piece::Literal(literal) => {
                    self.spend(0)?;
                    let end = at + literal.bytes().len();
                    if text.get(at..end)? != literal.bytes() {
                        return None;
                    }
                    at = end;
                }
                Piece::Capture { ty, slot } if ty.open_ended() => {
                    return self.open_ended(ty, *slot, piece, at);
                }
                Piece::Capture { ty, slot } => {
                    let clock = self.keep.as_ref().map(|(clock, _)| *clock);
                    let found = value::closed(ty, text.get(at..)?, clock);
                    self.spend(match (&found, ty) {
                        (Some(found), _) => found.used,
                        (
                            None,
                            CaptureType::Until(_) | CaptureType::Quoted | CaptureType::Re(_),
                        ) => text.len() - at,
                        _ => 0,
                    })?;
                    let found = found?;
                    self.push(*slot, shift(found.value, at), found.escaped);
                    at += found.used;
                }
            }
            piece += 1;
        }
        (self.ending == Ending::Prefix || at == text.len()).then_some(at)
    }

    fn push(&mut self, slot: Option<u16>, value: Scalar, escaped: bool) {
        if let (Some(slot), Some((_, out))) = (slot, &mut self.keep) {
            out.push(Captured { slot, value, escaped });
        }
    }

    /// Tries ends of a capture that only what follows can end.
    fn open_ended(
        &mut self,
        ty: &CaptureType,
        slot: Option<u16>,
        piece: usize,
        at: usize,
    ) -> Option<usize> {
        let limit = at + value::reach(ty, &self.text[at..]);
        let least = at + usize::from(matches!(ty, CaptureType::Word | CaptureType::Jid));
        self.spend(if ty.one_word() { limit - at } else { 0 })?;
        if limit < least {
            return None;
        }
        let pieces = self.pieces;
        match pieces.get(piece + 1) {
            None => self.attempt(ty, slot, piece, at, limit),
            Some(Piece::Literal(literal)) => {
                self.before_literal(ty, slot, piece, at, literal, least, limit)
            }
            Some(Piece::Capture { ty: CaptureType::Spaces, .. })
                if !matches!(ty, CaptureType::Longest) =>
            {
                self.before_spaces(ty, slot, piece, at, least..limit)
            }
            Some(Piece::Capture { .. }) => {
                let mut ends = least..=limit;
                if matches!(ty, CaptureType::Longest) {
                    ends.rev().find_map(|end| self.attempt(ty, slot, piece, at, end))
                } else {
                    ends.find_map(|end| self.attempt(ty, slot, piece, at, end))
                }
            }
        }
    }

    /// Ends where the following literal stands, nearest first, or furthest for `longest`.
    #[expect(
        clippy::too_many_arguments,
        reason = "the state of one loop; a struct would only rename it"
    )]
    fn before_literal(
        &mut self,
        ty: &CaptureType,
        slot: Option<u16>,
        piece: usize,
        at: usize,
        literal: &Literal,
        least: usize,
        limit: usize,
    ) -> Option<usize> {
        let text = self.text;
        let width = literal.bytes().len();
        let window = (limit + width).min(text.len());
        if matches!(ty, CaptureType::Longest) {
            let mut until = window;
            loop {
                let end = least + memchr::memmem::rfind(text.get(least..until)?, literal.bytes())?;
                self.spend(until - end)?;
                if let Some(found) = self.attempt(ty, slot, piece, at, end) {
                    return Some(found);
                }
                until = (end + width).checked_sub(1)?;
            }
        }
        let mut from = least;
        loop {
            let end = from + find(literal, text.get(from..window)?)?;
            self.spend(end - from)?;
            if let Some(found) = self.attempt(ty, slot, piece, at, end) {
                return Some(found);
            }
            from = end + 1;
        }
    }

    /// Ends where spaces begin.
    fn before_spaces(
        &mut self,
        ty: &CaptureType,
        slot: Option<u16>,
        piece: usize,
        at: usize,
        Range { start: mut from, end: limit }: Range<usize>,
    ) -> Option<usize> {
        let text = self.text;
        if ty.one_word() {
            // White space is where it must end, so there is no other place.
            return self.attempt(ty, slot, piece, at, limit);
        }
        loop {
            let end = from + memchr::memchr2(b' ', b'\t', text.get(from..limit)?)?;
            self.spend(end - from)?;
            if let Some(found) = self.attempt(ty, slot, piece, at, end) {
                return Some(found);
            }
            from = end + 1;
        }
    }

    /// Takes `at..end` as the value and matches what follows.
    fn attempt(
        &mut self,
        ty: &CaptureType,
        slot: Option<u16>,
        piece: usize,
        at: usize,
        end: usize,
    ) -> Option<usize> {
        self.spend(0)?;
        let mark = self.mark();
        let run = &self.text[at..end];
        let (start, stop) = match ty {
            CaptureType::Jid => value::jid(run).map(|(start, stop)| (at + start, at + stop))?,
            CaptureType::Kv => {
                self.spend(run.len())?;
                logfmt::is_run(run).then_some((at, end))?
            }
            _ => (at, end),
        };
        self.push(slot, Scalar::Text(Slice::line(start, stop)), false);
        let found = self.from(piece + 1, end);
        if found.is_none() {
            self.undo(mark);
        }
        found
    }
}

impl CaptureType {
    fn one_word(&self) -> bool {
        matches!(self, Self::Word | Self::Jid)
    }
}

pub(super) fn find(literal: &Literal, text: &[u8]) -> Option<usize> {
    match literal.bytes() {
        [byte] => memchr::memchr(*byte, text),
        _ => literal.finder.find(text),
    }
}

fn shift(value: Scalar, by: usize) -> Scalar {
    match value {
        Scalar::Text(slice) => {
            Scalar::Text(Slice::line(slice.range().start + by, slice.range().end + by))
        }
        other => other,
    }
}
