//! The project's folder `operations`: which files are in it, and what is wrong with them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use fraiseql_compile::{Source, with_operations};
use fraiseql_model::artifact::Artifact;
use fraiseql_model::diagnostic::Diagnostic;
use fraiseql_model::errors;

use crate::failure::Failure;
use crate::files;

/// The folder in a project that holds operations.
pub(crate) const FOLDER: &str = "operations";
/// How deep folders may nest in it.
const DEPTH_MAX: usize = 16;
/// The most files in it.
const FILES_MAX: usize = 10_000;

/// Adds the operations of a project to its artifact. Without the folder the artifact stays as it is.
///
/// Fails with everything that is wrong with any of the files.
pub(crate) fn add(artifact: Artifact, project: &Path) -> Result<Artifact, Failure> {
    let mut paths = Vec::new();
    find(&project.join(FOLDER), DEPTH_MAX, &mut paths)?;
    paths.sort();
    let texts = paths.iter().map(|path| files::read_text(path)).collect::<Result<Vec<_>, _>>()?;
    let names: Vec<String> = paths.iter().map(|path| name(path, project)).collect();
    let sources: Vec<Source<'_>> =
        names.iter().zip(&texts).map(|(file, text)| Source { file, text }).collect();
    let compiled = with_operations(artifact, &sources);
    match compiled.artifact {
        Some(artifact) => Ok(artifact),
        None => Err(failure(compiled.diagnostics, &sources, project)),
    }
}

/// Returns true for a file that belongs to the operations of a project.
pub(crate) fn is_one(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "graphql")
        && path.ancestors().skip(1).any(|folder| folder.file_name().is_some_and(|name| name == FOLDER))
}

/// Returns true when a change of this path can change which operations there are: a file of theirs,
/// their folder, or a folder in it, whose files may have come together with it.
pub(crate) fn concerns(path: &Path) -> bool {
    let inside = path.ancestors().any(|folder| folder.file_name().is_some_and(|name| name == FOLDER));
    inside && path.extension().is_none_or(|extension| extension == "graphql")
}

/// Returns a path as the artifact has it: relative to the project, the same on every machine.
fn name(path: &Path, project: &Path) -> String {
    path.strip_prefix(project).unwrap_or(path).to_string_lossy().into_owned()
}

fn find(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), Failure> {
    if !folder.is_dir() {
        return Ok(());
    }
    let unreadable = |error: std::io::Error| {
        Failure::new(&errors::IO_READ, format!("read {}", folder.display())).because(&error)
    };
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.is_dir() && depth > 0 {
            find(&path, depth - 1, found)?;
        } else if is_one(&path) && path.is_file() {
            found.push(path);
        }
        if found.len() > FILES_MAX {
            let message = format!("read {}: it holds more than {FILES_MAX} files", folder.display());
            return Err(Failure::new(&errors::IO_READ, message));
        }
    }
    Ok(())
}

fn failure(diagnostics: Vec<Diagnostic>, sources: &[Source<'_>], project: &Path) -> Failure {
    let texts: BTreeMap<&str, &str> = sources.iter().map(|source| (source.file, source.text)).collect();
    let (mut shown, mut told) = (Vec::new(), Vec::new());
    for mut found in diagnostics {
        let text = found.span.as_ref().and_then(|span| texts.get(span.file.as_str()).copied());
        if let Some(span) = &mut found.span {
            // From where the user stands, as the schema is shown.
            let path = project.join(&span.file);
            span.file = path.strip_prefix("./").unwrap_or(&path).display().to_string();
        }
        shown.push(found.render(text));
        told.push(found);
    }
    let diagnostics = told;
    let code = diagnostics.first().map_or(&errors::OPS_INVALID, |first| first.code);
    let plural = if diagnostics.len() == 1 { "" } else { "s" };
    let message = format!("compile {FOLDER}: {} error{plural}", diagnostics.len());
    let mut failure = Failure::new(code, message);
    failure.shown = Some(shown.join("\n"));
    failure.diagnostics = diagnostics.iter().filter_map(|found| serde_json::to_value(found).ok()).collect();
    failure
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_graphql_files_below_the_folder_count() {
        for (path, expected) in [
            ("shop/operations/a.graphql", true),
            ("shop/operations/deep/er/a.graphql", true),
            ("shop/operations/a.gql~", false),
            ("shop/a.graphql", false),
            ("operations.graphql", false),
        ] {
            assert_eq!(is_one(Path::new(path)), expected, "{path}");
            assert!(!expected || concerns(Path::new(path)), "{path}");
        }
        assert!(concerns(Path::new("shop/operations/deep")) && concerns(Path::new("shop/operations")));
        assert!(!concerns(Path::new("shop/operations/.a.swp")) && !concerns(Path::new("shop/other")));
    }
}
