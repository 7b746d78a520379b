//! Several requests in one: in order, each answered in its place, never more than allowed.

use fraiseql_engine::Limits;
use fraiseql_serve::RequestPolicy;
use serde_json::{Value, json};

use crate::client::{ask, get, post};
use crate::fixture::{Running, database, start, start_with};

const ADA: &str = "{ author(id: 1) { name } }";

async fn start_batching(batch_max: usize) -> Running {
    start_with(&database().await.url(), |options| {
        options.policy = RequestPolicy { batch_max, ..RequestPolicy::default() };
        options.limits = Limits { rows: 50_000_000, ..Limits::default() };
    })
    .await
}

#[tokio::test]
async fn each_request_is_answered_in_its_place() {
    let server = start_batching(10).await;
    let batch = json!([
        { "query": ADA },
        { "query": "{ nothing }" },
        { "query": "mutation { writeNote(id: 1, seconds: 0) }" },
        { "query": "mutation { writeNote(id: 1, seconds: 0) }" },
        {},
        { "query": "query($n: Int) { bigs(limit: $n) { id payload } }", "variables": { "n": 5_000 } },
        { "query": "{ boom }" },
    ]);
    for accept in ["application/json", "application/graphql-response+json"] {
        let headers = [("Content-Type", "application/json"), ("Accept", accept)];
        let got = ask(server.address, "POST", "/graphql", &headers, &batch.to_string()).await;
        assert_eq!(got.status, 200);
        assert!(got.header("content-type").unwrap().starts_with(accept));
        let answers = got.json();
        let code = |at: usize| answers[at]["errors"][0]["extensions"]["code"].as_str().unwrap_or("");
        assert_eq!(answers[0], json!({ "data": { "author": { "name": "Ada" } } }));
        assert_eq!(code(1), "GRAPHQL_VALIDATION_FAILED");
        assert_eq!(code(3), "UNIQUE_VIOLATION", "the one before it was written: {answers}");
        assert_eq!(code(4), "BAD_REQUEST");
        assert_eq!(answers[5]["data"]["bigs"].as_array().unwrap().len(), 5_000, "a stream is kept");
        assert_eq!(code(6), "RAISED");
        assert_eq!(answers.as_array().unwrap().len(), 7);
    }
    let page = get(server.address, "/metrics").await.text();
    for line in [
        "http_requests_total{status=\"200\"} 2",
        "fraiseql_graphql_requests_total{kind=\"query\"} 6",
        "fraiseql_graphql_requests_total{kind=\"mutation\"} 4",
        "fraiseql_graphql_requests_total{kind=\"invalid\"} 4",
    ] {
        assert!(page.lines().any(|found| found == line), "{line} is not in:\n{page}");
    }
    assert_eq!(server.events.with("kind: Batch").len(), 2);
}

#[tokio::test]
async fn more_than_allowed_or_no_batch_at_all_is_refused_whole() {
    let server = start_batching(2).await;
    let one = json!({ "query": "mutation { writeNote(id: 7, seconds: 0) }" });
    for (body, said) in [
        (json!([one, one, one]), "more than 2 requests"),
        (json!([]), "the batch is empty"),
        (json!([one, 1]), "not a GraphQL request"),
        (json!([[one]]), "not a GraphQL request"),
    ] {
        let got = post(server.address, &body).await;
        assert_eq!((got.status, got.code().as_str()), (400, "BAD_REQUEST"), "{body}");
        assert!(got.text().contains(said), "{}", got.text());
    }
    let many = format!("[{}{{}}]", "{},".repeat(20_000));
    let got = ask(server.address, "POST", "/graphql", &[("Content-Type", "application/json")], &many).await;
    assert!(got.text().contains("more than 2 requests"), "{}", got.text());
    let got = post(server.address, &json!([one])).await;
    assert_eq!(got.text(), r#"[{"data":{"writeNote":7}}]"#, "nothing of the refused ones was written");
    let two = post(server.address, &json!([{ "query": ADA }, { "query": ADA }])).await;
    assert_eq!(two.json().as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn without_the_setting_an_array_is_refused() {
    let server = start(&database().await).await;
    let got = post(server.address, &json!([{ "query": ADA }])).await;
    assert_eq!((got.status, got.code().as_str()), (400, "BAD_REQUEST"));
    assert!(got.text().contains("graphql.batch_max"), "{}", got.text());
}

#[tokio::test]
async fn answers_that_are_too_long_together_are_an_error_in_their_place() {
    let server = start_batching(3).await;
    let all = json!({ "query": "{ bigs { id payload } }" });
    let got = post(server.address, &json!([all, all, { "query": ADA }])).await;
    let answers: Value = got.json();
    assert_eq!(answers[0]["data"]["bigs"].as_array().unwrap().len(), 40_000);
    assert_eq!(answers[1]["errors"][0]["extensions"]["code"], "LIMIT_EXCEEDED");
    assert_eq!(answers[2], json!({ "data": { "author": { "name": "Ada" } } }), "a short one still fits");
}
