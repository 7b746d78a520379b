//! The guard: which releases a change of the database would break, and by what.
//!
//! Pure: statements, the manifests of the releases, and what the live catalog knows come in; what
//! breaks goes out. What cannot be told counts as a break, until somebody acknowledges it by name.

mod direct;
mod judge;
mod live;
mod loss;
mod words;

use fraiseql_model::manifest::Manifest;
use serde::Serialize;

use crate::lint::{SqlFile, Unreadable, read};
use crate::script::Section;

pub use live::{LiveDependents, LiveFunction, LiveRelation};

/// A release that lives, or is kept to go back to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardedRelease {
    /// Its name.
    pub name: String,
    /// What it uses.
    pub manifest: Manifest,
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct GuardRequest<'a> {
    /// Files of SQL, in the order in which they run. Of files with sections, the contract is looked at.
    pub files: &'a [SqlFile<'a>],
    /// Every release that lives or is kept.
    pub releases: &'a [GuardedRelease],
    /// What the database knows.
    pub live: &'a LiveDependents,
    /// What somebody has looked at, by the names in [`Breakage::acknowledge`].
    pub acknowledged: &'a [String],
}

/// What a use of the database does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GuardedUse {
    /// Reads rows.
    Reads,
    /// Inserts rows.
    Inserts,
    /// Updates rows.
    Updates,
    /// Deletes rows.
    Deletes,
    /// Inserts or updates by a unique key.
    Upserts,
    /// Makes GraphQL of values, or values of GraphQL.
    Decodes,
    /// Calls a function.
    Calls,
    /// Nobody can tell.
    Unknown,
}

impl GuardedUse {
    /// Returns the word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reads => "reads",
            Self::Inserts => "inserts",
            Self::Updates => "updates",
            Self::Deletes => "deletes",
            Self::Upserts => "upserts",
            Self::Decodes => "decodes",
            Self::Calls => "calls",
            Self::Unknown => "unknown",
        }
    }
}

/// One use that a statement would break.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Breakage {
    /// The file, as the user named it.
    pub file: String,
    /// The line on which the statement begins, from 1.
    pub line: usize,
    /// The statement.
    pub statement: String,
    /// The release that breaks; `None` where the database itself depends, or nobody can tell.
    pub release: Option<String>,
    /// What it uses: a relation, a column, a function, a type.
    pub object: String,
    /// What it does with it.
    pub operation: GuardedUse,
    /// The view or function in between.
    pub through: Option<String>,
    /// The GraphQL fields that do so, as far as they are known: `Artist.name`.
    pub fields: Vec<String>,
    /// Why it breaks: a lower-case fragment.
    pub why: String,
    /// What to do.
    pub remedy: String,
    /// The name under which somebody may say that it is known to be harmless.
    pub acknowledge: Option<String>,
}

/// Returns everything that the statements would break, in their order; nothing when they are safe.
///
/// The same request always gives the same answer. Fails when a file cannot be read as SQL.
pub fn guard(request: &GuardRequest<'_>) -> Result<Vec<Breakage>, Vec<Unreadable>> {
    let mut unreadable = Vec::new();
    let mut live = request.live.clone();
    let mut broken = Vec::new();
    for file in request.files {
        let statements = read(file, &mut unreadable);
        let sectioned = statements.iter().any(|statement| statement.section.is_some());
        for statement in &statements {
            let counts = !sectioned || statement.section == Some(Section::Contract);
            for step in statement.steps.iter().filter(|_| counts) {
                for loss in loss::losses(step) {
                    let place = judge::Place { file: file.name, line: statement.line, text: &statement.text };
                    for breakage in judge::judge(&loss, &place, request.releases, &live) {
                        let known = |name: &String| request.acknowledged.contains(name);
                        if !breakage.acknowledge.as_ref().is_some_and(known) && !broken.contains(&breakage) {
                            broken.push(breakage);
                        }
                    }
                    judge::follow(&loss, &mut live);
                }
            }
        }
    }
    if unreadable.is_empty() { Ok(broken) } else { Err(unreadable) }
}
