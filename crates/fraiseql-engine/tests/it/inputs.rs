//! Input types that the author wrote: composites, rows, arrays of them and JSON, against plain SQL.

use crate::world::World;

const SQL: &str = r#"
create type mood as enum ('so-so', 'fine');
create type geo as (lat float8, lon float8);
create type address as (street text, zip varchar(5), at geo, tags text[], mood mood, raw bytea, extra jsonb, opened date, big int8);
create type order_line as (sku text, n int, notes text[]);
create table place (id int primary key generated always as identity, label text, at address);
create function echo(a address) returns json language sql stable as $$ select to_json(a) $$;
create function echo_all(a address[]) returns json language sql stable as $$ select to_json(a) $$;
create function echo_json(doc jsonb) returns jsonb language sql stable as $$ select doc $$;
create function echo_row(p place) returns json language sql stable as $$ select to_json(p) $$;
create function total(lines order_line[], factor int default 1) returns int language sql stable as
  $$ select coalesce(sum(n), 0)::int * factor from unnest(lines) $$;
create function find_place(by_id int, by_label text) returns place language sql stable as $$ select * from place where id = by_id or label = by_label $$;
create type place_key as (id int, label text);
create function place_by(k place_key) returns place language sql stable as $$ select * from place where id = k.id or label = k.label $$;
create function add_place(label text, a address) returns place language sql as
  $$ insert into place (label, at) values (label, a) returning * $$;
create function place_far(p place, from_at geo) returns float8 language sql stable as $$ select abs(((p.at).at).lat - from_at.lat) $$;
insert into place (label, at) values ('home', row('High St', '12345', row(1.5, 2), null, null, null, null, null, null));
"#;

const SCHEMA: &str = r#"
type Query {
    echo(a: AddressInput = null): JSON @function
    echoAll(a: [AddressInput] = null): JSON @function
    echoJson(doc: [AddressInput!]!): JSON @function
    echoRow(p: PlaceInput!): JSON @function
    total(lines: [LineInput!]!, factor: Int): Int @function
    placeBy(k: PlaceKey!): Place @function
    places: [Place!]!
}
type Mutation { addPlace(label: String!, a: AddressInput!): Place @function }
type Place @relation(name: "place") { id: Int! label: String far(fromAt: GeoInput!): Float @function(name: "place_far") }
"Where somebody lives."
input AddressInput {
    street: String!
    "At most five digits."
    zip: String
    at: GeoInput
    tags: [String!]
    mood: Mood = SO_SO
    raw: Bytes
    extra: JSON
    openedOn: Date @column(name: "opened")
    old: BigInt @column(name: "big") @deprecated(reason: "too big")
}
input GeoInput { lat: Float! lon: Float = 0.5 }
input PlaceInput { label: String at: AddressInput }
input LineInput { sku: String! }
extend input LineInput { n: Int! = 1 notes: [String] }
input PlaceKey @oneOf { id: Int label: String }
enum Mood @enum(name: "mood") { SO_SO @label(name: "so-so") fine }
"#;

async fn world() -> World {
    World::made(SQL, |_| SCHEMA.to_owned()).await
}

const FULL: &str = r#"{"street": "It's \"here\"", "zip": "12345", "at": {"lat": 1.25}, "tags": ["a,b", "{}"], "mood": "fine", "raw": "aGk=",
    "extra": {"street": [null, 1]}, "openedOn": "2026-01-31", "old": "9007199254740993"}"#;

#[tokio::test]
async fn a_composite_has_every_kind_of_attribute() {
    let w = world().await;
    let sql = r#"select json_build_object('echo', to_json(row('It''s "here"', '12345', row(1.25, 0.5)::geo, array['a,b', '{}'], 'fine', '\x6869',
        '{"street": [null, 1]}', '2026-01-31', 9007199254740993)::address))"#;
    w.check("query($a:AddressInput){echo(a:$a)}", &format!("{{\"a\":{FULL}}}"), sql).await;
    w.check(
        r#"query($s:String!,$g:GeoInput,$m:Mood,$b:Bytes,$d:Date){echo(a:{street:$s,zip:"12345",at:$g,tags:["a,b","{}"],mood:$m,raw:$b,extra:{street:[null,1]},openedOn:$d,old:9007199254740993})}"#,
        r#"{"s":"It's \"here\"","g":{"lat":1.25},"m":"fine","b":"aGk=","d":"2026-01-31"}"#,
        sql,
    )
    .await;
}

#[tokio::test]
async fn what_is_left_out_is_null_and_defaults_are_given() {
    let w = world().await;
    let sql = "select json_build_object('echo', to_json(row('x', null, null, null, 'so-so', null, null, null, null)::address))";
    w.check("{echo(a:{street:\"x\"})}", "{}", sql).await;
    w.check("query($a:AddressInput){echo(a:$a)}", r#"{"a":{"street":"x"}}"#, sql).await;
    w.check("query($s:String!,$z:String){echo(a:{street:$s,zip:$z})}", r#"{"s":"x"}"#, sql).await;
    w.check("query($a:AddressInput){echo(a:$a)}", r#"{"a":null}"#, "select '{\"echo\":null}'::json").await;
    w.check("{echo(a:{street:\"x\",mood:null})}", "{}", "select json_build_object('echo', to_json(row('x', null, null, null, null, null, null, null, null)::address))").await;
}

#[tokio::test]
async fn lists_of_composites_keep_their_order_and_their_nulls() {
    let w = world().await;
    let sql = "select json_build_object('echoAll', to_json(array[row('b', null, null, null, 'so-so', null, null, null, null)::address, null, row('a', null, row(0, 0.5)::geo, null, 'so-so', null, null, null, null)::address]))";
    w.check(
        "query($a:[AddressInput]){echoAll(a:$a)}",
        r#"{"a":[{"street":"b"},null,{"street":"a","at":{"lat":0}}]}"#,
        sql,
    )
    .await;
    w.check(
        "query($s:String!,$n:AddressInput){echoAll(a:[{street:$s},$n,{street:\"a\",at:{lat:0}}])}",
        r#"{"s":"b","n":null}"#,
        sql,
    )
    .await;
    // One value stands for a list of it.
    w.check(
        "query($l:[LineInput!]!){total(lines:$l)}",
        r#"{"l":{"sku":"x","n":3}}"#,
        "select '{\"total\":3}'::json",
    )
    .await;
    w.check(
        "query($s:String!){total(lines:{sku:$s},factor:2)}",
        r#"{"s":"x"}"#,
        "select '{\"total\":2}'::json",
    )
    .await;
    w.check("{total(lines:[])}", "{}", "select '{\"total\":0}'::json").await;
    let many: Vec<String> = (0..1000).map(|n| format!("{{\"sku\":\"s\",\"n\":{n}}}")).collect();
    w.check(
        "query($l:[LineInput!]!){total(lines:$l)}",
        &format!("{{\"l\":[{}]}}", many.join(",")),
        "select '{\"total\":499500}'::json",
    )
    .await;
}

#[tokio::test]
async fn json_has_the_names_of_the_database() {
    let w = world().await;
    let sql = r#"select '{"echoJson":[{"street":"It''s \"here\"","zip":"12345","at":{"lat":1.25,"lon":0.5},"tags":["a,b","{}"],"mood":"fine","raw":"aGk=","extra":{"street":[null,1]},"opened":"2026-01-31","big":"9007199254740993"}]}'::json"#;
    w.check("query($a:[AddressInput!]!){echoJson(doc:$a)}", &format!("{{\"a\":{FULL}}}"), sql).await;
    w.check(
        "query($s:String!){echoJson(doc:[{street:$s,mood:null}])}",
        r#"{"s":"'; drop table place; --"}"#,
        r#"select '{"echoJson":[{"street":"''; drop table place; --","mood":null}]}'::json"#,
    )
    .await;
}

#[tokio::test]
async fn rows_of_tables_computed_fields_and_mutations() {
    let w = world().await;
    w.check(
        "{echoRow(p:{label:\"x\",at:{street:\"y\"}})}",
        "{}",
        "select json_build_object('echoRow', to_json(row(null, 'x', row('y', null, null, null, 'so-so', null, null, null, null)::address)::place))",
    )
    .await;
    w.check(
        "query($g:GeoInput!){places{label far(fromAt:$g)}}",
        r#"{"g":{"lat":1}}"#,
        "select '{\"places\":[{\"label\":\"home\",\"far\":0.5}]}'::json",
    )
    .await;
    w.check(
        "mutation($a:AddressInput!){addPlace(label:\"work\",a:$a){label far(fromAt:{lat:1})}}",
        r#"{"a":{"street":"z","at":{"lat":4}}}"#,
        "select '{\"addPlace\":{\"label\":\"work\",\"far\":3}}'::json",
    )
    .await;
    assert_eq!(w.scalar("select (at).street from place where label = 'work'").await, "z");
}

#[tokio::test]
async fn exactly_one_of_a_one_of() {
    let w = world().await;
    let home = "select '{\"placeBy\":{\"label\":\"home\"}}'::json";
    w.check("{placeBy(k:{label:\"home\"}){label}}", "{}", home).await;
    w.check("query($k:PlaceKey!){placeBy(k:$k){label}}", r#"{"k":{"id":1}}"#, home).await;
    w.check("query($i:Int!){placeBy(k:{id:$i}){label}}", r#"{"i":1}"#, home).await;
    for variables in [r#"{"k":{"id":1,"label":"home"}}"#, r#"{"k":{}}"#, r#"{"k":{"id":null}}"#] {
        let error = w.run("query($k:PlaceKey!){placeBy(k:$k){label}}", variables).await.unwrap_err();
        let expected =
            "BAD_USER_INPUT: \"$k\" must have exactly one field of PlaceKey, and it must not be null";
        assert_eq!(error, expected, "{variables}");
    }
    for text in ["{placeBy(k:{id:1,label:\"x\"}){id}}", "query($i:Int){placeBy(k:{id:$i}){id}}"] {
        let error = w.run(text, "{}").await.unwrap_err();
        assert!(error.starts_with("GRAPHQL_VALIDATION_FAILED"), "{error}");
    }
}

#[tokio::test]
async fn errors_say_where_in_the_value() {
    let w = world().await;
    let operation = "query($a:[AddressInput]){echoAll(a:$a)}";
    for (variables, expected) in [
        (r#"{"a":[{}]}"#, r#""$a[0].street" is required"#),
        (r#"{"a":[{"street":null}]}"#, r#""$a[0].street" must not be null"#),
        (
            r#"{"a":[{"street":"x","stret":1}]}"#,
            r#""$a[0]" has a field "stret" that AddressInput does not define"#,
        ),
        (
            r#"{"a":[{"street":"x","at":{"lat":"1"}}]}"#,
            r#""$a[0].at.lat" must be a number that a float of 64 bits can hold"#,
        ),
        (r#"{"a":[{"street":"x","tags":["y",null]}]}"#, r#""$a[0].tags[1]" must not be null"#),
        (r#"{"a":[{"street":"x","mood":"bad"}]}"#, r#""$a[0].mood" must be one of the values of Mood"#),
        (r#"{"a":["x"]}"#, r#""$a[0]" must be an object of type AddressInput"#),
    ] {
        assert_eq!(w.run(operation, variables).await.unwrap_err(), format!("BAD_USER_INPUT: {expected}"));
    }
}

#[tokio::test]
async fn introspection_tells_of_them() {
    let w = world().await;
    let asked = "{a:__type(name:\"AddressInput\"){kind description isOneOf inputFields{name defaultValue}} all:__type(name:\"AddressInput\"){inputFields(includeDeprecated:true){name isDeprecated deprecationReason}} k:__type(name:\"PlaceKey\"){isOneOf}}";
    let found = w.run(asked, "{}").await.unwrap();
    assert_eq!(found["a"]["kind"], "INPUT_OBJECT");
    assert_eq!(found["a"]["description"], "Where somebody lives.");
    assert_eq!(found["a"]["isOneOf"], false);
    assert_eq!(found["a"]["inputFields"][4], serde_json::json!({"name": "mood", "defaultValue": "SO_SO"}));
    assert_eq!(found["a"]["inputFields"].as_array().unwrap().len(), 8);
    let old = serde_json::json!({"name": "old", "isDeprecated": true, "deprecationReason": "too big"});
    assert_eq!(found["all"]["inputFields"][8], old);
    assert_eq!(found["k"]["isOneOf"], true);
}
