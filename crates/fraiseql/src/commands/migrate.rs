//! `fraiseql migrate`: the arguments, and one file for each of its commands.

mod contract;
mod guard;
mod lint;
mod new;
mod pending;
mod run;

pub(crate) use pending::{has_migrations, pending, run_pending};

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use crate::args::InProject;
use crate::clock;
use crate::failure::Failure;
use crate::printer::Printer;

/// The folder of a project that holds its migrations.
pub(crate) const FOLDER: &str = "db/migrations";

/// Commands on migrations.
#[derive(Debug, Subcommand)]
pub(crate) enum Migrate {
    /// Write an empty migration, db/migrations/NNNN_NAME.sql
    New(New),
    /// Tell which statements would keep clients waiting, and how to write them instead; needs no database
    Lint(Lint),
    /// Tell which releases the contracts would break, by what they and the database really use
    Guard(Guard),
    /// Tell what has not run: each statement, what it locks, and who is in its way now
    Plan(Look),
    /// Run what has not run, while the service goes on; goes on where it was when it was killed
    Run(Run),
    /// Tell how far each migration is, and whether a file was changed after it ran
    Status(Look),
    /// Put aside what no release needs any more, once `migrate guard` finds nothing; later, drop it
    Contract(Contract),
    /// Take a migration back: bring back what its contract has put aside, else run its section undo
    Undo(Undo),
}

/// Arguments of commands that only look.
#[derive(Debug, Args)]
pub(crate) struct Look {
    /// The project
    #[command(flatten)]
    pub(crate) project: InProject,
}

/// Arguments of `migrate run`.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The last section to run
    #[arg(long, value_enum, default_value = "index")]
    pub(crate) to: SectionWord,
    /// Say what would run, and run nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Run statements although this rule of `migrate lint` is against them
    #[arg(long, value_name = "RULE")]
    pub(crate) allow: Vec<String>,
    /// How long another runner is waited for
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = clock::duration)]
    pub(crate) wait: Duration,
    /// How long the lock of one statement is tried
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = clock::duration)]
    pub(crate) lock_wait: Duration,
    /// The project
    #[command(flatten)]
    pub(crate) project: InProject,
}

/// Arguments of `migrate contract`.
#[derive(Debug, Args)]
pub(crate) struct Contract {
    /// The migration, for example 0001_email_lower; all whose contract has not run when not given
    pub(crate) name: Option<String>,
    /// Drop what was put aside at least --grace ago, and put nothing aside
    #[arg(long, conflicts_with_all = ["name", "acknowledge"])]
    pub(crate) drop: bool,
    /// For how long what is put aside can be brought back
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = clock::duration)]
    pub(crate) grace: Duration,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Something that nobody can tell and that you know to be harmless, by the name that was printed
    #[arg(long, value_name = "NAME")]
    pub(crate) acknowledge: Vec<String>,
    /// How long the lock of one statement is tried
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = clock::duration)]
    pub(crate) lock_wait: Duration,
    /// The project
    #[command(flatten)]
    pub(crate) project: InProject,
}

/// Arguments of `migrate undo`.
#[derive(Debug, Args)]
pub(crate) struct Undo {
    /// The migration, for example 0001_email_lower; the last one when not given
    pub(crate) name: Option<String>,
    /// Say what would run, and run nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// The project
    #[command(flatten)]
    pub(crate) project: InProject,
}

/// A section that may run while releases live.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum SectionWord {
    /// Changes of the catalog
    Expand,
    /// And rows, in batches
    Backfill,
    /// And what is built beside the traffic
    Index,
}

/// Arguments of `migrate new`.
#[derive(Debug, Args)]
pub(crate) struct New {
    /// What it is about, for example email_lower
    pub(crate) name: String,
    /// The project's folder
    #[arg(long, short = 'C', value_name = "DIR", default_value = ".")]
    pub(crate) project: PathBuf,
}

/// Arguments of `migrate lint`.
#[derive(Debug, Args)]
pub(crate) struct Lint {
    /// Files with SQL, or folders of them; without any, db/migrations of the project
    pub(crate) files: Vec<PathBuf>,
    /// The project's folder
    #[arg(long, short = 'C', value_name = "DIR", default_value = ".")]
    pub(crate) project: PathBuf,
    /// DDL of what exists before the migrations, as pg_dump --schema-only writes it
    #[arg(long, value_name = "FILE")]
    pub(crate) schema: Vec<PathBuf>,
    /// The version of PostgreSQL that they will run on, 10 to 18
    #[arg(long, value_name = "N", default_value = "18")]
    pub(crate) server_version: String,
    /// Files without sections run in one transaction each, as Flyway and sqlx run them
    #[arg(long)]
    pub(crate) one_transaction: bool,
    /// Write the safe form into the files where a machine can
    #[arg(long)]
    pub(crate) fix: bool,
}

/// Arguments of `migrate guard`.
#[derive(Debug, Args)]
pub(crate) struct Guard {
    /// Files with SQL, or folders of them; without any, db/migrations of the project
    pub(crate) files: Vec<PathBuf>,
    /// Something that nobody can tell and that you know to be harmless, by the name that was printed
    #[arg(long, value_name = "NAME")]
    pub(crate) acknowledge: Vec<String>,
    /// The project
    #[command(flatten)]
    pub(crate) project: InProject,
}

/// Runs a command on migrations.
pub(crate) async fn run(command: Migrate, printer: &Printer) -> Result<(), Failure> {
    match command {
        Migrate::Plan(arguments) => run::plan(&arguments, printer).await,
        Migrate::Run(arguments) => run::run(&arguments, printer).await,
        Migrate::Status(arguments) => run::status(&arguments, printer).await,
        Migrate::Contract(arguments) => contract::run(&arguments, printer).await,
        Migrate::Undo(arguments) => run::undo(&arguments, printer).await,
        Migrate::Guard(arguments) => guard::run(arguments, printer).await,
        Migrate::New(arguments) => new::run(&arguments, printer),
        Migrate::Lint(arguments) => lint::run(&arguments, printer),
    }
}
