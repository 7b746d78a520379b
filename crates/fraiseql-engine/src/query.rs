//! Conditions and order as SQL, and the read half of root fields.

use fraiseql_model::artifact::{FunctionArgument, FunctionCall, KeyArgument};
use fraiseql_model::response::{Code, GraphqlError};

use crate::argument::Scope;
use crate::collect::Group;
use crate::filter::operand;
use crate::ir::{Call, Operand, OrderTerm, Predicate, column_term};
use crate::schema::Object;
use crate::sql::{Writer, joined, term_sql};

impl<'s> Writer<'s> {
    /// Returns a condition as SQL that can stand beside AND without more parentheses.
    pub(crate) fn predicate(&mut self, predicate: &Predicate<'s>, base: &str) -> String {
        match predicate {
            Predicate::All(parts) => self.junction(parts, base, " AND ", "true"),
            Predicate::Any(parts) => self.junction(parts, base, " OR ", "false"),
            Predicate::Not(inner) => format!("(NOT {})", self.predicate(inner, base)),
            Predicate::Compare { term, cast, operator, operand } => {
                let cast = cast.map_or_else(String::new, |cast| format!("::{cast}"));
                let term = term_sql(base, term);
                let operand = self.operand(operand);
                format!("({term}{cast} {operator} {operand})")
            }
            Predicate::Quantified { term, operator, operand } => {
                let operand = self.operand(operand);
                format!("({} {operator} ({operand}))", term_sql(base, term))
            }
            Predicate::IsNull { term, null } => {
                let not = if *null { "" } else { "NOT " };
                format!("({} IS {not}NULL)", term_sql(base, term))
            }
            Predicate::Exists { object, on, inner } => {
                let (alias, on) = self.related(on, base);
                let inner = self.predicate(inner, &alias);
                format!("EXISTS (SELECT 1 FROM {} AS {alias} WHERE {on} AND {inner})", object.relation)
            }
            Predicate::Aggregated { object, on, filter, inner } => {
                let (alias, on) = self.related(on, base);
                let filter = filter.as_ref().map(|filter| self.predicate(filter, &alias));
                let filter = filter.map_or_else(String::new, |filter| format!(" AND {filter}"));
                let inner = self.predicate(inner, &alias);
                // HAVING makes one group of the rows also where nothing is asked of it.
                let having = "HAVING true";
                format!("(SELECT {inner} FROM {} AS {alias} WHERE {on}{filter} {having})", object.relation)
            }
            Predicate::Every { object, on, inner } => {
                let (alias, on) = self.related(on, base);
                let inner = self.predicate(inner, &alias);
                format!(
                    "(NOT EXISTS (SELECT 1 FROM {} AS {alias} WHERE {on} AND ({inner}) IS NOT TRUE))",
                    object.relation
                )
            }
        }
    }

    fn junction(&mut self, parts: &[Predicate<'s>], base: &str, separator: &str, empty: &str) -> String {
        match parts {
            [] => empty.to_owned(),
            [single] => self.predicate(single, base),
            several => {
                let parts: Vec<String> = several.iter().map(|part| self.predicate(part, base)).collect();
                format!("({})", parts.join(separator))
            }
        }
    }

    fn related(&mut self, on: &[fraiseql_model::artifact::ColumnPair], base: &str) -> (String, String) {
        let alias = format!("\"{}\"", self.next_number());
        let on = joined(on, &alias, base).join(" AND ");
        (alias, on)
    }

    /// Returns one key of ORDER BY.
    pub(crate) fn order_term(&mut self, term: &OrderTerm<'s>, base: &str) -> String {
        format!("{} {}", self.order_value(term, base), term.direction)
    }

    /// Returns the value that a key of ORDER BY looks at; that of another row is read by a subquery.
    pub(crate) fn order_value(&mut self, term: &OrderTerm<'s>, base: &str) -> String {
        let Some(((first, first_on), rest)) = term.through.split_first() else {
            return term_sql(base, &term.term);
        };
        let mut alias = format!("\"{}\"", self.next_number());
        let mut from = format!("{} AS {alias}", first.relation);
        let on = joined(first_on, &alias, base).join(" AND ");
        for (object, object_on) in rest {
            let next = format!("\"{}\"", self.next_number());
            let on = joined(object_on, &next, &alias).join(" AND ");
            from.push_str(&format!(" JOIN {} AS {next} ON {on}", object.relation));
            alias = next;
        }
        format!("(SELECT {} FROM {from} WHERE {on} LIMIT 1)", term_sql(&alias, &term.term))
    }
}

/// Returns the condition that key arguments ask for.
pub(crate) fn key_predicate<'s>(
    scope: Scope<'s>,
    object: &'s Object,
    key: &[KeyArgument],
    group: &Group<'s>,
) -> Result<Predicate<'s>, GraphqlError> {
    let mut all = Vec::with_capacity(key.len());
    for KeyArgument { argument, field } in key {
        let column = object.column(field).ok_or_else(|| unbound(argument))?;
        let value = scope.argument(group[0], argument)?.filter(|value| !value.is_null());
        let value = value.ok_or_else(|| {
            GraphqlError::new(Code::BadUserInput, format!("\"{argument}\" must not be null"))
        })?;
        let operand = operand(scope.schema, &column.value, &value)?;
        all.push(Predicate::Compare { term: column_term(column), cast: None, operator: "=", operand });
    }
    Ok(Predicate::All(all))
}

/// Returns the call that a field asks for; `row` when a row is its first argument. Arguments that were left out stay out.
pub(crate) fn call<'s>(
    scope: Scope<'s>,
    function: &FunctionCall,
    row: bool,
    group: &Group<'s>,
) -> Result<Call, GraphqlError> {
    let mut arguments: Vec<(String, Operand)> = Vec::new();
    let mut has_variadic = false;
    for FunctionArgument { argument, parameter, value, variadic } in &function.arguments {
        match scope.argument(group[0], argument)? {
            Some(given) => {
                arguments.push((parameter.clone(), operand(scope.schema, value, &given)?));
                has_variadic |= *variadic;
            }
            None if parameter.is_empty() => break,
            None => {}
        }
    }
    Ok(Call { function: function.function.sql(), row, arguments, variadic: has_variadic })
}

pub(crate) fn unbound(name: &str) -> GraphqlError {
    GraphqlError::new(Code::Internal, format!("\"{name}\" is not bound"))
}
