//! One loss against every release: what its SQL does itself, then views, then functions.

use std::collections::BTreeSet;

use super::direct::{self, Hit};
use super::live::{LiveDependents, LiveFunction, LiveRelation, Root, last};
use super::loss::Loss;
use super::{Breakage, GuardedRelease, GuardedUse};

/// Where a statement stands.
pub(super) struct Place<'a> {
    pub(super) file: &'a str,
    pub(super) line: usize,
    pub(super) text: &'a str,
}

/// Returns what a loss breaks.
pub(super) fn judge(
    loss: &Loss,
    place: &Place<'_>,
    releases: &[GuardedRelease],
    live: &LiveDependents,
) -> Vec<Breakage> {
    let mut broken = Vec::new();
    let mut blamed: BTreeSet<String> = BTreeSet::new();
    if let Loss::Unknown { why } = loss {
        let mut breakage = place.breakage(None, "the database".to_owned(), GuardedUse::Unknown, why.clone());
        breakage.remedy = "write it as statements whose effect can be told".to_owned();
        breakage.acknowledge = Some(format!("statement:{}:{}", place.file, place.line));
        return vec![breakage];
    }
    for release in releases {
        let name = Some(release.name.as_str());
        for Hit { object, operation, fields, why } in direct::hits(loss, &release.manifest, live) {
            let mut breakage = place.breakage(name, object, operation, why);
            breakage.fields = fields.into_iter().collect();
            broken.push(breakage);
        }
        for root in live.roots(&release.manifest) {
            behind(loss, place, &root, name, live, &mut blamed, &mut broken);
        }
    }
    for (view, known) in &live.relations {
        if known.is_view && !blamed.contains(view) && view_hit(loss, known, live) {
            let why = "the database has a view that reads it, whoever uses that".to_owned();
            let mut breakage = place.breakage(None, object(loss), GuardedUse::Reads, why);
            breakage.through = Some(view.clone());
            breakage.remedy = format!("replace or drop the view {view} before, in the same contract");
            broken.push(breakage);
        }
    }
    broken
}

/// Remembers what is different after a statement.
pub(super) fn follow(loss: &Loss, live: &mut LiveDependents) {
    match loss {
        Loss::Relation { name, renamed: false } => {
            let full = live.full(name);
            live.relations.remove(&full);
        }
        Loss::Function { name } => {
            let full = live.full(name);
            live.functions.remove(&full);
        }
        Loss::View { name, reads, whole_rows, words } => live.replace_view(name, reads, whole_rows, words),
        Loss::Body { name, text } => {
            let full = live.full(name);
            let lower = text.to_lowercase();
            let known =
                ["language sql", "language plpgsql", "begin atomic", "language 'plpgsql'", "language 'sql'"];
            // Overloads cannot be told apart here: the others are kept, and count.
            let function = live.functions.entry(full).or_default();
            if function.bodies.len() == 1 {
                function.bodies.clear();
            }
            function.opaque_language |= !known.iter().any(|language| lower.contains(language));
            function.bodies.push(unquoted_body(text));
        }
        _ => {}
    }
}

/// Returns a CREATE FUNCTION with the quotes around its body taken away.
fn unquoted_body(text: &str) -> String {
    let dollars = text.split('$').collect::<Vec<_>>();
    if dollars.len() > 2 { text.replace("$$", " ") } else { text.replace('\'', " ") }
}

/// What lies behind one use: views, functions, triggers.
fn behind(
    loss: &Loss,
    place: &Place<'_>,
    root: &Root,
    release: Option<&str>,
    live: &LiveDependents,
    blamed: &mut BTreeSet<String>,
    broken: &mut Vec<Breakage>,
) {
    let mut blame = |through: &str, operation, why: &str, acknowledge: Option<String>| {
        let mut breakage = place.breakage(release, object(loss), operation, why.to_owned());
        breakage.through = Some(through.to_owned());
        breakage.fields = root.fields.iter().cloned().collect();
        if let Some(name) = &acknowledge {
            breakage.remedy = format!("read its body, then say --acknowledge {name}");
        }
        breakage.acknowledge = acknowledge;
        broken.push(breakage);
    };
    for view in &root.reach.relations {
        if live.relations.get(view).is_some_and(|known| known.is_view && view_hit(loss, known, live)) {
            blamed.insert(view.clone());
            blame(view, GuardedUse::Reads, "the view reads it", None);
        }
    }
    for name in &root.reach.functions {
        if let Loss::Function { name: gone } = loss {
            if live.same(gone, name) {
                blame(
                    &root.name,
                    GuardedUse::Calls,
                    "the function is not there any more under that name",
                    None,
                );
            }
            continue;
        }
        match live.functions.get(name) {
            Some(function) if function_hit(loss, name, function, live) => {
                blame(name, GuardedUse::Calls, "the body of the function names it", None);
            }
            Some(function) if function.opaque() && takes_away(loss) => {
                let why = "the function runs SQL that it puts together itself: nobody can tell what it uses";
                blame(name, GuardedUse::Unknown, why, Some(format!("function:{name}")));
            }
            _ => {}
        }
    }
}

fn takes_away(loss: &Loss) -> bool {
    !matches!(loss, Loss::View { .. } | Loss::Body { .. } | Loss::LabelNew { .. } | Loss::Key { .. })
}

/// Returns true when a view reads what is taken. A rename is followed by PostgreSQL itself.
fn view_hit(loss: &Loss, view: &LiveRelation, live: &LiveDependents) -> bool {
    let reads = |table: &str, column: &str| {
        view.reads.iter().any(|(name, columns)| live.same(table, name) && columns.contains(column))
            || view.whole_rows.iter().any(|name| live.same(table, name))
    };
    match loss {
        Loss::Column { table, column, renamed: false } | Loss::Type { table, column, .. } => {
            reads(table, column)
        }
        // A whole row shows the new name.
        Loss::Column { table, renamed: true, .. } => {
            view.whole_rows.iter().any(|name| live.same(table, name))
        }
        Loss::Relation { name, renamed: false } => {
            view.reads.keys().chain(&view.whole_rows).any(|read| live.same(name, read))
        }
        _ => false,
    }
}

/// Returns true when the body of a function names what is taken in a way that matters.
fn function_hit(loss: &Loss, name: &str, function: &LiveFunction, live: &LiveDependents) -> bool {
    let words = function.words();
    let has = |name: &str| words.contains(last(name));
    // The function of a trigger has the row at hand without naming the table.
    let at_hand = |table: &str| {
        has(table) || live.relations.get(&live.full(table)).is_some_and(|known| known.calls.contains(name))
    };
    let inserts = has("insert") || has("copy") || has("merge");
    let writes = inserts || has("update");
    match loss {
        Loss::Column { table, column, .. } | Loss::Type { table, column, .. } => {
            at_hand(table) && (has(column) || function.takes_rows())
        }
        Loss::Relation { name, .. } | Loss::TypeName { name } => has(name),
        Loss::Rows { table, .. } => has(table),
        Loss::NotNull { table, column } => {
            let known = live.relations.get(&live.full(table));
            let proven = known.is_some_and(|known| known.not_null.contains(column));
            let filled = known.is_some_and(|known| known.defaults.contains(column));
            let omits = inserts && !has(column) && !filled;
            has(table) && !proven && (omits || (writes && has(column) && has("null")))
        }
        Loss::Default { table, column } => has(table) && inserts && (!has(column) || has("default")),
        Loss::Generated { table, column } => has(table) && writes && (has(column) || function.takes_rows()),
        Loss::Check { table, columns, .. } => {
            let names = columns.as_ref().is_none_or(|columns| columns.iter().any(|column| has(column)));
            has(table) && writes && (names || function.takes_rows())
        }
        Loss::Referenced { table, deletes } => has(table) && has("delete") && !deletes,
        Loss::Key { table, name } => {
            let keyed = live.keys.get(last(name)).map(|(table, _)| table.as_str());
            has("conflict") && keyed.or(table.as_deref()).is_none_or(has)
        }
        Loss::LabelGone { label, .. } => words.contains(label),
        Loss::Domain { name } => has(name),
        Loss::MaybeNull { .. }
        | Loss::Function { .. }
        | Loss::Body { .. }
        | Loss::View { .. }
        | Loss::LabelNew { .. }
        | Loss::Unknown { .. } => false,
    }
}

fn object(loss: &Loss) -> String {
    match loss {
        Loss::Column { table, column, .. }
        | Loss::NotNull { table, column }
        | Loss::MaybeNull { table, column }
        | Loss::Default { table, column }
        | Loss::Generated { table, column }
        | Loss::Type { table, column, .. } => format!("{table}.{column}"),
        Loss::Rows { table, .. } | Loss::Check { table, .. } | Loss::Referenced { table, .. } => {
            table.clone()
        }
        Loss::Relation { name, .. }
        | Loss::Key { name, .. }
        | Loss::Function { name }
        | Loss::Body { name, .. }
        | Loss::View { name, .. }
        | Loss::TypeName { name }
        | Loss::LabelGone { name, .. }
        | Loss::LabelNew { name, .. }
        | Loss::Domain { name } => name.clone(),
        Loss::Unknown { .. } => "the database".to_owned(),
    }
}

impl Place<'_> {
    fn breakage(
        &self,
        release: Option<&str>,
        object: String,
        operation: GuardedUse,
        why: String,
    ) -> Breakage {
        let remedy = match release {
            Some(release) => format!("deploy a release that does not need it, and let {release} go"),
            None => "take the statement out".to_owned(),
        };
        Breakage {
            file: self.file.to_owned(),
            line: self.line,
            statement: self.text.to_owned(),
            release: release.map(str::to_owned),
            object,
            operation,
            through: None,
            fields: Vec::new(),
            why,
            remedy,
            acknowledge: None,
        }
    }
}
