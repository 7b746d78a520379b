//! Rule: every error code has a page in `docs/errors/`, and every page there has a code.

use fraiseql_model::errors;

use super::Finding;
use crate::workspace::Workspace;

const FOLDER: &str = "docs/errors/";

const SECTIONS: &[&str] = &["## What happened", "## Why", "## What to do"];

pub(super) fn check(workspace: &Workspace) -> Vec<Finding> {
    let codes = errors::ALL.iter().map(|error| (error.code, error.title));
    check_pages(workspace, &codes.collect::<Vec<_>>())
}

fn check_pages(workspace: &Workspace, codes: &[(&str, &str)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut report =
        |path: &str, message: String| findings.push(Finding::new(path, 1, "error-pages", message));
    for (code, title) in codes {
        let path = format!("{FOLDER}{code}.md");
        let Some(text) = workspace.text(&path) else {
            report(&path, format!("{code} has no page"));
            continue;
        };
        let heading = format!("# {code}: {title}");
        if text.lines().next() != Some(heading.as_str()) {
            report(&path, format!("the first line is not `{heading}`"));
        }
        let sections: Vec<&str> = text.lines().filter(|line| line.starts_with("## ")).collect();
        if sections != SECTIONS {
            report(&path, format!("the sections are not `{}`", SECTIONS.join("`, `")));
        }
    }
    for page in workspace.files.iter().filter_map(|file| file.path.strip_prefix(FOLDER)) {
        if !codes.iter().any(|(code, _)| page.strip_suffix(".md") == Some(code)) {
            report(&format!("{FOLDER}{page}"), "a page without an error code".to_owned());
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::check_pages;
    use crate::workspace::Workspace;

    const GOOD: &str = "# FQ-A-001: a title\n\n## What happened\n\n## Why\n\n## What to do\n";

    #[track_caller]
    fn check(files: &[(&str, &str)], expected: &[&str]) {
        let found = check_pages(&Workspace::sample(files), &[("FQ-A-001", "a title")]);
        let found: Vec<&str> = found.iter().map(|finding| finding.message.as_str()).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn code_and_page_match() {
        check(&[("docs/errors/FQ-A-001.md", GOOD)], &[]);
        check(&[], &["FQ-A-001 has no page"]);
        check(
            &[("docs/errors/FQ-A-001.md", GOOD), ("docs/errors/FQ-A-002.md", GOOD)],
            &["a page without an error code"],
        );
    }

    #[test]
    fn a_page_keeps_its_form() {
        let retitled = GOOD.replace("a title", "another");
        check(&[("docs/errors/FQ-A-001.md", &retitled)], &["the first line is not `# FQ-A-001: a title`"]);
        let shortened = GOOD.replace("## Why\n", "");
        check(
            &[("docs/errors/FQ-A-001.md", &shortened)],
            &["the sections are not `## What happened`, `## Why`, `## What to do`"],
        );
    }
}
