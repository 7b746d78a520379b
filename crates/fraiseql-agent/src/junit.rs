//! Reads what test runners write: JUnit XML.
//!
//! There is no standard. What all writers have are `testcase` elements, with `failure` or `error` in
//! those that failed and `skipped` in those that did not run; the sums in attributes are not read.

use std::path::Path;

use quick_xml::Reader;
use quick_xml::events::Event;

use crate::error::{AgentError, file};

/// The largest report.
const REPORT_BYTES_MAX: u64 = 256 << 20;

/// A report of tests that all passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TestReport {
    /// Test cases that ran.
    pub run: u64,
    /// Test cases that were left out.
    pub skipped: u64,
}

/// Reads a report, and returns it with its bytes.
///
/// Fails when it cannot be read, when a test failed, and when no test ran: that proves nothing.
pub fn read_junit(path: &Path) -> Result<(TestReport, Vec<u8>), AgentError> {
    let bytes = std::fs::metadata(path).map_err(file("read", path))?.len();
    let refused = |reason: String| AgentError::Report { path: path.to_owned(), reason };
    if bytes > REPORT_BYTES_MAX {
        return Err(refused(format!("it has {bytes} bytes, the most is {REPORT_BYTES_MAX}")));
    }
    let text = std::fs::read(path).map_err(file("read", path))?;
    let report = count(&text).map_err(refused)?;
    Ok((report, text))
}

fn count(text: &[u8]) -> Result<TestReport, String> {
    let (mut cases, mut failed, mut skipped) = (0_u64, 0_u64, 0_u64);
    let mut first_failed = None;
    let (mut case, mut depth) = (None::<TestCase>, 0_usize);
    let mut reader = Reader::from_reader(text);
    let mut buffer = Vec::new();
    loop {
        let event = reader.read_event_into(&mut buffer);
        let event = event.map_err(|error| format!("it is no XML: {error}"))?;
        match &event {
            Event::Start(element) | Event::Empty(element) => {
                let is_open = matches!(event, Event::Start(_));
                depth += usize::from(is_open);
                match element.local_name().as_ref() {
                    b"testcase" => {
                        let name = element.attributes().flatten().find(|found| found.key.as_ref() == b"name");
                        let name = name.map(|name| String::from_utf8_lossy(&name.value).into_owned());
                        case = Some(TestCase { name: name.unwrap_or_default(), ended: Ended::Well });
                        if !is_open {
                            cases += 1;
                            case = None;
                        }
                    }
                    b"failure" | b"error" => {
                        // Outside of a case it says that the suite itself broke.
                        match &mut case {
                            Some(case) => case.ended = Ended::Badly,
                            None => return Err("it tells of an error outside of any test".to_owned()),
                        }
                    }
                    b"skipped" => {
                        if let Some(case) = case.as_mut().filter(|case| case.ended == Ended::Well) {
                            case.ended = Ended::NotBegun;
                        }
                    }
                    _ => {}
                }
            }
            Event::End(element) => {
                depth = depth.saturating_sub(1);
                if element.local_name().as_ref() == b"testcase"
                    && let Some(case) = case.take()
                {
                    cases += 1;
                    skipped += u64::from(case.ended == Ended::NotBegun);
                    failed += u64::from(case.ended == Ended::Badly);
                    if case.ended == Ended::Badly {
                        first_failed.get_or_insert(case.name);
                    }
                }
            }
            Event::Eof if depth > 0 => return Err("it is cut short".to_owned()),
            Event::Eof => break,
            _ => {}
        }
        buffer.clear();
    }
    match first_failed {
        Some(name) => Err(format!("{failed} of {cases} tests failed, {name:?} the first of them")),
        None if cases == skipped => Err(format!("it has no test that ran ({skipped} were skipped)")),
        None => Ok(TestReport { run: cases - skipped, skipped }),
    }
}

/// A test case that is being read.
struct TestCase {
    name: String,
    ended: Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Well,
    Badly,
    NotBegun,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<(u64, u64), &str>) {
        let counted = count(text.as_bytes()).map(|report| (report.run, report.skipped));
        assert_eq!(counted, expected.map_err(str::to_owned));
    }

    #[test]
    fn cases_count_and_not_what_the_suite_claims() {
        check(
            r#"<testsuites><testsuite tests="9"><testcase name="a"/></testsuite></testsuites>"#,
            Ok((1, 0)),
        );
        check(
            r#"<?xml version="1.0"?><testsuite><testcase name="a"><system-out>error</system-out></testcase>
               <testcase name="b"><skipped message="no"/></testcase></testsuite>"#,
            Ok((1, 1)),
        );
    }

    #[test]
    fn what_proves_nothing_is_refused() {
        check("<testsuite tests=\"12\"/>", Err("it has no test that ran (0 were skipped)"));
        check(
            "<testsuite><testcase name=\"a\"><skipped/></testcase></testsuite>",
            Err("it has no test that ran (1 were skipped)"),
        );
        check(
            "<testsuite><testcase name=\"a\"/><testcase name=\"b\"><failure/></testcase></testsuite>",
            Err("1 of 2 tests failed, \"b\" the first of them"),
        );
        check(
            "<testsuite><testcase name=\"a\"><error>x</error></testcase></testsuite>",
            Err("1 of 1 tests failed, \"a\" the first of them"),
        );
        check("<testsuite><error/><testcase/></testsuite>", Err("it tells of an error outside of any test"));
        check("<testsuite><testcase name=\"a\">", Err("it is cut short"));
        check("", Err("it has no test that ran (0 were skipped)"));
    }
}
