//! `fraiseql schema outbox`: the SQL of an outbox for the tables behind a compiled project.

use std::collections::BTreeSet;
use std::time::Duration;

use fraiseql_model::errors;
use fraiseql_postgres::{Target, outbox_sql, trace};
use serde_json::json;
use tokio::time::Instant;

use super::serve::pool;
use crate::args::Outbox;
use crate::database::Access;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::project::{Project, open_artifact};

/// How long to wait for the database.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Prints the SQL. Views are looked through; what cannot be is named, and is polled.
pub(crate) async fn run(arguments: &Outbox, printer: &Printer) -> Result<(), Failure> {
    let project = Project::open(&arguments.project, &[])?;
    let artifact = open_artifact(&project.artifact())?;
    let target = match Access::open(&project.settings, &|text| printer.say(text)).await? {
        Some(access) => Some(access.target()),
        None => super::up::running_url(&project.dir).await.map(|url| Target::parse(&url)).transpose()?,
    };
    let Some(target) = target else {
        let message = "look through the views of the schema: no database is configured";
        let hint = "set DATABASE_URL, or run `fraiseql up` beside it";
        return Err(Failure::new(&errors::CFG_MISSING, message).hint(hint));
    };
    let pool = pool(target, &project.settings);
    let relations: BTreeSet<String> = artifact.manifest.reads.keys().cloned().collect();
    let traced = async {
        let mut session = pool.acquire(Instant::now() + TIMEOUT).await?;
        trace(&mut session, &relations, &BTreeSet::new()).await
    };
    let traced = traced.await;
    pool.close().await;
    let traced = traced?;
    let sql = outbox_sql(traced.tables.keys(), arguments.role.as_deref());
    if printer.is_json() {
        printer.data_json(&json!({
            "tables": traced.tables.keys().map(ToString::to_string).collect::<Vec<_>>(),
            "polled": traced.opaque, "sql": sql,
        }));
        return Ok(());
    }
    printer.data(&sql);
    for what in &traced.opaque {
        printer.say(&format!("{what} cannot be looked through: what reads it is polled"));
    }
    Ok(())
}
