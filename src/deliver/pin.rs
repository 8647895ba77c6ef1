//! Fingerprints of certificates (RFC 5425, 4.2.2): a receiver is known by the digest of its certificate instead
//! of by a path to a trust anchor and a name. Its signatures are verified all the same: a fingerprint is public,
//! only the key behind it proves anything.

use std::{fmt, sync::Arc};

use ring::digest;
use rustls::{
    DigitallySignedStruct, Error as TlsError, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};

/// The digest of a DER certificate, and how it was made.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    kind: Digest,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Digest {
    Sha256,
    Sha1,
}

impl Digest {
    fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha-256",
            Self::Sha1 => "sha-1",
        }
    }

    fn algorithm(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &digest::SHA256,
            // RFC 5425 makes SHA-1 the one that everybody has; it identifies here, it does not sign.
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        }
    }
}

impl Fingerprint {
    /// Reads `sha-256:AA:BB:…` or `sha-1:…` in any case, with or without the inner colons.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| {
            format!(
                "fingerprint `{text}` {what}; write `sha-256:AA:BB:…` as `openssl x509 -fingerprint -sha256` prints it"
            )
        };
        let (name, hex) =
            text.trim().split_once([':', '=']).ok_or_else(|| wrong("names no digest"))?;
        let kind = match name.to_ascii_lowercase().as_str() {
            "sha-256" | "sha256" => Digest::Sha256,
            "sha-1" | "sha1" => Digest::Sha1,
            _ => return Err(wrong("is of a digest that is not known")),
        };
        let digits: Vec<u8> = hex.bytes().filter(|b| *b != b':').collect();
        let bytes = unhex(&digits).ok_or_else(|| wrong("is not hexadecimal"))?;
        let wanted = kind.algorithm().output_len();
        if bytes.len() != wanted {
            return Err(wrong(&format!("has {} bytes instead of {wanted}", bytes.len())));
        }
        Ok(Self { kind, bytes })
    }

    /// The SHA-256 fingerprint of a certificate.
    pub(crate) fn sha256(certificate: &[u8]) -> Self {
        Self::of(Digest::Sha256, certificate)
    }

    fn of(kind: Digest, certificate: &[u8]) -> Self {
        let bytes = digest::digest(kind.algorithm(), certificate).as_ref().to_vec();
        Self { kind, bytes }
    }

    fn is_of(&self, certificate: &[u8]) -> bool {
        Self::of(self.kind, certificate) == *self
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.name())?;
        self.bytes.iter().try_for_each(|byte| write!(f, ":{byte:02X}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

fn unhex(digits: &[u8]) -> Option<Vec<u8>> {
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let pairs = digits.chunks(2);
    pairs.map(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?)).collect()
}

/// Takes a receiver whose certificate has one of these fingerprints, and no other.
#[derive(Debug)]
pub(crate) struct Pinned {
    pub(crate) fingerprints: Vec<Fingerprint>,
    pub(crate) provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        if self.fingerprints.iter().any(|f| f.is_of(end_entity)) {
            return Ok(ServerCertVerified::assertion());
        }
        Err(TlsError::General(format!(
            "its certificate has the fingerprint {}, which is none of tls.fingerprints: if the receiver's certificate was renewed, add the new one; else somebody stands between",
            Fingerprint::sha256(end_entity)
        )))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_read_in_all_usual_spellings() {
        let written = Fingerprint::of(Digest::Sha1, b"x").to_string();
        assert!(written.starts_with("sha-1:11:F6:AD:8E:"), "{written}");
        for spelling in [
            written.clone(),
            written.to_lowercase(),
            written.to_uppercase(),
            format!("SHA1={}", &written[6..]),
            format!("sha-1:{}", written[6..].replace(':', "")),
        ] {
            assert!(Fingerprint::parse(&spelling).unwrap().is_of(b"x"), "{spelling}");
        }
        assert!(Fingerprint::parse(&Fingerprint::sha256(b"y").to_string()).unwrap().is_of(b"y"));
        assert!(!Fingerprint::sha256(b"y").is_of(b"x"));
    }

    #[test]
    fn a_wrong_fingerprint_is_told_what_is_wrong() {
        for (text, what) in [
            ("AABB", "names no digest"),
            ("md5:AA", "is of a digest that is not known"),
            ("sha-256:AA", "has 1 bytes instead of 32"),
            ("sha-1:XY", "is not hexadecimal"),
            ("sha-1:ABC", "is not hexadecimal"),
        ] {
            let error = Fingerprint::parse(text).unwrap_err();
            assert!(error.contains(what), "{error}");
        }
    }
}
