//! Which rows a caller may use: conditions over columns and the caller's claims, compiled from
//! `@auth(rows: ...)` and `@authWrite(rows: ...)`.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::artifact::ColumnPair;
use crate::catalog::QualifiedName;

/// The row rules of one object type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowGuard {
    /// Who may use which rows; whoever holds none of these may not use the type.
    pub read: Vec<RowGrant>,
    /// Who may write which rows, before and after; empty: the rows that they may use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub write: Vec<RowGrant>,
}

/// What one directive gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowGrant {
    /// To whom, as a place in [`crate::access::Access::rules`]; `None` is everybody.
    pub rule: Option<usize>,
    /// Which rows; `None`: in `read` all of them, in `write` those that the caller may use.
    pub rows: Option<RowCondition>,
}

/// A condition on a row. Unknown, as where a claim is not there, counts as not fulfilled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum RowCondition {
    /// All of them; none is true.
    All(Vec<RowCondition>),
    /// Any of them; none is false.
    Any(Vec<RowCondition>),
    /// Not that, and not unknown.
    Not(Box<RowCondition>),
    /// Whether a column is NULL.
    IsNull {
        /// The column.
        column: String,
        /// False for NOT NULL.
        null: bool,
    },
    /// `column operator value`.
    Compare {
        /// The column.
        column: String,
        /// How it is compared.
        operator: RowOperator,
        /// The type that the value is cast to, as SQL.
        sql_type: String,
        /// With what.
        value: RowValue,
    },
    /// Whether a column is one of several values.
    Among {
        /// The column.
        column: String,
        /// True for "none of them".
        none: bool,
        /// The type of an element, as SQL.
        sql_type: String,
        /// The values.
        values: RowValues,
    },
    /// Some row of another relation fulfils the inner condition, whoever may use that row.
    Exists {
        /// The other relation.
        relation: QualifiedName,
        /// Which columns must be equal; at least one.
        on: Vec<ColumnPair>,
        /// What else it must fulfil.
        condition: Box<RowCondition>,
    },
}

/// An operator between a column and a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowOperator {
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// Less.
    Lt,
    /// Less or equal.
    Lte,
    /// Greater.
    Gt,
    /// Greater or equal.
    Gte,
}

/// One value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum RowValue {
    /// Written by the author, in PostgreSQL's text format.
    Text(String),
    /// A claim of the caller's, by the keys that lead to it.
    Claim(Vec<String>),
}

/// Several values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum RowValues {
    /// Written by the author, in PostgreSQL's text format.
    Texts(Vec<String>),
    /// A claim of the caller's that is a list, by the keys that lead to it.
    Claim(Vec<String>),
}

/// A column that generated writes fill from a claim, and no client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// The column.
    pub column: String,
    /// Its type, as SQL.
    pub sql_type: String,
    /// The keys that lead to the claim.
    pub claim: Vec<String>,
    /// True when updates fill it too.
    pub update: bool,
}

impl RowOperator {
    /// Returns the operator as SQL.
    pub fn sql(self) -> &'static str {
        match self {
            Self::Eq => "=",
            Self::Ne => "<>",
            Self::Lt => "<",
            Self::Lte => "<=",
            Self::Gt => ">",
            Self::Gte => ">=",
        }
    }
}

impl RowGuard {
    /// Returns true for a caller who may use the type, by the rules that the caller holds.
    pub fn admits(&self, held: &[bool]) -> bool {
        self.read.is_empty() || self.read.iter().any(|grant| grant.is_held(held))
    }

    /// Returns true for a caller who may write some rows.
    pub fn admits_writes(&self, held: &[bool]) -> bool {
        self.write.is_empty() || self.write.iter().any(|grant| grant.is_held(held))
    }

    /// Returns the rows that a caller may use; `None` is all of them.
    pub fn readable(&self, held: &[bool]) -> Option<RowCondition> {
        if self.read.is_empty() { None } else { union(&self.read, held, None) }
    }

    /// Returns the rows that a caller may write, of those that it may use and as they are afterwards;
    /// `None` is all of them.
    pub fn writable(&self, held: &[bool]) -> Option<RowCondition> {
        let readable = self.readable(held);
        if self.write.is_empty() { readable } else { union(&self.write, held, readable.as_ref()) }
    }
}

/// Returns the rows of all grants that are held; one that says none stands for `otherwise`.
fn union(grants: &[RowGrant], held: &[bool], otherwise: Option<&RowCondition>) -> Option<RowCondition> {
    let mut any: Vec<RowCondition> = Vec::new();
    for grant in grants.iter().filter(|grant| grant.is_held(held)) {
        // Without any condition at all the union is everything.
        let rows = grant.rows.as_ref().or(otherwise)?.clone();
        if !any.contains(&rows) {
            any.push(rows);
        }
    }
    Some(if any.len() == 1 { any.remove(0) } else { RowCondition::Any(any) })
}

impl RowGrant {
    fn is_held(&self, held: &[bool]) -> bool {
        self.rule.is_none_or(|rule| held.get(rule).copied().unwrap_or(false))
    }
}

impl RowCondition {
    /// Adds the claims that decide whether some other row exists, with whether they are read as lists.
    ///
    /// "No such row" is true of a claim that is not there, unlike every other condition: who negates
    /// must ask for these claims.
    pub fn claims_of_existence<'c>(&'c self, found: &mut BTreeSet<(&'c [String], bool)>) {
        match self {
            Self::All(parts) | Self::Any(parts) => {
                parts.iter().for_each(|part| part.claims_of_existence(found));
            }
            Self::Not(inner) => inner.claims_of_existence(found),
            Self::Exists { condition, .. } => condition.claims(found),
            Self::IsNull { .. } | Self::Compare { .. } | Self::Among { .. } => {}
        }
    }

    fn claims<'c>(&'c self, found: &mut BTreeSet<(&'c [String], bool)>) {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.claims(found)),
            Self::Not(inner) => inner.claims(found),
            Self::Exists { condition, .. } => condition.claims(found),
            Self::Compare { value: RowValue::Claim(claim), .. } => {
                found.insert((claim, false));
            }
            Self::Among { values: RowValues::Claim(claim), .. } => {
                found.insert((claim, true));
            }
            Self::IsNull { .. } | Self::Compare { .. } | Self::Among { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(column: &str) -> RowCondition {
        RowCondition::IsNull { column: column.to_owned(), null: true }
    }

    fn grant(rule: Option<usize>, column: Option<&str>) -> RowGrant {
        RowGrant { rule, rows: column.map(rows) }
    }

    #[test]
    fn the_rows_of_all_that_is_held_together() {
        let guard = RowGuard {
            read: vec![grant(Some(0), Some("a")), grant(Some(1), Some("b")), grant(Some(2), None)],
            write: vec![grant(Some(1), None), grant(Some(3), Some("c"))],
        };
        let both = RowCondition::Any(vec![rows("a"), rows("b")]);
        assert_eq!(guard.readable(&[true, false, false, false]), Some(rows("a")));
        assert_eq!(guard.readable(&[true, true, false, false]), Some(both.clone()));
        assert_eq!(guard.readable(&[true, true, true, false]), None);
        assert!(!guard.admits(&[false, false, false, true]));
        assert_eq!(guard.writable(&[true, true, false, false]), Some(both));
        assert_eq!(guard.writable(&[true, false, true, true]), Some(rows("c")));
        assert!(!guard.admits_writes(&[true, false, true, false]));
    }

    #[test]
    fn nobody_who_holds_nothing_sees_a_row() {
        let guard = RowGuard { read: vec![grant(Some(0), None)], write: Vec::new() };
        assert_eq!(guard.readable(&[false]), Some(RowCondition::Any(Vec::new())));
        assert_eq!(guard.readable(&[]), Some(RowCondition::Any(Vec::new())));
    }
}
