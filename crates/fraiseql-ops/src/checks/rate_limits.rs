//! One caller cannot take everything.

use super::{CheckFinding, CheckList, Looked, PreflightCheck, fail, judged, pass};

pub(super) const CHECK: PreflightCheck = PreflightCheck {
    name: "rate-limits",
    list: CheckList::Configuration,
    title: "rate limits are configured",
    why: "without them one client in a loop is an outage for the others",
    help: "set rate_limit.address_per_minute and rate_limit.caller_per_minute",
    mild: true,
};

/// The limits in force; 0 is none.
#[derive(Clone, Copy, Debug)]
pub struct RateLimitFacts {
    /// `rate_limit.address_per_minute`.
    pub address_per_minute: u64,
    /// `rate_limit.caller_per_minute`.
    pub caller_per_minute: u64,
}

/// Fails when there is none.
pub fn rate_limits(facts: &Looked<RateLimitFacts>) -> CheckFinding {
    judged(facts, |facts| match facts {
        RateLimitFacts { address_per_minute: 0, caller_per_minute: 0 } => fail("there are none"),
        RateLimitFacts { address_per_minute, caller_per_minute } => {
            let shown = |limit: &u64| if *limit == 0 { "any number".to_owned() } else { limit.to_string() };
            let (address, caller) = (shown(address_per_minute), shown(caller_per_minute));
            pass(format!("a minute: {address} of an address, {caller} of a caller"))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_limit_fails() {
        let told = |address_per_minute, caller_per_minute| {
            rate_limits(&Ok(RateLimitFacts { address_per_minute, caller_per_minute })).to_string()
        };
        assert_eq!(told(0, 0), "fail: there are none");
        assert_eq!(told(600, 0), "pass: a minute: 600 of an address, any number of a caller");
    }
}
