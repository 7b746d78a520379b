//! What the role of a connection may do beyond what a service needs.

use tokio_postgres::Client;

use crate::error::PostgresError;

/// Facts on the role that is logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleFacts {
    /// Its name.
    pub name: String,
    /// It passes every check of rights.
    pub superuser: bool,
    /// It passes row level security.
    pub bypasses_rls: bool,
    /// It may make roles, and so more rights for itself.
    pub creates_roles: bool,
    /// It may make databases.
    pub creates_databases: bool,
    /// Those of the relations asked for that belong to it, or to a role whose rights it has: it may
    /// alter and drop them.
    pub owned: Vec<String>,
}

/// Attributes of every role whose rights this one has: a member may SET ROLE to them.
const FACTS: &str = "SELECT me.rolname::text, \
bool_or(r.rolsuper), bool_or(r.rolbypassrls), bool_or(r.rolcreaterole), bool_or(r.rolcreatedb) \
FROM pg_catalog.pg_roles me JOIN pg_catalog.pg_roles r \
ON r.oid = me.oid OR (NOT me.rolsuper AND pg_catalog.pg_has_role(me.oid, r.oid, 'MEMBER')) \
WHERE me.rolname = $1::text GROUP BY me.rolname";
const OWNED: &str = "SELECT n.nspname || '.' || c.relname FROM pg_catalog.pg_class c \
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
WHERE n.nspname || '.' || c.relname = ANY($2::text[]) \
AND pg_catalog.pg_has_role($1::text::name, c.relowner, 'MEMBER') ORDER BY 1";

/// Asks what a role may do; `relations` are `schema.table`, unquoted. Fails when there is no such role.
pub async fn role_facts(
    client: &Client,
    role: &str,
    relations: &[String],
) -> Result<RoleFacts, PostgresError> {
    let row = client.query_one(FACTS, &[&role]).await?;
    let owned = client.query(OWNED, &[&role, &relations]).await?;
    Ok(RoleFacts {
        name: row.get(0),
        superuser: row.get(1),
        bypasses_rls: row.get(2),
        creates_roles: row.get(3),
        creates_databases: row.get(4),
        owned: owned.iter().map(|row| row.get(0)).collect(),
    })
}
