//! `fraiseql monitoring`: files for those who watch a service.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use fraiseql_ops::{MonitoredAddress, monitoring_files};
use serde_json::json;

use crate::failure::Failure;
use crate::files;
use crate::printer::Printer;

/// Commands on monitoring.
#[derive(Debug, Subcommand)]
pub(crate) enum Monitoring {
    /// Write the scrape file, recording rules and alerts of Prometheus
    Export(Export),
}

/// Arguments of `monitoring export`.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The folder to write into; files of an earlier export are replaced
    #[arg(long, value_name = "DIR", default_value = "monitoring")]
    out: PathBuf,
    /// Where the service answers
    #[arg(long, value_name = "HOST:PORT", default_value = "localhost:4000")]
    service: MonitoredAddress,
    /// Where an instance behind the proxy answers; can be given more than once
    #[arg(long = "instance", value_name = "HOST:PORT")]
    instances: Vec<MonitoredAddress>,
}

/// Runs a command.
pub(crate) fn run(command: &Monitoring, printer: &Printer) -> Result<(), Failure> {
    match command {
        Monitoring::Export(arguments) => export(arguments, printer),
    }
}

fn export(arguments: &Export, printer: &Printer) -> Result<(), Failure> {
    let mut written = Vec::new();
    for file in monitoring_files(&arguments.service, &arguments.instances) {
        let path = arguments.out.join(file.name);
        files::write(&path, file.text.as_bytes())?;
        printer.say(&format!("wrote {}", path.display()));
        written.push(path);
    }
    if printer.is_json() {
        printer.data_json(&json!({ "files": written }));
    }
    Ok(())
}
