//! What an act does to the database: the locks on each relation that was there, and the work done
//! while they are held.
//!
//! Locks are those of the statement while it runs. Relations that the statement itself creates are
//! left out: nobody can wait for them.

mod column_type;
mod columns;
mod indexes;
mod tables;

use std::collections::{BTreeMap, BTreeSet};

pub(crate) use columns::rewrite_cause;

use crate::act::Act;
use crate::lock_mode::LockMode;
use crate::schema::KnownSchema;
use crate::server_version::ServerVersion;

/// The name under which a lock on no particular relation stands.
pub(crate) const EVERYTHING: &str = "*";

/// What an act does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Effect {
    pub(crate) locks: BTreeMap<String, LockMode>,
    /// Relations that are written anew, heap or indexes.
    pub(crate) rewrites: BTreeSet<String>,
    /// Relations that are read as a whole.
    pub(crate) scans: BTreeSet<String>,
    /// Why its effect cannot be told, if it cannot.
    pub(crate) unknown: Option<String>,
}

impl Effect {
    fn lock(&mut self, relation: &str, mode: LockMode) {
        let held = self.locks.entry(relation.to_owned()).or_insert(mode);
        *held = (*held).max(mode);
    }

    fn rewrite(&mut self, relation: &str) {
        self.rewrites.insert(relation.to_owned());
    }

    fn scan(&mut self, relation: &str) {
        self.scans.insert(relation.to_owned());
    }

    fn cannot_tell(&mut self, why: impl Into<String>) {
        self.unknown = Some(why.into());
        self.lock(EVERYTHING, LockMode::Unknown);
    }

    /// Takes in the effect of another act of the same statement.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (relation, mode) in &other.locks {
            self.lock(relation, *mode);
        }
        self.rewrites.extend(other.rewrites.iter().cloned());
        self.scans.extend(other.scans.iter().cloned());
        if self.unknown.is_none() {
            self.unknown.clone_from(&other.unknown);
        }
    }
}

/// Returns what an act does to a database of which `schema` is known.
pub(crate) fn effect(act: &Act, schema: &KnownSchema, version: ServerVersion) -> Effect {
    let mut effect = Effect::default();
    let context = Context { schema, version };
    columns::add(&mut effect, act, &context);
    tables::add(&mut effect, act, &context);
    indexes::add(&mut effect, act, &context);
    if let Act::Unknown { why } = act {
        effect.cannot_tell(why);
    }
    effect
}

/// What an effect depends on beside the act.
pub(super) struct Context<'a> {
    pub(super) schema: &'a KnownSchema,
    pub(super) version: ServerVersion,
}

impl Context<'_> {
    /// Returns true from a major version on.
    pub(super) fn from(&self, major: u32) -> bool {
        self.version.major() >= major
    }

    /// Returns a table and everything below it.
    pub(super) fn with_below(&self, table: &str) -> Vec<String> {
        let mut all = vec![table.to_owned()];
        all.extend(self.schema.below(table));
        all
    }
}
