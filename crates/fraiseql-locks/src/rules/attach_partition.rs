//! Attaching a partition reads it, unless a constraint proves that its rows fit.

use super::{Case, Found, Rewrite};
use crate::act::Act;
use crate::tree::quoted;

pub(super) fn check(case: &Case<'_>) -> Option<Found> {
    let Act::AttachPartition { table, part, bounds } = case.act() else { return None };
    if !case.works_on(part) {
        return None;
    }
    let name = quoted(&format!("{}_bounds", part.rsplit('.').next().unwrap_or(part)));
    let (part_name, table_name) = (quoted(part), quoted(table));
    let rewrite = Rewrite::Advice(format!(
        "ALTER TABLE {part_name} ADD CONSTRAINT {name} CHECK (KEY >= LOW AND KEY < HIGH) NOT VALID;\n\
         ALTER TABLE {part_name} VALIDATE CONSTRAINT {name};\n\
         ALTER TABLE {table_name} ATTACH PARTITION {part_name} {bounds};\n\
         ALTER TABLE {part_name} DROP CONSTRAINT {name}"
    ));
    Some(Found::new(
        format!("ATTACH PARTITION reads all of {part} while nobody may use it"),
        "PostgreSQL has to know that each row fits the bounds; a validated CHECK of the same bounds tells it",
        rewrite,
    ))
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::check;

    #[test]
    fn a_matching_check_is_proof() {
        let attach =
            "ALTER TABLE parts ATTACH PARTITION part2 FOR VALUES FROM ('2021-01-01') TO ('2022-01-01')";
        check("16", attach, &["attach-partition"]);
        let proof = "CHECK (day >= '2021-01-01' AND day < '2022-01-01') NOT VALID";
        let safe = format!(
            "ALTER TABLE part2 ADD CONSTRAINT b {proof}; ALTER TABLE part2 VALIDATE CONSTRAINT b; {attach}"
        );
        check("16", &safe, &[]);
        let unproven = format!("ALTER TABLE part2 ADD CONSTRAINT b {proof}; {attach}");
        check("16", &unproven, &["attach-partition"]);
        check(
            "16",
            "CREATE TABLE p3 PARTITION OF parts FOR VALUES FROM ('2023-01-01') TO ('2024-01-01')",
            &[],
        );
    }
}
