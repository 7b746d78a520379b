//! Decides when a lease is looked after, and whether a renewal is good enough. Time is an argument.

use tokio::time::{Duration, Instant};

use crate::found::Lease;

/// Between two attempts that fail.
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(10);
/// No matter what a store says, it is not asked more often.
pub(super) const PAUSE_MIN: Duration = Duration::from_millis(20);

/// What a renewal is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Renewal {
    /// Go on with it.
    Enough,
    /// The longest life is near: take a new secret while the old one still holds.
    Short,
}

/// Returns how long to wait: half of what the lease was given for, or until the login wants to be
/// renewed; without a lease the time between two readings.
pub(super) fn pause(
    lease: Option<&Lease>,
    login_due: Option<Instant>,
    refresh: Duration,
    now: Instant,
) -> Duration {
    let Some(lease) = lease else { return refresh };
    let due = lease.ends.checked_sub(lease.granted / 2).unwrap_or(now);
    let first = login_due.map_or(due, |login| login.min(due));
    first.saturating_duration_since(now)
}

/// Returns how long to wait after so many failures in a row: soon at first, and often enough to have
/// several attempts in the rest of the lease.
pub(super) fn retry(lease: Option<&Lease>, failures: u32, refresh: Duration) -> Duration {
    let doubled = RETRY_MIN.saturating_mul(1 << failures.clamp(1, 16).saturating_sub(1));
    let bound = lease.map_or(refresh, |lease| lease.granted / 8);
    doubled.min(bound.max(RETRY_MIN)).min(RETRY_MAX)
}

/// Tells whether the time that a renewal gave is close to that of the beginning.
pub(super) fn after_renewal(lease: &Lease, left: Duration) -> Renewal {
    if left * 3 >= lease.granted * 2 { Renewal::Enough } else { Renewal::Short }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(granted: u64, left: u64, now: Instant) -> Lease {
        let (granted, ends) = (Duration::from_secs(granted), now + Duration::from_secs(left));
        Lease { id: "x".to_owned(), granted, ends, renewable: true, login: 1 }
    }

    #[test]
    fn a_lease_is_looked_after_at_half_of_its_time_or_with_the_login() {
        let now = Instant::now();
        let refresh = Duration::from_secs(300);
        let check = |lease: Option<&Lease>, login: Option<u64>, expected: u64| {
            let login = login.map(|seconds| now + Duration::from_secs(seconds));
            assert_eq!(pause(lease, login, refresh, now), Duration::from_secs(expected));
        };
        check(None, None, 300);
        check(Some(&lease(60, 60, now)), None, 30);
        check(Some(&lease(60, 60, now)), Some(10), 10);
        check(Some(&lease(60, 60, now)), Some(50), 30);
        check(Some(&lease(60, 20, now)), None, 0);
    }

    #[test]
    fn retries_fit_into_the_rest_of_the_lease() {
        let now = Instant::now();
        let check = |granted: Option<u64>, failures: u32, expected_ms: u64| {
            let lease = granted.map(|granted| lease(granted, granted, now));
            let wait = retry(lease.as_ref(), failures, Duration::from_secs(300));
            assert_eq!(wait, Duration::from_millis(expected_ms));
        };
        check(Some(3_600), 1, 100);
        check(Some(3_600), 3, 400);
        check(Some(3_600), 40, 10_000);
        check(Some(2), 5, 250);
        check(None, 40, 10_000);
    }

    #[test]
    fn a_renewal_that_gives_little_is_not_enough() {
        let now = Instant::now();
        let of = |left_ms: u64| after_renewal(&lease(60, 60, now), Duration::from_millis(left_ms));
        assert_eq!(of(60_000), Renewal::Enough);
        assert_eq!(of(40_000), Renewal::Enough);
        assert_eq!(of(39_999), Renewal::Short);
    }
}
