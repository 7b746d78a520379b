//! `fraiseql operations list`: the persisted operations of a compiled project, as clients name them.

use serde_json::json;

use crate::args::ProjectArguments;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::project::{Project, open_artifact};

/// Prints one line for each operation, sorted by name.
pub(crate) fn list(arguments: &ProjectArguments, printer: &Printer) -> Result<(), Failure> {
    let project = Project::open(arguments, &[])?;
    let artifact = open_artifact(&project.artifact())?;
    if printer.is_json() {
        let rows = artifact.operations.iter().map(|operation| {
            json!({
                "documentId": format!("sha256:{}", operation.id),
                "name": operation.name,
                "kind": operation.kind.as_str(),
                "file": operation.file,
            })
        });
        printer.data_json(&json!({ "digest": artifact.digest, "operations": rows.collect::<Vec<_>>() }));
        return Ok(());
    }
    if artifact.operations.is_empty() {
        printer.say("there are no persisted operations: put them into operations/*.graphql and compile");
    }
    let width = artifact.operations.iter().map(|operation| operation.name.len()).max().unwrap_or(0);
    for operation in &artifact.operations {
        let (id, kind) = (&operation.id, operation.kind.as_str());
        printer.data(&format!("sha256:{id}  {kind:8}  {:width$}  {}\n", operation.name, operation.file));
    }
    Ok(())
}
