//! A project in a folder of its own, and the processes that belong to it.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use fraiseql_testkit::Database;
pub use fraiseql_testkit::free_port;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Ended, Running, fraiseql, run, signal_pid, wait_until};

/// Artists that can be written, and their albums.
pub const MUSIC: &str = r#"type Query {
  artists: [Artist!]!
  artist(artistId: Int!): Artist
}

type Artist @relation(name: "artist") @write(insert: true) {
  artistId: Int!
  name: String
  albums: [Album!]!
}

type Album @relation(name: "album") {
  albumId: Int!
  title: String!
}
"#;

/// The tables of [`MUSIC`].
pub const TABLES: &str = "
CREATE TABLE artist (artist_id int PRIMARY KEY, name text);
CREATE TABLE album (album_id int PRIMARY KEY, title text NOT NULL,
    artist_id int NOT NULL REFERENCES artist);
CREATE INDEX ON album (artist_id);
";

/// A folder with a project named `shop` in it.
#[derive(Debug)]
pub struct Project {
    root: TempDir,
}

impl Project {
    /// Makes a folder without a project.
    pub fn none() -> Self {
        let root = tempfile::Builder::new().prefix("fraiseql-it-").tempdir().expect("a folder");
        // PostgreSQL runs as another user when the tests run as root.
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(root.path(), open).expect("it is ours");
        Self { root }
    }

    /// Makes a project that has only a schema.
    pub fn new(schema: &str) -> Self {
        let project = Self::none();
        fs::create_dir(project.dir()).expect("it is new");
        project.write("schema.graphql", schema);
        project
    }

    /// Makes a project with an embedded database that `seed` fills.
    pub fn seeded(schema: &str, seed: &str) -> Self {
        let project = Self::new(schema);
        project.write("fraiseql.toml", "[embedded]\nseed = [\"seed.sql\"]\n");
        project.write("seed.sql", seed);
        project
    }

    /// Returns the folder above the project, in which commands run.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    pub fn dir(&self) -> PathBuf {
        self.root.path().join("shop")
    }

    /// Writes a file of the project in one step, as editors do.
    pub fn write(&self, name: &str, content: &str) {
        let new = self.root.path().join("new");
        let mut file = File::create(&new).expect("the folder is ours");
        file.write_all(content.as_bytes()).expect("there is room");
        let path = self.dir().join(name);
        fs::create_dir_all(path.parent().expect("it is in the project")).expect("the folder is ours");
        fs::rename(&new, path).expect("the folder is ours");
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.dir().join(name)).expect("it was written")
    }

    /// Runs a command in the folder above the project.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> Ended {
        run(self.root(), arguments)
    }

    /// Compiles the project against a database.
    #[track_caller]
    pub fn compile(&self, url: &str) -> Ended {
        self.run(&["compile", "shop", "--database-url", url])
    }

    /// Starts `up` and waits until it serves.
    #[track_caller]
    pub fn up(&self) -> (Running, u16) {
        let mut up = self.up_starting();
        let port = up.port("GraphQL   http://localhost:");
        (up, port)
    }

    /// Starts `up`.
    pub fn up_starting(&self) -> Running {
        Running::spawn(fraiseql(self.root(), ["up", "shop", "--port", "0"]))
    }

    /// Starts `serve` and waits until it listens.
    #[track_caller]
    pub fn serve(&self, url: &str) -> (Running, u16) {
        let arguments = ["serve", "shop", "--port", "0", "--database-url", url];
        let mut serve = Running::spawn(fraiseql(self.root(), arguments));
        let port = serve.port("listening on http://127.0.0.1:");
        (serve, port)
    }

    /// Returns where the embedded database is.
    pub fn data_dir(&self) -> PathBuf {
        let state: Value = serde_json::from_str(&self.read(".fraiseql/embedded.json")).expect("JSON");
        PathBuf::from(state["data_dir"].as_str().expect("it has a folder"))
    }

    /// Returns the embedded database's connection string.
    pub fn url(&self) -> String {
        let state: Value = serde_json::from_str(&self.read(".fraiseql/embedded.json")).expect("JSON");
        state["url"].as_str().expect("it has a connection string").to_owned()
    }

    /// Returns the pid of the embedded database.
    pub fn postmaster(&self) -> u32 {
        let file = fs::read_to_string(self.data_dir().join("postmaster.pid")).expect("it runs");
        file.lines().next().expect("a line").trim().parse().expect("a pid")
    }

    /// Waits until the embedded database runs a statement that begins so.
    #[track_caller]
    pub fn wait_for_statement(&self, beginning: &str) {
        let admin = self.url().replacen("/app?", "/postgres?", 1);
        let sql =
            format!("SELECT 1 FROM pg_stat_activity WHERE query LIKE '{beginning}%' AND state = 'active'");
        wait_until(beginning, || (query_rows(&admin, &sql) > 0).then_some(()));
    }

    /// Returns every process that works in the project or was told its folder.
    pub fn processes(&self) -> Vec<u32> {
        let root = self.root().canonicalize().expect("it is there");
        let text = root.display().to_string();
        let entries = fs::read_dir("/proc").expect("there is /proc");
        let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
        pids.filter(|pid| {
            let cwd = fs::read_link(format!("/proc/{pid}/cwd"));
            let told = fs::read(format!("/proc/{pid}/cmdline"));
            cwd.is_ok_and(|cwd| cwd.starts_with(&root))
                || told.is_ok_and(|told| String::from_utf8_lossy(&told).contains(&text))
        })
        .collect()
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        for pid in self.processes() {
            signal_pid(pid, Signal::KILL);
        }
    }
}

/// Lets asynchronous helpers work in a test that is not.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(future)
}

/// Returns a database with the Chinook data.
pub fn chinook() -> Database {
    block_on(Database::from_template("chinook", &fraiseql_testkit::chinook_sql()))
}

/// Returns an empty database after running statements in it.
pub fn database(sql: &str) -> Database {
    block_on(async {
        let database = Database::new().await;
        database.execute(sql).await;
        database
    })
}

/// Runs statements in the database behind a connection string.
#[track_caller]
pub fn execute(url: &str, sql: &str) {
    block_on(async {
        let target = fraiseql_postgres::Target::parse(url).expect("a connection string");
        let client = fraiseql_postgres::connect_control(&target).await.expect("it answers");
        client.batch_execute(sql).await.expect("legal statements");
    });
}

/// Returns the one value of a query as text; nothing for null.
#[track_caller]
pub fn value(url: &str, sql: &str) -> String {
    block_on(async {
        let target = fraiseql_postgres::Target::parse(url).expect("a connection string");
        let client = fraiseql_postgres::connect_control(&target).await.expect("it answers");
        let row = client.query_one(&format!("SELECT ({sql})::text"), &[]).await.expect("a legal query");
        row.get::<_, Option<String>>(0).unwrap_or_default()
    })
}

/// Returns how many rows a query gives.
fn query_rows(url: &str, sql: &str) -> usize {
    block_on(async {
        let target = fraiseql_postgres::Target::parse(url).expect("a connection string");
        let client = fraiseql_postgres::connect_control(&target).await.expect("it answers");
        client.query(sql, &[]).await.expect("a legal query").len()
    })
}
