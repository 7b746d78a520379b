//! `fraiseql migrate new`: an empty migration with its sections.

use std::fs;

use fraiseql_model::errors;

use super::{FOLDER, New};
use crate::failure::Failure;
use crate::files;
use crate::printer::Printer;

/// What a migration may be named, in characters.
const NAME_MAX: usize = 60;

const TEMPLATE: &str = "\
-- migrate: expand
-- Changes of the catalog that running releases do not notice:
-- ALTER TABLE v_user ADD COLUMN email_lower varchar;

-- migrate: backfill
-- Rows, in batches along the key; $1 and $2 are the bounds of a batch:
-- UPDATE v_user SET email_lower = lower(email) WHERE id BETWEEN $1 AND $2;

-- migrate: index
-- Indexes, and constraints that follow the backfill:
-- CREATE INDEX CONCURRENTLY idx_email_lower ON v_user (email_lower);

-- migrate: contract
-- What no release needs any more; it waits until that is so:
-- ALTER TABLE v_user DROP COLUMN email;

-- migrate: undo
-- Takes back expand, backfill and index:
-- ALTER TABLE v_user DROP COLUMN email_lower;
";

/// Writes the next file. A file that is there is never written over.
pub(super) fn run(arguments: &New, printer: &Printer) -> Result<(), Failure> {
    let name = &arguments.name;
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.is_empty() || name.len() > NAME_MAX || !name.chars().all(plain) {
        let fitting: String =
            name.to_lowercase().chars().take(NAME_MAX).map(|c| if plain(c) { c } else { '_' }).collect();
        let fitting = if fitting.is_empty() { "email_lower" } else { fitting.as_str() };
        let message = format!("name a migration {name:?}: use small letters, digits and underscores");
        return Err(Failure::new(&errors::MIG_NAME, message).hint(format!("fraiseql migrate new {fitting}")));
    }
    let folder = arguments.project.join(FOLDER);
    let number = next_number(&folder)?;
    let path = folder.join(format!("{number:04}_{name}.sql"));
    files::write(&path, TEMPLATE.as_bytes())?;
    if printer.is_json() {
        printer.data_json(&serde_json::json!({ "file": path.display().to_string() }));
    } else {
        printer.data(&format!("{}\n", path.display()));
    }
    Ok(())
}

/// Returns the number behind the last one.
fn next_number(folder: &std::path::Path) -> Result<u32, Failure> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(1),
        Err(error) => {
            let message = format!("read {}", folder.display());
            return Err(Failure::new(&errors::IO_READ, message).because(&error));
        }
    };
    let mut last = 0;
    for entry in entries {
        let entry = entry.map_err(|error| {
            Failure::new(&errors::IO_READ, format!("read {}", folder.display())).because(&error)
        })?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let digits: String = name.chars().take_while(char::is_ascii_digit).take(9).collect();
        let number = digits.bytes().fold(0_u32, |number, digit| number * 10 + u32::from(digit - b'0'));
        last = last.max(number);
    }
    Ok(last + 1)
}
