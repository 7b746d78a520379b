//! What holds, and what was counted, on the disk: two copies of the one, so that a torn or damaged
//! file costs one generation, and one of the other.
//!
//! ```text
//! .fraiseql/proxy.json       what holds: a line with the SHA-256 of the rest, then JSON
//! .fraiseql/proxy.old.json   what held before it
//! .fraiseql/proxy.counts.json
//! ```

use std::fs::{self, File, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use fraiseql_model::digest::sha256_hex;
use fraiseql_model::traffic::{ArmCounts, Generation, GenerationOrigin};
use serde::{Deserialize, Serialize};

use crate::error::{ProxyError, file};

/// What holds, as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Held {
    pub(crate) generation: Generation,
    pub(crate) origin: GenerationOrigin,
}

/// The files of a proxy.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    folder: PathBuf,
}

impl Store {
    /// Returns the files in a folder, which is made when it is not there.
    pub(crate) fn open(folder: &Path) -> Result<Self, ProxyError> {
        fs::create_dir_all(folder).map_err(file("make", folder))?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// Returns what holds; `None` when nothing was ever written.
    ///
    /// Fails when there is something and neither copy can be read: to forget it would send traffic
    /// to nobody, or to the wrong release.
    pub(crate) fn held(&self) -> Result<Option<Held>, ProxyError> {
        let (newest, older) = (self.path("proxy.json"), self.path("proxy.old.json"));
        let first = match read(&newest) {
            Ok(Some(held)) => return Ok(Some(held)),
            Ok(None) => None,
            Err(reason) => Some(reason),
        };
        match (first, read(&older)) {
            (_, Ok(Some(held))) => Ok(Some(held)),
            (None, Ok(None)) => Ok(None),
            (Some(reason), _) => Err(ProxyError::Damaged { path: newest, reason }),
            (None, Err(reason)) => Err(ProxyError::Damaged { path: older, reason }),
        }
    }

    /// Writes what holds from now on, down to the disk; what held before becomes the second copy.
    pub(crate) fn hold(&self, held: &Held) -> Result<(), ProxyError> {
        let (newest, older) = (self.path("proxy.json"), self.path("proxy.old.json"));
        // Never replaced by a copy that cannot be read.
        if matches!(read(&newest), Ok(Some(_))) {
            fs::rename(&newest, &older).map_err(file("rename", &newest))?;
        }
        let text = serde_json::to_string(held).map_err(|error| file("write", &newest)(error.into()))?;
        self.write(&newest, &format!("{}\n{text}\n", sha256_hex(text.as_bytes())), true)
    }

    /// Returns what was counted; nothing when that cannot be read.
    pub(crate) fn counts(&self) -> Vec<ArmCounts> {
        let Ok(text) = fs::read(self.path("proxy.counts.json")) else { return Vec::new() };
        let read: Result<Vec<ArmCounts>, _> = serde_json::from_slice(&text);
        // Counts begin at zero then, which whoever reads them takes as a restart.
        read.unwrap_or_else(|_damaged| Vec::new())
    }

    /// Writes what was counted. Not down to the disk: it outlives the process, not the machine.
    pub(crate) fn keep_counts(&self, counts: &[ArmCounts]) -> Result<(), ProxyError> {
        let path = self.path("proxy.counts.json");
        let text = serde_json::to_string(counts).map_err(|error| file("write", &path)(error.into()))?;
        self.write(&path, &text, false)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn write(&self, path: &Path, text: &str, durable: bool) -> Result<(), ProxyError> {
        let write = || -> std::io::Result<()> {
            let owner_only = Permissions::from_mode(0o600);
            let mut new = tempfile::Builder::new()
                .prefix(".proxy-")
                .permissions(owner_only)
                .tempfile_in(&self.folder)?;
            new.write_all(text.as_bytes())?;
            if durable {
                new.as_file().sync_all()?;
            }
            new.persist(path).map_err(|error| error.error)?;
            if durable {
                File::open(&self.folder)?.sync_all()?;
            }
            Ok(())
        };
        write().map_err(file("write", path))
    }
}

fn read(path: &Path) -> Result<Option<Held>, String> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let (sum, rest) = text.split_once('\n').ok_or("it is cut short")?;
    let rest = rest.trim_end();
    if sha256_hex(rest.as_bytes()) != sum {
        return Err("its checksum is wrong".to_owned());
    }
    let held: Held = serde_json::from_str(rest).map_err(|error| error.to_string())?;
    held.generation.check().map(|()| Some(held))
}

#[cfg(test)]
mod tests {
    use fraiseql_model::traffic::{Arm, GENERATION_FORMAT, Stamp, Sticky, TrafficGate};

    use super::*;

    fn held(number: u64) -> Held {
        let arms = vec![Arm { release: "blue".to_owned(), weight: 100, backends: Vec::new() }];
        let generation = Generation {
            format: GENERATION_FORMAT,
            stamp: Stamp { epoch: 1, number },
            stable: "blue".to_owned(),
            previous: None,
            arms,
            lease_ms: None,
            sticky: Sticky::None,
            gate: TrafficGate::Open,
        };
        Held { generation, origin: GenerationOrigin::Control }
    }

    #[test]
    fn a_damaged_file_costs_one_generation_and_two_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        assert_eq!(store.held().unwrap(), None);
        for number in 1..=3 {
            store.hold(&held(number)).unwrap();
        }
        assert_eq!(store.held().unwrap(), Some(held(3)));

        let damage = |name: &str| {
            let path = folder.path().join(name);
            let text = fs::read_to_string(&path).unwrap().replace("blue", "bleu");
            File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
        };
        damage("proxy.json");
        assert_eq!(store.held().unwrap(), Some(held(2)));
        // The damaged one does not take the place of the good one.
        store.hold(&held(4)).unwrap();
        assert_eq!(store.held().unwrap(), Some(held(4)));
        damage("proxy.json");
        damage("proxy.old.json");
        assert!(store.held().unwrap_err().to_string().contains("its checksum is wrong"));
    }

    #[test]
    fn a_crash_between_the_two_renames_loses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        store.hold(&held(1)).unwrap();
        fs::rename(folder.path().join("proxy.json"), folder.path().join("proxy.old.json")).unwrap();
        assert_eq!(store.held().unwrap(), Some(held(1)));
    }
}
