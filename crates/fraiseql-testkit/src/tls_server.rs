//! A PostgreSQL of its own that speaks TLS, on an address of the loopback that nobody else uses.

use std::net::Ipv4Addr;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt, chown};
use std::path::PathBuf;
use std::time::Duration;

use fraiseql_cluster::Scratch;
use fraiseql_postgres::{Target, connect_control};

use crate::certificates::{Authority, Certified, replace};
use crate::{database, wait_until};

/// Who may log in how: names of roles say which method they are for.
const LOGINS: &str = "local all all trust\n\
    hostssl all scram all scram-sha-256\nhostssl all clear all password\nhostssl all md5 all md5\n\
    hostssl all guest all cert\nhost all all all trust\n";

/// A server with TLS; it ends when this is dropped.
#[derive(Debug)]
pub struct TlsServer {
    scratch: Scratch,
    address: Ipv4Addr,
}

impl TlsServer {
    /// Starts one that shows `certified` and lets clients of `clients` in by certificate.
    ///
    /// # Panics
    /// When it does not start, as everything here does.
    pub async fn start(certified: &Certified, clients: &Authority) -> Self {
        let [_, high, middle, low] = std::process::id().to_be_bytes();
        let address = Ipv4Addr::new(127, high.max(1), middle, low.max(2));
        let mut options = database::options();
        options.settings.push(format!("listen_addresses={address}"));
        let scratch = Scratch::start(options).await.expect("a server starts");
        let server = Self { scratch, address };
        replace(&server.given("clients.pem"), clients.pem());
        server.give("clients.pem");
        replace(&server.given("data/pg_hba.conf"), LOGINS);
        server.give("data/pg_hba.conf");
        server
            .execute("CREATE ROLE scram LOGIN PASSWORD 'secret'; CREATE ROLE clear LOGIN PASSWORD 'secret'")
            .await;
        let roles = "SET password_encryption = 'md5'; CREATE ROLE md5 LOGIN PASSWORD 'secret'; CREATE ROLE guest LOGIN";
        server.execute(roles).await;
        server.show(certified).await;
        server
    }

    /// Shows another certificate from now on.
    pub async fn show(&self, certified: &Certified) {
        certified.write(self.scratch.folder(), "server");
        self.give("server.pem");
        self.give("server.key");
        for (name, file) in
            [("ssl_cert_file", "server.pem"), ("ssl_key_file", "server.key"), ("ssl_ca_file", "clients.pem")]
        {
            self.execute(&format!("ALTER SYSTEM SET {name} = '{}'", self.given(file).display())).await;
        }
        self.execute("ALTER SYSTEM SET ssl = on").await;
        let since = self.loaded().await;
        self.execute("SELECT pg_reload_conf()").await;
        wait_until(Duration::from_secs(60), || async { self.loaded().await > since }).await;
    }

    /// Returns its address.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Returns the connection string of a socket, as the superuser.
    pub fn local_url(&self) -> String {
        self.scratch.url("postgres")
    }

    /// Returns when the configuration was read last, in microseconds.
    async fn loaded(&self) -> i64 {
        let client = connect_control(&Target::parse(&self.local_url()).expect("our own URL")).await;
        let sql = "SELECT (extract(epoch FROM pg_conf_load_time()) * 1000000)::int8";
        client.expect("it answers").query_one(sql, &[]).await.expect("the query runs").get(0)
    }

    async fn execute(&self, sql: &str) {
        let client = connect_control(&Target::parse(&self.local_url()).expect("our own URL")).await;
        client.expect("it answers").batch_execute(sql).await.expect("legal statements");
    }

    fn given(&self, name: &str) -> PathBuf {
        self.scratch.folder().join(name)
    }

    /// Gives a file to the server's user, who alone may read it.
    fn give(&self, name: &str) {
        let owner = std::fs::metadata(self.scratch.folder()).expect("it is there");
        let path = self.given(name);
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("it is ours");
        chown(&path, Some(owner.uid()), Some(owner.gid())).expect("it may be given");
    }
}
