//! `[destination.NAME.syslog]` and `[destination.NAME.elasticsearch]`.

use std::time::Duration;

use super::{
    Known,
    secret::{Environment, secret},
    sheet::{BASIC_EXAMPLE, Placed, Section, Wrong},
    tls::tls,
    value,
};
use crate::deliver::{
    Begin, Credentials, ElasticsearchSettings, Header, Kind, Schema, Settings, SyslogSettings,
    TlsSettings, Transport,
};

const SYSLOG: &str = "syslog";
const ELASTICSEARCH: &str = "elasticsearch";

/// Ports that are offered where one is missing.
const SYSLOG_TLS_PORT: u16 = 6514;

const MESSAGE_BYTES_MAX: u64 = 8192;
const FACILITY: u64 = 13;
const SD_ID: &str = "towline@32473";
const DATA_STREAM: &str = "logs-towline.events-default";
const BATCH_EVENTS_MAX: u64 = 1000;
const BATCH_BYTES_MAX: u64 = 4 << 20;
const RETRY_MIN: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(60);
const TIMEOUT: Duration = Duration::from_secs(30);

/// What is said once for every destination of a file.
pub(super) struct Destinations<'a> {
    pub(super) known: &'a Known,
    pub(super) environment: Environment<'a>,
}

impl Destinations<'_> {
    /// Reads one destination.
    pub(super) fn read(&self, name: Placed<String>, mut outer: Section<'_>) -> Option<Settings> {
        let sheet = outer.sheet;
        if let Err(wrong) = value::name(&name.value) {
            sheet.error(name.at.clone(), wrong);
        }
        let kinds: Vec<_> =
            [SYSLOG, ELASTICSEARCH].into_iter().filter(|kind| outer.has(kind)).collect();
        let is = match kinds[..] {
            [kind] => Some(outer.section(kind)),
            [_, second, ..] => {
                let hint =
                    "give the second one a name of its own: `[destination.OTHER.elasticsearch]`";
                let wrong = Wrong::new(format!("destination `{}` leads to two places", name.value));
                sheet.error(outer.place_of(second), wrong.hint(hint));
                None
            }
            [] => None,
        };
        let Some(mut section) = is else {
            outer.skip(SYSLOG);
            outer.skip(ELASTICSEARCH);
            if kinds.is_empty() && outer.keys().next().is_none() {
                let hint = format!(
                    "begin it with `[destination.{}.syslog]` or `.elasticsearch`",
                    name.value
                );
                let wrong = Wrong::new(format!("destination `{}` leads nowhere", name.value));
                sheet.error(name.at.clone(), wrong.hint(hint));
            }
            outer.finish(|key| misplaced(key, &name.value));
            return None;
        };
        let kind = if kinds == [SYSLOG] {
            syslog(&mut section).map(Kind::Syslog)
        } else {
            self.elasticsearch(&mut section).map(Kind::Elasticsearch)
        };
        let settings = self.common(name.value.clone(), &mut section, kind);
        section.finish(later);
        outer.finish(|key| misplaced(key, &name.value));
        settings
    }

    /// What all kinds of destinations have. Also read when the kind is wrong, for its own errors.
    fn common(
        &self,
        name: String,
        section: &mut Section<'_>,
        kind: Option<Kind>,
    ) -> Option<Settings> {
        // Letting one destination's events go while others hold theirs is not built yet: refused rather than ignored.
        const BEHIND: &[(&str, ())] = &[("hold", ())];
        const BEGIN: &[(&str, Begin)] = &[("oldest", Begin::Oldest), ("now", Begin::Now)];
        let kinds = section.list("kinds", |value| value::kinds(value, &self.known.kinds));
        let severity_min = section.take("severity_min", value::whole(0..=10));
        section.take("behind", value::choice(BEHIND));
        let start = section.take("start", value::choice(BEGIN));
        let batch_events_max = section.take("batch_events_max", value::whole(1..=100_000));
        let batch_bytes_max = section.take("batch_bytes_max", value::size(4 << 10..=64 << 20));
        let retry_ms_min = section.take("retry_ms_min", value::time(10..=3_600_000));
        let retry_ms_max = section.take("retry_ms_max", value::time(10..=3_600_000));
        let timeout = section.take("timeout_ms", value::time(100..=3_600_000));
        let retry_min = retry_ms_min.map_or(RETRY_MIN, |placed| placed.value);
        let retry_max_at = section.place_of("retry_ms_max");
        let retry_max = retry_ms_max.map_or(RETRY_MAX.max(retry_min), |placed| placed.value);
        if retry_max < retry_min {
            let wrong = Wrong::new("`retry_ms_max` is less than `retry_ms_min`");
            let hint = format!("at least `\"{}\"`", value::show_time(retry_min));
            section.sheet.error(retry_max_at, wrong.hint(hint));
        }
        Some(Settings {
            name,
            kind: kind?,
            kinds: kinds.into_iter().flatten().map(|placed| placed.value.0).collect(),
            severity_min: severity_min.map_or(0, |placed| narrow(placed.value)),
            start: start.map_or_else(Begin::default, |placed| placed.value),
            batch_events_max: size_of(batch_events_max, BATCH_EVENTS_MAX),
            batch_bytes_max: size_of(batch_bytes_max, BATCH_BYTES_MAX),
            retry_min,
            retry_max,
            timeout: timeout.map_or(TIMEOUT, |placed| placed.value),
        })
    }

    fn elasticsearch(&self, section: &mut Section<'_>) -> Option<ElasticsearchSettings> {
        const COMPRESSION: &[(&str, bool)] = &[("gzip", true), ("none", false)];
        let urls = section.list("urls", value::url);
        required(section, "urls", urls.as_deref(), r#"urls = ["https://search.example.net:9200"]"#);
        let data_stream = section.take("data_stream", data_stream);
        let gzip = section.take("compression", value::choice(COMPRESSION));
        let credentials = self.credentials(section);
        let tls_at = section.place_of("tls");
        let has_tls = section.has("tls");
        let tls = tls(section);
        let urls = urls.unwrap_or_default();
        let plain = urls.iter().find(|url| url.value.scheme_str() == Some("http"));
        if let (Some(plain), true) = (plain, credentials != Credentials::None) {
            let wrong = Wrong::new("the password or key goes over the network unencrypted");
            section.sheet.warn(plain.at.clone(), wrong.hint("use `https://`"));
        }
        if has_tls
            && !urls.is_empty()
            && urls.iter().all(|url| url.value.scheme_str() == Some("http"))
        {
            let wrong = Wrong::new("`tls` without an `https://` URL");
            section
                .sheet
                .error(tls_at, wrong.hint("begin the URL with `https://`, or leave `tls` out"));
        }
        Some(ElasticsearchSettings {
            urls: urls
                .iter()
                .map(|url| url.value.to_string().trim_end_matches('/').to_owned())
                .collect(),
            data_stream: data_stream.map_or_else(|| DATA_STREAM.to_owned(), |placed| placed.value),
            credentials,
            gzip: gzip.is_none_or(|placed| placed.value),
            tls,
        })
    }

    fn credentials(&self, section: &mut Section<'_>) -> Credentials {
        let both = section.has("basic") && section.has("api_key");
        if both {
            let wrong = Wrong::new("`basic` and `api_key` exclude each other");
            section.sheet.error(section.place_of("api_key"), wrong.hint("leave one out"));
        }
        let key = secret(section, "api_key", self.environment).map(Credentials::ApiKey);
        let has_basic = section.is_table("basic");
        let mut basic = section.section("basic");
        let user = basic.take("user", value::text);
        let password = secret(&mut basic, "password", self.environment);
        if has_basic {
            for key in ["user", "password"].iter().filter(|key| !basic.has(key)) {
                basic.missing(key, BASIC_EXAMPLE);
            }
        }
        basic.finish(|_| None);
        match (user, password) {
            (Some(user), Some(password)) => Credentials::Basic { user: user.value, password },
            _ => key.unwrap_or_default(),
        }
    }
}

fn syslog(section: &mut Section<'_>) -> Option<SyslogSettings> {
    const HEADER: &[(&str, Header)] = &[("rfc5424", Header::Rfc5424), ("rfc3164", Header::Rfc3164)];
    const SCHEMA: &[(&str, Schema)] = &[("cef", Schema::Cef), ("ecs", Schema::Ecs)];
    let address = section.list("address", value::address(SYSLOG_TLS_PORT));
    required(section, "address", address.as_deref(), r#"address = ["siem.example.net:6514"]"#);
    let transport =
        section.take("transport", transport).map_or(Transport::Tls, |placed| placed.value);
    let header = section.take("header", value::choice(HEADER));
    let schema = section.take("schema", value::choice(SCHEMA));
    let cef_version = section.take("cef_version", value::whole(0..=1));
    let message_bytes_max = section.take("message_bytes_max", value::size(480..=1 << 20));
    let facility = section.take("facility", value::whole(0..=23));
    let sd_id = section.take("sd_id", sd_id);
    let tls = tls_of(section, transport);
    let schema = schema.map_or_else(Schema::default, |placed| placed.value);
    if schema == Schema::Ecs && cef_version.is_some() {
        let wrong = Wrong::new("`cef_version` without `schema = \"cef\"`");
        section.sheet.warn(section.place_of("cef_version"), wrong.hint("it has no effect"));
    }
    Some(SyslogSettings {
        address: address.into_iter().flatten().map(|placed| placed.value).collect(),
        transport,
        header: header.map_or_else(Header::default, |placed| placed.value),
        schema,
        cef_version: cef_version.map_or(1, |placed| narrow(placed.value)),
        message_bytes_max: size_of(message_bytes_max, MESSAGE_BYTES_MAX),
        facility: narrow(facility.map_or(FACILITY, |placed| placed.value)),
        sd_id: sd_id.map_or_else(|| SD_ID.to_owned(), |placed| placed.value),
        tls,
    })
}

fn tls_of(section: &mut Section<'_>, transport: Transport) -> TlsSettings {
    if transport != Transport::Tls && section.has("tls") {
        let wrong = Wrong::new("`tls` with a transport that does not use it");
        let hint = "use `transport = \"tls\"`, or leave `tls` out";
        section.sheet.error(section.place_of("tls"), wrong.hint(hint));
    }
    tls(section)
}

fn transport(value: &toml::de::DeValue<'_>) -> Result<Transport, Wrong> {
    const TRANSPORT: &[(&str, Transport)] =
        &[("tls", Transport::Tls), ("tcp", Transport::Tcp), ("udp", Transport::Udp)];
    match value.as_str() {
        Some("relp" | "relp_tls") => {
            Err(Wrong::new("RELP is not in this version").hint("possible: `tls`, `tcp`, `udp`"))
        }
        _ => value::choice(TRANSPORT)(value),
    }
}

/// RFC 5424, section 6.3.2: `name@private-enterprise-number`.
fn sd_id(value: &toml::de::DeValue<'_>) -> Result<String, Wrong> {
    const BYTES_MAX: usize = 32;
    let id = value::text(value)?;
    let name_good = |name: &str| {
        !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_graphic() && !b"=]\"@".contains(&byte))
    };
    let number_good = |number: &str| {
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
    };
    match id.split_once('@') {
        Some((name, number)) if id.len() <= BYTES_MAX && name_good(name) && number_good(number) => {
            Ok(id)
        }
        _ => Err(Wrong::new(format!("`{id}` is not an SD-ID")).hint(
            "a name, `@` and a private enterprise number, at most 32 characters: `towline@32473`",
        )),
    }
}

/// Names that Elasticsearch takes for a data stream.
fn data_stream(value: &toml::de::DeValue<'_>) -> Result<String, Wrong> {
    const BYTES_MAX: usize = 255;
    let name = value::text(value)?;
    let wrong = || Wrong::new(format!("`{name}` is not possible as a data stream"));
    let lower = name.to_lowercase();
    if lower != name {
        return Err(wrong().hint(format!("in lower case: `{lower}`")));
    }
    let forbidden = |c: char| "\\/*?\"<>|,#:".contains(c) || c.is_whitespace() || c.is_control();
    if name.contains(forbidden) || name.starts_with(['-', '_', '+', '.']) || name.len() > BYTES_MAX
    {
        return Err(wrong().hint(format!("type, dataset and namespace: `{DATA_STREAM}`")));
    }
    Ok(name)
}

/// Reports a list that has to be there and to hold something.
fn required<T>(
    section: &Section<'_>,
    key: &'static str,
    list: Option<&[Placed<T>]>,
    example: &str,
) {
    if !section.has(key) {
        section.missing(key, &format!("for example `{example}`"));
    } else if list.is_some_and(<[_]>::is_empty) && section.is_empty_list(key) {
        let wrong =
            Wrong::new(format!("`{key}` is empty")).hint(format!("for example `{example}`"));
        section.sheet.error(section.place_of(key), wrong);
    }
}

/// Keys of a kind that stand one table too high, and kinds there are not.
fn misplaced(key: &str, name: &str) -> Option<String> {
    const OF_ELASTICSEARCH: [&str; 5] = ["urls", "data_stream", "basic", "api_key", "compression"];
    const OF_BOTH: [&str; 11] = [
        "tls",
        "kinds",
        "severity_min",
        "behind",
        "start",
        "address",
        "transport",
        "header",
        "schema",
        "cef_version",
        "message_bytes_max",
    ];
    match key {
        "opensearch" | "elastic" => Some(format!("use `[destination.{name}.elasticsearch]`")),
        key if OF_ELASTICSEARCH.contains(&key) => {
            Some(format!("it belongs under `[destination.{name}.elasticsearch]`"))
        }
        key if OF_BOTH.contains(&key) => {
            Some(format!("it belongs under `[destination.{name}.syslog]`"))
        }
        _ => None,
    }
}

/// Names that other shippers use.
fn later(key: &str) -> Option<String> {
    Some(match key {
        "url" | "hosts" | "endpoint" | "endpoints" => "did you mean `urls`?".to_owned(),
        "index" => "Towline writes to a data stream: `data_stream`".to_owned(),
        "host" | "port" | "server" => "use `address = [\"host:port\"]`".to_owned(),
        "username" | "user" | "password" => {
            "use `basic = { user = \"…\", password = { file = \"…\" } }`".to_owned()
        }
        "ca" | "certificate" | "server_name" => {
            format!("it belongs into `tls = {{ {key} = \"…\" }}`")
        }
        _ => return None,
    })
}

fn narrow(number: u64) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}

fn size_of(given: Option<Placed<u64>>, default: u64) -> usize {
    usize::try_from(given.map_or(default, |placed| placed.value)).unwrap_or(usize::MAX)
}
