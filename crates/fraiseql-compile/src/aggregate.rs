//! The generated types of `@read`: what aggregates, groups and pages consist of.

use crate::input::{Shared, block, column_filter, input, number_filter};
use crate::object::{BoundColumn, BoundObject};
use crate::scalar::Class;

/// Words of GraphQL that cannot be values of an enum.
const NO_ENUM_VALUES: &[&str] = &["true", "false", "null"];

/// A type by the suffix of its name, and its SDL.
pub(crate) type Suffixed = (&'static str, String);

/// A field of aggregates, its type, and the kind of its filter and order; `$` is the object's name.
type Member = (String, &'static str, &'static str);

/// Returns the fields by which rows can be grouped and told apart.
pub(crate) fn columns<'a>(object: &BoundObject<'a>) -> Vec<&'a str> {
    keys(object).map(|(name, _)| name).collect()
}

fn keys<'o, 'a>(object: &'o BoundObject<'a>) -> impl Iterator<Item = (&'a str, &'o BoundColumn<'a>)> {
    object.columns().filter(|(name, column)| column.is_searchable() && !NO_ENUM_VALUES.contains(name))
}

fn numbers<'a>(object: &BoundObject<'a>) -> impl Iterator<Item = (&'a str, Number)> {
    object.columns().filter_map(|(name, column)| Some((name, number(column)?)))
}

/// Fields of which there is a least and a greatest value.
fn extremes<'o, 'a>(object: &'o BoundObject<'a>) -> impl Iterator<Item = (&'a str, &'o BoundColumn<'a>)> {
    object.columns().filter(|(_, column)| {
        column.is_searchable()
            && !matches!(
                column.element.class,
                Class::Boolean
                    | Class::Uuid
                    | Class::Bytes
                    | Class::Range(_)
                    | Class::TextSearch
                    | Class::Opaque(_)
            )
    })
}

/// What becomes of a number in an aggregate.
struct Number {
    sum: &'static str,
    average: &'static str,
}

fn number(column: &BoundColumn<'_>) -> Option<Number> {
    let (sum, average) = match column.value.graphql.as_str() {
        _ if column.value.list => return None,
        "Int" => ("BigInt", "Decimal"),
        "BigInt" | "Decimal" => ("Decimal", "Decimal"),
        "Float" => ("Float", "Float"),
        _ => return None,
    };
    Some(Number { sum, average })
}

/// Returns the scalars that the aggregates of an object type need.
pub(crate) fn scalars(object: &BoundObject<'_>) -> Vec<&'static str> {
    let numbers = numbers(object).filter(|_| object.reading.aggregate);
    numbers.flat_map(|(_, number)| [number.sum, number.average]).collect()
}

/// Returns the filters that conditions on groups need.
pub(crate) fn filters(object: &BoundObject<'_>) -> Vec<(String, Shared)> {
    let mut filters = vec![number_filter("Int")];
    filters.extend(numbers(object).map(|(_, number)| number_filter(number.average)));
    filters.extend(extremes(object).map(|(_, column)| column_filter(column)));
    filters
}

/// Returns the types of aggregates and groups.
pub(crate) fn types(object: &BoundObject<'_>) -> Vec<Suffixed> {
    let name = object.name;
    let mut types = Vec::new();
    let lines = |fields: &[(&str, &str)]| -> Vec<String> {
        fields.iter().map(|(field, graphql)| format!("{field}: {graphql}")).collect()
    };
    let numbers: Vec<(&str, Number)> = numbers(object).collect();
    let extremes: Vec<(&str, &BoundColumn<'_>)> = extremes(object).collect();
    let keys: Vec<(&str, &BoundColumn<'_>)> = keys(object).collect();
    let count = if keys.is_empty() { "count" } else { "count(distinct: [$Column!])" };
    let mut members = vec![(String::from(count), "Int!", "")];
    if !numbers.is_empty() {
        let of = |part: fn(&Number) -> &'static str| -> Vec<(&str, &str)> {
            numbers.iter().map(|(field, number)| (*field, part(number))).collect()
        };
        types.push(("Sum", block("type", &format!("{name}Sum"), &lines(&of(|number| number.sum)))));
        let averages = lines(&of(|number| number.average));
        types.push(("Average", block("type", &format!("{name}Average"), &averages)));
        let filters: Vec<String> =
            numbers.iter().map(|(field, number)| format!("{field}: {}Filter", number.average)).collect();
        types.push(("NumberFilter", input(&format!("{name}NumberFilter"), &filters)));
        types.push(("NumberOrderBy", directions(&format!("{name}NumberOrderBy"), numbers.iter())));
        members.push((String::from("sum"), "$Sum!", "Number"));
        members.push((String::from("avg"), "$Average!", "Number"));
        members.push((String::from("stddev"), "$Average!", "Number"));
    }
    if !extremes.is_empty() {
        let of: Vec<(&str, &str)> =
            extremes.iter().map(|(field, column)| (*field, column.value.graphql.as_str())).collect();
        types.push(("Extreme", block("type", &format!("{name}Extreme"), &lines(&of))));
        let filters: Vec<String> =
            extremes.iter().map(|(field, column)| format!("{field}: {}", column_filter(column).0)).collect();
        types.push(("ExtremeFilter", input(&format!("{name}ExtremeFilter"), &filters)));
        types.push(("ExtremeOrderBy", directions(&format!("{name}ExtremeOrderBy"), extremes.iter())));
        members.push((String::from("min"), "$Extreme!", "Extreme"));
        members.push((String::from("max"), "$Extreme!", "Extreme"));
    }
    if keys.is_empty() {
        types.push(("Aggregate", block("type", &format!("{name}Aggregate"), &whole(object, &members))));
        return types;
    }
    let of: Vec<(&str, &str)> =
        keys.iter().map(|(field, column)| (*field, column.value.graphql.as_str())).collect();
    types.push(("Key", block("type", &format!("{name}Key"), &lines(&of))));
    types.push(("KeyOrderBy", directions(&format!("{name}KeyOrderBy"), keys.iter())));
    types.extend(wholes(object, &members));
    types
}

/// The fields of the aggregate of all rows.
fn whole(object: &BoundObject<'_>, members: &[Member]) -> Vec<String> {
    let mut fields: Vec<String> = members.iter().map(|member| line(object.name, member)).collect();
    if object.is_sampled() {
        let estimate = "\"Exact for small tables, else counted on a sample.\"\n  estimatedCount: Int!";
        fields.insert(1, estimate.to_owned());
    }
    fields
}

fn line(name: &str, (field, graphql, _): &Member) -> String {
    format!("{field}: {graphql}").replace('$', name)
}

/// The types that have the members: of all rows, of a group, and what is asked of groups.
fn wholes(object: &BoundObject<'_>, members: &[Member]) -> Vec<Suffixed> {
    let name = object.name;
    let mut group = vec![format!("key: {name}Key!")];
    group.extend(members.iter().map(|member| line(name, member)));
    let mut having = vec!["count: IntFilter".to_owned()];
    let mut order = vec!["count: OrderDirection".to_owned(), format!("key: {name}KeyOrderBy")];
    for (field, _, kind) in &members[1..] {
        having.push(format!("{field}: {name}{kind}Filter"));
        order.push(format!("{field}: {name}{kind}OrderBy"));
    }
    having.push(format!("_and: [{name}Having!]"));
    having.push(format!("_or: [{name}Having!]"));
    having.push(format!("_not: {name}Having"));
    vec![
        ("Aggregate", block("type", &format!("{name}Aggregate"), &whole(object, members))),
        ("Group", block("type", &format!("{name}Group"), &group)),
        ("Having", input(&format!("{name}Having"), &having)),
        ("GroupOrderBy", input(&format!("{name}GroupOrderBy"), &order)),
    ]
}

/// The functions whose results can be compared, with the kind of their filter and order.
fn compared(object: &BoundObject<'_>) -> Vec<(&'static str, &'static str)> {
    let mut found = Vec::new();
    if numbers(object).next().is_some() {
        found.extend([("sum", "Number"), ("avg", "Number"), ("stddev", "Number")]);
    }
    if extremes(object).next().is_some() {
        found.extend([("min", "Extreme"), ("max", "Extreme")]);
    }
    found
}

/// Returns the filter of a row by aggregates of rows that are related to it.
pub(crate) fn related_filter(object: &BoundObject<'_>) -> String {
    let name = object.name;
    let mut fields = vec![format!("where: {name}Filter"), "count: IntFilter".to_owned()];
    fields.extend(compared(object).iter().map(|(function, kind)| format!("{function}: {name}{kind}Filter")));
    fields
        .extend(["_and: [$Having!]", "_or: [$Having!]", "_not: $Having"].map(|line| line.replace('$', name)));
    input(&format!("{name}AggregateFilter"), &fields)
}

/// Returns the order of rows by aggregates of rows that are related to them.
pub(crate) fn related_order(object: &BoundObject<'_>) -> String {
    let name = object.name;
    let mut fields = vec!["count: OrderDirection".to_owned()];
    fields.extend(compared(object).iter().map(|(function, kind)| format!("{function}: {name}{kind}OrderBy")));
    input(&format!("{name}AggregateOrderBy"), &fields)
}

fn directions<'f, T: 'f>(name: &str, fields: impl Iterator<Item = &'f (&'f str, T)>) -> String {
    let fields: Vec<String> = fields.map(|(field, _)| format!("{field}: OrderDirection")).collect();
    input(name, &fields)
}

/// Returns the types of pages.
pub(crate) fn connection_types(object: &BoundObject<'_>) -> Vec<Suffixed> {
    let name = object.name;
    let mut fields = vec![
        format!("edges: [{name}Edge!]!"),
        format!("nodes: [{name}!]!"),
        "pageInfo: PageInfo!".to_owned(),
        "totalCount: Int!".to_owned(),
    ];
    if object.reading.aggregate {
        fields.push(format!("aggregate: {name}Aggregate!"));
    }
    let edge = ["cursor: String!".to_owned(), format!("node: {name}!")];
    vec![
        ("Connection", block("type", &format!("{name}Connection"), &fields)),
        ("Edge", block("type", &format!("{name}Edge"), &edge)),
    ]
}

/// Returns the type of where a page lies: section 2.1.2 of the Relay cursor connections specification.
pub(crate) fn page_info() -> String {
    let fields =
        ["hasNextPage: Boolean!", "hasPreviousPage: Boolean!", "startCursor: String", "endCursor: String"];
    block("type", "PageInfo", &fields.map(str::to_owned))
}
