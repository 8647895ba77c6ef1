//! What `towline run` would do, in a few lines.

use std::fmt::Write as _;

use crate::{
    config::{Config, Source, Unrecognised, show_size},
    deliver::{self, Kind, Schema, Transport},
    spool::WhenFull,
    tail::{self, Matching},
};

/// Files of a source that are listed; of the rest the number is told.
const FILES_SHOWN: usize = 5;

/// What will be done, for people.
pub(super) fn summary(config: &Config) -> String {
    let mut text = String::new();
    for source in &config.sources {
        head(&mut text, "source", &source.name, &source_line(source));
        files(&mut text, source);
    }
    let privacy = format!("profile {}", config.privacy.profile);
    head(&mut text, "privacy", "", &privacy);
    let spool = &config.spool;
    let full = match spool.full {
        WhenFull::Wait => "reading waits when it is full",
        WhenFull::DropOldest => "the oldest events are dropped when it is full",
    };
    let detail =
        format!("{}, up to {}; {full}", spool.folder.display(), show_size(spool.bytes_max));
    head(&mut text, "spool", "", &detail);
    for destination in &config.destinations {
        head(&mut text, "destination", &destination.name, &destination_line(destination));
    }
    text
}

fn head(text: &mut String, what: &str, name: &str, detail: &str) {
    line(text, &format!("{:20} {detail}", format!("{what} {name}").trim_end()));
}

/// Names of files may hold anything.
fn line(text: &mut String, line: &str) {
    text.extend(line.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }));
    text.push('\n');
}

fn source_line(source: &Source) -> String {
    let layout = match &source.layout {
        None => "layout found out file by file".to_owned(),
        Some(layout) => format!("layout {layout}"),
    };
    let mut text = format!("mapping {}, {layout}", source.mapping);
    if let Some(level) = source.level_min {
        let _ = write!(text, "; only from level {} on", level.name());
    }
    match source.drop.len() {
        0 => {}
        1 => text.push_str("; drops 1 event kind"),
        n => drop(write!(text, "; drops {n} event kinds")),
    }
    if source.unrecognised == Unrecognised::Drop {
        text.push_str("; drops unrecognised lines");
    }
    text
}

fn files(text: &mut String, source: &Source) {
    let globs = source.tail.files.join(" ");
    let found = match tail::matching(&source.tail) {
        Ok(found) => found,
        // The configuration's own check of globs is the same.
        Err(error) => return line(text, &format!("    {error}")),
    };
    let Matching { files, refused, cut } = found;
    let more = if cut { "more than " } else { "" };
    let count = match files.len() {
        0 => "no file now".to_owned(),
        1 => "1 file now".to_owned(),
        n => format!("{more}{n} files now"),
    };
    line(text, &format!("    {globs}: {count}"));
    for file in files.iter().take(FILES_SHOWN) {
        line(text, &format!("    {}", file.display()));
    }
    if let Some(rest) = files.len().checked_sub(FILES_SHOWN + 1) {
        line(text, &format!("    and {} more", rest + 1));
    }
    for (path, error) in refused.iter().take(FILES_SHOWN) {
        line(text, &format!("    {}: {error}", path.display()));
    }
}

fn destination_line(destination: &deliver::Settings) -> String {
    let mut text = match &destination.kind {
        Kind::Syslog(syslog) => {
            let schema = match syslog.schema {
                Schema::Cef => format!("CEF:{}", syslog.cef_version),
                Schema::Ecs => "ECS".to_owned(),
            };
            let transport = match syslog.transport {
                Transport::Tls => "TLS",
                Transport::Tcp => "TCP, unencrypted",
                Transport::Udp => "UDP, unencrypted and lossy",
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
        let _ = write!(text, "; only from severity {} on", destination.severity_min);
    }
    text
}
