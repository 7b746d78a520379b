//! Three queries to try, made from the schema, so that they work for any project.

use fraiseql_model::artifact::{Artifact, Field, ObjectType, QueryField};

const FIELDS: usize = 3;

/// Returns up to three queries: a list, a list with something below it, a filtered list.
pub(crate) fn try_queries(artifact: &Artifact) -> Vec<String> {
    let lists: Vec<(&str, &ObjectType)> = artifact
        .query
        .iter()
        .filter_map(|(name, field)| match field {
            QueryField::List { object } => Some((name.as_str(), artifact.objects.get(object)?)),
            _ => None,
        })
        .collect();
    let mut queries = Vec::new();
    if let Some((name, object)) = lists.first() {
        queries.push(format!("{{ {name}(limit: 3) {{ {} }} }}", columns(object).join(" ")));
    }
    let nested = lists.iter().find_map(|(name, object)| Some((name, object, below(artifact, object)?)));
    if let Some((name, object, below)) = nested {
        let columns = columns(object).join(" ");
        queries.push(format!("{{ {name}(limit: 3) {{ {columns} {below} }} }}"));
    }
    let filtered = lists.iter().rev().find_map(|(name, object)| Some((name, object, text_column(object)?)));
    if let Some((name, object, text)) = filtered {
        let columns = columns(object).join(" ");
        queries.push(format!(
            "{{ {name}(where: {{ {text}: {{ icontains: \"a\" }} }}, orderBy: {{ {text}: ASC }}, limit: 3) {{ {columns} }} }}"
        ));
    }
    queries
}

fn columns(object: &ObjectType) -> Vec<&str> {
    let column =
        |(name, field): (&'_ String, &Field)| matches!(field, Field::Column(_)).then_some(name.len());
    let mut names: Vec<&str> = object
        .fields
        .iter()
        .filter(|(name, field)| column((*name, *field)).is_some())
        .map(|(name, _)| name.as_str())
        .collect();
    // Names that people look for come first.
    names.sort_by_key(|name| !matches!(*name, "name" | "title" | "email" | "id"));
    names.truncate(FIELDS);
    names
}

fn below(artifact: &Artifact, object: &ObjectType) -> Option<String> {
    object.fields.iter().find_map(|(name, field)| match field {
        Field::ToMany(reference) => {
            let target = artifact.objects.get(&reference.target)?;
            Some(format!("{name}(limit: 2) {{ {} }}", columns(target).join(" ")))
        }
        _ => None,
    })
}

fn text_column(object: &ObjectType) -> Option<&str> {
    let mut names = object.fields.iter().filter_map(|(name, field)| match field {
        Field::Column(column) if column.value.graphql == "String" && !column.value.list => {
            Some(name.as_str())
        }
        _ => None,
    });
    names.clone().find(|name| matches!(*name, "name" | "title" | "email")).or_else(|| names.next())
}
