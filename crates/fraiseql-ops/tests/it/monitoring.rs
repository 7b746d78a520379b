//! The files of Prometheus, read by its own tool; and a page for each alert.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use fraiseql_ops::{MonitoredAddress, monitoring_files};
use fraiseql_testkit::checkout;

const RULES_TEST: &str = include_str!("rules_test.yml");

/// Tells whether this machine was found to have no Prometheus; then says so.
fn left_out() -> bool {
    let without = std::env::var("FRAISEQL_TEST_WITHOUT").is_ok_and(|parts| parts.contains("prometheus"));
    if without {
        eprintln!("LEFT OUT: there is no promtool on this machine");
    }
    without
}

fn address(text: &str) -> MonitoredAddress {
    text.parse().expect("an address")
}

fn write(dir: &Path, name: &str, text: &str) {
    let mut file = tempfile::NamedTempFile::new_in(dir).expect("a file");
    file.write_all(text.as_bytes()).expect("room for it");
    file.persist(dir.join(name)).expect("the folder is ours");
}

/// Writes an export into a new folder.
fn exported(instances: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    let instances: Vec<MonitoredAddress> = instances.iter().map(|text| address(text)).collect();
    for file in monitoring_files(&address("localhost:4000"), &instances) {
        write(dir.path(), file.name, &file.text);
    }
    dir
}

/// Runs promtool, and returns what it said, with whether it was content.
fn promtool(dir: &Path, arguments: &[&str]) -> (bool, String) {
    let ended = Command::new("promtool").args(arguments).current_dir(dir).output().expect("promtool");
    let said = [ended.stdout, ended.stderr].concat();
    (ended.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[track_caller]
fn check_promtool(dir: &Path, arguments: &[&str]) {
    let (content, said) = promtool(dir, arguments);
    assert!(content, "{said}");
}

#[test]
fn prometheus_takes_the_files() {
    if left_out() {
        return;
    }
    for instances in [&[][..], &["127.0.0.1:4001", "[::1]:4002"]] {
        let dir = exported(instances);
        check_promtool(dir.path(), &["check", "config", "--lint-fatal", "prometheus.yml"]);
        check_promtool(dir.path(), &["check", "rules", "--lint-fatal", "recording.yml", "alerts.yml"]);
    }
}

#[test]
fn each_alert_is_raised_where_it_should_be_and_silent_where_not() {
    if left_out() {
        return;
    }
    let dir = exported(&[]);
    write(dir.path(), "test.yml", RULES_TEST);
    check_promtool(dir.path(), &["test", "rules", "test.yml"]);
}

#[test]
fn the_test_of_rules_sees_an_alert_that_was_lost() {
    if left_out() {
        return;
    }
    let dir = exported(&[]);
    let lost = fs::read_to_string(dir.path().join("alerts.yml")).expect("a file").replace("> 0.8", "> 1.8");
    write(dir.path(), "alerts.yml", &lost);
    write(dir.path(), "test.yml", RULES_TEST);
    let (content, said) = promtool(dir.path(), &["test", "rules", "test.yml"]);
    assert!(!content && said.contains("PoolSaturated"), "{said}");
}

#[test]
fn each_alert_has_a_page_a_row_and_a_test() {
    let files = monitoring_files(&address("localhost:4000"), &[]);
    let rules = &files.iter().find(|file| file.name == "alerts.yml").expect("alerts").text;
    let alerts: BTreeSet<&str> =
        rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    let docs = checkout().join("docs");
    let pages: BTreeSet<String> = fs::read_dir(docs.join("alerts"))
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().replace(".md", ""))
        .collect();
    assert_eq!(alerts, pages.iter().map(String::as_str).collect());
    let table = fs::read_to_string(docs.join("reference/alerts.md")).expect("a page");
    for alert in &alerts {
        let page = fs::read_to_string(docs.join(format!("alerts/{alert}.md"))).expect("a page");
        let (_, rule) = rules.split_once(&format!("- alert: {alert}\n")).expect("a rule");
        let expression =
            rule.lines().next().expect("a line").trim().trim_start_matches("expr: ").trim_matches('\'');
        assert!(page.contains(expression), "the page of {alert} shows another expression");
        assert!(table.contains(&format!("[{alert}](../alerts/{alert}.md)")), "{alert} has no row");
        assert!(RULES_TEST.contains(&format!("alertname=\"{alert}\"")), "{alert} has no test");
    }
}

#[test]
fn the_chart_has_the_same_rules_and_version() {
    let chart = checkout().join("packaging/helm/fraiseql");
    for file in monitoring_files(&address("localhost:4000"), &[]) {
        if file.name != "prometheus.yml" {
            let there = fs::read_to_string(chart.join("files").join(file.name)).expect("a file of the chart");
            assert_eq!(there, file.text, "write it anew: fraiseql monitoring export --out {}", file.name);
        }
    }
    let about = fs::read_to_string(chart.join("Chart.yaml")).expect("a chart");
    for key in ["version", "appVersion"] {
        let line = format!("\n{key}: {}\n", env!("CARGO_PKG_VERSION"));
        assert!(about.contains(&line), "{key} is not that of the workspace");
    }
}

#[test]
fn rules_ask_for_metrics_that_are_described() {
    let metrics = checkout().join("docs/reference/metrics.md");
    let metrics = fs::read_to_string(metrics).expect("a page");
    let mut asked = BTreeSet::new();
    for file in monitoring_files(&address("localhost:4000"), &[]) {
        for line in file.text.lines().filter(|line| !line.trim_start().starts_with('#')) {
            let words =
                line.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_' && letter != ':');
            let names = words.filter(|word| word.starts_with("http_") || word.starts_with("fraiseql_"));
            asked.extend(names.map(|name| name.trim_end_matches("_bucket").to_owned()));
        }
    }
    // The names of the groups of rules.
    asked.remove("fraiseql_guide");
    asked.remove("fraiseql_recording");
    assert!(asked.len() >= 9, "{asked:?}");
    for name in asked {
        assert!(metrics.contains(&format!("`{name}`")), "{name} is not described");
    }
}

/// The only place that knows how an address is read.
#[track_caller]
fn check_address(text: &str, expected: Result<(), &str>) {
    assert_eq!(
        text.parse::<MonitoredAddress>().map(|_| ()).map_err(|why| why.split(':').next().unwrap_or(why)),
        expected
    );
}

#[test]
fn addresses_are_hosts_and_ports_and_nothing_else() {
    check_address("db-1.example.org:4000", Ok(()));
    check_address("[::1]:4000", Ok(()));
    check_address("localhost", Err("a port is missing"));
    check_address("localhost:0", Err("the port is not a number from 1 to 65535"));
    let host = Err("the host is neither a name nor an address");
    check_address("http://localhost:4000", host);
    check_address("a', evil: 'b:4000", host);
    check_address("[no]:4000", host);
    check_address(":4000", host);
}
