//! Values of every kind there and back, and a catalog in which every name is a trap.

use fraiseql_compile::{InitOptions, init};
use fraiseql_model::artifact::{Artifact, Derived, Field, Form, ObjectType, QueryField};
use fraiseql_testkit::{nasty_sql, server_major};

use crate::world::World;

async fn world() -> World {
    World::made(&nasty_sql(), |catalog| init(catalog, &InitOptions::default()).schema).await
}

/// Writes a row by a mutation, and checks what comes back and what is in the table.
#[tokio::test]
async fn every_kind_of_value_makes_the_round_trip() {
    let w = world().await;
    let query = r#"mutation($k: KindInsertInput!) { insertKind(object: $k) {
        small big num r4 r8 flag txt vc ch js jb d t tz ts tstz iv raw feeling feelings ints words bigs raws
        home homes span period floats ip mac bits x doubled moods mails } }"#;
    let kind = serde_json::json!({
        "id": "123e4567-e89b-12d3-a456-426614174000", "small": -32768, "big": "9007199254740993",
        "num": "12345678901234567890.0123456789", "r4": 0.5, "r8": 1e-7, "flag": false,
        "txt": "it's \"quoted\" \\ 🎸\n", "vc": "ab", "ch": "abc",
        "js": {"b": 1, "a": [null, "x"]}, "jb": {"a": {"b": "c"}}, "d": "2026-02-28", "t": "23:59:59.5",
        "tz": "12:00:00+02", "ts": "2026-02-28T23:59:59.123456", "tstz": "2026-02-28T23:59:59+02:00",
        "iv": "P1DT2H", "raw": "AP8Q", "feeling": "so_so", "feelings": ["happy", "_true", null, "naive"],
        "ints": [1, null, -3], "words": ["a,b", "\"}", "\\", ""], "bigs": ["9223372036854775807"],
        "raws": ["AP8="], "home": {"street": "Main", "zip code": "123"}, "homes": [{"street": "A"}, {"street": "B"}],
        "span": "[1,5)", "period": "[\"2026-01-01 00:00:00+00\",)", "floats": "[1.5,2.5]", "ip": "10.0.0.1",
        "mac": "08:00:2b:01:02:03", "bits": "101", "x": "<a/>", "moods": ["SAD"], "mails": ["a@b"]
    });
    let variables = serde_json::json!({ "k": kind }).to_string();
    let found = w.run(query, &variables).await.unwrap();
    // Generated columns came with 12.
    let doubled = (server_major() >= 12).then_some(-65536);
    let expected = serde_json::json!({
        "small": -32768, "big": "9007199254740993", "num": "12345678901234567890.0123456789", "r4": 0.5, "r8": 1e-7,
        "flag": false, "txt": "it's \"quoted\" \\ 🎸\n", "vc": "ab", "ch": "abc",
        "js": {"b": 1, "a": [null, "x"]}, "jb": {"a": {"b": "c"}}, "d": "2026-02-28", "t": "23:59:59.5",
        "tz": "12:00:00+02", "ts": "2026-02-28T23:59:59.123456", "tstz": "2026-02-28T21:59:59+00:00",
        "iv": "P1DT2H", "raw": "AP8Q", "feeling": "so_so", "feelings": ["happy", "_true", null, "naive"],
        "ints": [1, null, -3], "words": ["a,b", "\"}", "\\", ""], "bigs": ["9223372036854775807"],
        "raws": ["AP8="], "home": {"street": "Main", "zip code": "123"},
        "homes": [{"street": "A", "zip code": null}, {"street": "B", "zip code": null}],
        "span": "[1,5)", "period": "[\"2026-01-01 00:00:00+00\",)", "floats": "[1.5,2.5]", "ip": "10.0.0.1",
        "mac": "08:00:2b:01:02:03", "bits": "101", "x": "<a/>", "doubled": doubled, "moods": ["SAD"], "mails": ["a@b"]
    });
    let found = &found["insertKind"];
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(same_number(&found[key]), same_number(value), "{key}");
    }
    assert_eq!(
        w.scalar("select feeling::text || moods::text || octet_length(raw)::text from kinds").await,
        "so so{SAD}3"
    );
}

/// Numbers are equal by value: `0.0000001` and `1e-7` are one float.
fn same_number(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Number(number) => {
            number.to_string().parse::<f64>().map_or_else(|_| number.to_string(), |number| number.to_string())
        }
        other => other.to_string(),
    }
}

#[tokio::test]
async fn floats_that_json_lacks_become_null() {
    let w = world().await;
    w.execute(
        "insert into kinds (id, r4, r8) values ('00000000-0000-0000-0000-000000000001', 'NaN', '-Infinity')",
    )
    .await;
    w.check("{kinds{r4 r8}}", "{}", "select '{\"kinds\":[{\"r4\":null,\"r8\":null}]}'::json").await;
}

#[tokio::test]
async fn filters_work_on_every_kind() {
    let w = world().await;
    w.execute(
        "insert into kinds (id, big, num, d, ts, tstz, feeling, ints, words, jb, span, flag, iv, raw, r8) values
         ('00000000-0000-0000-0000-000000000001', 9007199254740993, 0.1, '2026-01-01', '2026-01-01 10:00', '2026-01-01 10:00+00', 'happy', '{1,2}', '{a}', '{\"a\":1}', '[1,3)', true, '1 day', '\\x01', 1.5),
         ('00000000-0000-0000-0000-000000000002', 9007199254740992, 0.2, '2026-02-01', '2026-02-01 10:00', '2026-02-01 10:00+00', 'so so', '{3}', '{b,c}', '{\"b\":2}', '[3,5)', false, '2 days', '\\x02', 2.5)",
    )
    .await;
    for (filter, id) in [
        ("big:{eq:\"9007199254740993\"}", 1),
        ("big:{lt:9007199254740993}", 2),
        ("num:{in:[\"0.1\",5]}", 1),
        ("d:{gt:\"2026-01-15\"}", 2),
        ("ts:{lte:\"2026-01-01T10:00:00\"}", 1),
        ("tstz:{gte:\"2026-02-01T11:00:00+01:00\"}", 2),
        ("feeling:{eq:so_so}", 2),
        ("feeling:{in:[happy,SAD]}", 1),
        ("feeling:{neq:happy}", 2),
        ("ints:{array_contains:[1]}", 1),
        ("ints:{array_overlaps:[3,9]}", 2),
        ("ints:{eq:[1,2]}", 1),
        ("words:{array_contained_by:[\"b\",\"c\",\"d\"]}", 2),
        ("jb:{contains:{a:1}}", 1),
        ("jb:{has_key:\"b\"}", 2),
        ("jb:{eq:{a:1}}", 1),
        ("flag:{eq:false}", 2),
        ("id:{eq:\"00000000-0000-0000-0000-000000000001\"}", 1),
        ("r8:{gt:2}", 2),
        ("raw:{eq:\"AQ==\"}", 1),
    ] {
        let query = format!("{{kinds(where:{{{filter}}}){{id}}}}");
        let sql =
            format!("select '{{\"kinds\":[{{\"id\":\"00000000-0000-0000-0000-00000000000{id}\"}}]}}'::json");
        w.check(&query, "{}", &sql).await;
    }
    let by_variable = "query($m:[Mood!],$j:JSON){kinds(where:{feeling:{in:$m},jb:{contains:$j}}){big}}";
    w.check(
        by_variable,
        r#"{"m":["so_so"],"j":{"b":2}}"#,
        "select '{\"kinds\":[{\"big\":\"9007199254740992\"}]}'::json",
    )
    .await;
}

#[tokio::test]
async fn every_field_of_a_nasty_catalog_can_be_read() {
    let w = world().await;
    let artifact = w.schema.artifact().clone();
    let mut lists = 0;
    for (name, field) in &artifact.query {
        let QueryField::List { object } = field else { continue };
        let fields: Vec<String> = artifact.objects[object]
            .fields
            .iter()
            .map(|(name, field)| match field {
                Field::Column(_) => name.clone(),
                Field::ToOne(_) => format!("{name}{{__typename}}"),
                Field::ToMany(_) => format!("{name}(limit:1){{__typename}}"),
                Field::Polymorphic(_) => format!("{name}{{__typename}}"),
                Field::GlobalId => name.clone(),
                Field::Computed(_) | Field::Document(_) => panic!("init proposes none"),
                Field::Derived(derived) => derived_field(&artifact, name, &artifact.objects[object], derived),
            })
            .collect();
        let query = format!("{{{name}(limit:2){{{}}}}}", fields.join(" "));
        w.run(&query, "{}").await.unwrap_or_else(|error| panic!("{query}: {error}"));
        lists += 1;
    }
    assert_eq!(lists, artifact.objects.len());
}

/// Asks for everything that a derived field can tell.
fn derived_field(artifact: &Artifact, name: &str, parent: &ObjectType, derived: &Derived) -> String {
    let Field::ToMany(reference) = &parent.fields[&derived.list] else {
        panic!("{name} derives from no list")
    };
    let target = &reference.target;
    let members = aggregate_members(artifact, target);
    match derived.form {
        Form::Aggregate => format!("{name}{{{members}}}"),
        Form::Groups => {
            let keys = declared(artifact, &format!("{target}Column"));
            format!("{name}(by:[{0}]){{key{{{0}}} {members}}}", keys.join(" "))
        }
        Form::Connection => format!("{name}(first:1){{edges{{cursor}} totalCount aggregate{{{members}}}}}"),
    }
}

fn aggregate_members(artifact: &Artifact, object: &str) -> String {
    let mut members = vec!["count".to_owned()];
    for (fields, kind) in [("sum avg stddev", "Sum"), ("min max", "Extreme")] {
        let columns = declared(artifact, &format!("{object}{kind}")).join(" ");
        let asked = fields.split(' ').filter(|_| !columns.is_empty());
        members.extend(asked.map(|field| format!("{field}{{{columns}}}")));
    }
    members.join(" ")
}

/// Returns the names of what a generated type or enum declares; none when it is not generated.
fn declared(artifact: &Artifact, name: &str) -> Vec<String> {
    let headers = [format!("type {name} {{\n"), format!("enum {name} {{\n")];
    let Some(body) = headers.iter().find_map(|header| artifact.sdl.split(header.as_str()).nth(1)) else {
        return Vec::new();
    };
    let lines = body.lines().take_while(|line| *line != "}");
    lines.map(|line| line.trim().split(':').next().unwrap_or("").to_owned()).collect()
}

#[tokio::test]
async fn everything_can_be_aggregated() {
    let w = world().await;
    let artifact = w.schema.artifact().clone();
    let mut asked = 0;
    for (name, field) in &artifact.query {
        let QueryField::List { object } = field else { continue };
        let members = aggregate_members(&artifact, object);
        let columns = declared(&artifact, &format!("{object}Column")).join(" ");
        let query = format!(
            "{{a:{name}Aggregate{{{members}}} g:{name}Groups(by:[{columns}]){{key{{{columns}}} {members}}} \
             {name}(distinctOn:[{columns}]){{__typename}}}}"
        );
        w.run(&query, "{}").await.unwrap_or_else(|error| panic!("{query}: {error}"));
        asked += 1;
    }
    assert_eq!(asked, artifact.objects.len());
}

#[tokio::test]
async fn names_that_are_traps_can_be_written() {
    let w = world().await;
    let insert = r#"mutation { insertSelect(object: {from: 1, where: "w", order: 2, and: "a", and2: "b"}) { from where order and and2 or }
        insertUpperCase(object: {firstName: "n", firstName2: "m", quoteD: "q", backSlash: "\\"}) { id firstName firstName2 firstName3 quoteD backSlash }
        insertUserRow(object: {mail: "a@b", backup: "c@d"}) { id mail } }"#;
    w.check(insert, "{}", r#"select '{"insertSelect":{"from":1,"where":"w","order":2,"and":"a","and2":"b","or":null},"insertUpperCase":{"id":1,"firstName":"n","firstName2":"m","firstName3":null,"quoteD":"q","backSlash":"\\"},"insertUserRow":{"id":"1","mail":"a@b"}}'::json"#).await;
    w.check(
        "{selects(where:{_not:{and:{isnull:true}},and2:{eq:\"b\"}},orderBy:[{order:DESC},{from:ASC}]){from}}",
        "{}",
        r#"select '{"selects":[{"from":1}]}'::json"#,
    )
    .await;
}

#[tokio::test]
async fn a_float_that_json_lacks_is_an_error_where_null_may_not_be() {
    let schema = "type Query { ts: [T!]! } type T @relation(name: \"t\") { id: Int! f: Float! }";
    let sql = "create table t (id int primary key, f float8 not null); insert into t values (1, 1.5)";
    let w = World::made(sql, |_| schema.to_owned()).await;
    w.check("{ts{f}}", "{}", "select '{\"ts\":[{\"f\":1.5}]}'::json").await;
    w.execute("update t set f = 'NaN'").await;
    assert!(w.run("{ts{f}}", "{}").await.unwrap_err().starts_with("22P02"));
}
