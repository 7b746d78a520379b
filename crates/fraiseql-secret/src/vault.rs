//! Vault and OpenBao over their HTTP API: login, its renewal, key-value secrets, leases.

mod login;

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use fraiseql_model::secret::Secret;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::{Duration, Instant};

use crate::error::SecretError;
use crate::found::{Content, Found, Lease};
use crate::http::{self, Answer, text};
use crate::options::{VariableLookup, VaultLogin, VaultOptions};

/// Older leases have ended when so many newer ones were taken.
const LEASES_MAX: usize = 8;
/// The longest reason of Vault's that is passed on.
const REASON_CHARS_MAX: usize = 300;

/// A client that stays logged in.
pub(crate) struct Vault {
    options: VaultOptions,
    client: Client,
    variable: VariableLookup,
    store: String,
    /// Held while logging in, so that it happens once.
    token: Mutex<Option<Token>>,
    logins: AtomicU64,
    /// The ids of the newest leases, to be given back at the end.
    leases: Mutex<VecDeque<String>>,
}

/// What a login gave.
#[derive(Clone)]
struct Token {
    secret: Secret,
    /// `None` for one that never ends.
    life: Option<Life>,
    login: u64,
}

/// For how long a token holds.
#[derive(Clone, Copy, Debug)]
struct Life {
    granted: Duration,
    ends: Instant,
    renewable: bool,
}

impl Life {
    /// From half of its time on it is renewed, so that a Vault that is away for a while does no harm.
    fn due(&self) -> Instant {
        self.ends.checked_sub(self.granted / 2).unwrap_or(self.ends)
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Vault {
    /// Makes a client; nothing is sent yet.
    pub(crate) fn new(options: VaultOptions, variable: VariableLookup) -> Result<Self, SecretError> {
        let store = format!("Vault at {}", options.address);
        let client = http::client(&options.address, options.ca_file.as_deref(), &store)?;
        Ok(Self {
            options,
            client,
            variable,
            store,
            token: Mutex::new(None),
            logins: AtomicU64::new(0),
            leases: Mutex::default(),
        })
    }

    /// Reads what lies at `path`, whose beginning is a mount.
    pub(crate) async fn read(&self, path: &str, reference: &str) -> Result<Found, SecretError> {
        let (api, versioned) = self.place(path).await?;
        let (answer, login) = self.ask(Method::GET, &api, None, &format!("read {path}")).await?;
        if answer.status == StatusCode::NOT_FOUND {
            let deleted = answer.body.pointer("/data/metadata").is_some();
            let reason = if deleted { "its newest version was deleted" } else { "nothing is stored there" };
            return Err(SecretError::Missing { reference: reference.to_owned(), reason: reason.to_owned() });
        }
        self.checked(&answer, &format!("read {path}"))?;
        let fields = if versioned { answer.body.pointer("/data/data") } else { answer.body.get("data") };
        let Some(Value::Object(fields)) = fields else {
            return Err(self.strange("its answer has no data"));
        };
        let content = Content::of_json(fields.clone());
        let lease = lease(&answer.body, login);
        if let Some(lease) = &lease {
            let mut leases = self.leases.lock().await;
            leases.push_back(lease.id.clone());
            if leases.len() > LEASES_MAX {
                leases.pop_front();
            }
        }
        Ok(Found { reference: reference.to_owned(), content, lease })
    }

    /// Gives the leases back: all of a login that was made here by ending it, else each.
    pub(crate) async fn release(&self) -> Result<(), SecretError> {
        let Some(token) = self.token.lock().await.take() else { return Ok(()) };
        if !matches!(self.options.login, VaultLogin::Token(_)) {
            let body = json!({});
            self.send(Method::POST, "auth/token/revoke-self", Some(&body), Some(&token.secret)).await?;
            return Ok(());
        }
        let leases = std::mem::take(&mut *self.leases.lock().await);
        for id in leases {
            let body = json!({ "lease_id": id });
            self.send(Method::POST, "sys/leases/revoke", Some(&body), Some(&token.secret)).await?;
        }
        Ok(())
    }

    /// Renews a lease; returns it with its new end, which may come sooner than was asked for.
    pub(crate) async fn renew(&self, lease: &Lease) -> Result<Lease, SecretError> {
        let body = json!({ "lease_id": lease.id, "increment": lease.granted.as_secs() });
        let what = "renew a lease";
        let (answer, _) = self.ask(Method::POST, "sys/leases/renew", Some(body), what).await?;
        self.checked(&answer, what)?;
        let granted =
            seconds(&answer.body, "lease_duration").ok_or_else(|| self.strange("a lease without an end"))?;
        let renewable = answer.body.get("renewable") == Some(&Value::Bool(true));
        Ok(Lease { ends: Instant::now() + granted, renewable, ..lease.clone() })
    }

    /// Returns the path in the API, and whether its secrets have versions.
    async fn place(&self, path: &str) -> Result<(String, bool), SecretError> {
        // As the command line of Vault does: ask which mount it is.
        let asked = format!("sys/internal/ui/mounts/{path}");
        let (answer, _) = self.ask(Method::GET, &asked, None, "log in").await?;
        let version = answer.body.pointer("/data/options/version").and_then(Value::as_str);
        if let (StatusCode::OK, Some(mount)) =
            (answer.status, answer.body.pointer("/data/path").and_then(Value::as_str))
        {
            let versioned = version == Some("2");
            return Ok((
                if versioned { versioned_path(mount.trim_end_matches('/'), path) } else { path.to_owned() },
                versioned,
            ));
        }
        // Not allowed to know: a key-value store at the first segment, unless it looks dynamic.
        let (mount, rest) = path.split_once('/').unwrap_or((path, ""));
        let dynamic = rest.starts_with("creds/") || rest.starts_with("static-creds/");
        Ok(if dynamic { (path.to_owned(), false) } else { (versioned_path(mount, path), true) })
    }

    /// Sends a request with the token. One that is refused is sent once more with a new login: the
    /// token may have been revoked.
    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        what: &str,
    ) -> Result<(Answer, u64), SecretError> {
        let token = self.token().await?;
        let answer = self.send(method.clone(), path, body.as_ref(), Some(&token.secret)).await?;
        if answer.status != StatusCode::FORBIDDEN || self.still_known(&token).await? {
            return Ok((answer, token.login));
        }
        self.forget(&token).await;
        let token = self.token().await.map_err(|error| match error {
            SecretError::Refused { store, reason, .. } => SecretError::Refused {
                what: what.to_owned(),
                store,
                reason: format!("the login is not valid any more: {reason}"),
            },
            other => other,
        })?;
        Ok((self.send(method, path, body.as_ref(), Some(&token.secret)).await?, token.login))
    }

    /// Returns true when the token is good and it is a matter of permission.
    async fn still_known(&self, token: &Token) -> Result<bool, SecretError> {
        let answer = self.send(Method::GET, "auth/token/lookup-self", None, Some(&token.secret)).await?;
        Ok(answer.status == StatusCode::OK)
    }

    async fn forget(&self, token: &Token) {
        let mut kept = self.token.lock().await;
        if kept.as_ref().is_some_and(|kept| kept.login == token.login) {
            *kept = None;
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        token: Option<&Secret>,
    ) -> Result<Answer, SecretError> {
        let url = format!("{}/v1/{path}", self.options.address.trim_end_matches('/'));
        let mut request = self.client.request(method, url).header("X-Vault-Request", "true");
        if let Some(token) = token {
            request = request.header("X-Vault-Token", token.expose());
        }
        if let Some(namespace) = &self.options.namespace {
            request = request.header("X-Vault-Namespace", namespace);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = http::send(request, &self.store).await?;
        if answer.status.is_server_error() || answer.status == StatusCode::TOO_MANY_REQUESTS {
            return Err(self.unavailable(&answer));
        }
        Ok(answer)
    }

    fn unavailable(&self, answer: &Answer) -> SecretError {
        let reason = reason(answer);
        if ["sealed", "not initialized"].iter().any(|word| reason.contains(word)) {
            return SecretError::Sealed { store: self.store.clone() };
        }
        SecretError::Away { store: self.store.clone(), source: reason.into() }
    }

    /// Fails unless the answer is a success.
    fn checked(&self, answer: &Answer, what: &str) -> Result<(), SecretError> {
        if answer.status.is_success() {
            return Ok(());
        }
        Err(SecretError::Refused { what: what.to_owned(), store: self.store.clone(), reason: reason(answer) })
    }

    fn strange(&self, reason: &str) -> SecretError {
        SecretError::Answer { store: self.store.clone(), reason: reason.to_owned() }
    }

    fn next_login(&self) -> u64 {
        self.logins.fetch_add(1, Ordering::Relaxed) + 1
    }
}

fn versioned_path(mount: &str, path: &str) -> String {
    let rest = path.strip_prefix(mount).unwrap_or(path).trim_start_matches('/');
    format!("{mount}/data/{rest}")
}

/// Returns what Vault says, on one line and not without end.
fn reason(answer: &Answer) -> String {
    let said = answer.body.get("errors").and_then(Value::as_array);
    let said: Vec<&str> = said.into_iter().flatten().filter_map(Value::as_str).collect();
    let said = if said.is_empty() { format!("it answered {}", answer.status) } else { said.join("; ") };
    said.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(REASON_CHARS_MAX).collect()
}

fn lease(body: &Value, login: u64) -> Option<Lease> {
    let id = text(body, "lease_id").filter(|id| !id.is_empty())?.to_owned();
    let granted = seconds(body, "lease_duration")?;
    let renewable = body.get("renewable") == Some(&Value::Bool(true));
    Some(Lease { id, granted, ends: Instant::now() + granted, renewable, login })
}

/// Returns a duration of at least a second; `None` for one that has no end.
fn seconds(body: &Value, key: &str) -> Option<Duration> {
    body.get(key).and_then(Value::as_u64).filter(|seconds| *seconds > 0).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::versioned_path;

    #[test]
    fn the_api_puts_data_behind_the_mount() {
        assert_eq!(versioned_path("secret", "secret/fraiseql"), "secret/data/fraiseql");
        assert_eq!(versioned_path("team/kv", "team/kv/shop/db"), "team/kv/data/shop/db");
    }
}
