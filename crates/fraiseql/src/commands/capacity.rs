//! `fraiseql capacity`: what the service uses, when that will be too much, and how many instances a rate needs.

use std::path::Path;

use clap::{Args, Subcommand};
use fraiseql_model::errors;
use fraiseql_ops::capacity::{
    CapacityForecast, CapacityLimits, CapacityMetric, CapacitySample, CapacityTrend, ScalingTrigger,
    TriggerState, average, forecast, instances_for, scaling_triggers,
};
use serde_json::{Value, json};

use super::load::Measured;
use crate::agent::noted_samples;
use crate::args::InProject;
use crate::clock;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::project::Project;

/// What "now" is: the guide's triggers look so far back.
const RECENT_MS: u64 = 600_000;
/// A forecast further away is no forecast.
const DAYS_MAX: f64 = 3_650.0;

/// Arguments of `capacity`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Capacity {
    #[command(subcommand)]
    command: Option<CapacityCommand>,
    /// The project
    #[command(flatten)]
    project: InProject,
}

/// Commands on capacity.
#[derive(Debug, Subcommand)]
pub(crate) enum CapacityCommand {
    /// Tell how many instances and connections a rate needs, by what `fraiseql load --to-saturation` measured
    Plan(Plan),
}

/// Arguments of `capacity plan`.
#[derive(Debug, Args)]
pub(crate) struct Plan {
    /// Requests a second
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    rps: u32,
    /// The project
    #[command(flatten)]
    project: InProject,
}

/// Runs a command.
pub(crate) fn run(arguments: Capacity, printer: &Printer) -> Result<(), Failure> {
    match arguments.command {
        None => show(&arguments.project.dir, printer),
        Some(CapacityCommand::Plan(plan)) => plan_for(plan, printer),
    }
}

/// What is told of one figure.
struct Row {
    metric: CapacityMetric,
    now: Option<f64>,
    recent: Option<f64>,
    trend: Option<CapacityTrend>,
    limit: Option<f64>,
    when: CapacityForecast,
}

impl Row {
    fn of(samples: &[CapacitySample], metric: CapacityMetric, limits: &CapacityLimits, now_ms: u64) -> Self {
        let limit = metric.limit(limits);
        let (trend, when) = forecast(samples, metric, limit);
        let now = samples.last().map(|sample| metric.of(sample));
        Self { metric, now, recent: average(samples, metric, now_ms, RECENT_MS), trend, limit, when }
    }

    fn json(&self) -> Value {
        json!({
            "metric": self.metric, "now": self.now, "average_10m": self.recent, "trend": self.trend,
            "limit": self.limit, "forecast": self.when,
        })
    }

    fn line(&self) -> String {
        let show = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| self.metric.show(value));
        let trend = self.trend.map_or_else(
            || "-".to_owned(),
            |trend| {
                let sign = if trend.per_day < 0.0 { '-' } else { '+' };
                format!("{sign}{}", self.metric.show(trend.per_day.abs()))
            },
        );
        format!(
            "{:<22}{:>10}{:>12}{:>14}{:>10}  {}\n",
            self.metric.name(),
            show(self.now),
            show(self.recent),
            trend,
            show(self.limit),
            shown_forecast(&self.when, self.limit),
        )
    }
}

fn shown_forecast(when: &CapacityForecast, limit: Option<f64>) -> String {
    match when {
        _ if limit.is_none() => String::new(),
        CapacityForecast::Now => "it is met".to_owned(),
        CapacityForecast::In { days, .. } if *days > DAYS_MAX => "not at this trend".to_owned(),
        CapacityForecast::In { soonest, days, latest } => {
            let latest = latest.map_or_else(|| "never".to_owned(), |latest| format!("{latest:.1}"));
            format!("in {days:.1} days ({soonest:.1} to {latest})")
        }
        CapacityForecast::Never => "not at this trend".to_owned(),
        CapacityForecast::Unknown => "an hour of samples tells".to_owned(),
    }
}

fn show(dir: &Path, printer: &Printer) -> Result<(), Failure> {
    let state = Project::state_of(dir);
    let samples = noted_samples(&state);
    let measured = Measured::read(&state)?.and_then(|measured| measured.fit());
    let limits = CapacityLimits { requests_s: measured.map(|fit| fit.knee()) };
    let now_ms = clock::now_ms();
    let rows: Vec<Row> =
        CapacityMetric::ALL.iter().map(|metric| Row::of(&samples, *metric, &limits, now_ms)).collect();
    let triggers = scaling_triggers(&samples, &limits, now_ms);
    let scale = triggers.iter().any(|trigger| trigger.state == TriggerState::Fires);
    if printer.is_json() {
        printer.data_json(&json!({
            "samples": samples.len(), "since_ms": samples.first().map(|sample| sample.at_ms),
            "instances": samples.last().map(|sample| sample.instances),
            "metrics": rows.iter().map(Row::json).collect::<Vec<_>>(),
            "triggers": triggers, "scale_up": scale,
        }));
        return Ok(());
    }
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else {
        printer.say("there are no samples: `fraiseql agent` notes one each agent.sample_interval_ms");
        return Ok(());
    };
    let mut text = format!(
        "{} samples since {}, {} with {}\n\n{:<22}{:>10}{:>12}{:>14}{:>10}  limit met\n",
        samples.len(),
        clock::shown(first.at_ms / 1000),
        "the newest",
        instances(last.instances),
        "",
        "now",
        "10 minutes",
        "change a day",
        "limit",
    );
    text.extend(rows.iter().map(Row::line));
    text.push_str("\nscale up if\n");
    text.extend(triggers.iter().map(shown_trigger));
    printer.data(&text);
    Ok(())
}

fn shown_trigger(trigger: &ScalingTrigger) -> String {
    let above = trigger.above.map_or_else(|| "?".to_owned(), |above| trigger.metric.show(above));
    let lasting = if trigger.lasting_ms == 0 { "" } else { " for 10 minutes" };
    let state = match trigger.state {
        TriggerState::Fires => "YES",
        TriggerState::Quiet => "no",
        TriggerState::Unknown => "unknown: there are not enough samples",
        TriggerState::NotConfigured => "not configured: `fraiseql load --to-saturation` measures the limit",
    };
    format!("  {:<45}{state}\n", format!("{} > {above}{lasting}", trigger.metric.name()))
}

fn plan_for(plan: Plan, printer: &Printer) -> Result<(), Failure> {
    let state = Project::state_of(&plan.project.dir);
    let measured = Measured::read(&state)?;
    let found = measured.as_ref().and_then(|measured| Some((measured, measured.fit()?)));
    let Some((measured, fit)) = found else {
        let message = "plan for a rate: nobody has measured what an instance can do".to_owned();
        return Err(Failure::new(&errors::CAP_UNMEASURED, message)
            .hint("`fraiseql load --to-saturation` measures it, against a service that nobody else uses"));
    };
    let (fewest, likeliest, most) = instances_for(&fit, measured.instances, f64::from(plan.rps));
    let pool = Project::open(&plan.project.into(), &[])?.settings.integer("database.pool_size");
    let connections = u64::from(most).saturating_mul(pool);
    if printer.is_json() {
        printer.data_json(&json!({
            "requests_s": plan.rps, "instances": likeliest, "between": [fewest, most],
            "connections": connections, "measured_ms": measured.at_ms,
            "measured_instances": measured.instances, "fit": fit,
        }));
        return Ok(());
    }
    printer.data(&format!(
        "{} requests a second: {} ({fewest} to {most}), {connections} connections (pools of {pool})\n\
         by {:.0} requests a second that {} reached on {}, of which 70 % count; it holds while the database \
         is not in their way\n",
        plan.rps,
        instances(likeliest),
        fit.highest,
        instances(measured.instances),
        clock::shown(measured.at_ms / 1000),
    ));
    Ok(())
}

fn instances(count: u32) -> String {
    if count == 1 { "1 instance".to_owned() } else { format!("{count} instances") }
}
