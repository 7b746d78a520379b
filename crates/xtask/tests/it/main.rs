//! The rules of the house, held against this repository.

use xtask::workspace::{Workspace, root};
use xtask::{reference, tidy};

#[test]
fn the_repository_keeps_its_rules() {
    let findings = tidy::check(&Workspace::load(&root()).unwrap());
    let list: String = findings.iter().map(|finding| format!("\n{finding}")).collect();
    assert!(findings.is_empty(), "{} finding(s):{list}", findings.len());
}

#[test]
fn the_reference_pages_are_what_the_tables_say() {
    for (path, expected) in reference::pages() {
        let found = std::fs::read_to_string(root().join(path)).unwrap();
        assert!(found == expected, "{path} is out of date: run `cargo xtask reference`");
    }
}
