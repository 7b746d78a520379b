//! Incidents: what is written down of them, and the document that is made of it.
//!
//! It must need neither the database nor the agent: both may be what is broken.

mod error;
mod incident;
mod page;
mod postmortem;
mod store;

pub use error::IncidentError;
pub use incident::{Happening, Incident, IncidentEvent, IncidentSeverity, IncidentState};
pub use page::{PageChannel, PageContext, follow_up, page, paged_of, why_not};
pub use postmortem::{TimelineLine, postmortem, since_declared, timeline};
pub use store::Incidents;
