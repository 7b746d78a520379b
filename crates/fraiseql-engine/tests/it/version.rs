//! Optimistic locking: a version that is gone is a conflict, a row that is gone is null.

use std::time::Duration;

use fraiseql_testkit::Database;
use serde_json::Value;

use crate::world::World;

const TABLES: &str = "
CREATE TABLE account (id int PRIMARY KEY, owner text NOT NULL UNIQUE, balance int NOT NULL DEFAULT 0, version int NOT NULL DEFAULT 1);
CREATE TABLE page (id int PRIMARY KEY, text text, rev bigint NOT NULL DEFAULT 9007199254740993);
INSERT INTO account (id, owner) VALUES (1, 'a'), (2, 'b'), (3, 'c');
INSERT INTO page VALUES (1, 'x');
";

const SCHEMA: &str = r#"
type Query { accounts: [Account!]! }
type Account @relation(name: "account") @write(insert: true, update: true, delete: true, upsert: true) {
  id: Int! owner: String! balance: Int! version: Int! @version
}
type Page @relation(name: "page") @write(update: true) { id: Int! text: String revision: BigInt! @column(name: "rev") @version }
"#;

const CONFLICT: &str = "fraiseql.conflict:Account";

async fn world() -> World {
    World::made(TABLES, |_| SCHEMA.to_owned()).await
}

async fn check(w: &World, text: &str, expected: &str) {
    let found = w.run(text, "{}").await.unwrap_or_else(|error| panic!("{text}: {error}"));
    let expected: Value = serde_json::from_str(expected).expect("JSON");
    assert_eq!(found, expected, "{text}");
}

async fn conflicts(w: &World, text: &str) {
    let error = w.run(text, "{}").await.expect_err(text);
    assert!(error.starts_with("22P02") && error.contains(CONFLICT), "{error}");
}

#[tokio::test]
async fn an_update_needs_the_version_that_it_has_seen() {
    let w = world().await;
    let update = "mutation{updateAccount(id:1,expectedVersion:1,set:{balance:5}){balance version}}";
    check(&w, update, r#"{"updateAccount":{"balance":5,"version":2}}"#).await;
    conflicts(&w, update).await;
    check(
        &w,
        "mutation{updateAccount(id:9,expectedVersion:1,set:{balance:5}){id}}",
        r#"{"updateAccount":null}"#,
    )
    .await;
    conflicts(&w, "mutation{deleteAccount(id:1,expectedVersion:1){id}}").await;
    check(
        &w,
        "mutation{deleteAccount(id:1,expectedVersion:2){id version}}",
        r#"{"deleteAccount":{"id":1,"version":2}}"#,
    )
    .await;
    check(&w, "mutation{deleteAccount(id:1,expectedVersion:2){id}}", r#"{"deleteAccount":null}"#).await;
    assert_eq!(
        w.scalar("select string_agg(id || ':' || balance || ':' || version, ' ' order by id) from account")
            .await,
        "2:0:1 3:0:1"
    );
    check(
        &w,
        r#"mutation{updatePage(id:1,expectedVersion:"9007199254740993",set:{text:"y"}){text revision}}"#,
        r#"{"updatePage":{"text":"y","revision":"9007199254740994"}}"#,
    )
    .await;
}

#[tokio::test]
async fn every_generated_write_counts() {
    let w = world().await;
    check(
        &w,
        "mutation{updateAccounts(where:{id:{gte:2}},set:{balance:1}){returning{id version}}}",
        r#"{"updateAccounts":{"returning":[{"id":2,"version":2},{"id":3,"version":2}]}}"#,
    )
    .await;
    check(
        &w,
        r#"mutation{upsertAccount(object:{id:2,owner:"b",balance:7,version:1},onConflict:PRIMARY_KEY){balance version}}"#,
        r#"{"upsertAccount":{"balance":7,"version":3}}"#,
    )
    .await;
    check(
        &w,
        r#"mutation{insertAccount(object:{id:4,owner:"d"}){version}}"#,
        r#"{"insertAccount":{"version":1}}"#,
    )
    .await;
    let set =
        w.run("mutation{updateAccount(id:2,expectedVersion:3,set:{version:9}){id}}", "{}").await.unwrap_err();
    assert!(set.starts_with("GRAPHQL_VALIDATION_FAILED"), "{set}");
    let none = w.run("mutation{updateAccount(id:2,set:{balance:9}){id}}", "{}").await.unwrap_err();
    assert!(none.starts_with("GRAPHQL_VALIDATION_FAILED"), "{none}");
}

/// Returns the statements of an operation, ready to run.
fn statements(w: &World, text: &str) -> Vec<String> {
    w.statements(text, "{}").into_iter().map(|(sql, params)| inlined(sql, &params)).collect()
}

/// Puts parameters into a statement: integers only.
fn inlined(mut sql: String, params: &[Option<String>]) -> String {
    for (index, param) in params.iter().enumerate().rev() {
        let value = param.as_deref().expect("no NULL here");
        assert!(value.bytes().all(|byte| byte.is_ascii_digit()));
        sql = sql.replace(&format!("${}", index + 1), value);
    }
    sql
}

async fn until_waiting(database: &Database) {
    let client = database.client().await;
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    for _ in 0..1_000 {
        let waiting: i64 = client.query_one(sql, &[]).await.expect("counts").get(0);
        if waiting > 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nobody waits");
}

/// Two clients change one row at one time; `first` commits before `second` goes on. Returns the
/// SQLSTATE of the second one's failure.
async fn race(isolation: &str, first: &str, second: &str) -> (World, Option<String>) {
    let w = world().await;
    let (ahead, behind) = (w.database.client().await, w.database.client().await);
    let begin = format!("BEGIN ISOLATION LEVEL {isolation}; SELECT 1 FROM account LIMIT 1");
    for client in [&ahead, &behind] {
        client.batch_execute(&begin).await.expect("begins");
    }
    let (first, waiting) = (statements(&w, first), statements(&w, second));
    for statement in &first {
        ahead.batch_execute(statement).await.expect("the first one writes");
    }
    let mut late = tokio::task::JoinSet::new();
    late.spawn(async move {
        for statement in &waiting {
            behind.batch_execute(statement).await?;
        }
        behind.batch_execute("COMMIT").await
    });
    until_waiting(&w.database).await;
    ahead.batch_execute("COMMIT").await.expect("the first one commits");
    let outcome = late.join_next().await.expect("one task").expect("no panic");
    let failure = outcome.err().map(|error| {
        let error = error.as_db_error().expect("an answer of the server");
        format!("{} {}", error.code().code(), error.message())
    });
    (w, failure)
}

const FIRST: &str = "mutation{updateAccount(id:1,expectedVersion:1,set:{balance:10}){id}}";
const SECOND: &str = "mutation{updateAccount(id:1,expectedVersion:1,set:{balance:20}){id}}";

#[tokio::test]
async fn of_two_at_one_time_the_second_conflicts() {
    let (w, failure) = race("READ COMMITTED", FIRST, SECOND).await;
    let failure = failure.expect("the second one fails");
    assert!(failure.starts_with("22P02") && failure.contains(CONFLICT), "{failure}");
    assert_eq!(w.scalar("select balance || ':' || version from account where id = 1").await, "10:2");
    let delete = "mutation{deleteAccount(id:1,expectedVersion:1){id}}";
    let (w, failure) = race("READ COMMITTED", FIRST, delete).await;
    assert!(failure.expect("the second one fails").contains(CONFLICT));
    assert_eq!(w.scalar("select balance || ':' || version from account where id = 1").await, "10:2");
    let (w, failure) = race("READ COMMITTED", delete, SECOND).await;
    assert_eq!(failure, None, "a row that is gone is null and no conflict");
    assert_eq!(w.scalar("select count(*)::text from account").await, "2");
}

#[tokio::test]
async fn under_repeatable_read_postgresql_itself_refuses() {
    let (w, failure) = race("REPEATABLE READ", FIRST, SECOND).await;
    assert!(failure.as_deref().is_some_and(|failure| failure.starts_with("40001")), "{failure:?}");
    assert_eq!(w.scalar("select balance || ':' || version from account where id = 1").await, "10:2");
}
