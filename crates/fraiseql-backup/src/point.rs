//! Restore points: a name in WAL, archived at once, with how many rows there were.

use std::collections::BTreeMap;

use fraiseql_postgres::{PostgresError, Target, connect_control};

use crate::check::{RowCounts, count_rows, databases};
use crate::error::BackupError;
use crate::lsn::Lsn;
use crate::records::{FORMAT, RestorePoint};
use crate::repository::Repository;
use crate::source::Source;

/// PostgreSQL keeps no more bytes of a name.
const NAME_BYTES_MAX: usize = 63;

/// Makes a restore point and returns it once everything before it is in the repository.
///
/// Rows are counted in every database of the cluster. A name is taken once: a second call with it
/// fails and changes nothing in the repository.
pub async fn create_point(
    repository: &Repository,
    target: &Target,
    name: &str,
) -> Result<RestorePoint, BackupError> {
    let wrong = |reason: &str| BackupError::Point { name: name.to_owned(), reason: reason.to_owned() };
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.starts_with('.') || !name.chars().all(fits) {
        return Err(wrong("a name is made of up to 63 letters, digits, -, _ and ., and begins with no dot"));
    }
    if repository.points()?.iter().any(|point| point.name == name) {
        return Err(wrong("there is one of this name already"));
    }
    let source = Source::open(target).await?;
    let names = databases(&source.client).await?;
    let before = count_all(&names, target).await?;
    let sql = "SELECT pg_create_restore_point($1)::text, clock_timestamp(), \
               substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8)";
    let row = source.client.query_one(sql, &[&name]).await.map_err(PostgresError::from)?;
    let (lsn, at) = (Lsn::parse(row.get(0))?, crate::moment::Moment::of(row.get(1)));
    let timeline = u32::from_str_radix(row.get(2), 16).map_err(|_| wrong("PostgreSQL names no timeline"))?;
    let after = count_all(&names, target).await?;
    source.client.query_one("SELECT pg_switch_wal()::text", &[]).await.map_err(PostgresError::from)?;
    // What follows the point must be there too: replay stops before the next record.
    source.archived(repository, timeline, Lsn(lsn.0 + 1)).await?;
    let rows = quiet(&before, &after);
    let point = RestorePoint { format: FORMAT, name: name.to_owned(), timeline, lsn, at, rows };
    match repository.add_point(&point)? {
        true => Ok(point),
        false => Err(wrong("there is one of this name already")),
    }
}

type Counted = BTreeMap<String, BTreeMap<String, (i64, String)>>;

async fn count_all(names: &[String], target: &Target) -> Result<Counted, BackupError> {
    let mut counted = BTreeMap::new();
    for name in names {
        let client = connect_control(&target.in_database(name)).await?;
        counted.insert(name.clone(), count_rows(&client).await?);
    }
    Ok(counted)
}

/// Returns the rows of the tables that were the same before and after: of the others nobody knows how
/// many there were at the point between.
fn quiet(before: &Counted, after: &Counted) -> RowCounts {
    let same = |tables: &BTreeMap<String, (i64, String)>, after: &BTreeMap<String, (i64, String)>| {
        let same = tables.iter().filter(|(table, found)| after.get(*table) == Some(found));
        same.map(|(table, (rows, _))| (table.clone(), *rows)).collect::<BTreeMap<_, _>>()
    };
    before.iter().filter_map(|(name, tables)| Some((name.clone(), same(tables, after.get(name)?)))).collect()
}
