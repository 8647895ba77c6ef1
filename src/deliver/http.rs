//! One HTTP/1.1 request at a time over a connection that is kept: several URLs with failover, a bound on what is
//! read, a time limit on everything. Knows nothing of `_bulk`, and does not try again by itself.

use std::{fmt, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, Response, StatusCode, Uri,
    body::Incoming,
    client::conn::http1::{SendRequest, handshake},
    header::{self, HeaderValue},
};
use hyper_util::rt::TokioIo;
use tokio::{task::AbortHandle, time::timeout};

use super::{
    TlsSettings,
    dial::{self, Address, Wire},
    retry::retry_after,
    syslog::join,
    trouble::{Pace, Trouble},
};
use crate::event::Time;

/// Where a server's API begins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Url {
    tls: bool,
    address: Address,
    /// Path before everything, without a slash at its end.
    path: String,
}

impl Url {
    /// Reads `http[s]://host[:port][/path]`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| format!("`{text}` {what}; write https://host:9200");
        let uri: Uri = text.parse().map_err(|_| wrong("is no URL"))?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(wrong("does not say http or https")),
        };
        let authority = uri.authority().ok_or_else(|| wrong("names no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("holds a user or password, which belong into basic = { … }"));
        }
        if uri.query().is_some() {
            return Err(wrong("has a query"));
        }
        let address = Address::parse(authority.as_str(), Some(if tls { 443 } else { 80 }))?;
        Ok(Self { tls, address, path: uri.path().trim_end_matches('/').into() })
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.address, self.path)
    }
}

/// What to ask.
#[derive(Clone, Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) method: Method,
    /// Path and query after the URL.
    pub(crate) path: &'a str,
    pub(crate) body: Bytes,
    pub(crate) content_type: Option<&'static str>,
    /// The body is compressed with gzip.
    pub(crate) gzip: bool,
    /// Longest answer that is read.
    pub(crate) answer_bytes_max: usize,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) retry_after: Option<Duration>,
    /// Where a redirect leads.
    pub(crate) location: Option<String>,
    pub(crate) body: Vec<u8>,
    /// Whether the answer was longer than what is read.
    pub(crate) cut: bool,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum NoReply {
    /// It took too long: perhaps less would have gone through.
    Slow(Trouble),
    /// Anything else.
    Failed(Trouble),
}

/// A connection in use.
struct Line {
    sender: SendRequest<Full<Bytes>>,
    driver: AbortHandle,
    at: usize,
    /// It has carried an answer already, so its end may be the server's idle limit.
    used: bool,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Asks the first URL that answers.
pub(crate) struct Client {
    urls: Vec<Url>,
    tls: TlsSettings,
    authorization: Option<HeaderValue>,
    limit: Duration,
    first: usize,
    line: Option<Line>,
}

impl Client {
    /// A client; nothing is connected yet.
    pub(crate) fn new(
        urls: &[String],
        tls: &TlsSettings,
        authorization: Option<String>,
        limit: Duration,
    ) -> Result<Self, String> {
        let urls = urls.iter().map(|u| Url::parse(u)).collect::<Result<Vec<_>, _>>()?;
        if urls.is_empty() {
            return Err("the destination has no URL".into());
        }
        let authorization = authorization.map(secret_header).transpose()?;
        Ok(Self { urls, tls: tls.clone(), authorization, limit, first: 0, line: None })
    }

    /// Where the connection leads, if there is one.
    pub(crate) fn peer(&self) -> Option<String> {
        self.line.as_ref().map(|line| self.urls[line.at].to_string())
    }

    /// Makes the next URL the first one to try: this one is in trouble.
    pub(crate) fn turn_away(&mut self) {
        self.first = (self.first + 1) % self.urls.len();
        self.line = None;
    }

    /// Closes the connection.
    pub(crate) fn close(&mut self) {
        self.line = None;
    }

    /// Sends one request and reads the whole answer.
    pub(crate) async fn ask(&mut self, ask: Ask<'_>) -> Result<Reply, NoReply> {
        let mut line = self.line().await.map_err(NoReply::Failed)?;
        let url = self.urls[line.at].clone();
        let request = self.request(&url, &ask).map_err(NoReply::Failed)?;
        let response = match timeout(self.limit, line.sender.send_request(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(NoReply::Failed(self.failed(&error, &url, line.used))),
            Err(_) => {
                let what = format!("{url}: no answer within {:?}", self.limit);
                return Err(NoReply::Slow(Trouble::grow(what)));
            }
        };
        let reply = timeout(self.limit, read(response, ask.answer_bytes_max)).await;
        match reply {
            Ok(Ok(reply)) => {
                if !reply.cut {
                    line.used = true;
                    self.line = Some(line);
                }
                Ok(reply)
            }
            Ok(Err(error)) => {
                let what = format!("{url}: its answer broke off: {}", chain(&error));
                Err(NoReply::Failed(Trouble::grow(what)))
            }
            Err(_) => {
                let what = format!("{url}: its answer did not end within {:?}", self.limit);
                Err(NoReply::Failed(Trouble::grow(what)))
            }
        }
    }

    /// The kept connection if it is still good, else a new one.
    async fn line(&mut self) -> Result<Line, Trouble> {
        if let Some(mut line) = self.line.take()
            && line.sender.ready().await.is_ok()
        {
            return Ok(line);
        }
        let mut troubles = Vec::new();
        for n in 0..self.urls.len() {
            let at = (self.first + n) % self.urls.len();
            match self.connect(at).await {
                Ok(line) => {
                    self.first = at;
                    return Ok(line);
                }
                Err(trouble) => troubles.push(trouble),
            }
        }
        Err(join(troubles))
    }

    async fn connect(&self, at: usize) -> Result<Line, Trouble> {
        let url = &self.urls[at];
        let wire = Wire::dial(&url.address, url.tls.then_some(&self.tls), self.limit).await?;
        let (sender, driver) = handshake(TokioIo::new(wire))
            .await
            .map_err(|error| Trouble::grow(format!("{url}: {error}")))?;
        let driver = tokio::spawn(async move {
            // What ends the connection is told to whoever waits for the answer.
            let _ = driver.await;
        });
        Ok(Line { sender, driver: driver.abort_handle(), at, used: false })
    }

    fn request(&self, url: &Url, ask: &Ask<'_>) -> Result<Request<Full<Bytes>>, Trouble> {
        let mut request = Request::builder()
            .method(ask.method.clone())
            .uri(format!("{}{}", url.path, ask.path))
            .header(header::HOST, url.address.to_string())
            .header(header::USER_AGENT, concat!("towline/", env!("CARGO_PKG_VERSION")))
            .header(header::ACCEPT, "application/json");
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        if let Some(content_type) = ask.content_type {
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        if ask.gzip {
            request = request.header(header::CONTENT_ENCODING, "gzip");
        }
        request
            .body(Full::new(ask.body.clone()))
            .map_err(|error| Trouble::slow(format!("{url}: the request cannot be made: {error}")))
    }

    fn failed(&self, error: &hyper::Error, url: &Url, used: bool) -> Trouble {
        if used && (error.is_canceled() || error.is_closed() || error.is_incomplete_message()) {
            let what = format!("{url}: the kept connection was closed");
            return Trouble { what, pace: Pace::Now };
        }
        let tls = url.tls.then_some(&self.tls);
        let io = std::error::Error::source(error).and_then(|e| e.downcast_ref::<std::io::Error>());
        match io {
            Some(io) => dial::explain(io, &url.address, tls),
            None if error.is_parse() => Trouble::grow(format!(
                "{url}: what it answers is not HTTP ({error}); is this the port of its HTTP API?"
            )),
            None => Trouble::grow(format!("{url}: {}", chain(error))),
        }
    }
}

async fn read(response: Response<Incoming>, bytes_max: usize) -> Result<Reply, hyper::Error> {
    let status = response.status();
    let text = |name| response.headers().get(name).and_then(|v: &HeaderValue| v.to_str().ok());
    let retry_after = text(header::RETRY_AFTER).and_then(|v| retry_after(v, Time::now().seconds()));
    let location = text(header::LOCATION).map(str::to_owned);
    let mut incoming = response.into_body();
    let mut body = Vec::new();
    let mut cut = false;
    while let Some(frame) = incoming.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        let room = bytes_max.saturating_sub(body.len());
        body.extend_from_slice(&data[..data.len().min(room)]);
        if data.len() > room {
            cut = true;
            break;
        }
    }
    Ok(Reply { status, retry_after, location, body, cut })
}

fn secret_header(value: String) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::try_from(value)
        .map_err(|_| "the credentials hold a character that HTTP does not allow".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

/// An error and what is behind it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_and_wrong_ones_explained() {
        let read = |text| Url::parse(text).map(|u| u.to_string());
        assert_eq!(read("https://search:9200").unwrap(), "https://search:9200");
        assert_eq!(read("https://search/es/").unwrap(), "https://search:443/es");
        assert_eq!(read("http://[::1]:9200/").unwrap(), "http://[::1]:9200");
        for (text, what) in [
            ("search:9200", "does not say http"),
            ("ftp://search", "does not say http"),
            ("https://me:secret@search", "belong into basic"),
            ("https://search/?x=1", "has a query"),
            ("https://", "is no URL"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(what), "{text}: {error}");
        }
    }
}
