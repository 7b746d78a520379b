//! Catalogs of real databases: the examples, and the nastiest one that is legal.

use std::path::Path;

use fraiseql_compile::{DIRECTIVES, InitOptions, Source, compile, init};
use fraiseql_model::catalog::Catalog;
use fraiseql_model::diagnostic::Severity;
use fraiseql_postgres::{Target, connect_control, read_catalog};
use fraiseql_testkit::{Database, chinook_sql, nasty_sql};

async fn catalog(database: &Database, schemas: &[&str]) -> Catalog {
    let client = connect_control(&Target::parse(&database.url()).unwrap()).await.unwrap();
    let schemas: Vec<String> = schemas.iter().map(|schema| (*schema).to_owned()).collect();
    read_catalog(&client, &schemas).await.unwrap()
}

fn example(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[tokio::test]
async fn the_chinook_example_is_what_init_writes() {
    let database = Database::from_template("chinook", &chinook_sql()).await;
    let output = init(&catalog(&database, &["public"]).await, &InitOptions::default());
    assert_eq!(output.schema, example("chinook/schema.graphql"));
    assert_eq!(DIRECTIVES, example("chinook/directives.graphql"));
}

#[tokio::test]
async fn the_guide_example_is_what_init_writes() {
    let database = Database::new().await;
    database.execute(&example("guide/seed.sql")).await;
    let output = init(&catalog(&database, &["public"]).await, &InitOptions::default());
    assert_eq!(output.schema, example("guide/schema.graphql"));
    assert_eq!(DIRECTIVES, example("guide/directives.graphql"));
}

#[tokio::test]
async fn what_init_writes_for_the_nastiest_database_compiles() {
    let database = Database::new().await;
    database.execute(&nasty_sql()).await;
    let client = database.client().await;
    let sql =
        "SELECT array_agg(nspname::text) FROM pg_namespace WHERE nspname !~ '^pg_|^information_schema$'";
    let schemas: Vec<String> = client.query_one(sql, &[]).await.unwrap().get(0);
    let schemas: Vec<&str> = schemas.iter().map(String::as_str).collect();
    let catalog = catalog(&database, &schemas).await;
    let output = init(&catalog, &InitOptions { role: "it's \"$fraiseql$\"".to_owned(), writes: true });
    let source = Source { file: "schema.graphql", text: &output.schema };
    let compiled = compile(source, &catalog, "test");
    let errors: Vec<String> = compiled
        .diagnostics
        .iter()
        .filter(|found| found.severity == Severity::Error)
        .map(|found| found.render(Some(&output.schema)))
        .collect();
    assert!(errors.is_empty(), "{}\n{}", errors.concat(), output.schema);
    fraiseql_engine::Schema::load(compiled.artifact.unwrap()).unwrap();
    // The grants are SQL that runs, twice, whatever the role is called.
    database.execute(&output.grants).await;
    database.execute(&output.grants).await;
}

/// The role of the GRANTs can do what the schema does, and nothing else.
#[tokio::test]
async fn the_grants_are_enough_and_no_more() {
    let database = Database::new().await;
    let sql = "
        CREATE TABLE artist (artist_id serial PRIMARY KEY, name text);
        CREATE SEQUENCE apart; CREATE TABLE ticket (id int8 PRIMARY KEY DEFAULT nextval('apart'), code text);
        CREATE TABLE secret (id int PRIMARY KEY);
        CREATE FUNCTION artists_like(pattern text) RETURNS SETOF artist STABLE LANGUAGE sql
            AS 'SELECT * FROM artist WHERE name LIKE pattern';
        CREATE FUNCTION hidden() RETURNS int STABLE LANGUAGE sql AS 'SELECT 1';
        REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC;
        REVOKE ALL ON SCHEMA public FROM PUBLIC;";
    database.execute(sql).await;
    let catalog = catalog(&database, &["public"]).await;
    let text = r#"
        type Query { artistsLike(pattern: String!): [Artist!]! @function  tickets: [Ticket!]! }
        type Artist @relation(name: "artist") @write(insert: true) { artistId: Int!  name: String }
        type Ticket @relation(name: "ticket") @write(insert: true, delete: true) { id: BigInt! }"#;
    let artifact = compile(Source { file: "schema.graphql", text }, &catalog, "test").artifact.unwrap();
    database.execute(&fraiseql_compile::grants(&artifact, &catalog, "compile_service")).await;
    let target = Target::parse(&database.url_as("compile_service")).unwrap();
    let service = connect_control(&target).await.unwrap();
    for (sql, allowed) in [
        ("SELECT artist_id, name FROM artists_like('%')", true),
        ("INSERT INTO artist (name) VALUES ('x') RETURNING artist_id", true),
        ("INSERT INTO ticket DEFAULT VALUES RETURNING id", true),
        ("DELETE FROM ticket RETURNING id", true),
        ("UPDATE artist SET name = 'y'", false),
        ("DELETE FROM artist", false),
        ("SELECT code FROM ticket", false),
        ("SELECT * FROM secret", false),
        ("SELECT hidden()", false),
        ("CREATE TABLE mine (a int)", false),
    ] {
        let outcome = service.batch_execute(sql).await;
        assert_eq!(outcome.is_ok(), allowed, "{sql}: {outcome:?}");
    }
}
