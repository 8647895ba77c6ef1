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

#[cfg(test)]
impl Shippable {
    /// Text that a test vouches for.
    pub(crate) fn for_tests(text: String) -> Self {
        Self(text)
    }
}
