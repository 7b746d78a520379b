//! The deployment guide from its first section to its last, on one machine, with real parts.
//!
//! `make guide` prints the table. Requests go on all the time, and none may fail but those that the guide
//! breaks by intention.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use fraiseql_testkit::{Asked, HttpEndpoint, Vault, checkout};
use serde_json::Value;

use crate::http::{get, post};
use crate::load::{Clients, Way};
use crate::managed::nobody_noticed;
use crate::migrate::GUIDE;
use crate::monitoring::scrapes;
use crate::process::{Ended, Running, clean, fraiseql, run, wait_until};
use crate::project::{Project, block_on, execute, free_port, value};

const QUERY: &str = "{ users(limit: 1) { id email } }";
const QUICK: &str = "[agent]\nsample_interval_ms = 500\n[embedded]\nseed = [\"seed.sql\"]\n[backup]\nrepository = \"../backups\"\n\
                     [proxy]\nprobe_interval_ms = 200\n";
/// How the lists of the runbook begin, as far as a person has to say that a step was done.
const STEPS_MAX: usize = 40;

/// It compiles, passes the smoke test, and every answer to [`QUERY`] is an error.
const BAD: &str = r#"type Query {
  users: [User!]!
  user(id: Int!): User
}

type User @relation(name: "broken", key: ["id"]) {
  id: Int!
  email: String
}
"#;

/// A service as the guide has it.
struct Guide {
    project: Project,
    port: u16,
    agent: Option<Running>,
    clients: Option<Clients>,
    requests: usize,
}

impl Guide {
    fn new() -> Self {
        let example = checkout().join("examples/guide");
        let read = |name: &str| std::fs::read_to_string(example.join(name)).expect("the example is there");
        let project = Project::new(&read("schema.graphql"));
        project.write("seed.sql", &read("seed.sql"));
        project.write("fraiseql.toml", QUICK);
        project.write("smoke/users.graphql", "{ user(id: 1) { id } }");
        project.write("smoke/users.json", "{\"data\":{\"user\":{\"id\":1}}}");
        let mut guide = Self { project, port: free_port(), agent: None, clients: None, requests: 0 };
        guide.start();
        guide.deploy(&["--bake", "0s"]).ok();
        guide.project.run(&["init", "--from-database", &guide.project.url(), "fresh"]).ok();
        let scripts = guide.project.root().join("fresh/scripts");
        std::fs::rename(scripts, guide.project.dir().join("scripts")).expect("init has written them");
        guide
    }

    /// Walks one section; what it returns is told in its row.
    fn section(&mut self, name: &'static str, walk: impl FnOnce(&mut Self) -> String) {
        let began = Instant::now();
        let told = walk(self);
        println!("| {name} | {told} | {:.1?} |", began.elapsed());
    }

    fn start(&mut self) {
        let port = self.port.to_string();
        let mut agent = Running::spawn(fraiseql(self.project.root(), ["agent", "shop", "--port", &port]));
        agent.wait_for("looks after");
        self.agent = Some(agent);
    }

    fn load(&mut self) {
        let clients = Clients::asking(self.port, &[Way::KeepAlive, Way::NewConnections], QUERY);
        clients.more(20);
        self.clients = Some(clients);
    }

    /// Ends the load, in which nothing has failed.
    fn calm(&mut self) {
        let clients = self.clients.take().expect("there is load");
        clients.more(20);
        self.requests += nobody_noticed(clients.end()).0;
    }

    fn tell(&self, words: &[&str]) -> Ended {
        run(self.project.root(), words.iter().chain(&["-C", "shop"]))
    }

    fn deploy(&self, flags: &[&str]) -> Ended {
        let quick = ["--step-time", "1s", "--settle", "1s", "--deadline", "60s", "--patience", "60s"];
        self.project.run(&[&["deploy", "shop", "--yes"], flags, &quick].concat())
    }

    /// Makes a release that nobody can tell from the one before.
    fn another(&self, number: u32) {
        self.project.write("fraiseql.toml", &format!("{QUICK}[limits]\ndepth = {}\n", 10 + number));
    }

    fn status(&self) -> Value {
        let shown = self.tell(&["status", "--json"]).ok();
        serde_json::from_str(&shown).expect("JSON")
    }

    fn stable(&self) -> String {
        self.status()["service"]["stable"].as_str().expect("there is one").to_owned()
    }

    /// Runs one of the commands that the guide calls, as it calls them.
    fn script(&self, name: &str, words: &[&str]) {
        let program = Path::new(env!("CARGO_BIN_EXE_fraiseql")).parent().expect("a folder");
        let path = format!("{}:{}", program.display(), std::env::var("PATH").expect("there is one"));
        let mut command = Command::new(self.project.dir().join("scripts").join(name));
        clean(&mut command, &self.project.dir());
        command.args(words).env("PATH", &path);
        Running::spawn(command).end().ok();
    }

    fn serves(&self) -> Value {
        wait_until("it serves", || post(self.port, QUERY).filter(|answer| answer["data"].is_object()))
    }

    /// Deploys a release whose every answer is an error; it goes back by itself.
    fn deploy_bad(&mut self) -> Ended {
        let good = self.project.read("schema.graphql");
        let url = self.project.url();
        let columns = "SELECT id, (1 / (id - id))::text AS email FROM v_user";
        execute(&url, &format!("CREATE OR REPLACE VIEW broken AS {columns}"));
        self.project.write("schema.graphql", BAD);
        let ended = self.deploy(&["--steps", "20,50", "--allow-breaking"]);
        assert_eq!(ended.status.code(), Some(3), "{}", ended.stderr);
        self.project.write("schema.graphql", &good);
        ended
    }
}

impl Drop for Guide {
    fn drop(&mut self) {
        drop(self.agent.take());
    }
}

#[test]
fn each_section_of_the_deployment_guide_is_walked() {
    let mut guide = Guide::new();
    println!("| section of the guide | what was seen | time |");
    println!("|---|---|---|");
    guide.section("Pre-Deployment Checklist", checklist);
    guide.load();
    guide.section("Strategy 1: Blue-Green Deployment", blue_green);
    guide.section("Strategy 2: Canary Deployment", canary);
    guide.section("Strategy 3: Rolling Update", rolling);
    guide.section("Zero-Downtime Migrations", migrations);
    guide.calm();
    guide.section("Immediate Rollback", immediate_rollback);
    guide.section("Database Rollback", database_rollback);
    guide.section("Health Checks", health);
    guide.section("Monitoring Integration", monitoring);
    guide.section("Using Terraform", terraform);
    guide.section("Using HashiCorp Vault", vault);
    guide.section("Deployment Runbook", runbook);
    guide.section("Incident Response During Deployment", incident);
    guide.section("Capacity Planning", capacity);
    guide.section("Documentation", documentation);
    println!("| without a failed request | {} requests | |", guide.requests);
    assert!(guide.requests > 100, "{}", guide.requests);
    guide.project.run(&["down", "-C", "shop"]).ok();
}

fn checklist(guide: &mut Guide) -> String {
    let ended = guide.project.run(&["preflight", "shop", "--json"]);
    let report: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    let checks = report["checks"].as_array().expect("a list");
    let count = |verdict: &str| checks.iter().filter(|check| check["verdict"] == verdict).count();
    assert_eq!((count("fail"), ended.status.code()), (0, Some(0)), "{}", ended.stdout);
    assert!(checks.len() >= 30 && count("pass") >= 5, "{}", ended.stdout);
    for part in ["infrastructure", "security", "configuration"] {
        assert!(checks.iter().any(|check| check["list"] == part), "{part}: {}", checks[0]);
    }
    format!("{} checks: {} pass, {} warn", checks.len(), count("pass"), count("warn"))
}

fn blue_green(guide: &mut Guide) -> String {
    guide.another(1);
    let flags = ["--strategy", "blue-green", "--instances", "2", "--keep", "24h", "--bake", "0s"];
    let ended = guide.deploy(&flags);
    let said = &ended.stderr;
    assert!(ended.status.success() && said.contains("gate smoke: passed"), "{said}");
    let status = guide.status();
    let kept = status["instances"].as_array().expect("a list").len();
    assert!(kept > 2, "the old ones are kept: {status}");
    format!("green serves, blue is kept: {kept} instances")
}

fn canary(guide: &mut Guide) -> String {
    guide.another(2);
    let ended = guide.deploy(&["--steps", "5,25,100", "--bake", "0s"]);
    let said = &ended.stderr;
    assert!(
        ended.status.success() && said.contains("5 % of the traffic") && said.contains("25 % of the traffic"),
        "{said}"
    );
    "5, 25 and 100 % of the traffic".to_owned()
}

fn rolling(guide: &mut Guide) -> String {
    let before = guide.stable();
    guide.another(3);
    guide.deploy(&["--strategy", "rolling", "--instances", "2", "--batch", "1", "--bake", "0s"]).ok();
    assert_ne!(guide.stable(), before);
    "2 instances replaced one after the other".to_owned()
}

fn migrations(guide: &mut Guide) -> String {
    guide.tell(&["migrate", "new", "email_lower"]).ok();
    guide.project.write("db/migrations/0001_email_lower.sql", GUIDE);
    guide.tell(&["migrate", "lint"]).ok();
    let plan = guide.tell(&["migrate", "plan"]).ok();
    assert!(plan.contains("v_user: ACCESS EXCLUSIVE"), "{plan}");
    guide.tell(&["migrate", "run"]).ok();
    let status = guide.tell(&["migrate", "status"]).ok();
    assert_eq!(status, "0001_email_lower  expand done, backfill done, index done, contract to do\n");
    let url = guide.project.url();
    let left = value(&url, "SELECT count(*) FROM v_user WHERE email_lower IS DISTINCT FROM lower(email)");
    assert_eq!(left, "0");
    // Step 4: the old release handles both columns, the new one uses the new one.
    let schema = guide.project.read("schema.graphql");
    let with_both = schema.replacen("  email: String!\n", "  email: String!\n  emailLower: String\n", 1);
    assert_ne!(with_both, schema);
    guide.project.write("schema.graphql", &with_both);
    guide.deploy(&["--steps", "50", "--bake", "0s"]).ok();
    let answer = post(guide.port, "{ user(id: 1) { email emailLower } }").expect("an answer");
    let user = &answer["data"]["user"];
    let (typed, lower) = (user["email"].as_str().expect("a text"), user["emailLower"].as_str());
    assert_eq!(lower, Some(typed.to_lowercase().as_str()));
    // Step 5 is for when nobody reads it any more.
    let guarded = guide.tell(&["migrate", "guard"]);
    let told = format!("{} reads public.v_user.email", &guide.stable()[..12]);
    assert!(guarded.status.code() == Some(3) && guarded.stderr.contains(&told), "{}", guarded.stderr);
    format!(
        "{} rows; the column `email` stays while releases read it",
        value(&url, "SELECT count(*) FROM v_user")
    )
}

fn immediate_rollback(guide: &mut Guide) -> String {
    let before = guide.stable();
    let clients = Clients::asking(guide.port, &[Way::KeepAlive, Way::NewConnections], QUERY);
    let ended = guide.deploy_bad();
    assert!(ended.stderr.contains("rolled back"), "{}", ended.stderr);
    assert_eq!(guide.stable(), before);
    let failed: usize = clients.end().iter().map(|seen| seen.failed.len()).sum();
    assert!(failed > 0, "nobody has seen the bad release");
    guide.load();
    guide.calm();
    format!("the bad release went back by itself; {failed} requests had failed, then none")
}

fn database_rollback(guide: &mut Guide) -> String {
    let url = guide.project.url();
    let digest = "SELECT md5(string_agg(v::text, ',' ORDER BY id)) FROM v_user v";
    execute(&url, "INSERT INTO v_user (email) VALUES ('Last@example.com')");
    let (before, moment) = (value(&url, digest), value(&url, "SELECT clock_timestamp()"));
    execute(&url, "UPDATE v_user SET email = id::text, email_lower = 'nonsense'");
    execute(&url, "INSERT INTO v_user (email) VALUES ('lost@example.com')");
    guide.project.run(&["down", "-C", "shop"]).ok();
    drop(guide.agent.take().expect("it runs").end());
    let plan = guide.project.run(&["restore", "plan", "shop", "--to", &moment]).ok();
    assert!(plan.contains("backup"), "{plan}");
    guide.project.run(&["restore", "shop", "--to", &moment]).ok();
    guide.start();
    guide.serves();
    assert_eq!(value(&guide.project.url(), digest), before);
    "every row as before the bad UPDATE".to_owned()
}

fn health(guide: &mut Guide) -> String {
    let ready = |(status, _): &(u16, String)| *status == 200;
    wait_until("it is ready", || get(guide.port, "/health/ready").filter(ready));
    // After a start the proxy has not yet heard of all instances.
    let health: Value = wait_until("it is healthy", || {
        let (_, body) = get(guide.port, "/health").filter(ready)?;
        let health: Value = serde_json::from_str(&body).expect("JSON");
        (health["status"] == "healthy").then_some(health)
    });
    assert_eq!(health["database"]["status"], "connected", "{health}");
    let numbers = [&health["database"]["latency_ms"], &health["uptime_seconds"]];
    assert!(numbers.iter().all(|value| value.is_number()) && health["version"].is_string(), "{health}");
    assert!(health["cache"]["status"].is_string(), "{health}");
    "all fields of the guide; both probes say 200".to_owned()
}

fn monitoring(guide: &mut Guide) -> String {
    let service = format!("localhost:{}", guide.port);
    guide.project.run(&["monitoring", "export", "--out", "shop/monitoring", "--service", &service]).ok();
    if std::env::var("FRAISEQL_TEST_WITHOUT").is_ok_and(|parts| parts.contains("prometheus")) {
        return "exported; LEFT OUT: there is no Prometheus on this machine".to_owned();
    }
    let mut promtool = Command::new("promtool");
    promtool.current_dir(guide.project.dir()).args(["check", "config", "monitoring/prometheus.yml"]);
    Running::spawn(promtool).end().ok();
    let exported = guide.project.read("monitoring/prometheus.yml");
    guide.project.write("monitoring/prometheus.yml", &exported.replace("interval: 15s", "interval: 300ms"));
    let listen = free_port();
    let mut prometheus = Command::new("prometheus");
    prometheus
        .current_dir(guide.project.dir())
        .args(["--config.file=monitoring/prometheus.yml", "--storage.tsdb.path=series"])
        .arg(format!("--web.listen-address=127.0.0.1:{listen}"));
    let prometheus = Running::spawn(prometheus);
    wait_until("Prometheus scrapes it", || scrapes(listen).then_some(()));
    let alerts = guide.project.read("monitoring/alerts.yml");
    for name in ["ServiceDown", "HighErrorRate", "HighLatency"] {
        assert!(alerts.contains(&format!("alert: {name}\n")), "{name}: {alerts}");
    }
    prometheus.kill();
    "Prometheus scrapes it; the three alerts of the guide are loaded".to_owned()
}

fn terraform(_guide: &mut Guide) -> String {
    let module = checkout().join("packaging/terraform");
    let files = std::fs::read_dir(&module).expect("the module is there").filter_map(Result::ok);
    let text: String = files.filter_map(|file| std::fs::read_to_string(file.path()).ok()).collect();
    for name in ["fraiseql-prod", "fraiseql-db"] {
        assert!(text.contains(name), "{name} is in the module");
    }
    "the module has the guide's names; `make charts` plans it".to_owned()
}

fn vault(guide: &mut Guide) -> String {
    let Some(vault) = block_on(Vault::start()) else {
        return "LEFT OUT: there is no OpenBao on this machine".to_owned();
    };
    vault.run(&["kv", "put", "secret/fraiseql", "db_password=s3cret-of-the-guide", "api_key=k3y"]);
    let rules = "path \"secret/data/fraiseql\" { capabilities = [\"read\"] }";
    let token = vault.token("shop", rules, &["-ttl=1h"]);
    std::fs::create_dir(guide.project.root().join("vaulted")).expect("it is new");
    guide.project.write("../vaulted/vault_token", &format!("{token}\n"));
    let settings = format!(
        "[database]\nurl = \"postgres://app@localhost/shop\"\n\
         password = \"secret://vault/secret/fraiseql#db_password\"\n\
         [vault]\naddress = \"{}\"\ntoken = \"file://{}\"\n",
        vault.address(),
        guide.project.root().join("vaulted/vault_token").display(),
    );
    guide.project.write("../vaulted/fraiseql.toml", &settings);
    let ended = guide.project.run(&["secret", "check", "vaulted"]);
    assert!(!ended.stdout.contains("s3cret") && !ended.stderr.contains("s3cret"), "{}", ended.stdout);
    assert!(ended.ok().contains("secret://vault/secret/fraiseql#db_password"));
    "`db_password` is found by its reference, and not shown".to_owned()
}

fn runbook(guide: &mut Guide) -> String {
    guide.another(4);
    guide.project.run(&["release", "build", "shop"]).ok();
    guide.tell(&["release", "approve", "--by", "ann"]).ok();
    let walk = |done: &[&str]| -> Value {
        let words = [&["runbook", "deploy", "shop", "--json"], done].concat();
        serde_json::from_str(&guide.project.run(&words).ok()).expect("JSON")
    };
    let (mut report, mut asked) = (walk(&[]), 0);
    for _ in 0..STEPS_MAX {
        let Some(next) = report["next"].as_str().map(str::to_owned) else { break };
        report = if next == "deploy" {
            guide.deploy(&["--strategy", "blue-green", "--bake", "0s"]).ok();
            walk(&[])
        } else {
            asked += 1;
            walk(&["--done", &next, "--by", "ann"])
        };
    }
    let steps = report["entries"].as_array().expect("a list").len();
    assert!(report["next"].is_null() && steps >= 15, "{report}");
    let archived = guide.project.read(&format!(".fraiseql/runbooks/{}.md", guide.stable()));
    assert!(archived.contains("Create backup of database"), "{archived}");
    format!("{steps} steps, {asked} of them said by a person; the record is archived")
}

fn incident(guide: &mut Guide) -> String {
    let began = Instant::now();
    let before = guide.stable();
    guide.another(5);
    guide.deploy(&["--strategy", "blue-green", "--bake", "0s"]).ok();
    guide.script("declare-incident", &["New deployment error spike"]);
    let (phone, calls) = phone();
    let settings = guide.project.read("fraiseql.toml");
    guide.project.write("fraiseql.toml", &format!("{settings}[oncall]\nwebhook_url = \"{}\"\n", phone.url()));
    guide.script("page-oncall", &["fraiseql"]);
    assert_eq!(calls.load(Ordering::SeqCst), 1, "somebody is called");
    guide.script("rollback-to-previous.sh", &[]);
    wait_until("the one before serves", || (guide.stable() == before).then_some(()));
    let recovered = began.elapsed();
    health(guide);
    guide.script("create-postmortem", &["Deployment issue analysis"]);
    let document = guide.project.read("Deployment issue analysis.md");
    assert!(document.contains("New deployment error spike") && document.contains("T+"), "{document}");
    format!("declared, paged, back after {recovered:.1?} (the guide: 10 min), postmortem begun")
}

/// Whom the guide pages: an endpoint that counts calls.
fn phone() -> (HttpEndpoint, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&calls);
    let answer = move |_: &Asked| {
        counting.fetch_add(1, Ordering::SeqCst);
        (200, "ok".to_owned())
    };
    (HttpEndpoint::start(answer), calls)
}

fn capacity(guide: &mut Guide) -> String {
    let report: Value = serde_json::from_str(&guide.tell(&["capacity", "--json"]).ok()).expect("JSON");
    let metrics = report["metrics"].as_array().expect("a list").len();
    let triggers = report["triggers"].as_array().expect("a list").len();
    assert_eq!((metrics, triggers), (7, 4), "{report}");
    format!("{} samples of {metrics} metrics; {triggers} triggers", report["samples"])
}

fn documentation(_guide: &mut Guide) -> String {
    let pages = ["runbook.md", "rollouts.md", "settings.md", "alerts.md", "incidents.md", "backup.md"];
    for page in pages {
        let text = std::fs::read_to_string(checkout().join("docs/reference").join(page)).expect("a page");
        assert!(text.lines().count() > 10, "{page}");
    }
    format!("{} pages", pages.len())
}
