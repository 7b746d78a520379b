//! `cargo xtask COMMAND`: the commands of development. Printing and exit codes live here.

use std::process::ExitCode;

use xtask::workspace::{Workspace, root};
use xtask::{reference, suite, tidy};

const USAGE: &str = "cargo xtask COMMAND

  tidy              check the rules of the house
  test [ARGS]       run every test, then name the ten slowest; ARGS go to `cargo test`
  reference         write docs/reference/ from the tables in fraiseql-model
";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next();
    let rest: Vec<String> = arguments.collect();
    match command.as_deref() {
        Some("tidy") => tidy(),
        Some("test") => report(suite::run(&rest)),
        Some(suite::RUNNER) => report(suite::run_binary(&rest)),
        Some("reference") => report(reference::write(&root()).map(|()| 0)),
        Some("help" | "--help" | "-h") => {
            print!("{USAGE}");
            ExitCode::SUCCESS
        }
        _ => {
            eprint!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn tidy() -> ExitCode {
    let findings = match Workspace::load(&root()) {
        Ok(workspace) => tidy::check(&workspace),
        Err(error) => return report(Err(error)),
    };
    for finding in &findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => ExitCode::SUCCESS,
        count => {
            eprintln!("{count} finding(s)");
            ExitCode::FAILURE
        }
    }
}

fn report(outcome: std::io::Result<u8>) -> ExitCode {
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
