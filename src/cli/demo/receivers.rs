//! The two receivers of the demo, on loopback: syslog over TLS with octet counting (RFC 5425), and `_bulk` over HTTPS.
//! Their certificate is made on the spot. They pass on what they get and judge nothing.

use std::{
    collections::HashSet,
    convert::Infallible,
    io::{self, Read},
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError, mpsc},
};

use bytes::Bytes;
use flate2::read::GzDecoder;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, Response, StatusCode, body::Incoming, header, service::service_fn};
use hyper_util::rt::TokioIo;
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, BufReader},
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// The longest syslog message and the largest request that are taken.
const MESSAGE_BYTES_MAX: usize = 64 << 10;
const REQUEST_BYTES_MAX: usize = 16 << 20;

/// What came in.
pub(super) enum Received {
    /// A syslog message.
    Message(String),
    /// A document of `_bulk`.
    Document(Value),
    /// Something that a receiver does not understand.
    Fault(String),
}

type Arrivals = mpsc::Sender<Received>;

/// Both receivers. They end when this is dropped.
pub(super) struct Receivers {
    /// Where syslog is taken.
    pub(super) syslog: SocketAddr,
    /// Where `_bulk` is taken.
    pub(super) bulk: SocketAddr,
    /// Their certificate, PEM.
    pub(super) certificate: String,
    /// What comes in, in its order at each of them.
    pub(super) arrivals: mpsc::Receiver<Received>,
    _runtime: Runtime,
}

impl Receivers {
    /// Binds free ports and begins to listen.
    pub(super) fn start() -> Result<Self, Box<dyn std::error::Error>> {
        let pair = rcgen::generate_simple_self_signed(["localhost".into(), "127.0.0.1".into()])?;
        let key = PrivateKeyDer::try_from(pair.key_pair.serialize_der())?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![pair.cert.der().clone()], key)?;
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let bind = || runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
        let (syslog, bulk) = (bind()?, bind()?);
        let addresses = (syslog.local_addr()?, bulk.local_addr()?);
        let (sender, arrivals) = mpsc::channel();
        let (messages, documents) = (sender.clone(), sender);
        let there = Arc::new(Mutex::new(HashSet::new()));
        runtime.spawn(listen(syslog, acceptor.clone(), move |stream| {
            take_messages(stream, messages.clone())
        }));
        runtime.spawn(listen(bulk, acceptor, move |stream| {
            take_requests(stream, documents.clone(), there.clone())
        }));
        let (syslog, bulk) = addresses;
        Ok(Self { syslog, bulk, certificate: pair.cert.pem(), arrivals, _runtime: runtime })
    }
}

/// Accepts connections and serves each.
async fn listen<F: Future<Output = ()> + Send + 'static>(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    serve: impl Fn(TlsStream<TcpStream>) -> F,
) {
    // An accept that fails ends the demo by its time limit; one connection that fails, ends itself.
    while let Ok((stream, _)) = listener.accept().await {
        if let Ok(stream) = acceptor.accept(stream).await {
            tokio::spawn(serve(stream));
        }
    }
}

async fn take_messages(stream: TlsStream<TcpStream>, arrivals: Arrivals) {
    let mut stream = BufReader::new(stream);
    loop {
        let received = match message(&mut stream).await {
            Ok(Some(message)) => Received::Message(message),
            Ok(None) => return,
            Err(error) => Received::Fault(format!("the syslog receiver: {error}")),
        };
        let fault = matches!(received, Received::Fault(_));
        // The demo may have ended: then nobody wants to know.
        if arrivals.send(received).is_err() || fault {
            return;
        }
    }
}

/// One message, `LENGTH SP MESSAGE`; `None` at the end.
async fn message(stream: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<String>> {
    let mut length = Vec::new();
    stream.take(8).read_until(b' ', &mut length).await?;
    if length.is_empty() {
        return Ok(None);
    }
    let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what);
    let length = length.strip_suffix(b" ").and_then(|digits| str::from_utf8(digits).ok());
    let length: usize = length
        .and_then(|digits| digits.parse().ok())
        .filter(|length| *length <= MESSAGE_BYTES_MAX)
        .ok_or_else(|| invalid("no octet count before a message"))?;
    let mut text = vec![0; length];
    stream.read_exact(&mut text).await?;
    String::from_utf8(text).map(Some).map_err(|_| invalid("a message is not UTF-8"))
}

/// The ids that the data stream holds.
type There = Arc<Mutex<HashSet<String>>>;

async fn take_requests(stream: TlsStream<TcpStream>, arrivals: Arrivals, there: There) {
    let service = service_fn(move |request| answer(request, arrivals.clone(), there.clone()));
    // How a connection ends is its client's affair.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(
    request: Request<Incoming>,
    arrivals: Arrivals,
    there: There,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (status, body) = match bulk(request, &arrivals, &there).await {
        Ok(items) => {
            let errors = items.iter().any(|item| item["create"]["status"] != 201);
            (StatusCode::OK, json!({ "took": 0, "errors": errors, "items": items }))
        }
        Err(why) => {
            let error = json!({ "type": "illegal_argument_exception", "reason": why });
            let _ = arrivals.send(Received::Fault(format!("the bulk receiver: {why}")));
            (StatusCode::BAD_REQUEST, json!({ "error": error, "status": 400 }))
        }
    };
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    Ok(response)
}

/// Takes a request's documents; the result of each.
async fn bulk(
    request: Request<Incoming>,
    arrivals: &Arrivals,
    there: &There,
) -> Result<Vec<Value>, String> {
    if !request.uri().path().ends_with("/_bulk") {
        return Err(format!("unknown path {}", request.uri().path()));
    }
    let zipped = request.headers().get(header::CONTENT_ENCODING).is_some_and(|how| how == "gzip");
    let body = Limited::new(request.into_body(), REQUEST_BYTES_MAX).collect().await;
    let mut body = body.map_err(|error| error.to_string())?.to_bytes().to_vec();
    if zipped {
        let mut plain = Vec::new();
        let decoder = GzDecoder::new(body.as_slice()).take(REQUEST_BYTES_MAX as u64);
        { decoder }.read_to_end(&mut plain).map_err(|error| error.to_string())?;
        body = plain;
    }
    let lines: Vec<_> = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    let mut items = Vec::new();
    for pair in lines.chunks(2) {
        let [action, document] = pair else { return Err("an action without a document".into()) };
        let parse = |json: &[u8]| serde_json::from_slice::<Value>(json).map_err(|e| e.to_string());
        let (action, document) = (parse(action)?, parse(document)?);
        let id = action["create"]["_id"].as_str().ok_or("no create with an _id")?.to_owned();
        // As a data stream does: what is there already is not created again.
        let new = there.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone());
        items.push(json!({ "create": { "_id": id, "status": if new { 201 } else { 409 } } }));
        if new {
            // The demo may have ended: then nobody wants to know.
            let _ = arrivals.send(Received::Document(document));
        }
    }
    Ok(items)
}
