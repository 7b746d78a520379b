//! Aggregates as SQL: one pass over the rows, and an object of what it found.

use fraiseql_model::names::quote_literal;

use crate::ir::{Aggregate, AggregateCall, AggregateOutput, AggregateValue, Groups, Select, Source, Term};
use crate::sql::{Writer, clause, term_sql};

/// How many pages of a table an estimate reads at most.
const SAMPLE_PAGES: u32 = 1_000;

impl<'s> Writer<'s> {
    /// Returns an expression of type json.
    pub(crate) fn aggregate(&mut self, aggregate: &Aggregate<'s>, parent: Option<&str>) -> String {
        let number = self.next_number();
        let base = format!("\"{number}\"");
        let found = format!("\"{number}a\"");
        let (from, conditions) = self.matching(&aggregate.rows, &base, parent);
        let mut scan =
            Scan { rows: &aggregate.rows, parent, base: &base, found: &found, columns: Vec::new() };
        let object = self.aggregate_object(&aggregate.outputs, &mut scan);
        // A grouped or ungrouped pass needs something to compute, or it would return every row.
        scan.column("count(*)".to_owned());
        let columns = scan.columns.join(", ");
        let filter = clause("WHERE", &conditions, " AND ");
        match &aggregate.groups {
            None => format!("(SELECT {object} FROM (SELECT {columns} FROM {}{filter}) AS {found})", from.sql),
            Some(groups) => {
                let tail = self.groups(groups, &base);
                format!(
                    "(SELECT coalesce(json_agg({object}), '[]'::json) FROM \
                     (SELECT {columns} FROM {}{filter}{tail}) AS {found})",
                    from.sql
                )
            }
        }
    }

    /// Returns the number of rows, as an expression of type int4.
    pub(crate) fn count(&mut self, rows: &Select<'s>, parent: Option<&str>) -> String {
        let base = format!("\"{}\"", self.next_number());
        let (from, conditions) = self.matching(rows, &base, parent);
        let filter = clause("WHERE", &conditions, " AND ");
        format!("(SELECT count(*)::pg_catalog.int4 FROM {}{filter})", from.sql)
    }

    fn groups(&mut self, groups: &Groups<'s>, base: &str) -> String {
        let by: Vec<String> = groups.by.iter().map(|term| term_sql(base, term)).collect();
        let having = groups.having.as_ref().map(|having| self.predicate(having, base));
        let order: Vec<String> = groups.order.iter().map(|term| self.order_term(term, base)).collect();
        let page = self.page(groups.limit.as_ref(), groups.offset.as_ref());
        let having = having.map_or_else(String::new, |having| format!(" HAVING {having}"));
        format!(" GROUP BY {}{having}{}{page}", by.join(", "), clause("ORDER BY", &order, ", "))
    }

    fn aggregate_object(&mut self, outputs: &[AggregateOutput<'s>], scan: &mut Scan<'_, 's>) -> String {
        let mut entries: Vec<(&str, String)> = Vec::with_capacity(outputs.len());
        for output in outputs {
            let value = match &output.value {
                AggregateValue::Typename(name) => format!("{}::pg_catalog.text", quote_literal(name)),
                AggregateValue::Null => "NULL::pg_catalog.text".to_owned(),
                AggregateValue::Estimate => self.estimate(scan),
                AggregateValue::Object(below) => self.aggregate_object(below, scan),
                AggregateValue::Term { term, value } => {
                    let mut sql = term_sql(scan.base, term);
                    if let Term::Aggregate(AggregateCall::Count | AggregateCall::CountDistinct(_)) = term {
                        sql.push_str("::pg_catalog.int4");
                    }
                    self.encoded(&scan.column(sql), value)
                }
            };
            entries.push((&output.key, value));
        }
        self.object_of(&entries)
    }

    /// Counts on a sample of the table's pages and scales up; on all of them when they are few.
    ///
    /// The sample is the same each time. Rows that hang below another row are counted exactly, and so are
    /// those of which a caller may not see all.
    fn estimate(&mut self, scan: &mut Scan<'_, 's>) -> String {
        let restricted = scan.rows.object.rows.are_restricted();
        if restricted || scan.parent.is_some() || !matches!(scan.rows.source, Source::Relation) {
            return scan.column("count(*)::pg_catalog.int4".to_owned());
        }
        let base = format!("\"{}\"", self.next_number());
        let (_, conditions) = self.matching(scan.rows, &base, None);
        let filter = clause("WHERE", &conditions, " AND ");
        let relation = &scan.rows.object.relation;
        let percent = format!(
            "(SELECT least(100, 100 * {SAMPLE_PAGES}::pg_catalog.float8 / greatest(\"c\".relpages, 1)) \
             FROM pg_catalog.pg_class AS \"c\" WHERE \"c\".oid = {}::pg_catalog.regclass)",
            quote_literal(relation)
        );
        format!(
            "(SELECT round(count(*) * 100 / {percent})::pg_catalog.int4 FROM {relation} AS {base} \
             TABLESAMPLE SYSTEM ({percent}) REPEATABLE (0){filter})"
        )
    }
}

/// One pass over rows.
struct Scan<'r, 's> {
    rows: &'r Select<'s>,
    parent: Option<&'r str>,
    base: &'r str,
    found: &'r str,
    columns: Vec<String>,
}

impl Scan<'_, '_> {
    /// Computes an expression in the pass and returns its name outside of it.
    fn column(&mut self, sql: String) -> String {
        let name = format!("\"{}\"", self.columns.len());
        self.columns.push(format!("{sql} AS {name}"));
        format!("{}.{name}", self.found)
    }
}
