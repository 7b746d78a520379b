//! The only crate that names a driver: sessions that run batches under one Sync, and the catalog.
//!
//! The data plane speaks the protocol itself ([`Pool`], [`Session`]): one round trip for a batch,
//! rows as they came from the wire, no task per connection. The control plane uses tokio-postgres
//! ([`connect_control`]).

mod catalog;
mod changes;
mod connection;
mod control;
mod error;
mod libpq;
mod login;
mod pool;
mod pooler;
mod queue;
mod read_only;
mod role;
mod session;
mod statements;
mod stream;
mod target;
mod tls;
mod turns;

pub use catalog::read_catalog;
pub use changes::{Changed, Decoding, Outbox, Reach, Trace, outbox_sql, reach, trace, unsteady};
pub use control::{ControlClient, ControlRow, connect_control};
pub use error::{PostgresError, SqlError};
pub use pool::{Pool, PoolOptions, PoolStatus, enter_runtime};
pub use queue::{Overload, QueueBounds};
pub use role::{RoleFacts, role_facts};
pub use session::{Canceller, Query, Row, Rows, Session};
pub use target::{Pooler, Target};
