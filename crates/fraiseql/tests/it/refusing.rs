//! Bad input, and all that is said about it.

use std::fs;
use std::io::Write;
use std::net::TcpListener;

use fraiseql_testkit::{Scratch, ScratchOptions};

use crate::process::run;
use crate::project::{MUSIC, Project, TABLES, block_on, chinook, database, execute, free_port};

/// A project that is compiled, and the database that it was compiled against.
fn compiled() -> (Project, String) {
    let project = Project::new(MUSIC);
    let url = database(TABLES).url();
    project.compile(&url).ok();
    (project, url)
}

/// Compiles a schema against the music tables; it must fail.
fn refused(schema: &str) -> String {
    let project = Project::new(schema);
    let ended = project.compile(&database(TABLES).url());
    assert!(!project.dir().join("schema.compiled.json").exists());
    ended.shown(&[])
}

/// Serves an artifact that somebody changed; it must fail.
fn served(change: impl Fn(&str) -> String) -> String {
    let (project, url) = compiled();
    project.write("schema.compiled.json", &change(&project.read("schema.compiled.json")));
    project.run(&["serve", "shop", "--port", "0", "--database-url", &url]).shown(&[])
}

#[test]
fn no_database_is_reachable() {
    let project = Project::new(MUSIC);
    let port = free_port().to_string();
    let ended = project.compile(&format!("postgres://app:hidden@127.0.0.1:{port}/shop"));
    insta::assert_snapshot!(ended.shown(&[(&port, "[PORT]")]), @"");
}

#[test]
fn no_socket_is_there() {
    let project = Project::new(MUSIC);
    let ended = project.compile("postgres://app@/shop?host=/nonexistent");
    insta::assert_snapshot!(ended.shown(&[]), @"");
}

#[test]
fn the_password_is_wrong() {
    let project = Project::new(MUSIC);
    let rules = project.root().join("rules");
    let mut file = fs::File::create(&rules).expect("the folder is ours");
    let lines = b"local all all trust\nhost all all 127.0.0.0/8 scram-sha-256\n";
    file.write_all(lines).expect("there is room");
    // Every address of 127.0.0.0/8 is this machine: one that no other test process has.
    let [.., high, low] = std::process::id().to_be_bytes();
    let address = format!("127.77.{high}.{low}");
    let settings = vec![
        format!("listen_addresses={address}"),
        format!("hba_file={}", rules.display()),
        "password_encryption=scram-sha-256".to_owned(),
    ];
    let options = ScratchOptions { settings, ..Default::default() };
    let server = block_on(Scratch::start(options)).expect("a server");
    execute(&server.url("postgres"), "CREATE ROLE app LOGIN PASSWORD 'right-one'");
    let right = project.run(&[
        "init",
        "new",
        "--from-database",
        &format!("postgres://app:right-one@{address}/postgres"),
    ]);
    assert!(right.stderr.contains("FQ-CAT-002"), "{}", right.shown(&[]));
    let ended = project.compile(&format!("postgres://app:wrong-one@{address}/postgres"));
    insta::assert_snapshot!(ended.shown(&[(&address, "[ADDRESS]")]), @"");
}

#[test]
fn the_server_has_no_such_database() {
    let project = Project::new(MUSIC);
    let url = chinook().url();
    let server = url.split_once('?').expect("a socket").1;
    let ended = project.compile(&format!("postgres://postgres@/shop_of_tomorrow?{server}"));
    let socket = fraiseql_postgres::Target::parse(&url).expect("our own URL").host().to_owned();
    insta::assert_snapshot!(ended.shown(&[(&socket, "[SOCKET]")]), @"");
}

#[test]
fn the_connection_string_is_none() {
    let project = Project::new(MUSIC);
    let ended = project.compile("mysql://app:hidden@localhost/shop");
    insta::assert_snapshot!(ended.shown(&[]), @"");
}

#[test]
fn the_port_is_taken() {
    let (project, url) = compiled();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it is bound").port().to_string();
    let ended = project.run(&["serve", "shop", "--port", &port, "--database-url", &url]);
    let name = fs::read_to_string("/proc/self/comm").expect("there is /proc");
    let me = format!("{} ({})", std::process::id(), name.trim());
    insta::assert_snapshot!(ended.shown(&[(&me, "[PID] ([NAME])"), (&port, "[PORT]")]), @"");
}

#[test]
fn the_schema_is_not_graphql() {
    let schema = "type Query {\n  artists: [Artist!]!\n}\n\ntype Artist @relation(name: \"artist\") {\n  artistId: Int!\n  name String\n}\n";
    insta::assert_snapshot!(refused(schema), @"");
}

#[test]
fn a_directive_does_not_exist() {
    insta::assert_snapshot!(refused(&MUSIC.replace("@write", "@wrote")), @"");
}

#[test]
fn a_column_has_nearly_that_name_and_so_has_a_relation() {
    let schema = MUSIC.replace("title: String!", "titel: String!");
    let schema = schema.replace("@relation(name: \"artist\")", "@relation(name: \"artists\")");
    insta::assert_snapshot!(refused(&schema), @"");
}

#[test]
fn a_setting_does_not_exist() {
    let project = Project::new(MUSIC);
    project.write("fraiseql.toml", "[server]\nport = 4000\nadress = \"::1\"\n\n[limits]\ndepth = \"deep\"\n");
    insta::assert_snapshot!(project.run(&["compile", "shop"]).shown(&[]), @"");
}

#[test]
fn the_settings_are_not_toml() {
    let project = Project::new(MUSIC);
    project.write("fraiseql.toml", "[server]\nport 4000\n");
    insta::assert_snapshot!(project.run(&["config", "show", "shop"]).shown(&[]), @"");
}

#[test]
fn an_environment_does_not_exist() {
    let project = Project::new(MUSIC);
    project.write("fraiseql.toml", "[env.production.server]\nport = 80\n");
    let ended = project.run(&["config", "show", "shop", "--env", "prodction"]);
    insta::assert_snapshot!(ended.shown(&[]), @"");
}

#[test]
fn the_artifact_is_of_another_version() {
    let shown = served(|artifact| artifact.replacen("\"format\": 1", "\"format\": 99", 1));
    insta::assert_snapshot!(shown, @"");
}

#[test]
fn the_artifact_is_cut_short() {
    let shown = served(|artifact| artifact[..100].to_owned());
    insta::assert_snapshot!(shown, @"");
}

#[test]
fn the_artifact_is_empty() {
    insta::assert_snapshot!(served(|_| String::new()), @"");
}

#[test]
fn the_artifact_was_changed() {
    let (project, url) = compiled();
    let artifact = project.read("schema.compiled.json");
    let document: serde_json::Value = serde_json::from_str(&artifact).expect("JSON");
    let digest = document["digest"].as_str().expect("it has one").to_owned();
    project.write("schema.compiled.json", &artifact.replacen("artistId", "artistID", 1));
    let ended = project.run(&["serve", "shop", "--port", "0", "--database-url", &url]);
    let shown = ended.shown(&[(&digest, "[DIGEST]")]);
    // What the changed content has is another digest than what is written.
    let computed = shown.split("its content has ").nth(1).expect("it is told");
    let computed = computed.split_whitespace().next().expect("it is told").to_owned();
    insta::assert_snapshot!(shown.replace(&computed, "[COMPUTED]"), @"");
}

#[test]
fn the_artifact_is_not_there() {
    let project = Project::new(MUSIC);
    let ended = project.run(&["serve", "shop", "--port", "0", "--database-url", "postgres://localhost/shop"]);
    insta::assert_snapshot!(ended.shown(&[]), @"");
}

#[test]
fn the_database_lacks_what_the_artifact_reads() {
    let (project, _) = compiled();
    let other = database("CREATE TABLE artist (artist_id bigint PRIMARY KEY);");
    let ended = project.run(&["serve", "shop", "--port", "0", "--database-url", &other.url()]);
    insta::assert_snapshot!(ended.shown(&[]), @"");
}

#[test]
fn a_file_is_a_folder() {
    let project = Project::new(MUSIC);
    fs::remove_file(project.dir().join("schema.graphql")).expect("it was written");
    fs::create_dir(project.dir().join("schema.graphql")).expect("nothing is in the way");
    insta::assert_snapshot!(project.compile(&database(TABLES).url()).shown(&[]), @"");
}

#[test]
fn a_file_is_not_text() {
    let project = Project::new(MUSIC);
    let mut file = fs::File::create(project.dir().join("schema.graphql")).expect("the folder is ours");
    file.write_all(b"type Query { \xff }").expect("there is room");
    insta::assert_snapshot!(project.compile(&database(TABLES).url()).shown(&[]), @"");
}

#[test]
fn the_folder_is_no_project() {
    let empty = tempfile::tempdir().expect("a folder");
    insta::assert_snapshot!(run(empty.path(), ["compile", "shop"]).shown(&[]), @"");
}

#[test]
fn there_is_no_catalog_to_compile_against() {
    let project = Project::new(MUSIC);
    insta::assert_snapshot!(project.run(&["compile", "shop"]).shown(&[]), @"");
}

#[test]
fn an_error_code_does_not_exist() {
    let empty = tempfile::tempdir().expect("a folder");
    insta::assert_snapshot!(run(empty.path(), ["explain", "FQ-SDL-07"]).shown(&[]), @"");
}

#[test]
fn init_does_not_overwrite() {
    let project = Project::new(MUSIC);
    let url = database(TABLES).url();
    let ended = project.run(&["init", "--from-database", &url, "shop"]);
    insta::assert_snapshot!(ended.shown(&[]), @"");
    assert_eq!(project.read("schema.graphql"), MUSIC);
    assert!(!project.dir().join("fraiseql.toml").exists());
}

#[test]
fn init_finds_nothing() {
    let project = Project::new(MUSIC);
    let url = database("CREATE SCHEMA secret;").url();
    let ended = project.run(&["init", "new", "--schema", "secret", "--from-database", &url]);
    insta::assert_snapshot!(ended.shown(&[]), @"");
    assert!(!project.root().join("new").exists());
}

#[test]
fn errors_are_json_when_asked_for() {
    let project = Project::new(&MUSIC.replace("title: String!", "titel: String!"));
    let url = database(TABLES).url();
    let ended = project.run(&["compile", "shop", "--json", "--database-url", &url]);
    insta::assert_snapshot!(ended.shown(&[]), @"");
}
