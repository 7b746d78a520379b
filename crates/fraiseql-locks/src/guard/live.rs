//! What the live catalog knows of views and functions, and what can be reached from a release.

use std::collections::{BTreeMap, BTreeSet};

use fraiseql_model::manifest::Manifest;

use super::words::{self, Word};

/// Words of a query or body that take rows as a whole.
const WHOLE_ROW: &[&str] = &[
    "to_jsonb",
    "row_to_json",
    "to_json",
    "jsonb_agg",
    "json_agg",
    "array_agg",
    "rowtype",
    "hstore",
    "jsonb_populate_record",
    "json_populate_record",
];

/// Dependents that only the database knows. Names are `schema.name`, unquoted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveDependents {
    /// Schemas in which a name without one is looked for; `public` always is.
    pub search_path: Vec<String>,
    /// Tables, views and sequences.
    pub relations: BTreeMap<String, LiveRelation>,
    /// Functions, overloads together.
    pub functions: BTreeMap<String, LiveFunction>,
    /// Unique indexes and constraints by name without the schema: table and columns.
    pub keys: BTreeMap<String, (String, Vec<String>)>,
}

/// A relation as it is now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveRelation {
    /// Columns and their types, as SQL.
    pub columns: BTreeMap<String, String>,
    /// Columns that must have a value.
    pub not_null: BTreeSet<String>,
    /// Columns with a default, an identity or an expression.
    pub defaults: BTreeSet<String>,
    /// A view, materialized or not. Partitions and their parents are not, and stand in `reads` of each other.
    pub is_view: bool,
    /// Of a view: the columns that its query reads of each relation.
    pub reads: BTreeMap<String, BTreeSet<String>>,
    /// Of a view: the relations whose rows are read as a whole.
    pub whole_rows: BTreeSet<String>,
    /// Functions that run when it is read or written: of triggers, policies, defaults, constraints, queries.
    pub calls: BTreeSet<String>,
}

/// Functions of one name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveFunction {
    /// The bodies.
    pub bodies: Vec<String>,
    /// A language whose bodies cannot be read: neither SQL nor PL/pgSQL.
    pub opaque_language: bool,
}

impl LiveFunction {
    /// Returns true when nobody can tell what it touches.
    pub(super) fn opaque(&self) -> bool {
        let dynamic = |body: &String| {
            let words = words::read(body);
            let runs = |at: usize| {
                words[at].is("execute")
                    && !words.get(at + 1).is_some_and(|next| next.is("function") || next.is("procedure"))
            };
            (0..words.len()).any(runs)
        };
        self.opaque_language || self.bodies.iter().any(dynamic)
    }

    pub(super) fn words(&self) -> BTreeSet<String> {
        self.bodies.iter().flat_map(|body| words::read(body)).map(|word| word.name()).collect()
    }

    /// Returns true when it takes rows as a whole: `SELECT *`, records, INSERT without columns.
    pub(super) fn takes_rows(&self) -> bool {
        let whole = |body: &String| {
            let words = words::read(body);
            let star = |at: usize| {
                words[at] == Word::Sign('*')
                    && at > 0
                    && (words[at - 1].is("select") || matches!(words[at - 1], Word::Sign('.' | ',')))
            };
            let listless = |at: usize| {
                let values = |word: &Word| word.is("values") || word.is("select");
                words[at].is("into")
                    && words[at + 1..].iter().take(4).take_while(|word| **word != Word::Sign('(')).any(values)
            };
            let named = |word: &Word| WHOLE_ROW.iter().any(|known| word.is(known));
            (0..words.len()).any(|at| star(at) || listless(at)) || words.iter().any(named)
        };
        self.bodies.iter().any(whole)
    }
}

/// What can be reached from one use of the database.
#[derive(Clone, Debug, Default)]
pub(super) struct Reach {
    /// Relations below views, and in the bodies of functions.
    pub(super) relations: BTreeSet<String>,
    pub(super) functions: BTreeSet<String>,
}

/// One use that a release makes of the database.
#[derive(Clone, Debug)]
pub(super) struct Root {
    /// What is used: a relation, or a function.
    pub(super) name: String,
    pub(super) fields: BTreeSet<String>,
    pub(super) reach: Reach,
}

impl LiveDependents {
    /// Returns true when a name as written may be that of `full`.
    pub(super) fn same(&self, written: &str, full: &str) -> bool {
        if written == full {
            return true;
        }
        let Some(schema) = full.strip_suffix(written).and_then(|rest| rest.strip_suffix('.')) else {
            return false;
        };
        schema == "public" || self.search_path.iter().any(|known| known == schema)
    }

    /// Returns what a release uses, each with what is behind it.
    pub(super) fn roots(&self, manifest: &Manifest) -> Vec<Root> {
        let mut roots = Vec::new();
        for (name, read) in &manifest.reads {
            let fields = read.columns.values().flatten().cloned().collect();
            roots.push(Root { name: name.clone(), fields, reach: self.reach(Some(name), None) });
        }
        for name in manifest.writes.keys() {
            let reach = self.reach(Some(name), None);
            roots.push(Root { name: name.clone(), fields: BTreeSet::new(), reach });
        }
        for (name, called) in &manifest.functions {
            let plain = name.split('(').next().unwrap_or(name);
            let reach = self.reach(None, Some(plain));
            roots.push(Root { name: plain.to_owned(), fields: called.used_by.clone(), reach });
        }
        roots
    }

    fn reach(&self, relation: Option<&str>, function: Option<&str>) -> Reach {
        let mut reach = Reach::default();
        let mut relations: Vec<String> = relation.into_iter().map(str::to_owned).collect();
        let mut functions: Vec<String> = function.into_iter().map(str::to_owned).collect();
        loop {
            if let Some(name) = relations.pop() {
                if let Some(live) = self.relations.get(&name).filter(|_| !reach.relations.contains(&name)) {
                    relations.extend(live.reads.keys().chain(&live.whole_rows).cloned());
                    functions.extend(live.calls.iter().cloned());
                }
                reach.relations.insert(name);
            } else if let Some(name) = functions.pop() {
                if let Some(live) = self.functions.get(&name).filter(|_| !reach.functions.contains(&name)) {
                    let words = live.words();
                    let named = |full: &&String| words.contains(last(full));
                    relations.extend(self.relations.keys().filter(named).cloned());
                    functions.extend(self.functions.keys().filter(named).cloned());
                }
                reach.functions.insert(name);
            } else {
                return reach;
            }
        }
    }

    /// Takes in a view as it is after a statement.
    pub(super) fn replace_view(
        &mut self,
        name: &str,
        reads: &[String],
        whole_rows: &[String],
        words: &[String],
    ) {
        let full = self.full(name);
        let columns: BTreeSet<String> = words.iter().map(|word| last(word).to_owned()).collect();
        let mut live = LiveRelation { is_view: true, ..LiveRelation::default() };
        for read in reads {
            let read = self.full(read);
            live.reads.insert(read.clone(), columns.clone());
            live.calls.extend(self.functions.keys().filter(|name| columns.contains(last(name))).cloned());
        }
        live.whole_rows = whole_rows.iter().map(|read| self.full(read)).collect();
        self.relations.insert(full, live);
    }

    /// Returns the full name of a relation or function that is written in some way.
    pub(super) fn full(&self, written: &str) -> String {
        let mut known = self.relations.keys().chain(self.functions.keys());
        match known.find(|full| self.same(written, full)) {
            Some(full) => full.clone(),
            None if written.contains('.') => written.to_owned(),
            None => format!("public.{written}"),
        }
    }
}

/// Returns a name without its schema.
pub(super) fn last(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}
