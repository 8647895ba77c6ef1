//! Whole mappings: files in, events out.

use std::fmt::Write;

use proptest::prelude::*;

use super::*;
use crate::{
    event::{Event, EventId, KindId, Raw, Time, Value},
    parse::{Clock, Record},
    tail::FileId,
};

/// A library of the shipped files and these: (name, text). Names that begin with `user:` are the user's.
fn try_library(files: &[(&str, &str)]) -> Checked<Library> {
    let mut all = shipped::files();
    for (name, text) in files {
        let (layer, name) = match name.strip_prefix("user:") {
            Some(name) => (Layer::User, name),
            None => (Layer::Shipped, *name),
        };
        let file = File { path: name.into(), name: name.into(), layer, text: (*text).into() };
        all.push(file);
    }
    Library::of(all)
}

fn show(problems: &[crate::problem::Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// What is wrong with a source.
fn problems(text: &str) -> String {
    match try_library(&[("sources/x.toml", text)]) {
        Err(problems) => show(&problems),
        Ok(library) => show(&check::check_source(&library, "x")),
    }
}

const HEAD: &str =
    "about = 'X'\nfamily = 'xmpp'\nline = '{log.logger} {log.level}: {message:rest}'\n";
const JSON: &str = "about = 'X'\nfamily = 'tox'\n[layout.json]\nformat = 'json'\n";

fn mapping(text: &str) -> Mapping {
    let library =
        try_library(&[("sources/x.toml", text)]).unwrap_or_else(|p| panic!("{}", show(&p)));
    library.mapping("x").unwrap_or_else(|p| panic!("{}", show(&p)))
}

/// The event of a line, as `kind field=value …` without what every event has.
fn map(mapping: &Mapping, line: &[u8]) -> String {
    let event = event(mapping, line);
    let kind = &mapping.tables.kind(event.kind).name;
    let mut text = if event.recognised { kind.clone() } else { format!("({kind})") };
    for field in &event.fields {
        let name = mapping.tables.field(field.id).name.as_str();
        let usual = ["event.dataset", "log.file.path", "log.offset", "message"].contains(&name);
        let no_time = name == "tags" && event.show(field.value) == "no-time-in-log";
        if !usual && !no_time {
            write!(text, " {name}={}", event.show(field.value)).unwrap();
        }
    }
    text
}

fn event(mapping: &Mapping, line: &[u8]) -> Event<Raw> {
    let clock = Clock::utc(Time(1_795_000_000_000_000_000));
    let mut record = Record::new(line);
    mapping.layouts[0].parse(line, &clock, &mut record);
    let origin = Origin {
        source: "x",
        file: FileId::default(),
        generation: 0,
        path: b"/var/log/x.log",
        offset: 7,
        read: Time(1),
        agent_id: &[1; 16],
        keep_original: false,
        clock: &clock,
    };
    let mut event = Event::new(KindId(0), EventId::default(), Time(0));
    mapping.map(&record, &origin, &mut Scratch::new(), &mut event);
    event
}

#[test]
fn a_line_becomes_a_typed_event() {
    let text = format!(
        "{HEAD}[fields]\n'service.type' = 'x'\n[binding.a]\nkind = 'xmpp.auth_failure'\n\
         message = \"Failed for {{xmpp.jid:jid}} from {{source.ip:ip}}:{{source.port:port}}\"\n\
         fields = {{ 'event.reason' = 'x', 'tags' = ['one', 'two'] }}\nseverity = 9\n"
    );
    let mapping = mapping(&text);
    expect_test::expect!["xmpp.auth_failure xmpp.jid=romeo@example.net source.ip=2001:db8::1 source.port=5222 event.reason=x tags=one tags=two log.logger=c2s1 log.level=warning service.type=x user.name=romeo user.domain=example.net xmpp.resource=orchard"]
        .assert_eq(&map(&mapping, b"c2s1 WARN: Failed for romeo@example.net/orchard from [2001:db8::1]:5222"));
    assert_eq!(event(&mapping, b"c2s1 WARN: Failed for a@b from 198.51.100.1:1").severity, Some(9));
    expect_test::expect!["(xmpp.unrecognised) log.logger=c2s1 log.level=info service.type=x"]
        .assert_eq(&map(&mapping, b"c2s1 info: Succeeded"));
}

#[test]
fn json_copies_coerces_and_keeps_misfits_aside() {
    let text = format!(
        "{JSON}[from]\n'tox.friend.number' = ['friend', 'tox.friend']\n'tox.peer.public_key' = 'pk'\n\
         'user.name' = 'jid.local'\n'process.pid' = 'pid'\n'host.ip' = 'ips'\n[binding.a]\nkind = 'tox.{{event|type}}'\nwhen = {{ event = true }}\n\
         [binding.b]\nkind = 'tox.{{event|type}}'\nwhen = {{ type = true }}\n"
    );
    let mapping = mapping(&text);
    let map = |line: &str| map(&mapping, line.as_bytes());
    expect_test::expect!["tox.bootstrap tox.friend.number=7 tox.peer.public_key=ABCDEF"].assert_eq(
        &map(r#"{"event":"bootstrap","friend":"7","pk":"abcdef","towline.replay":true}"#),
    );
    expect_test::expect!["tox.bootstrap user.name=romeo towline.uncoerced=process.pid=many source.ip=198.51.100.1 tags=uncoerced"]
        .assert_eq(&map(r#"{"type":"bootstrap","jid":"romeo@x","pid":"many","source":{"ip":"198.51.100.1"}}"#));
    expect_test::expect!["tox.bootstrap host.ip=198.51.100.1 host.ip=2001:db8::1"]
        .assert_eq(&map(r#"{"event":"bootstrap","ips":["198.51.100.1","2001:db8::1"]}"#));
    expect_test::expect!["(tox.unrecognised) tox.friend.number=3"]
        .assert_eq(&map(r#"{"event":"no such kind","tox":{"friend":3}}"#));
}

#[test]
fn precedence_is_user_then_literal_text_then_conditions_then_order() {
    let shipped = format!(
        "{HEAD}\
         [binding.capture_first]\nkind = 'xmpp.http_request'\nmessage = '{{$a}} in as {{$b:rest}}'\n\
         [binding.short]\nkind = 'xmpp.session_end'\nmessage = 'Signed {{$a:rest}}'\n\
         [binding.long]\nkind = 'xmpp.session_bind'\nmessage = 'Signed in as {{$a}}'\n\
         [binding.conditions]\nkind = 'xmpp.tcp_accept'\nmessage = 'Signed in as {{$a}}'\nwhen = {{ 'log.level' = 'debug' }}\n\
         [binding.when]\nkind = 'xmpp.stream_open'\nwhen = {{ 'log.level' = ['debug', 'info'], 'log.logger' = 'c2s*' }}\n"
    );
    let user = "[binding.mine]\nkind = 'xmpp.muc_join'\nmessage = '{$x} in as juliet'\n";
    let library = try_library(&[("sources/x.toml", &shipped), ("user:sources/x.toml", user)]);
    let mapping = library.unwrap_or_else(|p| panic!("{}", show(&p))).mapping("x").unwrap();
    let clock = Clock::utc(Time(0));
    let matching = |line: &'static [u8]| {
        let mut record = Record::new(line);
        mapping.layouts[0].parse(line, &clock, &mut record);
        mapping.matching(&record, &clock, &mut Scratch::new()).join(" ")
    };
    assert_eq!(
        matching(b"c2s1 debug: Signed in as juliet"),
        "mine conditions long short capture_first when"
    );
    assert_eq!(matching(b"c2s1 info: Signed out"), "short when");
    assert_eq!(matching(b"s2s1 info: Logged in as romeo"), "capture_first");
    let kind = |line: &[u8]| map(&mapping, line).split(' ').next().unwrap().to_owned();
    assert_eq!(kind(b"x info: Signed in as juliet"), "xmpp.muc_join");
    assert_eq!(kind(b"x debug: Signed in as romeo"), "xmpp.tcp_accept");
    assert_eq!(kind(b"x info: Signed in as romeo"), "xmpp.session_bind");
    assert_eq!(kind(b"c2s info: anything"), "xmpp.stream_open");
    assert_eq!(kind(b"x info: anything"), "(xmpp.unrecognised)");
}

#[test]
fn conditions_on_captures_and_absence() {
    let text = format!(
        "{HEAD}[binding.a]\nkind = 'xmpp.session_bind'\nmessage = 'State {{$state}} of {{user.name}}'\n\
         when = {{ '$state' = ['up', 'op*'], 'log.origin.function' = false }}\n"
    );
    let mapping = mapping(&text);
    assert!(map(&mapping, b"x info: State open of romeo").starts_with("xmpp.session_bind"));
    assert!(map(&mapping, b"x info: State down of romeo").starts_with("(xmpp.unrecognised)"));
}

#[test]
fn a_connection_id_is_copied_where_it_is_one() {
    let text = format!("{HEAD}[session]\nid = 'log.logger'\nwhere = ['c2s*']\n");
    let mapping = mapping(&text);
    assert!(map(&mapping, b"c2s77 info: x").contains("xmpp.connection.id=c2s77"));
    assert!(!map(&mapping, b"router info: x").contains("xmpp.connection.id"));
}

#[test]
fn the_id_of_an_event_is_that_of_its_place_and_line() {
    let mapping = mapping(HEAD);
    let a = event(&mapping, b"x info: one");
    assert_eq!(a.id, event(&mapping, b"x info: one").id);
    assert_ne!(a.id, event(&mapping, b"x info: two").id);
    // BLAKE3 of agent id, file id, generation, offset, ordinal, line; the first 16 bytes.
    let mut input = vec![1; 16];
    input.extend([0; 16]);
    input.extend([0; 4]);
    input.extend([7, 0, 0, 0, 0, 0, 0, 0]);
    input.extend([0; 4]);
    input.extend(b"x info: one");
    assert_eq!(a.id.0, blake3::hash(&input).as_bytes()[..16]);
}

#[test]
fn what_the_agent_says_itself_is_not_taken_from_a_record() {
    let mapping =
        mapping(&format!("{JSON}[binding.a]\nkind = 'tox.bootstrap'\nwhen = {{ event = 'x' }}\n"));
    let line = br#"{"event":"x","tags":"possible-log-forgery","event.kind":"alert","towline.session.id":"1","agent.id":"2","event.outcome":"failure"}"#;
    expect_test::expect!["tox.bootstrap event.outcome=failure"].assert_eq(&map(&mapping, line));
}

#[test]
fn wrong_mappings_say_where_and_what_would_be_right() {
    let check = |text: &str, expected: expect_test::Expect| {
        expected.assert_eq(&problems(&format!("{HEAD}{text}")));
    };
    check(
        "[binding.a]\nkind = 'xmpp.auth_sucess'\nmessage = 'x'\n[[binding.a.example]]\nline='a b: x'\n",
        expect_test::expect![[r"
            sources/x.toml:5:8: there is no kind `xmpp.auth_sucess`
                5 | kind = 'xmpp.auth_sucess'
                  |        ^^^^^^^^^^^^^^^^^^ did you mean `xmpp.auth_success`?"]],
    );
    check(
        "[binding.a]\nkind = 'xmpp.auth_success'\nmessage = 'hello {user.nam} there'\n",
        expect_test::expect![[r"
            sources/x.toml:6:19: there is no field `user.nam`
                6 | message = 'hello {user.nam} there'
                  |                   ^ did you mean `user.name`?"]],
    );
    check(
        "[binding.a]\nkind = 'xmpp.auth_success'\nmessage = 'hello {user.name:wort}'\n",
        expect_test::expect![[r"
            sources/x.toml:6:29: unknown type `wort`
                6 | message = 'hello {user.name:wort}'
                  |                             ^ did you mean `word`?"]],
    );
    check(
        "[binding.a]\nkind = 'xmpp.auth_success'\nmessage = 'hello'\n",
        expect_test::expect![[r"
            sources/x.toml:4:10: binding `a` has no example
                4 | [binding.a]
                  |          ^ add [[binding.a.example]] with a `line` and its `fields`"]],
    );
    check(
        "[binding.a]\nkind = 'xmpp.auth_success'\nmessage = 'hello {user.name}'\n[[binding.a.example]]\nline = 'a b: hello romeo'\nfields = { 'user.name' = 'juliet', 'source.ip' = '::1' }\n",
        expect_test::expect![[r#"
            sources/x.toml:9:26: `user.name` is "romeo", not "juliet"
                9 | fields = { 'user.name' = 'juliet', 'source.ip' = '::1' }
                  |                          ^^^^^^^^ the event has user.name="romeo" log.logger="a" log.level="b" tags="no-time-in-log"
            sources/x.toml:9:50: `source.ip` is nothing, not "::1"
                9 | fields = { 'user.name' = 'juliet', 'source.ip' = '::1' }
                  |                                                  ^^^^^ the event has user.name="romeo" log.logger="a" log.level="b" tags="no-time-in-log""#]],
    );
    check(
        "[binding.a]\nkind = 'xmpp.auth_success'\nmessage = 'hello {user.name}'\n[[binding.a.example]]\nline = 'a b: hello romeo'\n[binding.b]\nkind = 'xmpp.auth_failure'\nmessage = 'hello {user.name:rest}'\n[[binding.b.example]]\nline = 'a b: hello romeo'\n",
        expect_test::expect![[r#"
            sources/x.toml:8:8: binding `b` matches the example of `a` too
                8 | line = 'a b: hello romeo'
                  |        ^^^^^^^^^^^^^^^^^^ make one of them narrower, or write over = ["b"] to put this one before it
            sources/x.toml:13:8: binding `a` takes the example of `b`
               13 | line = 'a b: hello romeo'
                  |        ^^^^^^^^^^^^^^^^^^ its message is "hello romeo""#]],
    );
    check(
        "[binding.a]\nkind = 'xmpp.auth_success'\nmessage = 'hello {$x}'\nfrom = { 'user.nme' = '$y' }\nfields = { 'source.port' = 'ssh' }\nwhen = { 'a' = 1.5 }\nsevrity = 3\n",
        expect_test::expect![[r#"
            sources/x.toml:10:1: unknown key `sevrity` in [binding.a]
               10 | sevrity = 3
                  | ^^^^^^^ did you mean `severity`?
            sources/x.toml:9:16: a number where a text, a glob or a list of them is expected
                9 | when = { 'a' = 1.5 }
                  |                ^^^
            sources/x.toml:8:28: a string does not fit `source.port`, which is Long
                8 | fields = { 'source.port' = 'ssh' }
                  |                            ^^^^^
            sources/x.toml:7:10: there is no field `user.nme`
                7 | from = { 'user.nme' = '$y' }
                  |          ^^^^^^^^^^ did you mean `user.name`?"#]],
    );
    check(
        "[binding.a]\nkind = 'xmpp.auth_success'\nmessage = 'hello {$x}'\nfrom = { 'user.name' = '$y' }\n",
        expect_test::expect![[r"
            sources/x.toml:7:24: no pattern of binding `a` captures `$y`
                7 | from = { 'user.name' = '$y' }
                  |                        ^^^^ did you mean `$x`?"]],
    );
    expect_test::expect![[r#"
        sources/x.toml:3:12: there is no layout `defualt`
            3 | layouts = ["defualt"]
              |            ^^^^^^^^^ did you mean `default`?
        sources/x.toml:4:1: layout `default` is not named in `layouts`
            4 | line = 'x {message:rest'
              | ^^^^"#]]
    .assert_eq(&problems(
        "about = 'X'\nfamily = 'xmpp'\nlayouts = [\"defualt\"]\nline = 'x {message:rest'\n",
    ));
    let problem = problems("about = 'X'\nfamily = 'xmp'\nline = 'x {message:rest'\n");
    assert!(problem.contains("x.toml:2:10: there is no kind `xmp.unrecognised`"), "{problem}");
}

#[test]
fn a_users_folder_changes_what_it_names() {
    let shipped = format!(
        "{HEAD}[binding.a]\nkind = 'xmpp.auth_success'\nmessage = 'hello {{user.name}}'\n\
         [[binding.a.example]]\nline = 'a b: hello romeo'\n[binding.b]\nkind = 'xmpp.session_end'\nmessage = 'bye'\n\
         [[binding.b.example]]\nline = 'a b: bye'\n"
    );
    let with = |user: &[(&str, &str)]| {
        let mut files = vec![("sources/x.toml", shipped.as_str())];
        files.extend(user);
        try_library(&files)
    };
    // A severity, a field, an event switched off, a new kind with a new program.
    let library = with(&[
        ("user:events/xmpp.toml", "['xmpp.auth_success']\nseverity = 9\n"),
        (
            "user:sources/x.toml",
            "[fields]\n'service.type' = 'mine'\n[binding.b]\nenabled = false\n",
        ),
        ("user:sources/y.toml", HEAD),
    ])
    .unwrap_or_else(|p| panic!("{}", show(&p)));
    let mapping = library.mapping("x").unwrap();
    assert!(map(&mapping, b"a b: hello romeo").ends_with("service.type=mine"));
    assert!(map(&mapping, b"a b: bye").starts_with("(xmpp.unrecognised)"));
    assert_eq!(
        mapping.tables.kind(mapping.tables.kind_id("xmpp.auth_success").unwrap()).severity,
        9
    );
    assert!(library.sources().any(|name| name == "y"));
    assert_eq!(show(&check::check_source(&library, "x")), "");

    // Names that override nothing.
    let wrong = with(&[("user:events/xmpp.toml", "['xmpp.auth_sucess']\nseverity = 9\n")]);
    expect_test::expect![[r"
        events/xmpp.toml:1:2: kind `xmpp.auth_sucess` overrides nothing, and is not complete: it needs title, severity, meaning and ecs
            1 | ['xmpp.auth_sucess']
              |  ^^^^^^^^^^^^^^^^^^ did you mean `xmpp.auth_success`?"]]
    .assert_eq(&show(&wrong.err().unwrap()));
    let wrong = with(&[("user:sources/x.toml", "[binding.bb]\nenabled = false\n")]).unwrap();
    expect_test::expect![[r"
        sources/x.toml:1:10: binding `bb` overrides nothing, and is not complete: it has no `kind`
            1 | [binding.bb]
              |          ^^ did you mean `b`?"]]
    .assert_eq(&show(&wrong.source("x").unwrap_err()));

    // A changed pattern needs no shipped example, and goes before shipped ones without being ambiguous.
    let library =
        with(&[("user:sources/x.toml", "[binding.b]\nmessage = 'hello {user.name:rest}'\n")])
            .unwrap();
    assert_eq!(
        show(&check::check_source(&library, "x")),
        show(&[]),
        "the shipped example of `a` is taken by the user's binding"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_bytes_become_one_event_with_values_of_their_type(line in proptest::collection::vec(any::<u8>(), 0..300), json: bool) {
        for mapping in MAPPINGS.with(std::rc::Rc::clone).iter() {
            let line = if json { [b"{\"event\":\"bootstrap\",\"pid\":\"", line.as_slice(), b"\"}"].concat() } else { line.clone() };
            let event = event(mapping, &line);
            for field in &event.fields {
                let ty = mapping.tables.field(field.id).ty;
                let fits = matches!(
                    (ty, field.value),
                    (crate::event::FieldType::Keyword | crate::event::FieldType::Text, Value::Text(_))
                        | (crate::event::FieldType::Long, Value::Long(_))
                        | (crate::event::FieldType::Double, Value::Double(_))
                        | (crate::event::FieldType::Boolean, Value::Boolean(_))
                        | (crate::event::FieldType::Ip, Value::Ip(_))
                        | (crate::event::FieldType::Date, Value::Date(_))
                );
                prop_assert!(fits, "{:?}", mapping.tables.field(field.id));
                if let Value::Text(span) = field.value {
                    prop_assert!(span.start <= span.end && span.end as usize <= event.text.0.len());
                }
            }
        }
    }
}

thread_local! {
    static MAPPINGS: std::rc::Rc<Vec<Mapping>> = {
        let library = Library::shipped().unwrap();
        std::rc::Rc::new(library.sources().map(|name| library.mapping(name).unwrap()).collect())
    };
}

/// Bindings as catalogues have them: many begin alike, many begin with a capture, many have conditions only.
fn many(bindings: usize) -> String {
    let mut text = String::from(HEAD);
    for n in 0..bindings {
        let when = if n % 4 == 3 {
            format!("when = {{ 'log.logger' = 'module{n}' }}\n")
        } else {
            String::new()
        };
        let message = match n % 4 {
            0 => format!(
                "message = 'Failed {} for {{user.name}} from {{source.ip:ip}}: cause {n}'\n",
                n % 7
            ),
            1 => format!("message = 'Client {{$x}} reason {n} of {{user.name}}'\n"),
            2 => format!("message = '{{$x}} has entered state{n}z with {{user.name}}'\n"),
            _ => String::new(),
        };
        write!(text, "[binding.b{n}]\nkind = 'xmpp.session_bind'\n{message}{when}").unwrap();
    }
    text
}

#[test]
fn cost_does_not_grow_with_the_number_of_bindings() {
    let lines: &[&[u8]] = &[
        b"x info: Failed 4 for romeo from 198.51.100.1: cause 32",
        b"x info: Client connected reason 41 of romeo",
        b"x info: romeo has entered state42z with juliet",
        b"module43 info: anything at all that nobody knows",
        b"x info: Failed 4 for romeo from 198.51.100.1: nothing that is known",
        b"x info: Client connected and of no known reason for romeo",
        b"x info: a line that has nothing to do with any of them, and is longer than most of them are",
    ];
    let clock = Clock::utc(Time(0));
    let cost = |bindings: usize| -> Vec<(usize, usize)> {
        let mapping = mapping(&many(bindings));
        let mut scratch = Scratch::new();
        let costs = lines.iter().map(|line| {
            let mut record = Record::new(line);
            mapping.layouts[0].parse(line, &clock, &mut record);
            mapping.choose(&record, &clock, &mut scratch);
            scratch.cost()
        });
        costs.collect()
    };
    // From 50 to 200 one node becomes crowded, and asks the rest of the line for a further literal, once.
    let (few, some) = (cost(50), cost(200));
    let many = cost(1_000);
    for (n, line) in lines.iter().enumerate() {
        let text = String::from_utf8_lossy(line);
        assert!(many[n].0 <= some[n].0 + 4, "touched {:?}, {:?} of {text}", some[n], many[n]);
        assert!(many[n].1 <= few[n].1 + 2, "tried {:?}, {:?} for {text}", few[n], many[n]);
        for (touched, tried) in [few[n], some[n], many[n]] {
            assert!(touched <= 2 * line.len() + 16, "touched {touched} bytes of {text}");
            assert!(tried <= 4, "tried {tried} bindings for {text}");
        }
    }
}
