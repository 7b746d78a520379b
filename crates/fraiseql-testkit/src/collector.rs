//! A real collector of OpenTelemetry (Rotel): takes OTLP and writes what it took to its log.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::{free_port, wait_until};

/// Names what this machine lacks and cannot install: set by the setup script.
const WITHOUT: &str = "FRAISEQL_TEST_WITHOUT";
/// Where the setup script put the program.
const PROGRAM: &str = "FRAISEQL_TEST_ROTEL";
const LIMIT: Duration = Duration::from_secs(60);

/// A running collector; it ends when this is dropped.
#[derive(Debug)]
pub struct Collector {
    program: PathBuf,
    child: Option<Child>,
    dir: tempfile::TempDir,
    port: u16,
}

impl Collector {
    /// Starts one. `None` where the setup script said that this machine has none and cannot install it.
    ///
    /// # Panics
    /// When it is not installed, or does not start.
    pub async fn start() -> Option<Self> {
        let without = std::env::var(WITHOUT).unwrap_or_default();
        if without.split_whitespace().any(|word| word == "rotel") {
            return None;
        }
        let program = std::env::var_os(PROGRAM).expect("FRAISEQL_TEST_ROTEL is set by `make setup`").into();
        let dir = tempfile::tempdir().expect("a folder");
        let mut collector = Self { program, child: None, dir, port: free_port() };
        collector.run().await;
        Some(collector)
    }

    /// Starts it on the same port, after [`Collector::kill`].
    pub async fn run(&mut self) {
        let address = |port: u16| format!("127.0.0.1:{port}");
        let log = File::options().create(true).append(true).open(self.log_path()).expect("a file");
        let child = Command::new(&self.program)
            .args(["start", "--exporter", "blackhole", "--debug-log", "traces"])
            .args(["--debug-log-verbosity", "detailed", "--pid-file"])
            .arg(self.dir.path().join("pid"))
            .args(["--otlp-http-endpoint", &address(self.port)])
            .args(["--otlp-grpc-endpoint", &address(free_port())])
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("it can be shared"))
            .stderr(log)
            .spawn();
        self.child = Some(child.expect("it starts"));
        let port = self.port;
        wait_until(LIMIT, || async move { std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() }).await;
    }

    /// Kills it.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it runs");
            child.wait().expect("it ends");
        }
    }

    /// Returns where it takes OTLP over HTTP.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Returns what it took so far, in words.
    pub fn taken(&self) -> String {
        std::fs::read_to_string(self.log_path()).expect("it writes a log")
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("log")
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.kill();
    }
}
