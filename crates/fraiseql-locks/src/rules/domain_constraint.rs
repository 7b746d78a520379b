//! A domain's constraint is checked in every table that uses the domain.

use super::{Case, Found, Rewrite};
use crate::act::Act;
use crate::tree::quoted;

pub(super) fn check(case: &Case<'_>) -> Option<Found> {
    let Act::DomainCheck { domain, scans: true, what } = case.act() else { return None };
    if case.effect.locks.keys().all(|table| !case.used(table)) {
        return None;
    }
    let rewrite = if *what == "ADD CONSTRAINT" {
        Rewrite::Advice(format!("{} NOT VALID", case.step.text))
    } else {
        Rewrite::Advice(format!("-- put a CHECK on each table that uses {} instead", quoted(domain)))
    };
    Some(Found::new(
        format!("{what} on the domain {domain} reads every table that uses it; their writes wait"),
        "it holds SHARE on all of them at once until all are read",
        rewrite,
    ))
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::check;

    #[test]
    fn tables_that_use_the_domain_count() {
        let add = "ALTER DOMAIN label ADD CONSTRAINT k CHECK (VALUE <> '')";
        check("16", add, &[]);
        check("16", &format!("{add} NOT VALID"), &[]);
        check("16", &format!("ALTER TABLE t ADD COLUMN k label; {add}"), &["domain-constraint"]);
        check("16", "ALTER DOMAIN stranger SET NOT NULL", &["domain-constraint", "unknown-statement"]);
    }
}
