//! Redis is new enough, and forgets old answers instead of refusing new ones.

use super::{Answer, CheckFinding, CheckList, Looked, PreflightCheck, fail, judged, pass, warn};

pub(super) const CHECK: PreflightCheck = PreflightCheck {
    name: "redis",
    list: CheckList::Infrastructure,
    title: "Redis 6 or newer, with a limit and an eviction policy",
    why: "without an eviction policy a full Redis refuses to keep anything more; without a limit it takes the machine's memory",
    help: "CONFIG SET maxmemory 1gb; CONFIG SET maxmemory-policy allkeys-lru; CONFIG REWRITE",
    mild: true,
};

const MAJOR_MIN: u32 = 6;

/// What Redis tells of itself.
#[derive(Clone, Debug)]
pub struct RedisFacts {
    /// `redis_version`.
    pub version: String,
    /// `maxmemory` in bytes; 0 is no limit.
    pub maxmemory: u64,
    /// `maxmemory_policy`.
    pub policy: String,
    /// Whether it writes down what it has, as a log or from time to time.
    pub persistent: bool,
}

/// Judges the Redis of the response cache.
///
/// Without persistence it passes: the cache is empty after a restart, and nothing else is lost.
pub fn redis(facts: &Looked<Answer<RedisFacts>>) -> CheckFinding {
    judged(facts, |facts| match facts {
        Answer::Refused(reason) => fail(format!("it does not answer: {reason}")),
        Answer::Given(facts) => {
            let major = facts.version.split('.').next().unwrap_or("").parse::<u32>();
            let shown = format!("Redis {}", facts.version);
            match major {
                Err(_no_number) => fail(format!("{shown}: its version cannot be understood")),
                Ok(0..MAJOR_MIN) => fail(format!("{shown}, {MAJOR_MIN} is the least")),
                _ if facts.maxmemory == 0 => warn(format!("{shown}: maxmemory has no limit")),
                _ if facts.policy == "noeviction" => {
                    warn(format!("{shown}: maxmemory-policy noeviction refuses to keep more when it is full"))
                }
                _ => {
                    let kept = if facts.persistent { "written down" } else { "not written down" };
                    pass(format!("{shown}, {}, what it has is {kept}", facts.policy))
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(version: &str, maxmemory: u64, policy: &str, expected: &str) {
        let (version, policy) = (version.to_owned(), policy.to_owned());
        let facts = RedisFacts { version, maxmemory, policy, persistent: false };
        assert_eq!(redis(&Ok(Answer::Given(facts))).to_string(), expected);
    }

    #[test]
    fn old_silent_and_unlimited_ones_are_told() {
        check("7.2.1", 1, "allkeys-lru", "pass: Redis 7.2.1, allkeys-lru, what it has is not written down");
        check("5.0.14", 1, "allkeys-lru", "fail: Redis 5.0.14, 6 is the least");
        check("7.0.0", 0, "allkeys-lru", "warn: Redis 7.0.0: maxmemory has no limit");
        let full = "warn: Redis 7.0.0: maxmemory-policy noeviction refuses to keep more when it is full";
        check("7.0.0", 1, "noeviction", full);
        check("new", 1, "allkeys-lru", "fail: Redis new: its version cannot be understood");
        let silent = Ok(Answer::Refused("connection refused".to_owned()));
        assert_eq!(redis(&silent).to_string(), "fail: it does not answer: connection refused");
    }
}
