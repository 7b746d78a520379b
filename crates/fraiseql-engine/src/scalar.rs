//! Input coercion of scalars: what a client may send for each, kept to the last digit.

use serde_json::{Number, Value};

/// Returns `value` as the engine keeps it, or what it must be instead.
///
/// Int and Float stay numbers with their digits; every other scalar becomes a string, except
/// Boolean and JSON. Source: section 3.5 of the specification; RFC 9562 (UUID), RFC 4648 (base64).
pub(crate) fn coerce(scalar: &str, value: Value) -> Result<Value, &'static str> {
    match scalar {
        "Int" => int(value),
        "Float" => match value {
            Value::Number(number) if is_finite(&number.to_string()) => Ok(Value::Number(number)),
            _ => Err("a number that a float of 64 bits can hold"),
        },
        "String" => match value {
            Value::String(_) => Ok(value),
            _ => Err("a string"),
        },
        "Boolean" => match value {
            Value::Bool(_) => Ok(value),
            _ => Err("true or false"),
        },
        "ID" => match value {
            Value::String(_) => Ok(value),
            Value::Number(number) => {
                whole(&number.to_string()).map(Value::String).ok_or("a string or a whole number")
            }
            _ => Err("a string or a whole number"),
        },
        "JSON" => Ok(value),
        "BigInt" => text(value, "a whole number of 64 bits, as a string or a number", |text| {
            is_integer(text) && text.parse::<i64>().is_ok()
        }),
        "Decimal" => text(value, "a decimal number, as a string or a number", is_decimal),
        "UUID" => string(value, "a UUID such as 123e4567-e89b-12d3-a456-426614174000", is_uuid),
        "Bytes" => string(value, "base64 with padding", is_base64),
        "Date" => string(value, "a date such as 2026-01-31", |text| is_date(text.as_bytes())),
        "DateTime" | "LocalDateTime" => {
            string(value, "a timestamp such as 2026-01-31T23:59:59Z", is_timestamp)
        }
        "Time" => string(value, "a time such as 23:59:59", |text| is_time(text.as_bytes())),
        _ => text(value, "a string", |_| true),
    }
}

/// A value beyond the range of a float is an error: section 3.5.2.
fn is_finite(digits: &str) -> bool {
    digits.parse::<f64>().is_ok_and(f64::is_finite)
}

fn int(value: Value) -> Result<Value, &'static str> {
    const EXPECTED: &str = "a whole number of 32 bits";
    let Value::Number(number) = value else {
        return Err(EXPECTED);
    };
    match whole(&number.to_string()).map(|digits| digits.parse::<i32>()) {
        Some(Ok(value)) => Ok(Value::Number(Number::from(value))),
        Some(Err(_)) | None => Err(EXPECTED),
    }
}

/// Returns the digits of a whole number: JSON does not tell 1 from 1.0 and 1e0.
fn whole(number: &str) -> Option<String> {
    if number.contains(['e', 'E']) {
        let Ok(value) = number.parse::<f64>() else { return None };
        // What is larger cannot be told from its neighbours.
        return (value.fract() == 0.0 && value.abs() < 2_f64.powi(53)).then(|| format!("{value:.0}"));
    }
    match number.split_once('.') {
        Some((whole, fraction)) => fraction.bytes().all(|digit| digit == b'0').then(|| whole.to_owned()),
        None => Some(number.to_owned()),
    }
}

fn string(value: Value, expected: &'static str, fits: impl Fn(&str) -> bool) -> Result<Value, &'static str> {
    match value {
        Value::String(text) if fits(&text) => Ok(Value::String(text)),
        _ => Err(expected),
    }
}

fn text(value: Value, expected: &'static str, fits: impl Fn(&str) -> bool) -> Result<Value, &'static str> {
    match value {
        Value::Number(number) => string(Value::String(number.to_string()), expected, fits),
        other => string(other, expected, fits),
    }
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_decimal(text: &str) -> bool {
    if text == "NaN" {
        return true;
    }
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.strip_prefix('+').unwrap_or(exponent)),
        None => (text, "0"),
    };
    let digits = mantissa.strip_prefix('-').unwrap_or(mantissa);
    let digit_count = digits.bytes().filter(u8::is_ascii_digit).count();
    let points = digits.bytes().filter(|byte| *byte == b'.').count();
    digit_count > 0 && points <= 1 && digit_count + points == digits.len() && is_integer(exponent)
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

fn is_base64(text: &str) -> bool {
    let content = text.trim_end_matches('=');
    text.len().is_multiple_of(4)
        && text.len() - content.len() <= 2
        && content.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
}

/// A cheap look that keeps PostgreSQL's words (`now`, `yesterday`) out; PostgreSQL checks the calendar.
fn is_date(text: &[u8]) -> bool {
    text.len() >= 10
        && text.first().is_some_and(u8::is_ascii_digit)
        && text.iter().all(|byte| byte.is_ascii_digit() || *byte == b'-')
        && text.iter().filter(|byte| **byte == b'-').count() == 2
}

fn is_time(text: &[u8]) -> bool {
    text.len() >= 5
        && text.first().is_some_and(u8::is_ascii_digit)
        && text.iter().all(|byte| byte.is_ascii_digit() || b":.+-Zz".contains(byte))
}

fn is_timestamp(text: &str) -> bool {
    match text.split_once(['T', 't', ' ']) {
        Some((date, time)) => is_date(date.as_bytes()) && is_time(time.as_bytes()),
        None => is_date(text.as_bytes()) || matches!(text, "infinity" | "-infinity"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(scalar: &str, json: &str, expected: Option<&str>) {
        let value = serde_json::from_str(json).unwrap();
        assert_eq!(coerce(scalar, value).ok().map(|value| value.to_string()).as_deref(), expected);
    }

    #[test]
    fn digits_are_never_rounded() {
        check("BigInt", "9007199254740993", Some("\"9007199254740993\""));
        check("BigInt", "\"-9223372036854775808\"", Some("\"-9223372036854775808\""));
        check("BigInt", "9223372036854775808", None);
        check("Decimal", "0.12345678901234567890123", Some("\"0.12345678901234567890123\""));
        check("Float", "0.12345678901234567890123", Some("0.12345678901234567890123"));
        check("Float", "1e400", None);
    }

    #[test]
    fn int_has_32_bits_and_no_fraction() {
        check("Int", "2147483647", Some("2147483647"));
        check("Int", "2147483648", None);
        check("Int", "1.0", Some("1"));
        check("Int", "1e3", Some("1000"));
        check("Int", "1.5", None);
        check("Int", "1e-1", None);
        check("Int", "1.00000000000000000000001", None);
        check("Int", "\"1\"", None);
        check("Int", "true", None);
    }

    #[test]
    fn identifiers_may_be_numbers() {
        check("ID", "7", Some("\"7\""));
        check("ID", "7.5", None);
    }

    #[test]
    fn words_that_postgresql_would_understand_are_refused() {
        check("DateTime", "\"now\"", None);
        check("Date", "\"yesterday\"", None);
        check("Date", "\"2026-01-31\"", Some("\"2026-01-31\""));
        check(
            "DateTime",
            "\"2026-01-31T23:59:59.123456+01:00\"",
            Some("\"2026-01-31T23:59:59.123456+01:00\""),
        );
        check("Time", "\"allballs\"", None);
    }

    #[test]
    fn formats_are_checked_before_the_database_sees_them() {
        check(
            "UUID",
            "\"123e4567-e89b-12d3-a456-426614174000\"",
            Some("\"123e4567-e89b-12d3-a456-426614174000\""),
        );
        check("UUID", "\"123e4567\"", None);
        check("Bytes", "\"aGk=\"", Some("\"aGk=\""));
        check("Bytes", "\"aGk\"", None);
        check("Decimal", "\"1e5\"", Some("\"1e5\""));
        check("Decimal", "\"1.2.3\"", None);
    }
}
