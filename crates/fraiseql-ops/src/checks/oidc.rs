//! Each issuer of tokens answers, has keys, and has the same time.

use super::{Answer, CheckFinding, CheckList, Looked, PreflightCheck, fail, judged, pass, warn};

pub(super) const CHECK: PreflightCheck = PreflightCheck {
    name: "oidc",
    list: CheckList::Configuration,
    title: "the OIDC provider is configured and answers",
    why: "without its keys no token is accepted",
    help: "check identity.issuers; `curl ISSUER/.well-known/openid-configuration` must name the same issuer",
    mild: false,
};

const APART_S_WARN: u64 = 5;

/// An issuer and what it answers.
#[derive(Clone, Debug)]
pub struct IssuerFacts {
    /// How it is called in the settings.
    pub issuer: String,
    /// How many keys it publishes, and by how many seconds its clock is ahead where it tells.
    pub answer: Answer<(usize, Option<i64>)>,
}

/// Fails for an issuer that does not answer or has no keys, warns of a clock that is off.
pub fn oidc(issuers: &Looked<Vec<IssuerFacts>>) -> CheckFinding {
    judged(issuers, |issuers| {
        let mut slow = Vec::new();
        for IssuerFacts { issuer, answer } in issuers {
            match answer {
                Answer::Refused(reason) => return fail(format!("{issuer}: {reason}")),
                Answer::Given((0, _)) => return fail(format!("{issuer} publishes no keys")),
                Answer::Given((_, Some(ahead))) if ahead.unsigned_abs() > APART_S_WARN => {
                    slow.push(format!("the clock of {issuer} is {ahead} s ahead"));
                }
                Answer::Given(_) => {}
            }
        }
        match slow.is_empty() {
            true => pass(format!("{} issuers answer and publish keys", issuers.len())),
            false => warn(slow.join("; ")),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(answer: Answer<(usize, Option<i64>)>, expected: &str) {
        let issuers = vec![IssuerFacts { issuer: "https://login".into(), answer }];
        assert_eq!(oidc(&Ok(issuers)).to_string(), expected);
    }

    #[test]
    fn silent_issuers_and_those_without_keys_fail() {
        check(Answer::Given((2, Some(1))), "pass: 1 issuers answer and publish keys");
        check(Answer::Given((0, None)), "fail: https://login publishes no keys");
        check(Answer::Refused("404".into()), "fail: https://login: 404");
        check(Answer::Given((1, Some(-60))), "warn: the clock of https://login is -60 s ahead");
    }
}
