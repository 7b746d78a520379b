//! What happens before the first instance of a release starts: a backup, a restore point, migrations.

use std::sync::LazyLock;

use serde_json::json;

use crate::load::Way;
use crate::managed::{Managed, READERS, nobody_noticed};
use crate::process::{Running, fraiseql, run, wait_until};
use crate::project::{MUSIC, Project, TABLES, execute, free_port};

const EMAIL: &str = "\
-- migrate: expand
ALTER TABLE artist ADD COLUMN email varchar;

-- migrate: backfill
UPDATE artist SET email = lower(name) WHERE artist_id BETWEEN $1 AND $2;

-- migrate: index
CREATE INDEX CONCURRENTLY artist_email ON artist (email);

-- migrate: contract
ALTER TABLE artist ALTER COLUMN email SET NOT NULL;
";

/// Drives the connection that holds a lock beside what is tested.
static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.expect("a runtime")
});

/// Returns the instances that the agent knows of.
fn releases_that_run(managed: &Managed) -> Vec<String> {
    let status = managed.status();
    let instances = status["instances"].as_array().cloned().unwrap_or_default();
    instances.iter().map(|instance| instance["release"].as_str().expect("a release").to_owned()).collect()
}

#[test]
fn pending_migrations_run_before_instances_and_no_client_notices() {
    let managed = Managed::serving();
    managed.project.write("db/migrations/0001_email.sql", EMAIL);
    let clients = managed.clients(&[READERS, &[Way::Mutations]].concat());
    clients.more(5);
    managed.another(1);
    let plan = managed.deploy(&["--dry-run"]).stderr;
    for told in [
        "gates before instances: preflight, backup, migrations",
        "no backup: backup.repository is not set",
        "run 3 pending statements of migrations:",
        "expand  ALTER TABLE artist ADD COLUMN email varchar",
    ] {
        assert!(plan.contains(told), "{told}: {plan}");
    }
    assert!(!plan.contains("NOT NULL"), "the contract is for later: {plan}");
    managed.deploy(&["--steps", "50"]).ok();
    let history = managed.tell(&["history", "3"]).ok();
    let place = |text: &str| history.find(text).unwrap_or_else(|| panic!("{text}: {history}"));
    assert!(
        place("gate backup: not available, no repository") < place("gate migrations: passed, 3 statements")
    );
    assert!(place("gate migrations: passed") < place("starting instances"), "{history}");

    // The next release reads what the migration has made.
    let schema = MUSIC.replacen("name: String", "email: String\n  name: String", 1);
    assert_ne!(schema, MUSIC);
    managed.project.write("schema.graphql", &schema);
    let said = managed.deploy(&["--strategy", "blue-green"]).stderr;
    assert!(said.contains("gate migrations: passed, everything has run"), "{said}");
    let answer = crate::http::post(managed.port, "{ artist(artistId: 1) { email } }").expect("an answer");
    assert_eq!(answer["data"]["artist"]["email"], json!("nina"), "{answer}");
    nobody_noticed(clients.end());
}

#[test]
fn a_migration_that_fails_or_would_keep_clients_waiting_starts_no_instance() {
    let managed = Managed::serving();
    let first = managed.stable();
    for (number, statement, told) in [
        (1, "CREATE INDEX artist_name ON artist (name)", "migrations failed: FQ-MIG-"),
        (2, "ALTER TABLE nothing ADD COLUMN x int", "\"nothing\" does not exist"),
    ] {
        let text = format!("-- migrate: expand\n{statement};\n");
        managed.project.write("db/migrations/0001_first.sql", &text);
        managed.another(number);
        let ended = managed.deploy(&[]);
        assert_eq!(ended.status.code(), Some(3), "{}", ended.stderr);
        assert!(ended.stderr.contains(told), "{told}: {}", ended.stderr);
        assert!(!ended.stderr.contains("starting instances"), "{}", ended.stderr);
        assert_eq!((managed.stable(), managed.weights()), (first.clone(), vec![(first.clone(), 100)]));
        assert_eq!(releases_that_run(&managed), std::slice::from_ref(&first));
    }
    let refused = managed.deploy(&["--skip", "luck"]);
    assert!(refused.stderr.contains("the gates are preflight, backup, migrations"), "{}", refused.stderr);
    managed.deploy(&["--skip", "migrations", "--again", "--strategy", "blue-green"]).ok();
}

#[test]
fn a_migration_that_waits_is_told_of_and_can_be_aborted() {
    let managed = Managed::serving();
    let first = managed.stable();
    managed.project.write("db/migrations/0001_email.sql", EMAIL);
    managed.another(1);
    let holder = RUNTIME.block_on(async {
        let target = fraiseql_postgres::Target::parse(&managed.url).expect("a connection string");
        let client = fraiseql_postgres::connect_control(&target).await.expect("it answers");
        client.batch_execute("BEGIN; SELECT count(*) FROM artist").await.expect("legal statements");
        client
    });
    managed.deploy(&["--detach"]).ok();
    managed.until("it waits", |status| {
        status["busy"]["said"].as_str().is_some_and(|said| said.contains("its lock is not free"))
    });
    let shown = managed.tell(&["status"]).ok();
    assert!(
        shown.contains("waits     for the gate migrations: 0001_email.sql:2: its lock is not free"),
        "{shown}"
    );
    managed.tell(&["abort"]).ok();
    let ended = managed.until("it is back", |status| status["service"]["rollout"].is_null());
    assert_eq!((ended["service"]["stable"].as_str(), &ended["busy"]), (Some(first.as_str()), &json!(null)));
    drop(holder);
    managed.deploy(&["--again", "--strategy", "blue-green"]).ok();
}

#[test]
fn a_deployment_makes_a_restore_point_and_the_database_goes_back_to_it() {
    let project = Project::seeded(MUSIC, TABLES);
    let settings = "[embedded]\nseed = [\"seed.sql\"]\n[backup]\nrepository = \"../backups\"\n";
    project.write("fraiseql.toml", settings);
    let port = free_port().to_string();
    let begin = || {
        let mut agent = Running::spawn(fraiseql(project.root(), ["agent", "shop", "--port", &port]));
        agent.wait_for("looks after");
        agent
    };
    let agent = begin();
    let deploy = || {
        let flags = ["deploy", "shop", "--yes", "--strategy", "blue-green", "--step-time", "0s"];
        let ended = run(project.root(), flags);
        assert!(ended.status.success(), "{}", ended.stderr);
        ended.stderr
    };
    let said = deploy();
    assert!(said.contains("taken now; restore point before-deploy-2 at "), "{said}");
    execute(&project.url(), "INSERT INTO artist VALUES (1, 'kept')");
    project.write("schema.graphql", &format!("{MUSIC}\n# another\n"));
    let said = deploy();
    assert!(said.contains("restore point before-deploy-3 at ") && !said.contains("taken now"), "{said}");
    let history = project.run(&["history", "3", "-C", "shop"]).ok();
    assert!(history.contains("gate backup: passed, base backup "), "{history}");
    execute(&project.url(), "INSERT INTO artist VALUES (2, 'lost')");
    project.run(&["down", "-C", "shop"]).ok();
    drop(agent.end());
    project.run(&["restore", "shop", "--to-point", "before-deploy-3"]).ok();
    let _agent = begin();
    let answer = wait_until("it serves again", || {
        let port = port.parse().expect("a port");
        crate::http::post(port, "{ artists { name } }").filter(|answer| answer["data"].is_object())
    });
    assert_eq!(answer["data"]["artists"], json!([{ "name": "kept" }]));
    project.run(&["down", "-C", "shop"]).ok();
}
