//! The catalog of a database in which every line is legal and none expected.

use fraiseql_model::catalog::{Catalog, FunctionResult, Generated, Nullability, QualifiedName, Relation};
use fraiseql_postgres::{Target, connect_control, read_catalog};
use fraiseql_testkit::{Database, nasty_sql, server_major};

async fn read(url: &str) -> Catalog {
    let client = connect_control(&Target::parse(url).unwrap()).await.unwrap();
    read_catalog(&client, &["public".to_owned()]).await.unwrap()
}

fn relation<'c>(catalog: &'c Catalog, name: &str) -> &'c Relation {
    catalog.relation(&QualifiedName::new("public", name)).expect(name)
}

/// `column nullability origin`, for comparison as text.
fn columns(relation: &Relation) -> Vec<String> {
    let column = |column: &fraiseql_model::catalog::Column| {
        let origin = column.origin.as_ref();
        let origin = origin.map_or_else(String::new, |o| format!(" {}.{}", o.relation.name, o.column));
        format!("{} {:?}{origin}", column.name, column.nullability)
    };
    relation.columns.iter().map(column).collect()
}

#[tokio::test]
async fn columns_of_views_are_traced_as_far_as_can_be_proved() {
    let database = Database::new().await;
    database.execute(&nasty_sql()).await;
    let catalog = read(&database.url()).await;
    let check =
        |view: &str, expected: &[&str]| assert_eq!(columns(relation(&catalog, view)), expected, "{view}");
    check("v_people", &["id Traced people.id", "name Nullable people.name", "series_id Traced series.id"]);
    check("v_on_view", &["id Traced people.id", "name Nullable people.name"]);
    check("v_maybe", &["id Nullable people.id", "series_id Nullable series.id"]);
    check("v_union", &["id Nullable"]);
    check("mv_people", &["id Traced people.id", "name Nullable people.name"]);
    assert!(relation(&catalog, "v_simple").updatable);
    assert!(!relation(&catalog, "v_people").updatable);
}

#[tokio::test]
async fn keys_types_and_functions_are_told_as_they_are() {
    let database = Database::new().await;
    database.execute(&nasty_sql()).await;
    let catalog = read(&database.url()).await;
    assert_eq!(catalog.relations.len(), 226);
    let series = relation(&catalog, "series");
    assert_eq!(series.unique_keys.len(), 1, "neither the partial nor the expression index is a key");
    assert!(relation(&catalog, "deferred").unique_keys.is_empty(), "a deferrable constraint is no key");
    let child = relation(&catalog, "composite_child");
    assert_eq!(child.foreign_keys[0].columns, ["tenant", "number"]);
    assert_eq!(child.foreign_keys[0].target_columns, ["tenant", "number"]);
    let users = relation(&catalog, "users");
    assert_eq!(users.column("id").unwrap().generated, Generated::IdentityAlways);
    assert_eq!(users.column("backup").unwrap().nullability, Nullability::NotNull, "by its domain");
    let kinds = relation(&catalog, "kinds");
    // Generated columns came with 12.
    let doubled = if server_major() < 12 { Generated::No } else { Generated::Expression };
    assert_eq!(kinds.column("doubled").unwrap().generated, doubled);
    assert!(kinds.column("feelings").unwrap().sql_type.array);
    let quoted = relation(&catalog, "Upper Case");
    assert!(quoted.column("quote\"d").is_some() && quoted.column("back\\slash").is_some());
    let names: Vec<&str> = catalog.functions.iter().map(|function| function.name.name.as_str()).collect();
    assert_eq!(names, ["add_person", "find_people", "nothing", "overloaded", "overloaded", "pairs", "twice"]);
    assert!(catalog.functions[0].parameters[1].has_default);
    assert!(
        matches!(&catalog.functions[1].returns, FunctionResult::Row { relation, set: true } if relation.name == "people")
    );
    assert!(
        matches!(&catalog.functions[5].returns, FunctionResult::Table { columns, set: true } if columns.len() == 2)
    );
    let left: Vec<&str> = catalog.left_out.iter().map(|left| left.what.as_str()).collect();
    assert_eq!(left, ["1 partitions", "relation public.no_columns"]);
}

#[tokio::test]
async fn what_the_role_may_not_read_is_left_out_and_named() {
    let database = Database::new().await;
    let role = format!("reader_{}", std::process::id());
    database
        .execute(&format!(
            "CREATE TABLE open (id int PRIMARY KEY, secret text); CREATE TABLE closed (id int);
             CREATE ROLE {role} LOGIN; GRANT SELECT (id) ON open TO {role}"
        ))
        .await;
    let catalog = read(&database.url_as(&role)).await;
    let names: Vec<&str> = catalog.relations.iter().map(|relation| relation.name.name.as_str()).collect();
    assert_eq!(names, ["open"]);
    assert_eq!(columns(relation(&catalog, "open")), ["id NotNull"]);
    let left: Vec<&str> = catalog.left_out.iter().map(|left| left.what.as_str()).collect();
    assert_eq!(left, ["column public.closed.id", "column public.open.secret", "relation public.closed"]);
    assert!(!relation(&catalog, "open").privileges.insert);
}

#[tokio::test]
async fn the_same_database_gives_the_same_bytes() {
    let database = Database::new().await;
    database.execute(&nasty_sql()).await;
    let once = serde_json::to_string(&read(&database.url()).await).unwrap();
    assert_eq!(once, serde_json::to_string(&read(&database.url()).await).unwrap());
    let back: Catalog = serde_json::from_str(&once).unwrap();
    assert_eq!(serde_json::to_string(&back).unwrap(), once);
}
