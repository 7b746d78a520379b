//! Writes a proposal as SDL, the way a person would.

use std::collections::{BTreeMap, BTreeSet};

use fraiseql_model::catalog::QualifiedName;

use crate::casing::snake_case;
use crate::database::Database;
use crate::draft::identity;
use crate::init::naming::enum_values;
use crate::init::proposal::{Proposal, ProposedObject};
use crate::reference;
use crate::scalar;
use crate::text::{describe, string};

/// What can be written through an object type.
#[derive(Debug)]
pub(crate) struct Writable {
    pub(crate) object: String,
    /// The arguments of `@write`.
    pub(crate) verbs: [(&'static str, bool); 4],
}

const HEADER: &str = "\
# The API of this project. Fields read the column of their name in snake case, object fields follow
# foreign keys; directives.graphql documents what the directives say. Change what you like and compile.
";

/// Returns `schema.graphql`.
pub(crate) fn schema(
    database: &Database<'_>,
    proposal: &Proposal<'_>,
    reads: bool,
    writable: &[Writable],
) -> String {
    let writable: BTreeMap<&str, &Writable> =
        writable.iter().map(|writable| (writable.object.as_str(), writable)).collect();
    let mut parts = vec![HEADER.to_owned()];
    if !proposal.objects.is_empty() {
        parts.push(query(proposal));
    }
    for object in &proposal.objects {
        let mut more = String::new();
        if reads {
            more = read(database, object);
        }
        if let Some(writable) = writable.get(object.name.as_str()) {
            more.push_str(&write(writable));
        }
        parts.push(object_type(object, &more));
    }
    for (name, graphql) in &proposal.enums {
        parts.push(enumeration(database, name, graphql));
    }
    let columns = proposal.objects.iter().flat_map(|object| &object.columns);
    let scalars: BTreeSet<&str> = columns.map(|column| column.graphql.as_str()).collect();
    for name in scalars.into_iter().filter(|name| scalar::is_custom(name)) {
        parts.extend(crate::input::scalar_type(name).map(|generated| generated.sdl));
    }
    parts.join("\n")
}

fn query(proposal: &Proposal<'_>) -> String {
    let mut sdl = String::from("type Query {\n");
    for object in &proposal.objects {
        sdl.push_str(&format!("  {}: [{}!]!\n", object.list, object.name));
        for lookup in &object.lookups {
            let arguments: Vec<String> =
                lookup.arguments.iter().map(|(name, graphql)| format!("{name}: {graphql}")).collect();
            sdl.push_str(&format!("  {}({}): {}\n", lookup.name, arguments.join(", "), object.name));
        }
    }
    sdl.push_str("}\n");
    sdl
}

fn read(database: &Database<'_>, object: &ProposedObject<'_>) -> String {
    let key = identity(object.relation, &database.keys(object.relation));
    let connection = if key.is_empty() { "" } else { "connection: true, " };
    format!(" @read(aggregate: true, {connection}distinct: true)")
}

fn write(writable: &Writable) -> String {
    let verbs: Vec<String> = writable
        .verbs
        .iter()
        .filter(|(_, possible)| *possible)
        .map(|(verb, _)| format!("{verb}: true"))
        .collect();
    if verbs.is_empty() { String::new() } else { format!(" @write({})", verbs.join(", ")) }
}

fn object_type(object: &ProposedObject<'_>, directives: &str) -> String {
    let mut sdl = String::new();
    describe(&mut sdl, "", object.relation.comment.as_deref());
    let relation = bound_to("relation", &object.relation.name);
    sdl.push_str(&format!("type {} {relation}{directives} {{\n", object.name));
    for column in &object.columns {
        describe(&mut sdl, "  ", column.column.comment.as_deref());
        let renamed = if column.is_renamed() {
            format!(" @column(name: {})", string(&column.column.name))
        } else {
            String::new()
        };
        sdl.push_str(&format!("  {}: {}{renamed}\n", column.field, column.type_text()));
    }
    for reference in &object.references {
        let explicit = reference.explicit.as_ref();
        let explicit = explicit.map_or_else(String::new, |on| format!(" {}", reference::directive(on)));
        sdl.push_str(&format!("  {}: {}{explicit}\n", reference.field, reference.graphql));
    }
    sdl.push_str("}\n");
    sdl
}

fn enumeration(database: &Database<'_>, name: &QualifiedName, graphql: &str) -> String {
    let mut sdl = String::new();
    let comment = database.sql_type(name).and_then(|found| found.comment.as_deref());
    describe(&mut sdl, "", comment);
    // Of two enums that a name in snake case could mean, the compiler takes that of the columns.
    let inferred = snake_case(graphql) == name.name && name.schema == "public";
    let bound = if inferred { String::new() } else { format!(" {}", bound_to("enum", name)) };
    sdl.push_str(&format!("enum {graphql}{bound} {{\n"));
    let labels = database.enums().find(|(found, _)| *found == name).map_or(&[][..], |(_, labels)| labels);
    for (value, label) in enum_values(labels).iter().zip(labels) {
        let renamed =
            if value == label { String::new() } else { format!(" @label(name: {})", string(label)) };
        sdl.push_str(&format!("  {value}{renamed}\n"));
    }
    sdl.push_str("}\n");
    sdl
}

/// The schema is left out where the compiler looks first.
fn bound_to(directive: &str, name: &QualifiedName) -> String {
    if name.schema == "public" {
        return format!("@{directive}(name: {})", string(&name.name));
    }
    format!("@{directive}(name: {}, schema: {})", string(&name.name), string(&name.schema))
}
