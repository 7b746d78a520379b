//! `fraiseql usage`: which client asks for which fields, and the statements for the table of it.

use fraiseql_model::errors;
use fraiseql_postgres::Target;
use fraiseql_serve::usage_ddl;
use serde_json::json;

use crate::args::{Usage, UsageCommand};
use crate::database::control_target;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::project::Project;
use crate::usage_table::{read, shown_client};

use super::up::running_url;

/// Prints usage, or the statements that make its table.
pub(crate) async fn run(arguments: Usage, printer: &Printer) -> Result<(), Failure> {
    if let Some(UsageCommand::Init { role }) = arguments.command {
        let sql = usage_ddl(&role);
        if printer.is_json() {
            printer.data_json(&json!({ "sql": sql }))
        } else {
            printer.data(&sql)
        }
        return Ok(());
    }
    let project = Project::open(&arguments.project, &[])?;
    let usage = read(&database_target(&project).await?, arguments.since).await?;
    if printer.is_json() {
        let rows = usage.iter().map(|one| {
            json!({ "client": one.client, "version": one.version, "field": one.field, "count": one.count, "last": one.last })
        });
        printer.data_json(&json!({ "days": arguments.since, "usage": rows.collect::<Vec<_>>() }));
        return Ok(());
    }
    if usage.is_empty() {
        printer.say("nobody asked for anything, or usage.record is not \"database\" where it is served");
    }
    let width = usage.iter().map(|one| one.field.chars().count()).max().unwrap_or(0);
    for one in &usage {
        let client = shown_client(&one.client, &one.version);
        printer.data(&format!("{:width$}  {:>10}  {}  {client}\n", one.field, one.count, one.last));
    }
    Ok(())
}

/// Returns the project's database: the configured one, else the embedded one that runs.
pub(crate) async fn database_target(project: &Project) -> Result<Target, Failure> {
    if let Some(target) = control_target(&project.settings, &|_| ()).await? {
        return Ok(target);
    }
    match running_url(&project.dir).await {
        Some(url) => Ok(Target::parse(&url)?),
        None => Err(Failure::new(&errors::CFG_MISSING, "reach the database: none is configured")
            .hint("set DATABASE_URL, or run `fraiseql up` beside it")),
    }
}
