//! What a connection string asks of a login beyond a password: a binding to TLS, and a kind of server.

use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, SCRAM_SHA_256_PLUS};
use tokio_postgres::config::{ChannelBinding as Wanted, TargetSessionAttrs};

use crate::connection::{Connection, auth_error};
use crate::error::PostgresError;
use crate::target::Target;

/// Fails on a server that does not write: a standby, or one that is set read-only.
const WRITES: &str = "DO $$ BEGIN IF current_setting('transaction_read_only')::bool THEN \
    RAISE read_only_sql_transaction; END IF; END $$";
/// Fails on a server that writes.
const READS: &str = "DO $$ BEGIN IF NOT current_setting('transaction_read_only')::bool THEN \
    RAISE active_sql_transaction; END IF; END $$";

/// Returns true when a login counts only when it is bound to TLS.
pub(crate) fn must_be_bound(target: &Target) -> bool {
    target.config.get_channel_binding() == Wanted::Require
}

/// Chooses how to log in, the safest way that both sides know.
pub(crate) fn mechanism(
    target: &Target,
    offered: &[String],
    end_point: Option<Vec<u8>>,
) -> Result<(&'static str, ChannelBinding), PostgresError> {
    let wanted = target.config.get_channel_binding();
    let offers = |name: &str| offered.iter().any(|offered| offered == name);
    match end_point {
        Some(bound) if wanted != Wanted::Disable && offers(SCRAM_SHA_256_PLUS) => {
            Ok((SCRAM_SHA_256_PLUS, ChannelBinding::tls_server_end_point(bound)))
        }
        _ if wanted == Wanted::Require => {
            Err(auth_error(target, "it binds no login to TLS, and channel_binding=require"))
        }
        _ if !offers(SCRAM_SHA_256) => Err(auth_error(target, "it offers no SCRAM-SHA-256")),
        // Tells a server that offers it that somebody took the offer away on its way.
        Some(_) if wanted != Wanted::Disable => Ok((SCRAM_SHA_256, ChannelBinding::unrequested())),
        _ => Ok((SCRAM_SHA_256, ChannelBinding::unsupported())),
    }
}

/// Fails when the server is not of the kind that `target_session_attrs` asks for; then the next
/// host is tried.
pub(crate) async fn check_kind(connection: &mut Connection, target: &Target) -> Result<(), PostgresError> {
    let (check, kind) = match target.config.get_target_session_attrs() {
        TargetSessionAttrs::ReadWrite => (WRITES, "does not write, and target_session_attrs=read-write"),
        TargetSessionAttrs::ReadOnly => (READS, "writes, and target_session_attrs=read-only"),
        _ => return Ok(()),
    };
    connection.simple(check).await.map_err(|error| match error {
        PostgresError::Sql(_) => PostgresError::Connect {
            target: target.to_string(),
            source: std::io::Error::other(format!("the server {kind}")),
        },
        other => other,
    })
}
