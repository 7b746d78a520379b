//! The plan's intermediate form: Selection -> Source x filter x order x page x shape.
//!
//! Everything that `sql` writes is here first, so that a new kind of source or output is a
//! variant and not a second writer.

use fraiseql_model::artifact::{ColumnField, ColumnPair, DocumentField, FunctionCall, ValueType};

use crate::plan::Param;
use crate::poly::Poly;
use crate::schema::Object;

/// Rows of one object type.
pub(crate) struct Select<'s> {
    pub(crate) object: &'s Object,
    pub(crate) source: Source,
    /// Equal to columns of the row that it hangs below.
    pub(crate) on: &'s [ColumnPair],
    pub(crate) filter: Option<Predicate<'s>>,
    /// Of rows that are alike in these, only the first in the order is kept.
    pub(crate) distinct: Vec<Term<'s>>,
    pub(crate) order: Vec<OrderTerm<'s>>,
    pub(crate) limit: Option<Param>,
    pub(crate) offset: Option<Param>,
    /// True when more than one row could come where one is wanted.
    pub(crate) first_only: bool,
    pub(crate) outputs: Vec<Output<'s>>,
}

/// Where rows come from.
pub(crate) enum Source {
    /// The object's relation.
    Relation,
    /// The row around the SELECT, which has the same alias.
    Around,
    /// A function that returns rows of the object's relation.
    Call(Call),
    /// Rows of the relation whose keys the statement before left in the session.
    WrittenKeys,
    /// Rows that the statement before left whole in the session.
    WrittenRows,
    /// The row of the relation whose key columns (quoted) equal these expressions.
    Recorded(Vec<(String, String)>),
    /// Rows of the relation, as they were, whose keys a DELETE in the same statement returned.
    DeletedKeys,
}

/// A function call.
pub(crate) struct Call {
    pub(crate) function: String,
    /// True when the row that it hangs below is its first argument.
    pub(crate) row: bool,
    /// Parameter name (empty: by position) and value.
    pub(crate) arguments: Vec<(String, Operand)>,
    /// True when the last argument is the list for a VARIADIC parameter.
    pub(crate) variadic: bool,
}

/// One key of a JSON object.
pub(crate) struct Output<'s> {
    pub(crate) key: String,
    pub(crate) value: OutputValue<'s>,
}

/// What stands under a key. `guard` is `Type.field` where a null must be an error.
pub(crate) enum OutputValue<'s> {
    /// The type's name.
    Typename(String),
    /// A column.
    Column { field: &'s ColumnField, guard: Option<String> },
    /// An object or null.
    One { select: Select<'s>, guard: Option<String> },
    /// A list of objects.
    Many(Select<'s>),
    /// An object of one of several types, or a list of such.
    Poly { poly: Poly<'s>, list: bool, guard: Option<String> },
    /// The global id of the row.
    GlobalId(&'s Object),
    /// An object, or a list of them, within a column that is a JSON document.
    Document { field: &'s DocumentField, outputs: Vec<Output<'s>>, guard: Option<String> },
    /// What a function returns for the row: a value or a list of values.
    Computed { call: Call, value: &'s ValueType, set: bool, guard: Option<String> },
    /// What is computed over rows instead of listing them.
    Aggregate(Box<Aggregate<'s>>),
    /// A page of a list with its cursors.
    Connection(Box<Connection<'s>>),
}

impl OutputValue<'_> {
    /// Returns true when a function takes the whole row.
    pub(crate) fn takes_row(&self) -> bool {
        let by_call = |select: &Select<'_>| matches!(&select.source, Source::Call(call) if call.row);
        match self {
            Self::Typename(_)
            | Self::Column { .. }
            | Self::Document { .. }
            | Self::Poly { .. }
            | Self::GlobalId(_) => false,
            Self::Computed { .. } => true,
            Self::One { select, .. } | Self::Many(select) => by_call(select),
            Self::Aggregate(aggregate) => by_call(&aggregate.rows),
            Self::Connection(connection) => by_call(&connection.rows),
        }
    }
}

/// A condition on a row.
#[derive(Clone)]
pub(crate) enum Predicate<'s> {
    /// All of them; none is true.
    All(Vec<Predicate<'s>>),
    /// Any of them; none is false.
    Any(Vec<Predicate<'s>>),
    /// Not true and not unknown.
    Not(Box<Predicate<'s>>),
    /// `term operator operand`.
    Compare { term: Term<'s>, cast: Option<&'static str>, operator: &'static str, operand: Operand },
    /// `term operator ANY/ALL (operand)`.
    Quantified { term: Term<'s>, operator: &'static str, operand: Operand },
    /// `term IS [NOT] NULL`.
    IsNull { term: Term<'s>, null: bool },
    /// Some row of another relation fulfils the inner condition.
    Exists { object: &'s Object, on: &'s [ColumnPair], inner: Box<Predicate<'s>> },
    /// Aggregates of rows of another relation fulfil the inner condition.
    Aggregated {
        object: &'s Object,
        on: &'s [ColumnPair],
        filter: Option<Box<Predicate<'s>>>,
        inner: Box<Predicate<'s>>,
    },
    /// Every row of another relation fulfils the inner condition.
    Every { object: &'s Object, on: &'s [ColumnPair], inner: Box<Predicate<'s>> },
}

/// A value that each row has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Term<'s> {
    /// A column.
    Column(&'s str),
    /// A value within a column that is a JSON document.
    Document(&'s ColumnField),
    /// The number of elements of a column's array.
    Cardinality(&'s str),
    /// An aggregate function of the rows of a group.
    Aggregate(AggregateCall<'s>),
    /// What a function returns for the row, all of its arguments left out.
    /// The row is cast to `row_type` where it is none of the relation's own.
    Computed { call: &'s FunctionCall, row_type: Option<&'s str> },
    /// An aggregate function of rows of a relation that are related to the row.
    Related { relation: &'s str, on: &'s [ColumnPair], call: AggregateCall<'s> },
}

/// A key of ORDER BY.
pub(crate) struct OrderTerm<'s> {
    /// To-one steps to the row that has the column.
    pub(crate) through: Vec<(&'s Object, &'s [ColumnPair])>,
    pub(crate) term: Term<'s>,
    /// `ASC NULLS LAST` and so on.
    pub(crate) direction: &'static str,
}

/// A value in SQL: always a cast parameter, never text.
#[derive(Clone, Debug)]
pub(crate) struct Operand {
    /// The element's type, ready for a cast.
    pub(crate) sql_type: String,
    pub(crate) value: OperandValue,
}

/// The value of an operand.
#[derive(Clone, Debug)]
pub(crate) enum OperandValue {
    /// NULL of the type.
    Null { array: bool },
    /// A scalar.
    One(Param),
    /// What a function makes of a scalar.
    Call { function: &'static str, param: Param },
    /// A composite value, given as JSON.
    Composite(Param),
    /// An array in one parameter.
    Array(Param),
    /// An array of composite values, given as a JSON list.
    CompositeArray(Param),
    /// An array with a parameter for each element.
    Elements(Vec<Operand>),
    /// A value of an input type that the author wrote: a JSON document, or the composite made of it.
    Input { document: InputDocument, composite: bool, list: bool },
}

/// A JSON document of parameters.
#[derive(Clone, Debug)]
pub(crate) enum InputDocument {
    /// A parameter that is JSON text.
    Value(Param),
    /// A list.
    List(Vec<InputDocument>),
    /// An object by its keys.
    Object(Vec<(String, InputDocument)>),
}

/// A root field that is one value.
pub(crate) enum Root<'s> {
    /// A list of objects.
    Many(Select<'s>),
    /// An object or null.
    One { select: Select<'s>, guard: Option<String> },
    /// An object of one of several types, or a list of such.
    Poly { poly: Poly<'s>, list: bool, guard: Option<String> },
    /// A function's value or list of values.
    Value { call: Call, value: &'s ValueType, set: bool, guard: Option<String> },
    /// What is computed over rows instead of listing them.
    Aggregate(Box<Aggregate<'s>>),
    /// A page of a list with its cursors.
    Connection(Box<Connection<'s>>),
}

/// Aggregates over rows: one object, or one for each group.
pub(crate) struct Aggregate<'s> {
    /// Which rows; has no outputs.
    pub(crate) rows: Select<'s>,
    pub(crate) groups: Option<Groups<'s>>,
    pub(crate) outputs: Vec<AggregateOutput<'s>>,
}

/// How rows are grouped.
pub(crate) struct Groups<'s> {
    pub(crate) by: Vec<Term<'s>>,
    pub(crate) having: Option<Predicate<'s>>,
    pub(crate) order: Vec<OrderTerm<'s>>,
    pub(crate) limit: Option<Param>,
    pub(crate) offset: Option<Param>,
}

/// One key of an aggregate's JSON object.
pub(crate) struct AggregateOutput<'s> {
    pub(crate) key: String,
    pub(crate) value: AggregateValue<'s>,
}

/// What stands under a key of an aggregate.
pub(crate) enum AggregateValue<'s> {
    /// The type's name.
    Typename(String),
    /// The number of rows, read off a sample where there are many.
    Estimate,
    /// An aggregate function, or a column by which rows are grouped.
    Term { term: Term<'s>, value: ValueType },
    /// Nothing: a column by which rows are not grouped.
    Null,
    /// An object of more.
    Object(Vec<AggregateOutput<'s>>),
}

/// An aggregate function of columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AggregateCall<'s> {
    /// The number of rows.
    Count,
    /// The number of different combinations of columns.
    CountDistinct(Vec<&'s ColumnField>),
    /// `sum`, `avg` and so on.
    Of { function: &'static str, column: &'s ColumnField },
}

/// A page of a list: Relay's cursor connections.
pub(crate) struct Connection<'s> {
    /// Which rows; has no order, limit, offset and outputs.
    pub(crate) rows: Select<'s>,
    /// A total order of the rows.
    pub(crate) order: Vec<OrderedTerm<'s>>,
    /// The most rows of the page.
    pub(crate) size: Option<Param>,
    /// Starts behind this cursor, or ends before it.
    pub(crate) cursor: Option<Cursor>,
    /// True to take the page from the end of the list.
    pub(crate) backward: bool,
    /// Names the order, so that a cursor of another one is refused.
    pub(crate) order_digest: String,
    pub(crate) outputs: Vec<ConnectionOutput<'s>>,
}

/// A key of ORDER BY by which a row can be found again.
pub(crate) struct OrderedTerm<'s> {
    pub(crate) term: OrderTerm<'s>,
    /// Its type, ready for a cast.
    pub(crate) sql_type: String,
    /// False when the catalog proves that no null can come.
    pub(crate) nullable: bool,
}

/// A place in a list.
pub(crate) struct Cursor {
    /// The values of the order's terms there, in text form.
    pub(crate) values: Vec<Param>,
}

/// One key of a connection's JSON object.
pub(crate) struct ConnectionOutput<'s> {
    pub(crate) key: String,
    pub(crate) value: ConnectionValue<'s>,
}

/// What stands under a key of a connection.
pub(crate) enum ConnectionValue<'s> {
    /// The type's name.
    Typename(String),
    /// The number of rows of all pages.
    TotalCount,
    /// The rows.
    Nodes(Vec<Output<'s>>),
    /// Rows with their cursors.
    Edges(Vec<(String, EdgeValue<'s>)>),
    /// Where the page lies.
    PageInfo(Vec<(String, PageValue)>),
    /// Aggregates over the rows of all pages.
    Aggregate(Box<Aggregate<'s>>),
}

/// What stands under a key of an edge.
pub(crate) enum EdgeValue<'s> {
    /// The type's name.
    Typename(String),
    /// The row's cursor.
    Cursor,
    /// The row.
    Node(Vec<Output<'s>>),
}

/// What stands under a key of `pageInfo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PageValue {
    /// The type's name.
    Typename(String),
    /// Whether rows follow the page.
    HasNext,
    /// Whether rows precede the page.
    HasPrevious,
    /// The first row's cursor.
    Start,
    /// The last row's cursor.
    End,
}

/// Returns what a column field reads.
pub(crate) fn column_term(field: &ColumnField) -> Term<'_> {
    if field.key.is_some() { Term::Document(field) } else { Term::Column(&field.column) }
}
