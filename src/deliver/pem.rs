//! Reads PEM files so that an admin learns which line of which file is wrong.

use std::path::{Path, PathBuf};

use rustls::pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{Error as Decoding, PemObject},
};

/// The longest file that is read: 4 MiB is some thousand certificates.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Why a PEM file is of no use.
#[derive(thiserror::Error, Debug)]
pub(crate) enum Error {
    #[error("{}: cannot be read: {error}; {}", file.display(), remedy(error))]
    Unreadable { file: PathBuf, error: std::io::Error },
    #[error("{}: is longer than {FILE_BYTES_MAX} bytes; is it the right file?", .0.display())]
    TooLong(PathBuf),
    #[error("{}:{line}: {what}", file.display())]
    Section { file: PathBuf, line: usize, what: String },
    #[error("{}: holds no {wanted}; {hint}", file.display())]
    Missing { file: PathBuf, wanted: &'static str, hint: String },
}

fn remedy(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::NotFound => "check the path",
        std::io::ErrorKind::PermissionDenied => {
            "give the user that runs Towline the right to read it (and its folders)"
        }
        _ => "check the disk",
    }
}

/// One `-----BEGIN X-----` … `-----END X-----`.
struct Section<'a> {
    /// Line of its begin, from 1.
    line: usize,
    label: &'a str,
    text: &'a str,
}

/// A certificate and the line where it begins.
pub(crate) struct Certificate {
    pub(crate) line: usize,
    pub(crate) der: CertificateDer<'static>,
}

/// All certificates of a file, in order; at least one.
pub(crate) fn certificates(file: &Path) -> Result<Vec<Certificate>, Error> {
    let text = read(file)?;
    let sections = sections(file, &text)?;
    let mut found = Vec::new();
    for section in sections.iter().filter(|s| s.label == "CERTIFICATE") {
        let der = CertificateDer::from_pem_slice(section.text.as_bytes())
            .map_err(|error| section.error(file, &error))?;
        found.push(Certificate { line: section.line, der });
    }
    if found.is_empty() {
        return Err(missing(file, "certificate", &sections));
    }
    Ok(found)
}

/// The private key of a file.
pub(crate) fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    let text = read(file)?;
    let sections = sections(file, &text)?;
    if let Some(locked) = sections.iter().find(|s| s.is_encrypted()) {
        let what = format!(
            "the key is encrypted with a password, which a service cannot type; decrypt it: openssl pkey -in {} -out plain.key",
            file.display()
        );
        return Err(Error::Section { file: file.into(), line: locked.line, what });
    }
    let Some(section) = sections.iter().find(|s| s.label.ends_with("PRIVATE KEY")) else {
        return Err(missing(file, "private key", &sections));
    };
    PrivateKeyDer::from_pem_slice(section.text.as_bytes())
        .map_err(|error| section.error(file, &error))
}

impl Section<'_> {
    fn is_encrypted(&self) -> bool {
        self.label == "ENCRYPTED PRIVATE KEY"
            || (self.label.ends_with("PRIVATE KEY")
                && self.text.lines().take(4).any(|l| l.starts_with("Proc-Type: 4,ENCRYPTED")))
    }

    fn error(&self, file: &Path, error: &Decoding) -> Error {
        let what = match error {
            Decoding::Base64Decode(_) => {
                format!("the {} that begins here is damaged: it is not base64", self.label)
            }
            Decoding::NoItemsFound => {
                format!("the {} that begins here is of a kind that is not known", self.label)
            }
            other => format!("the {} that begins here is damaged: {other:?}", self.label),
        };
        Error::Section { file: file.into(), line: self.line, what }
    }
}

fn missing(file: &Path, wanted: &'static str, sections: &[Section<'_>]) -> Error {
    let hint = match sections {
        [] => "it has no PEM section at all; convert a DER file with: openssl x509 -inform der -in FILE".into(),
        [first, ..] => format!("it holds a {}: are the paths swapped?", first.label),
    };
    Error::Missing { file: file.into(), wanted, hint }
}

fn read(file: &Path) -> Result<String, Error> {
    let failed = |error| Error::Unreadable { file: file.into(), error };
    let length = std::fs::metadata(file).map_err(failed)?.len();
    if length > FILE_BYTES_MAX {
        return Err(Error::TooLong(file.into()));
    }
    let bytes = std::fs::read(file).map_err(failed)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn sections<'a>(file: &Path, text: &'a str) -> Result<Vec<Section<'a>>, Error> {
    let mut found = Vec::new();
    let mut open: Option<(usize, &str, usize)> = None;
    let mut offset = 0;
    for (n, line) in text.split_inclusive('\n').enumerate() {
        let fail = |line, what| Err(Error::Section { file: file.into(), line, what });
        let trimmed = line.trim();
        if let Some(label) = marker(trimmed, "-----BEGIN ") {
            if let Some((begin, label, _)) = open {
                return fail(begin, format!("the {label} that begins here never ends"));
            }
            open = Some((n + 1, label, offset));
        } else if let Some(label) = marker(trimmed, "-----END ") {
            match open.take() {
                Some((begin, began, start)) if began == label => {
                    let text = &text[start..offset + line.len()];
                    found.push(Section { line: begin, label, text });
                }
                Some((begin, began, _)) => {
                    let what = format!("ends a {label}, but line {begin} began a {began}");
                    return fail(n + 1, what);
                }
                None => return fail(n + 1, format!("ends a {label} that never began")),
            }
        } else if trimmed.starts_with("-----") {
            return fail(n + 1, "is not a whole PEM marker (-----BEGIN …-----)".into());
        }
        offset += line.len();
    }
    match open {
        Some((line, label, _)) => {
            let what = format!("the {label} that begins here never ends; was the file cut?");
            Err(Error::Section { file: file.into(), line, what })
        }
        None => Ok(found),
    }
}

fn marker<'a>(line: &'a str, prefix: &str) -> Option<&'a str> {
    line.strip_prefix(prefix)?.strip_suffix("-----")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    fn check(text: &str, wanted: &str) {
        let file = file(text);
        let error = certificates(file.path()).err().unwrap().to_string();
        let expected = wanted.replace("FILE", &file.path().display().to_string());
        assert_eq!(error, expected);
    }

    fn made() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        (made.cert.pem(), made.key_pair.serialize_pem())
    }

    #[test]
    fn certificates_and_keys_are_found_beside_each_other() {
        let (certificate, key) = made();
        let both = file(&format!("# a comment\n{certificate}\n{key}{certificate}"));
        let lines: Vec<_> = certificates(both.path()).unwrap().iter().map(|c| c.line).collect();
        assert_eq!(lines[0], 2);
        assert_eq!(lines.len(), 2);
        private_key(both.path()).unwrap();
    }

    #[test]
    fn an_error_names_file_and_line() {
        let (certificate, key) = made();
        check(
            "\n-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n",
            "FILE:2: the CERTIFICATE that begins here is damaged: it is not base64",
        );
        check(
            &format!("x\n{}", certificate.rsplit_once("-----END").unwrap().0),
            "FILE:2: the CERTIFICATE that begins here never ends; was the file cut?",
        );
        check(
            "-----BEGIN CERTIFICATE-----\n-----END PRIVATE KEY-----\n",
            "FILE:2: ends a PRIVATE KEY, but line 1 began a CERTIFICATE",
        );
        check(&key, "FILE: holds no certificate; it holds a PRIVATE KEY: are the paths swapped?");
        check(
            "-----BEGIN CERTIFICATE----\n",
            "FILE:1: is not a whole PEM marker (-----BEGIN …-----)",
        );
    }

    #[test]
    fn an_encrypted_key_says_what_to_do() {
        let locked = file(
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
        );
        let error = private_key(locked.path()).unwrap_err().to_string();
        assert!(
            error.contains(":1: the key is encrypted") && error.contains("openssl pkey"),
            "{error}"
        );
    }

    #[test]
    fn a_missing_file_says_so() {
        let error = certificates(Path::new("/nonexistent/ca.pem")).err().unwrap().to_string();
        assert!(error.starts_with("/nonexistent/ca.pem: cannot be read"), "{error}");
        assert!(error.ends_with("check the path"), "{error}");
    }
}
