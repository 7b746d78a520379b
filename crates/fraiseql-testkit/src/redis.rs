//! A Redis of one's own, on a free port of the loopback.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::wait_until;

/// Names what this machine lacks and cannot install: set by the setup script.
const WITHOUT: &str = "FRAISEQL_TEST_WITHOUT";
/// Somebody else may take the port between our looking and the server's start.
const ATTEMPTS: usize = 5;
const SOON: Duration = Duration::from_secs(60);

/// A running Redis; it ends when this is dropped.
#[derive(Debug)]
pub struct RedisServer {
    child: Child,
    dir: tempfile::TempDir,
    address: SocketAddr,
}

impl RedisServer {
    /// Starts one; `None` where the setup script said that this machine has none and cannot install it.
    ///
    /// # Panics
    /// When it is not installed, or does not start.
    pub async fn start() -> Option<Self> {
        if std::env::var(WITHOUT).is_ok_and(|missing| missing.contains("redis")) {
            return None;
        }
        let dir = tempfile::tempdir().expect("a folder");
        for _ in 0..ATTEMPTS {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, crate::free_port()));
            let mut child = spawn(&dir, address);
            if is_up(&mut child, address).await {
                return Some(Self { child, dir, address });
            }
        }
        panic!("Redis did not start {ATTEMPTS} times");
    }

    /// Returns where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Runs a command and returns what it says.
    ///
    /// # Panics
    /// When there is no answer.
    pub fn command(&self, words: &[&str]) -> String {
        let port = self.address.port().to_string();
        let output = Command::new("redis-cli").args(["-p", &port]).args(words).output().expect("redis-cli");
        assert!(output.status.success(), "{words:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Sends it a signal, for example `-STOP`.
    ///
    /// # Panics
    /// When it is not there.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.child.id().to_string()]).status().expect("kill");
        assert!(sent.success(), "{name}");
    }

    /// Writes everything down and ends.
    ///
    /// # Panics
    /// When it cannot.
    pub fn save_and_stop(&mut self) {
        self.command(&["SAVE"]);
        self.child.kill().and_then(|()| self.child.wait()).expect("it ends");
    }

    /// Starts it again with what it had written down.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_again(&mut self) {
        self.child = spawn(&self.dir, self.address);
        assert!(is_up(&mut self.child, self.address).await, "the port is its own");
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn spawn(dir: &tempfile::TempDir, address: SocketAddr) -> Child {
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--port", &address.port().to_string(), "--save", ""]);
    command.args(["--appendonly", "no", "--dir"]).arg(dir.path());
    let command = command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("redis-server is installed: apt-get install redis-server, or `make test`")
}

async fn is_up(child: &mut Child, address: SocketAddr) -> bool {
    let child = std::sync::Mutex::new(child);
    let ended = || child.lock().is_ok_and(|mut child| child.try_wait().is_ok_and(|status| status.is_some()));
    wait_until(SOON, || async { ended() || TcpStream::connect(address).is_ok() }).await;
    !ended()
}
