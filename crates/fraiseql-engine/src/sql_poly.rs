//! Writes SQL for objects of several types.
//!
//! The inner half is a UNION ALL of (number of the type, key, sort keys), each branch cut to the page by
//! itself and the whole once more; the outer half builds the JSON of each row in a CASE by that number,
//! so that only the fields of its own type are read.

use crate::abstract_type::slot_name;
use crate::ir::Select;
use crate::node::node_candidates;
use crate::poly::{Candidates, Poly, Scan, Tag};
use crate::schema::column_sql;
use crate::sql::{Body, Writer, joined};
use fraiseql_model::names::{quote_identifier, quote_literal};

impl<'s> Writer<'s> {
    /// Returns a SELECT whose only column `o` is the JSON of an object.
    pub(crate) fn poly_body(&mut self, poly: &Poly<'s>, parent: Option<&str>) -> Body {
        let number = self.next_number();
        let row = format!("\"{number}u\"");
        let (candidates, order) = match &poly.candidates {
            Candidates::Scans(scans) => self.scans(poly, scans, parent, &row),
            Candidates::Named { discriminator, values, .. } => {
                return self.named(poly, (discriminator, values), number, parent.unwrap_or_default());
            }
            Candidates::Nodes(wanted) => node_candidates(self, poly.found, wanted, &row),
        };
        let value = if poly.is_whole() {
            format!("{row}.\"o\"")
        } else {
            self.by_type(&poly.types, &format!("{row}.\"t\""), &row)
        };
        let sql = format!("SELECT {value} AS \"o\" FROM ({candidates}) AS {row}{order}");
        Body { sql, number, row_typed: false }
    }

    /// Returns the JSON of a row by the number of its type; where nulls pass, with that number.
    fn by_type(&mut self, types: &[Select<'s>], tag: &str, parent: &str) -> String {
        let mut case = format!("CASE {tag}");
        for (number, select) in types.iter().enumerate() {
            let (_, object) = self.of_type(number, select, Some(parent));
            case.push_str(&format!(" WHEN {number} THEN {object}"));
        }
        case.push_str(" END");
        case
    }

    /// Returns the number of the aliases, and the JSON, of a row that is of one type.
    fn of_type(&mut self, number: usize, select: &Select<'s>, parent: Option<&str>) -> (usize, String) {
        let body = self.body(select, parent);
        let object = format!("(SELECT {} FROM ({}) AS {})", body.object(), body.sql, body.alias());
        let object = if self.guards { object } else { format!("json_build_array({number}, {object})") };
        (body.number, object)
    }

    /// The row above says which row of which relation: nothing is left to search.
    fn named(
        &mut self,
        poly: &Poly<'s>,
        (discriminator, values): (&str, &[&str]),
        number: usize,
        parent: &str,
    ) -> Body {
        let row = format!("\"{number}u\"");
        let tag = numbered(&column_sql(parent, discriminator), values);
        let value = self.by_type(&poly.types, &format!("{row}.\"t\""), parent);
        let sql = format!("SELECT {value} AS \"o\" FROM (SELECT {tag} AS \"t\") AS {row}");
        Body { sql, number, row_typed: false }
    }

    fn scans(
        &mut self,
        poly: &Poly<'s>,
        scans: &[Scan<'s>],
        parent: Option<&str>,
        row: &str,
    ) -> (String, String) {
        let single = scans.len() == 1;
        let keys = scans.first().map_or(&[][..], |scan| scan.order.as_slice());
        let ordered = poly.is_ordered();
        let order = |prefix: &str| {
            if !ordered {
                return String::new();
            }
            let sorted = keys.iter().enumerate().map(|(at, term)| (format!("s{at}"), term.direction));
            // In one relation the key alone tells rows apart, and has an index.
            let tag = poly.found.base.is_none().then(|| "t".to_owned());
            let tail = tag.into_iter().chain((0..poly.found.slots.len()).map(slot_name));
            let terms: Vec<String> = sorted
                .chain(tail.map(|name| (name, "ASC")))
                .map(|(name, direction)| format!("{prefix}{} {direction}", quote_identifier(&name)))
                .collect();
            format!(" ORDER BY {}", terms.join(", "))
        };
        let mut limit = poly.limit.clone().map(|limit| format!("{}::pg_catalog.int8", self.param(limit)));
        if poly.first_only && limit.is_none() {
            limit = Some("1".to_owned());
        }
        let offset = poly.offset.clone().map(|offset| format!("{}::pg_catalog.int8", self.param(offset)));
        let clause = |word: &str, value: Option<&String>| {
            value.map_or_else(String::new, |value| format!(" {word} {value}"))
        };
        let page = format!("{}{}", clause("LIMIT", limit.as_ref()), clause("OFFSET", offset.as_ref()));
        // A branch need not give more rows than the page and what lies before it.
        let reach = match (&limit, &offset) {
            (Some(limit), Some(offset)) => Some(format!("{limit} + {offset}")),
            (limit, _) => limit.clone(),
        };
        let cut = clause("LIMIT", reach.as_ref());
        let mut branches = Vec::with_capacity(scans.len());
        for scan in scans {
            let branch = self.scan(poly, scan, parent);
            let tail = match (single, cut.is_empty()) {
                (true, _) => format!("{}{page}", order("")),
                (false, true) => String::new(),
                (false, false) => format!("{}{cut}", order("")),
            };
            branches.push(format!("{branch}{tail}"));
        }
        let candidates = match branches.as_slice() {
            [only] => only.clone(),
            several if page.is_empty() => format!("({})", several.join(") UNION ALL (")),
            several => {
                let all = format!("({})", several.join(") UNION ALL ("));
                let alias = format!("\"{}v\"", self.next_number());
                format!("SELECT * FROM ({all}) AS {alias}{}{page}", order(&format!("{alias}.")))
            }
        };
        (candidates, order(&format!("{row}.")))
    }

    fn scan(&mut self, poly: &Poly<'s>, scan: &Scan<'s>, parent: Option<&str>) -> String {
        let (number, object) = match &scan.tag {
            Tag::Is(number) if poly.is_whole() => {
                let (alias, object) = self.of_type(*number, &poly.types[*number], None);
                (alias, Some(object))
            }
            _ => (self.next_number(), None),
        };
        let base = format!("\"{number}\"");
        let tag = match &scan.tag {
            Tag::Is(number) => format!("{number}::pg_catalog.int4"),
            Tag::Column { column, values } => numbered(&column_sql(&base, column), values),
        };
        let mut list = vec![format!("{tag} AS \"t\"")];
        for (slot, sql_type) in poly.found.slots.iter().enumerate() {
            let value = match scan.keys.get(slot).and_then(Option::as_ref) {
                Some(column) => column_sql(&base, column),
                // NULL of the type, or of that below a domain, which might not allow NULL.
                None => format!("CASE WHEN false THEN ''::pg_catalog.text::{sql_type} END"),
            };
            list.push(format!("{value} AS {}", quote_identifier(&slot_name(slot))));
        }
        for (at, term) in scan.order.iter().enumerate() {
            list.push(format!("{} AS \"s{at}\"", self.order_value(term, &base)));
        }
        list.extend(object.map(|object| format!("{object} AS \"o\"")));
        let mut conditions = Vec::new();
        if let Some(parent) = parent {
            conditions.extend(joined(scan.on, &base, parent));
        }
        if let Some(filter) = &scan.filter {
            conditions.push(self.predicate(filter, &base));
        }
        let filter = if conditions.is_empty() {
            String::new()
        } else {
            format!(" WHERE {}", conditions.join(" AND "))
        };
        format!("SELECT {} FROM {} AS {base}{filter}", list.join(", "), scan.object.relation)
    }
}

/// Returns the number of the type that a discriminator's value stands for.
fn numbered(column: &str, values: &[&str]) -> String {
    let cases: Vec<String> = values
        .iter()
        .enumerate()
        .map(|(number, value)| format!(" WHEN {} THEN {number}", quote_literal(value)))
        .collect();
    format!("CASE {column}{} END", cases.concat())
}
