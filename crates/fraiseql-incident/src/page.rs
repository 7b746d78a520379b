//! What is sent to people on call. Pure: an incident in, documents out.

use serde_json::{Value, json};

use crate::incident::{Happening, Incident, IncidentSeverity, IncidentState};

/// Whoever was paged a shorter time ago is not paged again for the same incident, in milliseconds.
const AGAIN_MS: u64 = 300_000;

/// A way to people on call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PageChannel {
    /// A webhook that takes what Slack's take: `{"text": ...}`.
    Webhook,
    /// PagerDuty's Events API, version 2.
    PagerDuty,
    /// Alertmanager's API, version 2.
    Alertmanager,
}

impl PageChannel {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Webhook, Self::PagerDuty, Self::Alertmanager];

    /// Returns its name, as incidents keep it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::PagerDuty => "pagerduty",
            Self::Alertmanager => "alertmanager",
        }
    }
}

/// What stands in every page beside the incident.
#[derive(Clone, Copy, Debug)]
pub struct PageContext<'a> {
    /// The service that it is about.
    pub service: &'a str,
    /// The machine that says so.
    pub host: &'a str,
    /// When the incident was declared, as people read it and as RFC 3339.
    pub declared: (&'a str, &'a str),
}

/// Returns the document for a channel. PagerDuty's `routing_key` is missing: it is a secret.
///
/// PagerDuty and Alertmanager know by what is in it that two of them are the same incident.
pub fn page(incident: &Incident, channel: PageChannel, context: &PageContext<'_>) -> Value {
    let PageContext { service, host, declared } = *context;
    let (number, title, severity) = (incident.number, &incident.title, incident.severity.as_str());
    match channel {
        PageChannel::Webhook => json!({
            "text": format!(
                "{severity}: {title}\nincident {number} of {service} on {host}, declared {} UTC", declared.0
            ),
        }),
        PageChannel::PagerDuty => json!({
            "event_action": "trigger",
            "dedup_key": dedup_key(number, service, host),
            "client": "fraiseql",
            "payload": {
                "summary": title,
                "source": host,
                "severity": match incident.severity {
                    IncidentSeverity::Critical => "critical",
                    IncidentSeverity::Major => "error",
                    IncidentSeverity::Minor => "warning",
                },
                "component": service,
                "timestamp": declared.1,
            },
        }),
        PageChannel::Alertmanager => json!([{
            "labels": {
                "alertname": "FraiseQLIncident",
                "severity": severity,
                "service": service,
                "instance": host,
                "incident": number.to_string(),
            },
            "annotations": { "summary": title },
            "startsAt": declared.1,
        }]),
    }
}

/// Returns what a channel by which people were paged is told when somebody looks after the incident, or
/// has resolved it, and of which service they were paged; `None` where there is nothing to tell.
///
/// `ended` is when it was resolved, as RFC 3339; the alert of Alertmanager ends with it.
pub fn follow_up(
    incident: &Incident,
    channel: PageChannel,
    context: &PageContext<'_>,
    ended: &str,
) -> Option<Value> {
    let PageContext { service, host, .. } = *context;
    let (number, title) = (incident.number, &incident.title);
    let (action, words) = match &incident.state {
        IncidentState::Open => return None,
        IncidentState::Acknowledged { by, .. } => ("acknowledge", format!("{by} looks after it")),
        IncidentState::Resolved { by, .. } => ("resolve", format!("resolved by {by}")),
    };
    match channel {
        PageChannel::Webhook => {
            Some(json!({ "text": format!("{words}: {title}\nincident {number} of {service} on {host}") }))
        }
        PageChannel::PagerDuty => {
            Some(json!({ "event_action": action, "dedup_key": dedup_key(number, service, host) }))
        }
        // Alertmanager knows silences, and nobody who looks after something.
        PageChannel::Alertmanager if action == "acknowledge" => None,
        PageChannel::Alertmanager => {
            let mut alerts = page(incident, channel, context);
            alerts[0]["endsAt"] = json!(ended);
            Some(alerts)
        }
    }
}

/// Returns the service of which people were last paged by a channel; `None` when they were not.
pub fn paged_of(incident: &Incident, channel: PageChannel) -> Option<&str> {
    incident.events.iter().rev().find_map(|event| match &event.what {
        Happening::Paged { channel: by, service } if by == channel.as_str() => Some(service.as_str()),
        _ => None,
    })
}

fn dedup_key(number: u64, service: &str, host: &str) -> String {
    format!("fraiseql/{host}/{service}/{number}")
}

/// Returns why nobody is to be paged by this channel now; `None` when somebody is.
pub fn why_not(incident: &Incident, channel: PageChannel, now_ms: u64) -> Option<String> {
    match &incident.state {
        IncidentState::Acknowledged { by, .. } => return Some(format!("{by} looks after it")),
        IncidentState::Resolved { by, .. } => return Some(format!("{by} has resolved it")),
        IncidentState::Open => {}
    }
    let paged = incident.events.iter().rev().find_map(|event| match &event.what {
        Happening::Paged { channel: by, .. } if by == channel.as_str() => Some(event.at_ms),
        _ => None,
    })?;
    let since_s = now_ms.saturating_sub(paged) / 1_000;
    (now_ms.saturating_sub(paged) < AGAIN_MS).then(|| format!("it was, {since_s} s ago"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::IncidentEvent;

    fn incident(more: &[(u64, Happening)]) -> Incident {
        let title = "error spike".to_owned();
        let declared = Happening::Declared { severity: IncidentSeverity::Major, title };
        let events = std::iter::once((1_000, declared)).chain(more.iter().cloned());
        let events = events.map(|(at_ms, what)| IncidentEvent::new(at_ms, "ann", what).unwrap());
        Incident::of(3, events.collect()).unwrap()
    }

    #[test]
    fn each_channel_gets_what_it_understands() {
        let context = PageContext {
            service: "shop",
            host: "db1",
            declared: ("2026-01-26 14:03:00", "2026-01-26T14:03:00Z"),
        };
        let incident = incident(&[]);
        let page = |channel| page(&incident, channel, &context);
        assert_eq!(
            page(PageChannel::Webhook),
            json!({ "text": "major: error spike\nincident 3 of shop on db1, declared 2026-01-26 14:03:00 UTC" })
        );
        let sent = page(PageChannel::PagerDuty);
        assert_eq!(
            (&sent["dedup_key"], &sent["payload"]["severity"]),
            (&json!("fraiseql/db1/shop/3"), &json!("error"))
        );
        assert_eq!(page(PageChannel::Alertmanager)[0]["labels"]["incident"], json!("3"));
    }

    #[test]
    fn who_was_paged_is_told_how_it_goes_on() {
        let declared = ("2026-01-26 14:03:00", "2026-01-26T14:03:00Z");
        let context = PageContext { service: "shop", host: "db1", declared };
        let told = |more: &[(u64, Happening)], channel| {
            follow_up(&incident(more), channel, &context, "2026-01-26T14:20:00Z")
        };
        let resolved = || Happening::Resolved { text: "rolled back".to_owned() };
        assert_eq!(told(&[], PageChannel::PagerDuty), None);
        let taken = told(&[(2, Happening::Acknowledged)], PageChannel::PagerDuty).unwrap();
        assert_eq!(taken, json!({ "event_action": "acknowledge", "dedup_key": "fraiseql/db1/shop/3" }));
        assert_eq!(told(&[(2, Happening::Acknowledged)], PageChannel::Alertmanager), None);
        let over = told(&[(2, resolved())], PageChannel::Alertmanager).unwrap();
        assert_eq!(
            (&over[0]["labels"]["incident"], &over[0]["endsAt"]),
            (&json!("3"), &json!("2026-01-26T14:20:00Z"))
        );
        let text = told(&[(2, resolved())], PageChannel::Webhook).unwrap();
        assert_eq!(text["text"], "resolved by ann: error spike\nincident 3 of shop on db1");
    }

    #[test]
    fn nobody_is_woken_twice_or_when_somebody_is_awake() {
        let paged = Happening::Paged { channel: "webhook".to_owned(), service: "shop".to_owned() };
        let told = |more: &[(u64, Happening)], now_ms| why_not(&incident(more), PageChannel::Webhook, now_ms);
        assert_eq!(told(&[], 2_000), None);
        let once = [(2_000, paged)];
        assert_eq!(told(&once, 42_000).as_deref(), Some("it was, 40 s ago"));
        assert_eq!(told(&once, 302_000), None);
        assert_eq!(why_not(&incident(&once), PageChannel::PagerDuty, 42_000), None);
        let taken = [(3_000, Happening::Acknowledged)];
        assert_eq!(told(&taken, 400_000).as_deref(), Some("ann looks after it"));
    }
}
