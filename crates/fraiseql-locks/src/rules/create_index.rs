//! CREATE INDEX keeps writers waiting while it reads the table.

use super::{Case, Found, Rewrite};
use crate::act::Act;

pub(super) fn check(case: &Case<'_>) -> Option<Found> {
    let Act::CreateIndex(index) = case.act() else { return None };
    let table = case.effect.scans.iter().find(|table| case.used(table)).filter(|_| !index.concurrently)?;
    let unnamed = index.name.is_none();
    let rewrite = if case.schema.partitioned(&index.table) || unnamed {
        Rewrite::Advice(format!(
            "-- on {table}, with a name\nCREATE INDEX CONCURRENTLY NAME ON {table} (...)"
        ))
    } else {
        let text = &case.step.text;
        let at = text.to_lowercase().find(" index ")? + " index".len();
        case.separately(&[format!("{} CONCURRENTLY{}", &text[..at], &text[at..])])
    };
    Some(Found::new(
        format!("CREATE INDEX reads all of {table}; writes wait"),
        "it holds SHARE on the table until the index is built",
        rewrite,
    ))
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{check, fixes};

    #[test]
    fn an_index_on_a_used_table_is_built_concurrently() {
        fixes("16", "CREATE INDEX k ON t (a);", "CREATE INDEX CONCURRENTLY k ON t (a);");
        fixes("10", "CREATE UNIQUE INDEX k ON t (a);", "CREATE UNIQUE INDEX CONCURRENTLY k ON t (a);");
        check("16", "CREATE INDEX ON t (a)", &["create-index"]);
        check("16", "CREATE INDEX k ON parts (id)", &["create-index"]);
        check("16", "CREATE INDEX k ON stranger (id)", &["create-index"]);
        check("16", "CREATE TABLE fresh (a int); CREATE INDEX k ON fresh (a)", &[]);
    }
}
