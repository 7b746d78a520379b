//! `fraiseql schema diff`: what changed, worst first, and an exit code that a pipeline can use.

use fraiseql_engine::{Change, ChangeSeverity, affected, diff};
use fraiseql_model::errors;
use serde_json::{Value, json};

use crate::args::{Diff, ProjectArguments};
use crate::commands::usage::database_target;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::project::Project;
use crate::schema_source::public_schema;
use crate::usage_table::{FieldUsage, read, shown_client, who};

/// How many clients are named below a change.
const CLIENTS_SHOWN: usize = 10;

/// Prints the changes between two schemas; fails when clients may break.
pub(crate) async fn run(arguments: Diff, printer: &Printer) -> Result<(), Failure> {
    let old = public_schema(&arguments.old, &arguments.header).await?;
    let new = public_schema(&arguments.new, &arguments.header).await?;
    let changes = diff(&old, &new);
    let usage = usage(&arguments).await?;
    let clients = |change: &Change| {
        let fields = affected(&old, change);
        usage.as_ref().map(|usage| who(usage, |field| fields.contains(field)))
    };
    if printer.is_json() {
        let changes: Vec<Value> = changes.iter().map(|change| as_json(change, clients(change))).collect();
        printer
            .data_json(&json!({ "changes": changes, "usageDays": usage.as_ref().map(|_| arguments.since) }));
    } else {
        printer.data(&text(&changes, arguments.since, clients));
    }
    let breaking = changes.iter().filter(|one| one.kind.severity() == ChangeSeverity::Breaking).count();
    if breaking == 0 {
        return Ok(());
    }
    let message = format!("keep every client working: {}", counted(breaking, "breaking change"));
    Err(Failure::new(&errors::DIF_BREAKING, message)
        .hint("deprecate first and remove when nobody asks any more"))
}

/// Clients and how often they asked, the busiest first; `None` where usage is not looked at.
type Clients<'u> = Option<Vec<(&'u str, &'u str, i64)>>;

async fn usage(arguments: &Diff) -> Result<Option<Vec<FieldUsage>>, Failure> {
    let Some(dir) = arguments.usage.clone() else { return Ok(None) };
    let database_url = arguments.database_url.clone();
    let project = ProjectArguments { dir, env: None, database_url, set: Vec::new() };
    let target = database_target(&Project::open(&project, &[])?).await?;
    read(&target, arguments.since).await.map(Some)
}

fn text<'u>(changes: &[Change], days: i32, clients: impl Fn(&Change) -> Clients<'u>) -> String {
    if changes.is_empty() {
        return "no changes\n".to_owned();
    }
    let mut text = String::new();
    for severity in ChangeSeverity::ALL {
        let group: Vec<&Change> = changes.iter().filter(|one| one.kind.severity() == severity).collect();
        if group.is_empty() {
            continue;
        }
        text.push_str(&format!("{} ({})\n", severity.as_str(), group.len()));
        for change in group {
            text.push_str(&format!("  {}: {}\n", change.path, change.message()));
            if severity != ChangeSeverity::Safe {
                text.push_str(&concerned(clients(change), days));
            }
        }
    }
    text
}

fn concerned(clients: Clients<'_>, days: i32) -> String {
    let Some(clients) = clients else { return String::new() };
    if clients.is_empty() {
        return format!("      nobody asked for it within {}\n", counted_days(days));
    }
    let mut text = String::new();
    for (client, version, count) in clients.iter().take(CLIENTS_SHOWN) {
        let client = shown_client(client, version);
        text.push_str(&format!("      {client} asked {count} times within {}\n", counted_days(days)));
    }
    if clients.len() > CLIENTS_SHOWN {
        text.push_str(&format!("      and {}\n", counted(clients.len() - CLIENTS_SHOWN, "client")));
    }
    text
}

fn counted_days(days: i32) -> String {
    if days == 1 { "1 day".to_owned() } else { format!("{days} days") }
}

fn as_json(change: &Change, clients: Clients<'_>) -> Value {
    let clients = clients.map(|clients| {
        let clients = clients.into_iter();
        clients
            .map(|(client, version, count)| json!({ "client": client, "version": version, "count": count }))
            .collect::<Vec<_>>()
    });
    json!({
        "clients": clients,
        "severity": change.kind.severity().as_str(), "kind": change.kind.code(), "path": change.path,
        "old": change.old, "new": change.new, "message": change.message(),
    })
}

fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
