//! A real OpenID provider (npm `oidc-provider`), and tokens that an honest one would not give.

use std::net::SocketAddr;
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// The provider and its commands; it runs where its library was installed.
const SCRIPT: &str = include_str!("../oidc/provider.mjs");
/// Names what this machine lacks and cannot install: set by the setup script.
const WITHOUT: &str = "FRAISEQL_TEST_WITHOUT";

/// Who signs a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signer {
    /// The provider.
    Provider,
    /// Somebody with another key who gives it the provider's name.
    Stranger,
    /// Somebody who takes the provider's public key for a common secret.
    PublicKey,
    /// Nobody: the signature is empty.
    Nobody,
}

/// A running provider; it ends when this is dropped.
#[derive(Debug)]
pub struct OidcProvider {
    _child: Child,
    commands: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    address: SocketAddr,
}

impl OidcProvider {
    /// Starts the process; `None` where the setup script said that this machine has none and cannot
    /// install it. Nothing is answered before [`OidcProvider::named`].
    ///
    /// # Panics
    /// When it is not installed, or does not start.
    pub async fn start() -> Option<Self> {
        if std::env::var(WITHOUT).is_ok_and(|missing| missing.contains("oidc")) {
            return None;
        }
        let folder = crate::checkout().join("crates/fraiseql-testkit/oidc");
        let installed = folder.join("node_modules/oidc-provider").is_dir();
        assert!(
            installed,
            "the OpenID provider is installed: npm ci in {}, or `make test`",
            folder.display()
        );
        let mut child = Command::new("node")
            .args(["--input-type=module", "--eval", SCRIPT])
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("node starts");
        let commands = child.stdin.take().expect("it is piped");
        let answers = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut provider = Self { _child: child, commands, answers, address };
        let port = provider.answer().await.as_u64().and_then(|port| u16::try_from(port).ok());
        provider.address.set_port(port.expect("it tells its port"));
        Some(provider)
    }

    /// Returns where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Begins to answer under this name, which clients reach it by, and returns the name.
    ///
    /// # Panics
    /// When the process is gone.
    pub async fn named(&mut self, address: SocketAddr) -> String {
        let name = format!("http://{address}");
        self.command(json!({ "command": "start", "name": name })).await;
        name
    }

    /// Takes a new key; the old one is not told any more.
    ///
    /// # Panics
    /// When the process is gone.
    pub async fn rotate(&mut self) {
        self.command(json!({ "command": "rotate" })).await;
    }

    /// Returns an access token for a resource: opaque where its name ends so, else a JSON Web Token.
    ///
    /// # Panics
    /// When the provider refuses.
    pub async fn grant(&mut self, resource: &str) -> String {
        text(self.command(json!({ "command": "grant", "resource": resource })).await)
    }

    /// Takes a token back.
    ///
    /// # Panics
    /// When the provider refuses.
    pub async fn revoke(&mut self, token: &str) {
        self.command(json!({ "command": "revoke", "token": token })).await;
    }

    /// Signs claims; `header` takes the place of what the head says otherwise.
    ///
    /// # Panics
    /// When the process is gone.
    pub async fn sign(&mut self, by: Signer, header: Value, claims: Value) -> String {
        let by = match by {
            Signer::Provider => "provider",
            Signer::Stranger => "stranger",
            Signer::PublicKey => "public",
            Signer::Nobody => "nobody",
        };
        text(self.command(json!({ "command": "sign", "header": header, "claims": claims, "by": by })).await)
    }

    async fn command(&mut self, command: Value) -> Value {
        self.commands.write_all(format!("{command}\n").as_bytes()).await.expect("it reads");
        self.answer().await
    }

    async fn answer(&mut self) -> Value {
        loop {
            let line = self.answers.next_line().await.expect("it writes").expect("it goes on");
            // Its library has something to say at the start.
            let Ok(answer) = serde_json::from_str::<Value>(&line) else { continue };
            assert!(answer.get("failed").is_none(), "{answer}");
            return answer["done"].clone();
        }
    }
}

fn text(value: Value) -> String {
    value.as_str().expect("a text").to_owned()
}
