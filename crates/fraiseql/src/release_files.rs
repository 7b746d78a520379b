//! Which files of a project become part of a release.

use std::collections::BTreeMap;
use std::path::Path;

use fraiseql_model::errors;

use crate::failure::Failure;
use crate::project::Project;
use crate::{files, settings_file};

/// Folders whose files belong to a release, and what these end in.
const FOLDERS: &[(&str, &[&str])] = &[
    ("operations", &["graphql"]),
    ("smoke", &["graphql", "json"]),
    ("db/views", &["sql"]),
    ("db/migrations", &["sql"]),
];
/// How deep folders may nest.
const DEPTH_MAX: usize = 16;
/// The most files of a release.
const FILES_MAX: usize = 10_000;
/// The most that its files may have together.
const BYTES_MAX: usize = 256 << 20;

/// Returns the files of a release of the project by path, with `artifact` as what it was compiled to.
///
/// Fails when a secret stands in the settings' file.
pub(crate) fn collect(project: &Project, artifact: Vec<u8>) -> Result<BTreeMap<String, Vec<u8>>, Failure> {
    let mut found = BTreeMap::new();
    found.insert("schema.compiled.json".to_owned(), artifact);
    found.insert("schema.graphql".to_owned(), files::read_bytes(&project.schema())?);
    let settings = project.dir.join("fraiseql.toml");
    if settings.exists() {
        let text = files::read_text(&settings)?;
        settings_file::refuse_written_secrets(&settings, &text)?;
        found.insert("fraiseql.toml".to_owned(), text.into_bytes());
    }
    // What clients are told in maintenance; outside of the project it is the machine's.
    if let Some(body) = project.settings.text("maintenance.body_file").filter(|body| is_inside(body)) {
        found.insert(body.to_owned(), files::read_bytes(&project.dir.join(body))?);
    }
    for (folder, endings) in FOLDERS {
        add(&project.dir, folder, endings, DEPTH_MAX, &mut found)?;
    }
    let bytes: usize = found.values().map(Vec::len).sum();
    if bytes > BYTES_MAX {
        let message = format!("make a release: its files have {bytes} bytes, the most is {BYTES_MAX}");
        return Err(Failure::new(&errors::IO_READ, message));
    }
    Ok(found)
}

fn is_inside(path: &str) -> bool {
    let path = Path::new(path);
    path.components().all(|part| matches!(part, std::path::Component::Normal(_)))
}

fn add(
    dir: &Path,
    folder: &str,
    endings: &[&str],
    depth: usize,
    found: &mut BTreeMap<String, Vec<u8>>,
) -> Result<(), Failure> {
    let path = dir.join(folder);
    if !path.is_dir() {
        return Ok(());
    }
    let unreadable = |error: std::io::Error| {
        Failure::new(&errors::IO_READ, format!("read {}", path.display())).because(&error)
    };
    for entry in std::fs::read_dir(&path).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name();
        let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else { continue };
        let (inside, path) = (format!("{folder}/{name}"), path.join(name));
        let ending = Path::new(name).extension().and_then(std::ffi::OsStr::to_str);
        if path.is_dir() && depth > 0 {
            add(dir, &inside, endings, depth - 1, found)?;
        } else if ending.is_some_and(|ending| endings.contains(&ending)) && path.is_file() {
            found.insert(inside, files::read_bytes(&path)?);
        }
        if found.len() > FILES_MAX {
            let message = format!("make a release of {}: it has more than {FILES_MAX} files", dir.display());
            return Err(Failure::new(&errors::IO_READ, message));
        }
    }
    Ok(())
}
