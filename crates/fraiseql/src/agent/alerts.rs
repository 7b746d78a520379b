//! Alerts that Alertmanager sends to its webhook receivers: a critical one declares an incident, others are
//! noted in the one that is open. What was heard before stands in the incident, so that repetitions, and an
//! agent that died, change nothing.

use fraiseql_incident::{
    Happening, Incident, IncidentError, IncidentEvent, IncidentSeverity, IncidentState, Incidents,
};
use serde_json::Value;

use crate::clock;

/// Who says so.
const NAME: &str = "alertmanager";
/// The version of the document that is understood.
const VERSION: &str = "4";
/// The most of one text that is kept; a title may not be much longer.
const TEXT_BYTES_MAX: usize = 160;
const ALERTS_MAX: usize = 100;
/// Alerts that tell of nothing: our own incidents, and the proof that the chain of alerts works.
const IGNORED: [&str; 2] = ["FraiseQLIncident", "Watchdog"];

/// What became of a document.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    /// The incident that was declared.
    pub(crate) declared: Option<u64>,
    /// How many alerts were noted.
    pub(crate) noted: usize,
}

/// Why a document was not taken.
#[derive(Debug)]
pub(crate) enum AlertError {
    /// It is none of Alertmanager's webhook, version 4, and why.
    Document(&'static str),
    /// It cannot be written down.
    Incident(IncidentError),
}

impl From<IncidentError> for AlertError {
    fn from(error: IncidentError) -> Self {
        Self::Incident(error)
    }
}

struct Alert<'d> {
    firing: bool,
    name: &'d str,
    severity: &'d str,
    summary: &'d str,
    fingerprint: &'d str,
}

/// Takes a document of Alertmanager's webhook.
///
/// # Errors
///
/// When it is none, and when an incident cannot be written.
pub(crate) fn hear(incidents: &Incidents, document: &Value) -> Result<Heard, AlertError> {
    if document["version"].as_str() != Some(VERSION) {
        return Err(AlertError::Document("it has no \"version\": \"4\""));
    }
    let alerts = document["alerts"].as_array().ok_or(AlertError::Document("it has no alerts"))?;
    let alerts: Vec<Alert<'_>> = alerts.iter().take(ALERTS_MAX).map(read).collect::<Result<_, _>>()?;
    let mut heard = Heard::default();
    for alert in alerts.iter().filter(|alert| !IGNORED.contains(&alert.name)) {
        take(incidents, alert, &mut heard)?;
    }
    Ok(heard)
}

fn read(alert: &Value) -> Result<Alert<'_>, AlertError> {
    let text = |value: &'_ Value| value.as_str().is_some_and(|text| !text.is_empty());
    let (name, fingerprint) = (&alert["labels"]["alertname"], &alert["fingerprint"]);
    if !text(name) || !text(fingerprint) {
        return Err(AlertError::Document("an alert has no name or no fingerprint"));
    }
    let annotations = &alert["annotations"];
    let summary = annotations["summary"].as_str().or(annotations["description"].as_str());
    Ok(Alert {
        firing: alert["status"].as_str() == Some("firing"),
        name: name.as_str().unwrap_or_default(),
        severity: alert["labels"]["severity"].as_str().unwrap_or_default(),
        summary: summary.unwrap_or_default(),
        fingerprint: fingerprint.as_str().unwrap_or_default(),
    })
}

fn take(incidents: &Incidents, alert: &Alert<'_>, heard: &mut Heard) -> Result<(), AlertError> {
    let all = incidents.list()?;
    let is_open = |incident: &&Incident| !matches!(incident.state, IncidentState::Resolved { .. });
    let open = all.iter().filter(is_open);
    let (fires, ends) = (alert.mark("fires"), alert.mark("has ended"));
    let last = |incident: &Incident| {
        incident.events.iter().rev().find_map(|event| match &event.what {
            Happening::Noted { text } if text.ends_with(&fires) => Some(true),
            Happening::Noted { text } if text.ends_with(&ends) => Some(false),
            _ => None,
        })
    };
    let known = open.clone().find_map(|incident| Some((incident.number, last(incident)?)));
    let note = |number: u64, mark: &str| {
        let text = format!("{}{mark}", alert.words());
        let event = IncidentEvent::new(clock::now_ms(), NAME, Happening::Noted { text })?;
        incidents.add(number, event)
    };
    match (alert.firing, known) {
        (true, Some((_, true))) | (false, None | Some((_, false))) => return Ok(()),
        (true, Some((number, false))) => note(number, &fires)?,
        (false, Some((number, true))) => note(number, &ends)?,
        (true, None) => match (open.clone().next(), alert.severity()) {
            (Some(incident), _) => note(incident.number, &fires)?,
            (None, Some(severity)) => {
                let what = Happening::Declared { severity, title: alert.words() };
                let number = incidents.declare(IncidentEvent::new(clock::now_ms(), NAME, what)?)?.number;
                heard.declared = Some(number);
                note(number, &fires)?
            }
            // A warning is no incident.
            (None, None) => return Ok(()),
        },
    };
    heard.noted += 1;
    Ok(())
}

impl Alert<'_> {
    fn severity(&self) -> Option<IncidentSeverity> {
        match self.severity {
            "critical" | "page" => Some(IncidentSeverity::Critical),
            "major" | "error" => Some(IncidentSeverity::Major),
            _ => None,
        }
    }

    /// Name and summary on one line.
    fn words(&self) -> String {
        let words = if self.summary.is_empty() {
            self.name.to_owned()
        } else {
            format!("{}: {}", self.name, self.summary)
        };
        let mut plain = words.replace(char::is_control, " ");
        plain.truncate(plain.floor_char_boundary(TEXT_BYTES_MAX));
        plain
    }

    /// By which it is known again: Alertmanager's name for the alert with its labels.
    fn mark(&self, what: &str) -> String {
        let known: String = self.fingerprint.chars().filter(char::is_ascii_alphanumeric).take(32).collect();
        format!(" ({what}, alert {known})")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document(status: &str, name: &str, severity: &str, fingerprint: &str) -> Value {
        json!({
            "version": "4", "groupKey": "{}:{}", "status": status, "receiver": "fraiseql",
            "alerts": [{
                "status": status, "labels": { "alertname": name, "severity": severity },
                "annotations": { "summary": "5 % of requests\nfail" }, "startsAt": "2026-01-26T14:03:00Z",
                "fingerprint": fingerprint,
            }],
        })
    }

    #[track_caller]
    fn check(incidents: &Incidents, document: &Value, declared: Option<u64>, noted: usize) {
        assert_eq!(hear(incidents, document).unwrap(), Heard { declared, noted });
    }

    #[test]
    fn alerts_become_incidents_once() {
        let folder = tempfile::tempdir().unwrap();
        let incidents = Incidents::in_state(folder.path());
        check(&incidents, &document("firing", "Slow", "warning", "a1"), None, 0);
        check(&incidents, &document("resolved", "HighErrorRate", "critical", "b2"), None, 0);
        check(&incidents, &document("firing", "Watchdog", "critical", "c3"), None, 0);
        check(&incidents, &document("firing", "FraiseQLIncident", "critical", "d4"), None, 0);
        check(&incidents, &document("firing", "HighErrorRate", "critical", "b2"), Some(1), 1);
        // As often as Alertmanager repeats it.
        check(&incidents, &document("firing", "HighErrorRate", "critical", "b2"), None, 0);
        check(&incidents, &document("firing", "Slow", "warning", "a1"), None, 1);
        check(&incidents, &document("resolved", "HighErrorRate", "critical", "b2"), None, 1);
        check(&incidents, &document("resolved", "HighErrorRate", "critical", "b2"), None, 0);
        check(&incidents, &document("firing", "HighErrorRate", "critical", "b2"), None, 1);
        let incident = incidents.find(1).unwrap();
        assert_eq!(incident.title, "HighErrorRate: 5 % of requests fail");
        let resolved = Happening::Resolved { text: "rolled back".to_owned() };
        incidents.add(1, IncidentEvent::new(clock::now_ms(), "ann", resolved).unwrap()).unwrap();
        check(&incidents, &document("firing", "HighErrorRate", "critical", "b2"), Some(2), 1);
        for wrong in [json!({}), json!({"version": "3"}), json!({"version": "4", "alerts": [{}]})] {
            assert!(matches!(hear(&incidents, &wrong), Err(AlertError::Document(_))), "{wrong}");
        }
    }

    /// As Alertmanager 0.25 sent them.
    const FIRES: &str = r#"{"receiver":"fraiseql","status":"firing","alerts":[{"status":"firing","labels":{"alertname":"HighErrorRate","severity":"critical"},"annotations":{"summary":"6 % of requests fail"},"startsAt":"2026-11-24T07:14:53.10837647Z","endsAt":"0001-01-01T00:00:00Z","generatorURL":"","fingerprint":"087036d1e9d728e4"}],"groupLabels":{},"commonLabels":{"alertname":"HighErrorRate","severity":"critical"},"commonAnnotations":{"summary":"6 % of requests fail"},"externalURL":"http://am:9093","version":"4","groupKey":"{}:{}","truncatedAlerts":0}"#;
    const ENDED: &str = r#"{"receiver":"fraiseql","status":"resolved","alerts":[{"status":"resolved","labels":{"alertname":"HighErrorRate","severity":"critical"},"annotations":{"summary":"6 % of requests fail"},"startsAt":"2026-11-24T07:14:53.10837647Z","endsAt":"2026-11-24T07:14:57Z","generatorURL":"","fingerprint":"087036d1e9d728e4"}],"groupLabels":{},"commonLabels":{"alertname":"HighErrorRate","severity":"critical"},"commonAnnotations":{"summary":"6 % of requests fail"},"externalURL":"http://am:9093","version":"4","groupKey":"{}:{}","truncatedAlerts":0}"#;

    #[test]
    fn what_alertmanager_sends_is_understood() {
        let folder = tempfile::tempdir().unwrap();
        let incidents = Incidents::in_state(folder.path());
        let document = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        check(&incidents, &document(FIRES), Some(1), 1);
        check(&incidents, &document(ENDED), None, 1);
        let noted = incidents.find(1).unwrap().events.pop().map(|event| event.what);
        let text = "HighErrorRate: 6 % of requests fail (has ended, alert 087036d1e9d728e4)".to_owned();
        assert_eq!(noted, Some(Happening::Noted { text }));
    }
}
