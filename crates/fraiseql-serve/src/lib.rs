//! HTTP GraphQL: from a socket to an answer, with health, metrics, GraphiQL and a clean end.
//!
//! A request goes `connection` -> `route` -> `graphql` (HTTP) -> `pipeline` (GraphQL) -> `query` or
//! `mutation` (PostgreSQL). Nothing here prints, reads the environment or ends the process: what is
//! worth knowing is told to [`Observe`].

mod admin;
mod admission;
mod answer;
mod audit;
mod batch;
mod body;
mod cache;
mod compress;
mod connection;
mod cors;
mod error;
mod exposition;
mod fault;
mod gauge;
mod generation;
mod graphiql;
mod graphql;
mod health;
mod holder;
mod identity;
mod life;
mod limits;
mod listen;
mod live;
mod media;
mod metrics;
mod mode;
mod mutation;
mod observe;
mod operations;
mod params;
mod partial;
mod pipeline;
mod policy;
mod prepared;
mod probe;
mod process;
mod query;
mod rate;
mod record;
mod replicas;
mod request_id;
mod route;
mod server;
mod serving;
mod sqlstate;
mod stream;
mod timing;
mod tls;
mod trace;
mod tuning;
mod usage;
mod workers;

pub use admin::{Admin, AdminOptions};
pub use audit::{Audit, audit_ddl};
pub use cache::{BadRedisUrl, CacheOptions, RedisOptions};
pub use error::ServeError;
pub use fraiseql_net::{TlsFault, TlsOptions, TlsVersion};
pub use gauge::{Gauge, GaugeKind, GaugeSource};
pub use holder::PortHolder;
pub use identity::{
    BadAlgorithm, Denial, IdentityOptions, IntrospectionOptions, NewApiKey, NoRandomness, TokenAlgorithms,
    api_key_ddl, new_api_key,
};
pub use life::{LifeOptions, Reload};
pub use live::{SubscriptionOptions, SubscriptionSource};
pub use mode::{Mode, Notice, StillWriting};
pub use observe::{Event, FinishedRequest, Observe, RequestKind, SqlFault};
pub use policy::{BadOrigin, IntrospectionPolicy, Origins, RequestPolicy};
pub use rate::{BadNetwork, Rate, RateOptions};
pub use replicas::{ReplicaOptions, ReplicaSource};
pub use server::{DrainReport, ServeOptions, Server, ServerHandle};
pub use timing::{TimedStatement, TimedWait, Times};
pub use trace::TraceContext;
pub use tuning::Tuning;
pub use usage::{UsageRecording, usage_ddl};
