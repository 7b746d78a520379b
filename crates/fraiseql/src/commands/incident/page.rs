//! Pages people on call about an incident, by every channel that the settings name.

use std::time::Duration;

use fraiseql_incident::{
    Happening, Incident, IncidentEvent, Incidents, PageChannel, PageContext, follow_up, page, paged_of,
    why_not,
};
use fraiseql_model::errors;
use fraiseql_model::secret::Secret;
use fraiseql_model::settings::Settings;
use serde_json::{Value, json};

use crate::clock;
use crate::endpoint::Endpoint;
use crate::failure::Failure;
use crate::secrets;

/// How long a channel may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// What is waited before another attempt.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(4)];

/// How to page.
#[derive(Clone, Debug)]
pub(crate) struct Paging {
    /// Of which service; the settings' when nobody says so.
    pub(crate) service: Option<String>,
    /// Also who was paged a moment ago, and when somebody looks after it.
    pub(crate) again: bool,
    /// Who pages.
    pub(crate) by: String,
}

/// What became of a channel.
#[derive(Debug)]
pub(crate) struct Reached {
    pub(crate) channel: PageChannel,
    /// What was sent, or would be, without secrets.
    pub(crate) document: Value,
    pub(crate) outcome: PageOutcome,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PageOutcome {
    Sent,
    /// The same, and it could not be written down.
    SentUnrecorded(String),
    /// Nobody is to be paged by it now.
    Left(String),
    Failed(String),
    /// Of a dry run.
    WouldBeSent,
}

impl PageOutcome {
    pub(crate) fn in_words(&self) -> String {
        match self {
            Self::Sent => "paged".to_owned(),
            Self::SentUnrecorded(why) => format!("paged, but not written down: {why}"),
            Self::Left(why) => format!("not paged: {why}"),
            Self::Failed(why) => format!("NOT REACHED: {why}"),
            Self::WouldBeSent => "would be paged".to_owned(),
        }
    }
}

/// A channel with where it is.
struct Line {
    channel: PageChannel,
    url: String,
    key: Option<Secret>,
}

/// Pages by each channel, and writes down who was. Fails when no channel is configured, or a secret is
/// not to be had.
pub(crate) async fn page_people(
    settings: &Settings,
    incidents: &Incidents,
    (number, paging, dry_run): (u64, &Paging, bool),
) -> Result<Vec<Reached>, Failure> {
    let lines = lines(settings, dry_run).await?;
    let incident = incidents.find_or_newest(Some(number))?;
    let service = paging.service.as_deref().or(settings.text("oncall.service")).unwrap_or("fraiseql");
    let (host, at_s) = (host(), incident.declared_ms / 1_000);
    let declared = (clock::shown(at_s), format!("{}Z", clock::shown(at_s).replace(' ', "T")));
    let context = PageContext { service, host: &host, declared: (&declared.0, &declared.1) };
    // All at once: one that hangs holds back nobody.
    let paging_all = lines.iter().map(async |line| {
        let document = page(&incident, line.channel, &context);
        let why = why_not(&incident, line.channel, clock::now_ms()).filter(|_| !paging.again);
        let outcome = match why {
            Some(why) => PageOutcome::Left(why),
            None if dry_run => PageOutcome::WouldBeSent,
            None => send(line, document.clone()).await,
        };
        let outcome = match outcome {
            PageOutcome::Sent => note(incidents, &incident, (line.channel, service), &paging.by),
            outcome => outcome,
        };
        Reached { channel: line.channel, document, outcome }
    });
    Ok(futures_util::future::join_all(paging_all).await)
}

/// Tells everybody who was paged that somebody looks after the incident, or has resolved it; returns what
/// could not be told, a line each.
pub(crate) async fn tell_people(settings: &Settings, incident: &Incident) -> Result<Vec<String>, Failure> {
    let paged = |channel: &PageChannel| paged_of(incident, *channel).is_some();
    if !PageChannel::ALL.iter().any(paged) {
        return Ok(Vec::new());
    }
    let (host, at_s) = (host(), incident.declared_ms / 1_000);
    let rfc3339 = |shown: String| format!("{}Z", shown.replace(' ', "T"));
    let (declared, ended) = (clock::shown(at_s), rfc3339(clock::shown(clock::now_ms() / 1_000)));
    let declared = (declared.clone(), rfc3339(declared));
    let lines = lines(settings, false).await?;
    let telling = lines.iter().map(async |line| {
        let service = paged_of(incident, line.channel)?;
        let context = PageContext { service, host: &host, declared: (&declared.0, &declared.1) };
        let document = follow_up(incident, line.channel, &context, &ended)?;
        match send(line, document).await {
            PageOutcome::Failed(why) => Some(format!("{} is not told: {why}", line.channel.as_str())),
            _ => None,
        }
    });
    Ok(futures_util::future::join_all(telling).await.into_iter().flatten().collect())
}

/// People are awake whatever becomes of the record; but then they may be called twice, and that is told.
fn note(
    incidents: &Incidents,
    incident: &Incident,
    (channel, service): (PageChannel, &str),
    by: &str,
) -> PageOutcome {
    let what = Happening::Paged { channel: channel.as_str().to_owned(), service: service.to_owned() };
    let event = IncidentEvent::new(clock::now_ms(), by, what);
    match event.and_then(|event| incidents.add(incident.number, event)) {
        Ok(_) => PageOutcome::Sent,
        Err(error) => PageOutcome::SentUnrecorded(error.to_string()),
    }
}

/// Returns the channels that the settings name. A dry run follows no reference.
async fn lines(settings: &Settings, dry_run: bool) -> Result<Vec<Line>, Failure> {
    let resolver = secrets::resolver(settings)?;
    let secret = async |key: &str| match settings.secret(key) {
        Some(_) if dry_run => Ok(Some(Secret::new("unread".to_owned()))),
        _ => secrets::value(&resolver, settings, key).await,
    };
    let mut lines = Vec::new();
    if let Some(url) = secret("oncall.webhook_url").await? {
        lines.push(Line { channel: PageChannel::Webhook, url: url.expose().to_owned(), key: None });
    }
    if let Some(key) = secret("oncall.pagerduty_key").await? {
        let url = settings.text("oncall.pagerduty_url").unwrap_or_default().to_owned();
        lines.push(Line { channel: PageChannel::PagerDuty, url, key: Some(key) });
    }
    if let Some(url) = settings.text("monitoring.alertmanager_url") {
        let url = format!("{}/api/v2/alerts", url.trim_end_matches('/'));
        lines.push(Line { channel: PageChannel::Alertmanager, url, key: None });
    }
    if lines.is_empty() {
        let message = "page people on call: no channel is configured";
        let hint = "set oncall.webhook_url, oncall.pagerduty_key or monitoring.alertmanager_url";
        return Err(Failure::new(&errors::CFG_MISSING, message).hint(hint));
    }
    Ok(lines)
}

async fn send(line: &Line, mut document: Value) -> PageOutcome {
    if let (Some(key), Some(members)) = (&line.key, document.as_object_mut()) {
        members.insert("routing_key".to_owned(), json!(key.expose()));
    }
    // The address may be the secret: nothing that names it is shown.
    let Ok(endpoint) = Endpoint::new(&line.url, &[]) else {
        return PageOutcome::Failed("its address is no URL of HTTP".to_owned());
    };
    let mut pauses = PAUSES.iter();
    loop {
        let (why, lasting) = match endpoint.post(ANSWER_MAX, &document).await {
            Ok(status) if status.is_success() => return PageOutcome::Sent,
            Ok(status) => {
                (format!("it answers {status}"), status.is_client_error() && status.as_u16() != 429)
            }
            Err(failure) => {
                let why = failure.causes.first().cloned();
                (why.unwrap_or_else(|| format!("no answer within {} s", ANSWER_MAX.as_secs())), false)
            }
        };
        match pauses.next().filter(|_| !lasting) {
            Some(pause) => tokio::time::sleep(*pause).await,
            None => return PageOutcome::Failed(why),
        }
    }
}

fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "unknown".to_owned(),
        name => name.to_owned(),
    }
}
