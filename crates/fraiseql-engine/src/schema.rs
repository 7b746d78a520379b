//! A loaded artifact: the GraphQL schema to validate against, and the bindings to plan with.

use std::collections::BTreeMap;
use std::sync::Arc;

use apollo_compiler::collections::HashMap;
use apollo_compiler::schema::Implementers;
use apollo_compiler::validation::Valid;
use apollo_compiler::{Name, Schema as GraphqlSchema};
use fraiseql_model::artifact::{
    Artifact, ColumnField, Derived, EnumType, Field, FunctionCall, FunctionReturn, ObjectType, Reference,
};
use fraiseql_model::catalog::QualifiedName;
use fraiseql_model::names::quote_identifier;

use crate::abstract_type::{self, Abstract};
use crate::input_document::InputTypes;
use crate::rows::Rows;
use crate::spec::{parse_schema, read_schema};

/// A schema that is ready to plan requests. Immutable; share it with `Arc`.
#[derive(Debug)]
pub struct Schema {
    pub(crate) artifact: Artifact,
    pub(crate) graphql: Valid<GraphqlSchema>,
    pub(crate) implementers: HashMap<Name, Implementers>,
    pub(crate) objects: BTreeMap<String, Arc<Object>>,
    pub(crate) abstracts: BTreeMap<String, Abstract>,
    pub(crate) inputs: Arc<InputTypes>,
    /// Object types within JSON documents; they have neither relation nor key.
    documents: BTreeMap<String, Object>,
}

/// An object type with its fragments of SQL made ready.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) name: String,
    /// What FROM opens to read rows: the relation, or what callers may see of it.
    pub(crate) relation: String,
    pub(crate) rows: Rows,
    pub(crate) key: Vec<KeyColumn>,
    pub(crate) binding: ObjectType,
}

/// Where the rows of a list field come from.
pub(crate) enum List<'s> {
    /// Another relation.
    Reference(&'s Reference),
    /// A function of the row.
    Computed { call: &'s FunctionCall, object: &'s str },
}

/// A column of an object's key.
#[derive(Debug)]
pub(crate) struct KeyColumn {
    pub(crate) column: String,
    /// With brackets for an array.
    pub(crate) sql_type: String,
}

/// Why an artifact cannot be served although it opened.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The SDL in it does not stand the validation.
    #[error("validate the schema of the artifact: {reason}")]
    Sdl {
        /// The first finding.
        reason: String,
    },
    /// A binding names something that is not in it.
    #[error("resolve {what} in the artifact: there is no {missing}")]
    Dangling {
        /// Where the name stands.
        what: String,
        /// The name.
        missing: String,
    },
    /// A persisted operation in it does not fit its schema.
    #[error("parse the persisted operation {name}: {reason}")]
    Operation {
        /// The operation.
        name: String,
        /// The first finding.
        reason: String,
    },
}

impl Schema {
    /// Makes a schema of an opened artifact.
    ///
    /// Its SDL counts as valid, since the compiler validated it. Fails when the artifact contradicts
    /// itself, which only a faulty compiler can cause.
    pub fn load(artifact: Artifact) -> Result<Self, LoadError> {
        let graphql = read_schema(&artifact.sdl).map_err(|reason| LoadError::Sdl { reason })?;
        Self::bind(artifact, graphql, None)
    }

    /// The same for a compiler: validates the SDL that it has made.
    pub fn load_validated(artifact: Artifact) -> Result<Self, LoadError> {
        let graphql = parse_schema(&artifact.sdl).map_err(|reason| LoadError::Sdl { reason })?;
        Self::bind(artifact, graphql, None)
    }

    /// Makes a schema for callers who hold these rules; for whoever may see every row without them.
    pub(crate) fn bind(
        artifact: Artifact,
        graphql: Valid<GraphqlSchema>,
        held: Option<&[bool]>,
    ) -> Result<Self, LoadError> {
        let mut objects = artifact
            .objects
            .iter()
            .map(|(name, binding)| Ok((name.clone(), Arc::new(load_object(&artifact, name, binding, held)?))))
            .collect::<Result<BTreeMap<_, _>, LoadError>>()?;
        abstract_type::restrict(&artifact, &mut objects)?;
        let abstracts = artifact
            .abstracts
            .iter()
            .map(|(name, found)| Ok((name.clone(), abstract_type::load(name, found, &objects)?)))
            .collect::<Result<BTreeMap<_, _>, LoadError>>()?;
        for (name, object) in &objects {
            for (field, binding) in &object.binding.fields {
                let missing = match binding {
                    Field::ToOne(reference) | Field::ToMany(reference)
                        if !objects.contains_key(&reference.target) =>
                    {
                        format!("type {}", reference.target)
                    }
                    Field::Computed(call) if !call.objects().all(|name| objects.contains_key(name)) => {
                        "type of what its function returns".to_owned()
                    }
                    Field::Derived(derived) if object.list(derived).is_none() => {
                        format!("list {}", derived.list)
                    }
                    _ => continue,
                };
                return Err(LoadError::Dangling { what: format!("{name}.{field}"), missing });
            }
        }
        let implementers = graphql.implementers_map();
        let documents: BTreeMap<String, Object> = artifact
            .documents
            .iter()
            .map(|(name, fields)| (name.clone(), document_object(name, fields)))
            .collect();
        let all = objects.iter().map(|(name, object)| (name, &**object)).chain(&documents);
        for (name, object) in all {
            for (field, binding) in &object.binding.fields {
                if let Field::Document(found) = binding
                    && !documents.contains_key(&found.target)
                {
                    let (what, missing) = (format!("{name}.{field}"), format!("document {}", found.target));
                    return Err(LoadError::Dangling { what, missing });
                }
            }
        }
        let inputs = InputTypes::new(&artifact);
        Ok(Self { inputs, artifact, graphql, implementers, objects, abstracts, documents })
    }

    /// Returns the complete public schema in SDL.
    pub fn sdl(&self) -> &str {
        &self.artifact.sdl
    }

    /// Returns the artifact that this was loaded from.
    pub fn artifact(&self) -> &Artifact {
        &self.artifact
    }

    /// Returns a bound object type. Every name in a loaded artifact resolves.
    pub(crate) fn object(&self, name: &str) -> &Arc<Object> {
        self.objects.get(name).expect("load checked every name")
    }

    /// Returns an interface or union.
    pub(crate) fn abstract_type(&self, name: &str) -> Option<&Abstract> {
        self.abstracts.get(name)
    }

    /// Returns an object type within JSON documents.
    pub(crate) fn document(&self, name: &str) -> Option<&Object> {
        self.documents.get(name)
    }

    pub(crate) fn enum_type(&self, name: &str) -> Option<&EnumType> {
        self.artifact.enums.get(name)
    }
}

impl Object {
    /// Returns where the rows of a list come from that a field shows in another form.
    pub(crate) fn list(&self, derived: &Derived) -> Option<List<'_>> {
        match self.binding.fields.get(&derived.list) {
            Some(Field::ToMany(reference)) => Some(List::Reference(reference)),
            Some(Field::Computed(call)) => match &call.returns {
                FunctionReturn::Object { object, set: true, .. } => Some(List::Computed { call, object }),
                _ => None,
            },
            _ => None,
        }
    }

    /// Returns the bindings of all column fields.
    pub(crate) fn columns(&self) -> impl Iterator<Item = &ColumnField> {
        self.binding.fields.values().filter_map(|field| match field {
            Field::Column(column) => Some(column),
            _ => None,
        })
    }

    /// Returns the binding of a column field.
    pub(crate) fn column(&self, field: &str) -> Option<&ColumnField> {
        match self.binding.fields.get(field) {
            Some(Field::Column(column)) => Some(column),
            _ => None,
        }
    }
}

fn document_object(name: &str, fields: &BTreeMap<String, Field>) -> Object {
    let binding = ObjectType {
        relation: QualifiedName::new("", ""),
        key: Vec::new(),
        fields: fields.clone(),
        rows: Vec::new(),
    };
    Object { name: name.to_owned(), relation: String::new(), rows: Rows::default(), key: Vec::new(), binding }
}

fn load_object(
    artifact: &Artifact,
    name: &str,
    binding: &ObjectType,
    held: Option<&[bool]>,
) -> Result<Object, LoadError> {
    let key = binding
        .key
        .iter()
        .map(|column| {
            let sql_type = key_column_type(artifact, binding, column).ok_or_else(|| LoadError::Dangling {
                what: format!("the key of {name}"),
                missing: format!("type for column {column}"),
            })?;
            Ok(KeyColumn { column: column.clone(), sql_type })
        })
        .collect::<Result<Vec<_>, LoadError>>()?;
    let rows = Rows::of(&artifact.access, name, binding, held);
    let relation = Object::opened(artifact, binding, &rows);
    Ok(Object { name: name.to_owned(), relation, rows, key, binding: binding.clone() })
}

fn key_column_type(artifact: &Artifact, binding: &ObjectType, column: &str) -> Option<String> {
    let exposed = binding.fields.values().find_map(|field| match field {
        Field::Column(found) if found.column == column && found.key.is_none() => Some(&found.value),
        _ => None,
    });
    match exposed {
        Some(value) if value.list => Some(format!("{}[]", value.sql)),
        Some(value) => Some(value.sql.clone()),
        None => {
            let read = artifact.manifest.reads.get(&binding.relation.to_string())?;
            read.column_types.get(column).cloned()
        }
    }
}

/// Returns a column of a row alias as SQL.
pub(crate) fn column_sql(alias: &str, column: &str) -> String {
    format!("{alias}.{}", quote_identifier(column))
}
