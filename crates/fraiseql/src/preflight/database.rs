//! What the database tells of itself. All checks share one connection.

use std::time::Duration;

use fraiseql_ops::checks::{
    self, Answer, CheckFinding, ConnectionFacts, DatabaseAge, DatabaseWay, GrantedRole, ListeningFacts,
    Looked, ReplicaFacts,
};
use fraiseql_postgres::{ControlClient, ControlRow, Target, connect_control, role_facts};

use super::{Preflight, machine};
use crate::clock;
use crate::commands::usage::database_target;
use crate::failure::Failure;

/// How long one attempt to connect may take: less than a check, so that its result is kept.
const CONNECT_TIME: Duration = Duration::from_secs(4);
const STATEMENT_TIME: &str = "SET statement_timeout = '3s'";

const REPLICAS: &str = "SELECT application_name, state, \
pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), replay_lsn)::bigint \
FROM pg_catalog.pg_stat_replication ORDER BY 1";
const SETTINGS: &str = "SELECT name, setting FROM pg_catalog.pg_settings WHERE name IN \
('fsync', 'full_page_writes', 'autovacuum', 'track_counts', 'synchronous_commit')";
const CONNECTIONS: &str = "SELECT current_setting('max_connections')::bigint, \
current_setting('superuser_reserved_connections')::bigint";
/// An index that somebody builds now is not valid yet: its table is locked for the builder.
const INVALID_INDEXES: &str = "SELECT n.nspname || '.' || c.relname FROM pg_catalog.pg_index i \
JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
WHERE NOT i.indisvalid AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_locks l \
WHERE l.relation = i.indrelid AND l.mode = 'ShareUpdateExclusiveLock') ORDER BY 1";
const OLDEST: &str = "SELECT datname::text, age(datfrozenxid)::bigint FROM pg_catalog.pg_database \
ORDER BY 2 DESC LIMIT 1";
const NOW_MS: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint";

/// A connection.
pub(super) struct Connected {
    target: Target,
    client: ControlClient,
}

impl Preflight {
    async fn connected(&self) -> Result<&Connected, &String> {
        let connect = async || match tokio::time::timeout(CONNECT_TIME, self.connect()).await {
            Ok(Ok(connected)) => Ok(connected),
            Ok(Err(failure)) => Err([vec![failure.message], failure.causes].concat().join(": ")),
            Err(_elapsed) => Err(format!("it does not answer within {} s", CONNECT_TIME.as_secs())),
        };
        self.connected.get_or_init(connect).await.as_ref()
    }

    async fn connect(&self) -> Result<Connected, Failure> {
        let target = match &self.database_url {
            Some(url) => Target::parse(url)?,
            None => database_target(&self.project).await?,
        };
        let client = connect_control(&target).await?;
        client
            .batch_execute(STATEMENT_TIME)
            .await
            .map_err(|error| Failure::internal("limit the time of statements", &error))?;
        Ok(Connected { target, client })
    }

    /// Returns the connection, or that nobody can look without.
    async fn server(&self) -> Looked<&Connected> {
        self.connected()
            .await
            .map_err(|_told_by_its_own_check| "there is no connection to the database".to_owned())
    }

    pub(super) async fn look_at_database(&self, name: &str) -> CheckFinding {
        match name {
            "database" => checks::database(&Ok(match self.connected().await {
                Ok(connected) => Answer::Given(connected.target.to_string()),
                Err(reason) => Answer::Refused(reason.clone()),
            })),
            "postgres-version" => {
                let sql = "SELECT current_setting('server_version_num')::int";
                let number = |row: &ControlRow| u32::try_from(row.get::<_, i32>(0)).unwrap_or(0);
                checks::postgres_version(&self.one(sql, number).await)
            }
            "primary" => checks::primary(&self.one("SELECT pg_is_in_recovery()", |row| row.get(0)).await),
            "replicas" => checks::replicas(&self.replicas().await),
            "database-settings" => {
                checks::database_settings(&self.rows(SETTINGS, |row| (row.get(0), row.get(1))).await)
            }
            "connections" => checks::connections(&self.connections().await),
            "invalid-indexes" => checks::invalid_indexes(&self.rows(INVALID_INDEXES, |row| row.get(0)).await),
            "wraparound" => {
                let oldest = |row: &ControlRow| DatabaseAge { database: row.get(0), age: row.get(1) };
                checks::wraparound(&self.one(OLDEST, oldest).await)
            }
            "database-tls" => checks::database_tls(&self.way().await),
            "database-role" => checks::database_role(&self.role().await),
            _ => CheckFinding::unfinished("nobody looks at it, which is a bug"),
        }
    }

    async fn rows<T>(&self, sql: &str, read: impl Fn(&ControlRow) -> T) -> Looked<Vec<T>> {
        let rows = self.server().await?.client.query(sql, &[]).await;
        let rows = rows.map_err(|error| match error.as_db_error() {
            Some(error) => format!("the database refuses to tell: {}", error.message()),
            None => format!("the database does not tell: {error}"),
        })?;
        Ok(rows.iter().map(read).collect())
    }

    async fn one<T>(&self, sql: &str, read: impl Fn(&ControlRow) -> T) -> Looked<T> {
        self.rows(sql, read).await?.into_iter().next().ok_or_else(|| "the database tells nothing".to_owned())
    }

    async fn replicas(&self) -> Looked<Vec<ReplicaFacts>> {
        if self.one("SELECT pg_is_in_recovery()", |row| row.get(0)).await? {
            return Err("it is a replica itself".to_owned());
        }
        let replica =
            |row: &ControlRow| ReplicaFacts { name: row.get(0), state: row.get(1), lag_bytes: row.get(2) };
        self.rows(REPLICAS, replica).await
    }

    async fn connections(&self) -> Looked<ConnectionFacts> {
        let count = |row: &ControlRow, index| u64::try_from(row.get::<_, i64>(index)).unwrap_or(0);
        let (max, reserved) = self.one(CONNECTIONS, |row| (count(row, 0), count(row, 1))).await?;
        let settings = &self.project.settings;
        let (pool, instances) = (settings.integer("database.pool_size"), settings.integer("agent.instances"));
        Ok(ConnectionFacts { max, reserved, pool, instances })
    }

    async fn way(&self) -> Looked<DatabaseWay> {
        let sql =
            "SELECT coalesce((SELECT ssl FROM pg_catalog.pg_stat_ssl WHERE pid = pg_backend_pid()), false)";
        let encrypted = self.one(sql, |row| row.get(0)).await?;
        let target = &self.server().await?.target;
        let (local, verified) = (target.is_on_this_machine(), target.checks_certificate());
        Ok(DatabaseWay { local, encrypted, verified })
    }

    async fn role(&self) -> Looked<GrantedRole> {
        let Connected { client, target } = self.server().await?;
        let told = role_facts(client, target.user(), &[]).await;
        let role = told.map_err(|error| format!("the database does not tell: {error}"))?;
        let powers = [
            (role.superuser, "is a superuser, or may become one"),
            (role.bypasses_rls, "passes row security"),
            (role.creates_roles, "makes roles"),
            (role.creates_databases, "makes databases"),
        ];
        let powers = powers.into_iter().filter_map(|(has, power)| has.then_some(power)).collect();
        Ok(GrantedRole { name: role.name, powers })
    }

    pub(super) async fn clock_ahead_ms(&self) -> Looked<i64> {
        self.server().await?;
        let before = clock::now_ms();
        let database: i64 = self.one(NOW_MS, |row| row.get(0)).await?;
        let here = i64::try_from(before.midpoint(clock::now_ms())).unwrap_or(i64::MAX);
        Ok(database.saturating_sub(here))
    }

    pub(super) async fn listening(&self) -> Looked<ListeningFacts> {
        let mut guarded = Vec::new();
        if let Ok(Connected { target, .. }) = self.connected().await
            && target.is_on_this_machine()
        {
            guarded.push((target.port(), "the database"));
        }
        let settings = &self.project.settings;
        if let Some(port) = settings.text("admin.port") {
            let port: u16 = port.parse().map_err(|error| format!("admin.port: {error}"))?;
            guarded.push((port, "the admin listener"));
        }
        let redis = settings.text("cache.redis_url").filter(|_| settings.text("cache.mode") == Some("redis"));
        if let Some(port) = redis.and_then(super::services::local_port) {
            guarded.push((port, "Redis"));
        }
        Ok(ListeningFacts { sockets: machine::sockets()?, guarded })
    }
}
