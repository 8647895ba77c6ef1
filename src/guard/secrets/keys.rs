//! Values of keys whose names say that they are secret: `password=…`, `"token": "…"`, `{secret,<<"…">>}`,
//! `<password>…</password>`, `secret key: 0123…`.

use std::ops::Range;

use super::{Found, REDACTED, elements};
use crate::guard::syntax::{
    TagKind, content_at, is_word, open_angle_before, prefix_len, skip_space, tag_at, value_at,
};

/// Longest name of a key that is looked at, to either side of where it was found.
const NAME_BYTES_MAX: usize = 64;

/// How far behind the word `secret` a key in hexadecimal digits is looked for.
const KEY_DISTANCE_MAX: usize = 32;

/// Digits of a secret key.
const KEY_DIGITS_MIN: usize = 64;

/// Words that are secret by themselves.
const SECRET: &[&str] = &[
    "password",
    "passwords",
    "passwd",
    "passphrase",
    "pwd",
    "pass",
    "secret",
    "secrets",
    "token",
    "tokens",
    "credential",
    "credentials",
    "apikey",
    "authkey",
    "secretkey",
    "privatekey",
];

/// Endings that make a word without separators secret: `roomsecret`, `accesstoken`.
const SECRET_ENDINGS: &[&str] = &["password", "passwd", "passphrase", "secret", "token", "apikey"];

/// Words that make a `key` secret.
const SECRET_KEYS: &[&str] = &[
    "api",
    "secret",
    "private",
    "access",
    "auth",
    "encryption",
    "signing",
    "session",
    "shared",
    "master",
];

/// Words behind a secret one that leave it secret: `password_hash`, `new-password-2`.
const QUALIFIERS: &[&str] = &[
    "hash",
    "salt",
    "key",
    "value",
    "digest",
    "plain",
    "base64",
    "b64",
    "hex",
    "string",
    "data",
    "text",
    "old",
    "new",
    "confirm",
    "confirmation",
    "again",
    "0",
    "1",
    "2",
];

/// Words before a secret one that make it a statement about secrets: `with_password`, `max_password`.
const ABOUT: &[&str] = &[
    "with", "has", "have", "is", "no", "need", "needs", "require", "requires", "without", "max",
    "min", "use",
];

/// Values that are none.
const NOTHING: &[&[u8]] = &[
    b"undefined",
    b"null",
    b"nil",
    b"none",
    b"None",
    b"infinity",
    b"true",
    b"false",
    b"True",
    b"False",
];

/// Whether a key of this name holds a secret.
pub(crate) fn names_secret(name: &str) -> bool {
    let mut words = [""; 12];
    let mut count = 0;
    for word in words_of(name) {
        if count == words.len() {
            words.rotate_left(1);
            count -= 1;
        }
        words[count] = word;
        count += 1;
    }
    let words = &words[..count];
    let is = |word: &str, list: &[&str]| list.iter().any(|known| word.eq_ignore_ascii_case(known));
    let secret = |word: &str| is(word, SECRET) || ends_secret(word);
    if words.first().is_some_and(|first| is(first, ABOUT)) {
        return false;
    }
    let Some((last, before)) = words.split_last() else { return false };
    match before.last() {
        _ if secret(last) => true,
        Some(previous) if last.eq_ignore_ascii_case("key") && is(previous, SECRET_KEYS) => true,
        _ => is(last, QUALIFIERS) && before.iter().any(|word| secret(word)),
    }
}

fn ends_secret(word: &str) -> bool {
    SECRET_ENDINGS.iter().any(|ending| {
        word.len()
            .checked_sub(ending.len())
            .and_then(|at| word.get(at..))
            .is_some_and(|end| end.eq_ignore_ascii_case(ending))
    })
}

/// The words of a name: `muc#roomconfig_roomsecret`, `clientSecret`, `api-key`.
fn words_of(name: &str) -> impl Iterator<Item = &str> {
    let separated = name.split(['_', '-', '.', '#']).filter(|word| !word.is_empty());
    separated.flat_map(|word| {
        let mut rest = word;
        std::iter::from_fn(move || {
            let bytes = rest.as_bytes();
            let hump = (1..bytes.len())
                .find(|&n| bytes[n].is_ascii_uppercase() && bytes[n - 1].is_ascii_lowercase());
            let (word, behind) = rest.split_at(hump.unwrap_or(rest.len()));
            rest = behind;
            (!word.is_empty()).then_some(word)
        })
    })
}

/// Reads on from a piece of a key's name.
pub(crate) fn read(text: &[u8], piece: Range<usize>, found: &mut Found) {
    let name = name_around(text, piece);
    let Some(word) = text.get(name.clone()).and_then(|word| std::str::from_utf8(word).ok()) else {
        return;
    };
    if names_secret(word) {
        if elements::is_form_variable(text, name.start) {
            return elements::read_form_field(text, name.end, found);
        }
        if elements::is_term_name(text, name.start) {
            return elements::read_term(text, name, found);
        }
        if let Some(run) = element(text, &name).or_else(|| value(text, &name)) {
            return found.add(text, run);
        }
    }
    hexadecimal(text, name.end, found);
}

/// The whole name that a piece belongs to.
fn name_around(text: &[u8], piece: Range<usize>) -> Range<usize> {
    let left = text[..piece.start].iter().rev().take(NAME_BYTES_MAX).take_while(|b| is_word(**b));
    // The piece itself may end with what follows a name (`pass=`).
    let mut start = piece.start - left.count();
    // In JSON, `<` may be written as an escape whose digits are no part of the name.
    if text[..start].ends_with(b"\\") && text[start..].starts_with(b"u00") {
        start = piece.start.min(start + 5);
    }
    let right = text[piece.start..].iter().take(2 * NAME_BYTES_MAX).take_while(|b| is_word(**b));
    start..piece.start + right.count()
}

/// The content of an element of that name: `<password>…`, `<ns:token expires='1'>…`.
fn element(text: &[u8], name: &Range<usize>) -> Option<Range<usize>> {
    let angle = elements::angle_of(text, name.start)?;
    let tag = tag_at(text, angle)?;
    (tag.kind == TagKind::Open).then(|| content_at(text, tag.end))
}

/// The value of a key of that name.
fn value(text: &[u8], name: &Range<usize>) -> Option<Range<usize>> {
    let before = &text[..name.start];
    let in_path = before.ends_with(b":") || open_angle_before(text, name.start) > 0;
    let in_query = matches!(before.last(), Some(b'?' | b'&')) || before.ends_with(b"&amp;");
    let mut at = skip_space(text, after_quotes(text, name.end));
    let separator = prefix_len(text, at, &[b"=>", b":=", b"->", b"=", b":"]);
    let colon = separator == 1 && text[at] == b':';
    if separator > 0 {
        // `urn:xmpp:token:0` is a name; in `withPassword:error:` another word of a method follows.
        if colon && in_path {
            return None;
        }
        at += separator;
    } else if text.get(at) == Some(&b',') && is_first_of_tuple(before) {
        at += 1;
    } else {
        return None;
    }
    let start = skip_space(text, at);
    if text[start..].starts_with(REDACTED.as_bytes()) {
        return None;
    }
    let run = value_at(text, start, in_query)?;
    let value = &text[run.clone()];
    let method = colon && start == at && value.len() <= NAME_BYTES_MAX && value.ends_with(b":");
    // A shell's working directory.
    let folder = value.starts_with(b"/") && text[name.clone()].eq_ignore_ascii_case(b"pwd");
    (!method && !folder && !is_nothing(value)).then_some(run)
}

/// What may stand between a name and what separates it from its value: closing quotes, the end of an Erlang binary.
fn after_quotes(text: &[u8], mut at: usize) -> usize {
    loop {
        let len = prefix_len(text, at, &[b"\\", b"\"", b"'", b">>", b"]", b"&quot;", b"&apos;"]);
        if len == 0
            || (text[at] == b'\\' && !matches!(text.get(at + 1), Some(b'\\' | b'"' | b'\'')))
        {
            return at;
        }
        at += len;
    }
}

/// Whether a name is the first element of a tuple: `{password,…`, `{<<"password">>,…`, `("password",…`.
fn is_first_of_tuple(before: &[u8]) -> bool {
    let quotes: [&[u8]; 3] = [b"<<\"", b"\"", b"'"];
    let before = quotes.iter().find_map(|quote| before.strip_suffix(*quote)).unwrap_or(before);
    matches!(before.last(), Some(b'{' | b'(' | b'['))
}

fn is_nothing(value: &[u8]) -> bool {
    let first = value.split(|b| *b == b',').next().unwrap_or_default();
    NOTHING.contains(&first) || value == b"\"\""
}

/// A key in hexadecimal digits a few characters behind a word like `secret`.
fn hexadecimal(text: &[u8], at: usize, found: &mut Found) {
    let mut start = at;
    while start < text.len().min(at + KEY_DISTANCE_MAX) {
        let digits = text[start..].iter().take_while(|b| b.is_ascii_hexdigit()).count();
        if digits >= KEY_DIGITS_MIN {
            return found.add(text, start..start + digits);
        }
        start += digits.max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_whether_they_are_secret() {
        for name in [
            "password",
            "Password",
            "PASSWORD",
            "user_password",
            "userPassword",
            "passwd",
            "db-pass",
            "client_secret",
            "access_token",
            "accessToken",
            "accesstoken",
            "X-Api-Key",
            "apiKey",
            "secret_key",
            "private_key",
            "password_hash",
            "password2",
            "muc#roomconfig_roomsecret",
            "auth.token",
            "AWS_SECRET_ACCESS_KEY",
        ] {
            assert_eq!(names_secret(name), !name.ends_with('2'), "{name}");
        }
        for name in [
            "password_length",
            "with_password",
            "INVALID_PASSWORD_LENGTH",
            "public_key",
            "token_type",
            "max_password",
            "password_changed",
            "passed",
            "bypass",
            "key",
            "secretary",
            "tokenizer",
            "hash",
            "",
        ] {
            assert!(!names_secret(name), "{name}");
        }
    }
}
