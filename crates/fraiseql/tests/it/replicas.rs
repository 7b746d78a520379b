//! Reads from a replica that streams: fresh enough, after one's own writes, through its death and a failover.

use std::time::Duration;

use fraiseql_testkit::{Replicated, wait_until};
use serde_json::json;

use crate::http::{get, post, post_body, post_for_head};
use crate::process::{Running, fraiseql};
use crate::project::{MUSIC, Project, TABLES, block_on, database};

const LIMIT: Duration = Duration::from_secs(120);
/// Tells where it is read.
const PLACE: &str = "CREATE VIEW place AS SELECT pg_is_in_recovery() AS standby;";
const SCHEMA: &str = "  place: [Place!]!\n";
const TYPE: &str = "\ntype Place @relation(name: \"place\") {\n  standby: Boolean\n}\n";

fn project() -> Project {
    let schema = MUSIC.replacen("type Query {\n", &format!("type Query {{\n{SCHEMA}"), 1);
    Project::new(&format!("{schema}{TYPE}"))
}

fn serve(project: &Project, url: &str, replicas: &str) -> (Running, u16) {
    let replicas = format!("database.replicas={replicas}");
    let arguments = [
        "serve",
        "shop",
        "--port",
        "0",
        "--database-url",
        url,
        "--set",
        &replicas,
        "--set",
        "graphql.batch_max=5",
    ];
    let mut running = Running::spawn(fraiseql(project.root(), arguments));
    let port = running.port("listening on http://127.0.0.1:");
    (running, port)
}

/// Returns whether a query that reads after that is read from the replica.
fn from_replica(port: u16, after: &str) -> Option<bool> {
    let (_, answer) = post_for_head(port, after, "{ place { standby } }")?;
    answer["data"]["place"][0]["standby"].as_bool()
}

fn wait_for_replica(port: u16, expected: bool) {
    block_on(wait_until(LIMIT, || async { from_replica(port, "") == Some(expected) }));
}

fn names(port: u16, after: &str) -> String {
    let (_, answer) = post_for_head(port, after, "{ artists { name } }").expect("it answers");
    answer["data"]["artists"].to_string()
}

#[test]
fn queries_are_read_from_a_replica_and_never_before_ones_own_writes() {
    let mut servers = block_on(Replicated::start(&format!("{TABLES}{PLACE}")));
    let project = project();
    project.compile(&servers.primary_url()).ok();
    let (running, port) = serve(&project, &servers.primary_url(), &servers.replica_url());
    wait_for_replica(port, true);

    // Held back, it does not have the write: whoever wrote reads from the primary, others from either.
    block_on(servers.on_replica("SELECT pg_wal_replay_pause()"));
    let insert = "mutation { insertArtist(object: {artistId: 1, name: \"A\"}) { name } }";
    let (head, answer) = post_for_head(port, "", insert).expect("it answers");
    assert_eq!(answer, json!({ "data": { "insertArtist": { "name": "A" } } }));
    let position =
        head.lines().find_map(|line| line.strip_prefix("x-fraiseql-read-after: ")).expect("a position");
    let after = format!("x-fraiseql-read-after: {position}\r\n");
    for _often in 0..20 {
        assert_eq!(names(port, &after), r#"[{"name":"A"}]"#);
    }
    assert_eq!(from_replica(port, "x-fraiseql-read-after: nonsense\r\n"), Some(false));
    // A batch is one client: what it wrote first it reads then.
    let batch = json!([{ "query": "mutation { insertArtist(object: {artistId: 0, name: \"0\"}) { name } }" },
        { "query": "{ artist(artistId: 0) { name } }" }]);
    let (head, answer) = post_body(port, "", &batch).expect("it answers");
    assert_eq!(answer[1]["data"]["artist"]["name"], "0", "{answer}");
    assert!(head.contains("x-fraiseql-read-after: "), "{head}");
    block_on(servers.on_primary("DELETE FROM artist WHERE artist_id = 0"));
    // Too far behind, it gets no reads at all.
    wait_for_replica(port, false);
    assert_eq!(names(port, ""), r#"[{"name":"A"}]"#);
    block_on(wait_until(LIMIT, || async { running.said().contains("no query is read from the replica") }));
    block_on(servers.on_replica("SELECT pg_wal_replay_resume()"));
    wait_for_replica(port, true);
    block_on(wait_until(LIMIT, || async {
        from_replica(port, &after) == Some(true) && names(port, &after) == r#"[{"name":"A"}]"#
    }));

    let metrics = get(port, "/metrics").expect("it answers").1;
    assert!(
        metrics.contains("fraiseql_replica_up{replica=") && metrics.contains("fraiseql_replica_lag_seconds{"),
        "{metrics}"
    );

    // Killed in the middle, it fails no query; back again, it is read from again.
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut answered = 0;
            for _often in 0..400 {
                let answer = post(port, "{ artists { name } }").expect("it answers");
                assert_eq!(answer, json!({ "data": { "artists": [{ "name": "A" }] } }));
                answered += 1;
            }
            answered
        });
        servers.kill_replica();
        assert_eq!(asking.join().expect("no query fails"), 400);
    });
    wait_for_replica(port, false);
    block_on(servers.start_replica());
    wait_for_replica(port, true);
}

#[test]
fn when_the_primary_is_lost_reads_go_on_and_writes_follow_to_the_new_one() {
    let servers = block_on(Replicated::start(&format!("{TABLES}{PLACE}INSERT INTO artist VALUES (1, 'A');")));
    let project = project();
    project.compile(&servers.primary_url()).ok();
    let (running, port) = serve(&project, &servers.writer_url(), &servers.replica_url());
    wait_for_replica(port, true);
    servers.kill_primary();
    let insert = "mutation { insertArtist(object: {artistId: 2, name: \"B\"}) { name } }";
    block_on(wait_until(LIMIT, || async {
        post(port, insert).is_some_and(|answer| answer["errors"][0]["extensions"]["code"] == "UNAVAILABLE")
    }));
    // The last process of the old primary may have written before it noticed.
    assert!(names(port, "").contains(r#"{"name":"A"}"#));
    block_on(servers.promote());
    // One that was cut off may have been written: it is tried again until it is there.
    block_on(wait_until(LIMIT, || async {
        post(port, insert).expect("it answers");
        names(port, "") == r#"[{"name":"A"},{"name":"B"}]"#
    }));
    // What was the replica is the primary now, and is read as such.
    block_on(wait_until(LIMIT, || async { running.said().contains("it is no replica") }));
    assert_eq!(from_replica(port, ""), Some(false));
}

#[test]
fn what_is_no_replica_of_this_database_is_not_read_from() {
    let servers =
        block_on(Replicated::start(&format!("{TABLES}{PLACE}INSERT INTO artist VALUES (1, 'stranger');")));
    let own = database(&format!("{TABLES}{PLACE}"));
    let project = project();
    project.compile(&own.url()).ok();
    let two = format!("{} {}", servers.replica_url(), servers.primary_url());
    let (running, port) = serve(&project, &own.url(), &two);
    block_on(wait_until(LIMIT, || async {
        running.said().contains("it is a replica of another cluster")
            && running.said().contains("it is no replica")
    }));
    for _often in 0..10 {
        assert_eq!((names(port, ""), from_replica(port, "")), ("[]".to_owned(), Some(false)));
    }
    let wrong = ["serve", "shop", "--database-url", &own.url(), "--set", "database.replica_weights=1,2"];
    let shown = project.run(&wrong).shown(&[]);
    assert!(
        shown.contains("error[FQ-CFG-002]: database.replica_weights has 2 words for 0 replicas"),
        "{shown}"
    );
}
