//! The releases that lie in the state directory of a project.
//!
//! ```text
//! releases/IDENTIFIER/release.json    what it is made of; its digest is the identifier
//! releases/IDENTIFIER/origin.json     when and by whom it was made here
//! releases/IDENTIFIER/program         the program that serves it
//! releases/IDENTIFIER/project/        its files, as a project that can be served
//! ```
//!
//! A release is never changed: it comes with one rename, and goes with one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use fraiseql_model::digest::sha256_hex;
use fraiseql_model::release::{RELEASE_FORMAT, Release, ReleaseId};
use serde::{Deserialize, Serialize};

use crate::error::{AgentError, file};
use crate::written::{read_json, write_json};

/// The fewest digits that name a release.
const DIGITS_MIN: usize = 4;

/// The releases of a project.
#[derive(Clone, Debug)]
pub struct Releases {
    folder: PathBuf,
}

/// A release on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRelease {
    /// Its identifier.
    pub id: ReleaseId,
    /// What it is made of.
    pub release: Release,
    /// When it was made here, in seconds since the epoch of Unix.
    pub built_at_s: u64,
    /// Who made it.
    pub built_by: String,
    folder: PathBuf,
}

/// What [`Releases::keep`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It was not there and is there now.
    New(StoredRelease),
    /// It was there already.
    Known(StoredRelease),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReleaseOrigin {
    at_s: u64,
    by: String,
}

impl StoredRelease {
    /// Returns the folder that can be served as a project.
    pub fn project(&self) -> PathBuf {
        self.folder.join("project")
    }

    /// Returns the program that serves it.
    pub fn program(&self) -> PathBuf {
        self.folder.join("program")
    }

    /// Compares every file with what the identifier stands for.
    ///
    /// Fails with the first file that is missing, different, or too many.
    pub fn verify(&self) -> Result<(), AgentError> {
        let changed = |reason: String| AgentError::ChangedRelease { release: self.id.to_string(), reason };
        let project = self.project();
        for (path, expected) in &self.release.files {
            match fs::read(project.join(path)) {
                Ok(content) if sha256_hex(&content) == expected.sha256 => {}
                Ok(_) => return Err(changed(format!("{path} has changed since it was made"))),
                Err(error) => return Err(changed(format!("{path} cannot be read: {error}"))),
            }
        }
        let mut found = BTreeSet::new();
        list(&project, &project, &mut found)?;
        match found.into_iter().find(|path| !self.release.files.contains_key(path)) {
            Some(path) => Err(changed(format!("{path} does not belong to it"))),
            None => Ok(()),
        }
    }
}

impl Kept {
    /// Returns the release.
    pub fn stored(&self) -> &StoredRelease {
        let (Self::New(stored) | Self::Known(stored)) = self;
        stored
    }
}

impl Releases {
    /// Returns those in a state directory, which need not exist.
    pub fn in_state(state: &Path) -> Self {
        Self { folder: state.join("releases") }
    }

    /// Keeps a release of these files, which `program` serves. It is whole or it is not there.
    ///
    /// A second call with the same files changes nothing. Fails when one of that identifier is there
    /// and has been changed, and when the disk refuses.
    pub fn keep(
        &self,
        release: &Release,
        files: &BTreeMap<String, Vec<u8>>,
        program: &Path,
        (at_s, by): (u64, &str),
    ) -> Result<Kept, AgentError> {
        let id = release.id();
        if let Some(known) = self.read(&id)? {
            known.verify()?;
            return Ok(Kept::Known(known));
        }
        fs::create_dir_all(&self.folder).map_err(file("make", &self.folder))?;
        let new = tempfile::Builder::new().prefix(".new-").tempdir_in(&self.folder);
        let new = new.map_err(file("write to", &self.folder))?;
        fill(new.path(), release, files, program)?;
        write_json(&new.path().join("origin.json"), &ReleaseOrigin { at_s, by: by.to_owned() })?;
        let place = self.folder.join(id.as_str());
        match fs::rename(new.path(), &place) {
            // From here on it has no other name.
            Ok(()) => drop(new.keep()),
            // Another command was quicker with the same content.
            Err(error) if matches!(error.kind(), ErrorKind::DirectoryNotEmpty | ErrorKind::AlreadyExists) => {
            }
            Err(error) => return Err(file("make", &place)(error)),
        }
        sync(&self.folder)?;
        let stored = self.read(&id)?.ok_or_else(|| AgentError::ChangedRelease {
            release: id.to_string(),
            reason: "it was removed while it was made".to_owned(),
        })?;
        Ok(Kept::New(stored))
    }

    /// Takes over a release of another state directory, with its program: the same identifier.
    ///
    /// Fails as [`Self::keep`] does, and when a file of it has changed.
    pub fn adopt(&self, other: &StoredRelease) -> Result<Kept, AgentError> {
        other.verify()?;
        let mut files = BTreeMap::new();
        for path in other.release.files.keys() {
            let place = other.project().join(path);
            files.insert(path.clone(), fs::read(&place).map_err(file("read", &place))?);
        }
        self.keep(&other.release, &files, &other.program(), (other.built_at_s, &other.built_by))
    }

    /// Returns all, the newest first.
    pub fn list(&self) -> Result<Vec<StoredRelease>, AgentError> {
        let mut found = Vec::new();
        for id in self.ids()? {
            found.extend(self.read(&id)?);
        }
        found.sort_by(|left, right| (right.built_at_s, &right.id).cmp(&(left.built_at_s, &left.id)));
        Ok(found)
    }

    /// Finds one by its first digits, or the newest by the word `latest`.
    ///
    /// Fails when there is none or more than one.
    pub fn find(&self, name: &str) -> Result<StoredRelease, AgentError> {
        let unknown = || AgentError::UnknownRelease { name: name.to_owned() };
        if name == "latest" {
            return self.list()?.into_iter().next().ok_or_else(unknown);
        }
        let mut ids = self.ids()?;
        ids.retain(|id| name.len() >= DIGITS_MIN && id.as_str().starts_with(name));
        match ids.as_slice() {
            [id] => self.read(id)?.ok_or_else(unknown),
            [] => Err(unknown()),
            several => Err(AgentError::AmbiguousRelease {
                name: name.to_owned(),
                found: several.iter().map(ToString::to_string).collect(),
            }),
        }
    }

    /// Returns the one with that identifier; `None` when it is not on this machine.
    pub fn get(&self, id: &ReleaseId) -> Result<Option<StoredRelease>, AgentError> {
        self.read(id)
    }

    /// Removes one. A second call does nothing.
    pub fn remove(&self, id: &ReleaseId) -> Result<(), AgentError> {
        let place = self.folder.join(id.as_str());
        let gone = self.folder.join(format!(".gone-{}", id.as_str()));
        match fs::rename(&place, &gone) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(file("remove", &place)(error)),
        }
        match fs::remove_dir_all(&gone) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(file("remove", &gone)(error)),
        }
    }

    /// Removes what interrupted commands have left.
    pub fn tidy(&self) -> Result<(), AgentError> {
        for name in self.names()? {
            if name.starts_with(".new-") || name.starts_with(".gone-") {
                let path = self.folder.join(name);
                fs::remove_dir_all(&path).map_err(file("remove", &path))?;
            }
        }
        Ok(())
    }

    fn names(&self) -> Result<Vec<String>, AgentError> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(file("read", &self.folder)(error)),
        };
        let name = |entry: std::io::Result<fs::DirEntry>| {
            entry.map(|entry| entry.file_name().to_string_lossy().into_owned())
        };
        entries.map(name).collect::<Result<_, _>>().map_err(file("read", &self.folder))
    }

    fn ids(&self) -> Result<Vec<ReleaseId>, AgentError> {
        Ok(self.names()?.iter().filter_map(|name| ReleaseId::parse(name)).collect())
    }

    fn read(&self, id: &ReleaseId) -> Result<Option<StoredRelease>, AgentError> {
        let folder = self.folder.join(id.as_str());
        let path = folder.join("release.json");
        let Some(release) = read_json::<Release>(&path)? else { return Ok(None) };
        let changed = |reason: String| AgentError::ChangedRelease { release: id.to_string(), reason };
        if release.format == 0 || release.format > RELEASE_FORMAT {
            return Err(changed(format!("its format {} is newer than this program", release.format)));
        }
        if release.id() != *id {
            return Err(changed("release.json has changed since it was made".to_owned()));
        }
        let origin = folder.join("origin.json");
        let ReleaseOrigin { at_s, by } =
            read_json(&origin)?.ok_or_else(|| changed("origin.json is missing".to_owned()))?;
        Ok(Some(StoredRelease { id: id.clone(), release, built_at_s: at_s, built_by: by, folder }))
    }
}

/// Writes a release into an empty folder, down to the disk.
fn fill(
    folder: &Path,
    release: &Release,
    files: &BTreeMap<String, Vec<u8>>,
    program: &Path,
) -> Result<(), AgentError> {
    let project = folder.join("project");
    fs::create_dir(&project).map_err(file("make", &project))?;
    for (path, content) in files {
        let path = project.join(path);
        let parent = path.parent().unwrap_or(&project);
        fs::create_dir_all(parent).map_err(file("make", parent))?;
        let write = || -> std::io::Result<()> {
            let mut new = File::create_new(&path)?;
            new.write_all(content)?;
            new.set_permissions(Permissions::from_mode(0o444))?;
            new.sync_all()
        };
        write().map_err(file("write", &path))?;
        sync(parent)?;
    }
    let copy = folder.join("program");
    // The same file under another name where that is possible: an update of the program replaces its
    // own name only.
    if fs::hard_link(program, &copy).is_err() {
        fs::copy(program, &copy).map_err(file("copy the program to", &copy))?;
        File::open(&copy).and_then(|copy| copy.sync_all()).map_err(file("write", &copy))?;
    }
    write_json(&folder.join("release.json"), release)?;
    sync(&project)?;
    sync(folder)
}

fn sync(folder: &Path) -> Result<(), AgentError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(file("write", folder))
}

fn list(root: &Path, folder: &Path, found: &mut BTreeSet<String>) -> Result<(), AgentError> {
    for entry in fs::read_dir(folder).map_err(file("read", folder))? {
        let entry = entry.map_err(file("read", folder))?;
        let path = entry.path();
        if entry.file_type().map_err(file("look at", &path))?.is_dir() {
            list(root, &path, found)?;
        } else {
            let inside = path.strip_prefix(root).unwrap_or(&path);
            found.insert(inside.to_string_lossy().into_owned());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(texts: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
        texts.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect()
    }

    fn keep(releases: &Releases, texts: &[(&str, &str)], at_s: u64) -> Result<Kept, AgentError> {
        let files = files(texts);
        let program = std::env::current_exe().unwrap();
        releases.keep(&Release::new("1", "a", &files), &files, &program, (at_s, "me"))
    }

    #[test]
    fn a_release_is_kept_once_and_found_by_its_first_digits() {
        let state = tempfile::tempdir().unwrap();
        let releases = Releases::in_state(state.path());
        let texts = [("schema.graphql", "type A"), ("operations/deep/a.graphql", "query A { a }")];
        let kept = keep(&releases, &texts, 1).unwrap();
        let Kept::New(stored) = &kept else { panic!("{kept:?}") };
        stored.verify().unwrap();
        assert_eq!(fs::read(stored.project().join("operations/deep/a.graphql")).unwrap(), b"query A { a }");
        assert!(fs::metadata(stored.program()).unwrap().permissions().mode() & 0o100 != 0);

        assert_eq!(keep(&releases, &texts, 2).unwrap(), Kept::Known(stored.clone()));
        let newer = keep(&releases, &[("schema.graphql", "type B")], 3).unwrap();
        assert_eq!(releases.find("latest").unwrap(), *newer.stored());
        assert_eq!(releases.find(stored.id.short()).unwrap(), *stored);
        assert_eq!(releases.list().unwrap(), [newer.stored().clone(), stored.clone()]);

        releases.remove(&stored.id).unwrap();
        releases.remove(&stored.id).unwrap();
        assert_eq!(releases.get(&stored.id).unwrap(), None);
        assert!(matches!(releases.find(stored.id.as_str()), Err(AgentError::UnknownRelease { .. })));
    }

    #[test]
    fn names_that_lead_nowhere_or_out_are_refused() {
        let state = tempfile::tempdir().unwrap();
        let releases = Releases::in_state(state.path());
        keep(&releases, &[("schema.graphql", "type A")], 1).unwrap();
        for name in ["", "ab", "../..", "zzzz", "latest2"] {
            assert!(matches!(releases.find(name), Err(AgentError::UnknownRelease { .. })), "{name}");
        }
    }

    #[track_caller]
    fn check_changed(change: impl FnOnce(&StoredRelease), expected: &str) {
        let state = tempfile::tempdir().unwrap();
        let releases = Releases::in_state(state.path());
        let kept = keep(&releases, &[("schema.graphql", "type A")], 1).unwrap();
        change(kept.stored());
        let error = keep(&releases, &[("schema.graphql", "type A")], 2).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn a_changed_release_is_never_used() {
        let schema = |stored: &StoredRelease| stored.project().join("schema.graphql");
        check_changed(
            |stored| {
                fs::remove_file(schema(stored)).unwrap();
                File::create(schema(stored)).unwrap();
            },
            "schema.graphql has changed since it was made",
        );
        check_changed(|stored| fs::remove_file(schema(stored)).unwrap(), "schema.graphql cannot be read");
        check_changed(
            |stored| drop(File::create(stored.project().join("extra")).unwrap()),
            "extra does not belong to it",
        );
        check_changed(
            |stored| {
                let path = stored.folder.join("release.json");
                let text = fs::read_to_string(&path).unwrap().replace("\"1\"", "\"2\"");
                crate::written::write(&path, text.as_bytes()).unwrap();
            },
            "release.json has changed since it was made",
        );
    }

    #[test]
    fn what_was_interrupted_is_no_release_and_is_tidied() {
        let state = tempfile::tempdir().unwrap();
        let releases = Releases::in_state(state.path());
        keep(&releases, &[("schema.graphql", "type A")], 1).unwrap();
        fs::create_dir(state.path().join("releases/.new-abc")).unwrap();
        fs::create_dir(state.path().join("releases/.gone-abc")).unwrap();
        assert_eq!(releases.list().unwrap().len(), 1);
        releases.tidy().unwrap();
        assert_eq!(releases.names().unwrap().len(), 1);
    }
}
