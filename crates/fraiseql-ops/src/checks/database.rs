//! The connection string leads to the database.

use super::{Answer, CheckFinding, CheckList, Looked, PreflightCheck, fail, judged, pass};

pub(super) const CHECK: PreflightCheck = PreflightCheck {
    name: "database",
    list: CheckList::Configuration,
    title: "the connection string is verified: it connects",
    why: "nothing is served without",
    help: "check DATABASE_URL: host, port, role, password and name of the database",
    mild: false,
};

/// Judges one attempt to connect; what is given says where to.
pub fn database(attempt: &Looked<Answer<String>>) -> CheckFinding {
    judged(attempt, |attempt| match attempt {
        Answer::Given(target) => pass(format!("connected to {target}")),
        Answer::Refused(reason) => fail(reason.clone()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_connection_fails() {
        let there = Ok(Answer::Given("shop@db:5432/shop".to_owned()));
        assert_eq!(database(&there).to_string(), "pass: connected to shop@db:5432/shop");
        let away = Ok(Answer::Refused("connection refused".to_owned()));
        assert_eq!(database(&away).to_string(), "fail: connection refused");
    }
}
