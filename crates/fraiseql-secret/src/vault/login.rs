//! Logging in to Vault, and staying so.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::{Duration, Instant};

use fraiseql_model::secret::Secret;

use super::{Life, Token, Vault, reason, seconds};
use crate::error::SecretError;
use crate::http::{Answer, text};
use crate::local;
use crate::options::VaultLogin;

impl Vault {
    /// Returns a token that holds. One that cannot be renewed now is used until its end.
    pub(super) async fn token(&self) -> Result<Token, SecretError> {
        match self.kept_or_new().await {
            (Some(token), _) => Ok(token),
            (None, error) => Err(error.unwrap_or_else(|| self.strange("a login without a token"))),
        }
    }

    /// Keeps the login alive. Returns its number and when to ask again; fails also when the token
    /// still holds and could not be renewed.
    pub(crate) async fn keep_login(&self) -> Result<(u64, Option<Instant>), SecretError> {
        match self.kept_or_new().await {
            (Some(token), None) => Ok((token.login, token.life.map(|life| life.due()))),
            (_, error) => Err(error.unwrap_or_else(|| self.strange("a login without a token"))),
        }
    }

    /// Returns a token after renewing it when half of its time is over, and what went wrong with that.
    async fn kept_or_new(&self) -> (Option<Token>, Option<SecretError>) {
        let mut kept = self.token.lock().await;
        let now = Instant::now();
        let made = match &*kept {
            Some(token) => match token.life {
                Some(life) if now >= life.ends => self.log_in(Some(token)).await,
                Some(life) if now >= life.due() => match self.prolonged(token, life).await {
                    Err(error) if now < life.ends => return (Some(token.clone()), Some(error)),
                    prolonged => prolonged,
                },
                _ => return (Some(token.clone()), None),
            },
            None => self.log_in(None).await,
        };
        match made {
            Ok(token) => {
                *kept = Some(token.clone());
                (Some(token), None)
            }
            Err(error) => {
                *kept = None;
                (None, Some(error))
            }
        }
    }

    /// Renews a token. One that cannot be renewed for long enough is given up for a new login.
    async fn prolonged(&self, token: &Token, life: Life) -> Result<Token, SecretError> {
        if life.renewable
            && let Some(granted) = self.renewed(&token.secret).await?
            && granted >= life.granted.mul_f64(2.0 / 3.0)
        {
            let life = Life { ends: Instant::now() + granted, ..life };
            return Ok(Token { life: Some(life), ..token.clone() });
        }
        self.log_in(Some(token)).await
    }

    /// Asks for more time; returns how much was given, or `None` where it was refused.
    async fn renewed(&self, token: &Secret) -> Result<Option<Duration>, SecretError> {
        let answer = self.send(Method::POST, "auth/token/renew-self", Some(&json!({})), Some(token)).await?;
        let granted = answer.body.get("auth").and_then(|auth| seconds(auth, "lease_duration"));
        Ok(granted.filter(|_| answer.status.is_success()))
    }

    async fn log_in(&self, before: Option<&Token>) -> Result<Token, SecretError> {
        let (path, body) = match &self.options.login {
            VaultLogin::Token(source) => {
                return self.adopt(local::source(source, &self.variable)?, before).await;
            }
            VaultLogin::AppRole { mount, role_id, secret_id } => {
                let secret_id = local::source(secret_id, &self.variable)?;
                (mount, json!({ "role_id": role_id, "secret_id": secret_id.expose() }))
            }
            VaultLogin::ServiceAccount { mount, role, jwt_file } => {
                let jwt = local::file(jwt_file)?;
                (mount, json!({ "role": role, "jwt": jwt.expose() }))
            }
        };
        let answer = self.send(Method::POST, &format!("auth/{path}/login"), Some(&body), None).await?;
        self.logged_in(&answer, &format!("log in by {path}"))?;
        let auth = answer.body.get("auth").unwrap_or(&Value::Null);
        let token = text(auth, "client_token").ok_or_else(|| self.strange("a login without a token"))?;
        let secret = Secret::new(token.to_owned());
        let life = seconds(auth, "lease_duration").map(|granted| life(auth, granted));
        Ok(Token { secret, life, login: self.next_login() })
    }

    /// Takes a token that is there already, and asks how long it holds.
    async fn adopt(&self, secret: Secret, before: Option<&Token>) -> Result<Token, SecretError> {
        let answer = self.send(Method::GET, "auth/token/lookup-self", None, Some(&secret)).await?;
        self.logged_in(&answer, "log in with vault.token")?;
        let data = answer.body.get("data").unwrap_or(&Value::Null);
        // The same token is the same login: what was given to it still holds.
        let same = before.filter(|before| before.secret == secret).map(|before| before.login);
        let login = same.unwrap_or_else(|| self.next_login());
        let mut life = adopted_life(data);
        // Found late in its life, it may end before the next look at it.
        if let (Some(life), Some(whole)) = (&mut life, seconds(data, "creation_ttl"))
            && life.renewable
            && life.granted < whole / 2
            && let Some(granted) = self.renewed(&secret).await?
        {
            *life = Life { granted, ends: Instant::now() + granted, ..*life };
        }
        Ok(Token { secret, life, login })
    }

    fn logged_in(&self, answer: &Answer, what: &str) -> Result<(), SecretError> {
        if answer.status.is_success() {
            return Ok(());
        }
        let reason = match answer.status {
            StatusCode::FORBIDDEN => format!("{}: it is wrong, expired or revoked", reason(answer)),
            _ => reason(answer),
        };
        Err(SecretError::Refused { what: what.to_owned(), store: self.store.clone(), reason })
    }
}

/// Returns how long a token holds that was looked up; `None` for one that never ends.
fn adopted_life(data: &Value) -> Option<Life> {
    data.get("expire_time").filter(|time| !time.is_null())?;
    // Whole seconds: in its last one a token says 0.
    Some(life(data, seconds(data, "ttl").unwrap_or(Duration::ZERO)))
}

fn life(body: &Value, granted: Duration) -> Life {
    let renewable = body.get("renewable") == Some(&Value::Bool(true));
    Life { granted, ends: Instant::now() + granted, renewable }
}

#[cfg(test)]
mod tests {
    use super::{Duration, adopted_life, json};

    #[test]
    fn a_token_in_its_last_second_is_not_one_that_never_ends() {
        let last = json!({ "ttl": 0, "expire_time": "2030-01-01T00:00:00Z", "renewable": true });
        assert_eq!(
            adopted_life(&last).map(|life| (life.granted, life.renewable)),
            Some((Duration::ZERO, true))
        );
        assert!(adopted_life(&json!({ "ttl": 0, "expire_time": null })).is_none());
    }
}
