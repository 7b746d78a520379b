//! What an operation does in the database: its SQL, PostgreSQL's plan, indexes that are missing.

use std::collections::BTreeMap;

use bytes::Bytes;
use fraiseql_engine::{
    Advice, Document, Limits, MutationStep, OperationKind, Plan, PlanNode, Schema, Statement, Variables,
    advice, bind, plan,
};
use fraiseql_model::errors;
use fraiseql_model::response::GraphqlError;
use fraiseql_postgres::Target;
use serde_json::{Map, Value, json};

use crate::args;
use crate::commands::usage::database_target;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::project::{Project, open_artifact};

use super::database::{Asking, Explaining};

/// A statement of an operation, its values, and what PostgreSQL says of it.
struct Explained {
    /// The response key for mutations; a query is one statement.
    field: Option<String>,
    sql: String,
    params: Vec<Option<Bytes>>,
    plan: PlanNode,
}

/// Explains an operation.
pub(crate) async fn run(text: &str, arguments: &args::Explain, printer: &Printer) -> Result<(), Failure> {
    let project = Project::open(&arguments.project, &[])?;
    let schema = Schema::load(open_artifact(&project.artifact())?)
        .map_err(|error| Failure::internal("load the artifact", &error))?;
    let asking = if arguments.analyze { Asking::Measure } else { Asking::Plan };
    let statements = statements(&schema, text, arguments, asking)?;
    if statements.is_empty() {
        printer.say("no statement: the answer is known without the database");
    }
    let mut database = Explaining::connect(database_target(&project).await?).await?;
    let mut explained = Vec::new();
    for (field, sql, params) in statements {
        let plan = database.plan(&sql, &params, asking).await?;
        explained.push(Explained { field, sql, params, plan });
    }
    let plans: Vec<&PlanNode> = explained.iter().map(|one| &one.plan).collect();
    let found = missing_indexes(&mut database, &plans).await?;
    database.close().await;
    if printer.is_json() {
        printer.data_json(&as_json(&explained, &found));
    } else {
        printer.data(&shown(&explained, &found));
    }
    Ok(())
}

type Planned = (Option<String>, String, Vec<Option<Bytes>>);

/// Returns the plan of a statement for any values, as a tree in words, and indexes that are missing.
pub(crate) async fn plan_and_advice(
    target: Target,
    sql: &str,
    params: usize,
) -> Result<(String, Vec<String>), Failure> {
    let mut database = Explaining::connect(target).await?;
    let plan = database.plan(sql, &vec![None; params], Asking::Plan).await?;
    let found = missing_indexes(&mut database, &[&plan]).await?;
    database.close().await;
    Ok((plan.render(), found.into_iter().map(|one| one.sql).collect()))
}

async fn missing_indexes(database: &mut Explaining, plans: &[&PlanNode]) -> Result<Vec<Advice>, Failure> {
    let mut facts = BTreeMap::new();
    for (schema, name) in plans.iter().flat_map(|plan| plan.tables()) {
        if let Some(found) = database.facts(&schema, &name).await? {
            facts.insert((schema, name), found);
        }
    }
    let find = |schema: &str, name: &str| facts.get(&(schema.to_owned(), name.to_owned())).cloned();
    let mut found: Vec<Advice> = plans.iter().flat_map(|plan| advice(plan, find)).collect();
    found.sort();
    found.dedup();
    Ok(found)
}

/// Returns the statements that the server would run, with their values.
fn statements(
    schema: &Schema,
    text: &str,
    arguments: &args::Explain,
    asking: Asking,
) -> Result<Vec<Planned>, Failure> {
    let given = given(arguments.variables.as_deref())?;
    let name = arguments.operation.as_deref();
    let limits = Limits::default();
    let document = Document::parse(schema, text, &limits).map_err(refused)?;
    let kind = document.operation(name).map_err(|error| refused(vec![error]))?;
    if kind == OperationKind::Mutation && asking == Asking::Measure {
        return Err(Failure::new(&errors::EXP_ANALYZE, "measure a mutation: it would have to run")
            .hint("leave --analyze out"));
    }
    let variables = Variables::coerce(schema, &document, name, &given).map_err(refused)?;
    let bound = |field: Option<&str>, statement: &Statement| -> Result<Planned, Failure> {
        let params = bind(statement, &variables).map_err(|error| refused(vec![error]))?;
        Ok((field.map(str::to_owned), statement.sql.to_string(), params))
    };
    match plan(schema, &document, name, &variables, &limits).map_err(refused)? {
        Plan::Query(query) => query.statement.iter().map(|statement| bound(None, statement)).collect(),
        Plan::Mutation(mutation) => {
            let writes = mutation.fields.iter().filter_map(|step| match step {
                MutationStep::Write(write) => Some(write),
                MutationStep::Static { .. } => None,
            });
            writes.flat_map(|write| write.statements.iter().map(|one| bound(Some(&write.key), one))).collect()
        }
    }
}

fn given(variables: Option<&str>) -> Result<Map<String, Value>, Failure> {
    let Some(text) = variables else { return Ok(Map::new()) };
    serde_json::from_str(text).map_err(|error| {
        Failure::new(&errors::CFG_BAD_VALUE, "use --variables: it is no JSON object")
            .because(&error)
            .hint("--variables '{\"id\": 1}'")
    })
}

fn refused(errors: Vec<GraphqlError>) -> Failure {
    let mut failure = Failure::new(&errors::EXP_OPERATION, "plan the operation: the schema refuses it");
    let place = |error: &GraphqlError| match error.locations.first() {
        Some(place) => format!("{} (line {}, column {})", error.message, place.line, place.column),
        None => error.message.clone(),
    };
    failure.causes = errors.iter().map(place).collect();
    failure.hint("`fraiseql schema print` shows the schema; give variables with --variables")
}

fn shown(explained: &[Explained], advice: &[Advice]) -> String {
    let mut text = String::new();
    for one in explained {
        if let Some(field) = &one.field {
            text.push_str(&format!("-- {field}\n"));
        }
        text.push_str(&format!("{}\n", one.sql));
        for (index, value) in one.params.iter().enumerate() {
            text.push_str(&format!(
                "  ${} = {}\n",
                index + 1,
                value_text(value).unwrap_or("NULL".to_owned())
            ));
        }
        text.push_str(&format!("\n{}\n", one.plan.render()));
    }
    if advice.is_empty() {
        text.push_str("no index is missing, as far as can be seen\n");
    }
    for Advice { why, sql } in advice {
        text.push_str(&format!("{why}\n  {sql}\n"));
    }
    text
}

fn value_text(value: &Option<Bytes>) -> Option<String> {
    value.as_ref().map(|value| format!("'{}'", String::from_utf8_lossy(value)))
}

fn as_json(explained: &[Explained], advice: &[Advice]) -> Value {
    let statements = explained.iter().map(|one| {
        let params =
            one.params.iter().map(|value| value.as_ref().map(|value| String::from_utf8_lossy(value)));
        let params: Vec<_> = params.collect();
        json!({ "field": one.field, "sql": one.sql, "params": params, "plan": plan_json(&one.plan) })
    });
    let advice = advice.iter().map(|one| json!({ "why": one.why, "sql": one.sql }));
    json!({ "statements": statements.collect::<Vec<_>>(), "advice": advice.collect::<Vec<_>>() })
}

fn plan_json(node: &PlanNode) -> Value {
    let measured = node.measured.map(
        |measured| json!({ "rows": measured.rows, "loops": measured.loops, "totalMs": measured.total_ms }),
    );
    let conditions: Map<String, Value> =
        node.conditions.iter().map(|(name, condition)| ((*name).to_owned(), json!(condition))).collect();
    json!({
        "node": node.kind, "schema": node.table.as_ref().map(|(schema, _)| schema),
        "table": node.table.as_ref().map(|(_, name)| name), "index": node.index, "conditions": conditions,
        "rows": node.rows, "measured": measured, "share": node.share, "repeated": node.repeated,
        "children": node.children.iter().map(plan_json).collect::<Vec<_>>(),
    })
}
