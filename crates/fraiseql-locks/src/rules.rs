//! The rules of the linter, one file each. A rule looks at one act of one statement.

mod add_column_constraint;
mod add_column_not_null;
mod add_column_rewrite;
mod alter_view;
mod attach_partition;
mod backfill_without_key;
mod check_constraint;
mod column_type;
mod concurrent_index_corrupts;
mod concurrently_in_transaction;
mod concurrently_on_partitioned;
mod create_index;
mod detach_partition;
mod domain_constraint;
mod drop_before_contract;
mod drop_index;
mod enum_value_in_transaction;
mod exclude_constraint;
mod foreign_key;
mod index_if_not_exists;
mod lock_table;
mod long_lock;
mod not_on_this_version;
mod not_valid_validated_together;
mod refresh_view;
mod reindex;
mod rename;
mod set_not_null;
mod table_rewrite;
mod truncate;
mod unbounded_write;
mod unique_constraint;
mod unknown_statement;
mod view_reads_column;
mod whole_row_view;
mod work_while_locked;
mod wrong_section;

use fraiseql_model::diagnostic::Severity;

use crate::act::Act;
use crate::effect::Effect;
use crate::lint::{LintFinding, OpenTransaction};
use crate::schema::KnownSchema;
use crate::script::{Section, Statement, Step};
use crate::server_version::ServerVersion;

/// What a rule looks at.
pub(crate) struct Case<'a> {
    pub(crate) statement: &'a Statement,
    pub(crate) step: &'a Step,
    pub(crate) effect: &'a Effect,
    /// What is known before the statement.
    pub(crate) schema: &'a KnownSchema,
    pub(crate) version: ServerVersion,
    pub(crate) open: &'a OpenTransaction,
}

/// What to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rewrite {
    /// Nothing can be proposed.
    Nothing,
    /// Somebody has to decide something, or to fill something in.
    Advice(String),
    /// The statement can be replaced by this as it is.
    Fix(String),
}

/// What a rule has found.
pub(crate) struct Found {
    message: String,
    why: &'static str,
    rewrite: Rewrite,
}

struct Rule {
    name: &'static str,
    severity: Severity,
    check: fn(&Case<'_>) -> Option<Found>,
}

macro_rules! rules {
    ($($module:ident: $name:literal, $severity:ident;)*) => {
        const RULES: &[Rule] = &[
            $(Rule { name: $name, severity: Severity::$severity, check: $module::check }),*
        ];
    };
}

rules! {
    add_column_rewrite: "add-column-rewrite", Error;
    add_column_constraint: "add-column-constraint", Error;
    add_column_not_null: "add-column-not-null", Error;
    alter_view: "alter-view", Error;
    attach_partition: "attach-partition", Error;
    backfill_without_key: "backfill-without-key", Error;
    check_constraint: "check-constraint", Error;
    column_type: "column-type", Error;
    concurrent_index_corrupts: "concurrent-index-corrupts", Error;
    concurrently_in_transaction: "concurrently-in-transaction", Error;
    concurrently_on_partitioned: "concurrently-on-partitioned", Error;
    create_index: "create-index", Error;
    detach_partition: "detach-partition", Warning;
    domain_constraint: "domain-constraint", Error;
    drop_before_contract: "drop-before-contract", Warning;
    drop_index: "drop-index", Warning;
    enum_value_in_transaction: "enum-value-in-transaction", Error;
    exclude_constraint: "exclude-constraint", Error;
    foreign_key: "foreign-key", Error;
    index_if_not_exists: "index-if-not-exists", Warning;
    lock_table: "lock-table", Error;
    not_on_this_version: "not-on-this-version", Error;
    not_valid_validated_together: "not-valid-validated-together", Error;
    refresh_view: "refresh-view", Error;
    reindex: "reindex", Error;
    rename: "rename", Error;
    set_not_null: "set-not-null", Error;
    table_rewrite: "table-rewrite", Error;
    truncate: "truncate", Error;
    unbounded_write: "unbounded-write", Error;
    unique_constraint: "unique-constraint", Error;
    unknown_statement: "unknown-statement", Error;
    view_reads_column: "view-reads-column", Error;
    whole_row_view: "whole-row-view", Error;
    work_while_locked: "work-while-locked", Error;
    wrong_section: "wrong-section", Error;
}

/// Asks every rule. A statement that keeps others waiting for longer than a change of the catalog
/// takes, and that no rule of its own has refused, is refused by `long-lock`.
pub(crate) fn check(case: &Case<'_>) -> Vec<(LintFinding, Rewrite)> {
    let mut found: Vec<(LintFinding, Rewrite)> = RULES
        .iter()
        .filter_map(|rule| (rule.check)(case).map(|found| found.named(rule.name, rule.severity)))
        .collect();
    if !found.iter().any(|(finding, _)| finding.severity == Severity::Error)
        && let Some(rest) = long_lock::check(case)
    {
        found.push(rest.named("long-lock", Severity::Error));
    }
    found
}

impl Found {
    fn new(message: impl Into<String>, why: &'static str, rewrite: Rewrite) -> Self {
        Self { message: message.into(), why, rewrite }
    }

    fn named(self, rule: &'static str, severity: Severity) -> (LintFinding, Rewrite) {
        let rewrite = match &self.rewrite {
            Rewrite::Nothing => None,
            Rewrite::Advice(text) | Rewrite::Fix(text) => Some(text.clone()),
        };
        let finding =
            LintFinding { rule, severity, message: self.message, why: self.why.to_owned(), rewrite };
        (finding, self.rewrite)
    }
}

impl Case<'_> {
    fn act(&self) -> &Act {
        &self.step.act
    }

    /// Returns true when others use the relation: it was not made by this file.
    fn used(&self, relation: &str) -> bool {
        !self.schema.fresh(relation)
    }

    /// Returns true when the act reads or writes a whole relation that others use.
    fn works_on(&self, relation: &str) -> bool {
        self.used(relation)
            && (self.effect.scans.contains(relation) || self.effect.rewrites.contains(relation))
    }

    fn from(&self, major: u32) -> bool {
        self.version.major() >= major
    }

    fn in_section(&self, section: Section) -> bool {
        self.statement.section == Some(section)
    }

    /// Makes statements that each need a transaction of their own out of a safe form.
    fn separately(&self, statements: &[String]) -> Rewrite {
        if self.open.by_tool {
            Rewrite::Advice(statements.join(";\n"))
        } else if self.open.open {
            Rewrite::Fix(format!("COMMIT;\n{};\nBEGIN", statements.join(";\n")))
        } else {
            Rewrite::Fix(statements.join(";\n"))
        }
    }

    /// Makes a safe form of which the first statement may share the transaction, the others not.
    fn then_separately(&self, first: &str, then: &[String]) -> Rewrite {
        let rest = then.join(";\n");
        if self.open.by_tool {
            Rewrite::Advice(format!("{first};\n{rest}"))
        } else if self.open.open {
            Rewrite::Fix(format!("{first};\nCOMMIT;\n{rest};\nBEGIN"))
        } else {
            Rewrite::Fix(format!("{first};\n{rest}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::RULES;

    #[test]
    fn every_rule_stands_in_the_reference() {
        let page = include_str!("../../../docs/reference/migrations.md");
        for name in RULES.iter().map(|rule| rule.name).chain(["long-lock"]) {
            assert!(
                page.contains(&format!("| `{name}` |")),
                "{name} is missing in docs/reference/migrations.md"
            );
        }
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use crate::{LintRequest, ServerVersion, SqlFile, StatementReport, lint};

    /// What exists in the world of these tests.
    pub(crate) const WORLD: &str = "
        CREATE TABLE o (id int PRIMARY KEY, n text);
        CREATE TABLE t (id int PRIMARY KEY, a int, b varchar(20), c text NOT NULL, p int REFERENCES o,
                        CONSTRAINT positive CHECK (a > 0));
        CREATE TABLE nokey (a int);
        CREATE INDEX t_b ON t (b);
        CREATE TABLE parts (id int, day date NOT NULL) PARTITION BY RANGE (day);
        CREATE TABLE part1 PARTITION OF parts FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
        CREATE TABLE part2 (id int, day date NOT NULL);
        CREATE TABLE people (id int PRIMARY KEY, name text, email text, age int);
        CREATE VIEW v_people AS SELECT id, to_jsonb(people) AS data FROM people;
        CREATE VIEW v_names AS SELECT o.id, o.n FROM o;
        CREATE MATERIALIZED VIEW m AS SELECT id FROM o;
        CREATE DOMAIN positive_int AS int CHECK (VALUE > 0);
        CREATE DOMAIN label AS text;
        CREATE TYPE mood AS ENUM ('calm');
    ";

    pub(crate) fn reports(sql: &str, version: &str) -> Vec<StatementReport> {
        let version = ServerVersion::read(version).expect("a version");
        let request = LintRequest {
            files: &[SqlFile { name: "m.sql", text: sql }],
            schema: &[SqlFile { name: "schema.sql", text: WORLD }],
            version,
            one_transaction: false,
        };
        lint(&request).unwrap_or_else(|wrong| panic!("{sql}: {wrong:?}"))
    }

    /// Returns the names of the rules that speak up, in the order of the statements.
    pub(crate) fn names(sql: &str, version: &str) -> Vec<&'static str> {
        let reports = reports(sql, version);
        reports.iter().flat_map(|report| &report.findings).map(|finding| finding.rule).collect()
    }

    /// Compares the rules that speak up with those expected.
    #[track_caller]
    pub(crate) fn check(version: &str, sql: &str, expected: &[&str]) {
        assert_eq!(names(sql, version), expected, "PostgreSQL {version}: {sql}");
    }

    /// Compares what `--fix` writes, and that nothing is said of it then.
    #[track_caller]
    pub(crate) fn fixes(version: &str, sql: &str, expected: &str) {
        let reports = reports(sql, version);
        let (text, _) = crate::fixed(sql, &reports.iter().collect::<Vec<_>>());
        assert_eq!(text, expected, "PostgreSQL {version}: {sql}");
        assert_eq!(names(&text, version), [""; 0], "the safe form is not: {text}");
    }
}
