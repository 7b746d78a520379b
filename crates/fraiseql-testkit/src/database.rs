//! A database of its own for each test, on one scratch server for each test process.

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use fraiseql_cluster::{Programs, Scratch, ScratchOptions};
use fraiseql_model::digest::sha256_hex;
use fraiseql_postgres::{Target, connect_control};
use tokio::sync::Mutex;
use tokio_postgres::Client;

static SERVER: OnceLock<Scratch> = OnceLock::new();
static NEXT: AtomicUsize = AtomicUsize::new(0);
/// Templates that exist. Held while one is filled: PostgreSQL refuses to copy a template that
/// somebody is connected to.
static TEMPLATES: Mutex<BTreeSet<String>> = Mutex::const_new(BTreeSet::new());

/// A fresh database. It goes with the server, when the test process ends.
#[derive(Debug)]
pub struct Database {
    name: String,
}

fn server() -> &'static Scratch {
    SERVER.get_or_init(|| {
        // A thread of its own: a test's runtime cannot wait within itself.
        let start = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(Scratch::start(options()))
        };
        std::thread::spawn(start).join().expect("the thread ends").expect("a scratch server starts")
    })
}

/// The programs of another major version, when FRAISEQL_TEST_BIN_DIR names them.
fn programs() -> Programs {
    let dir = std::env::var_os("FRAISEQL_TEST_BIN_DIR").map(std::path::PathBuf::from);
    let path = std::env::var_os("PATH");
    Programs::find(dir.as_deref(), &[], path.as_deref()).expect("PostgreSQL is installed")
}

/// Returns the major version of the server that the tests run on, 10 or more.
///
/// # Panics
/// When there is no PostgreSQL.
pub fn server_major() -> u32 {
    programs().major
}

pub(crate) fn options() -> ScratchOptions {
    // For subscriptions, which then may read the log of a database that a test writes to.
    let settings = vec![
        "wal_level=logical".to_owned(),
        "max_replication_slots=40".to_owned(),
        "max_wal_senders=40".to_owned(),
    ];
    ScratchOptions { programs: Some(programs()), settings }
}

impl Database {
    /// Makes an empty database.
    ///
    /// # Panics
    /// When there is no PostgreSQL, as everything in this crate does.
    pub async fn new() -> Self {
        // Nobody can connect to template0, so that databases can be made from it at the same time.
        Self::create("template0").await
    }

    /// Makes a copy of a template, which `setup` fills the first time in this process. Another
    /// `setup` under the same name is another template.
    pub async fn from_template(template: &str, setup: &str) -> Self {
        let mut templates = TEMPLATES.lock().await;
        let name = format!("template_{template}_{}", &sha256_hex(setup.as_bytes())[..8]);
        if !templates.contains(&name) {
            server().create_database(&name).await.expect("a template");
            let database = Self { name: name.clone() };
            database.execute(setup).await;
            wait_for_no_connection(&name).await;
            templates.insert(name.clone());
        }
        Self::create(&name).await
    }

    async fn create(template: &str) -> Self {
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let admin = connect(&server().url("postgres")).await;
        let sql = format!("CREATE DATABASE {name} TEMPLATE {template}");
        admin.batch_execute(&sql).await.expect("a database");
        Self { name }
    }

    /// Returns its connection string, as the superuser, over a socket.
    pub fn url(&self) -> String {
        server().url(&self.name)
    }

    /// Returns its connection string as another role, which needs no password on the socket.
    pub fn url_as(&self, role: &str) -> String {
        self.url().replacen("postgres@", &format!("{role}@"), 1)
    }

    /// Returns its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs statements.
    ///
    /// # Panics
    /// When one fails.
    #[track_caller]
    pub fn execute(&self, sql: &str) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move {
            let client = self.client().await;
            client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{caller}: {error:?}"));
        }
    }

    /// Returns a new connection to it.
    pub async fn client(&self) -> Client {
        connect(&self.url()).await
    }
}

async fn connect(url: &str) -> Client {
    connect_control(&Target::parse(url).expect("our own URL")).await.expect("the scratch server answers")
}

async fn wait_for_no_connection(database: &str) {
    let admin = connect(&server().url("postgres")).await;
    crate::wait_until(std::time::Duration::from_secs(60), || async {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1::text::name";
        admin.query_one(sql, &[&database]).await.expect("the query runs").get::<_, i64>(0) == 0
    })
    .await;
}

/// Returns the Chinook data for an empty database.
pub fn chinook_sql() -> String {
    let path = crate::checkout().join("examples/chinook/chinook.sql");
    std::fs::read_to_string(path).expect("the example has its data")
}

/// Returns a catalog in which every line is legal and none expected, as far as the server's version
/// can have it: before 12 the column `kinds.doubled` is a plain one, before 11 the partitioned table has
/// no key and `kinds.mails` is of `text[]`.
pub fn nasty_sql() -> String {
    let sql = include_str!("../data/nasty.sql");
    let older = |before: u32, newer: &str, older: &str, sql: String| {
        assert!(sql.contains(newer), "{newer} is no part of the catalog");
        if server_major() < before { sql.replace(newer, older) } else { sql }
    };
    let sql = older(12, "int GENERATED ALWAYS AS (small * 2) STORED", "int", sql.to_owned());
    let sql = older(11, "day date NOT NULL, PRIMARY KEY (id, day))", "day date NOT NULL)", sql);
    older(11, "mails email[]", "mails text[]", sql)
}
