//! What happens, told to whoever shows it.

use std::fmt;

/// A step of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackupEvent {
    /// Something of about `bytes` begins.
    Began {
        /// What, in a few words.
        what: String,
        /// How much there is to do, as far as it is known.
        bytes: u64,
    },
    /// So many bytes more of it are done.
    Moved(u64),
    /// It is done.
    Ended,
    /// A step of a restore begins.
    Step(&'static str),
}

/// Tells what happens.
pub struct Watcher<'w>(pub &'w (dyn Fn(BackupEvent) + Sync));

impl Watcher<'_> {
    pub(crate) fn begin(&self, what: impl Into<String>, bytes: u64) {
        (self.0)(BackupEvent::Began { what: what.into(), bytes });
    }

    pub(crate) fn bytes(&self, bytes: u64) {
        (self.0)(BackupEvent::Moved(bytes));
    }

    pub(crate) fn end(&self) {
        (self.0)(BackupEvent::Ended);
    }

    pub(crate) fn step(&self, name: &'static str) {
        (self.0)(BackupEvent::Step(name));
    }
}

impl fmt::Debug for Watcher<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watcher")
    }
}
