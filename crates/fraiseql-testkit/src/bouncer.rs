//! A PgBouncer in transaction mode in front of a database.

use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fraiseql_postgres::Target;

use crate::{Database, wait_until};

/// Only a name for the socket: nothing listens on TCP.
const PORT: u16 = 6432;
/// Names what this machine lacks and cannot install: set by the setup script.
const WITHOUT: &str = "FRAISEQL_TEST_WITHOUT";

/// A running PgBouncer; it ends when this is dropped.
#[derive(Debug)]
pub struct Bouncer {
    child: Child,
    dir: tempfile::TempDir,
    database: String,
    carries_statements: bool,
}

impl Bouncer {
    /// Starts one with `connections` to the server; `None` where the setup script said that this
    /// machine has none and cannot install it.
    ///
    /// # Panics
    /// When it is not installed, or does not start.
    pub async fn start(database: &Database, connections: usize) -> Option<Self> {
        if std::env::var(WITHOUT).is_ok_and(|missing| missing.contains("pgbouncer")) {
            return None;
        }
        let program = program().expect("pgbouncer is installed: apt-get install pgbouncer, or `make test`");
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o777)).expect("everybody may enter");
        let target = Target::parse(&database.url()).expect("testkit's URL");
        let path = dir.path().display();
        let config = format!(
            "[databases]\n{name} = host={host} port={port} user=postgres dbname={name}\n[pgbouncer]\n\
             pool_mode = transaction\ndefault_pool_size = {connections}\nauth_type = any\nlisten_addr =\n\
             listen_port = {PORT}\nunix_socket_dir = {path}\nlogfile = {path}/log\nmax_prepared_statements = 100\n",
            name = database.name(),
            host = target.host(),
            port = target.port(),
        );
        let version = Command::new(&program).arg("--version").output().expect("it tells its version").stdout;
        let carries_statements = carries_statements(&String::from_utf8_lossy(&version));
        let config = match carries_statements {
            true => config,
            // An older one refuses to start with a setting that it does not know.
            false => config.replace("max_prepared_statements = 100\n", ""),
        };
        let file = dir.path().join("pgbouncer.ini");
        std::fs::File::create(&file).and_then(|mut file| file.write_all(config.as_bytes())).expect("a file");
        // It refuses to be root, and must be let in to the server's socket.
        let server = std::fs::metadata(target.host()).expect("the server has a folder for its socket");
        let mut command = Command::new(program);
        command.uid(server.uid()).gid(server.gid()).arg(&file).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("it starts");
        let database = database.name().to_owned();
        let bouncer = Self { child, dir, database, carries_statements };
        let socket = bouncer.dir.path().join(format!(".s.PGSQL.{PORT}"));
        wait_until(Duration::from_secs(60), || async { UnixStream::connect(&socket).is_ok() }).await;
        Some(bouncer)
    }

    /// Returns true when it carries prepared statements from one server connection to the next.
    pub fn carries_statements(&self) -> bool {
        self.carries_statements
    }

    /// Returns the connection string through it.
    pub fn url(&self) -> String {
        let host = self.dir.path().display().to_string().replace('/', "%2F");
        format!("postgres://postgres@/{}?host={host}&port={PORT}", self.database)
    }
}

impl Drop for Bouncer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn program() -> Option<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let in_path =
        std::env::split_paths(&folders).map(|folder| folder.join("pgbouncer")).find(|path| path.is_file());
    in_path.or_else(|| Some(Path::new("/usr/sbin/pgbouncer").to_owned()).filter(|path| path.is_file()))
}

/// Returns true for `PgBouncer 1.21.0` and newer.
fn carries_statements(version: &str) -> bool {
    let numbers = version.lines().next().and_then(|line| line.split_whitespace().nth(1)).unwrap_or("");
    let mut numbers = numbers.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    (numbers.next(), numbers.next()) >= (Some(1), Some(21))
}
