//! API keys for machines: `fq_ID_SECRET`. The database holds the SHA-256 of the secret only.
//!
//! A secret has 256 random bits, so a fast hash is as good as a slow one, and nothing can be guessed.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use fraiseql_model::identity::Identity;
use fraiseql_model::names::quote_identifier;
use fraiseql_postgres::{Pool, PostgresError, Query};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::denial::Denial;

/// What a key begins with, so that scanners of repositories find it.
pub(crate) const PREFIX: &str = "fq_";
/// How many random bytes an id has. It is no secret.
const ID_BYTES: usize = 8;
const SECRET_BYTES: usize = 32;
/// The longest key that is looked at.
const KEY_BYTES_MAX: usize = 128;

const FIND: &str = "SELECT pg_catalog.jsonb_build_object('name', name, 'hash', pg_catalog.encode(hash, 'hex'), \
'roles', pg_catalog.to_jsonb(roles), 'scopes', pg_catalog.to_jsonb(scopes), \
'usable', revoked IS NULL AND coalesce(expires > pg_catalog.now(), true), \
'seconds', pg_catalog.date_part('epoch', expires - pg_catalog.now()))::text \
FROM fraiseql.api_key WHERE id = $1::pg_catalog.text";

/// A key that was just made. Its text is nowhere else.
pub struct NewApiKey {
    /// By which it is found again.
    pub id: String,
    /// The whole key, for its owner.
    pub text: String,
    /// What the database holds.
    pub hash: [u8; 32],
}

/// Makes a key from the system's randomness. Fails when there is none.
pub fn new_api_key() -> Result<NewApiKey, NoRandomness> {
    let (mut id, mut secret) = ([0; ID_BYTES], [0; SECRET_BYTES]);
    aws_lc_rs::rand::fill(&mut id).map_err(|_unspecified| NoRandomness)?;
    aws_lc_rs::rand::fill(&mut secret).map_err(|_unspecified| NoRandomness)?;
    // Without `_`, which parts the id from the secret.
    let id: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    let secret = URL_SAFE_NO_PAD.encode(secret);
    let hash = Sha256::digest(&secret).into();
    Ok(NewApiKey { text: format!("{PREFIX}{id}_{secret}"), id, hash })
}

/// The system gives no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("get random bytes from the system")]
pub struct NoRandomness;

/// Returns the statements that make the table of API keys and let `role` read it.
///
/// They may be run again. Whoever owns the table makes and revokes keys.
pub fn api_key_ddl(role: &str) -> String {
    let role = quote_identifier(role);
    format!(
        "-- API keys for machines: hashes only. Run this as the owner of the database; it may be run again.\n\
         CREATE SCHEMA IF NOT EXISTS fraiseql;\n\
         CREATE TABLE IF NOT EXISTS fraiseql.api_key (\n  \
           id text PRIMARY KEY,\n  name text NOT NULL,\n  \
           hash bytea NOT NULL CHECK (octet_length(hash) = 32),\n  \
           roles text[] NOT NULL DEFAULT '{{}}',\n  scopes text[] NOT NULL DEFAULT '{{}}',\n  \
           created timestamptz NOT NULL DEFAULT now(),\n  expires timestamptz,\n  revoked timestamptz\n);\n\
         REVOKE ALL ON fraiseql.api_key FROM PUBLIC;\n\
         GRANT USAGE ON SCHEMA fraiseql TO {role};\n\
         GRANT SELECT ON fraiseql.api_key TO {role};\n"
    )
}

/// One row, as the statement gives it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    name: String,
    hash: String,
    roles: Vec<String>,
    scopes: Vec<String>,
    usable: bool,
    /// How long it is still valid.
    seconds: Option<f64>,
}

/// A key that is accepted.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) identity: Identity,
    /// How long it is still valid; `None` when it does not end.
    pub(super) left: Option<Duration>,
}

/// Looks a key up. What makes it unusable is not told, and the work does not depend on it.
pub(super) async fn look_up(
    pool: &Pool,
    text: &str,
    timeout: Duration,
) -> Result<Accepted, Result<Denial, PostgresError>> {
    let (id, secret) = parts(text).ok_or(Ok(Denial::ApiKey))?;
    let deadline = Instant::now() + timeout;
    let finding = tokio::time::timeout_at(deadline, find(pool, id, deadline)).await;
    let row = finding.map_err(|_elapsed| Err(PostgresError::Timeout))?.map_err(Err)?;
    let stored: Option<Stored> = match row {
        Some(json) => {
            let parsed = serde_json::from_slice(&json);
            Some(parsed.map_err(|_wrong| Err(PostgresError::Protocol { what: "an API key" }))?)
        }
        None => None,
    };
    let hash: String = Sha256::digest(secret).iter().map(|byte| format!("{byte:02x}")).collect();
    // An unknown id is compared too, with what no secret gives.
    let expected = stored.as_ref().map_or("0".repeat(hash.len()), |stored| stored.hash.clone());
    let same =
        aws_lc_rs::constant_time::verify_slices_are_equal(hash.as_bytes(), expected.as_bytes()).is_ok();
    match stored {
        Some(stored) if same && stored.usable => Ok(accepted(stored)),
        _ => Err(Ok(Denial::ApiKey)),
    }
}

fn accepted(stored: Stored) -> Accepted {
    let left =
        stored.seconds.map(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX));
    let identity = Identity {
        subject: Some(stored.name),
        roles: stored.roles.into_iter().collect(),
        scopes: stored.scopes.into_iter().collect(),
        claims: serde_json::Map::new(),
    };
    Accepted { identity, left }
}

fn parts(text: &str) -> Option<(&str, &str)> {
    let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
    (text.len() <= KEY_BYTES_MAX && !id.is_empty() && !secret.is_empty()).then_some((id, secret))
}

async fn find(pool: &Pool, id: &str, deadline: Instant) -> Result<Option<Bytes>, PostgresError> {
    let mut session = pool.acquire(deadline).await?;
    let params = [Some(Bytes::copy_from_slice(id.as_bytes()))];
    let batch = [Query { sql: FIND, params: &params }];
    let mut rows = session.run(&batch).await?;
    let mut found = None;
    while let Some(row) = rows.next().await? {
        found = row.get(0);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_is_read_back_and_no_two_are_alike() {
        let (one, two) = (new_api_key().unwrap(), new_api_key().unwrap());
        assert_ne!(one.text, two.text);
        let (id, secret) = parts(&one.text).unwrap();
        assert_eq!(id, one.id);
        assert_eq!(<[u8; 32]>::from(Sha256::digest(secret)), one.hash);
        assert_eq!(secret.len(), 43);
    }

    #[test]
    fn what_is_no_key_is_not_looked_up() {
        for wrong in ["", "fq_", "fq_a", "fq_a_", "fq__b", "xx_a_b", &format!("fq_a_{}", "b".repeat(200))] {
            assert_eq!(parts(wrong), None, "{wrong}");
        }
        assert_eq!(parts("fq_a_b_c"), Some(("a", "b_c")));
    }
}
