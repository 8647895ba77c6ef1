//! Times in the status's JSON as RFC 3339, in UTC.

use serde::{Deserialize, Deserializer, Serializer, de::Error};

use crate::event::Time;

pub(super) fn serialize<S: Serializer>(time: &Time, serializer: S) -> Result<S::Ok, S::Error> {
    // Every i64 of nanoseconds is a time that jiff knows.
    let time = jiff::Timestamp::from_nanosecond(time.0.into()).unwrap_or_default();
    serializer.collect_str(&time)
}

pub(super) fn deserialize<'d, D: Deserializer<'d>>(deserializer: D) -> Result<Time, D::Error> {
    let time: jiff::Timestamp =
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)?;
    i64::try_from(time.as_nanosecond())
        .map(Time)
        .map_err(|_| D::Error::custom("a time beyond the year 2262"))
}

#[cfg(test)]
mod tests {
    use crate::{event::Time, report::Trouble};

    #[test]
    fn times_come_back() {
        for time in [0, i64::MAX, i64::MIN, 1_795_564_800_123_456_789] {
            let trouble = Trouble { time: Time(time), what: String::new() };
            let json = serde_json::to_string(&trouble).unwrap();
            assert_eq!(serde_json::from_str::<Trouble>(&json).unwrap(), trouble, "{json}");
        }
        let json = serde_json::to_string(&Trouble::default()).unwrap();
        assert!(json.contains(r#""time":"1970-01-01T00:00:00Z""#), "{json}");
    }
}
