//! Tests of this module.

use proptest::prelude::*;

use super::*;

/// 2026-11-24T12:00:00Z
const NOW: i64 = 1_795_521_600;

fn clock(zone: &str, reference: i64) -> Clock {
    let zone = TimeZone::get(zone).expect("a zone of the database");
    Clock::new(zone, Time(reference * SECOND), None)
}

/// The time as RFC 3339 and how many bytes it took.
fn show(format: &str, text: &str, clock: &Clock) -> String {
    let format = TimeFormat::compile(format).expect("a good format");
    match format.parse(text.as_bytes(), clock) {
        None => "-".to_owned(),
        Some((time, used)) => {
            assert_eq!(format.scan(text.as_bytes()), Some(used));
            let at = Timestamp::from_nanosecond(time.0.into()).expect("in range");
            format!("{at} {used}")
        }
    }
}

#[test]
fn formats_of_programs() {
    let utc = clock("UTC", NOW);
    for (format, text, expected) in [
        ("%b %d %H:%M:%S", "Nov 22 01:15:04 x", "2026-11-22T01:15:04Z 15"),
        ("%b %d %H:%M:%S", "Nov  2 01:15:04", "2026-11-02T01:15:04Z 15"),
        ("%B %d %H:%M:%S", "november 22 01:15:04", "2026-11-22T01:15:04Z 20"),
        (
            "%Y-%m-%d %H:%M:%S%.f%:z",
            "2026-11-22 01:15:23.045207+00:00",
            "2026-11-22T01:15:23.045207Z 32",
        ),
        ("%Y-%m-%d %H:%M:%S%.f%z", "2026-11-22 01:15:23-0130", "2026-11-22T02:45:23Z 24"),
        ("%Y.%m.%d %H:%M:%S.%f", "2026.11.22 01:44:33.392", "2026-11-22T01:44:33.392Z 23"),
        ("%Y/%m/%d %H:%M:%S:%3f", "2026/11/22 01:00:00:123", "2026-11-22T01:00:00.123Z 23"),
        ("%Y/%m/%d [%H:%M:%S]", "2026/11/22 [01:32:16]", "2026-11-22T01:32:16Z 21"),
        ("%H:%M:%S.%f UTC", "01:20:14.261 UTC", "2026-11-24T01:20:14.261Z 16"),
        ("%H:%M:%S.%f %Z", "23:20:14.261 UTC", "2026-11-23T23:20:14.261Z 16"),
        ("%F %T,%L", "2026-11-22 01:13:21,834", "2026-11-22T01:13:21.834Z 23"),
        ("%d/%b/%Y:%H:%M:%S %z", "22/Nov/2026:01:13:21 +0100", "2026-11-22T00:13:21Z 26"),
        ("%a %b %e %I:%M:%S %p %Y", "Sun Nov 22 12:13:21 AM 2026", "2026-11-22T00:13:21Z 27"),
        ("%y%j %R", "26326 01:13", "2026-11-22T01:13:00Z 11"),
        ("%s", "1795310001", "2026-11-22T01:13:21Z 10"),
        ("epoch_ms", "1795310001839", "2026-11-22T01:13:21.839Z 13"),
        ("epoch_ns", "1795310001839000001", "2026-11-22T01:13:21.839000001Z 19"),
        ("rfc3339", "2026-11-22T01:13:21.839517639Z", "2026-11-22T01:13:21.839517639Z 30"),
        ("rfc3339", "2026-11-22t01:13:60z", "2026-11-22T01:14:00Z 20"),
        ("%Y-%m-%d", "2026-02-30", "-"),
        ("%Y-%m-%d", "2026-13-01", "-"),
        ("%H:%M:%S", "24:00:00", "-"),
        ("%Y", "2026", "-"),
        ("%Y-%m-%d %H:%M:%S", "9999-01-01 00:00:00", "-"),
        ("%b %d %H:%M:%S", "Now 22 01:15:04", "-"),
        ("%b %d %H:%M:%S", "", "-"),
    ] {
        let found = if format == "%Y" {
            // A year alone is no date.
            TimeFormat::compile(format)
                .expect("good")
                .parse(text.as_bytes(), &utc)
                .map_or("-".to_owned(), |_| "?".to_owned())
        } else {
            let compiled = TimeFormat::compile(format).expect("a good format");
            match compiled.parse(text.as_bytes(), &utc) {
                None => "-".to_owned(),
                Some(_) => show(format, text, &utc),
            }
        };
        assert_eq!(found, expected, "{format} on {text}");
    }
}

#[test]
fn auto_knows_what_encoders_write() {
    let utc = clock("UTC", NOW);
    for (text, expected) in [
        ("2026-11-22T01:13:21.839Z", "2026-11-22T01:13:21.839Z 24"),
        ("2026-11-22T01:13:21.839+0000", "2026-11-22T01:13:21.839Z 28"),
        ("2026-11-22 01:13:21,834", "2026-11-22T01:13:21.834Z 23"),
        ("2026-11-22T01:13:21,137+01:00", "2026-11-22T00:13:21.137Z 29"),
        ("2026-11-22T01:13:21.839", "2026-11-22T01:13:21.839Z 23"),
        ("1795310001", "2026-11-22T01:13:21Z 10"),
        ("1795310001.839", "2026-11-22T01:13:21.839Z 14"),
        ("1795310001.137752965", "2026-11-22T01:13:21.137752965Z 20"),
        ("1795310001839", "2026-11-22T01:13:21.839Z 13"),
        ("1795310001839517", "2026-11-22T01:13:21.839517Z 16"),
        ("1795310001839517639", "2026-11-22T01:13:21.839517639Z 19"),
        ("12345", "-"),
        ("soon", "-"),
        ("", "-"),
    ] {
        assert_eq!(show("auto", text, &utc), expected, "{text}");
    }
    assert_eq!(of_integer(1_795_310_001), Some(Time(1_795_310_001 * SECOND)));
    assert_eq!(of_integer(1_795_310_001_839), Some(Time(1_795_310_001_839_000_000)));
    assert_eq!(of_float(1_795_310_001.839), Some(Time(1_795_310_001_839_000_000)));
    assert_eq!((of_integer(7), of_float(f64::NAN), of_float(-1.0)), (None, None, None));
}

#[test]
fn a_year_that_is_not_said_is_the_latest_possible() {
    let new_year = 1_798_761_600; // 2027-01-01T00:00:00Z
    let show_at = |text, reference| show("%b %d %H:%M:%S", text, &clock("UTC", reference));
    assert_eq!(show_at("Dec 31 23:59:59", new_year + 5), "2026-12-31T23:59:59Z 15");
    assert_eq!(show_at("Jan  1 00:00:03", new_year + 5), "2027-01-01T00:00:03Z 15");
    // A clock that runs ahead of the reference by less than a day, over the turn of the year.
    assert_eq!(show_at("Jan  1 00:00:03", new_year - 5), "2027-01-01T00:00:03Z 15");
    assert_eq!(show_at("Jan  2 00:00:03", new_year - 5), "2026-01-02T00:00:03Z 15");
    assert_eq!(show_at("Feb 29 12:00:00", NOW), "2024-02-29T12:00:00Z 15");
    assert_eq!(show_at("Feb 30 12:00:00", NOW), "-");
    let mut said = clock("UTC", NOW);
    said.year = Some(2019);
    assert_eq!(show("%b %d %H:%M:%S", "Dec 31 23:59:59", &said), "2019-12-31T23:59:59Z 15");
    assert_eq!(show("%b %d %H:%M:%S", "Feb 29 23:59:59", &said), "-");
}

#[test]
fn a_date_that_is_not_said_is_todays_or_yesterdays() {
    let at = |text, zone| show("%H:%M:%S", text, &clock(zone, NOW));
    assert_eq!(at("11:59:00", "UTC"), "2026-11-24T11:59:00Z 8");
    assert_eq!(at("12:59:59", "UTC"), "2026-11-24T12:59:59Z 8");
    assert_eq!(at("13:00:01", "UTC"), "2026-11-23T13:00:01Z 8");
    assert_eq!(at("13:30:00", "Europe/Berlin"), "2026-11-24T12:30:00Z 8");
    assert_eq!(at("02:00:00", "Pacific/Auckland"), "2026-11-24T13:00:00Z 8");
}

#[test]
fn zones_with_daylight_saving() {
    let berlin = clock("Europe/Berlin", NOW);
    let at = |text| show("%Y-%m-%d %H:%M:%S", text, &berlin);
    assert_eq!(at("2026-07-01 12:00:00"), "2026-07-01T10:00:00Z 19");
    assert_eq!(at("2026-12-01 12:00:00"), "2026-12-01T11:00:00Z 19");
    // 02:30 does not exist on 29 March: it is taken as 03:30 summer time.
    assert_eq!(at("2026-03-29 02:30:00"), "2026-03-29T01:30:00Z 19");
    // 02:30 exists twice on 25 October: the first.
    assert_eq!(at("2026-10-25 02:30:00"), "2026-10-25T00:30:00Z 19");
    assert_eq!(at("2026-10-25 03:30:00"), "2026-10-25T02:30:00Z 19");
    // The remembered hour answers the same as the zone, also where the transition is at the half hour.
    let howe = clock("Australia/Lord_Howe", NOW);
    for zone in [&berlin, &howe] {
        for quarter in 0..4 * 24 * 400 {
            let civil = 1_767_225_600 + quarter * 900;
            assert_eq!(zone.seconds_of(civil), zone.ask(civil), "{civil}");
        }
    }
}

#[test]
fn mistakes_are_told() {
    assert_eq!(TimeFormat::compile("%Y-%Q").expect_err("unknown").offset, 3);
    assert!(TimeFormat::compile("%").is_err());
    assert!(TimeFormat::compile("Y-m").is_err());
    assert!(TimeFormat::compile("").is_err());
}

proptest! {
    #[test]
    fn never_panics(format in "(%[A-Za-z]|%\\.f|%:z|%3f|[ :x]){1,8}", text in "[0-9A-Za-z:+., -]{0,40}") {
        if let Ok(format) = TimeFormat::compile(&format) {
            let _ = format.parse(text.as_bytes(), &clock("Europe/Berlin", NOW));
        }
    }

    #[test]
    fn auto_never_panics(text in "-?[0-9]{0,25}[-.,]?[0-9T:]{0,20}", reference in any::<i64>()) {
        let clock = Clock::utc(Time(reference));
        for format in ["auto", "epoch", "epoch_ms", "epoch_ns", "%b %d %H:%M:%S", "%H:%M:%S"] {
            let format = TimeFormat::compile(format).expect("good");
            let _ = format.parse(text.as_bytes(), &clock);
            let _ = format.parse(b"Feb 29 12:00:00", &clock);
            let _ = format.parse(b"12:00:00", &clock);
        }
    }

    #[test]
    fn round_trips(nanos in 0_i64..4_000_000_000_000_000_000) {
        let at = Timestamp::from_nanosecond(nanos.into()).expect("in range");
        let (time, _) = TimeFormat::compile("rfc3339").expect("known")
            .parse(at.to_string().as_bytes(), &Clock::utc(Time(0))).expect("a time");
        prop_assert_eq!(time.0, nanos);
    }
}
