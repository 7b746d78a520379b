//! GraphQL over HTTP: methods, media types, limits, ids, connections.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::{ask, connect, get, post, query, receive, request, send};
use crate::fixture::{database, start, start_with};

const JSON: (&str, &str) = ("Content-Type", "application/json");
const GRAPHQL: (&str, &str) = ("Accept", "application/graphql-response+json");

#[tokio::test]
async fn a_query_is_answered_by_post_and_by_get() {
    let server = start(&database().await).await;
    let posted = post(
        server.address,
        &json!({
            "query": "query A($id: Int!) { a: author(id: $id) { name __typename } __typename } query B { broken }",
            "operationName": "A", "variables": { "id": 2 }, "extensions": {},
        }),
    )
    .await;
    let expected = r#"{"data":{"a":{"name":"Bob \"B\" \\ é","__typename":"Author"},"__typename":"Query"}}"#;
    assert_eq!((posted.status, posted.text().as_str()), (200, expected));
    assert_eq!(posted.header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(posted.header("content-length"), Some(expected.len().to_string().as_str()));
    assert_eq!(posted.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(posted.header("server"), None);

    let path = "/graphql?query=query%20A(%24id%3AInt!)%7Bauthor(id%3A%24id)%7Bname%7D%7D\
                &variables=%7B%22id%22%3A1%7D&operationName=A";
    let got = ask(server.address, "GET", path, &[GRAPHQL], "").await;
    assert_eq!((got.status, got.text().as_str()), (200, r#"{"data":{"author":{"name":"Ada"}}}"#));
    assert_eq!(got.header("content-type"), Some("application/graphql-response+json; charset=utf-8"));
}

#[tokio::test]
async fn lists_nulls_and_introspection_are_framed() {
    let server = start(&database().await).await;
    let check = async |document: &str, expected: &str| {
        assert_eq!(query(server.address, document).await.text(), expected, "{document}");
    };
    check(
        "{ authors(orderBy: [{ id: DESC }]) { id score } }",
        r#"{"data":{"authors":[{"id":3,"score":null},{"id":2,"score":20},{"id":1,"score":10}]}}"#,
    )
    .await;
    check("{ authors(where: { id: { eq: 9 } }) { id } }", r#"{"data":{"authors":[]}}"#).await;
    check("{ author(id: 9) { id } }", r#"{"data":{"author":null}}"#).await;
    check(
        "{ t: __typename authors(limit: 1, orderBy: [{id: ASC}]) { id } u: __typename }",
        r#"{"data":{"t":"Query","authors":[{"id":1}],"u":"Query"}}"#,
    )
    .await;
    check(
        "{ author(id: 1) { id } b: author(id: 9) { id } c: slow(seconds: 0) }",
        r#"{"data":{"author":{"id":1},"b":null,"c":1}}"#,
    )
    .await;
    let schema = query(server.address, "{ __schema { queryType { name } } }").await;
    assert_eq!(schema.text(), r#"{"data":{"__schema":{"queryType":{"name":"Query"}}}}"#);
}

#[tokio::test]
async fn statuses_follow_the_media_type() {
    let server = start(&database().await).await;
    let cases = [
        ("{ nothing }", 200, 400, "GRAPHQL_VALIDATION_FAILED"),
        ("{ author(id: 1) {", 200, 400, "GRAPHQL_PARSE_FAILED"),
        ("query A { boom } query B { boom }", 200, 400, "OPERATION_RESOLUTION_FAILURE"),
        ("query A($id: Int!) { author(id: $id) { id } }", 200, 400, "BAD_USER_INPUT"),
        ("subscription { ticks }", 200, 400, "OPERATION_RESOLUTION_FAILURE"),
        ("{ boom }", 200, 200, "RAISED"),
    ];
    for (document, by_json, by_graphql, code) in cases {
        let body = json!({ "query": document }).to_string();
        for (accept, status) in [(("Accept", "application/json"), by_json), (GRAPHQL, by_graphql)] {
            let got = ask(server.address, "POST", "/graphql", &[JSON, accept], &body).await;
            assert_eq!((got.status, got.code().as_str()), (status, code), "{document} {accept:?}");
        }
    }
    for body in ["", "{", "[]", "{}", r#"{"query":1}"#, r#"{"query":"{boom}","variables":1}"#] {
        for accept in [("Accept", "*/*"), GRAPHQL] {
            let got = ask(server.address, "POST", "/graphql", &[JSON, accept], body).await;
            assert_eq!((got.status, got.code().as_str()), (400, "BAD_REQUEST"), "{body}");
        }
    }
    let got = ask(server.address, "POST", "/graphql", &[JSON, ("Accept", "text/html")], "{}").await;
    assert_eq!(got.status, 406);
}

#[tokio::test]
async fn other_sites_forms_are_refused() {
    let server = start(&database().await).await;
    let body = json!({ "query": "{ author(id: 1) { id } }" }).to_string();
    let types = [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/graphql",
    ];
    for content_type in types {
        let got = ask(server.address, "POST", "/graphql", &[("Content-Type", content_type)], &body).await;
        assert_eq!(got.status, 415, "{content_type}");
        assert_eq!(got.header("access-control-allow-origin"), None);
    }
    assert_eq!(ask(server.address, "POST", "/graphql", &[], &body).await.status, 415);
    let preflight = [("Origin", "https://other.example"), ("Access-Control-Request-Method", "POST")];
    let got = ask(server.address, "OPTIONS", "/graphql", &preflight, "").await;
    assert_eq!((got.status, got.header("allow")), (204, Some("GET, POST, OPTIONS")));
    assert_eq!(got.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn a_mutation_by_get_is_refused_and_does_nothing() {
    let database = database().await;
    let server = start(&database).await;
    let got = get(server.address, "/graphql?query=mutation%7BwriteNote(id:1,seconds:0)%7D").await;
    assert_eq!((got.status, got.header("allow")), (405, Some("POST")));
    let notes = database.client().await.query_one("SELECT count(*) FROM note", &[]).await.unwrap();
    assert_eq!(notes.get::<_, i64>(0), 0);
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_declared_or_not() {
    let server = start_with(&database().await.url(), |options| options.body_bytes = 2_000).await;
    let large = json!({ "query": "{ author(id: 1) { id } }", "variables": { "x": "y".repeat(2_000) } });
    let got = post(server.address, &large).await;
    assert_eq!((got.status, got.code().as_str()), (413, "LIMIT_EXCEEDED"));
    assert_eq!(got.header("connection"), Some("close"));

    let mut chunked =
        request("POST", "/graphql", &[JSON], "").replace("Content-Length: 0", "Transfer-Encoding: chunked");
    for _ in 0..3 {
        chunked.push_str(&format!("3e8\r\n{}\r\n", " ".repeat(1_000)));
    }
    let got = send(server.address, chunked.as_bytes()).await;
    assert_eq!(got.status, 413);
    let small = json!({ "query": "{ author(id: 1) { id } }" });
    assert_eq!(post(server.address, &small).await.status, 200);
}

#[tokio::test]
async fn a_body_in_many_pieces_is_read() {
    let server = start(&database().await).await;
    let body = json!({ "query": "{ author(id: 1) { id } }" }).to_string();
    let mut chunked =
        request("POST", "/graphql", &[JSON], "").replace("Content-Length: 0", "Transfer-Encoding: chunked");
    for byte in body.chars() {
        chunked.push_str(&format!("1\r\n{byte}\r\n"));
    }
    chunked.push_str("0\r\n\r\n");
    let got = send(server.address, chunked.as_bytes()).await;
    assert_eq!(got.text(), r#"{"data":{"author":{"id":1}}}"#);
}

#[tokio::test]
async fn every_answer_has_a_request_id() {
    let server = start(&database().await).await;
    for path in ["/health", "/nothing", "/graphql"] {
        let given = ask(server.address, "GET", path, &[("X-Request-Id", "mine-1")], "").await;
        assert_eq!(given.header("x-request-id"), Some("mine-1"), "{path}");
        let generated = ask(server.address, "GET", path, &[("X-Request-Id", "not sane")], "").await;
        let id = generated.header("x-request-id").unwrap();
        assert!(!id.is_empty() && id != "not sane", "{path}");
    }
    assert_eq!(
        server.events.with("RequestFinished").iter().filter(|event| event.contains("mine-1")).count(),
        2
    );
}

#[tokio::test]
async fn other_paths_and_methods_are_told_so() {
    let server = start(&database().await).await;
    let got = get(server.address, "/").await;
    assert_eq!(got.status, 404);
    assert_eq!(got.json()["endpoints"], json!(["/graphql", "/health", "/health/ready", "/metrics"]));
    let cases = [
        ("DELETE", "/graphql", "GET, POST, OPTIONS"),
        ("HEAD", "/graphql", "GET, POST, OPTIONS"),
        ("POST", "/health", "GET, HEAD, OPTIONS"),
        ("PUT", "/metrics", "GET, HEAD, OPTIONS"),
    ];
    for (method, path, allow) in cases {
        let mut stream = connect(server.address).await;
        stream.write_all(request(method, path, &[("Connection", "close")], "").as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        assert!(text.starts_with("HTTP/1.1 405"), "{method} {path}: {text}");
        assert!(text.to_lowercase().contains(&format!("allow: {}\r\n", allow.to_lowercase())), "{text}");
    }
    let mut stream = connect(server.address).await;
    stream.write_all(b"HEAD /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 200") && text.ends_with("\r\n\r\n"), "no body: {text}");
}

#[tokio::test]
async fn a_connection_carries_many_requests() {
    let server = start(&database().await).await;
    let mut stream = connect(server.address).await;
    let body = json!({ "query": "{ author(id: 1) { id } }" }).to_string();
    for _ in 0..20 {
        stream.write_all(request("POST", "/graphql", &[JSON], &body).as_bytes()).await.unwrap();
        assert_eq!(receive(&mut stream).await.unwrap().text(), r#"{"data":{"author":{"id":1}}}"#);
    }
    assert_eq!(server.pool.status().open, 1);
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let server = start(&database().await).await;
    let mut stream = connect(server.address).await;
    let long = request("GET", "/health", &[("X-Long", &"x".repeat(100_000))], "");
    // The server may have closed before all of it was written.
    let written = stream.write_all(long.as_bytes()).await;
    let got = receive(&mut stream).await;
    assert!(written.is_err() || got.is_none_or(|got| got.status == 431));
}

#[tokio::test]
async fn http2_without_negotiation_is_served() {
    let server = start(&database().await).await;
    let stream = connect(server.address).await;
    let executor = hyper_util::rt::TokioExecutor::new();
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    let mut driver = tokio::task::JoinSet::new();
    driver.spawn(connection);
    for id in 1..=2 {
        let body = json!({ "query": format!("{{ author(id: {id}) {{ id }} }}") }).to_string();
        let request = hyper::Request::post("http://test/graphql")
            .header("content-type", "application/json")
            .body(http_body_util::Full::new(bytes::Bytes::from(body)))
            .unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.status(), 200);
        let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
        assert_eq!(body, format!("{{\"data\":{{\"author\":{{\"id\":{id}}}}}}}"));
    }
    drop(sender);
    driver.join_next().await.unwrap().unwrap().unwrap();
}
