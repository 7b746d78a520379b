//! The session contract behind a pooler in transaction mode, where no session is ours.
//!
//! Nothing can be set for a session there: what poolers follow is asked for at startup, the rest must
//! be set on the role and is checked. Prepared statements are named when the pooler carries them from
//! one server connection to the next (PgBouncer from 1.21 on), and unnamed otherwise.

use postgres_protocol::message::backend::Message;
use postgres_protocol::message::frontend;

use fallible_iterator::FallibleIterator;

use crate::connection::{Connection, sql_error};
use crate::error::PostgresError;
use crate::statements::{Naming, Statements};
use crate::target::Target;

/// Settings that poolers carry from one server connection to the next.
pub(crate) const PARAMETERS: [(&str, &str); 3] =
    [("TimeZone", "UTC"), ("DateStyle", "ISO"), ("standard_conforming_strings", "on")];

/// A name that a pooler which carries statements replaces by one of its own.
const PROBE: &str = "fqprobe";

/// Checks what cannot be set, and finds out how statements may be named.
pub(crate) async fn keep_contract(connection: &mut Connection, target: &Target) -> Result<(), PostgresError> {
    let floats = if connection.checked_version()? >= 12 { "1" } else { "3" };
    let wanted = [("IntervalStyle", "iso_8601"), ("bytea_output", "hex"), ("extra_float_digits", floats)];
    let settings = wanted.map(|(name, _)| format!("current_setting('{name}')")).join(", ");
    let exists = format!("(SELECT count(*) FROM pg_catalog.pg_prepared_statements WHERE name = '{PROBE}')");
    let row = probe(connection, &format!("SELECT {exists}, {settings}")).await?;
    let Some(row) = row else {
        // The server connection has a statement of this name, so names go through as they are.
        connection.statements = Statements::new(Naming::Unnamed);
        return Ok(());
    };
    let wrong: Vec<String> = wanted
        .iter()
        .zip(row.iter().skip(1))
        .filter(|((_, wanted), found)| found != wanted)
        .map(|((name, wanted), _)| format!("{name} = '{wanted}'"))
        .collect();
    if !wrong.is_empty() {
        return Err(PostgresError::Contract { target: target.to_string(), wanted: wrong.join(", ") });
    }
    let carried = row.first().is_some_and(|count| count == "0");
    connection.statements = Statements::new(if carried { Naming::Digest } else { Naming::Unnamed });
    Ok(())
}

/// Runs a query under the name of the probe; `None` when the server has that name already.
async fn probe(connection: &mut Connection, sql: &str) -> Result<Option<Vec<String>>, PostgresError> {
    frontend::parse(PROBE, sql, [], &mut connection.write)?;
    let bound =
        frontend::bind("", PROBE, [], Vec::<()>::new(), |(), _| unreachable!(), [], &mut connection.write);
    bound.map_err(|_| PostgresError::Protocol { what: "a parameter" })?;
    frontend::execute("", 0, &mut connection.write)?;
    frontend::close(b'S', PROBE, &mut connection.write)?;
    frontend::sync(&mut connection.write);
    connection.pending += 1;
    connection.flush().await?;
    let mut row = None;
    let mut failed = None;
    while connection.pending > 0 {
        match connection.receive().await? {
            Message::DataRow(body) => {
                let ranges = body.ranges().collect::<Vec<_>>()?;
                let text = |range: &std::ops::Range<usize>| {
                    String::from_utf8_lossy(&body.buffer()[range.clone()]).into_owned()
                };
                row = Some(ranges.iter().flatten().map(text).collect());
            }
            Message::ErrorResponse(body) => failed = Some(sql_error(&body)?),
            Message::ReadyForQuery(body) => connection.ready(body.status()),
            _ => {}
        }
    }
    match failed {
        Some(error) if error.sqlstate == "42P05" => Ok(None),
        Some(error) => Err(PostgresError::Sql(Box::new(error))),
        None => Ok(row),
    }
}
