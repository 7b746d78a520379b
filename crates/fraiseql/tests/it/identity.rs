//! API keys from `keys create` to a served request, and settings of identity that are refused.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::process::{LIMIT, Running, fraiseql};
use crate::project::{MUSIC, Project, TABLES, database, execute};

/// Asks with a key and returns the status.
fn ask(port: u16, key: &str) -> u16 {
    let answer = post(port, Some(key), "{ artists { name } }");
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
}

/// Asks with a key, or with none, and returns the body.
fn told(port: u16, key: Option<&str>, query: &str) -> String {
    let answer = post(port, key, query);
    answer.split_once("\r\n\r\n").expect("a body").1.to_owned()
}

fn post(port: u16, key: Option<&str>, query: &str) -> String {
    post_body(port, key, &serde_json::json!({ "query": query }))
}

fn post_body(port: u16, key: Option<&str>, body: &Value) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    stream.set_read_timeout(Some(LIMIT)).expect("a limit");
    let body = body.to_string();
    let credential = key.map_or_else(String::new, |key| format!("authorization: Bearer {key}\r\n"));
    write!(
        stream,
        "POST /graphql HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
         traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\
         {credential}content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer
}

#[track_caller]
fn wait_for(port: u16, key: &str, status: u16) {
    let started = Instant::now();
    while ask(port, key) != status {
        assert!(started.elapsed() < LIMIT, "{status} does not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn keys_are_made_rotated_and_revoked_while_a_server_runs() {
    let database = database(TABLES);
    let (project, url) = (Project::new(MUSIC), database.url());
    project.compile(&url).ok();
    let keys = |arguments: &[&str]| {
        let arguments = [&["--json", "keys"], arguments, &["shop", "--database-url", &url]].concat();
        let ended = project.run(&arguments);
        let told: Value = serde_json::from_str(&ended.stdout).unwrap_or(Value::Null);
        (ended, told)
    };
    assert!(keys(&["list"]).0.stderr.contains("FQ-AUTH-016"));
    execute(&url, &project.run(&["keys", "init", "--role", "postgres"]).ok());
    let (_, made) = keys(&["create", "ci", "--role", "deploy", "--scope", "read", "--expires", "90d"]);
    let (id, key) = (made["id"].as_str().expect("an id"), made["key"].as_str().expect("a key"));
    let settings = ["--set", "identity.api_keys=true", "--set", "identity.api_key_cache_ms=20"];
    let serve = ["serve", "shop", "--port", "0", "--database-url", &url];
    let arguments = [&serve[..], &settings, &["--set", "identity.required=true"]].concat();
    let mut server = Running::spawn(fraiseql(project.root(), arguments));
    let port = server.port("listening on http://127.0.0.1:");
    assert_eq!(ask(port, key), 200);
    let (_, next) = keys(&["rotate", id]);
    let next_key = next["key"].as_str().expect("a key");
    assert_ne!(next_key, key);
    assert_eq!((ask(port, key), ask(port, next_key)), (200, 200), "both hold for a while");
    let (_, told) = keys(&["list"]);
    let shown = told.to_string();
    let secret = next_key.rsplit_once('_').expect("a secret").1;
    assert!(!shown.contains(secret), "{shown}");
    for row in told["keys"].as_array().expect("a list") {
        assert_eq!(
            (&row["name"], &row["roles"][0], &row["state"]),
            (&"ci".into(), &"deploy".into(), &"active".into())
        );
    }
    assert!(keys(&["revoke", id]).0.status.success());
    wait_for(port, key, 401);
    assert_eq!(ask(port, next_key), 200);
    assert!(keys(&["revoke", id]).0.stderr.contains("FQ-AUTH-017"));
    assert!(keys(&["rotate", id]).0.stderr.contains("FQ-AUTH-017"));
    server.signal(Signal::TERM);
    let ended = server.end();
    assert!(!ended.stderr.contains(secret), "{}", ended.stderr);
}

/// Serves with these settings; it must refuse and say so.
#[track_caller]
fn check_refused(file: &str, settings: &[&str], expected: &[&str]) {
    let database = database(TABLES);
    let (project, url) = (Project::new(MUSIC), database.url());
    project.compile(&url).ok();
    project.write("fraiseql.toml", file);
    let mut arguments = vec!["serve", "shop", "--port", "0", "--database-url", &url];
    settings.iter().for_each(|setting| arguments.extend(["--set", *setting]));
    let ended = project.run(&arguments);
    assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
    for part in expected {
        assert!(ended.stderr.contains(part), "{part:?} is not in {}", ended.stderr);
    }
}

#[test]
fn what_is_dangerous_is_refused() {
    let secret = "identity.development_secret=0123456789abcdef0123456789abcdef";
    let production = "server.profile=production";
    check_refused("", &[secret, production], &["FQ-SEC-001", "identity.development_secret"]);
    check_refused("", &["identity.development_secret=short"], &["FQ-CFG-002", "too short"]);
    let issuer = "identity.issuers=https://login.example";
    check_refused("", &[issuer], &["FQ-CFG-005", "identity.audiences"]);
    let plain = ["identity.issuers=http://login.example", "identity.audiences=a", production];
    check_refused("", &plain, &["FQ-CFG-002", "does not begin with https://"]);
    check_refused("", &["rate_limit.trusted_proxies=10.0.0/8"], &["FQ-CFG-002", "10.0.0/8"]);
    check_refused("", &["identity.algorithms=RS256,HS256"], &["FQ-CFG-002", "HS256"]);
    check_refused("", &["identity.introspection_url=https://a.example"], &["FQ-CFG-005", "client_id"]);
    let file = "[identity]\nintrospection_url = \"https://a.example\"\nintrospection_secret = \"hunter2\"\n";
    check_refused(file, &["identity.introspection_client_id=a"], &["FQ-CFG-002", "settings hold no secrets"]);
}

/// Notes that PostgreSQL shows to their owners only.
const NOTES: &str = r#"
CREATE TABLE note (id int PRIMARY KEY, owner text NOT NULL, body text, secret text);
INSERT INTO note VALUES (1, 'ada', 'of ada', 's1'), (2, 'bob', 'of bob', 's2');
ALTER TABLE note ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON note USING (owner = nullif(current_setting('fraiseql.claims', true), '')::json ->> 'sub');
DO $$ BEGIN CREATE ROLE note_reader LOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
GRANT SELECT, UPDATE ON note TO note_reader;
"#;

const NOTES_SCHEMA: &str = r#"
type Query { notes: [Note!]! }
type Note @relation(name: "note") @write(update: true) @authWrite(roles: ["editor"]) {
  id: Int!
  body: String
  secret: String @auth(roles: ["editor"])
}
"#;

#[test]
fn roles_open_fields_and_policies_choose_rows() {
    let database = database(NOTES);
    let (project, url) = (Project::new(NOTES_SCHEMA), database.url());
    project.write("operations/secrets.graphql", "query Secrets { notes { secret } }\n");
    project.compile(&url).ok();
    let listed = project.run(&["--json", "operations", "list", "shop"]).ok();
    let (_, id) = listed.split_once("sha256:").expect("an id");
    let by_id = |port: u16, key: Option<&str>| {
        post_body(port, key, &serde_json::json!({ "documentId": format!("sha256:{}", &id[..64]) }))
    };
    execute(&url, &project.run(&["keys", "init", "--role", "note_reader"]).ok());
    let made = |arguments: &[&str]| {
        let arguments =
            [&["--json", "keys", "create"], arguments, &["shop", "--database-url", &url]].concat();
        let told: Value = serde_json::from_str(&project.run(&arguments).ok()).expect("JSON");
        told["key"].as_str().expect("a key").to_owned()
    };
    let (ada, bob) = (made(&["ada", "--role", "editor"]), made(&["bob"]));
    let (ada, bob) = (Some(ada.as_str()), Some(bob.as_str()));
    let reader = url.replacen("postgres@", "note_reader@", 1);
    assert_ne!(reader, url, "the URL names its user");
    let settings = ["--set", "identity.api_keys=true", "--set", "identity.session_claims=true"];
    let serve = ["serve", "shop", "--port", "0", "--database-url", &reader];
    let mut server = Running::spawn(fraiseql(project.root(), [&serve[..], &settings].concat()));
    let port = server.port("listening on http://127.0.0.1:");
    // One list is streamed, two are framed: both are told who asks.
    let (one, two) = ("{ notes { body } }", "{ a: notes { id } b: notes { body } }");
    assert_eq!(told(port, ada, one), r#"{"data":{"notes":[{"body":"of ada"}]}}"#);
    assert_eq!(told(port, bob, one), r#"{"data":{"notes":[{"body":"of bob"}]}}"#);
    assert_eq!(told(port, bob, two), r#"{"data":{"a":[{"id":2}],"b":[{"body":"of bob"}]}}"#);
    assert_eq!(told(port, None, one), r#"{"data":{"notes":[]}}"#, "nothing is left of those before");
    assert_eq!(told(port, ada, "{ notes { secret } }"), r#"{"data":{"notes":[{"secret":"s1"}]}}"#);
    for denied in [
        "{ notes { secret } }",
        "{ notes(where: {secret: {eq: \"s2\"}}) { id } }",
        "mutation { updateNotes(where: {}, set: {body: \"x\"}) { affectedRows } }",
    ] {
        let refused = told(port, bob, denied);
        assert!(refused.contains("GRAPHQL_VALIDATION_FAILED") && !refused.contains("s2\""), "{refused}");
    }
    assert!(by_id(port, ada).contains(r#"{"secret":"s1"}"#));
    assert!(by_id(port, bob).contains("PERSISTED_OPERATION_NOT_FOUND"), "{}", by_id(port, bob));
    let types = "{ __schema { types { name fields { name } } } }";
    assert!(told(port, ada, types).contains("secret") && !told(port, bob, types).contains("secret"));
    let write = "mutation { updateNotes(where: {}, set: {body: \"new\"}) { affectedRows } }";
    assert_eq!(told(port, ada, write), r#"{"data":{"updateNotes":{"affectedRows":1}}}"#);
    assert_eq!(told(port, bob, one), r#"{"data":{"notes":[{"body":"of bob"}]}}"#);
    server.signal(Signal::TERM);
    server.end();
    let rates = [
        "--set",
        "rate_limit.caller_per_minute=1",
        "--set",
        "rate_limit.caller_burst=2",
        "--set",
        "log.format=json",
    ];
    let mut server = Running::spawn(fraiseql(project.root(), [&serve[..], &settings, &rates].concat()));
    let port = server.port("listening on http://127.0.0.1:");
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let status = |key: Option<&str>| post(port, key, one).split(' ').nth(1).map(str::to_owned);
    let asked = [ada, ada, ada, bob, None, None, None].map(|key| status(key).expect("a status"));
    assert_eq!(asked, ["200", "200", "429", "200", "200", "200", "200"], "each caller has a bucket");
    server.signal(Signal::TERM);
    let log = server.end().stderr;
    let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let requests: Vec<&Value> =
        lines.iter().filter(|line| line["event.dataset"] == "fraiseql.request").collect();
    assert_eq!(requests.len(), 7, "{log}");
    assert_eq!(
        (&requests[0]["user.id"], &requests[0]["client.ip"], &requests[0]["trace.id"]),
        (&"ada".into(), &"127.0.0.1".into(), &trace.into())
    );
    assert_eq!(
        (&requests[2]["error.code"], &requests[2]["event.outcome"]),
        (&"RATE_LIMITED".into(), &"failure".into())
    );
    assert_eq!((&requests[4]["user.id"], &requests[4]["fraiseql.rows"]), (&Value::Null, &0.into()));
    assert!(
        lines.iter().all(|line| line["ecs.version"] == "8.11.0" && line["@timestamp"].is_string()),
        "{log}"
    );
}

/// Notes of teams, of which no policy knows.
const TEAMS: &str = r#"
CREATE TABLE member (team int NOT NULL, login text NOT NULL, PRIMARY KEY (team, login));
CREATE TABLE page (id int PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY, team int NOT NULL, owner text NOT NULL, body text);
INSERT INTO member VALUES (1, 'ada'), (2, 'bob');
INSERT INTO page (team, owner, body) VALUES (1, 'ada', 'of red'), (2, 'bob', 'of blue');
"#;

const TEAMS_SCHEMA: &str = r#"
type Query { pages: [Page!]! }
type Page @relation(name: "page") @write(insert: true, update: true) @preset(column: "owner", claim: "sub")
  @auth(signedIn: true, rows: {members: {login: {eq: {claim: "sub"}}}}) @auth(roles: ["auditor"])
  @authWrite(signedIn: true, rows: {owner: {eq: {claim: "sub"}}}) {
  id: Int!
  body: String
  team: Int!
  members: [Member!]! @reference(columns: ["team"], target: ["team"])
}
type Member @relation(name: "member") @write(insert: true, delete: true) { team: Int! login: String! }
"#;

#[test]
fn rules_choose_rows_also_from_the_cache() {
    let database = database(TEAMS);
    let (project, url) = (Project::new(TEAMS_SCHEMA), database.url());
    project.compile(&url).ok();
    execute(&url, &project.run(&["keys", "init", "--role", "postgres"]).ok());
    let outbox = ["schema", "outbox", "shop", "--database-url", &url, "--role", "postgres"];
    execute(&url, &project.run(&outbox).ok());
    let made = |arguments: &[&str]| {
        let arguments =
            [&["--json", "keys", "create"], arguments, &["shop", "--database-url", &url]].concat();
        let told: Value = serde_json::from_str(&project.run(&arguments).ok()).expect("JSON");
        told["key"].as_str().expect("a key").to_owned()
    };
    let (ada, bob, eve) = (made(&["ada"]), made(&["bob"]), made(&["eve", "--role", "auditor"]));
    let (ada, bob, eve) = (Some(ada.as_str()), Some(bob.as_str()), Some(eve.as_str()));
    let settings = ["identity.api_keys=true", "cache.mode=memory", "subscriptions.source=outbox"];
    let settings = settings.iter().flat_map(|setting| ["--set", *setting]);
    let serve = ["serve", "shop", "--port", "0", "--database-url", &url].into_iter().chain(settings);
    let mut server = Running::spawn(fraiseql(project.root(), serve));
    let port = server.port("listening on http://127.0.0.1:");
    let pages = "{ pages(orderBy: [{id: ASC}]) { body } }";
    let (red, blue) =
        (r#"{"data":{"pages":[{"body":"of red"}]}}"#, r#"{"data":{"pages":[{"body":"of blue"}]}}"#);
    let both = r#"{"data":{"pages":[{"body":"of red"},{"body":"of blue"}]}}"#;
    for _ in 0..3 {
        assert_eq!(told(port, ada, pages), red);
        assert_eq!(told(port, bob, pages), blue);
        assert_eq!(told(port, eve, pages), both);
    }
    assert!(told(port, None, pages).contains("GRAPHQL_VALIDATION_FAILED"));
    // A rule reads members: who becomes one sees the pages at once, who leaves does not.
    let join = "mutation { insertMember(object: {team: 1, login: \"bob\"}) { team } }";
    assert_eq!(told(port, ada, join), r#"{"data":{"insertMember":{"team":1}}}"#);
    assert_eq!(told(port, bob, pages), both);
    let leave = "mutation { deleteMember(team: 1, login: \"bob\") { team } }";
    assert_eq!(told(port, ada, leave), r#"{"data":{"deleteMember":{"team":1}}}"#);
    assert_eq!(told(port, bob, pages), blue);
    let update = "mutation { updatePages(where: {}, set: {body: \"new\"}) { affectedRows } }";
    assert_eq!(told(port, eve, update), r#"{"data":{"updatePages":{"affectedRows":0}}}"#);
    assert_eq!(told(port, bob, update), r#"{"data":{"updatePages":{"affectedRows":1}}}"#);
    let insert = "mutation { insertPage(object: {team: 1, body: \"mine\"}) { body } }";
    assert_eq!(told(port, ada, insert), r#"{"data":{"insertPage":{"body":"mine"}}}"#);
    // Written, but not for the eyes of the one who wrote it.
    assert_eq!(told(port, bob, insert), r#"{"data":{"insertPage":null}}"#);
    server.signal(Signal::TERM);
    server.end();
}
