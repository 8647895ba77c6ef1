//! Tests of this module.

use proptest::prelude::*;

use super::*;
use crate::{event::Time, parse::time::Clock};

fn clock() -> Clock {
    // 2026-11-24T12:00:00Z
    Clock::utc(Time(1_795_521_600_000_000_000))
}

/// What a pattern captures of a text, as `name=value` joined by `|`; `-` for no match.
fn matched(pattern: &str, text: &str) -> String {
    let template = Template::compile(pattern).expect("a good pattern");
    let mut out = Vec::new();
    if !template.matches(text.as_bytes(), &clock(), &mut out) {
        assert!(out.is_empty(), "captures of a failed match");
        return "-".to_owned();
    }
    assert_eq!(out.len(), template.captures().len());
    let show = |captured: &Captured| match captured.value {
        Scalar::Text(s) => text[s.range()].to_owned(),
        Scalar::Time(time) => time.0.to_string(),
        Scalar::Ip(ip) => ip.to_string(),
        other => format!("{other:?}"),
    };
    out.iter()
        .map(|c| format!("{}={}", template.captures()[usize::from(c.slot)].name, show(c)))
        .collect::<Vec<_>>()
        .join("|")
}

#[test]
fn captures_take_what_they_should() {
    for (pattern, text, expected) in [
        ("Client connected", "Client connected", ""),
        ("Client connected", "Client connected again", "-"),
        (
            "Authenticated as {j:jid}",
            "Authenticated as romeo@example.net/x",
            "j=romeo@example.net/x",
        ),
        ("{j:jid}: gone", "<romeo@example.net>: gone", "j=romeo@example.net"),
        ("{a} {b}", "one two", "a=one|b=two"),
        ("{a} {b}", "one two three", "-"),
        ("{a:text}, {b:text}", "one, two, three", "a=one|b=two, three"),
        ("{a:longest}, {b:text}", "one, two, three", "a=one, two|b=three"),
        ("{a:text} failed", "it failed and failed", "a=it failed and"),
        ("x{a:rest}", "x", "a="),
        ("{a:until(':')}:{_}", "k:v", "a=k"),
        ("{a:until(', \\t')}, \tb", "a, b, \tb", "a=a, b"),
        ("{a:until_tab}\t{b:rest}", "x y\tz", "a=x y|b=z"),
        ("say {a:quoted}", r#"say "a \" b""#, r#"a=a \" b"#),
        ("say {a:quoted}", "say 'x", "-"),
        ("{a:ip}:{p:port}", "198.51.100.7:5222", "a=198.51.100.7|p=Long(5222)"),
        ("{a:ip}:{p:port}", "198.51.100.7:65536", "-"),
        ("{a:ip}:{p:port}", "[2001:db8::1]:5222", "a=2001:db8::1|p=Long(5222)"),
        ("{a:ip}:{p:port}", "::ffff:198.51.100.7:5222", "a=198.51.100.7|p=Long(5222)"),
        ("from {a:ip}.", "from 198.51.100.7.", "a=198.51.100.7"),
        ("from {a:ip}", "from fe80::1%eth0", "a=fe80::1"),
        ("{a:ip}", "198.51.100.256", "-"),
        ("{n:int}/{m:int}", "-7/+8", "n=Long(-7)|m=Long(8)"),
        ("{n:int}", "9223372036854775808", "-"),
        ("{n:float} s", "-1.5e3 s", "n=Double(-1500.0)"),
        ("{n:hex}.", "0xAf.", "n=0xAf"),
        ("{n:bool}", "Yes", "n=Boolean(true)"),
        ("[{l:level}]{_:maybe_spaces}{m:rest}", "[Warning]  hot", "l=Warning|m=hot"),
        ("[{l:level}]", "[romeo]", "-"),
        ("{_:ansi}{l:level}{_:spaces}{_:ansi}x", "\x1b[1;31mERROR \x1b[mx", "l=ERROR"),
        ("{a:re('[a-z]+')}{b:int}", "abc12", "a=abc|b=Long(12)"),
        ("{a:re('a|ab')}", "ab", "a=ab"),
        ("{{{a}}}", "{x}", "a=x"),
        ("{m:text} {{{kv:kv}}}", "ok {x} {a=1, b=2}", "m=ok {x}|kv=a=1, b=2"),
        ("{m:text} {kv:kv}", "went e=OK a=1, b=2", "m=went e=OK|kv=a=1, b=2"),
        ("[{kv:kv}] - {m:rest}", "[] - x] - y", "kv=|m=x] - y"),
        ("{u:user} is online", "two words is online", "u=two words"),
        ("{u:user} is online", " is online", "u="),
        ("{a}{_:spaces}{l:level}: {m:rest}", "core:x \t info: y", "a=core:x|l=info|m=y"),
        ("{a:text}{_:spaces}{n:int}", "a b  7", "a=a b|n=Long(7)"),
        ("{a:text}{_:spaces}{n:int}", "a b", "-"),
        ("{a:longest}{_:spaces}{b:text}", "a b c", "a=a b|b=c"),
    ] {
        assert_eq!(matched(pattern, text), expected, "{pattern} on {text}");
    }
}

#[test]
fn keys_and_ids_are_not_part_of_longer_words() {
    let key = "0123456789abcdefABCDEF0123456789".repeat(2);
    assert_eq!(matched("key {k:tox_key}", &format!("key {key}")), format!("k={key}"));
    assert_eq!(matched("key {k:tox_key}{_:rest}", &format!("key {key}0")), "-");
    assert_eq!(
        matched("{k:tox_id}", &format!("{key}0123456789ab")),
        format!("k={key}0123456789ab")
    );
}

#[test]
fn a_header_is_matched_as_a_prefix() {
    let template =
        Template::compile("{@timestamp:time('%b %d %H:%M:%S')} {l:until_tab}\t{v}\t{m:rest}")
            .expect("good");
    let line = b"Nov 21 10:00:00 c2s1\tinfo\tAuthenticated as romeo@example.net";
    assert!(template.begins(6, line));
    assert!(!template.begins(6, b"\tNov 21 10:00:00 c2s1\tinfo\tx"));
    assert!(!template.begins(6, b"Nov 21 10:00:00 c2s1 info x"));
    let mut out = Vec::new();
    assert_eq!(template.matches_prefix(line, &clock(), &mut out), Some(line.len()));
    assert_eq!(out.len(), 4);
}

#[test]
fn mistakes_say_where_and_what_to_do() {
    for (pattern, offset, message, hint) in [
        ("a } b", 2, "a closing brace without an opening one", "write `}}` for a literal brace"),
        ("a {b:wrod}", 5, "unknown type `wrod`", "did you mean `word`?"),
        ("{a:until}", 3, "`until` needs an argument", "like `until(', ')`"),
        (
            "{a",
            2,
            "expected `}` at the end of a placeholder",
            "a name has letters, digits, `_`, `.`, `-`, `@`, and `$` at its beginning",
        ),
        ("{a:time('%b %q')}", 12, "unknown directive `%q` in a time format", ""),
        ("{a} {a}", 4, "`a` is captured twice", "use `{_}` for what need not be kept"),
    ] {
        let error = Template::compile(pattern).expect_err(pattern);
        assert_eq!((error.offset, error.message.as_str()), (offset, message), "{pattern}");
        assert_eq!(error.hint.unwrap_or_default(), hint, "{pattern}");
    }
    assert!(Template::compile("{a:re('[')}").is_err());
    assert!(Template::compile("{a:text}{b:text}").is_err());
    assert!(Template::compile("{a:rest} b").is_err());
    assert!(Template::compile("{a:ip('x')}").is_err());
    assert!(Template::compile(&"{_} ".repeat(PIECES_MAX)).is_err());
}

#[test]
fn the_budget_ends_what_backtracking_would_not() {
    let pattern = "{a:text}a{b:text}a{c:text}a{d:text}a{e:text}a{f:text}!";
    let template = Template::compile(&format!("{pattern}{{g:re('x')}}")).expect("good");
    let text = format!("{}!", "a".repeat(2_000));
    let started = std::time::Instant::now();
    assert!(!template.matches(text.as_bytes(), &clock(), &mut Vec::new()));
    assert!(started.elapsed().as_secs() < 2);
}

#[test]
fn how_far_a_text_is_alike() {
    let template = Template::compile("Accepted {a} from {b:ip}").expect("good");
    assert_eq!(template.reach(b"Accepted x from 198.51.100.7"), (4, 28));
    assert_eq!(template.reach(b"Accepted x from y"), (3, 16));
    assert_eq!(template.reach(b"Refused"), (0, 0));
}

proptest! {
    /// No pattern and no text panics or takes long, and what is captured lies inside the text.
    #[test]
    fn never_panics(
        pattern in "(\\{[ab_](:(word|text|longest|rest|until\\('x'\\)|quoted|ip|port|int|hex|float|jid|user|spaces|maybe_spaces|ansi|level|bool|kv|re\\('[a-c]+'\\)|time\\('auto'\\)))?\\}| |x|:|=){1,8}",
        text in "(a|b|x| |:|=|\\.|1|\"|'|\\\\|<|>|@|\\[|\\]|\\{|\\}|info|198\\.51\\.100\\.7|\u{1b}\\[1m|\\PC){0,40}",
    ) {
        if let Ok(template) = Template::compile(&pattern) {
            let mut out = Vec::new();
            if template.matches(text.as_bytes(), &clock(), &mut out) {
                prop_assert_eq!(out.len(), template.captures().len());
                prop_assert_eq!(template.reach(text.as_bytes()).0, template.pieces().len());
            } else {
                prop_assert!(out.is_empty());
            }
            for captured in &out {
                if let Scalar::Text(slice) = captured.value {
                    prop_assert!(slice.range().start <= slice.range().end && slice.range().end <= text.len());
                }
            }
        }
    }

    #[test]
    fn compiling_never_panics(pattern in "(\\{|\\}|:|\\(|'|\\)|a|\\$|\\\\|time|re|until|é){0,12}") {
        let _ = Template::compile(&pattern);
    }
}
