//! The life of `serve`: reloads, modes, a socket that is handed over, and what a supervisor is told.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use fraiseql_testkit::{Database, Fault, FaultProxy};
use rustix::process::Signal;
use serde_json::json;

use crate::http::{data, get, post};
use crate::process::{LIMIT, Running, clean, wait_until};
use crate::project::{MUSIC, Project, TABLES, database, execute};

/// A project that is compiled, and its database.
fn compiled() -> (Project, Database) {
    let database = database(&format!("{TABLES}INSERT INTO artist VALUES (1, 'AC/DC')"));
    let project = Project::new(MUSIC);
    project.compile(&database.url()).ok();
    (project, database)
}

fn metric(port: u16, line: &str) -> bool {
    get(port, "/metrics").is_some_and(|(_, page)| page.lines().any(|found| found == line))
}

fn code(port: u16, document: &str) -> Option<String> {
    Some(post(port, document)?["errors"][0]["extensions"]["code"].as_str()?.to_owned())
}

#[test]
fn sighup_takes_settings_and_schema_over_and_a_bad_file_changes_nothing() {
    let (project, database) = compiled();
    let (mut serve, port) = project.serve(&database.url());
    let deep = "{ artists { albums { title } } }";
    assert_eq!(data(port, deep), json!({ "artists": [{ "albums": [] }] }));

    project.write("fraiseql.toml", "[limits]\ndepth = 2\n[server]\ndrain_timeout_ms = 9000\n");
    serve.signal(Signal::HUP);
    serve.wait_for("a restart is needed for server.drain_timeout_ms");
    assert_eq!(code(port, deep).as_deref(), Some("LIMIT_EXCEEDED"));
    assert!(metric(port, "fraiseql_settings_waiting 1"));
    assert!(metric(port, "fraiseql_reloads_total{outcome=\"done\"} 1"));

    project.write("fraiseql.toml", "[limits]\ndepht = 9\n");
    serve.signal(Signal::HUP);
    let said = serve.wait_for("everything stays as it was");
    assert!(said.contains("FQ-CFG-001"), "{said}");
    assert_eq!(code(port, deep).as_deref(), Some("LIMIT_EXCEEDED"));
    assert!(metric(port, "fraiseql_reloads_total{outcome=\"refused\"} 1"));

    project.write("fraiseql.toml", "");
    project.write(
        "schema.graphql",
        &MUSIC.replace("  title: String!\n", "  title: String!\n  artist: Artist!\n"),
    );
    project.compile(&database.url()).ok();
    serve.signal(Signal::HUP);
    serve.wait_for("settings and schema were read again");
    assert_eq!(
        data(port, "{ artists { albums { artist { name } } } }"),
        json!({ "artists": [{ "albums": [] }] })
    );
    serve.signal(Signal::TERM);
    assert!(serve.end().status.success());
}

#[test]
fn files_that_change_are_read_when_the_setting_says_so() {
    let (project, database) = compiled();
    project.write("fraiseql.toml", "[server]\nreload = \"files\"\n");
    let (mut serve, port) = project.serve(&database.url());
    project.write("fraiseql.toml", "[server]\nreload = \"files\"\nmode = \"read-only\"\n");
    serve.wait_for("the service is in mode read-only from now on, it was normal");
    let refused = code(port, "mutation { insertArtist(object: {artistId: 2}) { artistId } }");
    assert_eq!(refused.as_deref(), Some("READ_ONLY"));
}

#[test]
fn an_operator_switches_the_mode_of_a_running_server() {
    let (project, database) = compiled();
    project.write("fraiseql.toml", "[maintenance]\nbody_file = \"away.html\"\nretry_after_s = 120\n");
    project.write("away.html", "<h1>Back at noon</h1>");
    let mode = |word: &str| project.run(&["mode", word, "shop"]);
    let away = mode("show");
    assert!(away.stderr.contains("FQ-NET-005"), "{}", away.shown(&[]));
    let (serve, port) = project.serve(&database.url());
    assert_eq!(mode("show").ok(), "normal\n");
    assert_eq!(mode("read-only").ok(), "read-only\n");
    let mutation = "mutation { insertArtist(object: {artistId: 2}) { artistId } }";
    assert_eq!(code(port, mutation).as_deref(), Some("READ_ONLY"));
    assert_eq!(data(port, "{ artists { name } }"), json!({ "artists": [{ "name": "AC/DC" }] }));
    assert_eq!(mode("maintenance").ok(), "maintenance\n");
    assert_eq!(get(port, "/graphql"), Some((503, "<h1>Back at noon</h1>".to_owned())));
    assert_eq!(get(port, "/health").map(|(status, _)| status), Some(200));
    // A reload for something else leaves the operator's mode alone.
    project.write("away.html", "<h1>Back at one</h1>");
    serve.signal(Signal::HUP);
    wait_until("the new page is told", || (get(port, "/")?.1 == "<h1>Back at one</h1>").then_some(()));
    assert_eq!(mode("normal").ok(), "normal\n");
    assert_eq!(data(port, mutation), json!({ "insertArtist": { "artistId": 2 } }));
    serve.signal(Signal::TERM);
    assert!(serve.end().status.success());
    assert!(!project.dir().join(".fraiseql/control.sock").exists(), "its file goes with the server");
}

#[test]
fn half_of_the_settings_of_tls_are_refused() {
    let (project, database) = compiled();
    let refused = project.run(&[
        "serve",
        "shop",
        "--port",
        "0",
        "--database-url",
        &database.url(),
        "--set",
        "tls.certificate=server.pem",
    ]);
    assert!(refused.stderr.contains("speak TLS: tls.key is not set"), "{}", refused.shown(&[]));
    let both = ["--set", "tls.certificate=server.pem", "--set", "tls.key=server.key"];
    let url = database.url();
    let arguments = ["serve", "shop", "--port", "0", "--database-url", &url];
    let refused = project.run(&[&arguments[..], &both[..]].concat());
    assert_eq!(refused.status.code(), Some(5));
    assert!(refused.stderr.contains("FQ-NET-003"), "{}", refused.shown(&[]));
    assert!(refused.stderr.contains("server.pem"), "{}", refused.shown(&[]));
}

/// Starts `serve` as systemd does: the socket is descriptor 3, and LISTEN_PID is the process.
fn handed_over(project: &Project, url: &str, listener: &TcpListener, more: &[(&str, &Path)]) -> Running {
    let script = "exec 3<&0 0</dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$@\"";
    let mut command = Command::new("sh");
    command.args([
        "-c",
        script,
        "sh",
        env!("CARGO_BIN_EXE_fraiseql"),
        "serve",
        "shop",
        "--database-url",
        url,
    ]);
    command.args(["--set", "server.drain_delay_ms=100"]);
    clean(&mut command, project.root());
    for (name, value) in more {
        command.env(name, value);
    }
    let socket: OwnedFd = listener.try_clone().expect("a socket can be shared").into();
    Running::spawn_with(command, Stdio::from(socket))
}

/// Asks on one connection for as long as the server keeps it.
fn ask_kept(port: u16, stop: &AtomicBool, asked: &AtomicUsize) -> Result<(), String> {
    let body = json!({ "query": "{ artist(artistId: 1) { name } }" }).to_string();
    let request = format!(
        "POST /graphql HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    while !stop.load(Ordering::SeqCst) {
        let mut stream =
            TcpStream::connect(("127.0.0.1", port)).map_err(|error| format!("connect: {error}"))?;
        stream.set_read_timeout(Some(LIMIT)).map_err(|error| error.to_string())?;
        let mut closing = false;
        while !closing && !stop.load(Ordering::SeqCst) {
            stream.write_all(request.as_bytes()).map_err(|error| format!("send: {error}"))?;
            let mut answer = Vec::new();
            while !answer.ends_with(b"{\"data\":{\"artist\":{\"name\":\"AC/DC\"}}}") {
                let mut bytes = [0; 4_096];
                let count = stream.read(&mut bytes).map_err(|error| format!("read: {error}"))?;
                answer.extend_from_slice(&bytes[..count]);
                if count == 0 {
                    return Err(format!("cut off after {:?}", String::from_utf8_lossy(&answer)));
                }
            }
            closing = String::from_utf8_lossy(&answer).to_ascii_lowercase().contains("connection: close");
            asked.fetch_add(1, Ordering::SeqCst);
        }
    }
    Ok(())
}

fn ask_new(port: u16, stop: &AtomicBool, asked: &AtomicUsize) -> Result<(), String> {
    while !stop.load(Ordering::SeqCst) {
        let answer = post(port, "{ artist(artistId: 1) { name } }").ok_or("no answer")?;
        if answer != json!({ "data": { "artist": { "name": "AC/DC" } } }) {
            return Err(answer.to_string());
        }
        asked.fetch_add(1, Ordering::SeqCst);
    }
    Ok(())
}

/// Waits for a datagram that says `line`; returns false when the supervisor's patience is over.
pub fn told(supervisor: &UnixDatagram, line: &str) -> bool {
    supervisor.set_read_timeout(Some(LIMIT)).expect("a limit");
    let mut bytes = [0; 1_024];
    while let Ok(count) = supervisor.recv(&mut bytes) {
        if String::from_utf8_lossy(&bytes[..count]).lines().any(|found| found == line) {
            return true;
        }
    }
    false
}

const REPLACED: usize = 20;

#[test]
fn replacing_the_server_twenty_times_drops_nothing() {
    let (project, database) = compiled();
    let url = database.url();
    let path = project.root().join("notify");
    let supervisor = UnixDatagram::bind(&path).expect("a socket");
    let notify: (&str, &Path) = ("NOTIFY_SOCKET", &path);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let mut serve = handed_over(&project, &url, &listener, &[notify]);
    assert!(told(&supervisor, "READY=1"), "{}", serve.said());
    let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = [ask_kept, ask_new, ask_kept]
        .into_iter()
        .map(|client| {
            let (stop, asked) = (Arc::clone(&stop), Arc::clone(&asked));
            std::thread::spawn(move || client(port, &stop, &asked))
        })
        .collect();
    for _ in 0..REPLACED {
        let next = handed_over(&project, &url, &listener, &[notify]);
        assert!(told(&supervisor, "READY=1"), "{}", next.said());
        serve.signal(Signal::TERM);
        assert!(told(&supervisor, "STOPPING=1"), "{}", serve.said());
        let ended = serve.end();
        assert!(ended.status.success() && ended.stderr.contains(" 0 cut off"), "{}", ended.shown(&[]));
        serve = next;
    }
    let before = asked.load(Ordering::SeqCst);
    wait_until("the last one is asked", || (asked.load(Ordering::SeqCst) > before + 10).then_some(()));
    stop.store(true, Ordering::SeqCst);
    for client in clients {
        client.join().expect("no client panics").expect("no request fails");
    }
}

#[test]
fn a_supervisor_is_told_of_reloads_and_only_a_server_that_answers_counts_as_alive() {
    let (project, database) = compiled();
    let path = project.root().join("notify");
    let supervisor = UnixDatagram::bind(&path).expect("a socket");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let limit = Path::new("400000");
    let more: [(&str, &Path); 2] = [("NOTIFY_SOCKET", &path), ("WATCHDOG_USEC", limit)];
    let mut serve = handed_over(&project, &database.url(), &listener, &more);
    assert!(told(&supervisor, "READY=1"));
    assert!(told(&supervisor, "WATCHDOG=1"));
    serve.signal(Signal::HUP);
    assert!(told(&supervisor, "RELOADING=1"));
    assert!(told(&supervisor, "READY=1"));
    // Somebody else takes what was meant for the server: it does not answer itself any more.
    let _deaf = Deaf::on(&listener);
    serve.wait_for("the server does not answer itself");
}

/// Takes connections from a shared socket and says nothing.
struct Deaf {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Deaf {
    fn on(listener: &TcpListener) -> Self {
        let listener = listener.try_clone().expect("a socket can be shared");
        listener.set_nonblocking(true).expect("it is ours");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut taken = Vec::new();
            while !stopped.load(Ordering::SeqCst) {
                match listener.accept() {
                    Ok((stream, _)) => taken.push(stream),
                    Err(_) => std::thread::sleep(Duration::from_micros(50)),
                }
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Deaf {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        drop(self.thread.take().map(std::thread::JoinHandle::join));
    }
}

#[test]
fn a_socket_that_is_none_is_refused() {
    let (project, database) = compiled();
    let mut command = Command::new("sh");
    let script = "exec 3</dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$@\"";
    let url = database.url();
    command.args([
        "-c",
        script,
        "sh",
        env!("CARGO_BIN_EXE_fraiseql"),
        "serve",
        "shop",
        "--database-url",
        &url,
    ]);
    clean(&mut command, project.root());
    let ended = Running::spawn(command).end();
    assert_eq!(ended.status.code(), Some(5), "{}", ended.shown(&[]));
    assert!(ended.stderr.contains("FQ-NET-004"), "{}", ended.shown(&[]));
}

#[test]
fn a_database_that_comes_back_another_one_is_told_by_readiness() {
    let (project, database) = compiled();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let proxy = runtime.block_on(FaultProxy::before(&database.url()));
    proxy.set(Fault::Cut);
    let (mut serve, port) = project.serve(&proxy.url(database.name()));
    wait_until("readiness tells", || (get(port, "/health/ready")?.0 == 503).then_some(()));
    execute(&database.url(), "ALTER TABLE artist RENAME COLUMN name TO title");
    proxy.set(Fault::Pass);
    serve.wait_for("FQ-ART-004");
    let body = wait_until("readiness says why", || {
        let (status, body) = get(port, "/health/ready")?;
        (status == 503 && body.contains("mismatched")).then_some(body)
    });
    assert!(body.contains("column public.artist.name is gone"), "{body}");
    execute(&database.url(), "ALTER TABLE artist RENAME COLUMN title TO name");
    wait_until("it fits again", || (get(port, "/health/ready")?.0 == 200).then_some(()));
}

#[test]
fn a_function_with_another_signature_is_named_at_the_start() {
    let sql = "CREATE FUNCTION greet(name text) RETURNS text LANGUAGE sql STABLE AS 'SELECT $1'";
    let database = database(sql);
    let project = Project::new("type Query { greet(name: String!): String @function(name: \"greet\") }\n");
    project.compile(&database.url()).ok();
    let changed = "DROP FUNCTION greet; \
        CREATE FUNCTION greet(name int) RETURNS text LANGUAGE sql STABLE AS 'SELECT $1::text'";
    execute(&database.url(), changed);
    let refused = project.run(&["serve", "shop", "--port", "0", "--database-url", &database.url()]);
    assert!(refused.stderr.contains("FQ-ART-004"), "{}", refused.shown(&[]));
    assert!(refused.stderr.contains("function public.greet takes"), "{}", refused.shown(&[]));
}
