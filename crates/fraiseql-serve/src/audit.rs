//! Writes down who did what: a row for each root field of a mutation, in the transaction of its write.
//!
//! So there is no write without its row, and no row of a write that did not happen. What was refused
//! or failed stands in the log of requests, with the same request id.

use bytes::Bytes;
use fraiseql_engine::MutationWrite;
use fraiseql_model::names::quote_identifier;
use serde_json::Value;

use crate::fault::Faults;
use crate::generation::{Generation, KeptDocument};
use crate::params::Params;
use crate::serving::Serving;

/// Whether mutations write down who did what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audit {
    /// Nothing is written down.
    Off,
    /// A row in the table of [`audit_ddl`] for each root field of a mutation.
    Database {
        /// Also the variables of the request.
        variables: bool,
    },
}

/// The keys that a write left in the session, without what only its checks need.
pub(crate) const STORE: &str = "INSERT INTO fraiseql.audit \
(subject, roles, address, request_id, trace_id, artifact, operation, field, variables, keys) \
VALUES ($1::pg_catalog.text, ARRAY(SELECT pg_catalog.jsonb_array_elements_text($2::pg_catalog.jsonb)), \
$3::pg_catalog.inet, $4::pg_catalog.text, $5::pg_catalog.text, $6::pg_catalog.text, $7::pg_catalog.text, \
$8::pg_catalog.text, $9::pg_catalog.jsonb, \
CASE WHEN $10::pg_catalog.bool AND pg_catalog.current_setting('fraiseql.keys', true) <> '' THEN \
(SELECT coalesce(pg_catalog.jsonb_agg(kept.row - '#ok' - '#'), '[]') FROM pg_catalog.jsonb_array_elements(\
pg_catalog.current_setting('fraiseql.keys', true)::pg_catalog.jsonb) AS kept(row)) END)";

/// Returns the statements that make the table of the audit log and let `role` add to it.
///
/// They may be run again.
pub fn audit_ddl(role: &str) -> String {
    let role = quote_identifier(role);
    format!(
        "-- Who did what: one row for each root field of a mutation, written in the transaction of the write.\n\
         -- Run this as the owner of the database, who is not the role of the service; it may be run again.\n\
         CREATE SCHEMA IF NOT EXISTS fraiseql;\n\
         CREATE TABLE IF NOT EXISTS fraiseql.audit (\n  \
           id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,\n  \
           at timestamptz NOT NULL DEFAULT clock_timestamp(),\n  \
           database_role text NOT NULL DEFAULT session_user,\n  \
           subject text,\n  roles text[] NOT NULL,\n  address inet,\n  request_id text NOT NULL,\n  \
           trace_id text,\n  artifact text NOT NULL,\n  operation text,\n  field text NOT NULL,\n  \
           variables jsonb,\n  keys jsonb\n);\n\
         CREATE INDEX IF NOT EXISTS audit_at ON fraiseql.audit USING brin (at);\n\
         CREATE OR REPLACE FUNCTION fraiseql.audit_stays() RETURNS trigger LANGUAGE plpgsql AS $$\n\
         BEGIN\n  \
           IF TG_OP = 'DELETE' AND current_setting('fraiseql.audit_prune', true) = 'on' THEN RETURN NULL; END IF;\n  \
           RAISE EXCEPTION 'the audit log is only added to' USING ERRCODE = 'insufficient_privilege';\n\
         END $$;\n\
         DROP TRIGGER IF EXISTS audit_stays ON fraiseql.audit;\n\
         CREATE TRIGGER audit_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON fraiseql.audit\n  \
           FOR EACH STATEMENT EXECUTE PROCEDURE fraiseql.audit_stays();\n\
         GRANT USAGE ON SCHEMA fraiseql TO {role};\n\
         REVOKE ALL ON fraiseql.audit FROM {role};\n\
         GRANT INSERT ON fraiseql.audit TO {role};\n"
    )
}

/// Who asked for a mutation, as the parameters of [`STORE`] that all its fields share.
pub(crate) struct Attribution {
    shared: [Option<Bytes>; 7],
    variables: Option<Bytes>,
}

impl Audit {
    /// Returns true when mutations are written down.
    pub(crate) fn is_on(self) -> bool {
        self != Self::Off
    }
}

impl Attribution {
    /// Returns what is known of a request before it runs.
    pub(crate) fn of(
        serving: &Serving,
        params: &Params<'_>,
        faults: &Faults,
        (generation, document): (&Generation, &KeptDocument),
    ) -> Self {
        let text = |text: &str| Some(Bytes::copy_from_slice(text.as_bytes()));
        let (who, origin) = (&params.identity, &params.origin);
        let roles: Value = who.roles.iter().cloned().collect();
        let told = serving.audit == Audit::Database { variables: true };
        Self {
            shared: [
                who.subject.as_deref().and_then(text),
                text(&roles.to_string()),
                origin.address.and_then(|address| text(&address.to_string())),
                text(faults.request_id()),
                origin.trace.as_ref().and_then(|trace| text(&trace.trace_id)),
                text(&generation.schema.artifact().digest),
                document.document.operation_name(params.operation.as_deref()).and_then(text),
            ],
            variables: told.then(|| Value::Object(params.variables.clone()).to_string().into()),
        }
    }

    /// Returns the parameters of [`STORE`] for one field.
    pub(crate) fn of_write(&self, write: &MutationWrite) -> Vec<Option<Bytes>> {
        let keyed: &[u8] = if write.keyed { b"t" } else { b"f" };
        let field = Bytes::copy_from_slice(write.field.as_bytes());
        let own = [Some(field), self.variables.clone(), Some(Bytes::from_static(keyed))];
        self.shared.iter().cloned().chain(own).collect()
    }
}

#[cfg(test)]
mod tests {
    use fraiseql_engine::KEYS_SETTING;

    use super::STORE;

    #[test]
    fn the_keys_are_read_from_where_the_engine_leaves_them() {
        assert!(STORE.contains(&format!("current_setting('{KEYS_SETTING}', true)")), "{STORE}");
    }
}
