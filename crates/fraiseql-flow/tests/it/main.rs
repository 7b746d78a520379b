//! The journal as its users meet it: taken over, cut off, on a full disk, by two programs.

use fraiseql_flow::{EntryKind, FlowError, Journal};
use rusqlite::Connection;
use serde_json::json;

fn state() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

#[test]
fn what_was_begun_is_found_by_the_next_executor() {
    let state = state();
    let journal = Journal::take_over(state.path()).unwrap();
    assert_eq!(journal.epoch(), 1);
    let flow = journal.begin("rollout", "blue to green", &json!({ "step": 0 }), 1_000).unwrap();
    let done = journal.intend(flow, "start", &json!({ "release": "green" }), 1_001).unwrap();
    journal.settle(flow, done, &json!({ "ok": true }), 1_002).unwrap();
    journal.advance(flow, "shift", &json!({ "step": 1 }), 1_003).unwrap();
    let open = journal.intend(flow, "weights", &json!({ "green": 5 }), 1_004).unwrap();
    // Whatever the process did next, it is gone.
    drop(journal);

    let journal = Journal::take_over(state.path()).unwrap();
    assert_eq!(journal.epoch(), 2, "each executor has an epoch of its own");
    let [found] = &journal.open_flows("rollout").unwrap()[..] else { panic!("one flow") };
    assert_eq!((found.id, found.state.clone(), found.began_ms), (flow, json!({ "step": 1 }), 1_000));
    let unsettled = journal.unsettled(flow).unwrap();
    assert_eq!(unsettled.iter().map(|entry| entry.id).collect::<Vec<_>>(), [open]);
    journal.settle(flow, open, &json!({ "ok": true }), 1_005).unwrap();
    journal.end(flow, "promoted", &json!({ "step": 2 }), 1_006).unwrap();
    assert_eq!(journal.open_flows("rollout").unwrap(), []);
    assert_eq!(journal.unsettled(flow).unwrap(), []);
    let kinds: Vec<(EntryKind, u64)> =
        journal.entries(flow).unwrap().iter().map(|entry| (entry.kind, entry.epoch)).collect();
    use EntryKind::{Intent, Outcome, State};
    assert_eq!(kinds, [(Intent, 1), (Outcome, 1), (State, 1), (Intent, 1), (Outcome, 2)]);
}

#[test]
fn two_executors_cannot_both_act_and_readers_may_look() {
    let state = state();
    assert!(Journal::read(state.path()).unwrap().is_none());
    let journal = Journal::take_over(state.path()).unwrap();
    let error = Journal::take_over(state.path()).unwrap_err();
    let FlowError::InUse { pid, .. } = &error else { panic!("{error:?}") };
    assert_eq!(*pid, std::process::id().to_string());

    let flow = journal.begin("rollout", "a", &json!({}), 1).unwrap();
    let reader = Journal::read(state.path()).unwrap().unwrap();
    assert_eq!(reader.open_flows("rollout").unwrap().len(), 1);
    assert!(reader.end(flow, "stolen", &json!({}), 2).is_err(), "a reader writes nothing");
    assert_eq!(reader.open_flows("rollout").unwrap().len(), 1);
}

#[test]
fn a_journal_of_a_newer_program_is_not_touched() {
    let state = state();
    drop(Journal::take_over(state.path()).unwrap());
    let raw = Connection::open(state.path().join("journal.sqlite")).unwrap();
    raw.execute("UPDATE meta SET format = 2", []).unwrap();
    for error in [Journal::take_over(state.path()).unwrap_err(), Journal::read(state.path()).unwrap_err()] {
        assert!(matches!(error, FlowError::Malformed { .. }), "{error:?}");
    }
    let epoch: i64 = raw.query_row("SELECT epoch FROM meta", [], |row| row.get(0)).unwrap();
    assert_eq!(epoch, 1, "not even its epoch");
}

#[test]
fn damage_is_told_and_not_passed_over() {
    let state = state();
    let journal = Journal::take_over(state.path()).unwrap();
    let flow = journal.begin("rollout", "a", &json!({}), 1).unwrap();
    journal.note(flow, "seen", &json!({ "a": 1 }), 2).unwrap();
    let raw = Connection::open(state.path().join("journal.sqlite")).unwrap();
    raw.execute("UPDATE entry SET data = '{\"a\":'", []).unwrap();
    assert!(journal.entries(flow).unwrap_err().to_string().contains("entry 1"));
    raw.execute("UPDATE flow SET state = 'x'", []).unwrap();
    assert!(journal.open_flows("rollout").unwrap_err().to_string().contains("the state of flow 1"));
}

#[test]
fn old_flows_are_forgotten_and_open_ones_never() {
    let state = state();
    let journal = Journal::take_over(state.path()).unwrap();
    let open = journal.begin("rollout", "open", &json!({}), 1).unwrap();
    for number in 0..5 {
        let flow = journal.begin("rollout", &number.to_string(), &json!({}), 1).unwrap();
        journal.end(flow, "promoted", &json!({}), 2).unwrap();
    }
    journal.retain("rollout", 2).unwrap();
    let subjects: Vec<String> =
        journal.newest("rollout", 9).unwrap().into_iter().map(|flow| flow.subject).collect();
    assert_eq!(subjects, ["4", "3", "open"]);
    assert_eq!(journal.open_flows("rollout").unwrap()[0].id, open);
}

#[test]
fn without_room_for_its_outcome_no_step_begins() {
    let state = state();
    let journal = Journal::take_over(state.path()).unwrap();
    let flow = journal.begin("rollout", "a", &json!({}), 1).unwrap();
    // A folder in its place is something that no room can be kept in.
    let reserve = state.path().join("journal.reserve");
    std::fs::remove_file(&reserve).unwrap();
    std::fs::create_dir(&reserve).unwrap();
    let error = journal.intend(flow, "weights", &json!({}), 2).unwrap_err();
    assert!(matches!(error, FlowError::NoReserve { .. }), "{error:?}");
    assert_eq!(journal.entries(flow).unwrap(), []);
    // What has begun is written down to its end nevertheless.
    journal.end(flow, "aborted", &json!({}), 3).unwrap();
    std::fs::remove_dir(&reserve).unwrap();
}
