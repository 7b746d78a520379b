//! `cargo xtask test`: runs every test, passes the output through, then names the ten slowest.
//!
//! Cargo runs each test binary through this program (`CARGO_TARGET_..._RUNNER`), which asks libtest
//! for times and notes them in a file. The libtest in every toolchain can report times, but only says
//! so with `RUSTC_BOOTSTRAP` set; it is set for the test binaries alone, so nothing is built differently.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// The command under which cargo calls this program for each test binary.
pub const RUNNER: &str = "run-test-binary";

const NOTES: &str = "FRAISEQL_XTASK_TEST_NOTES";
const SLOWEST: usize = 10;

/// How long we read on after a test binary has ended: what it started may still hold its output open.
const LEFTOVERS_MAX: Duration = Duration::from_secs(5);

/// How one test ended and how long it took.
#[derive(Debug, PartialEq, Eq)]
struct TestTime {
    took: Duration,
    name: String,
    passed: bool,
}

/// Runs the tests of the workspace, then its documentation tests, and prints what was slow and what failed.
///
/// `arguments` go to `cargo test`; with a package or a target among them only that is run. Returns the
/// exit code: zero only when everything passed. Fails when cargo or a temporary file is not to be had.
pub fn run(arguments: &[String]) -> io::Result<u8> {
    let notes = tempfile::NamedTempFile::new()?;
    let scope = Scope::of(arguments);
    let mut tests = cargo(&scope.flags(&["--tests"]), arguments);
    if scope.times {
        tests.env(runner_variable()?, runner_value()?).env(NOTES, notes.path());
    }
    let mut code = exit_code(tests.status()?);
    if scope.documentation {
        let documentation = cargo(&scope.flags(&["--doc"]), arguments).status()?;
        code = code.max(exit_code(documentation));
    }
    let summary = summary(read_notes(notes.path())?);
    io::stdout().write_all(summary.as_bytes()).or_else(ignore_broken_pipe)?;
    Ok(code)
}

/// Runs one test binary for cargo: `arguments` are its path and what cargo passes on.
///
/// Returns the binary's exit code. Fails when it cannot be started or its times cannot be noted.
pub fn run_binary(arguments: &[String]) -> io::Result<u8> {
    let (binary, rest) =
        arguments.split_first().ok_or_else(|| io::Error::other("no test binary was named"))?;
    let mut command = Command::new(binary);
    command.args(["-Z", "unstable-options", "--report-time"]).args(rest).env("RUSTC_BOOTSTRAP", "1");
    let krate = std::env::var("CARGO_PKG_NAME").unwrap_or_else(|_| binary.clone());
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let output = child.stdout.take().expect("standard output was piped");
    let (done, finished) = mpsc::channel();
    thread::spawn(move || done.send(pass_through(output, &krate)));
    let code = exit_code(child.wait()?);
    match finished.recv_timeout(LEFTOVERS_MAX) {
        Ok(passed) => passed?,
        Err(_) => eprintln!("xtask: {binary} ended and left a process behind that holds its standard output"),
    }
    Ok(code)
}

/// Copies `output` to standard output and notes the time of each test in it.
fn pass_through(output: impl Read, krate: &str) -> io::Result<()> {
    let mut notes = match std::env::var_os(NOTES) {
        Some(path) => Some(OpenOptions::new().append(true).open(path)?),
        None => None,
    };
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    while output.read_until(b'\n', &mut line)? > 0 {
        // A closed pipe (`| head`) must not stop the tests.
        io::stdout().write_all(&line).and_then(|()| io::stdout().flush()).or_else(ignore_broken_pipe)?;
        if let (Some(notes), Some(test)) = (&mut notes, read_time(&String::from_utf8_lossy(&line))) {
            let ending = if test.passed { "ok" } else { "FAILED" };
            writeln!(notes, "{} {ending} {krate} {}", test.took.as_micros(), test.name)?;
        }
        line.clear();
    }
    Ok(())
}

fn ignore_broken_pipe(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) }
}

/// What the caller's arguments leave open.
struct Scope {
    workspace: bool,
    targets: bool,
    /// Whether documentation tests run too, on their own: rustdoc starts them, not cargo.
    documentation: bool,
    /// Whether the binaries understand that they are asked for times.
    times: bool,
}

impl Scope {
    fn of(arguments: &[String]) -> Self {
        let own = arguments.iter().take_while(|argument| *argument != "--");
        let mut scope = Self { workspace: true, targets: true, documentation: true, times: true };
        for argument in own {
            match argument.split('=').next().unwrap_or(argument) {
                "-p" | "--package" | "--manifest-path" => {
                    scope.workspace = false;
                    scope.documentation = false;
                }
                "--lib" | "--bin" | "--bins" | "--test" | "--tests" | "--example" | "--examples"
                | "--bench" | "--benches" | "--all-targets" => {
                    scope.targets = false;
                    scope.documentation = false;
                }
                "--doc" => {
                    scope.targets = false;
                    scope.documentation = false;
                    scope.times = false;
                }
                "--no-run" => scope.documentation = false,
                _ => {}
            }
        }
        scope
    }

    fn flags<'a>(&self, targets: &[&'a str]) -> Vec<&'a str> {
        let mut flags = vec!["--no-fail-fast"];
        flags.extend(self.workspace.then_some("--workspace"));
        if self.targets {
            flags.extend(targets);
        }
        flags
    }
}

fn cargo(flags: &[&str], arguments: &[String]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(program);
    command.arg("test").args(flags).args(arguments);
    command
}

/// Returns `CARGO_TARGET_<TRIPLE>_RUNNER` for the machine that we build for.
fn runner_variable() -> io::Result<String> {
    if let Some(triple) = std::env::var_os("CARGO_BUILD_TARGET") {
        return Ok(variable_for(&triple.to_string_lossy()));
    }
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| OsString::from("rustc"));
    let version = Command::new(rustc).arg("-vV").output()?;
    let text = String::from_utf8_lossy(&version.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(variable_for).ok_or_else(|| io::Error::other("rustc -vV names no host"))
}

fn variable_for(triple: &str) -> String {
    format!("CARGO_TARGET_{}_RUNNER", triple.to_uppercase().replace(['-', '.'], "_"))
}

/// Returns this program and its command, as cargo splits them: at spaces.
fn runner_value() -> io::Result<OsString> {
    let program = std::env::current_exe()?;
    if program.to_string_lossy().contains(' ') {
        let message = format!("cargo cannot run tests through {}: its path has a space", program.display());
        return Err(io::Error::other(message));
    }
    let mut value = program.into_os_string();
    value.push(" ");
    value.push(RUNNER);
    Ok(value)
}

fn exit_code(status: ExitStatus) -> u8 {
    // A process that a signal ended has no code of its own.
    status.code().map_or(101, |code| u8::try_from(code).unwrap_or(101))
}

/// Reads `test NAME ... ok <0.001s>`.
fn read_time(line: &str) -> Option<TestTime> {
    let (name, outcome) = line.strip_prefix("test ")?.trim_end().rsplit_once(" ... ")?;
    let (ending, time) = outcome.rsplit_once(" <")?;
    let Ok(seconds) = time.strip_suffix("s>")?.parse() else { return None };
    let took = Duration::try_from_secs_f64(seconds).ok()?;
    let name = name.trim_end_matches(" - should panic").to_owned();
    Some(TestTime { took, name, passed: ending.trim() == "ok" })
}

fn read_notes(path: &Path) -> io::Result<Vec<TestTime>> {
    let text = std::fs::read_to_string(path)?;
    text.lines().map(read_note).collect()
}

fn read_note(line: &str) -> io::Result<TestTime> {
    let words: Vec<&str> = line.splitn(3, ' ').collect();
    if let [micros, ending, name] = words.as_slice()
        && let Ok(micros) = micros.parse()
    {
        return Ok(TestTime {
            took: Duration::from_micros(micros),
            name: (*name).to_owned(),
            passed: *ending == "ok",
        });
    }
    Err(io::Error::other(format!("a note of a test's time cannot be read: {line}")))
}

fn summary(mut tests: Vec<TestTime>) -> String {
    if tests.is_empty() {
        return String::new();
    }
    tests.sort_by(|left, right| right.took.cmp(&left.took).then_with(|| left.name.cmp(&right.name)));
    let failed: Vec<&TestTime> = tests.iter().filter(|test| !test.passed).collect();
    let mut text = format!("\nthe {} slowest of {} tests:\n", SLOWEST.min(tests.len()), tests.len());
    for test in tests.iter().take(SLOWEST) {
        text.push_str(&format!("{:>9.3} s  {}\n", test.took.as_secs_f64(), test.name));
    }
    if !failed.is_empty() {
        text.push_str(&format!("\n{} failed:\n", failed.len()));
        text.extend(failed.iter().map(|test| format!("  {}\n", test.name)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[track_caller]
    fn check_flags(arguments: &str, expected: &str) {
        assert_eq!(Scope::of(&words(arguments)).flags(&["--tests"]).join(" "), expected);
    }

    #[test]
    fn arguments_narrow_what_is_run() {
        check_flags("", "--no-fail-fast --workspace --tests");
        check_flags("-p fraiseql-model names", "--no-fail-fast --tests");
        check_flags("--package=fraiseql-model --lib", "--no-fail-fast");
        check_flags("names -- --lib", "--no-fail-fast --workspace --tests");
        assert!(!Scope::of(&words("--test it")).documentation);
        assert!(!Scope::of(&words("-p fraiseql-model")).documentation);
        assert!(Scope::of(&words("names")).documentation);
    }

    #[test]
    fn times_are_read_from_libtests_lines() {
        let test = read_time("test tests::a ... ok <1.250s>\n").unwrap();
        assert_eq!(
            (test.took, test.name.as_str(), test.passed),
            (Duration::from_millis(1250), "tests::a", true)
        );
        assert!(!read_time("test tests::a ... FAILED <0.001s>").unwrap().passed);
        assert!(read_time("test tests::a - should panic ... ok <0.001s>").unwrap().name == "tests::a");
        assert_eq!(read_time("test result: ok. 3 passed; 0 failed"), None);
        assert_eq!(read_time("test tests::a ... ok"), None);
    }

    #[test]
    fn the_slowest_come_first_and_failures_last() {
        let test = |millis, name: &str, passed| TestTime {
            took: Duration::from_millis(millis),
            name: name.to_owned(),
            passed,
        };
        let text = summary(vec![test(5, "a quick", true), test(900, "a slow", false)]);
        assert_eq!(
            text,
            "\nthe 2 slowest of 2 tests:\n    0.900 s  a slow\n    0.005 s  a quick\n\n1 failed:\n  a slow\n"
        );
        assert_eq!(summary(Vec::new()), "");
    }

    #[test]
    fn the_runner_is_named_as_cargo_wants_it() {
        assert_eq!(variable_for("x86_64-unknown-linux-gnu"), "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER");
    }
}
