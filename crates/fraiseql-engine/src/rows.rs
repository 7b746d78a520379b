//! Which rows a caller may use, as SQL.
//!
//! In a view for callers the relation of an object type is a subquery that lets only their rows through,
//! so that whoever reads the type need not know; PostgreSQL pulls it up into the query around it. What
//! has to name the table itself, which writing does, stands in `write.rs` and `nested.rs`. Claims are
//! parameters: a fragment that is made before any statement holds a mark where one will be.

use std::collections::{BTreeMap, BTreeSet};

use fraiseql_model::access::Access;
use fraiseql_model::artifact::{Artifact, Field, ObjectType};
use fraiseql_model::names::quote_literal;
use fraiseql_model::row_rule::{RowCondition, RowValue, RowValues};

use crate::plan::{DENIED_MARKER, Param};
use crate::schema::{Object, column_sql};
use crate::sql::joined;

/// Begins and ends the mark of a claim. PostgreSQL's texts and names cannot hold it, so that nothing
/// else in a statement is taken for one, and no statement runs in which one is left.
const MARK: char = '\0';

/// The rows of an object type that callers of a view may use.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    read: Option<RowCondition>,
    write: Option<RowCondition>,
    /// The relation as SQL, when some rows may not be used and functions take rows.
    row_type: Option<String>,
}

impl Rows {
    /// Returns the rows of a type for callers who hold these rules; everything without `held`.
    pub(crate) fn of(access: &Access, name: &str, binding: &ObjectType, held: Option<&[bool]>) -> Self {
        let (Some(guard), Some(held)) = (access.rows.get(name), held) else { return Self::default() };
        let read = guard.readable(held);
        let takes_row = binding.fields.values().any(|field| matches!(field, Field::Computed(_)));
        let row_type = (read.is_some() && takes_row).then(|| binding.relation.sql());
        Self { read, write: guard.writable(held), row_type }
    }

    /// True when some rows may not be used.
    pub(crate) fn are_restricted(&self) -> bool {
        self.read.is_some()
    }
}

impl Object {
    /// Returns what FROM opens to read rows.
    pub(crate) fn opened(artifact: &Artifact, binding: &ObjectType, rows: &Rows) -> String {
        let table = binding.relation.sql();
        let Some(read) = &rows.read else { return table };
        let alias = "\"0o\"";
        let columns = if rows.row_type.is_some() {
            format!("{alias}.*")
        } else {
            let read = artifact.manifest.reads.get(&binding.relation.to_string());
            let columns = read.iter().flat_map(|read| read.columns.keys());
            columns.map(|column| column_sql(alias, column)).collect::<Vec<_>>().join(", ")
        };
        format!("(SELECT {columns} FROM {table} AS {alias} WHERE {})", condition(read, alias, 0))
    }

    /// Returns the relation itself, with every row: for writing, and for its row type.
    pub(crate) fn table(&self) -> String {
        self.binding.relation.sql()
    }

    /// Returns the conditions under which a row that did not come out of [`Object::relation`] may be seen.
    pub(crate) fn readable(&self, alias: &str) -> Option<String> {
        self.rows.read.as_ref().map(|read| condition(read, alias, 0))
    }

    /// Returns the conditions under which a row of the table may be changed.
    pub(crate) fn changeable(&self, alias: &str) -> Vec<String> {
        let write = self.rows.write.as_ref().filter(|_| self.rows.write != self.rows.read);
        let both = [self.rows.read.as_ref(), write];
        both.into_iter().flatten().map(|one| condition(one, alias, 0)).collect()
    }

    /// Returns an expression that fails when a written row is none that the caller may write.
    ///
    /// `alias` names the row as it is now. The failing cast reads the row, so that the planner cannot
    /// run it ahead of time.
    pub(crate) fn written_check(&self, alias: &str) -> Option<String> {
        self.rows.write.as_ref().map(|write| self.refusing(&condition(write, alias, 0), alias))
    }

    /// The same for a row that is about to be overwritten.
    pub(crate) fn overwrite_check(&self, alias: &str) -> Option<String> {
        let conditions = self.changeable(alias);
        (!conditions.is_empty()).then(|| self.refusing(&conditions.join(" AND "), alias))
    }

    fn refusing(&self, condition: &str, alias: &str) -> String {
        let seen = self.key.first().map_or_else(|| alias.to_owned(), |key| column_sql(alias, &key.column));
        let marker = quote_literal(&format!("{DENIED_MARKER}{}", self.name));
        format!(
            "CASE WHEN ({condition}) IS NOT TRUE THEN \
             ({marker} || left({seen}::pg_catalog.text, 0))::pg_catalog.int4 END"
        )
    }

    /// Returns the relation's row type where rows come out of a subquery, which have none.
    pub(crate) fn row_type(&self) -> Option<&str> {
        self.rows.row_type.as_deref()
    }
}

/// Returns the whole row under `alias` for a function that takes it.
pub(crate) fn whole_row(alias: &str, row_type: Option<&str>) -> String {
    row_type.map_or_else(|| alias.to_owned(), |row_type| format!("{alias}::{row_type}"))
}

/// Returns a condition that can stand beside AND.
fn condition(found: &RowCondition, alias: &str, depth: usize) -> String {
    let junction = |parts: &[RowCondition], word: &str, empty: &str| {
        let parts: Vec<String> = parts.iter().map(|part| condition(part, alias, depth)).collect();
        if parts.is_empty() { empty.to_owned() } else { format!("({})", parts.join(word)) }
    };
    match found {
        RowCondition::All(parts) => junction(parts, " AND ", "true"),
        RowCondition::Any(parts) => junction(parts, " OR ", "false"),
        RowCondition::Not(inner) => {
            let mut claims = BTreeSet::new();
            inner.claims_of_existence(&mut claims);
            let known = claims.into_iter().map(|(claim, list)| {
                let sql_type = if list { "pg_catalog.text[]" } else { "pg_catalog.text" };
                format!(" AND {} IS NOT NULL", mark(claim, list, sql_type))
            });
            format!("((NOT {}){})", condition(inner, alias, depth), known.collect::<String>())
        }
        RowCondition::IsNull { column, null } => {
            format!("({} IS {}NULL)", column_sql(alias, column), if *null { "" } else { "NOT " })
        }
        RowCondition::Compare { column, operator, sql_type, value } => {
            let value = match value {
                RowValue::Text(text) => format!("{}::{sql_type}", quote_literal(text)),
                RowValue::Claim(claim) => mark(claim, false, sql_type),
            };
            format!("({} {} {value})", column_sql(alias, column), operator.sql())
        }
        RowCondition::Among { column, none, sql_type, values } => {
            let values = match values {
                RowValues::Texts(texts) => {
                    let texts: Vec<String> = texts.iter().map(|text| quote_literal(text)).collect();
                    format!("ARRAY[{}]::{sql_type}[]", texts.join(", "))
                }
                RowValues::Claim(claim) => mark(claim, true, &format!("{sql_type}[]")),
            };
            let (operator, quantifier) = if *none { ("<>", "ALL") } else { ("=", "ANY") };
            format!("({} {operator} {quantifier} ({values}))", column_sql(alias, column))
        }
        RowCondition::Exists { relation, on, condition: inner } => {
            let other = format!("\"0e{depth}\"");
            let mut all = joined(on, &other, alias);
            all.push(condition(inner, &other, depth + 1));
            format!("EXISTS (SELECT 1 FROM {} AS {other} WHERE {})", relation.sql(), all.join(" AND "))
        }
    }
}

fn mark(claim: &[String], list: bool, sql_type: &str) -> String {
    format!("{MARK}{}{MARK}", serde_json::json!([claim, list, sql_type]))
}

/// Puts parameters where a statement has the marks of claims; equal ones share one.
pub(crate) fn with_claims(sql: String, params: &mut Vec<Param>) -> String {
    if !sql.contains(MARK) {
        return sql;
    }
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    let mut whole = String::with_capacity(sql.len());
    for (number, part) in sql.split(MARK).enumerate() {
        if number % 2 == 0 {
            whole.push_str(part);
            continue;
        }
        let (path, list, sql_type): (Vec<String>, bool, String) =
            serde_json::from_str(part).expect("only marks stand between marks");
        let place = *places.entry(part).or_insert_with(|| {
            params.push(Param::Claim { path: path.into(), list, required: false });
            params.len()
        });
        whole.push_str(&format!("${place}::{sql_type}"));
    }
    whole
}
