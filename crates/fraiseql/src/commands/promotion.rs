//! Releases of the environment before this one: the same digest, once it was stable there, with its proofs.

use std::collections::BTreeSet;
use std::path::Path;

use fraiseql_agent::{Attestations, Releases, StoredRelease};
use fraiseql_flow::Journal;
use fraiseql_model::errors;
use fraiseql_model::release::{Evidence, ReleaseId};
use fraiseql_rollout::{RolloutOutcome, read_service};

use crate::failure::Failure;
use crate::project::Project;

/// Returns the release to deploy where another environment comes first (`promotion.from`), taken over
/// with its proofs; `None` where none does. Without a name it is the stable one of that environment.
///
/// Fails when it was never stable there, unless `untried`; one that was stable here is known already.
pub(super) fn promoted(
    project: &Project,
    wanted: Option<&str>,
    untried: bool,
) -> Result<Option<StoredRelease>, Failure> {
    let Some(from) = project.settings.text("promotion.from").map(|from| project.dir.join(from)) else {
        return Ok(None);
    };
    let own = Releases::in_state(&project.state());
    if let Some(known) = wanted.and_then(|name| own.find(name).ok())
        && was_stable(&project.state(), &known.id)?
    {
        return Ok(Some(known));
    }
    let theirs = Releases::in_state(&from);
    let stored = match wanted {
        Some(name) => theirs.find(name)?,
        None => theirs.find(&stable(&from)?)?,
    };
    stored.verify()?;
    if !untried && !was_stable(&from, &stored.id)? {
        let message = format!("deploy {}: it was never stable in {}", stored.id, from.display());
        let hint = "deploy it there first, or say --untried";
        return Err(Failure::new(&errors::DEP_UNTRIED, message).hint(hint));
    }
    let taken = own.adopt(&stored)?.stored().clone();
    let (proofs, known) = (Attestations::in_state(&from), Attestations::in_state(&project.state()));
    let there = known.of(&stored.id)?;
    for proof in proofs.of(&stored.id)?.iter().filter(|proof| !there.contains(proof)) {
        known.add(proof)?;
    }
    Ok(Some(taken))
}

/// Fails when fewer people than `promotion.approvals_min` have approved a release.
pub(super) fn check_approvals(project: &Project, stored: &StoredRelease) -> Result<(), Failure> {
    let wanted = usize::try_from(project.settings.integer("promotion.approvals_min")).unwrap_or(usize::MAX);
    let proofs = Attestations::in_state(&project.state()).of(&stored.id)?;
    let approvals = proofs.iter().filter(|proof| matches!(proof.evidence, Evidence::Approval { .. }));
    let people: BTreeSet<&str> = approvals.map(|proof| proof.by.as_str()).collect();
    if people.len() >= wanted {
        return Ok(());
    }
    let message = format!(
        "deploy {}: {} have approved it, {wanted} must (promotion.approvals_min)",
        stored.id,
        people.len()
    );
    let hint = format!("`fraiseql release approve {}`, by somebody who has looked at it", stored.id);
    Err(Failure::new(&errors::DEP_UNAPPROVED, message).hint(hint))
}

/// Returns true when a release has become the stable one in that state directory.
fn was_stable(state: &Path, release: &ReleaseId) -> Result<bool, Failure> {
    let Some(journal) = Journal::read(state)? else { return Ok(false) };
    let promoted = RolloutOutcome::Promoted.to_string();
    let rollouts = journal.newest("rollout", usize::MAX)?;
    Ok(rollouts
        .iter()
        .any(|rollout| rollout.subject == release.as_str() && rollout.outcome.as_deref() == Some(&promoted)))
}

fn stable(from: &Path) -> Result<String, Failure> {
    let service = Journal::read(from)?.map(|journal| read_service(&journal)).transpose()?.flatten();
    service.and_then(|service| service.stable).ok_or_else(|| {
        let message = format!("deploy what is stable in {}: nothing is", from.display());
        Failure::new(&errors::DEP_UNTRIED, message)
            .hint("promotion.from is the folder .fraiseql of the environment before this one")
    })
}
