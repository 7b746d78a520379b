//! The clock is right.

use super::{CheckFinding, CheckList, CheckVerdict, Looked, PreflightCheck, fail, pass};

pub(super) const CHECK: PreflightCheck = PreflightCheck {
    name: "clock",
    list: CheckList::Infrastructure,
    title: "a clock that is kept right",
    why: "tokens, certificates and restore points are judged by the clock",
    help: "let chrony or systemd-timesyncd run: `timedatectl set-ntp true`",
    mild: true,
};

/// How far the clocks of this machine and of the database may differ.
const APART_MS_MAX: u64 = 1_000;

/// What is known of the clock.
#[derive(Clone, Debug)]
pub struct ClockFacts {
    /// Whether the machine says that it follows a time server.
    pub synchronised: Looked<bool>,
    /// How far the database's clock is ahead.
    pub database_ahead_ms: Looked<i64>,
}

/// Judges both; what cannot be asked is passed over as long as the other can.
pub fn clock(facts: &ClockFacts) -> CheckFinding {
    let apart = facts.database_ahead_ms.as_ref().map(|ahead| ahead.unsigned_abs());
    match (&facts.synchronised, apart) {
        (_, Ok(apart)) if apart > APART_MS_MAX => {
            fail(format!("the clocks of this machine and of the database are {apart} ms apart"))
        }
        (Ok(false), _) => fail("the machine follows no time server"),
        (Ok(true), Ok(apart)) => pass(format!("follows a time server; {apart} ms from the database's clock")),
        (Ok(true), Err(_)) => pass("follows a time server"),
        (Err(reason), Ok(apart)) => CheckFinding::new(
            CheckVerdict::NotApplicable,
            format!("{reason}; {apart} ms from the database's clock"),
        ),
        (Err(reason), Err(_)) => CheckFinding::new(CheckVerdict::NotApplicable, reason.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(synchronised: Looked<bool>, database_ahead_ms: Looked<i64>, expected: &str) {
        assert_eq!(clock(&ClockFacts { synchronised, database_ahead_ms }).to_string(), expected);
    }

    #[test]
    fn a_clock_that_nobody_keeps_or_that_is_off_fails() {
        let unknown = || "nobody to ask".to_owned();
        check(Ok(true), Ok(-3), "pass: follows a time server; 3 ms from the database's clock");
        check(Ok(true), Err(unknown()), "pass: follows a time server");
        check(Ok(false), Ok(0), "fail: the machine follows no time server");
        check(Err(unknown()), Ok(5), "not applicable: nobody to ask; 5 ms from the database's clock");
        let apart = "fail: the clocks of this machine and of the database are 5000 ms apart";
        check(Ok(true), Ok(-5_000), apart);
        check(Err(unknown()), Ok(5_000), apart);
    }
}
