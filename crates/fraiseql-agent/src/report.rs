//! Reads reports that prove something of a release: of scanners, and of a load.
//!
//! Scanners write SARIF 2.1.0 (OASIS); of it the runs, their tools, and the levels of results are read.
//! A load is what `fraiseql load --json` prints.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::error::{AgentError, file};

/// The largest report.
const REPORT_BYTES_MAX: u64 = 256 << 20;
/// The fewest requests of a load that tell what its p99 is.
const REQUESTS_MIN: u64 = 100;

/// What a load was like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadReport {
    /// Requests that were sent.
    pub requests: u64,
    /// Of these, how many failed.
    pub failed: u64,
    /// The time that 99 % of them did not exceed, in microseconds.
    pub p99_us: u64,
}

/// Reads what a scanner found, by level, and returns it with the bytes of the report.
///
/// Fails when it is no SARIF, and when no tool ran or one of them says that it broke off: that proves
/// nothing. Nothing found is a finding, too.
pub fn read_sarif(path: &Path) -> Result<(BTreeMap<String, u64>, Vec<u8>), AgentError> {
    let text = read(path)?;
    let found = findings(&text).map_err(|reason| refused(path, reason))?;
    Ok((found, text))
}

/// Reads a load, and returns it with the bytes of the report.
///
/// Fails when it cannot be read, and when there were too few requests, or none that succeeded.
pub fn read_load(path: &Path) -> Result<(LoadReport, Vec<u8>), AgentError> {
    let text = read(path)?;
    let found = load(&text).map_err(|reason| refused(path, reason))?;
    Ok((found, text))
}

fn read(path: &Path) -> Result<Vec<u8>, AgentError> {
    let bytes = std::fs::metadata(path).map_err(file("read", path))?.len();
    if bytes > REPORT_BYTES_MAX {
        return Err(refused(path, format!("it has {bytes} bytes, the most is {REPORT_BYTES_MAX}")));
    }
    std::fs::read(path).map_err(file("read", path))
}

fn refused(path: &Path, reason: String) -> AgentError {
    AgentError::Report { path: path.to_owned(), reason }
}

fn findings(text: &[u8]) -> Result<BTreeMap<String, u64>, String> {
    let report: Value = serde_json::from_slice(text).map_err(|error| format!("it is no JSON: {error}"))?;
    if report["version"] != "2.1.0" {
        return Err("it is no SARIF of version 2.1.0".to_owned());
    }
    let runs = report["runs"].as_array().filter(|runs| !runs.is_empty());
    let runs = runs.ok_or_else(|| "it has no run of any tool".to_owned())?;
    let mut found = BTreeMap::new();
    for run in runs {
        let tool = run["tool"]["driver"]["name"].as_str().filter(|name| !name.is_empty());
        let tool = tool.ok_or_else(|| "it does not say which tool ran".to_owned())?;
        let mut ends = run["invocations"].as_array().into_iter().flatten();
        if ends.any(|end| end["executionSuccessful"] == false) {
            return Err(format!("{tool} says that it did not come to its end"));
        }
        let results = run["results"].as_array();
        for result in results.ok_or_else(|| format!("it has no results of {tool}"))? {
            // Without a level it is a warning, says the standard.
            let level = result["level"].as_str().unwrap_or("warning");
            if !["none", "note", "warning", "error"].contains(&level) {
                return Err(format!("{tool} names a level {level:?}"));
            }
            *found.entry(level.to_owned()).or_default() += 1;
        }
    }
    Ok(found)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Printed {
    requests: u64,
    failed: u64,
    #[serde(rename = "p50_ms")]
    _p50_ms: f64,
    p99_ms: f64,
    #[serde(rename = "failures")]
    _failures: BTreeMap<String, u64>,
}

fn load(text: &[u8]) -> Result<LoadReport, String> {
    let printed: Printed = serde_json::from_slice(text)
        .map_err(|error| format!("it is not what `fraiseql load --json` prints: {error}"))?;
    let Printed { requests, failed, p99_ms, .. } = printed;
    if requests < REQUESTS_MIN {
        return Err(format!("{requests} requests are too few, {REQUESTS_MIN} are the fewest"));
    }
    if failed >= requests {
        return Err("no request has succeeded".to_owned());
    }
    let p99_us = std::time::Duration::try_from_secs_f64(p99_ms / 1e3);
    let p99_us = p99_us.map_err(|error| format!("its p99_ms is no time: {error}"))?.as_micros();
    Ok(LoadReport { requests, failed, p99_us: u64::try_from(p99_us).unwrap_or(u64::MAX) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_scan(text: &str, expected: Result<&[(&str, u64)], &str>) {
        let expected = expected.map(|found| {
            found.iter().map(|(level, count)| ((*level).to_owned(), *count)).collect::<BTreeMap<_, _>>()
        });
        assert_eq!(findings(text.as_bytes()), expected.map_err(str::to_owned));
    }

    #[test]
    fn findings_are_counted_by_level() {
        let run = |results: &str| {
            format!(
                r#"{{"version":"2.1.0","runs":[{{"tool":{{"driver":{{"name":"grype"}}}},"results":[{results}]}}]}}"#
            )
        };
        check_scan(&run(""), Ok(&[]));
        let results = r#"{"level":"error"},{"level":"note"},{"ruleId":"a"},{"level":"error"}"#;
        check_scan(&run(results), Ok(&[("error", 2), ("note", 1), ("warning", 1)]));
        check_scan(&run(r#"{"level":"awful"}"#), Err("grype names a level \"awful\""));
    }

    #[test]
    fn scans_that_prove_nothing_are_refused() {
        check_scan("", Err("it is no JSON: EOF while parsing a value at line 1 column 0"));
        check_scan("{}", Err("it is no SARIF of version 2.1.0"));
        check_scan(r#"{"version":"2.1.0","runs":[]}"#, Err("it has no run of any tool"));
        check_scan(r#"{"version":"2.1.0","runs":[{}]}"#, Err("it does not say which tool ran"));
        let tool = r#""tool":{"driver":{"name":"grype"}}"#;
        check_scan(
            &format!(r#"{{"version":"2.1.0","runs":[{{{tool}}}]}}"#),
            Err("it has no results of grype"),
        );
        let broke = r#""results":[],"invocations":[{"executionSuccessful":false}]"#;
        check_scan(
            &format!(r#"{{"version":"2.1.0","runs":[{{{tool},{broke}}}]}}"#),
            Err("grype says that it did not come to its end"),
        );
    }

    #[track_caller]
    fn check_load(requests: u64, failed: u64, p99_ms: &str, expected: Result<u64, &str>) {
        let text = format!(
            r#"{{"requests":{requests},"failed":{failed},"p50_ms":1.5,"p99_ms":{p99_ms},"failures":{{}}}}"#
        );
        let found = load(text.as_bytes()).map(|report| report.p99_us);
        assert_eq!(found, expected.map_err(str::to_owned));
    }

    #[test]
    fn a_load_is_read_as_it_is_printed_and_an_empty_one_refused() {
        check_load(500, 2, "2.25", Ok(2_250));
        check_load(99, 0, "2.25", Err("99 requests are too few, 100 are the fewest"));
        check_load(100, 100, "2.25", Err("no request has succeeded"));
        assert!(load(b"{}").unwrap_err().starts_with("it is not what `fraiseql load --json` prints"));
    }
}
