//! The controller is killed before and after everything that it does, and another one takes over.

use fraiseql_rollout::{Command, Policy, Strategy};

use crate::world::{Behaviour, Simulation, quick};

/// What happens in a run.
#[derive(Clone, Copy, Debug)]
enum Course {
    Good,
    Bad,
    Aborted,
}

fn begin(strategy: Strategy, course: Course) -> Simulation {
    let green = match course {
        Course::Bad => Behaviour { errors: 0.6, ..Behaviour::good() },
        Course::Good | Course::Aborted => Behaviour::good(),
    };
    let mut simulation = Simulation::new(1, 2, green);
    let policy = Policy { prepare: vec!["migrations".to_owned()], ..quick(strategy, 2) };
    simulation.deploy("green", &policy).unwrap();
    simulation
}

/// Goes on to the end; another controller takes over `away` seconds after one has died.
fn finish(simulation: &mut Simulation, course: Course, away: u64) {
    let mut aborted = false;
    for _ in 0..900 {
        if !simulation.is_alive() {
            simulation.run(1);
            for _ in 1..away {
                simulation.world().pass(1_000);
            }
            simulation.start();
        }
        let shared = simulation.world().shares().contains_key("green");
        if matches!(course, Course::Aborted) && shared && !aborted {
            aborted = simulation.command(&Command::Abort).is_ok();
        }
        let ended = simulation.service().rollout.is_none();
        simulation.run(1);
        // What the end leaves to be done is done, too.
        if ended && simulation.is_alive() {
            return;
        }
    }
    panic!("{:#?}", simulation.told);
}

#[test]
fn a_killed_controller_is_followed_by_one_that_finishes() {
    let mut points = 0;
    for strategy in [Strategy::BlueGreen, Strategy::Canary, Strategy::Rolling] {
        for course in [Course::Good, Course::Bad, Course::Aborted] {
            let mut undisturbed = begin(strategy, course);
            finish(&mut undisturbed, course, 0);
            let effects = undisturbed.world().effects;
            let expected = ending(&undisturbed);
            for at in 1..=effects {
                for done in [false, true] {
                    let mut simulation = begin(strategy, course);
                    simulation.world().dies_at = Some((at, done));
                    finish(&mut simulation, course, 3);
                    let found = ending(&simulation);
                    assert_eq!(
                        found, expected,
                        "{strategy}, {course:?}, killed at effect {at} of {effects}, done: {done}"
                    );
                    assert_eq!(simulation.world().lost, 0);
                    points += 1;
                }
            }
        }
    }
    assert!(points >= 150, "{points} points");
}

/// How it ended, without figures that depend on when.
fn ending(simulation: &Simulation) -> String {
    let end = simulation.end();
    let (outcome, rest) = end.split_once("; traffic").unwrap();
    format!("{}; traffic{rest}", outcome.split(':').next().unwrap())
}

#[test]
fn a_canary_whose_controller_stays_away_ends_on_stable_and_stays_there() {
    let mut simulation = begin(Strategy::Canary, Course::Good);
    simulation.run(10);
    assert_eq!(simulation.world().shares()["green"], 5);
    simulation.kill();
    simulation.world().pass(20_000);
    assert_eq!(simulation.world().shares(), [("blue".to_owned(), 100)].into(), "nobody renewed its lease");
    simulation.start();
    simulation.settle(60);
    assert!(
        simulation.end().starts_with("rolled back: nobody renewed its share of the traffic"),
        "{}",
        simulation.end()
    );
}

#[test]
fn a_controller_that_is_back_in_time_goes_on() {
    let mut simulation = begin(Strategy::Canary, Course::Good);
    simulation.run(10);
    simulation.kill();
    simulation.world().pass(8_000);
    simulation.start();
    simulation.settle(600);
    assert!(simulation.end().starts_with("promoted"), "{}", simulation.end());
}
