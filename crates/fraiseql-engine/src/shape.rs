//! The shape of a field's value: which places of its JSON may be null.

use fraiseql_model::response::Location;

/// The shape of a value in the response.
#[derive(Clone, Debug)]
pub struct ResponseShape {
    /// True for `!`: a null here makes the parent null.
    pub non_null: bool,
    /// What it is.
    pub kind: ShapeKind,
    /// `Type.field`, for messages.
    pub name: String,
    /// The field's place in the document.
    pub location: Option<Location>,
}

/// What a value is.
#[derive(Clone, Debug)]
pub enum ShapeKind {
    /// A scalar or an enum, or a list of them.
    Leaf,
    /// An object, with its fields by response key.
    Object(Vec<(String, ResponseShape)>),
    /// A list of objects, none of them null.
    List(Vec<(String, ResponseShape)>),
    /// An object of one of several types, with the fields of each by its number. Where nulls pass
    /// ([`crate::plan_singles`]) its JSON is `[number, object]`.
    Tagged(Vec<Vec<(String, ResponseShape)>>),
    /// A list of such.
    TaggedList {
        /// The fields of each type, by its number.
        types: Vec<Vec<(String, ResponseShape)>>,
        /// True when elements may be null.
        nullable: bool,
    },
}
