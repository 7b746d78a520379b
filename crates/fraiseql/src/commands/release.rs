//! `fraiseql release` and `fraiseql releases`: what can be deployed, and what was proven of it.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use fraiseql_agent::{
    Attestations, Kept, LoadReport, Releases, StoredRelease, read_junit, read_load, read_sarif,
};
use fraiseql_flow::Journal;
use fraiseql_model::digest::sha256_hex;
use fraiseql_model::release::{Attestation, Evidence, Release as Content, ReleasePart};
use fraiseql_rollout::{Service, read_service};
use serde_json::{Value, json};

use super::compile::{compiled, project_catalog};
use crate::args::{InProject, ProjectArguments};
use crate::clock;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::project::Project;
use crate::release_files;

/// Commands on one release.
#[derive(Debug, Subcommand)]
pub(crate) enum Release {
    /// Compile the project and keep what it is now as a release
    Build(Build),
    /// Tell what a release is made of and what was proven of it
    Show(Named),
    /// Add a proof to a release
    #[command(subcommand)]
    Attest(Attest),
    /// Say that somebody has looked at a release and wants it to be deployed
    Approve(Approve),
}

/// Arguments of `release build`.
#[derive(Debug, Args)]
pub(crate) struct Build {
    /// The project
    #[command(flatten)]
    pub(crate) project: ProjectArguments,
    /// Compile against catalog.json instead of a database
    #[arg(long)]
    pub(crate) offline: bool,
    /// Who makes it
    #[arg(long, value_name = "NAME", env = "USER", default_value = "unknown")]
    pub(crate) by: String,
}

/// Arguments of `release show`.
#[derive(Debug, Args)]
pub(crate) struct Named {
    /// The release: its first digits, or `latest`
    #[arg(default_value = "latest")]
    pub(crate) release: String,
    /// The project
    #[command(flatten)]
    pub(crate) project: InProject,
}

/// Commands that add proofs.
#[derive(Debug, Subcommand)]
pub(crate) enum Attest {
    /// Its tests have run, all of them well
    Tests(AttestReport),
    /// It was scanned for known weaknesses
    Scan(AttestReport),
    /// It has served a load: what later releases are compared with
    Baseline(AttestReport),
}

/// Arguments of the commands that read a report.
#[derive(Debug, Args)]
pub(crate) struct AttestReport {
    /// What was written: JUnit XML of tests, SARIF of a scan, the output of `fraiseql load --json`
    #[arg(long, value_name = "FILE")]
    pub(crate) report: PathBuf,
    /// Who says so
    #[arg(long, value_name = "NAME", env = "USER", default_value = "unknown")]
    pub(crate) by: String,
    /// Which release
    #[command(flatten)]
    pub(crate) named: Named,
}

/// Arguments of `release approve`.
#[derive(Debug, Args)]
pub(crate) struct Approve {
    /// Who approves
    #[arg(long, value_name = "NAME", env = "USER", default_value = "unknown")]
    pub(crate) by: String,
    /// What they want to say
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) note: String,
    /// Which release
    #[command(flatten)]
    pub(crate) named: Named,
}

/// Arguments of `releases`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct List {
    /// What else to do
    #[command(subcommand)]
    pub(crate) command: Option<ListCommand>,
    /// The project
    #[command(flatten)]
    pub(crate) project: InProject,
}

/// Commands on all releases.
#[derive(Debug, Subcommand)]
pub(crate) enum ListCommand {
    /// Remove all but the newest; never one that is served, kept for a rollback, or named by a rollout
    Prune(Prune),
}

/// Arguments of `releases prune`.
#[derive(Debug, Args)]
pub(crate) struct Prune {
    /// How many of the newest stay
    #[arg(long, value_name = "COUNT", default_value_t = 5)]
    pub(crate) keep: usize,
    /// Say what would be removed, and remove nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// The project
    #[command(flatten)]
    pub(crate) project: InProject,
}

/// Runs a command on one release.
pub(crate) async fn run(command: Release, printer: &Printer) -> Result<(), Failure> {
    match command {
        Release::Build(arguments) => {
            let project = Project::open(&arguments.project, &[])?;
            let kept = build(&project, arguments.offline, &arguments.by, printer).await?;
            tell_built(&project, &kept, printer)
        }
        Release::Show(named) => show(&named, printer),
        Release::Attest(proof) => {
            let (AttestReport { by, named, .. }, evidence) = proven(proof)?;
            attest(&named, by, evidence, printer)
        }
        Release::Approve(Approve { by, note, named }) => {
            attest(&named, by, Evidence::Approval { note }, printer)
        }
    }
}

/// Returns what a report proves. Fails when it proves nothing.
fn proven(proof: Attest) -> Result<(AttestReport, Evidence), Failure> {
    Ok(match proof {
        Attest::Tests(arguments) => {
            let (report, bytes) = read_junit(&arguments.report)?;
            let (run, skipped) = (report.run, report.skipped);
            (arguments, Evidence::Tests { run, skipped, report_sha256: sha256_hex(&bytes) })
        }
        Attest::Scan(arguments) => {
            let (findings, bytes) = read_sarif(&arguments.report)?;
            (arguments, Evidence::Scan { findings, report_sha256: sha256_hex(&bytes) })
        }
        Attest::Baseline(arguments) => {
            let (LoadReport { requests, failed, p99_us }, bytes) = read_load(&arguments.report)?;
            (arguments, Evidence::Baseline { requests, failed, p99_us, report_sha256: sha256_hex(&bytes) })
        }
    })
}

/// Compiles the project and keeps what it is now. The same again is the same release.
pub(crate) async fn build(
    project: &Project,
    offline: bool,
    by: &str,
    printer: &Printer,
) -> Result<Kept, Failure> {
    let catalog = project_catalog(project, offline, printer).await?;
    let built = compiled(project, &catalog, printer)?;
    let files = release_files::collect(project, built.bytes)?;
    let content = Content::new(env!("CARGO_PKG_VERSION"), &built.artifact.digest, &files);
    let program = std::env::current_exe()
        .map_err(|error| Failure::internal("find out which program this is", &error))?;
    let releases = Releases::in_state(&project.state());
    Ok(releases.keep(&content, &files, &program, (clock::now_s(), by))?)
}

fn tell_built(project: &Project, kept: &Kept, printer: &Printer) -> Result<(), Failure> {
    let stored = kept.stored();
    let all = Releases::in_state(&project.state()).list()?;
    let before = all.iter().find(|other| other.id != stored.id);
    let changed = before.map(|before| words(&stored.release.differences(&before.release)));
    if printer.is_json() {
        let is_new = matches!(kept, Kept::New(_));
        printer.data_json(&json!({ "release": stored.id, "new": is_new, "artifact": stored.release.artifact,
            "since": before.map(|before| &before.id), "changed": changed }));
        return Ok(());
    }
    let state = if matches!(kept, Kept::New(_)) { "built" } else { "was built already" };
    let since = match (before, changed) {
        (Some(before), Some(changed)) => format!(", changed since {}: {}", before.id, changed.join(", ")),
        _ => String::new(),
    };
    printer.say(&format!("release {} {state}: {} files{since}", stored.id, stored.release.files.len()));
    printer.data(&format!("{}\n", stored.id.as_str()));
    Ok(())
}

/// Returns parts of a release in words.
pub(crate) fn words<'p>(parts: impl IntoIterator<Item = &'p ReleasePart>) -> Vec<&'static str> {
    parts.into_iter().map(|part| part.as_str()).collect()
}

fn show(named: &Named, printer: &Printer) -> Result<(), Failure> {
    let state = state(&named.project);
    let stored = Releases::in_state(&state).find(&named.release)?;
    stored.verify()?;
    let proofs = Attestations::in_state(&state).of(&stored.id)?;
    if printer.is_json() {
        printer.data_json(&json!({ "release": stored.id, "content": stored.release,
            "builtAt": stored.built_at_s, "builtBy": stored.built_by, "attestations": proofs }));
        return Ok(());
    }
    let (at, by) = (clock::shown(stored.built_at_s), &stored.built_by);
    let release = &stored.release;
    let mut text = format!("release   {}\n", stored.id.as_str());
    text.push_str(&format!("built     {at} UTC by {by}, with fraiseql {}\n", release.program));
    text.push_str(&format!("artifact  {}\n", release.artifact));
    for proof in &proofs {
        text.push_str(&format!(
            "proof     {} UTC {}: {}\n",
            clock::shown(proof.at_s),
            proof.by,
            proof.evidence
        ));
    }
    for (path, file) in &release.files {
        text.push_str(&format!("{:>9} {path}\n", file.bytes));
    }
    printer.data(&text);
    Ok(())
}

fn attest(named: &Named, by: String, evidence: Evidence, printer: &Printer) -> Result<(), Failure> {
    let state = state(&named.project);
    let stored = Releases::in_state(&state).find(&named.release)?;
    stored.verify()?;
    let proof = Attestation { release: stored.id, at_s: clock::now_s(), by, evidence };
    Attestations::in_state(&state).add(&proof)?;
    if printer.is_json() {
        printer.data_json(&json!(proof));
    } else {
        printer.say(&format!("release {}: {}, says {}", proof.release, proof.evidence, proof.by));
    }
    Ok(())
}

/// Lists the releases, or removes old ones.
pub(crate) fn list(arguments: &List, printer: &Printer) -> Result<(), Failure> {
    if let Some(ListCommand::Prune(prune)) = &arguments.command {
        return self::prune(prune, printer);
    }
    let state = state(&arguments.project);
    let all = Releases::in_state(&state).list()?;
    let attestations = Attestations::in_state(&state);
    let mut rows = Vec::new();
    for (index, stored) in all.iter().enumerate() {
        let proofs = attestations.of(&stored.id)?;
        let before = all.get(index + 1);
        let changed = before.map(|before| words(&stored.release.differences(&before.release)));
        rows.push((stored, proofs, changed));
    }
    if printer.is_json() {
        let rows: Vec<Value> = rows
            .iter()
            .map(|(stored, proofs, changed)| {
                json!({ "release": stored.id, "builtAt": stored.built_at_s, "builtBy": stored.built_by,
                    "artifact": stored.release.artifact, "changed": changed, "attestations": proofs })
            })
            .collect();
        printer.data_json(&json!({ "releases": rows }));
        return Ok(());
    }
    if rows.is_empty() {
        printer.say("there is no release yet: `fraiseql release build` makes one");
    }
    for (stored, proofs, changed) in rows {
        let changed = changed.map(|changed| changed.join(", ")).unwrap_or_default();
        let proofs: Vec<String> = proofs.iter().map(|proof| proof.evidence.kind().to_owned()).collect();
        let row = format!(
            "{}  {}  {:12} {:24} {}",
            stored.id,
            clock::shown(stored.built_at_s),
            stored.built_by,
            changed,
            proofs.join(" ")
        );
        printer.data(&format!("{}\n", row.trim_end()));
    }
    Ok(())
}

fn prune(arguments: &Prune, printer: &Printer) -> Result<(), Failure> {
    let state = state(&arguments.project);
    let releases = Releases::in_state(&state);
    releases.tidy()?;
    let all = releases.list()?;
    let service = Journal::read(&state)?.map(|journal| read_service(&journal)).transpose()?.flatten();
    let needed = service.as_ref().map(Service::needed).unwrap_or_default();
    let (kept, old): (Vec<&StoredRelease>, Vec<&StoredRelease>) =
        all.iter().skip(arguments.keep.max(1)).partition(|stored| needed.contains_key(stored.id.as_str()));
    for stored in kept {
        printer.say(&format!("{} stays: {}", stored.id, needed[stored.id.as_str()]));
    }
    for stored in &old {
        if !arguments.dry_run {
            releases.remove(&stored.id)?;
        }
        let done = if arguments.dry_run { "would remove" } else { "removed" };
        printer.say(&format!("{done} {} of {}", stored.id, clock::shown(stored.built_at_s)));
    }
    if printer.is_json() {
        let ids: Vec<_> = old.iter().map(|stored| &stored.id).collect();
        printer.data_json(&json!({ "removed": ids, "dryRun": arguments.dry_run }));
    }
    Ok(())
}

fn state(project: &InProject) -> PathBuf {
    Project::state_of(&project.dir)
}
