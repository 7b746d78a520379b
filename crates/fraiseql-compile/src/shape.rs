//! The type of a field or argument, as far as this compiler knows types: a name, perhaps in one list.

use apollo_compiler::Name;
use apollo_compiler::ast::Type;

/// `T`, `T!`, `[T]`, `[T!]`, `[T]!` or `[T!]!`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape<'d> {
    pub(crate) name: &'d Name,
    pub(crate) list: bool,
    /// The outermost `!`.
    pub(crate) non_null: bool,
    /// The `!` within the list; false without a list.
    pub(crate) item_non_null: bool,
}

impl<'d> Shape<'d> {
    /// Returns the shape; `None` for lists within lists.
    pub(crate) fn of(ty: &'d Type) -> Option<Self> {
        let single = |name, non_null| Self { name, list: false, non_null, item_non_null: false };
        let list = |item: &'d Type, non_null| {
            let (name, item_non_null) = match item {
                Type::Named(name) => (name, false),
                Type::NonNullNamed(name) => (name, true),
                Type::List(_) | Type::NonNullList(_) => return None,
            };
            Some(Self { name, list: true, non_null, item_non_null })
        };
        match ty {
            Type::Named(name) => Some(single(name, false)),
            Type::NonNullNamed(name) => Some(single(name, true)),
            Type::List(item) => list(item, false),
            Type::NonNullList(item) => list(item, true),
        }
    }

    /// Returns the type without its outermost `!`.
    pub(crate) fn nullable(&self) -> String {
        match (self.list, self.item_non_null) {
            (false, _) => self.name.to_string(),
            (true, false) => format!("[{}]", self.name),
            (true, true) => format!("[{}!]", self.name),
        }
    }
}
