//! SQL for the roles beside that of the service: who owns, who only reads, who makes backups.

use std::collections::BTreeSet;

use fraiseql_model::artifact::Artifact;
use fraiseql_model::catalog::{Catalog, QualifiedName};
use fraiseql_model::names::{quote_identifier, quote_literal};

use crate::grants::{create_login, do_block, reads};

/// PostgreSQL cuts longer names off.
const NAME_BYTES_MAX: usize = 63;
/// `pg_read_all_data`, which reads what is made later too.
const READ_ALL_SINCE: u32 = 140_000;

/// Returns the SQL for the owner, the reader and the backup that go with the service's role. It can
/// be run again, and has no password in it.
///
/// Their names begin as the service's does: `shop_service` has `shop_owner`, `shop_reader` and
/// `shop_backup`.
pub(crate) fn roles(artifact: &Artifact, catalog: &Catalog, service: &str) -> String {
    let schemas = schemas(artifact, catalog);
    let mut sql = owner(&name(service, "_owner"), catalog, &schemas);
    sql.push_str(&reader(&name(service, "_reader"), artifact, catalog, &schemas));
    sql.push_str(&backup(&name(service, "_backup"), catalog, &schemas));
    sql
}

fn name(service: &str, suffix: &str) -> String {
    let mut base =
        service.strip_suffix("_service").filter(|base| !base.is_empty()).unwrap_or(service).to_owned();
    while base.len() + suffix.len() > NAME_BYTES_MAX {
        base.pop();
    }
    base + suffix
}

/// Returns the schemas, quoted, of all that is served.
fn schemas(artifact: &Artifact, catalog: &Catalog) -> Vec<String> {
    let used: BTreeSet<&String> =
        artifact.manifest.reads.keys().chain(artifact.manifest.writes.keys()).collect();
    let named = |name: &QualifiedName| used.contains(&name.to_string());
    let found = catalog.relations.iter().filter(|relation| named(&relation.name));
    let names: BTreeSet<&str> = found.map(|relation| relation.name.schema.as_str()).collect();
    names.into_iter().map(quote_identifier).collect()
}

fn owner(role: &str, catalog: &Catalog, schemas: &[String]) -> String {
    let (quoted, database) = (quote_identifier(role), quote_identifier(&catalog.database));
    let mut sql = format!(
        "\n-- The owner: deploys and migrates. The service never logs in as it. What is there already belongs\n\
         -- to whoever made it; REASSIGN OWNED BY that role hands it over.\n{}\
         GRANT CONNECT, CREATE ON DATABASE {database} TO {quoted};\n",
        create_login(role)
    );
    for schema in schemas {
        sql.push_str(&format!("GRANT USAGE, CREATE ON SCHEMA {schema} TO {quoted};\n"));
    }
    sql
}

fn reader(role: &str, artifact: &Artifact, catalog: &Catalog, schemas: &[String]) -> String {
    let (quoted, database) = (quote_identifier(role), quote_identifier(&catalog.database));
    let mut sql = format!(
        "\n-- The reader: sees what the API shows, and changes nothing: for people, reports and a server that only reads.\n{}\
         ALTER ROLE {quoted} SET default_transaction_read_only = on;\n\
         GRANT CONNECT ON DATABASE {database} TO {quoted};\n",
        create_login(role)
    );
    for schema in schemas {
        sql.push_str(&format!("GRANT USAGE ON SCHEMA {schema} TO {quoted};\n"));
    }
    sql.push_str(&reads(artifact, catalog, &quoted));
    sql
}

fn backup(role: &str, catalog: &Catalog, schemas: &[String]) -> String {
    let (quoted, database) = (quote_identifier(role), quote_identifier(&catalog.database));
    let mut sql = format!(
        "\n-- The backup: reads everything, for pg_dump, and the log of changes, for pg_basebackup.\n{}\
         ALTER ROLE {quoted} SET default_transaction_read_only = on;\n\
         GRANT CONNECT ON DATABASE {database} TO {quoted};\n",
        create_login(role)
    );
    let all = if catalog.server_version >= READ_ALL_SINCE {
        format!("  GRANT pg_read_all_data TO {quoted};\n")
    } else {
        let grant = |schema: &String| {
            format!(
                "  GRANT USAGE ON SCHEMA {schema} TO {quoted};\n  GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {quoted};\n  \
                 GRANT SELECT ON ALL SEQUENCES IN SCHEMA {schema} TO {quoted};\n"
            )
        };
        schemas.iter().map(grant).collect()
    };
    let told =
        quote_literal(&format!("only a superuser may complete the role {role}: run this again as one"));
    let body = format!(
        "BEGIN\n  ALTER ROLE {quoted} REPLICATION;\n{all}EXCEPTION WHEN insufficient_privilege THEN\n  \
         RAISE WARNING USING MESSAGE = {told};\nEND"
    );
    sql.push_str(&do_block(&body));
    sql
}

#[cfg(test)]
mod tests {
    use super::name;

    #[test]
    fn names_go_with_the_services_and_are_short_enough() {
        assert_eq!(name("shop_service", "_owner"), "shop_owner");
        assert_eq!(name("app", "_reader"), "app_reader");
        assert_eq!(name("_service", "_owner"), "_service_owner");
        let long = "ä".repeat(40);
        let names = ["_owner", "_reader", "_backup"].map(|suffix| name(&long, suffix));
        assert!(names.iter().all(|name| name.len() <= 63), "{names:?}");
        assert!(names[0].ends_with("_owner") && names[1].ends_with("_reader"), "{names:?}");
    }
}
