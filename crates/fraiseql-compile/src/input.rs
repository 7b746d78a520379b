//! The generated part of the public schema: filters, orders, inputs and results of writes.
//!
//! Only what something refers to is generated. The order is fixed: by type in the order of the
//! document, then what all types share, by name.

use std::collections::{BTreeMap, BTreeSet};

use fraiseql_model::artifact::{Form, ValueType};

use crate::aggregate;
use crate::database::Element;
use crate::filter::{comparable, computed_filter};
use crate::object::{Binding, BoundColumn, BoundField, BoundObject, is_searchable};
use crate::scalar::{self, Class, Comparison};
use crate::write::Writes;

/// A generated type.
#[derive(Debug)]
pub(crate) struct Generated {
    pub(crate) name: String,
    /// The object type, enum or scalar that it was generated for; empty for all of them.
    pub(crate) owner: String,
    pub(crate) sdl: String,
}

/// Which generated types are needed, by the object types that they are for.
#[derive(Debug, Default)]
pub(crate) struct Demand {
    filters: BTreeSet<String>,
    list_filters: BTreeSet<String>,
    orders: BTreeSet<String>,
    /// Object types by aggregates of whose rows other rows are filtered, and ordered.
    aggregate_filters: BTreeSet<String>,
    aggregate_orders: BTreeSet<String>,
    aggregates: BTreeSet<String>,
    connections: BTreeSet<String>,
    distinct: BTreeSet<String>,
    shared: BTreeMap<String, Shared>,
    /// True when directions of order are needed beside [`Self::orders`].
    directed: bool,
    /// True when something has pages with cursors.
    pages: bool,
    /// Object types whose rows are nested in inserts; true for lists of them.
    nested: BTreeSet<(String, bool)>,
}

/// A filter that several types share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shared {
    /// The scalar or enum that its operands are of.
    operand: String,
    operators: Vec<&'static str>,
}

/// All object types with what is known about their order.
pub(crate) struct Model<'o, 'a> {
    objects: BTreeMap<&'a str, &'o BoundObject<'a>>,
    /// Object types by which rows can be ordered.
    orderable: BTreeSet<&'a str>,
}

/// Filters that are not called after the scalar or enum that they are for.
pub(crate) const SHARED_FILTERS: &[&str] = &[
    "NullFilter",
    "ExactStringFilter",
    "OrderedStringFilter",
    "TextIDFilter",
    "NetworkFilter",
    "TextSearchFilter",
];

const EQUALITY: &[&str] = &["eq", "neq", "in", "nin", "isnull"];
const ORDER: &[&str] = &["eq", "neq", "in", "nin", "isnull", "gt", "gte", "lt", "lte"];
const TEXT: &[&str] = &[
    "eq",
    "neq",
    "in",
    "nin",
    "isnull",
    "gt",
    "gte",
    "lt",
    "lte",
    "contains",
    "icontains",
    "startswith",
    "istartswith",
    "endswith",
    "iendswith",
    "like",
    "ilike",
    "nlike",
    "nilike",
    "regex",
    "iregex",
    "nregex",
    "niregex",
];
const LIST: &[&str] = &[
    "eq",
    "neq",
    "isnull",
    "array_contains",
    "array_contained_by",
    "array_overlaps",
    "len_eq",
    "len_neq",
    "len_gt",
    "len_gte",
    "len_lt",
    "len_lte",
];
const DOCUMENT: &[&str] = &[
    "eq",
    "neq",
    "isnull",
    "contains",
    "contained_by",
    "has_key",
    "has_any_key",
    "has_all_keys",
    "path_exists",
    "path_match",
];
const RANGE: &[&str] = &[
    "eq",
    "neq",
    "in",
    "nin",
    "isnull",
    "contains_value",
    "contains",
    "contained_by",
    "overlaps",
    "strictly_left",
    "strictly_right",
    "not_left",
    "not_right",
    "adjacent",
];
const NETWORK: &[&str] =
    &["eq", "neq", "in", "nin", "isnull", "gt", "gte", "lt", "lte", "contains", "contained_by", "overlaps"];
const TEXT_SEARCH: &[&str] = &["isnull", "matches", "plain_query", "phrase_query", "raw_query"];
const NULL: &[&str] = &["isnull"];

impl<'o, 'a> Model<'o, 'a> {
    pub(crate) fn new(objects: &'o [BoundObject<'a>], commons: &'o [BoundObject<'a>]) -> Self {
        let objects: BTreeMap<&str, &BoundObject<'_>> =
            objects.iter().chain(commons).map(|object| (object.name, object)).collect();
        let has_column = |object: &BoundObject<'_>| object.columns().any(|(_, column)| is_orderable(column));
        let mut orderable: BTreeSet<&str> =
            objects.values().filter(|object| has_column(object)).map(|object| object.name).collect();
        // A type without a column to order by is still orderable through a to-one, and so on.
        loop {
            let more: Vec<&str> = objects
                .values()
                .filter(|object| !orderable.contains(object.name))
                .filter(|object| to_ones(object).any(|(_, target)| orderable.contains(target)))
                .map(|object| object.name)
                .collect();
            if more.is_empty() {
                break;
            }
            orderable.extend(more);
        }
        Self { objects, orderable }
    }

    /// Returns the arguments of a list of rows, in parentheses.
    pub(crate) fn list_arguments(&self, object: &str) -> Vec<String> {
        let mut arguments = Vec::new();
        if self.objects.get(object).is_some_and(|bound| !bound.fields.is_empty()) {
            arguments.push(format!("where: {object}Filter"));
        }
        if self.orderable.contains(object) {
            arguments.push(format!("orderBy: [{object}OrderBy!]"));
        }
        if self.objects.get(object).is_some_and(|object| object.reading.distinct) {
            arguments.push(format!("distinctOn: [{object}Column!]"));
        }
        arguments.extend(["limit: Int".to_owned(), "offset: Int".to_owned()]);
        arguments
    }

    /// Returns a field that shows a list in another form, as a line of SDL.
    pub(crate) fn derived(&self, object: &str, name: &str, form: Form, own: &[String]) -> String {
        let mut arguments = own.to_vec();
        let filter = format!("where: {object}Filter");
        let (result, more) = match form {
            Form::Aggregate => (format!("{object}Aggregate!"), vec![filter]),
            Form::Groups => {
                let by = format!("by: [{object}Column!]!");
                let having = format!("having: {object}Having");
                let order = format!("orderBy: [{object}GroupOrderBy!]");
                let page = ["limit: Int".to_owned(), "offset: Int".to_owned()];
                (format!("[{object}Group!]!"), [vec![by, filter, having, order], page.to_vec()].concat())
            }
            Form::Connection => {
                let mut more = vec![filter];
                if self.orderable.contains(object) {
                    more.push(format!("orderBy: [{object}OrderBy!]"));
                }
                more.extend(
                    ["first: Int", "after: String", "last: Int", "before: String"].map(str::to_owned),
                );
                (format!("{object}Connection!"), more)
            }
        };
        arguments.extend(more);
        format!("  {name}({}): {result}\n", arguments.join(", "))
    }

    /// Adds what a list of rows needs.
    pub(crate) fn demand_list(&self, demand: &mut Demand, object: &str) {
        self.demand_filter(demand, object);
        self.demand_order(demand, object);
        self.demand_derived(demand, object);
    }

    /// Adds a type's filter and everything that it refers to.
    pub(crate) fn demand_filter(&self, demand: &mut Demand, object: &str) {
        let mut waiting = vec![object.to_owned()];
        while let Some(name) = waiting.pop() {
            let Some(bound) = self.objects.get(name.as_str()) else { continue };
            if bound.fields.is_empty() || !demand.filters.insert(name) {
                continue;
            }
            for field in &bound.fields {
                match &field.binding {
                    Binding::Column(column) => {
                        let (filter, shared) = column_filter(column);
                        demand.shared.insert(filter, shared);
                    }
                    Binding::Polymorphic(_) | Binding::GlobalId => {}
                    Binding::ToOne(reference) => waiting.push(reference.target.clone()),
                    Binding::ToMany(reference) => {
                        demand.list_filters.insert(reference.target.clone());
                        if self.is_aggregated(&reference.target) {
                            demand.aggregate_filters.insert(reference.target.clone());
                        }
                        waiting.push(reference.target.clone());
                    }
                    Binding::Computed(_) => demand.shared.extend(computed_filter(bound, &field.binding)),
                    Binding::Document(_) => {}
                }
            }
        }
    }

    /// Adds what the fields beside a list need.
    pub(crate) fn demand_derived(&self, demand: &mut Demand, object: &str) {
        let Some(bound) = self.objects.get(object) else { return };
        demand.pages |= bound.reading.connection;
        if bound.reading.aggregate && demand.aggregates.insert(object.to_owned()) {
            demand.directed = true;
            demand.shared.extend(aggregate::filters(bound));
        }
        if bound.reading.connection {
            demand.connections.insert(object.to_owned());
        }
        if bound.reading.distinct {
            demand.distinct.insert(object.to_owned());
        }
    }

    fn demand_order(&self, demand: &mut Demand, object: &str) {
        let mut waiting = vec![object.to_owned()];
        while let Some(name) = waiting.pop() {
            let Some(bound) = self.objects.get(name.as_str()) else { continue };
            if self.orderable.contains(name.as_str()) && demand.orders.insert(name) {
                waiting.extend(to_ones(bound).map(|(_, target)| target.to_owned()));
                let lists = bound.fields.iter().filter_map(|field| self.aggregated(field));
                demand.aggregate_orders.extend(lists.map(str::to_owned));
            }
        }
    }

    /// Returns true when the rows of a type have aggregates that can be compared.
    fn is_aggregated(&self, object: &str) -> bool {
        self.objects.get(object).is_some_and(|object| object.reading.aggregate && object.reading.grouped)
    }

    /// Returns the type of a field's related rows when they have aggregates that can be compared.
    pub(crate) fn aggregated<'f>(&self, field: &'f BoundField<'_>) -> Option<&'f str> {
        match &field.binding {
            Binding::ToMany(reference) if self.is_aggregated(&reference.target) => Some(&reference.target),
            _ => None,
        }
    }

    /// Returns the types generated for one object type.
    pub(crate) fn types_of(
        &self,
        demand: &Demand,
        object: &BoundObject<'_>,
        writes: Option<&Writes<'_, '_>>,
    ) -> Vec<Generated> {
        let name = object.name;
        let mut types = Vec::new();
        let mut add = |suffix: &str, sdl: String| {
            types.push(Generated { name: format!("{name}{suffix}"), owner: name.to_owned(), sdl });
        };
        if demand.filters.contains(name) {
            add("Filter", self.filter(object));
        }
        if demand.list_filters.contains(name) {
            let fields = ["some", "none", "every"].map(|word| format!("{word}: {name}Filter"));
            add("ListFilter", input(&format!("{name}ListFilter"), &fields));
        }
        if demand.aggregate_filters.contains(name) {
            add("AggregateFilter", aggregate::related_filter(object));
        }
        if demand.aggregate_orders.contains(name) {
            add("AggregateOrderBy", aggregate::related_order(object));
        }
        if demand.orders.contains(name) {
            add("OrderBy", self.order(object));
        }
        if object.reading.grouped && (demand.aggregates.contains(name) || demand.distinct.contains(name)) {
            add("Column", enumeration(&format!("{name}Column"), &aggregate::columns(object)));
        }
        if demand.aggregates.contains(name) {
            for (suffix, sdl) in aggregate::types(object) {
                add(suffix, sdl);
            }
        }
        if demand.connections.contains(name) {
            for (suffix, sdl) in aggregate::connection_types(object) {
                add(suffix, sdl);
            }
        }
        if let Some(writes) = writes {
            add_write_types(writes, &mut add);
            if demand.nested.contains(&(name.to_owned(), false)) {
                add("NestedInput", nested_input(writes, "NestedInput", "data: $InsertInput!"));
            }
            if demand.nested.contains(&(name.to_owned(), true)) {
                add("NestedListInput", nested_input(writes, "NestedListInput", "data: [$InsertInput!]!"));
            }
        }
        types
    }

    fn order(&self, object: &BoundObject<'_>) -> String {
        let fields: Vec<String> = object
            .fields
            .iter()
            .filter_map(|field| match &field.binding {
                Binding::Column(column) if is_orderable(column) => {
                    Some(format!("{}: OrderDirection", field.name))
                }
                Binding::Computed(_) => {
                    let (_, element) = comparable(object, &field.binding)?;
                    let ordered = !element.list && element.class.comparison() == Comparison::Ordered;
                    ordered.then(|| format!("{}: OrderDirection", field.name))
                }
                Binding::ToMany(_) => {
                    let target = self.aggregated(field)?;
                    Some(format!("{}Aggregate: {target}AggregateOrderBy", field.name))
                }
                Binding::ToOne(reference) if self.orderable.contains(reference.target.as_str()) => {
                    Some(format!("{}: {}OrderBy", field.name, reference.target))
                }
                _ => None,
            })
            .collect();
        input(&format!("{}OrderBy", object.name), &fields)
    }
}

impl Demand {
    /// Adds the inputs of nested rows.
    pub(crate) fn nest(&mut self, target: &str, many: bool) {
        self.nested.insert((target.to_owned(), many));
    }

    /// Returns the types that all object types share, with the operators that the server has.
    pub(crate) fn shared_types(&self, server_version: u32) -> Vec<Generated> {
        let mut types: Vec<Generated> = self
            .shared
            .iter()
            .map(|(name, shared)| Generated {
                name: name.clone(),
                owner: shared.operand.clone(),
                sdl: shared.sdl(name, server_version),
            })
            .collect();
        if self.pages {
            let (name, owner) = ("PageInfo".to_owned(), String::new());
            let sdl = aggregate::page_info();
            types.push(Generated { name, owner, sdl });
        }
        if self.directed || !self.orders.is_empty() {
            types.push(Generated {
                name: "OrderDirection".to_owned(),
                owner: String::new(),
                sdl: enumeration(
                    "OrderDirection",
                    &[
                        "ASC",
                        "DESC",
                        "ASC_NULLS_FIRST",
                        "ASC_NULLS_LAST",
                        "DESC_NULLS_FIRST",
                        "DESC_NULLS_LAST",
                    ],
                ),
            });
        }
        types
    }
}

/// Returns the `server_version_num` with which an operator came.
fn since(operator: &str) -> u32 {
    match operator {
        "matches" => 110_000,
        "path_exists" | "path_match" => 120_000,
        _ => 0,
    }
}

impl Shared {
    fn sdl(&self, name: &str, server_version: u32) -> String {
        let operand = &self.operand;
        let list = std::ptr::eq(self.operators.as_slice(), LIST) || self.operators == LIST;
        let fields: Vec<String> = self
            .operators
            .iter()
            .filter(|operator| server_version >= since(operator))
            .map(|operator| match *operator {
                "isnull" => "isnull: Boolean".to_owned(),
                "has_any_key" | "has_all_keys" => format!("{operator}: [String!]"),
                _ if operator.starts_with("len_") => format!("{operator}: Int"),
                "contains_value" => format!("{operator}: {}", range_element(operand)),
                "in" | "nin" => format!("{operator}: [{operand}!]"),
                _ if list => format!("{operator}: [{operand}!]"),
                "eq" | "neq" | "gt" | "gte" | "lt" | "lte" => format!("{operator}: {operand}"),
                "contains" | "contained_by" if operand == "JSON" => format!("{operator}: JSON"),
                _ if self.operators == RANGE => format!("{operator}: {operand}"),
                _ => format!("{operator}: String"),
            })
            .collect();
        input(name, &fields)
    }
}

/// Returns the scalar of the values between the bounds of a range.
pub(crate) fn range_element(range: &str) -> &'static str {
    match range {
        "Int4Range" => "Int",
        "Int8Range" => "BigInt",
        "NumRange" => "Decimal",
        "DateRange" => "Date",
        "TsRange" => "LocalDateTime",
        "TstzRange" => "DateTime",
        _ => "String",
    }
}

/// Returns the filter of numbers that are computed.
pub(crate) fn number_filter(graphql: &str) -> (String, Shared) {
    (format!("{graphql}Filter"), Shared { operand: graphql.to_owned(), operators: ORDER.to_vec() })
}

/// Returns the filter of a column: its name, and what it consists of.
pub(crate) fn column_filter(column: &BoundColumn<'_>) -> (String, Shared) {
    value_filter(&column.value, &column.element)
}

/// Returns the filter of values: its name, and what it consists of.
pub(crate) fn value_filter(value: &ValueType, element: &Element) -> (String, Shared) {
    let graphql = value.graphql.as_str();
    let shared = |name: String, operators: &[&'static str]| {
        let operand = graphql.to_owned();
        let operators = operators.to_vec();
        (name, Shared { operand, operators })
    };
    let nothing = || {
        let operand = String::new();
        let operators = NULL.to_vec();
        ("NullFilter".to_owned(), Shared { operand, operators })
    };
    if element.list {
        return if element.class.comparison() >= Comparison::Equal {
            shared(format!("{graphql}ListFilter"), LIST)
        } else {
            nothing()
        };
    }
    match (&element.class, graphql) {
        (Class::Json, _) => shared("JSONFilter".to_owned(), DOCUMENT),
        _ if !is_searchable(element) => nothing(),
        (Class::Text, "ID") => shared("TextIDFilter".to_owned(), TEXT),
        (Class::Text, _) => shared(format!("{graphql}Filter"), TEXT),
        (Class::Opaque(Comparison::Equal), _) => shared("ExactStringFilter".to_owned(), EQUALITY),
        (Class::Network, _) => shared("NetworkFilter".to_owned(), NETWORK),
        (Class::TextSearch, _) => shared("TextSearchFilter".to_owned(), TEXT_SEARCH),
        (Class::Range(_), _) => shared(format!("{graphql}Filter"), RANGE),
        (Class::Opaque(_), _) | (Class::Enum(_), "String") => shared("OrderedStringFilter".to_owned(), ORDER),
        (Class::Boolean | Class::Enum(_) | Class::Bytes, _) => shared(format!("{graphql}Filter"), EQUALITY),
        _ => shared(format!("{graphql}Filter"), ORDER),
    }
}

fn is_orderable(column: &BoundColumn<'_>) -> bool {
    !column.element.list && column.element.class.comparison() == Comparison::Ordered
}

fn to_ones<'o>(object: &'o BoundObject<'_>) -> impl Iterator<Item = (&'o str, &'o str)> {
    object.fields.iter().filter_map(|field| match &field.binding {
        Binding::ToOne(reference) => Some((field.name, reference.target.as_str())),
        _ => None,
    })
}

fn nested_input(writes: &Writes<'_, '_>, suffix: &str, data: &str) -> String {
    let name = writes.object.name;
    let mut fields = vec![data.replace('$', name)];
    if writes.upsert {
        fields.push(format!("onConflict: {name}Conflict"));
    }
    input(&format!("{name}{suffix}"), &fields)
}

fn add_write_types(writes: &Writes<'_, '_>, mut add: impl FnMut(&str, String)) {
    let name = writes.object.name;
    let value = |column: &BoundColumn<'_>| {
        let graphql = &column.value.graphql;
        if column.value.list { format!("[{graphql}]") } else { graphql.clone() }
    };
    if writes.insert || writes.upsert {
        let field = |field: &crate::write::InsertField<'_, '_>| {
            let bang = if field.required && !field.relaxed { "!" } else { "" };
            format!("{}: {}{bang}", field.name, value(field.column))
        };
        let mut fields: Vec<String> = writes.inserted.iter().map(field).collect();
        fields.extend(writes.nested.iter().map(crate::nesting::Nested::sdl));
        add("InsertInput", input(&format!("{name}InsertInput"), &fields));
    }
    if writes.update {
        let fields: Vec<String> =
            writes.settable().map(|field| format!("{}: {}", field.name, value(field.column))).collect();
        add("SetInput", input(&format!("{name}SetInput"), &fields));
    }
    if writes.upsert {
        let values: Vec<&str> = writes.conflicts.keys().map(String::as_str).collect();
        add("Conflict", enumeration(&format!("{name}Conflict"), &values));
    }
    let fields = ["affectedRows: Int!".to_owned(), format!("returning: [{name}!]!")];
    add("MutationResult", block("type", &format!("{name}MutationResult"), &fields));
}

/// Returns the declaration of a custom scalar that the author did not declare.
pub(crate) fn scalar_type(name: &str) -> Option<Generated> {
    let found = scalar::CUSTOM.iter().find(|scalar| scalar.name == name)?;
    let mut sdl = String::new();
    crate::text::describe(&mut sdl, "", Some(found.description));
    let url = found
        .specified_by
        .map_or_else(String::new, |url| format!(" @specifiedBy(url: {})", crate::text::string(url)));
    sdl.push_str(&format!("scalar {name}{url}\n"));
    Some(Generated { name: name.to_owned(), owner: String::new(), sdl })
}

pub(crate) fn input(name: &str, fields: &[String]) -> String {
    block("input", name, fields)
}

fn enumeration(name: &str, values: &[&str]) -> String {
    let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
    block("enum", name, &values)
}

pub(crate) fn block(keyword: &str, name: &str, members: &[String]) -> String {
    let mut sdl = format!("{keyword} {name} {{\n");
    for member in members {
        sdl.push_str(&format!("  {member}\n"));
    }
    sdl.push_str("}\n");
    sdl
}
