//! Operation of a service: data in, texts and findings out. Nothing here reads a clock, a file or the network.

pub mod capacity;
pub mod checks;
mod monitoring;
mod runbook;
mod waivers;

pub use monitoring::{MonitoredAddress, MonitoringFile, monitoring_files};
pub use runbook::{
    RUNBOOK, RunbookEntry, RunbookList, RunbookStep, StepEnd, next_step, read_runbook, runbook_html,
    runbook_markdown,
};
pub use waivers::{CheckWaiver, read_waivers};
