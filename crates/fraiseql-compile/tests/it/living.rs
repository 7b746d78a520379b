//! Catalogs of real databases: the examples, and the nastiest one that is legal.

use apollo_compiler::Schema;
use apollo_compiler::ast::Type;
use apollo_compiler::schema::ExtendedType;
use fraiseql_compile::{DIRECTIVES, InitOptions, Source, compile, init};
use fraiseql_engine::{Document, Limits, MutationStep, Plan, Variables, plan};
use fraiseql_model::artifact::QueryField;
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
    let path = fraiseql_testkit::checkout().join("examples").join(path);
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
    let output =
        init(&catalog, &InitOptions { role: "it's \"$fraiseql$\"".to_owned(), writes: true, reads: true });
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

/// Every operator of every filter, every order and every write is SQL that PostgreSQL understands.
#[tokio::test]
async fn whatever_is_offered_can_be_planned() {
    let database = Database::new().await;
    database.execute(&nasty_sql()).await;
    let catalog = catalog(&database, &["public"]).await;
    let text = init(&catalog, &InitOptions::default()).schema;
    let artifact =
        compile(Source { file: "schema.graphql", text: &text }, &catalog, "test").artifact.unwrap();
    let schema = fraiseql_engine::Schema::load(artifact.clone()).unwrap();
    let graphql = Schema::parse_and_validate(&artifact.sdl, "schema.graphql").unwrap();
    let client = database.client().await;
    let mut operations = Vec::new();
    for (field, binding) in &artifact.query {
        let QueryField::List { object } = binding else { continue };
        if object.starts_with("Many") && object != "Many1" {
            continue;
        }
        for input in ["Filter", "OrderBy"] {
            let Some(definition) = graphql.get_input_object(&format!("{object}{input}")) else { continue };
            for member in definition.fields.values() {
                for value in samples(&graphql, &member.ty, 1) {
                    let argument = if input == "Filter" { "where" } else { "orderBy" };
                    operations.push(format!(
                        "{{ {field}({argument}: {{ {}: {value} }}) {{ __typename }} }}",
                        member.name
                    ));
                }
            }
        }
    }
    for field in graphql.get_object("Mutation").unwrap().fields.values() {
        let mut calls = vec![String::new()];
        for argument in &field.arguments {
            let values = samples(&graphql, &argument.ty, 2);
            calls = calls
                .iter()
                .flat_map(|call| values.iter().map(move |value| format!("{call} {}: {value}", argument.name)))
                .collect();
        }
        operations.extend(
            calls.iter().map(|call| format!("mutation {{ {}({call}) {{ __typename }} }}", field.name)),
        );
    }
    assert!(operations.len() > 1_000, "{}", operations.len());
    let mut refused = Vec::new();
    for operation in &operations {
        for sql in planned(&schema, operation) {
            if let Err(error) = client.prepare(&sql).await {
                let why =
                    error.as_db_error().map_or_else(|| error.to_string(), |error| error.message().to_owned());
                refused.push(format!("{operation}\n  {why}"));
            }
        }
    }
    assert!(refused.is_empty(), "{} of {}:\n{}", refused.len(), operations.len(), refused.join("\n"));
}

fn planned(schema: &fraiseql_engine::Schema, operation: &str) -> Vec<String> {
    let limits = Limits::default();
    let document =
        Document::parse(schema, operation, &limits).unwrap_or_else(|error| panic!("{operation}: {error:?}"));
    let variables = Variables::coerce(schema, &document, None, &serde_json::Map::new()).unwrap();
    match plan(schema, &document, None, &variables, &limits)
        .unwrap_or_else(|error| panic!("{operation}: {error:?}"))
    {
        Plan::Query(query) => {
            query.statement.into_iter().map(|statement| statement.sql.to_string()).collect()
        }
        Plan::Mutation(mutation) => mutation
            .fields
            .into_iter()
            .flat_map(|field| match field {
                MutationStep::Write(write) => write.statements,
                MutationStep::Static { .. } => Vec::new(),
            })
            // The second statement of a write reads what the first one left in the session.
            .map(|statement| statement.sql.to_string())
            .collect(),
    }
}

/// Literals of a type: one for each field of an input object, or one whole for an input of a write.
fn samples(graphql: &Schema, ty: &Type, depth: usize) -> Vec<String> {
    if ty.is_list() {
        return samples(graphql, ty.item_type(), depth).iter().map(|item| format!("[{item}]")).collect();
    }
    let name = ty.inner_named_type().as_str();
    let literal = match name {
        "Int" => "1",
        "Float" => "1.5",
        "Boolean" => "true",
        "JSON" => "{a: 1}",
        "UUID" => "\"123e4567-e89b-12d3-a456-426614174000\"",
        "Bytes" => "\"aGk=\"",
        "Date" => "\"2026-01-31\"",
        "DateTime" | "LocalDateTime" => "\"2026-01-31T23:59:59\"",
        "Time" => "\"23:59:59\"",
        "BigInt" | "Decimal" | "ID" => "\"1\"",
        _ => "\"x\"",
    };
    match graphql.types.get(name) {
        Some(ExtendedType::Enum(found)) => found.values.keys().take(1).map(ToString::to_string).collect(),
        Some(ExtendedType::InputObject(found)) if name.ends_with("Input") => {
            // Nested rows have tests of their own, and give what the columns give already.
            let nests = |ty: &Type| {
                let name = ty.inner_named_type();
                name.ends_with("NestedInput") || name.ends_with("NestedListInput")
            };
            let fields: Vec<String> = found
                .fields
                .values()
                .filter(|field| !nests(&field.ty))
                .flat_map(|field| {
                    samples(graphql, &field.ty, depth)
                        .into_iter()
                        .map(move |value| format!("{}: {value}", field.name))
                })
                .collect();
            vec![format!("{{ {} }}", fields.join(", "))]
        }
        Some(ExtendedType::InputObject(_)) if depth == 0 => vec!["{}".to_owned()],
        Some(ExtendedType::InputObject(found)) => found
            .fields
            .values()
            .flat_map(|field| {
                // Filters and aggregates lead to each other: whole trees of both would never end.
                let depth = if name.ends_with("AggregateFilter") { depth.min(1) } else { depth };
                let values = samples(graphql, &field.ty, depth - 1);
                values.into_iter().map(move |value| format!("{{ {}: {value} }}", field.name))
            })
            .collect(),
        _ => vec![literal.to_owned()],
    }
}
