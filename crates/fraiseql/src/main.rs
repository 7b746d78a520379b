//! The binary: arguments, settings, wiring, printing, exit codes. Nothing is decided here that
//! a library could decide.

mod agent;
mod archiving;
mod args;
mod cache;
mod clock;
mod commands;
mod database;
mod ecs;
mod endpoint;
mod failure;
mod files;
mod identity;
mod log;
mod manifest_check;
mod observers;
mod operation_files;
mod preflight;
mod printer;
mod progress;
mod project;
mod rates;
mod release_files;
mod replicas;
mod schema_source;
mod secrets;
mod settings_file;
mod slow;
mod spans;
mod statements;
mod try_queries;
mod usage_table;

use std::process::ExitCode;

use clap::Parser;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::args::Arguments;
use crate::printer::Printer;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    raise_file_limit();
    let printer = Printer::new(arguments.json);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return printer.failed(&failure::Failure::internal("start the runtime", &error)),
    };
    match runtime.block_on(commands::run(arguments.command, &printer)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => printer.failed(&failure),
    }
}

/// Every client is a file: takes as many as the hard limit allows. Where that fails the server
/// accepts fewer clients at a time.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    if setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).is_err() {}
}
