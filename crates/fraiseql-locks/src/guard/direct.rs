//! What breaks in the compiled SQL of a release itself: its manifest against one loss.

use std::collections::BTreeSet;

use fraiseql_model::manifest::{Insert, Manifest, Read, Write};

use super::GuardedUse;
use super::live::{LiveDependents, last};
use super::loss::Loss;

/// A use that breaks.
pub(super) struct Hit {
    pub(super) object: String,
    pub(super) operation: GuardedUse,
    pub(super) fields: BTreeSet<String>,
    pub(super) why: String,
}

/// Returns the uses of a release that a loss breaks.
pub(super) fn hits(loss: &Loss, manifest: &Manifest, live: &LiveDependents) -> Vec<Hit> {
    let mut hits = Vec::new();
    for (name, read) in &manifest.reads {
        hits.extend(reads(loss, name, read, live));
    }
    for (name, write) in &manifest.writes {
        let read = manifest.reads.get(name);
        for (operation, column, why) in writes(loss, name, write, read, live) {
            let object = column.map_or_else(|| name.clone(), |column| format!("{name}.{column}"));
            hits.push(Hit { object, operation, fields: BTreeSet::new(), why });
        }
    }
    types(loss, manifest, live, &mut hits);
    hits
}

fn reads(loss: &Loss, name: &str, read: &Read, live: &LiveDependents) -> Option<Hit> {
    let of = |table: &str| part_of(live, name, table);
    let fields = || read.columns.values().flatten().cloned().collect::<BTreeSet<String>>();
    let column_hit = |column: &str, operation: GuardedUse, why: String| Hit {
        object: format!("{name}.{column}"),
        operation,
        fields: read.columns.get(column).cloned().unwrap_or_default(),
        why,
    };
    match loss {
        Loss::Column { table, column, .. } if of(table) => {
            let named = read.columns.contains_key(column) || read.column_types.contains_key(column);
            (named || read.whole_row || read.non_null.contains(column))
                .then(|| column_hit(column, GuardedUse::Reads, "the column is not there any more".to_owned()))
        }
        Loss::Relation { name: gone, .. } if of(gone) => Some(Hit {
            object: name.to_owned(),
            operation: GuardedUse::Reads,
            fields: fields(),
            why: "it is not there any more under that name".to_owned(),
        }),
        Loss::Rows { table, why } if over(live, name, table) => Some(Hit {
            object: name.to_owned(),
            operation: GuardedUse::Reads,
            fields: fields(),
            why: (*why).to_owned(),
        }),
        Loss::MaybeNull { table, column } if over(live, name, table) => {
            read.non_null.contains(column).then(|| {
                column_hit(column, GuardedUse::Reads, "its schema promises that it is never null".to_owned())
            })
        }
        Loss::Type { table, column, to } if of(table) => {
            let used = read.columns.contains_key(column) || read.whole_row;
            let expected = read.column_types.get(column);
            let fits = expected.is_some_and(|expected| same_type(expected, to));
            (used || expected.is_some()).then_some(())?;
            let expects = expected.map_or("another type", String::as_str);
            (!fits)
                .then(|| column_hit(column, GuardedUse::Decodes, format!("it expects {expects}, not {to}")))
        }
        _ => None,
    }
}

type Written<'a> = (GuardedUse, Option<&'a str>, String);

fn writes<'a>(
    loss: &'a Loss,
    name: &str,
    write: &'a Write,
    read: Option<&Read>,
    live: &LiveDependents,
) -> Vec<Written<'a>> {
    let of = |table: &str| part_of(live, name, table);
    let mut found: Vec<Written<'a>> = Vec::new();
    let gives = |column: &str| write.insert.as_ref().is_some_and(|insert| given(insert, column));
    match loss {
        Loss::Column { table, column, .. } if of(table) => {
            let gone = || "the column is not there any more".to_owned();
            if gives(column) {
                found.push((GuardedUse::Inserts, Some(column), gone()));
            }
            if write.update.contains(column) {
                found.push((GuardedUse::Updates, Some(column), gone()));
            }
            if write.conflict_keys.iter().flatten().any(|key| key == column) {
                found.push((GuardedUse::Upserts, Some(column), gone()));
            }
        }
        Loss::Relation { name: gone, .. } if of(gone) => {
            found.extend(any(write, "it is not there any more under that name"));
        }
        Loss::Rows { table, why } if over(live, name, table) => found.extend(any(write, why)),
        Loss::NotNull { table, column } if over(live, name, table) => {
            found.extend(not_null(table, column, write, read, live));
        }
        Loss::Default { table, column } if over(live, name, table) => {
            let required = write.insert.as_ref().is_none_or(|insert| insert.required.contains(column));
            if !required {
                let why = "it leaves the column to its default".to_owned();
                found.push((GuardedUse::Inserts, Some(column), why));
            }
        }
        Loss::Generated { table, column } if over(live, name, table) => {
            let why = || "nobody may give the column a value any more".to_owned();
            found.extend(gives(column).then(|| (GuardedUse::Inserts, Some(column.as_str()), why())));
            let updates = write.update.contains(column);
            found.extend(updates.then(|| (GuardedUse::Updates, Some(column.as_str()), why())));
        }
        Loss::Type { table, column, to } if over(live, name, table) => {
            let expected = read.and_then(|read| read.column_types.get(column));
            let why = || format!("it writes {}, not {to}", expected.map_or("another type", String::as_str));
            let fits = expected.is_some_and(|expected| same_type(expected, to));
            found.extend(
                (!fits && gives(column)).then(|| (GuardedUse::Inserts, Some(column.as_str()), why())),
            );
            let updates = !fits && write.update.contains(column);
            found.extend(updates.then(|| (GuardedUse::Updates, Some(column.as_str()), why())));
        }
        _ => found.extend(constrained(loss, name, write, live)),
    }
    found
}

/// What is not accepted any more because of a constraint, a key or a domain.
fn constrained<'a>(loss: &'a Loss, name: &str, write: &'a Write, live: &LiveDependents) -> Vec<Written<'a>> {
    let mut found: Vec<Written<'a>> = Vec::new();
    match loss {
        Loss::Check { table, columns, what } if over(live, name, table) => {
            let defaults = live_of(live, table).map(|known| &known.defaults);
            let decides = |column: &String| {
                let insert = write.insert.as_ref();
                insert.is_some_and(|insert| given(insert, column))
                    || defaults.is_some_and(|defaults| defaults.contains(column))
            };
            let why = || format!("{what} may refuse what it writes");
            if write.insert.is_some() && columns.as_ref().is_none_or(|columns| columns.iter().any(decides)) {
                found.push((GuardedUse::Inserts, None, why()));
            }
            let sets = |column: &String| write.update.contains(column);
            if !write.update.is_empty() && columns.as_ref().is_none_or(|columns| columns.iter().any(sets)) {
                found.push((GuardedUse::Updates, None, why()));
            }
        }
        Loss::Referenced { table, deletes } if over(live, name, table) => {
            let why = || "rows of another table refer to these".to_owned();
            if write.delete && !deletes {
                found.push((GuardedUse::Deletes, None, why()));
            }
            let keys = live.keys.values().filter(|(keyed, _)| live.same(table, keyed));
            if keys.flat_map(|(_, columns)| columns).any(|column| write.update.contains(column)) {
                found.push((GuardedUse::Updates, None, why()));
            }
        }
        Loss::Key { table, name: key } => {
            let last_key = last(key);
            let gone = match live.keys.get(last_key) {
                Some((table, columns)) => {
                    let gone: BTreeSet<&String> = columns.iter().collect();
                    let same = |key: &Vec<String>| key.iter().collect::<BTreeSet<_>>() == gone;
                    over(live, name, table) && write.conflict_keys.iter().any(same)
                }
                None if live.keys.is_empty() => {
                    table.as_ref().is_none_or(|table| live.same(table, name))
                        && !write.conflict_keys.is_empty()
                }
                None => false,
            };
            if gone {
                let why = "no unique key tells any more which row is meant".to_owned();
                found.push((GuardedUse::Upserts, None, why));
            }
        }
        Loss::Domain { name: domain } => {
            let known = live.relations.get(name).map(|relation| &relation.columns);
            let of_domain = |column: &String| {
                known.is_none_or(|known| known.get(column).is_none_or(|kind| last(kind) == last(domain)))
            };
            let insert =
                write.insert.iter().flat_map(|insert| insert.required.iter().chain(&insert.optional));
            if let Some(column) = insert.chain(&write.update).find(|column| of_domain(column)) {
                let why = "the domain may refuse what it writes".to_owned();
                let operation =
                    if write.insert.is_some() { GuardedUse::Inserts } else { GuardedUse::Updates };
                found.push((operation, Some(column), why));
            }
        }
        _ => {}
    }
    found
}

fn not_null<'a>(
    table: &str,
    column: &'a str,
    write: &Write,
    read: Option<&Read>,
    live: &LiveDependents,
) -> Vec<Written<'a>> {
    let known = live_of(live, table);
    if known.is_some_and(|known| known.not_null.contains(column)) {
        return Vec::new();
    }
    let mut found = Vec::new();
    if let Some(insert) = &write.insert {
        let filled = known.is_some_and(|known| known.defaults.contains(column));
        if insert.optional.contains(column) {
            found.push((GuardedUse::Inserts, Some(column), "it may leave the column NULL".to_owned()));
        } else if !insert.required.contains(column) && !filled {
            found.push((GuardedUse::Inserts, Some(column), "it leaves the column out".to_owned()));
        }
    }
    let promised = read.is_some_and(|read| read.non_null.contains(column));
    if write.update.contains(column) && !promised {
        found.push((GuardedUse::Updates, Some(column), "it may set the column to NULL".to_owned()));
    }
    found
}

fn any<'a>(write: &Write, why: &str) -> Vec<Written<'a>> {
    let mut found = Vec::new();
    if write.insert.is_some() {
        found.push((GuardedUse::Inserts, None, why.to_owned()));
    }
    if !write.update.is_empty() {
        found.push((GuardedUse::Updates, None, why.to_owned()));
    }
    if write.delete {
        found.push((GuardedUse::Deletes, None, why.to_owned()));
    }
    found
}

fn types(loss: &Loss, manifest: &Manifest, live: &LiveDependents, hits: &mut Vec<Hit>) {
    let mut hit = |object: &str, operation, why: &str| {
        hits.push(Hit { object: object.to_owned(), operation, fields: BTreeSet::new(), why: why.to_owned() });
    };
    match loss {
        Loss::TypeName { name } => {
            let gone = "the type is not there any more under that name";
            for full in manifest.types.keys().filter(|full| live.same(name, full)) {
                hit(full, GuardedUse::Decodes, gone);
            }
            let is = |kind: &str| last(kind).trim_end_matches("[]") == last(name);
            for (relation, read) in &manifest.reads {
                for (column, _) in read.column_types.iter().filter(|(_, kind)| is(kind)) {
                    hit(&format!("{relation}.{column}"), GuardedUse::Decodes, gone);
                }
            }
            for (function, called) in &manifest.functions {
                if called.arguments.values().any(|kind| is(kind)) || is(&called.returns) {
                    hit(function, GuardedUse::Calls, gone);
                }
            }
        }
        Loss::LabelGone { name, label } => {
            for (full, known) in manifest.types.iter().filter(|(full, _)| live.same(name, full)) {
                let plain = known.labels_read.is_empty() && known.labels_written.is_empty();
                if plain || known.labels_read.contains(label) || known.labels_written.contains(label) {
                    hit(full, GuardedUse::Decodes, &format!("the label '{label}' is not there any more"));
                }
            }
        }
        Loss::LabelNew { name, label } => {
            for (full, known) in manifest.types.iter().filter(|(full, _)| live.same(name, full)) {
                if !known.labels_read.is_empty() && !known.labels_read.contains(label) {
                    hit(full, GuardedUse::Decodes, &format!("it does not know the label '{label}'"));
                }
            }
        }
        _ => {}
    }
}

fn given(insert: &Insert, column: &str) -> bool {
    insert.required.contains(column) || insert.optional.contains(column)
}

fn live_of<'l>(live: &'l LiveDependents, table: &str) -> Option<&'l super::LiveRelation> {
    live.relations.get(&live.full(table))
}

/// Returns true when what is used is the table, or a view or partition over it.
fn over(live: &LiveDependents, used: &str, table: &str) -> bool {
    leads(live, used, table, true)
}

/// Returns true when what is used is the table, or a partition of it.
fn part_of(live: &LiveDependents, used: &str, table: &str) -> bool {
    leads(live, used, table, false)
}

fn leads(live: &LiveDependents, used: &str, table: &str, views: bool) -> bool {
    let mut open = vec![used.to_owned()];
    let mut seen: BTreeSet<String> = BTreeSet::new();
    while let Some(name) = open.pop() {
        if live.same(table, &name) {
            return true;
        }
        if let Some(known) =
            live.relations.get(&name).filter(|known| (views || !known.is_view) && !seen.contains(&name))
        {
            open.extend(known.reads.keys().chain(&known.whole_rows).cloned());
        }
        seen.insert(name);
    }
    false
}

/// Returns true for two names of one type.
fn same_type(one: &str, other: &str) -> bool {
    plain_type(one) == plain_type(other)
}

fn plain_type(kind: &str) -> String {
    let kind = kind.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ");
    let kind = kind.strip_prefix("public.").or_else(|| kind.strip_prefix("pg_catalog.")).unwrap_or(&kind);
    let (name, rest) = match kind.find(['(', '[']) {
        Some(at) => kind.split_at(at),
        None => (kind, ""),
    };
    let name = match name.trim() {
        "int" | "int4" => "integer",
        "int8" => "bigint",
        "int2" => "smallint",
        "varchar" => "character varying",
        "char" | "bpchar" => "character",
        "float8" => "double precision",
        "float4" => "real",
        "bool" => "boolean",
        "decimal" => "numeric",
        "timestamptz" => "timestamp with time zone",
        "timestamp" => "timestamp without time zone",
        "timetz" => "time with time zone",
        "time" => "time without time zone",
        other => other,
    };
    format!("{name}{rest}")
}
