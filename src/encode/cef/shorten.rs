//! Makes a CEF message shorter without breaking a key, an escape or a character.

use super::value::CUT;

/// Values are cut down to this many bytes before whole pairs go.
const VALUE_KEPT: usize = 64;

/// Keys that a message keeps to the end: when it happened, and which event it is.
const KEPT: &[&str] = &["rt", "externalId"];

/// A pair with its label, as ranges of the message.
struct Pair<'m> {
    key: &'m str,
    value: &'m str,
    /// Bytes of the value that stay, if not all.
    cut: Option<usize>,
    dropped: bool,
}

impl Pair<'_> {
    fn value_bytes(&self) -> usize {
        self.cut.map_or(self.value.len(), |cut| cut + CUT.len())
    }

    /// ` key=value`
    fn bytes(&self) -> usize {
        if self.dropped { 0 } else { 1 + self.key.len() + 1 + self.value_bytes() }
    }

    /// A JSON object is kept whole or not at all; labels, numbers and ids are short.
    fn can_be_cut(&self) -> bool {
        let whole = self.value.starts_with('{') || self.key.ends_with("Label");
        !self.dropped && !whole && self.value_bytes() > VALUE_KEPT
    }
}

/// Shortens the message to `bytes_max`: cuts the longest values, then leaves out pairs from the end.
pub(crate) fn shorten(message: &str, bytes_max: usize) -> String {
    let header = header_bytes(message);
    let mut pairs = split(&message[header..]);
    // The first pair stands right after the header, without a space.
    let bytes = |pairs: &[Pair<'_>]| {
        header + pairs.iter().map(Pair::bytes).sum::<usize>().saturating_sub(1)
    };
    loop {
        let total = bytes(&pairs);
        if total <= bytes_max {
            break;
        }
        let cuttable = (0..pairs.len()).filter(|n| pairs[*n].can_be_cut());
        match cuttable.max_by_key(|n| pairs[*n].value_bytes()) {
            Some(longest) => pairs[longest].shorten(total - bytes_max),
            None if drop_last(&mut pairs) => {}
            None => break,
        }
    }
    let mut out = message[..header].to_owned();
    for pair in pairs.iter().filter(|pair| !pair.dropped) {
        if out.len() > header {
            out.push(' ');
        }
        out.push_str(pair.key);
        out.push('=');
        out.push_str(&pair.value[..pair.cut.unwrap_or(pair.value.len())]);
        if pair.cut.is_some() {
            out.push_str(CUT);
        }
    }
    out
}

impl Pair<'_> {
    /// Cuts at least `excess` bytes off, as far as that leaves [`VALUE_KEPT`].
    fn shorten(&mut self, excess: usize) {
        let target =
            self.value_bytes().saturating_sub(excess + CUT.len()).max(VALUE_KEPT - CUT.len() - 8);
        let whole = units(self.value).take_while(|end| *end <= target).last().unwrap_or(0);
        self.cut = Some(self.value[..whole].trim_end().len());
    }
}

/// Where each character or escape of a value ends.
fn units(value: &str) -> impl Iterator<Item = usize> + '_ {
    let mut escaped = false;
    value.char_indices().filter_map(move |(at, c)| {
        escaped = c == '\\' && !escaped;
        (!escaped).then_some(at + c.len_utf8())
    })
}

/// Leaves out the last pair that may go, and its label.
fn drop_last(pairs: &mut [Pair<'_>]) -> bool {
    let may_go = |pair: &Pair<'_>| !pair.dropped && !KEPT.contains(&pair.key);
    let Some(last) = pairs.iter().rposition(may_go) else { return false };
    pairs[last].dropped = true;
    let key = pairs[last].key;
    if let Some(label) = pairs.iter_mut().find(|pair| pair.key.strip_suffix("Label") == Some(key)) {
        label.dropped = true;
    }
    true
}

/// Bytes up to and with the seventh unescaped pipe.
fn header_bytes(message: &str) -> usize {
    let mut escaped = false;
    let pipe = |(at, byte): (usize, u8)| {
        let ends = byte == b'|' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends.then_some(at + 1)
    };
    message.bytes().enumerate().filter_map(pipe).nth(6).unwrap_or(message.len())
}

/// The pairs of an extension that [`super::Cef::write`] wrote: every `=` that is not escaped ends a key.
fn split(extension: &str) -> Vec<Pair<'_>> {
    let mut escaped = false;
    let equals: Vec<usize> = extension
        .bytes()
        .enumerate()
        .filter_map(|(at, byte)| {
            let ends = byte == b'=' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends.then_some(at)
        })
        .collect();
    let key_start = |equal: usize| extension[..equal].rfind(' ').map_or(0, |space| space + 1);
    equals
        .iter()
        .enumerate()
        .map(|(n, equal)| {
            let end = equals
                .get(n + 1)
                .map_or(extension.len(), |next| key_start(*next).saturating_sub(1));
            let value = extension.get(equal + 1..end).unwrap_or_default();
            Pair { key: &extension[key_start(*equal)..*equal], value, cut: None, dropped: false }
        })
        .collect()
}
