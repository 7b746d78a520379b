//! Computed fields: functions that take the row they stand on, with arguments, of every result.

use crate::world::World;

const SQL: &str = "
create table person (id int primary key, first text not null, last text not null, boss int references person);
create table note (id int primary key, person_id int not null references person, body text not null, at date);
insert into person values (1, 'Ada', 'Byron', null), (2, 'Alan', 'Turing', 1), (3, 'Grace', 'Hopper', 1);
insert into note values (1, 1, 'engine', '2026-01-01'), (2, 1, 'loops', '2026-01-02'), (3, 2, 'halting', '2026-01-03'),
    (4, 1, 'numbers', '2026-01-04');
create function person_full_name(p person, sep text default ' ', shout boolean default false) returns text
    language sql stable as $$ select case when shout then upper(p.first || sep || p.last) else p.first || sep || p.last end $$;
create function person_initials(person) returns text[] language sql immutable as $$ select array[left($1.first, 1), left($1.last, 1)] $$;
create function person_words(p person) returns setof text language sql stable as
    $$ select body from note where person_id = p.id order by id $$;
create function person_newest(p person) returns note language sql stable as
    $$ select * from note where person_id = p.id order by at desc limit 1 $$;
create function person_notes_like(p person, pattern text) returns setof note language sql stable as
    $$ select * from note where person_id = p.id and body like pattern $$;
create function note_length(note) returns int language sql immutable as $$ select length($1.body) $$;
create function everybody() returns setof person language sql stable as $$ select * from person $$;
";

const SCHEMA: &str = "
type Query { people: [Person!]! person(id: Int!): Person everybody: [Person!]! @function }
type Person @relation(name: \"person\") @read(connection: true, distinct: true) @write(insert: true, delete: true) {
    id: Int!
    first: String!
    last: String!
    boss: Int
    notes: [Note!]!
    fullName(sep: String, shout: Boolean): String @function(name: \"person_full_name\")
    initials: [String]! @function(name: \"person_initials\") @neverNull
    words: [String!]! @function(name: \"person_words\") @neverNull
    newest: Note @function(name: \"person_newest\")
    notesLike(pattern: String!): [Note!]! @function(name: \"person_notes_like\")
}
type Note @relation(name: \"note\") @read(aggregate: true, connection: true) {
    id: Int!
    body: String!
    at: Date
    person: Person!
    length: Int! @function(name: \"note_length\") @neverNull
}";

async fn world() -> World {
    World::made(SQL, |_| SCHEMA.to_owned()).await
}

#[tokio::test]
async fn values_and_lists_of_them() {
    let w = world().await;
    w.check(
        "query($s:String){person(id:2){fullName a:fullName(sep:\", \",shout:true) b:fullName(sep:$s) initials words}}",
        r#"{"s":"'; drop table note; --"}"#,
        "select json_build_object('person', json_build_object('fullName', 'Alan Turing', 'a', 'ALAN, TURING', 'b', 'Alan''; drop table note; --Turing', 'initials', '[\"A\",\"T\"]'::json, 'words', '[\"halting\"]'::json))",
    )
    .await;
    w.check("{people(orderBy:{id:DESC}){words}}", "{}", "select '{\"people\":[{\"words\":[]},{\"words\":[\"halting\"]},{\"words\":[\"engine\",\"loops\",\"numbers\"]}]}'::json").await;
}

#[tokio::test]
async fn rows_and_lists_of_them() {
    let w = world().await;
    w.check(
        "{people(orderBy:{id:ASC}){newest{body length person{fullName}} notesLike(pattern:\"%n%\",where:{at:{gt:\"2026-01-01\"}},orderBy:{body:DESC},limit:1){body length}}}",
        "{}",
        "select '{\"people\":[{\"newest\":{\"body\":\"numbers\",\"length\":7,\"person\":{\"fullName\":\"Ada Byron\"}},\"notesLike\":[{\"body\":\"numbers\",\"length\":7}]},{\"newest\":{\"body\":\"halting\",\"length\":7,\"person\":{\"fullName\":\"Alan Turing\"}},\"notesLike\":[{\"body\":\"halting\",\"length\":7}]},{\"newest\":null,\"notesLike\":[]}]}'::json",
    )
    .await;
    w.check(
        "{person(id:1){notesLikeAggregate(pattern:\"%n%\"){count max{body}} notesLikeConnection(pattern:\"%\",first:2,where:{body:{neq:\"loops\"}}){totalCount nodes{id length}} notesLikeGroups(pattern:\"%\",by:[at],limit:1){count}}}",
        "{}",
        "select '{\"person\":{\"notesLikeAggregate\":{\"count\":2,\"max\":{\"body\":\"numbers\"}},\"notesLikeConnection\":{\"totalCount\":2,\"nodes\":[{\"id\":1,\"length\":6},{\"id\":4,\"length\":7}]},\"notesLikeGroups\":[{\"count\":1}]}}'::json",
    )
    .await;
}

#[tokio::test]
async fn wherever_rows_come_from() {
    let w = world().await;
    for (query, expected) in [
        ("{people(limit:1,offset:1){fullName}}", r#"{"people":[{"fullName":"Alan Turing"}]}"#),
        (
            "{people(distinctOn:[boss],orderBy:{id:DESC}){fullName notes{id}}}",
            r#"{"people":[{"fullName":"Grace Hopper","notes":[]},{"fullName":"Ada Byron","notes":[{"id":1},{"id":2},{"id":4}]}]}"#,
        ),
        (
            "{peopleConnection(last:1){edges{node{fullName}} nodes{initials}}}",
            r#"{"peopleConnection":{"edges":[{"node":{"fullName":"Grace Hopper"}}],"nodes":[{"initials":["G","H"]}]}}"#,
        ),
        ("{everybody(orderBy:{id:ASC},limit:1){fullName}}", r#"{"everybody":[{"fullName":"Ada Byron"}]}"#),
        (
            "mutation{insertPerson(object:{id:4,first:\"Kurt\",last:\"G\"}){fullName words}}",
            r#"{"insertPerson":{"fullName":"Kurt G","words":[]}}"#,
        ),
        ("mutation{deletePerson(id:4){fullName}}", r#"{"deletePerson":{"fullName":"Kurt G"}}"#),
    ] {
        w.check(query, "{}", &format!("select '{expected}'::json")).await;
    }
}
