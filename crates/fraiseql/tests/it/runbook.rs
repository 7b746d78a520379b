//! `runbook deploy` on a service with an agent: what is proven is looked at, what is not is asked, nothing is done twice.

use serde_json::Value;

use crate::managed::Managed;
use crate::process::Ended;

impl Managed {
    fn runbook(&self, arguments: &[&str]) -> Ended {
        let all = [&["runbook", "deploy", "shop", "--database-url", &self.url], arguments].concat();
        self.project.run(&all)
    }

    /// Returns the step that is next, and how each one ended.
    fn walked(&self, arguments: &[&str]) -> (String, Vec<String>) {
        let report = self.runbook(&[arguments, &["--json"]].concat()).ok();
        let report: Value = serde_json::from_str(&report).expect("JSON");
        let entries = report["entries"].as_array().expect("entries").iter();
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let told = entries
            .map(|entry| format!("{} {} {}", text(&entry["step"]), text(&entry["end"]), text(&entry["by"])));
        (report["next"].as_str().unwrap_or("").to_owned(), told.collect())
    }
}

#[test]
fn a_deployment_is_walked_through_from_preflight_to_archive() {
    let managed = Managed::serving();
    let release = managed.another(1);
    // Nobody has approved it: on a laptop that is a question, not a failure.
    let (next, told) = managed.walked(&[]);
    assert_eq!((next.as_str(), told), ("approved", vec!["preflight done fraiseql".to_owned()]));
    let refused = |arguments: &[&str]| {
        let ended = managed.runbook(arguments);
        assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
        assert!(ended.stderr.contains("FQ-RBK-002"), "{}", ended.stderr);
    };
    refused(&["--done", "aproved", "--by", "ann"]);
    refused(&["--done", "deploy", "--by", "ann"]);
    refused(&["--done", "approved", "--by", ""]);
    managed.tell(&["release", "approve", "--by", "ann"]).ok();
    let (next, told) = managed.walked(&[]);
    assert_eq!((next.as_str(), told.last().expect("one").as_str()), ("tests", "approved done fraiseql"));
    for (step, after) in [("tests", "security-scan"), ("security-scan", "baseline"), ("baseline", "backup")] {
        assert_eq!(managed.walked(&["--done", step, "--by", "ann"]).0, after);
    }
    // What was being written when the power went is written again.
    let record = format!(".fraiseql/runbooks/{release}.jsonl");
    let before = managed.project.read(&record);
    managed.project.write(&record, &format!("{before}{{\"format\":1,\"st"));
    let (next, _) = managed.walked(&["--done", "backup", "--by", "bob", "--note", "a snapshot"]);
    assert_eq!(next, "deploy", "maintenance is not needed");
    assert!(managed.project.read(&record).starts_with(&before), "nothing is rewritten");

    managed.deploy(&["--strategy", "blue-green", "--step-time", "0s", "--bake", "0s"]).ok();
    assert_eq!(managed.stable(), release);
    let (next, _) = managed.walked(&[]);
    assert_eq!(next, "smoke-tests", "the project has none");
    assert_eq!(
        managed.walked(&["--done", "smoke-tests", "--by", "bob"]).0,
        "watch",
        "the journal tells of the traffic"
    );
    for (step, after) in [("watch", "verify"), ("verify", "feedback"), ("feedback", "issues"), ("issues", "")]
    {
        assert_eq!(managed.walked(&["--done", step, "--by", "bob", "--note", "no | complaints"]).0, after);
    }
    let (_, told) = managed.walked(&[]);
    assert_eq!(told.len(), 16, "each once: {told:?}");
    let archived = managed.project.read(&format!(".fraiseql/runbooks/{release}.md"));
    assert!(
        archived.contains("| Create backup of database | done | bob | ")
            && archived.contains("`schema.graphql`")
    );
    let shown = managed.runbook(&["--show", "--html"]).ok();
    assert!(shown.contains("<td>Enable traffic gradually<td>done<td>fraiseql<td>"), "{shown}");
    // In production the same release may not be deployed: the checks fail.
    let other = managed.another(2);
    let ended = managed.runbook(&["--release", &other, "--set", "server.profile=production"]);
    assert_eq!(ended.status.code(), Some(3), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("FQ-RBK-001") && ended.stdout.contains("| Checks pass | failed |"),
        "{}",
        ended.stderr
    );
}
