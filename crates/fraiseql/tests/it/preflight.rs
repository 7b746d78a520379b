//! `preflight` against real parts: what lacks is told with what to do, and stands in the way until it is waived.

use fraiseql_testkit::{Authority, OidcProvider, RedisServer};
use serde_json::Value;

use crate::process::Ended;
use crate::project::{MUSIC, Project, TABLES, block_on, database, execute};
use crate::up::interrupt;

/// Runs checks as in production.
fn preflight(project: &Project, only: &[&str], more: &[&str]) -> Ended {
    let mut arguments = vec!["preflight", "shop", "--profile", "production"];
    for name in only {
        arguments.extend(["--only", name]);
    }
    project.run(&[&arguments, more].concat())
}

/// Returns what one check says, with its verdict.
#[track_caller]
fn told(project: &Project, check: &str, more: &[&str]) -> String {
    let ended = preflight(project, &[check], &[more, &["--json"]].concat());
    let report: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{}", ended.stderr));
    let found = &report["checks"][0];
    let verdict = found["verdict"].as_str().expect("a verdict");
    let failed = ended.status.code() == Some(3) && ended.stderr.contains("FQ-PRE-001");
    assert_eq!(verdict == "fail" && found["waiver"].is_null(), failed, "{found}: {}", ended.stderr);
    format!("{verdict}: {}", found["evidence"].as_str().expect("evidence"))
}

#[test]
fn each_check_is_looked_at_and_a_laptop_may_deploy() {
    let (project, database) = (Project::new(MUSIC), database(TABLES));
    let report = project.run(&["preflight", "shop", "--json", "--database-url", &database.url()]).ok();
    let report: Value = serde_json::from_str(&report).expect("JSON");
    let checks = report["checks"].as_array().expect("checks");
    assert_eq!((report["profile"].as_str(), checks.len()), (Some("development"), 32));
    for check in checks {
        let evidence = check["evidence"].as_str().expect("evidence");
        assert!(!evidence.contains("did not finish") && !evidence.is_empty(), "{check}");
    }
    let said = project.run(&["preflight", "shop", "--database-url", &database.url()]).ok();
    for list in ["infrastructure\n", "security\n", "configuration\n", "pre-deployment\n"] {
        assert!(said.contains(list), "{said}");
    }
}

#[test]
fn a_superuser_and_a_careless_server_fail_in_production() {
    let (project, database) = (Project::new(MUSIC), database(TABLES));
    let (url, name) = (database.url(), database.name().to_owned());
    let url = ["--database-url", &url];
    let role = told(&project, "database-role", &url);
    assert!(role.starts_with("fail: postgres is a superuser"), "{role}");
    let ended = preflight(&project, &["database-role", "primary"], &url);
    assert_eq!(ended.status.code(), Some(3));
    assert!(ended.stdout.contains("do: run grants.sql of `fraiseql init`"), "{}", ended.stdout);

    // Servers for tests run without fsync.
    let settings = told(&project, "database-settings", &url);
    assert!(settings.starts_with("fail: fsync = off"), "{settings}");
    assert_eq!(told(&project, "invalid-indexes", &url), "pass: none");
    execute(
        url[1],
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'album_artist_id_idx'::regclass",
    );
    assert_eq!(told(&project, "invalid-indexes", &url), "fail: 1: public.album_artist_id_idx");
    assert_eq!(told(&project, "replicas", &url), "fail: no replica is connected");
    assert_eq!(told(&project, "primary", &url), "pass: it is not in recovery");
    assert!(
        told(&project, "connections", &["--set", "database.pool_size=9000", url[0], url[1]])
            .starts_with("fail")
    );

    let role = format!("{name}_serves");
    execute(url[1], &format!("CREATE ROLE {role} LOGIN"));
    let service = database.url_as(&role);
    let service = ["--database-url", &service];
    assert!(told(&project, "database-role", &service).starts_with(&format!("pass: {role} is no superuser")));
    execute(url[1], &format!("ALTER ROLE {role} BYPASSRLS CREATEDB"));
    let powers = format!("fail: {role} passes row security, makes databases");
    assert_eq!(told(&project, "database-role", &service), powers);
    execute(url[1], &format!("DROP ROLE {role}"));
}

#[test]
fn the_embedded_database_loses_nothing() {
    let project = Project::seeded(MUSIC, TABLES);
    let (up, _) = project.up();
    assert!(told(&project, "database-settings", &[]).starts_with("pass: on: fsync"));
    assert!(told(&project, "database-tls", &[]).starts_with("pass: the database is on this machine"));
    assert!(told(&project, "wraparound", &[]).starts_with("pass: "));
    interrupt(&project, up);
}

#[test]
fn without_a_database_nothing_of_it_passes() {
    let project = Project::new(MUSIC);
    let away = ["--database-url", "postgres://shop@127.0.0.1:1/shop"];
    let said = told(&project, "database", &away);
    assert!(said.starts_with("fail: ") && said.contains("refused"), "{said}");
    for check in ["primary", "postgres-version", "database-role", "replicas", "connections"] {
        let said = told(&project, check, &away);
        assert_eq!(said, "not applicable: there is no connection to the database", "{check}");
    }
}

#[test]
fn a_certificate_that_ended_stands_in_the_way_until_it_is_waived() {
    let project = Project::new(MUSIC);
    let authority = Authority::new("Shop");
    authority.issue(&["localhost"]).write(&project.dir(), "good");
    authority.issue_ended(&["localhost"]).write(&project.dir(), "ended");
    let with = |certificate: &str, key: &str| {
        [format!("tls.certificate={certificate}.pem"), format!("tls.key={key}.key")]
    };
    let look = |files: &[String; 2]| told(&project, "certificate", &["--set", &files[0], "--set", &files[1]]);
    assert!(look(&with("good", "good")).starts_with("pass: it ends in "));
    assert!(look(&with("good", "ended")).starts_with("fail: "), "the key of another");
    let ended = with("ended", "ended");
    assert!(look(&ended).starts_with("fail: "));

    let waive = |arguments: &[&str]| {
        project.run(&[&["preflight", "waive"], arguments, &["--by", "ann", "-C", "shop"]].concat())
    };
    let today = block_on(async { time_of_a_day() });
    waive(&["certificate", "--reason", "a new one comes", "--until", &today]).ok();
    assert!(look(&ended).starts_with("fail: "), "it is told nevertheless");
    let shown = preflight(&project, &["certificate"], &["--set", &ended[0], "--set", &ended[1]]).ok();
    assert!(
        shown.contains("waived  certificate")
            && shown.contains("by ann")
            && shown.contains("1 of them waived"),
        "{shown}"
    );
    waive(&["certificate", "--reason", "it did not", "--until", "2020-01-01"]).ok();
    assert!(look(&ended).starts_with("fail: "));
    let waivers = project.run(&["preflight", "waivers", "-C", "shop"]).ok();
    assert!(waivers.starts_with("ended  certificate") && waivers.lines().count() == 1, "{waivers}");
    let kept = project.read(".fraiseql/preflight/waivers.jsonl");
    assert_eq!(kept.lines().count(), 2, "nothing is rewritten: {kept}");

    for (arguments, code) in [
        (&["certificat", "--reason", "x", "--until", "2020-01-01"], "FQ-PRE-002"),
        (&["certificate", "--reason", "", "--until", "2020-01-01"], "FQ-PRE-003"),
        (&["certificate", "--reason", "x", "--until", "9999-01-01"], "FQ-PRE-003"),
    ] {
        let refused = waive(arguments);
        assert_eq!(refused.status.code(), Some(2), "{}", refused.stderr);
        assert!(refused.stderr.contains(code), "{}", refused.stderr);
    }
    project.write(".fraiseql/preflight/waivers.jsonl", "{}\n");
    let damaged = preflight(&project, &["cpus"], &[]);
    assert_eq!(damaged.status.code(), Some(5));
    assert!(damaged.stderr.contains("FQ-PRE-004") && damaged.stderr.contains("line 1"), "{}", damaged.stderr);
}

/// Returns a day within the next ninety, as the command line takes it.
fn time_of_a_day() -> String {
    let date = std::process::Command::new("date").args(["-u", "-d", "+30 days", "+%F"]).output();
    String::from_utf8(date.expect("date runs").stdout).expect("digits").trim().to_owned()
}

#[test]
fn redis_is_asked_for_its_limits() {
    let Some(redis) = block_on(RedisServer::start()) else { return };
    let project = Project::new(MUSIC);
    let url = format!("cache.redis_url=redis://{}", redis.address());
    let with = ["--set", "cache.mode=redis", "--set", &url];
    redis.command(&["CONFIG", "SET", "maxmemory", "0"]);
    let said = told(&project, "redis", &with);
    assert!(said.starts_with("warn: Redis ") && said.ends_with("maxmemory has no limit"), "{said}");
    redis.command(&["CONFIG", "SET", "maxmemory", "64mb"]);
    redis.command(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    let said = told(&project, "redis", &with);
    assert!(said.starts_with("pass: Redis ") && said.contains("allkeys-lru"), "{said}");
    assert!(told(&project, "listening", &with).contains("Redis ("));
    drop(redis);
    let said = told(&project, "redis", &with);
    assert!(said.starts_with("fail: it does not answer"), "{said}");
    assert_eq!(told(&project, "redis", &[]), "not applicable: cache.mode is not redis");
}

#[test]
fn issuers_are_asked_for_their_keys() {
    let project = Project::new(MUSIC);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let Some(mut provider) = runtime.block_on(OidcProvider::start()) else { return };
    let address = provider.address();
    let issuer = runtime.block_on(provider.named(address));
    let with = |issuer: &str| told(&project, "oidc", &["--set", &format!("identity.issuers={issuer}")]);
    assert_eq!(with(&issuer), "pass: 1 issuers answer and publish keys");
    let wrong = with(&format!("{issuer}/other"));
    assert!(wrong.starts_with("fail: "), "{wrong}");
    drop(provider);
    assert!(with(&issuer).starts_with("fail: "));
}

#[test]
fn secrets_limits_and_releases_are_looked_at() {
    let project = Project::new(MUSIC);
    let url = ["--database-url", "postgres://shop:hidden@127.0.0.1:1/shop"];
    let said = told(&project, "secrets", &url);
    assert_eq!(said, "fail: database.url stands in --database-url");
    project.write("url", "postgres://shop:hidden@127.0.0.1:1/shop");
    let reference = format!("file://{}", project.dir().join("url").display());
    let url = ["--database-url", &reference];
    assert_eq!(told(&project, "secrets", &url), "pass: no setting holds a secret itself");
    assert_eq!(told(&project, "secret-store", &url), "pass: 1 references lead to a secret");
    let nowhere = ["--database-url", "file:///nowhere/url"];
    assert!(told(&project, "secret-store", &nowhere).starts_with("fail: database.url: "));

    assert_eq!(told(&project, "rate-limits", &[]), "fail: there are none");
    let limited = ["--set", "rate_limit.address_per_minute=600"];
    assert!(told(&project, "rate-limits", &limited).starts_with("pass: a minute: 600"));
    assert!(told(&project, "settings", &[]).starts_with("fail: server.profile is not production"));
    assert!(told(&project, "settings", &["--set", "server.profile=production"]).starts_with("pass: "));
    assert!(told(&project, "approved", &[]).starts_with("not applicable: no release was built yet"));
    assert!(told(&project, "rollback-plan", &[]).starts_with("not applicable: "), "no agent runs");

    let database = database(TABLES);
    project.run(&["release", "build", "shop", "--database-url", &database.url()]).ok();
    assert_eq!(told(&project, "approved", &[]), "fail: nobody has approved it");
    assert_eq!(told(&project, "tests", &[]), "fail: no report of its tests is attested");
    project.run(&["release", "approve", "--by", "ann", "-C", "shop"]).ok();
    assert_eq!(told(&project, "approved", &[]), "pass: approved by ann");
}
