//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

const AFTER: &str = "\
Exit codes: 0 done, 1 a bug, 2 the command line or the settings, 3 the project's own files,
4 the database, 5 the machine (port, disk, missing program), 130 interrupted.

Every error has a code; `fraiseql explain FQ-SDL-007` tells more about it.";

/// GraphQL on PostgreSQL: compiles a schema to SQL and serves it.
#[derive(Debug, Parser)]
#[command(name = "fraiseql", version, after_help = AFTER, max_term_width = 100)]
pub(crate) struct Arguments {
    /// Print results and errors as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// What to do
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// A command.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write a project for a database that exists
    Init(Init),
    /// Compile schema.graphql to schema.compiled.json
    Compile(Compile),
    /// Serve a compiled project
    Serve(Serve),
    /// Run everything: a database, the compiler, the server; reload when a file changes
    Up(Serve),
    /// Look at the settings in force
    #[command(subcommand)]
    Config(Config),
    /// Look at the GraphQL schema
    #[command(subcommand)]
    Schema(Schema),
    /// Tell what an error code means and what to do
    Explain {
        /// The code, for example FQ-SDL-007
        code: String,
    },
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write man pages
    Man {
        /// The folder to write them to
        dir: PathBuf,
    },
}

/// Which project, and which settings.
#[derive(Debug, Args)]
pub(crate) struct ProjectArguments {
    /// The project's folder
    #[arg(default_value = ".")]
    pub(crate) dir: PathBuf,
    /// The section [env.NAME] of fraiseql.toml to use
    #[arg(long, env = "FRAISEQL_ENV", value_name = "NAME")]
    pub(crate) env: Option<String>,
    /// Connection string of the database
    #[arg(long, value_name = "URL")]
    pub(crate) database_url: Option<String>,
    /// Any setting, for example --set server.port=4001
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

/// Arguments of `init`.
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The project's folder, made when it is not there
    pub(crate) dir: PathBuf,
    /// Connection string of the database; without a value, that of DATABASE_URL
    #[arg(long, value_name = "URL", num_args = 0..=1, default_missing_value = "")]
    pub(crate) from_database: Option<String>,
    /// PostgreSQL schemas to read
    #[arg(long, value_name = "NAME", default_value = "public", value_delimiter = ',')]
    pub(crate) schema: Vec<String>,
    /// The least-privileged role that grants.sql is for
    #[arg(long, value_name = "NAME", default_value = "fraiseql_service")]
    pub(crate) role: String,
    /// Generate no aggregates and connections
    #[arg(long)]
    pub(crate) no_reads: bool,
    /// Generate no mutations
    #[arg(long)]
    pub(crate) no_writes: bool,
    /// Overwrite files that are there
    #[arg(long)]
    pub(crate) force: bool,
    /// Say what would be written, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Arguments of `compile`.
#[derive(Debug, Args)]
pub(crate) struct Compile {
    /// The project
    #[command(flatten)]
    pub(crate) project: ProjectArguments,
    /// Compile against catalog.json instead of a database
    #[arg(long)]
    pub(crate) offline: bool,
    /// Save the database's catalog as catalog.json
    #[arg(long, conflicts_with = "offline")]
    pub(crate) snapshot: bool,
    /// Check only, and write nothing
    #[arg(long)]
    pub(crate) check: bool,
    /// Where to write the artifact
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// Arguments of `serve` and `up`.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// The project
    #[command(flatten)]
    pub(crate) project: ProjectArguments,
    /// The port to listen on; 0 takes a free one
    #[arg(long)]
    pub(crate) port: Option<u16>,
    /// The address to listen on
    #[arg(long)]
    pub(crate) address: Option<String>,
}

/// Commands on settings.
#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Print every setting, its value and where the value came from
    Show(ProjectArguments),
}

/// Arguments of `schema outbox`.
#[derive(Debug, Args)]
pub(crate) struct Outbox {
    /// The project
    #[command(flatten)]
    pub(crate) project: ProjectArguments,
    /// The role that serves, when it does not own the tables
    #[arg(long, value_name = "NAME")]
    pub(crate) role: Option<String>,
}

/// Commands on the schema.
#[derive(Debug, Subcommand)]
pub(crate) enum Schema {
    /// Print the complete public schema of a compiled project
    Print(ProjectArguments),
    /// Print the SQL of an outbox: it tells subscriptions of changes where logical decoding is not allowed
    Outbox(Outbox),
}
