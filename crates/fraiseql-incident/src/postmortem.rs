//! The time line of an incident, and the postmortem that begins with it.
//!
//! Pure on purpose: the lines that others have recorded, and how a time is shown, are arguments.

use crate::incident::{Incident, IncidentState};

const MINUTE_MS: u64 = 60_000;

/// A line of the time line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimelineLine {
    /// When, in milliseconds since the epoch of Unix.
    pub at_ms: u64,
    /// Who or what says so.
    pub by: String,
    /// What happened.
    pub text: String,
}

/// Returns what people wrote down together with what was recorded elsewhere, the oldest first.
pub fn timeline(incident: &Incident, recorded: Vec<TimelineLine>) -> Vec<TimelineLine> {
    let people = incident.events.iter().map(|event| TimelineLine {
        at_ms: event.at_ms,
        by: event.by.clone(),
        text: event.what.in_words(),
    });
    let mut lines: Vec<TimelineLine> = recorded.into_iter().chain(people).collect();
    lines.sort_by_key(|line| line.at_ms);
    lines
}

/// Returns how long after the declaration something happened, in whole minutes: `T+5`, or `T-3` before it.
pub fn since_declared(incident: &Incident, at_ms: u64) -> String {
    match at_ms.checked_sub(incident.declared_ms) {
        Some(after_ms) => format!("T+{}", after_ms / MINUTE_MS),
        None => format!("T-{}", (incident.declared_ms - at_ms).div_ceil(MINUTE_MS)),
    }
}

/// Returns the postmortem as Markdown: what is known, and empty places for what only people know.
pub fn postmortem(incident: &Incident, lines: &[TimelineLine], shown: impl Fn(u64) -> String) -> String {
    let end = match &incident.state {
        IncidentState::Resolved { by, at_ms } => {
            let minutes = at_ms.saturating_sub(incident.declared_ms) / MINUTE_MS;
            format!("{} UTC by {}, after {minutes} min", shown(*at_ms), plain(by))
        }
        IncidentState::Open => "not yet; nobody has acknowledged it".to_owned(),
        IncidentState::Acknowledged { by, .. } => format!("not yet; {} looks after it", plain(by)),
    };
    let mut text = format!(
        "# Postmortem of incident {}: {}\n\n- IncidentSeverity: {}\n- Declared: {} UTC\n- Resolved: {end}\n\n## Timeline\n\n\
         | T, minutes | UTC | who | what |\n|---|---|---|---|\n",
        incident.number,
        plain(&incident.title),
        incident.severity.as_str(),
        shown(incident.declared_ms),
    );
    for line in lines {
        let (since, at) = (since_declared(incident, line.at_ms), shown(line.at_ms));
        text.push_str(&format!("| {since} | {at} | {} | {} |\n", plain(&line.by), plain(&line.text)));
    }
    for (title, question) in [
        ("Impact", "Who noticed what, for how long?"),
        ("Cause", "What made it possible, and what set it off?"),
        ("What went well, what did not", "What found it? What took longest?"),
        ("Actions", "What, who, by when?"),
    ] {
        text.push_str(&format!("\n## {title}\n\n_{question}_\n"));
    }
    text
}

/// Keeps what people typed from being markup.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '#' => plain.extend(['\\', letter]),
            '<' => plain.push_str("&lt;"),
            '&' => plain.push_str("&amp;"),
            letter if letter.is_control() => plain.push(' '),
            letter => plain.push(letter),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::{Happening, IncidentEvent, IncidentSeverity};

    #[test]
    fn a_postmortem_has_the_time_line_and_no_markup_of_others() {
        let declared =
            Happening::Declared { severity: IncidentSeverity::Critical, title: "a|b <img>".to_owned() };
        let events = [(600_000, declared), (1_200_000, Happening::Resolved { text: "back".to_owned() })]
            .map(|(at_ms, what)| IncidentEvent::new(at_ms, "ann", what).unwrap());
        let incident = Incident::of(7, events.to_vec()).unwrap();
        let recorded = [(420_001, "deploys"), (720_000, "rolls\nback")].map(|(at_ms, text)| TimelineLine {
            at_ms,
            by: "rollout 1".to_owned(),
            text: text.to_owned(),
        });
        let lines = timeline(&incident, recorded.to_vec());
        let text = postmortem(&incident, &lines, |at_ms| format!("{} s", at_ms / 1_000));
        let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| T")).skip(1).collect();
        assert_eq!(
            rows,
            [
                "| T-3 | 420 s | rollout 1 | deploys |",
                "| T+0 | 600 s | ann | declared critical: a\\|b &lt;img> |",
                "| T+2 | 720 s | rollout 1 | rolls back |",
                "| T+10 | 1200 s | ann | resolved: back |",
            ]
        );
        assert!(text.starts_with("# Postmortem of incident 7: a\\|b &lt;img>\n"), "{text}");
        assert!(text.contains("Resolved: 1200 s UTC by ann, after 10 min"), "{text}");
    }
}
