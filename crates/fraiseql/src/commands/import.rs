//! `fraiseql import`: a project of FraiseQL 2 becomes one of ours; its database stays as it is.

use std::path::PathBuf;

use fraiseql_compile::{DIRECTIVES, ImportError, Imported, import};
use fraiseql_model::errors;
use serde_json::json;

use crate::args;
use crate::failure::Failure;
use crate::files;
use crate::printer::Printer;

use super::init::{IGNORED, SCRIPTS, SETTINGS, refuse_to_overwrite};

/// Writes a project.
pub(crate) fn run(arguments: &args::Import, printer: &Printer) -> Result<(), Failure> {
    let text = files::read_text(&arguments.file)?;
    let imported = import(&text).map_err(|error| unreadable(arguments, &error))?;
    let files = contents(arguments, &imported);
    if !arguments.force {
        refuse_to_overwrite(&files)?;
    }
    if !arguments.dry_run {
        for (path, content) in &files {
            files::write(path, content)?;
        }
    }
    let names: Vec<String> = files.iter().map(|(path, _)| path.display().to_string()).collect();
    if printer.is_json() {
        let notes = imported.notes.iter().map(|note| json!({ "what": note.what, "why": note.why }));
        let notes: Vec<_> = notes.collect();
        printer.data_json(&json!({ "files": names, "written": !arguments.dry_run, "notes": notes }));
        return Ok(());
    }
    let verb = if arguments.dry_run { "would write" } else { "wrote" };
    for name in &names {
        printer.say(&format!("{verb} {name}"));
    }
    let (count, report) = (imported.notes.len(), arguments.dir.join("import-report.md"));
    printer.say(&format!("what has no equal or wants a look ({count}): read {}", report.display()));
    printer.say(&format!("then: DATABASE_URL=... fraiseql compile {}", arguments.dir.display()));
    Ok(())
}

fn unreadable(arguments: &args::Import, error: &ImportError) -> Failure {
    let message = format!("import {}", arguments.file.display());
    Failure::new(&errors::IMP_UNREADABLE, message)
        .because(error)
        .hint("name the authoring file of FraiseQL 2, usually schema.json, with \"version\": \"2.0.0\"")
}

fn contents(arguments: &args::Import, imported: &Imported) -> Vec<(PathBuf, Vec<u8>)> {
    let schemas: Vec<String> = imported.schemas.iter().map(|name| format!("{name:?}")).collect();
    let file = |name: &str, content: String| (arguments.dir.join(name), content.into_bytes());
    let mut files = vec![
        file("schema.graphql", imported.schema.clone()),
        file("directives.graphql", DIRECTIVES.to_owned()),
        file("fraiseql.toml", SETTINGS.replace("SCHEMAS", &schemas.join(", "))),
        file("import-report.md", report(imported)),
        file(".gitignore", IGNORED.to_owned()),
    ];
    files.extend(SCRIPTS.iter().map(|(name, text)| file(name, (*text).to_owned())));
    files
}

fn report(imported: &Imported) -> String {
    let mut text = String::from(
        "# What the import could not say\n\n\
         The views, tables and functions of the database were not touched. Filters keep their names (`eq`, `neq`,\n\
         `icontains`, `in`, `isnull` and so on); `_and`, `_or` and `_not` as `fraiseql schema print` shows them.\n\n",
    );
    if imported.notes.is_empty() {
        text.push_str("Nothing is missing.\n");
    }
    for note in &imported.notes {
        text.push_str(&format!("- **{}**: {}\n", note.what, note.why));
    }
    text
}
