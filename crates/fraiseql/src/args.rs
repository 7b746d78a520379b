//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

const AFTER: &str = "\
Exit codes: 0 done, 1 a bug (or breaking changes, of `schema diff`),
2 the command line or the settings, 3 the project's own files (or a check of `preflight`), 4 the database,
5 the machine (port, disk, missing program), 130 interrupted.

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
    /// Make a project of an authoring file of FraiseQL 2 (schema.json), with a report of what has no equal
    Import(Import),
    /// Compile schema.graphql to schema.compiled.json
    Compile(Compile),
    /// Serve a compiled project
    Serve(Serve),
    /// Look after instances and proxy, and run rollouts
    Agent(Agent),
    /// Make a release of the project the one that serves
    Deploy(crate::commands::deploy::Deploy),
    /// Tell what runs, what is under way, and what it waits for
    Status(crate::commands::rollout::StatusArguments),
    /// Let a rollout stay where it is
    Hold(crate::commands::rollout::OnlyProject),
    /// Let a rollout that is held go on
    Resume(crate::commands::rollout::OnlyProject),
    /// Go on to the next share without waiting
    Promote(crate::commands::rollout::OnlyProject),
    /// Take a rollout back to the stable release
    Abort(crate::commands::rollout::OnlyProject),
    /// Go back to the release before; works with the agent and the database dead
    Rollback(crate::commands::rollout::RollbackArguments),
    /// Refuse requests, let them wait, or let them through
    Maintenance(crate::commands::rollout::Maintenance),
    /// List rollouts, or tell one of them step by step
    History(crate::commands::rollout::History),
    /// Write down what goes wrong, tell it with a time line, begin the postmortem
    #[command(subcommand)]
    Incident(crate::commands::incident::Incident),
    /// Print the address of the agent's console, with its token
    Console(crate::commands::rollout::OnlyProject),
    /// Stop instances, proxy and agent
    Down(crate::commands::rollout::OnlyProject),
    /// Send a little traffic
    Load(crate::commands::load::Load),
    /// Pass requests on to the instances that an agent has started
    Proxy(Proxy),
    /// Run everything: a database, the compiler, the server; reload when a file changes
    Up(Serve),
    /// Look at the settings in force
    #[command(subcommand)]
    Config(Config),
    /// Look after references to secrets
    #[command(subcommand)]
    Secret(Secret),
    /// Look at the GraphQL schema
    #[command(subcommand)]
    Schema(Schema),
    /// Tell what an error code means, or what an operation does in the database
    Explain(Explain),
    /// Tell or switch what a running server does: everything, queries only, or nothing
    Mode(ModeArguments),
    /// Ask a running server whether it is well
    Health(crate::commands::health::Health),
    /// Tell which client asks for which fields
    Usage(Usage),
    /// Show who changed what, from the audit log of mutations
    Audit(Audit),
    /// Make, list, rotate and revoke API keys for machines
    #[command(subcommand)]
    Keys(crate::commands::keys::Keys),
    /// Make releases of the project, and tell what was proven of them
    #[command(subcommand)]
    Release(crate::commands::release::Release),
    /// List the releases, the newest first, or remove old ones
    Releases(crate::commands::release::List),
    /// Look at the persisted operations
    #[command(subcommand)]
    Operations(Operations),
    /// Change the database's schema while it is in use
    #[command(subcommand)]
    Migrate(crate::commands::migrate::Migrate),
    /// Take, list, check and prune backups, name points to restore to, hold drills
    #[command(subcommand)]
    Backup(crate::commands::backup::Backup),
    /// Look whether everything is as it must be before a deployment
    Preflight(crate::commands::preflight::Preflight),
    /// Walk through a deployment step by step, and write down who did what
    #[command(subcommand)]
    Runbook(crate::commands::runbook::Runbook),
    /// Tell what the service uses, when that will be too much, and whether to scale
    Capacity(crate::commands::capacity::Capacity),
    /// Write what Prometheus needs to watch a service
    #[command(subcommand)]
    Monitoring(crate::commands::monitoring::Monitoring),
    /// Restore the database to a moment; the old data is kept
    Restore(Box<crate::commands::restore::Restore>),
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

/// Which project, and which settings, where something else than the project is named first.
#[derive(Clone, Debug, Args)]
pub(crate) struct InProject {
    /// The project's folder
    #[arg(long = "project", short = 'C', value_name = "DIR", default_value = ".")]
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

impl From<InProject> for ProjectArguments {
    fn from(InProject { dir, env, database_url, set }: InProject) -> Self {
        Self { dir, env, database_url, set }
    }
}

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// An error code such as FQ-SDL-007, a file with an operation, or an operation in braces
    pub(crate) what: String,
    /// The project that the operation is for
    #[command(flatten)]
    pub(crate) project: ProjectArguments,
    /// The operation's variables as JSON
    #[arg(long, value_name = "JSON")]
    pub(crate) variables: Option<String>,
    /// Which operation, where there are several
    #[arg(long, value_name = "NAME")]
    pub(crate) operation: Option<String>,
    /// Run the query in a read-only transaction that is undone, and measure
    #[arg(long)]
    pub(crate) analyze: bool,
}

/// Arguments of `mode`.
#[derive(Debug, Args)]
pub(crate) struct ModeArguments {
    /// What it shall do; returns when nothing that began before can still write
    pub(crate) mode: ModeWord,
    /// The project
    #[command(flatten)]
    pub(crate) project: ProjectArguments,
}

/// A word for `mode`.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum ModeWord {
    /// Tell the mode in force
    Show,
    /// Do everything
    Normal,
    /// Refuse mutations
    ReadOnly,
    /// Answer 503 to everything but health and metrics
    Maintenance,
}

/// Arguments of `usage`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Usage {
    /// What else to do
    #[command(subcommand)]
    pub(crate) command: Option<UsageCommand>,
    /// The project
    #[command(flatten)]
    pub(crate) project: ProjectArguments,
    /// How many days, today included
    #[arg(long, value_name = "DAYS", default_value = "7d", value_parser = crate::usage_table::days)]
    pub(crate) since: i32,
}

/// Arguments of `audit`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Audit {
    /// What else to do
    #[command(subcommand)]
    pub(crate) command: Option<AuditCommand>,
    /// The project
    #[command(flatten)]
    pub(crate) project: ProjectArguments,
    /// How many days, today included
    #[arg(long, value_name = "DAYS", default_value = "7d", value_parser = crate::usage_table::days)]
    pub(crate) since: i32,
    /// Only what this caller did: the subject of its token, or the name of its API key
    #[arg(long, value_name = "NAME")]
    pub(crate) subject: Option<String>,
    /// Only this field of Mutation
    #[arg(long, value_name = "NAME")]
    pub(crate) field: Option<String>,
    /// Only what one request did, by the id that its answer and its line in the log have
    #[arg(long, value_name = "ID")]
    pub(crate) request: Option<String>,
    /// The most entries, the newest first
    #[arg(long, value_name = "NUMBER", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) limit: u32,
}

/// Commands on the audit log.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Print the statements that make the table of the audit log; run them as the owner of the database
    Init {
        /// The role that the server connects as
        #[arg(long, value_name = "NAME", default_value = "fraiseql_service")]
        role: String,
    },
    /// Delete entries that are older than a number of days, as the owner of the table
    Prune {
        /// The project
        #[command(flatten)]
        project: ProjectArguments,
        /// How many days to keep, today included
        #[arg(long, value_name = "DAYS", value_parser = crate::usage_table::days)]
        keep: i32,
        /// Say how many there are, and delete none
        #[arg(long)]
        dry_run: bool,
    },
}

/// Commands on usage.
#[derive(Debug, Subcommand)]
pub(crate) enum UsageCommand {
    /// Print the statements that make the table of usage; run them as the owner of the database
    Init {
        /// The role that the server connects as
        #[arg(long, value_name = "NAME", default_value = "fraiseql_service")]
        role: String,
    },
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

/// Arguments of `import`.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The authoring file, version 2.0.0
    pub(crate) file: PathBuf,
    /// The project's folder, made when it is not there
    pub(crate) dir: PathBuf,
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

/// Arguments of `agent`.
#[derive(Debug, Args)]
pub(crate) struct Agent {
    /// The project
    #[command(flatten)]
    pub(crate) project: ProjectArguments,
    /// The port of the service; 0 takes a free one
    #[arg(long)]
    pub(crate) port: Option<u16>,
}

/// Arguments of `proxy`.
#[derive(Debug, Args)]
pub(crate) struct Proxy {
    /// The project
    #[command(flatten)]
    pub(crate) project: ProjectArguments,
    /// The port to listen on; 0 takes a free one
    #[arg(long)]
    pub(crate) port: Option<u16>,
    /// The address to listen on
    #[arg(long)]
    pub(crate) address: Option<String>,
    /// Say `ready` on standard output once it serves: for whoever has started it
    #[arg(long, hide = true)]
    pub(crate) tell_ready: bool,
}

/// Commands on settings.
#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Print every setting, its value and where the value came from
    Show(ProjectArguments),
}

/// Commands on secrets.
#[derive(Debug, Subcommand)]
pub(crate) enum Secret {
    /// Follow every reference in the settings and tell whether it leads to a secret, never the secret
    Check(ProjectArguments),
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
    /// Print the introspection of a compiled project or of a server as JSON
    Introspect(Introspect),
    /// Tell what changed between two schemas, breaking changes first; exits with 1 when there are any
    Diff(Diff),
}

/// Arguments of `schema introspect`.
#[derive(Debug, Args)]
pub(crate) struct Introspect {
    /// A project's folder, schema.compiled.json, or the URL of a GraphQL server
    #[arg(default_value = ".")]
    pub(crate) source: String,
    /// A header for the server, for example 'Authorization: Bearer TOKEN'
    #[arg(long, value_name = "NAME: VALUE")]
    pub(crate) header: Vec<String>,
    /// Print SDL instead
    #[arg(long)]
    pub(crate) sdl: bool,
}

/// Arguments of `schema diff`.
#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// What clients know: SDL, schema.compiled.json, a saved introspection, a project's folder, or a URL
    pub(crate) old: String,
    /// What is to come: as OLD
    pub(crate) new: String,
    /// A header for a server, for example 'Authorization: Bearer TOKEN'
    #[arg(long, value_name = "NAME: VALUE")]
    pub(crate) header: Vec<String>,
    /// Name the clients that each change concerns, from the usage in the project's database
    #[arg(long, value_name = "PROJECT", num_args = 0..=1, require_equals = true, default_missing_value = ".")]
    pub(crate) usage: Option<PathBuf>,
    /// How many days of usage, today included
    #[arg(long, value_name = "DAYS", default_value = "7d", value_parser = crate::usage_table::days)]
    pub(crate) since: i32,
    /// Connection string of the database with the usage
    #[arg(long, value_name = "URL")]
    pub(crate) database_url: Option<String>,
}

/// Commands on persisted operations.
#[derive(Debug, Subcommand)]
pub(crate) enum Operations {
    /// Print id, kind, name and file of each persisted operation of a compiled project
    List(ProjectArguments),
}
