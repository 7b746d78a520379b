//! The proxy before real instances: shares, rollback, leases, death and replacement.

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use fraiseql_testkit::Database;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::control::ask;
use crate::http::{get, post};
use crate::process::{Running, fraiseql, wait_until};
use crate::project::{MUSIC, Project, TABLES, database};

/// A compiled project with instances and a proxy in front of them.
pub struct Service {
    project: Project,
    _database: Database,
    pub url: String,
    pub instances: Vec<(Running, u16)>,
    pub proxy: Running,
    pub port: u16,
}

fn proxy(project: &Project, port: u16, flags: &[&str]) -> (Running, u16) {
    let port = port.to_string();
    let mut arguments = vec!["proxy", "shop", "--port", &port, "--set", "proxy.probe_interval_ms=100"];
    arguments.extend(flags.iter().flat_map(|flag| ["--set", flag]));
    let mut proxy = Running::spawn(fraiseql(project.root(), arguments));
    let port = proxy.port("://127.0.0.1:");
    (proxy, port)
}

impl Service {
    pub fn start(instances: usize) -> Self {
        Self::start_with(instances, "", &[])
    }

    /// The same, with more of a schema, and settings of the proxy.
    pub fn start_with(instances: usize, schema: &str, flags: &[&str]) -> Self {
        let database = database(TABLES);
        let url = database.url();
        let project = Project::new(&format!("{MUSIC}{schema}"));
        project.compile(&url).ok();
        let instances = (0..instances).map(|_| project.serve(&url)).collect();
        let (proxy, port) = proxy(&project, 0, flags);
        Self { project, _database: database, url, instances, proxy, port }
    }

    /// Starts a proxy in the place of the one that was killed.
    pub fn start_proxy(&mut self, port: u16, flags: &[&str]) {
        // Killed is not gone yet.
        wait_until("the port is free", || TcpListener::bind(("127.0.0.1", port)).ok());
        (self.proxy, _) = proxy(&self.project, port, flags);
    }

    pub fn socket(&self) -> PathBuf {
        self.project.dir().join(".fraiseql/proxy.sock")
    }

    /// One release for each instance, `a`, `b` and so on, with that share; `a` is stable.
    pub fn generation(&self, number: u64, weights: &[u64]) -> Value {
        let arms: Vec<Value> = weights
            .iter()
            .zip(&self.instances)
            .zip(["a", "b", "c"])
            .map(|((weight, (_, port)), release)| {
                let backend = json!({ "name": format!("{release}-1"), "address": format!("127.0.0.1:{port}"), "draining": false });
                json!({ "release": release, "weight": weight, "backends": [backend] })
            })
            .collect();
        json!({ "format": 1, "stamp": { "epoch": 1, "number": number }, "stable": "a", "previous": null,
            "arms": arms, "lease_ms": null, "sticky": "none", "gate": "open" })
    }

    #[track_caller]
    pub fn apply(&self, generation: &Value) {
        let (status, answer) = ask(&self.socket(), "PUT", "/generation", generation).expect("an answer");
        assert_eq!(status, 200, "{answer}");
        wait_until("all instances are ready", || {
            let state = self.state();
            let backends = state["backends"].as_array().expect("a list");
            backends.iter().all(|backend| backend["health"] == "ready").then_some(())
        });
    }

    pub fn state(&self) -> Value {
        ask(&self.socket(), "GET", "/state", &Value::Null).expect("an answer").1
    }

    /// Requests so far, by release.
    pub fn requests(&self) -> Vec<(String, u64)> {
        let counts = ask(&self.socket(), "GET", "/counts", &Value::Null).expect("an answer").1;
        let count = |counts: &Value| {
            (
                counts["release"].as_str().expect("a name").to_owned(),
                counts["requests"].as_u64().expect("a number"),
            )
        };
        let mut counts: Vec<_> = counts.as_array().expect("a list").iter().map(count).collect();
        counts.sort();
        counts
    }

    #[track_caller]
    fn ask_100(&self) {
        for _ in 0..100 {
            assert!(post(self.port, "{ artists { name } }").is_some_and(|answer| answer["data"].is_object()));
        }
    }
}

/// Clients that ask without a pause, each request on a connection of its own.
struct Load {
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicU64>,
    clients: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    fn start(port: u16) -> Self {
        let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let clients = (0..2).map(|_| {
            let (stop, asked) = (Arc::clone(&stop), Arc::clone(&asked));
            std::thread::spawn(move || {
                let mut failed = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let answer = post(port, "{ artists { name } }");
                    asked.fetch_add(1, Ordering::Relaxed);
                    if !answer.as_ref().is_some_and(|answer| answer["data"].is_object()) {
                        failed.push(format!("{answer:?}"));
                    }
                }
                failed
            })
        });
        let clients = clients.collect();
        Self { stop, asked, clients }
    }

    /// Waits until so many more requests were answered.
    #[track_caller]
    fn more(&self, count: u64) {
        let goal = self.asked.load(Ordering::Relaxed) + count;
        wait_until("the clients are answered", || (self.asked.load(Ordering::Relaxed) >= goal).then_some(()));
    }

    /// Returns what went wrong.
    fn end(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        self.clients.into_iter().flat_map(|client| client.join().expect("it ends")).collect()
    }
}

#[test]
fn shares_are_exact_and_outlive_a_kill() {
    let mut service = Service::start(2);
    assert_eq!(get(service.port, "/health/ready").unwrap().0, 503, "nobody has told it anything yet");
    service.apply(&service.generation(1, &[95, 5]));
    service.ask_100();
    assert_eq!(service.requests(), [("a".to_owned(), 95), ("b".to_owned(), 5)]);

    // What was counted is written four times a second.
    wait_until("the counts are written", || {
        std::fs::read_to_string(service.project.dir().join(".fraiseql/proxy.counts.json"))
            .is_ok_and(|text| text.contains("\"requests\":95"))
            .then_some(())
    });
    service.proxy.signal(Signal::KILL);
    let port = service.port;
    service.start_proxy(port, &[]);
    assert_eq!(get(port, "/health/ready").unwrap().0, 200, "it asked the instances before it listened");
    service.ask_100();
    assert_eq!(service.requests(), [("a".to_owned(), 190), ("b".to_owned(), 10)]);
}

#[test]
fn what_the_service_says_is_of_all_instances() {
    let service = Service::start(2);
    service.apply(&service.generation(1, &[50, 50]));
    service.ask_100();
    let page = get(service.port, "/metrics").unwrap().1;
    assert!(page.contains("\nhttp_requests_total{status=\"200\"} 100\n"), "{page}");
    let (status, health) = get(service.port, "/health").unwrap();
    let health: Value = serde_json::from_str(&health).unwrap();
    let keys: Vec<&String> = health.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["status", "version", "database", "cache", "uptime_seconds"]);
    assert_eq!(
        (status, &health["status"], &health["database"]["status"]),
        (200, &json!("healthy"), &json!("connected"))
    );

    // The canary dies: its users are served by the stable release, and what it counted stays counted.
    service.instances[1].0.signal(Signal::KILL);
    service.ask_100();
    let page = get(service.port, "/metrics").unwrap().1;
    assert!(page.contains("\nhttp_requests_total{status=\"200\"} 200\n"), "{page}");
    let failures = |page: &str| -> Vec<String> {
        let failed =
            |line: &&str| line.starts_with("http_requests_total{status=\"5") && !line.ends_with(" 0");
        page.lines().filter(failed).map(str::to_owned).collect()
    };
    assert_eq!(failures(&page), Vec::<String>::new());
    // All die: it says so, and answers.
    service.instances[0].0.signal(Signal::KILL);
    assert_eq!(
        post(service.port, "{ artists { name } }").unwrap()["errors"][0]["extensions"]["code"],
        "UNAVAILABLE"
    );
    let (status, health) = get(service.port, "/health").unwrap();
    assert!(status == 200 && health.contains("\"status\":\"unhealthy\""), "{health}");
    assert_eq!(get(service.port, "/health/ready").unwrap().0, 503);
    let page = get(service.port, "/metrics").unwrap().1;
    // Whether it broke off or was not reached at all depends on who noticed first.
    let [failed] = &failures(&page)[..] else { panic!("{page}") };
    assert!(failed.contains("\"502\"} 1") || failed.contains("\"503\"} 1"), "{failed}");
}

#[test]
fn a_stale_control_plane_is_not_heard() {
    let service = Service::start(2);
    service.apply(&service.generation(7, &[95, 5]));
    service.apply(&service.generation(7, &[95, 5]));
    for (number, weights) in [(7, [90, 10]), (6, [0, 100])] {
        let told =
            ask(&service.socket(), "PUT", "/generation", &service.generation(number, &weights)).unwrap();
        assert_eq!(
            (told.0, &told.1["code"], &told.1["highest"]["number"]),
            (409, &json!("FQ-PXY-002"), &json!(7))
        );
    }
    let bad = service.generation(8, &[90, 5]);
    let told = ask(&service.socket(), "PUT", "/generation", &bad).unwrap();
    assert_eq!((told.0, &told.1["code"]), (400, &json!("FQ-PXY-001")));
    assert_eq!(ask(&service.socket(), "POST", "/lease", &json!({ "epoch": 1, "number": 6 })).unwrap().0, 409);
    assert_eq!(service.state()["generation"]["arms"][1]["weight"], 5);
}

#[test]
fn a_canary_without_its_controller_ends_by_itself() {
    let service = Service::start(2);
    let mut generation = service.generation(3, &[50, 50]);
    generation["lease_ms"] = json!(2_000);
    service.apply(&generation);
    let stamp = json!({ "epoch": 1, "number": 3 });
    let left = || service.state()["lease_left_ms"].as_u64().expect("it has a lease");
    wait_until("a part of the lease is over", || (left() < 1_500).then_some(()));
    assert_eq!(ask(&service.socket(), "POST", "/lease", &stamp).unwrap().0, 200, "renewed in time it holds");
    assert!(left() > 1_500);
    let state = wait_until("the lease has ended", || {
        Some(service.state()).filter(|state| state["origin"] == "lease_ended")
    });
    assert_eq!(state["generation"]["arms"][0]["weight"], 100);
    assert_eq!(
        ask(&service.socket(), "POST", "/lease", &stamp).unwrap().0,
        409,
        "what has ended is not renewed"
    );
    assert_eq!(ask(&service.socket(), "PUT", "/generation", &generation).unwrap().0, 409);
}

#[test]
fn an_operator_rolls_back_without_a_control_plane() {
    let service = Service::start(2);
    service.apply(&service.generation(1, &[50, 50]));
    let (status, told) = ask(&service.socket(), "POST", "/rollback", &Value::Null).unwrap();
    assert_eq!((status, &told["generation"]["stable"]), (200, &json!("a")));
    let (status, told) = ask(&service.socket(), "POST", "/rollback", &Value::Null).unwrap();
    assert_eq!((status, &told["code"]), (409, &json!("FQ-PXY-003")), "{told}");

    let mut promoted = service.generation(3, &[0, 100]);
    (promoted["stable"], promoted["previous"]) = (json!("b"), json!("a"));
    service.apply(&promoted);
    let before = service.requests();
    let (status, _) = ask(&service.socket(), "POST", "/rollback", &Value::Null).unwrap();
    assert_eq!((status, &service.state()["origin"]), (200, &json!("operator")));
    service.ask_100();
    let after = service.requests();
    assert_eq!(
        after.iter().find(|arm| arm.0 == "a").unwrap().1,
        before.iter().find(|arm| arm.0 == "a").unwrap().1 + 100
    );
}

#[test]
fn it_is_replaced_without_losing_a_request() {
    let service = Service::start(1);
    service.apply(&service.generation(1, &[100]));
    let load = Load::start(service.port);
    load.more(50);
    // One that ends at once, and one that is none, change nothing.
    for (program, reason) in [("/bin/false", "ended before it served"), ("/nonexistent", "cannot be started")]
    {
        let told = ask(&service.socket(), "POST", "/replace", &json!({ "program": program })).unwrap();
        assert_eq!(told.0, 202);
        wait_until("it has told why", || service.proxy.said().contains(reason).then_some(()));
    }
    let mut pid = service.state()["pid"].clone();
    for _ in 0..5 {
        assert_eq!(ask(&service.socket(), "POST", "/replace", &json!({ "program": null })).unwrap().0, 202);
        pid = wait_until("another process serves", || {
            let state = ask(&service.socket(), "GET", "/state", &Value::Null)?.1;
            (state["pid"] != pid).then(|| state["pid"].clone())
        });
        load.more(50);
    }
    assert_eq!(load.end(), Vec::<String>::new());
    let pid = u32::try_from(pid.as_u64().unwrap()).unwrap();
    crate::process::signal_pid(pid, Signal::TERM);
}

#[test]
fn a_pause_holds_requests_and_loses_none() {
    let service = Service::start(1);
    let mut paused = service.generation(1, &[100]);
    paused["gate"] = json!({ "paused": { "wait_ms": 60_000 } });
    service.apply(&paused);
    let load = Load::start(service.port);
    wait_until("requests wait", || {
        std::thread::sleep(std::time::Duration::from_millis(200));
        (load.asked.load(Ordering::Relaxed) == 0).then_some(())
    });
    service.apply(&service.generation(2, &[100]));
    load.more(20);
    assert_eq!(load.end(), Vec::<String>::new());

    let mut closed = service.generation(3, &[100]);
    closed["gate"] = json!({ "closed": { "body": null } });
    service.apply(&closed);
    let refused = post(service.port, "{ artists { name } }").unwrap();
    assert_eq!(refused["errors"][0]["message"], "the service is down for maintenance");
    assert_eq!(get(service.port, "/health").unwrap().0, 200);
}
