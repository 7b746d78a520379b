//! Who asks: a real OpenID provider, tokens that must be refused, and the provider gone, hung, slow and back.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fraiseql_serve::{
    Denial, IdentityOptions, IntrospectionOptions, TokenAlgorithms, api_key_ddl, new_api_key,
};
use fraiseql_testkit::{Database, Fault, FaultProxy, OidcProvider, Signer, wait_until};
use serde_json::{Value, json};

use crate::client::{self, Got};
use crate::fixture::{Running, SOON, database, start_unready, start_with};
use crate::socket::{Heard, Socket};

const QUERY: &str = "{ authors(limit: 1) { id } }";

/// A provider behind a proxy, and a server that takes its tokens.
struct World {
    provider: OidcProvider,
    proxy: FaultProxy,
    issuer: String,
    server: Running,
    _database: Database,
}

impl World {
    async fn new(change: impl FnOnce(&mut IdentityOptions)) -> Option<Self> {
        let mut provider = OidcProvider::start().await?;
        let proxy = FaultProxy::before_tcp(provider.address()).await;
        let issuer = provider.named(proxy.address()).await;
        let (database, mut identity) = (database().await, options(&issuer));
        change(&mut identity);
        let server = start_with(&database.url(), |options| options.identity = identity).await;
        Some(Self { provider, proxy, issuer, server, _database: database })
    }

    async fn token(&mut self) -> String {
        self.provider.grant("urn:shop").await
    }

    /// Claims that are accepted, with some others in their place.
    async fn signed(&mut self, by: Signer, header: Value, others: Value) -> String {
        let mut claims = json!({ "iss": self.issuer, "aud": "urn:shop", "sub": "ada", "exp": now() + 600 });
        for (name, value) in others.as_object().unwrap() {
            claims[name] = value.clone();
        }
        self.provider.sign(by, header, claims).await
    }
}

fn options(issuer: &str) -> IdentityOptions {
    IdentityOptions {
        issuers: vec![issuer.to_owned()],
        audiences: vec!["urn:shop".to_owned()],
        algorithms: TokenAlgorithms::parse(&["RS256".to_owned()]).unwrap(),
        clock_skew: Duration::from_secs(30),
        required: true,
        keys_refresh: Duration::from_millis(200),
        unknown_key_interval: Duration::from_millis(50),
        provider_timeout: Duration::from_secs(2),
        ..IdentityOptions::default()
    }
}

fn now() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "tokens of tests are made for the time of day")]
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

async fn ask(address: SocketAddr, token: &str) -> Got {
    ask_with(address, &[("Authorization", &format!("Bearer {token}"))]).await
}

async fn ask_with(address: SocketAddr, headers: &[(&str, &str)]) -> Got {
    let headers = [&[("Content-Type", "application/json")], headers].concat();
    client::ask(address, "POST", "/graphql", &headers, &json!({ "query": QUERY }).to_string()).await
}

#[track_caller]
fn accepted(got: &Got) {
    assert_eq!((got.status, got.json()["errors"].clone()), (200, Value::Null), "{got:?}");
}

#[track_caller]
fn refused(got: &Got, denial: Denial) {
    let code = denial.code().code;
    let json = got.json();
    assert_eq!(json["errors"][0]["extensions"]["reason"], code, "{json}");
    if denial == Denial::Provider {
        assert_eq!((got.status, got.header("retry-after")), (503, Some("1")));
        return;
    }
    assert_eq!((got.status, got.code()), (401, "UNAUTHENTICATED".to_owned()));
    let challenge = got.header("www-authenticate").expect("RFC 6750 wants it");
    assert!(challenge.starts_with("Bearer "), "{challenge}");
    assert_eq!(challenge.contains(code), denial != Denial::Required, "{challenge}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_wrong_token_has_its_reason() {
    let Some(mut world) = World::new(|_| ()).await else { return };
    let address = world.server.address;
    let token = world.token().await;
    accepted(&ask(address, &token).await);
    let ours = world.signed(Signer::Provider, json!({}), json!({})).await;
    accepted(&ask(address, &ours).await);
    use Denial::{Algorithm, Audience, Claims, Early, Expired, Issuer, Key, Signature, Unsigned};
    use Signer::{Nobody, Provider, PublicKey, Stranger};
    let cases = [
        (Provider, json!({}), json!({ "exp": now() - 31 }), Expired),
        (Provider, json!({}), json!({ "nbf": now() + 60 }), Early),
        (Provider, json!({}), json!({ "aud": "urn:other" }), Audience),
        (Provider, json!({}), json!({ "aud": null }), Audience),
        (Provider, json!({}), json!({ "iss": "https://elsewhere.example" }), Issuer),
        (Provider, json!({}), json!({ "exp": "soon" }), Claims),
        (Provider, json!({ "kid": "unknown" }), json!({}), Key),
        (Provider, json!({ "alg": "PS256" }), json!({}), Algorithm),
        (Provider, json!({ "alg": "XX" }), json!({}), Algorithm),
        (Stranger, json!({}), json!({}), Signature),
        // The signature comes first: who cannot sign learns nothing of the claims.
        (Stranger, json!({}), json!({ "exp": 1, "aud": "urn:other" }), Signature),
        (PublicKey, json!({ "alg": "HS256" }), json!({}), Algorithm),
        (PublicKey, json!({ "alg": "RS256" }), json!({}), Signature),
        (Nobody, json!({ "alg": "none" }), json!({}), Unsigned),
        (Nobody, json!({ "alg": "RS256" }), json!({}), Signature),
    ];
    for (signer, header, claims, denial) in cases {
        let token = world.signed(signer, header.clone(), claims.clone()).await;
        let got = ask(address, &token).await;
        assert_eq!(got.status, 401, "{signer:?} {header} {claims} {denial:?}");
        refused(&got, denial);
    }
    let skewed = world.signed(Provider, json!({}), json!({ "exp": now() - 20, "nbf": now() + 20 })).await;
    accepted(&ask(address, &skewed).await);
    let (head, rest) = token.split_once('.').unwrap();
    let changed = format!("{head}.{}", rest.replacen('J', "K", 1));
    assert_eq!(ask(address, &changed).await.status, 401);
    refused(&ask(address, &"a".repeat(9_000)).await, Denial::Oversize);
    refused(&ask(address, "not-a-token").await, Denial::Malformed);
    refused(&ask(address, "a.b.c").await, Denial::Malformed);
    refused(&ask(address, "fq_0123_abc").await, Denial::ApiKey);
    refused(&ask_with(address, &[("Authorization", "Basic YTpi")]).await, Denial::Malformed);
    refused(&client::query(address, QUERY).await, Denial::Required);
    let metrics = client::get(address, "/metrics").await.text();
    assert!(metrics.contains("fraiseql_identity_denials_total{reason=\"FQ-AUTH-009\"} 1"), "{metrics}");
    assert!(metrics.contains(&format!("fraiseql_identity_issuer_up{{issuer=\"{}\"}} 1", world.issuer)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_is_found_and_tokens_of_the_old_one_end() {
    // Keys are not read by the clock here: the token that names an unknown one makes it happen.
    let Some(mut world) = World::new(|options| options.keys_refresh = SOON * 100).await else { return };
    let address = world.server.address;
    let old = world.token().await;
    accepted(&ask(address, &old).await);
    world.provider.rotate().await;
    accepted(&ask(address, &old).await);
    let new = world.token().await;
    wait_until(SOON, || async { ask(address, &new).await.status == 200 }).await;
    refused(&ask(address, &old).await, Denial::Key);
    let events = world.server.events.with("IssuerKeys");
    assert_eq!(events.len(), 2, "{events:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_keys_do_not_make_the_server_ask_again_and_again() {
    let change = |options: &mut IdentityOptions| {
        (options.keys_refresh, options.unknown_key_interval) = (SOON * 100, SOON * 100);
    };
    let Some(mut world) = World::new(change).await else { return };
    let address = world.server.address;
    let known = world.token().await;
    accepted(&ask(address, &known).await);
    // Whoever asks now would wait for the provider, were it asked.
    world.proxy.set(Fault::Hang);
    for kid in ["a", "b", "c"] {
        let token = world.signed(Signer::Provider, json!({ "kid": kid }), json!({})).await;
        refused(&ask(address, &token).await, Denial::Key);
    }
    let metrics = client::get(address, "/metrics").await.text();
    assert!(metrics.contains("fraiseql_identity_issuer_failures_total{issuer"), "{metrics}");
    assert!(world.server.events.with("IssuerLost").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_away_takes_nobody_away() {
    let Some(mut world) = World::new(|options| options.provider_timeout = Duration::from_millis(300)).await
    else {
        return;
    };
    let address = world.server.address;
    let token = world.token().await;
    accepted(&ask(address, &token).await);
    for fault in [Fault::Hang, Fault::Cut, Fault::Refuse] {
        world.proxy.set(fault);
        let down = || async {
            let metrics = client::get(address, "/metrics").await.text();
            metrics.contains(&format!("fraiseql_identity_issuer_up{{issuer=\"{}\"}} 0", world.issuer))
                && metrics
                    .contains(&format!("fraiseql_identity_issuer_keys{{issuer=\"{}\"}} 1", world.issuer))
        };
        wait_until(SOON, down).await;
        accepted(&ask(address, &token).await);
        // A token that was never seen is verified by the keys that were kept.
        let claims = json!({ "iss": world.issuer, "aud": "urn:shop", "exp": now() + 600, "jti": format!("{fault:?}") });
        let other = world.provider.sign(Signer::Provider, json!({}), claims).await;
        accepted(&ask(address, &other).await);
        world.proxy.set(Fault::Pass);
        let up = || async {
            let metrics = client::get(address, "/metrics").await.text();
            metrics.contains(&format!("fraiseql_identity_issuer_up{{issuer=\"{}\"}} 1", world.issuer))
        };
        wait_until(SOON, up).await;
    }
    assert!(!world.server.events.with("IssuerLost").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_keys_nobody_can_tell_until_the_provider_comes() {
    let Some(mut provider) = OidcProvider::start().await else { return };
    let proxy = FaultProxy::before_tcp(provider.address()).await;
    let issuer = provider.named(proxy.address()).await;
    proxy.set(Fault::Cut);
    let database = database().await;
    let server = start_with(&database.url(), |serve| serve.identity = options(&issuer)).await;
    let token = provider.grant("urn:shop").await;
    refused(&ask(server.address, &token).await, Denial::Provider);
    proxy.set(Fault::Slow);
    wait_until(SOON, || async { ask(server.address, &token).await.status == 200 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_describes_another_is_not_believed() {
    let Some(mut provider) = OidcProvider::start().await else { return };
    let true_name = provider.named("127.0.0.1:1".parse().unwrap()).await;
    let name = format!("http://{}", provider.address());
    let database = database().await;
    let server = start_with(&database.url(), |serve| serve.identity = options(&name)).await;
    let claims = json!({ "iss": name, "aud": "urn:shop", "exp": now() + 600 });
    let token = provider.sign(Signer::Provider, json!({}), claims).await;
    refused(&ask(server.address, &token).await, Denial::Provider);
    let lost = server.events.with("IssuerLost");
    assert!(lost[0].contains(&true_name), "{lost:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn opaque_tokens_are_asked_about_and_end_when_they_are_revoked() {
    let Some(mut provider) = OidcProvider::start().await else { return };
    let proxy = FaultProxy::before_tcp(provider.address()).await;
    let issuer = provider.named(proxy.address()).await;
    let database = database().await;
    let identity = IdentityOptions {
        introspection: Some(IntrospectionOptions {
            url: format!("{issuer}/token/introspection"),
            client_id: "app".to_owned(),
            secret: "app-secret".to_owned(),
            cache: Duration::from_millis(100),
        }),
        audiences: vec!["urn:opaque".to_owned()],
        ..options(&issuer)
    };
    let server = start_with(&database.url(), |options| options.identity = identity).await;
    let address = server.address;
    let token = provider.grant("urn:opaque").await;
    accepted(&ask(address, &token).await);
    refused(&ask(address, "unknown").await, Denial::Inactive);
    let other = provider.grant("urn:another-opaque").await;
    refused(&ask(address, &other).await, Denial::Audience);
    proxy.set(Fault::Cut);
    wait_until(SOON, || async { ask(address, &token).await.status == 503 }).await;
    refused(&ask(address, &token).await, Denial::Provider);
    assert_eq!(server.events.with("IdentityUnknown").len(), 1);
    proxy.set(Fault::Pass);
    wait_until(SOON, || async { ask(address, &token).await.status == 200 }).await;
    provider.revoke(&token).await;
    wait_until(SOON, || async { ask(address, &token).await.status == 401 }).await;
    refused(&ask(address, &token).await, Denial::Inactive);
}

#[tokio::test(flavor = "multi_thread")]
async fn api_keys_are_looked_up_and_revoked() {
    let database = database().await;
    let sql = database.client().await;
    sql.batch_execute(&api_key_ddl("postgres")).await.unwrap();
    let identity = IdentityOptions {
        required: true,
        api_keys: Some(Duration::from_millis(50)),
        ..IdentityOptions::default()
    };
    let server = start_with(&database.url(), |options| options.identity = identity).await;
    let address = server.address;
    let insert =
        "INSERT INTO fraiseql.api_key (id, name, hash, scopes, expires) VALUES ($1, 'ci', $2, '{read}', $3)";
    let (key, old) = (new_api_key().unwrap(), new_api_key().unwrap());
    sql.execute(insert, &[&key.id, &key.hash.as_slice(), &None::<SystemTime>]).await.unwrap();
    sql.execute(insert, &[&old.id, &old.hash.as_slice(), &Some(UNIX_EPOCH)]).await.unwrap();
    accepted(&ask(address, &key.text).await);
    accepted(&ask_with(address, &[("X-API-Key", &key.text)]).await);
    refused(&ask(address, &old.text).await, Denial::ApiKey);
    refused(&ask(address, &new_api_key().unwrap().text).await, Denial::ApiKey);
    // The id of one with the secret of another.
    let (_, secret) = old.text.rsplit_once('_').unwrap();
    refused(&ask(address, &format!("fq_{}_{secret}", key.id)).await, Denial::ApiKey);
    refused(&ask_with(address, &[("X-API-Key", "nothing")]).await, Denial::ApiKey);
    sql.execute("UPDATE fraiseql.api_key SET revoked = now() WHERE id = $1", &[&key.id]).await.unwrap();
    wait_until(SOON, || async { ask(address, &key.text).await.status == 401 }).await;
    refused(&ask(address, &key.text).await, Denial::ApiKey);
    let events = server.events.with(&key.text);
    assert!(events.is_empty(), "{events:?}");
}

fn development(required: bool) -> IdentityOptions {
    let development_secret = Some("0123456789abcdef0123456789abcdef".to_owned());
    IdentityOptions { required, development_secret, clock_skew: Duration::ZERO, ..IdentityOptions::default() }
}

/// A token of development that ends in so many milliseconds.
fn short(subject: &str, left_ms: u64) -> String {
    use base64::Engine;
    let part = |json: Value| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(json.to_string());
    #[expect(clippy::disallowed_methods, reason = "tokens of tests are made for the time of day")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    let exp = now + left_ms as f64 / 1_000.0;
    let message =
        format!("{}.{}", part(json!({ "alg": "HS256" })), part(json!({ "sub": subject, "exp": exp })));
    let key = jsonwebtoken::EncodingKey::from_secret(b"0123456789abcdef0123456789abcdef");
    let signature =
        jsonwebtoken::crypto::sign(message.as_bytes(), &key, jsonwebtoken::Algorithm::HS256).unwrap();
    format!("{message}.{signature}")
}

#[tokio::test(flavor = "multi_thread")]
async fn anonymous_callers_are_let_in_only_where_they_may() {
    let database = database().await;
    let open = start_with(&database.url(), |options| options.identity = development(false)).await;
    accepted(&client::query(open.address, QUERY).await);
    refused(&ask(open.address, "a.b.c").await, Denial::Malformed);
    accepted(&ask(open.address, &short("ada", 60_000)).await);
    refused(&ask(open.address, &short("ada", 0)).await, Denial::Expired);
    let off = start_with(&database.url(), |_| ()).await;
    // Nobody is known, so nothing is looked at: what a proxy adds does no harm.
    accepted(&ask_with(off.address, &[("Authorization", "Basic YTpi")]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verified_token_is_found_again() {
    let database = database().await;
    let server = start_with(&database.url(), |options| options.identity = development(true)).await;
    let token = short("ada", 60_000);
    for _ in 0..3 {
        accepted(&ask(server.address, &token).await);
    }
    let metrics = client::get(server.address, "/metrics").await.text();
    assert!(metrics.contains("fraiseql_identity_cache_hits_total 2\n"), "{metrics}");
    assert!(metrics.contains("fraiseql_identity_cache_misses_total 1\n"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_are_let_in_by_their_first_message_and_end_with_the_token() {
    let database = database().await;
    let server = start_with(&database.url(), |options| options.identity = development(true)).await;
    let init = async |payload: Value| {
        let mut socket = Socket::open(server.address).await;
        socket.say(json!({ "type": "connection_init", "payload": payload })).await;
        (socket.hear().await, socket)
    };
    assert_eq!(init(json!({})).await.0, Heard::Closed(4401));
    assert_eq!(init(json!({ "authorization": "Bearer a.b.c" })).await.0, Heard::Closed(4403));
    let bearer = format!("Bearer {}", short("ada", 2_000));
    let (heard, mut socket) = init(json!({ "headers": { "Authorization": bearer } })).await;
    assert_eq!(heard, Heard::Message(json!({ "type": "connection_ack" })));
    socket.subscribe("1", "subscription { authors(limit: 1) { id } }").await;
    assert_eq!(socket.next("1").await["errors"], Value::Null);
    assert_eq!(socket.hear().await, Heard::Closed(4403));
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_are_let_in_by_their_headers_too() {
    let database = database().await;
    let server = start_with(&database.url(), |options| options.identity = development(true)).await;
    let protocol = ("sec-websocket-protocol", "graphql-transport-ws");
    let bearer = format!("Bearer {}", short("ada", 60_000));
    let mut socket =
        Socket::open_with(server.address, &[protocol, ("authorization", &bearer)]).await.unwrap();
    socket.say(json!({ "type": "connection_init" })).await;
    assert_eq!(socket.hear().await, Heard::Message(json!({ "type": "connection_ack" })));
    let wrong = Socket::open_with(server.address, &[protocol, ("authorization", "Bearer a.b.c")]).await;
    let Err(tokio_tungstenite::tungstenite::Error::Http(response)) = wrong else { panic!("it was let in") };
    assert_eq!(response.status(), 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_end_with_the_token() {
    let database = database().await;
    let server = start_with(&database.url(), |options| options.identity = development(true)).await;
    let bearer = format!("Bearer {}", short("ada", 1_500));
    let headers = [
        ("Content-Type", "application/json"),
        ("Accept", "text/event-stream"),
        ("Authorization", bearer.as_str()),
    ];
    let body = json!({ "query": "subscription { authors(limit: 1) { id } }" }).to_string();
    let text = client::ask(server.address, "POST", "/graphql", &headers, &body).await.text();
    assert!(text.contains("\"data\":{\"authors\""), "{text}");
    assert!(text.contains("FQ-AUTH-009") && text.trim_end().ends_with("event: complete\ndata:"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_share_a_subscription_only_with_themselves() {
    let database = database().await;
    let server = start_with(&database.url(), |options| options.identity = development(false)).await;
    let (ada, bob) = (short("ada", 60_000), short("bob", 60_000));
    let mut sockets = Vec::new();
    for token in [&ada, &ada, &bob] {
        let mut socket = Socket::open(server.address).await;
        let payload = json!({ "authorization": format!("Bearer {token}") });
        socket.say(json!({ "type": "connection_init", "payload": payload })).await;
        assert_eq!(socket.hear().await, Heard::Message(json!({ "type": "connection_ack" })));
        socket.subscribe("1", "subscription { authors(limit: 1) { id } }").await;
        assert_eq!(socket.next("1").await["errors"], Value::Null);
        sockets.push(socket);
    }
    let metrics = client::get(server.address, "/metrics").await.text();
    assert!(metrics.contains("fraiseql_subscriptions_active 3\n"), "{metrics}");
    assert!(metrics.contains("fraiseql_subscription_queries 2\n"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_cannot_be_read_from_the_database_are_told_so() {
    let database = database().await;
    let identity = IdentityOptions { api_keys: Some(Duration::ZERO), ..IdentityOptions::default() };
    // Without the table.
    let server = start_unready(&database.url(), |options| options.identity = identity).await;
    refused(&ask(server.address, &new_api_key().unwrap().text).await, Denial::Provider);
    let events = server.events.with("IdentityUnknown");
    assert!(events.len() == 1 && events[0].contains("api_key"), "{events:?}");
}
