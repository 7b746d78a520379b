//! Who is told the schema.

use fraiseql_serve::{IntrospectionPolicy, RequestPolicy};

use crate::client::query;
use crate::fixture::{database, start_with};

const ASKING: [&str; 3] = [
    "{ __schema { queryType { name } } }",
    "{ ... on Query { ...f } } fragment f on Query { __type(name: \"Author\") { name } }",
    "query A { author(id: 1) { name } t: __type(name: \"Author\") { name } }",
];

#[tokio::test]
async fn the_schema_is_told_to_whom_the_setting_says() {
    let database = database().await;
    for (introspection, told) in [
        (IntrospectionPolicy::Everybody, true),
        (IntrospectionPolicy::Known, false),
        (IntrospectionPolicy::Nobody, false),
    ] {
        let server = start_with(&database.url(), |options| {
            options.policy = RequestPolicy { introspection, ..RequestPolicy::default() };
        })
        .await;
        for text in ASKING {
            let answer = query(server.address, text).await;
            let refused = answer.text().contains("graphql.introspection");
            assert_eq!(!refused, told, "{introspection:?} {text}: {}", answer.text());
            assert_eq!(answer.text().contains("Author") || answer.text().contains("\"Query\""), told);
        }
        let answer = query(server.address, "{ author(id: 1) { __typename name } }").await;
        assert!(answer.text().contains("\"__typename\":\"Author\""), "{}", answer.text());
    }
}
