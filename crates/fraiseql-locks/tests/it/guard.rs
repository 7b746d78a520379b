//! The guard against a table of cases: nothing unsafe passes, and hardly anything safe is refused.

use std::collections::{BTreeMap, BTreeSet};

use fraiseql_locks::{
    GuardRequest, GuardedRelease, LiveDependents, LiveFunction, LiveRelation, SqlFile, guard,
};
use fraiseql_model::manifest::{CalledFunction, DecodedType, Insert, Manifest, Read, Write};

use super::guard_cases::{CASES, Case, DYNAMIC};

fn set(words: &str) -> BTreeSet<String> {
    words.split_whitespace().map(str::to_owned).collect()
}

/// Columns with their types, `*` in front where the schema promises a value.
fn reads(columns: &str) -> Read {
    let mut read = Read::default();
    for column in columns.split(", ") {
        let (name, kind) = column.split_once(' ').unwrap();
        let name = name.trim_start_matches('*').to_owned();
        if column.starts_with('*') {
            read.non_null.insert(name.clone());
        }
        read.column_types.insert(name.clone(), kind.to_owned());
        read.columns.insert(name.clone(), BTreeSet::from([format!("Field.{name}")]));
    }
    read
}

fn inserts(required: &str, optional: &str, omitted: &str) -> Option<Insert> {
    Some(Insert { required: set(required), optional: set(optional), omitted: set(omitted) })
}

fn called(arguments: &[(&str, &str)], returns: &str) -> CalledFunction {
    let pair = |(name, kind): &(&str, &str)| ((*name).to_owned(), (*kind).to_owned());
    CalledFunction {
        arguments: arguments.iter().map(pair).collect(),
        returns: returns.to_owned(),
        used_by: set("Query.use"),
    }
}

/// `old` reads and writes everything, `new` no longer needs email, memo and the enum's last label.
fn releases(dynamic: bool) -> Vec<GuardedRelease> {
    let mut old = Manifest::default();
    old.reads.insert(
        "public.users".to_owned(),
        reads("*id integer, email text, *name text, status app.status, age integer"),
    );
    old.reads.insert("public.v_user".to_owned(), reads("id integer, email text"));
    old.reads.insert("public.v_deep".to_owned(), reads("id integer"));
    old.reads.insert("public.v_order".to_owned(), reads("id integer, data jsonb"));
    old.reads.insert("public.events_1".to_owned(), reads("id integer, kind text"));
    old.writes.insert(
        "public.users".to_owned(),
        Write {
            insert: inserts("email", "name age", "id status note"),
            update: set("email name"),
            delete: true,
            conflict_keys: BTreeSet::from([vec!["email".to_owned()]]),
        },
    );
    old.writes.insert(
        "public.orders".to_owned(),
        Write { insert: inserts("user_id total", "", "id memo"), update: set("total"), ..Write::default() },
    );
    old.writes
        .insert("app.items".to_owned(), Write { insert: inserts("sku", "price", "id"), ..Write::default() });
    let status = DecodedType {
        graphql: "Status".to_owned(),
        labels_read: set("on off gone"),
        labels_written: set("on off"),
    };
    old.types.insert("app.status".to_owned(), status);
    old.functions.insert("public.get_total".to_owned(), called(&[("id", "integer")], "numeric"));
    old.functions.insert("public.add_log(text)".to_owned(), called(&[("line", "text")], "void"));
    let mut new = Manifest::default();
    new.reads.insert("public.users".to_owned(), reads("*id integer, *name text, age bigint"));
    new.writes.insert(
        "public.users".to_owned(),
        Write { insert: inserts("name", "", "id status note email age"), ..Write::default() },
    );
    if dynamic {
        new.functions.insert("public.dyn".to_owned(), called(&[], "void"));
    }
    let release = |name: &str, manifest| GuardedRelease { name: name.to_owned(), manifest };
    vec![release("old", old), release("new", new)]
}

fn table(columns: &str, not_null: &str, defaults: &str, calls: &str) -> LiveRelation {
    let pair = |column: &str| {
        let (name, kind) = column.split_once(' ').unwrap();
        (name.to_owned(), kind.to_owned())
    };
    LiveRelation {
        columns: columns.split(", ").map(pair).collect(),
        not_null: set(not_null),
        defaults: set(defaults),
        calls: set(calls),
        ..LiveRelation::default()
    }
}

fn view(over: &str, columns: &str) -> LiveRelation {
    LiveRelation {
        is_view: true,
        reads: BTreeMap::from([(over.to_owned(), set(columns))]),
        ..LiveRelation::default()
    }
}

fn body(text: &str) -> LiveFunction {
    LiveFunction { bodies: vec![text.to_owned()], opaque_language: false }
}

fn live() -> LiveDependents {
    let mut live = LiveDependents::default();
    let users = "id integer, email text, name text, status app.status, age integer, note text, spare text";
    let orders = "id integer, user_id integer, total numeric, memo text, state text, spare text";
    let whole = LiveRelation {
        is_view: true,
        whole_rows: set("public.orders"),
        reads: BTreeMap::from([("public.orders".to_owned(), set("id"))]),
        ..LiveRelation::default()
    };
    let part = |of: &str| LiveRelation {
        reads: BTreeMap::from([(of.to_owned(), BTreeSet::new())]),
        ..table("id integer, kind text, spare text", "id", "", "")
    };
    live.relations = [
        ("public.users", table(users, "id", "id status", "")),
        ("public.orders", table(orders, "id user_id", "id", "public.audit")),
        ("public.logs", table("id integer, line text, spare text", "id", "id", "")),
        ("public.unused", table("id integer, x text", "id", "", "")),
        ("app.items", table("id integer, sku app.sku, price numeric, spare text", "id", "id", "")),
        ("public.events", table("id integer, kind text, spare text", "id", "", "")),
        ("public.events_1", part("public.events")),
        ("public.v_user", view("public.users", "id email name")),
        ("public.v_deep", view("public.v_user", "id")),
        ("public.v_order", whole),
        ("public.v_alone", view("public.users", "note")),
    ]
    .into_iter()
    .map(|(name, relation)| (name.to_owned(), relation))
    .collect();
    live.functions = [
        ("public.get_total", body("SELECT total FROM orders WHERE id = $1")),
        ("public.add_log", body("BEGIN INSERT INTO logs (line) VALUES (line); END")),
        ("public.audit", body("BEGIN INSERT INTO logs (line) VALUES (NEW.memo); RETURN NEW; END")),
        ("public.lonely", body("SELECT note, x FROM users, unused")),
        ("public.dyn", body("BEGIN EXECUTE 'DELETE FROM ' || name; END")),
    ]
    .into_iter()
    .map(|(name, function)| (name.to_owned(), function))
    .collect();
    let key = |name: &str, table: &str, column: &str| {
        (name.to_owned(), (table.to_owned(), vec![column.to_owned()]))
    };
    live.keys = BTreeMap::from([
        key("users_pkey", "public.users", "id"),
        key("users_email_key", "public.users", "email"),
        key("users_note_key", "public.users", "note"),
    ]);
    live
}

/// Returns who breaks, `release:use` each, sorted and once.
fn found(sql: &str, dynamic: bool, acknowledged: &[String]) -> String {
    let (releases, live) = (releases(dynamic), live());
    let files = [SqlFile { name: "a.sql", text: sql }];
    let request = GuardRequest { files: &files, releases: &releases, live: &live, acknowledged };
    let broken = guard(&request).unwrap_or_else(|wrong| panic!("{sql}: {wrong:?}"));
    let words: BTreeSet<String> = broken
        .iter()
        .map(|broken| format!("{}:{}", broken.release.as_deref().unwrap_or("db"), broken.operation.as_str()))
        .collect();
    words.into_iter().collect::<Vec<_>>().join(" ")
}

/// Compares a table of cases, and returns how many unsafe ones passed and how many safe ones did not.
fn compare(cases: &[Case], dynamic: bool, wrong: &mut Vec<String>) -> (usize, usize) {
    let (mut passed, mut refused) = (0, 0);
    for (sql, expected) in cases {
        let found = found(sql, dynamic, &[]);
        passed += usize::from(!expected.is_empty() && found.is_empty());
        refused += usize::from(expected.is_empty() && !found.is_empty());
        if found != *expected {
            wrong.push(format!("(\"{sql}\", \"{found}\"), // expected {expected}"));
        }
    }
    (passed, refused)
}

#[test]
fn nothing_unsafe_passes() {
    let mut wrong = Vec::new();
    let (plain, dynamic) = (compare(CASES, false, &mut wrong), compare(DYNAMIC, true, &mut wrong));
    let count = CASES.len() + DYNAMIC.len();
    let safe = CASES.iter().chain(DYNAMIC).filter(|(_, expected)| expected.is_empty()).count();
    let (passed, refused) = (plain.0 + dynamic.0, plain.1 + dynamic.1);
    println!("{count} cases, {safe} of them safe: {passed} unsafe passed, {refused} refused in vain");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count >= 150, "{count} cases");
    assert_eq!(passed, 0);
    assert!(refused * 50 <= count);
}

#[test]
fn what_nobody_can_tell_is_acknowledged_by_name() {
    let sql = "ALTER TABLE unused DROP COLUMN x;";
    assert_eq!(found(sql, true, &[]), "new:unknown");
    assert_eq!(found(sql, true, &["function:public.dyn".to_owned()]), "");
    let sql = "DO $$ BEGIN END $$;";
    assert_eq!(found(sql, false, &[]), "db:unknown");
    assert_eq!(found(sql, false, &["statement:a.sql:1".to_owned()]), "");
}

#[test]
fn a_refusal_names_the_field_and_what_is_in_between() {
    let (releases, live) = (releases(false), live());
    let files = [SqlFile { name: "a.sql", text: "ALTER TABLE users\n  DROP COLUMN email CASCADE;" }];
    let request = GuardRequest { files: &files, releases: &releases, live: &live, acknowledged: &[] };
    let broken = guard(&request).unwrap();
    let read = broken.iter().find(|broken| broken.through.is_none()).unwrap();
    assert_eq!(
        (read.object.as_str(), read.fields.as_slice()),
        ("public.users.email", &["Field.email".to_owned()][..])
    );
    assert_eq!(read.remedy, "deploy a release that does not need it, and let old go");
    assert!(broken.iter().any(|broken| broken.through.as_deref() == Some("public.v_user")));
    assert!(broken.iter().all(|broken| broken.release.as_deref() == Some("old")));
}

#[test]
fn of_a_file_with_sections_the_contract_counts() {
    let sql = "-- migrate: expand\nALTER TABLE users DROP COLUMN email;\n-- migrate: contract\nSELECT 1;\n";
    assert_eq!(found(sql, false, &[]), "");
}
