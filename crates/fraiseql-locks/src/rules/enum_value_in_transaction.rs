//! A new value of an enum: before PostgreSQL 12 not in a transaction.

use super::{Case, Found, Rewrite};
use crate::act::Act;

pub(super) fn check(case: &Case<'_>) -> Option<Found> {
    let Act::AddEnumValue { name } = case.act() else { return None };
    let refused = case.open.open && !case.from(12);
    refused.then(|| {
        let rewrite = if case.open.by_tool {
            Rewrite::Advice("-- put it into a file that the tool runs without a transaction".to_owned())
        } else {
            case.separately(std::slice::from_ref(&case.step.text))
        };
        Found::new(
            format!("a value cannot be added to {name} within a transaction"),
            "PostgreSQL refuses it before version 12; later ones refuse its use in the same transaction",
            rewrite,
        )
    })
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{check, fixes};

    #[test]
    fn old_servers_want_it_alone() {
        fixes(
            "11",
            "BEGIN;\nALTER TYPE mood ADD VALUE 'wild';\nCOMMIT;",
            "BEGIN;\nCOMMIT;\nALTER TYPE mood ADD VALUE 'wild';\nBEGIN;\nCOMMIT;",
        );
        check("12", "BEGIN; ALTER TYPE mood ADD VALUE 'wild'; COMMIT", &[]);
        check("10", "ALTER TYPE mood ADD VALUE 'wild'", &[]);
    }
}
