//! What the guard is told of a database, against a real one.

use std::collections::BTreeSet;

use fraiseql_locks::{GuardRequest, GuardedRelease, LiveDependents, SqlFile, guard};
use fraiseql_migrate::live_dependents;
use fraiseql_model::manifest::{Manifest, Read};
use fraiseql_testkit::Database;

const SCHEMA: &str = "
    CREATE TABLE t (id int PRIMARY KEY, a text, b text DEFAULT 'x', day date);
    CREATE TABLE log (line text);
    CREATE VIEW by_column AS SELECT id, a FROM t;
    CREATE VIEW above AS SELECT id FROM by_column;
    CREATE VIEW whole_jsonb AS SELECT id, to_jsonb(t) AS data FROM t;
    CREATE VIEW whole_json AS SELECT row_to_json(x) AS data FROM t AS x;
    CREATE VIEW whole_list AS SELECT jsonb_agg(t ORDER BY id) AS data FROM t;
    CREATE MATERIALIZED VIEW kept AS SELECT id, b FROM t;
    CREATE FUNCTION shorten(text) RETURNS text LANGUAGE sql AS $$ SELECT left($1, 3) $$;
    CREATE VIEW calling AS SELECT shorten(a) AS a FROM t;
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO log (line) VALUES (NEW.a); RETURN NEW; END $$;
    CREATE TRIGGER noted AFTER INSERT ON t FOR EACH ROW EXECUTE PROCEDURE note();
    CREATE FUNCTION runs_anything(what text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE what; END $$;
    CREATE UNIQUE INDEX t_a ON t (a, day);
    CREATE SCHEMA app;
    CREATE TABLE app.parts (id int, day date NOT NULL) PARTITION BY RANGE (day);
    CREATE TABLE app.part PARTITION OF app.parts FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
";

fn set(words: &str) -> BTreeSet<String> {
    words.split_whitespace().map(str::to_owned).collect()
}

/// Returns what breaks for a release that reads one column of one relation: what lies in between.
fn broken(live: &LiveDependents, relation: &str, column: &str, sql: &str) -> BTreeSet<String> {
    let columns = [(column.to_owned(), set("Field.one"))].into();
    let mut manifest = Manifest::default();
    manifest.reads.insert(relation.to_owned(), Read { columns, ..Read::default() });
    let releases = [GuardedRelease { name: "r".to_owned(), manifest }];
    let files = [SqlFile { name: "a.sql", text: sql }];
    let request = GuardRequest { files: &files, releases: &releases, live, acknowledged: &[] };
    let broken = guard(&request).unwrap();
    let of_release = broken.into_iter().filter(|broken| broken.release.is_some());
    of_release.map(|broken| broken.through.unwrap_or(broken.object)).collect()
}

#[tokio::test]
async fn views_functions_and_keys_are_found() {
    let database = Database::new().await;
    database.execute(SCHEMA).await;
    let live = live_dependents(&database.client().await).await.unwrap();

    let t = &live.relations["public.t"];
    assert_eq!(t.columns["day"], "date");
    assert_eq!((&t.not_null, &t.defaults), (&set("id"), &set("b")));
    assert_eq!(t.calls, set("public.note"));
    assert_eq!(live.relations["public.by_column"].reads["public.t"], set("id a"));
    assert_eq!(live.relations["public.kept"].reads["public.t"], set("id b"));
    assert_eq!(live.relations["public.calling"].calls, set("public.shorten"));
    for view in ["whole_jsonb", "whole_json", "whole_list"] {
        assert_eq!(live.relations[&format!("public.{view}")].whole_rows, set("public.t"), "{view}");
    }
    assert!(live.relations["public.by_column"].whole_rows.is_empty());
    assert!(live.relations["app.part"].reads.contains_key("app.parts"));
    assert!(live.relations["app.parts"].reads.contains_key("app.part"));
    assert_eq!(live.keys["t_a"], ("public.t".to_owned(), vec!["a".to_owned(), "day".to_owned()]));
    assert_eq!(live.search_path, ["public"]);
    assert!(!live.functions["public.note"].bodies.is_empty());
}

#[tokio::test]
async fn what_postgresql_lets_go_the_guard_does_not() {
    let database = Database::new().await;
    database.execute(SCHEMA).await;
    let live = live_dependents(&database.client().await).await.unwrap();
    let drop_b = "ALTER TABLE t DROP COLUMN b;";
    assert_eq!(broken(&live, "public.whole_jsonb", "data", drop_b), set("public.whole_jsonb"));
    assert_eq!(broken(&live, "public.by_column", "a", drop_b), set(""));
    let drop_day = "ALTER TABLE t DROP COLUMN day;";
    assert_eq!(broken(&live, "public.whole_list", "data", drop_day), set("public.whole_list"));
    assert_eq!(broken(&live, "public.kept", "b", drop_day), set(""));
    let drop_a = "ALTER TABLE t DROP COLUMN a CASCADE;";
    assert_eq!(broken(&live, "public.above", "id", drop_a), set("public.by_column public.note"));
    assert_eq!(broken(&live, "public.calling", "a", "DROP FUNCTION shorten(text);"), set("public.calling"));
    assert_eq!(broken(&live, "public.t", "id", "ALTER TABLE log DROP COLUMN line;"), set("public.note"));
    assert_eq!(
        broken(&live, "app.part", "day", "ALTER TABLE app.parts DROP COLUMN day;"),
        set("app.part.day")
    );
    // PostgreSQL itself drops the column, and the key is gone from the JSON.
    database.execute("INSERT INTO t (id) VALUES (1); ALTER TABLE t DROP COLUMN day").await;
    let row = database.client().await.query_one("SELECT data ? 'day' FROM whole_jsonb", &[]).await.unwrap();
    assert!(!row.get::<_, bool>(0));
}
