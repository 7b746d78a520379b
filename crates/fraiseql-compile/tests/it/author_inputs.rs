//! Input types that the author wrote: what becomes of them, and what is said when a type cannot take them.

use fraiseql_compile::{Source, compile};

use crate::compiling::artifact;
use crate::world::world;

const WORLD: &str = "
table album
  album_id int4 pk
  title varchar
domain sure = text notnull
enum mood happy sad
composite geo lat float8 lon float8
composite address street text zip public.sure at public.geo tags text[] mood mood extra jsonb
function add(a address) -> int4 volatile
function add_all(a address[]) -> int4 volatile
function add_json(a jsonb) -> int4 volatile
function add_text(a text) -> int4 volatile
function add_album(a public.album) -> int4 volatile
";

fn text(rest: &str) -> String {
    format!(
        "type Query {{ albums: [Album!]! }}\ntype Album @relation(name: \"album\") {{ albumId: Int! }}\nenum Mood @enum(name: \"mood\") {{ happy sad }}\n{rest}"
    )
}

/// Compares what is told, each as `line: message; hint`, with what is expected.
#[track_caller]
fn check(rest: &str, expected: &[&str]) {
    let text = text(rest);
    let compiled = compile(Source { file: "schema.graphql", text: &text }, &world(WORLD), "test");
    let told: Vec<String> = compiled
        .diagnostics
        .iter()
        .map(|found| {
            let start = found.span.as_ref().map_or(0, |span| span.start);
            let line = text[..start].matches('\n').count() - 3;
            let hint = found.hint.as_ref().map_or_else(String::new, |hint| format!("; {hint}"));
            format!("{line}: {} {}{hint}", found.code.code, found.message)
        })
        .collect();
    assert_eq!(told, expected, "{text}");
}

const GOOD: &str = r#"type Mutation {
  add(a: AddressInput!): Int @function
  addAll(a: [AddressInput!]! = [{zip: "1", at: {lat: 1}}]): Int @function
  addJson(a: [AddressInput!]!): Int @function
  addAlbum(a: AlbumInput!): Int @function
}
"Where."
input AddressInput { zip: String! "There." at: GeoInput mood: Mood = happy labels: [String!] @column(name: "tags") @deprecated extra: JSON }
input GeoInput { lat: Float! lon: Float = 0 }
input AlbumInput @oneOf { albumId: Int title: String }
extend input AddressInput { street: String }
"#;

#[test]
fn they_stay_in_the_public_schema_and_the_artifact_names_what_they_fill() {
    let artifact = artifact(&text(GOOD), &world(WORLD));
    let printed = "\"Where.\"\ninput AddressInput {\n  zip: String!\n  \"There.\"\n  at: GeoInput\n  mood: Mood = happy\n  labels: [String!] @deprecated\n  extra: JSON\n  street: String\n}\n";
    assert!(artifact.sdl.contains(printed), "{}", artifact.sdl);
    assert!(artifact.sdl.contains("input AlbumInput @oneOf {\n"), "{}", artifact.sdl);
    assert!(artifact.sdl.contains("scalar JSON"), "{}", artifact.sdl);
    let keys: Vec<String> = artifact.inputs["AddressInput"]
        .iter()
        .map(|(name, field)| format!("{name}={}:{}", field.key, field.graphql))
        .collect();
    assert_eq!(
        keys.join(" "),
        "at=at:GeoInput extra=extra:JSON labels=tags:String mood=mood:Mood street=street:String zip=zip:String"
    );
    assert_eq!(artifact.manifest.types["public.address"].graphql, "AddressInput");
    assert_eq!(artifact.manifest.types["public.geo"].graphql, "GeoInput");
    let labels: Vec<&str> =
        artifact.manifest.types["public.mood"].labels_written.iter().map(String::as_str).collect();
    assert_eq!(labels, ["happy", "sad"]);
}

#[test]
fn fields_are_held_against_the_attributes() {
    check(
        "type Mutation { add(a: A!): Int @function }\ninput A { stret: String zip: String at: [GeoInput] mood: Boolean tags: String }\ninput GeoInput { lat: String! }",
        &[
            "1: FQ-SDL-007 public.address has no attribute \"stret\"; did you mean \"street\"?",
            "1: FQ-SDL-019 attribute \"zip\" of public.address is never null, but A.zip may be; write String!",
            "1: FQ-SDL-008 A.at is [GeoInput], but attribute \"at\" of public.address is geo; write GeoInput",
            "1: FQ-SDL-008 A.mood is Boolean, but attribute \"mood\" of public.address is mood; write Mood or String",
            "1: FQ-SDL-008 A.tags is String, but attribute \"tags\" of public.address is text[]; write [String] or [ID]",
        ],
    );
}

#[test]
fn parameters_that_cannot_take_one() {
    check(
        "type Mutation { addText(a: A!): Int @function addAll(a: A!): Int @function add(a: [A!]!): Int @function }\ninput A { zip: String! }",
        &[
            "0: FQ-SDL-008 argument a is A, but parameter \"a\" of public.add_text is text",
            "0: FQ-SDL-008 argument a is A, but parameter \"a\" of public.add_all is address[]; write [A!]",
            "0: FQ-SDL-008 argument a is [A!], but parameter \"a\" of public.add is address; write A",
        ],
    );
}

#[test]
fn what_is_wrong_with_a_type_itself() {
    check(
        "input A { a: Album b: Int = \"x\" c: [[Int]] d: Int! @deprecated e: Nobody f: Int @neverNull g: Int @column(name: \"b\") }",
        &[
            "0: FQ-SDL-019 Album is an object type, which cannot be an argument",
            "0: FQ-SDL-019 \"x\" is no Int",
            "0: FQ-SDL-017 A.c is a list of lists",
            "0: FQ-SDL-002 A.d is required and cannot be deprecated",
            "0: FQ-SDL-003 there is no type Nobody",
            "0: FQ-SDL-004 @neverNull cannot stand on a field of an input type",
            "0: FQ-SDL-019 two fields of A become \"b\"",
        ],
    );
    check(
        "input O @oneOf { a: Int! b: Int = 1 c: Int }\ninput E\nextend input X { a: Int }\ninput T @write { a: Int a: Int }",
        &[
            "0: FQ-SDL-002 O.a is required or has a default, and O is @oneOf; write a: Int",
            "0: FQ-SDL-002 O.b is required or has a default, and O is @oneOf; write b: Int",
            "1: FQ-SDL-002 input E has no fields",
            "2: FQ-SDL-003 there is no type X to extend; did you mean \"E\"?",
            "3: FQ-SDL-004 @write cannot stand on an input type",
            "3: FQ-SDL-002 T has two fields named a",
        ],
    );
}

#[test]
fn an_input_type_cannot_come_back() {
    check(
        "type Mutation { add(a: A!): A @function }\ninput A { zip: String! }\nextend type Album { title: A }",
        &[
            "0: FQ-SDL-008 A is an input type, which cannot come back; define a type with the same fields",
            "2: FQ-SDL-008 A is an input type, which cannot come back; define a type with the same fields",
        ],
    );
}

#[test]
fn a_circle_that_nobody_could_write_is_refused() {
    check("input A { a: A! }", &["0: FQ-SDL-002 `A` input object cannot reference itself"]);
}
