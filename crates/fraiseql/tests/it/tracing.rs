//! Spans at a real collector, and the log of slow operations.

use std::time::Duration;

use fraiseql_testkit::{Collector, wait_until};
use rustix::process::Signal;
use serde_json::Value;

use crate::http::{data, get, post_with};
use crate::process::{Running, fraiseql};
use crate::project::{MUSIC, Project, TABLES, block_on, database, execute};

const LIMIT: Duration = Duration::from_secs(120);
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn serve(project: &Project, url: &str, settings: &[&str]) -> (Running, u16) {
    let mut arguments =
        vec!["serve", "shop", "--port", "0", "--database-url", url, "--set", "log.format=json"];
    arguments.extend(settings.iter().flat_map(|setting| ["--set", setting]));
    let mut running = Running::spawn(fraiseql(project.root(), arguments));
    let port = running.port("listening on http://127.0.0.1:");
    (running, port)
}

/// Returns the part of the collector's log with one span.
fn span<'t>(taken: &'t str, name: &str) -> Option<&'t str> {
    taken.split("\nSpan #").find(|span| span.contains(&format!("Name           : {name}\n")))
}

#[test]
fn a_collector_takes_the_spans_of_a_request() {
    let Some(mut collector) = block_on(Collector::start()) else { return };
    let database = database(TABLES);
    let (project, url) = (Project::new(MUSIC), database.url());
    project.compile(&url).ok();
    let endpoint = format!("tracing.endpoint={}", collector.url());
    let (running, port) = serve(&project, &url, &[&endpoint, "tracing.sample_percent=0"]);
    let sampled = format!("traceparent: 00-{TRACE}-00f067aa0ba902b7-01\r\ngraphql-client-name: web\r\n");
    post_with(port, &sampled, "query Everybody { artists { name } }").expect("it answers");
    // Its client keeps nothing, and neither do we.
    let unsampled = format!("traceparent: 00-{}-00f067aa0ba902b7-00\r\n", TRACE.replace('4', "5"));
    post_with(port, &unsampled, "query Unseen { artists { name } }").expect("it answers");
    data(port, "query Unseen { artists { name } }");
    block_on(wait_until(LIMIT, || async { span(&collector.taken(), "query Everybody").is_some() }));
    let taken = collector.taken();
    let whole = span(&taken, "query Everybody").expect("just seen");
    for part in [
        "Parent ID      : 00f067aa0ba902b7",
        "SPAN_KIND_SERVER",
        TRACE,
        "graphql.operation.name: Str(Everybody)",
        "http.response.status_code: Int(200)",
        "fraiseql.client: Str(web)",
    ] {
        assert!(whole.contains(part), "{part}: {whole}");
    }
    let own = whole.lines().find_map(|line| line.trim().strip_prefix("ID             : ")).expect("an id");
    for (name, part) in
        [("postgresql", "db.query.text: Str(SELECT"), ("wait for a connection", "SPAN_KIND_INTERNAL")]
    {
        let below = span(&taken, name).unwrap_or_else(|| panic!("no {name}: {taken}"));
        assert!(below.contains(part) && below.contains(&format!("Parent ID      : {own}")), "{below}");
    }

    // Away: requests go on, it is said once, and what was not taken is counted.
    collector.kill();
    post_with(port, &sampled, "query Lost { artists { name } }").expect("it answers");
    block_on(wait_until(LIMIT, || async { running.said().contains("spans are dropped until") }));
    let metrics = get(port, "/metrics").expect("it answers").1;
    assert!(metrics.contains("fraiseql_traces_dropped_total 1"), "{metrics}");
    block_on(collector.run());
    post_with(port, &sampled, "query Back { artists { name } }").expect("it answers");
    block_on(wait_until(LIMIT, || async { running.said().contains("the collector takes spans again") }));
    // What came last is sent before the end.
    post_with(port, &sampled, "query Last { artists { name } }").expect("it answers");
    running.signal(Signal::TERM);
    let ended = running.end();
    assert!(ended.status.success(), "{}", ended.shown(&[]));
    block_on(wait_until(LIMIT, || async { span(&collector.taken(), "query Last").is_some() }));
    assert!(!collector.taken().contains("Unseen"));
    let line: Value = ended
        .stderr
        .lines()
        .find(|line| line.contains("Everybody"))
        .map(serde_json::from_str)
        .expect("a line")
        .expect("JSON");
    assert_eq!((line["trace.id"].as_str(), line["fraiseql.client"].as_str()), (Some(TRACE), Some("web")));
    assert!(line["fraiseql.sql_duration"].as_u64() > Some(0), "{line}");
}

#[test]
fn a_slow_operation_is_told_with_its_plan() {
    let database = database(TABLES);
    execute(
        &database.url(),
        "CREATE FUNCTION slowly(int) RETURNS int LANGUAGE sql VOLATILE AS 'SELECT $1 FROM pg_sleep(0.3)';
        CREATE VIEW slow AS SELECT slowly(artist_id) AS artist_id, name FROM artist;
        INSERT INTO artist VALUES (1, 'A')",
    );
    let schema = MUSIC
        .replace("name: \"artist\"", "name: \"slow\"")
        .replace(" @write(insert: true)", "")
        .replace("  artist(artistId: Int!): Artist\n", "")
        .replace("  artistId: Int!\n", "  artistId: Int\n")
        .replace("  albums: [Album!]!\n", "");
    let project = Project::new(&schema);
    let url = database.url();
    project.compile(&url).ok();
    let (running, port) = serve(&project, &url, &["log.slow_operation_ms=250"]);
    let document = "query Sluggish { artists(where: {name: {neq: \"secret\"}}) { artistId } }";
    for _twice in 0..2 {
        data(port, document);
    }
    let slow = || {
        running
            .said()
            .lines()
            .filter(|line| line.contains("slow operation"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    block_on(wait_until(LIMIT, || async { slow().len() == 2 }));
    let told: Vec<Value> = slow().iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(told[0]["fraiseql.operation"], "Sluggish");
    let statement = &told[0]["fraiseql.statements"][0];
    assert!(statement["ms"].as_f64() >= Some(250.0), "{statement}");
    assert!(statement["plan"]["tree"].as_str().is_some_and(|tree| tree.contains("artist")), "{statement}");
    // Explained once, and never with values.
    assert_eq!(told[1]["fraiseql.statements"][0]["plan"], Value::Null);
    assert!(!running.said().contains("secret"), "{}", running.said());
    running.signal(Signal::TERM);
    running.end();
}

#[test]
fn a_wrong_collector_is_refused_without_its_secrets() {
    let database = database(TABLES);
    let (project, url) = (Project::new(MUSIC), database.url());
    project.compile(&url).ok();
    for (settings, expected) in [
        (
            ["tracing.endpoint=collector:4318", "tracing.sample_percent=1"],
            "error[FQ-CFG-002]: tracing.endpoint",
        ),
        (
            ["tracing.endpoint=http://127.0.0.1:1", "tracing.headers=hunter2"],
            "error[FQ-CFG-002]: tracing.headers: number 1",
        ),
    ] {
        let mut arguments = vec!["serve", "shop", "--port", "0", "--database-url", &url];
        arguments.extend(settings.iter().flat_map(|setting| ["--set", setting]));
        let shown = project.run(&arguments).shown(&[]);
        assert!(shown.contains(expected) && !shown.contains("hunter2"), "{shown}");
    }
}
