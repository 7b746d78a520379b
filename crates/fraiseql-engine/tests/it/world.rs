//! A database with its compiled schema, and questions to it that are answered in two ways.

use bytes::Bytes;
use fraiseql_compile::{Source, compile};
use fraiseql_engine::{
    Document, FieldValue, Limits, MutationStep, Plan, QueryPlan, Schema, Statement, Variables, bind,
    complete, plan, plan_singles,
};
use fraiseql_model::catalog::Catalog;
use fraiseql_model::identity::Identity;
use fraiseql_postgres::{
    Pool, PoolOptions, PostgresError, Query, Session, Target, connect_control, read_catalog,
};
use fraiseql_testkit::{Database, chinook_sql};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;

const CHINOOK_SCHEMA: &str = include_str!("../../../../examples/chinook/schema.graphql");

/// A database and the schema that was compiled for it.
pub(crate) struct World {
    pub(crate) database: Database,
    pub(crate) schema: Schema,
    /// Who asks.
    pub(crate) caller: Arc<Identity>,
    pool: Pool,
}

impl World {
    /// Chinook with the example's own schema.
    pub(crate) async fn chinook() -> Self {
        let database = Database::from_template("chinook", &chinook_sql()).await;
        Self::new(database, |_| CHINOOK_SCHEMA.to_owned()).await
    }

    /// A database made by `sql`, with the schema that `make` gives for its catalog.
    pub(crate) async fn made(sql: &str, make: impl FnOnce(&Catalog) -> String) -> Self {
        let database = Database::new().await;
        database.execute(sql).await;
        Self::new(database, make).await
    }

    async fn new(database: Database, make: impl FnOnce(&Catalog) -> String) -> Self {
        let target = Target::parse(&database.url()).expect("testkit's URL");
        let control = connect_control(&target).await.expect("the scratch server answers");
        let catalog = read_catalog(&control, &["public".to_owned()]).await.expect("the catalog is readable");
        let text = make(&catalog);
        let compiled = compile(Source { file: "schema.graphql", text: &text }, &catalog, "test");
        let problems: String = compiled
            .diagnostics
            .iter()
            .filter(|diagnostic| diagnostic.severity == fraiseql_model::diagnostic::Severity::Error)
            .map(|diagnostic| diagnostic.render(Some(&text)))
            .collect();
        let artifact = compiled.artifact.unwrap_or_else(|| panic!("{problems}"));
        let schema = Schema::load(artifact).expect("the compiler's artifact is sound");
        let pool = Pool::new(target, PoolOptions { size: 2, connect_timeout: Duration::from_secs(60) });
        Self { database, schema, caller: Arc::default(), pool }
    }

    pub(crate) async fn execute(&self, sql: &str) {
        self.database.execute(sql).await;
    }

    /// Returns the only value of a query.
    pub(crate) async fn scalar(&self, sql: &str) -> String {
        let client = self.database.client().await;
        client.query_one(sql, &[]).await.expect("the query runs").get(0)
    }

    /// Returns the statements of the only root field of a mutation, each with its parameters as text.
    pub(crate) fn statements(&self, text: &str, variables: &str) -> Vec<(String, Vec<Option<String>>)> {
        let limits = Limits::default();
        let document = Document::parse(&self.schema, text, &limits).expect("the operation fits");
        let raw: Map<String, Value> = serde_json::from_str(variables).expect("variables are an object");
        let variables = Variables::coerce(&self.schema, &document, None, &raw).expect("the variables fit");
        let Plan::Mutation(mut plan) =
            plan(&self.schema, &document, None, &variables, &limits).expect("a plan")
        else {
            panic!("{text} is no mutation")
        };
        let Some(MutationStep::Write(write)) = plan.fields.pop() else { panic!("{text} writes nothing") };
        let text = |bytes: Bytes| String::from_utf8(bytes.to_vec()).expect("text");
        let bound = |statement: &Statement| {
            let params = bind(statement, &variables).expect("the plan fits");
            (statement.sql.to_string(), params.into_iter().map(|param| param.map(text)).collect())
        };
        write.statements.iter().map(bound).collect()
    }

    /// Runs an operation and returns `data`, or the first error.
    pub(crate) async fn run(&self, text: &str, variables: &str) -> Result<Value, String> {
        let limits = Limits { aliases: 5_000, ..Limits::default() };
        let first = |errors: Vec<fraiseql_model::response::GraphqlError>| {
            let error = &errors[0];
            format!("{}: {}", error.extensions.code, error.message)
        };
        let document = Document::parse(&self.schema, text, &limits).map_err(first)?;
        let raw: Map<String, Value> = serde_json::from_str(variables).expect("variables are an object");
        let variables = Variables::coerce(&self.schema, &document, None, &raw).map_err(first)?;
        let variables = variables.asked_by(&self.caller);
        let plan = plan(&self.schema, &document, None, &variables, &limits).map_err(first)?;
        let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
        let mut session = self.pool.acquire(deadline).await.expect("a session");
        let mut data = Map::new();
        match plan {
            Plan::Query(query) => {
                let rows = match &query.statement {
                    Some(statement) => rows(&mut session, &[statement], &variables, 0).await?,
                    None => Vec::new(),
                };
                for field in query.fields {
                    let value = match field.value {
                        FieldValue::Static(json) => parse(&json),
                        FieldValue::Column(column) => rows
                            .first()
                            .and_then(|row| row[column].as_ref())
                            .map_or(Value::Null, |json| parse(json)),
                        FieldValue::Rows => rows
                            .iter()
                            .map(|row| row[0].as_ref().map_or(Value::Null, |json| parse(json)))
                            .collect(),
                    };
                    data.insert(field.key, value);
                }
            }
            Plan::Mutation(mutation) => {
                for step in mutation.fields {
                    match step {
                        MutationStep::Static { key, value } => data.insert(key, parse(&value)),
                        MutationStep::Write(write) => {
                            let statements: Vec<&Statement> = write.statements.iter().collect();
                            let rows = rows(&mut session, &statements, &variables, write.result).await?;
                            let value = rows.first().and_then(|row| row[0].as_ref());
                            data.insert(write.key, value.map_or(Value::Null, |json| parse(json)))
                        }
                    };
                }
            }
        }
        Ok(Value::Object(data))
    }

    /// Returns the statement of a query.
    pub(crate) fn statement(&self, text: &str) -> Statement {
        let limits = Limits::default();
        let document = Document::parse(&self.schema, text, &limits).expect("a query");
        let plan = plan(&self.schema, &document, None, &Variables::default(), &limits).expect("a plan");
        match plan {
            Plan::Query(query) => query.statement.expect("a statement"),
            Plan::Mutation(_) => panic!("{text} is no query"),
        }
    }

    /// Asserts what a query gives field by field with nulls let through, after they have bubbled.
    pub(crate) async fn check_singles(&self, text: &str, expected: &str) {
        let limits = Limits::default();
        let document = Document::parse(&self.schema, text, &limits).expect("a query");
        let variables = Variables::default();
        let singles = plan_singles(&self.schema, &document, None, &variables, &limits).expect("a plan");
        let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
        let mut session = self.pool.acquire(deadline).await.expect("a session");
        let mut told = String::new();
        for single in &singles {
            let rows = rows(&mut session, &[single.statement.as_ref().expect("a read")], &variables, 0).await;
            let rows = rows.expect("nulls do not raise here");
            let json = rows.first().and_then(|row| row[0].as_deref());
            let completed = complete(&single.shape, &single.key, json);
            let value = completed.value.map_or_else(|| "bubbled".to_owned(), |value| value.to_string());
            told.push_str(&format!("{}: {value}\n", single.key));
            for error in completed.errors {
                let path = serde_json::to_string(&error.path).expect("a path");
                told.push_str(&format!("  {} at {path}\n", error.message));
            }
        }
        assert_eq!(told, expected, "{text}");
    }

    /// Returns PostgreSQL's plan of a query.
    pub(crate) async fn explain(&self, text: &str, variables: &str) -> String {
        let limits = Limits::default();
        let document = Document::parse(&self.schema, text, &limits).expect("the query is valid");
        let raw: Map<String, Value> = serde_json::from_str(variables).expect("variables are an object");
        let variables = Variables::coerce(&self.schema, &document, None, &raw).expect("the variables fit");
        let plan =
            plan(&self.schema, &document, None, &variables, &limits).expect("the query can be planned");
        let Plan::Query(QueryPlan { statement: Some(statement), .. }) = plan else { panic!("not a query") };
        let explained =
            Statement { sql: format!("EXPLAIN {}", statement.sql).into(), params: statement.params };
        let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
        let mut session = self.pool.acquire(deadline).await.expect("a session");
        let rows = rows(&mut session, &[&explained], &variables, 0).await.expect("the plan is shown");
        let lines = rows
            .iter()
            .map(|row| String::from_utf8_lossy(row[0].as_deref().unwrap_or_default()).into_owned());
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Asserts that an operation's `data` equals the one JSON value that `sql` gives.
    #[track_caller]
    pub(crate) fn check(&self, text: &str, variables: &str, sql: &str) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move {
            let expected =
                parse(self.scalar(&format!("select x::text from ({sql}) as q(x)")).await.as_bytes());
            let found =
                self.run(text, variables).await.unwrap_or_else(|error| panic!("{caller}: {text}: {error}"));
            assert_eq!(found, expected, "{caller}: {text}");
        }
    }

    /// Asserts that an operation is refused, with this code and message.
    #[track_caller]
    pub(crate) fn refuse(&self, text: &str, expected: &str) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move { assert_eq!(self.run(text, "{}").await, Err(expected.to_owned()), "{caller}: {text}") }
    }

    /// Asserts that a filter on a list finds the rows for which the SQL condition holds.
    pub(crate) async fn check_filter(
        &self,
        list: &str,
        field: &str,
        table: &str,
        column: &str,
        filter: &str,
        condition: &str,
    ) {
        let query = format!("{{{list}(where:{{{filter}}},orderBy:{{{field}:ASC}}){{{field}}}}}");
        let sql = format!(
            "select json_build_object('{list}', coalesce((select json_agg(json_build_object('{field}', {column}) \
             order by {column}) from {table} where {condition}), '[]'))"
        );
        self.check(&query, "{}", &sql).await;
    }
}

/// Runs statements under one Sync and returns the rows of the one at `wanted`.
async fn rows(
    session: &mut Session,
    statements: &[&Statement],
    variables: &Variables,
    wanted: usize,
) -> Result<Vec<Vec<Option<Bytes>>>, String> {
    let bound: Vec<_> = statements
        .iter()
        .map(|statement| bind(statement, variables))
        .collect::<Result<_, _>>()
        .map_err(|error| format!("{}: {}", error.extensions.code, error.message))?;
    let batch: Vec<Query<'_>> = statements
        .iter()
        .zip(&bound)
        .map(|(statement, params)| Query { sql: &statement.sql, params })
        .collect();
    let describe = |error: PostgresError| match error {
        PostgresError::Sql(error) => format!("{}: {}\n{}", error.sqlstate, error.message, batch[0].sql),
        other => other.to_string(),
    };
    let mut found = Vec::new();
    let mut stream = session.run(&batch).await.map_err(describe)?;
    while let Some(row) = stream.next().await.map_err(describe)? {
        if row.statement == wanted {
            found.push((0..row.len()).map(|column| row.get(column)).collect());
        }
    }
    Ok(found)
}

fn parse(json: &[u8]) -> Value {
    serde_json::from_slice(json).expect("PostgreSQL writes JSON")
}
