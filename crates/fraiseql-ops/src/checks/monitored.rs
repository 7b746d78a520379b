//! Somebody watches: Prometheus scrapes, has the alerts, and can send them.

use super::{Answer, CheckFinding, CheckList, Looked, PreflightCheck, fail, judged, pass};

pub(super) const CHECK: PreflightCheck = PreflightCheck {
    name: "monitoring",
    list: CheckList::Infrastructure,
    title: "scraped by Prometheus, with alerts that reach somebody",
    why: "what nobody watches is found broken by its users",
    help: "`fraiseql monitoring export`, start Prometheus with it, and set monitoring.prometheus_url and monitoring.alertmanager_url",
    mild: true,
};

/// The job and the alert of `monitoring export`.
const JOB: &str = "fraiseql";
const ALERT: &str = "ServiceDown";

/// What Prometheus and Alertmanager say.
#[derive(Clone, Debug)]
pub struct MonitoringFacts {
    /// Jobs of the active targets, and whether each is up.
    pub targets: Vec<(String, bool)>,
    /// Names of the alerts that are loaded.
    pub alerts: Vec<String>,
    /// Whether Alertmanager answers; `None` when its address is not set.
    pub alertmanager: Option<Answer<()>>,
}

/// Fails when a link of the chain is missing.
pub fn monitoring(facts: &Looked<Answer<MonitoringFacts>>) -> CheckFinding {
    judged(facts, |facts| match facts {
        Answer::Refused(reason) => fail(format!("Prometheus does not answer: {reason}")),
        Answer::Given(facts) => {
            let ours: Vec<bool> =
                facts.targets.iter().filter(|(job, _)| job == JOB).map(|(_, up)| *up).collect();
            if ours.is_empty() {
                return fail(format!("Prometheus has no target of the job {JOB}"));
            }
            if ours.contains(&false) {
                return fail("Prometheus cannot scrape the service");
            }
            if !facts.alerts.iter().any(|alert| alert == ALERT) {
                return fail(format!("Prometheus has not loaded the alert {ALERT}"));
            }
            match &facts.alertmanager {
                Some(Answer::Refused(reason)) => fail(format!("Alertmanager does not answer: {reason}")),
                Some(Answer::Given(())) => {
                    pass(format!("scraped, {} alerts are loaded, Alertmanager answers", facts.alerts.len()))
                }
                None => pass(format!(
                    "scraped, {} alerts are loaded; monitoring.alertmanager_url is not set",
                    facts.alerts.len()
                )),
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(up: Option<bool>, alerts: &[&str], alertmanager: Option<Answer<()>>, expected: &str) {
        let facts = MonitoringFacts {
            targets: up.map(|up| (JOB.to_owned(), up)).into_iter().collect(),
            alerts: alerts.iter().map(|alert| (*alert).to_owned()).collect(),
            alertmanager,
        };
        assert_eq!(monitoring(&Ok(Answer::Given(facts))).to_string(), expected);
    }

    #[test]
    fn each_missing_link_fails() {
        let reached = || Some(Answer::Given(()));
        check(Some(true), &[ALERT], reached(), "pass: scraped, 1 alerts are loaded, Alertmanager answers");
        let unset = "pass: scraped, 1 alerts are loaded; monitoring.alertmanager_url is not set";
        check(Some(true), &[ALERT], None, unset);
        check(None, &[ALERT], None, "fail: Prometheus has no target of the job fraiseql");
        check(Some(false), &[ALERT], None, "fail: Prometheus cannot scrape the service");
        check(Some(true), &["other"], None, "fail: Prometheus has not loaded the alert ServiceDown");
        let away = Some(Answer::Refused("refused".to_owned()));
        check(Some(true), &[ALERT], away, "fail: Alertmanager does not answer: refused");
    }
}
