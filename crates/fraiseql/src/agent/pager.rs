//! Pages people on call about incidents that the agent has declared: each is owed until somebody was reached,
//! also after a crash, for what was done stands in the incident.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use fraiseql_incident::{Happening, Incident, IncidentState, Incidents};
use fraiseql_model::errors;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::commands::incident::{PageOutcome, Paging, page_people};
use crate::project::Project;

/// Who declares and pages here.
pub(crate) const NAME: &str = "agent";
/// What is waited when nobody was reached; twice as long each time.
const PAUSE: Duration = Duration::from_secs(30);
const ATTEMPTS_MAX: u32 = 6;

/// Pages that are owed.
#[derive(Debug)]
pub(crate) struct Pager {
    owed: VecDeque<Owed>,
    /// At most one at a time.
    work: JoinSet<(Owed, Vec<String>, bool)>,
}

#[derive(Clone, Copy, Debug)]
struct Owed {
    number: u64,
    attempts: u32,
    at: Instant,
}

impl Pager {
    /// Finds what an agent before this one has declared and told nobody.
    pub(crate) fn of(incidents: &Incidents) -> Self {
        // What cannot be read now is told by whoever declares the next one.
        let all = incidents.list().unwrap_or_default();
        let owed = all.iter().filter(|incident| is_owed(incident));
        let owed = owed.map(|incident| Owed { number: incident.number, attempts: 0, at: Instant::now() });
        Self { owed: owed.collect(), work: JoinSet::new() }
    }

    /// Pages about an incident as soon as can be.
    pub(crate) fn owe(&mut self, number: u64) {
        self.owed.push_back(Owed { number, attempts: 0, at: Instant::now() });
    }

    /// Goes on with it; returns what there is to log. Never waits.
    pub(crate) fn look_after(&mut self, project: &Arc<Project>) -> Vec<String> {
        let mut told = Vec::new();
        if let Some(Ok((mut owed, lines, settled))) = self.work.try_join_next() {
            told = lines;
            owed.attempts += 1;
            if !settled && owed.attempts < ATTEMPTS_MAX {
                owed.at = Instant::now() + PAUSE * 2_u32.pow(owed.attempts - 1);
                self.owed.push_back(owed);
            }
        }
        let due = self.owed.iter().position(|owed| owed.at <= Instant::now());
        if let Some(owed) = due.filter(|_| self.work.is_empty()).and_then(|index| self.owed.remove(index)) {
            self.work.spawn(page(Arc::clone(project), owed));
        }
        told
    }
}

fn is_owed(incident: &Incident) -> bool {
    let ours = incident.events.first().is_some_and(|event| event.by == NAME);
    let paged = incident.events.iter().any(|event| matches!(event.what, Happening::Paged { .. }));
    ours && !paged && incident.state == IncidentState::Open
}

async fn page(project: Arc<Project>, owed: Owed) -> (Owed, Vec<String>, bool) {
    let incidents = Incidents::in_state(&project.state());
    let paging = Paging { service: None, again: false, by: NAME.to_owned() };
    let number = owed.number;
    match page_people(&project.settings, &incidents, (number, &paging, false)).await {
        // Nobody wants to be.
        Err(failure) if failure.code == &errors::CFG_MISSING => (owed, Vec::new(), true),
        Err(failure) => {
            (owed, vec![format!("incident {number}: nobody is paged: {}", failure.message)], false)
        }
        Ok(all) => {
            let line = |reached: &crate::commands::incident::Reached| {
                format!("incident {number}, {}: {}", reached.channel.as_str(), reached.outcome.in_words())
            };
            let failed =
                all.iter().filter(|reached| matches!(reached.outcome, PageOutcome::Failed(_))).count();
            (owed, all.iter().map(line).collect(), failed < all.len())
        }
    }
}
