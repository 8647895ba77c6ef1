//! `towline check`: is the configuration right, and what will be done?

use std::{
    fmt::Write as _,
    io::{self, Write as _},
};

use clap::Args;

use super::{Exit, Failure, Global, begin_log, load};
use crate::{
    config::{Config, Source, Unrecognised, show_size},
    deliver::{Kind, Schema, Settings, Transport},
    map,
};

/// Check the configuration and say what would be done.
///
/// Reads the configuration, the secrets and certificates it names, and all mappings, whose examples are
/// run. Every error is shown with its file, line and column, and with what would be right. Without
/// errors it prints, on standard output, what `towline run` would do.
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {}

pub(super) fn run(global: &Global, _: &Arguments) -> Result<Exit, Failure> {
    let loaded = load(global)?;
    begin_log(global, &loaded.config);
    let problems = map::check(&loaded.library);
    if !problems.is_empty() {
        return Err(Failure::problems(&problems));
    }
    for warning in &loaded.warnings {
        eprintln!("warning: {warning}\n");
    }
    let mut out = io::stdout().lock();
    let written = out.write_all(summary(&loaded.config).as_bytes()).and_then(|()| out.flush());
    written.map_err(|error| Failure::of(Exit::Failed, &error))?;
    Ok(Exit::Done)
}

/// What will be done, for people.
fn summary(config: &Config) -> String {
    let mut text = String::new();
    for source in &config.sources {
        line(&mut text, "source", &source.name, &source_line(source));
    }
    let spool = &config.spool;
    let detail = format!("up to {} in {}", show_size(spool.bytes_max), spool.folder.display());
    line(&mut text, "spool", "", &detail);
    line(&mut text, "privacy", "", &format!("profile {}", config.privacy.profile));
    for destination in &config.destinations {
        line(&mut text, "destination", &destination.name, &destination_line(destination));
    }
    text
}

fn line(text: &mut String, what: &str, name: &str, detail: &str) {
    let what = format!("{what} {name}");
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{:24} {detail}", what.trim_end());
}

fn source_line(source: &Source) -> String {
    let layout = source.layout.as_deref().unwrap_or("layout auto");
    let mut text = format!("{} ({layout}): {}", source.mapping, source.tail.files.join(" "));
    if let Some(level) = source.level_min {
        let _ = write!(text, "; from level {level:?} on");
    }
    if !source.drop.is_empty() {
        let _ = write!(text, "; drops {} kinds", source.drop.len());
    }
    if source.unrecognised == Unrecognised::Drop {
        text.push_str("; drops unrecognised lines");
    }
    text
}

fn destination_line(destination: &Settings) -> String {
    let mut text = match &destination.kind {
        Kind::Syslog(syslog) => {
            let schema = match syslog.schema {
                Schema::Cef => format!("CEF:{}", syslog.cef_version),
                Schema::Ecs => "ECS".to_owned(),
            };
            let transport = match syslog.transport {
                Transport::Tls => "TLS",
                Transport::Tcp => "TCP, unencrypted",
                Transport::Udp => "UDP, unencrypted",
            };
            format!("{schema} over syslog ({transport}) to {}", syslog.address.join(", "))
        }
        Kind::Elasticsearch(elasticsearch) => {
            let to = elasticsearch.urls.join(", ");
            format!("ECS to {to}, data stream {}", elasticsearch.data_stream)
        }
    };
    if !destination.kinds.is_empty() {
        let _ = write!(text, "; only {}", destination.kinds.join(" "));
    }
    if destination.severity_min > 0 {
        let _ = write!(text, "; from severity {} on", destination.severity_min);
    }
    text
}
