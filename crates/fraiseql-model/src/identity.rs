//! Who asks: what access rules and session variables may depend on. Verified by `serve`, read by `engine`.

use std::collections::BTreeSet;

use serde_json::Value;

/// A caller after verification.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Identity {
    /// The subject (`sub`) or the API key's name; none for an anonymous caller.
    pub subject: Option<String>,
    /// The roles that the caller has, from the claim that the settings name.
    pub roles: BTreeSet<String>,
    /// The OAuth scopes of the token.
    pub scopes: BTreeSet<String>,
    /// All claims of the token, as they came.
    pub claims: serde_json::Map<String, Value>,
}

impl Identity {
    /// Returns a claim by the keys that lead to it: `sub`, `roles` and `scopes` as they were verified,
    /// anything else as the token has it. `None` where there is none, or null.
    pub fn claim(&self, path: &[String]) -> Option<Value> {
        let (first, rest) = path.split_first()?;
        let texts = |list: &BTreeSet<String>| Some(list.iter().cloned().map(Value::String).collect());
        let found = match first.as_str() {
            "sub" => self.subject.clone().map(Value::String),
            "roles" => texts(&self.roles),
            "scopes" => texts(&self.scopes),
            name => self.claims.get(name).cloned(),
        };
        let found = rest.iter().try_fold(found?, |value, key| value.get(key).cloned());
        found.filter(|value| !value.is_null())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_verified_stands_before_what_the_token_says() {
        let claims = serde_json::json!({"sub": "forged", "roles": ["admin"], "org": {"id": 7, "none": null}});
        let caller = Identity {
            subject: Some("ada".to_owned()),
            claims: claims.as_object().cloned().unwrap_or_default(),
            ..Identity::default()
        };
        let claim =
            |path: &[&str]| caller.claim(&path.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>());
        assert_eq!(claim(&["sub"]), Some("ada".into()));
        assert_eq!(claim(&["roles"]), Some(Value::Array(Vec::new())));
        assert_eq!(claim(&["org", "id"]), Some(7.into()));
        for missing in [&["org", "none"][..], &["org", "name"], &["team"], &["sub", "x"], &[]] {
            assert_eq!(claim(missing), None, "{missing:?}");
        }
    }
}
