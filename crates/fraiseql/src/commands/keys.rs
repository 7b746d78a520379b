//! `fraiseql keys`: API keys for machines. A key is shown once, when it is made; the table holds hashes.

use std::time::Duration;

use clap::{Args, Subcommand};
use fraiseql_model::errors;
use fraiseql_postgres::{PostgresError, connect_control};
use fraiseql_serve::{NewApiKey, api_key_ddl, new_api_key};
use serde_json::json;

use super::usage::database_target;
use crate::args::ProjectArguments;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::project::Project;

/// A key that is thought to live longer is made without an end.
const DAYS_MAX: u64 = 3_650;

const EXISTS: &str = "SELECT to_regclass('fraiseql.api_key') IS NOT NULL";
const INSERT: &str = "INSERT INTO fraiseql.api_key (id, name, hash, roles, scopes, expires) \
VALUES ($1, $2, $3, $4, $5, now() + $6::float8 * interval '1 second')";
const LIST: &str = "SELECT id, name, roles, scopes, created::text, expires::text, revoked::text, \
CASE WHEN revoked IS NOT NULL THEN 'revoked' WHEN expires <= now() THEN 'expired' ELSE 'active' END \
FROM fraiseql.api_key ORDER BY name, created, id";
const REVOKE: &str = "UPDATE fraiseql.api_key SET revoked = now() WHERE id = $1 AND revoked IS NULL";
/// The new key lives as long as the old one was meant to; the old one ends after the overlap, or
/// when it would have ended anyway. One statement: there is no moment with neither.
const ROTATE: &str = "WITH old AS (SELECT * FROM fraiseql.api_key \
WHERE id = $1 AND revoked IS NULL AND coalesce(expires > now(), true) FOR UPDATE), \
made AS (INSERT INTO fraiseql.api_key (id, name, hash, roles, scopes, expires) \
SELECT $2, name, $3, roles, scopes, now() + (expires - created) FROM old RETURNING id) \
UPDATE fraiseql.api_key AS ending SET expires = least(ending.expires, now() + $4::float8 * interval '1 second') \
FROM old, made WHERE ending.id = old.id";

/// Commands on API keys.
#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// Print the statements that make the table of keys; run them as the owner of the database
    Init {
        /// The role that the server connects as
        #[arg(long, value_name = "NAME", default_value = "fraiseql_service")]
        role: String,
    },
    /// Make a key and show it, once
    Create(Create),
    /// List the keys, without their secrets
    List(ProjectArguments),
    /// Make a key that takes the place of another, which goes on for a while
    Rotate(Rotate),
    /// Take a key back; servers notice within identity.api_key_cache_ms
    Revoke(Revoke),
}

/// Arguments of `keys create`.
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Who will use it, for example "ci": the subject that rules see
    pub(crate) name: String,
    /// The project
    #[command(flatten)]
    pub(crate) project: ProjectArguments,
    /// A role that the key has
    #[arg(long, value_name = "NAME")]
    pub(crate) role: Vec<String>,
    /// A scope that the key has
    #[arg(long, value_name = "NAME")]
    pub(crate) scope: Vec<String>,
    /// How long it is valid, for example 90d or 12h; for ever when not given
    #[arg(long, value_name = "TIME", value_parser = lifetime)]
    pub(crate) expires: Option<Duration>,
}

/// Arguments of `keys rotate`.
#[derive(Debug, Args)]
pub(crate) struct Rotate {
    /// The key's id
    pub(crate) id: String,
    /// The project
    #[command(flatten)]
    pub(crate) project: ProjectArguments,
    /// How long the old key goes on
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = lifetime)]
    pub(crate) overlap: Duration,
}

/// Arguments of `keys revoke`.
#[derive(Debug, Args)]
pub(crate) struct Revoke {
    /// The key's id
    pub(crate) id: String,
    /// The project
    #[command(flatten)]
    pub(crate) project: ProjectArguments,
}

/// Understands `90d`, `12h`, `30m` and `45s`.
fn lifetime(text: &str) -> Result<Duration, String> {
    let wrong = || "write a time such as 90d, 12h, 30m or 45s, at most 3650d".to_owned();
    let unit = match text.chars().last() {
        Some('d') => 86_400,
        Some('h') => 3_600,
        Some('m') => 60,
        Some('s') => 1,
        _ => return Err(wrong()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_error| wrong())?;
    let seconds = number.checked_mul(unit).filter(|seconds| (1..=DAYS_MAX * 86_400).contains(seconds));
    seconds.map(Duration::from_secs).ok_or_else(wrong)
}

/// Runs a command on keys.
pub(crate) async fn run(command: Keys, printer: &Printer) -> Result<(), Failure> {
    match command {
        Keys::Init { role } => {
            let sql = api_key_ddl(&role);
            if printer.is_json() {
                printer.data_json(&json!({ "sql": sql }));
            } else {
                printer.data(&sql);
            }
            Ok(())
        }
        Keys::Create(arguments) => create(arguments, printer).await,
        Keys::List(arguments) => list(&arguments, printer).await,
        Keys::Rotate(arguments) => rotate(&arguments, printer).await,
        Keys::Revoke(arguments) => revoke(&arguments, printer).await,
    }
}

async fn create(arguments: Create, printer: &Printer) -> Result<(), Failure> {
    let client = table(&arguments.project).await?;
    let key = new_key()?;
    let seconds = arguments.expires.map(|expires| expires.as_secs_f64());
    let (name, roles, scopes) = (&arguments.name, &arguments.role, &arguments.scope);
    let hash = key.hash.as_slice();
    client.execute(INSERT, &[&key.id, name, &hash, roles, scopes, &seconds]).await.map_err(asked)?;
    show(&key, printer);
    Ok(())
}

async fn list(arguments: &ProjectArguments, printer: &Printer) -> Result<(), Failure> {
    let client = table(arguments).await?;
    let rows = client.query(LIST, &[]).await.map_err(asked)?;
    let keys: Vec<_> = rows
        .iter()
        .map(|row| {
            let text = |column: usize| row.get::<_, Option<String>>(column);
            let list = |column: usize| row.get::<_, Vec<String>>(column);
            json!({
                "id": text(0), "name": text(1), "roles": list(2), "scopes": list(3), "created": text(4),
                "expires": text(5), "revoked": text(6), "state": text(7),
            })
        })
        .collect();
    if printer.is_json() {
        printer.data_json(&json!({ "keys": keys }));
        return Ok(());
    }
    for row in &rows {
        let words = |column: usize| row.get::<_, Vec<String>>(column).join(",");
        let (id, name, state): (String, String, String) = (row.get(0), row.get(1), row.get(7));
        let ends = row.get::<_, Option<String>>(5).unwrap_or_else(|| "never".to_owned());
        let line =
            format!("{id}  {state:7}  {name}  roles={} scopes={} expires={ends}\n", words(2), words(3));
        printer.data(&line);
    }
    Ok(())
}

async fn rotate(arguments: &Rotate, printer: &Printer) -> Result<(), Failure> {
    let client = table(&arguments.project).await?;
    let key = new_key()?;
    let (hash, overlap) = (key.hash.as_slice(), arguments.overlap.as_secs_f64());
    let ended = client.execute(ROTATE, &[&arguments.id, &key.id, &hash, &overlap]).await.map_err(asked)?;
    if ended == 0 {
        return Err(unknown("rotate", &arguments.id));
    }
    show(&key, printer);
    Ok(())
}

async fn revoke(arguments: &Revoke, printer: &Printer) -> Result<(), Failure> {
    let client = table(&arguments.project).await?;
    if client.execute(REVOKE, &[&arguments.id]).await.map_err(asked)? == 0 {
        return Err(unknown("revoke", &arguments.id));
    }
    if printer.is_json() {
        printer.data_json(&json!({ "id": arguments.id, "state": "revoked" }));
    } else {
        printer.say("revoked; servers notice within identity.api_key_cache_ms");
    }
    Ok(())
}

fn new_key() -> Result<NewApiKey, Failure> {
    new_api_key().map_err(|error| Failure::internal("make an API key", &error))
}

fn show(key: &NewApiKey, printer: &Printer) {
    if printer.is_json() {
        printer.data_json(&json!({ "id": key.id, "key": key.text }));
    } else {
        printer.data(&format!("{}\n", key.text));
        printer.say("this is the only time that the key is shown");
    }
}

fn unknown(action: &str, id: &str) -> Failure {
    let message = format!("{action} the API key {id:?}: there is none of this id that could be used");
    Failure::new(&errors::AUTH_KEY_UNKNOWN, message).hint("`fraiseql keys list` shows the ids")
}

fn asked(error: impl Into<PostgresError>) -> Failure {
    Failure::from(error.into())
}

/// Connects to the database that has the table.
async fn table(arguments: &ProjectArguments) -> Result<fraiseql_postgres::ControlClient, Failure> {
    let project = Project::open(arguments, &[])?;
    let client = connect_control(&database_target(&project).await?).await?;
    let exists: bool = client.query_one(EXISTS, &[]).await.map_err(asked)?.get(0);
    if exists {
        return Ok(client);
    }
    let message = "use API keys: there is no table fraiseql.api_key";
    let hint = "`fraiseql keys init` prints the statements that make it; then set identity.api_keys=true";
    Err(Failure::new(&errors::AUTH_KEYS_TABLE, message).hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit_and_a_limit() {
        assert_eq!(lifetime("90d"), Ok(Duration::from_secs(90 * 86_400)));
        assert_eq!(lifetime("45s"), Ok(Duration::from_secs(45)));
        for wrong in ["", "d", "90", "0d", "-1d", "3651d", "1w", "99999999999999999999d", "1é"] {
            assert!(lifetime(wrong).is_err(), "{wrong}");
        }
    }
}
