//! Rollouts from one command, under load, with everything that may die dying meanwhile.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use crate::load::Way;
use crate::managed::{Managed, READERS, nobody_noticed};
use crate::process::{signal_pid, wait_until};
use crate::project::{MUSIC, execute};

#[test]
fn each_strategy_promotes_a_good_release_and_no_client_notices() {
    let managed = Managed::serving();
    let ways = [READERS, &[Way::Mutations]].concat();
    execute(&managed.url, "DELETE FROM artist");
    let clients = managed.clients(&ways);
    let strategies: [&[&str]; 3] = [
        &["--strategy", "canary", "--steps", "20,50"],
        &["--strategy", "blue-green", "--instances", "2"],
        &["--strategy", "rolling"],
    ];
    for (number, flags) in (1..).zip(strategies) {
        let release = managed.another(number);
        let said = managed.deploy(flags).stderr;
        assert_eq!(managed.stable(), release, "{said}");
        assert_eq!(managed.weights(), [(release, 100)], "{said}");
    }
    let (answers, _) = nobody_noticed(clients.end());
    assert!(answers > 100, "{answers}");
}

#[test]
fn a_rollback_needs_nobody_but_the_proxy() {
    let mut managed = Managed::serving();
    let first = managed.stable();
    let second = managed.another(1);
    managed.deploy(&["--strategy", "blue-green", "--step-time", "0s"]).ok();
    let clients = managed.clients(READERS);
    clients.more(5);
    managed.kill_agent();
    let began = Instant::now();
    let ended = managed.tell(&["rollback"]);
    let took = began.elapsed();
    assert!(ended.stderr.contains("the agent is away: asking the proxy itself"), "{}", ended.stderr);
    ended.ok();
    assert_eq!(managed.weights(), [(first.clone(), 100)]);
    clients.more(5);
    nobody_noticed(clients.end());
    println!("rollback without an agent: {took:.0?}");

    // The agent respects what was done without it, and remembers the release.
    managed.start_agent();
    managed.until("it is at rest", |status| status["service"]["rollout"].is_null());
    assert_eq!((managed.stable(), managed.weights()), (first.clone(), vec![(first, 100)]));
    let ended = managed.deploy(&["--release", &second]);
    assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("--again"), "{}", ended.stderr);
}

#[test]
fn an_agent_that_is_killed_again_and_again_ends_what_it_began() {
    let mut managed = Managed::serving();
    let release = managed.another(1);
    let clients = managed.clients(READERS);
    drop(managed.deploying(&["--steps", "20,50,80", "--detach"]).end());
    for round in 0..4 {
        // At another moment in each round.
        std::thread::sleep(Duration::from_millis(300 + 170 * round));
        managed.kill_agent();
        managed.start_agent();
    }
    let ended = managed.until("it has ended", |status| status["service"]["rollout"].is_null());
    assert_eq!(ended["service"]["last"]["outcome"], json!({ "outcome": "promoted" }), "{ended}");
    assert_eq!(managed.weights(), [(release, 100)]);
    nobody_noticed(clients.end());
}

#[test]
fn a_proxy_that_is_killed_comes_back_with_the_same_shares() {
    let managed = Managed::serving();
    managed.another(1);
    drop(managed.deploying(&["--steps", "30", "--step-time", "10m", "--detach"]).end());
    let weights = wait_until("the canary has its share", || {
        let weights = managed.weights();
        (weights.len() == 2).then_some(weights)
    });
    let pid = managed.status()["proxy"]["pid"].as_u64().expect("it answers");
    let began = Instant::now();
    signal_pid(u32::try_from(pid).expect("a pid"), Signal::KILL);
    wait_until("somebody answers", || crate::http::post(managed.port, "{ artists { name } }"));
    println!("the proxy was back after {:.0?}", began.elapsed());
    assert_eq!(managed.weights(), weights);
    let state = managed
        .until("the agent sees it", |status| status["proxy"]["pid"].as_u64().is_some_and(|new| new != pid));
    assert_eq!(state["service"]["rollout"]["phase"]["phase"], json!("going"), "{state}");
    managed.tell(&["abort"]).ok();
    managed.until("it is back", |status| status["service"]["rollout"].is_null());
}

#[test]
fn after_a_loss_of_power_the_same_release_serves() {
    let mut managed = Managed::serving();
    let release = managed.another(1);
    managed.deploy(&["--strategy", "blue-green", "--step-time", "0s"]).ok();
    managed.lose_power();
    assert_eq!(crate::http::get(managed.port, "/health"), None);
    managed.start_agent();
    let answer = wait_until("it serves again", || {
        let answer = crate::http::post(managed.port, "{ artists { name } }")?;
        answer["data"].is_object().then_some(answer)
    });
    assert_eq!(answer["data"]["artists"][0]["name"], json!("Nina"));
    assert_eq!((managed.stable(), managed.weights()), (release.clone(), vec![(release, 100)]));
}

#[test]
fn an_instance_that_hangs_is_started_again() {
    let managed = Managed::serving();
    let release = managed.stable();
    let pid = managed.pids(&release)[0];
    signal_pid(pid, Signal::STOP);
    managed.until("another process serves", |status| {
        let instance = &status["instances"][0];
        instance["ready"] == json!(true) && instance["pid"].as_u64() != Some(u64::from(pid))
    });
    wait_until("it serves again", || {
        crate::http::post(managed.port, "{ artists { name } }").filter(|answer| answer["data"].is_object())
    });
    let said = managed.agent.as_ref().expect("it runs").said();
    assert!(said.contains("does not answer any more, and is started again"), "{said}");
}

#[test]
fn an_operator_holds_promotes_aborts_and_supersedes() {
    let managed = Managed::serving();
    let first = managed.stable();
    let second = managed.another(1);
    let clients = managed.clients(READERS);
    drop(managed.deploying(&["--steps", "20,50", "--step-time", "10m", "--bake", "0s", "--detach"]).end());
    let share = |managed: &Managed, release: &str, share: u64| {
        wait_until("the share", || managed.weights().contains(&(release.to_owned(), share)).then_some(()));
    };
    share(&managed, &second, 20);
    let refused = managed.deploy(&["--release", &first]);
    assert_eq!(refused.status.code(), Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("--supersede"), "{}", refused.stderr);
    managed.tell(&["hold"]).ok();
    let shown = managed.tell(&["status"]).ok();
    assert!(shown.contains("waits     for an operator: `fraiseql resume`, or `fraiseql promote`"), "{shown}");
    managed.tell(&["resume"]).ok();
    managed.tell(&["promote"]).ok();
    share(&managed, &second, 50);
    let third = managed.another(2);
    let said = managed.deploy(&["--strategy", "blue-green", "--step-time", "0s", "--supersede"]);
    assert!(said.stderr.contains("taking back the rollout that is under way"), "{}", said.stderr);
    said.ok();
    assert_eq!(managed.stable(), third);
    managed.tell(&["rollback"]).ok();
    share(&managed, &first, 100);
    let ended = managed.until("it is back", |status| status["service"]["rollout"].is_null());
    assert_eq!(ended["service"]["stable"], json!(first));
    nobody_noticed(clients.end());
    let history = managed.tell(&["history"]).ok();
    assert_eq!(history.lines().count(), 4, "{history}");
    assert!(history.contains("rolled back: an operator wanted it"), "{history}");
}

/// How a release is broken, and what an operator is told.
struct Broken {
    /// A view of artists that the release reads instead of the table.
    view: &'static str,
    /// What runs in the place of its program.
    script: &'static str,
    /// What the end of the command says.
    told: &'static str,
}

const WHOLE: Broken = Broken { view: "", script: "", told: "" };

/// Deploys a broken release under load; it must end on the old one with that reason.
#[track_caller]
fn breaks(name: &str, broken: &Broken, flags: &[&str]) {
    let managed = Managed::serving();
    let first = managed.stable();
    if !broken.view.is_empty() {
        execute(&managed.url, &format!("CREATE VIEW artist_view AS {}", broken.view));
        let schema = MUSIC.replace(
            r#"@relation(name: "artist") @write(insert: true)"#,
            r#"@relation(name: "artist_view", key: ["artist_id"])"#,
        );
        managed.project.write("schema.graphql", &schema);
    }
    let release = managed.another(1);
    if !broken.script.is_empty() {
        managed.pretend(&release, broken.script);
    }
    let clients = managed.clients(&[Way::KeepAlive, Way::KeepAlive, Way::NewConnections]);
    clients.more(20);
    let began = Instant::now();
    let ended = managed.deploy(&[&["--steps", "20,50", "--allow-breaking"], flags].concat());
    let took = began.elapsed();
    assert_eq!(ended.status.code(), Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains(broken.told), "{}", ended.stderr);
    assert_eq!((managed.stable(), managed.weights()), (first.clone(), vec![(first, 100)]));
    let seen = clients.end();
    let answers: usize = seen.iter().map(|seen| seen.micros.len()).sum();
    let failed: usize = seen.iter().map(|seen| seen.failed.len()).sum();
    let incidents = managed.tell(&["incident", "list"]).ok();
    assert!(incidents.contains("of ") && incidents.contains(" went back: "), "{incidents}");
    let told = managed.tell(&["incident", "show"]).ok();
    assert!(told.contains("T-") && told.contains("agent: "), "{told}");
    println!("| {name} | {took:.1?} | {answers} | {failed} |");
}

#[test]
fn a_release_that_ends_at_its_start_gets_no_traffic() {
    let broken = Broken { script: "echo no such luck >&2; exit 3", told: "do not stay up", ..WHOLE };
    breaks("exits at start", &broken, &[]);
}

#[test]
fn a_release_that_is_never_ready_gets_no_traffic() {
    let broken = Broken { script: "exec sleep 1000", told: "were not ready in time", ..WHOLE };
    breaks("never ready", &broken, &["--deadline", "2s"]);
}

#[test]
fn a_release_that_crashes_once_it_has_traffic_goes_back() {
    let script = "\"$REAL\" \"$@\" & sleep 2; kill -9 $!; exit 1";
    let broken = Broken { script, told: "rolled back", ..WHOLE };
    breaks("ready, then crashes", &broken, &["--step-time", "30s"]);
}

#[test]
fn a_release_that_hangs_goes_back() {
    let script = "\"$REAL\" \"$@\" & sleep 2; kill -STOP $!; sleep 1000";
    let broken = Broken { script, told: "rolled back", ..WHOLE };
    breaks("hangs", &broken, &["--step-time", "60s"]);
}

#[test]
fn a_release_that_takes_more_and_more_memory_goes_back() {
    let managed = Managed::with_settings("memory_max_mib = 300\n", "");
    managed.deploy(&["--bake", "0s"]).ok();
    let first = managed.stable();
    let release = managed.another(1);
    // The shell is the instance; what it holds is its own.
    let script = "\"$REAL\" \"$@\" & sleep 1; x=$(head -c 400000000 /dev/zero | tr '\\0' x); sleep 1000";
    managed.pretend(&release, script);
    let clients = managed.clients(&[Way::KeepAlive]);
    let ended = managed.deploy(&["--steps", "20", "--step-time", "60s"]);
    assert_eq!(ended.status.code(), Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("rolled back: "), "{}", ended.stderr);
    assert_eq!((managed.stable(), managed.weights()), (first.clone(), vec![(first, 100)]));
    drop(clients.end());
    let said = managed.agent.as_ref().expect("it runs").said();
    assert!(said.contains("MiB of memory, and may use 300"), "{said}");
}

#[test]
fn a_release_that_refuses_to_stop_is_killed_after_its_time() {
    let managed = Managed::with_settings("", "[server]\ndrain_timeout_ms = 500\n");
    managed.deploy(&["--bake", "0s"]).ok();
    let first = managed.stable();
    let release = managed.another(1);
    managed.pretend(&release, "trap '' TERM; \"$REAL\" \"$@\" & while :; do sleep 1; done");
    drop(managed.deploying(&["--steps", "20", "--step-time", "10m", "--detach"]).end());
    managed.until("it is watched", |status| status["service"]["rollout"]["phase"]["stage"] == json!("watch"));
    let clients = managed.clients(READERS);
    managed.tell(&["abort"]).ok();
    let stays = managed.pids(&release);
    assert_eq!(stays.len(), 1);
    managed.until("it is gone", |status| {
        let instances = status["instances"].as_array().cloned().unwrap_or_default();
        instances.iter().all(|instance| instance["release"] == json!(first))
    });
    assert_eq!((managed.stable(), managed.weights()), (first.clone(), vec![(first, 100)]));
    nobody_noticed(clients.end());
}

#[test]
fn a_release_whose_every_answer_is_an_error_goes_back() {
    let view = "SELECT artist_id, (1 / (artist_id - artist_id))::text AS name FROM artist";
    breaks("100 % errors", &Broken { view, told: "bad, old release 0 of", ..WHOLE }, &[]);
}

#[test]
fn a_release_with_some_errors_in_good_answers_goes_back() {
    let view = "SELECT artist_id, CASE WHEN random() < 0.1 THEN (1 / (artist_id - artist_id))::text ELSE name END AS name FROM artist";
    breaks(
        "10 % GraphQL errors in HTTP 200",
        &Broken { view, told: "bad, old release 0 of", ..WHOLE },
        &["--step-time", "60s"],
    );
}

#[test]
fn a_release_that_is_slow_goes_back() {
    let view = "SELECT artist_id, name || coalesce(substr(pg_sleep(0.05)::text, 1), '') AS name FROM artist";
    breaks("slow", &Broken { view, told: "slow, old release", ..WHOLE }, &["--step-time", "60s"]);
}

#[test]
fn a_release_that_answers_wrongly_fails_its_smoke_test() {
    let managed = Managed::serving();
    let first = managed.stable();
    managed.project.write("smoke/first.graphql", "{ artist(artistId: 1) { name } }");
    managed.project.write("smoke/first.json", r#"{ "artist": { "name": "Nina" } }"#);
    managed.deploy(&["--strategy", "blue-green", "--step-time", "0s"]).ok();
    let second = managed.stable();
    assert_ne!(second, first);
    execute(&managed.url, "CREATE VIEW artist_view AS SELECT artist_id, upper(name) AS name FROM artist");
    let schema = MUSIC.replace(
        r#"@relation(name: "artist") @write(insert: true)"#,
        r#"@relation(name: "artist_view", key: ["artist_id"])"#,
    );
    managed.project.write("schema.graphql", &schema);
    let ended = managed.deploy(&["--allow-breaking"]);
    let said = r#"smoke failed: first: .artist.name is "NINA", and should be "Nina""#;
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
    assert_eq!((managed.stable(), managed.weights()), (second.clone(), vec![(second, 100)]));
}

#[test]
fn the_commands_of_the_page_do_what_it_says() {
    let page = fraiseql_testkit::checkout().join("docs/reference/rollouts.md");
    let page = std::fs::read_to_string(page).expect("the page is there");
    let blocks: Vec<&str> =
        page.split("```sh\n").skip(1).map(|rest| rest.split("```").next().expect("an end")).collect();
    let [first, canary, back] = blocks.as_slice() else { panic!("{} blocks", blocks.len()) };
    let managed = Managed::start();
    let run = |block: &str| {
        for line in block.lines() {
            let mut words: Vec<&str> = line.strip_prefix("fraiseql ").expect("ours").split(' ').collect();
            if words[0] == "deploy" {
                words.extend(["--database-url", &managed.url]);
            }
            managed.project.run(&words).ok();
        }
    };
    run(first);
    let stable = managed.stable();
    let second = managed.another(1);
    let clients = managed.clients(READERS);
    run(canary);
    assert_eq!(managed.stable(), second);
    run(back);
    managed.until("it is back", |status| status["service"]["rollout"].is_null());
    assert_eq!(managed.weights(), [(stable, 100)]);
    nobody_noticed(clients.end());
}

#[test]
fn a_release_further_back_is_started_again_first() {
    let managed = Managed::serving();
    let first = managed.stable();
    for number in 1..3 {
        managed.another(number);
        managed.deploy(&["--strategy", "blue-green", "--step-time", "0s", "--keep", "0s"]).ok();
    }
    let ended = managed.tell(&["rollback", &first[..12]]);
    assert!(ended.stderr.contains("has no instances any more"), "{}", ended.stderr);
    ended.ok();
    assert_eq!((managed.stable(), managed.weights()), (first.clone(), vec![(first, 100)]));
}

#[test]
fn read_only_holds_for_instances_that_run_and_for_those_that_start() {
    let mut managed = Managed::serving();
    let port = managed.port;
    let write = |id: u32| {
        let document = format!("mutation {{ insertArtist(object: {{artistId: {id}}}) {{ artistId }} }}");
        crate::http::post(port, &document).expect("an answer")
    };
    assert_eq!(write(101)["data"]["insertArtist"]["artistId"], json!(101));
    managed.tell(&["maintenance", "read-only"]).ok();
    let refused = |id: u32| {
        let answer = write(id);
        assert!(answer["errors"][0]["message"].is_string() && answer["data"].is_null(), "{answer}");
        assert!(crate::http::post(port, "{ artists { name } }").expect("an answer")["data"].is_object());
    };
    refused(102);
    let shown = managed.tell(&["status"]).ok();
    assert!(shown.contains("gate      mutations are refused: `fraiseql maintenance off`"), "{shown}");

    // A new agent, an instance that starts again, and another release hold to it.
    managed.kill_agent();
    managed.start_agent();
    let pid = managed.pids(&managed.stable())[0];
    signal_pid(pid, Signal::KILL);
    managed.until("another process serves", |status| {
        let instance = &status["instances"][0];
        instance["ready"] == json!(true) && instance["pid"].as_u64() != Some(u64::from(pid))
    });
    wait_until("it serves again", || {
        crate::http::post(port, "{ artists { name } }").filter(|answer| answer["data"].is_object())
    });
    refused(103);
    managed.another(1);
    managed.deploy(&["--strategy", "blue-green", "--step-time", "0s"]).ok();
    refused(104);

    managed.tell(&["maintenance", "off"]).ok();
    managed.until("all of them write", |status| status["switched"] == json!(true));
    assert_eq!(write(105)["data"]["insertArtist"]["artistId"], json!(105));
}

#[test]
fn releases_that_are_needed_are_never_removed() {
    let managed = Managed::serving();
    let first = managed.stable();
    let second = managed.another(1);
    managed.deploy(&["--strategy", "blue-green", "--step-time", "0s"]).ok();
    let [third, fourth] = [2, 3].map(|number| managed.another(number));
    // Which one is the newest is told by the second in which it was built.
    let built = Instant::now();
    wait_until("another second", || (built.elapsed() > Duration::from_secs(1)).then_some(()));
    let newest = managed.another(4);
    drop(managed.deploying(&["--release", &third, "--steps", "20", "--step-time", "10m", "--detach"]).end());
    managed.until("it is watched", |status| status["service"]["rollout"]["phase"]["stage"] == json!("watch"));
    let said = managed.tell(&["releases", "prune", "--keep", "1"]);
    for told in [
        format!("{} stays: it is served", &second[..12]),
        format!("{} stays: a rollout is about it", &third[..12]),
        format!("removed {}", &fourth[..12]),
    ] {
        assert!(said.stderr.contains(&told), "{told}: {}", said.stderr);
    }
    let listed = managed.tell(&["releases"]).ok();
    let has = |release: &str| listed.contains(&release[..12]);
    assert!(has(&second) && has(&third) && has(&newest) && !has(&fourth) && !has(&first), "{listed}");
    managed.tell(&["abort"]).ok();
    managed.until("it is back", |status| status["service"]["rollout"].is_null());
    assert_eq!(managed.weights(), [(second.clone(), 100)]);

    // After a promotion the one before is kept for a rollback.
    managed.deploy(&["--release", &third, "--strategy", "blue-green", "--again"]).ok();
    let said = managed.tell(&["releases", "prune", "--keep", "1"]);
    assert!(
        said.stderr.contains(&format!("{} stays: it is kept for a rollback", &second[..12])),
        "{}",
        said.stderr
    );
    managed.tell(&["rollback"]).ok();
    managed.until("it is back", |status| status["service"]["stable"] == json!(second));
}

#[test]
fn the_scripts_of_a_new_project_work_as_the_guide_calls_them() {
    let managed = Managed::serving();
    let first = managed.stable();
    managed.another(1);
    managed.deploy(&["--strategy", "blue-green", "--step-time", "0s"]).ok();
    managed.project.run(&["init", "--from-database", &managed.url, "new"]).ok();
    let scripts = managed.project.dir().join("scripts");
    std::fs::rename(managed.project.root().join("new/scripts"), &scripts).expect("init has written them");
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_fraiseql")).parent().expect("a folder");
    let path = format!("{}:{}", program.display(), std::env::var("PATH").expect("there is one"));
    let script = |name: &str, words: &[&str]| {
        let mut command = std::process::Command::new(scripts.join(name));
        crate::process::clean(&mut command, &managed.project.dir());
        command.args(words).env("PATH", &path);
        crate::process::Running::spawn(command).end().ok();
    };
    script("declare-incident", &["New deployment error spike"]);
    script("rollback-to-previous.sh", &[]);
    managed.until("it is back", |status| status["service"]["rollout"].is_null());
    assert_eq!(managed.stable(), first);
    script("create-postmortem", &["Deployment issue analysis"]);
    let document = managed.project.read("Deployment issue analysis.md");
    assert!(
        document.contains("New deployment error spike") && document.contains("an operator wanted it"),
        "{document}"
    );
}

#[test]
fn a_supervisor_of_the_agent_is_told_that_it_works() {
    let mut managed = Managed::start();
    managed.kill_agent();
    let path = managed.project.root().join("notify");
    let supervisor = std::os::unix::net::UnixDatagram::bind(&path).expect("a socket");
    let path = path.to_str().expect("text");
    managed.start_agent_with(&[("NOTIFY_SOCKET", path), ("WATCHDOG_USEC", "600000")]);
    for line in ["WATCHDOG=1", "READY=1", "WATCHDOG=1", "WATCHDOG=1"] {
        assert!(crate::life::told(&supervisor, line), "{line}");
    }
    let agent = managed.agent.take().expect("it runs");
    agent.signal(Signal::TERM);
    assert!(crate::life::told(&supervisor, "STOPPING=1"));
    agent.end().ok();
}
