//! Connections as SQL: one row more than the page is read, which tells whether another page follows.

use fraiseql_model::names::quote_literal;

use crate::ir::{Connection, ConnectionOutput, ConnectionValue, EdgeValue, OrderedTerm, Output, PageValue};
use crate::plan::Param;
use crate::sql::{RowColumn, Writer, clause, needed_columns};

impl<'s> Writer<'s> {
    /// Returns an expression of type json.
    pub(crate) fn connection(&mut self, connection: &Connection<'s>, parent: Option<&str>) -> String {
        let number = self.next_number();
        let mut page = PageWriter {
            connection,
            parent,
            base: format!("\"{number}\""),
            found: format!("\"{number}p\""),
            size: None,
            joins: String::new(),
            rows: Vec::new(),
            aggregates: Vec::new(),
        };
        let mut entries = Vec::with_capacity(connection.outputs.len());
        for ConnectionOutput { key, value } in &connection.outputs {
            entries.push((key.as_str(), page.output(self, value)));
        }
        let object = self.object_of(&entries);
        if page.aggregates.is_empty() {
            return object;
        }
        let rows = page.page(self);
        let (found, columns) = (&page.found, page.aggregates.join(", "));
        format!("(SELECT {object} FROM (SELECT {columns} FROM {rows}) AS {found})")
    }

    /// Returns a condition that holds for the rows behind a cursor, and is never unknown.
    fn behind(&mut self, order: &[OrderedTerm<'s>], values: &[Param], base: &str, backward: bool) -> String {
        let terms: Vec<Place> = order
            .iter()
            .zip(values)
            .map(|(ordered, value)| {
                let value = format!("{}::{}", self.param(value.clone()), ordered.sql_type);
                let (descending, nulls_first) = direction(ordered, backward);
                let sql = self.order_value(&ordered.term, base);
                Place { sql, value, descending, nulls_first, nullable: ordered.nullable }
            })
            .collect();
        let Some(first) = terms.first() else { return "false".to_owned() };
        if terms.iter().all(|term| !term.nullable && term.descending == first.descending) {
            let list = |part: fn(&Place) -> &str| terms.iter().map(part).collect::<Vec<_>>().join(", ");
            let operator = if first.descending { "<" } else { ">" };
            // A comparison of rows is one range of the order's index.
            return format!("(({}) {operator} ({}))", list(|term| &term.sql), list(|term| &term.value));
        }
        let mut any = Vec::new();
        for (index, term) in terms.iter().enumerate() {
            let mut all: Vec<String> = terms[..index].iter().map(Place::equal).collect();
            all.push(term.after());
            any.push(format!("({})", all.join(" AND ")));
        }
        format!("(({}) IS TRUE)", any.join(" OR "))
    }
}

/// One term of an order, at a cursor.
struct Place {
    sql: String,
    value: String,
    descending: bool,
    nulls_first: bool,
    nullable: bool,
}

impl Place {
    fn equal(&self) -> String {
        let operator = if self.nullable { "IS NOT DISTINCT FROM" } else { "=" };
        format!("{} {operator} {}", self.sql, self.value)
    }

    fn after(&self) -> String {
        let Self { sql, value, .. } = self;
        let operator = if self.descending { "<" } else { ">" };
        match (self.nullable, self.nulls_first) {
            (false, _) => format!("{sql} {operator} {value}"),
            (true, false) => {
                format!("({sql} {operator} {value} OR ({sql} IS NULL AND {value} IS NOT NULL))")
            }
            (true, true) => {
                format!("({sql} {operator} {value} OR ({value} IS NULL AND {sql} IS NOT NULL))")
            }
        }
    }
}

/// Returns whether a term runs downwards and whether its nulls come first.
fn direction(ordered: &OrderedTerm<'_>, backward: bool) -> (bool, bool) {
    let words = ordered.term.direction;
    let descending = words.starts_with("DESC");
    let nulls_first = if words.contains("NULLS") { words.ends_with("FIRST") } else { descending };
    (descending != backward, nulls_first != backward)
}

/// A page in the making.
struct PageWriter<'w, 's> {
    connection: &'w Connection<'s>,
    parent: Option<&'w str>,
    base: String,
    found: String,
    /// The most rows, as SQL; none before something needs it: a value that the text does not name is
    /// refused by PostgreSQL.
    size: Option<String>,
    /// Joins below the rows of the page.
    joins: String,
    /// Expressions for each row, named by their number.
    rows: Vec<String>,
    /// Expressions over all rows of the page, with names.
    aggregates: Vec<String>,
}

impl<'s> PageWriter<'_, 's> {
    fn output(&mut self, writer: &mut Writer<'s>, value: &ConnectionValue<'s>) -> String {
        match value {
            ConnectionValue::Typename(name) => text(name),
            ConnectionValue::TotalCount => writer.count(&self.connection.rows, self.parent),
            ConnectionValue::Aggregate(aggregate) => writer.aggregate(aggregate, self.parent),
            ConnectionValue::Nodes(outputs) => {
                let node = self.node(writer, outputs);
                self.list(writer, node)
            }
            ConnectionValue::Edges(edge) => {
                let mut entries = Vec::with_capacity(edge.len());
                for (key, value) in edge {
                    let value = match value {
                        EdgeValue::Typename(name) => text(name),
                        EdgeValue::Cursor => format!("{}.\"#c\"", self.base),
                        EdgeValue::Node(outputs) => self.node(writer, outputs),
                    };
                    entries.push((key.as_str(), value));
                }
                let edge = writer.object_of(&entries);
                self.list(writer, edge)
            }
            ConnectionValue::PageInfo(values) => {
                let entries: Vec<(&str, String)> =
                    values.iter().map(|(key, value)| (key.as_str(), self.place(writer, value))).collect();
                writer.object_of(&entries)
            }
        }
    }

    fn node(&mut self, writer: &mut Writer<'s>, outputs: &[Output<'s>]) -> String {
        let mut entries = Vec::with_capacity(outputs.len());
        for output in outputs {
            entries.push((output.key.as_str(), writer.output(output, &self.base, &mut self.joins)));
        }
        writer.object_of(&entries)
    }

    /// Returns the list of an expression for each row of the page.
    fn list(&mut self, writer: &mut Writer<'s>, row: String) -> String {
        let name = format!("\"{}\"", self.rows.len());
        self.rows.push(format!("{row} AS {name}"));
        let within = self.within(writer);
        let order = if self.connection.backward { "\"#n\" DESC" } else { "\"#n\"" };
        self.aggregate(format!("coalesce(json_agg({name} ORDER BY {order}){within}, '[]'::json)"))
    }

    /// Returns the most rows of the page, as SQL.
    fn size(&mut self, writer: &mut Writer<'s>) -> Option<String> {
        if self.size.is_none() {
            let size = self.connection.size.clone();
            self.size = size.map(|size| format!("{}::pg_catalog.int8", writer.param(size)));
        }
        self.size.clone()
    }

    /// Keeps the row behind the page out of an aggregate.
    fn within(&mut self, writer: &mut Writer<'s>) -> String {
        self.size(writer).map_or_else(String::new, |size| format!(" FILTER (WHERE \"#n\" <= {size})"))
    }

    fn aggregate(&mut self, sql: String) -> String {
        let name = format!("\"{}\"", self.aggregates.len());
        self.aggregates.push(format!("{sql} AS {name}"));
        format!("{}.{name}", self.found)
    }

    fn place(&mut self, writer: &mut Writer<'s>, value: &PageValue) -> String {
        let backward = self.connection.backward;
        match value {
            PageValue::Typename(name) => text(name),
            PageValue::HasNext if backward => self.beyond(writer),
            PageValue::HasPrevious if !backward => self.beyond(writer),
            PageValue::HasNext | PageValue::HasPrevious => match self.size(writer) {
                Some(size) => self.aggregate(format!("count(*) > {size}")),
                None => "false".to_owned(),
            },
            PageValue::Start if backward => self.outermost(writer),
            PageValue::End if !backward => self.outermost(writer),
            PageValue::Start | PageValue::End => {
                let page = self.size(writer).map_or_else(String::new, |size| format!(" AND {size} > 0"));
                self.aggregate(format!("max(\"#c\") FILTER (WHERE \"#n\" = 1{page})"))
            }
        }
    }

    /// The cursor of the row that is farthest from where the page begins.
    fn outermost(&mut self, writer: &mut Writer<'s>) -> String {
        let within = self.within(writer);
        self.aggregate(format!("(array_agg(\"#c\" ORDER BY \"#n\" DESC){within})[1]"))
    }

    /// Whether there are rows on the other side of the cursor, its own row among them.
    fn beyond(&self, writer: &mut Writer<'s>) -> String {
        let Connection { rows, order, backward, .. } = self.connection;
        let Some(cursor) = &self.connection.cursor else { return "false".to_owned() };
        let base = format!("\"{}\"", writer.next_number());
        let (from, mut conditions) = writer.matching(rows, &base, self.parent);
        let behind = writer.behind(order, &cursor.values, &base, *backward);
        conditions.push(format!("{behind} IS NOT TRUE"));
        format!("EXISTS (SELECT 1 FROM {}{})", from.sql, clause("WHERE", &conditions, " AND "))
    }

    /// Returns FROM for the rows of the page, each with its number, cursor and expressions.
    fn page(&mut self, writer: &mut Writer<'s>) -> String {
        let (base, connection) = (&self.base.clone(), self.connection);
        let (from, mut conditions) = writer.matching(&connection.rows, base, self.parent);
        if let Some(cursor) = &connection.cursor {
            conditions.push(writer.behind(&connection.order, &cursor.values, base, connection.backward));
        }
        let mut order = Vec::with_capacity(connection.order.len());
        let mut values = vec![quote_literal(&connection.order_digest)];
        for ordered in &connection.order {
            let (descending, nulls_first) = direction(ordered, connection.backward);
            let value = writer.order_value(&ordered.term, base);
            let nulls = match (ordered.nullable, nulls_first == descending) {
                (true, false) => {
                    if nulls_first {
                        " NULLS FIRST"
                    } else {
                        " NULLS LAST"
                    }
                }
                _ => "",
            };
            order.push(format!("{value}{}{nulls}", if descending { " DESC" } else { "" }));
            values.push(format!("{value}::pg_catalog.text"));
        }
        let cursor = format!(
            "translate(encode(convert_to(json_build_array({})::pg_catalog.text, 'UTF8'), 'base64'), E'+/=\\n', '-_') AS \"#c\"",
            values.join(", ")
        );
        let outputs = connection.outputs.iter().flat_map(|output| match &output.value {
            ConnectionValue::Nodes(outputs) => vec![outputs.as_slice()],
            ConnectionValue::Edges(edge) => edge
                .iter()
                .filter_map(|(_, value)| match value {
                    EdgeValue::Node(outputs) => Some(outputs.as_slice()),
                    _ => None,
                })
                .collect(),
            _ => Vec::new(),
        });
        let columns = needed_columns(outputs.flatten(), &[], base, RowColumn::Of(connection.rows.object));
        let columns = if columns.is_empty() { cursor } else { format!("{columns}, {cursor}") };
        let limit = match self.size(writer) {
            Some(size) => format!(" LIMIT {size} + 1"),
            None => String::new(),
        };
        let rows: String = self.rows.iter().map(|row| format!(", {row}")).collect();
        format!(
            "(SELECT {base}.\"#n\", {base}.\"#c\"{rows} FROM (SELECT *, row_number() OVER () AS \"#n\" FROM \
             (SELECT {columns} FROM {}{}{}{limit}) AS {base}) AS {base}{}) AS \"r\"",
            from.sql,
            clause("WHERE", &conditions, " AND "),
            clause("ORDER BY", &order, ", "),
            self.joins
        )
    }
}

fn text(value: &str) -> String {
    format!("{}::pg_catalog.text", quote_literal(value))
}
