//! No setting of PostgreSQL gives up what was committed, or lets tables rot.

use super::{CheckFinding, CheckList, Looked, PreflightCheck, fail, judged, pass, warn};

pub(super) const CHECK: PreflightCheck = PreflightCheck {
    name: "database-settings",
    list: CheckList::Infrastructure,
    title: "no settings of PostgreSQL that lose data",
    why: "without fsync or full_page_writes a power cut destroys the cluster; without autovacuum tables bloat until the database stops",
    help: "ALTER SYSTEM RESET each of them, then SELECT pg_reload_conf()",
    mild: true,
};

/// What must be on.
pub(super) const ON: &[&str] = &["fsync", "full_page_writes", "autovacuum", "track_counts"];

/// Judges names and values of `pg_settings`.
pub fn database_settings(found: &Looked<Vec<(String, String)>>) -> CheckFinding {
    judged(found, |found| {
        let value =
            |wanted: &str| found.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
        let off: Vec<String> = ON
            .iter()
            .filter_map(|name| match value(name) {
                Some("on") => None,
                Some(value) => Some(format!("{name} = {value}")),
                None => Some(format!("{name} is not told")),
            })
            .collect();
        if !off.is_empty() {
            return fail(off.join(", "));
        }
        match value("synchronous_commit") {
            Some("off") => warn("synchronous_commit = off: the last commits are lost with the server"),
            _ => pass(format!("on: {}", ON.join(", "))),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(changed: &[(&str, &str)], expected: &str) {
        let mut found: Vec<(String, String)> =
            ON.iter().map(|name| ((*name).to_owned(), "on".to_owned())).collect();
        for (name, value) in changed {
            found.retain(|(present, _)| present != name);
            found.push(((*name).to_owned(), (*value).to_owned()));
        }
        assert_eq!(database_settings(&Ok(found)).to_string(), expected);
    }

    #[test]
    fn what_loses_data_fails() {
        check(&[], "pass: on: fsync, full_page_writes, autovacuum, track_counts");
        check(&[("fsync", "off")], "fail: fsync = off");
        check(&[("fsync", "off"), ("autovacuum", "off")], "fail: fsync = off, autovacuum = off");
        check(
            &[("synchronous_commit", "off")],
            "warn: synchronous_commit = off: the last commits are lost with the server",
        );
    }

    #[test]
    fn what_is_not_told_is_not_passed() {
        assert!(database_settings(&Ok(vec![])).to_string().starts_with("fail: fsync is not told"));
    }
}
