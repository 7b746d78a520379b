//! `fraiseql migrate guard`: whom a contract would break, asked of every release that can still serve.

use fraiseql_agent::Releases;
use fraiseql_locks::{Breakage, GuardRequest, GuardedRelease, guard};
use fraiseql_migrate::live_dependents;
use fraiseql_model::diagnostic::{Diagnostic, Span};
use fraiseql_model::errors;
use fraiseql_postgres::{Target, connect_control};
use serde_json::json;

use super::Guard;
use super::lint::{Read, as_sql, named, read_all, unreadable};
use crate::commands::usage::database_target;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::project::{Project, open_artifact};

/// How much of a name of a release is shown.
const SHOWN: usize = 12;

/// Prints what would break; fails when something would.
pub(super) async fn run(arguments: Guard, printer: &Printer) -> Result<(), Failure> {
    let Guard { files, acknowledge, project } = arguments;
    let read = read_all(&named(&files, &project.dir)?)?;
    let project = Project::open(&project.into(), &[])?;
    let target = database_target(&project).await?;
    let (broken, asked) = judged(&project, &target, &read, &acknowledge).await?;
    if printer.is_json() {
        printer.data_json(&json!({ "releases": asked, "breaks": broken }));
    }
    refuse(&broken, &asked, &read, printer)?;
    printer.say(&format!("nothing breaks; asked were {}", words(&asked)));
    Ok(())
}

/// Returns what the contracts in these files would break, and who was asked.
pub(super) async fn judged(
    project: &Project,
    target: &Target,
    read: &[Read],
    acknowledged: &[String],
) -> Result<(Vec<Breakage>, Vec<String>), Failure> {
    let releases = releases(project)?;
    let client = connect_control(target).await?;
    let live = live_dependents(&client).await?;
    let sql: Vec<_> = read.iter().map(as_sql).collect();
    let request = GuardRequest { files: &sql, releases: &releases, live: &live, acknowledged };
    let broken = guard(&request).map_err(|wrong| unreadable(&wrong, read.iter()))?;
    Ok((broken, releases.into_iter().map(|release| release.name).collect()))
}

/// Fails when something would break, having shown what.
pub(super) fn refuse(
    broken: &[Breakage],
    asked: &[String],
    read: &[Read],
    printer: &Printer,
) -> Result<(), Failure> {
    if broken.is_empty() {
        return Ok(());
    }
    if !printer.is_json() {
        for breakage in broken {
            let source = read.iter().find(|read| read.name == breakage.file).map(|read| read.text.as_str());
            printer.diagnostic(&diagnostic(breakage, source.unwrap_or_default()), source);
        }
    }
    let count = if broken.len() == 1 { "1 use".to_owned() } else { format!("{} uses", broken.len()) };
    let message = format!("call the contract safe: {count} would break; asked were {}", words(asked));
    Err(Failure::new(&errors::MIG_GUARDED, message)
        .hint("deploy a release that does without, then `fraiseql releases prune` those that nobody needs"))
}

pub(super) fn words(asked: &[String]) -> String {
    match asked {
        [] => "nobody: there is no release, and nothing is compiled".to_owned(),
        names => names.join(", "),
    }
}

/// Returns every release that is kept here, and what the project is compiled to: `serve` may run that.
fn releases(project: &Project) -> Result<Vec<GuardedRelease>, Failure> {
    let mut found = Vec::new();
    for stored in Releases::in_state(&project.state()).list()? {
        let artifact = open_artifact(&stored.project().join("schema.compiled.json"))?;
        let name = stored.id.as_str().get(..SHOWN).unwrap_or_else(|| stored.id.as_str());
        found.push(GuardedRelease { name: name.to_owned(), manifest: artifact.manifest });
    }
    let compiled = project.dir.join("schema.compiled.json");
    if compiled.exists() {
        let manifest = open_artifact(&compiled)?.manifest;
        found.push(GuardedRelease { name: "schema.compiled.json".to_owned(), manifest });
    }
    Ok(found)
}

fn diagnostic(breakage: &Breakage, source: &str) -> Diagnostic {
    let who = breakage.release.as_deref().unwrap_or("the database itself");
    let mut message = format!("{who} {} {}", breakage.operation.as_str(), breakage.object);
    if let Some(through) = &breakage.through {
        message.push_str(&format!(" through {through}"));
    }
    if !breakage.fields.is_empty() {
        message.push_str(&format!(" for {}", breakage.fields.join(", ")));
    }
    let hint = match &breakage.acknowledge {
        Some(name) => {
            format!("{}; or --acknowledge {name} when you know that it is harmless", breakage.remedy)
        }
        None => breakage.remedy.clone(),
    };
    let before: usize =
        source.split_inclusive('\n').take(breakage.line.saturating_sub(1)).map(str::len).sum();
    let length = breakage.statement.lines().next().map_or(0, str::len);
    let end = (before + length).min(source.len());
    let span = Span { file: breakage.file.clone(), start: before.min(end), end };
    Diagnostic::error(&errors::MIG_GUARDED, message).at(span).why(&breakage.why).hint(hint)
}
