//! What is taken out and what stays, in the forms in which programs print credentials.

use std::sync::OnceLock;

use proptest::prelude::*;

use super::*;

fn secrets() -> &'static Secrets {
    static SECRETS: OnceLock<Secrets> = OnceLock::new();
    SECRETS.get_or_init(Secrets::new)
}

fn redact(text: &str) -> String {
    let secrets = secrets();
    let redacted = secrets.redact(text);
    assert!(redacted.is_none() || secrets.may_be_in(text));
    redacted.unwrap_or_else(|| text.to_owned())
}

/// In each text, `S3cret…` is the secret.
#[test]
fn secrets_go() {
    let key = "0123456789ABCDEF".repeat(4);
    for text in [
        // Markup.
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>S3cret==</auth>",
        "<auth xmlns=\"urn:ietf:params:xml:ns:xmpp-sasl\" mechanism=\"PLAIN\">S3cret==</auth>",
        r#"<auth xmlns=\"urn:ietf:params:xml:ns:xmpp-sasl\" mechanism=\"PLAIN\">S3cret==</auth>"#,
        "<sasl:auth>S3cret</sasl:auth>",
        "<auth>S3cret",
        "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>S3cret</response>",
        "<challenge>S3cret</challenge>",
        "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>S3cret=</success>",
        "<username>romeo</username><password>S3cret &amp; more</password>",
        "<password>S3cret",
        "<password><![CDATA[S3cret]]></password>",
        "&lt;password&gt;S3cret&lt;/password&gt;",
        "&lt;auth mechanism=&quot;PLAIN&quot;&gt;S3cret&lt;/auth&gt;",
        r"\u003cpassword\u003eS3cret\u003c/password\u003e",
        "<digest>S3cret</digest>",
        "<handshake>S3cret</handshake>",
        "<db:result from='a' to='b'>S3cret</db:result>",
        "<verify xmlns='jabber:server:dialback' id='1' from='a > b'>S3cret</verify>",
        "<field var='password' type='text-private'><value>S3cret</value></field>",
        "<field type='text-private' var='x'><value>S3cret</value><value>S3cret2</value></field>",
        "<field var=\"muc#roomconfig_roomsecret\"><value>S3cret</value></field>",
        "<token xmlns='urn:xmpp:fast:0' expiry='2026-11-24' token='S3cret'/>",
        // Keys.
        "password=S3cret",
        "user=admin password=S3cret (test)",
        "{user=romeo, password=S3cret}",
        "Password: S3cret",
        "PASSWORD=S3cret",
        "passwd='S3cret with spaces'",
        r#"{"password":"S3cret"}"#,
        r#"{"password" : "S3cret \" more"}"#,
        r#"{\"password\":\"S3cret\"}"#,
        r#"{\\\"password\\\":\\\"S3cret\\\"}"#,
        "{'password': 'S3cret'}",
        ":password => \"S3cret\"",
        "db_password: S3cret",
        "?user=romeo&password=S3cret&x=1",
        "access_token=S3cret",
        r#""clientSecret":"S3cret""#,
        "X-Api-Key: S3cret",
        "api_key=S3cret",
        "aws_secret_access_key = S3cret",
        "pass=S3cret",
        "DB_PWD=S3cret",
        "password\\u{0a}   = S3cret",
        "password=\"S3cret never closed",
        "&quot;password&quot;:&quot;S3cret&quot;",
        "password_hash=S3cret",
        // Erlang terms.
        "{password,<<\"S3cret\">>}",
        "{<<\"password\">>,<<\"S3cret\">>}",
        "{\"password\",\"S3cret\"}",
        "#connect{username = <<\"romeo\">>,password = <<\"S3cret\">>,clean = true}",
        "password => {scram,<<\"S3cret\">>,<<\"S3cret\">>,4096}",
        "{xmlel,<<\"auth\">>,[{<<\"mechanism\">>,<<\"PLAIN\">>}],[{xmlcdata,<<\"S3cret==\">>}]}",
        r#"{xmlel,<<"auth">>,\u{0a} [{<<"mechanism">>,<<"PLAIN">>}],\u{0a} [{xmlcdata,\u{0a}<<"S3cret==">>}]}"#,
        "#xmlel{name = <<\"response\">>,attrs = [],children = [{xmlcdata,<<\"S3cret\">>}]}",
        "{xmlel,<<\"password\">>,[],[{xmlcdata,<<\"S3cret\">>}]}",
        "{xmpp_sasl_auth,<<\"PLAIN\">>,<<\"S3cret\">>}",
        "#sasl_auth{mechanism = <<\"PLAIN\">>,text = <<\"\\\\000romeo\\\\000S3cret\">>}",
        "#sasl_response{text = <<\"S3cret\">>}",
        "#handshake{data = <<\"S3cret\">>}",
        "#db_result{from = <<\"a\">>,to = <<\"b\">>,key = <<\"S3cret\">>}",
        "#xdata_field{type = 'text-private',var = <<\"muc#roomconfig_roomsecret\">>,values = [<<\"S3cret\">>]}",
        "{xmlel,<<\"field\">>,[{<<\"var\">>,<<\"muc#roomconfig_roomsecret\">>}],[{xmlel,<<\"value\">>,[],[{xmlcdata,<<\"S3cret\">>}]}]}",
        // HTTP and files.
        "Authorization: Basic S3cret==",
        "authorization: Bearer S3cret x",
        r#""Authorization":"Bearer S3cret""#,
        "{'Authorization',<<\"Basic S3cret=\">>}",
        "Authorization: Digest username=\"romeo\", response=\"S3cret\"",
        "Cookie: session=S3cret; a=b",
        "Set-Cookie: id=S3cret\\u{0d}\\u{0a}Server: x",
        "got Bearer S3cret012345",
        "token eyJhbGciOiJI.S3cret0123456.abc_def",
        "ldap://romeo:S3cret@ldap.example.net/",
        "Executing command admin:register with Args=[<<\"romeo\">>,\\u{0a}  <<\"S3cret\">>]",
        "asking montague.example.net if key S3cret belongs to them",
        "-----BEGIN PRIVATE KEY-----\\u{0a}S3cret\\u{0a}-----END PRIVATE KEY-----",
    ] {
        let redacted = redact(text);
        assert!(!redacted.contains("S3cret"), "{text} → {redacted}");
        assert!(redacted.contains(REDACTED), "{text} → {redacted}");
        // What follows a secret is read as well.
        let twice = redact(&format!("{text} password=S3cret"));
        assert!(!twice.contains("S3cret"), "{text} → {twice}");
    }
    for text in [
        format!("Secret key: {key}"),
        format!("the secret is {key}!"),
        format!("secret_key={key}"),
        format!("private key = {key}"),
    ] {
        assert!(!redact(&text).contains(&key), "{text}");
    }
}

#[test]
fn what_is_no_secret_stays() {
    let key = "0123456789ABCDEF".repeat(4);
    for text in [
        "Accepted password for root from 198.51.100.7 port 22 ssh2",
        "test password for user 'romeo'",
        "group_password_changed group_number=0 password_length=5",
        "with_password=true error_code=0",
        "reason=INVALID_PASSWORD",
        "<username/><password/><instructions>Choose a username and password</instructions>",
        "<field var='password' type='text-private' label='Password'><required/></field>",
        "<mechanism>PLAIN</mechanism><register xmlns='urn:xmpp:ibr-token:0'/>",
        "<auth xmlns='http://jabber.org/features/iq-auth'/>",
        "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>",
        "<result id='1' xmlns='urn:xmpp:mam:2'>text</result>",
        "Command added: \"Change User Password\", \"http://jabber.org/protocol/admin#change-user-password\"",
        "not well-formed (invalid token)",
        "Creating Mnesia disc_only table 'oauth_token'",
        "password => undefined,max_password => infinity,secret => <<>>",
        "XMPPStream: authenticateWithPassword:error:",
        "secretary: romeo",
        "TLS handshake, then <0.1.0>",
        "#sasl_mechanisms{list = [<<\"PLAIN\">>,<<\"SCRAM-SHA-1\">>]}",
        "xmlns='http://jabber.org/protocol/caps' node='https://example.net:5281/x'",
        "Bearer authentication",
        "PWD=/home/romeo",
    ] {
        assert_eq!(redact(text), text);
    }
    let text = format!("public_key={key} friend={key}");
    assert_eq!(redact(&text), text);
}

#[test]
fn only_the_secret_goes() {
    for (text, expected) in [
        (
            "<auth mechanism='PLAIN'>abc=</auth></body>",
            "<auth mechanism='PLAIN'>[redacted]</auth></body>",
        ),
        ("user=admin password=x1 (test)", "user=admin password=[redacted] (test)"),
        (r#"{"password":"x1","user":"a"}"#, r#"{"password":"[redacted]","user":"a"}"#),
        ("a?token=x1&user=a b", "a?token=[redacted]&user=a b"),
        ("Authorization: Basic x1== path=/a", "Authorization: Basic [redacted] path=/a"),
        (
            "u = <<\"a\">>,password = <<\"x1\">>,v = 1",
            "u = <<\"a\">>,password = <<[redacted]>>,v = 1",
        ),
        ("ldap://a:x1@b/c", "ldap://a:[redacted]@b/c"),
    ] {
        assert_eq!(redact(text), expected);
        assert_eq!(redact(expected), expected, "redacting twice changes nothing");
    }
}

/// Texts that make a careless reader read the rest again and again: eight times the text may take some eight times
/// as long, not sixty-four times.
#[test]
fn reading_is_linear() {
    let read = |text: &str| {
        let started = std::time::Instant::now();
        redact(text);
        crate::guard::bodies::find(text, &mut Vec::new());
        crate::guard::words::treat(text, None);
        started.elapsed()
    };
    for piece in [
        "<auth",
        "<auth ",
        "<auth a='",
        "password",
        "password=\"",
        "password={",
        "{text,<<\"",
        "secret ",
        "sasl_auth{",
        "<field var='password'>",
        "text-private",
        "://a:",
        "Authorization: \"",
        "\\\"",
        "<password>",
        "eyJ",
        "&lt;auth",
        "{xmlel,<<\"auth\">>",
        "<<\"",
        "'",
        "password\\",
        "Cookie:",
        "PRIVATE KEY-----",
        "if key ",
        "with Args=[",
        "values = [",
    ] {
        let few = read(&piece.repeat(4_096 / piece.len()));
        let many = read(&piece.repeat(8 * 4_096 / piece.len()));
        let most = few * 30 + std::time::Duration::from_millis(200);
        assert!(many < most, "{piece}: {few:?}, eight times as many {many:?}");
    }
}

proptest! {
    #[test]
    fn runs_are_ascending_and_on_characters(
        text in "(password|<auth>|<<|>>|\"|'|\\\\|=|:|\\{|\\}|<|>|&lt;|secret|token|sasl_auth|[ -~é]){0,40}",
    ) {
        let runs = secrets().find(text.as_bytes());
        let mut end = 0;
        for run in runs {
            prop_assert!(end <= run.start && run.start < run.end);
            prop_assert!(text.get(run.clone()).is_some());
            end = run.end;
        }
    }

    #[test]
    fn a_quoted_password_never_survives(before in "[ -~]{0,30}", password in "[a-zA-Z0-9!#$%()*+,./:;?@^_`{|}~ -]{12,30}") {
        let text = format!("{before} password=\"{password}\" end");
        let redacted = redact(&text);
        prop_assert!(!redacted.contains(&password), "{}", redacted);
    }
}
