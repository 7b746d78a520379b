//! SQL that creates a role which may do what an artifact does, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use fraiseql_model::artifact::Artifact;
use fraiseql_model::catalog::{Catalog, Function, Generated, QualifiedName, Relation};
use fraiseql_model::names::{quote_identifier, quote_literal};

use crate::manifest::is_called;

/// Returns the SQL, for a superuser or the owner to run. It can be run again.
///
/// It has no password in it: it says how to set one. Reads are granted on whole relations where the
/// artifact reads every column that the catalog shows, else on those columns alone.
pub fn grants(artifact: &Artifact, catalog: &Catalog, role: &str) -> String {
    let relations: BTreeMap<String, &Relation> =
        catalog.relations.iter().map(|relation| (relation.name.to_string(), relation)).collect();
    let quoted = quote_identifier(role);
    let mut sql = create_role(role, &catalog.database);
    sql.push_str(&contract(catalog.server_version, &quoted));
    let functions = called_functions(artifact, catalog);
    sql.push_str(&schemas(artifact, &relations, &functions, &quoted));
    sql.push_str("\n-- What the schema reads.\n");
    sql.push_str(&reads(artifact, catalog, &quoted));
    sql.push_str(&writes(artifact, &relations, &quoted));
    sql.push_str(&sequences(artifact, &relations, &quoted));
    if !functions.is_empty() {
        sql.push_str("\n-- The functions that root fields call; they run with the rights of this role unless they are SECURITY DEFINER.\n");
    }
    for function in functions {
        let types: Vec<String> =
            function.parameters.iter().map(|parameter| parameter.sql_type.sql()).collect();
        sql.push_str(&format!(
            "GRANT EXECUTE ON FUNCTION {}({}) TO {quoted};\n",
            function.name.sql(),
            types.join(", ")
        ));
    }
    sql
}

/// Grants what the artifact reads to a role, which is quoted already.
pub(crate) fn reads(artifact: &Artifact, catalog: &Catalog, quoted: &str) -> String {
    let relations: BTreeMap<String, &Relation> =
        catalog.relations.iter().map(|relation| (relation.name.to_string(), relation)).collect();
    let mut sql = String::new();
    for (name, read) in &artifact.manifest.reads {
        let Some(relation) = relations.get(name) else { continue };
        let columns: BTreeSet<&str> = read.columns.keys().map(String::as_str).collect();
        let list = if read.whole_row { String::new() } else { columns_of(catalog, relation, &columns) };
        sql.push_str(&format!("GRANT SELECT{list} ON {} TO {quoted};\n", relation.name.sql()));
    }
    sql
}

/// Settings that answers rely on; a server sets them itself unless a pooler keeps it from doing so.
fn contract(server_version: u32, quoted: &str) -> String {
    let floats = if server_version >= 120_000 { 1 } else { 3 };
    let jit = if server_version >= 110_000 { "ALTER ROLE $ SET jit = off;\n" } else { "" };
    format!(
        "\n-- How values are written, for when a pooler stands between the service and this server.\n\
         ALTER ROLE $ SET IntervalStyle = 'iso_8601';\nALTER ROLE $ SET bytea_output = 'hex';\n\
         ALTER ROLE $ SET extra_float_digits = {floats};\n{jit}"
    )
    .replace('$', quoted)
}

fn create_role(role: &str, database: &str) -> String {
    let quoted = quote_identifier(role);
    // A name could end the comment's line.
    let shown: String =
        quoted.chars().map(|character| if character.is_control() { ' ' } else { character }).collect();
    format!(
        "-- The least that the service needs. Run this as the owner of the database; run it again after\n\
         -- the schema changed. It takes nothing away: REVOKE what a former schema needed.\n\
         --\n\
         -- Then give the role a password that is in no file, with psql's command \\password {shown}\n\n\
         {}\n\
         GRANT CONNECT ON DATABASE {} TO {quoted};\n",
        create_login(role),
        quote_identifier(database)
    )
}

/// Makes a role that may log in and nothing else, unless it is there.
pub(crate) fn create_login(role: &str) -> String {
    let body = format!(
        "BEGIN\n  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {}) THEN\n    \
         CREATE ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE;\n  END IF;\nEND",
        quote_literal(role),
        quote_identifier(role)
    );
    do_block(&body)
}

/// Returns a DO block whose quotes the body cannot end.
pub(crate) fn do_block(body: &str) -> String {
    let mut tag = "fraiseql".to_owned();
    while body.contains(&format!("${tag}$")) {
        tag.push('_');
    }
    format!("DO ${tag}$\n{body}\n${tag}$;\n")
}

fn schemas(
    artifact: &Artifact,
    relations: &BTreeMap<String, &Relation>,
    functions: &[&Function],
    role: &str,
) -> String {
    let used = artifact.manifest.reads.keys().chain(artifact.manifest.writes.keys());
    let mut names: BTreeSet<&str> =
        used.filter_map(|name| Some(relations.get(name)?.name.schema.as_str())).collect();
    names.extend(functions.iter().map(|function| function.name.schema.as_str()));
    let grant = |name: &&str| format!("GRANT USAGE ON SCHEMA {} TO {role};\n", quote_identifier(name));
    names.iter().map(grant).collect()
}

fn writes(artifact: &Artifact, relations: &BTreeMap<String, &Relation>, role: &str) -> String {
    let mut sql = String::new();
    for (name, write) in &artifact.manifest.writes {
        let Some(relation) = relations.get(name) else { continue };
        let mut verbs = Vec::new();
        if write.insert.is_some() {
            verbs.push("INSERT");
        }
        if !write.update.is_empty() {
            verbs.push("UPDATE");
        }
        if write.delete {
            verbs.push("DELETE");
        }
        if !verbs.is_empty() {
            sql.push_str(&format!("GRANT {} ON {} TO {role};\n", verbs.join(", "), relation.name.sql()));
        }
    }
    if sql.is_empty() { sql } else { format!("\n-- What @write generates.\n{sql}") }
}

/// Defaults such as nextval('artist_id_seq') run with the rights of the service; identity columns
/// need no grant. Which sequences there are is looked up when the file runs.
fn sequences(artifact: &Artifact, relations: &BTreeMap<String, &Relation>, role: &str) -> String {
    let tables: Vec<String> = artifact
        .manifest
        .writes
        .iter()
        .filter(|(_, write)| write.insert.is_some())
        .filter_map(|(name, _)| relations.get(name))
        .filter(|relation| {
            relation.columns.iter().any(|column| column.has_default && column.generated == Generated::No)
        })
        .map(|relation| format!("      {}::pg_catalog.regclass", quote_literal(&relation.name.sql())))
        .collect();
    if tables.is_empty() {
        return String::new();
    }
    let body = format!(
        "DECLARE\n  sequence pg_catalog.regclass;\nBEGIN\n  FOR sequence IN\n    \
         SELECT DISTINCT d.refobjid::pg_catalog.regclass\n    \
         FROM pg_catalog.pg_attrdef a\n    \
         JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND d.objid = a.oid\n    \
         JOIN pg_catalog.pg_class s ON s.oid = d.refobjid AND s.relkind = 'S'\n    \
         WHERE d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND a.adrelid IN (\n{}\n    )\n  \
         LOOP\n    EXECUTE pg_catalog.format('GRANT USAGE ON SEQUENCE %s TO %I', sequence, {});\n  END LOOP;\nEND",
        tables.join(",\n"),
        quote_literal(&unquoted(role))
    );
    format!("\n-- The sequences that give inserted rows their numbers.\n{}", do_block(&body))
}

fn unquoted(role: &str) -> String {
    let inner = role.strip_prefix('"').and_then(|role| role.strip_suffix('"')).unwrap_or(role);
    inner.replace("\"\"", "\"")
}

/// Returns nothing when every column is read, so that a new column needs no new grant; else a list.
fn columns_of(catalog: &Catalog, relation: &Relation, read: &BTreeSet<&str>) -> String {
    // A column that the reading role may not see must not be opened to the service.
    let prefix = format!("column {}.", relation.name);
    let hidden = catalog.left_out.iter().any(|left_out| left_out.what.starts_with(&prefix));
    let all = relation.columns.iter().all(|column| read.contains(column.name.as_str()));
    if (all && !hidden) || read.is_empty() {
        return String::new();
    }
    let columns = relation.columns.iter().filter(|column| read.contains(column.name.as_str()));
    let columns: Vec<String> = columns.map(|column| quote_identifier(&column.name)).collect();
    format!(" ({})", columns.join(", "))
}

fn called_functions<'c>(artifact: &Artifact, catalog: &'c Catalog) -> Vec<&'c Function> {
    let mut found: Vec<(&QualifiedName, String, &Function)> = Vec::new();
    for function in &catalog.functions {
        let name = function.name.to_string();
        let with_signature = format!("{name}({})", crate::database::signature(function));
        let called = [&name, &with_signature].into_iter().any(|key| {
            artifact.manifest.functions.get(key).is_some_and(|called| is_called(function, called))
        });
        if called {
            found.push((&function.name, with_signature, function));
        }
    }
    found.sort_by(|left, right| (left.0, &left.1).cmp(&(right.0, &right.1)));
    found.into_iter().map(|(.., function)| function).collect()
}
