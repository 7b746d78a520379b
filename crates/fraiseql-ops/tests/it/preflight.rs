//! The page of the checks tells each of them, in words that stand in the code.

use std::fmt::Write;
use std::fs;

use fraiseql_ops::checks::{CHECKS, CheckList};
use fraiseql_testkit::checkout;

#[test]
fn the_page_has_each_check() {
    let mut expected = String::new();
    for list in CheckList::ALL {
        write!(expected, "### {}\n\n| check | what must be so | why |\n|---|---|---|\n", list.as_str())
            .unwrap();
        for check in CHECKS.iter().filter(|check| check.list == *list) {
            let mark = if check.mild { "" } else { " (1)" };
            writeln!(expected, "| `{}`{mark} | {} | {} |", check.name, check.title, check.why).unwrap();
        }
        expected.push('\n');
    }
    let page = fs::read_to_string(checkout().join("docs/reference/preflight.md")).expect("the page");
    assert!(page.contains(&expected), "write into docs/reference/preflight.md:\n{expected}");
}
