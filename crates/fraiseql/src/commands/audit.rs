//! `fraiseql audit`: who changed what, the statements for the table of it, and its pruning.

use fraiseql_model::errors;
use fraiseql_postgres::{PostgresError, Target, connect_control};
use fraiseql_serve::audit_ddl;
use serde_json::{Value, json};

use crate::args::{Audit, AuditCommand};
use crate::failure::Failure;
use crate::printer::Printer;
use crate::project::Project;

use super::usage::database_target;

/// PostgreSQL's codes of a table that is not there, and of one that the role may not use.
const ABSENT: [&str; 3] = ["42P01", "3F000", "42501"];

const LIST: &str = "SELECT pg_catalog.jsonb_build_object('at', to_char(at AT TIME ZONE 'UTC', \
'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'), 'subject', subject, 'roles', roles, 'address', host(address), 'requestId', \
request_id, 'traceId', trace_id, 'artifact', artifact, 'operation', operation, 'field', field, 'variables', \
variables, 'keys', keys, 'databaseRole', database_role)::text FROM fraiseql.audit \
WHERE at > current_date + 1 - $1::int4 AND ($2::text IS NULL OR subject = $2) \
AND ($3::text IS NULL OR field = $3) AND ($4::text IS NULL OR request_id = $4) \
ORDER BY at DESC, id DESC LIMIT $5";
const OLD: &str = "FROM fraiseql.audit WHERE at < current_date + 1 - $1::int4";

/// Shows the log, prunes it, or prints the statements that make its table.
pub(crate) async fn run(arguments: Audit, printer: &Printer) -> Result<(), Failure> {
    match &arguments.command {
        Some(AuditCommand::Init { role }) => {
            let sql = audit_ddl(role);
            if printer.is_json() {
                printer.data_json(&json!({ "sql": sql }))
            } else {
                printer.data(&sql)
            }
            Ok(())
        }
        Some(AuditCommand::Prune { project, keep, dry_run }) => {
            let target = database_target(&Project::open(project, &[])?).await?;
            let old = prune(&target, *keep, *dry_run).await?;
            if printer.is_json() {
                printer.data_json(&json!({ "entries": old, "deleted": !dry_run }));
            } else {
                let verb = if *dry_run { "would be deleted" } else { "deleted" };
                printer.say(&format!("{old} entries {verb}; the last {keep} days are kept"));
            }
            Ok(())
        }
        None => list(&arguments, printer).await,
    }
}

async fn list(arguments: &Audit, printer: &Printer) -> Result<(), Failure> {
    let target = database_target(&Project::open(&arguments.project, &[])?).await?;
    let client = connect_control(&target).await?;
    let Audit { since, subject, field, request, limit, .. } = arguments;
    let rows = client.query(LIST, &[since, subject, field, request, &i64::from(*limit)]).await;
    let rows = rows.map_err(|error| refused("read the audit log", error.into()))?;
    let entries: Result<Vec<Value>, _> =
        rows.iter().map(|row| serde_json::from_str(row.get::<_, &str>(0))).collect();
    let entries = entries.map_err(|error| Failure::internal("read the audit log", &error))?;
    if printer.is_json() {
        printer.data_json(&json!({ "days": since, "entries": entries }));
        return Ok(());
    }
    if entries.is_empty() {
        printer.say("nothing was written down, or audit.mutations is not \"database\" where it is served");
    }
    for entry in &entries {
        printer.data(&line(entry));
    }
    Ok(())
}

/// Returns one entry as people read it.
fn line(entry: &Value) -> String {
    let text = |key: &str| entry[key].as_str().unwrap_or("-").to_owned();
    let rows = match entry["keys"].as_array().map(Vec::as_slice) {
        None => String::new(),
        Some([]) => "no row".to_owned(),
        Some([one]) => one.to_string(),
        Some([first, rest @ ..]) => format!("{first} and {} more", rest.len()),
    };
    let (at, who, field) = (text("at"), text("subject"), text("field"));
    let (from, request) = (text("address"), text("requestId"));
    format!("{at}  {who:16}  {field:28}  {rows}  from {from}, request {request}\n")
}

/// Returns how many entries are older, after deleting them.
async fn prune(target: &Target, keep: i32, dry_run: bool) -> Result<i64, Failure> {
    let failed = |error: PostgresError| refused("prune the audit log", error);
    let mut client = connect_control(target).await?;
    let transaction = client.transaction().await.map_err(PostgresError::from).map_err(failed)?;
    let allowed = transaction.batch_execute("SET LOCAL fraiseql.audit_prune = 'on'").await;
    allowed.map_err(PostgresError::from).map_err(failed)?;
    let sql = if dry_run {
        format!("SELECT count(*) {OLD}")
    } else {
        format!("WITH gone AS (DELETE {OLD} RETURNING 1) SELECT count(*) FROM gone")
    };
    let old =
        transaction.query_one(&sql, &[&keep]).await.map_err(PostgresError::from).map_err(failed)?.get(0);
    transaction.commit().await.map_err(PostgresError::from).map_err(failed)?;
    Ok(old)
}

fn refused(what: &str, error: PostgresError) -> Failure {
    if !matches!(&error, PostgresError::Sql(sql) if ABSENT.contains(&sql.sqlstate.as_str())) {
        return Failure::from(error);
    }
    let message = format!("{what}: there is no table fraiseql.audit, or the role may not use it");
    Failure::new(&errors::AUD_MISSING, message).hint(
        "`fraiseql audit init` prints the statements that make it; read and prune it as its owner, for example \
         with DATABASE_URL set for this one command: the role of the service may only add to it",
    )
}
