//! `backup status`: how fresh the backups are.

use fraiseql_backup::{Moment, freshness};
use serde_json::json;

use super::{Place, now, opened};
use crate::failure::Failure;
use crate::printer::Printer;

pub(super) async fn run(place: &Place, printer: &Printer) -> Result<(), Failure> {
    let (_, repository) = opened(place).await?;
    let found = freshness(&repository)?;
    if printer.is_json() {
        printer.data_json(&json!({ "repository": repository.shown(), "freshness": found }));
        return Ok(());
    }
    let now = Moment::of(now());
    let told = |at: Option<Moment>| match at {
        Some(at) => format!("{at}, {} s ago", now.since(at).as_secs()),
        None => "never".to_owned(),
    };
    printer.data(&format!("backup  {}\n", told(found.backup_at)));
    printer.data(&format!("WAL     {}\n", told(found.wal_at)));
    printer.data(&format!("drill   {}\n", told(found.drill_at)));
    Ok(())
}
