//! `/metrics` is what Prometheus reads: checked by a parser of our own, and by promtool where it is.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};

use crate::client::{get, query};
use crate::fixture::{database, start, start_with};

/// Reads the text format strictly; returns samples by name and labels.
fn parse(page: &str) -> BTreeMap<String, f64> {
    let (mut samples, mut families) = (BTreeMap::new(), BTreeSet::new());
    let (mut help, mut family, mut kind) = (None, "", "");
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, text) = rest.split_once(' ').expect(line);
            assert!(text.ends_with('.'), "{line}");
            assert!(families.insert(name), "{name} stands twice");
            help = Some(name);
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            (family, kind) = rest.split_once(' ').expect(line);
            assert_eq!(help.take(), Some(family), "{line}");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert_eq!(kind == "counter", family.ends_with("_total"), "{line}");
        } else {
            let (series, value) = line.rsplit_once(' ').expect(line);
            let name = series.split('{').next().unwrap();
            let suffix = name.strip_prefix(family).unwrap_or_else(|| panic!("{line} is not of {family}"));
            let suffixes: &[&str] = if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
            assert!(suffixes.contains(&suffix), "{line}");
            let value = value.parse().expect(line);
            assert!(samples.insert(series.to_owned(), value).is_none(), "{series} stands twice");
        }
    }
    assert!(page.ends_with('\n'));
    samples
}

#[tokio::test]
async fn the_page_counts_what_happened() {
    // One thread, so that one connection to the database is enough.
    let server = start_with(&database().await.url(), |options| options.workers = 1).await;
    for document in [
        "{ author(id: 1) { id } }",
        "{ author(id: 1) { id } }",
        "{ boom }",
        "{ nothing }",
        "mutation { writeNote(id: 1, seconds: 0) }",
    ] {
        query(server.address, document).await;
    }
    get(server.address, "/nothing").await;
    let got = get(server.address, "/metrics").await;
    assert_eq!(got.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let samples = parse(&got.text());
    let check = |series: &str, expected: f64| {
        assert_eq!(samples.get(series), Some(&expected), "{series} in {samples:#?}");
    };
    check("http_requests_total{status=\"200\"}", 5.0);
    check("http_requests_total{status=\"404\"}", 1.0);
    check("http_requests_total{status=\"500\"}", 0.0);
    check("http_request_duration_seconds_count", 6.0);
    check("http_request_duration_seconds_bucket{le=\"+Inf\"}", 6.0);
    check("http_request_duration_seconds_bucket{le=\"60\"}", 6.0);
    check("fraiseql_graphql_requests_total{kind=\"query\"}", 3.0);
    check("fraiseql_graphql_requests_total{kind=\"mutation\"}", 1.0);
    check("fraiseql_graphql_requests_total{kind=\"invalid\"}", 1.0);
    check("fraiseql_graphql_errors_total{code=\"RAISED\"}", 1.0);
    check("fraiseql_graphql_errors_total{code=\"GRAPHQL_VALIDATION_FAILED\"}", 1.0);
    check("fraiseql_document_cache_hits_total", 1.0);
    check("fraiseql_document_cache_misses_total", 4.0);
    check("fraiseql_document_cache_entries", 3.0);
    check("fraiseql_plan_cache_hits_total", 1.0);
    check("fraiseql_plan_cache_misses_total", 3.0);
    check("fraiseql_plan_cache_entries", 3.0);
    check("fraiseql_pool_size", 4.0);
    check("fraiseql_pool_open", 1.0);
    check("fraiseql_pool_idle", 1.0);
    check("fraiseql_pool_waiting", 0.0);
    check("fraiseql_ready", 1.0);
    check("fraiseql_build_info{version=\"1.2.3\"}", 1.0);
    for process in ["process_resident_memory_bytes", "process_start_time_seconds", "process_open_fds"] {
        assert!(samples[process] > 0.0, "{process}");
    }
    assert!(samples.contains_key("process_cpu_seconds_total"));
}

#[tokio::test]
async fn promtool_agrees_where_it_is_installed() {
    let server = start(&database().await).await;
    query(server.address, "{ boom }").await;
    let page = get(server.address, "/metrics").await.text();
    let checked = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    // Without promtool the parser above is the judge.
    let Ok(mut promtool) = checked else { return };
    promtool.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.trim().is_empty(), "{said}");
}
