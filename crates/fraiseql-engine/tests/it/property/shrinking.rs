//! Takes from a failing operation whatever it fails without.

use super::differs;
use super::document::{Operation, Selection, Term};
use super::model::Model;
use crate::world::World;

const ATTEMPTS_MAX: usize = 600;

/// Returns an operation that still fails, and from which no single thing can be taken.
pub(super) async fn smallest(world: &World, model: &Model, mut operation: Operation) -> Operation {
    let mut attempts = 0;
    let mut target = 0;
    while attempts < ATTEMPTS_MAX {
        let mut smaller = operation.clone();
        if !remove(&mut smaller, target) {
            break;
        }
        smaller.prune();
        attempts += 1;
        if fails_alike(world, model, &operation, &smaller).await {
            operation = smaller;
        } else {
            target += 1;
        }
    }
    operation
}

/// True when the smaller operation fails too, and is not merely invalid.
async fn fails_alike(world: &World, model: &Model, operation: &Operation, smaller: &Operation) -> bool {
    let before = world.run(&operation.text(), &operation.sent()).await;
    let after = world.run(&smaller.text(), &smaller.sent()).await;
    let code = |error: &String| error.split_once(':').map(|(code, _)| code.to_owned());
    before.as_ref().err().map(code) == after.as_ref().err().map(code) && differs(world, model, smaller).await
}

/// Takes away the thing of that number; false when there are not so many.
fn remove(operation: &mut Operation, target: usize) -> bool {
    let mut countdown = target;
    let mut sets: Vec<&mut Vec<Selection>> = vec![&mut operation.selections];
    sets.extend(operation.fragments.iter_mut().map(|fragment| &mut fragment.selections));
    sets.into_iter().any(|set| remove_from(set, &mut countdown))
}

fn spent(countdown: &mut usize) -> bool {
    let now = *countdown == 0;
    *countdown = countdown.saturating_sub(1);
    now
}

fn remove_from(set: &mut Vec<Selection>, countdown: &mut usize) -> bool {
    for index in 0..set.len() {
        if set.len() > 1 && spent(countdown) {
            set.remove(index);
            return true;
        }
        let (directives, below) = match &mut set[index] {
            Selection::Field(field) => {
                if remove_argument(&mut field.arguments, countdown) {
                    return true;
                }
                (&mut field.directives, Some(&mut field.selections))
            }
            Selection::Inline { directives, selections, .. } => (directives, Some(selections)),
            Selection::Spread { directives, .. } => (directives, None),
        };
        if !directives.is_empty() && spent(countdown) {
            directives.clear();
            return true;
        }
        if below.is_some_and(|below| remove_from(below, countdown)) {
            return true;
        }
    }
    false
}

/// Takes away an argument or a part of it, but never the order: the answer would not be determined.
fn remove_argument(arguments: &mut Vec<(String, Term)>, countdown: &mut usize) -> bool {
    for index in 0..arguments.len() {
        let name = arguments[index].0.as_str();
        if matches!(name, "where" | "offset") && spent(countdown) {
            arguments.remove(index);
            return true;
        }
        if arguments[index].0 == "where" && remove_part(&mut arguments[index].1, countdown) {
            return true;
        }
    }
    false
}

fn remove_part(term: &mut Term, countdown: &mut usize) -> bool {
    match term {
        Term::Object(fields) => {
            for index in 0..fields.len() {
                if spent(countdown) {
                    fields.remove(index);
                    return true;
                }
                if remove_part(&mut fields[index].1, countdown) {
                    return true;
                }
            }
            false
        }
        Term::List(items) => {
            for index in 0..items.len() {
                if spent(countdown) {
                    items.remove(index);
                    return true;
                }
                if remove_part(&mut items[index], countdown) {
                    return true;
                }
            }
            false
        }
        _ => false,
    }
}
