//! Functions that a field could call.

use std::collections::BTreeSet;

use fraiseql_model::catalog::{
    Attribute, Function, FunctionResult, Parameter, QualifiedName, TypeRef, Volatility,
};
use tokio_postgres::{Client, Row};

use crate::catalog::Types;
use crate::error::PostgresError;

fn functions_sql(server_version: u32) -> String {
    let plain =
        if server_version >= 110_000 { "p.prokind = 'f'" } else { "NOT p.proisagg AND NOT p.proiswindow" };
    format!(
        "SELECT n.nspname::text, p.proname::text, obj_description(p.oid, 'pg_proc'), p.proretset, p.prorettype,
                p.provolatile::text, p.proisstrict, p.pronargdefaults::int4, p.provariadic <> 0,
                p.proargtypes::oid[], p.proallargtypes, p.proargmodes::text[], p.proargnames,
                rt.typtype::text, pg_get_function_identity_arguments(p.oid), rc.relname::text, rn.nspname::text
         FROM pg_catalog.pg_proc p
         JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
         JOIN pg_catalog.pg_type rt ON rt.oid = p.prorettype
         LEFT JOIN pg_catalog.pg_class rc ON rc.oid = rt.typrelid AND rc.relkind <> 'c'
         LEFT JOIN pg_catalog.pg_namespace rn ON rn.oid = rc.relnamespace
         WHERE n.nspname = ANY($1::text[]) AND {plain}
           AND has_function_privilege(p.oid, 'EXECUTE') AND has_schema_privilege(n.oid, 'USAGE')
           AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d
               WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype IN ('e', 'i'))
         ORDER BY 1, 2, 15"
    )
}

/// Reads the functions of `schemas`, sorted by name and arguments.
pub(crate) async fn read(
    client: &Client,
    schemas: &[String],
    server_version: u32,
    types: &Types,
) -> Result<Vec<Function>, PostgresError> {
    let rows = client.query(&functions_sql(server_version), &[&schemas]).await?;
    Ok(rows.iter().map(|row| function(row, types)).collect())
}

fn function(row: &Row, types: &Types) -> Function {
    let inputs: Vec<u32> = row.get(9);
    let all: Vec<u32> = row.get::<_, Option<_>>(10).unwrap_or_else(|| inputs.clone());
    let modes: Vec<String> = row.get::<_, Option<_>>(11).unwrap_or_else(|| vec!["i".to_owned(); all.len()]);
    let names: Vec<String> = row.get::<_, Option<_>>(12).unwrap_or_default();
    let argument = |index: usize| {
        let name = names.get(index).cloned().unwrap_or_default();
        (name, types.reference(all[index]))
    };
    let mut parameters = Vec::new();
    let mut columns = Vec::new();
    for (index, mode) in modes.iter().enumerate().take(all.len()) {
        let (name, sql_type) = argument(index);
        if let "i" | "b" | "v" = mode.as_str() {
            let variadic = mode == "v";
            parameters.push(Parameter {
                name: name.clone(),
                sql_type: sql_type.clone(),
                has_default: false,
                variadic,
            });
        }
        if let "o" | "b" | "t" = mode.as_str() {
            columns.push(Attribute { name, sql_type });
        }
    }
    let defaults = usize::try_from(row.get::<_, i32>(7)).unwrap_or(0);
    let first_default = parameters.len().saturating_sub(defaults);
    for parameter in &mut parameters[first_default..] {
        parameter.has_default = true;
    }
    Function {
        name: QualifiedName::new(row.get::<_, String>(0), row.get::<_, String>(1)),
        comment: row.get(2),
        parameters,
        returns: returns(row, types, columns),
        volatility: match row.get::<_, String>(5).as_str() {
            "i" => Volatility::Immutable,
            "s" => Volatility::Stable,
            _ => Volatility::Volatile,
        },
        strict: row.get(6),
    }
}

fn returns(row: &Row, types: &Types, columns: Vec<Attribute>) -> FunctionResult {
    let (set, oid): (bool, u32) = (row.get(3), row.get(4));
    let sql_type = types.reference(oid);
    if let [_, _, ..] = columns.as_slice() {
        return FunctionResult::Table { columns, set };
    }
    match (row.get::<_, String>(13).as_str(), types.row_of(oid), sql_type.name.name.as_str()) {
        ("p", _, "void") => FunctionResult::Void,
        ("p", _, "record") if !columns.is_empty() => FunctionResult::Table { columns, set },
        ("p", _, _) => FunctionResult::Other,
        (_, Some(_), _) => {
            let part = |index: usize| row.get::<_, Option<String>>(index).unwrap_or_default();
            FunctionResult::Row { relation: QualifiedName::new(part(16), part(15)), set }
        }
        _ => FunctionResult::Value { sql_type, set },
    }
}

/// Adds the types that parameters and results use.
pub(crate) fn note_types(functions: &[Function], used: &mut BTreeSet<TypeRef>) {
    for function in functions {
        used.extend(function.parameters.iter().map(|parameter| parameter.sql_type.clone()));
        match &function.returns {
            FunctionResult::Value { sql_type, .. } => {
                used.insert(sql_type.clone());
            }
            FunctionResult::Table { columns, .. } => {
                used.extend(columns.iter().map(|column| column.sql_type.clone()));
            }
            FunctionResult::Void | FunctionResult::Row { .. } | FunctionResult::Other => {}
        }
    }
}
