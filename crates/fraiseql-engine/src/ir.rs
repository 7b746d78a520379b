//! The plan's intermediate form: Selection -> Source x filter x order x page x shape.
//!
//! Everything that `sql` writes is here first, so that a new kind of source or output is a
//! variant and not a second writer.

use fraiseql_model::artifact::{ColumnField, ColumnPair, ValueType};

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
    /// Rows of the relation, as they were, whose keys a DELETE in the same statement returned.
    DeletedKeys,
}

/// A function call.
pub(crate) struct Call {
    pub(crate) function: String,
    /// Parameter name (empty: by position) and value.
    pub(crate) arguments: Vec<(String, Operand)>,
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
}

/// A condition on a row.
pub(crate) enum Predicate<'s> {
    /// All of them; none is true.
    All(Vec<Predicate<'s>>),
    /// Any of them; none is false.
    Any(Vec<Predicate<'s>>),
    /// Not true and not unknown.
    Not(Box<Predicate<'s>>),
    /// `column operator operand`.
    Compare { column: &'s str, cast: Option<&'static str>, operator: &'static str, operand: Operand },
    /// `column operator ANY/ALL (operand)`.
    Quantified { column: &'s str, operator: &'static str, operand: Operand },
    /// `column IS [NOT] NULL`.
    IsNull { column: &'s str, null: bool },
    /// Some row of another relation fulfils the inner condition.
    Exists { object: &'s Object, on: &'s [ColumnPair], inner: Box<Predicate<'s>> },
    /// Every row of another relation fulfils the inner condition.
    Every { object: &'s Object, on: &'s [ColumnPair], inner: Box<Predicate<'s>> },
}

/// A key of ORDER BY.
pub(crate) struct OrderTerm<'s> {
    /// To-one steps to the row that has the column.
    pub(crate) through: Vec<(&'s Object, &'s [ColumnPair])>,
    pub(crate) column: &'s str,
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
    /// A composite value, given as JSON.
    Composite(Param),
    /// An array in one parameter.
    Array(Param),
    /// An array of composite values, given as a JSON list.
    CompositeArray(Param),
    /// An array with a parameter for each element.
    Elements(Vec<Operand>),
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
}
