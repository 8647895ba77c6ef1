//! Tries a destination without sending an event: every address or URL, TLS, and whether it takes us.

use std::time::Duration;

use bytes::Bytes;
use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use super::{
    ElasticsearchSettings, Kind, Settings, SyslogSettings, Transport, answer,
    elasticsearch::{authorization, data_stream},
    http::{Ask, Client, NoReply, Reply},
    syslog,
    trouble::Trouble,
    udp,
};

/// How long a receiver gets to refuse us after the handshake, see `dial`. A check may take longer than delivery.
const REFUSAL_WAIT: Duration = Duration::from_secs(1);
/// Longest answer that is read.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Tries every address of a destination. The text has a line for each.
///
/// # Errors
/// The same lines, if one of them does not work.
pub async fn connect_check(settings: &Settings) -> Result<String, Trouble> {
    let places = match &settings.kind {
        Kind::Syslog(syslog) => &syslog.address,
        Kind::Elasticsearch(search) => &search.urls,
    };
    let mut lines = Vec::new();
    let mut failed = false;
    for place in places {
        let tried = match &settings.kind {
            Kind::Syslog(syslog) => try_syslog(syslog, place, settings.timeout).await,
            Kind::Elasticsearch(search) => try_search(search, place, settings.timeout).await,
        };
        failed |= tried.is_err();
        lines.push(tried.unwrap_or_else(|trouble| trouble.what));
    }
    match (lines.is_empty(), failed) {
        (true, _) => Err(Trouble::slow("the destination has no address")),
        (false, true) => Err(Trouble::slow(lines.join("\n"))),
        (false, false) => Ok(lines.join("\n")),
    }
}

async fn try_syslog(
    settings: &SyslogSettings,
    address: &str,
    limit: Duration,
) -> Result<String, Trouble> {
    let one = SyslogSettings { address: vec![address.into()], ..settings.clone() };
    if settings.transport == Transport::Udp {
        udp::Sender::new(&one, limit).map_err(Trouble::slow)?.connect().await?;
        return Ok(format!(
            "{address}: the name resolves; over UDP nobody answers, so that is all"
        ));
    }
    let mut sender = syslog::Sender::new(&one, limit).map_err(Trouble::slow)?;
    sender.connect().await?;
    let over = sender.describe();
    // Returns early only when the receiver closes.
    let _ = tokio::time::timeout(REFUSAL_WAIT, sender.watch(false)).await;
    sender.evidence().await.map_err(|trouble| {
        Trouble::slow(format!("{trouble} right after it was opened: its log should say why"))
    })?;
    sender.close(tokio::time::Instant::now() + limit).await;
    Ok(format!("{address}: connected over {over}"))
}

async fn try_search(
    settings: &ElasticsearchSettings,
    url: &str,
    limit: Duration,
) -> Result<String, Trouble> {
    let stream = data_stream(&settings.data_stream).map_err(Trouble::slow)?;
    let authorization = authorization(&settings.credentials);
    let urls = [url.to_owned()];
    let client = Client::new(&urls, &settings.tls, authorization, limit).map_err(Trouble::slow)?;
    let mut node = Node { client, url };
    let server = node.who().await?;
    node.privileges(stream).await?;
    let stream = node.stream(stream).await?;
    Ok(format!("{url}: {server}; {stream}"))
}

/// A search node that is asked.
struct Node<'a> {
    client: Client,
    url: &'a str,
}

impl Node<'_> {
    async fn ask(&mut self, method: Method, path: &str, body: &str) -> Result<Reply, Trouble> {
        let ask = Ask {
            method,
            path,
            body: Bytes::copy_from_slice(body.as_bytes()),
            content_type: (!body.is_empty()).then_some("application/json"),
            gzip: false,
            answer_bytes_max: ANSWER_BYTES_MAX,
        };
        let asked = self.client.ask(ask).await;
        asked.map_err(|none| match none {
            NoReply::Slow(trouble) | NoReply::Failed(trouble) => trouble,
        })
    }

    fn refused(&self, reply: &Reply, what: &str) -> Trouble {
        let said = answer::request_reason(&reply.body);
        Trouble::slow(format!("{}: {}: {what}: {said}", self.url, reply.status))
    }

    /// What answers there. A user that may only write may not ask that.
    async fn who(&mut self) -> Result<String, Trouble> {
        let reply = self.ask(Method::GET, "/", "").await?;
        match reply.status {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED => {
                return Err(self.refused(&reply, "the credentials are refused"));
            }
            StatusCode::FORBIDDEN => return Ok("the credentials are known".into()),
            _ => return Err(self.refused(&reply, "is it the URL of Elasticsearch or OpenSearch?")),
        }
        let text: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        let version = &text["version"];
        let Some(number) = version["number"].as_str() else {
            let what = "what answers is neither Elasticsearch nor OpenSearch";
            return Err(self.refused(&reply, what));
        };
        let name = match version["distribution"].as_str() {
            Some("opensearch") => "OpenSearch",
            _ => "Elasticsearch",
        };
        Ok(format!("{name} {number}"))
    }

    /// Whether we may write. Only Elasticsearch can be asked; others show it with the first event.
    async fn privileges(&mut self, stream: &str) -> Result<(), Trouble> {
        let wanted = json!({ "index": [{ "names": [stream], "privileges": ["create_doc"] }] });
        let path = "/_security/user/_has_privileges";
        let reply = self.ask(Method::POST, path, &wanted.to_string()).await?;
        if reply.status == StatusCode::UNAUTHORIZED {
            return Err(self.refused(&reply, "the credentials are refused"));
        }
        let text: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        match text["has_all_requested"].as_bool() {
            Some(false) => Err(Trouble::slow(format!(
                "{}: the credentials lack the privilege create_doc on {stream}",
                self.url
            ))),
            _ => Ok(()),
        }
    }

    /// Whether the data stream is there.
    async fn stream(&mut self, stream: &str) -> Result<String, Trouble> {
        let reply = self.ask(Method::GET, &format!("/_data_stream/{stream}"), "").await?;
        match reply.status {
            StatusCode::OK => Ok(format!("the data stream {stream} is there")),
            StatusCode::NOT_FOUND => Ok(format!(
                "the data stream {stream} is not there yet: the first event makes it, if an index template with a data stream fits its name"
            )),
            StatusCode::UNAUTHORIZED => Err(self.refused(&reply, "the credentials are refused")),
            // A user that may only write may not ask.
            _ => Ok(format!("whether the data stream {stream} is there cannot be asked")),
        }
    }
}
