//! The import of authoring files of FraiseQL 2: text in, SDL and a report out.

use fraiseql_compile::{ImportError, import};

const SHOP: &str = r#"{
  "version": "2.0.0",
  "types": [
    { "name": "User", "sql_source": "v_user", "jsonb_column": "data", "description": "A person.",
      "fields": [
        { "name": "id", "type": "ID", "nullable": false },
        { "name": "first_name", "type": "String", "nullable": true },
        { "name": "email", "type": "String", "nullable": false, "requires_scope": "read:email" },
        { "name": "address", "type": "Address", "nullable": true },
        { "name": "posts", "type": "[Post!]", "nullable": false },
        { "name": "HTML_bio", "type": "String", "nullable": true, "deprecated": { "reason": "see \"bio\"" } }
      ] },
    { "name": "Post", "sql_source": "blog.tv_post", "jsonb_column": null,
      "fields": [{ "name": "title", "type": "String", "nullable": false }] },
    { "name": "Address", "fields": [{ "name": "city", "type": "String!" }] }
  ],
  "enums": [{ "name": "Role", "values": [{ "name": "ADMIN" }, { "name": "USER", "description": "All others." }] }],
  "input_types": [{ "name": "NewUser", "fields": [{ "name": "role", "type": "Role", "nullable": false, "default": "USER" }] }],
  "interfaces": [{ "name": "Node", "fields": [{ "name": "id", "type": "ID", "nullable": false }] }],
  "unions": [{ "name": "Found", "member_types": ["User", "Post"] }],
  "queries": [
    { "name": "users", "return_type": "User", "returns_list": true, "nullable": false, "sql_source": "v_user",
      "arguments": [{ "name": "role", "type": "Role", "nullable": true }],
      "auto_params": { "where": true, "order_by": true, "limit": true, "offset": true },
      "inject_params": { "tenant_id": "jwt:tenant_id" }, "cache_ttl_seconds": 60 },
    { "name": "user", "return_type": "User", "returns_list": false, "nullable": true, "sql_source": "v_user",
      "arguments": [{ "name": "id", "type": "ID", "nullable": false }] },
    { "name": "search_users", "return_type": "User", "returns_list": true, "sql_source": "fn_search_users",
      "arguments": [{ "name": "search_term", "type": "String", "nullable": true, "default": "a" }] }
  ],
  "mutations": [
    { "name": "create_user", "return_type": "User", "sql_source": "fn_create_user", "operation": "CREATE",
      "arguments": [{ "name": "first_name", "type": "String", "nullable": false }], "invalidates_views": ["v_user"] }
  ],
  "subscriptions": [{ "name": "user_created", "return_type": "User" }],
  "security": { "roles": ["admin"] },
  "novelty": true
}"#;

#[test]
fn an_authoring_file_becomes_sdl() {
    let imported = import(SHOP).unwrap();
    insta::assert_snapshot!(imported.schema, @"");
    assert_eq!(imported.schemas, ["blog", "public"]);
}

#[test]
fn what_has_no_equal_is_told() {
    let notes: Vec<String> =
        import(SHOP).unwrap().notes.into_iter().map(|note| format!("{}: {}", note.what, note.why)).collect();
    insta::assert_snapshot!(notes.join("\n"), @"");
}

#[test]
fn what_is_no_authoring_file_is_refused() {
    assert!(matches!(import("{"), Err(ImportError::NoJson(_))));
    assert!(matches!(import("[]"), Err(ImportError::NoObject)));
    assert!(matches!(import("{}"), Err(ImportError::Version { .. })));
    assert!(matches!(import(r#"{"version": "1.0.0"}"#), Err(ImportError::Version { .. })));
    let named = r#"{"version": "2.0.0", "types": [{"name": "A } type B", "fields": []}]}"#;
    assert!(matches!(import(named), Err(ImportError::Name { .. })));
}
