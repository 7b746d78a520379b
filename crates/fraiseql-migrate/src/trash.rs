//! The contract in three acts: what it drops is first put aside under another name, from where it comes
//! back in milliseconds with all it holds; only after a grace period is it dropped.

use std::time::Duration;

use fraiseql_locks::Section;
use fraiseql_model::names::{quote_identifier, quote_literal};
use fraiseql_postgres::{ControlClient, PostgresError};

use crate::error::MigrateError;
use crate::ledger::StepState;
use crate::plan::{MigrationStep, StepWay, unquoted};
use crate::run::{MigrateEvent, Migrator, Outcome, check_drift};

/// PostgreSQL keeps no more bytes of a name.
const NAME_BYTES_MAX: usize = 63;
const PREFIX: &str = "fraiseql_trash";

/// The table of what is put aside.
const TRASH: &str = "
CREATE TABLE IF NOT EXISTS fraiseql.trash (
    migration text NOT NULL,
    position int NOT NULL,
    relation text NOT NULL,
    column_name text,
    put_as text NOT NULL,
    put_at timestamptz NOT NULL DEFAULT now(),
    by_role text NOT NULL DEFAULT current_user,
    PRIMARY KEY (migration, position)
);";

/// A column or table that is put aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrashRow {
    /// The migration whose contract drops it.
    pub migration: String,
    /// The number of the statement within the contract, from 1.
    pub position: i32,
    /// The table, qualified and quoted, as it was called.
    pub relation: String,
    /// The column; `None` for the whole table.
    pub column: Option<String>,
    /// What it is called meanwhile.
    pub put_as: String,
    /// For how long it has been there, in seconds.
    pub seconds: i64,
}

/// What a contract came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contracted {
    /// Statements whose column or table was put aside.
    pub put_aside: usize,
    /// Statements that ran as they are.
    pub ran: usize,
}

/// What a statement drops, where that can be put aside.
#[derive(Debug, PartialEq, Eq)]
struct Dropped<'t> {
    table: &'t str,
    column: Option<&'t str>,
}

/// Returns what is put aside; nothing where nothing ever was.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn trash(client: &ControlClient) -> Result<Vec<TrashRow>, PostgresError> {
    let there = client.query_one("SELECT to_regclass('fraiseql.trash') IS NOT NULL", &[]).await?;
    if !there.get::<_, bool>(0) {
        return Ok(Vec::new());
    }
    let sql = "SELECT migration, position, relation, column_name, put_as, \
               extract(epoch FROM clock_timestamp() - put_at)::bigint FROM fraiseql.trash \
               ORDER BY put_at, migration, position";
    let rows = client.query(sql, &[]).await?;
    let row = |row: &fraiseql_postgres::ControlRow| TrashRow {
        migration: row.get(0),
        position: row.get(1),
        relation: row.get(2),
        column: row.get(3),
        put_as: row.get(4),
        seconds: row.get(5),
    };
    Ok(rows.iter().map(row).collect())
}

impl Migrator {
    /// Runs the contract of a migration: what it drops is put aside, all else runs as it is.
    ///
    /// # Errors
    ///
    /// When the sections before it have not run, when a statement would lose what cannot be put aside,
    /// and at the first statement that fails; what was done before stays done.
    pub async fn contract(
        &mut self,
        steps: &[MigrationStep],
        migration: &str,
        tell: &mut dyn FnMut(MigrateEvent<'_>),
    ) -> Result<Contracted, MigrateError> {
        let rows = self.ledger().await?;
        check_drift(steps, &rows)?;
        let state = |step: &MigrationStep| rows.iter().find(|row| row.is_of(step)).map(|row| row.state);
        let of: Vec<&MigrationStep> = steps.iter().filter(|step| step.migration == migration).collect();
        let early =
            |step: &&&MigrationStep| step.section < Section::Contract && state(step) != Some(StepState::Done);
        if let Some(step) = of.iter().find(early) {
            let reason = format!("it has not run, and the contract of {migration} comes after it");
            let hint = "`fraiseql migrate run` runs it";
            return Err(MigrateError::Refused { place: step.place(), reason, hint });
        }
        let contract: Vec<&MigrationStep> =
            of.into_iter().filter(|step| step.section == Section::Contract).collect();
        // All of it is looked at before any of it runs.
        let dropped = contract.iter().map(|step| dropped(step)).collect::<Result<Vec<_>, _>>()?;
        self.client.batch_execute(TRASH).await.map_err(PostgresError::from)?;
        let aside = trash(&self.client).await?;
        let mut done = Contracted::default();
        for (step, dropped) in contract.into_iter().zip(dropped) {
            let is_aside =
                aside.iter().any(|row| row.migration == migration && row.position == step.position);
            if is_aside || state(step) == Some(StepState::Done) {
                continue;
            }
            match dropped {
                Some(dropped) => {
                    let sql = put_aside(step, &dropped);
                    self.told(step, &sql, Outcome::Begun, tell).await?;
                    done.put_aside += 1;
                }
                None => {
                    let known = rows.iter().find(|row| row.is_of(step));
                    self.run_one(step, known, tell).await?;
                    done.ran += 1;
                }
            }
        }
        Ok(done)
    }

    /// Drops what was put aside for at least as long as `grace`; returns how many that were, and how many
    /// stay.
    ///
    /// # Errors
    ///
    /// At the first that cannot be dropped, as when a view still shows it.
    pub async fn empty_trash(
        &mut self,
        steps: &[MigrationStep],
        grace: Duration,
        tell: &mut dyn FnMut(MigrateEvent<'_>),
    ) -> Result<(usize, usize), MigrateError> {
        let grace = i64::try_from(grace.as_secs()).unwrap_or(i64::MAX);
        let aside = trash(&self.client).await?;
        let (old, young): (Vec<TrashRow>, Vec<TrashRow>) =
            aside.into_iter().partition(|row| row.seconds >= grace);
        for row in &old {
            let step = step_of(steps, row)?;
            let drop = match &row.column {
                Some(_) => {
                    format!("ALTER TABLE {} DROP COLUMN {}", row.relation, quote_identifier(&row.put_as))
                }
                None => format!("DROP TABLE {}", row.table_now()),
            };
            let sql = format!("{drop}; {}", forget(row));
            self.told(step, &sql, Outcome::Done, tell).await?;
        }
        Ok((old.len(), young.len()))
    }

    /// Gives everything that a contract has put aside its name back; returns how many that were.
    pub(crate) async fn bring_back(
        &mut self,
        steps: &[MigrationStep],
        migration: &str,
        tell: &mut dyn FnMut(MigrateEvent<'_>),
    ) -> Result<usize, MigrateError> {
        let mut aside = trash(&self.client).await?;
        aside.retain(|row| row.migration == migration);
        for row in aside.iter().rev() {
            let step = step_of(steps, row)?;
            let back = match &row.column {
                Some(column) => format!(
                    "ALTER TABLE {} RENAME COLUMN {} TO {}",
                    row.relation,
                    quote_identifier(&row.put_as),
                    quote_identifier(column)
                ),
                None => {
                    let name = row.relation.rsplit_once("\".\"").map_or("", |(_, name)| name);
                    format!("ALTER TABLE {} RENAME TO \"{name}", row.table_now())
                }
            };
            let sql = format!("{back}; {}", forget(row));
            self.told(step, &sql, Outcome::Forgotten, tell).await?;
        }
        Ok(aside.len())
    }

    async fn told(
        &mut self,
        step: &MigrationStep,
        sql: &str,
        outcome: Outcome,
        tell: &mut dyn FnMut(MigrateEvent<'_>),
    ) -> Result<(), MigrateError> {
        let began = std::time::Instant::now();
        tell(MigrateEvent::Began(step));
        let shown = sql.split("; ").next().unwrap_or(sql);
        tell(MigrateEvent::Note(format!("as {shown}")));
        self.in_transaction(step, sql, outcome, tell).await?;
        tell(MigrateEvent::Ended(step, began.elapsed()));
        Ok(())
    }
}

impl TrashRow {
    /// Returns the table's name while it is put aside itself.
    fn table_now(&self) -> String {
        let schema = self.relation.split("\".\"").next().unwrap_or_default();
        format!("{schema}\".{}", quote_identifier(&self.put_as))
    }
}

fn step_of<'s>(steps: &'s [MigrationStep], row: &TrashRow) -> Result<&'s MigrationStep, MigrateError> {
    let of = |step: &&MigrationStep| {
        step.section == Section::Contract && step.migration == row.migration && step.position == row.position
    };
    steps.iter().find(of).ok_or_else(|| MigrateError::Refused {
        place: format!("{}.sql", row.migration),
        reason: format!("the statement that put {} aside is not in it", row.put_as),
        hint: "bring the file back as it was when its contract ran",
    })
}

/// Returns the statements that rename, and note it.
fn put_aside(step: &MigrationStep, dropped: &Dropped<'_>) -> String {
    let column = dropped.column.map(unquoted);
    let what =
        column.clone().unwrap_or_else(|| unquoted(dropped.table.rsplit('.').next().unwrap_or_default()));
    let number: String = step.migration.chars().take_while(char::is_ascii_digit).collect();
    let mut put_as = format!("{PREFIX}_{number}_{}_{what}", step.position);
    while put_as.len() > NAME_BYTES_MAX {
        put_as.pop();
    }
    let (table, new) = (dropped.table, quote_identifier(&put_as));
    let note = format!(
        "INSERT INTO fraiseql.trash (migration, position, relation, column_name, put_as) \
         SELECT {}, {}, '\"' || replace(n.nspname, '\"', '\"\"') || '\".\"' || replace(c.relname, '\"', '\"\"') || '\"', {}, {} \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.oid = {}::pg_catalog.regclass",
        quote_literal(&step.migration),
        step.position,
        column.as_deref().map_or_else(|| "NULL".to_owned(), quote_literal),
        quote_literal(&put_as),
        quote_literal(table),
    );
    let rename = match &column {
        Some(column) => format!("ALTER TABLE {table} RENAME COLUMN {} TO {new}", quote_identifier(column)),
        None => format!("ALTER TABLE {table} RENAME TO {new}"),
    };
    // The lock first, so that a try that fails has noted nothing; the note while the old name is there.
    format!("LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE; {note}; {rename}")
}

fn forget(row: &TrashRow) -> String {
    format!(
        "DELETE FROM fraiseql.trash WHERE migration = {} AND position = {}",
        quote_literal(&row.migration),
        row.position
    )
}

/// Returns what a statement of a contract drops; `None` where nothing is lost that its file does not tell.
fn dropped(step: &MigrationStep) -> Result<Option<Dropped<'_>>, MigrateError> {
    let refused = |reason: &str, hint: &'static str| {
        Err(MigrateError::Refused { place: step.place(), reason: reason.to_owned(), hint })
    };
    let words: Vec<&str> = step.text.split(' ').collect();
    let is = |at: usize, word: &str| words.get(at).is_some_and(|found| found.eq_ignore_ascii_case(word));
    let upper = step.text.to_ascii_uppercase();
    let starts = |words: &[&str]| words.iter().any(|word| upper.starts_with(word));
    if starts(&[
        "TRUNCATE",
        "DELETE",
        "UPDATE",
        "DROP SCHEMA",
        "DROP MATERIALIZED",
        "DROP OWNED",
        "DROP DATABASE",
    ]) {
        return refused(
            "a contract does not lose rows that cannot be brought back",
            "drop a column or a table: that is put aside first; or run this with psql",
        );
    }
    if !matches!(step.way, StepWay::Transaction) {
        return Ok(None);
    }
    let (name, rest) = if is(0, "DROP") && is(1, "TABLE") {
        let at = if is(2, "IF") { 4 } else { 2 };
        (words.get(at), words.get(at + 1..).unwrap_or_default())
    } else if is(0, "ALTER") && is(1, "TABLE") && upper.contains(" DROP ") {
        let mut at = if is(2, "IF") { 4 } else { 2 };
        at += usize::from(is(at, "ONLY"));
        let keeps = ["CONSTRAINT", "NOT", "DEFAULT", "IDENTITY", "EXPRESSION"];
        let all_keep = words.iter().enumerate().filter(|(_, word)| word.eq_ignore_ascii_case("DROP"));
        if all_keep.clone().all(|(place, _)| keeps.iter().any(|word| is(place + 1, word))) {
            return Ok(None);
        }
        if !is(at + 1, "DROP") {
            return refused(
                "it drops a column beside something else",
                "write each in a statement of its own",
            );
        }
        (words.get(at), words.get(at + 2..).unwrap_or_default())
    } else {
        return Ok(None);
    };
    let is_table = is(0, "DROP");
    let mut rest = rest.to_vec();
    let begins =
        |rest: &[&str], word: &str| rest.first().is_some_and(|found| found.eq_ignore_ascii_case(word));
    if !is_table && begins(&rest, "COLUMN") {
        rest.remove(0);
    }
    if !is_table && begins(&rest, "IF") {
        rest.drain(..2.min(rest.len()));
    }
    if rest.last().is_some_and(|word| word.eq_ignore_ascii_case("RESTRICT")) {
        rest.pop();
    }
    let column = if is_table || rest.is_empty() { None } else { Some(rest.remove(0)) };
    match (name, rest.is_empty(), is_table || column.is_some()) {
        (Some(table), true, true) if !step.text.contains(',') => Ok(Some(Dropped { table, column })),
        _ => refused(
            "what it drops cannot be put aside first",
            "drop one column or one table in each statement, without CASCADE",
        ),
    }
}

#[cfg(test)]
mod tests {
    use fraiseql_locks::ServerVersion;

    use super::*;
    use crate::plan::{MigrationFile, steps};

    #[track_caller]
    fn check(text: &str, expected: Result<Option<(&str, Option<&str>)>, &str>) {
        let text = format!("-- migrate: contract\n{text};\n");
        let file = MigrationFile { name: "0001_a".to_owned(), text };
        let steps = steps(&[file], ServerVersion::read("16").unwrap()).unwrap();
        let found = dropped(&steps[0]).map(|found| found.map(|found| (found.table, found.column)));
        assert_eq!(
            found.map_err(|error| error.to_string()),
            expected.map_err(|told| format!("0001_a.sql:2: {told}"))
        );
    }

    #[test]
    fn what_is_lost_is_put_aside_or_refused() {
        check("ALTER TABLE v_user DROP COLUMN email", Ok(Some(("v_user", Some("email")))));
        check(
            "ALTER TABLE IF EXISTS ONLY a.b DROP IF EXISTS \"Email\" RESTRICT",
            Ok(Some(("a.b", Some("\"Email\"")))),
        );
        check("DROP TABLE IF EXISTS old_user", Ok(Some(("old_user", None))));
        check("ALTER TABLE v_user ALTER COLUMN email DROP NOT NULL", Ok(None));
        check("ALTER TABLE v_user DROP CONSTRAINT v_user_email_key", Ok(None));
        check("ALTER TABLE v_user ALTER COLUMN email_lower SET NOT NULL", Ok(None));
        check("DROP INDEX CONCURRENTLY idx", Ok(None));
        check("DROP FUNCTION f(int)", Ok(None));
        let cannot = "what it drops cannot be put aside first";
        check("DROP TABLE a, b", Err(cannot));
        check("DROP TABLE a CASCADE", Err(cannot));
        check("ALTER TABLE a DROP COLUMN b CASCADE", Err(cannot));
        check("ALTER TABLE a DROP COLUMN b, DROP COLUMN c", Err(cannot));
        check(
            "ALTER TABLE a ADD COLUMN b int, DROP COLUMN c",
            Err("it drops a column beside something else"),
        );
        check("DELETE FROM a", Err("a contract does not lose rows that cannot be brought back"));
        check("TRUNCATE a", Err("a contract does not lose rows that cannot be brought back"));
    }
}
