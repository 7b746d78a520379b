//! `fraiseql schema print`: the complete public schema, as clients see it.

use serde_json::json;

use crate::args::ProjectArguments;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::project::{Project, open_artifact};

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
