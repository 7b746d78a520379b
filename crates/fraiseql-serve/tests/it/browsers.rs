//! What pages of other sites can do through a browser: nothing, unless their origin is allowed.

use fraiseql_serve::{Origins, RequestPolicy};
use fraiseql_testkit::Database;
use serde_json::json;

use crate::client::{Got, ask, get};
use crate::fixture::{Running, database, start_with};

const SHOP: (&str, &str) = ("Origin", "https://shop.example");
const EVIL: (&str, &str) = ("Origin", "https://evil.example");
const CROSS: (&str, &str) = ("Sec-Fetch-Site", "cross-site");
const JSON: (&str, &str) = ("Content-Type", "application/json");
const WRITE: &str = "mutation { writeNote(id: 1, seconds: 0) }";

async fn start_for(database: &Database, origins: &[&str]) -> Running {
    let origins: Vec<String> = origins.iter().map(|origin| (*origin).to_owned()).collect();
    let origins = Origins::parse(&origins).unwrap();
    start_with(&database.url(), |options| options.policy = RequestPolicy { origins, ..Default::default() })
        .await
}

async fn notes(database: &Database) -> i64 {
    database.client().await.query_one("SELECT count(*) FROM note", &[]).await.unwrap().get(0)
}

async fn post_from(server: &Running, headers: &[(&str, &str)]) -> Got {
    ask(server.address, "POST", "/graphql", headers, &json!({ "query": WRITE }).to_string()).await
}

#[tokio::test]
async fn nothing_that_a_browser_sends_unasked_writes() {
    let database = database().await;
    let server = start_for(&database, &["https://shop.example"]).await;
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
    {
        for origin in [SHOP, EVIL] {
            let got = post_from(&server, &[("Content-Type", content_type), origin]).await;
            assert_eq!(got.status, 415, "{content_type} {origin:?}");
        }
    }
    let path = "/graphql?query=mutation%7BwriteNote(id:1,seconds:0)%7D";
    for headers in [&[][..], &[EVIL], &[EVIL, CROSS], &[SHOP, CROSS], &[CROSS]] {
        let got = ask(server.address, "GET", path, headers, "").await;
        assert!(matches!(got.status, 403 | 405), "{}", got.status);
    }
    assert_eq!(post_from(&server, &[JSON, EVIL, CROSS]).await.status, 403);
    assert_eq!(post_from(&server, &[JSON, CROSS]).await.status, 403);
    assert_eq!(notes(&database).await, 0);
    assert_eq!(post_from(&server, &[JSON, SHOP, CROSS]).await.status, 200, "an allowed page may");
    assert_eq!(notes(&database).await, 1);
}

#[tokio::test]
async fn a_page_of_another_site_does_not_even_read() {
    let server = start_for(&database().await, &[]).await;
    let path = "/graphql?query=%7B__typename%7D";
    let got = ask(server.address, "GET", path, &[CROSS], "").await;
    assert_eq!(got.status, 403);
    assert!(got.text().contains("cors.origins"), "{}", got.text());
    for site in ["same-origin", "same-site", "none"] {
        assert_eq!(
            ask(server.address, "GET", path, &[("Sec-Fetch-Site", site)], "").await.status,
            200,
            "{site}"
        );
    }
    let got = get(server.address, path).await;
    assert_eq!((got.status, got.header("access-control-allow-origin")), (200, None));
    assert_eq!(ask(server.address, "GET", "/health", &[CROSS], "").await.status, 200);
}

#[tokio::test]
async fn an_allowed_origin_is_answered_by_name() {
    let server = start_for(&database().await, &["https://shop.example", "http://localhost:3000"]).await;
    let wanted = [
        SHOP,
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "content-type,authorization"),
    ];
    let got = ask(server.address, "OPTIONS", "/graphql", &wanted, "").await;
    assert_eq!(got.status, 204);
    for (name, value) in [
        ("access-control-allow-origin", "https://shop.example"),
        ("access-control-allow-methods", "GET, POST"),
        ("access-control-allow-headers", "content-type,authorization"),
        ("access-control-max-age", "7200"),
    ] {
        assert_eq!(got.header(name), Some(value), "{name}");
    }
    let refused = [EVIL, ("Access-Control-Request-Method", "POST")];
    let got = ask(server.address, "OPTIONS", "/graphql", &refused, "").await;
    assert_eq!((got.status, got.header("access-control-allow-origin")), (204, None));
    assert_eq!(got.header("access-control-allow-methods"), None);

    let got = post_from(&server, &[JSON, SHOP]).await;
    assert_eq!(got.header("access-control-allow-origin"), Some("https://shop.example"));
    assert_eq!(got.header("access-control-expose-headers"), Some("x-request-id"));
    assert_eq!(got.header("access-control-allow-credentials"), None);
    let refused = ask(server.address, "POST", "/graphql", &[SHOP], "").await;
    assert_eq!(
        (refused.status, refused.header("access-control-allow-origin")),
        (415, Some("https://shop.example"))
    );
    assert_eq!(post_from(&server, &[JSON, EVIL]).await.header("access-control-allow-origin"), None);
    let got = get(server.address, "/graphql?query=%7B__typename%7D").await;
    assert_eq!(got.header("vary"), Some("accept-encoding"));
    assert!(got.all("vary").contains(&"origin"), "caches must tell origins apart");
}

#[tokio::test]
async fn a_star_allows_every_origin() {
    let server = start_for(&database().await, &["*"]).await;
    let got = post_from(&server, &[JSON, EVIL, CROSS]).await;
    assert_eq!((got.status, got.header("access-control-allow-origin")), (200, Some("*")));
}
