//! TLS to a real server: who is believed, who logs in, and which of several hosts is taken.

use std::path::Path;
use std::time::Duration;

use fraiseql_postgres::{Pool, PoolOptions, PostgresError, Target, connect_control};
use fraiseql_testkit::{Authority, TlsServer, replace, server_major};

struct World {
    folder: tempfile::TempDir,
    server: TlsServer,
    authority: Authority,
    clients: Authority,
}

impl World {
    async fn new() -> Self {
        let (authority, clients) = (Authority::new("ours"), Authority::new("clients"));
        let server = TlsServer::start(&authority.issue(&["db.test"]), &clients).await;
        let folder = tempfile::tempdir().unwrap();
        replace(&folder.path().join("ca.pem"), authority.pem());
        replace(&folder.path().join("other.pem"), Authority::new("another").pem());
        Self { folder, server, authority, clients }
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Both planes let in, or both refuse for the same reason.
    async fn check(&self, words: &str, expected: &str) {
        let words = words.replace("CA", &self.file("ca.pem")).replace("OTHER", &self.file("other.pem"));
        let words = words.replace("GUEST", &self.file("guest"));
        let url = format!("host=db.test hostaddr={} dbname=postgres {words}", self.server.address());
        let target = Target::parse(&url).unwrap();
        let pool =
            Pool::new(target.clone(), PoolOptions { size: 1, connect_timeout: Duration::from_secs(60) });
        told("data", &words, pool.probe(Duration::from_secs(10)).await.map(drop), expected);
        told("control", &words, connect_control(&target).await.map(drop), expected);
    }
}

#[track_caller]
fn told(plane: &str, words: &str, found: Result<(), PostgresError>, expected: &str) {
    let found = match found {
        Ok(()) => "let in",
        Err(PostgresError::Tls { .. }) => "tls",
        Err(PostgresError::Auth { .. }) => "auth",
        Err(PostgresError::Connect { .. }) => "connect",
        Err(error) => panic!("{plane}: {words}: {error:?}"),
    };
    assert_eq!(found, expected, "{plane}: {words}");
}

#[tokio::test]
async fn it_is_checked_as_libpq_checks_it() {
    let world = World::new().await;
    world.check("user=postgres sslmode=verify-full sslrootcert=CA", "let in").await;
    world.check("user=postgres sslmode=verify-ca sslrootcert=CA", "let in").await;
    world.check("user=postgres sslmode=verify-full sslrootcert=OTHER", "tls").await;
    world.check("user=postgres sslmode=verify-ca sslrootcert=OTHER", "tls").await;
    world.check("user=postgres sslmode=require sslrootcert=OTHER", "tls").await;
    world.check("user=postgres sslmode=require", "let in").await;
    world.check("user=postgres sslmode=disable", "let in").await;
    // Who logs in how. A role that needs TLS is refused without it.
    for login in ["scram", "md5", "clear"] {
        world
            .check(&format!("user={login} password=secret sslmode=verify-full sslrootcert=CA"), "let in")
            .await;
        world.check(&format!("user={login} password=wrong sslmode=verify-full sslrootcert=CA"), "auth").await;
    }
    world.clients.issue_client("guest").write(Path::new(&world.file("")), "guest");
    let with = "sslmode=verify-full sslrootcert=CA sslcert=GUEST.pem sslkey=GUEST.key";
    world.check(&format!("user=guest {with}"), "let in").await;
    world.check("user=guest sslmode=verify-full sslrootcert=CA", "auth").await;
    world.check("user=guest sslmode=require sslcert=GUEST.pem", "tls").await;
    // Bound to TLS: what is not, is refused. PostgreSQL 10 cannot bind yet.
    let bound = "channel_binding=require sslrootcert=CA";
    let scram = if server_major() >= 11 { "let in" } else { "auth" };
    world.check(&format!("user=scram password=secret sslmode=verify-full {bound}"), scram).await;
    world.check(&format!("user=clear password=secret sslmode=verify-full {bound}"), "auth").await;

    world.server.show(&world.authority.issue(&["elsewhere.test"])).await;
    world.check("user=postgres sslmode=verify-full sslrootcert=CA", "tls").await;
    world.check("user=postgres sslmode=verify-ca sslrootcert=CA", "let in").await;
    world.server.show(&world.authority.issue_ended(&["db.test"])).await;
    world.check("user=postgres sslmode=verify-full sslrootcert=CA", "tls").await;
    world.check("user=postgres sslmode=verify-ca sslrootcert=CA", "tls").await;
    world.check("user=postgres sslmode=require", "let in").await;
}

#[tokio::test]
async fn of_several_hosts_that_of_the_wanted_kind_is_taken() {
    let database = fraiseql_testkit::Database::new().await;
    let name = database.name();
    database
        .execute("CREATE ROLE reader LOGIN; ALTER ROLE reader SET default_transaction_read_only = on")
        .await;
    let host = Target::parse(&database.url()).unwrap().host();
    for (user, attributes, expected) in [
        ("postgres", "read-write", "let in"),
        ("postgres", "read-only", "connect"),
        ("postgres", "any", "let in"),
        ("reader", "read-write", "connect"),
        ("reader", "read-only", "let in"),
    ] {
        let words = format!("host={host},{host} user={user} dbname={name} target_session_attrs={attributes}");
        let target = Target::parse(&words).unwrap();
        let pool =
            Pool::new(target.clone(), PoolOptions { size: 1, connect_timeout: Duration::from_secs(60) });
        told("data", &words, pool.probe(Duration::from_secs(10)).await.map(drop), expected);
        told("control", &words, connect_control(&target).await.map(drop), expected);
    }
}
