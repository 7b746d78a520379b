//! `fraiseql schema diff`: what changed, worst first, and an exit code that a pipeline can use.

use fraiseql_engine::{Change, ChangeSeverity, diff};
use fraiseql_model::errors;
use serde_json::{Value, json};

use crate::args::Diff;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::schema_source::public_schema;

/// Prints the changes between two schemas; fails when clients may break.
pub(crate) async fn run(arguments: Diff, printer: &Printer) -> Result<(), Failure> {
    let old = public_schema(&arguments.old, &arguments.header).await?;
    let new = public_schema(&arguments.new, &arguments.header).await?;
    let changes = diff(&old, &new);
    if printer.is_json() {
        let changes: Vec<Value> = changes.iter().map(as_json).collect();
        printer.data_json(&json!({ "changes": changes }));
    } else {
        printer.data(&text(&changes));
    }
    let breaking = changes.iter().filter(|one| one.kind.severity() == ChangeSeverity::Breaking).count();
    if breaking == 0 {
        return Ok(());
    }
    let message = format!("keep every client working: {}", counted(breaking, "breaking change"));
    Err(Failure::new(&errors::DIF_BREAKING, message)
        .hint("deprecate first and remove when nobody asks any more"))
}

fn text(changes: &[Change]) -> String {
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
        }
    }
    text
}

fn as_json(change: &Change) -> Value {
    json!({
        "severity": change.kind.severity().as_str(), "kind": change.kind.code(), "path": change.path,
        "old": change.old, "new": change.new, "message": change.message(),
    })
}

fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
