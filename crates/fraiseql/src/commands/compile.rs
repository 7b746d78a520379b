//! `fraiseql compile`: schema.graphql and a catalog become schema.compiled.json.

use std::path::Path;

use fraiseql_compile::{Source, compile};
use fraiseql_model::artifact::Artifact;
use fraiseql_model::catalog::Catalog;
use fraiseql_model::diagnostic::{Diagnostic, Severity};
use fraiseql_model::errors;
use fraiseql_postgres::{Target, connect_control, read_catalog};
use serde_json::json;

use crate::args;
use crate::database::control_target;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::project::{Project, open_snapshot};
use crate::{files, operation_files, settings_file};

/// What a compilation gave.
pub(crate) struct Built {
    pub(crate) artifact: Artifact,
    /// The artifact as it is written.
    pub(crate) bytes: Vec<u8>,
    /// What somebody should look at.
    pub(crate) warnings: Vec<Diagnostic>,
}

/// Compiles a project.
pub(crate) async fn run(arguments: args::Compile, printer: &Printer) -> Result<(), Failure> {
    let project = Project::open(&arguments.project, &[])?;
    let catalog = project_catalog(&project, arguments.offline, printer).await?;
    if arguments.snapshot {
        files::write(&project.snapshot(), &snapshot_bytes(&catalog)?)?;
        printer.say(&format!("wrote {}", project.snapshot().display()));
    }
    let Built { artifact, bytes, warnings } = compiled(&project, &catalog, printer)?;
    let out = arguments.out.unwrap_or_else(|| project.artifact());
    if !arguments.check {
        files::write(&out, &bytes)?;
    }
    if printer.is_json() {
        let file = (!arguments.check).then(|| out.display().to_string());
        printer
            .data_json(&json!({ "digest": artifact.digest, "file": file, "types": artifact.objects.len(), "operations": artifact.operations.len(), "warnings": warnings }));
    } else {
        let done = if arguments.check { "checked".to_owned() } else { format!("wrote {}", out.display()) };
        let operations = match artifact.operations.len() {
            0 => String::new(),
            count => format!(", {count} persisted operations"),
        };
        let (types, digest) = (artifact.objects.len(), &artifact.digest[..12]);
        printer.say(&format!("{done}: {types} types{operations}, digest {digest}"));
    }
    Ok(())
}

/// Returns the bytes of a saved catalog.
pub(crate) fn snapshot_bytes(catalog: &Catalog) -> Result<Vec<u8>, Failure> {
    let mut bytes = serde_json::to_vec_pretty(catalog)
        .map_err(|error| Failure::internal("write the catalog as JSON", &error))?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Returns the catalog to compile the project against: of its database, or saved.
pub(crate) async fn project_catalog(
    project: &Project,
    offline: bool,
    printer: &Printer,
) -> Result<Catalog, Failure> {
    if !offline && let Some(target) = control_target(&project.settings, &|text| printer.say(text)).await? {
        return catalog_at(&target, &project.settings.list("database.schemas")).await;
    }
    if !offline && let Some(url) = super::up::running_url(&project.dir).await {
        printer.say("using the embedded database that `fraiseql up` runs");
        return live_catalog(&url, &project.settings.list("database.schemas")).await;
    }
    let path = project.snapshot();
    if path.exists() {
        if !offline {
            printer.say(&format!("no database is configured: using the catalog saved in {}", path.display()));
        }
        return open_snapshot(&path);
    }
    if !offline && !project.settings.list("embedded.seed").is_empty() {
        printer.say("no database is configured: loading the project's data into a scratch database");
        return super::up::scratch_catalog(project, printer).await;
    }
    let message = "compile without a database: there is neither database.url nor a saved catalog";
    let hint = "set DATABASE_URL, or run `fraiseql up` beside it, or save a catalog with --snapshot";
    Err(Failure::new(&errors::CFG_MISSING, message).hint(hint))
}

/// Reads the catalog of a database.
pub(crate) async fn live_catalog(url: &str, schemas: &[String]) -> Result<Catalog, Failure> {
    catalog_at(&Target::parse(url)?, schemas).await
}

/// Does as [`live_catalog`] for a target.
pub(crate) async fn catalog_at(target: &Target, schemas: &[String]) -> Result<Catalog, Failure> {
    let client = connect_control(target).await?;
    Ok(read_catalog(&client, schemas).await?)
}

/// Compiles the project's schema and shows what was found.
///
/// Fails with all errors in one failure; warnings are shown and do not fail.
pub(crate) fn compiled(project: &Project, catalog: &Catalog, printer: &Printer) -> Result<Built, Failure> {
    let path = project.schema();
    let text = files::read_text(&path)?;
    let file = shown(&path);
    let compiled = compile(Source { file: &file, text: &text }, catalog, env!("CARGO_PKG_VERSION"));
    match compiled.artifact {
        Some(artifact) => {
            for warning in &compiled.diagnostics {
                printer.diagnostic(warning, Some(&text));
            }
            let (artifact, bytes) = operation_files::add(artifact, &project.dir)?.seal();
            Ok(Built { artifact, bytes, warnings: compiled.diagnostics })
        }
        None => {
            let first = compiled.diagnostics.iter().find(|found| found.severity == Severity::Error);
            let code = first.map_or(&errors::SDL_INVALID, |first| first.code);
            Err(settings_file::summed(compiled.diagnostics, &text, code, &format!("compile {file}")))
        }
    }
}

fn shown(path: &Path) -> String {
    let path = path.strip_prefix("./").unwrap_or(path);
    path.display().to_string()
}
