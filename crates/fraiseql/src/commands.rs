//! One file for each command.

mod agent;
mod audit;
pub(crate) mod backup;
pub(crate) mod capacity;
mod compile;
mod config;
pub(crate) mod deploy;
pub(crate) mod explain;
pub(crate) mod health;
mod import;
pub(crate) mod incident;
mod init;
pub(crate) mod keys;
pub(crate) mod load;
pub(crate) mod migrate;
mod mode;
pub(crate) mod monitoring;
mod operations;
mod outbox;
pub(crate) mod preflight;
mod promotion;
mod proxy;
pub(crate) mod release;
pub(crate) mod restore;
pub(crate) mod rollout;
pub(crate) mod runbook;
mod schema;
mod secret;
pub(crate) mod serve;
mod signals;
mod systemd;
mod up;
pub(crate) mod usage;

use clap::CommandFactory;
use fraiseql_rollout::Command as Order;

use crate::args::{Arguments, Command, Config, Operations, Schema, Secret};
use crate::failure::Failure;
use crate::files;
use crate::printer::Printer;

/// Runs a command to its end.
pub(crate) async fn run(command: Command, printer: &Printer) -> Result<(), Failure> {
    match command {
        Command::Init(arguments) => init::run(arguments, printer).await,
        Command::Import(arguments) => import::run(&arguments, printer),
        Command::Compile(arguments) => compile::run(arguments, printer).await,
        Command::Serve(arguments) => serve::run(arguments, printer).await,
        Command::Agent(arguments) => agent::run(&arguments, printer).await,
        Command::Deploy(arguments) => deploy::run(&arguments, printer).await,
        Command::Status(arguments) => rollout::status(&arguments, printer).await,
        Command::Hold(arguments) => rollout::tell(&Order::Hold, &arguments.project, printer).await,
        Command::Resume(arguments) => rollout::tell(&Order::Resume, &arguments.project, printer).await,
        Command::Promote(arguments) => rollout::tell(&Order::Promote, &arguments.project, printer).await,
        Command::Abort(arguments) => rollout::tell(&Order::Abort, &arguments.project, printer).await,
        Command::Rollback(arguments) => rollout::rollback(&arguments, printer).await,
        Command::Maintenance(arguments) => rollout::maintenance(&arguments, printer).await,
        Command::History(arguments) => rollout::history(&arguments, printer),
        Command::Incident(command) => incident::run(command, printer).await,
        Command::Down(arguments) => rollout::down(&arguments.project, printer).await,
        Command::Load(arguments) => load::run(&arguments, printer).await,
        Command::Proxy(arguments) => proxy::run(&arguments, printer).await,
        Command::Up(arguments) => up::run(arguments, printer).await,
        Command::Config(Config::Show(arguments)) => config::show(&arguments, printer),
        Command::Secret(Secret::Check(arguments)) => secret::check(&arguments, printer).await,
        Command::Schema(Schema::Print(arguments)) => schema::print(&arguments, printer),
        Command::Schema(Schema::Outbox(arguments)) => outbox::run(&arguments, printer).await,
        Command::Schema(Schema::Introspect(arguments)) => schema::introspect(arguments, printer).await,
        Command::Schema(Schema::Diff(arguments)) => schema::diff(arguments, printer).await,
        Command::Explain(arguments) => explain::run(arguments, printer).await,
        Command::Release(command) => release::run(command, printer).await,
        Command::Releases(arguments) => release::list(&arguments, printer),
        Command::Keys(command) => keys::run(command, printer).await,
        Command::Mode(arguments) => mode::run(&arguments, printer).await,
        Command::Health(arguments) => health::run(&arguments, printer).await,
        Command::Audit(arguments) => audit::run(arguments, printer).await,
        Command::Usage(arguments) => usage::run(arguments, printer).await,
        Command::Operations(Operations::List(arguments)) => operations::list(&arguments, printer),
        Command::Migrate(command) => migrate::run(command, printer).await,
        Command::Preflight(arguments) => preflight::run(arguments, printer).await,
        Command::Runbook(command) => runbook::run(command, printer).await,
        Command::Console(arguments) => rollout::console(arguments, printer),
        Command::Capacity(arguments) => capacity::run(arguments, printer),
        Command::Monitoring(command) => monitoring::run(&command, printer),
        Command::Backup(command) => backup::run(command, printer).await,
        Command::Restore(arguments) => restore::run(&arguments, printer).await,
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "fraiseql", &mut text);
            printer.data(&String::from_utf8_lossy(&text));
            Ok(())
        }
        Command::Man { dir } => man(&dir, printer),
    }
}

fn man(dir: &std::path::Path, printer: &Printer) -> Result<(), Failure> {
    let mut pages = vec![("fraiseql".to_owned(), Arguments::command())];
    while let Some((name, command)) = pages.pop() {
        for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
            pages.push((format!("{name}-{}", below.get_name()), below.clone()));
        }
        let path = dir.join(format!("{name}.1"));
        let mut page = Vec::new();
        let title: &'static str = Box::leak(name.into_boxed_str());
        clap_mangen::Man::new(command.name(title))
            .render(&mut page)
            .map_err(|error| Failure::internal("render a man page", &error))?;
        files::write(&path, &page)?;
        printer.say(&format!("wrote {}", path.display()));
    }
    Ok(())
}
