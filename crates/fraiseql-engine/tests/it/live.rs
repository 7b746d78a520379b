//! Subscriptions: planned as queries are, and what they read is known.

use fraiseql_engine::{Document, Limits, Plan, Variables, plan, reads};
use serde_json::json;

use crate::world::World;

const SQL: &str = "
CREATE TABLE author (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE book (id int PRIMARY KEY, title text NOT NULL, author_id int NOT NULL REFERENCES author);
CREATE INDEX ON book (author_id);
CREATE TABLE review (id int PRIMARY KEY, book_id int NOT NULL REFERENCES book);
CREATE INDEX ON review (book_id);
CREATE FUNCTION find(pattern text) RETURNS SETOF author LANGUAGE sql STABLE AS $$ SELECT * FROM author WHERE name LIKE pattern $$;
INSERT INTO author VALUES (1, 'Ada'), (2, 'Bob');
INSERT INTO book VALUES (1, 'A', 1);
";

const SCHEMA: &str = r#"
type Query { authors: [Author!]! }
type Subscription {
  authors: [Author!]!
  author(id: Int!): Author
  mustAuthor(id: Int!): Author! @neverNull
  find(pattern: String!): [Author!]! @function(name: "find")
}
type Author @relation(name: "author") { id: Int! name: String! books: [Book!]! }
type Book @relation(name: "book") { id: Int! title: String! author: Author! reviews: [Review!]! }
type Review @relation(name: "review") { id: Int! book: Book! }
"#;

async fn world() -> World {
    World::made(SQL, |_| SCHEMA.to_owned()).await
}

#[tokio::test]
async fn a_subscription_is_answered_as_its_query_is() {
    let world = world().await;
    let run = async |text: &str| world.run(text, "{}").await;
    assert_eq!(
        run("subscription { authors(orderBy: {id: DESC}, limit: 1) { name } }").await.unwrap(),
        json!({ "authors": [{ "name": "Bob" }] })
    );
    let expected = json!({ "author": { "__typename": "Author", "books": [{ "title": "A" }] } });
    assert_eq!(run("subscription { author(id: 1) { __typename books { title } } }").await.unwrap(), expected);
    assert_eq!(
        run("subscription { find(pattern: \"A%\", limit: 3) { id } }").await.unwrap(),
        json!({ "find": [{ "id": 1 }] })
    );
    let error = run("subscription { mustAuthor(id: 9) { id } }").await.unwrap_err();
    assert!(error.contains("Subscription.mustAuthor"), "{error}");
    let error = run("subscription { authors { id } author(id: 1) { id } }").await.unwrap_err();
    assert!(error.contains("exactly one root field"), "{error}");
}

#[tokio::test]
async fn what_is_read_is_known_with_filters_and_orders() {
    let world = world().await;
    let check = |text: &str, relations: &[&str], functions: &[&str]| {
        let (schema, limits) = (&world.schema, Limits::default());
        let document = Document::parse(schema, text, &limits).unwrap();
        let variables = Variables::coerce(schema, &document, None, &serde_json::Map::new()).unwrap();
        let Plan::Query(plan) = plan(schema, &document, None, &variables, &limits).unwrap() else { panic!() };
        let found = reads(schema, &plan.statement.unwrap());
        assert_eq!(found.relations.iter().collect::<Vec<_>>(), relations, "{text}");
        assert_eq!(found.functions.iter().collect::<Vec<_>>(), functions, "{text}");
    };
    check("subscription { authors { name } }", &["public.author"], &[]);
    check("subscription { author(id: 1) { name } }", &["public.author"], &[]);
    check("subscription { authors { books { title } } }", &["public.author", "public.book"], &[]);
    check(
        "subscription { authors(where: {books: {some: {reviews: {none: {}}}}}) { id } }",
        &["public.author", "public.book", "public.review"],
        &[],
    );
    check(
        "subscription { authors { books(orderBy: {author: {name: ASC}}) { id } } }",
        &["public.author", "public.book"],
        &[],
    );
    check("subscription { find(pattern: \"A\") { id books { id } } }", &["public.book"], &["public.find"]);
}
