//! GraphiQL: there when it is on, whole, and closed to the rest of the web.

use crate::client::get;
use crate::fixture::{database, start_with};

#[tokio::test]
async fn the_page_and_its_files_are_served_from_the_binary() {
    let server = start_with(&database().await.url(), |options| options.graphiql = true).await;
    let page = get(server.address, "/").await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
    let html = page.text();
    let files: Vec<&str> = html.split('"').filter(|part| part.starts_with("graphiql/")).collect();
    assert_eq!(files.len(), 6);
    for file in files {
        let got = get(server.address, &format!("/{file}")).await;
        assert_eq!(got.status, 200, "{file}");
        assert_eq!(got.header("cache-control"), Some("public, max-age=31536000, immutable"));
        assert_eq!(
            got.header("content-encoding") == Some("gzip"),
            got.body.starts_with(&[0x1f, 0x8b]),
            "{file}"
        );
        assert_eq!(got.header("x-content-type-options"), Some("nosniff"));
    }
    assert_eq!(get(server.address, "/graphiql/start.js").await.status, 404);
}
