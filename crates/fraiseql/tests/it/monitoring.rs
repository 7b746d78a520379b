//! `monitoring export`: the files are written, again the same; a wrong address is refused; a real
//! Prometheus reads them and raises what it should about a real service.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::time::Duration;

use fraiseql_testkit::wait_until;
use serde_json::Value;

use crate::http::{get, post};
use crate::process::{Running, run};
use crate::project::{MUSIC, Project, TABLES, block_on, database, free_port};

const LIMIT: Duration = Duration::from_secs(120);

/// Returns the alerts that a Prometheus has raised.
fn raised(prometheus: u16) -> BTreeSet<String> {
    let Some((200, body)) = get(prometheus, "/api/v1/alerts") else { return BTreeSet::new() };
    let answer: Value = serde_json::from_str(&body).expect("JSON");
    let alerts = answer["data"]["alerts"].as_array().expect("a list").iter();
    let firing = alerts.filter(|alert| alert["state"] == "firing");
    firing.map(|alert| alert["labels"]["alertname"].as_str().expect("a name").to_owned()).collect()
}

/// Tells whether a Prometheus reaches all that it scrapes.
pub fn scrapes(prometheus: u16) -> bool {
    get(prometheus, "/api/v1/targets")
        .is_some_and(|(_, body)| body.contains(r#""health":"up""#) && !body.contains(r#""health":"down""#))
}

/// Returns what `preflight` says of a Prometheus.
fn preflight(project: &Project, prometheus: u16) -> String {
    let url = format!("monitoring.prometheus_url=http://127.0.0.1:{prometheus}/");
    let arguments = ["preflight", "shop", "--only", "monitoring", "--json", "--set", &url];
    let report: Value = serde_json::from_str(&project.run(&arguments).stdout).expect("JSON");
    let check = &report["checks"][0];
    format!(
        "{}: {}",
        check["verdict"].as_str().expect("a verdict"),
        check["evidence"].as_str().expect("evidence")
    )
}

#[test]
fn prometheus_is_silent_on_an_idle_service_and_raises_errors_and_its_loss() {
    if std::env::var("FRAISEQL_TEST_WITHOUT").is_ok_and(|parts| parts.contains("prometheus")) {
        eprintln!("LEFT OUT: there is no Prometheus on this machine");
        return;
    }
    let project = Project::new(MUSIC);
    let database = database(TABLES);
    project.compile(&database.url()).ok();
    let (serve, port) = project.serve(&database.url());
    let service = format!("localhost:{port}");
    project.run(&["monitoring", "export", "--out", "shop/monitoring", "--service", &service]).ok();
    for name in ["monitoring/prometheus.yml", "monitoring/alerts.yml"] {
        // The same rules on a faster clock.
        let faster = project.read(name).replace("interval: 15s", "interval: 200ms");
        let faster = faster.replace("for: 1m", "for: 1s").replace("for: 5m", "for: 1s");
        project.write(name, &faster.replace("for: 2m", "for: 1s"));
    }
    let listen = free_port();
    let mut prometheus = Command::new("prometheus");
    prometheus
        .current_dir(project.dir())
        .args(["--config.file=monitoring/prometheus.yml", "--storage.tsdb.path=series"])
        .arg(format!("--web.listen-address=127.0.0.1:{listen}"));
    let prometheus = Running::spawn(prometheus);
    let named = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<BTreeSet<_>>();
    block_on(async {
        wait_until(LIMIT, async || scrapes(listen) && raised(listen).contains("Watchdog")).await;
        assert_eq!(raised(listen), named(&["Watchdog"]), "{}", prometheus.said());
        assert!(preflight(&project, listen).starts_with("pass: scraped, "));

        project.run(&["mode", "maintenance", "shop"]).ok();
        wait_until(LIMIT, async || {
            post(port, "{ __typename }");
            raised(listen).contains("HighErrorRate")
        })
        .await;
        assert_eq!(raised(listen), named(&["Watchdog", "HighErrorRate"]));

        serve.kill();
        wait_until(LIMIT, async || raised(listen).contains("ServiceDown")).await;
        assert_eq!(preflight(&project, listen), "warn: Prometheus cannot scrape the service");
    });
    prometheus.kill();
}

#[test]
fn export_writes_the_files_of_prometheus_twice_the_same() {
    let dir = tempfile::tempdir().expect("a folder");
    let arguments = ["monitoring", "export", "--service", "10.0.0.1:4000", "--instance", "10.0.0.2:4001"];
    run(dir.path(), arguments).ok();
    let read = || {
        ["prometheus.yml", "recording.yml", "alerts.yml"]
            .map(|name| fs::read_to_string(dir.path().join("monitoring").join(name)).expect("a file"))
    };
    let first = read();
    assert!(first[0].contains("['10.0.0.1:4000']") && first[0].contains("['10.0.0.2:4001']"), "{}", first[0]);
    run(dir.path(), arguments).ok();
    assert_eq!(read(), first);
}

#[test]
fn export_refuses_an_address_with_a_scheme_and_writes_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let ended = run(dir.path(), ["monitoring", "export", "--service", "http://localhost:4000"]);
    assert_eq!(ended.status.code(), Some(2));
    let shown = ended.shown(&[]);
    assert!(shown.contains("write HOST:PORT"), "{shown}");
    assert!(!dir.path().join("monitoring").exists());
}
