//! Who may use which part of a schema, by roles and scopes: `@auth` and `@authWrite`, compiled.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::identity::Identity;
use crate::row_rule::RowGuard;

/// Who may use what. What is not named here is for everybody.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Access {
    /// The rules, each once; guards name them by their place.
    pub rules: Vec<AccessRule>,
    /// Guards of object types.
    pub types: BTreeMap<String, Guard>,
    /// Guards of fields, by type and name.
    pub fields: BTreeMap<String, BTreeMap<String, Guard>>,
    /// Types that were generated of fields and whose members are called after those: filters, orders,
    /// inputs, aggregates. By the object type that they were generated for.
    pub generated: BTreeMap<String, BTreeSet<String>>,
    /// Object types of whose rows not everybody may use all.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rows: BTreeMap<String, RowGuard>,
}

/// What a caller must have, all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessRule {
    /// At least one of these roles; empty asks for none.
    pub roles: BTreeSet<String>,
    /// All of these scopes.
    pub scopes: BTreeSet<String>,
    /// A verified identity.
    pub signed_in: bool,
}

/// The rules of one type or field, as places in [`Access::rules`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guard {
    /// Who may use it at all.
    #[serde(rename = "use", default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<usize>,
    /// Who may write it with generated mutations, of those who may use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write: Option<usize>,
}

impl Access {
    /// Returns true when everything is for everybody.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.rows.is_empty()
    }

    /// Returns for each rule whether a caller satisfies it.
    pub fn held(&self, caller: &Identity) -> Vec<bool> {
        self.rules.iter().map(|rule| rule.admits(caller)).collect()
    }

    /// Returns the place of a rule, adding it when it is new.
    pub fn place(&mut self, rule: AccessRule) -> usize {
        let known = self.rules.iter().position(|known| *known == rule);
        known.unwrap_or_else(|| {
            self.rules.push(rule);
            self.rules.len() - 1
        })
    }
}

impl AccessRule {
    /// Returns true for a caller who has what is asked for.
    pub fn admits(&self, caller: &Identity) -> bool {
        (!self.signed_in || caller.subject.is_some())
            && (self.roles.is_empty() || !self.roles.is_disjoint(&caller.roles))
            && self.scopes.is_subset(&caller.scopes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(list: &[&str]) -> BTreeSet<String> {
        list.iter().map(|text| (*text).to_owned()).collect()
    }

    #[track_caller]
    fn check(roles: &[&str], scopes: &[&str], signed_in: bool, caller: &Identity, expected: bool) {
        let rule = AccessRule { roles: texts(roles), scopes: texts(scopes), signed_in };
        assert_eq!(rule.admits(caller), expected, "{rule:?} of {caller:?}");
    }

    #[test]
    fn one_of_the_roles_and_all_of_the_scopes() {
        let ada = Identity {
            subject: Some("ada".to_owned()),
            roles: texts(&["clerk", "editor"]),
            scopes: texts(&["read", "write"]),
            ..Identity::default()
        };
        check(&["editor", "admin"], &[], false, &ada, true);
        check(&["admin"], &[], false, &ada, false);
        check(&[], &["read", "write"], false, &ada, true);
        check(&[], &["read", "delete"], false, &ada, false);
        check(&["clerk"], &["delete"], false, &ada, false);
        check(&[], &[], true, &ada, true);
        check(&[], &[], true, &Identity::default(), false);
        check(&["clerk"], &[], false, &Identity::default(), false);
    }
}
