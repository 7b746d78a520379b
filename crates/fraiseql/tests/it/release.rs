//! Releases: named by what they are made of, never changed, and what was proven of them.

use std::fs;

use crate::project::{MUSIC, Project, TABLES, database};

/// Returns the identifier of a release of the project as it is now.
#[track_caller]
fn build(project: &Project, url: &str) -> String {
    project.run(&["release", "build", "shop", "--database-url", url, "--by", "ann"]).ok().trim().to_owned()
}

#[test]
fn the_same_sources_are_the_same_release_and_others_are_another() {
    let database = database(TABLES);
    let url = database.url();
    let project = Project::new(MUSIC);
    let first = build(&project, &url);
    assert_eq!(first.len(), 64);
    assert_eq!(build(&project, &url), first);
    let elsewhere = Project::new(MUSIC);
    assert_eq!(build(&elsewhere, &url), first, "another folder gives the same identifier");

    project.write("fraiseql.toml", "[limits]\ndepth = 12\n");
    let ended = project.run(&["release", "build", "shop", "--database-url", &url, "--by", "ann"]);
    assert!(ended.stderr.contains(&format!("changed since {}: settings", &first[..12])), "{}", ended.stderr);
    let second = ended.ok().trim().to_owned();
    assert_ne!(second, first);

    let listed = project.run(&["releases", "-C", "shop", "--json"]).ok();
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let ids: Vec<&str> =
        listed["releases"].as_array().unwrap().iter().map(|row| row["release"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 2);
    assert!(ids.contains(&first.as_str()) && ids.contains(&second.as_str()), "{ids:?}");
}

#[test]
fn a_release_can_be_served_by_itself() {
    let database = database(TABLES);
    let url = database.url();
    let project = Project::new(MUSIC);
    let release = build(&project, &url);
    project.write("schema.graphql", "type Query { nothing: Nothing }");
    let served = project.dir().join(format!(".fraiseql/releases/{release}/project"));
    let mut command = std::process::Command::new(served.with_file_name("program"));
    command.args(["config", "show"]).arg(&served);
    crate::process::clean(&mut command, project.root());
    assert!(command.output().unwrap().status.success(), "its program runs");
    let shown = project.run(&["schema", "print", served.to_str().unwrap()]).ok();
    assert!(shown.contains("type Artist"), "{shown}");
}

#[test]
fn proofs_are_bound_to_a_release_and_empty_ones_refused() {
    let database = database(TABLES);
    let url = database.url();
    let project = Project::new(MUSIC);
    let release = build(&project, &url);
    let report = project.root().join("junit.xml");
    let attest = |text: &str| {
        fs::File::create(&report)
            .and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()))
            .unwrap();
        let report = report.to_str().unwrap();
        project.run(&["release", "attest", "tests", "--report", report, "--by", "ci", "-C", "shop"])
    };
    for bad in
        ["<testsuite tests=\"3\"/>", "<testsuite><testcase name=\"a\"><failure/></testcase></testsuite>"]
    {
        let ended = attest(bad);
        assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
        assert!(ended.stderr.contains("error[FQ-REL-003]"), "{}", ended.stderr);
    }
    attest("<testsuite><testcase name=\"a\"/><testcase name=\"b\"/></testsuite>").ok();
    let report = project.root().join("report.json");
    let proof = |kind: &str, text: &str| {
        fs::File::create(&report)
            .and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()))
            .unwrap();
        let report = report.to_str().unwrap();
        project.run(&["release", "attest", kind, "--report", report, "--by", "ci", "-C", "shop"])
    };
    let load = r#"{"requests":500,"failed":0,"p50_ms":1.5,"p99_ms":9.04,"failures":{}}"#;
    let scan =
        r#"{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"grype"}},"results":[{"level":"note"}]}]}"#;
    for (kind, bad) in [("scan", ""), ("scan", load), ("baseline", scan), ("baseline", "{}")] {
        let ended = proof(kind, bad);
        assert!(ended.stderr.contains("error[FQ-REL-003]"), "{kind} {bad}: {}", ended.stderr);
    }
    proof("scan", scan).ok();
    proof("baseline", load).ok();
    let shown = project.run(&["release", "show", "-C", "shop"]).ok();
    assert!(shown.contains("ci: scanned: 1 note\n"), "{shown}");
    assert!(shown.contains("ci: 500 requests, 0 failed, p99 9.0 ms\n"), "{shown}");
    project.run(&["release", "approve", &release[..8], "--by", "bob", "--note", "fine", "-C", "shop"]).ok();
    let shown = project.run(&["release", "show", "-C", "shop"]).ok();
    assert!(shown.contains("ci: 2 tests passed\n") && shown.contains("bob: approved: fine\n"), "{shown}");

    project.write("fraiseql.toml", "[limits]\ndepth = 12\n");
    build(&project, &url);
    let shown = project.run(&["release", "show", "-C", "shop"]).ok();
    assert!(!shown.contains("proof"), "the proofs of another release prove nothing: {shown}");
}

#[test]
fn secrets_stay_out() {
    let database = database(TABLES);
    let url = database.url();
    let project = Project::new(MUSIC);
    project.write(
        "fraiseql.toml",
        "[limits]\ndepth = 12\n[env.production.database]\npassword = \"hunter2\"\n[env.staging.database]\npassword = \"env://PASSWORD\"\n",
    );
    let ended = project.run(&["release", "build", "shop", "--database-url", &url]);
    assert_eq!(ended.status.code(), Some(2));
    let said = &ended.stderr;
    assert!(
        said.contains("error[FQ-REL-004]: shop/fraiseql.toml:4: \"env.production.database.password\""),
        "{said}"
    );
    assert!(!said.contains("hunter2") && !said.contains("staging"), "{said}");
    assert!(!project.dir().join(".fraiseql/releases").exists());
}

#[test]
fn old_releases_are_removed_and_the_newest_stays() {
    let database = database(TABLES);
    let url = database.url();
    let project = Project::new(MUSIC);
    for depth in 10..13 {
        project.write("fraiseql.toml", &format!("[limits]\ndepth = {depth}\n"));
        build(&project, &url);
    }
    let said = project.run(&["releases", "prune", "--keep", "1", "--dry-run", "-C", "shop"]);
    assert_eq!(said.stderr.matches("would remove").count(), 2, "{}", said.stderr);
    project.run(&["releases", "prune", "--keep", "1", "-C", "shop"]).ok();
    let listed = project.run(&["releases", "-C", "shop"]).ok();
    assert_eq!(listed.lines().count(), 1, "{listed}");
    let ended = project.run(&["release", "show", "abcd", "-C", "shop"]);
    assert!(ended.stderr.contains("error[FQ-REL-001]: find a release called \"abcd\""), "{}", ended.stderr);
}
