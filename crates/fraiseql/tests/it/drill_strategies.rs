//! Each strategy with each traffic driver under load, and a proxy whose successor crashes.
//!
//! `make drills` prints the tables with more rounds; a test runs one.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use crate::control::ask;
use crate::drill::{REQUESTS, ROUNDS, judge, size};
use crate::load::{Clients, Seen, Way};
use crate::managed::{Managed, READERS, nobody_noticed};
use crate::process::wait_until;
use crate::project::execute;
use crate::proxy::Service;

/// Rounds of each strategy, of a hundred of the others: one takes some seconds.
const ROUNDS_SHARE: u64 = 20;

/// What clients of HAProxy in front of instances use here.
const PLAIN: &[Way] = &[Way::KeepAlive, Way::NewConnections, Way::Mutations];

fn p99(seen: &[Seen]) -> u64 {
    let mut micros: Vec<u64> = seen.iter().flat_map(|seen| &seen.micros).copied().collect();
    micros.sort_unstable();
    micros.get((micros.len() * 99 / 100).min(micros.len().saturating_sub(1))).copied().unwrap_or(0)
}

/// Deploys again and again under load, and prints a row; no client may notice.
#[track_caller]
fn drill(managed: &Managed, (driver, strategy): (&str, &str), flags: &[&str], ways: &[Way], first: u32) {
    let rounds = (size(ROUNDS, 1) / ROUNDS_SHARE).max(1);
    execute(&managed.url, "TRUNCATE artist CASCADE");
    let calm = Clients::start(
        managed.port,
        &ways.iter().copied().filter(|way| *way != Way::Mutations).collect::<Vec<_>>(),
    );
    calm.more(size(REQUESTS, 20));
    let calm = p99(&calm.end());
    let clients = managed.clients(ways);
    let (mut longest, mut release) = (Duration::ZERO, String::new());
    for (number, _) in (first..).zip(0..rounds) {
        release = managed.another(number);
        let began = Instant::now();
        let said = managed.deploy(flags);
        longest = longest.max(began.elapsed());
        assert_eq!(managed.weights(), [(release.clone(), 100)], "{}", said.shown(&[]));
        clients.more(size(REQUESTS, 5));
    }
    assert_eq!(managed.stable(), release);
    let seen = clients.end();
    let added = p99(&seen).saturating_sub(calm);
    let (requests, _) = nobody_noticed(seen);
    println!("| {driver} | {strategy} | {rounds} | {requests} | 0 | {added} us | {longest:.1?} |");
}

fn head() {
    println!(
        "| driver | strategy | rounds | requests | failed | added p99 | from command to the end of its watch |"
    );
    println!("|---|---|---|---|---|---|---|");
}

#[test]
fn each_strategy_with_the_built_in_proxy() {
    let managed = Managed::serving();
    let ways = [READERS, &[Way::Mutations]].concat();
    head();
    let canary = ["--steps", "20,50", "--bake", "0s"];
    drill(&managed, ("built-in", "canary 20, 50, 100 %"), &canary, &ways, 1);
    let blue_green = ["--strategy", "blue-green", "--instances", "2", "--bake", "0s"];
    drill(&managed, ("built-in", "blue-green"), &blue_green, &ways, 31);
    drill(&managed, ("built-in", "rolling"), &["--strategy", "rolling", "--bake", "0s"], &ways, 61);
}

#[test]
fn each_strategy_with_haproxy() {
    let Some(managed) = Managed::behind_haproxy() else { return };
    managed.deploy(&["--bake", "0s"]).ok();
    head();
    let canary = ["--steps", "20,50", "--bake", "0s", "--no-lease"];
    drill(&managed, ("HAProxy", "canary 20, 50, 100 %"), &canary, PLAIN, 1);
    let blue_green = ["--strategy", "blue-green", "--instances", "2", "--bake", "0s"];
    drill(&managed, ("HAProxy", "blue-green"), &blue_green, PLAIN, 31);
    let rolling = ["--strategy", "rolling", "--bake", "0s", "--no-lease"];
    drill(&managed, ("HAProxy", "rolling"), &rolling, PLAIN, 61);
}

#[test]
fn what_haproxy_lacks_is_refused_and_what_it_forgets_is_told_again() {
    let Some(mut managed) = Managed::behind_haproxy() else { return };
    managed.deploy(&["--bake", "0s"]).ok();
    let first = managed.stable();
    managed.another(1);
    for (words, lacks) in [
        (
            &["deploy", "shop", "--yes", "--database-url", &managed.url, "--steps", "20"][..],
            "shares that end by themselves",
        ),
        (&["maintenance", "pause", "-C", "shop"], "a pause that holds requests"),
    ] {
        let ended = managed.project.run(words);
        let told = format!("move traffic with HAProxy: it cannot do this: {lacks}");
        assert!(ended.stderr.contains("FQ-PXY-007") && ended.stderr.contains(&told), "{}", ended.stderr);
    }
    assert!(managed.status()["service"]["rollout"].is_null());

    let plan = managed.deploy(&["--dry-run"]).stderr;
    assert!(
        plan.contains("traffic   HAProxy: times, and errors within good answers, are not judged"),
        "{plan}"
    );

    // It has forgotten where the instances are; the agent sees that and tells it again.
    managed.haproxy.as_mut().expect("it runs").start_again();
    wait_until("it serves again", || {
        crate::http::get(managed.port, "/health/ready").filter(|(status, _)| *status == 200)
    });
    assert_eq!(managed.weights(), [(first.clone(), 100)]);

    // A release that crashes once it has traffic goes back.
    let broken = managed.another(2);
    managed.pretend(&broken, "\"$REAL\" \"$@\" & sleep 2; kill -9 $!; exit 1");
    let clients = managed.clients(&[Way::KeepAlive]);
    let ended = managed.deploy(&["--steps", "20", "--no-lease", "--step-time", "30s"]);
    assert_eq!(ended.status.code(), Some(3), "{}", ended.stderr);
    assert_eq!((managed.stable(), managed.weights()), (first.clone(), vec![(first, 100)]));
    drop(clients.end());

    managed.kill_agent();
    let ended = managed.tell(&["rollback"]);
    assert!(ended.stderr.contains("HAProxy knows no releases: start `fraiseql agent`"), "{}", ended.stderr);
}

#[test]
fn successors_of_the_proxy_that_crash_cost_no_request() {
    let service = Service::start(1);
    service.apply(&service.generation(1, &[100]));
    let ways = [Way::KeepAlive, Way::NewConnections, Way::Http2, Way::Mutations];
    let clients = Clients::start(service.port, &ways);
    let pid = service.state()["pid"].clone();
    let (rounds, mut longest) = (size(ROUNDS, 3), Duration::ZERO);
    for round in 1..=rounds {
        let began = Instant::now();
        let told = ask(&service.socket(), "POST", "/replace", &json!({ "program": "/bin/false" }));
        assert_eq!(told.expect("an answer").0, 202);
        wait_until("it has told why", || {
            let count = service.proxy.said().matches("ended before it served").count();
            (u64::try_from(count).expect("few") >= round).then_some(())
        });
        longest = longest.max(began.elapsed());
        clients.more(size(REQUESTS, 5));
    }
    assert_eq!(service.state()["pid"], pid, "the old one serves");
    judge("successor of the proxy that crashes", rounds, clients.end(), longest);
    let pid = u32::try_from(pid.as_u64().expect("a number")).expect("a pid");
    crate::process::signal_pid(pid, Signal::TERM);
}
