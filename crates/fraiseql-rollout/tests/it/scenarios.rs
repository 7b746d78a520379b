//! What an operator sees of each strategy and of each kind of broken release.

use fraiseql_rollout::{Command, CommandError, Policy, Strategy};
use insta::assert_snapshot;

use crate::world::{Behaviour, Simulation, quick};

fn told(strategy: Strategy, instances: u32, green: Behaviour) -> String {
    let mut simulation = Simulation::new(7, instances, green);
    simulation.deploy("green", &quick(strategy, instances)).unwrap();
    simulation.settle(600);
    assert_eq!(simulation.world().lost, 0, "no request was without an instance");
    format!("{}\n{}", simulation.told.join("\n"), simulation.end())
}

#[test]
fn a_canary_goes_up_in_shares() {
    assert_snapshot!(told(Strategy::Canary, 3, Behaviour::good()), @r#"
      63 s  gates
      65 s  5 % of the traffic for the new release
      65 s  draining
      65 s  stopping instances
      65 s  watching the new release with 5 %
      95 s  starting instances
      95 s  25 % of the traffic for the new release
      95 s  draining
      95 s  stopping instances
      95 s  watching the new release with 25 %
     125 s  starting instances
     127 s  100 % of the traffic for the new release
     127 s  draining
     127 s  stopping instances
     127 s  watching the new release with 100 %
     157 s  promoted
    promoted; traffic {"green": 100}; instances {"blue": 3, "green": 3}
    "#);
}

#[test]
fn what_fails_before_instances_starts_none() {
    let green = Behaviour { fails: Some("migrations"), ..Behaviour::good() };
    let mut simulation = Simulation::new(7, 2, green);
    let prepare = vec!["backup".to_owned(), "migrations".to_owned()];
    let policy = Policy { prepare, ..quick(Strategy::Rolling, 2) };
    simulation.deploy("green", &policy).unwrap();
    for _ in 0..60 {
        simulation.run(1);
        let world = simulation.world();
        assert_eq!((world.running().get("green"), world.running().get("blue")), (None, Some(&2)));
    }
    assert_snapshot!(format!("{}\n{}", simulation.told.join("\n"), simulation.end()), @r#"
      69 s  going back: migrations failed: simulated
      69 s  all traffic for the old release
      79 s  rolled back: migrations failed: simulated
    rolled back: migrations failed: simulated; traffic {"blue": 100}; instances {"blue": 2}
    "#);
}

#[test]
fn blue_and_green_change_places_at_once() {
    assert_snapshot!(told(Strategy::BlueGreen, 2, Behaviour::good()), @r#"
      63 s  gates
      65 s  100 % of the traffic for the new release
      65 s  draining
      65 s  stopping instances
      65 s  watching the new release with 100 %
      95 s  promoted
    promoted; traffic {"green": 100}; instances {"blue": 2, "green": 2}
    "#);
}

#[test]
fn instances_are_replaced_one_after_the_other() {
    assert_snapshot!(told(Strategy::Rolling, 3, Behaviour::good()), @r#"
      62 s  draining
      62 s  stopping instances
      62 s  starting instances
      64 s  gates
      66 s  33 % of the traffic for the new release
      66 s  watching the new release with 33 %
      96 s  taking instances out
      96 s  draining
      96 s  stopping instances
      96 s  starting instances
      98 s  66 % of the traffic for the new release
      98 s  watching the new release with 66 %
     128 s  taking instances out
     128 s  draining
     128 s  stopping instances
     128 s  starting instances
     130 s  100 % of the traffic for the new release
     130 s  watching the new release with 100 %
     160 s  promoted
    promoted; traffic {"green": 100}; instances {"green": 3}
    "#);
}

#[test]
fn one_instance_alone_is_replaced_after_its_successor_has_come() {
    assert_snapshot!(told(Strategy::Rolling, 1, Behaviour::good()), @r#"
      63 s  gates
      65 s  100 % of the traffic for the new release
      65 s  draining
      65 s  stopping instances
      65 s  watching the new release with 100 %
      95 s  promoted
    promoted; traffic {"green": 100}; instances {"green": 1}
    "#);
}

/// How it ended.
fn ends(strategy: Strategy, green: Behaviour) -> String {
    let mut simulation = Simulation::new(11, 2, green);
    simulation.deploy("green", &quick(strategy, 2)).unwrap();
    simulation.settle(600);
    simulation.run(1);
    simulation.end()
}

#[test]
fn broken_releases_end_on_the_stable_one_with_their_reason() {
    let good = Behaviour::good;
    let broken = [
        ("never ready", Behaviour { ready_ms: None, ..good() }),
        ("ends at start", Behaviour { ready_ms: None, lives_ms: Some(500), ..good() }),
        ("ready, then ends", Behaviour { lives_ms: Some(8_000), ..good() }),
        ("all requests fail", Behaviour { errors: 1.0, ..good() }),
        ("a tenth fails inside of good answers", Behaviour { graphql_errors: 0.1, ..good() }),
        ("three times as slow", Behaviour { latency_us: 2_800, ..good() }),
        ("smoke tests fail", Behaviour { fails: Some("smoke"), ..good() }),
    ];
    for strategy in [Strategy::Canary, Strategy::BlueGreen, Strategy::Rolling] {
        for (name, behaviour) in &broken {
            // Without another release beside it, nobody can tell that an answer is slow.
            if strategy == Strategy::BlueGreen && *name == "three times as slow" {
                continue;
            }
            let end = ends(strategy, behaviour.clone());
            assert!(end.starts_with("rolled back: "), "{strategy}, {name}: {end}");
            assert!(
                end.ends_with("traffic {\"blue\": 100}; instances {\"blue\": 2}"),
                "{strategy}, {name}: {end}"
            );
        }
    }
}

#[test]
fn reasons_are_told_in_figures() {
    let canary = |green| ends(Strategy::Canary, green);
    assert_snapshot!(canary(Behaviour { errors: 1.0, ..Behaviour::good() }), @r#"rolled back: new release 6 of 6 bad, old release 0 of 94, E = 6.9e4; traffic {"blue": 100}; instances {"blue": 2}"#);
    assert_snapshot!(canary(Behaviour { latency_us: 2_800, ..Behaviour::good() }), @r#"rolled back: new release 13 of 13 slow, old release 1 of 287, E = 8.3e3; traffic {"blue": 100}; instances {"blue": 2}"#);
    assert_snapshot!(canary(Behaviour { ready_ms: None, lives_ms: Some(500), ..Behaviour::good() }), @r#"rolled back: its instances do not stay up: ended 4 times; traffic {"blue": 100}; instances {"blue": 2}"#);
}

#[test]
fn an_outage_of_everything_is_not_blamed_on_the_release() {
    let mut simulation = Simulation::new(3, 2, Behaviour::good());
    simulation.deploy("green", &quick(Strategy::Canary, 2)).unwrap();
    simulation.run(20);
    let outage = Behaviour { errors: 0.3, ..Behaviour::good() };
    simulation.world().behave("blue", outage.clone());
    simulation.world().behave("green", outage);
    simulation.run(40);
    let told = simulation.told.join("\n");
    assert!(told.contains("both releases fail: the environment is to blame"), "{told}");
    assert_eq!(
        simulation.world().shares(),
        [("blue".to_owned(), 100)].into(),
        "the canary has no traffic meanwhile"
    );
    assert!(simulation.service().rollout.is_some(), "it holds");
    for release in ["blue", "green"] {
        simulation.world().behave(release, Behaviour::good());
    }
    simulation.command(&Command::Resume).unwrap();
    simulation.settle(600);
    assert!(simulation.end().starts_with("promoted"), "{}", simulation.end());
}

#[test]
fn a_rollback_that_does_not_help_is_told() {
    let mut simulation = Simulation::new(3, 1, Behaviour { errors: 0.9, ..Behaviour::good() });
    simulation.deploy("green", &quick(Strategy::BlueGreen, 1)).unwrap();
    simulation.world().behave("blue", Behaviour { errors: 0.9, ..Behaviour::good() });
    simulation.settle(600);
    assert!(simulation.end().contains("the release was not the cause"), "{}", simulation.end());
}

#[test]
fn without_requests_a_canary_waits_and_then_goes_back() {
    let mut simulation = Simulation::new(3, 1, Behaviour::good());
    simulation.world().per_second = 0;
    simulation.deploy("green", &quick(Strategy::Canary, 1)).unwrap();
    simulation.run(100);
    assert!(simulation.service().rollout.is_some(), "it waits");
    simulation.settle(600);
    assert!(
        simulation.end().starts_with("rolled back: 0 requests were too few to judge it"),
        "{}",
        simulation.end()
    );
}

#[test]
fn operators_hold_promote_abort_and_roll_back_at_any_moment() {
    let mut simulation = Simulation::new(5, 2, Behaviour::good());
    simulation.deploy("green", &quick(Strategy::Canary, 2)).unwrap();
    let busy = simulation.deploy("blue", &quick(Strategy::Canary, 2)).unwrap_err();
    assert!(matches!(busy, CommandError::Busy { .. }), "{busy}");
    simulation.run(10);
    simulation.command(&Command::Hold).unwrap();
    simulation.run(200);
    assert_eq!(simulation.world().shares()["green"], 5, "held, it stays, and its lease is renewed");
    simulation.command(&Command::Promote).unwrap();
    simulation.run(3);
    assert_eq!(simulation.world().shares()["green"], 25);
    simulation.command(&Command::Abort).unwrap();
    simulation.run(2);
    assert_eq!(simulation.world().shares(), [("blue".to_owned(), 100)].into());
    simulation.settle(60);
    let again = simulation.deploy("green", &quick(Strategy::Canary, 2)).unwrap_err();
    assert!(matches!(again, CommandError::RolledBackBefore { .. }), "{again}");
    assert!(matches!(simulation.command(&Command::Rollback), Err(CommandError::NothingBefore)));
}

#[test]
fn after_the_switch_the_old_release_is_kept_for_a_rollback() {
    let mut simulation = Simulation::new(5, 2, Behaviour::good());
    simulation.deploy("green", &quick(Strategy::BlueGreen, 2)).unwrap();
    simulation.settle(600);
    assert!(
        simulation
            .end()
            .starts_with("promoted; traffic {\"green\": 100}; instances {\"blue\": 2, \"green\": 2}")
    );
    simulation.command(&Command::Rollback).unwrap();
    simulation.run(1);
    assert_eq!(simulation.world().shares(), [("blue".to_owned(), 100)].into(), "within one look");
    simulation.settle(60);
    assert_eq!(simulation.world().running(), [("blue".to_owned(), 2)].into());

    let mut kept = Simulation::new(5, 2, Behaviour::good());
    kept.deploy("green", &quick(Strategy::BlueGreen, 2)).unwrap();
    kept.settle(600);
    kept.run(130);
    assert_eq!(kept.world().running(), [("green".to_owned(), 2)].into(), "its time is over");
}

#[test]
fn a_rollback_at_the_proxy_is_seen_and_respected() {
    for baked in [false, true] {
        let mut simulation = Simulation::new(5, 2, Behaviour::good());
        simulation.deploy("green", &quick(Strategy::BlueGreen, 2)).unwrap();
        simulation.run(10);
        if baked {
            simulation.settle(600);
        }
        assert_eq!(simulation.world().shares(), [("green".to_owned(), 100)].into());
        simulation.world().roll_back_at_the_proxy();
        simulation.run(3);
        assert_eq!(simulation.world().shares(), [("blue".to_owned(), 100)].into());
        simulation.settle(100);
        assert!(
            simulation.end().starts_with("rolled back: an operator rolled back at the proxy"),
            "{}",
            simulation.end()
        );
    }
}
