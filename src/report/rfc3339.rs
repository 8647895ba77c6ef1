//! Times in the status's JSON as RFC 3339, in UTC.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

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

/// The same where there may be no time.
pub(super) mod maybe {
    use super::{Deserialize, Deserializer, Serialize, Serializer, Time};

    #[derive(Serialize, Deserialize)]
    struct Wrapped(#[serde(with = "super")] Time);

    pub(crate) fn serialize<S: Serializer>(
        time: &Option<Time>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        time.map(Wrapped).serialize(serializer)
    }

    pub(crate) fn deserialize<'d, D: Deserializer<'d>>(
        deserializer: D,
    ) -> Result<Option<Time>, D::Error> {
        Ok(Option::<Wrapped>::deserialize(deserializer)?.map(|wrapped| wrapped.0))
    }
}

#[cfg(test)]
mod tests {
    use crate::{event::Time, report::DestinationStatus};

    #[test]
    fn times_come_back() {
        for time in [
            None,
            Some(Time(0)),
            Some(Time(i64::MAX)),
            Some(Time(i64::MIN)),
            Some(Time(1_795_564_800_123_456_789)),
        ] {
            let status = DestinationStatus { last_ack: time, ..DestinationStatus::default() };
            let json = serde_json::to_string(&status).unwrap();
            assert_eq!(serde_json::from_str::<DestinationStatus>(&json).unwrap(), status, "{json}");
        }
        let status = DestinationStatus { last_ack: Some(Time(0)), ..DestinationStatus::default() };
        assert!(
            serde_json::to_string(&status)
                .unwrap()
                .contains(r#""last_ack":"1970-01-01T00:00:00Z""#)
        );
    }
}
