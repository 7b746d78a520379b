//! `fraiseql load`: a little traffic, so that a rollout has something to judge, or as much as there can be.

mod saturation;

pub(crate) use saturation::Measured;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::args::InProject;
use crate::clock;
use crate::endpoint::Endpoint;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::project::{Project, open_artifact};
use crate::try_queries::try_queries;

/// Requests that may be open at a time.
const OPEN_MAX: usize = 256;

/// For how long, when nobody says so.
const TIME: Duration = Duration::from_secs(60);
/// The same, of each number of clients.
const LEVEL: Duration = Duration::from_secs(5);

/// Arguments of `load`.
#[derive(Debug, Args)]
pub(crate) struct Load {
    /// The service's GraphQL endpoint
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:4000/graphql")]
    pub(crate) url: String,
    /// Requests a second
    #[arg(long, value_name = "COUNT", default_value_t = 50)]
    pub(crate) rate: u32,
    /// For how long; with --to-saturation each number of clients
    #[arg(long = "for", value_name = "TIME", value_parser = clock::duration)]
    pub(crate) time: Option<Duration>,
    /// Measure how many requests a second there can be, with 1, 2, 4 ... clients that ask without a pause
    #[arg(long, conflicts_with = "rate")]
    pub(crate) to_saturation: bool,
    /// A query to send; some of the project's own when none is given
    #[arg(long, value_name = "GRAPHQL")]
    pub(crate) query: Vec<String>,
    /// A header, for example 'Authorization: Bearer TOKEN'
    #[arg(long, value_name = "NAME: VALUE")]
    pub(crate) header: Vec<String>,
    /// The project
    #[command(flatten)]
    pub(crate) project: InProject,
}

/// Sends requests, and tells what came of them.
pub(crate) async fn run(arguments: &Load, printer: &Printer) -> Result<(), Failure> {
    let queries = match arguments.query.is_empty() {
        false => arguments.query.clone(),
        true => {
            let dir = &arguments.project.dir;
            let found = fraiseql_agent::Releases::in_state(&Project::state_of(dir)).find("latest");
            let folder = found.map_or_else(|_none| dir.clone(), |stored| stored.project());
            try_queries(&open_artifact(&folder.join("schema.compiled.json"))?)
        }
    };
    if arguments.to_saturation {
        let endpoint = Endpoint::new(&arguments.url, &arguments.header)?;
        let each = arguments.time.unwrap_or(LEVEL);
        return saturation::run(
            endpoint,
            queries,
            (each, &Project::state_of(&arguments.project.dir)),
            printer,
        )
        .await;
    }
    let time = arguments.time.unwrap_or(TIME);
    let bar = printer.progress("load", time.as_secs());
    let started = Instant::now();
    let mut pulse = tokio::time::interval(Duration::from_secs(1) / arguments.rate.max(1));
    let mut open = JoinSet::new();
    let mut told = Told::default();
    for number in 0_usize.. {
        pulse.tick().await;
        if started.elapsed() >= time {
            break;
        }
        bar.set_position(started.elapsed().as_secs());
        while let Some(ended) = open.try_join_next() {
            told.take(ended);
        }
        if open.len() >= OPEN_MAX {
            told.take_next(&mut open).await;
        }
        let endpoint = Endpoint::new(&arguments.url, &arguments.header)?;
        let query = queries[number % queries.len().max(1)].clone();
        open.spawn(async move {
            let began = Instant::now();
            (endpoint.send(&json!({ "query": query })).await, began.elapsed())
        });
    }
    while !open.is_empty() {
        told.take_next(&mut open).await;
    }
    bar.finish_and_clear();
    told.print(printer);
    Ok(())
}

/// What came of the requests.
#[derive(Default)]
struct Told {
    durations: Vec<Duration>,
    failures: BTreeMap<String, u64>,
}

type Ended = Result<(Result<Value, Failure>, Duration), tokio::task::JoinError>;

impl Told {
    async fn take_next(&mut self, open: &mut JoinSet<(Result<Value, Failure>, Duration)>) {
        if let Some(ended) = open.join_next().await {
            self.take(ended);
        }
    }

    fn take(&mut self, ended: Ended) {
        let Ok((answer, duration)) = ended else { return };
        self.durations.push(duration);
        let failure = match answer {
            Ok(answer) => match answer["errors"][0]["message"].as_str() {
                Some(message) => message.to_owned(),
                None => return,
            },
            Err(failure) => failure.message,
        };
        *self.failures.entry(failure).or_default() += 1;
    }

    fn print(&mut self, printer: &Printer) {
        self.durations.sort();
        let at = |percent: usize| {
            let index = (self.durations.len() * percent / 100).min(self.durations.len().saturating_sub(1));
            self.durations.get(index).map_or(0.0, |duration| duration.as_secs_f64() * 1e3)
        };
        let (requests, failed) = (self.durations.len(), self.failures.values().sum::<u64>());
        let (p50, p99) = (at(50), at(99));
        if printer.is_json() {
            printer.data_json(&json!({ "requests": requests, "failed": failed, "p50_ms": p50, "p99_ms": p99, "failures": self.failures }));
            return;
        }
        printer.data(&format!("{requests} requests, {failed} failed; p50 {p50:.1} ms, p99 {p99:.1} ms\n"));
        for (message, count) in &self.failures {
            printer.data(&format!("{count:6}  {message}\n"));
        }
    }
}
