//! The console's doors: the page is public, what it shows and does needs the token and a name of the loopback.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use serde_json::{Value, json};

use crate::managed::Managed;
use crate::project::free_port;

/// Sends a request and returns the status with what comes, until the other side closes or `until` is seen.
fn ask(port: u16, request: &str, until: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a limit");
    stream.write_all(request.as_bytes()).expect("it reads");
    let (mut heard, mut part) = (String::new(), [0; 4096]);
    while let Ok(count) = stream.read(&mut part) {
        heard.push_str(&String::from_utf8_lossy(&part[..count]));
        if count == 0 || (!until.is_empty() && heard.contains(until)) {
            break;
        }
    }
    let status = heard.get(9..12).and_then(|text| text.parse().ok());
    (status.unwrap_or_else(|| panic!("{heard}")), heard)
}

struct Door<'a> {
    port: u16,
    token: &'a str,
}

impl Door<'_> {
    fn get(&self, path: &str, host: &str, until: &str) -> (u16, String) {
        let token = self.token;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
        );
        ask(self.port, &request, until)
    }

    fn command(&self, body: &Value) -> (u16, String) {
        self.post("/command", body)
    }

    fn post(&self, path: &str, body: &Value) -> (u16, String) {
        let (token, body) = (self.token, body.to_string());
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{body}",
            body.len()
        );
        ask(self.port, &request, "")
    }
}

#[test]
fn the_page_is_public_and_everything_else_needs_the_token() {
    let port = free_port();
    let managed = Managed::with_settings("", &format!("[console]\nport = {port}\n"));
    managed.deploy(&["--bake", "0s"]).ok();
    let first = managed.stable();
    let url = managed.tell(&["console"]).ok();
    let token = url.trim().strip_prefix(&format!("http://127.0.0.1:{port}/#token=")).expect("an address");
    let file = managed.project.dir().join(".fraiseql/console.token");
    let mode = std::fs::metadata(&file).expect("it is there").permissions().mode();
    assert_eq!((mode & 0o777, token.len()), (0o600, 48));
    assert!(!managed.agent.as_ref().expect("it runs").said().contains(token), "the log does not have it");

    let (stranger, ours) = (Door { port, token: "" }, Door { port, token });
    for (path, part) in
        [("/", "<title>FraiseQL console"), ("/console.js", "'use strict'"), ("/console.css", ":root")]
    {
        let (status, page) = stranger.get(path, "localhost", "");
        assert!(
            status == 200 && page.contains(part) && page.contains("default-src 'none'"),
            "{path}: {page}"
        );
    }
    assert_eq!(stranger.get("/events", "localhost", "").0, 401);
    assert_eq!(Door { port, token: &"0".repeat(48) }.get("/events", "localhost", "").0, 401);
    assert_eq!(stranger.command(&json!({ "command": "rollback" })).0, 401);
    assert_eq!(ours.get("/", "shop.example", "").0, 403, "another name may be made to mean us");
    assert_eq!(ours.get("/events", &format!("shop.example:{port}"), "").0, 403);
    assert_eq!(ours.get("/other", "127.0.0.1", "").0, 404);

    let alert = json!({ "version": "4", "status": "firing", "alerts": [{
        "status": "firing", "labels": { "alertname": "HighErrorRate", "severity": "critical" },
        "annotations": { "summary": "6 % of requests fail" }, "fingerprint": "51b2",
    }] });
    assert_eq!(stranger.post("/alerts", &alert).0, 401);
    assert_eq!(ours.post("/alerts", &json!({ "alerts": [] })).0, 400);
    let (status, answer) = ours.post("/alerts", &alert);
    assert!(status == 200 && answer.contains(r#"{"declared":1,"noted":1}"#), "{answer}");
    assert!(ours.post("/alerts", &alert).1.contains(r#"{"declared":null,"noted":0}"#));
    let shown = managed.tell(&["incident", "show"]).ok();
    assert!(shown.contains("incident 1, critical: HighErrorRate: 6 % of requests fail"), "{shown}");

    let (status, told) = ours.get("/events", &format!("127.0.0.1:{port}"), "\n\n\r\n");
    assert_eq!(status, 200);
    let event = told.split("data: ").nth(1).and_then(|rest| rest.lines().next()).expect("an event");
    let event: Value = serde_json::from_str(event).expect("JSON");
    assert_eq!(event["service"]["stable"], json!(first));
    assert!(event["instances"][0]["ready"].as_bool().expect("it says so"), "{event}");
    assert!(event["instances"][0].get("said").is_none(), "what clients sent may stand there: {event}");

    let refused = ours.command(&json!({ "command": "hold" }));
    assert!(refused.0 == 409 && refused.1.contains("no rollout is under way"), "{refused:?}");
    assert_eq!(ours.command(&json!({ "command": "dance" })).0, 400);
    managed.another(1);
    managed.deploy(&["--strategy", "blue-green", "--step-time", "0s"]).ok();
    let (status, answer) = ours.command(&json!({ "command": "rollback" }));
    assert_eq!(status, 200, "{answer}");
    managed.until("it is back", |status| status["service"]["stable"] == json!(first));
}

#[test]
fn without_the_setting_there_is_none() {
    let managed = Managed::start();
    let ended = managed.tell(&["console"]);
    assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("set console.port = 4001"), "{}", ended.stderr);
}
