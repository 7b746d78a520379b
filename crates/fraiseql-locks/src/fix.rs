//! Writes the safe form of statements into a file.

use crate::lint::StatementReport;

/// Returns `source` with the safe form of each statement that has one, and how many were changed.
///
/// `reports` are those of this file, from the same text. Comments between statements stay; those
/// within a statement that is changed go.
pub fn fixed(source: &str, reports: &[&StatementReport]) -> (String, usize) {
    let mut text = String::with_capacity(source.len());
    let (mut written, mut count) = (0, 0);
    for report in reports {
        if let Some(fix) = &report.fix {
            text.push_str(&source[written..report.start]);
            text.push_str(fix);
            written = report.end;
            count += 1;
        }
    }
    text.push_str(&source[written..]);
    (text, count)
}
