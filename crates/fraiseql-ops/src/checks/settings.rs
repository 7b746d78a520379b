//! The settings are complete and meant.

use super::{CheckFinding, CheckList, Looked, PreflightCheck, fail, judged, pass, warn};

pub(super) const CHECK: PreflightCheck = PreflightCheck {
    name: "settings",
    list: CheckList::Configuration,
    title: "settings complete",
    why: "a name with a slip is passed over by the shell, and the default holds instead",
    help: "server.profile = \"production\" for production; `fraiseql config show` tells what is in force",
    mild: true,
};

/// What the settings say of themselves.
#[derive(Clone, Debug)]
pub struct SettingsFacts {
    /// `server.profile` is `production`.
    pub production: bool,
    /// Set variables that begin as ours and that no setting has.
    pub unknown_variables: Vec<String>,
}

/// Fails without the profile of production, warns of variables that nobody reads.
pub fn settings(facts: &Looked<SettingsFacts>) -> CheckFinding {
    judged(facts, |facts| match facts.production {
        _ if !facts.unknown_variables.is_empty() => {
            warn(format!("no setting reads {}", facts.unknown_variables.join(", ")))
        }
        true => pass("all are understood, server.profile is production"),
        false => fail("server.profile is not production: what is dangerous there is allowed"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_profile_fails_and_a_slip_is_a_warning() {
        let told = |production, unknown: &[&str]| {
            let unknown_variables = unknown.iter().map(|name| (*name).to_owned()).collect();
            settings(&Ok(SettingsFacts { production, unknown_variables })).to_string()
        };
        assert_eq!(told(true, &[]), "pass: all are understood, server.profile is production");
        assert!(told(false, &[]).starts_with("fail: server.profile is not production"));
        assert_eq!(told(true, &["FRAISEQL_PRT"]), "warn: no setting reads FRAISEQL_PRT");
    }
}
