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
    insta::assert_snapshot!(ended.shown(&[(&port, "[PORT]")]), @r"
    exit status: 4
    -- stdout
    -- stderr
    error[FQ-PG-002]: connect to app@127.0.0.1:[PORT]/shop
      = cause: Connection refused (os error 111)
      = help: check that the server runs, and the host and port in DATABASE_URL or database.url
    ");
}

#[test]
fn no_socket_is_there() {
    let project = Project::new(MUSIC);
    let ended = project.compile("postgres://app@/shop?host=/nonexistent");
    insta::assert_snapshot!(ended.shown(&[]), @r"
    exit status: 4
    -- stdout
    -- stderr
    error[FQ-PG-002]: connect to app@/nonexistent:5432/shop
      = cause: No such file or directory (os error 2)
      = help: check that the server runs, and the host and port in DATABASE_URL or database.url
    ");
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
    insta::assert_snapshot!(ended.shown(&[(&address, "[ADDRESS]")]), @r#"
    exit status: 4
    -- stdout
    -- stderr
    error[FQ-PG-003]: log in to app@[ADDRESS]:5432/postgres: password authentication failed for user "app"
      = help: check the user and the password in DATABASE_URL or database.url
    "#);
}

#[test]
fn the_server_has_no_such_database() {
    let project = Project::new(MUSIC);
    let url = chinook().url();
    let server = url.split_once('?').expect("a socket").1;
    let ended = project.compile(&format!("postgres://postgres@/shop_of_tomorrow?{server}"));
    let socket = fraiseql_postgres::Target::parse(&url).expect("our own URL").host().to_owned();
    insta::assert_snapshot!(ended.shown(&[(&socket, "[SOCKET]")]), @r"
    exit status: 4
    -- stdout
    -- stderr
    error[FQ-PG-004]: open the database of postgres@[SOCKET]:5432/shop_of_tomorrow: it does not exist
      = help: check the name behind the last / of the connection string, or create the database
    ");
}

#[test]
fn the_connection_string_is_none() {
    let project = Project::new(MUSIC);
    let ended = project.compile("mysql://app:hidden@localhost/shop");
    insta::assert_snapshot!(ended.shown(&[]), @r"
    exit status: 2
    -- stdout
    -- stderr
    error[FQ-PG-001]: understand the connection string: it does not begin with postgres://
      = help: write it as postgres://user:password@host:5432/database
    ");
}

#[test]
fn the_port_is_taken() {
    let (project, url) = compiled();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it is bound").port().to_string();
    let ended = project.run(&["serve", "shop", "--port", &port, "--database-url", &url]);
    let name = fs::read_to_string("/proc/self/comm").expect("there is /proc");
    let me = format!("{} ({})", std::process::id(), name.trim());
    insta::assert_snapshot!(ended.shown(&[(&me, "[PID] ([NAME])"), (&port, "[PORT]")]), @r"
    exit status: 5
    -- stdout
    -- stderr
    [TIME] warn  the role postgres may do more than a service needs: it is a superuser, or may become one: nothing is forbidden to it (FQ-ROL-001)
    error[FQ-NET-001]: listen on 127.0.0.1:[PORT]: the port is taken
      = help: process [PID] ([NAME]) listens on port [PORT]: stop it, or choose another port with --port
    ");
}

#[test]
fn the_schema_is_not_graphql() {
    let schema = "type Query {\n  artists: [Artist!]!\n}\n\ntype Artist @relation(name: \"artist\") {\n  artistId: Int!\n  name String\n}\n";
    insta::assert_snapshot!(refused(schema), @r"
    exit status: 3
    -- stdout
    -- stderr
    error[FQ-SDL-001]: expected a type
     --> shop/schema.graphql:7:8
      |
    7 |   name String
      |        ^^^^^^

    error[FQ-SDL-001]: expected a type
     --> shop/schema.graphql:8:1
      |
    8 | }
      | ^

    error[FQ-SDL-001]: compile shop/schema.graphql: 2 errors
    ");
}

#[test]
fn a_directive_does_not_exist() {
    insta::assert_snapshot!(refused(&MUSIC.replace("@write", "@wrote")), @r#"
    exit status: 3
    -- stdout
    -- stderr
    error[FQ-SDL-004]: there is no directive @wrote
     --> shop/schema.graphql:6:40
      |
    6 | type Artist @relation(name: "artist") @wrote(insert: true) {
      |                                        ^^^^^
      = help: did you mean @write?

    error[FQ-SDL-004]: compile shop/schema.graphql: 1 error
    "#);
}

#[test]
fn a_column_has_nearly_that_name_and_so_has_a_relation() {
    let schema = MUSIC.replace("title: String!", "titel: String!");
    let schema = schema.replace("@relation(name: \"artist\")", "@relation(name: \"artists\")");
    insta::assert_snapshot!(refused(&schema), @r#"
    exit status: 3
    -- stdout
    -- stderr
    error[FQ-SDL-006]: the database has no table or view "artists"
     --> shop/schema.graphql:6:23
      |
    6 | type Artist @relation(name: "artists") @write(insert: true) {
      |                       ^^^^^^^^^^^^^^^
      = help: did you mean "artist"?

    error[FQ-SDL-007]: public.album has no column "titel"
      --> shop/schema.graphql:14:3
       |
    14 |   titel: String!
       |   ^^^^^
       = help: did you mean "title"? Then name the field so, or add @column(name: "title")

    error[FQ-SDL-006]: compile shop/schema.graphql: 2 errors
    "#);
}

#[test]
fn a_setting_does_not_exist() {
    let project = Project::new(MUSIC);
    project.write("fraiseql.toml", "[server]\nport = 4000\nadress = \"::1\"\n\n[limits]\ndepth = \"deep\"\n");
    insta::assert_snapshot!(project.run(&["compile", "shop"]).shown(&[]), @r#"
    exit status: 2
    -- stdout
    -- stderr
    error[FQ-CFG-001]: there is no setting "server.adress"
     --> shop/fraiseql.toml:3:10
      |
    3 | adress = "::1"
      |          ^^^^^
      = help: did you mean "server.address"?

    error[FQ-CFG-002]: "deep" cannot be the value of "limits.depth"
     --> shop/fraiseql.toml:6:9
      |
    6 | depth = "deep"
      |         ^^^^^^
      = help: give a whole number from 1 to 200

    error[FQ-CFG-001]: use the settings: 2 errors
    "#);
}

#[test]
fn the_settings_are_not_toml() {
    let project = Project::new(MUSIC);
    project.write("fraiseql.toml", "[server]\nport 4000\n");
    insta::assert_snapshot!(project.run(&["config", "show", "shop"]).shown(&[]), @r"
    exit status: 2
    -- stdout
    -- stderr
    error[FQ-CFG-003]: key with no value, expected `=`
     --> shop/fraiseql.toml:2:6
      |
    2 | port 4000
      |      ^

    error[FQ-CFG-003]: read the settings: 1 error
    ");
}

#[test]
fn an_environment_does_not_exist() {
    let project = Project::new(MUSIC);
    project.write("fraiseql.toml", "[env.production.server]\nport = 80\n");
    let ended = project.run(&["config", "show", "shop", "--env", "prodction"]);
    insta::assert_snapshot!(ended.shown(&[]), @r#"
    exit status: 2
    -- stdout
    -- stderr
    error[FQ-CFG-004]: find the environment "prodction" in shop/fraiseql.toml
      = help: did you mean "production"?
    "#);
}

#[test]
fn the_artifact_is_of_another_version() {
    let shown = served(|artifact| artifact.replacen("\"format\": 2", "\"format\": 99", 1));
    insta::assert_snapshot!(shown, @r"
    exit status: 3
    -- stdout
    -- stderr
    error[FQ-ART-002]: open shop/schema.compiled.json
      = cause: use an artifact of format 99: this version reads format 2
      = help: compile the project again: `fraiseql compile DIR`
    ");
}

#[test]
fn the_artifact_is_cut_short() {
    let shown = served(|artifact| artifact[..100].to_owned());
    insta::assert_snapshot!(shown, @r"
    exit status: 3
    -- stdout
    -- stderr
    error[FQ-ART-001]: open shop/schema.compiled.json
      = cause: read the artifact: EOF while parsing a string at line 4, column 3
      = help: compile the project again: `fraiseql compile DIR`
    ");
}

#[test]
fn the_artifact_is_empty() {
    insta::assert_snapshot!(served(|_| String::new()), @r"
    exit status: 3
    -- stdout
    -- stderr
    error[FQ-ART-001]: open shop/schema.compiled.json
      = cause: read the artifact: EOF while parsing a value at line 1, column 0
      = help: compile the project again: `fraiseql compile DIR`
    ");
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
    insta::assert_snapshot!(shown.replace(&computed, "[COMPUTED]"), @r"
    exit status: 3
    -- stdout
    -- stderr
    error[FQ-ART-003]: open shop/schema.compiled.json
      = cause: verify the artifact: its digest is [DIGEST], its content has [COMPUTED]
      = help: compile the project again: `fraiseql compile DIR`
    ");
}

#[test]
fn the_artifact_is_not_there() {
    let project = Project::new(MUSIC);
    let ended = project.run(&["serve", "shop", "--port", "0", "--database-url", "postgres://localhost/shop"]);
    insta::assert_snapshot!(ended.shown(&[]), @r"
    exit status: 5
    -- stdout
    -- stderr
    error[FQ-IO-001]: read shop/schema.compiled.json: it does not exist
      = help: compile the project first: `fraiseql compile DIR`
    ");
}

#[test]
fn the_database_lacks_what_the_artifact_reads() {
    let (project, _) = compiled();
    let other = database("CREATE TABLE artist (artist_id bigint PRIMARY KEY);");
    let ended = project.run(&["serve", "shop", "--port", "0", "--database-url", &other.url()]);
    insta::assert_snapshot!(ended.shown(&[]), @r#"
    exit status: 4
    -- stdout
    -- stderr
    [TIME] warn  the role postgres may do more than a service needs: it is a superuser, or may become one: nothing is forbidden to it (FQ-ROL-001)
    error[FQ-ART-004]: serve the artifact: the database lacks 4 things
      = cause: relation public.album does not exist, or the role may not read it
      = cause: column public.artist.artist_id is "pg_catalog"."int8", the artifact expects "pg_catalog"."int4"
      = cause: column public.artist.name is gone; Artist.name read it
      = cause: column public.artist.name is gone; mutations write it
      = help: migrate the database, or compile the schema against it again
    "#);
}

#[test]
fn a_file_is_a_folder() {
    let project = Project::new(MUSIC);
    fs::remove_file(project.dir().join("schema.graphql")).expect("it was written");
    fs::create_dir(project.dir().join("schema.graphql")).expect("nothing is in the way");
    insta::assert_snapshot!(project.compile(&database(TABLES).url()).shown(&[]), @r"
    exit status: 5
    -- stdout
    -- stderr
    error[FQ-IO-001]: read shop/schema.graphql
      = cause: Is a directory (os error 21)
      = help: a file is expected there, and it is a folder
    ");
}

#[test]
fn a_file_is_not_text() {
    let project = Project::new(MUSIC);
    let mut file = fs::File::create(project.dir().join("schema.graphql")).expect("the folder is ours");
    file.write_all(b"type Query { \xff }").expect("there is room");
    insta::assert_snapshot!(project.compile(&database(TABLES).url()).shown(&[]), @r"
    exit status: 5
    -- stdout
    -- stderr
    error[FQ-IO-001]: read shop/schema.graphql: it is not UTF-8
      = cause: invalid utf-8 sequence of 1 bytes from index 13
    ");
}

#[test]
fn the_folder_is_no_project() {
    let empty = tempfile::tempdir().expect("a folder");
    insta::assert_snapshot!(run(empty.path(), ["compile", "shop"]).shown(&[]), @r"
    exit status: 2
    -- stdout
    -- stderr
    error[FQ-IO-003]: find a project in shop: it has no schema.graphql
      = help: name the project's folder, or make one with `fraiseql init --from-database URL DIR`
    ");
}

#[test]
fn there_is_no_catalog_to_compile_against() {
    let project = Project::new(MUSIC);
    insta::assert_snapshot!(project.run(&["compile", "shop"]).shown(&[]), @r"
    exit status: 2
    -- stdout
    -- stderr
    error[FQ-CFG-005]: compile without a database: there is neither database.url nor a saved catalog
      = help: set DATABASE_URL, or run `fraiseql up` beside it, or save a catalog with --snapshot
    ");
}

#[test]
fn an_error_code_does_not_exist() {
    let empty = tempfile::tempdir().expect("a folder");
    insta::assert_snapshot!(run(empty.path(), ["explain", "FQ-SDL-07"]).shown(&[]), @r#"
    exit status: 2
    -- stdout
    -- stderr
    error[FQ-CFG-002]: find an error named "FQ-SDL-07"
      = help: did you mean FQ-SDL-007?
    "#);
}

#[test]
fn init_does_not_overwrite() {
    let project = Project::new(MUSIC);
    let url = database(TABLES).url();
    let ended = project.run(&["init", "--from-database", &url, "shop"]);
    insta::assert_snapshot!(ended.shown(&[]), @r"
    exit status: 2
    -- stdout
    -- stderr
    error[FQ-IO-004]: write the project: shop/schema.graphql would be overwritten
      = help: name another folder, or say --force
    ");
    assert_eq!(project.read("schema.graphql"), MUSIC);
    assert!(!project.dir().join("fraiseql.toml").exists());
}

#[test]
fn init_finds_nothing() {
    let project = Project::new(MUSIC);
    let url = database("CREATE SCHEMA secret;").url();
    let ended = project.run(&["init", "new", "--schema", "secret", "--from-database", &url]);
    insta::assert_snapshot!(ended.shown(&[]), @r"
    exit status: 4
    -- stdout
    -- stderr
    error[FQ-CAT-002]: find relations in schema secret that this role may read
      = help: name schemas with --schema, or grant SELECT to the role
    ");
    assert!(!project.root().join("new").exists());
}

#[test]
fn errors_are_json_when_asked_for() {
    let project = Project::new(&MUSIC.replace("title: String!", "titel: String!"));
    let url = database(TABLES).url();
    let ended = project.run(&["compile", "shop", "--json", "--database-url", &url]);
    insta::assert_snapshot!(ended.shown(&[]), @r#"
    exit status: 3
    -- stdout
    -- stderr
    {"error":{"code":"FQ-SDL-007","message":"compile shop/schema.graphql: 1 error","causes":[],"hint":null,"diagnostics":[{"code":"FQ-SDL-007","severity":"error","message":"public.album has no column \"titel\"","span":{"file":"shop/schema.graphql","start":243,"end":248},"why":null,"hint":"did you mean \"title\"? Then name the field so, or add @column(name: \"title\")"}]}}
    "#);
}
