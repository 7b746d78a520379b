//! Who asks: what access rules and session variables may depend on. Verified by `serve`, read by `engine`.

use std::collections::BTreeSet;

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
    pub claims: serde_json::Map<String, serde_json::Value>,
}
