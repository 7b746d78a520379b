//! `init` of a database, then `compile` of what it wrote, unchanged, then `serve`.

use std::collections::BTreeMap;

use fraiseql_testkit::{Database, nasty_sql};
use serde_json::{Value, json};

use crate::http::data;
use crate::project::{MUSIC, Project, TABLES, chinook, database, execute};

/// Every query field and every type's fields, enough to ask for everything.
const INTROSPECTION: &str = "{ __schema { queryType { name } types { kind name fields {
    name args { name type { kind } } type { kind name ofType { kind name ofType { kind name
    ofType { kind name } } } } } } } }";

/// Makes the project `shop` from a database, and compiles what was written.
#[track_caller]
fn initialised(database: &Database) -> Project {
    let project = Project::none();
    let ended = project.run(&["init", "shop", "--from-database", &database.url()]);
    assert!(ended.status.success(), "{}", ended.shown(&[]));
    let schema = project.read("schema.graphql");
    project.compile(&database.url()).ok();
    assert_eq!(project.read("schema.graphql"), schema);
    project
}

/// Asks for all columns of all lists, and returns how many lists there are.
#[track_caller]
fn ask_everything(port: u16) -> usize {
    let schema = data(port, INTROSPECTION)["__schema"].clone();
    let types: BTreeMap<&str, &Value> = schema["types"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|found| (found["name"].as_str().expect("a name"), found))
        .collect();
    let query = types[schema["queryType"]["name"].as_str().expect("a name")];
    let mut lists = 0;
    for field in query["fields"].as_array().expect("a list") {
        let takes = |name: &str| {
            field["args"]
                .as_array()
                .is_some_and(|found| found.iter().any(|argument| argument["name"] == name))
        };
        if !takes("limit") || takes("by") {
            continue;
        }
        lists += 1;
        let leaves: Vec<&str> = types[named(&field["type"])]["fields"]
            .as_array()
            .expect("a list")
            .iter()
            .filter(|field| matches!(types[named(&field["type"])]["kind"].as_str(), Some("SCALAR" | "ENUM")))
            .map(|field| field["name"].as_str().expect("a name"))
            .collect();
        let name = field["name"].as_str().expect("a name");
        let answer = data(port, &format!("{{ {name}(limit: 2) {{ __typename {} }} }}", leaves.join(" ")));
        assert!(answer[name].is_array(), "{name}: {answer}");
    }
    lists
}

/// Returns the name of a type below its lists and non-nulls.
fn named(found: &Value) -> &str {
    match found["name"].as_str() {
        Some(name) => name,
        None => named(&found["ofType"]),
    }
}

#[test]
fn chinook_becomes_an_api() {
    let database = chinook();
    let project = initialised(&database);
    let (serve, port) = project.serve(&database.url());
    assert_eq!(ask_everything(port), 11);
    let query = "{ artist(artistId: 1) { name albums(orderBy: {albumId: ASC}) { title tracks(limit: 1) { trackId genre { name } } } } }";
    let titles = ["For Those About To Rock We Salute You", "Let There Be Rock"];
    let albums = [(titles[0], 1), (titles[1], 15)].map(|(title, track)| {
        json!({ "title": title, "tracks": [{ "trackId": track, "genre": { "name": "Rock" } }] })
    });
    assert_eq!(data(port, query), json!({ "artist": { "name": "AC/DC", "albums": albums } }));
    drop(serve);
}

#[test]
fn a_catalog_that_nobody_expects_becomes_an_api() {
    let database = database(&nasty_sql());
    let project = initialised(&database);
    let (serve, port) = project.serve(&database.url());
    assert!(ask_everything(port) > 20);
    drop(serve);
}

#[test]
fn what_init_writes_and_says() {
    let database = database(TABLES);
    let project = Project::none();
    let url = database.url();
    let arguments = ["init", "shop", "--role", "shop_service", "--from-database", &url];
    let dry = project.run(&[&arguments[..], &["--dry-run"]].concat());
    assert!(dry.status.success(), "{}", dry.shown(&[]));
    assert!(!project.dir().exists());
    insta::assert_snapshot!(project.run(&arguments).shown(&[]), @r#"
    exit status: 0
    -- stdout
    -- stderr
    wrote shop/schema.graphql
    wrote shop/directives.graphql
    wrote shop/grants.sql
    wrote shop/catalog.json
    wrote shop/fraiseql.toml
    wrote shop/.gitignore
    wrote shop/scripts/rollback-to-previous.sh
    wrote shop/scripts/declare-incident
    wrote shop/scripts/page-oncall
    wrote shop/scripts/create-postmortem

    Next:
      psql "$DATABASE_URL" -f shop/grants.sql   # a least-privileged role for the service
      fraiseql compile shop
      fraiseql serve shop
    "#);
    insta::assert_snapshot!(project.read("schema.graphql"), @r#"
    # The API of this project. Fields read the column of their name in snake case, object fields follow
    # foreign keys; directives.graphql documents what the directives say. Change what you like and compile.

    type Query {
      albums: [Album!]!
      album(albumId: Int!): Album
      artists: [Artist!]!
      artist(artistId: Int!): Artist
    }

    type Album @relation(name: "album") @read(aggregate: true, connection: true, distinct: true) @write(insert: true, update: true, delete: true, upsert: true) {
      albumId: Int!
      title: String!
      artistId: Int!
      artist: Artist!
    }

    type Artist @relation(name: "artist") @read(aggregate: true, connection: true, distinct: true) @write(insert: true, update: true, delete: true, upsert: true) {
      artistId: Int!
      name: String
      albums: [Album!]!
    }
    "#);
    insta::assert_snapshot!(project.read("fraiseql.toml"), @r#"
    # Settings of this project. `fraiseql config show` prints what is in force and why.
    # No secrets here, only references to them: the connection string comes from DATABASE_URL, or stands
    # here without its password, beside password = "secret://vault/secret/fraiseql#db_password".

    [database]
    schemas = ["public"]

    [server]
    port = 4000

    [env.production.server]
    profile = "production"
    address = "0.0.0.0"
    "#);
}

#[test]
fn the_granted_role_can_do_all_that_the_schema_offers_and_no_more() {
    let database = chinook();
    let project = initialised(&database);
    // Roles belong to the whole server, which other tests use too.
    let role = format!("service_{}", database.name());
    let init = ["init", "shop", "--force", "--role", &role, "--from-database"];
    project.run(&[&init[..], &[&database.url()]].concat()).ok();
    execute(&database.url(), &format!("CREATE ROLE {role} LOGIN"));
    execute(&database.url(), &project.read("grants.sql"));
    let (serve, port) = project.serve(&database.url_as(&role));
    assert_eq!(ask_everything(port), 11);
    let insert = "mutation { insertArtist(object: {artistId: 1000, name: \"Nina Simone\"}) { name } }";
    assert_eq!(data(port, insert), json!({ "insertArtist": { "name": "Nina Simone" } }));
    let delete = "mutation { deleteArtist(artistId: 1000) { name } }";
    assert_eq!(data(port, delete), json!({ "deleteArtist": { "name": "Nina Simone" } }));
    drop(serve);
    let sql = format!(
        "SET ROLE {role}; DO $$ BEGIN CREATE TABLE more (); RAISE 'it may create tables';
         EXCEPTION WHEN insufficient_privilege THEN NULL; END $$"
    );
    execute(&database.url(), &sql);
}

#[test]
fn compiling_twice_or_offline_gives_the_same_bytes() {
    let database = chinook();
    let project = initialised(&database);
    let first = project.read("schema.compiled.json");
    project.compile(&database.url()).ok();
    assert_eq!(project.read("schema.compiled.json"), first);
    let offline = project.run(&["compile", "shop", "--offline", "--out", "shop/offline.json"]);
    offline.ok();
    assert_eq!(project.read("offline.json"), first);
}

#[test]
fn without_any_database_the_projects_own_data_is_compiled_against() {
    let project = Project::seeded(MUSIC, TABLES);
    let ended = project.run(&["compile", "shop", "--json"]);
    assert!(ended.status.success(), "{}", ended.shown(&[]));
    let artifact: Value =
        serde_json::from_str(&project.read("schema.compiled.json")).expect("an artifact is JSON");
    assert!(artifact["objects"]["Artist"].is_object());
}
