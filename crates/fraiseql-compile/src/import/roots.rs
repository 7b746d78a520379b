//! Queries, mutations and subscriptions of an authoring file.

use super::definitions::argument;
use super::entry::Entry;
use super::{Import, ImportError, camel_case};
use crate::text::{describe, string};

const TENANT: &str = "values from a token are not injected: use row level security on the tables below the view, or a function that reads the setting";
const ROLE: &str =
    "who may ask is not said in schema.graphql: PostgreSQL's GRANT and row level security decide";
const CACHE: &str = "answers are not cached: each is read from the database";
/// The type of an error that a mutation's row tells of.
const FAILURE: &str = "MutationFailure";
/// What lists take by themselves here.
const LIST_ARGUMENTS: [&str; 6] = ["where", "order_by", "orderBy", "limit", "offset", "first"];

/// Returns the query type.
pub(super) fn queries(import: &mut Import, file: &Entry<'_>) -> Result<Option<String>, ImportError> {
    let mut lines = String::new();
    for query in file.entries("queries") {
        let known = [
            "name",
            "return_type",
            "returns_list",
            "nullable",
            "sql_source",
            "arguments",
            "auto_params",
            "description",
            "deprecation",
            "jsonb_column",
        ];
        import.unknown(
            &query,
            &known,
            &[
                ("inject_params", TENANT),
                ("inject", TENANT),
                ("requires_role", ROLE),
                ("cache_ttl_seconds", CACHE),
                ("additional_views", CACHE),
                ("relay", "a connection is asked for by its own field: this one stays a list"),
            ],
        );
        describe(&mut lines, "  ", query.text("description"));
        lines.push_str(&format!("  {}\n", self::query(import, &query)?));
    }
    Ok((!lines.is_empty()).then(|| format!("type Query {{\n{lines}}}\n")))
}

fn query(import: &mut Import, query: &Entry<'_>) -> Result<String, ImportError> {
    let name = camel_case(query.name()?);
    let returns = query.ty("return_type")?;
    let source = query.text("sql_source").unwrap_or("");
    let is_function = source.rsplit('.').next().is_some_and(|name| name.starts_with("fn_"));
    let arguments = query.entries("arguments");
    if is_function {
        let function = import.source(source);
        let arguments = written(&arguments)?;
        let returns = if query.flag("returns_list") {
            format!("[{returns}!]!")
        } else {
            format!("{returns}{}", query.mark())
        };
        return Ok(format!("{name}{arguments}: {returns} @function({function})"));
    }
    if !source.is_empty() && import.bound.get(&returns) == Some(&false) {
        import.note(
            &query.place,
            &format!("{returns} has no relation of its own: give it @relation(name: {})", string(source)),
        );
    }
    if query.flag("returns_list") {
        for one in arguments
            .iter()
            .filter(|one| !one.text("name").is_some_and(|name| LIST_ARGUMENTS.contains(&name)))
        {
            import.note(&one.place, "lists take where, orderBy, limit and offset, which a client uses instead: where: {field: {eq: value}}");
        }
        return Ok(format!("{name}: [{returns}!]!"));
    }
    if arguments.is_empty() {
        import.note(&query.place, "one object is found by the arguments of a unique key, and it has none: call a function with @function");
    }
    for one in &arguments {
        if one.flag("nullable") {
            import.note(&one.place, "the arguments that pick one object are required");
        }
    }
    let arguments: Vec<String> = arguments
        .iter()
        .map(|one| Ok(format!("{}: {}!", camel_case(one.name()?), one.ty("type")?)))
        .collect::<Result<_, ImportError>>()?;
    let arguments = if arguments.is_empty() { String::new() } else { format!("({})", arguments.join(", ")) };
    if !query.flag("nullable") && query.get("nullable").is_some() {
        import.note(&query.place, "one object that is looked up may not be there: the field may be null");
    }
    Ok(format!("{name}{arguments}: {returns}"))
}

/// Returns the mutation type.
pub(super) fn mutations(import: &mut Import, file: &Entry<'_>) -> Result<Option<String>, ImportError> {
    let (mut lines, mut outcomes) = (String::new(), String::new());
    for mutation in file.entries("mutations") {
        let known = [
            "name",
            "return_type",
            "returns_list",
            "nullable",
            "sql_source",
            "operation",
            "arguments",
            "description",
            "deprecation",
        ];
        import.unknown(
            &mutation,
            &known,
            &[
                ("inject_params", TENANT),
                ("inject", TENANT),
                ("requires_role", ROLE),
                ("invalidates_views", CACHE),
                ("invalidates_fact_tables", CACHE),
            ],
        );
        let name = camel_case(mutation.name()?);
        let source = mutation.text("sql_source").unwrap_or("");
        if source.is_empty() {
            import.note(
                &mutation.place,
                "it names no function: @write of the type generates inserts, updates and deletes",
            );
            continue;
        }
        let is_function = source.rsplit('.').next().is_some_and(|name| name.starts_with("fn_"));
        if !is_function {
            import.note(&mutation.place, &format!("{source} is called as a function; where it is a table, take the field away and give the type @write"));
        }
        let returns = mutation.ty("return_type")?;
        let returns = if import.bound.contains_key(&returns) {
            outcome(import, &mutation, &returns, &mut outcomes)?
        } else {
            import.outcomes.insert(returns.clone());
            returns
        };
        let function = import.source(source);
        let arguments = written(&mutation.entries("arguments"))?;
        describe(&mut lines, "  ", mutation.text("description"));
        lines.push_str(&format!("  {name}{arguments}: {returns} @function({function})\n"));
    }
    if !outcomes.is_empty() {
        outcomes.push_str(&format!(
            "\ntype {FAILURE} {{\n  message: String\n  code: String\n  status: String\n}}\n"
        ));
    }
    Ok((!lines.is_empty()).then(|| format!("type Mutation {{\n{lines}}}\n{outcomes}")))
}

/// Writes the union that a mutation's row becomes, and returns its name.
fn outcome(
    import: &mut Import,
    mutation: &Entry<'_>,
    returns: &str,
    outcomes: &mut String,
) -> Result<String, ImportError> {
    let camel = camel_case(mutation.name()?);
    let stem: String =
        camel.chars().take(1).flat_map(char::to_uppercase).chain(camel.chars().skip(1)).collect();
    let (result, success) = (format!("{stem}Result"), format!("{stem}Success"));
    for name in [&result, &success, &FAILURE.to_owned()] {
        if import.taken.contains(name) {
            import.note(&mutation.place, &format!("the name {name} is taken: rename the generated one"));
        }
    }
    let field: String =
        returns.chars().take(1).flat_map(char::to_lowercase).chain(returns.chars().skip(1)).collect();
    outcomes.push_str(&format!(
        "\nunion {result} = {success} | {FAILURE}\n\ntype {success} {{\n  {field}: {returns}\n}}\n"
    ));
    let why = format!(
        "its type was {returns} and is the union {result}, by the function's row: clients select {{ ... on {success} {{ {field} {{ ... }} }} ... on {FAILURE} {{ message }} }}; {returns} is found by its key in `entity`"
    );
    import.note(&mutation.place, &why);
    Ok(result)
}

/// Notes subscriptions: they have another meaning here.
pub(super) fn subscriptions(import: &mut Import, file: &Entry<'_>) -> Result<(), ImportError> {
    for subscription in file.entries("subscriptions") {
        subscription.name()?;
        import.note(
            &subscription.place,
            "events of a topic are not sent: a subscription here is a query that is answered again when its data changes",
        );
    }
    Ok(())
}

fn written(arguments: &[Entry<'_>]) -> Result<String, ImportError> {
    let arguments = arguments.iter().map(argument).collect::<Result<Vec<_>, _>>()?;
    Ok(if arguments.is_empty() { String::new() } else { format!("({})", arguments.join(", ")) })
}
