//! Values of records → values of their field's type. What does not fit is said so, never bent.

use std::{io::Write, net::IpAddr};

use super::tree::Content;
use crate::{
    event::{FieldType, Time, Value},
    parse::{Clock, Scalar, TimeFormat, time},
};

/// Texts longer than this are no number, address, time or truth value.
const TYPED_BYTES_MAX: usize = 64;

/// A constant of a mapping file, of its field's type.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Constant {
    Text(Box<str>),
    Value(Value),
}

/// How a value fits its field.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Fit {
    /// As the text that was given.
    Text,
    /// As the text that [`write_scalar`] makes of it.
    Written,
    /// As this.
    Value(Value),
    /// There is no value: `null`, or a text without a character.
    Nothing,
    /// Not at all.
    Misfit,
}

/// Fits a value into a type. `text` is the value's text where it has one.
pub(crate) fn fit(ty: FieldType, scalar: Scalar, text: &[u8], clock: &Clock) -> Fit {
    match scalar {
        Scalar::Null => Fit::Nothing,
        Scalar::Text(_) if text.is_empty() => Fit::Nothing,
        Scalar::Text(_) => fit_text(ty, text, clock),
        _ if matches!(ty, FieldType::Keyword | FieldType::Text) => Fit::Written,
        Scalar::Long(number) => fit_long(ty, number),
        Scalar::Double(number) => fit_double(ty, number),
        Scalar::Boolean(truth) if ty == FieldType::Boolean => Fit::Value(Value::Boolean(truth)),
        Scalar::Time(time) if ty == FieldType::Date => Fit::Value(Value::Date(time)),
        Scalar::Ip(ip) if ty == FieldType::Ip => Fit::Value(Value::Ip(ip)),
        Scalar::Boolean(_) | Scalar::Time(_) | Scalar::Ip(_) => Fit::Misfit,
    }
}

fn fit_text(ty: FieldType, text: &[u8], clock: &Clock) -> Fit {
    if matches!(ty, FieldType::Keyword | FieldType::Text) {
        return Fit::Text;
    }
    let short = text.len() <= TYPED_BYTES_MAX;
    let value =
        short.then_some(text).and_then(|text| std::str::from_utf8(text).ok()).and_then(|text| {
            match ty {
                FieldType::Long => text.parse().ok().map(Value::Long),
                FieldType::Double => finite(text.parse().ok()?).map(Value::Double),
                FieldType::Boolean => truth(text).map(Value::Boolean),
                FieldType::Ip => address(text).map(Value::Ip),
                FieldType::Date => date(text, clock).map(Value::Date),
                FieldType::Keyword | FieldType::Text => None,
            }
        });
    value.map_or(Fit::Misfit, Fit::Value)
}

fn fit_long(ty: FieldType, number: i64) -> Fit {
    let value = match ty {
        FieldType::Long => Some(Value::Long(number)),
        #[expect(clippy::cast_precision_loss, reason = "the field is a floating point number")]
        FieldType::Double => Some(Value::Double(number as f64)),
        FieldType::Boolean => (0..=1).contains(&number).then_some(Value::Boolean(number == 1)),
        FieldType::Date => time::of_integer(number).map(Value::Date),
        FieldType::Ip | FieldType::Keyword | FieldType::Text => None,
    };
    value.map_or(Fit::Misfit, Fit::Value)
}

fn fit_double(ty: FieldType, number: f64) -> Fit {
    /// Integers beyond this are not exact in a floating point number.
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    let value = match ty {
        FieldType::Double => finite(number).map(Value::Double),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "it was checked to be an integer in range"
        )]
        FieldType::Long if number.fract() == 0.0 && number.abs() <= EXACT_MAX => {
            Some(Value::Long(number as i64))
        }
        FieldType::Date => time::of_float(number).map(Value::Date),
        _ => None,
    };
    value.map_or(Fit::Misfit, Fit::Value)
}

fn finite(number: f64) -> Option<f64> {
    number.is_finite().then_some(number)
}

fn truth(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// An address, maybe in brackets; IPv4-mapped ones are IPv4.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().map(|ip: IpAddr| ip.to_canonical())
}

fn date(text: &str, clock: &Clock) -> Option<Time> {
    thread_local! {
        static AUTO: Option<TimeFormat> = TimeFormat::compile("auto").ok();
    }
    AUTO.with(|auto| {
        let (time, used) = auto.as_ref()?.parse(text.as_bytes(), clock)?;
        (used == text.len()).then_some(time)
    })
}

/// Appends a value's text form, where it is not text already.
pub(crate) fn write_scalar(scalar: Scalar, out: &mut Vec<u8>) {
    let written = match scalar {
        Scalar::Text(_) | Scalar::Null => Ok(()),
        Scalar::Long(number) => write!(out, "{number}"),
        Scalar::Double(number) => write!(out, "{number}"),
        Scalar::Boolean(truth) => write!(out, "{truth}"),
        Scalar::Ip(ip) => write!(out, "{ip}"),
        Scalar::Time(time) => {
            write!(out, "{}", jiff::Timestamp::from_nanosecond(time.0.into()).unwrap_or_default())
        }
    };
    written.expect("a Vec takes all that is written to it");
}

/// A constant of a mapping file as a value of a field's type.
pub(crate) fn constant(ty: FieldType, value: &Content) -> Option<Constant> {
    let clock = Clock::utc(Time(0));
    let fitted = match value {
        Content::Text(text) => match fit_text(ty, text.as_bytes(), &clock) {
            Fit::Text => return Some(Constant::Text(text.as_str().into())),
            fit => fit,
        },
        Content::Integer(number) => fit_long(ty, *number),
        Content::Float(number) => fit_double(ty, *number),
        Content::Boolean(truth) if ty == FieldType::Boolean => Fit::Value(Value::Boolean(*truth)),
        _ => Fit::Misfit,
    };
    match fitted {
        Fit::Value(value) => Some(Constant::Value(value)),
        _ => None,
    }
}

/// The usual name of a log level: lower case, and one spelling of each. `None` keeps the word as it is.
pub(crate) fn level(word: &[u8]) -> Option<&'static str> {
    /// The longest word of the list.
    const BYTES_MAX: usize = 13;
    const LEVELS: &[(&str, &str)] = &[
        ("info", "info"),
        ("debug", "debug"),
        ("warn", "warning"),
        ("warning", "warning"),
        ("error", "error"),
        ("err", "error"),
        ("notice", "notice"),
        ("trace", "trace"),
        ("critical", "critical"),
        ("crit", "critical"),
        ("fatal", "fatal"),
        ("alert", "alert"),
        ("emerg", "emerg"),
        ("emergency", "emerg"),
        ("panic", "emerg"),
        ("information", "info"),
        ("informational", "info"),
        ("verbose", "verbose"),
        ("severe", "error"),
    ];
    if word.len() > BYTES_MAX {
        return None;
    }
    let same = |name: &&(&str, &str)| name.0.as_bytes().eq_ignore_ascii_case(word);
    LEVELS.iter().find(same).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::Slice;

    fn text(ty: FieldType, text: &str) -> Fit {
        fit(ty, Scalar::Text(Slice::default()), text.as_bytes(), &Clock::utc(Time(0)))
    }

    #[test]
    fn text_becomes_what_the_field_is() {
        assert_eq!(text(FieldType::Long, "42"), Fit::Value(Value::Long(42)));
        assert_eq!(text(FieldType::Long, "4x"), Fit::Misfit);
        assert_eq!(text(FieldType::Long, "9223372036854775808"), Fit::Misfit);
        assert_eq!(text(FieldType::Double, "1e999"), Fit::Misfit);
        assert_eq!(text(FieldType::Boolean, "True"), Fit::Value(Value::Boolean(true)));
        assert_eq!(text(FieldType::Boolean, "maybe"), Fit::Misfit);
        let ip = |ip: &str| Fit::Value(Value::Ip(ip.parse().unwrap()));
        assert_eq!(text(FieldType::Ip, "[2001:db8::1]"), ip("2001:db8::1"));
        assert_eq!(text(FieldType::Ip, "::ffff:198.51.100.7"), ip("198.51.100.7"));
        assert_eq!(text(FieldType::Ip, "romeo"), Fit::Misfit);
        assert_eq!(text(FieldType::Keyword, "x"), Fit::Text);
        assert_eq!(text(FieldType::Keyword, ""), Fit::Nothing);
    }

    #[test]
    fn numbers_fit_where_nothing_is_lost() {
        let clock = Clock::utc(Time(0));
        let fit = |ty, scalar| fit(ty, scalar, b"", &clock);
        assert_eq!(fit(FieldType::Long, Scalar::Double(3.0)), Fit::Value(Value::Long(3)));
        assert_eq!(fit(FieldType::Long, Scalar::Double(3.5)), Fit::Misfit);
        assert_eq!(fit(FieldType::Keyword, Scalar::Long(3)), Fit::Written);
        assert_eq!(fit(FieldType::Ip, Scalar::Long(3)), Fit::Misfit);
        assert_eq!(fit(FieldType::Keyword, Scalar::Null), Fit::Nothing);
        let time = Value::Date(Time(1_764_000_000_000_000_000));
        assert_eq!(fit(FieldType::Date, Scalar::Long(1_764_000_000)), Fit::Value(time));
    }

    #[test]
    fn dates_are_read_in_their_usual_forms() {
        let time = Fit::Value(Value::Date(Time(1_764_000_000_500_000_000)));
        assert_eq!(text(FieldType::Date, "2025-11-24T16:00:00.5Z"), time);
        assert_eq!(text(FieldType::Date, "2025-11-24T16:00:00.5Z and more"), Fit::Misfit);
    }

    #[test]
    fn levels_have_one_spelling() {
        for (word, expected) in
            [("WARN", Some("warning")), ("Err", Some("error")), ("crit", Some("critical"))]
        {
            assert_eq!(level(word.as_bytes()), expected);
        }
        assert_eq!(level(b"17"), None);
    }
}
