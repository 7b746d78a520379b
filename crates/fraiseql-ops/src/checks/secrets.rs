//! No secret stands where settings stand.

use super::{CheckFinding, CheckList, Looked, PreflightCheck, fail, judged, pass, warn};

pub(super) const CHECK: PreflightCheck = PreflightCheck {
    name: "secrets",
    list: CheckList::Security,
    title: "secrets come from a store",
    why: "files of settings and environments are copied, dumped and shown; a store knows who asked",
    help: "refer to it: database.url = \"secret://vault/secret/shop#url\", or file:///run/secrets/url",
    mild: true,
};

/// A secret that is written out.
#[derive(Clone, Debug)]
pub struct PlainSecret {
    /// The setting.
    pub key: &'static str,
    /// Where it stands, without the secret.
    pub place: String,
    /// In an environment variable, which is better than a file or a command line.
    pub in_variable: bool,
}

/// Fails for secrets in files and on command lines, warns of those in variables.
pub fn secrets(plain: &Looked<Vec<PlainSecret>>) -> CheckFinding {
    judged(plain, |plain| {
        let told = |one: &PlainSecret| format!("{} stands in {}", one.key, one.place);
        let written: Vec<String> = plain.iter().filter(|one| !one.in_variable).map(told).collect();
        match (written.is_empty(), plain.is_empty()) {
            (false, _) => fail(written.join("; ")),
            (true, false) => warn(plain.iter().map(told).collect::<Vec<_>>().join("; ")),
            (true, true) => pass("no setting holds a secret itself"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_secret_fails_and_a_variable_is_a_warning() {
        let plain =
            |place: &str, in_variable| PlainSecret { key: "database.url", place: place.into(), in_variable };
        let told = |found: Vec<PlainSecret>| secrets(&Ok(found)).to_string();
        assert_eq!(told(vec![]), "pass: no setting holds a secret itself");
        assert_eq!(told(vec![plain("$DATABASE_URL", true)]), "warn: database.url stands in $DATABASE_URL");
        let both = vec![plain("$DATABASE_URL", true), plain("--database-url", false)];
        assert_eq!(told(both), "fail: database.url stands in --database-url");
    }
}
