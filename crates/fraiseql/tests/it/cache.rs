//! Settings of the response cache: what cannot work is refused, and what is set works and is told.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use rustix::process::Signal;

use crate::process::{LIMIT, Running, fraiseql};
use crate::project::{MUSIC, Project, TABLES, database};

/// Asks for all artists and returns head and body.
fn ask(port: u16) -> String {
    let body = "{\"query\": \"{ artists { name } }\"}";
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    let head = "POST /graphql HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: application/json";
    let request = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer
}

#[test]
fn a_cache_that_is_set_answers() {
    let database = database(TABLES);
    let (project, url) = (Project::new(MUSIC), database.url());
    project.compile(&url).ok();
    let serve = ["serve", "shop", "--port", "0", "--database-url", &url, "--set", "cache.mode=memory"];
    let mut server = Running::spawn(fraiseql(project.root(), serve));
    let port = server.port("listening on http://127.0.0.1:");
    let began = Instant::now();
    while !ask(port).contains("cache-status: fraiseql; hit") {
        assert!(began.elapsed() < LIMIT, "{}", ask(port));
    }
    server.signal(Signal::TERM);
    server.end();
}

#[test]
fn a_cache_that_could_not_work_is_refused() {
    let database = database(TABLES);
    let (project, url) = (Project::new(MUSIC), database.url());
    project.compile(&url).ok();
    let cases: [(&[&str], &[&str]); 4] = [
        (&["cache.mode=redis"], &["FQ-CFG-", "cache.redis_url"]),
        (&["cache.mode=redis", "cache.redis_url=redis//:hunter2@x"], &["FQ-CFG-002", "cache.redis_url"]),
        (&["cache.mode=memory", "subscriptions.source=polling"], &["FQ-CFG-002", "subscriptions.source"]),
        (&["cache.mode=memory", "cache.stale_max_ms=150"], &["FQ-CFG-002", "subscriptions.read_interval_ms"]),
    ];
    for (settings, expected) in cases {
        let mut arguments = vec!["serve", "shop", "--port", "0", "--database-url", &url];
        settings.iter().for_each(|setting| arguments.extend(["--set", *setting]));
        let ended = project.run(&arguments);
        assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
        for part in expected {
            assert!(ended.stderr.contains(part), "{part:?} is not in {}", ended.stderr);
        }
        assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
    }
}
