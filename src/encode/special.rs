//! Where in an event's text the characters are that a format escapes, so that most values are copied as they are.

use memchr::{memchr2, memrchr2};

use super::text;
use crate::{
    event::{Event, Span},
    guard::Shippable,
};

/// The part of an event's text outside which none of two bytes occurs. One fast search over the whole text is cheaper
/// than one in each of a dozen short values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Special {
    start: usize,
    end: usize,
}

impl Special {
    pub(crate) fn of(event: &Event<Shippable>, bytes: [u8; 2]) -> Self {
        let text = event.text.as_str().as_bytes();
        match memchr2(bytes[0], bytes[1], text) {
            Some(start) => {
                let last = memrchr2(bytes[0], bytes[1], text).unwrap_or(start);
                Self { start, end: last + 1 }
            }
            None => Self { start: usize::MAX, end: 0 },
        }
    }

    /// Whether text at the span may have such a byte.
    fn touches(self, span: Span) -> bool {
        (span.end as usize) > self.start && (span.start as usize) < self.end
    }

    /// Appends the text of a span, through `escape` where that could be needed.
    #[inline]
    pub(crate) fn copy(
        self,
        event: &Event<Shippable>,
        span: Span,
        escape: impl FnOnce(&mut Vec<u8>, &str),
        out: &mut Vec<u8>,
    ) {
        let value = text(event, span);
        match self.touches(span) {
            true => escape(out, value),
            false => out.extend_from_slice(value.as_bytes()),
        }
    }
}
