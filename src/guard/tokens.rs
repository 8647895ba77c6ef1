//! Keyed tokens in place of names and addresses: the same input gives the same token as long as the key is the same,
//! and nobody without the key can tell which input it was, not even by trying all of them.

use std::net::{IpAddr, Ipv6Addr};

use ring::hmac;

/// Digits of the key's own mark in a token: tokens of two keys are never taken for one another.
const MARK_DIGITS: usize = 4;

/// Digits of HMAC in a token: 96 bits.
const TOKEN_DIGITS: usize = 24;

/// Hexadecimal digits of a Tox public key, which a Tox id begins with.
const PUBLIC_KEY_DIGITS: usize = 64;

/// Hexadecimal digits of a Tox id: public key, nospam, checksum.
const TOX_ID_DIGITS: usize = 76;

/// Makes tokens with one key.
pub(crate) struct Tokens {
    key: hmac::Key,
    mark: String,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens").field("mark", &self.mark).finish_non_exhaustive()
    }
}

impl Tokens {
    /// A key has at least as many bytes as half its hash.
    pub(crate) const KEY_BYTES_MIN: usize = 16;

    /// `None` where the key is too short.
    pub(crate) fn new(key: &[u8]) -> Option<Self> {
        if key.len() < Self::KEY_BYTES_MIN {
            return None;
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        let mark = hex(hmac::sign(&key, b"towline key mark").as_ref(), MARK_DIGITS);
        Some(Self { key, mark })
    }

    /// The token of a name: `p4f1c-` and 24 digits. Case does not matter, as in JIDs and keys. Each part of a JID has
    /// its own, so that it is still seen which ones share a domain; a Tox id has that of its public key.
    pub(crate) fn text(&self, value: &str) -> String {
        if let Some((local, rest)) = value.split_once('@') {
            let (domain, resource) = rest.split_once('/').unwrap_or((rest, ""));
            let mut token = format!("{}@{}", self.part(local), self.part(domain));
            if !resource.is_empty() {
                token.push('/');
                token.push_str(&self.part(resource));
            }
            return token;
        }
        if value.len() == TOX_ID_DIGITS && value.bytes().all(|b| b.is_ascii_hexdigit()) {
            return self.part(&value[..PUBLIC_KEY_DIGITS]);
        }
        self.part(value)
    }

    /// An address in the place of another: an IPv6 address of `fd00::/8` (unique local, RFC 4193) that holds 120 bits of
    /// HMAC, so that it stays an address for whoever indexes it.
    pub(crate) fn address(&self, ip: IpAddr) -> IpAddr {
        let tag = self.sign(&ip.to_string());
        let mut octets = [0xfd; 16];
        octets[1..].copy_from_slice(&tag.as_ref()[..15]);
        IpAddr::V6(Ipv6Addr::from(octets))
    }

    /// A keyed hash of a text that is no name, in digits.
    pub(crate) fn hash(&self, text: &str) -> String {
        hex(hmac::sign(&self.key, text.as_bytes()).as_ref(), TOKEN_DIGITS)
    }

    fn part(&self, value: &str) -> String {
        format!("p{}-{}", self.mark, hex(self.sign(value).as_ref(), TOKEN_DIGITS))
    }

    fn sign(&self, value: &str) -> hmac::Tag {
        hmac::sign(&self.key, value.to_lowercase().as_bytes())
    }
}

fn hex(bytes: &[u8], digits: usize) -> String {
    let nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    nibbles.take(digits).filter_map(|n| char::from_digit(u32::from(n), 16)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";

    #[test]
    fn tokens_join_and_keys_do_not() {
        let tokens = Tokens::new(KEY).unwrap();
        let other = Tokens::new(b"fedcba9876543210fedcba9876543210").unwrap();
        let jid = tokens.text("Romeo@example.net/orchard");
        let (bare, resource) = jid.split_once('/').unwrap();
        assert_eq!(bare, tokens.text("romeo@example.net"));
        let (local, domain) = bare.split_once('@').unwrap();
        assert_eq!(
            (local, domain, resource),
            (&*tokens.text("romeo"), &*tokens.text("example.net"), &*tokens.text("orchard"))
        );
        assert_ne!(tokens.text("romeo"), other.text("romeo"));
        assert_ne!(tokens.text("romeo")[..5], other.text("romeo")[..5]);
        let id = "AB".repeat(38);
        assert_eq!(tokens.text(&id), tokens.text(&id.to_lowercase()[..64]));
    }

    #[test]
    fn an_address_stays_an_address() {
        let tokens = Tokens::new(KEY).unwrap();
        let (a, b) = ("203.0.113.9".parse().unwrap(), "203.0.113.10".parse().unwrap());
        assert_eq!(tokens.address(a), tokens.address(a));
        assert_ne!(tokens.address(a), tokens.address(b));
        assert!(matches!(tokens.address(a), IpAddr::V6(ip) if ip.is_unique_local()));
    }

    #[test]
    fn a_short_key_is_none_and_no_key_is_shown() {
        assert!(Tokens::new(b"short").is_none());
        assert!(!format!("{:?}", Tokens::new(KEY).unwrap()).contains("0123456789abcdef"));
    }
}
