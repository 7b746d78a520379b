//! `fraiseql load --to-saturation`: how many requests a second there can be, by more and more clients that ask
//! without a pause.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fraiseql_model::errors;
use fraiseql_ops::capacity::{LoadPoint, ScalabilityFit};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::task::JoinSet;

use crate::agent::{CAPACITY, noted_samples};
use crate::clock;
use crate::endpoint::Endpoint;
use crate::failure::Failure;
use crate::files;
use crate::printer::Printer;

/// The most clients.
const CLIENTS_MAX: u32 = 256;
/// More clients that bring less than this are no gain.
const GAIN_MIN: f64 = 1.05;
/// So many levels in a row without a gain, and it is over.
const WITHOUT_GAIN_MAX: u32 = 2;
/// More failures than this share, and the service is beyond what it can.
const FAILED_MAX: f64 = 0.01;
const FORMAT: u32 = 1;
/// In the folder of the samples.
const MEASURED: &str = "measured.json";

/// What a measurement has found, as it lies in the state directory.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Measured {
    format: u32,
    /// When, in milliseconds since 1970.
    pub(crate) at_ms: u64,
    /// How many instances answered.
    pub(crate) instances: u32,
    /// What was measured.
    pub(crate) points: Vec<LoadPoint>,
}

impl Measured {
    /// Reads the last measurement; `None` when there is none. Fails when it is damaged.
    pub(crate) fn read(state: &Path) -> Result<Option<Self>, Failure> {
        let path = state.join(CAPACITY).join(MEASURED);
        if !path.exists() {
            return Ok(None);
        }
        let text = files::read_text(&path)?;
        let measured: Self = serde_json::from_str(&text).map_err(|error| {
            Failure::new(&errors::IO_READ, format!("read {}: it is damaged", path.display()))
                .because(&error)
                .hint("measure again: `fraiseql load --to-saturation`")
        })?;
        Ok(Some(measured))
    }

    /// Returns what the points tell; `None` when they are too few.
    pub(crate) fn fit(&self) -> Option<ScalabilityFit> {
        ScalabilityFit::of(&self.points)
    }
}

/// Measures, prints, and keeps what was found in the state directory.
pub(super) async fn run(
    endpoint: Endpoint,
    queries: Vec<String>,
    (each, state): (Duration, &Path),
    printer: &Printer,
) -> Result<(), Failure> {
    let (endpoint, queries) = (Arc::new(endpoint), Arc::new(queries));
    // Whoever cannot be asked once is not measured; it also opens what is opened at the first request.
    endpoint.ask(&queries[0]).await?;
    if !printer.is_json() {
        printer.data("clients  requests/s        p99  failed\n");
    }
    let mut points: Vec<LoadPoint> = Vec::new();
    let (mut clients, mut best, mut without_gain) = (1, 0.0_f64, 0);
    while clients <= CLIENTS_MAX && without_gain < WITHOUT_GAIN_MAX {
        let point = level(&endpoint, &queries, clients, each).await;
        if !printer.is_json() {
            let LoadPoint { requests_s, p99_ms, failed, .. } = point;
            printer.data(&format!("{clients:7}  {requests_s:10.0}  {p99_ms:6.1} ms  {failed:6}\n"));
        }
        if point.failed as f64 > FAILED_MAX * (point.requests_s * each.as_secs_f64()).max(1.0) {
            printer.say("too many requests fail: the service is beyond what it can do");
            break;
        }
        without_gain = if point.requests_s >= best * GAIN_MIN { 0 } else { without_gain + 1 };
        best = best.max(point.requests_s);
        points.push(point);
        clients *= 2;
    }
    let instances = noted_samples(state).last().map_or(1, |sample| sample.instances.max(1));
    let measured = Measured { format: FORMAT, at_ms: clock::now_ms(), instances, points };
    let path = state.join(CAPACITY).join(MEASURED);
    let text = serde_json::to_string(&measured)
        .map_err(|error| Failure::internal("write what was measured", &error))?;
    files::write(&path, format!("{text}\n").as_bytes())?;
    let fit = measured.fit();
    if printer.is_json() {
        printer.data_json(&json!({ "instances": instances, "points": measured.points, "fit": fit }));
        return Ok(());
    }
    match fit {
        None => printer.say("there are too few levels to tell where it ends"),
        Some(fit) => printer.data(&format!(
            "at most {:.0} requests a second ({:.0} to {:.0}), with {instances} {}; plan for {:.0} of them\n",
            fit.highest,
            fit.between.0,
            fit.between.1,
            if instances == 1 { "instance" } else { "instances" },
            fit.knee(),
        )),
    }
    Ok(())
}

/// Measures with so many clients.
async fn level(
    endpoint: &Arc<Endpoint>,
    queries: &Arc<Vec<String>>,
    clients: u32,
    each: Duration,
) -> LoadPoint {
    let began = Instant::now();
    let mut asking = JoinSet::new();
    for number in 0..clients {
        asking.spawn(client(Arc::clone(endpoint), Arc::clone(queries), number, began + each));
    }
    let (mut durations, mut failed) = (Vec::new(), 0);
    while let Some(ended) = asking.join_next().await {
        // A client that panicked has asked nothing.
        let Ok((took, bad)) = ended else { continue };
        durations.extend(took);
        failed += bad;
    }
    let seconds = began.elapsed().as_secs_f64();
    durations.sort_unstable();
    let p99 = durations.get(durations.len().saturating_sub(1) * 99 / 100).copied().unwrap_or_default();
    LoadPoint {
        concurrency: clients,
        requests_s: durations.len() as f64 / seconds,
        p99_ms: p99.as_secs_f64() * 1e3,
        failed,
    }
}

/// Asks without a pause, on one connection for as long as it holds.
async fn client(
    endpoint: Arc<Endpoint>,
    queries: Arc<Vec<String>>,
    first: u32,
    until: Instant,
) -> (Vec<Duration>, u64) {
    let (mut durations, mut failed) = (Vec::new(), 0);
    let mut kept = None;
    let requests = queries.iter().map(|query| json!({ "query": query })).collect::<Vec<_>>();
    for number in first as usize.. {
        if Instant::now() >= until {
            break;
        }
        let began = Instant::now();
        let connection = match &mut kept {
            Some(connection) => connection,
            None => match endpoint.connect().await {
                Ok(opened) => kept.insert(opened),
                Err(_failure) => {
                    failed += 1;
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                }
            },
        };
        match connection.send(&requests[number % requests.len()]).await {
            Ok(answer) if answer.get("errors").is_none() => durations.push(began.elapsed()),
            Ok(_refused) => failed += 1,
            Err(_failure) => (failed, kept) = (failed + 1, None),
        }
    }
    (durations, failed)
}
