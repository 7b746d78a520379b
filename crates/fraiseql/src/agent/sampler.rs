//! Notes from time to time what the service uses: for `fraiseql capacity`, on this machine's disk, in two
//! files, of which the older one goes when the newer is full.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fraiseql_agent::InstanceView;
use fraiseql_ops::capacity::{CapacitySample, read_samples};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::clock;
use crate::endpoint::Endpoint;

/// The folder in the state directory.
pub(crate) const CAPACITY: &str = "capacity";
const NEWER: &str = "samples.jsonl";
const OLDER: &str = "samples.1.jsonl";
/// A sample has about 180 bytes: a week of them, one in 15 s, is 7 MB.
const FILE_BYTES_MAX: u64 = 8 << 20;
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Notes samples.
#[derive(Debug)]
pub(crate) struct Sampler {
    folder: PathBuf,
    every: Duration,
    next: Instant,
    /// At most one look: what it was compared with comes back with it.
    looking: JoinSet<Totals>,
    before: Option<Totals>,
}

/// What counters said when they were looked at last.
#[derive(Debug, Default)]
struct Totals {
    at_ms: u64,
    /// By pid: an instance that is started again counts from nothing.
    instances: BTreeMap<u32, Counters>,
    cpu: (u64, u64),
}

#[derive(Clone, Copy, Debug, Default)]
struct Counters {
    graphql: f64,
    answers: f64,
    errors: f64,
    seconds: f64,
    pool_busy: f64,
    pool_size: f64,
}

impl Sampler {
    pub(crate) fn new(state: &Path, every: Duration) -> Self {
        let folder = state.join(CAPACITY);
        Self { folder, every, next: Instant::now(), looking: JoinSet::new(), before: None }
    }

    /// Looks when it is time to; never waits.
    pub(crate) fn look_after(&mut self, views: &[InstanceView]) {
        if let Some(Ok(looked)) = self.looking.try_join_next() {
            self.before = Some(looked);
        }
        if Instant::now() < self.next || !self.looking.is_empty() {
            return;
        }
        self.next = Instant::now() + self.every;
        let before = self.before.take().unwrap_or_default();
        let asked: Vec<(u32, String)> = views
            .iter()
            .filter(|view| view.ready)
            .filter_map(|view| Some((view.pid?, format!("http://{}/metrics", view.address))))
            .collect();
        self.looking.spawn(sample(self.folder.clone(), asked, before));
    }
}

/// Returns the samples that were noted, the oldest first.
pub(crate) fn noted_samples(state: &Path) -> Vec<CapacitySample> {
    let folder = state.join(CAPACITY);
    let texts = [OLDER, NEWER].map(|name| fs::read_to_string(folder.join(name)).unwrap_or_default());
    let mut samples: Vec<CapacitySample> = texts.iter().flat_map(|text| read_samples(text)).collect();
    // A clock that was set back has mixed them up.
    samples.sort_by_key(|sample| sample.at_ms);
    samples
}

async fn sample(folder: PathBuf, asked: Vec<(u32, String)>, before: Totals) -> Totals {
    let mut now = Totals { at_ms: clock::now_ms(), cpu: cpu_times(), ..Totals::default() };
    for (pid, url) in asked {
        let Ok(endpoint) = Endpoint::new(&url, &[]) else { continue };
        // One that does not answer is missing in this sample.
        if let Ok((status, page)) = endpoint.get(ANSWER_MAX).await
            && status.is_success()
        {
            now.instances.insert(pid, counters(&String::from_utf8_lossy(&page)));
        }
    }
    if before.at_ms != 0 && now.at_ms > before.at_ms {
        // The disk may be full: then this sample is lost, and nothing else.
        drop(note(&folder, &between(&before, &now, &folder)));
    }
    now
}

fn between(before: &Totals, now: &Totals, folder: &Path) -> CapacitySample {
    let seconds = (now.at_ms - before.at_ms) as f64 / 1e3;
    let grown = |of: fn(&Counters) -> f64| -> f64 {
        let grown =
            |(pid, counters): (&u32, &Counters)| of(counters) - before.instances.get(pid).map_or(0.0, of);
        now.instances.iter().map(grown).sum::<f64>().max(0.0)
    };
    let answers = grown(|counters| counters.answers);
    let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
    let sum = |of: fn(&Counters) -> f64| now.instances.values().map(of).sum::<f64>();
    let (busy, all) = (now.cpu.0.saturating_sub(before.cpu.0), now.cpu.1.saturating_sub(before.cpu.1));
    CapacitySample {
        at_ms: now.at_ms,
        instances: u32::try_from(now.instances.len()).unwrap_or(u32::MAX),
        requests_s: grown(|counters| counters.graphql) / seconds,
        latency_ms: share(grown(|counters| counters.seconds) * 1e3, answers),
        errors: share(grown(|counters| counters.errors), answers),
        connections: share(sum(|counters| counters.pool_busy), sum(|counters| counters.pool_size)),
        cpu: share(busy as f64, all as f64),
        memory: memory_share().unwrap_or(0.0),
        disk: disk_share(folder).unwrap_or(0.0),
    }
}

/// Reads what is needed of a page of metrics, as the exposition format writes them.
fn counters(page: &str) -> Counters {
    let mut found = Counters::default();
    let (mut open, mut idle) = (0.0, 0.0);
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let Some((name, value)) = line.rsplit_once(' ') else { continue };
        let Ok(value): Result<f64, _> = value.parse() else { continue };
        let metric = name.split('{').next().unwrap_or(name);
        match metric {
            "fraiseql_graphql_requests_total" => found.graphql += value,
            "http_requests_total" if name.contains("status=\"5") => found.errors += value,
            "http_request_duration_seconds_sum" => found.seconds += value,
            "http_request_duration_seconds_count" => found.answers += value,
            "fraiseql_pool_size" => found.pool_size += value,
            "fraiseql_pool_open" => open += value,
            "fraiseql_pool_idle" => idle += value,
            _ => {}
        }
    }
    found.pool_busy = (open - idle).max(0.0);
    found
}

/// Appends a sample; the file that is full becomes the older one.
fn note(folder: &Path, sample: &CapacitySample) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    let path = folder.join(NEWER);
    if fs::metadata(&path).is_ok_and(|about| about.len() >= FILE_BYTES_MAX) {
        fs::rename(&path, folder.join(OLDER))?;
    }
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    // In one piece, so that a reader sees whole lines.
    file.write_all(format!("{}\n", serde_json::to_string(sample)?).as_bytes())
}

/// Returns the time that the machine's processors were at work, and all of it (proc_stat(5)).
fn cpu_times() -> (u64, u64) {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let first = text.lines().next().unwrap_or_default();
    let times: Vec<u64> = first.split_whitespace().skip(1).map_while(number).collect();
    // The eighth and later are parts of the first two.
    let all = times.iter().take(8).sum::<u64>();
    let idle = times.iter().skip(3).take(2).sum::<u64>();
    (all - idle, all)
}

fn memory_share() -> Option<f64> {
    let Ok(text) = fs::read_to_string("/proc/meminfo") else { return None };
    let kib = |name: &str| -> Option<f64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next().and_then(number).map(|kib| kib as f64)
    };
    Some(1.0 - kib("MemAvailable:")? / kib("MemTotal:")?)
}

fn number(word: &str) -> Option<u64> {
    let Ok(number) = word.parse() else { return None };
    Some(number)
}

fn disk_share(folder: &Path) -> Option<f64> {
    let above = if folder.exists() { folder } else { folder.parent()? };
    let Ok(disk) = rustix::fs::statvfs(above) else { return None };
    // As df(1) does: what is kept for root counts neither as used nor as free.
    let used = disk.f_blocks.saturating_sub(disk.f_bfree);
    let usable = used + disk.f_bavail;
    (usable > 0).then(|| used as f64 / usable as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "\
# TYPE http_requests_total counter
http_requests_total{status=\"200\"} 98
http_requests_total{status=\"500\"} 1
http_requests_total{status=\"503\"} 1
fraiseql_graphql_requests_total{kind=\"query\"} 90
fraiseql_graphql_requests_total{kind=\"mutation\"} 10
http_request_duration_seconds_bucket{le=\"0.01\"} 100
http_request_duration_seconds_sum 0.2
http_request_duration_seconds_count 100
fraiseql_pool_size 8
fraiseql_pool_open 4
fraiseql_pool_idle 2
";

    #[test]
    fn a_sample_is_what_has_grown_and_a_new_process_counts_from_nothing() {
        let at = |at_ms, instances: &[(u32, Counters)], cpu| Totals {
            at_ms,
            instances: instances.iter().copied().collect(),
            cpu,
        };
        let half = Counters { graphql: 50.0, answers: 50.0, ..Counters::default() };
        let before = at(1_000, &[(1, half)], (100, 1000));
        let now = at(11_000, &[(1, counters(PAGE)), (2, counters(PAGE))], (400, 2000));
        let sample = between(&before, &now, Path::new("/"));
        assert_eq!((sample.at_ms, sample.instances), (11_000, 2));
        let near = |value: f64, expected: f64| assert!((value - expected).abs() < 1e-9, "{value} {expected}");
        near(sample.requests_s, 15.0);
        near(sample.latency_ms, 0.4e3 / 150.0);
        near(sample.errors, 4.0 / 150.0);
        near(sample.connections, 0.25);
        near(sample.cpu, 0.3);
        assert!(sample.memory > 0.0 && sample.memory < 1.0 && sample.disk > 0.0 && sample.disk < 1.0);
    }

    #[test]
    fn what_was_noted_is_read_and_a_full_file_makes_room() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path();
        let sample = |at_ms| between(&Totals::default(), &Totals { at_ms, ..Totals::default() }, state);
        note(&state.join(CAPACITY), &sample(1)).unwrap();
        let path = state.join(CAPACITY).join(NEWER);
        OpenOptions::new().append(true).open(&path).unwrap().set_len(FILE_BYTES_MAX).unwrap();
        for at_ms in [3, 2] {
            note(&state.join(CAPACITY), &sample(at_ms)).unwrap();
        }
        let times: Vec<u64> = noted_samples(state).iter().map(|sample| sample.at_ms).collect();
        assert_eq!(times, [1, 2, 3]);
    }
}
