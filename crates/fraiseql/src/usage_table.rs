//! Reads the table into which servers write who asks for which fields.

use std::collections::BTreeMap;

use fraiseql_model::errors;
use fraiseql_postgres::{Target, connect_control};

use crate::failure::Failure;

/// The most rows that are read; the busiest come first.
const ROWS_MAX: i64 = 100_000;

const EXISTS: &str = "SELECT to_regclass('fraiseql.field_usage') IS NOT NULL";
const READ: &str = "SELECT client, version, field, sum(count)::int8, max(day)::text FROM fraiseql.field_usage \
WHERE day > current_date - $1::int4 GROUP BY client, version, field ORDER BY 4 DESC, 3, 1, 2 LIMIT $2";

/// How often a client asked for a field.
#[derive(Clone, Debug)]
pub(crate) struct FieldUsage {
    /// Empty for clients that do not tell.
    pub(crate) client: String,
    pub(crate) version: String,
    /// `Type.field`.
    pub(crate) field: String,
    pub(crate) count: i64,
    /// The last day, as a date.
    pub(crate) last: String,
}

/// Understands `7d`: a whole number of days, today included.
pub(crate) fn days(text: &str) -> Result<i32, String> {
    let number = text.strip_suffix('d').unwrap_or(text);
    match number.parse() {
        Ok(days @ 1..=3_650) => Ok(days),
        Ok(_) | Err(_) => Err("write a number of days from 1 to 3650, for example 7d".to_owned()),
    }
}

/// Returns what was asked for in the last days, the busiest first.
pub(crate) async fn read(target: &Target, days: i32) -> Result<Vec<FieldUsage>, Failure> {
    let client = connect_control(target).await?;
    let asked = |error| Failure::from(fraiseql_postgres::PostgresError::from(error));
    let exists: bool = client.query_one(EXISTS, &[]).await.map_err(asked)?.get(0);
    if !exists {
        return Err(Failure::new(&errors::USE_MISSING, "read usage: there is no table fraiseql.field_usage")
            .hint(
                "`fraiseql usage init` prints the statements that make it; then set usage.record=database",
            ));
    }
    let rows = client.query(READ, &[&days, &ROWS_MAX]).await.map_err(asked)?;
    let usage = rows.iter().map(|row| FieldUsage {
        client: row.get(0),
        version: row.get(1),
        field: row.get(2),
        count: row.get(3),
        last: row.get(4),
    });
    Ok(usage.collect())
}

/// Returns a client as a person reads it.
pub(crate) fn shown_client(client: &str, version: &str) -> String {
    match (client, version) {
        ("", "") => "(no name)".to_owned(),
        (client, "") => client.to_owned(),
        (client, version) => format!("{client} {version}"),
    }
}

/// Returns who asked for any of some fields: client and count, the busiest first.
pub(crate) fn who(usage: &[FieldUsage], asked: impl Fn(&str) -> bool) -> Vec<(&str, &str, i64)> {
    let mut counts: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    for one in usage.iter().filter(|one| asked(&one.field)) {
        let count = counts.entry((&one.client, &one.version)).or_default();
        // Not the sum: a request for three of the fields is one request.
        *count = (*count).max(one.count);
    }
    let mut who: Vec<_> =
        counts.into_iter().map(|((client, version), count)| (client, version, count)).collect();
    who.sort_by(|left, right| right.2.cmp(&left.2).then_with(|| left.cmp(right)));
    who
}

#[cfg(test)]
mod tests {
    #[test]
    fn days_are_whole_and_bounded() {
        assert_eq!(super::days("7d"), Ok(7));
        assert_eq!(super::days("1"), Ok(1));
        for wrong in ["", "d", "0d", "-1d", "7h", "99999d"] {
            assert!(super::days(wrong).is_err(), "{wrong}");
        }
    }
}
