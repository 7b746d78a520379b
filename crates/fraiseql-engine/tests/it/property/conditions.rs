//! The reference's filters: three-valued, `None` is unknown.

use super::answering::{compare, items, related};
use super::document::Term;
use super::model::{Binding, Cell, Kind, Model, Table, Way};

/// Returns whether a row fulfils a filter.
pub(super) fn holds(model: &Model, table: &Table, row: &[Cell], filter: &Term) -> Option<bool> {
    let Term::Object(fields) = filter else { unreachable!("{filter:?} is no filter") };
    let each = |list: &Term| -> Vec<Option<bool>> {
        items(list).iter().map(|item| holds(model, table, row, item)).collect()
    };
    all(fields.iter().map(|(name, value)| match name.as_str() {
        "_and" => all(each(value)),
        "_or" => any(each(value)),
        "_not" => holds(model, table, row, value).map(|held| !held),
        field => match &table.field(field).binding {
            Binding::Column { column, .. } => column_holds(&row[*column], table.columns[*column].kind, value),
            Binding::ToOne(way) => Some(some(model, row, way, value)),
            Binding::ToMany(way) => Some(quantified(model, row, way, value)),
        },
    }))
}

pub(super) fn all(parts: impl IntoIterator<Item = Option<bool>>) -> Option<bool> {
    let mut known = Some(true);
    for part in parts {
        match part {
            Some(false) => return Some(false),
            Some(true) => {}
            None => known = None,
        }
    }
    known
}

pub(super) fn any(parts: impl IntoIterator<Item = Option<bool>>) -> Option<bool> {
    all(parts.into_iter().map(|part| part.map(|held| !held))).map(|held| !held)
}

fn some(model: &Model, row: &[Cell], way: &Way, filter: &Term) -> bool {
    let target = &model.tables[way.target];
    related(model, row, way).any(|other| holds(model, target, other, filter) == Some(true))
}

fn quantified(model: &Model, row: &[Cell], way: &Way, quantifiers: &Term) -> bool {
    let Term::Object(quantifiers) = quantifiers else { unreachable!("{quantifiers:?} is no filter") };
    let target = &model.tables[way.target];
    quantifiers.iter().all(|(quantifier, filter)| match quantifier.as_str() {
        "some" => some(model, row, way, filter),
        "none" => !some(model, row, way, filter),
        "every" => related(model, row, way).all(|other| holds(model, target, other, filter) == Some(true)),
        other => unreachable!("{other} is no quantifier"),
    })
}

pub(super) fn column_holds(cell: &Cell, kind: Kind, conditions: &Term) -> Option<bool> {
    let Term::Object(conditions) = conditions else { unreachable!("{conditions:?} is no filter") };
    all(conditions.iter().map(|(operator, value)| condition(cell, kind, operator, value)))
}

fn condition(cell: &Cell, kind: Kind, operator: &str, value: &Term) -> Option<bool> {
    match operator {
        "isnull" => return Some(Term::Boolean(cell.is_null()) == *value),
        "in" => return any(equalities(cell, kind, value)),
        "nin" => return any(equalities(cell, kind, value)).map(|held| !held),
        _ => {}
    }
    if cell.is_null() {
        return None;
    }
    if let Cell::List(cells) = cell {
        return Some(list_condition(cells, operator, &texts(value)));
    }
    if let "eq" | "neq" | "gt" | "gte" | "lt" | "lte" = operator {
        let order = compare(cell, &operand(kind, value));
        return Some(match operator {
            "eq" => order.is_eq(),
            "neq" => order.is_ne(),
            "gt" => order.is_gt(),
            "gte" => order.is_ge(),
            "lt" => order.is_lt(),
            _ => order.is_le(),
        });
    }
    let (Cell::Text(text), Term::Text(pattern)) = (cell, value) else {
        unreachable!("{operator} is for texts")
    };
    Some(text_condition(text, operator, pattern))
}

fn equalities(cell: &Cell, kind: Kind, values: &Term) -> Vec<Option<bool>> {
    let equal = |value| (!cell.is_null()).then(|| compare(cell, &operand(kind, value)).is_eq());
    items(values).iter().map(equal).collect()
}

fn texts(value: &Term) -> Vec<String> {
    let text = |item: &Term| match item {
        Term::Text(text) => text.clone(),
        other => unreachable!("{other:?} is no text"),
    };
    items(value).iter().map(text).collect()
}

fn list_condition(cells: &[Option<String>], operator: &str, values: &[String]) -> bool {
    let has = |value: &String| cells.iter().any(|cell| cell.as_ref() == Some(value));
    let same = cells.len() == values.len()
        && cells.iter().zip(values).all(|(cell, value)| cell.as_ref() == Some(value));
    match operator {
        "eq" => same,
        "neq" => !same,
        "array_contains" => values.iter().all(has),
        "array_contained_by" => {
            cells.iter().all(|cell| cell.as_ref().is_some_and(|cell| values.contains(cell)))
        }
        "array_overlaps" => values.iter().any(has),
        other => unreachable!("{other} is not for lists"),
    }
}

fn text_condition(text: &str, operator: &str, pattern: &str) -> bool {
    let (negated, operator) = match operator {
        "nlike" | "nilike" | "nregex" | "niregex" => (true, &operator[1..]),
        other => (false, other),
    };
    let fold =
        |text: &str| if operator.starts_with('i') { text.to_ascii_lowercase() } else { text.to_owned() };
    let (text, pattern) = (fold(text), fold(pattern));
    let characters: Vec<char> = text.chars().collect();
    let held = match operator.strip_prefix('i').unwrap_or(operator) {
        "contains" => text.contains(&pattern),
        "startswith" => text.starts_with(&pattern),
        "endswith" => text.ends_with(&pattern),
        "like" => matches(&characters, &like_parts(&pattern)),
        "regex" => matches(&characters, &regex_parts(&pattern)),
        other => unreachable!("{other} is not for texts"),
    };
    held != negated
}

/// A part of a pattern.
#[derive(Clone, Copy, Debug)]
enum Part {
    /// This character.
    Just(char),
    /// Any one character.
    One,
    /// Any number of characters.
    Any,
}

fn matches(text: &[char], parts: &[Part]) -> bool {
    match (parts, text) {
        ([], _) => text.is_empty(),
        ([Part::Any, rest @ ..], _) => (0..=text.len()).any(|skipped| matches(&text[skipped..], rest)),
        ([Part::One, rest @ ..], [_, text @ ..]) => matches(text, rest),
        ([Part::Just(wanted), rest @ ..], [found, text @ ..]) => wanted == found && matches(text, rest),
        (_, []) => false,
    }
}

fn like_parts(pattern: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        parts.push(match character {
            '%' => Part::Any,
            '_' => Part::One,
            '\\' => Part::Just(characters.next().expect("a pattern does not end with an escape")),
            other => Part::Just(other),
        });
    }
    parts
}

fn regex_parts(pattern: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    if !pattern.starts_with('^') {
        parts.push(Part::Any);
    }
    for character in pattern.trim_start_matches('^').trim_end_matches('$').chars() {
        parts.push(if character == '.' { Part::One } else { Part::Just(character) });
    }
    if !pattern.ends_with('$') {
        parts.push(Part::Any);
    }
    parts
}

/// Returns a value of an operation as a cell of a kind.
pub(super) fn operand(kind: Kind, value: &Term) -> Cell {
    let (Term::Number(text) | Term::Text(text)) = value else {
        let Term::Boolean(value) = value else { unreachable!("{value:?} is no operand") };
        return Cell::Boolean(*value);
    };
    match kind {
        Kind::Int | Kind::BigInt => Cell::Int(text.parse().expect("a whole number")),
        Kind::Text => Cell::Text(text.clone()),
        Kind::Date => Cell::Date(text.clone()),
        Kind::Float => Cell::Float(text.parse().expect("a number")),
        Kind::Decimal => Cell::Decimal(millionths(text)),
        Kind::Boolean | Kind::TextList => unreachable!("{text} is no operand of {kind:?}"),
    }
}

fn millionths(text: &str) -> i128 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}{fraction:0<6}").parse().expect("a decimal number of at most six places")
}
