//! Traffic in a real HAProxy: shares, switches that nobody notices, and what it cannot do.

use fraiseql_haproxy::{HaProxy, HaProxyError, HaProxyOptions};
use fraiseql_model::traffic::{BackendHealth, Generation};
use fraiseql_testkit::HaProxyServer;
use serde_json::json;

use crate::http::post;
use crate::load::{Clients, Way};
use crate::process::wait_until;
use crate::project::block_on;
use crate::proxy::Service;

const QUERY: &str = "{ artists { name } }";

struct Driven {
    service: Service,
    server: HaProxyServer,
    haproxy: HaProxy,
}

/// Starts two releases behind an HAProxy; `None` where there is none.
fn driven() -> Option<Driven> {
    let server = HaProxyServer::start(4)?;
    let service = Service::start(2);
    let haproxy = open(&service, &server);
    Some(Driven { service, server, haproxy })
}

fn open(service: &Service, server: &HaProxyServer) -> HaProxy {
    let state = service.socket().with_file_name("haproxy.json");
    let options = HaProxyOptions { socket: server.socket(), backend: "fraiseql".to_owned(), state };
    HaProxy::open(options).expect("it can be read")
}

impl Driven {
    fn generation(&self, number: u64, weights: &[u64]) -> Generation {
        serde_json::from_value(self.service.generation(number, weights)).expect("a generation")
    }

    #[track_caller]
    fn apply(&mut self, generation: &Generation) {
        block_on(self.haproxy.apply(generation)).expect("it can do this");
        wait_until("all instances are ready", || {
            let backends = block_on(self.haproxy.backends()).expect("it answers");
            backends.iter().all(|backend| backend.health == BackendHealth::Ready).then_some(())
        });
    }

    fn requests(&mut self) -> Vec<u64> {
        let counts = block_on(self.haproxy.counts()).expect("it answers");
        counts.iter().map(|arm| arm.requests).collect()
    }

    #[track_caller]
    fn ask_100(&self) {
        for _ in 0..100 {
            assert!(post(self.server.port, QUERY).expect("an answer")["data"].is_object());
        }
    }
}

#[test]
fn haproxy_shares_traffic_and_is_told_again_what_it_forgets() {
    let Some(mut driven) = driven() else { return };
    let shared = driven.generation(2, &[95, 5]);
    driven.apply(&shared);
    driven.ask_100();
    assert_eq!(driven.requests(), [95, 5]);

    driven.server.start_again();
    let health = |driven: &Driven| {
        let backends = block_on(driven.haproxy.backends()).expect("it answers");
        backends.iter().map(|backend| backend.health).collect::<Vec<_>>()
    };
    assert_eq!(health(&driven), [BackendHealth::Unknown; 2]);
    // A controller that knows nothing but what lies on the disk.
    driven.haproxy = open(&driven.service, &driven.server);
    assert_eq!(driven.haproxy.generation(), Some(&shared));
    driven.apply(&shared);
    driven.ask_100();
    assert_eq!(driven.requests(), [190, 10], "counts go on");

    let stale = block_on(driven.haproxy.apply(&driven.generation(1, &[100, 0]))).unwrap_err();
    assert!(matches!(stale, HaProxyError::Stale { .. }), "{stale:?}");
    let leased = Generation { lease_ms: Some(1_000), ..driven.generation(3, &[95, 5]) };
    let refused = block_on(driven.haproxy.apply(&leased)).unwrap_err();
    assert_eq!(
        (refused.code().code, refused.to_string().as_str()),
        ("FQ-PXY-007", "apply generation 1.3 with HAProxy: it cannot do this: shares that end by themselves")
    );
    let mut crowded = driven.service.generation(4, &[95, 5]);
    crowded["arms"][0]["backends"] = (1..=4)
        .map(|port| json!({ "name": format!("x{port}"), "address": format!("127.0.0.1:{port}"), "draining": false }))
        .collect();
    let refused =
        block_on(driven.haproxy.apply(&serde_json::from_value(crowded).expect("a generation"))).unwrap_err();
    assert!(matches!(refused, HaProxyError::Places { wanted: 5, places: 4, .. }), "{refused:?}");
    driven.ask_100();
}

#[test]
fn haproxy_switches_without_losing_a_request() {
    let Some(mut driven) = driven() else { return };
    driven.apply(&driven.generation(1, &[100, 0]));
    let clients = Clients::start(driven.server.port, &[Way::KeepAlive, Way::NewConnections, Way::Mutations]);
    for round in 0..6 {
        clients.more(5);
        let weights: &[u64] = if round % 2 == 0 { &[0, 100] } else { &[100, 0] };
        driven.apply(&driven.generation(round + 2, weights));
        let before = driven.requests();
        clients.more(5);
        let (after, new) = (driven.requests(), usize::from(round % 2 == 0));
        assert!(after[new] >= before[new] + 10, "{before:?} {after:?}");
    }
    let failed: Vec<String> = clients.end().into_iter().flat_map(|seen| seen.failed).collect();
    assert_eq!(failed, Vec::<String>::new());
}
