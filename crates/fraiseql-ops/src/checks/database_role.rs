//! The role of the service may do no more than serve.

use super::{CheckFinding, CheckList, Looked, PreflightCheck, fail, judged, pass};

pub(super) const CHECK: PreflightCheck = PreflightCheck {
    name: "database-role",
    list: CheckList::Security,
    title: "the role of the service is least-privileged",
    why: "whatever gets past the service may do in the database what its role may",
    help: "run grants.sql of `fraiseql init` as the owner, and log in as the role that it makes",
    mild: true,
};

/// What the role may do, itself or by what it may become.
#[derive(Clone, Debug)]
pub struct GrantedRole {
    /// Its name.
    pub name: String,
    /// What it may do and should not.
    pub powers: Vec<&'static str>,
}

/// Fails when there is any such power.
pub fn database_role(role: &Looked<GrantedRole>) -> CheckFinding {
    judged(role, |GrantedRole { name, powers }| match powers.is_empty() {
        true => pass(format!("{name} is no superuser, passes no row security, makes no roles and databases")),
        false => fail(format!("{name} {}", powers.join(", "))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_fail() {
        let told = |powers| database_role(&Ok(GrantedRole { name: "shop".into(), powers })).to_string();
        assert!(told(vec![]).starts_with("pass: shop is no superuser"));
        assert_eq!(told(vec!["is a superuser", "makes roles"]), "fail: shop is a superuser, makes roles");
    }
}
