//! Another artifact while running: new requests get it, running ones finish with theirs.

use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::client::{connect, query, receive, request};
use crate::fixture::{artifact, database, renamed_artifact, start, wait_for_running};

#[tokio::test]
async fn new_requests_get_the_new_schema_and_running_ones_keep_theirs() {
    let database = database().await;
    let server = start(&database).await;
    assert_eq!(query(server.address, "{ author(id: 1) { id } }").await.json()["data"]["author"]["id"], 1);
    let body = json!({ "query": "{ slow(seconds: 0.5) author(id: 1) { id } }" }).to_string();
    let mut running = connect(server.address).await;
    let text = request("POST", "/graphql", &[("Content-Type", "application/json")], &body);
    running.write_all(text.as_bytes()).await.unwrap();
    wait_for_running(&database, "slow", 1).await;
    server.handle.reload(renamed_artifact()).unwrap();
    assert_eq!(query(server.address, "{ author(id: 1) { id } }").await.code(), "GRAPHQL_VALIDATION_FAILED");
    assert_eq!(query(server.address, "{ writer(id: 1) { id } }").await.json()["data"]["writer"]["id"], 1);
    let got = receive(&mut running).await.unwrap();
    assert_eq!(got.text(), r#"{"data":{"slow":1,"author":{"id":1}}}"#);
    assert_eq!(server.events.with("Reloaded").len(), 1);
}

#[tokio::test]
async fn a_faulty_artifact_is_refused_and_the_old_one_stays() {
    let server = start(&database().await).await;
    let mut faulty = artifact();
    faulty.sdl = "type Query { broken".to_owned();
    assert!(server.handle.reload(faulty).is_err());
    assert_eq!(query(server.address, "{ author(id: 1) { id } }").await.status, 200);
}
