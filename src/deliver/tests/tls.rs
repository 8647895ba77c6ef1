//! Fingerprints, names, and errors that help.

use std::time::Duration;

use super::{
    certs::Certs,
    syslog::{Knows, Plan, Receiver},
};
use crate::deliver::{
    TlsSettings,
    dial::{Address, Wire},
    trouble::Trouble,
};

async fn dial(receiver: &Receiver, tls: &TlsSettings) -> Result<Wire, Trouble> {
    let address = Address::parse(&receiver.address, None).unwrap();
    Wire::dial(&address, Some(tls), Duration::from_secs(5)).await
}

async fn fails(receiver: &Receiver, tls: &TlsSettings, expected: &str) {
    match dial(receiver, tls).await {
        Ok(_) => panic!("should fail with {expected}"),
        Err(trouble) => assert!(trouble.what.contains(expected), "{trouble}"),
    }
}

#[tokio::test]
async fn a_fingerprint_replaces_path_and_name() {
    let certs = Certs::make();
    let receiver = Receiver::start(&certs, Knows::Anyone, vec![Plan::Read]).await;
    let right = certs.fingerprint("server.pem");
    let wrong = certs.fingerprint("other-server.pem");
    let pinned = |fingerprints: &[&String]| TlsSettings {
        fingerprints: fingerprints.iter().map(|f| (*f).clone()).collect(),
        server_name: Some("no.such.name".into()),
        ..TlsSettings::default()
    };
    dial(&receiver, &pinned(&[&wrong, &right])).await.unwrap();
    fails(&receiver, &pinned(&[&wrong]), &right).await;
    fails(&receiver, &pinned(&[&"sha-512:00".to_owned()]), "of a digest that is not known").await;
}

#[tokio::test]
async fn an_unknown_authority_says_where_its_certificate_belongs() {
    let certs = Certs::make();
    let receiver = Receiver::start(&certs, Knows::Anyone, vec![Plan::Read]).await;
    let other = TlsSettings { ca: Some(certs.path("other-ca.pem")), ..TlsSettings::default() };
    let expected =
        format!("not signed by an authority of {}", certs.path("other-ca.pem").display());
    fails(&receiver, &other, &expected).await;
    let named = TlsSettings { server_name: Some("siem.example".into()), ..certs.anonymous() };
    fails(&receiver, &named, "is not for `siem.example`; it is for").await;
}

#[tokio::test]
async fn broken_files_are_named_with_their_lines() {
    let certs = Certs::make();
    let receiver = Receiver::start(&certs, Knows::Anyone, vec![Plan::Read]).await;
    let path = |name: &str| Some(certs.path(name));
    let crossed = TlsSettings { key: path("other-client.key"), ..certs.client("") };
    fails(&receiver, &crossed, "other-client.key: is not the key of the certificate in").await;
    let swapped = TlsSettings {
        certificate: path("client.key"),
        key: path("client.pem"),
        ..certs.anonymous()
    };
    fails(&receiver, &swapped, "client.key: holds no certificate; it holds a PRIVATE KEY").await;
    let damaged = std::fs::read_to_string(certs.path("ca.pem")).unwrap().replace("MI", "\u{7}!");
    std::fs::write(certs.path("ca.pem"), format!("# ours\n{damaged}")).unwrap();
    fails(&receiver, &certs.anonymous(), "ca.pem:2: the CERTIFICATE that begins here").await;
    let alone = TlsSettings { certificate: path("client.pem"), ..TlsSettings::default() };
    fails(&receiver, &TlsSettings { ca: path("other-ca.pem"), ..alone }, "needs tls.key").await;
}

#[tokio::test]
async fn renewed_files_are_used_by_the_next_connection() {
    let certs = Certs::make();
    let receiver = Receiver::start(&certs, Knows::Anyone, vec![Plan::Read]).await;
    let tls = TlsSettings { ca: Some(certs.path("used.pem")), ..TlsSettings::default() };
    std::fs::copy(certs.path("other-ca.pem"), certs.path("used.pem")).unwrap();
    fails(&receiver, &tls, "not signed").await;
    std::fs::copy(certs.path("ca.pem"), certs.path("used.pem")).unwrap();
    dial(&receiver, &tls).await.unwrap();
}
