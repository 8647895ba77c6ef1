//! Numbers, times, addresses and ids as text, appended to a buffer without allocation.

use std::{io::Write as _, net::IpAddr};

use crate::event::Time;

const PAIRS: &[u8; 200] = b"0001020304050607080910111213141516171819\
    2021222324252627282930313233343536373839\
    4041424344454647484950515253545556575859\
    6061626364656667686970717273747576777879\
    8081828384858687888990919293949596979899";

fn pair(n: u64) -> [u8; 2] {
    let at = (n % 100) as usize * 2;
    [PAIRS[at], PAIRS[at + 1]]
}

/// Plain decimal.
pub(crate) fn unsigned(out: &mut Vec<u8>, mut n: u64) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    while n >= 10 {
        at -= 2;
        digits[at..at + 2].copy_from_slice(&pair(n));
        n /= 100;
    }
    // The loop leaves one digit to write, or nothing of an even number of digits.
    if n > 0 || at == digits.len() {
        at -= 1;
        digits[at] = b'0' + (n % 10) as u8;
    }
    out.extend_from_slice(&digits[at..]);
}

/// Plain decimal with a sign where negative.
pub(crate) fn integer(out: &mut Vec<u8>, n: i64) {
    if n < 0 {
        out.push(b'-');
    }
    unsigned(out, n.unsigned_abs());
}

/// A finite number in its shortest form that reads back equal; valid JSON (`1.5`, `2.0`, `1e300`).
pub(crate) fn double(out: &mut Vec<u8>, n: f64) {
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{n:?}");
}

/// The same in plain decimal, never with an exponent.
pub(crate) fn decimal(out: &mut Vec<u8>, n: f64) {
    let _ = write!(out, "{n}");
}

/// IPv4 dotted, IPv6 as RFC 5952 wants it.
pub(crate) fn ip(out: &mut Vec<u8>, ip: IpAddr) {
    match ip {
        IpAddr::V4(v4) => {
            for (n, octet) in v4.octets().into_iter().enumerate() {
                if n > 0 {
                    out.push(b'.');
                }
                unsigned(out, octet.into());
            }
        }
        IpAddr::V6(v6) => {
            let _ = write!(out, "{v6}");
        }
    }
}

const HEX: [[u8; 2]; 256] = {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut n = 0;
    while n < 256 {
        pairs[n] = [DIGITS[n >> 4], DIGITS[n & 15]];
        n += 1;
    }
    pairs
};

/// Lower case hexadecimal.
pub(crate) fn hex(out: &mut Vec<u8>, bytes: &[u8; 16]) {
    let mut text = [0_u8; 32];
    for (two, byte) in text.chunks_exact_mut(2).zip(bytes) {
        two.copy_from_slice(&HEX[usize::from(*byte)]);
    }
    out.extend_from_slice(&text);
}

/// A point in time taken apart, proleptic Gregorian, UTC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Civil {
    pub(crate) year: u32,
    pub(crate) month: u32,
    pub(crate) day: u32,
    pub(crate) second_of_day: u32,
    pub(crate) nanosecond: u32,
}

impl Civil {
    /// Every [`Time`] lies in the years 1677 to 2262, so that days and years fit into 32 bits.
    pub(crate) fn of(time: Time) -> Self {
        /// Days from 1600-03-01, the beginning of an era of 400 years, to 1970-01-01.
        const EPOCH: i64 = 135_080;
        let seconds = time.seconds();
        let days = (seconds.div_euclid(86_400) + EPOCH) as u32;
        // Howard Hinnant's `civil_from_days`: years begin on March 1.
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * day_of_year + 2) / 153;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        Self {
            year: 1_600 + era * 400 + year_of_era + u32::from(month <= 2),
            month,
            day: day_of_year - (153 * from_march + 2) / 5 + 1,
            second_of_day: seconds.rem_euclid(86_400) as u32,
            nanosecond: time.0.rem_euclid(1_000_000_000) as u32,
        }
    }
}

/// RFC 3339 in UTC with at most `fraction_max` digits of the second's fraction, trailing zeros trimmed.
pub(crate) fn rfc3339(out: &mut Vec<u8>, time: Time, fraction_max: usize) {
    let civil = Civil::of(time);
    let mut text = *b"0000-00-00T00:00:00.000000000Z";
    let mut put = |at: usize, n: u32| text[at..at + 2].copy_from_slice(&pair(n.into()));
    put(0, civil.year / 100);
    put(2, civil.year);
    put(5, civil.month);
    put(8, civil.day);
    put(11, civil.second_of_day / 3_600);
    put(14, civil.second_of_day / 60 % 60);
    put(17, civil.second_of_day % 60);
    put(20, civil.nanosecond / 10_000_000);
    put(22, civil.nanosecond / 100_000);
    put(24, civil.nanosecond / 1_000);
    put(26, civil.nanosecond / 10);
    text[28] = b'0' + (civil.nanosecond % 10) as u8;
    // Most logs have milliseconds, many whole seconds.
    let digits = match civil.nanosecond {
        0 => 0,
        n if n % 1_000_000 == 0 => 3,
        _ => 9,
    };
    let mut end = 20 + fraction_max.min(digits);
    while text[end - 1] == b'0' && end > 20 {
        end -= 1;
    }
    if end == 20 {
        end = 19;
    }
    text[end] = b'Z';
    out.extend_from_slice(&text[..=end]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("scalars are ASCII")
    }

    #[test]
    fn integers_at_their_limits() {
        for n in [0, 1, 9, 10, 99, 100, 101, 1000, -1, -10, i64::MAX, i64::MIN] {
            assert_eq!(written(|out| integer(out, n)), n.to_string());
        }
        assert_eq!(written(|out| unsigned(out, u64::MAX)), u64::MAX.to_string());
    }

    #[test]
    fn fractions_are_trimmed_and_cut() {
        let time = Time(1_763_680_500_123_450_000);
        assert_eq!(written(|out| rfc3339(out, time, 9)), "2025-11-20T23:15:00.12345Z");
        assert_eq!(written(|out| rfc3339(out, time, 3)), "2025-11-20T23:15:00.123Z");
        assert_eq!(written(|out| rfc3339(out, time, 0)), "2025-11-20T23:15:00Z");
        assert_eq!(written(|out| rfc3339(out, Time(1), 6)), "1970-01-01T00:00:00Z");
        assert_eq!(written(|out| rfc3339(out, Time(-1), 9)), "1969-12-31T23:59:59.999999999Z");
    }

    proptest! {
        #[test]
        fn any_integer_is_as_the_standard_library_writes_it(n: i64, m: u64, small in 0_u64..20_000) {
            prop_assert_eq!(written(|out| integer(out, n)), n.to_string());
            prop_assert_eq!(written(|out| unsigned(out, m)), m.to_string());
            prop_assert_eq!(written(|out| unsigned(out, small)), small.to_string());
        }

        #[test]
        fn any_time_reads_back_equal(n: i64) {
            let text = written(|out| rfc3339(out, Time(n), 9));
            let read: jiff::Timestamp = text.parse().expect("RFC 3339");
            prop_assert_eq!(read.as_nanosecond(), i128::from(n));
        }

        #[test]
        fn any_address_is_as_the_standard_library_writes_it(v4: u32, v6: u128) {
            for address in [IpAddr::V4(v4.into()), IpAddr::V6(v6.into())] {
                prop_assert_eq!(written(|out| ip(out, address)), address.to_string());
            }
        }

        #[test]
        fn any_finite_number_reads_back_equal(n in proptest::num::f64::NORMAL | proptest::num::f64::ZERO) {
            let json = written(|out| double(out, n));
            prop_assert!(serde_json::from_str::<f64>(&json).is_ok(), "{json}");
            prop_assert_eq!(json.parse::<f64>().expect("a number"), n);
            prop_assert_eq!(written(|out| decimal(out, n)).parse::<f64>().expect("decimal"), n);
        }
    }
}
