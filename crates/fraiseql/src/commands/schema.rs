//! `fraiseql schema`: the public schema, as clients see it, and what changed in it.

mod diff;

use serde_json::json;

use crate::args::{Introspect, ProjectArguments};
use crate::failure::Failure;
use crate::printer::Printer;
use crate::project::{Project, open_artifact};
use crate::schema_source;

pub(crate) use diff::run as diff;

/// Prints the SDL of a compiled project.
pub(crate) fn print(arguments: &ProjectArguments, printer: &Printer) -> Result<(), Failure> {
    let project = Project::open(arguments, &[])?;
    let artifact = open_artifact(&project.artifact())?;
    if printer.is_json() {
        printer.data_json(&json!({ "digest": artifact.digest, "sdl": artifact.sdl }));
    } else {
        printer.data(&artifact.sdl);
    }
    Ok(())
}

/// Prints the introspection of a compiled project or a server as JSON, or the SDL that it tells of.
pub(crate) async fn introspect(arguments: Introspect, printer: &Printer) -> Result<(), Failure> {
    let Introspect { source, header, sdl } = arguments;
    if !sdl {
        printer.data_json(&schema_source::introspection(&source, &header).await?);
        return Ok(());
    }
    let sdl = schema_source::sdl(&source, &header).await?;
    if printer.is_json() {
        printer.data_json(&json!({ "sdl": sdl }))
    } else {
        printer.data(&sdl)
    }
    Ok(())
}
