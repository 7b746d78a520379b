//! Random schemas and random operations give the answer that a naive reference gives.
//!
//! Everything comes from [`SEED`]; a failure prints the seed of its world and what is left of the
//! operation after everything that does not matter was taken away.

mod answering;
mod asking;
mod conditions;
mod dice;
mod document;
mod filtering;
mod gathering;
mod model;
mod ruling;
mod shrinking;
mod summing;
mod values;
mod walking;
mod worlds;

use serde_json::Value;

use crate::world::World;
use dice::Dice;
use document::Operation;
use model::Model;

const SEED: u64 = 20_260_131;
const WORLDS: u64 = 32;
const OPERATIONS: usize = 40;
const WALKS: usize = 4;

#[tokio::test]
async fn random_operations_are_answered_as_by_the_reference() {
    let worlds = std::env::var("FRAISEQL_PROPERTY_WORLDS");
    let worlds =
        worlds.map_or(WORLDS, |worlds| worlds.parse().expect("FRAISEQL_PROPERTY_WORLDS is a number"));
    let seed = std::env::var("FRAISEQL_PROPERTY_SEED");
    let seed = seed.map_or(SEED, |seed| seed.parse().expect("FRAISEQL_PROPERTY_SEED is a number"));
    for world in 0..worlds {
        check_world(seed + world).await;
    }
}

/// The same for callers who may use some rows only: they get the answers of a database that has no others.
#[tokio::test]
async fn what_a_caller_may_not_use_might_as_well_not_be_there() {
    let worlds = std::env::var("FRAISEQL_PROPERTY_WORLDS");
    let worlds =
        worlds.map_or(WORLDS, |worlds| worlds.parse().expect("FRAISEQL_PROPERTY_WORLDS is a number"));
    let mut hidden = 0;
    for world in 0..worlds {
        hidden += check_ruled_world(SEED + 1_000 + world).await;
    }
    println!("{hidden} rows were hidden");
    assert!(hidden > 0, "rules that hide nothing prove nothing");
}

async fn check_ruled_world(seed: u64) -> usize {
    let mut dice = Dice::new(seed);
    let mut model = worlds::model(&mut dice);
    let ruled = ruling::rule(&mut dice, &mut model);
    let (ddl, sdl) = (model.ddl(), model.sdl());
    let mut world = World::made(&ddl, |_| sdl.clone()).await;
    let held = world.schema.artifact().access.held(&ruled.caller);
    world.schema = world.schema.view(&held).expect("a view holds together");
    world.caller = std::sync::Arc::new(ruled.caller);
    for number in 0..OPERATIONS {
        // Of all rows, so that conditions name what is hidden.
        let operation = asking::operation(&model, &mut dice);
        if differs(&world, &ruled.visible, &operation).await {
            let smaller = shrinking::smallest(&world, &ruled.visible, operation.clone()).await;
            panic!(
                "seed {seed}, operation {number}\n{ddl}\n{sdl}\n{:?}\n{}\n{}",
                world.caller,
                operation.text(),
                difference(&world, &ruled.visible, &smaller).await
            );
        }
    }
    ruled.hidden
}

async fn check_world(seed: u64) {
    let mut dice = Dice::new(seed);
    let model = worlds::model(&mut dice);
    let (ddl, sdl) = (model.ddl(), model.sdl());
    println!("seed {seed}");
    let world = World::made(&ddl, |_| sdl.clone()).await;
    for number in 0..WALKS {
        if let Some(wrong) = walking::walk(&world, &model, &mut dice).await {
            panic!("seed {seed}, walk {number}\n{ddl}\n{sdl}\n{wrong}");
        }
    }
    for number in 0..OPERATIONS {
        let operation = asking::operation(&model, &mut dice);
        if differs(&world, &model, &operation).await {
            let smaller = shrinking::smallest(&world, &model, operation.clone()).await;
            panic!(
                "seed {seed}, operation {number}\n{ddl}\n{sdl}\n{}\n{}",
                operation.text(),
                difference(&world, &model, &smaller).await
            );
        }
    }
}

/// Returns true when the engine gives another answer than the reference, or none.
async fn differs(world: &World, model: &Model, operation: &Operation) -> bool {
    let found = world.run(&operation.text(), &operation.sent()).await;
    found.map(|data| normal(&data)) != Ok(normal(&answering::answer(model, operation)))
}

async fn difference(world: &World, model: &Model, operation: &Operation) -> String {
    let (text, sent) = (operation.text(), operation.sent());
    let found = world.run(&text, &sent).await.map_or_else(|error| error, |data| normal(&data));
    let expected = normal(&answering::answer(model, operation));
    format!("smallest operation:\n{text}\nvariables: {sent}\nexpected:  {expected}\nfound:     {found}")
}

/// Returns JSON as text, keys in their order, with numbers that are equal written equally.
fn normal(value: &Value) -> String {
    fn same(value: &Value) -> Value {
        match value {
            Value::Number(number) => Value::from(number.as_f64().expect("a finite number")),
            Value::Array(items) => items.iter().map(same).collect(),
            Value::Object(fields) => {
                Value::Object(fields.iter().map(|(key, value)| (key.clone(), same(value))).collect())
            }
            other => other.clone(),
        }
    }
    same(value).to_string()
}
