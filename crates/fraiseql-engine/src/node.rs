//! `node` and `nodes`: rows by their global ids.
//!
//! The type that a variable names is not part of its shape, so one plan serves every id: the statement
//! has a branch for each type, and the number that the id stands for chooses among them at run time.

use apollo_compiler::Node as Shared;
use apollo_compiler::executable::Field;
use fraiseql_model::response::{Code, GraphqlError};
use serde_json::Value;

use crate::abstract_type::{Abstract, slot_name};
use crate::argument::{Input, Scope};
use crate::collect::Group;
use crate::global_id::read;
use crate::plan::{Param, ParamFormat};
use crate::poly::{Candidates, Poly, types};
use crate::query::unbound;
use crate::select::Shapes;
use crate::sql::Writer;
use fraiseql_model::names::{quote_identifier, quote_literal};

/// The ids that a client asks for.
pub(crate) struct Wanted {
    /// Lists with an element for each id, the names of the types first, then a list for each part of a key.
    lists: Vec<List>,
}

/// A list of texts as SQL gets it.
enum List {
    Whole(Param),
    Elements(Vec<Param>),
}

/// Returns the rows that the ids in an argument stand for, in their order, null where there is none.
pub(crate) fn nodes<'s>(
    scope: Scope<'s>,
    found: &'s Abstract,
    argument: &str,
    list: bool,
    group: &Group<'s>,
) -> Result<(Poly<'s>, Vec<Shapes>), GraphqlError> {
    let field: &'s Shared<Field> = group[0];
    let given = scope.argument(field, argument)?.filter(|given| !given.is_null());
    let given = given.ok_or_else(|| unbound(argument))?;
    let width = found.types.iter().map(|one| one.object.key.len()).max().unwrap_or(0);
    let parts = std::iter::once(ParamFormat::NodeType).chain((0..width).map(ParamFormat::NodeKey));
    let lists = parts.map(|part| list_of(&given, list, part)).collect();
    check(&given).map_err(|error| error.at(scope.document.location(field.name.location())))?;
    let (types, shapes) = types(scope, found, group)?;
    let candidates = Candidates::Nodes(Wanted { lists });
    Ok((Poly { found, candidates, types, limit: None, offset: None, first_only: false }, shapes))
}

/// Fails for text that no server of ours gave out as a global id.
pub(crate) fn check_ids(value: &Value) -> Result<(), GraphqlError> {
    let bad = match value {
        Value::Array(items) => items.iter().any(is_no_id),
        single => is_no_id(single),
    };
    if bad {
        let message = "this is no global id; give one as it came from a query";
        return Err(GraphqlError::new(Code::BadUserInput, message));
    }
    Ok(())
}

/// Returns one part of each id as PostgreSQL text; NULL where the id has no such part.
pub(crate) fn part_of(id: &str, part: ParamFormat) -> Option<String> {
    let id = read(id)?;
    match part {
        ParamFormat::NodeType => Some(id.type_name),
        ParamFormat::NodeKey(at) => id.key.get(at).cloned(),
        _ => None,
    }
}

/// Returns the candidates that ids stand for, and their order.
pub(crate) fn node_candidates(
    writer: &mut Writer<'_>,
    found: &Abstract,
    wanted: &Wanted,
    row: &str,
) -> (String, String) {
    let mut lists = Vec::with_capacity(wanted.lists.len());
    for list in &wanted.lists {
        lists.push(match list {
            List::Whole(param) => format!("{}::pg_catalog.text[]", writer.param(param.clone())),
            List::Elements(params) => {
                let elements: Vec<String> = params
                    .iter()
                    .map(|param| format!("{}::pg_catalog.text", writer.param(param.clone())))
                    .collect();
                format!("ARRAY[{}]::pg_catalog.text[]", elements.join(", "))
            }
        });
    }
    let given = format!("\"{}n\"", writer.next_number());
    let names: Vec<String> = (0..lists.len()).map(|at| format!("\"i{at}\"")).collect();
    let mut tag = format!("CASE {given}.\"i0\"");
    for (number, one) in found.types.iter().enumerate() {
        tag.push_str(&format!(" WHEN {} THEN {number}", quote_literal(&one.object.name)));
    }
    let mut columns = vec![format!("{tag} END AS \"t\""), format!("{given}.\"#\" AS \"#\"")];
    for (slot, sql_type) in found.slots.iter().enumerate() {
        let name = slot_name(slot);
        let mut value = format!("CASE {given}.\"i0\"");
        for one in &found.types {
            let column = one.on.iter().find(|pair| pair.local == name).map(|pair| pair.remote.as_str());
            let at = one.object.key.iter().position(|key| Some(key.column.as_str()) == column);
            if let Some(at) = at {
                let part = &names[at + 1];
                value.push_str(&format!(
                    " WHEN {} THEN {given}.{part}::{sql_type}",
                    quote_literal(&one.object.name)
                ));
            }
        }
        columns.push(format!("{value} END AS {}", quote_identifier(&name)));
    }
    let sql = format!(
        "SELECT {} FROM unnest({}) WITH ORDINALITY AS {given}({}, \"#\")",
        columns.join(", "),
        lists.join(", "),
        names.join(", ")
    );
    (sql, format!(" ORDER BY {row}.\"#\""))
}

fn list_of(given: &Input<'_>, list: bool, part: ParamFormat) -> List {
    let items = if list { given.items() } else { vec![given.clone()] };
    match given.param(part) {
        // A single id is a list of one; a list in a variable may have any length.
        Some(param) if list => List::Whole(param),
        _ => List::Elements(items.iter().filter_map(|item| item.param(part)).collect()),
    }
}

/// Ids in the document are checked when it is planned, those in variables when they are bound.
fn check(given: &Input<'_>) -> Result<(), GraphqlError> {
    match given {
        Input::Literal(value) => check_ids(value),
        Input::List(items) => items.iter().try_for_each(check),
        _ => Ok(()),
    }
}

fn is_no_id(value: &Value) -> bool {
    value.as_str().is_none_or(|id| read(id).is_none())
}
