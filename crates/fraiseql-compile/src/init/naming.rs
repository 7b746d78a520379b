//! GraphQL names for everything that a database has: valid, unique, and the same every time.

use std::collections::{BTreeMap, BTreeSet};

use fraiseql_model::catalog::QualifiedName;

use crate::casing::{camel_case, capitalised, is_name, pascal_case, words};
use crate::input::SHARED_FILTERS;
use crate::plural::singular;
use crate::scalar;
use crate::write::stems;

/// What is generated for an object type, by the end of its name.
const OBJECT_SUFFIXES: &[&str] =
    &["", "Filter", "ListFilter", "OrderBy", "InsertInput", "SetInput", "Conflict", "MutationResult"];
/// What is generated for an enum, by the end of its name.
const ENUM_SUFFIXES: &[&str] = &["", "Filter", "ListFilter"];
/// Types that are always there, or may be generated for any schema.
const RESERVED: &[&str] = &["Query", "Mutation", "Subscription", "OrderDirection"];
/// Beginnings of relations' names that say what they are and not what is in them.
const PREFIXES: &[&str] = &["tb_", "tv_", "mv_", "vw_", "v_"];

/// The names of types that are taken, generated ones included.
#[derive(Debug)]
pub(crate) struct TypeNames {
    taken: BTreeSet<String>,
}

impl TypeNames {
    pub(crate) fn new() -> Self {
        let mut taken: BTreeSet<String> = RESERVED.iter().map(|name| (*name).to_owned()).collect();
        taken.extend(SHARED_FILTERS.iter().map(|name| (*name).to_owned()));
        for name in scalar::names() {
            taken.extend(ENUM_SUFFIXES.iter().map(|suffix| format!("{name}{suffix}")));
        }
        Self { taken }
    }

    /// Names object types. Relations of `public` choose first, the others in the order of their names.
    pub(crate) fn objects<'c>(
        &mut self,
        relations: impl Iterator<Item = &'c QualifiedName>,
    ) -> BTreeMap<&'c QualifiedName, String> {
        let mut relations: Vec<&QualifiedName> = relations.collect();
        relations.sort_by_key(|name| (name.schema != "public", *name));
        let mut short: BTreeMap<&str, usize> = BTreeMap::new();
        for name in &relations {
            *short.entry(without_prefix(&name.name)).or_default() += 1;
        }
        let mut names = BTreeMap::new();
        for relation in relations {
            let bare = without_prefix(&relation.name);
            let bare = if short[bare] == 1 { bare } else { &relation.name };
            let base = singular(&pascal_case(bare, "Table"));
            let qualified = format!("{}{base}", pascal_case(&relation.schema, "Schema"));
            let qualified = (relation.schema != "public").then_some(qualified);
            let candidates = [Some(base.clone()), qualified, Some(format!("{base}Row"))];
            let name = self.take(&base, candidates.into_iter().flatten(), |name| {
                let (one, many) = stems(name);
                let types = OBJECT_SUFFIXES.iter().map(|suffix| format!("{name}{suffix}"));
                let mutations = [format!("insert {one}"), format!("insert {many}")];
                types.chain(mutations).collect()
            });
            names.insert(relation, name);
        }
        names
    }

    /// Names enums.
    pub(crate) fn enums<'c>(
        &mut self,
        enums: impl Iterator<Item = &'c QualifiedName>,
    ) -> BTreeMap<&'c QualifiedName, String> {
        let mut names = BTreeMap::new();
        for found in enums {
            let base = pascal_case(&found.name, "Enum");
            let qualified = format!("{}{base}", pascal_case(&found.schema, "Schema"));
            let qualified = (found.schema != "public").then_some(qualified);
            let candidates = [Some(base.clone()), qualified, Some(format!("{base}Enum"))];
            let name = self.take(&base, candidates.into_iter().flatten(), |name| {
                ENUM_SUFFIXES.iter().map(|suffix| format!("{name}{suffix}")).collect()
            });
            names.insert(found, name);
        }
        names
    }

    fn take(
        &mut self,
        base: &str,
        candidates: impl Iterator<Item = String>,
        claims: impl Fn(&str) -> Vec<String>,
    ) -> String {
        let numbered = (2..).map(|number| format!("{base}{number}"));
        let mut candidates = candidates.chain(numbered);
        let free = |name: &String| {
            let claims = claims(name);
            claims.iter().collect::<BTreeSet<_>>().len() == claims.len()
                && !claims.iter().any(|claim| self.taken.contains(claim))
        };
        let name = candidates.find(free).expect("numbers do not end");
        self.taken.extend(claims(&name));
        name
    }
}

/// Names within one type or enum.
#[derive(Debug, Default)]
pub(crate) struct MemberNames {
    taken: BTreeSet<String>,
}

impl MemberNames {
    /// Takes the first candidate that is free, else the last with a number.
    pub(crate) fn take(&mut self, candidates: &[String]) -> String {
        let last = candidates.last().map_or("field", String::as_str).to_owned();
        let numbered = (2..).map(|number| format!("{last}{number}"));
        let mut all = candidates.iter().cloned().chain(numbered);
        let name = all.find(|name| !self.taken.contains(name)).expect("numbers do not end");
        self.taken.insert(name.clone());
        name
    }
}

/// Returns the names of an enum's values, in the order of the labels.
pub(crate) fn enum_values(labels: &[String]) -> Vec<String> {
    let usable = |label: &str| is_name(label) && !["true", "false", "null"].contains(&label);
    let mut names = MemberNames::default();
    for label in labels.iter().filter(|label| usable(label)) {
        names.take(std::slice::from_ref(label));
    }
    let name = |label: &String| {
        if usable(label) {
            return label.clone();
        }
        let mut name = words(label).join("_");
        if !usable(&name) {
            name = format!("_{name}");
        }
        if name == "_" {
            name = "value".to_owned();
        }
        names.take(&[name])
    };
    labels.iter().map(name).collect()
}

/// Returns the names that a reference from this side could have, the best first.
pub(crate) fn forward_names(columns: &[&str], own_key: bool, target: &str) -> Vec<String> {
    let target_name = crate::casing::uncapitalised(target);
    let by = format!("{target_name}By{}", by_columns(columns));
    match columns {
        [column] => match crate::casing::reference_stem(column) {
            Some(stem) => {
                let stem = camel_case(&stem, "reference");
                let long = format!("{stem}{}", capitalised(target));
                vec![stem, long, by]
            }
            None if own_key => vec![target_name, by],
            None => {
                let long = format!("{}{}", camel_case(column, "reference"), capitalised(target));
                vec![long, target_name, by]
            }
        },
        _ => vec![target_name, by],
    }
}

/// Returns the names that a reference from the other side could have, the best first.
pub(crate) fn backward_names(columns: &[&str], only: bool, name: &str) -> Vec<String> {
    let name = crate::casing::uncapitalised(name);
    let by = format!("{name}By{}", by_columns(columns));
    if only { vec![name, by] } else { vec![by] }
}

fn by_columns(columns: &[&str]) -> String {
    let part = |column: &&str| match crate::casing::reference_stem(column) {
        Some(stem) => pascal_case(&stem, "Column"),
        None => pascal_case(column, "Column"),
    };
    columns.iter().map(part).map(|part| part.trim_start_matches('_').to_owned()).collect()
}

fn without_prefix(name: &str) -> &str {
    let bare = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix));
    bare.filter(|bare| bare.starts_with(|first: char| first.is_ascii_lowercase())).unwrap_or(name)
}
