//! One runner at a time, statement by statement, each in its way.

use std::time::{Duration, Instant};

use fraiseql_locks::Section;
use fraiseql_postgres::{ControlClient, PostgresError, Target, connect_control};

use crate::error::MigrateError;
use crate::ledger::{self, LedgerRow, StepState};
use crate::plan::{MigrationStep, StepWay};

/// The advisory lock of runners: "fraiseql" in ASCII.
const RUNNER_LOCK: i64 = 0x6672_6169_7365_716c;
/// How long a statement may wait in the queue of a lock, and how often that is tried; the last one goes on.
/// Whoever asks for the same table waits behind it for so long.
const LOCK_TRIES: &[(u64, u32)] = &[(1, 10), (20, 10), (50, 10), (100, 1)];
/// Between two tries, in multiples of the wait: others must get through meanwhile.
const PAUSE_FACTOR: u64 = 20;
const PAUSE_MIN: Duration = Duration::from_millis(200);
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// How it is run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MigrateOptions {
    /// How long another runner is waited for.
    pub wait: Duration,
    /// How long the lock of one statement is tried.
    pub lock_wait: Duration,
    /// Of batches: the share of the time in which they work, above 0, at most 1.
    pub duty: f64,
    /// Of batches: they pause while a replica is further behind than that.
    pub lag_max: Duration,
}

/// What the ledger says of a statement afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    Begun,
    Forgotten,
}

/// Something that happens meanwhile.
#[derive(Debug)]
pub enum MigrateEvent<'e> {
    /// A statement begins.
    Began(&'e MigrationStep),
    /// It has ended well.
    Ended(&'e MigrationStep, Duration),
    /// Its lock is not free.
    Waits {
        /// The statement.
        step: &'e MigrationStep,
        /// Who is in the way, in words.
        blockers: String,
    },
    /// Batches go on: rows changed, and about how many there are.
    Rows {
        /// Changed so far.
        done: u64,
        /// In the table, as PostgreSQL estimates.
        total: u64,
    },
    /// An index is built: blocks read, and how many there are.
    Blocks {
        /// Read so far.
        done: u64,
        /// In the table.
        total: u64,
    },
    /// Something worth a line.
    Note(String),
}

/// Runs migrations over one connection, which holds the lock of runners: who loses it runs nothing more.
pub struct Migrator {
    pub(crate) client: ControlClient,
    pub(crate) target: Target,
    pub(crate) options: MigrateOptions,
}

impl Migrator {
    /// Connects, and becomes the only runner.
    ///
    /// # Errors
    ///
    /// When another runner is at work for longer than [`MigrateOptions::wait`].
    pub async fn begin(target: &Target, options: MigrateOptions) -> Result<Self, MigrateError> {
        let client = connect_control(target).await?;
        let settings = "SET application_name = 'fraiseql migrate'; SET statement_timeout = 0; SET lock_timeout = 0; \
                        SET idle_in_transaction_session_timeout = '60s'; SET standard_conforming_strings = on";
        client.batch_execute(settings).await.map_err(PostgresError::from)?;
        let migrator = Self { client, target: target.clone(), options };
        let began = Instant::now();
        // Asked again and again, and not waited for: whoever waits for a lock holds a snapshot, which an
        // index that the other runner builds would wait for.
        while !migrator.lock().await? {
            if began.elapsed() >= options.wait {
                return Err(MigrateError::Busy(migrator.other_runner().await?));
            }
            tokio::time::sleep(PAUSE_MIN).await;
        }
        ledger::prepare(&migrator.client).await?;
        Ok(migrator)
    }

    async fn lock(&self) -> Result<bool, PostgresError> {
        Ok(self.client.query_one("SELECT pg_try_advisory_lock($1)", &[&RUNNER_LOCK]).await?.get(0))
    }

    async fn other_runner(&self) -> Result<String, PostgresError> {
        let sql = "SELECT 'process ' || a.pid || ' of ' || a.usename || ', since ' || date_trunc('second', a.backend_start) \
                   FROM pg_locks l JOIN pg_stat_activity a USING (pid) \
                   WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 \
                   AND (l.classid::bigint << 32) + l.objid::bigint = $1";
        let row = self.client.query_opt(sql, &[&RUNNER_LOCK]).await?;
        Ok(row
            .and_then(|row| row.get::<_, Option<String>>(0))
            .unwrap_or_else(|| "it has just ended".to_owned()))
    }

    /// Returns what has run.
    pub async fn ledger(&self) -> Result<Vec<LedgerRow>, MigrateError> {
        Ok(ledger::rows(&self.client).await?)
    }

    /// Runs every statement that has not run yet, up to and with section `to`.
    ///
    /// # Errors
    ///
    /// At the first statement that fails; what was done before stays done, and is not done again.
    pub async fn run(
        &mut self,
        steps: &[MigrationStep],
        to: Section,
        tell: &mut dyn FnMut(MigrateEvent<'_>),
    ) -> Result<usize, MigrateError> {
        let rows = self.ledger().await?;
        check_drift(steps, &rows)?;
        let mut count = 0;
        for step in steps.iter().filter(|step| step.section <= to) {
            let known = rows.iter().find(|row| row.is_of(step));
            if known.is_some_and(|row| row.state == StepState::Done) {
                continue;
            }
            self.run_one(step, known, tell).await?;
            count += 1;
        }
        Ok(count)
    }

    /// Takes a migration back: what its contract has put aside gets its name back, and nothing else is
    /// done; without such, its section undo is run and it is forgotten.
    ///
    /// # Errors
    ///
    /// When nothing of it has run, when it has no section undo, and when its contract has run.
    pub async fn undo(
        &mut self,
        steps: &[MigrationStep],
        migration: &str,
        tell: &mut dyn FnMut(MigrateEvent<'_>),
    ) -> Result<usize, MigrateError> {
        let rows = self.ledger().await?;
        let of: Vec<&LedgerRow> = rows.iter().filter(|row| row.migration == migration).collect();
        if of.is_empty() {
            return Err(MigrateError::NoUndo(format!("nothing of {migration} has run")));
        }
        let brought_back = self.bring_back(steps, migration, tell).await?;
        if brought_back > 0 {
            return Ok(brought_back);
        }
        if of.iter().any(|row| row.section == Section::Contract.as_str()) {
            return Err(MigrateError::NoUndo(format!(
                "the contract of {migration} has run: what it took away is gone"
            )));
        }
        let undo: Vec<&MigrationStep> = steps
            .iter()
            .filter(|step| step.migration == migration && step.section == Section::Undo)
            .collect();
        if undo.is_empty() {
            return Err(MigrateError::NoUndo(format!("{migration} has no section undo")));
        }
        for step in &undo {
            let known = of.iter().copied().find(|row| row.is_of(step));
            if known.is_none_or(|row| row.state != StepState::Done) {
                self.run_one(step, known, tell).await?;
            }
        }
        ledger::forget(&self.client, migration).await?;
        Ok(undo.len())
    }

    pub(crate) async fn run_one(
        &mut self,
        step: &MigrationStep,
        known: Option<&LedgerRow>,
        tell: &mut dyn FnMut(MigrateEvent<'_>),
    ) -> Result<(), MigrateError> {
        let began = Instant::now();
        tell(MigrateEvent::Began(step));
        match &step.way {
            StepWay::Transaction => self.in_transaction(step, &step.text, Outcome::Done, tell).await?,
            StepWay::Alone => {
                ledger::begin(&self.client, step).await?;
                self.client.batch_execute(&step.text).await.map_err(|error| failed(step, error.into()))?;
                ledger::done(&self.client, step).await?;
            }
            StepWay::BuildIndex { table, index } => self.build_index(step, known, table, index, tell).await?,
            StepWay::Batches { table, column } => self.batches(step, known, table, column, tell).await?,
        }
        tell(MigrateEvent::Ended(step, began.elapsed()));
        Ok(())
    }

    /// Tries until the lock is free for a moment; nobody waits behind us for longer than that moment.
    pub(crate) async fn in_transaction(
        &mut self,
        step: &MigrationStep,
        sql: &str,
        outcome: Outcome,
        tell: &mut dyn FnMut(MigrateEvent<'_>),
    ) -> Result<(), MigrateError> {
        let began = Instant::now();
        let mut tries =
            LOCK_TRIES.iter().flat_map(|(wait, times)| std::iter::repeat_n(*wait, *times as usize));
        let mut wait_ms = LOCK_TRIES[0].0;
        loop {
            wait_ms = tries.next().unwrap_or(wait_ms);
            match self.try_once(step, (sql, outcome), wait_ms).await {
                Ok(()) => return Ok(()),
                Err(PostgresError::Sql(error)) if error.sqlstate == LOCK_NOT_AVAILABLE => {}
                Err(error) => return Err(failed(step, error)),
            }
            let blockers = blockers(&self.client, step).await?;
            let blockers =
                if blockers.is_empty() { "nobody any more".to_owned() } else { blockers.join(", ") };
            if began.elapsed() >= self.options.lock_wait {
                let seconds = began.elapsed().as_secs();
                return Err(MigrateError::Blocked { place: step.place(), seconds, blockers });
            }
            tell(MigrateEvent::Waits { step, blockers });
            tokio::time::sleep(Duration::from_millis(wait_ms * PAUSE_FACTOR).max(PAUSE_MIN)).await;
        }
    }

    async fn try_once(
        &self,
        step: &MigrationStep,
        (sql, outcome): (&str, Outcome),
        wait_ms: u64,
    ) -> Result<(), PostgresError> {
        let tried = async {
            let text = format!("BEGIN; SET LOCAL lock_timeout = '{wait_ms}ms'; {sql}");
            self.client.batch_execute(&text).await?;
            match outcome {
                Outcome::Done => ledger::done(&self.client, step).await?,
                Outcome::Begun => ledger::begin(&self.client, step).await?,
                Outcome::Forgotten => ledger::forget_step(&self.client, step).await?,
            }
            self.client.batch_execute("COMMIT").await?;
            Ok(())
        };
        let tried = tried.await;
        if tried.is_err() {
            // The first error is the one to tell; a connection that is gone has rolled back by itself.
            drop(self.client.batch_execute("ROLLBACK").await);
        }
        tried
    }
}

/// Returns who holds locks on the relations of a statement, each in words.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn blockers(client: &ControlClient, step: &MigrationStep) -> Result<Vec<String>, PostgresError> {
    let tables: Vec<&str> =
        step.locks.iter().map(|(table, _)| table.as_str()).filter(|name| *name != "*").collect();
    let sql = "SELECT DISTINCT 'process ' || a.pid || ' (' || coalesce(nullif(a.application_name, ''), a.usename, '?') \
               || ', ' || coalesce(a.state, 'unknown') || ', in a transaction for ' \
               || coalesce(round(extract(epoch FROM clock_timestamp() - a.xact_start))::text, '?') || ' s)' \
               FROM pg_locks l JOIN pg_stat_activity a USING (pid) \
               WHERE l.granted AND l.pid <> pg_backend_pid() \
               AND l.relation = ANY (SELECT to_regclass(name)::oid FROM unnest($1::text[]) AS name)";
    let rows = client.query(sql, &[&tables]).await?;
    Ok(rows.iter().filter_map(|row| row.get::<_, Option<String>>(0)).collect())
}

/// Fails when a statement that has begun is another one now.
pub(crate) fn check_drift(steps: &[MigrationStep], rows: &[LedgerRow]) -> Result<(), MigrateError> {
    let drifted =
        |step: &&MigrationStep| rows.iter().any(|row| row.is_of(step) && row.checksum != step.checksum);
    match steps.iter().find(drifted) {
        Some(step) => Err(MigrateError::Drifted { place: step.place() }),
        None => Ok(()),
    }
}

pub(crate) fn failed(step: &MigrationStep, source: PostgresError) -> MigrateError {
    MigrateError::Failed { place: step.place(), source }
}
