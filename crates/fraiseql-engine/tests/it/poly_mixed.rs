//! Interfaces and unions beside what else fields can be: computed, documents, aggregates, pages, outcomes.

use crate::world::World;

const DATABASE: &str = r#"
create table owner (id int primary key, name text not null, extra jsonb);
create table animal (
  id int primary key, kind text not null, owner_id int references owner, weight int not null, extra jsonb);
create index on animal (owner_id);
create table book (
  id int primary key, title text not null, owner_id int references owner, pages int not null, extra jsonb);
create index on book (owner_id);
create index on book (title);
insert into owner values (1, 'Ann', '{"home": {"city": "Rome"}}'), (2, 'Bob', null);
insert into animal values (1, 'dog', 1, 10, '{"tag": {"color": "red"}}'), (2, 'cat', 1, 4, null),
  (3, 'dog', 2, 30, '{"tag": {"color": "blue"}}'), (4, 'dog', 1, 20, null);
insert into book values (1, 'B1', 1, 100, '{"print": {"city": "Bern", "year": 1999}}'), (2, 'B2', 1, 200, null),
  (3, 'B3', 2, 300, '{"print": {"year": 2001}}');
create function shout(book) returns text stable language sql as 'select upper($1.title) || ''!''';
create function twins(book, more int) returns setof book stable language sql
  as 'select * from book where id <> $1.id and id < more';
create function nick(owner) returns text stable language sql as 'select lower($1.name)';
create function rename(id int, name text) returns jsonb language plpgsql as $$
declare hit owner; begin
  update owner o set name = rename.name where o.id = rename.id returning * into hit;
  if not found then return jsonb_build_object('__typename', 'Missing', 'message', 'nobody'); end if;
  return jsonb_build_object('__typename', 'Renamed', 'owner', to_jsonb(hit));
end $$;
"#;

const SCHEMA: &str = r#"
interface Node { id: ID! }
union Thing = Book | Owner
interface Named implements Node { id: ID! name: String }
interface Animal @relation(name: "animal") @discriminator(column: "kind") {
  key: Int! @column(name: "id")
  weight: Int!
  owner: Owner
}
type Dog implements Animal @variant(value: "dog") @read(aggregate: true, connection: true, distinct: true) {
  key: Int! @column(name: "id")
  weight: Int!
  owner: Owner
  tag: Mark @json(column: "extra")
}
type Cat implements Animal @variant(value: "cat") {
  key: Int! @column(name: "id")
  weight: Int!
  owner: Owner
}
type Mark { color: String }
type Owner implements Node & Named @relation(name: "owner") {
  id: ID!
  key: Int! @column(name: "id")
  name: String
  nick: String @function(name: "nick")
  home: Home @json(column: "extra")
  animals: [Animal!]!
  dogs: [Dog!]!
  books: [Book!]!
  things: [Own!]!
}
union Own = Book
type Home { city: String }
type Book implements Node & Named @relation(name: "book") @read(aggregate: true, connection: true, distinct: true) {
  id: ID!
  key: Int! @column(name: "id")
  name: String @column(name: "title")
  pages: Int!
  shout: String @function(name: "shout")
  twins(more: Int!): [Book!]! @function(name: "twins")
  print: Print @json(column: "extra")
  owner: Owner
}
type Print { city: String year: Int }
type Query {
  things: [Thing!]!
  named: [Named!]!
  animals: [Animal!]!
  dogs: [Dog!]!
  owners: [Owner!]!
  books: [Book!]!
  node(id: ID!): Node
}
type Subscription { things: [Thing!]! node(id: ID!): Node animals: [Animal!]! }
union Rename = Renamed | Missing
type Renamed { owner: Owner }
type Missing { message: String }
type Mutation { rename(id: Int!, name: String!): Rename @function(name: "rename") }
"#;

async fn check(query: &str, expected: &str) {
    let world = World::made(DATABASE, |_| SCHEMA.to_owned()).await;
    world.check(query, "{}", &format!("select $json${expected}$json$::json")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_have_computed_fields_and_documents() {
    check(
        "{ things { __typename ... on Book { shout print { city year } twins(more: 3, orderBy: {key: DESC}) { key } \
         owner { nick home { city } } } ... on Owner { nick home { city } } } }",
        r#"{"things":[{"__typename":"Book","shout":"B1!","print":{"city":"Bern","year":1999},"twins":[{"key":2}],"owner":{"nick":"ann","home":{"city":"Rome"}}},{"__typename":"Book","shout":"B2!","print":null,"twins":[{"key":1}],"owner":{"nick":"ann","home":{"city":"Rome"}}},{"__typename":"Book","shout":"B3!","print":{"city":null,"year":2001},"twins":[{"key":2},{"key":1}],"owner":{"nick":"bob","home":null}},{"__typename":"Owner","nick":"ann","home":{"city":"Rome"}},{"__typename":"Owner","nick":"bob","home":null}]}"#,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_members_have_them_too() {
    check(
        "{ named(orderBy: {name: DESC}, limit: 3) { name ... on Book { shout print { year } \
         owner { booksAggregate { sum { pages } } } } ... on Owner { nick \
         booksConnection(first: 1) { nodes { key } totalCount } dogsAggregate { count } } } }",
        r#"{"named":[{"name":"Bob","nick":"bob","booksConnection":{"nodes":[{"key":3}],"totalCount":1},"dogsAggregate":{"count":1}},{"name":"B3","shout":"B3!","print":{"year":2001},"owner":{"booksAggregate":{"sum":{"pages":"300"}}}},{"name":"B2","shout":"B2!","print":null,"owner":{"booksAggregate":{"sum":{"pages":"300"}}}}]}"#,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_one_variant_have_aggregates_groups_and_pages() {
    check(
        "{ dogsAggregate { count max { weight } } \
         dogsGroups(by: [weight], orderBy: [{key: {weight: DESC}}], limit: 1) { key { weight } count } \
         dogsConnection(first: 2, orderBy: {weight: DESC}) { edges { node { key tag { color } owner { nick } } } \
         pageInfo { hasNextPage } } dogs(distinctOn: [weight], orderBy: {weight: ASC}) { key } \
         owners(orderBy: {key: ASC}) { dogsConnection(first: 1, orderBy: {weight: DESC}) { totalCount nodes { key } } } }",
        r#"{"dogsAggregate":{"count":3,"max":{"weight":30}},"dogsGroups":[{"key":{"weight":30},"count":1}],"dogsConnection":{"edges":[{"node":{"key":3,"tag":{"color":"blue"},"owner":{"nick":"bob"}}},{"node":{"key":4,"tag":null,"owner":{"nick":"ann"}}}],"pageInfo":{"hasNextPage":true}},"dogs":[{"key":1},{"key":4},{"key":3}],"owners":[{"dogsConnection":{"totalCount":2,"nodes":[{"key":4}]}},{"dogsConnection":{"totalCount":1,"nodes":[{"key":3}]}}]}"#,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_and_functions_lead_to_members() {
    check(
        "{ booksConnection(first: 1, orderBy: {key: ASC}) { nodes { owner { animals(orderBy: {weight: ASC}) { \
         __typename weight ... on Dog { tag { color } } } things { ... on Book { shout } } } } } \
         books(limit: 1, orderBy: {key: ASC}) { twins(more: 9, orderBy: {key: ASC}) { key owner { things { __typename } } } } }",
        r#"{"booksConnection":{"nodes":[{"owner":{"animals":[{"__typename":"Cat","weight":4},{"__typename":"Dog","weight":10,"tag":{"color":"red"}},{"__typename":"Dog","weight":20,"tag":null}],"things":[{"shout":"B1!"},{"shout":"B2!"}]}}]},"books":[{"twins":[{"key":2,"owner":{"things":[{"__typename":"Book"},{"__typename":"Book"}]}},{"key":3,"owner":{"things":[{"__typename":"Book"}]}}]}]}"#,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_leads_to_members_and_is_no_interface() {
    let world = World::made(DATABASE, |_| SCHEMA.to_owned()).await;
    let rename = |id: i32| {
        format!(
            "mutation {{ rename(id: {id}, name: \"Zoe\") {{ __typename ... on Missing {{ message }} \
             ... on Renamed {{ owner {{ nick home {{ city }} things {{ ... on Book {{ shout }} }} \
             animals(where: {{weight: {{gt: 9}}}}) {{ __typename weight }} }} }} }} }}"
        )
    };
    let found = world.run(&rename(2), "{}").await.expect("it is renamed");
    let expected = r#"{"rename":{"__typename":"Renamed","owner":{"nick":"zoe","home":null,"things":[{"shout":"B3!"}],"animals":[{"__typename":"Dog","weight":30}]}}}"#;
    assert_eq!(found.to_string(), expected);
    let missing = world.run(&rename(9), "{}").await.expect("nobody is renamed");
    assert_eq!(missing.to_string(), r#"{"rename":{"__typename":"Missing","message":"nobody"}}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_to_members_is_the_query() {
    let world = World::made(DATABASE, |_| SCHEMA.to_owned()).await;
    for part in [
        "things { ... on Book { shout } }",
        "animals(limit: 2) { weight }",
        "node(id: \"MTQ6Qm9vazE6MQ\") { id }",
    ] {
        let query = world.statement(&format!("query {{ {part} }}"));
        let live = world.statement(&format!("subscription {{ {part} }}"));
        assert_eq!(query.sql, live.sql, "{part}");
    }
}
