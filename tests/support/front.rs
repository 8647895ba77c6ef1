//! A faulty front of a real search node: it refuses chosen items of a `_bulk` request and hands the others on. A real
//! node can't be told to refuse a given share of items, hence this stub; what it forwards is really indexed.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use serde_json::{Value, json};

/// What the front decides for one item of a bulk request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Handed on to the node.
    Forward,
    /// 429 `es_rejected_execution_exception`: the sender shall come again.
    Busy,
    /// 400 `mapper_parsing_exception`: this document will never be taken.
    Refuse,
}

/// The running front.
pub(crate) struct Front {
    /// Where it listens.
    pub(crate) url: String,
    /// Items answered with 429 so far.
    pub(crate) busy: Arc<AtomicU64>,
}

impl Front {
    /// Starts it before `node` (`http://127.0.0.1:PORT`); `judge` sees each document with a running number.
    pub(crate) fn start(
        node: &str,
        judge: impl Fn(u64, &Value) -> Verdict + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let node = node.trim_start_matches("http://").to_owned();
        let busy = Arc::new(AtomicU64::new(0));
        let (judge, number, counter) = (Arc::new(judge), Arc::new(AtomicU64::new(0)), busy.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (judge, number, node, busy) =
                    (judge.clone(), number.clone(), node.clone(), counter.clone());
                std::thread::spawn(move || {
                    serve(stream, &node, &busy, &|document: &Value| {
                        judge(number.fetch_add(1, Ordering::SeqCst), document)
                    })
                });
            }
        });
        Self { url, busy }
    }
}

struct Request {
    head: String,
    body: Vec<u8>,
}

fn read_request(reader: &mut impl BufRead) -> Option<Request> {
    let mut head = String::new();
    loop {
        let before = head.len();
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
        if head[before..].trim().is_empty() {
            break;
        }
    }
    let header = |name: &str| {
        head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    let length = header("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    if header("content-encoding").is_some_and(|encoding| encoding == "gzip") {
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(&body[..]).read_to_end(&mut plain).expect("gzip body");
        body = plain;
    }
    Some(Request { head, body })
}

fn serve(stream: TcpStream, node: &str, busy: &AtomicU64, judge: &dyn Fn(&Value) -> Verdict) {
    let mut reader = BufReader::new(stream.try_clone().expect("stream"));
    let mut stream = stream;
    while let Some(request) = read_request(&mut reader) {
        let target = request.head.split(' ').nth(1).unwrap_or_default().to_owned();
        let method = request.head.split(' ').next().unwrap_or_default().to_owned();
        let (status, answer) =
            if target.split('?').next().is_some_and(|path| path.ends_with("/_bulk")) {
                bulk(node, &method, &target, &request.body, busy, judge)
            } else {
                forward(node, &method, &target, &request.body)
            };
        let head = format!(
            "HTTP/1.1 {status} answer\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            answer.len()
        );
        if stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&answer)).is_err() {
            return;
        }
    }
}

fn forward(node: &str, method: &str, target: &str, body: &[u8]) -> (u16, Vec<u8>) {
    let mut stream = TcpStream::connect(node).expect("the node");
    let head = format!(
        "{method} {target} HTTP/1.0\r\nhost: localhost\r\ncontent-type: application/x-ndjson\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).expect("request");
    stream.write_all(body).expect("request");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("answer");
    let split = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("an answer") + 4;
    let status =
        String::from_utf8_lossy(&answer[..split]).split(' ').nth(1).and_then(|s| s.parse().ok());
    (status.expect("status"), answer.split_off(split))
}

fn bulk(
    node: &str,
    method: &str,
    target: &str,
    body: &[u8],
    busy: &AtomicU64,
    judge: &dyn Fn(&Value) -> Verdict,
) -> (u16, Vec<u8>) {
    let mut lines = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let (mut verdicts, mut rest) = (Vec::new(), Vec::new());
    while let (Some(action), Some(document)) = (lines.next(), lines.next()) {
        let verdict = judge(&serde_json::from_slice(document).expect("a document"));
        if verdict == Verdict::Forward {
            rest.extend([action, b"\n", document, b"\n"].concat());
        }
        verdicts.push(verdict);
    }
    let mut forwarded = Vec::new();
    if !rest.is_empty() {
        let (status, answer) = forward(node, method, target, &rest);
        if status != 200 {
            return (status, answer);
        }
        let answer: Value = serde_json::from_slice(&answer).expect("JSON");
        forwarded = answer["items"].as_array().cloned().expect("items");
    }
    let mut forwarded = forwarded.into_iter();
    let error = |status: u16, kind: &str, reason: &str| json!({ "create": { "status": status, "error": { "type": kind, "reason": reason } } });
    let items: Vec<Value> = verdicts
        .iter()
        .map(|verdict| match verdict {
            Verdict::Forward => forwarded.next().expect("one answer an item"),
            Verdict::Busy => {
                busy.fetch_add(1, Ordering::SeqCst);
                error(429, "es_rejected_execution_exception", "queue is full")
            }
            Verdict::Refuse => {
                error(400, "mapper_parsing_exception", "failed to parse field [refused]")
            }
        })
        .collect();
    let errors = items.iter().any(|item| item["create"]["status"].as_u64() > Some(299));
    (200, json!({ "took": 1, "errors": errors, "items": items }).to_string().into_bytes())
}
