//! Field usage: counted by the server, stored at the end of a drain, read by `usage` and `schema diff`.

use std::io::{Read, Write};
use std::net::TcpStream;

use rustix::process::Signal;
use serde_json::Value;

use crate::process::{LIMIT, Running, fraiseql};
use crate::project::{MUSIC, Project, TABLES, database, execute};

fn ask(port: u16, client: &str, query: &str) {
    let body = serde_json::json!({ "query": query }).to_string();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    stream.set_read_timeout(Some(LIMIT)).expect("a limit");
    write!(
        stream,
        "POST /graphql HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
         graphql-client-name: {client}\r\ngraphql-client-version: 1\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    assert!(answer.contains("\"data\""), "{answer}");
}

/// Serves with usage on, lets two clients ask, and stops.
fn served(project: &Project, url: &str, record: &str) -> String {
    let record = format!("usage.record={record}");
    let arguments = ["serve", "shop", "--port", "0", "--database-url", url, "--set", &record];
    let mut serve = Running::spawn(fraiseql(project.root(), arguments));
    let port = serve.port("listening on http://127.0.0.1:");
    ask(port, "web", "{ artists { name albums { title } } }");
    ask(port, "web", "query B { artists { ...F } } fragment F on Artist { artistId }");
    ask(port, "app", "{ artists { name } __typename }");
    serve.signal(Signal::TERM);
    let ended = serve.end();
    assert!(ended.status.success(), "{}", ended.shown(&[]));
    ended.stderr
}

#[test]
fn it_is_known_who_asks_and_who_would_break() {
    let database = database(TABLES);
    let (project, url) = (Project::new(MUSIC), database.url());
    project.compile(&url).ok();
    // Whoever the tests connect as: grants to nobody else are needed.
    let ddl = project.run(&["usage", "init", "--role", "public"]).ok().replace("\"public\"", "public");
    execute(&url, &ddl);
    execute(&url, &ddl);
    for _twice in 0..2 {
        served(&project, &url, "database");
    }
    let told = project.run(&["--json", "usage", "shop", "--database-url", &url]).ok();
    let told: Value = serde_json::from_str(&told).expect("JSON");
    let mut rows: Vec<String> = told["usage"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|row| format!("{} {} {} {}", row["client"], row["version"], row["field"], row["count"]))
        .collect();
    rows.sort();
    assert_eq!(
        rows.join("\n").replace('"', ""),
        "app 1 Artist.name 2\napp 1 Query.artists 2\nweb 1 Album.title 2\nweb 1 Artist.albums 2\n\
         web 1 Artist.artistId 2\nweb 1 Artist.name 2\nweb 1 Query.artists 4"
    );
    let sdl = project.run(&["schema", "print", "shop"]).ok();
    let next = sdl
        .replace("  name: String\n", "")
        .replace("  title: String!\n", "")
        .replace("  albumId: Int!\n", "  albumId: String!\n");
    project.write("next.graphql", &next);
    let arguments = ["schema", "diff", "shop", "shop/next.graphql", "--usage=shop", "--database-url", &url];
    let ended = project.run(&arguments);
    let shown = ended.shown(&[]);
    for part in [
        "  Artist.name: the field is gone\n      app 1 asked 2 times within 7 days\n      web 1 asked 2 times",
        "  Album.title: the field is gone\n      web 1 asked 2 times within 7 days\n",
        "  Album.albumId: its type was Int! and is String!\n      nobody asked for it within 7 days\n",
    ] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
}

#[test]
fn a_missing_table_is_said_and_stops_nobody() {
    let database = database(TABLES);
    let (project, url) = (Project::new(MUSIC), database.url());
    project.compile(&url).ok();
    let said = served(&project, &url, "database");
    assert_eq!(said.matches("`fraiseql usage init` prints the statements").count(), 1, "{said}");
    assert!(said.contains("was counted and is not stored"), "{said}");
    let ended = project.run(&["usage", "shop", "--database-url", &url]);
    insta::assert_snapshot!(ended.shown(&[]), @r"
    exit status: 4
    -- stdout
    -- stderr
    error[FQ-USE-001]: read usage: there is no table fraiseql.field_usage
      = help: `fraiseql usage init` prints the statements that make it; then set usage.record=database
    ");
    let silent = served(&project, &url, "off");
    assert!(!silent.contains("usage"), "{silent}");
}
