//! The same digest goes from one environment to the next.

use serde_json::json;

use crate::managed::Managed;

#[test]
fn a_release_that_was_stable_in_staging_goes_to_production_once_it_is_approved() {
    let staging = Managed::serving();
    let first = staging.stable();
    let from = staging.project.dir().join(".fraiseql");
    let production = Managed::with_settings(
        "",
        &format!("[promotion]\nfrom = \"{}\"\napprovals_min = 1\n", from.display()),
    );
    let refused = |flags: &[&str], told: &[&str]| {
        let ended = production.deploy(flags);
        assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
        told.iter().for_each(|told| assert!(ended.stderr.contains(told), "{told}: {}", ended.stderr));
    };
    refused(&[], &["FQ-DEP-008", "0 have approved it, 1 must"]);
    staging.tell(&["release", "approve", &first, "--by", "ann"]).ok();
    production.deploy(&["--bake", "0s"]).ok();
    assert_eq!(production.stable(), first);
    let answer = crate::http::post(production.port, "{ artist(artistId: 2) { name } }").expect("an answer");
    assert_eq!(answer["data"]["artist"]["name"], json!("Ella"));

    let untried = staging.another(1);
    staging.tell(&["release", "approve", &untried, "--by", "ann"]).ok();
    refused(&["--release", &untried], &["FQ-DEP-007", "it was never stable in", "--untried"]);
    production.deploy(&["--release", &untried, "--untried", "--strategy", "blue-green"]).ok();
    assert_eq!(production.stable(), untried);
    let shown = production.tell(&["release", "show", &untried]).ok();
    assert!(shown.contains("ann: approved"), "{shown}");

    // What was stable here may come back without asking there.
    production.deploy(&["--release", &first, "--strategy", "blue-green"]).ok();

    let changed = staging.another(2);
    staging.tell(&["release", "approve", &changed, "--by", "ann"]).ok();
    staging
        .project
        .write(&format!(".fraiseql/releases/{changed}/project/schema.graphql"), "type Query { a: Int }");
    let ended = production.deploy(&["--release", &changed, "--untried"]);
    assert_eq!(ended.status.code(), Some(5), "{}", ended.stderr);
    assert!(ended.stderr.contains("FQ-REL-002"), "{}", ended.stderr);
    assert_eq!(production.stable(), first);
}
