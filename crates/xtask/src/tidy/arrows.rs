//! Rule: crates depend on each other only along the arrows of ARCHITECTURE.md.
//!
//! A new arrow, or a new library in a pure crate, is a decision: a note in `docs/design/`, then a line here.

use std::collections::{BTreeMap, BTreeSet};

use super::Finding;
use super::purity::PURE;
use crate::workspace::Workspace;

/// Who may depend on whom, without the prefix `fraiseql-`.
const ARROWS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("engine", &["model"]),
    ("locks", &["model"]),
    ("compile", &["model", "engine"]),
    ("net", &["model"]),
    ("secret", &["model", "net"]),
    ("postgres", &["model"]),
    ("process", &[]),
    ("cluster", &["model", "postgres", "process"]),
    ("serve", &["model", "engine", "postgres", "net", "secret"]),
    ("proxy", &["model", "net"]),
    ("haproxy", &["model"]),
    ("flow", &["model"]),
    ("agent", &["model", "net", "flow", "process"]),
    ("incident", &["model"]),
    ("migrate", &["model", "postgres", "flow", "locks", "cluster"]),
    ("backup", &["model", "postgres", "flow", "cluster", "secret"]),
    ("rollout", &["model", "flow", "migrate", "backup", "net"]),
    ("ops", &["model", "postgres", "flow", "migrate", "backup", "rollout", "net", "secret"]),
    ("console", &["model", "net", "secret"]),
    ("testkit", &["model", "postgres", "cluster"]),
    ("xtask", &["model"]),
];

/// The binary: it may depend on every crate that ships.
const BINARY: &str = "fraiseql";

/// Crates for development: nothing that ships depends on them.
const DEVELOPMENT: &[&str] = &["testkit", "xtask"];

/// The data plane never reaches these, however long the way.
const DATA_PLANE: &[&str] = &["serve", "proxy"];
const DEPLOY: &[&str] =
    &["flow", "agent", "migrate", "backup", "rollout", "incident", "ops", "console", "cluster", "haproxy"];

/// Libraries without I/O, clock or randomness, in the ways that pure crates use them.
const PURE_LIBRARIES: &[&str] = &[
    "apollo-compiler",
    "bytes",
    "indexmap",
    "serde",
    "serde_json",
    "sha2",
    "squawk-syntax",
    "strsim",
    "thiserror",
    "zeroize",
];

/// Drivers, which only `postgres` may name in code that ships.
const DRIVERS: &[&str] =
    &["postgres", "postgres-protocol", "postgres-types", "tokio-postgres", "sqlx", "diesel"];

/// One crate's manifest, as far as arrows go.
struct Manifest {
    path: String,
    package: String,
    /// Without the prefix `fraiseql-`.
    name: String,
    /// Crates of this workspace, without their prefix.
    ours: BTreeSet<String>,
    libraries: BTreeSet<String>,
}

pub(super) fn check(workspace: &Workspace) -> Vec<Finding> {
    let (mut manifests, mut findings) = (Vec::new(), Vec::new());
    for folder in workspace.crates() {
        let path = format!("crates/{folder}/Cargo.toml");
        match workspace.text(&path).map(|text| read(&path, text)) {
            Some(Ok(manifest)) if manifest.package == folder => manifests.push(manifest),
            Some(Ok(manifest)) => {
                let message =
                    format!("folder `{folder}` and package `{}` have different names", manifest.package);
                findings.push(Finding::new(&path, 1, "arrows", message));
            }
            Some(Err(error)) => findings.push(Finding::new(&path, 1, "arrows", error)),
            None => {
                findings.push(Finding::new(&path, 1, "arrows", "a folder of `crates/` without a manifest"))
            }
        }
    }
    for manifest in &manifests {
        let broken = broken_arrows(manifest).into_iter().chain(broken_fences(manifest));
        findings.extend(broken.map(|message| Finding::new(&manifest.path, 1, "arrows", message)));
    }
    findings.extend(data_plane(&manifests));
    findings
}

fn short(name: &str) -> &str {
    name.strip_prefix("fraiseql-").unwrap_or(name)
}

fn read(path: &str, text: &str) -> Result<Manifest, String> {
    let table: toml::Table = text.parse().map_err(|error| format!("not a manifest: {error}"))?;
    let name = table.get("package").and_then(|package| package.get("name")).and_then(toml::Value::as_str);
    let name = name.ok_or("a manifest without `package.name`")?;
    let (mut ours, mut libraries) = (BTreeSet::new(), BTreeSet::new());
    for dependency in shipped_dependencies(&table) {
        if dependency == BINARY || dependency == "xtask" || dependency.starts_with("fraiseql-") {
            ours.insert(short(&dependency).to_owned());
        } else {
            libraries.insert(dependency);
        }
    }
    let package = name.to_owned();
    Ok(Manifest { path: path.to_owned(), name: short(name).to_owned(), package, ours, libraries })
}

/// Returns the dependencies of code that ships: those for tests are free, those of any target count.
fn shipped_dependencies(table: &toml::Table) -> Vec<String> {
    let mut tables = vec![table];
    if let Some(targets) = table.get("target").and_then(toml::Value::as_table) {
        tables.extend(targets.values().filter_map(toml::Value::as_table));
    }
    let sections =
        tables.iter().flat_map(|table| ["dependencies", "build-dependencies"].map(|name| table.get(name)));
    let entries = sections.flatten().filter_map(toml::Value::as_table).flatten();
    entries
        .map(|(key, value)| value.get("package").and_then(toml::Value::as_str).unwrap_or(key).to_owned())
        .collect()
}

fn broken_arrows(manifest: &Manifest) -> Vec<String> {
    let name = manifest.name.as_str();
    let allowed = match ARROWS.iter().find(|(from, _)| *from == name) {
        Some((_, allowed)) => allowed.to_vec(),
        None if name == BINARY => {
            let every = ARROWS.iter().map(|(crate_name, _)| *crate_name);
            every.filter(|crate_name| !DEVELOPMENT.contains(crate_name)).collect()
        }
        None => return vec![format!("`{name}` is not a crate of the design")],
    };
    let broken = manifest.ours.iter().filter(|to| !allowed.contains(&to.as_str()));
    broken.map(|to| format!("no arrow goes from `{name}` to `{to}`")).collect()
}

fn broken_fences(manifest: &Manifest) -> Vec<String> {
    let name = manifest.name.as_str();
    let mut messages = Vec::new();
    if PURE.iter().any(|pure| short(pure) == name) {
        let strangers =
            manifest.libraries.iter().filter(|library| !PURE_LIBRARIES.contains(&library.as_str()));
        messages.extend(strangers.map(|library| format!("`{library}` is not on the list of pure libraries")));
    }
    if name != "postgres" && !DEVELOPMENT.contains(&name) {
        let drivers = manifest.libraries.iter().filter(|library| DRIVERS.contains(&library.as_str()));
        messages.extend(drivers.map(|driver| format!("`{driver}` is a driver: only `postgres` names one")));
    }
    messages
}

fn data_plane(manifests: &[Manifest]) -> Vec<Finding> {
    let by_name: BTreeMap<&str, &Manifest> =
        manifests.iter().map(|manifest| (manifest.name.as_str(), manifest)).collect();
    let mut findings = Vec::new();
    for manifest in DATA_PLANE.iter().filter_map(|name| by_name.get(name)) {
        let (mut reached, mut open) = (BTreeSet::new(), vec![manifest.name.as_str()]);
        while let Some(name) = open.pop() {
            if reached.insert(name) {
                open.extend(
                    by_name.get(name).into_iter().flat_map(|next| next.ours.iter().map(String::as_str)),
                );
            }
        }
        for deploy in reached.into_iter().filter(|name| DEPLOY.contains(name)) {
            let message = format!("the data plane (`{}`) reaches `{deploy}`", manifest.name);
            findings.push(Finding::new(&manifest.path, 1, "arrows", message));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::check_rule;

    fn manifest(name: &str, dependencies: &str) -> (String, String) {
        (format!("crates/{name}/Cargo.toml"), format!("[package]\nname = \"{name}\"\n{dependencies}"))
    }

    #[track_caller]
    fn check_manifests(manifests: &[(&str, &str)], expected: &[&str]) {
        let manifests: Vec<_> = manifests.iter().map(|(name, text)| manifest(name, text)).collect();
        let files: Vec<_> = manifests.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        check_rule(check, &files, expected);
    }

    #[test]
    fn an_arrow_against_the_design_is_found() {
        let upwards = "[dependencies]\nfraiseql-engine.workspace = true";
        check_manifests(&[("fraiseql-compile", upwards)], &[]);
        check_manifests(&[("fraiseql-postgres", upwards)], &["no arrow goes from `postgres` to `engine`"]);
        let renamed =
            "[target.'cfg(unix)'.dependencies]\nx = { package = \"fraiseql-serve\", path = \"..\" }";
        check_manifests(&[("fraiseql-engine", renamed)], &["no arrow goes from `engine` to `serve`"]);
        check_manifests(&[("fraiseql-tools", "")], &["`tools` is not a crate of the design"]);
    }

    #[test]
    fn nothing_that_ships_depends_on_development() {
        let normal = "[dependencies]\nfraiseql-testkit.workspace = true";
        check_manifests(&[("fraiseql", normal)], &["no arrow goes from `fraiseql` to `testkit`"]);
        check_manifests(&[("fraiseql", "[dev-dependencies]\nfraiseql-testkit.workspace = true")], &[]);
    }

    #[test]
    fn fences_around_libraries_hold() {
        let tokio = "[dependencies]\ntokio.workspace = true";
        check_manifests(&[("fraiseql-engine", tokio)], &["`tokio` is not on the list of pure libraries"]);
        check_manifests(&[("fraiseql-serve", tokio)], &[]);
        let driver = "[dependencies]\ntokio-postgres.workspace = true";
        check_manifests(&[("fraiseql-serve", driver)], &["`tokio-postgres` is a driver"]);
        check_manifests(&[("fraiseql-postgres", driver)], &[]);
    }

    #[test]
    fn the_data_plane_reaches_no_deploy_crate_on_any_way() {
        let serve = ("fraiseql-serve", "[dependencies]\nfraiseql-net.workspace = true");
        let net = ("fraiseql-net", "[dependencies]\nfraiseql-flow.workspace = true");
        let found = &["no arrow goes from `net` to `flow`", "the data plane (`serve`) reaches `flow`"];
        check_manifests(&[net, serve], found);
    }

    #[test]
    fn manifests_that_cannot_be_read_are_found() {
        check_rule(check, &[("crates/fraiseql-net/Cargo.toml", "[package")], &["not a manifest"]);
        check_rule(check, &[("crates/fraiseql-net/src/lib.rs", "")], &["without a manifest"]);
        check_rule(
            check,
            &[("crates/net/Cargo.toml", "[package]\nname = \"fraiseql-serve\"")],
            &["folder `net` and package `fraiseql-serve`"],
        );
    }
}
