//! The audit log: a row for each mutation that happened, none for one that did not, and nobody rewrites it.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::http::{data, post_with};
use crate::process::{Running, fraiseql};
use crate::project::{Project, block_on, execute};
use crate::roles::{attempt, roles};

fn key(project: &Project, url: &str) -> String {
    let made = project
        .run(&["--json", "keys", "create", "ada", "--role", "clerk", "shop", "--database-url", url])
        .ok();
    let made: Value = serde_json::from_str(&made).expect("JSON");
    made["key"].as_str().expect("a key").to_owned()
}

fn entries(project: &Project, arguments: &[&str]) -> Vec<Value> {
    let told = project.run(&[&["--json", "audit", "shop"][..], arguments].concat()).ok();
    let told: Value = serde_json::from_str(&told).expect("JSON");
    let mut entries = told["entries"].as_array().expect("a list").clone();
    entries.reverse();
    entries
}

fn briefly(entries: &[Value]) -> String {
    entries.iter().fold(String::new(), |mut all, entry| {
        let who = entry["subject"].as_str().unwrap_or("-");
        let _ = writeln!(all, "{who} {} {}", entry["field"].as_str().expect("a field"), entry["keys"]);
        all
    })
}

#[test]
fn who_did_what_stands_in_the_transaction_that_did_it() {
    let (project, database, base) = roles();
    let (owner, service) = (database.url(), database.url_as(&format!("{base}_service")));
    let audited = ["--set", "audit.mutations=database", "--set", "identity.api_keys=true"];
    let serve = [&["serve", "shop", "--port", "0", "--database-url", &service][..], &audited].concat();

    // Without the table it does not start, rather than write unseen.
    let refused = project.run(&serve).shown(&[(&base, "shop")]);
    assert!(refused.contains("error[FQ-AUD-001]: write the audit log as shop_service"), "{refused}");
    execute(&owner, &project.run(&["keys", "init", "--role", &format!("{base}_service")]).ok());
    for _twice in 0..2 {
        execute(&owner, &project.run(&["audit", "init", "--role", &format!("{base}_service")]).ok());
    }
    let token = key(&project, &owner);
    let mut running = Running::spawn(fraiseql(project.root(), serve.clone()));
    let port = running.port("listening on http://127.0.0.1:");
    let header = format!("authorization: Bearer {token}\r\nx-request-id: audit-1\r\n");
    let asked = "mutation Fill { deleteAlbum: insertArtist(object: {artistId: 1, name: \"A\"}) { name } \
                 insertArtists(objects: [{artistId: 2, name: \"B\"}, {artistId: 3, name: \"C\"}]) { affectedRows returning { name } } \
                 again: insertArtist(object: {artistId: 1, name: \"twice\"}) { name } }";
    let answer = post_with(port, &header, asked).expect("it answers");
    assert_eq!(answer["errors"].as_array().map(Vec::len), Some(1), "{answer}");
    for asked in [
        "mutation { updateArtist(artistId: 2, set: {name: \"b\"}) { name } }",
        "mutation { updateArtist(artistId: 99, set: {name: \"nobody\"}) { name } }",
        "mutation { deleteArtist(artistId: 3) { name } }",
        "mutation { deleteArtists(where: {artistId: {gt: 1}}) { returning { name } } }",
        "mutation { updateArtists(where: {artistId: {gt: 0}}, set: {name: \"z\"}) { affectedRows } }",
    ] {
        data(port, asked);
    }
    data(port, "{ artists { name } }");
    let url = ["--database-url", &owner];
    let all = entries(&project, &url);
    insta::assert_snapshot!(briefly(&all), @r#"
    ada insertArtist [{"artist_id":1}]
    ada insertArtists [{"artist_id":2},{"artist_id":3}]
    - updateArtist [{"artist_id":2}]
    - updateArtist []
    - deleteArtist [{"artist_id":3}]
    - deleteArtists [{"artist_id":2}]
    - updateArtists null
    "#);
    assert_eq!(all[0]["requestId"], json!("audit-1"), "{}", all[0]);
    assert_eq!(all[0]["operation"], json!("Fill"));
    assert_eq!((&all[0]["roles"], &all[0]["address"]), (&json!(["clerk"]), &json!("127.0.0.1")));
    assert_eq!(all[0]["variables"], Value::Null);
    let by_ada = entries(&project, &[&url[..], &["--subject", "ada", "--field", "insertArtist"]].concat());
    assert_eq!(by_ada.len(), 1);
    let shown = project.run(&[&["audit", "shop", "--request", "audit-1"][..], &url].concat()).ok();
    assert!(
        shown.contains("  insertArtist                  {\"artist_id\":1}  from 127.0.0.1, request audit-1"),
        "{shown}"
    );

    // Nobody rewrites it: not the service, not the owner in passing.
    let denied = Err("42501".to_owned());
    for sql in [
        "UPDATE fraiseql.audit SET field = 'x'",
        "DELETE FROM fraiseql.audit",
        "TRUNCATE fraiseql.audit",
        "SELECT 1 FROM fraiseql.audit",
        "SET fraiseql.audit_prune = 'on'; DELETE FROM fraiseql.audit",
    ] {
        assert_eq!(attempt(&database, &format!("{base}_service"), sql), denied, "{sql}");
    }
    let as_owner = |sql: &str| {
        block_on(async {
            let target = fraiseql_postgres::Target::parse(&owner).expect("a connection string");
            let client = fraiseql_postgres::connect_control(&target).await.expect("it may log in");
            client.batch_execute(sql).await.is_err()
        })
    };
    assert!(as_owner("UPDATE fraiseql.audit SET field = 'x'"));
    assert!(as_owner("DELETE FROM fraiseql.audit"));
    assert!(as_owner("TRUNCATE fraiseql.audit"));
    let by_service = project.run(&["audit", "shop", "--database-url", &service]);
    assert!(
        by_service.shown(&[]).contains("error[FQ-AUD-001]: read the audit log"),
        "{}",
        by_service.shown(&[])
    );

    // Whoever takes the table away takes the writes away, not the log of them.
    execute(&owner, &format!("REVOKE INSERT ON fraiseql.audit FROM {base}_service"));
    let answer =
        post_with(port, "", "mutation { insertArtist(object: {artistId: 9}) { name } }").expect("it answers");
    assert_eq!(answer["data"]["insertArtist"], Value::Null, "{answer}");
    assert_eq!(data(port, "{ artist(artistId: 9) { name } }")["artist"], Value::Null);
}

#[test]
fn old_entries_are_pruned_by_the_owner_only() {
    let (project, database, base) = roles();
    let owner = database.url();
    execute(&owner, &project.run(&["audit", "init", "--role", &format!("{base}_service")]).ok());
    execute(
        &owner,
        "INSERT INTO fraiseql.audit (at, roles, request_id, artifact, field) \
        SELECT now() - n * interval '1 day', '{}', 'r' || n, 'a', 'insertArtist' FROM generate_series(0, 9) AS n",
    );
    let prune = |more: &[&str], url: &str| {
        project.run(
            &[&["--json", "audit", "prune", "--keep", "5d", "shop", "--database-url", url][..], more]
                .concat(),
        )
    };
    assert_eq!(prune(&["--dry-run"], &owner).ok().trim(), r#"{"entries":5,"deleted":false}"#);
    let refused = prune(&[], &database.url_as(&format!("{base}_service"))).shown(&[]);
    assert!(refused.contains("FQ-AUD-001"), "{refused}");
    assert_eq!(prune(&[], &owner).ok().trim(), r#"{"entries":5,"deleted":true}"#);
    assert_eq!(prune(&[], &owner).ok().trim(), r#"{"entries":0,"deleted":true}"#);
    assert_eq!(entries(&project, &["--since", "30d", "--database-url", &owner]).len(), 5);
    let production = ["--set", "audit.mutations=database", "--set", "server.profile=production"];
    execute(&owner, &format!("GRANT DELETE ON fraiseql.audit TO {base}_service"));
    let service = database.url_as(&format!("{base}_service"));
    let arguments = [&["serve", "shop", "--port", "0", "--database-url", &service][..], &production].concat();
    let refused = project.run(&arguments).shown(&[]);
    assert!(refused.contains("error[FQ-AUD-002]"), "{refused}");
}
