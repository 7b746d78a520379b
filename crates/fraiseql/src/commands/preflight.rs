//! `fraiseql preflight`: whether everything is as it must be before a deployment, and who took what upon themselves.

use clap::{Args, Subcommand, ValueEnum};
use fraiseql_model::errors;
use fraiseql_ops::CheckWaiver;
use fraiseql_ops::checks::{CheckList, CheckProfile, CheckVerdict};
use serde_json::{Value, json};

use super::rollout::status_of;
use crate::args::{InProject, ProjectArguments};
use crate::clock;
use crate::failure::Failure;
use crate::preflight::{self, CheckResult, summary};
use crate::printer::Printer;
use crate::project::Project;

/// Arguments of `preflight`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Preflight {
    /// What else to do
    #[command(subcommand)]
    pub(crate) command: Option<PreflightCommand>,
    /// The project
    #[command(flatten)]
    pub(crate) project: ProjectArguments,
    /// How strict to be; otherwise as server.profile says
    #[arg(long, value_enum)]
    pub(crate) profile: Option<ProfileWord>,
    /// Only this check; can be given more than once
    #[arg(long, value_name = "CHECK")]
    pub(crate) only: Vec<String>,
    /// The release that is to be deployed: its first digits, or `latest`
    #[arg(long, value_name = "RELEASE", default_value = "latest")]
    pub(crate) release: String,
}

/// Other commands of `preflight`.
#[derive(Debug, Subcommand)]
pub(crate) enum PreflightCommand {
    /// Let a check fail until a day, and write down who says so and why
    Waive(Waive),
    /// List the waivers, also those that have ended
    Waivers(InProject),
}

/// Arguments of `preflight waive`.
#[derive(Debug, Args)]
pub(crate) struct Waive {
    /// The check
    pub(crate) check: String,
    /// Why it may fail
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    /// The day on which the waiver ends, in UTC; one that is over takes an earlier waiver back
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = clock::day)]
    pub(crate) until: u64,
    /// Who says so
    #[arg(long, value_name = "NAME", env = "USER", default_value = "unknown")]
    pub(crate) by: String,
    /// The project
    #[command(flatten)]
    pub(crate) project: InProject,
}

/// A word for `--profile`.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ProfileWord {
    /// What a laptop may lack is a warning
    Development,
    /// Everything counts
    Production,
}

/// Runs the checks, or a command on waivers.
pub(crate) async fn run(arguments: Preflight, printer: &Printer) -> Result<(), Failure> {
    match arguments.command {
        Some(PreflightCommand::Waive(waive)) => return add(&waive, printer),
        Some(PreflightCommand::Waivers(project)) => return list(&project, printer),
        None => {}
    }
    let project = Project::open(&arguments.project, &[])?;
    let profile = match arguments.profile {
        Some(ProfileWord::Development) => CheckProfile::Development,
        Some(ProfileWord::Production) => CheckProfile::Production,
        None => preflight::profile(&project),
    };
    let status = status_of(&project.state()).await;
    let stable = status.map(|status| status.service.stable).map_err(|failure| failure.message);
    let looking = preflight::Preflight::new(project, &arguments.release, stable, None);
    let results = looking.run(profile, &arguments.only).await?;
    if printer.is_json() {
        printer.data_json(&json!({
            "profile": match profile {
                CheckProfile::Development => "development",
                CheckProfile::Production => "production",
            },
            "checks": results.iter().map(as_json).collect::<Vec<_>>(),
        }));
    } else {
        printer.data(&shown(&results));
    }
    let failing: Vec<&str> =
        results.iter().filter(|result| result.stands_in_the_way()).map(|result| result.check.name).collect();
    match failing.is_empty() {
        true => Ok(()),
        false => Err(Failure::new(
            &errors::PRE_FAILED,
            format!("pass the checks: {} fail", failing.join(", ")),
        )
        .hint("do what stands below each, or `fraiseql preflight waive CHECK --reason TEXT --until DAY`")),
    }
}

fn as_json(result: &CheckResult) -> Value {
    let CheckResult { check, finding, waiver } = result;
    json!({
        "check": check.name, "list": check.list.as_str(), "title": check.title,
        "verdict": finding.verdict.as_str(), "evidence": finding.evidence,
        "why": check.why, "help": check.help, "waiver": waiver,
    })
}

fn shown(results: &[CheckResult]) -> String {
    let mut text = String::new();
    for list in CheckList::ALL {
        let of_list: Vec<&CheckResult> = results.iter().filter(|result| result.check.list == *list).collect();
        if of_list.is_empty() {
            continue;
        }
        text.push_str(&format!("{}\n", list.as_str()));
        for CheckResult { check, finding, waiver } in of_list {
            let verdict = match (finding.verdict, waiver) {
                (_, Some(_)) => "waived",
                (CheckVerdict::NotApplicable, None) => "-",
                (verdict, None) => verdict.as_str(),
            };
            text.push_str(&format!(
                "  {verdict:6}  {:17}  {}: {}\n",
                check.name, check.title, finding.evidence
            ));
            if let Some(waiver) = waiver {
                text.push_str(&format!("{:29}{}\n", "", told(waiver)));
            } else if matches!(finding.verdict, CheckVerdict::Warn | CheckVerdict::Fail) {
                text.push_str(&format!("{:29}why: {}\n{:29}do: {}\n", "", check.why, "", check.help));
            }
        }
    }
    text.push_str(&format!("{}\n", summary(results)));
    text
}

fn told(waiver: &CheckWaiver) -> String {
    let CheckWaiver { reason, by, at_s, until_s, .. } = waiver;
    format!("until {} by {by} on {}: {reason}", clock::shown(*until_s), clock::shown(*at_s))
}

fn add(arguments: &Waive, printer: &Printer) -> Result<(), Failure> {
    let Waive { check, reason, until, by, project } = arguments;
    Project::require(&project.dir)?;
    let waiver = preflight::waive(&Project::state_of(&project.dir), check, reason, by, *until)?;
    match printer.is_json() {
        true => printer.data_json(&json!({ "waiver": waiver })),
        false => printer.say(&format!("{check} may fail {}", told(&waiver))),
    }
    Ok(())
}

fn list(project: &InProject, printer: &Printer) -> Result<(), Failure> {
    Project::require(&project.dir)?;
    let waivers = preflight::waivers(&Project::state_of(&project.dir))?;
    if printer.is_json() {
        printer.data_json(&json!({ "waivers": waivers }));
        return Ok(());
    }
    let now_s = clock::now_s();
    for waiver in &waivers {
        let state = if waiver.holds(&waiver.check, now_s) { "holds" } else { "ended" };
        printer.data(&format!("{state}  {:17}  {}\n", waiver.check, told(waiver)));
    }
    Ok(())
}
