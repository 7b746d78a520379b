//! Which columns lead from one object type to another: the author's word, else a foreign key.

use std::collections::BTreeSet;

use fraiseql_model::artifact::{ColumnPair, NonNull, Reference};
use fraiseql_model::catalog::{ForeignKey, Nullability, QualifiedName, Relation, RelationKind};
use fraiseql_model::diagnostic::Diagnostic;
use fraiseql_model::errors;
use fraiseql_model::names::quote_identifier;

use crate::casing::{reference_stem, snake_case, words};
use crate::column::{Side, non_null, spelled};
use crate::database::Database;
use crate::directive::Usage;
use crate::draft::{Draft, DraftField, unknown_column};
use crate::findings::Findings;
use crate::scalar::Class;
use crate::shape::Shape;

/// The two ends of a reference.
pub(crate) struct Ends<'a> {
    /// The field, for messages: `Album.artist`.
    pub(crate) owner: &'a str,
    pub(crate) local: &'a Draft<'a, 'a>,
    pub(crate) target: &'a Draft<'a, 'a>,
    pub(crate) database: &'a Database<'a>,
}

/// A way from one relation to another that a foreign key gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) on: Vec<ColumnPair>,
    /// The constraint's name.
    pub(crate) constraint: String,
    /// True when the foreign key is on this side.
    pub(crate) forward: bool,
    /// True when at most one row can be there.
    pub(crate) single: bool,
    /// True when every value has its counterpart.
    pub(crate) validated: bool,
}

/// How many rows a field is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    One,
    Many,
}

/// Returns the candidates that a field without a directive could mean.
pub(crate) fn fitting(all: &[Candidate], wanted: Wanted) -> impl Iterator<Item = &Candidate> {
    all.iter().filter(move |candidate| match wanted {
        Wanted::One => candidate.single,
        Wanted::Many => !candidate.forward,
    })
}

/// Binds a field of one row, or adds why it cannot be.
pub(crate) fn to_one(
    findings: &mut Findings,
    ends: &Ends<'_>,
    field: &DraftField<'_>,
    shape: &Shape<'_>,
) -> Option<Reference> {
    let (reference, nullability) = one_row(findings, ends, field)?;
    let (local, target) = (ends.local.relation?, ends.target.relation?);
    let source = format!("its row of {}", target.name);
    let sql_type = &local.columns.first()?.sql_type;
    let side = Side { owner: ends.owner, source: &source, sql_type, input: false };
    let trusted = field.applied.get("neverNull").and_then(|usage| usage.place);
    let non_null = non_null(findings, shape, &side, nullability, trusted, shape.name.location());
    Some(Reference { non_null, ..reference })
}

/// Returns how at most one row is found, and whether it is always there.
pub(crate) fn one_row(
    findings: &mut Findings,
    ends: &Ends<'_>,
    field: &DraftField<'_>,
) -> Option<(Reference, Nullability)> {
    let (local, target) = (ends.local.relation?, ends.target.relation?);
    let all = candidates(ends.database, local, target);
    let chosen = choose(findings, ends, field, &all, Wanted::One)?;
    let known = all.iter().find(|candidate| same_pairs(&candidate.on, &chosen));
    let proven = known.is_some_and(|candidate| is_proven(candidate, local, target));
    let nullability = if proven { Nullability::NotNull } else { Nullability::Nullable };
    if known.is_some_and(|candidate| !candidate.forward) {
        warn_missing_index(findings, ends, field, &chosen);
    }
    let target = ends.target.object.name.to_owned();
    Some((Reference { target, on: chosen, non_null: NonNull::Nullable }, nullability))
}

/// Binds a field of many rows, or adds why it cannot be.
pub(crate) fn to_many(findings: &mut Findings, ends: &Ends<'_>, field: &DraftField<'_>) -> Option<Reference> {
    let (local, target) = (ends.local.relation?, ends.target.relation?);
    let all = candidates(ends.database, local, target);
    let on = choose(findings, ends, field, &all, Wanted::Many)?;
    warn_missing_index(findings, ends, field, &on);
    Some(Reference { target: ends.target.object.name.to_owned(), on, non_null: NonNull::Proven })
}

/// Returns every way that foreign keys give from `local` to `target`, in a fixed order.
pub(crate) fn candidates(database: &Database<'_>, local: &Relation, target: &Relation) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = Vec::new();
    for table in tables_of(local).iter().filter_map(|name| database.relation(name)) {
        for key in table.foreign_keys.iter().filter(|key| tables_of(target).contains(&key.target)) {
            for pairs in mapped(local, &table.name, target, key) {
                add(&mut found, key, pairs, true, true);
            }
        }
    }
    for table in tables_of(target).iter().filter_map(|name| database.relation(name)) {
        for key in table.foreign_keys.iter().filter(|key| tables_of(local).contains(&key.target)) {
            let unique = |columns: &[String]| columns.iter().all(|column| key.columns.contains(column));
            let single = database.keys(table).iter().any(|key| unique(&key.columns));
            for pairs in mapped(target, &table.name, local, key) {
                let turned =
                    pairs.into_iter().map(|pair| ColumnPair { local: pair.remote, remote: pair.local });
                add(&mut found, key, turned.collect(), false, single);
            }
        }
    }
    found.sort_by(|left, right| (&left.constraint, !left.forward).cmp(&(&right.constraint, !right.forward)));
    found
}

/// Returns true when a row is there for every row of `local`.
pub(crate) fn is_proven(candidate: &Candidate, local: &Relation, target: &Relation) -> bool {
    let never_null =
        |name: &str| local.column(name).is_some_and(|column| column.nullability != Nullability::Nullable);
    candidate.forward
        && candidate.validated
        && matches!(target.kind, RelationKind::Table | RelationKind::PartitionedTable)
        && candidate.on.iter().all(|pair| never_null(&pair.local))
}

/// Returns the text of the directive that names these columns.
pub(crate) fn directive(on: &[ColumnPair]) -> String {
    let list = |name: fn(&ColumnPair) -> &str| {
        let names: Vec<String> = on.iter().map(|pair| crate::text::string(name(pair))).collect();
        names.join(", ")
    };
    let (columns, target) = (list(|pair| &pair.local), list(|pair| &pair.remote));
    format!("@reference(columns: [{columns}], target: [{target}])")
}

fn add(found: &mut Vec<Candidate>, key: &ForeignKey, on: Vec<ColumnPair>, forward: bool, single: bool) {
    // The other direction of equal columns leads to the same row, and proves less.
    if let Some(same) = found.iter_mut().find(|known| same_pairs(&known.on, &on)) {
        same.validated |= key.validated && same.forward == forward;
        return;
    }
    found.push(Candidate { on, constraint: key.name.clone(), forward, single, validated: key.validated });
}

/// Returns the columns of `from` and `to` that stand for a foreign key of `table`, which `from`
/// is or shows.
fn mapped(from: &Relation, table: &QualifiedName, to: &Relation, key: &ForeignKey) -> Vec<Vec<ColumnPair>> {
    let mut ways: Vec<Vec<ColumnPair>> = vec![Vec::new()];
    for (column, target) in key.columns.iter().zip(&key.target_columns) {
        let local = standing_for(from, table, column);
        let remote = standing_for(to, &key.target, target);
        // Two columns of a view may come from two rows of the table; only a key of one column can
        // then be told apart.
        if key.columns.len() > 1 && (local.len() > 1 || remote.len() > 1) {
            return Vec::new();
        }
        let pair =
            |local: &str, remote: &str| ColumnPair { local: local.to_owned(), remote: remote.to_owned() };
        let pairs: Vec<ColumnPair> =
            local.iter().flat_map(|local| remote.iter().map(|remote| pair(local, remote))).collect();
        ways = ways
            .iter()
            .flat_map(|way| pairs.iter().map(|next| [way.as_slice(), std::slice::from_ref(next)].concat()))
            .collect();
    }
    ways
}

fn standing_for<'r>(relation: &'r Relation, table: &QualifiedName, column: &str) -> Vec<&'r str> {
    if !is_view(relation) {
        let own = relation.column(column).filter(|_| relation.name == *table);
        return own.into_iter().map(|own| own.name.as_str()).collect();
    }
    let stands = |candidate: &&fraiseql_model::catalog::Column| {
        let origin = candidate.origin.as_ref();
        origin.is_some_and(|origin| origin.relation == *table && origin.column == column)
    };
    relation.columns.iter().filter(stands).map(|column| column.name.as_str()).collect()
}

fn tables_of(relation: &Relation) -> BTreeSet<&QualifiedName> {
    if !is_view(relation) {
        return BTreeSet::from([&relation.name]);
    }
    let origins = relation.columns.iter().filter_map(|column| column.origin.as_ref());
    origins.map(|origin| &origin.relation).collect()
}

fn is_view(relation: &Relation) -> bool {
    matches!(relation.kind, RelationKind::View | RelationKind::MaterializedView)
}

fn same_pairs(left: &[ColumnPair], right: &[ColumnPair]) -> bool {
    left.len() == right.len() && left.iter().all(|pair| right.contains(pair))
}

fn choose(
    findings: &mut Findings,
    ends: &Ends<'_>,
    field: &DraftField<'_>,
    all: &[Candidate],
    wanted: Wanted,
) -> Option<Vec<ColumnPair>> {
    if let Some(usage) = field.applied.get("reference") {
        return explicit(findings, ends, usage, all);
    }
    if mentions_reference(field) {
        // A faulty @reference was told already.
        return None;
    }
    let fitting: Vec<&Candidate> = fitting(all, wanted).collect();
    let place = field.definition.name.location();
    match fitting.as_slice() {
        [] => {
            findings.add(place, no_reference(ends, all, wanted == Wanted::Many));
            None
        }
        [only] => Some(only.on.clone()),
        several => {
            let named: Vec<&&Candidate> =
                several.iter().filter(|found| is_named_after(found, &field.definition.name)).collect();
            if let [only] = named.as_slice() {
                return Some(only.on.clone());
            }
            findings.add(place, ambiguous(ends, several));
            None
        }
    }
}

fn mentions_reference(field: &DraftField<'_>) -> bool {
    field.definition.directives.iter().any(|found| found.name == "reference")
}

/// True for `billingAddress` when the foreign key's only column is `billing_address_id`.
fn is_named_after(candidate: &Candidate, field: &str) -> bool {
    let [pair] = candidate.on.as_slice() else { return false };
    let snake = snake_case(field);
    candidate.forward
        && (words(&pair.local).join("_") == snake
            || reference_stem(&pair.local).is_some_and(|stem| stem == snake))
}

fn no_reference(ends: &Ends<'_>, all: &[Candidate], many: bool) -> Diagnostic {
    let name =
        |draft: &Draft<'_, '_>| draft.relation.map_or_else(String::new, |found| found.name.to_string());
    let (local, target) = (name(ends.local), name(ends.target));
    let type_name = ends.target.object.name;
    let message = if many {
        format!("no foreign key of {target} leads to {local}")
    } else {
        format!("no foreign key of {local} leads to {target}")
    };
    let error = Diagnostic::error(&errors::SDL_NO_REFERENCE, message);
    match all {
        [] => error.hint("say which columns are equal: @reference(columns: [\"...\"], target: [\"...\"])"),
        _ if many => error
            .why(format!("the foreign key {} leads the other way, to one row", all[0].constraint))
            .hint(format!("write {type_name} without the brackets")),
        _ => error
            .why(format!("the foreign key {} leads here from many rows", all[0].constraint))
            .hint(format!("write [{type_name}!]!")),
    }
}

fn ambiguous(ends: &Ends<'_>, several: &[&Candidate]) -> Diagnostic {
    let message = format!("{} could follow {} foreign keys", ends.owner, several.len());
    let lines: Vec<String> =
        several.iter().map(|found| format!("{}  for {}", directive(&found.on), found.constraint)).collect();
    Diagnostic::error(&errors::SDL_AMBIGUOUS_REFERENCE, message)
        .hint(format!("add one of\n{}", lines.join("\n")))
}

fn explicit(
    findings: &mut Findings,
    ends: &Ends<'_>,
    usage: &Usage<'_>,
    all: &[Candidate],
) -> Option<Vec<ColumnPair>> {
    if usage.text("discriminator").is_some() {
        let message =
            format!("{} leads to {}, whose rows are of one type", ends.owner, ends.target.object.name);
        let error = Diagnostic::error(&errors::SDL_DIRECTIVE_ARGUMENT, message)
            .hint("leave \"discriminator\" away; it is for unions, and interfaces without @relation");
        findings.add(usage.place_of("discriminator"), error);
        return None;
    }
    let columns = usage.texts("columns")?;
    let Some(target) = usage.texts("target") else {
        let message = "@reference needs \"target\", a list of strings such as [\"artist_id\"], not empty";
        findings.add(usage.place, Diagnostic::error(&errors::SDL_DIRECTIVE_ARGUMENT, message));
        return None;
    };
    if columns.len() != target.len() {
        let message = format!("\"columns\" names {} and \"target\" names {}", columns.len(), target.len());
        let error = Diagnostic::error(&errors::SDL_DIRECTIVE_ARGUMENT, message)
            .why("the first must equal the first, the second the second, and so on");
        findings.add(usage.place, error);
        return None;
    }
    let mut on = Vec::new();
    for (local, remote) in columns.iter().zip(target) {
        let side = |findings: &mut Findings, draft: &Draft<'_, '_>, argument: &str, name: &str| {
            let relation = draft.relation?;
            if relation.column(name).is_none() {
                findings.add(usage.place_of(argument), unknown_column(relation, name));
            }
            relation.column(name).map(|column| column.sql_type.clone())
        };
        let left = side(findings, ends.local, "columns", local);
        let right = side(findings, ends.target, "target", remote);
        let (left, right) = (left?, right?);
        let pair = ColumnPair { local: (*local).to_owned(), remote: (*remote).to_owned() };
        let of_foreign_key = all.iter().any(|candidate| candidate.on.contains(&pair));
        if !of_foreign_key && !comparable(ends.database, &left, &right) {
            let message = format!("{local} is {} and {remote} is {}", spelled(&left), spelled(&right));
            let error = Diagnostic::error(&errors::SDL_TYPE_MISMATCH, message)
                .why("PostgreSQL has no = for these two");
            findings.add(usage.place, error);
            return None;
        }
        if !on.contains(&pair) {
            on.push(pair);
        }
    }
    Some(on)
}

/// Returns true when PostgreSQL has an = for the two types.
pub(crate) fn comparable(
    database: &Database<'_>,
    left: &fraiseql_model::catalog::TypeRef,
    right: &fraiseql_model::catalog::TypeRef,
) -> bool {
    let numeric = |class: &Class| matches!(class, Class::Int | Class::BigInt | Class::Decimal | Class::Float);
    match (database.element(left), database.element(right)) {
        (Some(left), Some(right)) if !left.list && !right.list => {
            let searchable = crate::object::is_searchable(&left) && crate::object::is_searchable(&right);
            let same = match &left.class {
                Class::Opaque(_) => left.sql == right.sql,
                class => *class == right.class || (numeric(class) && numeric(&right.class)),
            };
            searchable && same
        }
        (Some(left), Some(right)) => left == right,
        _ => false,
    }
}

fn warn_missing_index(findings: &mut Findings, ends: &Ends<'_>, field: &DraftField<'_>, on: &[ColumnPair]) {
    let Some(relation) = ends.target.relation else { return };
    let remote: Vec<&str> = on.iter().map(|pair| pair.remote.as_str()).collect();
    let Some((table, columns)) = base_of(ends.database, relation, &remote) else { return };
    if table.kind == RelationKind::ForeignTable || has_index(table, &columns) {
        return;
    }
    let listed: Vec<String> = columns.iter().map(|column| quote_identifier(column)).collect();
    // PostgreSQL cannot build an index on a partitioned table concurrently.
    let concurrently = if table.kind == RelationKind::PartitionedTable { "" } else { " CONCURRENTLY" };
    let message = format!("{} has no index on {}", table.name, columns.join(", "));
    let warning = Diagnostic::warning(&errors::SDL_MISSING_INDEX, message)
        .why(format!("each row with {} makes PostgreSQL read the whole table", ends.owner))
        .hint(format!("CREATE INDEX{concurrently} ON {} ({});", table.name.sql(), listed.join(", ")));
    findings.add(field.definition.name.location(), warning);
}

/// Returns the table, and its columns, that columns of a relation stand for.
fn base_of<'d>(
    database: &Database<'d>,
    relation: &'d Relation,
    columns: &[&str],
) -> Option<(&'d Relation, Vec<String>)> {
    if relation.kind != RelationKind::View {
        return Some((relation, columns.iter().map(|column| (*column).to_owned()).collect()));
    }
    let mut table = None;
    let mut base = Vec::new();
    for column in columns {
        let origin = relation.column(column)?.origin.as_ref()?;
        if *table.get_or_insert(&origin.relation) != &origin.relation {
            return None;
        }
        base.push(origin.column.clone());
    }
    Some((database.relation(table?)?, base))
}

fn has_index(table: &Relation, columns: &[String]) -> bool {
    let leads = |index: &[String]| {
        index.len() >= columns.len() && index[..columns.len()].iter().all(|column| columns.contains(column))
    };
    table.indexes.iter().any(|index| leads(index)) || table.keys().any(|key| leads(&key.columns))
}
