//! Key-value secrets and dynamic credentials, and a server that is killed, sealed and back.

use std::time::Duration;

use fraiseql_model::secret::SecretRef;
use fraiseql_secret::SecretError;
use fraiseql_testkit::Vault;

use crate::{at, follow, resolver, shown, token};

#[tokio::test]
async fn the_guides_secret_is_found_and_what_is_not_there_is_named() {
    let Some(vault) = Vault::start().await else { return };
    vault.run(&["kv", "put", "secret/fraiseql", "db_password=hunter2", "api_key=k3y"]);
    vault.run(&["kv", "put", "secret/one", "only=1"]);
    vault.run(&["kv", "put", "secret/gone", "only=1"]);
    vault.run(&["kv", "delete", "secret/gone"]);
    vault.run(&["secrets", "enable", "-path=old/kv", "-version=1", "kv"]);
    vault.run(&["kv", "put", "old/kv/shop", "password=o1d"]);
    let resolver = resolver(at(&vault, token(vault.root())));
    let check = async |reference: &str, expected: Result<&str, &str>| {
        let found = follow(&resolver, reference).await;
        assert_eq!(found.as_deref().map_err(String::as_str), expected, "{reference}");
    };
    check("secret://vault/secret/fraiseql#db_password", Ok("hunter2")).await;
    check("secret://vault/secret/fraiseql#api_key", Ok("k3y")).await;
    check("secret://vault/secret/one", Ok("1")).await;
    check("secret://vault/old/kv/shop#password", Ok("o1d")).await;
    check(
        "secret://vault/secret/fraiseql#pw",
        Err("FQ-SEC-005: take a field of secret://vault/secret/fraiseql#pw: it has the fields api_key, db_password"),
    )
    .await;
    check(
        "secret://vault/secret/nothing#pw",
        Err("FQ-SEC-005: find secret://vault/secret/nothing#pw: nothing is stored there"),
    )
    .await;
    check(
        "secret://vault/secret/gone#only",
        Err("FQ-SEC-005: find secret://vault/secret/gone#only: its newest version was deleted"),
    )
    .await;
    a_policy_that_does_not_allow_it_and_a_token_that_ended_are_told_apart(&vault).await;
}

async fn a_policy_that_does_not_allow_it_and_a_token_that_ended_are_told_apart(vault: &Vault) {
    vault.run(&["kv", "put", "secret/fraiseql", "db_password=hunter2"]);
    let rules = "path \"secret/data/fraiseql\" { capabilities = [\"read\"] }";
    let reader = vault.token("reader", rules, &["-ttl=1h"]);
    let resolver = resolver(at(vault, token(&reader)));
    let path = "secret://vault/secret/fraiseql#db_password";
    assert_eq!(follow(&resolver, path).await.as_deref(), Ok("hunter2"));
    let denied = follow(&resolver, "secret://vault/secret/other#x").await.unwrap_err();
    let place = format!("Vault at {}", vault.address());
    assert!(denied.starts_with(&format!("FQ-SEC-004: read secret/other: {place} refuses it: ")), "{denied}");
    assert!(denied.ends_with("permission denied"), "{denied}");
    vault.run(&["token", "revoke", &reader]);
    let ended = follow(&resolver, path).await.unwrap_err();
    assert!(ended.contains("the login is not valid any more"), "{ended}");
    assert!(!ended.contains(&reader), "{ended}");
}

#[tokio::test]
async fn away_and_sealed_are_told_apart_and_it_returns() {
    let Some(mut vault) = Vault::start().await else { return };
    vault.run(&["kv", "put", "secret/fraiseql", "db_password=hunter2"]);
    let resolver = resolver(at(&vault, token(vault.root())));
    let reference = "secret://vault/secret/fraiseql#db_password";
    assert_eq!(follow(&resolver, reference).await.as_deref(), Ok("hunter2"));
    let place = format!("Vault at {}", vault.address());

    vault.seal();
    assert_eq!(
        follow(&resolver, reference).await,
        Err(format!("FQ-SEC-003: read from {place}: it is sealed"))
    );
    vault.unseal().await;
    assert_eq!(follow(&resolver, reference).await.as_deref(), Ok("hunter2"));

    vault.kill();
    let away = follow(&resolver, reference).await.unwrap_err();
    assert!(away.starts_with(&format!("FQ-SEC-002: reach {place}: ")), "{away}");
    // Patience has an end, and says why once.
    let mut told = Vec::new();
    let parsed = SecretRef::parse(reference).unwrap();
    let patience = Duration::from_millis(700);
    let found = resolver.find_patiently(&parsed, patience, &mut |error| told.push(shown(error))).await;
    assert_eq!(found.unwrap_err().code().code, "FQ-SEC-002");
    assert_eq!(told.len(), 1, "{told:?}");

    let mut silent = |_: &SecretError| ();
    let waiting = resolver.find_patiently(&parsed, Duration::from_secs(60), &mut silent);
    let (found, ()) = tokio::join!(waiting, vault.start_again());
    assert_eq!(found.unwrap().take(parsed.key()).unwrap().expose(), "hunter2");
}
