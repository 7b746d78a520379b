//! The certificate of the service can be used, for long enough.

use super::{Answer, CheckFinding, CheckList, Looked, PreflightCheck, fail, judged, pass, warn};

pub(super) const CHECK: PreflightCheck = PreflightCheck {
    name: "certificate",
    list: CheckList::Security,
    title: "TLS certificates hold for 30 days more",
    why: "a certificate that ends is an outage for everybody at the same minute",
    help: "renew it; the service takes the new files without a restart",
    mild: false,
};

const DAYS_WARN: u64 = 30;
const DAYS_FAIL: u64 = 7;

/// A certificate with its chain and its key, which fit together.
#[derive(Clone, Copy, Debug)]
pub struct CertificateFacts {
    /// Whole days until it ends.
    pub days_left: u64,
}

/// Judges the certificate; refused is one that no handshake can be made with.
pub fn certificate(facts: &Looked<Answer<CertificateFacts>>) -> CheckFinding {
    judged(facts, |facts| match facts {
        Answer::Refused(reason) => fail(reason.clone()),
        Answer::Given(CertificateFacts { days_left }) => {
            let shown = format!("it ends in {days_left} days");
            match days_left {
                0..DAYS_FAIL => fail(shown),
                DAYS_FAIL..DAYS_WARN => warn(shown),
                _ => pass(shown),
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thirty_days_are_wanted_and_seven_needed() {
        let told = |days_left| certificate(&Ok(Answer::Given(CertificateFacts { days_left }))).to_string();
        assert_eq!(told(30), "pass: it ends in 30 days");
        assert_eq!(told(29), "warn: it ends in 29 days");
        assert_eq!(told(6), "fail: it ends in 6 days");
        let broken = Ok(Answer::Refused("the key is another one".to_owned()));
        assert_eq!(certificate(&broken).to_string(), "fail: the key is another one");
    }
}
