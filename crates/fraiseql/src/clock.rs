//! The time of day, asked here and nowhere else, and how people and files read it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Returns the seconds since the epoch of Unix.
pub(crate) fn now_s() -> u64 {
    since_epoch().as_secs()
}

/// Returns the milliseconds since the epoch of Unix.
pub(crate) fn now_ms() -> u64 {
    u64::try_from(since_epoch().as_millis()).unwrap_or(u64::MAX)
}

/// Returns the time of day in UTC, to the second.
pub(crate) fn shown_time(at_s: u64) -> String {
    rfc3339(at_s, 0)[11..19].to_owned()
}

/// Reads a time such as `90s`, `20m`, `24h`, `7d` or `500ms`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "write a time such as 500ms, 90s, 20m, 24h or 7d".to_owned();
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(digits);
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_error| wrong())?;
    number.checked_mul(unit_ms).map(Duration::from_millis).ok_or_else(wrong)
}

/// Returns a duration as people read it: the two largest units.
pub(crate) fn shown_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{} ms", duration.as_millis()),
        1..60 => format!("{seconds} s"),
        60..3_600 if seconds.is_multiple_of(60) => format!("{} min", seconds / 60),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ if (seconds / 60).is_multiple_of(60) => format!("{} h", seconds / 3_600),
        _ => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
    }
}

/// Returns a time in UTC as people read it, to the second.
pub(crate) fn shown(at_s: u64) -> String {
    let text = rfc3339(at_s, 0);
    text[..19].replace('T', " ")
}

#[expect(clippy::disallowed_methods, reason = "what is told and written down has the time of day")]
pub(crate) fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Returns the time in UTC as RFC 3339 with milliseconds.
pub(crate) fn now() -> String {
    let since = since_epoch();
    rfc3339(since.as_secs(), since.subsec_millis())
}

/// Reads a day such as `2026-12-31` as the moment in UTC at which it begins.
pub(crate) fn day(text: &str) -> Result<u64, String> {
    let wrong = || "write a day such as 2026-12-31".to_owned();
    let parts: Vec<&str> = text.split('-').collect();
    let [year, month, day] = parts.as_slice() else { return Err(wrong()) };
    let number = |text: &str| text.parse::<u64>().map_err(|_error| wrong());
    day_s(number(year)?, number(month)?, number(day)?).ok_or_else(wrong)
}

/// Returns the second at which a day begins in UTC; `None` when there is no such day.
pub(crate) fn day_s(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // days_from_civil of the same source as `rfc3339`.
    let shifted_year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (shifted_year / 400, shifted_year % 400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let at_s = (era * 146_097 + day_of_era).checked_sub(719_468)? * 86_400;
    // The 31st of a month that has 30 days would be the first of the next one.
    (rfc3339(at_s, 0).get(..10)? == format!("{year:04}-{month:02}-{day:02}")).then_some(at_s)
}

/// Days to a date: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days.
fn rfc3339(seconds: u64, millis: u32) -> String {
    let (days, second) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

#[cfg(test)]
mod tests {
    #[test]
    fn times_are_written_as_dates() {
        assert_eq!(super::rfc3339(0, 0), "1970-01-01T00:00:00.000Z");
        assert_eq!(super::rfc3339(951_827_696, 7), "2000-02-29T12:34:56.007Z");
        assert_eq!(super::rfc3339(1_735_689_599, 999), "2024-12-31T23:59:59.999Z");
        assert_eq!(super::shown(951_827_696), "2000-02-29 12:34:56");
    }

    #[test]
    fn days_are_read() {
        for (text, shown) in [("1970-01-01", 0), ("2000-02-29", 951_782_400), ("2024-12-31", 1_735_603_200)] {
            assert_eq!(super::day(text), Ok(shown), "{text}");
        }
        for text in
            ["", "2026", "2026-02-29", "2026-13-01", "2026-04-31", "0000-01-01", "2026-1-1-1", "a-b-c"]
        {
            assert!(super::day(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_are_read_and_shown() {
        for (text, shown) in [
            ("0s", "0 ms"),
            ("500ms", "500 ms"),
            ("90s", "1 min 30 s"),
            ("20m", "20 min"),
            ("24h", "24 h"),
            ("90m", "1 h 30 min"),
            ("2d", "48 h"),
        ] {
            assert_eq!(super::shown_duration(super::duration(text).unwrap()), shown);
        }
        for text in ["", "5", "m", "5 m", "-1s", "1.5h", "99999999999999999999s", "9999999999999999999d"] {
            assert!(super::duration(text).is_err(), "{text}");
        }
    }
}
