//! `kill -9` of `up`, of PostgreSQL, of both, and during the first load: the next start works, and
//! every mutation that was acknowledged is there.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{JoinHandle, spawn};

use rustix::process::Signal;

use crate::http::{data, post};
use crate::process::{signal_pid, wait_until};
use crate::project::{MUSIC, Project, TABLES};
use crate::up::interrupt;

/// So many mutations are waited for before something is killed.
const ENOUGH: usize = 20;

#[test]
fn up_is_killed_and_the_next_one_takes_its_database_over() {
    let project = Project::seeded(MUSIC, TABLES);
    let (up, port) = project.up();
    let writer = Writer::begin(port, 1);
    writer.wait_for_some();
    let postmaster = project.postmaster();
    up.kill();
    let acknowledged = writer.end();

    let (up, port) = project.up();
    assert_eq!(project.postmaster(), postmaster, "{}", up.said());
    check_all_there(port, &acknowledged);
    interrupt(&project, up);
}

#[test]
fn postgres_is_killed_and_up_starts_it_again() {
    let project = Project::seeded(MUSIC, TABLES);
    let (mut up, port) = project.up();
    let writer = Writer::begin(port, 1);
    writer.wait_for_some();
    signal_pid(project.postmaster(), Signal::KILL);
    up.wait_for("starting it again");
    writer.wait_for_some();
    let acknowledged = writer.end();
    check_all_there(port, &acknowledged);
    interrupt(&project, up);
}

#[test]
fn everything_is_killed_and_the_next_up_starts_it_again() {
    let project = Project::seeded(MUSIC, TABLES);
    let mut acknowledged = BTreeSet::new();
    for round in 0..2 {
        let (up, port) = project.up();
        check_all_there(port, &acknowledged);
        let writer = Writer::begin(port, 1 + round * 1_000_000);
        writer.wait_for_some();
        let postmaster = project.postmaster();
        up.kill();
        signal_pid(postmaster, Signal::KILL);
        acknowledged.extend(writer.end());
    }
    let (up, port) = project.up();
    check_all_there(port, &acknowledged);
    interrupt(&project, up);
}

#[test]
fn a_load_that_is_killed_leaves_nothing_half_loaded() {
    let rows = "INSERT INTO artist VALUES (1, 'AC/DC');";
    let endless = format!("{TABLES}\n{rows}\nSELECT pg_sleep(600);\n");
    let whole = format!("{TABLES}\n{rows}\nINSERT INTO artist VALUES (2, 'Accept');\n");
    let project = Project::seeded(MUSIC, &endless);
    for with_postgres in [false, true] {
        let mut up = project.up_starting();
        up.wait_for("loading shop/seed.sql");
        project.wait_for_statement("SELECT pg_sleep");
        let postmaster = project.postmaster();
        up.kill();
        if with_postgres {
            signal_pid(postmaster, Signal::KILL);
        }
    }
    project.write("seed.sql", &whole);
    let (up, port) = project.up();
    assert_eq!(artists(port), BTreeSet::from([1, 2]));
    interrupt(&project, up);
}

#[test]
fn the_first_start_is_killed_at_any_moment() {
    for moment in ["making a PostgreSQL data directory", "starting PostgreSQL", "loading"] {
        let project = Project::seeded(MUSIC, TABLES);
        let mut first = project.up_starting();
        first.wait_for(moment);
        first.kill();
        let (up, port) = project.up();
        assert_eq!(artists(port), BTreeSet::new(), "killed at {moment:?}");
        interrupt(&project, up);
    }
}

/// A client that inserts one artist after the other and remembers which were acknowledged.
#[derive(Debug)]
struct Writer {
    stop: Arc<AtomicBool>,
    count: Arc<AtomicUsize>,
    thread: JoinHandle<BTreeSet<i64>>,
}

impl Writer {
    /// Begins to insert, from `first` on.
    fn begin(port: u16, first: i64) -> Self {
        let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&count));
        let thread = spawn(move || {
            let mut acknowledged = BTreeSet::new();
            for id in first.. {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                let insert =
                    format!("mutation {{ insertArtist(object: {{artistId: {id}}}) {{ artistId }} }}");
                let answer = post(port, &insert);
                if answer.is_some_and(|answer| answer["data"]["insertArtist"]["artistId"] == id) {
                    acknowledged.insert(id);
                    counted.fetch_add(1, Ordering::Relaxed);
                }
            }
            acknowledged
        });
        Self { stop, count, thread }
    }

    /// Waits until some more were acknowledged.
    #[track_caller]
    fn wait_for_some(&self) {
        let enough = self.count.load(Ordering::Relaxed) + ENOUGH;
        wait_until("mutations succeed", || (self.count.load(Ordering::Relaxed) >= enough).then_some(()));
    }

    /// Returns what was acknowledged.
    fn end(self) -> BTreeSet<i64> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the writer does not panic")
    }
}

fn artists(port: u16) -> BTreeSet<i64> {
    let answer = data(port, "{ artists { artistId } }");
    let rows = answer["artists"].as_array().expect("a list");
    rows.iter().map(|row| row["artistId"].as_i64().expect("a number")).collect()
}

#[track_caller]
fn check_all_there(port: u16, acknowledged: &BTreeSet<i64>) {
    let found = artists(port);
    let lost: Vec<_> = acknowledged.difference(&found).collect();
    assert!(lost.is_empty(), "lost {lost:?} of {acknowledged:?}");
}
