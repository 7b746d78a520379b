//! Answers in the coding that a client wants, where that pays.

use std::io::Read;

use fraiseql_serve::RequestPolicy;
use fraiseql_testkit::wait_until;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::client::{Got, ask, connect, receive, request};
use crate::fixture::{SOON, database, running, start, start_with};

const JSON: (&str, &str) = ("Content-Type", "application/json");

fn decoded(got: &Got) -> Vec<u8> {
    let (mut out, bytes) = (Vec::new(), got.body.as_slice());
    match got.header("content-encoding") {
        Some("zstd") => zstd::stream::read::Decoder::new(bytes).unwrap().read_to_end(&mut out).unwrap(),
        Some("br") => brotli::Decompressor::new(bytes, 4_096).read_to_end(&mut out).unwrap(),
        Some("gzip") => flate2::read::GzDecoder::new(bytes).read_to_end(&mut out).unwrap(),
        other => panic!("{other:?}"),
    };
    out
}

fn body(document: &str) -> String {
    json!({ "query": document }).to_string()
}

#[tokio::test]
async fn long_answers_are_compressed_and_short_ones_are_not() {
    let server = start(&database().await).await;
    for (accept, coding) in [("gzip, deflate, br, zstd", "zstd"), ("gzip;q=0.5, br", "br"), ("gzip", "gzip")]
    {
        let headers = [JSON, ("Accept-Encoding", accept)];
        for (document, rows, length) in [
            ("{ bigs(limit: 100) { id payload } }", 100, true),
            ("{ bigs(limit: 3000) { id payload } }", 3_000, false),
            ("{ a: bigs(limit: 2000) { id payload } b: bigs(limit: 1) { id } }", 2_000, false),
        ] {
            let got = ask(server.address, "POST", "/graphql", &headers, &body(document)).await;
            assert_eq!(got.header("content-encoding"), Some(coding), "{document}");
            assert_eq!(got.header("vary"), Some("accept-encoding"));
            assert_eq!(got.header("content-length").is_some(), length, "{document}");
            assert!(got.complete);
            let plain = decoded(&got);
            assert!(got.body.len() * 5 < plain.len(), "{} of {}", got.body.len(), plain.len());
            let answer: Value = serde_json::from_slice(&plain).unwrap();
            let list = answer["data"].as_object().unwrap().values().next().unwrap();
            assert_eq!(list.as_array().unwrap().len(), rows, "{document}");
        }
        let got = ask(server.address, "POST", "/graphql", &headers, &body("{ author(id: 1) { id } }")).await;
        assert_eq!((got.header("content-encoding"), got.header("vary")), (None, Some("accept-encoding")));
        for path in ["/metrics", "/health"] {
            let got = ask(server.address, "GET", path, &headers, "").await;
            assert_eq!(got.header("content-encoding"), None, "{path}");
        }
    }
    let got =
        ask(server.address, "POST", "/graphql", &[JSON], &body("{ bigs(limit: 100) { id payload } }")).await;
    assert_eq!(got.header("content-encoding"), None, "nobody asked");
}

#[tokio::test]
async fn switched_off_nothing_is_compressed() {
    let policy = RequestPolicy { compression: false, ..Default::default() };
    let server = start_with(&database().await.url(), |options| options.policy = policy).await;
    let headers = [JSON, ("Accept-Encoding", "gzip")];
    let got =
        ask(server.address, "POST", "/graphql", &headers, &body("{ bigs(limit: 100) { id payload } }")).await;
    assert_eq!((got.header("content-encoding"), got.header("vary")), (None, None));
}

#[tokio::test]
async fn a_compressed_stream_that_breaks_is_cut_off() {
    let server = start(&database().await).await;
    let headers = [JSON, ("Accept-Encoding", "zstd")];
    let got =
        ask(server.address, "POST", "/graphql", &headers, &body("{ fragiles { id payload value } }")).await;
    assert_eq!((got.status, got.header("content-encoding")), (200, Some("zstd")));
    assert!(!got.complete, "half a list is not taken for a whole one");
    let mut out = Vec::new();
    assert!(zstd::stream::read::Decoder::new(got.body.as_slice()).unwrap().read_to_end(&mut out).is_err());
}

#[tokio::test]
async fn a_client_that_leaves_a_compressed_stream_ends_its_statement() {
    let database = database().await;
    let server = start(&database).await;
    let mut stream = connect(server.address).await;
    let headers = [JSON, ("Accept-Encoding", "gzip")];
    let text = request("POST", "/graphql", &headers, &body("{ bigs { id payload } }"));
    stream.write_all(text.as_bytes()).await.unwrap();
    drop(stream);
    wait_until(SOON, || async { running(&database, "big").await == 0 && server.pool.status().waiting == 0 })
        .await;
    let mut stream = connect(server.address).await;
    stream
        .write_all(request("POST", "/graphql", &[JSON], &body("{ author(id: 1) { id } }")).as_bytes())
        .await
        .unwrap();
    assert_eq!(receive(&mut stream).await.unwrap().status, 200);
}
