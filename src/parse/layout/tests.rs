//! Tests of this module.

use proptest::prelude::*;

use super::*;
use crate::{
    event::Time,
    parse::{
        record::{Record, Scalar},
        time::Clock,
    },
    tail::Flush,
};

/// 2026-11-24T12:00:00Z
fn clock() -> Clock {
    Clock::utc(Time(1_795_521_600_000_000_000))
}

fn layout(toml: &str) -> Layout {
    let spec: LayoutSpec = toml::from_str(toml).expect("a good specification");
    Layout::compile(&spec).expect("a good layout")
}

const FILE: &str = r#"line = "{@timestamp:time('%b %d %H:%M:%S')} {log.logger:until_tab}\t{log.level}\t{message:rest}""#;

/// The records of a text, `+` before one that begins, `-` before one that continues; and what is left.
fn cut(layout: &Layout, text: &str, flush: Flush) -> (Vec<String>, String) {
    let mut cuts = Vec::new();
    let used = layout.records(text.as_bytes(), flush, &mut cuts);
    let show = |cut: &Cut| {
        let sign = if cut.begins { '+' } else { '-' };
        format!("{sign}{}:{}", cut.lines, &text[cut.start..cut.end])
    };
    (cuts.iter().map(show).collect(), text[used..].to_owned())
}

/// The parts of a record as `name=value` joined by `|`, `!` before them if it does not fit.
fn parsed(layout: &Layout, line: &[u8]) -> String {
    let mut record = Record::new(b"");
    let fits = layout.parse(line, &clock(), &mut record);
    let show = |value| match value {
        Scalar::Text(slice) => String::from_utf8_lossy(record.text(slice)).into_owned(),
        Scalar::Time(time) => time.0.to_string(),
        Scalar::Long(n) => n.to_string(),
        other => format!("{other:?}"),
    };
    let part =
        |part: &super::super::record::Part| format!("{}={}", record.name(part), show(part.value));
    let parts: Vec<String> = record.parts().iter().map(part).collect();
    format!("{}{}", if fits { "" } else { "!" }, parts.join("|"))
}

#[test]
fn a_record_goes_on_to_the_next_header() {
    let file = layout(FILE);
    let text =
        "\tlate\nNov 21 10:00:00 a\tinfo\tone\n\ttwo\n\nNov 21 10:00:01 a\tinfo\tthree\nNov 21 1";
    let (records, rest) = cut(&file, text, Flush::No);
    assert_eq!(records, ["-1:\tlate", "+3:Nov 21 10:00:00 a\tinfo\tone\n\ttwo"]);
    assert_eq!(rest, "Nov 21 10:00:01 a\tinfo\tthree\nNov 21 1");
    let (records, rest) = cut(&file, text, Flush::Idle);
    assert_eq!(records.len(), 3);
    assert_eq!(rest, "Nov 21 1");
    let (records, rest) = cut(&file, text, Flush::End);
    assert_eq!(records[2], "+2:Nov 21 10:00:01 a\tinfo\tthree\nNov 21 1");
    assert_eq!(rest, "");
}

#[test]
fn white_space_before_a_header_makes_it_a_continuation() {
    let file = layout(FILE);
    let text = "Nov 21 10:00:00 a\tinfo\tone\n\tNov 21 10:00:00 b\tinfo\tforged\n";
    assert_eq!(cut(&file, text, Flush::Idle).0.len(), 1);
}

#[test]
fn every_line_begins_or_ends_or_patterns_say() {
    let every = layout(r#"format = "json""#);
    assert_eq!(
        cut(&every, "{}\n\r\n x\ntorn", Flush::No),
        (vec!["+1:{}".to_owned(), "+1: x".to_owned()], "torn".to_owned())
    );
    let continues = layout("line = '{message:rest}'\nstart = { continues = \"\\t\" }");
    assert_eq!(cut(&continues, "a\n\tb\nc\n", Flush::Idle).0, ["+2:a\n\tb", "+1:c"]);
    let begins = layout("line = '{message:rest}'\nstart = { begins = '[{_:int}] ' }");
    assert_eq!(cut(&begins, "[1] a\nb\n[2] c\n", Flush::Idle).0, ["+2:[1] a\nb", "+1:[2] c"]);
    let column = layout(
        "line = '{message:rest}'\nstart = { begins = '{_:re(\"[A-Za-z][A-Za-z: ]{12} [^ ]\")}' }",
    );
    let text = "Core:         error\nCore:              in: x.c:7\nTransfer Job: new\n";
    assert_eq!(
        cut(&column, text, Flush::Idle).0,
        ["+2:Core:         error\nCore:              in: x.c:7", "+1:Transfer Job: new"]
    );
    let anything = layout("line = '{message:rest}'");
    assert_eq!(cut(&anything, "a\n b\n", Flush::No).0, ["+1:a", "+1: b"]);
}

#[test]
fn records_have_maxima() {
    let file = layout(FILE);
    let head = "Nov 21 10:00:00 a\tinfo\t";
    let many = format!("{head}x\n{}", "y\n".repeat(25_000));
    let mut cuts = Vec::new();
    assert_eq!(file.records(many.as_bytes(), Flush::End, &mut cuts), many.len());
    assert_eq!(cuts.iter().map(|cut| cut.lines).collect::<Vec<_>>(), [10_000, 10_000, 5_001]);
    assert_eq!(cuts.iter().map(|cut| cut.begins).collect::<Vec<_>>(), [true, false, false]);
    assert_eq!(cuts.iter().map(|cut| cut.truncated).collect::<Vec<_>>(), [true, true, false]);
    let long = format!("{head}{}\n", "z".repeat(3 << 20));
    cuts.clear();
    assert_eq!(file.records(long.as_bytes(), Flush::Idle, &mut cuts), long.len());
    assert_eq!((cuts.len(), cuts[0].end, cuts[0].truncated), (1, RECORD_BYTES_MAX, true));
    assert_eq!(cuts[0].full_len, long.len() - 1);
    assert!(parsed(&file, &long.as_bytes()[..RECORD_BYTES_MAX]).starts_with("@timestamp="));
}

#[test]
fn text_is_taken_apart() {
    let file = layout(FILE);
    for (line, expected) in [
        (
            &b"Nov 21 10:00:00 c2s1\tinfo\tAuthenticated as romeo@example.net"[..],
            "@timestamp=1795255200000000000|log.logger=c2s1|log.level=info|message=Authenticated as romeo@example.net",
        ),
        (
            b"Nov 21 10:00:00 c2s1\tinfo\t\r",
            "@timestamp=1795255200000000000|log.logger=c2s1|log.level=info|message=",
        ),
        (
            b"Nov 21 10:00:00 c2s1\tinfo\ta\n\tb",
            "@timestamp=1795255200000000000|log.logger=c2s1|log.level=info|message=a\n\tb",
        ),
        (b"torn\0 l\xffine\r", "!message=torn\0 l\u{fffd}ine"),
        (b"", "!message="),
    ] {
        assert_eq!(parsed(&file, line), expected);
    }
    let pairs = layout(
        "line = ['[{log.level:int}] {message:text} {{{_:kv}}}', '[{log.level:int}] {message:quoted}']\n[rename]\n'm.user' = 'user.name'\n[levels]\n3 = 'warning'",
    );
    assert_eq!(
        parsed(&pairs, b"[3] it went {m.user=romeo, x=\"a \\\"b\\\"\"}"),
        "log.level=warning|message=it went|user.name=romeo|x=a \"b\""
    );
    assert_eq!(parsed(&pairs, br#"[4] "a \"b\"""#), "log.level=4|message=a \"b\"");
}

#[test]
fn json_is_renamed_and_dated() {
    let json = layout(
        r#"
        format = "json"
        [rename]
        "instant.epochSecond" = "@timestamp"
        "instant.nanoOfSecond" = "@timestamp.nanos"
        "loggerName" = "log.logger"
        "level" = "log.level"
        "contextMap.*" = "*"
        [levels]
        30 = "info"
        "#,
    );
    assert_eq!(
        parsed(&json, br#"{"instant":{"epochSecond":1795310001,"nanoOfSecond":137752965},"level":30,"loggerName":"a.B","contextMap":{"k.x":"v"}}"#),
        "@timestamp=1795310001137752965|log.level=info|log.logger=a.B|k.x=v"
    );
    assert_eq!(parsed(&json, br#"{"level":"info"} x"#), r#"!message={"level":"info"} x"#);
    assert_eq!(parsed(&json, br#"{"level":"in"#), r#"!message={"level":"in"#);
}

#[test]
fn a_syslog_header_may_stand_before_all_that() {
    let json = layout("format = 'json'\nsyslog = true\n[rename]\nts = '@timestamp'");
    assert_eq!(
        parsed(&json, br#"<134>1 2026-11-22T01:13:21Z vm app 7 - - {"ts":"2026-11-22T01:13:20.5Z","log.level":"warn","a":1}"#),
        "host.hostname=vm|process.name=app|process.pid=7|log.syslog.facility.code=16|log.syslog.severity.code=6|@timestamp=1795310000500000000|log.level=warn|a=1"
    );
    assert_eq!(
        parsed(&json, b"<134>1 - vm - - - - not json"),
        "!host.hostname=vm|log.level=info|log.syslog.facility.code=16|log.syslog.severity.code=6|message=not json"
    );
    let text = layout(
        "syslog = true\nunescape_octal = true\nline = ['{log.logger:until(\": \")}: {message:rest}', '{message:rest}']",
    );
    assert_eq!(
        parsed(&text, b"Nov 21 10:00:00 vm app[7]: c2s1: a#012#011b"),
        "@timestamp=1795255200000000000|host.hostname=vm|process.name=app|process.pid=7|log.logger=c2s1|message=a\n\tb"
    );
    let plain = layout("syslog = true");
    let open = "<134>1 - vm - - - [a x=\"1\n<34>1 - forged - - - - root\"] m\n<134>1 - vm - - - [a x=\"1\"] n\n<134>1 - vm - - - - o\n";
    let (records, _) = cut(&plain, open, Flush::Idle);
    assert_eq!(records.len(), 3, "{records:?}");
    let stream = "Nov 21 10:00:00 vm app: a\n b\nNov 21 10:00:01 vm app: c\n";
    assert_eq!(cut(&plain, stream, Flush::Idle).0.len(), 2);
}

#[test]
fn a_file_is_told_from_its_first_lines() {
    let layouts = [
        layout(FILE),
        layout("syslog = true"),
        layout(
            "format = 'json'\nrequire = ['levelname']\n[rename]\nlevelname = 'log.level'\nlevel = 'log.level'",
        ),
        layout("format = 'json'"),
        layout("line = '{message:rest}'"),
    ];
    let told = |line: &str| detect(&layouts, format!("{line}\n").repeat(30).as_bytes());
    assert_eq!(told("Nov 21 10:00:00 a\tinfo\tx"), Some(0));
    assert_eq!(told("Nov 21 10:00:00 a\tinfo\tx\n\tand\n\tmore"), Some(0));
    assert_eq!(told("Nov 21 10:00:00 vm app: x"), Some(1));
    assert_eq!(told(r#"{"levelname":"x"}"#), Some(2));
    assert_eq!(told(r#"{"level":"x"}"#), Some(3));
    assert_eq!(told("anything"), Some(4));
    assert_eq!(detect(&layouts[..4], b"anything\n"), None);
    assert_eq!(detect(&layouts, b""), None);
    // One line of another layout changes nothing.
    let mixed = format!("{{\"levelname\":1}}\n{}", "Nov 21 10:00:00 a\tinfo\tx\n".repeat(19));
    assert_eq!(detect(&layouts, mixed.as_bytes()), Some(0));
}

#[test]
fn mistakes_in_specifications_are_told() {
    let error = |toml: &str| {
        let spec: LayoutSpec = toml::from_str(toml).expect("good TOML");
        Layout::compile(&spec).expect_err("a mistake").to_string()
    };
    assert_eq!(error(""), "a layout of text needs a `line`");
    assert_eq!(error("format = 'json'\nline = 'x'"), "a layout of JSON has no `line`");
    assert_eq!(error("line = '{a:wrod}'"), "line: unknown type `wrod`");
    assert_eq!(
        error("format = 'json'\ntime = '%Q'"),
        "time: unknown directive `%Q` in a time format"
    );
    assert!(toml::from_str::<LayoutSpec>("lines = 'x'").is_err());
}

proptest! {
    /// Whatever the bytes and wherever they are cut: records are in order, cover all that was taken, and end.
    #[test]
    fn records_cover_the_bytes(
        text in "(Nov 21 10:00:00 a\tinfo\tx|\t|y|\n|\r|\u{0}){0,40}", at in 0_usize..200, which in 0_usize..3
    ) {
        let layouts = [layout(FILE), layout("format = 'json'"), layout("line='{message:rest}'\nstart = { continues = \"\\t\" }")];
        let bytes = text.as_bytes();
        let (first, _) = bytes.split_at(at.min(bytes.len()));
        let mut cuts = Vec::new();
        let used = layouts[which].records(first, Flush::No, &mut cuts);
        let early = cuts.len();
        let rest = &bytes[used..];
        layouts[which].records(rest, Flush::End, &mut cuts);
        let mut whole = Vec::new();
        layouts[which].records(bytes, Flush::End, &mut whole);
        let text_of = |base: usize, cut: &Cut| bytes[base + cut.start..base + cut.end].to_vec();
        let parts: Vec<Vec<u8>> = cuts.iter().enumerate()
            .map(|(n, cut)| text_of(if n < early { 0 } else { used }, cut)).collect();
        prop_assert_eq!(parts, whole.iter().map(|cut| text_of(0, cut)).collect::<Vec<_>>());
        let mut end = 0;
        for cut in &whole {
            prop_assert!(cut.start >= end && cut.end >= cut.start && cut.next >= cut.end);
            end = cut.next;
        }
    }

    #[test]
    fn never_panics(line in proptest::collection::vec(any::<u8>(), 0..200)) {
        for toml in [FILE, "format = 'json'\nsyslog = true\nunescape_octal = true", "syslog = true\nunescape_octal = true", "line = '{message:text} {{{_:kv}}}'"] {
            parsed(&layout(toml), &line);
        }
    }
}
