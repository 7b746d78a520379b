//! Shows what a backup or a restore does: a bar on a terminal, a line elsewhere.

use std::sync::{Mutex, PoisonError};

use fraiseql_backup::BackupEvent;
use indicatif::{ProgressBar, ProgressStyle};

use crate::printer::Printer;

const BYTES: &str = "{msg} [{bar:30}] {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";

/// Shows events of backups.
pub(crate) struct Progress<'p> {
    printer: &'p Printer,
    /// What is said before the name of a step.
    verb: &'static str,
    bar: Mutex<Option<ProgressBar>>,
}

impl<'p> Progress<'p> {
    pub(crate) fn new(printer: &'p Printer, verb: &'static str) -> Self {
        Self { printer, verb, bar: Mutex::new(None) }
    }

    /// Shows an event.
    pub(crate) fn show(&self, event: BackupEvent) {
        let mut bar = self.bar.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            BackupEvent::Began { what, bytes } => {
                let new = self.printer.progress(&what, bytes);
                if let Ok(style) = ProgressStyle::with_template(BYTES) {
                    new.set_style(style.progress_chars("=> "));
                }
                *bar = Some(new);
            }
            BackupEvent::Moved(bytes) => {
                if let Some(bar) = bar.as_ref() {
                    bar.inc(bytes);
                }
            }
            BackupEvent::Ended => {
                if let Some(bar) = bar.take() {
                    bar.finish_and_clear();
                }
            }
            BackupEvent::Step(name) => self.printer.say(&format!("{}: {name}", self.verb)),
        }
    }
}
