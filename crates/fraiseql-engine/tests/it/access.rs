//! What `@auth` and `@authWrite` deny is nowhere: not in answers, conditions, orders, aggregates, inputs
//! or introspection.

use std::collections::BTreeSet;

use apollo_compiler::Schema as GraphqlSchema;
use fraiseql_engine::{Document, INTROSPECTION_QUERY, Limits, Schema, sdl_of_introspection};
use fraiseql_model::identity::Identity;
use serde_json::json;

use crate::world::World;

const SQL: &str = r#"
create table person (id int primary key generated always as identity, name text not null, email text not null unique, salary int);
create table invoice (id int primary key generated always as identity, person_id int not null references person, total int, note text);
create table receipt (id int primary key, label text);
create function payroll() returns int language sql stable as $$ select sum(salary)::int from person $$;
insert into person (name, email, salary) values ('Ada', 'ada@x', 7), ('Bob', 'bob@x', 5);
insert into invoice (person_id, total, note) values (1, 10, 'first'), (2, 20, 'second');
insert into receipt values (9, 'paper');
"#;

const SCHEMA: &str = r#"
type Query {
    people: [Person!]!
    person(id: Int!): Person
    personByEmail(email: String!): Person
    invoices: [Invoice!]!
    papers: [Paper!]!
    payroll: Int @function @auth(scopes: ["payroll"])
    node(id: ID!): Node
}
interface Node { nodeId: ID! }
union Paper = Invoice | Receipt
type Person implements Node @relation(name: "person") @read(aggregate: true, connection: true, distinct: true)
    @write(insert: true, update: true, delete: true, upsert: true) {
    nodeId: ID!
    id: Int!
    name: String!
    email: String! @auth(roles: ["hr"])
    salary: Int @auth(roles: ["hr"]) @authWrite(roles: ["boss"])
    invoices: [Invoice!]!
}
type Invoice implements Node @relation(name: "invoice") @auth(roles: ["accountant"]) @authWrite(scopes: ["invoice:write"])
    @read(aggregate: true, connection: true) @write(insert: true, update: true, delete: true) {
    nodeId: ID!
    id: Int!
    total: Int
    note: String
    person: Person!
}
type Receipt @relation(name: "receipt") { id: Int! label: String }
"#;

/// Who asks, as roles, and as scopes with a colon or `payroll`.
fn caller(words: &[&str]) -> Identity {
    let is_scope = |word: &&&str| word.contains(':') || **word == "payroll";
    let texts =
        |list: Vec<&&str>| -> BTreeSet<String> { list.into_iter().map(|text| (*text).to_owned()).collect() };
    Identity {
        subject: Some("ada".to_owned()),
        roles: texts(words.iter().filter(|word| !is_scope(word)).collect()),
        scopes: texts(words.iter().filter(is_scope).collect()),
        ..Identity::default()
    }
}

/// Runs each operation as that caller; an expected answer is JSON, an expected refusal a part of it.
async fn check(words: &[&str], cases: &[(&str, Result<&str, &str>)]) {
    let mut world = World::made(SQL, |_| SCHEMA.to_owned()).await;
    let held = world.schema.artifact().access.held(&caller(words));
    let full = Schema::load(world.schema.artifact().clone()).expect("it was loaded before");
    world.schema = full.view(&held).expect("a view holds together");
    for (text, expected) in cases {
        if let Err(errors) = Document::parse(&full, text, &Limits::default()) {
            panic!("{text} is refused to everybody: {}", errors[0].message);
        }
        let got = world.run(text, "{}").await.map(|data| data.to_string());
        match (got, expected) {
            (Ok(got), Ok(expected)) => assert_eq!(got, *expected, "{text}"),
            (Err(got), Err(expected)) => assert!(got.contains(expected), "{text}: {got}"),
            (got, _) => panic!("{text} gives {got:?} and not {expected:?} to {words:?}"),
        }
    }
}

/// What is refused because it is not there.
const ABSENT: Result<&str, &str> = Err("GRAPHQL_VALIDATION_FAILED");

#[tokio::test(flavor = "multi_thread")]
async fn what_is_denied_cannot_be_named() {
    let cases = [
        ("{ people { name } }", Ok(r#"{"people":[{"name":"Ada"},{"name":"Bob"}]}"#)),
        ("{ person(id: 1) { name } }", Ok(r#"{"person":{"name":"Ada"}}"#)),
        (
            "{ peopleAggregate { count min { name } } }",
            Ok(r#"{"peopleAggregate":{"count":2,"min":{"name":"Ada"}}}"#),
        ),
        (
            "{ papers { __typename ... on Receipt { label } } }",
            Ok(r#"{"papers":[{"__typename":"Receipt","label":"paper"}]}"#),
        ),
        ("{ people { email } }", ABSENT),
        ("{ people { invoices { id } } }", ABSENT),
        ("{ people { invoicesAggregate { count } } }", ABSENT),
        ("{ people { invoicesConnection { totalCount } } }", ABSENT),
        ("{ people(where: {email: {eq: \"ada@x\"}}) { name } }", ABSENT),
        ("{ people(where: {_not: {salary: {gt: 6}}}) { name } }", ABSENT),
        ("{ people(where: {invoices: {some: {total: {gt: 1}}}}) { name } }", ABSENT),
        ("{ people(where: {invoicesAggregate: {count: {gt: 0}}}) { name } }", ABSENT),
        ("{ people(orderBy: [{salary: DESC}]) { name } }", ABSENT),
        ("{ people(orderBy: [{invoicesAggregate: {count: DESC}}]) { name } }", ABSENT),
        ("{ people(distinctOn: [salary]) { name } }", ABSENT),
        ("{ peopleAggregate { count(distinct: [salary]) } }", ABSENT),
        ("{ peopleAggregate { sum { salary } } }", ABSENT),
        ("{ peopleAggregate { max { email } } }", ABSENT),
        ("{ peopleGroups(by: [salary]) { count } }", ABSENT),
        ("{ peopleGroups(by: [name], having: {sum: {salary: {gt: 1}}}) { count } }", ABSENT),
        ("{ peopleGroups(by: [name], orderBy: [{min: {email: ASC}}]) { count } }", ABSENT),
        ("{ personByEmail(email: \"ada@x\") { name } }", ABSENT),
        ("{ invoices { id } }", ABSENT),
        ("{ invoicesAggregate { count } }", ABSENT),
        ("{ papers { ... on Invoice { id } } }", ABSENT),
        ("{ node(id: \"x\") { ... on Invoice { id } } }", ABSENT),
        ("{ payroll }", ABSENT),
        ("mutation { insertPerson(object: {name: \"C\", email: \"c@x\"}) { name } }", ABSENT),
        ("mutation { updatePerson(id: 1, set: {salary: 9}) { name } }", ABSENT),
        (
            "mutation { updatePerson(id: 1, set: {name: \"Eve\"}) { name } }",
            Ok(r#"{"updatePerson":{"name":"Eve"}}"#),
        ),
        ("mutation { deletePeople(where: {salary: {gt: 1}}) { affectedRows } }", ABSENT),
        (
            "mutation { insertInvoice(object: {total: 1, person: {data: {name: \"C\", email: \"c@x\"}}}) { id } }",
            ABSENT,
        ),
        ("mutation { deleteInvoice(id: 1) { id } }", ABSENT),
    ];
    check(&[], &cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_and_scopes_open_what_they_are_for() {
    let hr = [
        (
            "{ people { email salary } }",
            Ok(r#"{"people":[{"email":"ada@x","salary":7},{"email":"bob@x","salary":5}]}"#),
        ),
        (
            "{ people(orderBy: [{salary: ASC}]) { name } }",
            Ok(r#"{"people":[{"name":"Bob"},{"name":"Ada"}]}"#),
        ),
        ("{ people { invoices { id } } }", ABSENT),
        ("{ payroll }", ABSENT),
        ("mutation { updatePerson(id: 1, set: {salary: 9}) { name } }", ABSENT),
        (
            "mutation { updatePerson(id: 1, set: {email: \"a@x\"}) { salary } }",
            Ok(r#"{"updatePerson":{"salary":7}}"#),
        ),
        (
            "mutation { insertPerson(object: {name: \"C\", email: \"c@x\"}) { name salary } }",
            Ok(r#"{"insertPerson":{"name":"C","salary":null}}"#),
        ),
    ];
    check(&["hr"], &hr).await;
    let boss = [(
        "mutation { updatePerson(id: 1, set: {salary: 9}) { salary } }",
        Ok(r#"{"updatePerson":{"salary":9}}"#),
    )];
    check(&["hr", "boss"], &boss).await;
    let accountant = [
        (
            "{ people { name invoices { total } } }",
            Ok(
                r#"{"people":[{"name":"Ada","invoices":[{"total":10}]},{"name":"Bob","invoices":[{"total":20}]}]}"#,
            ),
        ),
        (
            "{ papers { __typename } }",
            Ok(r#"{"papers":[{"__typename":"Invoice"},{"__typename":"Invoice"},{"__typename":"Receipt"}]}"#),
        ),
        ("{ invoices(where: {person: {email: {eq: \"ada@x\"}}}) { id } }", ABSENT),
        ("mutation { deleteInvoice(id: 1) { id } }", ABSENT),
        ("mutation { updateInvoices(where: {}, set: {note: \"x\"}) { affectedRows } }", ABSENT),
    ];
    check(&["accountant"], &accountant).await;
    let writer =
        [("mutation { deleteInvoice(id: 1) { note } }", Ok(r#"{"deleteInvoice":{"note":"first"}}"#))];
    check(&["accountant", "invoice:write"], &writer).await;
    check(&["payroll"], &[("{ payroll }", Ok(r#"{"payroll":12}"#))]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_view_is_a_valid_schema_that_names_nothing_denied() {
    let mut world = World::made(SQL, |_| SCHEMA.to_owned()).await;
    let full = world.schema.view(&vec![true; world.schema.artifact().access.rules.len()]).unwrap();
    let words = ["hr", "boss", "accountant", "invoice:write", "payroll"];
    for chosen in 0..1_u32 << words.len() {
        let mine: Vec<&str> =
            (0..words.len()).filter(|bit| chosen >> bit & 1 == 1).map(|bit| words[bit]).collect();
        let held = full.artifact().access.held(&caller(&mine));
        world.schema = full.view(&held).unwrap();
        let told = world.run(INTROSPECTION_QUERY, "{}").await.unwrap();
        let sdl = sdl_of_introspection(&json!({ "data": told })).unwrap();
        if let Err(invalid) = GraphqlSchema::parse_and_validate(&sdl, "view.graphql") {
            panic!("{mine:?}: {}\n{sdl}", invalid.errors);
        }
        for (word, part) in
            [("hr", "email"), ("hr", "salary"), ("accountant", "Invoice"), ("payroll", "payroll")]
        {
            assert_eq!(sdl.contains(part), mine.contains(&word), "{part} of {mine:?}:\n{sdl}");
        }
        let writes = mine.contains(&"accountant") && mine.contains(&"invoice:write");
        assert_eq!(sdl.contains("InvoiceSetInput"), writes, "{mine:?}");
    }
}
