//! The `tls` table of a destination.

use std::{fs, io::ErrorKind, ops::Range, path::PathBuf};

use rustls::pki_types::ServerName;
use toml::de::DeValue;

use super::{
    secret::warn_when_open,
    sheet::{Placed, Section, Sheet, Wrong},
    value,
};
use crate::deliver::TlsSettings;

/// The largest PEM file that is looked into.
const PEM_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Reads the `tls` table of a section; absent, everything has its default.
pub(super) fn tls(section: &mut Section<'_>) -> TlsSettings {
    let mut table = section.section("tls");
    let sheet = table.sheet;
    let ca = table.take("ca", value::absolute);
    let certificate = table.take("certificate", value::absolute);
    let key = table.take("key", value::absolute);
    let server_name = table.take("server_name", server_name);
    let fingerprints = table.list("fingerprints", fingerprint).unwrap_or_default();
    pair(&table);
    if let Some(key) = &key {
        warn_when_open(sheet, &key.value, key.at.clone());
    }
    table.finish(|name| match name {
        "verify" | "insecure" | "insecure_skip_verify" | "verify_certificate" => {
            Some("verification is always on; trust a certificate by `ca` or `fingerprints`".into())
        }
        "cert" | "crt" => Some("did you mean `certificate`?".into()),
        _ => None,
    });
    TlsSettings {
        ca: ca.map(|file| pem(sheet, file, "CERTIFICATE-----")),
        certificate: certificate.map(|file| pem(sheet, file, "CERTIFICATE-----")),
        key: key.map(|file| pem(sheet, file, "PRIVATE KEY-----")),
        server_name: server_name.map(|name| name.value),
        fingerprints: fingerprints.into_iter().map(|placed| placed.value).collect(),
    }
}

/// A client certificate needs its key, and a key its certificate.
fn pair(table: &Section<'_>) {
    for (have, lacks) in [("certificate", "key"), ("key", "certificate")] {
        if table.has(have) && !table.has(lacks) {
            let wrong = Wrong::new(format!("`{have}` without `{lacks}`"));
            let file = if lacks == "key" { "client.key" } else { "client.pem" };
            let hint = format!("add `{lacks} = \"/etc/towline/{file}\"`, a PEM file");
            table.sheet.error(table.place_of(have), wrong.hint(hint));
        }
    }
}

/// Looks whether a PEM file is there and holds what it should.
fn pem(sheet: &Sheet<'_>, file: Placed<PathBuf>, holds: &str) -> PathBuf {
    let Placed { value: path, at } = file;
    let shown = path.display();
    match fs::metadata(&path).and_then(|metadata| match metadata.len() {
        0..=PEM_BYTES_MAX if metadata.is_file() => fs::read(&path).map(Some),
        _ => Ok(None),
    }) {
        Ok(Some(bytes)) if memchr::memmem::find(&bytes, holds.as_bytes()).is_some() => {}
        Ok(_) => {
            let wrong = Wrong::new(format!("{shown} is no PEM file with a {}", what(holds)));
            sheet.error(at, wrong.hint(format!("it should hold a line `-----BEGIN … {holds}`")));
        }
        Err(error) if error.kind() == ErrorKind::PermissionDenied => unreadable(sheet, at, &path),
        Err(error) => {
            let wrong = Wrong::new(format!("cannot read {shown}: {error}"));
            sheet.error(at, wrong.hint(format!("it should be a PEM file with a {}", what(holds))));
        }
    }
    path
}

/// `towline check` may run as another user than the agent: no error.
fn unreadable(sheet: &Sheet<'_>, at: Range<usize>, path: &std::path::Path) {
    let wrong = Wrong::new(format!("this user may not read {}", path.display()));
    sheet.warn(at, wrong.hint("the agent's user has to be able to"));
}

fn what(holds: &str) -> &'static str {
    if holds.starts_with("PRIVATE") { "private key" } else { "certificate" }
}

fn server_name(value: &DeValue<'_>) -> Result<String, Wrong> {
    let name = value::text(value)?;
    match ServerName::try_from(name.as_str()) {
        Ok(_) => Ok(name),
        Err(_) => Err(Wrong::new(format!("`{name}` is not a host name"))
            .hint("for example `siem.example.net`")),
    }
}

/// RFC 5425, section 4.2.2: `sha-256:` and the hash's bytes in hexadecimal, with colons between them.
fn fingerprint(value: &DeValue<'_>) -> Result<String, Wrong> {
    const HASH_BYTES: usize = 32;
    let text = value::text(value)?;
    let lower = text.to_ascii_lowercase();
    let wrong = |message: &str| {
        Wrong::new(message)
            .hint("expected `sha-256:` and 32 pairs of hexadecimal digits with `:` between them")
    };
    let Some(hash) = lower.strip_prefix("sha-256:") else {
        return Err(wrong(match lower.starts_with("sha-1:") {
            true => "a SHA-1 fingerprint is not safe",
            false => "the fingerprint does not begin with `sha-256:`",
        }));
    };
    let pairs = hash
        .split(':')
        .map(|pair| pair.len() == 2 && pair.bytes().all(|byte| byte.is_ascii_hexdigit()));
    match pairs.clone().all(|good| good) && pairs.count() == HASH_BYTES {
        true => Ok(text),
        false => Err(wrong("this is not a SHA-256 fingerprint")),
    }
}
