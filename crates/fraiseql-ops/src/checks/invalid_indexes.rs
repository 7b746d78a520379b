//! No index is left over from a build that failed.

use super::{CheckFinding, CheckList, Looked, PreflightCheck, fail, judged, pass};

pub(super) const CHECK: PreflightCheck = PreflightCheck {
    name: "invalid-indexes",
    list: CheckList::Infrastructure,
    title: "no invalid index",
    why: "an invalid index slows each write and helps no query; a unique one does not keep anything unique",
    help: "DROP INDEX CONCURRENTLY it, and build it again; `fraiseql migrate run` does so by itself",
    mild: true,
};

/// How many are named.
const NAMED_MAX: usize = 5;

/// Judges the names of indexes that are not valid and that nobody builds now.
pub fn invalid_indexes(found: &Looked<Vec<String>>) -> CheckFinding {
    judged(found, |found| {
        if found.is_empty() {
            return pass("none");
        }
        let named: Vec<&str> = found.iter().take(NAMED_MAX).map(String::as_str).collect();
        fail(format!("{}: {}", found.len(), named.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_one_fails() {
        assert_eq!(invalid_indexes(&Ok(vec![])).to_string(), "pass: none");
        let found = vec!["public.artist_name".to_owned()];
        assert_eq!(invalid_indexes(&Ok(found)).to_string(), "fail: 1: public.artist_name");
    }
}
