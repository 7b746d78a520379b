//! A small world by hand: tables, a fragile view, functions that sleep, raise and break; and a server on it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fraiseql_engine::Limits;
use fraiseql_model::artifact::{
    ARTIFACT_FORMAT, Artifact, ColumnField, Encoding, Field, FunctionArgument, FunctionCall, FunctionReturn,
    KeyArgument, MutationField, NonNull, ObjectType, QueryField, ValueType,
};
use fraiseql_model::catalog::QualifiedName;
use fraiseql_model::manifest::Manifest;
use fraiseql_postgres::{Pool, PoolOptions, Target};
use fraiseql_serve::{
    Audit, DrainReport, Event, IdentityOptions, LifeOptions, Observe, RateOptions, RequestPolicy,
    ServeOptions, Server, ServerHandle, SubscriptionOptions, SubscriptionSource, UsageRecording,
};
use fraiseql_testkit::{Database, wait_until};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::client;

/// Conditions hold within this, or the test fails.
pub(crate) const SOON: Duration = Duration::from_secs(60);

const SQL: &str = r#"
CREATE TABLE author (
  id int PRIMARY KEY, name text, email text UNIQUE, score int CONSTRAINT score_is_positive CHECK (score >= 0)
);
INSERT INTO author VALUES (1, 'Ada', 'ada@example.org', 10), (2, 'Bob "B" \ é', NULL, 20), (3, NULL, 'c@example.org', NULL);
CREATE TABLE big (id int PRIMARY KEY, payload text);
INSERT INTO big SELECT n, repeat('x', 200) FROM generate_series(1, 40000) AS n;
CREATE VIEW fragile AS SELECT id, payload, 1 / (30000 - id) AS value FROM big;
CREATE TABLE note (id int PRIMARY KEY, text text);
CREATE VIEW authored AS SELECT id, name FROM author;
CREATE VIEW name AS SELECT id, upper(name) AS name FROM authored;
CREATE FUNCTION counted() RETURNS int LANGUAGE sql STABLE AS 'SELECT count(*)::int FROM note';
CREATE FUNCTION slow(seconds float8) RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 1 FROM pg_sleep(seconds)';
CREATE FUNCTION boom() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'out of stock'; END $$;
CREATE FUNCTION broken() RETURNS int LANGUAGE sql VOLATILE AS 'SELECT count(*)::int / (count(*)::int - 1) FROM (SELECT 1) AS one';
CREATE FUNCTION parsed(value text) RETURNS int LANGUAGE sql VOLATILE AS 'SELECT value::int';
CREATE FUNCTION write_note(id int, seconds float8) RETURNS int LANGUAGE sql VOLATILE AS
  'INSERT INTO note VALUES ($1, $2::text); SELECT $1 FROM pg_sleep($2)';
CREATE FUNCTION break_note(id int) RETURNS int LANGUAGE plpgsql AS
  $$ BEGIN INSERT INTO note VALUES (id, 'never'); PERFORM 1 / (id - id); RETURN id; END $$;
"#;

const SDL: &str = r"
type Query {
  authors(where: AuthorFilter, orderBy: [AuthorOrderBy!], limit: Int, offset: Int): [Author!]!
  author(id: Int!): Author
  bigs(limit: Int, offset: Int): [Big!]!
  fragiles(limit: Int, offset: Int): [Fragile!]!
  slow(seconds: Float!): Int
  boom: Int
  broken: Int
  parsed(value: String!): Int
  must: Int!
}
type Mutation {
  insertAuthor(object: AuthorInsertInput!): Author
  writeNote(id: Int!, seconds: Float!): Int
  breakNote(id: Int!): Int
  mustBreak(id: Int!): Int!
}
type Subscription {
  ticks: Int
  authors(where: AuthorFilter, orderBy: [AuthorOrderBy!], limit: Int, offset: Int): [Author!]!
  author(id: Int!): Author
  notes(limit: Int, offset: Int): [Note!]!
  bigs(limit: Int, offset: Int): [Big!]!
  fragiles(limit: Int, offset: Int): [Fragile!]!
  names(limit: Int, offset: Int): [Name!]!
  counted: Int
  slow(seconds: Float!): Int
}
type Note { id: Int! text: String }
type Name { id: Int! name: String }
type Author { id: Int! name: String email: String! score: Int }
type Big { id: Int! payload: String! }
type Fragile { id: Int! payload: String! value: Int }
input AuthorFilter { id: IntFilter name: StringFilter }
input IntFilter { eq: Int in: [Int!] isnull: Boolean }
input StringFilter { eq: String regex: String isnull: Boolean }
input AuthorOrderBy { id: OrderDirection }
input AuthorInsertInput { id: Int! name: String email: String score: Int }
enum OrderDirection { ASC DESC }
";

/// Returns a fresh database with the fixture in it.
pub(crate) async fn database() -> Database {
    Database::from_template("serve", SQL).await
}

fn value(graphql: &str, sql: &str) -> ValueType {
    let encoding = if graphql == "Float" { Encoding::Float } else { Encoding::Plain };
    let sql = format!("\"pg_catalog\".\"{sql}\"");
    ValueType { graphql: graphql.to_owned(), sql, list: false, encoding }
}

fn column(name: &str, graphql: &str, sql: &str, non_null: NonNull) -> (String, Field) {
    let column = ColumnField { column: name.to_owned(), value: value(graphql, sql), non_null, key: None };
    (name.to_owned(), Field::Column(column))
}

fn object(relation: &str, fields: Vec<(String, Field)>) -> ObjectType {
    let relation = QualifiedName::new("public", relation);
    ObjectType {
        relation,
        key: vec!["id".to_owned()],
        fields: fields.into_iter().collect(),
        rows: Vec::new(),
    }
}

fn call(function: &str, arguments: &[(&str, &str, &str)]) -> FunctionCall {
    let argument = |(name, graphql, sql): &(&str, &str, &str)| FunctionArgument {
        argument: (*name).to_owned(),
        parameter: (*name).to_owned(),
        value: value(graphql, sql),
        variadic: false,
    };
    FunctionCall {
        function: QualifiedName::new("public", function),
        arguments: arguments.iter().map(argument).collect(),
        returns: FunctionReturn::Value {
            value: value("Int", "int4"),
            set: false,
            non_null: NonNull::Nullable,
        },
    }
}

fn objects() -> BTreeMap<String, ObjectType> {
    let id = || column("id", "Int", "int4", NonNull::Proven);
    let payload = || column("payload", "String", "text", NonNull::Proven);
    let author = vec![
        id(),
        column("name", "String", "text", NonNull::Nullable),
        column("email", "String", "text", NonNull::Trusted),
        column("score", "Int", "int4", NonNull::Nullable),
    ];
    BTreeMap::from([
        ("Author".to_owned(), object("author", author)),
        ("Note".to_owned(), object("note", vec![id(), column("text", "String", "text", NonNull::Nullable)])),
        ("Name".to_owned(), object("name", vec![id(), column("name", "String", "text", NonNull::Nullable)])),
        ("Big".to_owned(), object("big", vec![id(), payload()])),
        (
            "Fragile".to_owned(),
            object("fragile", vec![id(), payload(), column("value", "Int", "int4", NonNull::Nullable)]),
        ),
    ])
}

fn queries() -> BTreeMap<String, QueryField> {
    let list = |object: &str| QueryField::List { object: object.to_owned() };
    let key = vec![KeyArgument { argument: "id".to_owned(), field: "id".to_owned() }];
    let must = FunctionCall {
        returns: FunctionReturn::Value {
            value: value("Int", "int4"),
            set: false,
            non_null: NonNull::Trusted,
        },
        ..call("boom", &[])
    };
    let fields = [
        ("authors", list("Author")),
        ("author", QueryField::Lookup { object: "Author".to_owned(), key }),
        ("bigs", list("Big")),
        ("fragiles", list("Fragile")),
        ("slow", QueryField::Function(call("slow", &[("seconds", "Float", "float8")]))),
        ("boom", QueryField::Function(call("boom", &[]))),
        ("broken", QueryField::Function(call("broken", &[]))),
        ("parsed", QueryField::Function(call("parsed", &[("value", "String", "text")]))),
        ("must", QueryField::Function(must)),
    ];
    fields.into_iter().map(|(name, field)| (name.to_owned(), field)).collect()
}

fn lives() -> BTreeMap<String, QueryField> {
    let list = |object: &str| QueryField::List { object: object.to_owned() };
    let key = vec![KeyArgument { argument: "id".to_owned(), field: "id".to_owned() }];
    let fields = [
        ("ticks", QueryField::Function(call("boom", &[]))),
        ("authors", list("Author")),
        ("author", QueryField::Lookup { object: "Author".to_owned(), key }),
        ("notes", list("Note")),
        ("bigs", list("Big")),
        ("fragiles", list("Fragile")),
        ("names", list("Name")),
        ("counted", QueryField::Function(call("counted", &[]))),
        ("slow", QueryField::Function(call("slow", &[("seconds", "Float", "float8")]))),
    ];
    fields.into_iter().map(|(name, field)| (name.to_owned(), field)).collect()
}

/// Quick ones, by polling.
fn subscriptions() -> SubscriptionOptions {
    SubscriptionOptions {
        source: SubscriptionSource::Polling,
        poll_interval: Duration::from_millis(50),
        read_interval: Duration::from_millis(10),
        debounce: Duration::from_millis(10),
        ..SubscriptionOptions::default()
    }
}

/// Returns the artifact, sealed.
pub(crate) fn artifact() -> Artifact {
    artifact_with(SDL)
}

/// Returns the artifact with another name for a query field, as a later version would have it.
pub(crate) fn renamed_artifact() -> Artifact {
    let mut artifact = artifact_with(&SDL.replace("  author(id", "  writer(id"));
    for fields in [&mut artifact.query, &mut artifact.subscription] {
        let author = fields.remove("author").unwrap();
        fields.insert("writer".to_owned(), author);
    }
    artifact.seal().0
}

fn artifact_with(sdl: &str) -> Artifact {
    let write = [("id", "Int", "int4"), ("seconds", "Float", "float8")];
    let id = [("id", "Int", "int4")];
    let must_break = FunctionCall {
        returns: FunctionReturn::Value {
            value: value("Int", "int4"),
            set: false,
            non_null: NonNull::Trusted,
        },
        ..call("break_note", &id)
    };
    let mutation = [
        ("insertAuthor", MutationField::InsertOne { object: "Author".to_owned() }),
        ("writeNote", MutationField::Function(call("write_note", &write))),
        ("breakNote", MutationField::Function(call("break_note", &id))),
        ("mustBreak", MutationField::Function(must_break)),
    ];
    let artifact = Artifact {
        format: ARTIFACT_FORMAT,
        digest: String::new(),
        compiler: "test".to_owned(),
        sdl: sdl.to_owned(),
        objects: objects(),
        enums: BTreeMap::new(),
        query: queries(),
        mutation: mutation.into_iter().map(|(name, field)| (name.to_owned(), field)).collect(),
        manifest: Manifest::default(),
        abstracts: BTreeMap::new(),
        documents: BTreeMap::new(),
        subscription: lives(),
        writes: BTreeMap::new(),
        operations: Vec::new(),
        inputs: BTreeMap::new(),
        access: Default::default(),
    };
    artifact.seal().0
}

/// What the server told, as text.
#[derive(Debug, Default)]
pub(crate) struct Events(Mutex<Vec<String>>);

impl Observe for Events {
    fn observe(&self, event: &Event<'_>) {
        self.0.lock().unwrap().push(format!("{event:?}"));
    }
}

impl Events {
    /// Returns the events whose text holds `part`.
    pub(crate) fn with(&self, part: &str) -> Vec<String> {
        self.0.lock().unwrap().iter().filter(|event| event.contains(part)).cloned().collect()
    }
}

/// A server that runs.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) handle: ServerHandle,
    pub(crate) events: Arc<Events>,
    pub(crate) pool: Pool,
    stop: Option<oneshot::Sender<()>>,
    tasks: JoinSet<DrainReport>,
}

impl Running {
    /// Begins the drain.
    pub(crate) fn stop(&mut self) {
        self.stop.take().expect("stopped once").send(()).unwrap();
    }

    /// Waits for the end of the drain.
    pub(crate) async fn ended(mut self) -> DrainReport {
        let ended = tokio::time::timeout(SOON, self.tasks.join_next()).await;
        ended.expect("the drain ends").expect("it was spawned").unwrap()
    }

    /// Waits until readiness says that.
    pub(crate) async fn wait_for(&self, status: &str) {
        let body = format!("{{\"status\":\"{status}\"}}");
        let address = self.address;
        wait_until(SOON, || async { client::get(address, "/health/ready").await.text() == body }).await;
    }
}

/// Returns how many statements run in the database that hold `part`.
pub(crate) async fn running(database: &Database, part: &str) -> i64 {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
               AND state = 'active' AND pid <> pg_backend_pid() AND query LIKE '%' || $1 || '%'";
    database.client().await.query_one(sql, &[&part]).await.unwrap().get(0)
}

/// Waits until so many statements that hold `part` run in the database.
pub(crate) async fn wait_for_running(database: &Database, part: &str, count: i64) {
    wait_until(SOON, || async { running(database, part).await == count }).await;
}

/// Starts a server before the database with the fixture and waits until it is ready.
pub(crate) async fn start(database: &Database) -> Running {
    start_with(&database.url(), |_| ()).await
}

/// The same, with other options.
pub(crate) async fn start_with(url: &str, change: impl FnOnce(&mut ServeOptions)) -> Running {
    let running = start_unready(url, change).await;
    running.wait_for("ready").await;
    running
}

/// Returns what a server on that database is made of, and what it will tell.
pub(crate) fn options(url: &str) -> (ServeOptions, Arc<Events>) {
    let options = PoolOptions { size: 4, connect_timeout: Duration::from_secs(60) };
    let pool = Pool::new(Target::parse(url).unwrap(), options);
    let events = Arc::new(Events::default());
    let options = ServeOptions {
        artifact: artifact(),
        pool,
        workers: 2,
        address: "127.0.0.1:0".parse().unwrap(),
        limits: Limits::default(),
        policy: RequestPolicy::default(),
        body_bytes: 100_000,
        request_timeout: Duration::from_secs(20),
        drain_delay: Duration::ZERO,
        drain_timeout: Duration::from_secs(20),
        graphiql: false,
        version: "1.2.3",
        detailed_errors: false,
        subscriptions: subscriptions(),
        usage: UsageRecording::Off,
        audit: Audit::Off,
        replicas: None,
        traces_percent: None,
        identity: IdentityOptions::default(),
        rates: RateOptions::default(),
        cache: None,
        life: LifeOptions::default(),
        observer: Arc::clone(&events) as Arc<dyn Observe>,
    };
    (options, events)
}

/// The same, without waiting until it is ready.
pub(crate) async fn start_unready(url: &str, change: impl FnOnce(&mut ServeOptions)) -> Running {
    let (mut options, events) = options(url);
    change(&mut options);
    let pool = options.pool.clone();
    let server = Server::bind(options).await.unwrap();
    let (address, handle) = (server.local_addr(), server.handle());
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async {
        // Never, when the test ends without stopping the server.
        if stopped.await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let mut tasks = JoinSet::new();
    tasks.spawn(async { server.run(shutdown).await.unwrap() });
    Running { address, handle, events, pool, stop: Some(stop), tasks }
}
