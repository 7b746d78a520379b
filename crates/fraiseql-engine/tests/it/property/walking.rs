//! Random walks through connections: by cursors, in both directions, to the end.

use serde_json::{Value, json};

use super::answering::compare;
use super::answering::{Answerer, Row};
use super::asking::Asker;
use super::dice::Dice;
use super::document::{Asked, Operation, Term};
use super::model::{Binding, Model};
use crate::world::World;

/// Pages of one walk, so that a walk that goes round in circles ends.
const PAGES_MAX: usize = 64;

/// Walks through a random list in a random order; returns what is wrong, if anything is.
pub(super) async fn walk(world: &World, model: &Model, dice: &mut Dice) -> Option<String> {
    let table = dice.count(0, model.tables.len() - 1);
    let mut asker = Asker::new(model, dice);
    asker.literal = true;
    let (order, filter) = (asker.loose_order(table), asker.filter(table, 1));
    let size = dice.count(1, 7);
    let backward = dice.chance(50);
    let found = &model.tables[table];
    let is_key = |field: &&super::model::Field| matches!(field.binding, Binding::Column { column: 0, .. });
    let key = &found.fields.iter().find(is_key).expect("the key is shown").name;
    let arguments = vec![("orderBy".to_owned(), order), ("where".to_owned(), filter)];
    let expected = keys(model, table, &arguments);
    let (count, cursor) = if backward { ("last", "before") } else { ("first", "after") };
    let given: Vec<String> =
        arguments.iter().map(|(name, value)| format!("{name}: {}", value.text())).collect();
    let text = format!(
        "query($c: String) {{ page: {}Connection({count}: {size}, {cursor}: $c, {}) {{ totalCount edges {{ cursor node {{ {key} }} }} \
         pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} }} }}",
        found.list,
        given.join(", "),
    );
    let met = follow(world, &text, key, backward).await;
    (met.as_ref() != Ok(&expected)).then(|| format!("{text}\nexpected: {expected:?}\nfound:    {met:?}"))
}

/// Returns the keys of all rows that match, in order.
fn keys(model: &Model, table: usize, arguments: &[(String, Term)]) -> Vec<String> {
    let operation = Operation::default();
    let answerer = Answerer::new(model, &operation);
    let asked = Asked {
        alias: None,
        name: String::new(),
        arguments: arguments.to_vec(),
        directives: Vec::new(),
        selections: Vec::new(),
    };
    let mut rows: Vec<&Row> = model.tables[table].rows.iter().collect();
    answerer.filter(table, &mut rows, &asked);
    rows.sort_by(|left, right| compare(&left[0], &right[0]));
    answerer.sort(table, &mut rows, &asked);
    rows.iter().map(|row| row[0].sql()).collect()
}

/// Follows the cursors from page to page and returns the keys met, in the order of the list.
async fn follow(world: &World, text: &str, key: &str, backward: bool) -> Result<Vec<String>, String> {
    let mut met: Vec<String> = Vec::new();
    let mut cursor = Value::Null;
    for _ in 0..PAGES_MAX {
        let data = world.run(text, &json!({ "c": cursor }).to_string()).await?;
        let (edges, info) = (&data["page"]["edges"], &data["page"]["pageInfo"]);
        let edges = edges.as_array().expect("edges are a list");
        let key_of = |edge: &Value| match &edge["node"][key] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let keys: Vec<String> = edges.iter().map(key_of).collect();
        let behind = if backward { "hasNextPage" } else { "hasPreviousPage" };
        if info[behind] != Value::Bool(!met.is_empty()) {
            return Err(format!("{behind} is {} after {met:?}", info[behind]));
        }
        if backward {
            met.splice(0..0, keys);
        } else {
            met.extend(keys);
        }
        let (more, next) =
            if backward { ("hasPreviousPage", "startCursor") } else { ("hasNextPage", "endCursor") };
        if info[more] == Value::Bool(false) {
            let total = data["page"]["totalCount"].as_u64().expect("a count");
            let same = usize::try_from(total) == Ok(met.len());
            return if same { Ok(met) } else { Err(format!("{total} in all, met {met:?}")) };
        }
        cursor = info[next].clone();
    }
    Err(format!("no end after {met:?}"))
}
