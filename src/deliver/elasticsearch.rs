//! `_bulk` of Elasticsearch and OpenSearch: parcels → requests, answers → what became of each item.
//!
//! A data stream takes only `create`. `_id` is the event's id, so an item that is sent twice is answered with 409
//! and counts as delivered: whatever happens to an answer, everything is there exactly once. A request that is too
//! large or too slow is followed by smaller ones, down to a single event, so that none can block the others.

use std::io::Write;

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use hyper::{Method, StatusCode};

use super::{
    Credentials, ElasticsearchSettings,
    answer::{self, Verdict},
    http::{Ask, Client, NoReply, Reply},
    parcel::{Item, Parcel, Refused, Sent},
    trouble::{Pace, Trouble},
};

/// What of an answer we need; servers that do not know `filter_path` send all of it.
const FILTER: &str = "filter_path=errors,items.*.status,items.*.error.type,items.*.error.reason,items.*.error.caused_by.reason";
/// Longest answer that is read: so much, and so much more for each item.
const ANSWER_BYTES: usize = 1 << 20;
const ANSWER_ITEM_BYTES: usize = 4 << 10;
/// Level 1 costs a third of level 6 and leaves a tenth more.
const GZIP_LEVEL: u32 = 1;

/// Sends parcels to a data stream.
pub(crate) struct Sender {
    client: Client,
    path: String,
    gzip: bool,
    /// Bytes in a request: as configured, or less where the server has said 413; and what it takes just now.
    bytes_max: usize,
    bytes_now: usize,
    proven: bool,
}

/// What one request did.
enum Step {
    /// Go on with the rest of the parcel.
    On,
    /// Pause.
    Pause(Trouble),
}

impl Sender {
    /// A sender; nothing is connected yet.
    pub(crate) fn new(
        settings: &ElasticsearchSettings,
        bytes_max: usize,
        limit: std::time::Duration,
    ) -> Result<Self, String> {
        let authorization = authorization(&settings.credentials);
        let client = Client::new(&settings.urls, &settings.tls, authorization, limit)?;
        let path = format!("/{}/_bulk?{FILTER}", data_stream(&settings.data_stream)?);
        let bytes_max = bytes_max.max(1);
        Ok(Self {
            client,
            path,
            gzip: settings.gzip,
            bytes_max,
            bytes_now: bytes_max,
            proven: false,
        })
    }

    /// Where the connection leads, if there is one.
    pub(crate) fn peer(&self) -> Option<String> {
        self.client.peer()
    }

    /// Whether the last request brought something in.
    pub(crate) fn proven(&self) -> bool {
        self.proven
    }

    /// Closes the connection.
    pub(crate) fn close(&mut self) {
        self.client.close();
    }

    /// Sends what is left of a parcel, in as many requests as it takes.
    pub(crate) async fn send(&mut self, parcel: &mut Parcel) -> Sent {
        self.proven = false;
        // What was answered "again" waits here, so that the rest of the parcel is not held up by it.
        let mut again: Vec<Item> = Vec::new();
        let mut pause: Option<Trouble> = None;
        while !parcel.items.is_empty() && pause.as_ref().is_none_or(|p| p.pace == Pace::Soon) {
            let count = self.count(parcel);
            match self.request(parcel, count, &mut again).await {
                Step::On => {}
                Step::Pause(trouble) => pause = Some(trouble),
            }
        }
        again.append(&mut parcel.items);
        parcel.items = again;
        match pause {
            Some(trouble) if !parcel.items.is_empty() => Sent::Left(trouble),
            _ => Sent::Taken,
        }
    }

    /// How many items of the parcel go into one request now.
    fn count(&self, parcel: &Parcel) -> usize {
        let mut bytes = 0;
        let fits = |item: &&Item| {
            bytes += item.end - item.start;
            bytes <= self.bytes_now
        };
        parcel.items.iter().take_while(fits).count().max(1)
    }

    async fn request(&mut self, parcel: &mut Parcel, count: usize, again: &mut Vec<Item>) -> Step {
        let ask = Ask {
            method: Method::POST,
            path: &self.path,
            body: self.body(parcel, count),
            content_type: Some("application/x-ndjson"),
            gzip: self.gzip,
            answer_bytes_max: ANSWER_BYTES + count * ANSWER_ITEM_BYTES,
        };
        match self.client.ask(ask).await {
            Ok(reply) => self.judge(parcel, count, again, &reply),
            Err(NoReply::Slow(trouble)) => {
                self.smaller(parcel, count);
                self.client.turn_away();
                Step::Pause(trouble)
            }
            Err(NoReply::Failed(trouble)) => {
                if trouble.pace != Pace::Now {
                    self.client.turn_away();
                }
                Step::Pause(trouble)
            }
        }
    }

    fn body(&self, parcel: &Parcel, count: usize) -> Bytes {
        let items = &parcel.items[..count];
        if !self.gzip && count == parcel.items.len() && parcel.is_whole() {
            return parcel.bytes.clone();
        }
        let slices = runs(items).map(|(start, end)| &parcel.bytes[start..end]);
        match self.gzip {
            true => gzip(slices),
            false => slices.collect::<Vec<_>>().concat().into(),
        }
    }

    fn judge(
        &mut self,
        parcel: &mut Parcel,
        count: usize,
        again: &mut Vec<Item>,
        reply: &Reply,
    ) -> Step {
        let said = || answer::request_reason(&reply.body);
        let status = reply.status;
        match status.as_u16() {
            200 | 201 => self.items(parcel, count, again, reply),
            401 | 403 => Step::Pause(Trouble::slow(format!(
                "{}: {status}: the credentials are refused or lack the right to create documents in the data stream: {}",
                self.name(),
                said()
            ))),
            413 => {
                if count > 1 {
                    self.bytes_max = (bytes(&parcel.items[..count]) / 8 * 7).max(1);
                }
                self.split(parcel, count, status, "the request is too large".into())
            }
            // The server understood nothing of the request: some event in it may be the cause.
            400 => self.split(parcel, count, status, said()),
            408 | 429 | 500.. => {
                if status != StatusCode::TOO_MANY_REQUESTS {
                    self.client.turn_away();
                }
                let pace = reply.retry_after.map_or(Pace::Grow, Pace::After);
                let what = format!("{}: {status}: {}", self.name(), said());
                Step::Pause(Trouble { what, pace })
            }
            300..=399 => {
                let to = reply.location.as_deref().unwrap_or("elsewhere");
                Step::Pause(Trouble::slow(format!(
                    "{}: {status}: it redirects to {to}; put the final address into urls",
                    self.name()
                )))
            }
            _ => Step::Pause(Trouble::slow(format!(
                "{}: {status}: {}; is it the URL of Elasticsearch or OpenSearch?",
                self.name(),
                said()
            ))),
        }
    }

    /// The results of each item in an answer with status 200.
    fn items(
        &mut self,
        parcel: &mut Parcel,
        count: usize,
        again: &mut Vec<Item>,
        reply: &Reply,
    ) -> Step {
        if reply.cut {
            self.smaller(parcel, count);
            let what = format!("{}: its answer is longer than is believable", self.name());
            return Step::Pause(Trouble::grow(what));
        }
        let verdicts = match answer::verdicts(&reply.body, count) {
            Ok(None) => {
                parcel.items.drain(..count);
                self.larger();
                return Step::On;
            }
            Ok(Some(verdicts)) => verdicts,
            Err(what) => {
                // Nothing is known of any item; sending all again makes it exactly once.
                self.client.turn_away();
                return Step::Pause(Trouble::grow(format!("{}: {what}", self.name())));
            }
        };
        let mut left = Left::default();
        for (item, verdict) in parcel.items.drain(..count).zip(verdicts) {
            match verdict {
                Verdict::Delivered => left.delivered += 1,
                Verdict::Refused(status, reason) => {
                    left.delivered += 1;
                    parcel.refused.push(Refused { item, status, reason });
                }
                Verdict::Again(why) => left.again(again, item, why),
                Verdict::Held(why) => left.hold(again, item, why),
            }
        }
        if left.delivered > 0 {
            self.larger();
        }
        left.step(count, &self.name(), reply)
    }

    /// A request that was refused as a whole: smaller ones from now on; a single event is refused for good.
    fn split(
        &mut self,
        parcel: &mut Parcel,
        count: usize,
        status: StatusCode,
        reason: String,
    ) -> Step {
        if count > 1 {
            self.smaller(parcel, count);
            return Step::On;
        }
        let refused = parcel.items.drain(..1);
        let status = status.as_u16();
        parcel.refused.extend(refused.map(|item| Refused { item, status, reason: reason.clone() }));
        Step::On
    }

    /// Halves what goes into a request, from what the last one held.
    fn smaller(&mut self, parcel: &Parcel, count: usize) {
        self.bytes_now = (bytes(&parcel.items[..count]) / 2).max(1);
    }

    /// Gives back, step by step, what was taken away.
    fn larger(&mut self) {
        self.proven = true;
        self.bytes_now = (self.bytes_now + self.bytes_now / 4 + 4096).min(self.bytes_max);
    }

    fn name(&self) -> String {
        self.client.peer().unwrap_or_else(|| "the server".into())
    }
}

/// What an answer leaves to be done.
#[derive(Default)]
struct Left {
    delivered: usize,
    busy: Option<String>,
    held: Option<String>,
}

impl Left {
    fn again(&mut self, again: &mut Vec<Item>, item: Item, why: String) {
        again.push(item);
        self.busy.get_or_insert(why);
    }

    fn hold(&mut self, again: &mut Vec<Item>, item: Item, why: String) {
        again.push(item);
        self.held.get_or_insert(why);
    }

    fn step(self, count: usize, name: &str, reply: &Reply) -> Step {
        let left = count - self.delivered;
        if let Some(why) = self.held {
            return Step::Pause(Trouble::slow(format!(
                "{name}: it does not take {left} of {count} events, and not because of what is in them: {why}"
            )));
        }
        let Some(why) = self.busy else { return Step::On };
        let what = format!("{name}: it is too busy for {left} of {count} events: {why}");
        let pace = match reply.retry_after {
            Some(wait) => Pace::After(wait),
            None if self.delivered > 0 => Pace::Soon,
            None => Pace::Grow,
        };
        Step::Pause(Trouble { what, pace })
    }
}

fn bytes(items: &[Item]) -> usize {
    items.iter().map(|item| item.end - item.start).sum()
}

/// Neighbouring items as one range each, so that a whole parcel is one slice.
fn runs(items: &[Item]) -> impl Iterator<Item = (usize, usize)> {
    items.chunk_by(|a, b| a.end == b.start).filter_map(|run| {
        let (first, last) = (run.first()?, run.last()?);
        Some((first.start, last.end))
    })
}

fn gzip<'a>(slices: impl Iterator<Item = &'a [u8]>) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(64 << 10), Compression::new(GZIP_LEVEL));
    for slice in slices {
        encoder.write_all(slice).expect("a Vec takes everything");
    }
    encoder.finish().expect("a Vec takes everything").into()
}

/// The value of the `Authorization` header.
pub(crate) fn authorization(credentials: &Credentials) -> Option<String> {
    match credentials {
        Credentials::None => None,
        Credentials::Basic { user, password } => {
            Some(format!("Basic {}", base64(format!("{user}:{}", password.reveal()).as_bytes())))
        }
        Credentials::ApiKey(key) => Some(format!("ApiKey {}", key.reveal())),
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |three: u32, shift: u32| char::from(DIGITS[(three >> shift & 63) as usize]);
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |n: usize| u32::from(chunk.get(n).copied().unwrap_or(0));
        let three = byte(0) << 16 | byte(1) << 8 | byte(2);
        text.extend([digit(three, 18), digit(three, 12)]);
        text.push(if chunk.len() > 1 { digit(three, 6) } else { '=' });
        text.push(if chunk.len() > 2 { digit(three, 0) } else { '=' });
    }
    text
}

/// The name, if it can stand in a path: Elasticsearch's own rules for names of data streams.
pub(crate) fn data_stream(name: &str) -> Result<&str, String> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.+".contains(&b);
    match name.bytes().all(allowed)
        && !name.is_empty()
        && name.len() <= 255
        && !name.starts_with(['-', '_', '+', '.'])
    {
        true => Ok(name),
        false => Err(format!(
            "`{name}` is no name of a data stream: small letters, digits, `-`, `_` and `.`, like logs-towline.events-default"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_standard() {
        let pairs =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")];
        for (plain, encoded) in pairs {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
        assert_eq!(base64(&[0xfb, 0xff, 0xfe]), "+//+");
    }

    #[test]
    fn names_of_data_streams_cannot_leave_their_path() {
        assert!(data_stream("logs-towline.events-default").is_ok());
        for wrong in ["", "Logs", "a/../_all", "a?b", "_bulk", "-a", "a b", "..", "a,b", "a%2f"] {
            assert!(data_stream(wrong).is_err(), "{wrong}");
        }
    }
}
