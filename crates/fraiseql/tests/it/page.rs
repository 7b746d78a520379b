//! People on call are paged: by hand, by the guide's command, and by an agent whose release went back.

use std::sync::{Arc, Mutex};

use fraiseql_testkit::{Asked, HttpEndpoint};
use serde_json::{Value, json};

use crate::managed::Managed;
use crate::process::{Ended, wait_until};
use crate::project::{MUSIC, Project};

/// A far end that answers with these statuses, the last of them from then on, and keeps what came.
struct Phone {
    endpoint: HttpEndpoint,
    heard: Arc<Mutex<Vec<Asked>>>,
}

impl Phone {
    fn answering(statuses: &'static [u16]) -> Self {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let keeping = Arc::clone(&heard);
        let endpoint = HttpEndpoint::start(move |asked| {
            let mut heard = keeping.lock().expect("nobody panics");
            heard.push(asked.clone());
            (statuses[(heard.len() - 1).min(statuses.len() - 1)], "ok".to_owned())
        });
        Self { endpoint, heard }
    }

    fn url(&self) -> String {
        self.endpoint.url()
    }

    fn heard(&self) -> Vec<Asked> {
        self.heard.lock().expect("nobody panics").clone()
    }

    fn document(&self) -> Value {
        let heard = self.heard();
        serde_json::from_str(&heard.last().expect("it was called").body).expect("JSON")
    }
}

fn incident(project: &Project, words: &[&str]) -> Ended {
    project.run(&[&["incident"], words, &["-C", "shop"]].concat())
}

#[test]
fn each_channel_is_tried_again_and_nobody_is_woken_twice() {
    let project = Project::new(MUSIC);
    let (slack, pager, manager) =
        (Phone::answering(&[500, 200]), Phone::answering(&[202]), Phone::answering(&[400, 200]));
    let settings = format!(
        "[oncall]\nservice = \"shop\"\nwebhook_url = \"{}/services/s3cret-path\"\n\
         pagerduty_key = \"s3cret-key\"\npagerduty_url = \"{}/v2/enqueue\"\n\
         [monitoring]\nalertmanager_url = \"{}\"\n",
        slack.url(),
        pager.url(),
        manager.url()
    );
    project.write("fraiseql.toml", &settings);
    incident(&project, &["declare", "--title", "error spike", "--severity", "critical", "--by", "ann"]).ok();

    let planned = incident(&project, &["page", "--dry-run"]).ok();
    assert!(planned.contains("webhook       would be paged") && planned.contains("error spike"), "{planned}");
    assert!(slack.heard().is_empty() && pager.heard().is_empty() && manager.heard().is_empty());

    let said = incident(&project, &["page", "--by", "ann"]).ok();
    assert!(said.contains("webhook       paged") && said.contains("pagerduty     paged"), "{said}");
    assert!(said.contains("alertmanager  NOT REACHED: it answers 400"), "{said}");
    assert!(!said.contains("s3cret"), "{said}");
    assert_eq!((slack.heard().len(), pager.heard().len(), manager.heard().len()), (2, 1, 1));
    assert_eq!(slack.heard()[1].path, "/services/s3cret-path");
    let text = slack.document()["text"].as_str().expect("a text").to_owned();
    assert!(text.starts_with("critical: error spike\nincident 1 of shop on "), "{text}");
    let event = pager.document();
    assert_eq!((&event["routing_key"], &event["event_action"]), (&json!("s3cret-key"), &json!("trigger")));
    assert_eq!(manager.heard()[0].path, "/api/v2/alerts");

    // Only who was not reached is called again.
    let said = incident(&project, &["page", "--service", "checkout"]).ok();
    assert!(
        said.contains("webhook       not paged: it was, ") && said.contains("alertmanager  paged"),
        "{said}"
    );
    assert_eq!(manager.document()[0]["labels"]["service"], "checkout");
    incident(&project, &["ack", "--by", "bob"]).ok();
    let said = incident(&project, &["page"]).ok();
    assert!(said.contains("pagerduty     not paged: bob looks after it"), "{said}");
    // Alertmanager knows nobody who looks after something.
    assert_eq!((slack.heard().len(), pager.heard().len(), manager.heard().len()), (3, 2, 2));
    let taken = pager.document();
    assert_eq!((&taken["event_action"], &taken["dedup_key"]), (&json!("acknowledge"), &event["dedup_key"]));
    let text = slack.document()["text"].as_str().expect("a text").to_owned();
    assert!(text.starts_with("bob looks after it: error spike\nincident 1 of shop on "), "{text}");
    incident(&project, &["page", "--again"]).ok();
    assert_eq!((slack.heard().len(), pager.heard().len(), manager.heard().len()), (4, 3, 3));
    incident(&project, &["resolve", "rolled back", "--by", "bob"]).ok();
    assert_eq!((slack.heard().len(), pager.heard().len(), manager.heard().len()), (5, 4, 4));
    assert_eq!(pager.document()["event_action"], "resolve");
    let alert = &manager.document()[0];
    // The alert that was paged, and it is over.
    assert_eq!(alert["labels"]["service"], "shop");
    assert!(alert["endsAt"].as_str() > alert["startsAt"].as_str(), "{alert}");
    let shown = incident(&project, &["show"]).ok();
    assert!(shown.contains("ann: paged by webhook: shop") && !shown.contains("s3cret"), "{shown}");
}

#[test]
fn who_cannot_be_reached_is_told_and_nothing_is_lost() {
    let project = Project::new(MUSIC);
    let refused = incident(&project, &["page"]);
    assert!(refused.stderr.contains("error[FQ-INC-001]"), "{}", refused.stderr);
    incident(&project, &["declare", "--title", "error spike"]).ok();
    let unset = incident(&project, &["page"]);
    assert_eq!(unset.status.code(), Some(2), "{}", unset.stderr);
    assert!(unset.stderr.contains("set oncall.webhook_url"), "{}", unset.stderr);

    let gone = Phone::answering(&[403]);
    project.write("fraiseql.toml", &format!("[oncall]\nwebhook_url = \"{}/s3cret\"\n", gone.url()));
    let ended = incident(&project, &["page", "--json"]);
    assert_eq!(ended.status.code(), Some(5), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("FQ-INC-005") && ended.stderr.contains("it answers 403"),
        "{}",
        ended.stderr
    );
    assert!(!ended.stderr.contains("s3cret") && !ended.stdout.contains("s3cret"), "{}", ended.stderr);
    assert_eq!(gone.heard().len(), 1, "what is refused is not tried again");
}

#[test]
fn an_agent_whose_release_goes_back_pages_by_itself() {
    let phone = Phone::answering(&[200]);
    let settings = format!("[oncall]\nservice = \"shop\"\nwebhook_url = \"{}\"\n", phone.url());
    let mut managed = Managed::with_settings("", &settings);
    managed.deploy(&["--bake", "0s"]).ok();
    let release = managed.another(1);
    managed.pretend(&release, "echo no such luck >&2; exit 3");
    assert_eq!(managed.deploy(&["--steps", "20"]).status.code(), Some(3));
    wait_until("somebody is called", || (!phone.heard().is_empty()).then_some(()));
    let text = phone.document()["text"].as_str().expect("a text").to_owned();
    assert!(text.starts_with("major: rollout ") && text.contains(" went back: "), "{text}");
    let shown = wait_until("it is written down", || {
        let shown = managed.tell(&["incident", "show"]).ok();
        shown.contains("agent: paged by webhook: shop").then_some(shown)
    });
    assert!(shown.contains("declared major: rollout "), "{shown}");
    // An agent that died before it paged is followed by one that does.
    managed.kill_agent();
    managed.tell(&["incident", "declare", "--title", "owed", "--by", "agent"]).ok();
    managed.start_agent();
    wait_until("somebody is called again", || (phone.heard().len() >= 2).then_some(()));
    assert!(phone.document()["text"].as_str().expect("a text").starts_with("major: owed\n"));
}
