//! Looks at the database before it is served from: does it have what the artifact needs, and does the
//! role have no more than that?

use std::time::Duration;

use fraiseql_model::errors;
use fraiseql_model::manifest::Manifest;
use fraiseql_model::settings::Settings;
use fraiseql_postgres::{Pooler, PostgresError, RoleFacts, Target, connect_control, role_facts};

use fraiseql_serve::ServerHandle;

use super::{is_away, is_production, pooler};
use crate::commands::compile::catalog_at;
use crate::database::Access;
use crate::failure::Failure;
use crate::log::Log;
use crate::manifest_check::{missing, schemas};

const RETRY: Duration = Duration::from_secs(1);
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// What is looked at, and how strictly.
pub(super) struct Vetting {
    manifest: Manifest,
    /// Knows the target with the login of now; `None` when there is no way past the pooler.
    target: Option<Box<dyn Fn() -> Target + Send + Sync>>,
    /// The role that requests run as.
    role: String,
    strict: bool,
    /// Mutations add to the audit log.
    audited: bool,
}

/// Whether the table of the audit log is there for the role to add to, and whether the role may change it.
const AUDIT_TABLE: &str = "SELECT coalesce(has_table_privilege($1, audit.oid, 'INSERT'), false), \
    coalesce(has_table_privilege($1, audit.oid, 'UPDATE, DELETE, TRUNCATE') \
        OR pg_has_role($1, relowner, 'USAGE'), false) \
    FROM (SELECT to_regclass('fraiseql.audit')) AS named(oid) LEFT JOIN pg_class AS audit ON audit.oid = named.oid";

impl Vetting {
    pub(super) fn new(access: &Access, manifest: &Manifest, settings: &Settings) -> Self {
        let reachable = access.direct().is_some() || pooler(settings) == Pooler::None;
        let target = reachable.then(|| Box::new(access.for_control()) as Box<_>);
        let role = access.target().user().to_owned();
        let audited = settings.text("audit.mutations") == Some("database");
        Self { manifest: manifest.clone(), target, role, strict: is_production(settings), audited }
    }

    /// Looks once, at the start.
    pub(super) async fn start(&self, log: &Log) -> Result<(), Failure> {
        let Some(target) = &self.target else {
            let message =
                "the database is not checked against the schema: set database.direct_url, past the pooler";
            log.line("warn", message);
            return Ok(());
        };
        let target = target();
        let looking = tokio::time::timeout(CHECK_TIMEOUT, self.look(&target, log));
        looking.await.unwrap_or_else(|_elapsed| {
            let message = "read the catalog: the database does not answer in time";
            Err(Failure::new(&errors::PG_CONNECT, message))
        })
    }

    /// Looks once the database is back, and holds readiness back for as long as it lacks something.
    /// Fails only for a role with which the server would not have started.
    pub(super) async fn later(&self, needed: bool, handle: &ServerHandle, log: &Log) -> Result<(), Failure> {
        if !needed {
            return Ok(());
        }
        let mut told = Vec::new();
        loop {
            tokio::time::sleep(RETRY).await;
            match self.start(log).await {
                Ok(()) => {
                    handle.note_mismatch(Vec::new());
                    return Ok(());
                }
                Err(failure) if is_away(&failure) => {}
                Err(failure) if failure.code == &errors::ROL_TOO_MIGHTY => return Err(failure),
                Err(failure) => {
                    // Told once for each difference; somebody may be migrating the database right now.
                    if failure.causes != told {
                        let causes = failure.causes.join("; ");
                        log.line("error", &format!("{}: {}: {causes}", failure.code.code, failure.message));
                        handle.note_mismatch(failure.causes.clone());
                        told = failure.causes;
                    }
                }
            }
        }
    }

    async fn look(&self, target: &Target, log: &Log) -> Result<(), Failure> {
        self.look_at_role(target, log).await?;
        self.look_at_audit(target, log).await?;
        let catalog = catalog_at(target, &schemas(&self.manifest)).await?;
        let missing = missing(&self.manifest, &catalog);
        if missing.is_empty() {
            return Ok(());
        }
        let message = format!("serve the artifact: the database lacks {} things", missing.len());
        let mut failure = Failure::new(&errors::ART_DATABASE, message);
        failure.causes = missing;
        Err(failure.hint("migrate the database, or compile the schema against it again"))
    }

    /// Fails when mutations could not be written down, in production also when they could be rewritten.
    async fn look_at_audit(&self, target: &Target, log: &Log) -> Result<(), Failure> {
        if !self.audited {
            return Ok(());
        }
        let client = connect_control(target).await?;
        let asked = |error| Failure::from(PostgresError::from(error));
        let row = client.query_one(AUDIT_TABLE, &[&self.role]).await.map_err(asked)?;
        let (may_add, may_change): (bool, bool) = (row.get(0), row.get(1));
        let role = &self.role;
        if !may_add {
            let message =
                format!("write the audit log as {role}: fraiseql.audit is not there to be added to");
            return Err(Failure::new(&errors::AUD_MISSING, message)
                .hint("run what `fraiseql audit init` prints, as the owner of the database"));
        }
        if !may_change {
            return Ok(());
        }
        let message = format!("the role {role} may change or delete what the audit log says");
        if self.strict {
            return Err(Failure::new(&errors::AUD_MUTABLE, format!("serve in production: {message}"))
                .hint("connect as a role that `fraiseql audit init --role` was run for, not as the owner"));
        }
        log.line("warn", &format!("{message} (FQ-AUD-002)"));
        Ok(())
    }

    async fn look_at_role(&self, target: &Target, log: &Log) -> Result<(), Failure> {
        let client = connect_control(target).await?;
        let served = self.manifest.reads.keys().chain(self.manifest.writes.keys());
        let served: Vec<String> = served.cloned().collect();
        let facts = role_facts(&client, &self.role, &served).await?;
        let too_much = too_much(&facts);
        if too_much.is_empty() {
            return Ok(());
        }
        let role = &facts.name;
        if !self.strict {
            let listed = too_much.join("; ");
            log.line(
                "warn",
                &format!("the role {role} may do more than a service needs: {listed} (FQ-ROL-001)"),
            );
            return Ok(());
        }
        let message = format!("serve in production as {role}: it may do more than a service needs");
        let mut failure = Failure::new(&errors::ROL_TOO_MIGHTY, message);
        failure.causes = too_much;
        Err(failure
            .hint("run grants.sql of `fraiseql init` and log in as the role that it makes, fraiseql_service"))
    }
}

/// Says what a role may do that no service needs.
fn too_much(facts: &RoleFacts) -> Vec<String> {
    if facts.superuser {
        return vec!["it is a superuser, or may become one: nothing is forbidden to it".to_owned()];
    }
    let attributes = [
        (facts.bypasses_rls, "it has BYPASSRLS: rules for rows do not hold for it"),
        (facts.creates_roles, "it has CREATEROLE: it may give itself more rights"),
        (facts.creates_databases, "it has CREATEDB"),
    ];
    let attributes = attributes.into_iter().filter(|(has, _)| *has).map(|(_, text)| text.to_owned());
    let owned = facts.owned.iter().map(|name| format!("it owns {name}: it may alter and drop it"));
    attributes.chain(owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_is_named() {
        let mut facts = RoleFacts {
            name: "shop".to_owned(),
            superuser: false,
            bypasses_rls: false,
            creates_roles: false,
            creates_databases: false,
            owned: Vec::new(),
        };
        assert!(too_much(&facts).is_empty());
        facts.bypasses_rls = true;
        facts.owned.push("public.artist".to_owned());
        assert_eq!(
            too_much(&facts),
            [
                "it has BYPASSRLS: rules for rows do not hold for it",
                "it owns public.artist: it may alter and drop it"
            ]
        );
        facts.superuser = true;
        assert_eq!(too_much(&facts).len(), 1);
    }
}
