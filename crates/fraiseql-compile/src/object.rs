//! Binds the fields of object types: to columns, or to rows of other types.

use fraiseql_model::artifact::{
    DocumentField, FunctionReturn, NonNull, PolymorphicReference, Reference, ValueType,
};
use fraiseql_model::catalog::{Column, Relation, RelationKind};
use fraiseql_model::diagnostic::Diagnostic;
use fraiseql_model::errors;

use crate::aggregate;
use crate::call::{BoundCall, Caller};
use crate::column::{Side, Vocabulary, non_null, refuse_unknown, value_type};
use crate::database::{Element, UniqueKey};
use crate::draft::{Draft, DraftField, Drafts, unknown_column};
use crate::family::Families;
use crate::findings::{Findings, Place};
use crate::json::{self, Place as JsonPlace};
use crate::polymorphic::Way;
use crate::reading::Reading;
use crate::reference;
use crate::scalar::{self, Class, Comparison};
use crate::shape::Shape;

/// An object type, bound.
#[derive(Debug)]
pub(crate) struct BoundObject<'a> {
    pub(crate) name: &'a str,
    pub(crate) place: Place,
    pub(crate) draft: &'a Draft<'a, 'a>,
    pub(crate) relation: &'a Relation,
    pub(crate) fields: Vec<BoundField<'a>>,
    /// What is generated for its lists.
    pub(crate) reading: Reading,
}

/// A field, bound.
#[derive(Debug)]
pub(crate) struct BoundField<'a> {
    pub(crate) name: &'a str,
    pub(crate) binding: Binding<'a>,
}

/// What a field reads.
#[derive(Clone, Debug)]
pub(crate) enum Binding<'a> {
    Column(BoundColumn<'a>),
    ToOne(Reference),
    ToMany(Reference),
    Polymorphic(PolymorphicReference),
    GlobalId,
    /// An object, or a list of them, within a JSON column.
    Document(DocumentField),
    /// What a function returns for the row.
    Computed(Box<BoundCall<'a>>),
}

impl Binding<'_> {
    /// Returns the type of a field that takes the arguments of lists.
    pub(crate) fn listed(&self) -> Option<&str> {
        match self {
            Self::ToMany(reference) => Some(&reference.target),
            Self::Polymorphic(reference) if reference.list => Some(&reference.target),
            Self::Computed(call) => match &call.call.returns {
                FunctionReturn::Object { object, set: true, .. } => Some(object),
                _ => None,
            },
            Self::Column(_) | Self::ToOne(_) | Self::Document(_) | Self::Polymorphic(_) | Self::GlobalId => {
                None
            }
        }
    }
}

/// A column that a field reads.
#[derive(Clone, Debug)]
pub(crate) struct BoundColumn<'a> {
    pub(crate) column: &'a Column,
    /// The key of the value when the column is a JSON document.
    pub(crate) key: Option<String>,
    pub(crate) value: ValueType,
    pub(crate) non_null: NonNull,
    pub(crate) element: Element,
}

/// Names that filters keep for themselves.
const FILTER_WORDS: &[&str] = &["_and", "_or", "_not"];

/// Binds every object type whose relation is known, in the order of the document.
pub(crate) fn bind<'a>(
    findings: &mut Findings,
    drafts: &'a Drafts<'a, 'a>,
    families: &'a Families<'a>,
    words: &Vocabulary<'a>,
) -> Vec<BoundObject<'a>> {
    let mut bound = Vec::with_capacity(drafts.list.len());
    for draft in &drafts.list {
        if draft.is_document() {
            continue;
        }
        let binder = Binder { draft, drafts, families, words };
        let fields = draft.fields.iter().filter_map(|field| binder.field(findings, field)).collect();
        if let Some(relation) = draft.relation {
            let (name, place, reading) = (draft.object.name, draft.object.place, Reading::default());
            let mut object = BoundObject { name, place, draft, relation, fields, reading };
            object.reading = Reading::of(findings, draft, !aggregate::columns(&object).is_empty());
            bound.push(object);
        }
    }
    bound
}

impl<'a> BoundObject<'a> {
    /// Returns the fields that are columns, with their names.
    pub(crate) fn columns(&self) -> impl Iterator<Item = (&'a str, &BoundColumn<'a>)> {
        self.fields.iter().filter_map(|field| match &field.binding {
            Binding::Column(column) => Some((field.name, column)),
            _ => None,
        })
    }

    /// Returns true when PostgreSQL can read a sample of the relation's pages.
    pub(crate) fn is_sampled(&self) -> bool {
        matches!(
            self.relation.kind,
            RelationKind::Table | RelationKind::PartitionedTable | RelationKind::MaterializedView
        )
    }

    /// Returns the first field that reads a column.
    pub(crate) fn field_of(&self, column: &str) -> Option<(&'a str, &BoundColumn<'a>)> {
        self.columns().find(|(_, bound)| bound.column.name == column && bound.key.is_none())
    }

    /// Returns the fields of a key in its order, when a client can name each of its columns.
    pub(crate) fn key_fields(&self, key: &UniqueKey) -> Option<Vec<(&'a str, &BoundColumn<'a>)>> {
        let field = |column: &String| self.field_of(column).filter(|(_, bound)| bound.is_searchable());
        key.columns.iter().map(field).collect()
    }
}

impl BoundColumn<'_> {
    /// Returns true when PostgreSQL can say whether a value equals another.
    pub(crate) fn is_searchable(&self) -> bool {
        is_searchable(&self.element)
    }
}

/// Returns true for single values that PostgreSQL can compare with `=`.
pub(crate) fn is_searchable(element: &Element) -> bool {
    // PostgreSQL has no operators for domains over enums.
    let domain_of_enum = element.domain && matches!(element.class, Class::Enum(_));
    !element.list && !domain_of_enum && element.class.comparison() >= Comparison::Equal
}

struct Binder<'a, 'w> {
    draft: &'a Draft<'a, 'a>,
    drafts: &'a Drafts<'a, 'a>,
    families: &'a Families<'a>,
    words: &'w Vocabulary<'a>,
}

impl<'a> Binder<'a, '_> {
    fn field(&self, findings: &mut Findings, field: &'a DraftField<'a>) -> Option<BoundField<'a>> {
        let definition = field.definition;
        let name = definition.name.as_str();
        if FILTER_WORDS.contains(&name) {
            let message = format!("{name} is a word of every filter");
            let error = Diagnostic::error(&errors::SDL_NAME_TAKEN, message)
                .hint("call the field otherwise, with @column(name: ...)");
            findings.add(definition.name.location(), error);
        }
        if self.families.is_global_id(self.draft.object, name) {
            return self.global_id(findings, field);
        }
        if field.applied.get("function").is_some() {
            return self.computed(findings, field);
        }
        let Some(shape) = Shape::of(&definition.ty) else {
            let message = format!("{} is a list of lists", self.owner(field));
            findings.add(
                definition.ty.inner_named_type().location(),
                Diagnostic::error(&errors::SDL_UNSUPPORTED, message),
            );
            return None;
        };
        let family = self.families.get(shape.name);
        let target = self.drafts.get(shape.name);
        match json::place(findings, self.draft, field, target.is_some() || family.is_some()) {
            JsonPlace::Elsewhere => {}
            JsonPlace::Nowhere => return None,
            JsonPlace::Within { column, key } => {
                let binding = self.documented(findings, field, &shape, column, key)?;
                return Some(BoundField { name, binding });
            }
        }
        let binding = match target {
            None if family.is_some() => {
                self.check_reference(findings, field, &shape);
                let (owner, database) = (&self.owner(field), self.words.database);
                let (local, drafts) = (self.draft, self.drafts);
                let way = Way { owner, local, family: family?, drafts, database };
                way.bind(findings, field, &shape).map(Binding::Polymorphic)?
            }
            Some(target) => self.reference(findings, field, &shape, target)?,
            None => self.column(findings, field, &shape).map(Binding::Column)?,
        };
        Some(BoundField { name, binding })
    }

    /// Binds a field that is read from a JSON document.
    fn documented(
        &self,
        findings: &mut Findings,
        field: &'a DraftField<'a>,
        shape: &Shape<'a>,
        column: &'a Column,
        key: String,
    ) -> Option<Binding<'a>> {
        if let Some(argument) = field.definition.arguments.first() {
            let message = format!("{} is read from a document and takes no arguments", self.owner(field));
            findings.add(argument.location(), Diagnostic::error(&errors::SDL_ARGUMENT, message));
        }
        if self.families.get(shape.name).is_some() {
            refuse_unknown(findings, self.words, shape.name);
            return None;
        }
        if self.drafts.get(shape.name).is_some() {
            return Some(Binding::Document(DocumentField {
                column: column.name.clone(),
                key,
                target: shape.name.to_string(),
                list: shape.list,
                non_null: if shape.non_null { NonNull::Trusted } else { NonNull::Nullable },
            }));
        }
        let (value, element, non_null) = json::value(findings, self.words, shape)?;
        Some(Binding::Column(BoundColumn { column, key: Some(key), value, non_null, element }))
    }

    fn computed(&self, findings: &mut Findings, field: &'a DraftField<'a>) -> Option<BoundField<'a>> {
        if let Some((directive, place)) = field.applied.any_of(&["column", "reference"]) {
            let message = format!("@{directive} says nothing beside @function");
            findings.add(place, Diagnostic::error(&errors::SDL_UNKNOWN_DIRECTIVE, message));
        }
        if self.draft.restricted {
            let owner = self.owner(field);
            let message = format!("{owner} takes a row, but those of {} are", self.draft.object.name);
            let error =
                Diagnostic::error(&errors::SDL_UNSUPPORTED, format!("{message} some of an interface's"))
                    .why("a function takes the whole row of a relation")
                    .hint("let a view compute it, or give the type a relation of its own");
            findings.add(field.definition.name.location(), error);
            return None;
        }
        let caller = Caller {
            owner: self.owner(field),
            field,
            drafts: self.drafts,
            words: self.words,
            query: true,
            row: Some(&self.draft.relation?.name),
        };
        let call = Box::new(caller.bind(findings)?);
        Some(BoundField { name: &field.definition.name, binding: Binding::Computed(call) })
    }

    fn owner(&self, field: &DraftField<'_>) -> String {
        format!("{}.{}", self.draft.object.name, field.definition.name)
    }

    fn column(
        &self,
        findings: &mut Findings,
        field: &'a DraftField<'a>,
        shape: &Shape<'a>,
    ) -> Option<BoundColumn<'a>> {
        let definition = field.definition;
        let owner = self.owner(field);
        if let Some(usage) = field.applied.get("reference") {
            let message = format!("@reference leads to an object type, {} is none", shape.name);
            findings.add(usage.place, Diagnostic::error(&errors::SDL_DIRECTIVE_ARGUMENT, message));
        }
        if let Some(argument) = definition.arguments.first() {
            let message = format!("{owner} is a column and takes no arguments");
            findings.add(argument.location(), Diagnostic::error(&errors::SDL_ARGUMENT, message));
        }
        let known = scalar::names().any(|known| shape.name == known)
            || self.words.enums.contains_key(shape.name.as_str());
        if !known {
            refuse_unknown(findings, self.words, shape.name);
            return None;
        }
        let relation = self.draft.relation?;
        let name = Draft::column_name(field);
        let Some(column) = relation.column(&name) else {
            let usage = field.applied.get("column");
            let place = usage.map_or_else(|| definition.name.location(), |usage| usage.place_of("name"));
            findings.add(place, missing_column(relation, &name, usage.is_some()));
            return None;
        };
        let source = format!("column {}.{}", relation.name, column.name);
        let side = Side { owner: &owner, source: &source, sql_type: &column.sql_type, input: false };
        let (value, element) = value_type(findings, self.words, shape, &side)?;
        let trusted = field.applied.get("neverNull").and_then(|usage| usage.place);
        let place = definition.ty.inner_named_type().location();
        let non_null = non_null(findings, shape, &side, column.nullability, trusted, place);
        Some(BoundColumn { column, key: None, value, non_null, element })
    }

    /// Binds the field that an interface for global ids promises.
    fn global_id(&self, findings: &mut Findings, field: &'a DraftField<'a>) -> Option<BoundField<'a>> {
        let draft = self.draft;
        if let Some((directive, place)) =
            field.applied.any_of(&["column", "reference", "neverNull", "function", "json", "version"])
        {
            let message = format!("@{directive} says nothing: {} is the global id", self.owner(field));
            findings.add(place, Diagnostic::error(&errors::SDL_DIRECTIVE_ARGUMENT, message));
        }
        if !self.words.objects.contains(&draft.object.name) {
            // What an interface's rows are called is for its types to say.
            return None;
        }
        if draft.relation.is_some() && draft.key.is_empty() {
            findings.add(draft.object.place, no_key(draft));
        }
        Some(BoundField { name: &field.definition.name, binding: Binding::GlobalId })
    }

    fn check_reference(&self, findings: &mut Findings, field: &DraftField<'_>, shape: &Shape<'_>) {
        let owner = self.owner(field);
        if let Some(usage) = field.applied.get("column") {
            let message = format!("@column on {owner}, which is no column but a {}", shape.name);
            let error = Diagnostic::error(&errors::SDL_DIRECTIVE_ARGUMENT, message)
                .hint("to say which columns lead there: @reference(columns: [...], target: [...])");
            findings.add(usage.place, error);
        }
        for argument in &field.definition.arguments {
            findings.add(argument.location(), refused_argument(&owner, shape.list, &argument.name));
        }
    }

    fn reference(
        &self,
        findings: &mut Findings,
        field: &'a DraftField<'a>,
        shape: &Shape<'a>,
        target: &'a Draft<'a, 'a>,
    ) -> Option<Binding<'a>> {
        let owner = self.owner(field);
        if target.rows {
            let message = format!("{owner} leads to {}, whose rows only functions return", shape.name);
            let error = Diagnostic::error(&errors::SDL_NO_REFERENCE, message)
                .hint(format!("give {} a @relation, or take the field away", shape.name));
            findings.add(shape.name.location(), error);
            return None;
        }
        self.check_reference(findings, field, shape);
        let ends =
            reference::Ends { owner: &owner, local: self.draft, target, database: self.words.database };
        let found = if shape.list {
            reference::to_many(findings, &ends, field).map(Binding::ToMany)
        } else {
            reference::to_one(findings, &ends, field, shape).map(Binding::ToOne)
        };
        if let Some(Binding::ToMany(_)) = &found
            && let Some(usage) = field.applied.get("neverNull")
        {
            let message = format!("@neverNull says nothing: {owner} is a list, which is never null");
            findings.add(usage.place, Diagnostic::error(&errors::SDL_DIRECTIVE_ARGUMENT, message));
        }
        found
    }
}

/// Returns why an argument that the author wrote cannot stand on a field of rows.
pub(crate) fn refused_argument(owner: &str, list: bool, argument: &str) -> Diagnostic {
    let message = format!("{owner} cannot have an argument \"{argument}\" of yours");
    let error = Diagnostic::error(&errors::SDL_ARGUMENT, message);
    if list {
        error
            .why("lists get where, orderBy, limit and offset by themselves")
            .hint("leave the arguments away; for others, write a function and @function(name: ...)")
    } else {
        error.why("the row is found by the reference")
    }
}

/// Returns that nothing identifies the rows of a type.
pub(crate) fn no_key(draft: &Draft<'_, '_>) -> Diagnostic {
    let relation = draft.relation.map_or_else(String::new, |relation| relation.name.to_string());
    let message = format!("nothing identifies the rows of {}", draft.object.name);
    Diagnostic::error(&errors::SDL_NO_KEY, message)
        .why(format!("{relation} has no primary key and no unique key without nulls"))
        .hint("say what does: @relation(name: ..., key: [\"...\"])")
}

fn missing_column(relation: &Relation, name: &str, explicit: bool) -> Diagnostic {
    let error = unknown_column(relation, name);
    let Some(near) =
        fraiseql_model::names::nearest(name, relation.columns.iter().map(|column| column.name.as_str()))
    else {
        return error;
    };
    if explicit {
        error
    } else {
        error.hint(format!(
            "did you mean \"{near}\"? Then name the field so, or add @column(name: \"{near}\")"
        ))
    }
}
