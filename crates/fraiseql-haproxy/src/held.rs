//! What lies on the disk: the generation that was made to hold, and what was counted so far.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use fraiseql_model::traffic::{ArmCounts, Generation};
use serde::{Deserialize, Serialize};

use crate::error::HaProxyError;
use crate::stats::PlaceCounts;

/// The version of the file.
const FORMAT: u32 = 1;
/// The most releases that are remembered.
const RELEASES_MAX: usize = 64;

/// All that is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kept {
    format: u32,
    pub(crate) generation: Option<Generation>,
    /// By place: which release it has, and what HAProxy's own counters said last.
    places: BTreeMap<String, KeptPlace>,
    /// In the order in which releases came.
    counts: Vec<ArmCounts>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptPlace {
    release: String,
    requests: u64,
    failed: u64,
}

impl Default for Kept {
    fn default() -> Self {
        Self { format: FORMAT, generation: None, places: BTreeMap::new(), counts: Vec::new() }
    }
}

impl Kept {
    /// Reads what is kept; nothing when there is no file. Fails when it cannot be read.
    pub(crate) fn read(path: &Path) -> Result<Self, HaProxyError> {
        let failed = |source| HaProxyError::File { path: path.to_owned(), source };
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(failed(error)),
        };
        let kept: Self = serde_json::from_slice(&text)
            .map_err(|error| failed(io::Error::new(ErrorKind::InvalidData, error)))?;
        if kept.format == 0 || kept.format > FORMAT {
            let reason = format!("format {} is newer than this program", kept.format);
            return Err(failed(io::Error::new(ErrorKind::InvalidData, reason)));
        }
        Ok(kept)
    }

    /// Writes it down to the disk, in one piece.
    pub(crate) fn write(&self, path: &Path) -> Result<(), HaProxyError> {
        let write = || -> io::Result<()> {
            let folder = path.parent().unwrap_or(Path::new("."));
            fs::create_dir_all(folder)?;
            let mut new = tempfile::Builder::new().prefix(".haproxy-").tempfile_in(folder)?;
            new.write_all(serde_json::to_string(self)?.as_bytes())?;
            new.as_file().sync_all()?;
            new.persist(path).map_err(|error| error.error)?;
            File::open(folder)?.sync_all()
        };
        write().map_err(|source| HaProxyError::File { path: path.to_owned(), source })
    }

    /// Adds what HAProxy has counted since it was asked last, and notes which place has which release.
    ///
    /// A counter that fell began anew: HAProxy was started again.
    pub(crate) fn take(&mut self, found: &BTreeMap<String, PlaceCounts>, now: &[(String, String)]) {
        for arm in &mut self.counts {
            arm.in_flight = 0;
        }
        for (name, counts) in found {
            if let Some(place) = self.places.get(name).cloned() {
                let since = |now: u64, last: u64| if now >= last { now - last } else { now };
                let (requests, failed) =
                    (since(counts.requests, place.requests), since(counts.failed, place.failed));
                let arm = self.arm(&place.release);
                arm.requests += requests;
                arm.failed += failed;
                arm.in_flight += counts.in_flight;
            }
        }
        self.places = now
            .iter()
            .map(|(name, release)| {
                let counts = found.get(name).copied().unwrap_or_default();
                let (requests, failed) = (counts.requests, counts.failed);
                (name.clone(), KeptPlace { release: release.clone(), requests, failed })
            })
            .collect();
        for (_, release) in now {
            self.arm(release);
        }
        let forgotten = self.counts.len().saturating_sub(RELEASES_MAX);
        self.counts.drain(..forgotten);
    }

    /// Returns what was counted.
    pub(crate) fn counts(&self) -> &[ArmCounts] {
        &self.counts
    }

    fn arm(&mut self, release: &str) -> &mut ArmCounts {
        let known = self.counts.iter().position(|arm| arm.release == release);
        let index = known.unwrap_or_else(|| {
            self.counts.push(ArmCounts { release: release.to_owned(), ..ArmCounts::default() });
            self.counts.len() - 1
        });
        &mut self.counts[index]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(requests: u64, failed: u64) -> BTreeMap<String, PlaceCounts> {
        BTreeMap::from([("fq1".to_owned(), PlaceCounts { requests, failed, in_flight: 1 })])
    }

    #[track_caller]
    fn check(kept: &Kept, expected: &[(&str, u64, u64)]) {
        let told: Vec<_> =
            kept.counts().iter().map(|arm| (arm.release.as_str(), arm.requests, arm.failed)).collect();
        assert_eq!(told, expected);
    }

    #[test]
    fn counts_never_fall_and_belong_to_who_had_the_place() {
        let on = |release: &str| vec![("fq1".to_owned(), release.to_owned())];
        let mut kept = Kept::default();
        // What was counted before the place was ours is nobody's.
        kept.take(&counts(7, 7), &on("blue"));
        check(&kept, &[("blue", 0, 0)]);
        kept.take(&counts(17, 8), &on("blue"));
        check(&kept, &[("blue", 10, 1)]);
        // Another release moves in; HAProxy counts the place on.
        kept.take(&counts(20, 8), &on("green"));
        kept.take(&counts(25, 8), &on("green"));
        check(&kept, &[("blue", 13, 1), ("green", 5, 0)]);
        // HAProxy was started again.
        kept.take(&counts(2, 1), &on("green"));
        check(&kept, &[("blue", 13, 1), ("green", 7, 1)]);

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("haproxy.json");
        assert_eq!(Kept::read(&path).unwrap(), Kept::default());
        kept.write(&path).unwrap();
        assert_eq!(Kept::read(&path).unwrap(), kept);
        let newer = fs::read_to_string(&path).unwrap().replace("\"format\":1", "\"format\":2");
        File::create(&path).unwrap().write_all(newer.as_bytes()).unwrap();
        assert!(Kept::read(&path).is_err());
    }
}
