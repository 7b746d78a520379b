//! Secrets by reference from start to end: a database that asks for passwords, OpenBao, and the binary
//! between them. Nothing that anybody can see may hold a secret.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fraiseql_testkit::{RedisServer, Scratch, ScratchOptions, Vault};
use rustix::process::Signal;
use serde_json::Value;

use crate::http::{data, get, post};
use crate::process::{Ended, Running, fraiseql, wait_until};
use crate::project::{MUSIC, Project, TABLES, block_on, execute, free_port};

/// Only the superuser gets in without a password.
const HBA: &str = "local all postgres trust\nlocal all all scram-sha-256\nlocal replication all reject\n";
const FIRST: &str = "f1rst-p4ssword";
const SECOND: &str = "s3cond-p4ssword";
const ROWS: &str = "INSERT INTO artist VALUES (1, 'AC/DC');
    CREATE ROLE fraiseql_service NOLOGIN; GRANT SELECT ON artist, album TO fraiseql_service;
    GRANT INSERT ON artist TO fraiseql_service;";

/// A project, its database and its store of secrets.
struct World {
    project: Project,
    scratch: Scratch,
    vault: Vault,
    token: String,
}

impl World {
    /// `None` on a machine that cannot have OpenBao.
    fn new() -> Option<Self> {
        let vault = block_on(Vault::start())?;
        let project = Project::new(MUSIC);
        project.write("pg_hba.conf", HBA);
        let settings = vec![format!("hba_file={}", project.dir().join("pg_hba.conf").display())];
        let scratch =
            block_on(Scratch::start(ScratchOptions { programs: None, settings })).expect("it starts");
        block_on(scratch.create_database("shop")).expect("it is made");
        execute(&scratch.url("shop"), &format!("{TABLES}{ROWS}"));
        let rules = "path \"secret/data/fraiseql\" { capabilities = [\"read\"] }
            path \"database/creds/shop\" { capabilities = [\"read\"] }
            path \"sys/leases/*\" { capabilities = [\"update\"] }";
        let token = vault.token("shop", rules, &["-ttl=1h"]);
        project.write("vault_token", &format!("{token}\n"));
        Some(Self { project, scratch, vault, token })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.project.dir().join(name)
    }

    /// Returns settings whose `[database]` ends with `login`.
    fn settings(&self, user: &str, login: &str) -> String {
        let url = self.scratch.url("shop").replacen("postgres@", user, 1);
        format!(
            "[database]\nurl = \"{url}\"\npool_size = 4\n{login}\n[vault]\naddress = \"{}\"\n\
             token = \"file://{}\"\n[admin]\nport = 0\n[secrets]\nrefresh_ms = 200\nstart_timeout_ms = 500\n",
            self.vault.address(),
            self.path("vault_token").display(),
        )
    }

    /// Starts `serve`; returns the ports of clients and of the administrator.
    #[track_caller]
    fn serve(&self) -> (Running, u16, u16) {
        let mut serve = Running::spawn(fraiseql(self.project.root(), ["serve", "shop", "--port", "0"]));
        let admin = serve.port("admin listener on http://127.0.0.1:");
        let port = serve.port("listening on http://127.0.0.1:");
        (serve, port, admin)
    }
}

/// Returns the one secret in use, as the admin listener shows it.
fn secret(admin: u16) -> Value {
    let (status, body) = get(admin, "/health").expect("an answer");
    assert_eq!(status, 200, "{body}");
    let body: Value = serde_json::from_str(&body).expect("JSON");
    body["secrets"][0].clone()
}

fn rotations(admin: u16) -> u64 {
    secret(admin)["rotations"].as_u64().expect("a number")
}

#[test]
fn dynamic_credentials_are_replaced_without_a_failed_request() {
    let Some(mut world) = World::new() else { return };
    let vault = &world.vault;
    vault.run(&["secrets", "enable", "database"]);
    let url = world.scratch.url("shop").replacen("postgres@", "{{username}}:{{password}}@", 1);
    let connection = format!("connection_url={url}");
    let config =
        ["plugin_name=postgresql-database-plugin", "allowed_roles=shop", "username=postgres", "password=x"];
    vault.run(&[&["write", "database/config/shop", &connection][..], &config].concat());
    let statement = "creation_statements=CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' \
        VALID UNTIL '{{expiration}}' IN ROLE fraiseql_service;";
    vault.run(&["write", "database/roles/shop", "db_name=shop", statement, "default_ttl=2s", "max_ttl=4s"]);
    let login = "credentials = \"secret://vault/database/creds/shop\"";
    world.project.write("fraiseql.toml", &world.settings("", login));
    world.project.run(&["compile", "shop"]).ok();
    let (serve, port, admin) = world.serve();

    let (stop, asked) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _client in 0..3 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    assert_eq!(data(port, "{ artists { name } }")["artists"][0]["name"], "AC/DC");
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        wait_until("three logins were replaced", || (rotations(admin) >= 3).then_some(()));
        stop.store(true, Ordering::Relaxed);
    });
    assert!(asked.load(Ordering::Relaxed) > 30, "{asked:?}");
    let now = secret(admin);
    assert!(now["renewals"].as_u64().is_some_and(|renewals| renewals > 0), "{now}");
    assert_eq!((&now["failing"], &now["failures"]), (&Value::Null, &Value::from(0)), "{now}");

    // Away: the service goes on, and says for how long.
    world.vault.kill();
    wait_until("it is told", || (secret(admin)["failing"] == "FQ-SEC-002").then_some(()));
    assert_eq!(data(port, "{ artists { name } }")["artists"][0]["name"], "AC/DC");
    let metrics = get(port, "/metrics").expect("an answer").1;
    let reference = "{secret=\"secret://vault/database/creds/shop\"}";
    assert!(metrics.contains(&format!("fraiseql_secret_up{reference} 0\n")), "{metrics}");
    let health: Value = serde_json::from_str(&get(port, "/health").expect("an answer").1).expect("JSON");
    let keys: Vec<&String> = health.as_object().expect("an object").keys().collect();
    assert_eq!(keys, ["status", "version", "database", "cache", "uptime_seconds"]);
    let before = rotations(admin);
    block_on(world.vault.start_again());
    wait_until("a new login is taken", || (rotations(admin) > before).then_some(()));
    wait_until("it serves", || post(port, "{ artists { name } }")?.get("errors").is_none().then_some(()));
    let said = serve.said();
    assert!(said.contains("FQ-SEC-002") && said.contains("answers again"), "{said}");
    assert!(!said.contains(&world.token), "{said}");

    // What was taken is given back at the end.
    serve.signal(Signal::TERM);
    assert!(serve.end().status.success());
    let left = "DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname LIKE 'v-%') THEN RAISE 'left'; END IF; END $$";
    let admin_url = world.scratch.url("shop");
    wait_until("no login is left", || tried(&admin_url, left).then_some(()));
}

fn tried(url: &str, sql: &str) -> bool {
    block_on(async {
        let target = fraiseql_postgres::Target::parse(url).expect("a connection string");
        let client = fraiseql_postgres::connect_control(&target).await.expect("it answers");
        client.batch_execute(sql).await.is_ok()
    })
}

#[test]
fn a_password_is_taken_from_the_store_and_seen_nowhere() {
    let Some(world) = World::new() else { return };
    let put = |password: &str| {
        world.vault.run(&["kv", "put", "secret/fraiseql", &format!("db_password={password}"), "api_key=k3y"])
    };
    put(FIRST);
    let admin_url = world.scratch.url("shop");
    execute(&admin_url, &format!("CREATE ROLE shop LOGIN PASSWORD '{FIRST}' IN ROLE fraiseql_service"));
    let login = "password = \"secret://vault/secret/fraiseql#db_password\"";
    let production = "[server]\nprofile = \"production\"\n[log]\nformat = \"json\"\n";
    world.project.write("fraiseql.toml", &format!("{}{production}", world.settings("shop@", login)));
    let mut seen = Seen::default();
    seen.ended("compile", &world.project.run(&["compile", "shop"]));
    let shown = world.project.run(&["config", "show", "shop"]).ok();
    let line = shown.lines().find(|line| line.starts_with("database.password")).expect("it is listed");
    assert!(
        line.contains("secret://vault/secret/fraiseql#db_password") && line.ends_with("shop/fraiseql.toml:4"),
        "{line}"
    );
    for arguments in [
        ["config", "show", "shop"].as_slice(),
        &["config", "show", "shop", "--json"],
        &["secret", "check", "shop", "--json"],
    ] {
        seen.ended("a command", &world.project.run(arguments));
    }
    let checked = world.project.run(&["secret", "check", "shop"]).ok();
    assert!(
        checked.contains("database.password  secret://vault/secret/fraiseql#db_password  ok\n"),
        "{checked}"
    );

    let (serve, port, admin) = world.serve();
    assert_eq!(data(port, "{ artists { name } }")["artists"][0]["name"], "AC/DC");
    // A new password is taken without a restart.
    execute(&admin_url, &format!("ALTER ROLE shop PASSWORD '{SECOND}'"));
    put(SECOND);
    wait_until("the new one is taken", || (rotations(admin) == 1).then_some(()));
    assert_eq!(data(port, "{ artists { name } }")["artists"][0]["name"], "AC/DC");
    for path in ["/", "/health", "/metrics", "/settings", "/nothing"] {
        seen.text(path, &get(admin, path).expect("an answer").1);
        seen.text(path, &get(port, path).expect("an answer").1);
    }
    assert_eq!(get(port, "/settings").expect("an answer").0, 404, "never on the port of clients");
    let answer = post(port, "mutation { insertArtist(object: {artistId: 1}) { name } }").expect("an answer");
    seen.text("an error", &answer.to_string());
    for name in ["cmdline", "environ"] {
        let bytes = fs::read(format!("/proc/{}/{name}", serve.pid())).expect("it runs");
        seen.text(name, &String::from_utf8_lossy(&bytes));
    }
    // Wrong in the store: the database's own refusal is told.
    put("wr0ng-p4ssword");
    let refused = world.project.run(&["compile", "shop"]);
    assert_eq!(refused.status.code(), Some(4), "{}", refused.shown(&[]));
    seen.ended("a refusal", &refused);
    world.vault.seal();
    wait_until("it is told", || (secret(admin)["failing"] == "FQ-SEC-003").then_some(()));
    let sealed = world.project.run(&["secret", "check", "shop"]);
    assert_eq!(sealed.status.code(), Some(5), "{}", sealed.shown(&[]));
    seen.ended("a sealed store", &sealed);
    serve.signal(Signal::TERM);
    seen.ended("serve", &serve.end());
    seen.check(&[FIRST, SECOND, "wr0ng-p4ssword", "k3y", &world.token]);
}

/// Everything that somebody could see.
#[derive(Default)]
struct Seen(Vec<(String, String)>);

impl Seen {
    fn text(&mut self, what: &str, text: &str) {
        self.0.push((what.to_owned(), text.to_owned()));
    }

    fn ended(&mut self, what: &str, ended: &Ended) {
        self.text(what, &ended.shown(&[]));
    }

    #[track_caller]
    fn check(&self, secrets: &[&str]) {
        assert!(self.0.len() > 10);
        for (what, text) in &self.0 {
            for secret in secrets {
                assert!(!text.contains(secret), "{what} holds {secret}:\n{text}");
            }
        }
    }
}

#[test]
fn a_store_that_is_away_at_the_start_is_waited_for_and_told() {
    let project = Project::new(MUSIC);
    let port = free_port();
    let settings = format!(
        "[database]\nurl = \"postgres://shop@localhost/shop\"\npassword = \"secret://vault/secret/fraiseql#db_password\"\n\
         [vault]\naddress = \"http://127.0.0.1:{port}\"\ntoken = \"env://SHOP_TOKEN\"\n[secrets]\nstart_timeout_ms = 600\n"
    );
    project.write("fraiseql.toml", &settings);
    let start = Instant::now();
    let mut command = fraiseql(project.root(), ["compile", "shop"]);
    command.env("SHOP_TOKEN", "t0ken");
    let ended = Running::spawn(command).end();
    assert!(start.elapsed() < Duration::from_secs(60));
    let shown = ended.shown(&[(&port.to_string(), "PORT")]);
    assert_eq!(ended.status.code(), Some(5), "{shown}");
    assert!(
        shown.contains("waiting up to 0.6 s: FQ-SEC-002: reach Vault at http://127.0.0.1:PORT"),
        "{shown}"
    );
    assert!(shown.contains("error[FQ-SEC-002]: reach Vault at http://127.0.0.1:PORT"), "{shown}");
    assert!(shown.contains("vault.address or $VAULT_ADDR"), "{shown}");
    let unset = project.run(&["secret", "check", "shop"]);
    insta::assert_snapshot!(unset.shown(&[]), @r"
    exit status: 2
    -- stdout
    database.url       (as it is)
    database.password  secret://vault/secret/fraiseql#db_password  FQ-SEC-005: cannot find env://SHOP_TOKEN: the variable is not set, or empty
    vault.token        env://SHOP_TOKEN  FQ-SEC-005: cannot find env://SHOP_TOKEN: the variable is not set, or empty
    -- stderr
      = help: set the variable for the process that reads it
      = help: set the variable for the process that reads it
    error[FQ-SEC-005]: follow 2 of 2 references
    ");
}

#[test]
fn a_secret_in_the_file_is_refused_in_production() {
    let project = Project::new(MUSIC);
    let settings =
        "[database]\nurl = \"postgres://shop:hunter2@localhost/shop\"\n[server]\nprofile = \"production\"\n";
    project.write("fraiseql.toml", settings);
    insta::assert_snapshot!(project.run(&["config", "show", "shop"]).shown(&[]), @r#"
    exit status: 2
    -- stdout
    -- stderr
    error[FQ-SEC-001]: "database.url" holds a secret where others can read it
      = why: it stands in shop/fraiseql.toml:2
      = help: take the password out of it, and set database.password = "secret://vault/secret/fraiseql#db_password"; or set DATABASE_URL

    error[FQ-SEC-001]: use the settings in production: 1 error
    "#);
    let flag = ["config", "show", "shop", "--set", "vault.token=hunter2"];
    project.write("fraiseql.toml", "[server]\nprofile = \"production\"\n");
    insta::assert_snapshot!(project.run(&flag).shown(&[]), @r#"
    exit status: 2
    -- stdout
    -- stderr
    error[FQ-SEC-001]: "vault.token" holds a secret where others can read it
      = why: it comes from --set, which every process of this machine can see
      = help: vault.token = "file:///run/secrets/NAME", or "env://NAME"; or set VAULT_TOKEN

    error[FQ-SEC-001]: use the settings in production: 1 error
    "#);
    project.write("fraiseql.toml", "[database]\npassword = \"secret://gcp/x\"\n");
    let wrong = project.run(&["config", "show", "shop"]);
    assert_eq!(wrong.status.code(), Some(2), "{}", wrong.shown(&[]));
    for part in [
        "FQ-CFG-002",
        "shop/fraiseql.toml:2:12",
        "password = \"secret://gcp/x\"",
        "behind secret:// stands vault, aws or exec",
    ] {
        assert!(wrong.stderr.contains(part), "{part}: {}", wrong.stderr);
    }
}

#[test]
fn what_is_read_once_follows_its_reference_too() {
    let Some(world) = World::new() else { return };
    let Some(redis) = block_on(RedisServer::start()) else { return };
    let redis = format!("redis=redis://{}", redis.address());
    world.vault.run(&["kv", "put", "secret/fraiseql", &redis, "jwt=too short", "headers=api-key=k3y"]);
    let reference = |field: &str| format!("\"secret://vault/secret/fraiseql#{field}\"");
    let settings =
        |more: &str| world.project.write("fraiseql.toml", &(world.settings("postgres@", "") + more));
    settings("");
    world.project.compile(&world.scratch.url("shop")).ok();

    // The reference would be long enough: what it leads to is looked at.
    settings(&format!("[identity]\ndevelopment_secret = {}\n", reference("jwt")));
    let shown = world.project.run(&["serve", "shop", "--port", "0"]).shown(&[]);
    assert!(shown.contains("use identity.development_secret: it is too short"), "{shown}");
    assert!(!shown.contains("too short\"") && !shown.contains("fraiseql#jwt"), "{shown}");
    settings(&format!("[identity]\ndevelopment_secret = {}\n", reference("none")));
    let shown = world.project.run(&["serve", "shop", "--port", "0"]).shown(&[]);
    assert!(shown.contains("error[FQ-SEC-"), "{shown}");

    settings(&format!("[cache]\nmode = \"redis\"\nredis_url = {}\n", reference("redis")));
    let (serve, _port, admin) = world.serve();
    wait_until("Redis", || serve.said().contains("Redis answers in").then_some(()));
    let told = get(admin, "/settings").map(|(_, body)| body).unwrap_or_default();
    assert!(!told.contains("redis://"), "{told}");
}
