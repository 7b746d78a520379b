//! What a client may send, counted before it costs anything.
//!
//! Every count is linear in the text: a fragment is counted once and its count is reused, so a
//! document whose fragments multiply is refused before anything expands.

use std::collections::BTreeMap;

use apollo_compiler::ast::{
    Definition, Directive, Document, FragmentDefinition, Selection, Value as AstValue,
};
use apollo_compiler::{Name, Node};
use fraiseql_model::response::{Code, GraphqlError};
use serde_json::{Map, Value};

/// What a client may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a document.
    pub document_bytes: usize,
    /// Tokens of a document: names, values, punctuators, commas, comments.
    pub tokens: usize,
    /// Levels of nested selections, fragments followed.
    pub depth: usize,
    /// Fields of an operation, fragments expanded.
    pub fields: usize,
    /// Root fields of an operation.
    pub root_fields: usize,
    /// Objects of one bulk mutation.
    pub bulk_rows: usize,
    /// Aliases of an operation, fragments expanded.
    pub aliases: usize,
    /// Bytes of one string or number in a document.
    pub literal_bytes: usize,
    /// Levels of nested lists and objects, in a document's values and in variables.
    pub value_depth: usize,
    /// Rows that the lists of an operation may give, by their limits.
    pub rows: usize,
    /// How many rows a list without a limit is taken for.
    pub rows_unlimited_as: usize,
    /// What happens to a request that passes one of them.
    pub mode: LimitMode,
}

/// What happens to a request that passes a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitMode {
    /// It is refused.
    Enforce,
    /// It is told and runs, up to [`WARN_FACTOR`] times the limit. Bodies and bulk mutations are
    /// refused nevertheless.
    Warn,
}

/// Where limits only warn, this many times a limit is refused nevertheless.
pub const WARN_FACTOR: usize = 10;
/// How far selections and fragments are followed; what goes deeper is as deep as can be.
const FOLLOWED_MAX: usize = 500;

impl Default for Limits {
    fn default() -> Self {
        Self {
            document_bytes: 262_144,
            tokens: 15_000,
            depth: 30,
            fields: 5_000,
            root_fields: 50,
            bulk_rows: 1_000,
            aliases: 100,
            literal_bytes: 65_536,
            value_depth: 32,
            rows: 10_000_000,
            rows_unlimited_as: 100,
            mode: LimitMode::Enforce,
        }
    }
}

impl Limits {
    /// The largest that each may be set to: what holds for documents that are trusted.
    pub const CEILING: Self = Self {
        document_bytes: 1 << 30,
        tokens: 1_000_000,
        depth: 200,
        fields: 100_000,
        root_fields: 1_000,
        bulk_rows: 60_000,
        aliases: 100_000,
        literal_bytes: 1 << 30,
        value_depth: 120,
        rows: usize::MAX,
        rows_unlimited_as: 1_000_000,
        mode: LimitMode::Enforce,
    };

    /// Returns what is refused in any mode.
    pub(crate) fn refused(&self) -> Self {
        match self.mode {
            LimitMode::Enforce => *self,
            LimitMode::Warn => {
                let ceiling = Self::CEILING;
                let more = |limit: usize, most: usize| limit.saturating_mul(WARN_FACTOR).min(most);
                Self {
                    document_bytes: more(self.document_bytes, ceiling.document_bytes),
                    tokens: more(self.tokens, ceiling.tokens),
                    depth: more(self.depth, ceiling.depth),
                    fields: more(self.fields, ceiling.fields),
                    root_fields: more(self.root_fields, ceiling.root_fields),
                    bulk_rows: self.bulk_rows,
                    aliases: more(self.aliases, ceiling.aliases),
                    literal_bytes: more(self.literal_bytes, ceiling.literal_bytes),
                    value_depth: more(self.value_depth, ceiling.value_depth),
                    rows: more(self.rows, ceiling.rows),
                    rows_unlimited_as: self.rows_unlimited_as,
                    mode: LimitMode::Enforce,
                }
            }
        }
    }
}

macro_rules! limits {
    ($($(#[$doc:meta])* $variant:ident = $key:literal, $allowed:expr, $message:literal;)*) => {
        /// One of the limits.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Limit {
            $($(#[$doc])* $variant,)*
        }

        impl Limit {
            /// Every limit.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Returns the setting's key.
            pub fn setting(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!("limits.", $key),)*
                }
            }

            fn allowed(self, limits: &Limits) -> usize {
                match self {
                    $(Self::$variant => $allowed(limits),)*
                }
            }

            /// Returns the error of a request that passes it, where so much is allowed.
            pub fn error(self, allowed: usize) -> GraphqlError {
                let message = match self {
                    $(Self::$variant => format!($message, allowed = allowed),)*
                };
                GraphqlError::new(Code::LimitExceeded, message).exceeding(self.setting())
            }
        }
    };
}

limits! {
    /// The request body.
    Body = "body_bytes", |_: &Limits| usize::MAX, "the body has more than {allowed} bytes";
    /// [`Limits::document_bytes`].
    DocumentBytes = "document_bytes", |limits: &Limits| limits.document_bytes,
        "the document has more than {allowed} bytes";
    /// [`Limits::tokens`].
    Tokens = "tokens", |limits: &Limits| limits.tokens, "the document has more than {allowed} tokens";
    /// [`Limits::depth`].
    Depth = "depth", |limits: &Limits| limits.depth, "the document has more than {allowed} levels of nested fields";
    /// [`Limits::fields`].
    Fields = "fields", |limits: &Limits| limits.fields,
        "the document has more than {allowed} fields once its fragments are expanded";
    /// [`Limits::aliases`].
    Aliases = "aliases", |limits: &Limits| limits.aliases,
        "the document has more than {allowed} aliases once its fragments are expanded";
    /// [`Limits::root_fields`].
    RootFields = "root_fields", |limits: &Limits| limits.root_fields, "the operation has more than {allowed} root fields";
    /// [`Limits::literal_bytes`].
    LiteralBytes = "literal_bytes", |limits: &Limits| limits.literal_bytes,
        "a value in the document has more than {allowed} bytes: send it as a variable";
    /// [`Limits::value_depth`].
    ValueDepth = "value_depth", |limits: &Limits| limits.value_depth,
        "a value has more than {allowed} levels of nested lists and objects";
    /// [`Limits::bulk_rows`].
    BulkRows = "bulk_rows", |limits: &Limits| limits.bulk_rows, "a bulk mutation takes up to {allowed} objects";
    /// [`Limits::rows`].
    Rows = "rows", |limits: &Limits| limits.rows,
        "the lists of the operation may give more than {allowed} rows: give them smaller limits";
}

/// Checks counts: refuses, or returns what only has to be told.
pub(crate) fn judge(
    counts: impl IntoIterator<Item = (Limit, usize)>,
    limits: &Limits,
) -> Result<Vec<Limit>, GraphqlError> {
    let refused = limits.refused();
    let mut told = Vec::new();
    for (limit, count) in counts {
        let allowed = limit.allowed(&refused);
        if count > allowed {
            return Err(limit.error(allowed));
        }
        if count > limit.allowed(limits) {
            told.push(limit);
        }
    }
    Ok(told)
}

/// Checks the raw values of variables before anything walks through them.
///
/// Returns the limits that were passed and only warn.
pub fn check_values(raw: &Map<String, Value>, limits: &Limits) -> Result<Vec<Limit>, GraphqlError> {
    let depth = raw.values().map(json_depth).max().unwrap_or(0);
    judge([(Limit::ValueDepth, depth)], limits)
}

/// As deep as the JSON reader let it be, which is less than any stack.
fn json_depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(json_depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(json_depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// Checks a document before it is validated.
///
/// Returns the limits that were passed and only warn.
pub(crate) fn check_document(document: &Document, limits: &Limits) -> Result<Vec<Limit>, GraphqlError> {
    let mut sizes = Sizes { fragments: BTreeMap::new(), known: BTreeMap::new(), followed: 0 };
    let mut values = Values::default();
    let mut most = Size::default();
    for definition in &document.definitions {
        if let Definition::FragmentDefinition(fragment) = definition {
            sizes.fragments.insert(&fragment.name, fragment);
            values.directives(&fragment.directives);
            values.selections(&fragment.selection_set);
        }
    }
    let mut root_fields = 0;
    for definition in &document.definitions {
        if let Definition::OperationDefinition(operation) = definition {
            let size = sizes.of(&operation.selection_set);
            most = most.larger(size);
            root_fields = root_fields.max(size.top);
            values.directives(&operation.directives);
            values.selections(&operation.selection_set);
            for variable in &operation.variables {
                values.directives(&variable.directives);
                variable.default_value.iter().for_each(|value| values.value(value, 0));
            }
        }
    }
    let counts = [
        (Limit::Fields, most.fields),
        (Limit::Depth, most.depth),
        (Limit::RootFields, root_fields),
        (Limit::Aliases, most.aliases),
        (Limit::LiteralBytes, values.literal_bytes),
        (Limit::ValueDepth, values.depth),
    ];
    judge(counts, limits)
}

/// A selection set, its fragments expanded.
#[derive(Clone, Copy, Default)]
struct Size {
    fields: usize,
    depth: usize,
    aliases: usize,
    /// Fields of the set itself.
    top: usize,
}

impl Size {
    /// What is as large as can be.
    const ENDLESS: Self = Self { fields: 0, depth: usize::MAX, aliases: 0, top: 0 };

    fn larger(self, other: Self) -> Self {
        Self {
            fields: self.fields.max(other.fields),
            depth: self.depth.max(other.depth),
            aliases: self.aliases.max(other.aliases),
            top: self.top.max(other.top),
        }
    }
}

struct Sizes<'d> {
    fragments: BTreeMap<&'d Name, &'d FragmentDefinition>,
    /// `None` while a fragment is being counted: a cycle counts as nothing, validation names it.
    known: BTreeMap<&'d Name, Option<Size>>,
    followed: usize,
}

impl<'d> Sizes<'d> {
    fn of(&mut self, selections: &'d [Selection]) -> Size {
        if self.followed > FOLLOWED_MAX {
            return Size::ENDLESS;
        }
        self.followed += 1;
        let mut total = Size::default();
        for selection in selections {
            let size = match selection {
                Selection::Field(field) => {
                    let below = self.of(&field.selection_set);
                    Size {
                        fields: below.fields.saturating_add(1),
                        depth: below.depth.saturating_add(1),
                        aliases: below.aliases.saturating_add(usize::from(field.alias.is_some())),
                        top: 1,
                    }
                }
                Selection::InlineFragment(fragment) => self.of(&fragment.selection_set),
                Selection::FragmentSpread(spread) => self.fragment(&spread.fragment_name),
            };
            total.fields = total.fields.saturating_add(size.fields);
            total.depth = total.depth.max(size.depth);
            total.aliases = total.aliases.saturating_add(size.aliases);
            total.top = total.top.saturating_add(size.top);
        }
        self.followed -= 1;
        total
    }

    fn fragment(&mut self, name: &'d Name) -> Size {
        if let Some(known) = self.known.get(name) {
            return known.unwrap_or_default();
        }
        let Some(fragment) = self.fragments.get(name).copied() else {
            return Size::default();
        };
        self.known.insert(name, None);
        let size = self.of(&fragment.selection_set);
        self.known.insert(name, Some(size));
        size
    }
}

/// The largest and the deepest value that is written in a document.
#[derive(Default)]
struct Values {
    literal_bytes: usize,
    depth: usize,
}

impl Values {
    fn selections(&mut self, selections: &[Selection]) {
        for selection in selections {
            match selection {
                Selection::Field(field) => {
                    field.arguments.iter().for_each(|argument| self.value(&argument.value, 0));
                    self.directives(&field.directives);
                    self.selections(&field.selection_set);
                }
                Selection::InlineFragment(fragment) => {
                    self.directives(&fragment.directives);
                    self.selections(&fragment.selection_set);
                }
                Selection::FragmentSpread(spread) => self.directives(&spread.directives),
            }
        }
    }

    fn directives(&mut self, directives: &[Node<Directive>]) {
        for directive in directives {
            directive.arguments.iter().for_each(|argument| self.value(&argument.value, 0));
        }
    }

    /// The parser ends where values nest deeper than a stack allows.
    fn value(&mut self, value: &AstValue, depth: usize) {
        match value {
            AstValue::List(items) => {
                self.depth = self.depth.max(depth + 1);
                items.iter().for_each(|item| self.value(item, depth + 1));
            }
            AstValue::Object(fields) => {
                self.depth = self.depth.max(depth + 1);
                fields.iter().for_each(|(_, field)| self.value(field, depth + 1));
            }
            AstValue::String(text) => self.literal_bytes = self.literal_bytes.max(text.len()),
            AstValue::Int(number) => self.literal_bytes = self.literal_bytes.max(number.as_str().len()),
            AstValue::Float(number) => self.literal_bytes = self.literal_bytes.max(number.as_str().len()),
            AstValue::Null | AstValue::Enum(_) | AstValue::Variable(_) | AstValue::Boolean(_) => {}
        }
    }
}
