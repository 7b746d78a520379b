//! Which tables were written to: from logical decoding, or from an outbox that triggers fill.
//!
//! A change is told only when every session that begins a statement afterwards sees it, so that
//! whoever asks again because of it gets the new answer.

mod decoding;
mod outbox;
mod reach;
mod steady;
mod trace;

use std::collections::BTreeSet;

pub use decoding::Decoding;
pub use outbox::{Outbox, outbox_sql};
pub use reach::{Reach, reach};
pub use steady::unsteady;
pub use trace::{Trace, trace};

/// What was written to since the last look. Names are `schema.table`, unquoted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// These tables; maybe none.
    Tables(BTreeSet<String>),
    /// Nobody can tell: take everything as changed.
    Everything,
}
