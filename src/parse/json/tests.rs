//! Tests of this module.

use proptest::prelude::*;

use super::*;
use crate::{event::Time, parse::record::PARTS_MAX};

fn names() -> Names {
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    Names::new(&[pair("lvl", "log.level"), pair("time", "@timestamp"), pair("mdc.*", "*")], &[])
}

/// The parts of a line as `name=value` joined by `|`; `-` if it is no JSON.
fn parsed(line: &[u8]) -> String {
    let mut record = Record::new(line);
    let names = names();
    record.know(names.all());
    let time = [TimeFormat::compile("auto").expect("known")];
    let rules = Rules { names: &names, time: &time, clock: &Clock::utc(Time(0)) };
    if parse(&mut record, 0, line.len(), &rules).is_none() {
        assert!(record.parts().is_empty());
        return "-".to_owned();
    }
    let show = |value| match value {
        Scalar::Text(slice) => String::from_utf8_lossy(record.text(slice)).into_owned(),
        other => format!("{other:?}"),
    };
    let part =
        |part: &super::super::record::Part| format!("{}={}", record.name(part), show(part.value));
    record.parts().iter().map(part).collect::<Vec<_>>().join("|")
}

#[test]
fn objects_are_flattened() {
    for (line, expected) in [
        ("{}", ""),
        (" {} \r", ""),
        ("\u{feff}{\"a\":1}", "a=Long(1)"),
        (
            r#"{"log":{"level":"x","origin":{"line":3}},"b":true}"#,
            "log.level=x|log.origin.line=Long(3)|b=Boolean(true)",
        ),
        (r#"{"log.level": "x", "log": {"level": "y"}}"#, "log.level=x"),
        (r#"{"a":1,"a":2}"#, "a=Long(1)"),
        (r#"{"a":[1,"x",null,{"b":[2]},[3]],"c":[]}"#, r#"a=Long(1)|a=x|a=Null|a={"b":[2]}|a=[3]"#),
        (
            r#"{"a":-0.5e1,"b":123456789012345678901,"c":-9223372036854775807}"#,
            "a=Double(-5.0)|b=123456789012345678901|c=Long(-9223372036854775807)",
        ),
        (r#"{"a":"\u00e9\n\t\"\\\/\ud83d\ude00"}"#, "a=é\n\t\"\\/😀"),
        (r#"{"a":"\ud83d x\ude00"}"#, "a=\u{fffd} x\u{fffd}"),
        (r#"{"a":"\ud83d\ud83d\ude00"}"#, "a=\u{fffd}😀"),
        (r#"{"a\u0062":"x"}"#, "ab=x"),
        (r#"{"lvl":"info","mdc":{"k":"v","message":"m"}}"#, "log.level=info|k=v|message=m"),
        (r#"{"time":1795310001.137752965}"#, "@timestamp=Time(Time(1795310001137752965))"),
        (
            r#"{"time":"2026-11-22T01:13:21.839+0000"}"#,
            "@timestamp=Time(Time(1795310001839000000))",
        ),
        (r#"{"time":"soon"}"#, "@timestamp=soon"),
    ] {
        assert_eq!(parsed(line.as_bytes()), expected, "{line}");
    }
}

#[test]
fn what_is_no_json_is_refused_whole() {
    for line in [
        "",
        "{",
        "null",
        "[1]",
        "x{}",
        "{}x",
        "{} {}",
        r#"{"a"}"#,
        r#"{"a":}"#,
        r#"{"a":1,}"#,
        r#"{,}"#,
        r#"{"a":NaN}"#,
        r#"{"a":-Infinity}"#,
        r#"{"a":01}"#,
        r#"{"a":1.}"#,
        r#"{"a":.5}"#,
        r#"{"a":+1}"#,
        r#"{"a":"x}"#,
        r#"{"a":"\x"}"#,
        r#"{"a":"\u12"}"#,
        r#"{"a":tru}"#,
        r#"{'a':1}"#,
        r#"{"a":[1}"#,
        r#"{"a":[{]}]}"#,
        r#"{"a":1 "b":2}"#,
        r#"{"message":"cut in the mid"#,
    ] {
        assert_eq!(parsed(line.as_bytes()), "-", "{line}");
    }
}

#[test]
fn bytes_that_are_no_text_are_carried_through() {
    assert_eq!(parsed(b"{\"a\":\"x\xff\x00\ty\"}"), "a=x\u{fffd}\0\ty");
    assert_eq!(parsed(b"{\"a\xff\":1}"), "=Long(1)");
}

#[test]
fn maxima_hold() {
    let deep = format!("{}1{}", "{\"a\":".repeat(40), "}".repeat(40));
    assert!(parsed(deep.as_bytes()).starts_with("a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a={\"a\":"));
    let deeper = format!("{}1{}", "{\"a\":".repeat(400), "}".repeat(400));
    assert_eq!(parsed(deeper.as_bytes()), "-");
    let long = format!("{{\"{}\":1,\"b\":2}}", "k".repeat(NAME_BYTES_MAX + 1));
    assert_eq!(parsed(long.as_bytes()), "b=Long(2)");
    let many = format!("{{\"a\":[{}1]}}", "1,".repeat(1_000));
    assert_eq!(parsed(many.as_bytes()).split('|').count(), PARTS_MAX);
}

proptest! {
    #[test]
    fn never_panics(line in proptest::collection::vec(any::<u8>(), 0..200)) {
        parsed(&line);
    }

    #[test]
    fn never_panics_on_what_looks_like_json(line in r#"(\{|\}|\[|\]|"|\\|\\u|d83d|:|,|a|1|-|\.|e| |true|null){0,60}"#) {
        parsed(line.as_bytes());
    }

    /// What another JSON library takes, we take, and with the same values.
    #[test]
    fn agrees_with_serde(
        key in "[a-z]{1,8}", text in any::<String>(), long in any::<i64>(), float in -1e300..1e300_f64
    ) {
        let line = serde_json::json!({ &key: text, "N": long, "F": float }).to_string();
        let expected = format!("{key}={text}|N=Long({long})|F=Double({float:?})");
        prop_assert_eq!(parsed(line.as_bytes()), expected);
    }

    /// What we take, another JSON library takes too.
    #[test]
    fn takes_no_more_than_serde(line in r#"\{("a":(1|-1|1\.5|01|"x"|\[1,2\]|\{"b":1\}|tru|true),?){0,3}\} ?"#) {
        let ours = parsed(line.as_bytes()) != "-";
        prop_assert_eq!(ours, serde_json::from_str::<serde_json::Value>(&line).is_ok());
    }
}
