//! The deployment guide's runbook: its steps in order, what is written down of each, and the record as a text.
//! Who does a step is the binary or a person; nothing is done here.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

/// A step of the guide.
#[derive(Debug, PartialEq, Eq)]
pub struct RunbookStep {
    /// Its name on the command line.
    pub name: &'static str,
    /// The guide's list that it stands in.
    pub list: RunbookList,
    /// What is to be done, in the guide's words.
    pub title: &'static str,
}

/// A list of the guide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RunbookList {
    /// Before anything is touched.
    Before,
    /// The deployment itself.
    Deployment,
    /// What follows.
    After,
}

impl RunbookList {
    /// Returns its title.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Before => "Pre-deployment",
            Self::Deployment => "Deployment",
            Self::After => "Post-deployment",
        }
    }
}

const fn step(name: &'static str, list: RunbookList, title: &'static str) -> RunbookStep {
    RunbookStep { name, list, title }
}

/// The guide's fifteen steps, and `preflight` before them.
pub const RUNBOOK: &[RunbookStep] = &[
    step("preflight", RunbookList::Before, "Checks pass"),
    step("approved", RunbookList::Before, "Code reviewed and approved"),
    step("tests", RunbookList::Before, "All tests passing"),
    step("security-scan", RunbookList::Before, "Security scan passed"),
    step("baseline", RunbookList::Before, "Performance baseline established"),
    step("rollback-plan", RunbookList::Before, "Rollback plan documented"),
    step("backup", RunbookList::Deployment, "Create backup of database"),
    step("maintenance", RunbookList::Deployment, "Set maintenance mode"),
    step("deploy", RunbookList::Deployment, "Deploy new version"),
    step("smoke-tests", RunbookList::Deployment, "Run smoke tests"),
    step("traffic", RunbookList::Deployment, "Enable traffic gradually"),
    step("watch", RunbookList::After, "Monitor metrics for 1 hour"),
    step("verify", RunbookList::After, "Verify all functionality"),
    step("feedback", RunbookList::After, "Collect user feedback"),
    step("issues", RunbookList::After, "Document any issues"),
    step("archive", RunbookList::After, "Archive deployment artifacts"),
];

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepEnd {
    /// It was done.
    Done,
    /// It is not needed, for the reason in the evidence.
    NotNeeded,
    /// It was tried and failed; it is tried again.
    Failed,
}

impl StepEnd {
    /// Returns it in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::NotNeeded => "not needed",
            Self::Failed => "failed",
        }
    }
}

/// A line of the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunbookEntry {
    /// The version of this line.
    pub format: u32,
    /// The step.
    pub step: String,
    /// How it ended.
    pub end: StepEnd,
    /// Who did it: a person, or `fraiseql`.
    pub by: String,
    /// When, in seconds since the epoch of Unix.
    pub at_s: u64,
    /// What was seen, or what the person said.
    pub evidence: String,
}

impl RunbookEntry {
    /// The version that this program writes and reads.
    pub const FORMAT: u32 = 1;
}

/// Reads a record. A last line without its end was being written when the power went: it is left out.
///
/// Returns the entries and how many bytes of the text they are. Fails at a line that cannot be
/// understood, with its number.
pub fn read_runbook(text: &str) -> Result<(Vec<RunbookEntry>, usize), String> {
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    let mut entries = Vec::new();
    for (index, line) in text[..whole].lines().enumerate() {
        let number = index + 1;
        let read: Result<RunbookEntry, _> = serde_json::from_str(line);
        let entry = read.map_err(|error| format!("line {number}: {error}"))?;
        if entry.format != RunbookEntry::FORMAT {
            return Err(format!("line {number} has format {}, this version reads 1", entry.format));
        }
        entries.push(entry);
    }
    Ok((entries, whole))
}

/// Returns the first step that is not over.
pub fn next_step(entries: &[RunbookEntry]) -> Option<&'static RunbookStep> {
    RUNBOOK.iter().find(|step| over(entries, step).is_none())
}

/// Returns how a step ended for good.
fn over<'e>(entries: &'e [RunbookEntry], step: &RunbookStep) -> Option<&'e RunbookEntry> {
    entries.iter().rfind(|entry| entry.step == step.name && entry.end != StepEnd::Failed)
}

/// Returns the record of a release as Markdown; `shown` tells a time.
pub fn runbook_markdown(release: &str, entries: &[RunbookEntry], shown: impl Fn(u64) -> String) -> String {
    let mut text = format!("# Deployment of release {release}\n");
    for list in [RunbookList::Before, RunbookList::Deployment, RunbookList::After] {
        put(
            &mut text,
            format_args!(
                "\n## {}\n\n| step | | by | at | evidence |\n|---|---|---|---|---|\n",
                list.as_str()
            ),
        );
        for step in RUNBOOK.iter().filter(|step| step.list == list) {
            let tried = entries.iter().filter(|entry| entry.step == step.name);
            let mut open = true;
            for RunbookEntry { end, by, at_s, evidence, .. } in tried {
                open &= *end == StepEnd::Failed;
                let (by, evidence, at, end) = (cell(by), cell(evidence), shown(*at_s), end.as_str());
                put(&mut text, format_args!("| {} | {end} | {by} | {at} | {evidence} |\n", step.title));
            }
            if open {
                put(&mut text, format_args!("| {} | open | | | |\n", step.title));
            }
        }
    }
    text
}

/// Returns the same as one HTML page without scripts.
pub fn runbook_html(release: &str, entries: &[RunbookEntry], shown: impl Fn(u64) -> String) -> String {
    let release = escaped(release);
    let mut text = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Deployment of {release}</title>\n\
         <h1>Deployment of release {release}</h1>\n<table>\n\
         <tr><th>step<th>end<th>by<th>at<th>evidence\n"
    );
    for step in RUNBOOK {
        let mut open = true;
        for RunbookEntry { end, by, at_s, evidence, .. } in
            entries.iter().filter(|entry| entry.step == step.name)
        {
            open &= *end == StepEnd::Failed;
            let (by, evidence, at, end) = (escaped(by), escaped(evidence), shown(*at_s), end.as_str());
            put(&mut text, format_args!("<tr><td>{}<td>{end}<td>{by}<td>{at}<td>{evidence}\n", step.title));
        }
        if open {
            put(&mut text, format_args!("<tr><td>{}<td>open<td><td><td>\n", step.title));
        }
    }
    text.push_str("</table>\n</html>\n");
    text
}

fn put(text: &mut String, what: std::fmt::Arguments<'_>) {
    text.write_fmt(what).expect("writing to a String does not fail");
}

/// Makes a text that ends no cell and no row.
fn cell(text: &str) -> String {
    text.replace('\\', "\\\\").replace('|', "\\|").replace('\n', " ")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(step: &str, end: StepEnd, evidence: &str) -> RunbookEntry {
        let (step, by, evidence) = (step.to_owned(), "ann".to_owned(), evidence.to_owned());
        RunbookEntry { format: RunbookEntry::FORMAT, step, end, by, at_s: 7, evidence }
    }

    #[test]
    fn a_failed_step_is_open_and_the_others_go_on() {
        assert_eq!(next_step(&[]).unwrap().name, "preflight");
        let mut entries = vec![entry("preflight", StepEnd::Failed, "")];
        assert_eq!(next_step(&entries).unwrap().name, "preflight");
        entries.push(entry("preflight", StepEnd::Done, ""));
        entries.push(entry("approved", StepEnd::NotNeeded, ""));
        assert_eq!(next_step(&entries).unwrap().name, "tests");
        let all: Vec<_> = RUNBOOK.iter().map(|step| entry(step.name, StepEnd::Done, "")).collect();
        assert_eq!(next_step(&all), None);
    }

    #[test]
    fn a_torn_last_line_is_left_out_and_another_is_told() {
        let line = serde_json::to_string(&entry("tests", StepEnd::Done, "3 tests")).unwrap();
        let (entries, whole) = read_runbook(&format!("{line}\n{}", &line[..20])).unwrap();
        assert_eq!((entries.len(), whole), (1, line.len() + 1));
        assert!(read_runbook(&format!("{{}}\n{line}\n")).unwrap_err().starts_with("line 1: "));
        let newer = line.replace("\"format\":1", "\"format\":9");
        assert!(read_runbook(&format!("{newer}\n")).unwrap_err().contains("format 9"));
    }

    #[test]
    fn the_record_has_each_step_and_no_text_breaks_out_of_it() {
        let entries = [entry("issues", StepEnd::Done, "a | b\n<script>")];
        let markdown = runbook_markdown("ab12", &entries, |at_s| format!("T{at_s}"));
        assert!(
            markdown.contains("| Document any issues | done | ann | T7 | a \\| b <script> |\n"),
            "{markdown}"
        );
        assert_eq!(markdown.matches("| open | | | |").count(), RUNBOOK.len() - 1);
        let html = runbook_html("ab12", &entries, |at_s| format!("T{at_s}"));
        assert!(html.contains("a | b\n&lt;script&gt;") && !html.contains("<script>"), "{html}");
    }
}
