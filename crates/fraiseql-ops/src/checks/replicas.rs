//! The database is replicated, and the replicas follow.

use super::{CheckFinding, CheckList, CheckVerdict, Looked, PreflightCheck, fail, judged, pass, warn};

pub(super) const CHECK: PreflightCheck = PreflightCheck {
    name: "replicas",
    list: CheckList::Infrastructure,
    title: "a replica streams, close behind",
    why: "without one a lost disk is an outage until a restore is done",
    help: "set up streaming replication; GRANT pg_monitor to the role that looks, when states are hidden",
    mild: true,
};

const LAG_BYTES_WARN: i64 = 64 << 20;

/// A replica as `pg_stat_replication` tells of it.
#[derive(Clone, Debug)]
pub struct ReplicaFacts {
    /// Its `application_name`.
    pub name: String,
    /// `streaming` when all is well; hidden from roles without the right to see it.
    pub state: Option<String>,
    /// How many bytes of WAL it has yet to replay; hidden as the state.
    pub lag_bytes: Option<i64>,
}

/// Fails when nothing streams, warns of what lags.
pub fn replicas(facts: &Looked<Vec<ReplicaFacts>>) -> CheckFinding {
    judged(facts, |facts| {
        if facts.is_empty() {
            return fail("no replica is connected");
        }
        let streams = |replica: &&ReplicaFacts| replica.state.as_deref() == Some("streaming");
        let streaming: Vec<&ReplicaFacts> = facts.iter().filter(streams).collect();
        if streaming.is_empty() && facts.iter().any(|replica| replica.state.is_none()) {
            let evidence =
                format!("{} replicas are connected; the role may not see their state", facts.len());
            return CheckFinding::new(CheckVerdict::NotApplicable, evidence);
        }
        let lags = |replica: &&&ReplicaFacts| replica.lag_bytes.is_none_or(|lag| lag > LAG_BYTES_WARN);
        match (streaming.len(), streaming.iter().find(lags)) {
            (0, _) => fail(format!("{} replicas are connected, none of them streams", facts.len())),
            (_, Some(ReplicaFacts { name, lag_bytes: Some(lag), .. })) => {
                warn(format!("{name} is {} MiB behind", lag >> 20))
            }
            (_, Some(ReplicaFacts { name, .. })) => warn(format!("how far {name} is behind is not known")),
            (count, None) => pass(format!("{count} stream, at most {} MiB behind", LAG_BYTES_WARN >> 20)),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replica(state: Option<&str>, lag_bytes: Option<i64>) -> ReplicaFacts {
        ReplicaFacts { name: "second".into(), state: state.map(str::to_owned), lag_bytes }
    }

    #[track_caller]
    fn check(facts: Vec<ReplicaFacts>, expected: &str) {
        assert_eq!(replicas(&Ok(facts)).to_string(), expected);
    }

    #[test]
    fn nothing_that_streams_fails() {
        check(vec![], "fail: no replica is connected");
        check(
            vec![replica(Some("catchup"), Some(0))],
            "fail: 1 replicas are connected, none of them streams",
        );
        check(vec![replica(Some("streaming"), Some(512))], "pass: 1 stream, at most 64 MiB behind");
        check(vec![replica(Some("streaming"), Some(1 << 30))], "warn: second is 1024 MiB behind");
        check(vec![replica(Some("streaming"), None)], "warn: how far second is behind is not known");
        check(
            vec![replica(None, None)],
            "not applicable: 1 replicas are connected; the role may not see their state",
        );
    }
}
