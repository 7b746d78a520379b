//! Drills of the proxy under load: traffic is switched, and the proxy replaced, and no client notices.
//!
//! `make drills` runs them a hundred times over and prints the table; a test runs a few rounds.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::control::ask;
use crate::load::{Clients, Seen, Way};
use crate::process::wait_until;
use crate::project::execute;
use crate::proxy::Service;

/// How often something is done.
pub const ROUNDS: &str = "FRAISEQL_DRILL_ROUNDS";
/// How many answers each client waits for before and after it.
pub const REQUESTS: &str = "FRAISEQL_DRILL_REQUESTS";

pub fn size(name: &str, few: u64) -> u64 {
    std::env::var(name).map_or(few, |text| text.parse().expect("a number"))
}

/// Prints what clients have seen, and fails when one has seen a failure.
#[track_caller]
pub fn judge(what: &str, rounds: u64, seen: Vec<Seen>, longest: Duration) {
    let mut failed = Vec::new();
    println!("{what}: {rounds} rounds, the longest took {longest:.1?}");
    println!("| clients | requests | failed | p50 | p99 | longest |");
    println!("|---|---|---|---|---|---|");
    for Seen { way, mut micros, failed: reasons } in seen {
        micros.sort_unstable();
        let at = |share: usize| {
            micros.get((micros.len() * share / 100).min(micros.len().saturating_sub(1))).copied().unwrap_or(0)
        };
        println!(
            "| {way:?} | {} | {} | {} us | {} us | {} us |",
            micros.len() + reasons.len(),
            reasons.len(),
            at(50),
            at(99),
            at(100)
        );
        failed.extend(reasons.into_iter().map(|reason| format!("{way:?}: {reason}")));
    }
    assert_eq!(failed, Vec::<String>::new());
}

/// Returns the generation with all traffic on one of two releases, and the other one to go back to.
fn all_on(service: &Service, number: u64, first: bool) -> Value {
    let mut generation = service.generation(number, if first { &[100, 0] } else { &[0, 100] });
    let (stable, previous) = if first { ("a", "b") } else { ("b", "a") };
    (generation["stable"], generation["previous"]) = (json!(stable), json!(previous));
    generation
}

#[test]
fn switches_of_traffic_cost_no_request() {
    let service = Service::start(2);
    service.apply(&all_on(&service, 1, true));
    let ways = [Way::KeepAlive, Way::NewConnections, Way::Http2, Way::Mutations, Way::WebSocket];
    let clients = Clients::start(service.port, &ways);
    let (rounds, mut longest) = (size(ROUNDS, 6), Duration::ZERO);
    for round in 0..rounds {
        clients.more(size(REQUESTS, 5));
        let before = service.requests();
        let began = Instant::now();
        service.apply(&all_on(&service, round + 2, round % 2 == 1));
        longest = longest.max(began.elapsed());
        // Everybody who asks on a connection for each request is on the other release now.
        clients.more(size(REQUESTS, 5));
        let (after, new) = (service.requests(), usize::from(round % 2 == 0));
        assert!(after[new].1 >= before[new].1 + 20, "{before:?} {after:?}");
    }
    let written: usize = {
        let seen = clients.end();
        let written = seen.iter().find(|seen| seen.way == Way::Mutations).expect("there is one").micros.len();
        judge("switch of traffic", rounds, seen, longest);
        written
    };
    // Each mutation that was acknowledged happened once: the key would refuse a second time.
    execute(
        &service.url,
        &format!("DO $$ BEGIN ASSERT (SELECT count(*) FROM artist) = {written}, 'lost or twice'; END $$"),
    );
}

#[test]
fn replacements_of_the_proxy_cost_no_request() {
    let service = Service::start(1);
    service.apply(&service.generation(1, &[100]));
    let ways = [Way::KeepAlive, Way::NewConnections, Way::Http2, Way::Mutations];
    let clients = Clients::start(service.port, &ways);
    let (rounds, mut longest) = (size(ROUNDS, 3), Duration::ZERO);
    let mut pid = service.state()["pid"].clone();
    for _ in 0..rounds {
        clients.more(size(REQUESTS, 5));
        let began = Instant::now();
        let told =
            ask(&service.socket(), "POST", "/replace", &json!({ "program": null })).expect("an answer");
        assert_eq!(told.0, 202);
        pid = wait_until("another process serves", || {
            let state = ask(&service.socket(), "GET", "/state", &Value::Null)?.1;
            (state["pid"] != pid).then(|| state["pid"].clone())
        });
        longest = longest.max(began.elapsed());
        clients.more(size(REQUESTS, 5));
    }
    let seen = clients.end();
    let pid = u32::try_from(pid.as_u64().expect("a number")).expect("a pid");
    crate::process::signal_pid(pid, Signal::TERM);
    judge("replacement of the proxy", rounds, seen, longest);
}

#[test]
fn what_was_acknowledged_holds_after_a_kill_at_any_moment() {
    let mut service = Service::start(2);
    service.apply(&service.generation(1, &[100, 0]));
    let (rounds, mut number) = (size(ROUNDS, 6), 1);
    for round in 0..rounds {
        let (socket, pid) = (service.socket(), service.proxy.pid());
        let first = number + 1;
        let applying = {
            let generations: Vec<Value> =
                (first..first + 500).map(|number| service.generation(number, &[50, 50])).collect();
            std::thread::spawn(move || {
                let mut acknowledged = first - 1;
                for (generation, number) in generations.iter().zip(first..) {
                    match ask(&socket, "PUT", "/generation", generation) {
                        Some((200, _)) => acknowledged = number,
                        _ => return acknowledged,
                    }
                }
                acknowledged
            })
        };
        // At another moment in each round.
        std::thread::sleep(Duration::from_millis(20 + 7 * (round % 10)));
        crate::process::signal_pid(pid, Signal::KILL);
        let acknowledged = applying.join().expect("it ends");
        let port = service.port;
        service.start_proxy(port, &[]);
        let holds = service.state()["generation"]["stamp"]["number"].as_u64().expect("a number");
        // One more may have been written whose answer was lost.
        assert!([acknowledged, acknowledged + 1].contains(&holds), "{acknowledged} was told, {holds} holds");
        number = holds;
    }
}
