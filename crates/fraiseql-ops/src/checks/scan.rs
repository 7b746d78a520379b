//! The release was scanned for known weaknesses.

use super::{CheckFinding, CheckList, Looked, PreflightCheck, fail, judged, pass, warn};

pub(super) const CHECK: PreflightCheck = PreflightCheck {
    name: "security-scan",
    list: CheckList::Release,
    title: "security scan passed",
    why: "known weaknesses are tried first",
    help: "scan the image and the dependencies before you deploy; no command attests a report of it yet, so the warning stays",
    mild: true,
};

use std::collections::BTreeMap;

/// Severities that must not be found.
const BAD: &[&str] = &["critical", "high"];

/// Judges findings by severity of the newest scan; `None` is none.
pub fn scan(found: &Looked<Option<BTreeMap<String, u64>>>) -> CheckFinding {
    judged(found, |found| {
        let Some(found) = found else { return warn("no scan is attested") };
        let told = |(severity, count): (&String, &u64)| format!("{count} {severity}");
        let all: Vec<String> = found.iter().filter(|(_, count)| **count > 0).map(told).collect();
        let bad = |(severity, count): (&String, &u64)| {
            *count > 0 && BAD.contains(&severity.to_lowercase().as_str())
        };
        match (found.iter().any(bad), all.is_empty()) {
            (true, _) => fail(all.join(", ")),
            (false, true) => pass("nothing was found"),
            (false, false) => pass(format!("nothing bad was found: {}", all.join(", "))),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_weaknesses_fail() {
        let told = |found: &[(&str, u64)]| {
            let found = found.iter().map(|(severity, count)| ((*severity).to_owned(), *count)).collect();
            scan(&Ok(Some(found))).to_string()
        };
        assert_eq!(told(&[]), "pass: nothing was found");
        assert_eq!(told(&[("low", 2)]), "pass: nothing bad was found: 2 low");
        assert_eq!(told(&[("High", 1), ("low", 2)]), "fail: 1 High, 2 low");
        assert_eq!(scan(&Ok(None)).to_string(), "warn: no scan is attested");
    }
}
