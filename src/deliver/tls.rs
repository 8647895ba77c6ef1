//! TLS towards a receiver (RFC 5425, RFC 9662): TLS 1.2 or newer, verification always on, no 0-RTT.
//!
//! The files are read again for each connection, so that a renewed certificate is used without a restart. Errors
//! speak to an admin: which file and line, what the receiver said, what to do.

use std::{path::Path, sync::Arc};

use rustls::{
    AlertDescription, CertificateError, ClientConfig, Error as TlsError, RootCertStore,
    crypto::CryptoProvider, pki_types::ServerName,
};

use super::{
    TlsSettings, pem,
    pin::{Fingerprint, Pinned},
};

/// How much TLS may hold before it must go to the socket: several full records in one write.
pub(crate) const BUFFER_BYTES_MAX: usize = 256 << 10;

/// A client configuration from the files as they are now.
///
/// # Errors
/// In words for an admin.
pub(crate) fn client(settings: &TlsSettings) -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| format!("TLS cannot be set up: {error}"))?;
    let builder = if settings.fingerprints.is_empty() {
        builder.with_root_certificates(roots(settings.ca.as_deref())?)
    } else {
        let verifier = Arc::new(pinned(&settings.fingerprints, provider)?);
        builder.dangerous().with_custom_certificate_verifier(verifier)
    };
    let config = match (&settings.certificate, &settings.key) {
        (None, None) => builder.with_no_client_auth(),
        (Some(certificate), Some(key)) => {
            let chain = pem::certificates(certificate).map_err(|e| e.to_string())?;
            let chain = chain.into_iter().map(|c| c.der).collect();
            let der = pem::private_key(key).map_err(|e| e.to_string())?;
            builder
                .with_client_auth_cert(chain, der)
                .map_err(|error| client_certificate(&error, certificate, key))?
        }
        (Some(_), None) => return Err("tls.certificate needs tls.key beside it".into()),
        (None, Some(_)) => return Err("tls.key needs tls.certificate beside it".into()),
    };
    Ok(Arc::new(config))
}

fn pinned(fingerprints: &[String], provider: Arc<CryptoProvider>) -> Result<Pinned, String> {
    let fingerprints =
        fingerprints.iter().map(|f| Fingerprint::parse(f)).collect::<Result<_, _>>()?;
    Ok(Pinned { fingerprints, provider })
}

fn client_certificate(error: &TlsError, certificate: &Path, key: &Path) -> String {
    let (certificate, key) = (certificate.display(), key.display());
    match error {
        TlsError::InconsistentKeys(_) => {
            format!("{key}: is not the key of the certificate in {certificate}")
        }
        TlsError::InvalidCertificate(_) => {
            format!("{certificate}: its first certificate cannot be used: {error}")
        }
        _ => format!("{key}: cannot be used as the key of {certificate}: {error}"),
    }
}

fn roots(ca: Option<&Path>) -> Result<RootCertStore, String> {
    match ca {
        Some(file) => roots_of(file),
        None => system_roots(),
    }
}

fn roots_of(file: &Path) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    for certificate in pem::certificates(file).map_err(|e| e.to_string())? {
        store.add(certificate.der).map_err(|error| {
            let (file, line) = (file.display(), certificate.line);
            format!("{file}:{line}: the certificate that begins here is no trust anchor: {error}")
        })?;
    }
    Ok(store)
}

fn system_roots() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(found.certs);
    if !store.is_empty() {
        return Ok(store);
    }
    let why = found.errors.first().map(|e| format!(" ({e})")).unwrap_or_default();
    Err(format!(
        "the system has no trust anchors{why}; install the package ca-certificates, or name the receiver's authority in tls.ca"
    ))
}

/// The name to verify and to send.
///
/// # Errors
/// In words for an admin.
pub(crate) fn server_name(
    settings: &TlsSettings,
    host: &str,
) -> Result<ServerName<'static>, String> {
    let name = settings.server_name.as_deref().unwrap_or(host);
    ServerName::try_from(name.to_owned()).map_err(|_| {
        format!("`{name}` is neither a host name nor an address; set tls.server_name to the name in the receiver's certificate")
    })
}

/// What a TLS error means and what to do.
pub(crate) fn explain(error: &TlsError, settings: &TlsSettings, host: &str) -> String {
    let name = settings.server_name.as_deref().unwrap_or(host);
    match error {
        TlsError::InvalidCertificate(certificate) => bad_certificate(certificate, settings, name),
        TlsError::AlertReceived(alert) => refused(*alert, settings),
        TlsError::General(text) => text.clone(),
        TlsError::InvalidMessage(_) => {
            format!("what it answers is not TLS ({error}): is this the port of its TLS listener?")
        }
        TlsError::PeerIncompatible(_) => {
            format!(
                "no common TLS version or cipher ({error}): it must speak TLS 1.2 with ECDHE and AES-GCM, or TLS 1.3"
            )
        }
        other => format!("TLS failed: {other}"),
    }
}

fn bad_certificate(error: &CertificateError, settings: &TlsSettings, name: &str) -> String {
    let anchors = match &settings.ca {
        Some(file) => file.display().to_string(),
        None => "the system's trust anchors".into(),
    };
    match error {
        CertificateError::UnknownIssuer => format!(
            "its certificate is not signed by an authority of {anchors}; put that authority's certificate (PEM) into tls.ca, or pin the receiver by tls.fingerprints"
        ),
        CertificateError::NotValidForName => not_for(name, ""),
        CertificateError::NotValidForNameContext { presented, .. } => {
            not_for(name, &format!("; it is for {}", presented.join(", ")))
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!(
                "its certificate has expired ({error}); renew it there, or set this machine's clock right"
            )
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("its certificate is not valid yet ({error}); is this machine's clock right?")
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "its certificate may not be used by a server (extended key usage lacks serverAuth)"
                .into()
        }
        other => format!("its certificate is refused: {other}"),
    }
}

fn not_for(name: &str, whose: &str) -> String {
    format!(
        "its certificate is not for `{name}`{whose}; set tls.server_name to a name that the certificate has (a common name alone does not count)"
    )
}

fn refused(alert: AlertDescription, settings: &TlsSettings) -> String {
    let ours = match &settings.certificate {
        Some(file) => format!("our client certificate ({})", file.display()),
        None => "us without a client certificate".into(),
    };
    match alert {
        AlertDescription::CertificateRequired => {
            "it wants a client certificate; set tls.certificate and tls.key".into()
        }
        AlertDescription::UnknownCA
        | AlertDescription::BadCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::AccessDenied => {
            format!("it refuses {ours}: alert {alert:?}; does it trust the issuer, and is the certificate still valid?")
        }
        AlertDescription::UnrecognisedName => {
            "it does not know the name that we ask for; set tls.server_name".into()
        }
        AlertDescription::ProtocolVersion => "it speaks no TLS 1.2 or newer".into(),
        AlertDescription::HandshakeFailure if settings.certificate.is_none() => {
            "it broke off the handshake: no common cipher, or it wants a client certificate (tls.certificate)".into()
        }
        other => format!("it broke off with the alert {other:?}"),
    }
}

/// Whether only a person can settle this: certificates, not cables.
pub(crate) fn needs_a_person(error: &TlsError) -> bool {
    matches!(
        error,
        TlsError::InvalidCertificate(_)
            | TlsError::General(_)
            | TlsError::PeerIncompatible(_)
            | TlsError::AlertReceived(
                AlertDescription::CertificateRequired
                    | AlertDescription::UnknownCA
                    | AlertDescription::BadCertificate
                    | AlertDescription::CertificateUnknown
                    | AlertDescription::CertificateExpired
                    | AlertDescription::CertificateRevoked
                    | AlertDescription::AccessDenied
            )
    )
}
