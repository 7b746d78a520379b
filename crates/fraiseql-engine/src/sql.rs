//! Writes SQL from the intermediate form. Identifiers come from the artifact, values are parameters.
//!
//! Aliases start with a digit (`"0"`, `"0r"`, `"0j"`), which no GraphQL name does, so that a response
//! key can never capture one. Row-typed JSON takes its keys from column aliases; PostgreSQL cuts
//! those at 63 bytes and a row at 1,664 columns, so longer keys and wider objects are built from
//! pairs instead.

use fraiseql_model::artifact::{ColumnField, ColumnPair, Encoding, ValueType};
use fraiseql_model::names::{quote_identifier, quote_literal};

use crate::global_id::global_id;
use crate::ir::{
    AggregateCall, Call, OrderTerm, Output, OutputValue, Root, Select, Source, Term, column_term,
};
use crate::plan::{NULL_MARKER, Param, Statement};
use crate::poly::Poly;
use crate::rows::{whole_row, with_claims};
use crate::schema::{Object, Schema, column_sql};
use crate::sql_document::document_value;
use crate::sql_keys::{column_types, same_key, written_keys};

/// The session setting that carries keys from a write to its read.
pub const KEYS_SETTING: &str = "fraiseql.keys";
/// The name of the common table expression that deletes.
pub(crate) const DELETED: &str = "\"0d\"";

/// The column that holds the whole row where functions take it.
const ROW: &str = "\"#row\"";

const IDENTIFIER_BYTES: usize = 63;
const ROW_COLUMNS: usize = 1_000;

/// A statement in the making.
pub(crate) struct Writer<'s> {
    pub(crate) schema: &'s Schema,
    params: Vec<Param>,
    aliases: usize,
    /// False to let nulls through where the schema promises none.
    pub(crate) guards: bool,
}

/// A SELECT of objects, and how to get JSON from its rows once it has an alias.
pub(crate) struct Body {
    pub(crate) sql: String,
    pub(crate) number: usize,
    /// True when the row itself is the object, false when its only column `o` is.
    pub(crate) row_typed: bool,
}

impl Body {
    pub(crate) fn alias(&self) -> String {
        format!("\"{}r\"", self.number)
    }

    /// An expression of type json for one row.
    pub(crate) fn object(&self) -> String {
        if self.row_typed {
            format!("row_to_json({})", self.alias())
        } else {
            format!("{}.\"o\"", self.alias())
        }
    }

    /// An expression of type json for all rows.
    fn list(&self) -> String {
        let element = if self.row_typed { self.alias() } else { format!("{}.\"o\"", self.alias()) };
        format!("coalesce(json_agg({element}), '[]'::json)")
    }
}

impl<'s> Writer<'s> {
    pub(crate) fn new(schema: &'s Schema, guards: bool) -> Self {
        Self { schema, params: Vec::new(), aliases: 0, guards }
    }

    /// Ends the statement.
    pub(crate) fn finish(mut self, sql: String) -> Statement {
        let sql = with_claims(sql, &mut self.params);
        Statement { sql: sql.into(), params: self.params }
    }

    /// Returns `$n` for a value.
    pub(crate) fn param(&mut self, param: Param) -> String {
        self.params.push(param);
        format!("${}", self.params.len())
    }

    /// The number of values so far.
    pub(crate) fn param_count(&self) -> usize {
        self.params.len()
    }

    pub(crate) fn next_number(&mut self) -> usize {
        self.aliases += 1;
        self.aliases - 1
    }

    /// Returns a whole SELECT whose every row is an element of the list.
    pub(crate) fn root_rows(&mut self, select: &Select<'s>) -> String {
        let body = self.body(select, None);
        format!("SELECT {} FROM ({}) AS {}", body.object(), body.sql, body.alias())
    }

    /// Returns a whole SELECT whose every row is an element of the list of objects of several types.
    pub(crate) fn root_poly_rows(&mut self, poly: &Poly<'s>) -> String {
        let body = self.poly_body(poly, None);
        format!("SELECT {} FROM ({}) AS {}", body.object(), body.sql, body.alias())
    }

    /// Returns an expression of type json for an object of ready-made values.
    pub(crate) fn object_of(&mut self, entries: &[(&str, String)]) -> String {
        let number = self.next_number();
        let row_typed = entries.iter().all(|(key, _)| key.len() <= IDENTIFIER_BYTES);
        let sql = format!("SELECT {}", if row_typed { row_list(entries) } else { pair_list(entries) });
        let body = Body { sql, number, row_typed };
        format!("(SELECT {} FROM ({}) AS {})", body.object(), body.sql, body.alias())
    }

    /// Returns an expression of type json for a root field.
    pub(crate) fn root_value(&mut self, root: &Root<'s>) -> String {
        match root {
            Root::Many(select) => {
                let body = self.body(select, None);
                format!("(SELECT {} FROM ({}) AS {})", body.list(), body.sql, body.alias())
            }
            Root::One { select, guard } => {
                let body = self.body(select, None);
                let value = format!("(SELECT {} FROM ({}) AS {})", body.object(), body.sql, body.alias());
                self.guarded_value(value, guard.as_deref())
            }
            Root::Poly { poly, list, guard } => {
                let body = self.poly_body(poly, None);
                let json = if *list { body.list() } else { body.object() };
                let value = format!("(SELECT {json} FROM ({}) AS {})", body.sql, body.alias());
                self.guarded_value(value, guard.as_deref())
            }
            Root::Value { call, value, set, guard } => {
                self.call_value(call, None, value, *set, guard.as_deref())
            }
            Root::Aggregate(aggregate) => self.aggregate(aggregate, None),
            Root::Connection(connection) => self.connection(connection, None),
        }
    }

    pub(crate) fn guarded_value(&mut self, value: String, guard: Option<&str>) -> String {
        match guard {
            Some(name) if self.guards => {
                let alias = format!("\"{}g\"", self.next_number());
                let column = format!("{alias}.\"j\"");
                // OFFSET 0 keeps the planner from writing the subquery out twice.
                let guarded = guarded(&column, &column, name);
                format!("(SELECT {guarded} FROM (SELECT {value} AS \"j\" OFFSET 0) AS {alias})")
            }
            _ => value,
        }
    }

    fn call_value(
        &mut self,
        call: &Call,
        parent: Option<&str>,
        value: &ValueType,
        set: bool,
        guard: Option<&str>,
    ) -> String {
        let alias = format!("\"{}\"", self.next_number());
        let column = format!("{alias}.\"v\"");
        let mut encoded = self.encoded(&column, value);
        if let Some(name) = guard.filter(|_| self.guards) {
            encoded = guarded(&column, &encoded, name);
        }
        let json = if set {
            format!("coalesce(json_agg({encoded}), '[]'::json)")
        } else {
            format!("to_json({encoded})")
        };
        let call = self.call(call, parent);
        format!("(SELECT {json} FROM (SELECT {call} AS \"v\" OFFSET 0) AS {alias})")
    }

    /// Returns a function call; arguments with a name are passed by name, the row below which it
    /// hangs comes first.
    pub(crate) fn call(&mut self, call: &Call, parent: Option<&str>) -> String {
        let row = parent.filter(|_| call.row).map(|parent| format!("{parent}.{ROW}"));
        let given = call.arguments.iter().map(|(name, operand)| {
            let value = self.operand(operand);
            if name.is_empty() { value } else { format!("{} => {value}", quote_identifier(name)) }
        });
        let mut arguments: Vec<String> = row.into_iter().chain(given).collect();
        if let Some(last) = arguments.last_mut().filter(|_| call.variadic) {
            last.insert_str(0, "VARIADIC ");
        }
        format!("{}({})", call.function, arguments.join(", "))
    }

    pub(crate) fn body(&mut self, select: &Select<'s>, parent: Option<&str>) -> Body {
        let number = self.next_number();
        let base = format!("\"{number}\"");
        let mut joins = String::new();
        let mut entries = Vec::with_capacity(select.outputs.len());
        for output in &select.outputs {
            let expression = self.output(output, &base, &mut joins);
            entries.push((output.key.as_str(), expression));
        }
        let row_typed =
            entries.len() <= ROW_COLUMNS && entries.iter().all(|(key, _)| key.len() <= IDENTIFIER_BYTES);
        let list = if row_typed { row_list(&entries) } else { pair_list(&entries) };
        let tail = self.tail(select, &base, parent);
        let row = select.outputs.iter().any(|output| output.value.takes_row());
        let sql = if !row && (joins.is_empty() || !tail.paged) {
            format!("SELECT {list} FROM {}{joins}{}{}{}", tail.from, tail.filter, tail.order, tail.page)
        } else {
            // The page is cut before anything below it is read; the order is said again because a
            // join may lose it.
            let mut columns = needed_columns(&select.outputs, &select.order, &base, tail.row);
            let outer = self.outer_order(&select.order, &base);
            let mut order = outer.unwrap_or_else(|| tail.order.clone());
            if let [number] = tail.numbered.as_slice() {
                columns.push_str(&format!(", {number} AS \"#n\""));
                order = format!(" ORDER BY {base}.\"#n\"");
            }
            format!(
                "SELECT {list} FROM (SELECT {columns} FROM {}{}{}{}) AS {base}{joins}{order}",
                tail.from, tail.filter, tail.order, tail.page
            )
        };
        Body { sql, number, row_typed }
    }

    fn tail(&mut self, select: &Select<'s>, base: &str, parent: Option<&str>) -> Tail<'s> {
        let (from, conditions) = self.matching(select, base, parent);
        let numbered = from.order.clone();
        let mut order = from.order;
        order.extend(select.order.iter().map(|term| self.order_term(term, base)));
        let mut page = self.page(select.limit.as_ref(), select.offset.as_ref());
        if select.limit.is_none() && select.first_only {
            page.insert_str(0, " LIMIT 1");
        }
        let filter = clause("WHERE", &conditions, " AND ");
        let order_by = clause("ORDER BY", &order, ", ");
        let paged = !page.is_empty();
        if select.distinct.is_empty() {
            let row = RowColumn::Of(select.object);
            return Tail { from: from.sql, numbered, filter, order: order_by, paged, page, row };
        }
        let order_by = self.outer_order(&select.order, base).unwrap_or(order_by);
        // Of each group the first row by the order is kept; then what is left is ordered.
        let on: Vec<String> = select.distinct.iter().map(|term| term_sql(base, term)).collect();
        let groups = clause("ORDER BY", &[on.clone(), order].concat(), ", ");
        let on = on.join(", ");
        let from = format!(
            "(SELECT DISTINCT ON ({on}) {base}.*, {} AS {ROW} FROM {}{filter}{groups}) AS {base}",
            whole_row(base, select.object.row_type()),
            from.sql
        );
        Tail { from, numbered, filter: String::new(), order: order_by, paged, page, row: RowColumn::Column }
    }

    /// Returns ORDER BY for rows that a subquery carries along as [`ROW`]; `None` where no function takes them.
    fn outer_order(&mut self, order: &[OrderTerm<'s>], base: &str) -> Option<String> {
        let computed =
            |term: &OrderTerm<'_>| term.through.is_empty() && matches!(term.term, Term::Computed { .. });
        if !order.iter().any(computed) {
            return None;
        }
        let row = format!("{base}.{ROW}");
        let keys: Vec<String> = order
            .iter()
            .map(|term| self.order_term(term, if computed(term) { &row } else { base }))
            .collect();
        Some(clause("ORDER BY", &keys, ", "))
    }

    /// Returns where the rows come from, and the conditions that they must meet.
    pub(crate) fn matching(
        &mut self,
        select: &Select<'s>,
        base: &str,
        parent: Option<&str>,
    ) -> (From, Vec<String>) {
        let (sql, mut conditions, order) = self.source(select, base, parent);
        if let Some(parent) = parent {
            conditions.extend(joined(select.on, base, parent));
        }
        if let Some(filter) = &select.filter {
            conditions.push(self.predicate(filter, base));
        }
        (From { sql, order }, conditions)
    }

    /// Returns LIMIT and OFFSET, each with a space before it.
    pub(crate) fn page(&mut self, limit: Option<&Param>, offset: Option<&Param>) -> String {
        let mut page = String::new();
        if let Some(limit) = limit {
            let limit = self.param(limit.clone());
            page.push_str(&format!(" LIMIT {limit}::pg_catalog.int8"));
        }
        if let Some(offset) = offset {
            let offset = self.param(offset.clone());
            page.push_str(&format!(" OFFSET {offset}::pg_catalog.int8"));
        }
        page
    }

    /// Returns FROM, conditions and order that the source itself brings.
    fn source(
        &mut self,
        select: &Select<'s>,
        base: &str,
        parent: Option<&str>,
    ) -> (String, Vec<String>, Vec<String>) {
        let object = select.object;
        let relation = &object.relation;
        match &select.source {
            Source::Relation => (format!("{relation} AS {base}"), Vec::new(), Vec::new()),
            // A select list needs something to join to; it has one row and no column.
            Source::Around => ("(SELECT) AS \"0x\"".to_owned(), Vec::new(), Vec::new()),
            Source::Call(call) => {
                let call = self.call(call, parent);
                // A function that returns NULL for a row gives one whose every column is NULL.
                let mut conditions = vec![format!("NOT ({base} IS NULL)")];
                conditions.extend(object.readable(base));
                (format!("{call} AS {base}"), conditions, Vec::new())
            }
            Source::WrittenKeys => {
                let keys = format!("\"{}k\"", self.next_number());
                let from = format!("{} JOIN {relation} AS {base} ON {}", written_keys(object, &keys), {
                    same_key(object, base, &keys)
                });
                (from, Vec::new(), vec![format!("{keys}.\"#\"")])
            }
            Source::WrittenRows => {
                let rows = format!("current_setting('{KEYS_SETTING}')::pg_catalog.json");
                let from = match object.binding.rows.as_slice() {
                    [] => format!("json_populate_recordset(NULL::{}, {rows}) AS {base}", object.table()),
                    free => format!("json_to_recordset({rows}) AS {base}({})", column_types(free)),
                };
                (from, object.readable(base).into_iter().collect(), Vec::new())
            }
            Source::Recorded(keys) => {
                let equal = |(column, value): &(String, String)| format!("{base}.{column} = {value}");
                (format!("{relation} AS {base}"), keys.iter().map(equal).collect(), Vec::new())
            }
            Source::DeletedKeys => {
                let on = same_key(object, base, DELETED);
                (format!("{DELETED} JOIN {relation} AS {base} ON {on}"), Vec::new(), Vec::new())
            }
        }
    }

    pub(crate) fn output(&mut self, output: &Output<'s>, base: &str, joins: &mut String) -> String {
        let (body, list, guard) = match &output.value {
            OutputValue::Typename(name) => return format!("{}::pg_catalog.text", quote_literal(name)),
            OutputValue::Column { field, guard } => {
                let column = term_sql(base, &column_term(field));
                let encoded = self.encoded(&column, &field.value);
                return match guard {
                    // The value as it is sent decides: NaN becomes null on the way.
                    Some(name) if self.guards => guarded(&encoded, &encoded, name),
                    _ => encoded,
                };
            }
            OutputValue::GlobalId(object) => return global_id(object, base),
            OutputValue::One { select, guard } => (self.body(select, Some(base)), false, guard.as_deref()),
            OutputValue::Many(select) => (self.body(select, Some(base)), true, None),
            OutputValue::Poly { poly, list, guard } => {
                (self.poly_body(poly, Some(base)), *list, guard.as_deref())
            }
            OutputValue::Computed { call, value, set, guard } => {
                return self.call_value(call, Some(base), value, *set, guard.as_deref());
            }
            OutputValue::Document { field, outputs, guard } => {
                let value = self.document(field, outputs, base);
                return self.guarded_value(value, guard.as_deref());
            }
            OutputValue::Aggregate(aggregate) => return self.aggregate(aggregate, Some(base)),
            OutputValue::Connection(connection) => return self.connection(connection, Some(base)),
        };
        let json = if list { body.list() } else { body.object() };
        let column = format!("\"{}j\".\"j\"", body.number);
        joins.push_str(&format!(
            " LEFT JOIN LATERAL (SELECT {json} AS \"j\" FROM ({}) AS {}) AS \"{}j\" ON true",
            body.sql,
            body.alias(),
            body.number
        ));
        match guard {
            Some(name) if self.guards => guarded(&column, &column, name),
            _ => column,
        }
    }

    /// Returns an expression that `row_to_json` writes as the GraphQL value of a column.
    pub(crate) fn encoded(&self, column: &str, value: &ValueType) -> String {
        let one = |column: &str| match value.encoding {
            Encoding::Plain => column.to_owned(),
            Encoding::Text => format!("{column}::pg_catalog.text"),
            Encoding::Float => {
                format!("CASE WHEN abs({column}) < 'Infinity'::pg_catalog.float8 THEN {column} END")
            }
            Encoding::Base64 => format!("translate(encode({column}, 'base64'), E'\\n', '')"),
            Encoding::Label => self.label(column, &value.graphql),
        };
        match (value.list, value.encoding) {
            (false, _) => one(column),
            (true, Encoding::Plain) => column.to_owned(),
            (true, Encoding::Text) => format!("{column}::pg_catalog.text[]"),
            (true, _) => {
                let element = one("\"e\".\"v\"");
                format!(
                    "CASE WHEN {column} IS NOT NULL THEN ARRAY(SELECT {element} FROM \
                     unnest({column}) WITH ORDINALITY AS \"e\"(\"v\", \"n\") ORDER BY \"e\".\"n\") END"
                )
            }
        }
    }

    fn label(&self, column: &str, graphql: &str) -> String {
        let mut case = format!("CASE {column}::pg_catalog.text");
        for (name, label) in self.schema.enum_type(graphql).iter().flat_map(|found| &found.labels) {
            case.push_str(&format!(" WHEN {} THEN {}", quote_literal(label), quote_literal(name)));
        }
        case.push_str(" END");
        case
    }
}

/// FROM, and the order that it brings along.
pub(crate) struct From {
    pub(crate) sql: String,
    order: Vec<String>,
}

/// What stands behind the select list.
struct Tail<'o> {
    from: String,
    /// The order that the source brings along, which only the source itself can name.
    numbered: Vec<String>,
    filter: String,
    order: String,
    page: String,
    paged: bool,
    row: RowColumn<'o>,
}

/// How the whole row of a source is named.
#[derive(Clone, Copy)]
pub(crate) enum RowColumn<'o> {
    /// By the alias of a source that has rows of this type.
    Of(&'o Object),
    /// It is a column already.
    Column,
}

/// Returns a clause with a space before it; nothing without parts.
pub(crate) fn clause(word: &str, parts: &[String], separator: &str) -> String {
    if parts.is_empty() { String::new() } else { format!(" {word} {}", parts.join(separator)) }
}

fn row_list(entries: &[(&str, String)]) -> String {
    let columns: Vec<String> = entries
        .iter()
        .map(|(key, expression)| format!("{expression} AS {}", quote_identifier(key)))
        .collect();
    columns.join(", ")
}

fn pair_list(entries: &[(&str, String)]) -> String {
    let pairs: Vec<String> = entries
        .iter()
        .map(|(key, expression)| format!("({}::pg_catalog.text, to_json({expression}))", quote_literal(key)))
        .collect();
    format!(
        "(SELECT json_object_agg(\"p\".\"k\", \"p\".\"v\") FROM (VALUES {}) AS \"p\"(\"k\", \"v\")) AS \"o\"",
        pairs.join(", ")
    )
}

/// Raises SQLSTATE 22P02 with [`NULL_MARKER`] and `name` when `column` is NULL, else gives `value`.
///
/// The raising cast depends on the column, so that the planner cannot run it ahead of time.
pub(crate) fn guarded(column: &str, value: &str, name: &str) -> String {
    let marker = quote_literal(&format!("{NULL_MARKER}{name}"));
    format!(
        "CASE WHEN (CASE WHEN {column} IS NULL THEN \
         ({marker} || coalesce({column}::pg_catalog.text, ''))::pg_catalog.int4 END) IS NULL THEN {value} END"
    )
}

/// Returns the conditions that tie a row to the row it hangs below.
pub(crate) fn joined(on: &[ColumnPair], base: &str, parent: &str) -> Vec<String> {
    on.iter()
        .map(|pair| format!("{} = {}", column_sql(base, &pair.remote), column_sql(parent, &pair.local)))
        .collect()
}

/// Returns the columns of `base` that outputs, joins and order read, the whole row where it is taken.
pub(crate) fn needed_columns<'s>(
    outputs: impl IntoIterator<Item = &'s Output<'s>>,
    order: &[OrderTerm<'s>],
    base: &str,
    row: RowColumn<'_>,
) -> String {
    let mut columns = std::collections::BTreeSet::new();
    let mut takes_row = false;
    for output in outputs {
        takes_row |= output.value.takes_row();
        match &output.value {
            OutputValue::Typename(_) | OutputValue::Computed { .. } => {}
            OutputValue::Column { field, .. } => {
                columns.insert(field.column.as_str());
            }
            OutputValue::Document { field, .. } => {
                columns.insert(&field.column);
            }
            OutputValue::Poly { poly, .. } => columns.extend(poly.parent_columns()),
            OutputValue::GlobalId(object) => {
                columns.extend(object.key.iter().map(|key| key.column.as_str()));
            }
            OutputValue::One { select, .. } | OutputValue::Many(select) => columns.extend(locals(select.on)),
            OutputValue::Aggregate(aggregate) => columns.extend(locals(aggregate.rows.on)),
            OutputValue::Connection(connection) => columns.extend(locals(connection.rows.on)),
        }
    }
    for term in order {
        match (term.through.first(), &term.term) {
            (Some((_, on)), _) => columns.extend(locals(on)),
            (None, Term::Column(column) | Term::Cardinality(column)) => {
                columns.insert(column);
            }
            (None, Term::Document(field)) => {
                columns.insert(&field.column);
            }
            (None, Term::Aggregate(_)) => {}
            (None, Term::Computed { .. }) => takes_row = true,
            (None, Term::Related { on, .. }) => columns.extend(locals(on)),
        }
    }
    let mut columns: Vec<String> = columns.into_iter().map(|column| column_sql(base, column)).collect();
    if takes_row {
        columns.push(match row {
            RowColumn::Of(object) => format!("{} AS {ROW}", whole_row(base, object.row_type())),
            RowColumn::Column => format!("{base}.{ROW}"),
        });
    }
    columns.join(", ")
}

fn locals(on: &[ColumnPair]) -> impl Iterator<Item = &str> {
    on.iter().map(|pair| pair.local.as_str())
}

/// Returns a value of the row under `alias` as SQL.
pub(crate) fn term_sql(alias: &str, term: &Term<'_>) -> String {
    let column = |field: &ColumnField| term_sql(alias, &column_term(field));
    match term {
        Term::Column(name) => column_sql(alias, name),
        Term::Document(field) => document_value(alias, field),
        Term::Cardinality(name) => format!("cardinality({})", column_sql(alias, name)),
        Term::Computed { call, row_type } => {
            format!("{}({})", call.function.sql(), whole_row(alias, *row_type))
        }
        Term::Related { relation, on, call } => {
            let rows = format!("{}t\"", alias.trim_end_matches('"'));
            let value = term_sql(&rows, &Term::Aggregate(call.clone()));
            let on = joined(on, &rows, alias).join(" AND ");
            format!("(SELECT {value} FROM {relation} AS {rows} WHERE {on})")
        }
        Term::Aggregate(AggregateCall::Count) => "count(*)".to_owned(),
        Term::Aggregate(AggregateCall::CountDistinct(fields)) => {
            let columns: Vec<String> = fields.iter().map(|field| column(field)).collect();
            match columns.as_slice() {
                [single] => format!("count(DISTINCT {single})"),
                several => format!("count(DISTINCT ({}))", several.join(", ")),
            }
        }
        Term::Aggregate(AggregateCall::Of { function, column: field }) => {
            format!("{function}({})", column(field))
        }
    }
}
