//! A real server of S3, SeaweedFS, with one bucket and one access key.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::wait_until;

/// Names what this machine lacks and cannot install: set by the setup script.
const WITHOUT: &str = "FRAISEQL_TEST_WITHOUT";
/// Where the setup script put the program.
const PROGRAM: &str = "FRAISEQL_TEST_WEED";
const LIMIT: Duration = Duration::from_secs(60);

/// A running server with the bucket `backups`; it ends when this is dropped.
#[derive(Debug)]
pub struct S3Server {
    child: Child,
    _dir: tempfile::TempDir,
    port: u16,
}

impl S3Server {
    /// The id of its access key.
    pub const ACCESS_KEY: &str = "fraiseql";
    /// The secret of its access key.
    pub const SECRET_KEY: &str = "fraiseql-test-key";

    /// Starts one. `None` where the setup script said that this machine has none and cannot install it.
    ///
    /// # Panics
    /// When it is not installed, or does not start.
    pub async fn start() -> Option<Self> {
        if std::env::var(WITHOUT).is_ok_and(|missing| missing.contains("seaweedfs")) {
            return None;
        }
        let program = std::env::var_os(PROGRAM).map(PathBuf::from);
        let program = program.expect("SeaweedFS is installed by `make test`, which sets FRAISEQL_TEST_WEED");
        let dir = tempfile::tempdir().expect("a folder");
        let keys = serde_json::json!({ "identities": [{
            "name": "test",
            "credentials": [{ "accessKey": Self::ACCESS_KEY, "secretKey": Self::SECRET_KEY }],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }] });
        let config = dir.path().join("s3.json");
        crate::replace(&config, &keys.to_string());
        let ports = [(); 8].map(|()| crate::free_port());
        let mut command = Command::new(program);
        command.args(["server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3", "-volume.max=0"]);
        command.args(["-master.volumeSizeLimitMB=64", "-master.telemetry=false", "-s3.iam=false"]);
        command.args(["-s3.port.iceberg=0", "-s3.port.lance=0"]);
        command.arg(format!("-dir={}", dir.path().display()));
        command.arg(format!("-s3.config={}", config.display()));
        let names = [
            "master.port",
            "master.port.grpc",
            "volume.port",
            "volume.port.grpc",
            "filer.port",
            "filer.port.grpc",
            "s3.port",
            "s3.port.grpc",
        ];
        for (name, port) in names.iter().zip(ports) {
            command.arg(format!("-{name}={port}"));
        }
        command.arg(format!("-filer.localSocket={}", dir.path().join("filer.sock").display()));
        command.current_dir(dir.path()).stdout(Stdio::null());
        let log = std::fs::File::create(dir.path().join("log")).expect("a log");
        command.stderr(log);
        let child = command.spawn().expect("it starts");
        let server = Self { child, _dir: dir, port: ports[6] };
        // A bucket is a folder of the layer below, which asks for no key.
        wait_until(LIMIT, async || {
            asked(ports[4], "POST /buckets/backups/").is_ok_and(|status| status == "201")
        })
        .await;
        // Before it has read its keys it asks for none.
        wait_until(LIMIT, async || asked(server.port, "GET /backups/").is_ok_and(|status| status == "403"))
            .await;
        Some(server)
    }

    /// Returns its URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        // It does not end when it is asked to.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Sends a request without a key; returns the status.
fn asked(port: u16, request: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(LIMIT))?;
    write!(
        stream,
        "{request} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.split(' ').nth(1).unwrap_or_default().to_owned())
}
