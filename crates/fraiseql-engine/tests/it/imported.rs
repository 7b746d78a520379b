//! A project of FraiseQL 2 as it is imported: its views, its documents and its functions answer.

use fraiseql_compile::import;
use serde_json::Value;

use crate::world::World;

const AUTHORED: &str = r#"{
  "version": "2.0.0",
  "types": [
    { "name": "Reader", "sql_source": "v_reader", "jsonb_column": "data", "fields": [
      { "name": "id", "type": "ID", "nullable": false },
      { "name": "full_name", "type": "String", "nullable": false },
      { "name": "age", "type": "Int", "nullable": true },
      { "name": "tags", "type": "[String!]", "nullable": true },
      { "name": "home", "type": "Home", "nullable": true },
      { "name": "joined_at", "type": "DateTime", "nullable": true },
      { "name": "loans", "type": "[Loan!]", "nullable": false } ] },
    { "name": "Home", "fields": [
      { "name": "city", "type": "String", "nullable": false },
      { "name": "postal_code", "type": "String", "nullable": true } ] },
    { "name": "Loan", "fields": [
      { "name": "title", "type": "String", "nullable": false },
      { "name": "due_on", "type": "Date", "nullable": true } ] },
    { "name": "Book", "sql_source": "tv_book", "jsonb_column": "data", "fields": [
      { "name": "id", "type": "ID", "nullable": false },
      { "name": "title", "type": "String", "nullable": false },
      { "name": "page_count", "type": "Int", "nullable": true, "requires_scope": "read:pages" },
      { "name": "author", "type": "Author", "nullable": true } ] },
    { "name": "Author", "fields": [{ "name": "full_name", "type": "String", "nullable": false }] }
  ],
  "queries": [
    { "name": "readers", "return_type": "Reader", "returns_list": true, "nullable": false, "sql_source": "v_reader",
      "arguments": [], "auto_params": { "where": true, "order_by": true, "limit": true, "offset": true },
      "inject_params": { "tenant_id": "jwt:tenant_id" } },
    { "name": "reader", "return_type": "Reader", "returns_list": false, "nullable": true, "sql_source": "v_reader",
      "arguments": [{ "name": "id", "type": "ID", "nullable": false }] },
    { "name": "books", "return_type": "Book", "returns_list": true, "nullable": false, "sql_source": "tv_book",
      "arguments": [], "cache_ttl_seconds": 300 }
  ],
  "mutations": [
    { "name": "rename_reader", "return_type": "Reader", "sql_source": "fn_rename_reader", "operation": "UPDATE",
      "arguments": [{ "name": "reader_id", "type": "ID", "nullable": false },
                    { "name": "full_name", "type": "String", "nullable": false }] }
  ],
  "subscriptions": [{ "name": "reader_renamed", "return_type": "Reader" }]
}"#;

const DATABASE: &str = r#"
CREATE TABLE tb_reader (pk_reader int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id uuid NOT NULL UNIQUE,
  identifier text NOT NULL UNIQUE, full_name text NOT NULL, age int, tags text[], city text, joined_at timestamptz);
CREATE TABLE tb_book (pk_book int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id uuid NOT NULL UNIQUE, title text NOT NULL,
  page_count int, author text);
CREATE TABLE tb_loan (pk_loan int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, fk_reader int NOT NULL REFERENCES tb_reader,
  fk_book int NOT NULL REFERENCES tb_book, due_on date);
CREATE INDEX ON tb_loan (fk_reader);
INSERT INTO tb_reader (id, identifier, full_name, age, tags, city, joined_at) VALUES
  ('00000000-0000-0000-0000-000000000001', 'ada', 'Ada Byron', 36, '{math,poetry}', 'London', '2026-01-01 10:00+02'),
  ('00000000-0000-0000-0000-000000000002', 'alan', 'Alan Turing', 41, '{}', NULL, NULL),
  ('00000000-0000-0000-0000-000000000003', 'grace', 'Grace 100% Hopper', NULL, NULL, 'New York', '2026-03-01 00:00+00');
INSERT INTO tb_book (id, title, page_count, author) VALUES
  ('10000000-0000-0000-0000-000000000001', 'Notes', 66, 'Luigi'), ('10000000-0000-0000-0000-000000000002', 'Lost', NULL, NULL);
INSERT INTO tb_loan (fk_reader, fk_book, due_on) VALUES (1, 1, '2026-02-01'), (1, 2, NULL), (3, 1, '2026-02-02');
CREATE VIEW v_reader AS SELECT r.id, jsonb_build_object('id', r.id, 'full_name', r.full_name, 'age', r.age, 'tags', r.tags,
  'home', CASE WHEN r.city IS NOT NULL THEN jsonb_build_object('city', r.city, 'postal_code', NULL) END,
  'joined_at', r.joined_at, 'loans', coalesce((SELECT jsonb_agg(jsonb_build_object('title', b.title, 'due_on', l.due_on)
    ORDER BY l.pk_loan) FROM tb_loan l JOIN tb_book b ON b.pk_book = l.fk_book WHERE l.fk_reader = r.pk_reader), '[]')) AS data
  FROM tb_reader r;
CREATE TABLE tv_book (id uuid PRIMARY KEY, data jsonb NOT NULL);
INSERT INTO tv_book SELECT id, jsonb_build_object('id', id, 'title', title, 'page_count', page_count,
  'author', CASE WHEN author IS NOT NULL THEN jsonb_build_object('full_name', author) END) FROM tb_book;
CREATE TYPE mutation_response AS (succeeded boolean, state_changed boolean, error_class text, status_detail text,
  http_status smallint, message text, entity_id uuid, entity_type text, entity jsonb, updated_fields text[], cascade jsonb,
  error_detail jsonb, metadata jsonb);
CREATE FUNCTION fn_rename_reader(reader_id uuid, full_name text) RETURNS mutation_response LANGUAGE plpgsql AS $$
DECLARE r mutation_response; BEGIN
  IF fn_rename_reader.full_name = '' THEN
    r.succeeded := false; r.error_class := 'validation'; r.status_detail := 'empty_name'; r.message := 'a name is needed';
    RETURN r;
  END IF;
  UPDATE tb_reader t SET full_name = fn_rename_reader.full_name WHERE t.id = reader_id;
  IF NOT FOUND THEN
    r.succeeded := false; r.error_class := 'not_found'; r.status_detail := 'reader_missing'; r.message := 'nobody';
    RETURN r;
  END IF;
  r.succeeded := true; r.state_changed := true; r.message := 'renamed'; r.entity_id := reader_id; r.entity_type := 'Reader';
  SELECT v.data INTO r.entity FROM v_reader v WHERE v.id = reader_id;
  RETURN r;
END $$;
"#;

async fn world() -> World {
    World::made(DATABASE, |_| import(AUTHORED).expect("an authoring file").schema).await
}

#[tokio::test]
async fn its_documents_are_read_as_they_are_in_the_tables() {
    let w = world().await;
    w.check(
        "{readers(orderBy:{fullName:ASC}){id fullName age tags home{city postalCode} joinedAt loans{title dueOn}} \
         books(orderBy:{title:DESC}){id title pageCount author{fullName}}}",
        "{}",
        "select json_build_object('readers', (select json_agg(json_build_object('id', id, 'fullName', full_name, 'age', age, \
         'tags', tags, 'home', case when city is not null then json_build_object('city', city, 'postalCode', null) end, \
         'joinedAt', joined_at, 'loans', (select coalesce(json_agg(json_build_object('title', title, \
         'dueOn', due_on) order by pk_loan), '[]') from tb_loan join tb_book on pk_book = fk_book where fk_reader = pk_reader)) \
         order by full_name) from tb_reader), 'books', (select json_agg(json_build_object('id', id, 'title', title, 'pageCount', \
         page_count, 'author', case when author is not null then json_build_object('fullName', author) end) order by title desc) \
         from tb_book))",
    )
    .await;
    w.check(
        "query($id:ID!){reader(id:$id){fullName} nobody:reader(id:\"20000000-0000-0000-0000-000000000000\"){id}}",
        r#"{"id":"00000000-0000-0000-0000-000000000002"}"#,
        r#"select '{"reader":{"fullName":"Alan Turing"},"nobody":null}'::json"#,
    )
    .await;
}

#[tokio::test]
async fn its_operators_find_what_sql_finds() {
    let w = world().await;
    for (filter, condition) in [
        ("fullName:{eq:\"Ada Byron\"}", "full_name = 'Ada Byron'"),
        ("fullName:{neq:\"Ada Byron\"}", "full_name <> 'Ada Byron'"),
        ("fullName:{contains:\"100%\"}", "full_name like '%100\\%%'"),
        ("fullName:{icontains:\"TURING\"}", "full_name ilike '%turing%'"),
        ("fullName:{startswith:\"A\"}", "full_name like 'A%'"),
        ("fullName:{istartswith:\"aD\"}", "full_name ilike 'ad%'"),
        ("fullName:{endswith:\"n\"}", "full_name like '%n'"),
        ("fullName:{iendswith:\"G\"}", "full_name ilike '%g'"),
        ("fullName:{like:\"A_a%\"}", "full_name like 'A_a%'"),
        ("fullName:{ilike:\"a%\"}", "full_name ilike 'a%'"),
        ("fullName:{regex:\"^A.*g$\"}", "full_name ~ '^A.*g$'"),
        ("fullName:{iregex:\"^a\"}", "full_name ~* '^a'"),
        ("age:{gt:36}", "age > 36"),
        ("age:{gte:36,lt:41}", "age >= 36 and age < 41"),
        ("age:{in:[36,1]}", "age in (36, 1)"),
        ("age:{nin:[36]}", "age not in (36)"),
        ("age:{isnull:true}", "age is null"),
        ("joinedAt:{lte:\"2026-01-01T08:00:00Z\"}", "joined_at <= '2026-01-01 08:00+00'"),
        (
            "id:{in:[\"00000000-0000-0000-0000-000000000003\"]}",
            "id in ('00000000-0000-0000-0000-000000000003')",
        ),
        ("_or:[{age:{eq:41}},{_not:{fullName:{startswith:\"A\"}}}]", "age = 41 or not full_name like 'A%'"),
    ] {
        w.check_filter("readers", "id", "tb_reader", "id", filter, condition).await;
    }
}

#[tokio::test]
async fn its_functions_tell_of_success_and_of_errors() {
    let w = world().await;
    let query = "mutation($id:ID!,$n:String!){renameReader(readerId:$id,fullName:$n){__typename \
                 ...on RenameReaderSuccess{reader{id fullName loans{title}}} ...on MutationFailure{message code status}}}";
    let run = |id: u8, name: &'static str| {
        let variables = format!(r#"{{"id":"00000000-0000-0000-0000-{id:012}","n":"{name}"}}"#);
        let w = &w;
        async move { w.run(query, &variables).await.expect("an answer") }
    };
    let answer = |json: &str| -> Value { serde_json::from_str(json).expect("JSON") };
    assert_eq!(
        run(3, "Grace").await,
        answer(
            r#"{"renameReader":{"__typename":"RenameReaderSuccess","reader":{"id":"00000000-0000-0000-0000-000000000003","fullName":"Grace","loans":[{"title":"Notes"}]}}}"#
        )
    );
    assert_eq!(w.scalar("select full_name from tb_reader where identifier = 'grace'").await, "Grace");
    assert_eq!(
        run(3, "").await,
        answer(
            r#"{"renameReader":{"__typename":"MutationFailure","message":"a name is needed","code":"validation","status":"empty_name"}}"#
        )
    );
    assert_eq!(
        run(9, "Nobody").await,
        answer(
            r#"{"renameReader":{"__typename":"MutationFailure","message":"nobody","code":"not_found","status":"reader_missing"}}"#
        )
    );
}

#[test]
fn the_report_names_what_has_no_equal() {
    let notes = import(AUTHORED).expect("an authoring file").notes;
    let named: Vec<&str> = notes.iter().map(|note| note.what.as_str()).collect();
    for expected in [
        "query readers inject_params",
        "query books cache_ttl_seconds",
        "type Book, field page_count requires_scope",
        "subscription reader_renamed",
    ] {
        assert!(named.contains(&expected), "{expected}: {named:?}");
    }
}
