//! The status for people.

use std::fmt;

use super::{Balance, DestinationStatus, FileStatus, Reach, Reasons, Status};
use crate::event::Time;

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let agent = &self.agent;
        let (name, version, pid) = (&agent.name, &agent.version, agent.pid);
        let up = span(self.time.seconds().saturating_sub(agent.started.seconds()));
        writeln!(f, "agent {name}, towline {version}, process {pid}, running for {up}")?;
        let spool = &self.spool;
        let part = spool.bytes.saturating_mul(100).checked_div(spool.bytes_max).unwrap_or(0);
        let (bytes, bytes_max) = (size(spool.bytes), size(spool.bytes_max));
        write!(f, "spool {bytes} of {bytes_max} ({part} %)")?;
        match &spool.trouble {
            Some(trouble) => writeln!(f, "; reading waits: {}", trouble.escape_debug())?,
            None => writeln!(f)?,
        }
        for source in &self.sources {
            writeln!(
                f,
                "\nsource {} ({}): {} files",
                source.name,
                source.mapping,
                source.files.len()
            )?;
            source.files.iter().try_for_each(|file| write_file(f, file))?;
        }
        self.destinations
            .iter()
            .try_for_each(|destination| write_destination(f, destination, self.time))
    }
}

fn write_file(f: &mut fmt::Formatter<'_>, file: &FileStatus) -> fmt::Result {
    write!(f, "  {}: ", file.path.display().to_string().escape_debug())?;
    match file.bytes.saturating_sub(file.offset) {
        0 => write!(f, "read to its end")?,
        behind => write!(f, "{} to read", size(behind))?,
    }
    if file.rotated {
        write!(f, ", rotated")?;
    }
    file.layout.as_ref().map_or(Ok(()), |layout| write!(f, ", layout {layout}"))?;
    writeln!(f)
}

fn write_destination(
    f: &mut fmt::Formatter<'_>,
    destination: &DestinationStatus,
    now: Time,
) -> fmt::Result {
    let reach = match destination.state {
        Reach::Idle => "not connected, nothing to send",
        Reach::Connected => "connected",
        Reach::Retrying => "away, tried again and again",
        Reach::NeedsAPerson => "refuses; somebody has to look",
    };
    write!(f, "\ndestination {}: {reach}", destination.name)?;
    destination.peer.as_ref().map_or(Ok(()), |peer| write!(f, " ({})", peer.escape_debug()))?;
    writeln!(f, "\n  {}", destination.balance)?;
    if let Some(trouble) = &destination.trouble {
        let ago = span(now.seconds().saturating_sub(trouble.time.seconds()));
        writeln!(f, "  last trouble, {ago} ago: {}", trouble.what.escape_debug())?;
    }
    if let Some(reason) = &destination.dead_letter {
        writeln!(f, "  last dead letter: {}", reason.escape_debug())?;
    }
    match destination.replays {
        0 => Ok(()),
        replays => writeln!(f, "  sent again what was in doubt: {replays} times"),
    }
}

impl fmt::Display for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} read + {} generated = ", self.read, self.generated)?;
        write!(f, "{} shipped + {} pending + {} dead + ", self.shipped, self.pending, self.dead)?;
        write_reasons(f, &self.dropped)?;
        write!(f, " + {} lost", self.lost)?;
        if !self.closes() {
            let (taken, accounted) = (self.taken(), self.accounted());
            write!(f, "  (does not close: {taken} taken, {accounted} accounted for)")?;
        }
        Ok(())
    }
}

fn write_reasons(f: &mut fmt::Formatter<'_>, dropped: &Reasons) -> fmt::Result {
    let all: u64 = dropped.values().fold(0, |sum, count| sum.saturating_add(*count));
    write!(f, "{all} dropped")?;
    if all > 0 {
        let counts = dropped.iter().filter(|(_, count)| **count > 0);
        let shown: Vec<_> = counts.map(|(reason, count)| format!("{reason} {count}")).collect();
        write!(f, " ({})", shown.join(", "))?;
    }
    Ok(())
}

/// A size, rounded for reading.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let power = (bytes.max(1).ilog2() / 10).min(4);
    let unit = UNITS[power as usize];
    if power == 0 {
        return format!("{bytes} {unit}");
    }
    let tenths = (u128::from(bytes) * 10) >> (10 * power);
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

/// A span of time, rounded for reading.
fn span(seconds: i64) -> String {
    match seconds.max(0) {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        deliver::status::View,
        report::{AgentStatus, SourceStatus, SpoolStatus},
        spool::Books,
    };

    #[test]
    fn the_status_reads_well() {
        let second = |n: i64| Time(n * 1_000_000_000);
        let dropped = Reasons::from([("filter".to_owned(), 3), ("level".to_owned(), 0)]);
        let balance =
            Balance { read: 10, generated: 1, shipped: 6, dead: 1, pending: 1, dropped, lost: 0 };
        let file = |bytes, rotated| FileStatus {
            path: "/var/log/chat.log".into(),
            offset: 2048,
            bytes,
            rotated,
            layout: Some("plain".into()),
        };
        let view = View {
            peer: Some("192.0.2.1:6514".into()),
            trouble: Some((second(8200), "connection refused\u{1b}".into())),
            waiting: Some(std::time::Duration::from_secs(1)),
            dead_letter: Some("400: no such field".into()),
            replays: 2,
            ..View::default()
        };
        let status = Status {
            agent: AgentStatus {
                name: "chat1".into(),
                version: "0.1.0".into(),
                pid: 42,
                started: second(1000),
                ..AgentStatus::default()
            },
            time: second(8300),
            spool: SpoolStatus {
                bytes: 3 << 29,
                bytes_max: 3 << 30,
                trouble: Some("the spool is full".into()),
                next_sequence: 9,
                books: Books::default(),
            },
            sources: vec![SourceStatus {
                name: "chat".into(),
                mapping: "chatd".into(),
                files: vec![file(5000, false), file(2048, true)],
            }],
            destinations: vec![
                DestinationStatus::of("siem", &view, balance.clone()),
                DestinationStatus::of("search", &View::default(), Balance::default()),
            ],
        };
        expect_test::expect![[r#"
            agent chat1, towline 0.1.0, process 42, running for 2 h
            spool 1.5 GiB of 3.0 GiB (50 %); reading waits: the spool is full

            source chat (chatd): 2 files
              /var/log/chat.log: 2.8 KiB to read, layout plain
              /var/log/chat.log: read to its end, rotated, layout plain

            destination siem: away, tried again and again (192.0.2.1:6514)
              10 read + 1 generated = 6 shipped + 1 pending + 1 dead + 3 dropped (filter 3) + 0 lost
              last trouble, 100 s ago: connection refused\u{1b}
              last dead letter: 400: no such field
              sent again what was in doubt: 2 times

            destination search: not connected, nothing to send
              0 read + 0 generated = 0 shipped + 0 pending + 0 dead + 0 dropped + 0 lost
        "#]]
        .assert_eq(&status.to_string());
        let open = Balance { shipped: 5, ..balance };
        expect_test::expect!["10 read + 1 generated = 5 shipped + 1 pending + 1 dead + 3 dropped (filter 3) + 0 lost  (does not close: 11 taken, 10 accounted for)"].assert_eq(&open.to_string());
    }

    #[test]
    fn sizes_are_rounded_down() {
        let shown: Vec<_> = [0, 1023, 1024, 1536, 1 << 40, u64::MAX].map(size).into();
        assert_eq!(shown, ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "1.0 TiB", "16777215.9 TiB"]);
    }
}
