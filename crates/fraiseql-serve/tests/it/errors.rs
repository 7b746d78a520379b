//! Errors of the database: partial data, paths, codes, ids in the log, and nothing that leaks.

use serde_json::{Value, json};

use crate::client::{ask, query};
use crate::fixture::{database, start, start_with};

#[tokio::test]
async fn one_field_fails_and_the_others_have_data() {
    let server = start(&database().await).await;
    let got = query(
        server.address,
        "{ __typename\n a: author(id: 1) { id }\n broken\n raised: boom\n list: authors(limit: 1, orderBy: [{id: ASC}]) { id } }",
    )
    .await;
    assert_eq!(got.status, 200);
    let answer = got.json();
    assert_eq!(
        answer["data"],
        json!({ "__typename": "Query", "a": { "id": 1 }, "broken": null, "raised": null, "list": [{ "id": 1 }] })
    );
    let errors = answer["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 2);
    assert_eq!(errors[0]["path"], json!(["broken"]));
    assert_eq!(errors[0]["locations"], json!([{ "line": 3, "column": 2 }]));
    assert_eq!(errors[0]["extensions"]["code"], "INTERNAL_SERVER_ERROR");
    assert_eq!(errors[1]["path"], json!(["raised"]));
    assert_eq!(errors[1]["message"], "out of stock");
    assert_eq!(errors[1]["extensions"]["code"], "RAISED");
    assert_eq!(server.pool.status().open, 1, "the session was given back in order");
    assert_eq!(query(server.address, "{ author(id: 1) { id } }").await.json()["data"]["author"]["id"], 1);
}

#[tokio::test]
async fn internal_text_goes_to_the_log_under_the_id() {
    let server = start(&database().await).await;
    let got = ask(
        server.address,
        "POST",
        "/graphql",
        &[("Content-Type", "application/json"), ("X-Request-Id", "req-7")],
        r#"{"query":"{ broken }"}"#,
    )
    .await;
    let error = &got.json()["errors"][0];
    assert_eq!(error["message"], "the request failed inside the server");
    assert_eq!(error["extensions"]["logId"], "req-7-1");
    assert!(!got.text().contains("division"), "{}", got.text());
    let logged = server.events.with("req-7-1");
    assert!(logged[0].contains("division by zero") && logged[0].contains("22012"), "{logged:?}");
}

#[tokio::test]
async fn development_tells_more_but_no_statement() {
    let server = start_with(&database().await.url(), |options| options.detailed_errors = true).await;
    let got = query(server.address, "{ broken }").await;
    let message = got.json()["errors"][0]["message"].as_str().unwrap().to_owned();
    assert!(message.ends_with("division by zero (SQLSTATE 22012)"), "{message}");
    assert!(!got.text().contains("SELECT"), "{}", got.text());
}

#[tokio::test]
async fn bad_values_are_the_clients_fault() {
    let server = start(&database().await).await;
    for document in [
        r#"{ parsed(value: "x") }"#,
        r#"{ authors(where: { name: { regex: "(" } }) { id } }"#,
        "{ authors(limit: -1) { id } }",
    ] {
        let got = query(server.address, document).await;
        assert_eq!(got.code(), "BAD_USER_INPUT", "{document}");
        assert!(!got.text().contains("invalid"), "{}", got.text());
    }
}

#[tokio::test]
async fn a_null_that_must_not_be_makes_its_parent_null() {
    let server = start(&database().await).await;
    let answer = query(server.address, "{ one: author(id: 2) { id email } two: author(id: 1) { email } }")
        .await
        .json();
    assert_eq!(answer["data"], json!({ "one": null, "two": { "email": "ada@example.org" } }));
    assert_eq!(answer["errors"][0]["path"], json!(["one", "email"]));
    assert_eq!(answer["errors"][0]["extensions"]["code"], "NULL_IN_NON_NULL_FIELD");
    assert_eq!(answer["errors"][0]["message"], "Author.email is declared non-null and was null");

    let answer = query(server.address, "{ authors(orderBy: [{id: ASC}]) { id email } }").await.json();
    assert_eq!(answer["data"], Value::Null, "the list must not be null, nor hold null");
    assert_eq!(answer["errors"][0]["path"], json!(["authors", 1, "email"]));
    let answer = query(server.address, "{ must author(id: 1) { id } }").await.json();
    assert_eq!(answer["data"], Value::Null);
}

#[tokio::test]
async fn fields_of_a_mutation_run_in_order_and_go_on_after_a_failure() {
    let database = database().await;
    let server = start(&database).await;
    let got = query(
        server.address,
        "mutation { __typename a: writeNote(id: 1, seconds: 0) b: writeNote(id: 1, seconds: 0)\n \
         breakNote(id: 2) d: writeNote(id: 3, seconds: 0) }",
    )
    .await;
    let answer = got.json();
    assert_eq!(
        answer["data"],
        json!({ "__typename": "Mutation", "a": 1, "b": null, "breakNote": null, "d": 3 })
    );
    let errors = answer["errors"].as_array().unwrap();
    assert_eq!(errors[0]["path"], json!(["b"]));
    assert_eq!(errors[0]["extensions"]["code"], "UNIQUE_VIOLATION");
    assert_eq!(errors[0]["extensions"]["constraint"], "note_pkey");
    assert_eq!(errors[1]["path"], json!(["breakNote"]));
    assert_eq!(errors[1]["locations"], json!([{ "line": 2, "column": 2 }]));
    let rows = database.client().await.query("SELECT id FROM note ORDER BY id", &[]).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.get(0)).collect::<Vec<i32>>(), [1, 3], "what failed left nothing");
}

#[tokio::test]
async fn a_mutation_reads_what_it_wrote_and_names_its_constraints() {
    let server = start(&database().await).await;
    let insert = |object: &str| format!("mutation {{ insertAuthor(object: {object}) {{ id name }} }}");
    let got = query(server.address, &insert(r#"{ id: 7, name: "é", email: "e" }"#)).await;
    assert_eq!(got.text(), r#"{"data":{"insertAuthor":{"id":7,"name":"é"}}}"#);
    let got = query(server.address, &insert(r#"{ id: 8, score: -1, email: "f" }"#)).await;
    assert_eq!(got.code(), "CHECK_VIOLATION");
    assert_eq!(got.json()["errors"][0]["extensions"]["constraint"], "score_is_positive");
    let got = query(server.address, &insert(r#"{ id: 9, email: "ada@example.org" }"#)).await;
    assert_eq!(got.code(), "UNIQUE_VIOLATION");
    assert!(!got.text().contains("ada@"), "the detail holds values: {}", got.text());
    let got = query(server.address, "mutation { mustBreak(id: 1) }").await;
    assert_eq!(got.json()["data"], Value::Null);
}

#[tokio::test]
async fn a_role_that_may_not_write_is_told_so() {
    let database = database().await;
    let role = format!("reader_{}", database.name());
    database.execute(&format!("CREATE ROLE {role} LOGIN; GRANT SELECT ON author TO {role}")).await;
    let server = start_with(&database.url_as(&role), |_| ()).await;
    let got = query(server.address, "mutation { insertAuthor(object: { id: 7 }) { id } }").await;
    assert_eq!(got.code(), "PERMISSION_DENIED");
    assert!(!got.text().contains("author\\\""), "{}", got.text());
    database
        .execute(&format!(
            "ALTER ROLE {role} SET default_transaction_read_only = on; GRANT INSERT ON author TO {role}"
        ))
        .await;
    let server = start_with(&database.url_as(&role), |_| ()).await;
    let got = query(server.address, "mutation { insertAuthor(object: { id: 7 }) { id } }").await;
    assert_eq!(got.code(), "READ_ONLY");
}
