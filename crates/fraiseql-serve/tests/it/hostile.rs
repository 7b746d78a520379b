//! Requests that mean harm, over the wire: what they are told, and that the server goes on.

use fraiseql_engine::{LimitMode, Limits};
use serde_json::json;

use crate::client::{ask, get, post, query};
use crate::fixture::{Running, database, start, start_with};

const JSON: (&str, &str) = ("Content-Type", "application/json");

async fn sample(server: &Running, series: &str) -> f64 {
    let page = get(server.address, "/metrics").await.text();
    let line = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{series} is not in:\n{page}")).parse().unwrap()
}

#[tokio::test]
async fn bodies_that_are_no_requests_are_told_so() {
    let server = start(&database().await).await;
    let deep = format!(
        "{{\"query\":\"{{boom}}\",\"variables\":{{\"x\":{}{}}}}}",
        "[".repeat(40_000),
        "]".repeat(40_000)
    );
    let cases = [
        (deep.as_str(), "BAD_REQUEST"),
        (r#"{"query":"{boom}","query":"{boom}"}"#, "BAD_REQUEST"),
        (r#"{"query":"{boom}","variables":{},"variables":{}}"#, "BAD_REQUEST"),
        (r#"{"query":"{boom}","variables":{"a":"\ud800"}}"#, "BAD_REQUEST"),
        (r#"{"query":"{boom}"} {"query":"{boom}"}"#, "BAD_REQUEST"),
        (r#"{"query":"{boom}","variables":{"a":1e}}"#, "BAD_REQUEST"),
        ("\u{feff}{\"query\":\"{boom}\"}", "BAD_REQUEST"),
    ];
    for (body, code) in cases {
        let got = ask(server.address, "POST", "/graphql", &[JSON], body).await;
        assert_eq!((got.status, got.code().as_str()), (400, code), "{}", &body[..body.len().min(80)]);
    }
    assert_eq!(query(server.address, "{ author(id: 1) { id } }").await.status, 200);
}

#[tokio::test]
async fn values_that_are_too_much_are_refused_before_the_database() {
    let server = start(&database().await).await;
    let digits = "9".repeat(10_000);
    let text = "query($id: Int!) { author(id: $id) { id } }";
    let number = format!("{{\"query\":\"{text}\",\"variables\":{{\"id\":{digits}}}}}");
    let twice = format!("{{\"query\":\"{text}\",\"variables\":{{\"id\":\"x\",\"id\":1}}}}");
    let nested =
        json!({ "query": text, "variables": { "id": (0..40).fold(json!(1), |value, _| json!([value])) } });
    let got = ask(server.address, "POST", "/graphql", &[JSON], &number).await;
    assert_eq!(got.code(), "BAD_USER_INPUT");
    assert!(!got.text().contains("999"), "a value is never repeated");
    let got = ask(server.address, "POST", "/graphql", &[JSON], &twice).await;
    assert_eq!(got.text(), r#"{"data":{"author":{"id":1}}}"#, "of two equal keys the last one counts");
    let got = post(server.address, &nested).await;
    assert_eq!(
        got.json()["errors"][0]["extensions"],
        json!({ "code": "LIMIT_EXCEEDED", "limit": "limits.value_depth" })
    );
    let bigs =
        json!({ "query": "query($n: Int) { bigs(limit: $n) { id } }", "variables": { "n": 2_000_000_000 } });
    let got = post(server.address, &bigs).await;
    assert_eq!(got.json()["errors"][0]["extensions"]["limit"], "limits.rows");
    let large = json!({ "query": format!("{{ boom }} #{}", "x".repeat(200_000)) });
    assert_eq!(
        post(server.address, &large).await.json()["errors"][0]["extensions"]["limit"],
        "limits.body_bytes"
    );
    for (limit, count) in [("value_depth", 1.0), ("rows", 1.0), ("body_bytes", 1.0), ("depth", 0.0)] {
        let series = format!("fraiseql_limits_passed_total{{limit=\"limits.{limit}\",outcome=\"refused\"}}");
        assert_eq!(sample(&server, &series).await, count, "{limit}");
    }
    assert_eq!(sample(&server, "fraiseql_pool_open").await, 1.0, "only the probe and the request that ran");
}

#[tokio::test]
async fn where_limits_warn_requests_run_and_each_text_is_told_once() {
    let limits = Limits { aliases: 1, rows: 2, mode: LimitMode::Warn, ..Limits::default() };
    let server = start_with(&database().await.url(), |options| options.limits = limits).await;
    let document = "query Some($n: Int) { a: authors(limit: $n) { b: id } }";
    for limit in [3, 3, 2] {
        let request = json!({ "query": document, "operationName": "Some", "variables": { "n": limit } });
        let got = post(server.address, &request).await;
        assert!(got.json().get("errors").is_none(), "{}", got.text());
    }
    let told = server.events.with("LimitPassed");
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("limits.rows") && told[0].contains("\"Some\""), "{told:?}");
    assert!(told[1].contains("limits.aliases"), "{told:?}");
    let warned =
        |limit: &str| format!("fraiseql_limits_passed_total{{limit=\"limits.{limit}\",outcome=\"warned\"}}");
    assert_eq!(sample(&server, &warned("aliases")).await, 3.0);
    assert_eq!(sample(&server, &warned("rows")).await, 2.0);
    let got = post(server.address, &json!({ "query": document, "variables": { "n": 21 } })).await;
    assert_eq!(
        got.json()["errors"][0]["extensions"]["limit"],
        "limits.rows",
        "ten times the limit is too much"
    );
}
