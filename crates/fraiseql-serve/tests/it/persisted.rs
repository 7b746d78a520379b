//! Persisted operations: by id, by text, alone; and texts that clients register by their hash.

use fraiseql_model::artifact::{Artifact, PersistedKind, PersistedOperation};
use fraiseql_model::digest::sha256_hex;
use fraiseql_serve::RequestPolicy;
use serde_json::{Value, json};

use crate::client::{Got, get, post, query};
use crate::fixture::{Running, artifact, database, renamed_artifact, start_with};

const AUTHOR: &str = "query Author($id: Int!) { author(id: $id) { name } }\n";
const ADA: &str = "query Ada { author(id: 1) { name } }\n";
const NOTE: &str = "mutation Note { writeNote(id: 1, seconds: 0) }\n";

fn id(text: &str) -> String {
    format!("sha256:{}", sha256_hex(text.as_bytes()))
}

fn operation(name: &str, kind: PersistedKind, text: &str) -> PersistedOperation {
    let (id, file) = (sha256_hex(text.as_bytes()), format!("operations/{name}.graphql"));
    PersistedOperation { name: name.to_owned(), kind, file, id, text: text.to_owned() }
}

fn persisted(artifact: Artifact, with: &[(&str, PersistedKind, &str)]) -> Artifact {
    let operations = with.iter().map(|(name, kind, text)| operation(name, *kind, text)).collect();
    Artifact { operations, ..artifact }.seal().0
}

fn all() -> Artifact {
    let (reads, writes) = (PersistedKind::Query, PersistedKind::Mutation);
    persisted(artifact(), &[("Ada", reads, ADA), ("Author", reads, AUTHOR), ("Note", writes, NOTE)])
}

async fn start(policy: RequestPolicy) -> Running {
    start_with(&database().await.url(), |options| {
        options.artifact = all();
        options.policy = policy;
    })
    .await
}

fn sample(page: &str, series: &str) -> f64 {
    let line = page.lines().find_map(|line| line.strip_prefix(series));
    line.unwrap_or_else(|| panic!("{series} is not in:\n{page}")).trim().parse().unwrap()
}

#[track_caller]
fn refused(got: &Got, code: &str) {
    assert_eq!(got.code(), code, "{}", got.text());
    assert!(got.json().get("data").is_none(), "{}", got.text());
}

const ADA_ANSWER: &str = r#"{"data":{"author":{"name":"Ada"}}}"#;

#[tokio::test]
async fn an_id_stands_for_the_text_and_nothing_is_parsed() {
    let server = start(RequestPolicy::default()).await;
    let got = post(server.address, &json!({ "documentId": id(AUTHOR), "variables": { "id": 1 } })).await;
    assert_eq!((got.status, got.text().as_str()), (200, ADA_ANSWER));
    let bare = post(server.address, &json!({ "documentId": sha256_hex(ADA.as_bytes()) })).await;
    assert_eq!(bare.text(), ADA_ANSWER, "a hash without its prefix is a custom identifier");
    let path = format!("/graphql?documentId={}&variables=%7B%22id%22%3A1%7D", id(AUTHOR));
    assert_eq!(get(server.address, &path).await.text(), ADA_ANSWER);
    assert_eq!(query(server.address, ADA).await.text(), ADA_ANSWER);
    let metrics = get(server.address, "/metrics").await.text();
    assert_eq!(sample(&metrics, "fraiseql_document_cache_misses_total "), 0.0, "no text was parsed");
    assert_eq!(
        sample(&metrics, "fraiseql_plan_cache_misses_total "),
        1.0,
        "one needs variables to be planned"
    );

    let got = get(server.address, &format!("/graphql?documentId={}", id(NOTE))).await;
    assert_eq!((got.status, got.header("allow")), (405, Some("POST")));
    let got = post(server.address, &json!({ "documentId": id(NOTE) })).await;
    assert_eq!(got.text(), r#"{"data":{"writeNote":1}}"#);
}

#[tokio::test]
async fn an_unknown_id_is_an_answer_with_one_error() {
    let server = start(RequestPolicy::default()).await;
    let got = post(server.address, &json!({ "documentId": id("{ nothing }") })).await;
    refused(&got, "PERSISTED_OPERATION_NOT_FOUND");
    assert_eq!(got.json()["errors"].as_array().unwrap().len(), 1);
    let got = post(server.address, &json!({ "documentId": "md5:1" })).await;
    refused(&got, "PERSISTED_OPERATION_NOT_FOUND");
    assert!(got.text().contains("64 lower-case"), "{}", got.text());
    refused(&post(server.address, &json!({ "documentId": id(ADA), "query": ADA })).await, "BAD_REQUEST");
    refused(&post(server.address, &json!({ "documentId": 1 })).await, "BAD_REQUEST");
}

#[tokio::test]
async fn an_allow_list_lets_nothing_else_run() {
    let policy = RequestPolicy { persisted_only: true, automatic_persisted: true, ..Default::default() };
    let server = start(policy).await;
    for text in ["{ author(id: 1) { name } }", "{ __schema { queryType { name } } }", "not GraphQL", " "] {
        refused(&query(server.address, text).await, "PERSISTED_OPERATION_REQUIRED");
    }
    let path = "/graphql?query=%7B__typename%7D";
    refused(&get(server.address, path).await, "PERSISTED_OPERATION_REQUIRED");
    assert_eq!(query(server.address, ADA).await.text(), ADA_ANSWER, "the text of one is one");
    assert_eq!(post(server.address, &json!({ "documentId": id(ADA) })).await.text(), ADA_ANSWER);
    let other = "query Ada { author(id: 2) { name } }";
    let registering = automatic(Some(other), other);
    refused(&post(server.address, &registering).await, "PERSISTED_OPERATION_REQUIRED");
    refused(&post(server.address, &automatic(None, other)).await, "PERSISTED_QUERY_NOT_SUPPORTED");
}

#[tokio::test]
async fn a_reload_exchanges_the_operations_and_keeps_their_counts() {
    let server = start(RequestPolicy { persisted_only: true, ..Default::default() }).await;
    post(server.address, &json!({ "documentId": id(ADA) })).await;
    post(server.address, &json!({ "documentId": id(AUTHOR) })).await;
    const WRITER: &str = "query Author { writer(id: 1) { name } }";
    let changed = persisted(renamed_artifact(), &[("Author", PersistedKind::Query, WRITER)]);
    server.handle.reload(changed).unwrap();
    refused(&post(server.address, &json!({ "documentId": id(ADA) })).await, "PERSISTED_OPERATION_NOT_FOUND");
    assert_eq!(
        post(server.address, &json!({ "documentId": id(WRITER) })).await.text(),
        r#"{"data":{"writer":{"name":"Ada"}}}"#
    );
    let metrics = get(server.address, "/metrics").await.text();
    let of =
        |outcome: &str| format!("operation_requests_total{{operation=\"Author\",outcome=\"{outcome}\"}}");
    assert_eq!(sample(&metrics, &format!("fraiseql_{}", of("ok"))), 1.0);
    assert_eq!(sample(&metrics, &format!("fraiseql_{}", of("error"))), 1.0, "its variable was missing");
    assert_eq!(sample(&metrics, "fraiseql_operation_duration_seconds_count{operation=\"Author\"}"), 2.0);
    assert!(!metrics.contains("\"Ada\""), "what is gone is not shown");
}

#[tokio::test]
async fn an_artifact_whose_operation_does_not_fit_is_not_loaded() {
    let server = start(RequestPolicy::default()).await;
    let broken = persisted(artifact(), &[("Broken", PersistedKind::Query, "query Broken { nothing }")]);
    let error = server.handle.reload(broken).unwrap_err();
    assert!(error.to_string().contains("Broken"), "{error}");
    assert_eq!(post(server.address, &json!({ "documentId": id(ADA) })).await.text(), ADA_ANSWER);
    assert_eq!(server.events.with("operation: Some(\"Ada\")").len(), 1, "the log knows its name");
    let metrics = get(server.address, "/metrics").await.text();
    let series = "fraiseql_operation_requests_total{operation=\"Ada\",outcome=\"ok\"}";
    assert_eq!(sample(&metrics, series), 1.0, "what failed to load changed no counter");
}

#[tokio::test]
async fn limits_on_texts_do_not_hold_for_what_was_compiled_and_those_on_values_do() {
    let all: String = (0..60).map(|at| format!("a{at}: author(id: 1) {{ id }} ")).collect();
    let wide = format!("query Wide {{ {all} e: boom }}");
    const BIGS: &str = "query Bigs($n: Int) { bigs(limit: $n) { id } }";
    let reads = PersistedKind::Query;
    let server = start_with(&database().await.url(), |options| {
        options.artifact = persisted(artifact(), &[("Bigs", reads, BIGS), ("Wide", reads, &wide)]);
    })
    .await;
    let got = post(server.address, &json!({ "documentId": id(&wide) })).await.json();
    assert_eq!(got["data"]["a59"]["id"], 1, "also where one field fails: {got}");
    assert_eq!(got["errors"][0]["extensions"]["code"], "RAISED");
    let got =
        post(server.address, &json!({ "documentId": id(BIGS), "variables": { "n": 2_000_000_000 } })).await;
    refused(&got, "LIMIT_EXCEEDED");
}

#[tokio::test]
async fn names_of_other_operations_never_become_labels() {
    let server = start(RequestPolicy::default()).await;
    query(server.address, "query Stranger { author(id: 1) { name } }").await;
    assert!(!get(server.address, "/metrics").await.text().contains("Stranger"));
}

fn automatic(text: Option<&str>, hashed: &str) -> Value {
    let extension =
        json!({ "persistedQuery": { "version": 1, "sha256Hash": sha256_hex(hashed.as_bytes()) } });
    match text {
        Some(text) => json!({ "query": text, "extensions": extension }),
        None => json!({ "extensions": extension }),
    }
}

#[tokio::test]
async fn automatic_persisted_queries_are_learned_once() {
    const TEXT: &str = "{ author(id: 1) { name } }";
    let server = start(RequestPolicy { automatic_persisted: true, ..Default::default() }).await;
    let got = post(server.address, &automatic(None, TEXT)).await;
    refused(&got, "PERSISTED_QUERY_NOT_FOUND");
    assert_eq!(got.json()["errors"][0]["message"], "PersistedQueryNotFound");
    refused(&post(server.address, &automatic(Some("{ boom }"), TEXT)).await, "BAD_REQUEST");
    refused(&post(server.address, &automatic(None, TEXT)).await, "PERSISTED_QUERY_NOT_FOUND");
    assert_eq!(post(server.address, &automatic(Some(TEXT), TEXT)).await.text(), ADA_ANSWER);
    assert_eq!(post(server.address, &automatic(None, TEXT)).await.text(), ADA_ANSWER);
    let extension = automatic(None, TEXT)["extensions"].to_string();
    let encoded: String = form_urlencoded::byte_serialize(extension.as_bytes()).collect();
    assert_eq!(get(server.address, &format!("/graphql?extensions={encoded}")).await.text(), ADA_ANSWER);
    assert_eq!(
        post(server.address, &automatic(None, ADA)).await.text(),
        ADA_ANSWER,
        "persisted ones are known"
    );

    refused(
        &post(server.address, &automatic(Some("{ nothing }"), "{ nothing }")).await,
        "GRAPHQL_VALIDATION_FAILED",
    );
    refused(&post(server.address, &automatic(None, "{ nothing }")).await, "PERSISTED_QUERY_NOT_FOUND");
    let version = json!({ "extensions": { "persistedQuery": { "version": 2, "sha256Hash": "x" } } });
    refused(&post(server.address, &version).await, "BAD_REQUEST");
}

#[tokio::test]
async fn switched_off_the_protocol_says_so_and_texts_run() {
    const TEXT: &str = "{ author(id: 1) { name } }";
    let server = start(RequestPolicy::default()).await;
    refused(&post(server.address, &automatic(None, TEXT)).await, "PERSISTED_QUERY_NOT_SUPPORTED");
    assert_eq!(post(server.address, &automatic(Some(TEXT), TEXT)).await.text(), ADA_ANSWER);
    refused(&post(server.address, &automatic(None, TEXT)).await, "PERSISTED_QUERY_NOT_SUPPORTED");
}
