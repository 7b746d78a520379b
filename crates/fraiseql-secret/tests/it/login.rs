//! Every way to log in to Vault.

use std::path::PathBuf;
use std::time::Duration;

use fraiseql_model::secret::SecretSource;
use fraiseql_secret::{Resolver, SecretOptions, VaultLogin, VaultOptions};
use fraiseql_testkit::{HttpEndpoint, Vault, wait_until};

use crate::{at, follow, options, resolver, token};

const RULES: &str = "path \"secret/data/fraiseql\" { capabilities = [\"read\"] }";
const REFERENCE: &str = "secret://vault/secret/fraiseql#db_password";

async fn vault() -> Option<Vault> {
    let vault = Vault::start().await?;
    vault.run(&["kv", "put", "secret/fraiseql", "db_password=hunter2"]);
    vault.token("reader", RULES, &[]);
    Some(vault)
}

/// One server for all of them: it takes seconds to start.
#[tokio::test]
async fn each_way_to_log_in() {
    let Some(vault) = vault().await else { return };
    let vault = &vault;
    tokio::join!(
        a_token_is_renewed_for_as_long_as_it_can_be(vault),
        by_approle_with_a_secret_id_from_a_file(vault),
        by_kubernetes_with_the_token_of_a_service_account(vault),
        a_namespace_is_sent_with_each_request(vault),
        a_login_may_come_from_a_variable_and_an_address_must_be_one(vault),
        its_certificate_must_come_from_the_named_authority(vault),
    );
}

fn write(vault: &Vault, name: &str, text: &str) -> PathBuf {
    let path = vault.dir().join(name);
    let mut file = std::fs::File::create(&path).unwrap();
    std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
    path
}

async fn by_approle_with_a_secret_id_from_a_file(vault: &Vault) {
    vault.run(&["auth", "enable", "approle"]);
    vault.run(&["write", "auth/approle/role/shop", "token_policies=reader", "token_ttl=1h"]);
    let role_id = vault.run(&["read", "-field=role_id", "auth/approle/role/shop/role-id"]);
    let secret_id = vault.run(&["write", "-f", "-field=secret_id", "auth/approle/role/shop/secret-id"]);
    let file = write(vault, "secret_id", &format!("{secret_id}\n"));
    let login = |secret_id: &str| VaultLogin::AppRole {
        mount: "approle".to_owned(),
        role_id: role_id.trim().to_owned(),
        secret_id: SecretSource::read(secret_id).unwrap(),
    };
    let by_file = resolver(at(vault, login(&format!("file://{}", file.display()))));
    assert_eq!(follow(&by_file, REFERENCE).await.as_deref(), Ok("hunter2"));
    let wrong = resolver(at(vault, login("n0t-it")));
    let refused = follow(&wrong, REFERENCE).await.unwrap_err();
    assert!(refused.starts_with("FQ-SEC-004: log in by approle: Vault at "), "{refused}");
    assert!(!refused.contains("n0t-it"), "{refused}");
    let circular = resolver(at(vault, login("secret://vault/secret/fraiseql#db_password")));
    let refused = follow(&circular, REFERENCE).await.unwrap_err();
    assert!(refused.ends_with("what opens a store is by env:// or file://, not in a store"), "{refused}");
}

/// Base64 as tokens have it (RFC 4648, section 5), without padding.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut three = [0; 3];
        three[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        for at in 0..=chunk.len() {
            text.push(char::from(LETTERS[(bits >> (18 - 6 * at)) as usize & 63]));
        }
    }
    text
}

async fn by_kubernetes_with_the_token_of_a_service_account(vault: &Vault) {
    let claims = r#"{"iss":"kubernetes/serviceaccount","sub":"system:serviceaccount:shop:fraiseql","exp":4102444800,"iat":1,"kubernetes.io":{"namespace":"shop","serviceaccount":{"name":"fraiseql","uid":"u-1"}}}"#;
    let jwt = format!(
        "{}.{}.{}",
        base64(br#"{"alg":"RS256","typ":"JWT"}"#),
        base64(claims.as_bytes()),
        base64(b"signature")
    );
    // What a cluster's API server answers to OpenBao, which asks it whether the token is good.
    let good = jwt.clone();
    let cluster = HttpEndpoint::start(move |asked| {
        let known = asked.path == "/apis/authentication.k8s.io/v1/tokenreviews" && asked.body.contains(&good);
        let status = match known {
            true => {
                r#"{"authenticated":true,"user":{"username":"system:serviceaccount:shop:fraiseql","uid":"u-1","groups":["system:serviceaccounts"]}}"#
            }
            false => r#"{"authenticated":false}"#,
        };
        (
            201,
            format!(r#"{{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","status":{status}}}"#),
        )
    });
    vault.run(&["auth", "enable", "kubernetes"]);
    let host = format!("kubernetes_host={}", cluster.url());
    let reviewer = format!("token_reviewer_jwt={jwt}");
    // The cluster's authority, which must be given; any certificate will do.
    vault.run(&["secrets", "enable", "pki"]);
    let authority =
        vault.run(&["write", "-field=certificate", "pki/root/generate/internal", "common_name=cluster"]);
    let authority = format!("kubernetes_ca_cert={authority}");
    let more = ["disable_local_ca_jwt=true", &reviewer, &authority];
    vault.run(&[&["write", "auth/kubernetes/config", &host][..], &more].concat());
    vault.run(&[
        "write",
        "auth/kubernetes/role/shop",
        "bound_service_account_names=fraiseql",
        "bound_service_account_namespaces=shop",
        "token_policies=reader",
        "token_ttl=1h",
    ]);
    let login = |jwt_file| VaultLogin::ServiceAccount {
        mount: "kubernetes".to_owned(),
        role: "shop".to_owned(),
        jwt_file,
    };
    let good = resolver(at(vault, login(write(vault, "jwt", &jwt))));
    assert_eq!(follow(&good, REFERENCE).await.as_deref(), Ok("hunter2"));
    let forged = jwt.replace(&base64(b"signature"), &base64(b"another"));
    let forged = resolver(at(vault, login(write(vault, "forged", &forged))));
    let refused = follow(&forged, REFERENCE).await.unwrap_err();
    assert!(refused.starts_with("FQ-SEC-004: log in by kubernetes: Vault at "), "{refused}");
}

async fn a_token_is_renewed_for_as_long_as_it_can_be(vault: &Vault) {
    // Before the token is made: on a busy machine that takes seconds of its life.
    let start = tokio::time::Instant::now();
    let short = vault.token("reader", RULES, &["-ttl=6s", "-explicit-max-ttl=12s"]);
    let resolver = resolver(at(vault, token(&short)));
    // Longer than its first life: it was renewed; then its longest life is over, and that is told.
    wait_until(Duration::from_secs(60), || async { follow(&resolver, REFERENCE).await.is_err() }).await;
    assert!(start.elapsed() > Duration::from_secs(7), "{:?}", start.elapsed());
    let ended = follow(&resolver, REFERENCE).await.unwrap_err();
    assert!(ended.starts_with("FQ-SEC-004: log in with vault.token: "), "{ended}");
}

async fn a_namespace_is_sent_with_each_request(vault: &Vault) {
    vault.run(&["namespace", "create", "team"]);
    vault.run(&["secrets", "enable", "-namespace=team", "-path=secret", "-version=2", "kv"]);
    vault.run(&["kv", "put", "-namespace=team", "secret/fraiseql", "db_password=the-teams"]);
    let within = VaultOptions { namespace: Some("team".to_owned()), ..at(vault, token(vault.root())) };
    assert_eq!(follow(&resolver(within), REFERENCE).await.as_deref(), Ok("the-teams"));
    let outside = resolver(at(vault, token(vault.root())));
    assert_eq!(follow(&outside, REFERENCE).await.as_deref(), Ok("hunter2"));
}

async fn a_login_may_come_from_a_variable_and_an_address_must_be_one(vault: &Vault) {
    let variables = options(&[("TOKEN", vault.root().to_owned())]);
    let with = |vault: VaultOptions| SecretOptions { vault: Some(vault), ..variables.clone() };
    let resolver = Resolver::new(with(at(vault, token("env://TOKEN")))).unwrap();
    assert_eq!(follow(&resolver, REFERENCE).await.as_deref(), Ok("hunter2"));
    let wrong = VaultOptions { address: "vault.example:8200".to_owned(), ..at(vault, token("env://TOKEN")) };
    let error = Resolver::new(with(wrong)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "understand Vault at vault.example:8200: its address begins neither with https:// nor with http://"
    );
    let missing =
        VaultOptions { ca_file: Some("/nonexistent/ca.pem".into()), ..at(vault, token("env://TOKEN")) };
    let error = Resolver::new(with(missing)).unwrap_err();
    assert_eq!(error.to_string(), "read /nonexistent/ca.pem");
}

async fn its_certificate_must_come_from_the_named_authority(issuer: &Vault) {
    let vault = &issuer.start_with_tls().await;
    vault.run(&["kv", "put", "secret/fraiseql", "db_password=hunter2"]);
    let trusting = VaultOptions { ca_file: vault.authority(), ..at(vault, token(vault.root())) };
    assert_eq!(follow(&resolver(trusting), REFERENCE).await.as_deref(), Ok("hunter2"));
    let by_system = resolver(at(vault, token(vault.root())));
    let refused = follow(&by_system, REFERENCE).await.unwrap_err();
    assert!(refused.starts_with("FQ-SEC-002: reach Vault at https://127.0.0.1:"), "{refused}");
}
