//! The operators of filters: what each is in SQL, and of what type its operand is.

use fraiseql_model::artifact::ValueType;
use fraiseql_model::response::{Code, GraphqlError};

use crate::argument::Input;
use crate::filter::{list_of, one, operand};
use crate::ir::{Operand, OperandValue, Predicate, Term};
use crate::plan::ParamFormat;
use crate::schema::Schema;

/// Returns the condition that one operator puts on a value.
pub(crate) fn comparison<'s>(
    schema: &Schema,
    term: &Term<'s>,
    value_type: &ValueType,
    operator: &str,
    value: &Input<'_>,
) -> Result<Predicate<'s>, GraphqlError> {
    let term = term.clone();
    if operator == "isnull" {
        return Ok(Predicate::IsNull { term, null: value.boolean() == Some(true) });
    }
    if let "in" | "nin" = operator {
        let (operator, list) = (if operator == "in" { "= ANY" } else { "<> ALL" }, list_of(value_type));
        return Ok(Predicate::Quantified { term, operator, operand: operand(schema, &list, value)? });
    }
    if let Some(comparison) = operator.strip_prefix("len_") {
        let Term::Column(column) = term else { return Err(unbound(operator)) };
        let (operator, operand) = (plain(comparison).ok_or_else(|| unbound(operator))?, int4(value)?);
        return Ok(Predicate::Compare { term: Term::Cardinality(column), cast: None, operator, operand });
    }
    match Kind::of(value_type) {
        Kind::Json => json(term, operator, value),
        Kind::TextSearch => text_search(term, operator, value),
        kind => {
            if let Some(operator) = plain(operator).or_else(|| kind.own(operator)) {
                let operand = operand(schema, value_type, value)?;
                return Ok(Predicate::Compare { term, cast: None, operator, operand });
            }
            if let (Kind::Range(element), "contains_value") = (kind, operator) {
                let operand = typed(element, one(value, ParamFormat::Scalar)?);
                return Ok(Predicate::Compare { term, cast: None, operator: "@>", operand });
            }
            let (operator, write) = pattern(operator).ok_or_else(|| unbound(operator))?;
            let operand = typed("pg_catalog.text", one(value, write)?);
            Ok(Predicate::Compare { term, cast: None, operator, operand })
        }
    }
}

/// What kind of values a filter is about, as far as its operators depend on it.
#[derive(Clone, Copy)]
enum Kind {
    Array,
    Json,
    TextSearch,
    Network,
    /// A range of values of this SQL type.
    Range(&'static str),
    Other,
}

impl Kind {
    fn of(value_type: &ValueType) -> Self {
        match (value_type.graphql.as_str(), value_type.sql.as_str()) {
            _ if value_type.list => Self::Array,
            ("JSON", _) => Self::Json,
            (_, "\"pg_catalog\".\"tsvector\"") => Self::TextSearch,
            (_, "\"pg_catalog\".\"inet\"" | "\"pg_catalog\".\"cidr\"") => Self::Network,
            ("Int4Range", _) => Self::Range("pg_catalog.int4"),
            ("Int8Range", _) => Self::Range("pg_catalog.int8"),
            ("NumRange", _) => Self::Range("pg_catalog.\"numeric\""),
            ("DateRange", _) => Self::Range("pg_catalog.date"),
            ("TsRange", _) => Self::Range("pg_catalog.\"timestamp\""),
            ("TstzRange", _) => Self::Range("pg_catalog.timestamptz"),
            _ => Self::Other,
        }
    }

    /// Returns the operator for another value of the same type.
    fn own(self, operator: &str) -> Option<&'static str> {
        Some(match (self, operator) {
            (Self::Array, "array_contains") => "@>",
            (Self::Array, "array_contained_by") => "<@",
            (Self::Array, "array_overlaps") => "&&",
            (Self::Network, "contains") => ">>=",
            (Self::Network, "contained_by") => "<<=",
            (Self::Network | Self::Range(_), "overlaps") => "&&",
            (Self::Range(_), "contains") => "@>",
            (Self::Range(_), "contained_by") => "<@",
            (Self::Range(_), "strictly_left") => "<<",
            (Self::Range(_), "strictly_right") => ">>",
            (Self::Range(_), "not_left") => "&>",
            (Self::Range(_), "not_right") => "&<",
            (Self::Range(_), "adjacent") => "-|-",
            _ => return None,
        })
    }
}

fn plain(operator: &str) -> Option<&'static str> {
    Some(match operator {
        "eq" => "=",
        "neq" => "<>",
        "gt" => ">",
        "gte" => ">=",
        "lt" => "<",
        "lte" => "<=",
        _ => return None,
    })
}

fn json<'s>(term: Term<'s>, operator: &str, value: &Input<'_>) -> Result<Predicate<'s>, GraphqlError> {
    let document = "pg_catalog.jsonb";
    let (operator, operand) = match operator {
        "contains" => ("@>", typed(document, one(value, ParamFormat::Json)?)),
        "contained_by" => ("<@", typed(document, one(value, ParamFormat::Json)?)),
        "has_key" => ("?", typed("pg_catalog.text", one(value, ParamFormat::Scalar)?)),
        "has_any_key" => ("?|", keys(value)?),
        "has_all_keys" => ("?&", keys(value)?),
        "path_exists" => ("@?", typed("pg_catalog.jsonpath", one(value, ParamFormat::Scalar)?)),
        "path_match" => ("@@", typed("pg_catalog.jsonpath", one(value, ParamFormat::Scalar)?)),
        other => {
            let operator = plain(other).ok_or_else(|| unbound(other))?;
            (operator, typed(document, one(value, ParamFormat::Json)?))
        }
    };
    Ok(Predicate::Compare { term, cast: Some(document), operator, operand })
}

fn keys(value: &Input<'_>) -> Result<Operand, GraphqlError> {
    match value.param(ParamFormat::Array) {
        Some(param) => Ok(typed("pg_catalog.text", OperandValue::Array(param))),
        None => {
            let element = |item: &Input<'_>| Ok(typed("pg_catalog.text", one(item, ParamFormat::Scalar)?));
            let elements = value.items().iter().map(element).collect::<Result<Vec<_>, GraphqlError>>()?;
            Ok(typed("pg_catalog.text", OperandValue::Elements(elements)))
        }
    }
}

fn text_search<'s>(term: Term<'s>, operator: &str, value: &Input<'_>) -> Result<Predicate<'s>, GraphqlError> {
    let function = match operator {
        "matches" => "websearch_to_tsquery",
        "plain_query" => "plainto_tsquery",
        "phrase_query" => "phraseto_tsquery",
        "raw_query" => "to_tsquery",
        other => return Err(unbound(other)),
    };
    let OperandValue::One(param) = one(value, ParamFormat::Scalar)? else { return Err(unbound(operator)) };
    let operand = typed("pg_catalog.text", OperandValue::Call { function, param });
    Ok(Predicate::Compare { term, cast: None, operator: "@@", operand })
}

fn pattern(operator: &str) -> Option<(&'static str, ParamFormat)> {
    Some(match operator {
        "contains" => ("LIKE", ParamFormat::Contains),
        "icontains" => ("ILIKE", ParamFormat::Contains),
        "startswith" => ("LIKE", ParamFormat::StartsWith),
        "istartswith" => ("ILIKE", ParamFormat::StartsWith),
        "endswith" => ("LIKE", ParamFormat::EndsWith),
        "iendswith" => ("ILIKE", ParamFormat::EndsWith),
        "like" => ("LIKE", ParamFormat::Scalar),
        "ilike" => ("ILIKE", ParamFormat::Scalar),
        "nlike" => ("NOT LIKE", ParamFormat::Scalar),
        "nilike" => ("NOT ILIKE", ParamFormat::Scalar),
        "regex" => ("~", ParamFormat::Scalar),
        "iregex" => ("~*", ParamFormat::Scalar),
        "nregex" => ("!~", ParamFormat::Scalar),
        "niregex" => ("!~*", ParamFormat::Scalar),
        _ => return None,
    })
}

fn int4(value: &Input<'_>) -> Result<Operand, GraphqlError> {
    Ok(typed("pg_catalog.int4", one(value, ParamFormat::Scalar)?))
}

fn typed(sql_type: &str, value: OperandValue) -> Operand {
    Operand { sql_type: sql_type.to_owned(), value }
}

fn unbound(operator: &str) -> GraphqlError {
    GraphqlError::new(Code::Internal, format!("the operator \"{operator}\" is not bound"))
}
