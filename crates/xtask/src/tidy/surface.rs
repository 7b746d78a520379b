//! Rule: only the binary prints, reads the environment and exits. The test kit and this crate are tools.

use super::Finding;
use crate::rust_file::RustFile;
use crate::workspace::Workspace;

const FREE: &[&str] = &["fraiseql", "fraiseql-testkit", "xtask"];

const BANNED: &[(&[&str], &str)] = &[
    (&["println", "!"], "hand the text to the caller: the binary prints"),
    (&["print", "!"], "hand the text to the caller: the binary prints"),
    (&["eprintln", "!"], "return an error or an event: the binary prints"),
    (&["eprint", "!"], "return an error or an event: the binary prints"),
    (&["stdout", "("], "hand the text to the caller: the binary prints"),
    (&["stderr", "(", ")"], "return an error or an event: the binary prints"),
    (&["env", "::", "var"], "take the value as an argument: the binary reads the environment"),
    (&["env", "::", "var_os"], "take the value as an argument: the binary reads the environment"),
    (&["env", "::", "vars"], "take the values as an argument: the binary reads the environment"),
    (&["env", "::", "vars_os"], "take the values as an argument: the binary reads the environment"),
    (&["env", "::", "args"], "take the values as an argument: the binary reads the command line"),
    (&["env", "::", "args_os"], "take the values as an argument: the binary reads the command line"),
    (&["process", "::", "exit"], "return an error: the binary decides the exit code"),
    (&["process", "::", "abort"], "return an error: the binary decides the exit code"),
];

pub(super) fn check(workspace: &Workspace) -> Vec<Finding> {
    let fenced = |file: &&RustFile| !file.krate().is_empty() && !FREE.contains(&file.krate());
    let files = workspace.rust.iter().filter(fenced).filter(|file| !file.path.ends_with("/build.rs"));
    files.flat_map(check_file).collect()
}

fn check_file(file: &RustFile) -> Vec<Finding> {
    let finding = |(pattern, instead): &(&'static [&'static str], &str)| {
        let word = pattern.concat();
        let found = file.find(pattern).filter(|index| !is_piped(file, *index, pattern));
        found
            .map(|index| {
                Finding::new(&file.path, file.tokens[index].line, "surface", format!("`{word}`: {instead}"))
            })
            .collect::<Vec<_>>()
    };
    BANNED.iter().flat_map(finding).collect()
}

/// Returns true for `.stdout(...)` and `.stderr(...)`: where a child's output goes, not ours.
fn is_piped(file: &RustFile, index: usize, pattern: &[&str]) -> bool {
    matches!(pattern[0], "stdout" | "stderr") && matches!(file.token(index.checked_sub(1)), "." | "fn")
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::check_rule;

    #[test]
    fn a_library_that_prints_or_reads_the_environment_is_found() {
        let bad =
            "fn a() {\nprintln!();\nstd::env::var(\"A\");\nstd::process::exit(1);\nstd::io::stdout();\n}";
        let found = &["2: `println!`", "5: `stdout(`", "3: `env::var`", "4: `process::exit`"];
        check_rule(check, &[("crates/fraiseql-serve/src/lib.rs", bad)], found);
        check_rule(check, &[("crates/fraiseql/src/main.rs", bad)], &[]);
        check_rule(check, &[("crates/fraiseql-serve/tests/it/main.rs", bad)], &[]);
    }

    #[test]
    fn a_childs_output_may_be_piped() {
        let good =
            "fn a() { Command::new(\"b\").stdout(Stdio::piped()).stderr(Stdio::null()); env!(\"C\"); }";
        check_rule(check, &[("crates/fraiseql-cluster/src/lib.rs", good)], &[]);
    }
}
