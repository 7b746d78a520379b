//! Incidents as people type them: without a database, without an agent, from the first word to the postmortem.

use fraiseql_flow::{FlowError, Journal};
use serde_json::{Value, json};

use crate::process::Ended;
use crate::project::{MUSIC, Project};

fn incident(project: &Project, arguments: &[&str]) -> Ended {
    project.run(&[&["incident"], arguments, &["-C", "shop"]].concat())
}

/// Writes a rollout that is rolled back into the journal, as the agent does.
fn rolled_back(project: &Project, now_ms: u64) -> Result<(), FlowError> {
    let journal = Journal::take_over(&project.dir().join(".fraiseql"))?;
    let flow = journal.begin("rollout", &"ab".repeat(32), &json!({}), now_ms)?;
    journal.note(flow, "gate tests", &json!({ "outcome": "passed", "evidence": "3 tests" }), now_ms)?;
    journal.end(flow, "rolled back: errors", &json!({}), now_ms)
}

#[test]
fn an_incident_is_told_with_the_rollout_that_caused_it() {
    let project = Project::new(MUSIC);
    let declared =
        incident(&project, &["declare", "--title", "error spike", "--severity", "critical", "--by", "ann"]);
    assert_eq!(declared.ok(), "1\n");
    let shown = incident(&project, &["show", "--json"]).ok();
    let shown: Value = serde_json::from_str(&shown).unwrap();
    rolled_back(&project, shown["incident"]["declared_ms"].as_u64().unwrap() + 1).unwrap();
    incident(&project, &["ack", "--by", "bob"]).ok();
    incident(&project, &["note", "the new release is bad", "--by", "bob"]).ok();
    incident(&project, &["resolve", "rolled back", "--by", "bob"]).ok();

    let listed = incident(&project, &["list"]).ok();
    assert!(listed.contains("critical  error spike: resolved by bob"), "{listed}");
    incident(&project, &["postmortem", "--output", "postmortem.md"]).ok();
    let text = std::fs::read_to_string(project.root().join("postmortem.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| T+0 |"));
    let told: Vec<&str> = rows.map(|row| row.splitn(3, " | ").nth(2).expect("four columns")).collect();
    assert_eq!(
        told,
        [
            "ann | declared critical: error spike |",
            "rollout 1 | begins: release abababababab |",
            "rollout 1 | gate tests: passed, 3 tests |",
            "rollout 1 | ended: rolled back: errors |",
            "bob | acknowledged |",
            "bob | the new release is bad |",
            "bob | resolved: rolled back |",
        ]
    );
    let again = incident(&project, &["postmortem", "--output", "postmortem.md"]);
    assert!(again.stderr.contains("error[FQ-IO-004]"), "what people filled in stays: {}", again.stderr);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let project = Project::new(MUSIC);
    let refused = |arguments: &[&str], code: &str| {
        let ended = incident(&project, arguments);
        assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
        assert!(ended.stderr.contains(code), "{}", ended.stderr);
    };
    refused(&["ack"], "error[FQ-INC-001]");
    refused(&["declare", "--title", "two\nlines"], "error[FQ-INC-002]");
    refused(&["declare", "--title", "a", "--severity", "urgent"], "critical, major or minor");
    incident(&project, &["declare", "--title", "a"]).ok();
    refused(&["note", "b", "--incident", "2"], "error[FQ-INC-001]");
    incident(&project, &["resolve", "b"]).ok();
    refused(&["resolve", "c"], "error[FQ-INC-003]");
    let elsewhere = project.run(&["incident", "declare", "--title", "a"]);
    assert!(elsewhere.stderr.contains("error[FQ-IO-003]"), "{}", elsewhere.stderr);
}
