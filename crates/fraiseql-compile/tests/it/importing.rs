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
    insta::assert_snapshot!(imported.schema, @r##"
    # Imported from an authoring file of FraiseQL 2. Fields under @json are read from the JSONB column under their
    # name in snake case, unless the relation has a column of that name; import-report.md says what has no equal.

    type Query {
      users: [User!]!
      user(id: ID!): User
      searchUsers(searchTerm: String = "a"): [User!]! @function(name: "fn_search_users")
    }

    type Mutation {
      createUser(firstName: String!): CreateUserResult @function(name: "fn_create_user")
    }

    union CreateUserResult = CreateUserSuccess | MutationFailure

    type CreateUserSuccess {
      user: User
    }

    type MutationFailure {
      message: String
      code: String
      status: String
    }

    "A person."
    type User @relation(name: "v_user", key: ["id"]) @json(column: "data") {
      id: ID! @neverNull
      firstName: String
      email: String!
      address: Address
      posts: [Post!]!
      HTMLBio: String @json(column: "data", key: "HTML_bio") @deprecated(reason: "see \"bio\"")
    }

    type Post @relation(name: "tv_post", schema: "blog") {
      title: String!
    }

    type Address {
      city: String!
    }

    enum Role {
      ADMIN
      "All others."
      USER
    }

    interface Node {
      id: ID!
    }

    union Found = User | Post

    input NewUser {
      role: Role! = USER
    }
    "##);
    assert_eq!(imported.schemas, ["blog", "public"]);
}

#[test]
fn what_has_no_equal_is_told() {
    let notes: Vec<String> =
        import(SHOP).unwrap().notes.into_iter().map(|note| format!("{}: {}", note.what, note.why)).collect();
    insta::assert_snapshot!(notes.join("\n"), @r##"
    query users inject_params: values from a token are not injected: use row level security on the tables below the view, or a function that reads the setting
    query users cache_ttl_seconds: answers are not cached: each is read from the database
    query users, argument role: lists take where, orderBy, limit and offset, which a client uses instead: where: {field: {eq: value}}
    mutation create_user invalidates_views: answers are not cached: each is read from the database
    mutation create_user: its type was User and is the union CreateUserResult, by the function's row: clients select { ... on CreateUserSuccess { user { ... } } ... on MutationFailure { message } }; User is found by its key in `entity`
    subscription user_created: events of a topic are not sent: a subscription here is a query that is answered again when its data changes
    type User: `key: ["id"]` needs a column `id` of v_user beside the JSONB column; take the key away where there is none, and with it the lookups by id
    type User, field email requires_scope: who may see a field is not said in schema.graphql: leave the column out of the view, or use column privileges
    interface Node: it is written as it was: the rows of each of its types need a relation of their own, or one that they share
    union Found: it is written as it was: the rows of each of its types need a relation of their own, or one that they share
    security: who may do what is not in schema.graphql: grants.sql of `fraiseql init` gives the least rights; rules for rows are PostgreSQL's row level security
    novelty: this import does not know the key
    "##);
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
