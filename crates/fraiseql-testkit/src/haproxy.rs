//! A real HAProxy in front of instances, with places that FraiseQL fills.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What the setup script could not install, in words.
const WITHOUT: &str = "FRAISEQL_TEST_WITHOUT";
const LIMIT: Duration = Duration::from_secs(60);

/// A running HAProxy; it ends when this is dropped.
#[derive(Debug)]
pub struct HaProxyServer {
    child: Child,
    dir: tempfile::TempDir,
    /// Where clients come.
    pub port: u16,
}

impl HaProxyServer {
    /// Starts one with so many places in the backend `fraiseql`; `None` where the setup script said
    /// that this machine has none and cannot install it.
    ///
    /// # Panics
    /// When it is not installed, or does not start.
    pub fn start(places: usize) -> Option<Self> {
        if std::env::var(WITHOUT).is_ok_and(|missing| missing.contains("haproxy")) {
            return None;
        }
        let program = program().expect("haproxy is installed: apt-get install haproxy, or `make test`");
        let dir = tempfile::tempdir().expect("a folder");
        let port = crate::free_port();
        let config = format!(
            "global\n  stats socket {}/admin.sock mode 600 level admin\n\
             defaults\n  mode http\n  timeout connect 1s\n  timeout client 60s\n  timeout server 60s\n  retries 3\n  \
             option redispatch\n\
             frontend clients\n  bind 127.0.0.1:{port}\n  default_backend fraiseql\n\
             backend fraiseql\n  balance roundrobin\n  option httpchk GET /health/ready\n  timeout check 2s\n  \
             default-server inter 200ms fastinter 100ms rise 1 fall 2\n  \
             server-template fq 1-{places} 127.0.0.1:1 disabled check\n",
            dir.path().display()
        );
        let file = dir.path().join("haproxy.cfg");
        std::fs::File::create(&file).and_then(|mut file| file.write_all(config.as_bytes())).expect("a file");
        let child = spawn(&program, &file);
        let server = Self { child, dir, port };
        server.wait();
        Some(server)
    }

    /// Returns its runtime socket.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("admin.sock")
    }

    /// Kills it and starts it again: it has forgotten everything that it was told.
    pub fn start_again(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        self.child = spawn(&program().expect("it was there"), &self.dir.path().join("haproxy.cfg"));
        self.wait();
    }

    fn wait(&self) {
        let deadline = Instant::now() + LIMIT;
        while UnixStream::connect(self.socket()).is_err() {
            assert!(Instant::now() < deadline, "HAProxy does not open its socket");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for HaProxyServer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// In the foreground, with one process: what is killed is all of it.
fn spawn(program: &Path, file: &Path) -> Child {
    let mut command = Command::new(program);
    command.args(["-db", "-f"]).arg(file).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("it starts")
}

fn program() -> Option<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let in_path =
        std::env::split_paths(&folders).map(|folder| folder.join("haproxy")).find(|path| path.is_file());
    in_path.or_else(|| Some(Path::new("/usr/sbin/haproxy").to_owned()).filter(|path| path.is_file()))
}
