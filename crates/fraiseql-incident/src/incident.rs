//! What an incident is, made of what was written down of it.
//!
//! Pure on purpose: no clock and no files. The same events always make the same incident.

use serde::{Deserialize, Serialize};

use crate::error::IncidentError;

/// The longest title or name, in bytes.
const LINE_BYTES_MAX: usize = 200;
/// The longest note, in bytes.
const NOTE_BYTES_MAX: usize = 4_000;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncidentSeverity {
    /// Clients cannot work.
    Critical,
    /// Some clients fail, or all are slow.
    Major,
    /// Somebody should look.
    Minor,
}

impl IncidentSeverity {
    /// Returns its name as it is typed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Major => "major",
            Self::Minor => "minor",
        }
    }

    /// Reads a name; says which there are when it is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        [Self::Critical, Self::Major, Self::Minor]
            .into_iter()
            .find(|severity| severity.as_str() == text)
            .ok_or_else(|| "write critical, major or minor".to_owned())
    }
}

/// What somebody did about an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Happening {
    /// It began. Always the first, and only the first.
    Declared {
        /// How bad it is.
        severity: IncidentSeverity,
        /// What is wrong, on one line.
        title: String,
    },
    /// Somebody looks after it.
    Acknowledged,
    /// Something was seen, decided or done.
    Noted {
        /// What.
        text: String,
    },
    /// People on call were told.
    Paged {
        /// By which channel.
        channel: String,
        /// Of which service.
        service: String,
    },
    /// It is over.
    Resolved {
        /// How.
        text: String,
    },
}

impl Happening {
    /// Checks what people have typed.
    pub(crate) fn check(&self) -> Result<(), IncidentError> {
        match self {
            Self::Declared { title, .. } => checked("title", title, LINE_BYTES_MAX),
            Self::Acknowledged => Ok(()),
            Self::Noted { text } => checked("note", text, NOTE_BYTES_MAX),
            Self::Paged { channel, service } => {
                checked("channel", channel, LINE_BYTES_MAX)?;
                checked("service", service, LINE_BYTES_MAX)
            }
            Self::Resolved { text } => checked("resolution", text, NOTE_BYTES_MAX),
        }
    }

    /// Returns it in words.
    pub fn in_words(&self) -> String {
        match self {
            Self::Declared { severity, title } => format!("declared {}: {title}", severity.as_str()),
            Self::Acknowledged => "acknowledged".to_owned(),
            Self::Noted { text } => text.clone(),
            Self::Paged { channel, service } => format!("paged by {channel}: {service}"),
            Self::Resolved { text } => format!("resolved: {text}"),
        }
    }
}

/// A line of an incident's file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IncidentEvent {
    /// The format of the line.
    pub format: u32,
    /// When, in milliseconds since the epoch of Unix.
    pub at_ms: u64,
    /// Who.
    pub by: String,
    /// What.
    pub what: Happening,
}

impl IncidentEvent {
    /// The format that this program writes, and the only one that it reads.
    pub(crate) const FORMAT: u32 = 1;

    /// Makes an event of now. Fails when the name or the text is empty, too long or of several lines.
    pub fn new(at_ms: u64, by: &str, what: Happening) -> Result<Self, IncidentError> {
        checked("name", by, LINE_BYTES_MAX)?;
        what.check()?;
        Ok(Self { format: Self::FORMAT, at_ms, by: by.to_owned(), what })
    }
}

/// How far an incident is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum IncidentState {
    /// Nobody looks after it.
    Open,
    /// Somebody does.
    Acknowledged {
        /// Who did so last.
        by: String,
        /// When they said so.
        at_ms: u64,
    },
    /// It is over.
    Resolved {
        /// Who said so.
        by: String,
        /// When.
        at_ms: u64,
    },
}

/// An incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Incident {
    /// Its number, from 1.
    pub number: u64,
    /// How bad it is.
    pub severity: IncidentSeverity,
    /// What is wrong.
    pub title: String,
    /// When it was declared, in milliseconds since the epoch of Unix.
    pub declared_ms: u64,
    /// How far it is.
    pub state: IncidentState,
    /// All that was written down, the oldest first.
    pub events: Vec<IncidentEvent>,
}

impl Incident {
    /// Makes an incident of its events. Returns the index of the first event that cannot stand where it stands.
    pub(crate) fn of(number: u64, events: Vec<IncidentEvent>) -> Result<Self, usize> {
        let Some(IncidentEvent { what: Happening::Declared { severity, title }, at_ms, .. }) = events.first()
        else {
            return Err(0);
        };
        let (severity, title, declared_ms) = (*severity, title.clone(), *at_ms);
        let mut state = IncidentState::Open;
        for (index, event) in events.iter().enumerate().skip(1) {
            let (by, at_ms) = (event.by.clone(), event.at_ms);
            match (&event.what, &state) {
                (Happening::Noted { .. } | Happening::Paged { .. }, _) => {}
                (Happening::Declared { .. }, _) | (_, IncidentState::Resolved { .. }) => return Err(index),
                (Happening::Acknowledged, _) => state = IncidentState::Acknowledged { by, at_ms },
                (Happening::Resolved { .. }, _) => state = IncidentState::Resolved { by, at_ms },
            }
        }
        Ok(Self { number, severity, title, declared_ms, state, events })
    }

    /// Fails when this may not happen any more: what is resolved can only be noted upon.
    pub(crate) fn admits(&self, what: &Happening) -> Result<(), IncidentError> {
        let action = match what {
            Happening::Noted { .. } | Happening::Paged { .. } => return Ok(()),
            Happening::Acknowledged => "acknowledge",
            Happening::Resolved { .. } => "resolve",
            Happening::Declared { .. } => "declare again",
        };
        match &self.state {
            IncidentState::Resolved { by, .. } => {
                Err(IncidentError::Over { action, number: self.number, by: by.clone() })
            }
            IncidentState::Open | IncidentState::Acknowledged { .. } => Ok(()),
        }
    }
}

fn checked(what: &'static str, text: &str, bytes_max: usize) -> Result<(), IncidentError> {
    let reason = if text.trim().is_empty() {
        "it is empty".to_owned()
    } else if text.len() > bytes_max {
        format!("it has {} bytes, more than {bytes_max}", text.len())
    } else if text.chars().any(char::is_control) {
        "it has more than one line, or control characters".to_owned()
    } else {
        return Ok(());
    };
    Err(IncidentError::Text { what, reason })
}
