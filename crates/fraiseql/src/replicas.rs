//! Makes of the settings the replicas that a server reads from.

use std::time::Duration;

use fraiseql_model::errors;
use fraiseql_model::settings::Settings;
use fraiseql_postgres::{Pool, PoolOptions, Target};
use fraiseql_serve::{ReplicaOptions, ReplicaSource};

use crate::commands::serve::{pool, pooler};
use crate::database::Access;
use crate::failure::Failure;

/// How long a connection for looking at a server may take.
const WATCH_TIMEOUT: Duration = Duration::from_secs(1);

/// Pools whose login is replaced with that of the database: of replicas, by their place, and of the primary.
pub(crate) type Beside = Vec<(Option<usize>, Pool)>;

/// Returns the replicas of the settings, and all their pools; `None` when there are none.
pub(crate) fn options(
    access: &Access,
    settings: &Settings,
) -> Result<(Option<ReplicaOptions>, Beside), Failure> {
    let targets = access.replicas();
    let weights = weights(settings, targets.len())?;
    if targets.is_empty() {
        return Ok((None, Vec::new()));
    }
    let watch = |target: Target| {
        let target = target.through(pooler(settings));
        Pool::new(target, PoolOptions { size: 1, connect_timeout: WATCH_TIMEOUT })
    };
    let primary = watch(access.target());
    let mut beside = vec![(None, primary.clone())];
    let mut replicas = Vec::new();
    for (place, (target, weight)) in targets.into_iter().zip(weights).enumerate() {
        let name = format!("{}:{}", target.host(), target.port());
        let (pool, watch) = (pool(target.clone(), settings), watch(target));
        beside.extend([(Some(place), pool.clone()), (Some(place), watch.clone())]);
        replicas.push(ReplicaSource { name, pool, watch, weight });
    }
    let primary_weight = u32::try_from(settings.integer("database.primary_weight")).unwrap_or(u32::MAX);
    let lag_max = settings.duration("database.replica_lag_max_ms");
    Ok((Some(ReplicaOptions { replicas, primary, primary_weight, lag_max }), beside))
}

fn weights(settings: &Settings, replicas: usize) -> Result<Vec<u32>, Failure> {
    let given = settings.list("database.replica_weights");
    if given.is_empty() {
        return Ok(vec![1; replicas]);
    }
    let weights: Vec<u32> =
        given.iter().filter_map(|text| (1..=1_000).find(|weight| weight.to_string() == *text)).collect();
    Some(weights).filter(|weights| weights.len() == replicas).ok_or_else(|| {
        let message = format!("database.replica_weights has {} words for {replicas} replicas", given.len());
        Failure::new(&errors::CFG_BAD_VALUE, message)
            .hint("write a whole number from 1 to 1000 for each connection string of database.replicas")
    })
}
