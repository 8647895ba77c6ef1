//! The connection check says what an admin needs.

use super::{
    bulk::{Server, Whole, create, well},
    certs::Certs,
    settings,
    syslog::{Knows, Plan, Receiver},
    syslog_settings,
};
use crate::deliver::{
    Credentials, ElasticsearchSettings, Kind, Secret, TlsSettings, Transport, check::connect_check,
};

async fn says(settings: &super::super::Settings, works: bool, expected: &[&str]) {
    let (worked, text) = match connect_check(settings).await {
        Ok(text) => (true, text),
        Err(trouble) => (false, trouble.what),
    };
    assert_eq!(worked, works, "{text}");
    assert!(expected.iter().all(|e| text.contains(e)), "{text}");
}

#[tokio::test]
async fn syslog_receivers_are_tried_each() {
    let certs = Certs::make();
    let strict = Receiver::start(&certs, Knows::Certificates, vec![Plan::Read]).await;
    let closing = Receiver::start(&certs, Knows::Tcp, vec![Plan::Close(0)]).await;
    let one = |tls| syslog_settings(vec![strict.address.clone()], Transport::Tls, tls);
    says(&one(certs.client("")), true, &["connected over TLS 1.3", &strict.address]).await;
    says(&one(certs.anonymous()), false, &["wants a client certificate"]).await;
    says(&one(certs.client("other-")), false, &["refuses our client certificate"]).await;
    let tcp = |address: &str| {
        syslog_settings(vec![address.into()], Transport::Tcp, TlsSettings::default())
    };
    says(&tcp(&closing.address), false, &["closed the connection", "right after"]).await;
    says(&tcp("127.0.0.1:1"), false, &["nothing listens there"]).await;
    says(&tcp("no.such.host.invalid:514"), false, &["the name cannot be resolved"]).await;
    let both = vec![strict.address.clone(), "127.0.0.1:1".into()];
    let both = syslog_settings(both, Transport::Tls, certs.client(""));
    says(&both, false, &["connected over", "nothing listens there"]).await;
    let udp = syslog_settings(vec!["127.0.0.1".into()], Transport::Udp, TlsSettings::default());
    says(&udp, true, &["over UDP nobody answers"]).await;
    assert!(strict.seen.lock().unwrap().messages.is_empty(), "a check sends nothing");
}

fn search(url: &str) -> super::super::Settings {
    settings(Kind::Elasticsearch(ElasticsearchSettings {
        urls: vec![url.into()],
        data_stream: "logs-test-default".into(),
        credentials: Credentials::ApiKey(Secret::new("a2V5".into())),
        gzip: true,
        tls: TlsSettings::default(),
    }))
}

#[tokio::test]
async fn search_nodes_say_who_they_are_and_whether_we_may_write() {
    let server = Server::start(well(), create()).await;
    let habits = |who: &'static str, privileges: &'static str, stream: (u16, &'static str)| {
        let mut seen = server.seen.lock().unwrap();
        seen.page("/", 200, who);
        seen.page("/_security/user/_has_privileges", 200, privileges);
        seen.page("/_data_stream/logs-test-default", stream.0, stream.1);
    };
    let opensearch = r#"{"version":{"number":"2.19.5","distribution":"opensearch"}}"#;
    habits(opensearch, "no handler found", (200, "{}"));
    says(&search(&server.url), true, &["OpenSearch 2.19.5", "logs-test-default is there"]).await;
    assert_eq!(server.seen.lock().unwrap().authorization.as_deref(), Some("ApiKey a2V5"));
    let elastic = r#"{"version":{"number":"9.1.0"}}"#;
    habits(elastic, r#"{"has_all_requested":true}"#, (404, "{}"));
    says(&search(&server.url), true, &["Elasticsearch 9.1.0", "is not there yet"]).await;
    habits(elastic, r#"{"has_all_requested":false}"#, (200, "{}"));
    says(&search(&server.url), false, &["lack the privilege create_doc"]).await;
    habits("<html>nginx</html>", "", (200, ""));
    says(&search(&server.url), false, &["neither Elasticsearch nor OpenSearch"]).await;
    server.seen.lock().unwrap().page("/", 401, r#"{"error":{"type":"security_exception"}}"#);
    says(&search(&server.url), false, &["401", "the credentials are refused"]).await;
    assert_eq!(server.count(), 0);
}

#[tokio::test]
async fn a_server_that_hangs_is_told_apart() {
    let server = Server::start(Box::new(|_, _| Whole::Hang), create()).await;
    let mut settings = search(&server.url);
    settings.timeout = std::time::Duration::from_millis(200);
    server.seen.lock().unwrap().hang = true;
    says(&settings, false, &["no answer within 200ms"]).await;
}
