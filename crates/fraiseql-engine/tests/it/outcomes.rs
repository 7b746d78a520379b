//! Unions that mutations return: typed errors for users, and the convention of FraiseQL 2.

use serde_json::Value;

use crate::world::World;

const TABLES: &str = r#"
CREATE TYPE plan AS ENUM ('free', 'paid');
CREATE TABLE account (pk int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id uuid NOT NULL UNIQUE, email text UNIQUE NOT NULL, plan plan DEFAULT 'free');
CREATE TABLE visit (id int PRIMARY KEY, account_id uuid NOT NULL REFERENCES account (id), at timestamptz);
CREATE INDEX ON visit (account_id);
CREATE VIEW v_account AS SELECT id, email, plan FROM account;

CREATE TYPE register_result AS (__typename text, account_id uuid, message text, plan plan, amount numeric, tries bigint, tags text[], until timestamptz);
CREATE FUNCTION register(email text, plan plan DEFAULT 'free') RETURNS register_result LANGUAGE plpgsql AS $$
DECLARE r register_result; BEGIN
  IF email = '' THEN RETURN NULL; END IF;
  IF email = '?' THEN r.__typename := 'Nonsense'; RETURN r; END IF;
  IF EXISTS (SELECT FROM account a WHERE a.email = register.email) THEN
    r := ('email_taken', NULL, 'taken: ' || email, 'paid', 1.50, 9007199254740993, ARRAY['a', NULL, 'b"'], '2026-01-02 03:04:05+00');
    RETURN r;
  END IF;
  r.__typename := 'RegisterSuccess';
  INSERT INTO account (id, email, plan) VALUES (md5(register.email)::uuid, register.email, register.plan) RETURNING id INTO r.account_id;
  INSERT INTO visit SELECT coalesce(max(id), 0) + 1, r.account_id, '2026-01-01' FROM visit;
  RETURN r;
END $$;

CREATE FUNCTION rename(email text, new text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE hit account; BEGIN
  UPDATE account a SET email = new WHERE a.email = rename.email RETURNING * INTO hit;
  IF NOT FOUND THEN RETURN jsonb_build_object('__typename', 'NotFound', 'message', 'nobody is ' || email, 'tries', 3, 'since', '2026-01-01', 'more', '{"deep": [1]}'::jsonb, 'seen', '["x", null]'::jsonb); END IF;
  RETURN jsonb_build_object('__typename', 'Renamed', 'account', to_jsonb(hit));
END $$;

CREATE TYPE error_class AS ENUM ('not_found', 'conflict', 'validation');
CREATE TYPE mutation_response AS (succeeded boolean, state_changed boolean, error_class error_class, status_detail text, http_status smallint,
  message text, entity_id uuid, entity_type text, entity jsonb, updated_fields text[], cascade jsonb, error_detail jsonb, metadata jsonb);
CREATE FUNCTION fn_update_account(email text, plan plan) RETURNS mutation_response LANGUAGE plpgsql AS $$
DECLARE r mutation_response; hit account; BEGIN
  IF email = 'late@x' THEN
    r := (false, false, 'conflict', 'too_late', 409, 'too late', NULL, NULL, NULL, NULL, NULL, '{"closed_at": "2026-01-01T00:00:00Z", "plan": "paid"}', NULL);
    RETURN r;
  END IF;
  UPDATE account a SET plan = fn_update_account.plan WHERE a.email = fn_update_account.email RETURNING * INTO hit;
  IF NOT FOUND THEN
    r := (false, false, 'not_found', 'account_missing', 404, 'no account', NULL, NULL, NULL, NULL, NULL, '{"email": "x"}', NULL);
    RETURN r;
  END IF;
  r := (true, true, NULL, NULL, 200, 'done', hit.id, 'Account', CASE WHEN hit.plan = 'free' THEN jsonb_build_object('id', hit.id) END, ARRAY['plan'], '{"n": 1}', NULL, '{"took": 12}');
  RETURN r;
END $$;
"#;

const SCHEMA: &str = r#"
type Query { accounts: [Account!]! }
type Mutation {
  register(email: String!, plan: Plan): RegisterResult @function(name: "register")
  registerSurely(email: String!): RegisterResult! @function(name: "register")
  rename(email: String!, new: String!): RenameResult @function(name: "rename")
  updateAccount(email: String!, plan: Plan!): UpdateAccountResult! @function(name: "fn_update_account")
}
"How it went."
union RegisterResult = RegisterSuccess | EmailTaken
type RegisterSuccess { account: Account! @column(name: "account_id") }
"Somebody has it already."
type EmailTaken { message: String! plan: Plan amount: Decimal tries: BigInt tags: [String] until: DateTime }
union RenameResult = Renamed | NotFound
type Renamed { account: Account }
type NotFound { message: String! tries: Int since: Date more: JSON seen: [String] never: Boolean }
union UpdateAccountResult = UpdateAccountSuccess | TooLate | UpdateAccountError
type UpdateAccountSuccess { message: String! account: Account! updatedFields: [String] cascade: JSON took: Int }
type TooLate { message: String! closedAt: DateTime plan: Plan }
type UpdateAccountError { message: String! code: String status: String httpStatus: Int detail: JSON }
enum Plan { free paid }
type Account @relation(name: "v_account", key: ["id"]) { id: UUID email: String plan: Plan
  visits: [Visit!]! @reference(columns: ["id"], target: ["account_id"]) }
type Visit @relation(name: "visit") { id: Int! at: DateTime }
"#;

async fn world() -> World {
    World::made(TABLES, |_| SCHEMA.to_owned()).await
}

async fn check(w: &World, text: &str, expected: &str) {
    let found = w.run(text, "{}").await.unwrap_or_else(|error| panic!("{text}: {error}"));
    let expected: Value = serde_json::from_str(expected).expect("JSON");
    assert_eq!(found, expected, "{text}");
}

const REGISTER: &str = r#"
  __typename
  ... on RegisterSuccess { account { ...A } }
  ... on RegisterResult { ... on EmailTaken { message plan amount tries tags until } }
"#;

#[tokio::test]
async fn a_composite_with_a_tag_becomes_its_member() {
    let w = world().await;
    let register = |email: &str| {
        format!(
            r#"mutation{{register(email:"{email}",plan:paid){{{REGISTER}}}}} fragment A on Account{{email plan visits{{id at}} __typename}}"#
        )
    };
    check(
        &w,
        &register("a@x"),
        r#"{"register":{"__typename":"RegisterSuccess","account":{"email":"a@x","plan":"paid","visits":[{"id":1,"at":"2026-01-01T00:00:00+00:00"}],"__typename":"Account"}}}"#,
    )
    .await;
    check(
        &w,
        &register("a@x"),
        r#"{"register":{"__typename":"EmailTaken","message":"taken: a@x","plan":"paid","amount":"1.50","tries":"9007199254740993","tags":["a",null,"b\""],"until":"2026-01-02T03:04:05+00:00"}}"#,
    )
    .await;
    check(&w, &register(""), r#"{"register":null}"#).await;
    check(&w, r#"mutation{register(email:"b@x"){...on EmailTaken{message}}}"#, r#"{"register":{}}"#).await;
    assert_eq!(w.scalar("select count(*)::text from account").await, "2");
    let error = w.run(&register("?"), "{}").await.unwrap_err();
    assert!(error.contains("fraiseql.null:RegisterResult.__typename"), "{error}");
    let sure = format!(r#"mutation{{registerSurely(email:""){{{REGISTER}}}}} fragment A on Account{{id}}"#);
    let error = w.run(&sure, "{}").await.unwrap_err();
    assert!(error.contains("fraiseql.null:Mutation.registerSurely"), "{error}");
}

#[tokio::test]
async fn json_with_a_typename_becomes_its_member() {
    let w = world().await;
    w.execute("insert into account (id, email) values ('00000000-0000-0000-0000-000000000001', 'a@x')").await;
    let rename = r#"mutation{rename(email:"a@x",new:"b@x"){...on Renamed{account{id email} t:__typename} ...on NotFound{message tries since more seen never}}}"#;
    check(
        &w,
        rename,
        r#"{"rename":{"account":{"id":"00000000-0000-0000-0000-000000000001","email":"b@x"},"t":"Renamed"}}"#,
    )
    .await;
    check(
        &w,
        rename,
        r#"{"rename":{"message":"nobody is a@x","tries":3,"since":"2026-01-01","more":{"deep":[1]},"seen":["x",null],"never":null}}"#,
    )
    .await;
}

#[tokio::test]
async fn the_record_of_fraiseql_2_becomes_success_or_error() {
    let w = world().await;
    w.execute("insert into account (id, email) values ('00000000-0000-0000-0000-000000000001', 'a@x')").await;
    let update = |email: &str, plan: &str| {
        format!(
            r#"mutation{{updateAccount(email:"{email}",plan:{plan}){{__typename
              ...on UpdateAccountSuccess{{message account{{id plan visits{{id}}}} updatedFields cascade took}}
              ...on TooLate{{message closedAt plan}}
              ...on UpdateAccountError{{message code status httpStatus detail}}}}}}"#
        )
    };
    // The entity as JSON, and by its id alone.
    for plan in ["free", "paid"] {
        let expected = format!(
            r#"{{"updateAccount":{{"__typename":"UpdateAccountSuccess","message":"done","account":{{"id":"00000000-0000-0000-0000-000000000001","plan":"{plan}","visits":[]}},"updatedFields":["plan"],"cascade":{{"n":1}},"took":12}}}}"#
        );
        check(&w, &update("a@x", plan), &expected).await;
    }
    check(
        &w,
        &update("nobody", "free"),
        r#"{"updateAccount":{"__typename":"UpdateAccountError","message":"no account","code":"not_found","status":"account_missing","httpStatus":404,"detail":{"email":"x"}}}"#,
    )
    .await;
    check(
        &w,
        &update("late@x", "free"),
        r#"{"updateAccount":{"__typename":"TooLate","message":"too late","closedAt":"2026-01-01T00:00:00+00:00","plan":"paid"}}"#,
    )
    .await;
}

#[tokio::test]
async fn introspection_knows_the_union() {
    let w = world().await;
    check(
        &w,
        r#"{__type(name:"RegisterResult"){kind description possibleTypes{name description}}}"#,
        r#"{"__type":{"kind":"UNION","description":"How it went.","possibleTypes":[{"name":"RegisterSuccess","description":null},{"name":"EmailTaken","description":"Somebody has it already."}]}}"#,
    )
    .await;
}
