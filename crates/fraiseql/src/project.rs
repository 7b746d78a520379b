//! A project on disk: its files and its settings.

use std::path::{Path, PathBuf};

use fraiseql_model::artifact::{Artifact, ArtifactError};
use fraiseql_model::catalog::{CATALOG_FORMAT, Catalog};
use fraiseql_model::errors;
use fraiseql_model::settings::Settings;

use crate::args::ProjectArguments;
use crate::failure::Failure;
use crate::{files, settings_file};

/// A project.
#[derive(Debug)]
pub(crate) struct Project {
    pub(crate) dir: PathBuf,
    pub(crate) settings: Settings,
}

impl Project {
    /// Opens a project; fails when the folder is none.
    pub(crate) fn open(
        arguments: &ProjectArguments,
        flags: &[(&str, String, &str)],
    ) -> Result<Self, Failure> {
        let dir = arguments.dir.clone();
        Self::require(&dir)?;
        let settings = settings_file::load(arguments, flags)?;
        Ok(Self { dir, settings })
    }

    /// Fails when the folder is no project.
    pub(crate) fn require(dir: &Path) -> Result<(), Failure> {
        if !dir.join("schema.graphql").exists() && !dir.join("fraiseql.toml").exists() {
            let message = format!("find a project in {}: it has no schema.graphql", dir.display());
            let hint = "name the project's folder, or make one with `fraiseql init --from-database URL DIR`";
            return Err(Failure::new(&errors::IO_NO_PROJECT, message).hint(hint));
        }
        Ok(())
    }

    /// Returns the folder for what this machine keeps of the project.
    pub(crate) fn state(&self) -> PathBuf {
        Self::state_of(&self.dir)
    }

    /// Does as [`Self::state`] for a project that is not opened.
    pub(crate) fn state_of(dir: &Path) -> PathBuf {
        dir.join(".fraiseql")
    }

    /// Returns the path of the schema.
    pub(crate) fn schema(&self) -> PathBuf {
        self.dir.join("schema.graphql")
    }

    /// Returns the path of the artifact.
    pub(crate) fn artifact(&self) -> PathBuf {
        self.dir.join("schema.compiled.json")
    }

    /// Returns the path of the saved catalog.
    pub(crate) fn snapshot(&self) -> PathBuf {
        self.dir.join("catalog.json")
    }
}

/// Opens an artifact.
pub(crate) fn open_artifact(path: &Path) -> Result<Artifact, Failure> {
    if !path.exists() {
        let message = format!("read {}: it does not exist", path.display());
        let hint = "compile the project first: `fraiseql compile DIR`";
        return Err(Failure::new(&errors::IO_READ, message).hint(hint));
    }
    let bytes = files::read_bytes(path)?;
    Artifact::open(&bytes).map_err(|error| {
        let code = match &error {
            ArtifactError::Malformed { .. } => &errors::ART_MALFORMED,
            ArtifactError::Format { .. } => &errors::ART_FORMAT,
            ArtifactError::Digest { .. } => &errors::ART_DIGEST,
        };
        let message = format!("open {}", path.display());
        Failure::new(code, message).because(&error).hint("compile the project again: `fraiseql compile DIR`")
    })
}

/// Opens a saved catalog.
pub(crate) fn open_snapshot(path: &Path) -> Result<Catalog, Failure> {
    let bytes = files::read_bytes(path)?;
    let failed = |reason: &str| {
        let message = format!("use the saved catalog {}: {reason}", path.display());
        let hint = "save it again: `fraiseql compile DIR --snapshot` with a database";
        Failure::new(&errors::CAT_SNAPSHOT, message).hint(hint)
    };
    let catalog: Catalog =
        serde_json::from_slice(&bytes).map_err(|error| failed("it cannot be understood").because(&error))?;
    if catalog.format == CATALOG_FORMAT {
        Ok(catalog)
    } else {
        Err(failed(&format!("it has format {}, this version reads {CATALOG_FORMAT}", catalog.format)))
    }
}
