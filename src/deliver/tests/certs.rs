//! An authority, a receiver and a client, made on the spot.

use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair};
use tempfile::TempDir;

use crate::deliver::{TlsSettings, pin::Fingerprint};

/// A folder with `ca.pem`, `server.pem`/`.key` for localhost and 127.0.0.1, `client.pem`/`.key`, and the same of an
/// authority that nobody trusts under `other-`.
pub(super) struct Certs {
    folder: TempDir,
}

impl Certs {
    pub(super) fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for prefix in ["", "other-"] {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(vec![]).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.distinguished_name.push(DnType::CommonName, format!("{prefix}authority"));
            let ca = params.self_signed(&key).unwrap();
            write(&folder, &format!("{prefix}ca.pem"), &ca.pem());
            for (name, san) in [("server", "localhost"), ("client", "towline")] {
                let own = KeyPair::generate().unwrap();
                let names = vec![san.to_owned(), "127.0.0.1".to_owned()];
                let params = CertificateParams::new(names).unwrap();
                let cert = params.signed_by(&own, &ca, &key).unwrap();
                write(&folder, &format!("{prefix}{name}.pem"), &cert.pem());
                write(&folder, &format!("{prefix}{name}.key"), &own.serialize_pem());
            }
        }
        Self { folder }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Trusts the authority, shows no certificate.
    pub(super) fn anonymous(&self) -> TlsSettings {
        TlsSettings { ca: Some(self.path("ca.pem")), ..TlsSettings::default() }
    }

    /// Trusts the authority, shows `<prefix>client.pem`.
    pub(super) fn client(&self, prefix: &str) -> TlsSettings {
        TlsSettings {
            certificate: Some(self.path(&format!("{prefix}client.pem"))),
            key: Some(self.path(&format!("{prefix}client.key"))),
            ..self.anonymous()
        }
    }

    /// The SHA-256 fingerprint of a certificate file.
    pub(super) fn fingerprint(&self, name: &str) -> String {
        let certs = crate::deliver::pem::certificates(&self.path(name)).unwrap();
        Fingerprint::sha256(&certs[0].der).to_string()
    }
}

fn write(folder: &TempDir, name: &str, text: &str) {
    std::fs::write(folder.path().join(name), text).unwrap();
}
