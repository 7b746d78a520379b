//! Each reference to a secret leads to one.

use super::{CheckFinding, CheckList, Looked, PreflightCheck, fail, judged, pass};

pub(super) const CHECK: PreflightCheck = PreflightCheck {
    name: "secret-store",
    list: CheckList::Security,
    title: "the store of secrets answers",
    why: "without its secrets the service does not start again",
    help: "`fraiseql secret check` tells what each store says",
    mild: false,
};

/// A reference that was followed; the secret itself is not kept.
#[derive(Clone, Debug)]
pub struct FollowedReference {
    /// The setting.
    pub key: &'static str,
    /// Why it leads nowhere.
    pub failed: Option<String>,
}

/// Fails when one leads nowhere.
pub fn secret_store(followed: &Looked<Vec<FollowedReference>>) -> CheckFinding {
    judged(followed, |followed| {
        let told =
            |one: &FollowedReference| one.failed.as_ref().map(|reason| format!("{}: {reason}", one.key));
        let failed: Vec<String> = followed.iter().filter_map(told).collect();
        match failed.is_empty() {
            true => pass(format!("{} references lead to a secret", followed.len())),
            false => fail(failed.join("; ")),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_that_leads_nowhere_fails() {
        let told = |failed: Option<&str>| {
            let failed = failed.map(str::to_owned);
            secret_store(&Ok(vec![FollowedReference { key: "database.url", failed }])).to_string()
        };
        assert_eq!(told(None), "pass: 1 references lead to a secret");
        assert_eq!(told(Some("sealed")), "fail: database.url: sealed");
    }
}
