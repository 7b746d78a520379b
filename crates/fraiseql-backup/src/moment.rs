//! A moment, to the microsecond as PostgreSQL keeps it: read with a zone, written in UTC.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset};

use crate::error::BackupError;

/// Microseconds since 1970 in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Moment(i64);

impl Moment {
    /// Returns the moment of a clock; before 1970 it is 1970.
    pub fn of(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    /// Reads `2026-01-26 14:03:00+00`, also with `T`, a fraction, `Z`, `UTC` or `+05:30`.
    ///
    /// Fails without a zone: what is meant would depend on who reads it.
    pub fn parse(text: &str) -> Result<Self, BackupError> {
        read(text.trim())
            .map_err(|reason| BackupError::Target { text: text.to_owned(), reason: reason.to_owned() })
    }

    /// Returns how long after `earlier` this is; nothing when it is before.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Returns the moment that lies so long before.
    pub fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)))
    }

    /// Returns it as a part of a file name: `20260126T140300Z`.
    pub fn compact(self) -> String {
        let text = self.to_string();
        let whole = text.split('.').next().unwrap_or(&text);
        format!("{}Z", whole.replace(['-', ':'], "").trim_end_matches('Z'))
    }
}

fn read(text: &str) -> Result<Moment, &'static str> {
    const SHAPE: &str = "it is not a date and a time, as 2026-01-26 14:03:00+00";
    let (date, rest) = text.split_once(['T', ' ']).ok_or(SHAPE)?;
    let (clock, offset) = zone(rest)?;
    let numbers = |text: &str, by: char| -> Result<Vec<u32>, &'static str> {
        text.split(by).map(|part| part.parse().map_err(|_| SHAPE)).collect()
    };
    let date = numbers(date, '-')?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let clock = numbers(clock, ':')?;
    let micros: u32 = match fraction.len() {
        1..=6 => format!("{fraction:0<6}").parse().map_err(|_| SHAPE)?,
        _ => return Err("the fraction of the second has more than six digits"),
    };
    let ([year, month, day], [hour, minute, second]) = (date.as_slice(), clock.as_slice()) else {
        return Err(SHAPE);
    };
    let small = |number: &u32| u8::try_from(*number).map_err(|_| SHAPE);
    let month = Month::try_from(small(month)?).map_err(|_| "there is no such month")?;
    let year = i32::try_from(*year).map_err(|_| SHAPE)?;
    let date = Date::from_calendar_date(year, month, small(day)?).map_err(|_| "there is no such day")?;
    let clock = Time::from_hms_micro(small(hour)?, small(minute)?, small(second)?, micros)
        .map_err(|_| "there is no such time of day")?;
    let at = PrimitiveDateTime::new(date, clock).assume_offset(offset);
    i64::try_from(at.unix_timestamp_nanos() / 1_000).map(Moment).map_err(|_| SHAPE)
}

/// Splits a time of day from its zone.
fn zone(text: &str) -> Result<(&str, UtcOffset), &'static str> {
    const NONE: &str = "it has no zone: write Z or an offset such as +00 behind it";
    const SHAPE: &str = "the zone is not Z, UTC or an offset such as +05:30";
    for utc in ["Z", "z", "UTC", "GMT"] {
        if let Some(clock) = text.strip_suffix(utc) {
            return Ok((clock.trim_end(), UtcOffset::UTC));
        }
    }
    let at = text.rfind(['+', '-']).ok_or(NONE)?;
    let (clock, offset) = text.split_at(at);
    let digits: String = offset[1..].chars().filter(|letter| *letter != ':').collect();
    if !matches!(digits.len(), 2 | 4) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(SHAPE);
    }
    let sign = if offset.starts_with('-') { -1 } else { 1 };
    let hours: i8 = digits[..2].parse().map_err(|_| SHAPE)?;
    let minutes: i8 = if digits.len() == 4 { digits[2..].parse().map_err(|_| SHAPE)? } else { 0 };
    let offset = UtcOffset::from_hms(sign * hours, sign * minutes, 0).map_err(|_| SHAPE)?;
    Ok((clock.trim_end(), offset))
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(at) = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000) else {
            return write!(f, "{} us since 1970", self.0);
        };
        let (date, clock) = (at.date(), at.time());
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z",
            date.year(),
            u8::from(date.month()),
            date.day(),
            clock.hour(),
            clock.minute(),
            clock.second(),
            clock.microsecond()
        )
    }
}

impl TryFrom<String> for Moment {
    type Error = BackupError;

    fn try_from(text: String) -> Result<Self, BackupError> {
        Self::parse(&text)
    }
}

impl From<Moment> for String {
    fn from(moment: Moment) -> Self {
        moment.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let shown = match Moment::parse(text) {
            Ok(moment) => moment.to_string(),
            Err(error) => error.to_string(),
        };
        assert!(shown.contains(expected), "{text}: {shown}");
    }

    #[test]
    fn moments_are_read_with_their_zone() {
        check("2026-01-26 14:03:00+00", "2026-01-26T14:03:00.000000Z");
        check("2026-01-26T14:03:00.25Z", "2026-01-26T14:03:00.250000Z");
        check("2026-01-26 14:03:00.123456 UTC", "2026-01-26T14:03:00.123456Z");
        check("2026-01-26 14:03:00+05:30", "2026-01-26T08:33:00.000000Z");
        check("2026-03-01 00:30:00-0100", "2026-03-01T01:30:00.000000Z");
    }

    #[test]
    fn what_could_mean_two_things_is_refused() {
        check("2026-01-26 14:03:00", "it has no zone");
        check("2026-02-29 14:03:00Z", "no such day");
        check("2026-13-01 14:03:00Z", "no such month");
        check("2026-01-26 25:03:00Z", "no such time of day");
        check("yesterday", "it is not a date");
        check("2026-01-26 14:03:00 CET", "it has no zone");
    }

    #[test]
    fn a_moment_names_a_file_and_comes_back_from_json() {
        let moment = Moment::parse("2026-01-26 14:03:07.5Z").unwrap();
        assert_eq!(moment.compact(), "20260126T140307Z");
        let json = serde_json::to_string(&moment).unwrap();
        assert_eq!(serde_json::from_str::<Moment>(&json).unwrap(), moment);
        assert_eq!(moment.before(Duration::from_secs(2)).since(moment), Duration::ZERO);
        assert_eq!(moment.since(moment.before(Duration::from_secs(2))), Duration::from_secs(2));
    }
}
