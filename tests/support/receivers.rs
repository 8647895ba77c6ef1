//! Real receivers: rsyslog, syslog-ng and an OpenSearch node.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::Duration,
};

use serde_json::Value;

use super::{certificate, free_port, project, wait_until, work};

/// A process that ends when this value or the test process does: a shell waits for its standard input to close.
struct Guarded(Child);

impl Guarded {
    fn start(command: &str, log: &Path) -> Self {
        let log = fs::File::create(log).expect("log file");
        let script = format!("{command} & child=$!; read -r _; kill $child; wait $child");
        let child = Command::new("bash")
            .args(["-c", &script])
            .stdin(Stdio::piped())
            .stdout(log.try_clone().expect("log file"))
            .stderr(log)
            .spawn()
            .expect("bash");
        Self(child)
    }

    /// Stops it and waits until it is gone.
    fn stop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.stop();
    }
}

fn wait_for_port(what: &str, port: u16, log: &Path) {
    let start = std::time::Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        let patience = start.elapsed() < Duration::from_secs(90);
        assert!(patience, "{what} did not start: {}", fs::read_to_string(log).unwrap_or_default());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// One syslog message as a receiver understood it.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    /// The whole message, byte for byte as it came out of the frame.
    pub(crate) raw: String,
    /// Its MSG part.
    pub(crate) message: String,
}

/// A syslog server that writes what it receives as JSON lines.
pub(crate) struct SyslogServer {
    process: Option<Guarded>,
    command: String,
    log: PathBuf,
    out: PathBuf,
    /// RFC 5425, mutual TLS: the client must be `shipper.test`.
    pub(crate) tls_port: u16,
}

impl SyslogServer {
    /// rsyslog with its default limit of 8 KiB for a message.
    pub(crate) fn rsyslog(folder: &Path) -> Self {
        let folder = folder.join("rsyslog");
        fs::create_dir_all(&folder).expect("folder");
        let tls_port = free_port();
        let config = folder.join("rsyslog.conf");
        let text = format!(
            r#"global(workDirectory="{work}" parser.escapeControlCharactersOnReceive="off" parser.dropTrailingLFOnReception="off"
  defaultNetstreamDriver="gtls" defaultNetstreamDriverCAFile="{ca}" defaultNetstreamDriverCertFile="{cert}" defaultNetstreamDriverKeyFile="{key}")
module(load="imtcp" maxSessions="500")
template(name="json" type="list" option.jsonf="on") {{
  property(outname="raw" name="rawmsg" format="jsonf") property(outname="message" name="msg" format="jsonf") }}
ruleset(name="all") {{ action(type="omfile" file="{work}/out.jsonl" template="json" asyncWriting="off" flushOnTXEnd="on") }}
input(type="imtcp" address="127.0.0.1" port="{tls_port}" ruleset="all" StreamDriver.Name="gtls" StreamDriver.Mode="1" StreamDriver.AuthMode="x509/name" PermittedPeer=["shipper.test"])
"#,
            work = folder.display(),
            ca = certificate("ca.pem").display(),
            cert = certificate("server.pem").display(),
            key = certificate("server.key").display(),
        );
        fs::write(&config, text).expect("configuration");
        let command =
            format!("rsyslogd -n -f {} -i {}", config.display(), folder.join("pid").display());
        Self::started(command, folder, tls_port)
    }

    /// syslog-ng.
    pub(crate) fn syslog_ng(folder: &Path) -> Self {
        let folder = folder.join("syslog-ng");
        fs::create_dir_all(&folder).expect("folder");
        let tls_port = free_port();
        let config = folder.join("syslog-ng.conf");
        let text = format!(
            r#"@version: 3.38
options {{ keep-hostname(yes); chain-hostnames(no); use-dns(no); log-msg-size(65536); stats-freq(0); frac-digits(6); ts-format(iso); keep-timestamp(yes); }};
source s_tls {{ syslog(ip(127.0.0.1) port({tls_port}) transport("tls") flags(store-raw-message) max-connections(300)
  tls(key-file("{key}") cert-file("{cert}") ca-file("{ca}") peer-verify(required-trusted) trusted-dn("*, CN=shipper.test", "CN=shipper.test*", "O=towline tests, CN=shipper.test"))); }};
template t_json {{ template("$(format-json --pair raw=\"$RAWMSG\" --pair message=\"$MESSAGE\")\n"); }};
destination d_out {{ file("{work}/out.jsonl" template(t_json) flush-lines(1)); }};
log {{ source(s_tls); destination(d_out); }};
"#,
            work = folder.display(),
            ca = certificate("ca.pem").display(),
            cert = certificate("server.pem").display(),
            key = certificate("server.key").display(),
        );
        fs::write(&config, text).expect("configuration");
        let root = work().join("syslog-ng/usr");
        let command = format!(
            "env LD_LIBRARY_PATH={root}/lib/x86_64-linux-gnu:{root}/lib/syslog-ng:{root}/../lib/x86_64-linux-gnu {root}/sbin/syslog-ng --module-path {root}/lib/syslog-ng/3.38 \
             -f {config} -R {work}/persist -c {work}/ctl -p {work}/pid -F --no-caps",
            root = root.display(),
            config = config.display(),
            work = folder.display(),
        );
        Self::started(command, folder, tls_port)
    }

    fn started(command: String, folder: PathBuf, tls_port: u16) -> Self {
        let (log, out) = (folder.join("log"), folder.join("out.jsonl"));
        let mut server = Self { process: None, command, log, out, tls_port };
        server.start();
        server
    }

    /// Starts it (again).
    pub(crate) fn start(&mut self) {
        self.process = Some(Guarded::start(&self.command, &self.log));
        wait_for_port(&self.command, self.tls_port, &self.log);
    }

    /// Stops it; what it received stays.
    pub(crate) fn stop(&mut self) {
        self.process = None;
    }

    /// How many messages it has written.
    pub(crate) fn count(&self) -> usize {
        fs::read(&self.out).map_or(0, |out| out.iter().filter(|byte| **byte == b'\n').count())
    }

    /// All that it received so far.
    pub(crate) fn received(&self) -> Vec<Received> {
        let Ok(file) = fs::File::open(&self.out) else { return Vec::new() };
        let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
        BufReader::new(file)
            .split(b'\n')
            .map(|line| {
                let line = line.expect("readable");
                let value: Value = serde_json::from_slice(&line).unwrap_or_else(|error| {
                    panic!("{error}: {}", String::from_utf8_lossy(&line));
                });
                Received { raw: text(&value, "raw"), message: text(&value, "message") }
            })
            .collect()
    }
}

/// A real OpenSearch node, one for all tests of this process.
pub(crate) struct OpenSearch {
    _process: Guarded,
    _folder: tempfile::TempDir,
    port: u16,
}

impl OpenSearch {
    /// The node; started by the first test that asks.
    pub(crate) fn node() -> &'static Self {
        static NODE: OnceLock<OpenSearch> = OnceLock::new();
        NODE.get_or_init(Self::start)
    }

    fn start() -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        let (port, transport) = (free_port(), free_port());
        let command = format!(
            "java -Xms1g -Xmx1g -Dlog4j2.configurationFile={} -cp '{work}/opensearch/classes:{work}/opensearch/lib/*' OpenSearchNode {} {port} {transport}",
            project().join("tests/receivers/opensearch/log4j2.xml").display(),
            folder.path().display(),
            work = work().display(),
        );
        let log = folder.path().join("log");
        let process = Guarded::start(&command, &log);
        wait_for_port("OpenSearch", port, &log);
        let node = Self { _process: process, _folder: folder, port };
        wait_until("OpenSearch is ready", Duration::from_secs(60), || {
            node.call("GET", "/_cluster/health?wait_for_status=yellow&timeout=1s", None).0 == 200
        });
        node
    }

    /// Its base URL.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// One HTTP request; status and answer.
    pub(crate) fn call(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let body = body.map(Value::to_string).unwrap_or_default();
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else {
            return (0, Value::Null);
        };
        let request = format!(
            "{method} {path} HTTP/1.0\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).expect("request");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("answer");
        let answer = String::from_utf8_lossy(&answer);
        let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        (status, serde_json::from_str(body).unwrap_or(Value::Null))
    }

    /// Lays the index template of a data stream out, as an admin would, and refuses one that is not strict.
    pub(crate) fn prepare(&self, stream: &str) {
        let library = towline::map::Library::shipped().expect("shipped mappings");
        let mut template = towline::encode::assets::index_template(library.tables(), stream);
        template["template"]["settings"]["index"]["number_of_replicas"] = 0.into();
        let path = format!("/_index_template/{}", stream.replace('.', "-"));
        let (status, answer) = self.call("PUT", &path, Some(&template));
        assert_eq!(status, 200, "{answer}");
    }

    /// Number of documents in a data stream, after a refresh.
    pub(crate) fn count(&self, stream: &str) -> u64 {
        self.call("POST", &format!("/{stream}/_refresh"), None);
        self.call("GET", &format!("/{stream}/_count"), None).1["count"].as_u64().unwrap_or(0)
    }

    /// All documents of a data stream.
    pub(crate) fn documents(&self, stream: &str) -> Vec<Value> {
        self.call("POST", &format!("/{stream}/_refresh"), None);
        let (mut documents, mut after) = (Vec::new(), None::<Value>);
        loop {
            let mut query =
                serde_json::json!({ "size": 5000, "sort": [{ "towline.sequence": "asc" }] });
            if let Some(after) = &after {
                query["search_after"] = after.clone();
            }
            let (status, answer) = self.call("POST", &format!("/{stream}/_search"), Some(&query));
            assert_eq!(status, 200, "{answer}");
            let hits = answer["hits"]["hits"].as_array().cloned().unwrap_or_default();
            let Some(last) = hits.last() else { return documents };
            after = Some(last["sort"].clone());
            documents.extend(hits);
        }
    }
}
