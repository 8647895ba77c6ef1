//! A strict `_bulk` receiver: a data stream that takes only `create`, answers a repeated `_id` with 409, and can be
//! told to misbehave in all the ways that servers do.

use std::{
    collections::BTreeMap,
    io::Read,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// What becomes of one item that could be created.
pub(super) enum Item {
    Create,
    Fail(u16, &'static str),
}

/// What becomes of a whole request.
pub(super) enum Whole {
    /// Each item is asked for.
    Items,
    /// Nothing is done; this status, these extra headers, this body.
    Status(u16, &'static str, &'static str),
    /// Everything is done, and the answer is cut in the middle.
    DoneButTruncated,
    /// Everything is done, and the connection closes without an answer.
    DoneButSilent,
    /// Everything is done, and a 200 with something else is answered.
    DoneButGarbage,
    /// The connection closes after the answer.
    ItemsThenClose,
    /// Nothing is ever answered.
    Hang,
}

/// Decides; gets the number of the request, from 0, and the length of its body.
pub(super) type Plan = Box<dyn FnMut(usize, usize) -> Whole + Send>;
/// Decides for one item; gets the event's number and how often it was tried before.
pub(super) type Items = Box<dyn FnMut(u64, u32) -> Item + Send>;

/// What the server holds and what it saw.
pub(super) struct Seen {
    pub(super) documents: BTreeMap<u64, Value>,
    pub(super) tries: BTreeMap<u64, u32>,
    pub(super) requests: usize,
    pub(super) connections: usize,
    pub(super) largest: usize,
    pub(super) authorization: Option<String>,
    pub(super) faults: Vec<String>,
    /// A request that holds this event is answered with 400 as a whole.
    refuse: Option<u64>,
    /// What is answered to other requests.
    pages: BTreeMap<&'static str, (u16, &'static str)>,
    /// Nothing at all is answered.
    pub(super) hang: bool,
    plan: Plan,
    items: Items,
}

/// A server on loopback.
pub(super) struct Server {
    pub(super) url: String,
    pub(super) seen: Arc<Mutex<Seen>>,
}

impl Server {
    pub(super) async fn start(plan: Plan, items: Items) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Seen {
            documents: BTreeMap::new(),
            tries: BTreeMap::new(),
            requests: 0,
            connections: 0,
            largest: 0,
            authorization: None,
            faults: Vec::new(),
            refuse: None,
            pages: BTreeMap::new(),
            hang: false,
            plan,
            items,
        }));
        let shared = seen.clone();
        tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                shared.lock().unwrap().connections += 1;
                tokio::spawn(serve(tcp, shared.clone()));
            }
        });
        Self { url, seen }
    }

    pub(super) fn count(&self) -> usize {
        self.seen.lock().unwrap().documents.len()
    }
}

pub(super) fn well() -> Plan {
    Box::new(|_, _| Whole::Items)
}

pub(super) fn create() -> Items {
    Box::new(|_, _| Item::Create)
}

struct Request {
    method: String,
    path: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

async fn serve(tcp: TcpStream, seen: Arc<Mutex<Seen>>) {
    let mut stream = BufReader::new(tcp);
    while let Some(request) = read(&mut stream).await {
        let answer = seen.lock().unwrap().answer(&request);
        let Some((answer, close)) = answer else { return std::future::pending().await };
        let _ = stream.get_mut().write_all(&answer).await;
        if close {
            let _ = stream.get_mut().shutdown().await;
            return;
        }
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    let mut lines = Vec::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            text => lines.push(text.to_owned()),
        }
    }
    let mut first = lines.first()?.split(' ');
    let headers: BTreeMap<_, _> = lines[1..]
        .iter()
        .filter_map(|l| l.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers.get("content-length").map_or(0, |l| l.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let request =
        Request { method: first.next()?.into(), path: first.next()?.into(), headers, body };
    Some(request.unpack())
}

impl Seen {
    /// From now on, a request that holds this event is refused as a whole.
    pub(super) fn refuse(&mut self, n: u64) {
        self.refuse = Some(n);
    }

    /// From now on, this is answered to requests for this path.
    pub(super) fn page(&mut self, path: &'static str, status: u16, body: &'static str) {
        self.pages.insert(path, (status, body));
    }

    /// The bytes to send and whether to close then; `None`: hang.
    fn answer(&mut self, request: &Request) -> Option<(Vec<u8>, bool)> {
        self.authorization = request.headers.get("authorization").cloned();
        if self.hang {
            return None;
        }
        if let Some((status, body)) = self.pages.get(request.path.as_str()) {
            return Some((http(*status, "", body), false));
        }
        if let Some(fault) = fault(request) {
            self.faults.push(fault.clone());
            return Some((http(400, "", &fault), true));
        }
        self.requests += 1;
        self.largest = self.largest.max(request.body.len());
        let whole = (self.plan)(self.requests - 1, request.body.len());
        if let Whole::Status(status, headers, body) = whole {
            return Some((http(status, headers, body), false));
        }
        if matches!(whole, Whole::Hang) {
            return None;
        }
        let refused = self.refuse.map(|n| format!("\"n\":{n},"));
        if refused
            .is_some_and(|text| memchr::memmem::find(&request.body, text.as_bytes()).is_some())
        {
            let body = r#"{"error":{"type":"parse_exception","reason":"line 77"},"status":400}"#;
            return Some((http(400, "", body), false));
        }
        let answer = http(200, "", &self.bulk(&request.body).to_string());
        Some(match whole {
            Whole::DoneButTruncated => (answer[..answer.len() - 20].to_vec(), true),
            Whole::DoneButSilent => (Vec::new(), true),
            Whole::DoneButGarbage => (http(200, "", "<html>Please log in</html>"), false),
            Whole::ItemsThenClose => (answer, true),
            _ => (answer, false),
        })
    }

    fn bulk(&mut self, body: &[u8]) -> Value {
        let mut lines = body.split(|b| *b == b'\n').collect::<Vec<_>>();
        if lines.pop() != Some(&b""[..]) || !lines.len().is_multiple_of(2) {
            self.faults.push("the body does not end with a newline after a document".into());
        }
        let items: Vec<_> = lines.chunks(2).map(|pair| self.item(pair[0], pair[1])).collect();
        let errors = items.iter().any(|i| i["create"]["status"].as_u64() > Some(299));
        json!({ "took": 1, "errors": errors, "items": items })
    }

    fn item(&mut self, action: &[u8], document: &[u8]) -> Value {
        let action: Value = serde_json::from_slice(action).unwrap();
        let document: Value = serde_json::from_slice(document).unwrap();
        let id = action["create"]["_id"].as_str().unwrap_or_default();
        let n = number(&document);
        if id != super::feed::id(n).to_string() || document["@timestamp"].is_null() {
            self.faults.push(format!("{action} {document}"));
        }
        let tries = self.tries.entry(n).or_default();
        *tries += 1;
        let before = *tries - 1;
        if self.documents.contains_key(&n) {
            let error = json!({ "type": "version_conflict_engine_exception", "reason": "exists" });
            return json!({ "create": { "status": 409, "error": error } });
        }
        match (self.items)(n, before) {
            Item::Create => {
                self.documents.insert(n, document);
                json!({ "create": { "status": 201 } })
            }
            Item::Fail(status, kind) => {
                let error = json!({ "type": kind, "reason": format!("because of {n}") });
                json!({ "create": { "status": status, "error": error } })
            }
        }
    }
}

/// The event's number: said, or in its id.
fn number(document: &Value) -> u64 {
    match document["event"]["id"].as_str() {
        Some(id) => u64::from_str_radix(&id[16..], 16).unwrap(),
        None => document["n"].as_u64().unwrap(),
    }
}

fn fault(request: &Request) -> Option<String> {
    let header = |name: &str| request.headers.get(name).map(String::as_str);
    if request.method != "POST"
        || !request.path.starts_with("/logs-test-default/_bulk?filter_path=")
    {
        return Some(format!("{} {}", request.method, request.path));
    }
    (header("content-type") != Some("application/x-ndjson"))
        .then(|| format!("content-type {:?}", header("content-type")))
}

impl Request {
    /// The body without its compression.
    fn unpack(mut self) -> Self {
        if self.headers.get("content-encoding").map(String::as_str) == Some("gzip") {
            let mut plain = Vec::new();
            flate2::read::GzDecoder::new(&self.body[..]).read_to_end(&mut plain).unwrap();
            self.body = plain;
        }
        self
    }
}

fn http(status: u16, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len())
        .into_bytes()
}
