//! Makes text safe (`text`) and private (`privacy`): the only maker of [`Clean`] and [`Shippable`].

use crate::event::Text;

/// Text without control characters, forged line ends or bidi tricks; valid UTF-8. Made by `guard` alone.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Clean(String);

/// Clean text that went through the privacy profile. Made by `guard` alone.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Shippable(String);

impl Text for Clean {
    fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl Text for Shippable {
    fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl Shippable {
    /// All the text of an event.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Text is not clean: its bytes were changed, or another version of the guard made them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotClean;

impl Shippable {
    /// The only way back to the type, for what was shippable before it was stored: looks at every character again.
    pub fn revalidate(text: Vec<u8>) -> Result<Self, NotClean> {
        let text = String::from_utf8(text).map_err(|_| NotClean)?;
        let unclean = |c: char| {
            c.is_control()
                || matches!(c, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        let ascii = |byte: &u8| (0x20..0x7f).contains(byte);
        if text.bytes().all(|byte| ascii(&byte)) || !text.contains(unclean) {
            Ok(Self(text))
        } else {
            Err(NotClean)
        }
    }
}
