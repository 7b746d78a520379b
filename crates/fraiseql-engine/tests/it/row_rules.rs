//! Rows that a caller may not use are nowhere, and rows that it may not write are not written.

use std::collections::BTreeSet;
use std::sync::Arc;

use fraiseql_engine::Schema;
use fraiseql_model::identity::Identity;
use serde_json::{Value, json};

use crate::world::World;

const SQL: &str = r#"
create table team (id int primary key, name text not null);
create table member (team_id int not null references team, login text not null, boss boolean not null default false, primary key (team_id, login));
create table note (
    id int primary key generated always as identity,
    team_id int not null references team,
    owner text not null,
    public boolean not null default false,
    title text not null,
    stars int not null default 0,
    edited_by text,
    unique (team_id, title)
);
create table remark (id int primary key, note_id int not null references note, text text not null);
create function loud(note) returns text language sql stable as $$ select upper($1.title) $$;
create function top_notes() returns setof note language sql stable as $$ select * from note order by stars desc $$;
create function touch(id int) returns note language sql as $$ update note set stars = stars + 1 where note.id = touch.id returning * $$;
insert into team values (1, 'red'), (2, 'blue');
insert into member values (1, 'ada', true), (1, 'bob', false), (2, 'eve', true);
insert into note (team_id, owner, public, title, stars) values
    (1, 'ada', false, 'plan', 3), (1, 'bob', false, 'todo', 1), (2, 'eve', false, 'secret', 9), (2, 'eve', true, 'news', 5);
insert into remark values (1, 1, 'good'), (2, 3, 'hush'), (3, 4, 'oh'), (4, 2, 'soon');
"#;

const SCHEMA: &str = r#"
extend schema
    @rowRule(name: "team", rows: {team: {members: {login: {eq: {claim: "sub"}}}}})
    @role(name: "root", inherits: ["auditor"])
type Query {
    notes: [Note!]!
    note(id: Int!): Note
    topNotes: [Note!]! @function
    remarks: [Remark!]!
    teams: [Team!]!
    node(id: ID!): Node
}
type Mutation { touch(id: Int!): Note @function }
interface Node { nodeId: ID! }
type Team @relation(name: "team") { id: Int! name: String! members: [Member!]! notes: [Note!]! }
type Member @relation(name: "member") { login: String! boss: Boolean! }
type Note implements Node @relation(name: "note") @read(aggregate: true, connection: true, distinct: true)
    @auth(rows: {public: {eq: true}})
    @auth(signedIn: true, rule: "team")
    @auth(roles: ["auditor"])
    @authWrite(signedIn: true, rows: {owner: {eq: {claim: "sub"}}, stars: {lt: 100}})
    @authWrite(roles: ["root"], rows: {})
    @preset(column: "owner", claim: "sub")
    @preset(column: "edited_by", claim: "sub", update: true)
    @write(insert: true, update: true, delete: true, upsert: true) {
    nodeId: ID!
    id: Int!
    title: String!
    owner: String!
    stars: Int!
    editedBy: String
    teamId: Int!
    team: Team!
    loud: String @function
    remarks: [Remark!]!
}
type Remark @relation(name: "remark") { id: Int! text: String! note: Note! }
"#;

fn caller(name: Option<&str>, roles: &[&str], claims: Value) -> Identity {
    let roles: BTreeSet<String> = roles.iter().map(|role| (*role).to_owned()).collect();
    let claims = claims.as_object().cloned().unwrap_or_default();
    Identity { subject: name.map(str::to_owned), roles, claims, ..Identity::default() }
}

async fn world(sql: &str, schema: &str, caller: Identity) -> World {
    let mut world = World::made(sql, |_| schema.to_owned()).await;
    world.schema = seen_by(&world, &caller);
    world.caller = Arc::new(caller);
    world
}

fn seen_by(world: &World, caller: &Identity) -> Schema {
    let artifact = world.schema.artifact().clone();
    let held = artifact.access.held(caller);
    Schema::load(artifact).expect("it was loaded before").view(&held).expect("a view holds together")
}

/// Runs each operation as that caller; an expected answer is JSON, an expected refusal a part of it.
async fn check(who: Identity, cases: &[(&str, Result<&str, &str>)]) {
    let world = world(SQL, SCHEMA, who).await;
    for (text, expected) in cases {
        let got = world.run(text, "{}").await.map(|data| data.to_string());
        match (got, expected) {
            (Ok(got), Ok(expected)) => assert_eq!(got, *expected, "{text}"),
            (Err(got), Err(expected)) => assert!(got.contains(expected), "{text}: {got}"),
            (got, _) => panic!("{text} gives {got:?} and not {expected:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everywhere_that_rows_are_opened() {
    let cases = [
        (
            "{ notes(orderBy: [{id: ASC}]) { title } }",
            Ok(r#"{"notes":[{"title":"plan"},{"title":"todo"},{"title":"news"}]}"#),
        ),
        ("{ note(id: 3) { title } }", Ok(r#"{"note":null}"#)),
        ("{ note(id: 1) { title loud } }", Ok(r#"{"note":{"title":"plan","loud":"PLAN"}}"#)),
        ("{ notes(where: {loud: {eq: \"SECRET\"}}) { id } }", Ok(r#"{"notes":[]}"#)),
        ("{ notes(orderBy: [{loud: DESC}], limit: 1) { loud } }", Ok(r#"{"notes":[{"loud":"TODO"}]}"#)),
        (
            "{ notes(distinctOn: [teamId], orderBy: [{loud: ASC}]) { loud } }",
            Ok(r#"{"notes":[{"loud":"NEWS"},{"loud":"PLAN"}]}"#),
        ),
        (
            "{ topNotes { title } }",
            Ok(r#"{"topNotes":[{"title":"news"},{"title":"plan"},{"title":"todo"}]}"#),
        ),
        (
            "{ teams(orderBy: [{id: ASC}]) { notes { title } } }",
            Ok(r#"{"teams":[{"notes":[{"title":"plan"},{"title":"todo"}]},{"notes":[{"title":"news"}]}]}"#),
        ),
        ("{ teams(where: {notes: {some: {title: {eq: \"secret\"}}}}) { id } }", Ok(r#"{"teams":[]}"#)),
        (
            "{ teams(orderBy: [{notesAggregate: {max: {stars: DESC}}}]) { id notesAggregate { count } } }",
            Ok(r#"{"teams":[{"id":2,"notesAggregate":{"count":1}},{"id":1,"notesAggregate":{"count":2}}]}"#),
        ),
        (
            "{ remarks(orderBy: [{id: ASC}]) { text note { title } } }",
            Ok(
                r#"{"remarks":[{"text":"good","note":{"title":"plan"}},{"text":"hush","note":null},{"text":"oh","note":{"title":"news"}},{"text":"soon","note":{"title":"todo"}}]}"#,
            ),
        ),
        ("{ remarks(where: {note: {stars: {gt: 5}}}) { id } }", Ok(r#"{"remarks":[]}"#)),
        (
            "{ remarks(orderBy: [{note: {stars: DESC}}, {id: ASC}], limit: 2) { id } }",
            Ok(r#"{"remarks":[{"id":2},{"id":3}]}"#),
        ),
        (
            "{ notesAggregate { count estimatedCount max { stars title } } }",
            Ok(r#"{"notesAggregate":{"count":3,"estimatedCount":3,"max":{"stars":5,"title":"todo"}}}"#),
        ),
        (
            "{ notesGroups(by: [owner], orderBy: [{key: {owner: ASC}}]) { key { owner } count } }",
            Ok(
                r#"{"notesGroups":[{"key":{"owner":"ada"},"count":1},{"key":{"owner":"bob"},"count":1},{"key":{"owner":"eve"},"count":1}]}"#,
            ),
        ),
        (
            "{ notesConnection(first: 10) { totalCount nodes { loud } pageInfo { hasNextPage } } }",
            Ok(
                r#"{"notesConnection":{"totalCount":3,"nodes":[{"loud":"PLAN"},{"loud":"TODO"},{"loud":"NEWS"}],"pageInfo":{"hasNextPage":false}}}"#,
            ),
        ),
    ];
    check(caller(Some("ada"), &[], json!({})), &cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_claims_and_nobody() {
    let titles = "{ notes(orderBy: [{id: ASC}]) { title } }";
    let news = Ok(r#"{"notes":[{"title":"news"}]}"#);
    check(
        caller(None, &[], json!({})),
        &[(titles, news), ("mutation { deleteNote(id: 4) { id } }", Err("VALIDATION"))],
    )
    .await;
    // What the token says of itself does not count, what was verified does.
    check(caller(None, &[], json!({"sub": "ada"})), &[(titles, news)]).await;
    check(caller(Some("zoe"), &[], json!({})), &[(titles, news)]).await;
    let all = Ok(r#"{"notes":[{"title":"plan"},{"title":"todo"},{"title":"secret"},{"title":"news"}]}"#);
    check(caller(None, &["auditor"], json!({})), &[(titles, all), ("{ remarks { note { id } } }", Ok(r#"{"remarks":[{"note":{"id":1}},{"note":{"id":3}},{"note":{"id":4}},{"note":{"id":2}}]}"#))]).await;
    check(caller(None, &["root"], json!({})), &[(titles, all)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_rows_of_the_caller_are_written() {
    let forbidden = Err("fraiseql.denied:Note");
    let cases = [
        // Seen, but not the caller's own.
        ("mutation { updateNote(id: 2, set: {title: \"x\"}) { id } }", Ok(r#"{"updateNote":null}"#)),
        (
            "mutation { updateNotes(where: {}, set: {stars: 4}) { affectedRows } }",
            Ok(r#"{"updateNotes":{"affectedRows":1}}"#),
        ),
        ("mutation { deleteNote(id: 4) { id } }", Ok(r#"{"deleteNote":null}"#)),
        // Not seen.
        ("mutation { updateNote(id: 3, set: {title: \"x\"}) { id } }", Ok(r#"{"updateNote":null}"#)),
        (
            "mutation { deleteNotes(where: {id: {in: [2, 3, 4]}}) { affectedRows returning { id } } }",
            Ok(r#"{"deleteNotes":{"affectedRows":0,"returning":[]}}"#),
        ),
        // The row as it would be afterwards.
        ("mutation { updateNote(id: 1, set: {stars: 100}) { id } }", forbidden),
        ("mutation { updateNotes(where: {}, set: {stars: 100}) { affectedRows } }", forbidden),
        ("mutation { insertNote(object: {teamId: 1, title: \"big\", stars: 100}) { id } }", forbidden),
        (
            "mutation { insertNotes(objects: [{teamId: 1, title: \"big\", stars: 100}]) { affectedRows } }",
            forbidden,
        ),
        (
            "mutation { insertNote(object: {teamId: 1, title: \"mine\", owner: \"bob\"}) { id } }",
            Err("VALIDATION"),
        ),
        (
            "mutation { insertNote(object: {teamId: 1, title: \"mine\"}) { owner stars editedBy } }",
            Ok(r#"{"insertNote":{"owner":"ada","stars":0,"editedBy":"ada"}}"#),
        ),
        (
            "mutation { updateNote(id: 1, set: {title: \"new\"}) { title owner editedBy } }",
            Ok(r#"{"updateNote":{"title":"new","owner":"ada","editedBy":"ada"}}"#),
        ),
        // Of another: neither overwritten nor told.
        (
            "mutation { upsertNote(object: {teamId: 2, title: \"secret\", stars: 1}, onConflict: TEAM_ID_TITLE) { id } }",
            forbidden,
        ),
        (
            "mutation { upsertNote(object: {teamId: 1, title: \"new\", stars: 7}, onConflict: TEAM_ID_TITLE) { stars owner } }",
            Ok(r#"{"upsertNote":{"stars":7,"owner":"ada"}}"#),
        ),
        ("mutation { touch(id: 3) { id } }", Ok(r#"{"touch":null}"#)),
        ("mutation { deleteNote(id: 1) { title } }", Err("23503")),
    ];
    check(caller(Some("ada"), &[], json!({})), &cases).await;
    let root = [
        (
            "mutation { updateNotes(where: {}, set: {stars: 200}) { affectedRows } }",
            Ok(r#"{"updateNotes":{"affectedRows":4}}"#),
        ),
        (
            "mutation { insertNote(object: {teamId: 1, title: \"mine\"}) { id } }",
            Ok(r#"{"insertNote":{"id":5}}"#),
        ),
    ];
    check(caller(Some("zoe"), &["root"], json!({})), &root).await;
    // The claim that fills a column is not there.
    let insert = "mutation { insertNote(object: {teamId: 1, title: \"mine\"}) { id } }";
    check(caller(None, &["root"], json!({})), &[(insert, Err("FORBIDDEN"))]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_negated_needs_its_claims_too() {
    let sql =
        "create table doc (id int primary key); create table block (doc_id int references doc, login text);
        insert into doc values (1), (2); insert into block values (2, 'ada');";
    let schema = r#"
        type Query { docs: [Doc!]! }
        type Doc @relation(name: "doc") @auth(rows: {_not: {blocks: {login: {eq: {claim: "login"}}}}}) { id: Int! blocks: [Block!]! }
        type Block @relation(name: "block", key: ["doc_id", "login"]) { login: String }
    "#;
    let login = |login: Value| caller(None, &[], json!({ "login": login }));
    let cases = [
        (login(json!("ada")), "[1]"),
        (login(json!("bob")), "[1,2]"),
        (login(Value::Null), "[]"),
        // Of another form than the rule wants it in.
        (login(json!(["ada"])), "[]"),
        (login(json!({"ada": 1})), "[]"),
    ];
    for (who, expected) in cases {
        let world = world(sql, schema, who).await;
        let found = world.run("{ docs(orderBy: [{id: ASC}]) { id } }", "{}").await.unwrap();
        let found: Vec<&Value> = found["docs"].as_array().unwrap().iter().map(|doc| &doc["id"]).collect();
        assert_eq!(serde_json::to_string(&found).unwrap(), expected, "{:?}", world.caller);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operator_and_every_kind_of_claim() {
    let sql = r#"
        create type mood as enum ('sad', 'so so', 'happy');
        create table t (id int primary key, n numeric, u uuid, d date, m mood, s text);
        insert into t values
            (1, 1.5, '00000000-0000-0000-0000-000000000001', '2026-01-01', 'sad', 'it''s'),
            (2, 2.5, '00000000-0000-0000-0000-000000000002', '2026-02-01', 'so so', null),
            (3, 3.5, null, '2026-03-01', 'happy', 'x');
    "#;
    let claims = json!({
        "n": 2.5, "text": "2.5", "u": "00000000-0000-0000-0000-000000000002", "teams": [1, 3], "mixed": ["1", null, {"a": 1}, "2"],
        "deep": {"er": {"day": "2026-02-01"}}, "one": 3, "none": null, "empty": [], "object": {"a": 1}, "evil": "' or true --",
    });
    let cases = [
        (r#"{n: {eq: {claim: "n"}}}"#, "[2]"),
        (r#"{n: {eq: {claim: "text"}}}"#, "[2]"),
        (r#"{n: {neq: {claim: "n"}}}"#, "[1,3]"),
        (r#"{n: {gt: 1.5, lt: {claim: "one"}}}"#, "[2]"),
        (r#"{u: {eq: {claim: "u"}}}"#, "[2]"),
        (r#"{d: {gte: {claim: ["deep", "er", "day"]}}}"#, "[2,3]"),
        (r#"{d: {lte: "2026-01-31"}}"#, "[1]"),
        (r#"{m: {eq: "so so"}}"#, "[2]"),
        (r#"{id: {in: {claim: "teams"}}}"#, "[1,3]"),
        (r#"{id: {in: {claim: "mixed"}}}"#, "[1,2]"),
        (r#"{id: {in: {claim: "one"}}}"#, "[3]"),
        (r#"{id: {in: {claim: "empty"}}}"#, "[]"),
        (r#"{id: {nin: {claim: "empty"}}}"#, "[1,2,3]"),
        (r#"{id: {nin: {claim: "teams"}}}"#, "[2]"),
        (r#"{id: {in: [1, 2]}}"#, "[1,2]"),
        (r#"{s: {eq: "it's"}}"#, "[1]"),
        (r#"{s: {isnull: true}}"#, "[2]"),
        (r#"{s: {isnull: false}}"#, "[1,3]"),
        (r#"{_or: [{id: {eq: 1}}, {s: {eq: "x"}}]}"#, "[1,3]"),
        (r#"{_and: [{id: {gt: 1}}, {id: {lt: 3}}]}"#, "[2]"),
        (r#"{_not: {id: {eq: 1}}}"#, "[2,3]"),
        (r#"{}"#, "[1,2,3]"),
        // Unknown is not fulfilled, negated or not.
        (r#"{id: {eq: {claim: "missing"}}}"#, "[]"),
        (r#"{id: {neq: {claim: "missing"}}}"#, "[]"),
        (r#"{_not: {id: {eq: {claim: "none"}}}}"#, "[]"),
        (r#"{id: {nin: {claim: "missing"}}}"#, "[]"),
        (r#"{_not: {id: {in: {claim: "object"}}}}"#, "[]"),
        (r#"{s: {eq: {claim: "teams"}}}"#, "[]"),
        (r#"{_or: [{id: {eq: {claim: "missing"}}}, {id: {eq: 2}}]}"#, "[2]"),
        // A value, never SQL.
        (r#"{s: {neq: {claim: "evil"}}}"#, "[1,3]"),
    ];
    for (rows, expected) in cases {
        let schema = format!(
            "type Query {{ ts: [T!]! }} enum Mood {{ SAD @label(name: \"sad\") SO @label(name: \"so so\") HAPPY @label(name: \"happy\") }}
             type T @relation(name: \"t\") @auth(rows: {rows}) {{ id: Int! m: Mood }}"
        );
        let world = world(sql, &schema, caller(Some("ada"), &[], claims.clone())).await;
        let found = world.run("{ ts(orderBy: [{id: ASC}]) { id } }", "{}").await.unwrap();
        let found: Vec<&Value> = found["ts"].as_array().unwrap().iter().map(|row| &row["id"]).collect();
        assert_eq!(serde_json::to_string(&found).unwrap(), expected, "{rows}");
    }
}
