//! Reads what `_bulk` answers: one result per item, in the order in which they were sent. Pure.

use std::borrow::Cow;

use memchr::memmem;
use serde::Deserialize;

/// Reasons are kept up to this length.
const REASON_BYTES_MAX: usize = 1024;

/// What became of one item.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// It is there, now or since an earlier try.
    Delivered,
    /// The server is busy: this item again.
    Again(String),
    /// The item is not at fault and will fail again until a person has done something.
    Held(String),
    /// The server will never take it.
    Refused(u16, String),
}

#[derive(Deserialize)]
struct Answer<'a> {
    errors: bool,
    #[serde(borrow)]
    items: Vec<Item<'a>>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow)]
    create: Outcome<'a>,
}

#[derive(Deserialize)]
struct Outcome<'a> {
    status: u16,
    #[serde(borrow, default)]
    error: Option<Failure<'a>>,
}

#[derive(Deserialize, Default)]
struct Failure<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    reason: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    caused_by: Option<Cause<'a>>,
}

#[derive(Deserialize)]
struct Cause<'a> {
    #[serde(borrow, default)]
    reason: Option<Cow<'a, str>>,
}

/// The error of a whole request.
#[derive(Deserialize)]
struct Whole<'a> {
    #[serde(borrow)]
    error: Failure<'a>,
}

/// The results of `count` items, or `None` where all were created.
///
/// # Errors
/// What is wrong with the answer: nothing is then known of any item.
pub(crate) fn verdicts(body: &[u8], count: usize) -> Result<Option<Vec<Verdict>>, String> {
    if all_created(body, count) {
        return Ok(None);
    }
    let answer: Answer<'_> = serde_json::from_slice(body)
        .map_err(|error| format!("its answer to _bulk is not understood: {error}"))?;
    if answer.items.len() != count {
        let got = answer.items.len();
        return Err(format!("it answered for {got} items instead of {count}"));
    }
    let verdicts: Vec<_> = answer.items.into_iter().map(|item| verdict(item.create)).collect();
    let delivered = verdicts.iter().all(|v| *v == Verdict::Delivered);
    if !answer.errors && !delivered {
        return Err("it says that there are no errors, and reports some".into());
    }
    Ok((!delivered).then_some(verdicts))
}

/// The usual case without parsing: `"errors":false`, and as many `"status":201` as there were items. Inside a
/// JSON string the quotes would be escaped, so neither can come from an event.
fn all_created(body: &[u8], count: usize) -> bool {
    let body = body.trim_ascii();
    let head = &body[..body.len().min(128)];
    body.first() == Some(&b'{')
        && body.ends_with(b"]}")
        && memmem::find(head, br#""errors":false"#).is_some()
        && memmem::find_iter(body, br#""status":201"#).count() == count
}

fn verdict(outcome: Outcome<'_>) -> Verdict {
    let status = outcome.status;
    let why = || reason(status, outcome.error.as_ref());
    match status {
        // 409: an earlier try got through, its answer did not.
        200..=299 | 409 => Verdict::Delivered,
        408 | 429 | 500.. => Verdict::Again(why()),
        // Rights, a missing index, an index made read-only: true of every event.
        401 | 403 | 404 => Verdict::Held(why()),
        _ => Verdict::Refused(status, why()),
    }
}

fn reason(status: u16, failure: Option<&Failure<'_>>) -> String {
    let Some(failure) = failure else { return format!("status {status} without a reason") };
    let mut text = failure.kind.to_string();
    let cause = failure.caused_by.as_ref().and_then(|c| c.reason.as_ref());
    for part in failure.reason.iter().chain(cause) {
        text += ": ";
        text += part;
    }
    shorten(text)
}

/// The reason in the answer to a whole request, or the beginning of the answer itself.
pub(crate) fn request_reason(body: &[u8]) -> String {
    match serde_json::from_slice::<Whole<'_>>(body) {
        Ok(whole) => reason(0, Some(&whole.error)),
        Err(_) => {
            let text = String::from_utf8_lossy(&body[..body.len().min(256)]);
            text.split_whitespace().collect::<Vec<_>>().join(" ")
        }
    }
}

fn shorten(mut text: String) -> String {
    if text.len() > REASON_BYTES_MAX {
        text.truncate(text.floor_char_boundary(REASON_BYTES_MAX));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(errors: bool, items: &[&str]) -> Vec<u8> {
        let items: Vec<_> = items.iter().map(|i| format!(r#"{{"create":{i}}}"#)).collect();
        format!(r#"{{"took":3,"errors":{errors},"items":[{}]}}"#, items.join(",")).into_bytes()
    }

    #[test]
    fn all_created_needs_no_parsing_but_every_item() {
        let body = answer(false, &[r#"{"_id":"a","status":201}"#, r#"{"status":201}"#]);
        assert!(all_created(&body, 2));
        assert_eq!(verdicts(&body, 2), Ok(None));
        assert!(verdicts(&body, 3).unwrap_err().contains("2 items instead of 3"));
        assert!(verdicts(&body[..body.len() - 1], 2).is_err(), "a truncated answer proves nothing");
        assert!(verdicts(br#"{"errors":false}"#, 1).is_err());
        assert!(verdicts(b"<html>Welcome</html>", 1).is_err());
        assert!(verdicts(b"", 1).is_err());
    }

    #[test]
    fn each_status_has_its_meaning() {
        let error = |status: u16| {
            format!(
                r#"{{"status":{status},"error":{{"type":"t","reason":"r\u0041","caused_by":{{"reason":"c"}}}}}}"#
            )
        };
        let items: Vec<_> = [201, 409, 429, 503, 400, 403, 404, 413].map(error).into();
        let items: Vec<_> = items.iter().map(String::as_str).collect();
        let why = || "t: rA: c".to_owned();
        let expected = vec![
            Verdict::Delivered,
            Verdict::Delivered,
            Verdict::Again(why()),
            Verdict::Again(why()),
            Verdict::Refused(400, why()),
            Verdict::Held(why()),
            Verdict::Held(why()),
            Verdict::Refused(413, why()),
        ];
        assert_eq!(verdicts(&answer(true, &items), 8), Ok(Some(expected)));
    }

    #[test]
    fn conflicts_alone_are_a_success() {
        let body = answer(true, &[r#"{"status":409,"error":{"type":"version_conflict"}}"#]);
        assert_eq!(verdicts(&body, 1), Ok(None));
    }

    #[test]
    fn an_answer_that_contradicts_itself_is_not_believed() {
        let body = answer(false, &[r#"{"status":400}"#]);
        assert!(verdicts(&body, 1).unwrap_err().contains("no errors"));
    }

    #[test]
    fn reasons_are_bounded_and_whole_requests_have_theirs() {
        let long = "é".repeat(5000);
        let body = answer(
            true,
            &[&format!(r#"{{"status":400,"error":{{"type":"t","reason":"{long}"}}}}"#)],
        );
        let Ok(Some(verdicts)) = verdicts(&body, 1) else { panic!("one verdict") };
        let Verdict::Refused(400, reason) = &verdicts[0] else { panic!("{verdicts:?}") };
        assert!(reason.len() <= REASON_BYTES_MAX + 3 && reason.ends_with('…'));
        let whole = br#"{"error":{"root_cause":[],"type":"security_exception","reason":"no"},"status":401}"#;
        assert_eq!(request_reason(whole), "security_exception: no");
        assert_eq!(request_reason(b"<h1>Bad\n gateway</h1>"), "<h1>Bad gateway</h1>");
    }

    proptest::proptest! {
        #[test]
        fn never_panics(body: Vec<u8>, count in 0usize..4) {
            let _ = verdicts(&body, count);
            let _ = request_reason(&body);
        }
    }
}
