//! What a release must pass: before its instances start, and with them running before it gets traffic.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fraiseql_agent::Releases;
use fraiseql_engine::{Change, ChangeSeverity, diff};
use fraiseql_model::traffic::Backend;
use fraiseql_postgres::connect_control;
use fraiseql_rollout::{GateLook, GateOutcome, GateState, Gates, Rollout};
use serde_json::{Value, json};

use super::prepare;
use super::work::GateWork;
use crate::database::control_target;
use crate::endpoint::Endpoint;
use crate::files;
use crate::preflight;
use crate::project::Project;
use crate::schema_source::public_schema;

/// The gate that compares the schema with that of the stable release.
pub(crate) const SCHEMA: &str = "schema";
/// Gates that are passed before the first instance starts, in their order: instances need what migrations make.
pub(crate) const PREPARE: &[&str] = &["preflight", "backup", "migrations"];
/// Gates that are passed before any traffic, in their order.
pub(crate) const ALL: &[&str] = &["headroom", SCHEMA, "smoke", "mirror"];

/// The least of the machine's memory that must be left, in percent.
const MEMORY_LEFT_MIN: u64 = 5;
/// The least that must be left on the disk of the state directory.
const DISK_LEFT_MIN: u64 = 256 << 20;
/// How many changes, or differences, are told.
const TOLD_MAX: usize = 5;

/// Looks at gates on this machine.
pub(crate) struct LocalGates<'g> {
    pub(crate) project: &'g Arc<Project>,
    /// The work that takes longer than a look.
    pub(crate) work: &'g mut GateWork,
    /// The release that is stable now.
    pub(crate) stable: Option<String>,
    /// The database of the instances, when the agent runs one of its own.
    pub(crate) database_url: Option<String>,
}

impl Gates for LocalGates<'_> {
    async fn run(&mut self, name: &str, rollout: &Rollout, at: &[Backend]) -> GateLook {
        let release = rollout.new.as_str();
        let state = match name {
            "backup" => return self.backup(rollout),
            "migrations" => return self.migrations(rollout),
            "headroom" => self.headroom(at).await,
            SCHEMA => self.schema(release).await,
            "smoke" => self.smoke(release, at).await,
            "preflight" => return self.preflight(rollout),
            _ => not_available("this version does not look at it"),
        };
        GateLook::Done(state)
    }
}

pub(super) fn passed(evidence: impl Into<String>) -> GateState {
    GateState { outcome: GateOutcome::Passed, evidence: evidence.into() }
}

pub(super) fn failed(evidence: impl Into<String>) -> GateState {
    GateState { outcome: GateOutcome::Failed, evidence: evidence.into() }
}

pub(super) fn not_available(evidence: impl Into<String>) -> GateState {
    GateState { outcome: GateOutcome::NotAvailable, evidence: evidence.into() }
}

impl LocalGates<'_> {
    fn backup(&mut self, rollout: &Rollout) -> GateLook {
        let (project, url) = (Arc::clone(self.project), self.database_url.clone());
        let of = (rollout.id, rollout.began_ms);
        self.work.look((rollout.id, "backup"), move |said| async move {
            prepare::backup(&project, of, url.as_deref(), &said).await
        })
    }

    fn migrations(&mut self, rollout: &Rollout) -> GateLook {
        let Some(dir) = self.release_dir(&rollout.new) else {
            return GateLook::Done(failed("the release is not on this machine any more"));
        };
        let (project, url) = (Arc::clone(self.project), self.database_url.clone());
        self.work.look((rollout.id, "migrations"), move |said| async move {
            prepare::migrations(&project, &dir, url.as_deref(), &said).await
        })
    }

    fn release_dir(&self, release: &str) -> Option<PathBuf> {
        let stored = Releases::in_state(&self.project.state()).find(release);
        stored.map(|stored| stored.project()).ok()
    }

    async fn schema(&self, release: &str) -> GateState {
        let Some(stable) = &self.stable else { return passed("there is no release before it") };
        let (Some(old), Some(new)) = (self.release_dir(stable), self.release_dir(release)) else {
            return failed("a release is not on this machine any more");
        };
        let (old, new) = (old.display().to_string(), new.display().to_string());
        let schemas = (public_schema(&old, &[]).await, public_schema(&new, &[]).await);
        let (Ok(old), Ok(new)) = schemas else { return failed("a schema cannot be read") };
        let changes = diff(&old, &new);
        let breaking: Vec<&Change> =
            changes.iter().filter(|change| change.kind.severity() == ChangeSeverity::Breaking).collect();
        if breaking.is_empty() {
            return passed(format!("{} changes, none of them breaking", changes.len()));
        }
        let told: Vec<String> = breaking
            .iter()
            .take(TOLD_MAX)
            .map(|change| format!("{}: {}", change.path, change.message()))
            .collect();
        failed(format!(
            "{} breaking changes ({}); --allow-breaking deploys it nevertheless",
            breaking.len(),
            told.join("; ")
        ))
    }

    fn preflight(&mut self, rollout: &Rollout) -> GateLook {
        let (project, url) = (Arc::clone(self.project), self.database_url.clone());
        let (release, stable) = (rollout.new.clone(), self.stable.clone());
        self.work.look((rollout.id, "preflight"), move |said| async move {
            said.set("looking whether everything is as it must be");
            match preflight::gate(&project, &release, stable, url).await {
                Ok(evidence) => passed(evidence),
                Err(evidence) => failed(evidence),
            }
        })
    }

    async fn headroom(&self, at: &[Backend]) -> GateState {
        let mut told = Vec::new();
        if let Some((available, total)) = memory() {
            let percent = available * 100 / total.max(1);
            if percent < MEMORY_LEFT_MIN {
                return failed(format!("{percent} % of the memory are left, {MEMORY_LEFT_MIN} % must be"));
            }
            told.push(format!("{percent} % of the memory"));
        }
        if let Ok(disk) = rustix::fs::statvfs(self.project.state()) {
            let left = disk.f_bavail.saturating_mul(disk.f_frsize);
            if left < DISK_LEFT_MIN {
                return failed(format!(
                    "{} MiB of the disk are left, {} must be",
                    left >> 20,
                    DISK_LEFT_MIN >> 20
                ));
            }
            told.push(format!("{} MiB of the disk", left >> 20));
        }
        match self.connections(at.len()).await {
            Ok((left, wanted)) if left < wanted => {
                failed(format!("{left} connections of the database are left, its pools want {wanted} more"))
            }
            Ok((left, _)) => {
                told.push(format!("{left} connections of the database"));
                passed(format!("left: {}", told.join(", ")))
            }
            Err(reason) => {
                not_available(format!("left: {}; the database does not tell: {reason}", told.join(", ")))
            }
        }
    }

    /// Returns how many connections the database has left, and how many the pools of the new instances
    /// may still open.
    async fn connections(&self, instances: usize) -> Result<(i64, i64), String> {
        let told = |error: &dyn std::error::Error| error.to_string();
        let target = match &self.database_url {
            Some(url) => fraiseql_postgres::Target::parse(url).map_err(|error| told(&error))?,
            None => match control_target(&self.project.settings, &|_| {}).await {
                Ok(Some(target)) => target,
                Ok(None) => return Err("none is configured".to_owned()),
                Err(failure) => return Err(failure.message),
            },
        };
        let client = connect_control(&target).await.map_err(|error| told(&error))?;
        let sql = "SELECT current_setting('max_connections')::bigint - current_setting('superuser_reserved_connections')::bigint \
                   - (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')";
        let sql = if client
            .query_one("SELECT current_setting('server_version_num')::int >= 100000", &[])
            .await
            .is_ok()
        {
            sql
        } else {
            return Err("it does not answer".to_owned());
        };
        let row = client.query_one(sql, &[]).await.map_err(|error| told(&error))?;
        let pool = i64::try_from(self.project.settings.integer("database.pool_size")).unwrap_or(i64::MAX);
        let instances = i64::try_from(instances).unwrap_or(i64::MAX);
        Ok((row.get::<_, i64>(0), pool.saturating_mul(instances)))
    }

    async fn smoke(&self, release: &str, at: &[Backend]) -> GateState {
        let Some(dir) = self.release_dir(release) else {
            return failed("the release is not on this machine any more");
        };
        let Some(backend) = at.first() else { return failed("the release has no instance") };
        let tests = match smoke_tests(&dir.join("smoke")) {
            Ok(tests) if tests.is_empty() => return not_available("the project has no smoke tests"),
            Ok(tests) => tests,
            Err(reason) => return failed(reason),
        };
        for test in &tests {
            match test.run(&format!("http://{}/graphql", backend.address)).await {
                Ok(()) => {}
                Err(reason) => return failed(format!("{}: {reason}", test.name)),
            }
        }
        passed(format!("{} smoke tests", tests.len()))
    }
}

fn memory() -> Option<(u64, u64)> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let field = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        let number = line.split_whitespace().nth(1)?.parse();
        number.ok()
    };
    Some((field("MemAvailable:")?, field("MemTotal:")?))
}

/// A smoke test: `NAME.graphql`, what it must answer in `NAME.json`, and `NAME.variables.json`.
struct SmokeTest {
    name: String,
    document: String,
    variables: Value,
    expected: Value,
}

fn smoke_tests(folder: &Path) -> Result<Vec<SmokeTest>, String> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let unreadable = |error: &dyn std::fmt::Display| format!("{} cannot be read: {error}", folder.display());
    let mut tests = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| unreadable(&error))? {
        let path = entry.map_err(|error| unreadable(&error))?.path();
        if path.extension().is_none_or(|extension| extension != "graphql") {
            continue;
        }
        let read = |path: &Path| files::read_text(path).map_err(|failure| failure.message);
        let json = |path: &Path| {
            let parsed = serde_json::from_str::<Value>(&read(path)?);
            parsed.map_err(|error| format!("{}: {error}", path.display()))
        };
        let variables = path.with_extension("variables.json");
        let name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let expected = json(&path.with_extension("json"))
            .map_err(|reason| format!("what {name} must answer is not known: {reason}"))?;
        tests.push(SmokeTest {
            document: read(&path)?,
            variables: if variables.exists() { json(&variables)? } else { json!({}) },
            expected,
            name,
        });
    }
    tests.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(tests)
}

impl SmokeTest {
    async fn run(&self, url: &str) -> Result<(), String> {
        let endpoint = Endpoint::new(url, &[]).map_err(|failure| failure.message)?;
        let body = json!({ "query": self.document, "variables": self.variables });
        let answer = endpoint.send(&body).await.map_err(|failure| failure.message)?;
        // With `data` beside it, the file is a whole answer; without, only the data of one.
        let found = if self.expected.get("data").is_some() { &answer } else { &answer["data"] };
        match difference(&self.expected, found, "") {
            None => Ok(()),
            Some(found) => Err(found),
        }
    }
}

/// Returns the first place where two values differ.
fn difference(expected: &Value, found: &Value, path: &str) -> Option<String> {
    match (expected, found) {
        (Value::Object(left), Value::Object(right)) => {
            let surplus = right.keys().find(|key| !left.contains_key(*key));
            if let Some(key) = surplus {
                return Some(format!("{path}.{key} is there and should not be"));
            }
            left.iter().find_map(|(key, value)| {
                difference(value, right.get(key).unwrap_or(&Value::Null), &format!("{path}.{key}"))
            })
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            let mut pairs = left.iter().zip(right).enumerate();
            pairs.find_map(|(index, (left, right))| difference(left, right, &format!("{path}[{index}]")))
        }
        (left, right) if left == right => None,
        (left, right) => {
            Some(format!("{} is {right}, and should be {left}", if path.is_empty() { "it" } else { path }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(expected: &Value, found: &Value, told: Option<&str>) {
        assert_eq!(difference(expected, found, "").as_deref(), told);
    }

    #[test]
    fn the_first_difference_is_told_with_its_place() {
        let answer = json!({ "artists": [{ "name": "Ada", "id": 1 }] });
        check(&answer, &json!({ "artists": [{ "id": 1, "name": "Ada" }] }), None);
        check(
            &answer,
            &json!({ "artists": [{ "id": 1, "name": "Bob" }] }),
            Some(".artists[0].name is \"Bob\", and should be \"Ada\""),
        );
        check(
            &answer,
            &json!({ "artists": [] }),
            Some(".artists is [], and should be [{\"name\":\"Ada\",\"id\":1}]"),
        );
        check(
            &answer,
            &json!({ "artists": [{ "id": 1, "name": "Ada", "x": 1 }] }),
            Some(".artists[0].x is there and should not be"),
        );
        check(
            &answer,
            &Value::Null,
            Some("it is null, and should be {\"artists\":[{\"name\":\"Ada\",\"id\":1}]}"),
        );
    }
}
