//! Timelines: which one comes from which, and where. Pure.
//!
//! Each restore begins a new timeline. A path leads from the first timeline to a chosen one; it is
//! what PostgreSQL follows with `recovery_target_timeline`.

use std::collections::BTreeMap;

use crate::error::{BackupError, damaged};
use crate::lsn::Lsn;

/// A stretch of WAL that is on a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leg {
    pub(crate) timeline: u32,
    pub(crate) begins: Lsn,
    /// Where the next timeline begins; `None` for the last.
    pub(crate) ends: Option<Lsn>,
}

/// A way through the timelines, oldest first; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TimelinePath(Vec<Leg>);

impl TimelinePath {
    /// Makes the path to `timeline` of its history file's text; the first timeline has none.
    pub(crate) fn to(timeline: u32, histories: &BTreeMap<u32, String>) -> Result<Self, BackupError> {
        let mut legs = Vec::new();
        let mut begins = Lsn(0);
        if timeline > 1 {
            let what = || format!("{timeline:08X}.history");
            let text = histories.get(&timeline).ok_or_else(|| damaged(what(), "it is not in the archive"))?;
            for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
            {
                let mut words = line.split_whitespace();
                let (Some(number), Some(lsn)) = (words.next(), words.next()) else {
                    return Err(damaged(what(), format!("{line:?} is no line of a history")));
                };
                let ancestor = number.parse().map_err(|_| damaged(what(), "a timeline is a number"))?;
                let ends = Lsn::parse(lsn).map_err(|error| damaged(what(), error.to_string()))?;
                legs.push(Leg { timeline: ancestor, begins, ends: Some(ends) });
                begins = ends;
            }
        }
        legs.push(Leg { timeline, begins, ends: None });
        Ok(Self(legs))
    }

    /// Returns the timeline that it leads to.
    pub(crate) fn last(&self) -> u32 {
        self.0.last().expect("never empty").timeline
    }

    /// Returns true when the position on the timeline is on the path.
    pub(crate) fn holds(&self, timeline: u32, lsn: Lsn) -> bool {
        let leg = self.0.iter().find(|leg| leg.timeline == timeline);
        leg.is_some_and(|leg| leg.begins <= lsn && leg.ends.is_none_or(|ends| lsn <= ends))
    }

    /// Returns the timeline under whose name the segment is looked for: the newest that has it, since
    /// its copy begins with what the older one wrote.
    pub(crate) fn timeline_of_segment(&self, segment: u64, segment_bytes: u64) -> u32 {
        let begun = self.0.iter().rev().find(|leg| leg.begins.segment(segment_bytes) <= segment);
        begun.unwrap_or(&self.0[0]).timeline
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENT: u64 = 0x0100_0000;

    fn path() -> TimelinePath {
        let text = "1\t0/3000060\tbefore 2026\n\n2\t0/5800000\tno recovery target specified\n";
        TimelinePath::to(3, &BTreeMap::from([(3, text.to_owned())])).unwrap()
    }

    #[test]
    fn a_segment_is_looked_for_on_the_newest_timeline_that_has_it() {
        let path = path();
        let found: Vec<u32> = (1..7).map(|segment| path.timeline_of_segment(segment, SEGMENT)).collect();
        assert_eq!(found, [1, 1, 2, 2, 3, 3]);
        assert_eq!(path.last(), 3);
    }

    #[test]
    fn what_was_left_is_not_on_the_path() {
        let path = path();
        assert!(path.holds(1, Lsn(0x0300_0060)) && path.holds(3, Lsn(0x0900_0000)));
        assert!(!path.holds(1, Lsn(0x0300_0061)), "written after the restore that began timeline 2");
        assert!(!path.holds(4, Lsn(0x0300_0060)));
    }

    #[test]
    fn a_history_that_is_missing_or_broken_is_an_error() {
        assert!(TimelinePath::to(2, &BTreeMap::new()).is_err());
        assert!(TimelinePath::to(2, &BTreeMap::from([(2, "one 0/0".to_owned())])).is_err());
        assert_eq!(TimelinePath::to(1, &BTreeMap::new()).unwrap().last(), 1);
    }
}
