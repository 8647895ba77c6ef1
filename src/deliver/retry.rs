//! Pauses between tries: exponential with jitter, `Retry-After` honoured. The only user of the `backoff` crate
//! (it is no longer maintained: this is the one file to change). Knows no clock and does not sleep.

use std::time::Duration;

use backoff::{ExponentialBackoff, backoff::Backoff};

use super::trouble::Pace;

/// The longest `Retry-After` that is believed.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// Part of the first pause that is waited when the receiver took some of a batch.
const SOON_DIVISOR: u32 = 10;

/// The pauses of one destination.
pub(crate) struct Retry {
    policy: ExponentialBackoff,
    min: Duration,
    max: Duration,
    tries: u32,
}

impl Retry {
    /// Pauses that start around `min` and grow to `max`.
    pub(crate) fn new(min: Duration, max: Duration) -> Self {
        let min = min.max(Duration::from_millis(1));
        let max = max.max(min);
        let mut policy = ExponentialBackoff {
            initial_interval: min,
            max_interval: max,
            multiplier: 2.0,
            randomization_factor: 0.5,
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        };
        policy.reset();
        Self { policy, min, max, tries: 0 }
    }

    /// How long to wait before the next try.
    pub(crate) fn pause(&mut self, pace: Pace) -> Duration {
        self.tries = self.tries.saturating_add(1);
        match pace {
            Pace::Now => Duration::ZERO,
            Pace::Soon => jitter(self.min / SOON_DIVISOR, self.min / SOON_DIVISOR),
            Pace::Grow => self.grow(),
            Pace::After(said) => self.grow().max(said.min(RETRY_AFTER_MAX)),
            Pace::Slow => jitter(self.max / 2, self.max / 2),
        }
    }

    /// Tries without success since the last [`Retry::succeeded`].
    pub(crate) fn tries(&self) -> u32 {
        self.tries
    }

    /// The receiver is well: pauses begin small again.
    pub(crate) fn succeeded(&mut self) {
        if self.tries > 0 {
            self.tries = 0;
            self.policy.reset();
        }
    }

    fn grow(&mut self) -> Duration {
        self.policy.next_backoff().unwrap_or(self.max).clamp(Duration::from_millis(1), self.max)
    }
}

/// Between `base` and `base + spread`, at random.
fn jitter(base: Duration, spread: Duration) -> Duration {
    let mut policy = ExponentialBackoff {
        initial_interval: base + spread / 2,
        randomization_factor: 1.0 / 3.0,
        max_elapsed_time: None,
        ..ExponentialBackoff::default()
    };
    policy.reset();
    policy.next_backoff().unwrap_or(base)
}

/// The value of a `Retry-After` header: seconds, or a date (RFC 9110, 10.2.3).
pub(crate) fn retry_after(value: &str, now_seconds: i64) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX));
    }
    let date = jiff::fmt::rfc2822::parse(value).ok()?;
    let wait = u64::try_from(date.timestamp().as_second() - now_seconds).unwrap_or(0);
    Some(Duration::from_secs(wait).min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIN: Duration = Duration::from_millis(100);
    const MAX: Duration = Duration::from_secs(5);

    #[test]
    fn pauses_grow_stay_bounded_and_begin_again_after_success() {
        let mut retry = Retry::new(MIN, MAX);
        let first = retry.pause(Pace::Grow);
        assert!(first >= MIN / 2 && first <= MIN * 3 / 2, "{first:?}");
        let later: Vec<_> = (0..20).map(|_| retry.pause(Pace::Grow)).collect();
        assert!(later.iter().all(|p| *p <= MAX));
        assert!(later[15..].iter().all(|p| *p >= MAX / 2), "{later:?}");
        assert_eq!(retry.tries(), 21);
        retry.succeeded();
        assert!(retry.pause(Pace::Grow) <= MIN * 3 / 2);
    }

    #[test]
    fn two_couriers_do_not_knock_in_step() {
        let pauses: Vec<_> =
            (0..32).map(|_| Retry::new(MIN, MAX).pause(Pace::Grow)).collect::<Vec<_>>();
        assert!(pauses.iter().any(|p| *p != pauses[0]));
    }

    #[test]
    fn the_receiver_may_ask_for_more_time_but_not_for_ever() {
        let mut retry = Retry::new(MIN, MAX);
        let said = Duration::from_secs(30);
        assert_eq!(retry.pause(Pace::After(said)), said);
        assert_eq!(retry.pause(Pace::After(Duration::from_secs(u64::MAX / 4))), RETRY_AFTER_MAX);
        assert!(retry.pause(Pace::After(Duration::ZERO)) > Duration::ZERO);
    }

    #[test]
    fn soon_is_shorter_than_the_first_pause_and_slow_near_the_longest() {
        let mut retry = Retry::new(MIN, MAX);
        for _ in 0..50 {
            let soon = retry.pause(Pace::Soon);
            assert!(soon >= MIN / 11 && soon <= MIN / 4, "{soon:?}");
            let slow = retry.pause(Pace::Slow);
            assert!(slow >= MAX / 3 && slow <= MAX * 11 / 10, "{slow:?}");
        }
        assert_eq!(retry.pause(Pace::Now), Duration::ZERO);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(retry_after(" 7 ", 0), Some(Duration::from_secs(7)));
        let date = "Wed, 21 Oct 2015 07:28:00 GMT";
        assert_eq!(retry_after(date, 1_445_412_470), Some(Duration::from_secs(10)));
        assert_eq!(retry_after(date, 1_545_412_470), Some(Duration::ZERO));
        assert_eq!(retry_after("soon", 0), None);
        assert_eq!(retry_after("-3", 0), None);
    }
}
