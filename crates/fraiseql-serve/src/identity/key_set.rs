//! The public keys of an issuer (RFC 7517). Pure: fetched elsewhere.

use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The most keys of one issuer that are looked at.
const KEYS_MAX: usize = 100;

/// Keys, and what tells them from others.
#[derive(Default)]
pub(crate) struct KeySet {
    keys: Vec<VerifyingKey>,
    /// Of the document: the same keys are the same set, so that verified tokens stay.
    pub(crate) digest: [u8; 32],
}

struct VerifyingKey {
    kid: Option<String>,
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

/// What a token finds in a set.
pub(crate) enum Found<'s> {
    Key(&'s DecodingKey),
    /// There is such a key, and it is for other algorithms.
    OtherAlgorithm,
    Unknown,
}

/// One key as it is written. Members that verify nothing are passed over, as section 4 wants.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default, rename = "use")]
    purpose: Option<String>,
    #[serde(default)]
    key_ops: Option<Vec<String>>,
    #[serde(default)]
    alg: Option<String>,
    #[serde(default)]
    crv: Option<String>,
    #[serde(default)]
    n: Option<String>,
    #[serde(default)]
    e: Option<String>,
    #[serde(default)]
    x: Option<String>,
    #[serde(default)]
    y: Option<String>,
}

impl KeySet {
    /// Reads a document. Keys that are not understood, or are not for signatures, are left out
    /// (section 5). Fails when it is no document of keys, or none of them can be used.
    pub(crate) fn read(document: &[u8]) -> Result<Self, String> {
        let parsed: Value =
            serde_json::from_slice(document).map_err(|error| format!("the keys are not JSON: {error}"))?;
        let keys = parsed.get("keys").and_then(Value::as_array).ok_or("the document has no \"keys\"")?;
        let keys: Vec<VerifyingKey> = keys.iter().take(KEYS_MAX).filter_map(verifying_key).collect();
        if keys.is_empty() {
            return Err("none of the keys is for signatures that are known here".to_owned());
        }
        Ok(Self { keys, digest: Sha256::digest(document).into() })
    }

    /// Returns how many keys there are.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Returns the key of a token. Without a name it must be the only one for its algorithm.
    pub(crate) fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Found<'_> {
        let named = || self.keys.iter().filter(|key| kid.is_none() || key.kid.as_deref() == kid);
        let mut fitting = named().filter(|key| key.algorithms.contains(&algorithm));
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Found::Key(&key.key),
            (Some(key), Some(_)) if kid.is_some() => Found::Key(&key.key),
            (None, _) if kid.is_some() && named().next().is_some() => Found::OtherAlgorithm,
            _ => Found::Unknown,
        }
    }
}

fn verifying_key(value: &Value) -> Option<VerifyingKey> {
    let Ok(jwk) = Jwk::deserialize(value) else { return None };
    let signs = jwk.purpose.as_deref().is_none_or(|purpose| purpose == "sig")
        && jwk.key_ops.as_ref().is_none_or(|ops| ops.iter().any(|op| op == "verify"));
    if !signs {
        return None;
    }
    use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
    let (mut algorithms, key) = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
        ("RSA", _) => {
            let key = DecodingKey::from_rsa_components(jwk.n.as_deref()?, jwk.e.as_deref()?);
            (vec![RS256, RS384, RS512, PS256, PS384, PS512], key)
        }
        ("EC", Some("P-256")) => (vec![ES256], ec(&jwk)?),
        ("EC", Some("P-384")) => (vec![ES384], ec(&jwk)?),
        ("OKP", Some("Ed25519")) => (vec![EdDSA], DecodingKey::from_ed_components(jwk.x.as_deref()?)),
        _ => return None,
    };
    let Ok(key) = key else { return None };
    if let Some(alg) = &jwk.alg {
        algorithms.retain(|known| format!("{known:?}") == *alg);
    }
    (!algorithms.is_empty()).then_some(VerifyingKey { kid: jwk.kid, algorithms, key })
}

fn ec(jwk: &Jwk) -> Option<jsonwebtoken::errors::Result<DecodingKey>> {
    Some(DecodingKey::from_ec_components(jwk.x.as_deref()?, jwk.y.as_deref()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED: &str =
        r#"{"kty":"OKP","crv":"Ed25519","kid":"ed","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

    #[track_caller]
    fn check(keys: &str, kid: Option<&str>, algorithm: Algorithm, expected: &str) {
        let document = format!("{{\"keys\":[{keys}]}}");
        let found = match KeySet::read(document.as_bytes()) {
            Err(_) => "none",
            Ok(set) => match set.find(kid, algorithm) {
                Found::Key(_) => "key",
                Found::OtherAlgorithm => "other algorithm",
                Found::Unknown => "unknown",
            },
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn a_key_is_found_by_its_name_and_only_for_its_algorithms() {
        check(ED, Some("ed"), Algorithm::EdDSA, "key");
        check(ED, None, Algorithm::EdDSA, "key");
        check(ED, Some("other"), Algorithm::EdDSA, "unknown");
        check(ED, Some("ed"), Algorithm::RS256, "other algorithm");
        check(ED, Some("ed"), Algorithm::HS256, "other algorithm");
        check(&format!("{ED},{}", ED.replace("\"ed\"", "\"two\"")), None, Algorithm::EdDSA, "unknown");
    }

    #[test]
    fn keys_for_other_things_are_left_out() {
        check("", Some("ed"), Algorithm::EdDSA, "none");
        check(r#"{"kty":"oct","k":"AAAA","kid":"ed"}"#, Some("ed"), Algorithm::HS256, "none");
        check(&ED.replace("\"kid\"", "\"use\":\"enc\",\"kid\""), Some("ed"), Algorithm::EdDSA, "none");
        check(&ED.replace("\"kid\"", "\"key_ops\":[\"sign\"],\"kid\""), Some("ed"), Algorithm::EdDSA, "none");
        check(&ED.replace("\"kid\"", "\"alg\":\"RSA-OAEP\",\"kid\""), Some("ed"), Algorithm::EdDSA, "none");
        check(&format!("{{\"kty\":\"new\"}},7,{ED}"), Some("ed"), Algorithm::EdDSA, "key");
    }
}
