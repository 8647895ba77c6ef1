//! The parts of an XMPP address (RFC 7622).

/// A part of an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum JidPart {
    Local,
    Domain,
    Resource,
}

impl JidPart {
    /// `jid.local` → (`jid`, the local part).
    pub(crate) fn of_name(name: &str) -> Option<(&str, Self)> {
        let (base, part) = name.rsplit_once('.')?;
        let part = match part {
            "local" => Self::Local,
            "domain" => Self::Domain,
            "resource" => Self::Resource,
            _ => return None,
        };
        (!base.is_empty()).then_some((base, part))
    }
}

/// An address taken apart; a part that it has not is empty.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Jid<'t> {
    /// Local part and domain.
    pub(crate) bare: &'t [u8],
    pub(crate) local: &'t [u8],
    pub(crate) domain: &'t [u8],
    pub(crate) resource: &'t [u8],
}

impl<'t> Jid<'t> {
    /// Takes an address apart as RFC 7622 section 3.1 says: the resource begins at the first `/`, the domain
    /// behind the first `@` before it.
    pub(crate) fn split(text: &'t [u8]) -> Self {
        let (bare, resource) = match memchr::memchr(b'/', text) {
            Some(at) => (&text[..at], &text[at + 1..]),
            None => (text, &text[..0]),
        };
        let (local, domain) = match memchr::memchr(b'@', bare) {
            Some(at) => (&bare[..at], &bare[at + 1..]),
            None => (&bare[..0], bare),
        };
        Self { bare, local, domain, resource }
    }

    pub(crate) fn part(self, part: JidPart) -> &'t [u8] {
        match part {
            JidPart::Local => self.local,
            JidPart::Domain => self.domain,
            JidPart::Resource => self.resource,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_apart() {
        for (text, local, domain, resource) in [
            ("romeo@example.net/orchard", "romeo", "example.net", "orchard"),
            ("example.net", "", "example.net", ""),
            ("example.net/a@b/c", "", "example.net", "a@b/c"),
            ("a@b@c", "a", "b@c", ""),
            ("", "", "", ""),
        ] {
            let jid = Jid::split(text.as_bytes());
            let parts =
                [jid.local, jid.domain, jid.resource].map(|p| std::str::from_utf8(p).unwrap());
            assert_eq!(parts, [local, domain, resource], "{text}");
        }
        assert_eq!(JidPart::of_name("client.jid.local"), Some(("client.jid", JidPart::Local)));
        assert_eq!(JidPart::of_name("jid"), None);
    }
}
