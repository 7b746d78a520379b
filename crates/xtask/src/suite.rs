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

/// How often in a row a test that failed beside others must pass by itself to count as unsteady.
const ALONE: usize = 3;

/// How libtest ends when tests have failed.
const FAILED: u8 = 101;

/// More failures of one binary than these are no accident of a busy machine.
const UNSTEADY_MAX: usize = 3;

/// How long we read on after a test binary has ended: what it started may still hold its output open.
const LEFTOVERS_MAX: Duration = Duration::from_secs(5);

/// How one test ended and how long it took.
#[derive(Debug, PartialEq, Eq)]
struct TestTime {
    took: Duration,
    name: String,
    ending: Ending,
}

/// Opens where the output of test binaries goes.
type Shown = fn() -> Box<dyn Write + Send>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Passed,
    Failed,
    /// It failed beside other tests, and passed each time by itself.
    Unsteady,
}

impl Ending {
    const ALL: [Self; 3] = [Self::Passed, Self::Failed, Self::Unsteady];

    fn word(self) -> &'static str {
        match self {
            Self::Passed => "ok",
            Self::Failed => "FAILED",
            Self::Unsteady => "UNSTEADY",
        }
    }

    fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|ending| ending.word() == word)
    }
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
    let krate = std::env::var("CARGO_PKG_NAME").unwrap_or_else(|_| binary.clone());
    let (code, tests) = run_curiously(binary, rest, || Box::new(io::stdout()))?;
    note(&tests, &krate)?;
    Ok(code)
}

/// Runs a test binary; a few tests that fail are run again, each by itself, to tell what only fails beside
/// others. They have failed all the same.
fn run_curiously(binary: &str, arguments: &[String], shown: Shown) -> io::Result<(u8, Vec<TestTime>)> {
    let (code, mut tests) = run_tests(binary, arguments, shown)?;
    let mut failed: Vec<&mut TestTime> =
        tests.iter_mut().filter(|test| test.ending == Ending::Failed).collect();
    if code == FAILED && failed.len() <= UNSTEADY_MAX {
        for test in &mut failed {
            eprintln!("xtask: {} failed; running it {ALONE} times by itself", test.name);
            if passes_alone(binary, &test.name, shown)? {
                test.ending = Ending::Unsteady;
            }
        }
    }
    Ok((code, tests))
}

fn passes_alone(binary: &str, name: &str, shown: Shown) -> io::Result<bool> {
    let only = ["--exact".to_owned(), name.to_owned()];
    for _ in 0..ALONE {
        let (code, tests) = run_tests(binary, &only, shown)?;
        let passed = |test: &TestTime| test.name == name && test.ending == Ending::Passed;
        if code != 0 || !tests.iter().any(passed) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Runs a test binary; returns its exit code and its tests.
fn run_tests(binary: &str, arguments: &[String], shown: Shown) -> io::Result<(u8, Vec<TestTime>)> {
    let mut command = Command::new(binary);
    command.args(["-Z", "unstable-options", "--report-time"]).args(arguments).env("RUSTC_BOOTSTRAP", "1");
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let output = child.stdout.take().expect("standard output was piped");
    let (sender, heard) = mpsc::channel();
    thread::spawn(move || pass_through(output, shown(), &sender));
    let code = exit_code(child.wait()?);
    let mut tests = Vec::new();
    loop {
        match heard.recv_timeout(LEFTOVERS_MAX) {
            Ok(test) => tests.push(test?),
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                eprintln!("xtask: {binary} ended and left a process behind that holds its standard output");
                break;
            }
        }
    }
    Ok((code, tests))
}

/// Copies `output` to where it is shown and tells of each test in it.
fn pass_through(output: impl Read, mut shown: impl Write, heard: &mpsc::Sender<io::Result<TestTime>>) {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    loop {
        line.clear();
        let passed_on = match output.read_until(b'\n', &mut line) {
            Ok(0) => return,
            // A closed pipe (`| head`) must not stop the tests.
            Ok(_) => shown.write_all(&line).and_then(|()| shown.flush()).or_else(ignore_broken_pipe),
            Err(error) => Err(error),
        };
        let told = match passed_on {
            Ok(()) => read_time(&String::from_utf8_lossy(&line)).map(Ok),
            Err(error) => Some(Err(error)),
        };
        let ends = matches!(told, Some(Err(_)));
        // Who no longer listens has noted what there was.
        if told.is_some_and(|told| heard.send(told).is_err()) || ends {
            return;
        }
    }
}

fn note(tests: &[TestTime], krate: &str) -> io::Result<()> {
    let Some(path) = std::env::var_os(NOTES) else { return Ok(()) };
    let mut notes = OpenOptions::new().append(true).open(path)?;
    for test in tests {
        writeln!(notes, "{} {} {krate} {}", test.took.as_micros(), test.ending.word(), test.name)?;
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
    let (word, time) = outcome.rsplit_once(" <")?;
    let Ok(seconds) = time.strip_suffix("s>")?.parse() else { return None };
    let took = Duration::try_from_secs_f64(seconds).ok()?;
    let name = name.trim_end_matches(" - should panic").to_owned();
    let ending = if word.trim() == "ok" { Ending::Passed } else { Ending::Failed };
    Some(TestTime { took, name, ending })
}

fn read_notes(path: &Path) -> io::Result<Vec<TestTime>> {
    let text = std::fs::read_to_string(path)?;
    text.lines().map(read_note).collect()
}

fn read_note(line: &str) -> io::Result<TestTime> {
    let words: Vec<&str> = line.splitn(3, ' ').collect();
    if let [micros, word, name] = words.as_slice()
        && let (Ok(micros), Some(ending)) = (micros.parse(), Ending::named(word))
    {
        return Ok(TestTime { took: Duration::from_micros(micros), name: (*name).to_owned(), ending });
    }
    Err(io::Error::other(format!("a note of a test's time cannot be read: {line}")))
}

fn summary(mut tests: Vec<TestTime>) -> String {
    if tests.is_empty() {
        return String::new();
    }
    tests.sort_by(|left, right| right.took.cmp(&left.took).then_with(|| left.name.cmp(&right.name)));
    let mut text = format!("\nthe {} slowest of {} tests:\n", SLOWEST.min(tests.len()), tests.len());
    for test in tests.iter().take(SLOWEST) {
        text.push_str(&format!("{:>9.3} s  {}\n", test.took.as_secs_f64(), test.name));
    }
    for (ending, words) in
        [(Ending::Unsteady, "failed beside others and passed alone"), (Ending::Failed, "failed")]
    {
        let names: Vec<&str> =
            tests.iter().filter(|test| test.ending == ending).map(|test| test.name.as_str()).collect();
        if !names.is_empty() {
            text.push_str(&format!("\n{} {words}:\n", names.len()));
            text.extend(names.iter().map(|name| format!("  {name}\n")));
        }
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
            (test.took, test.name.as_str(), test.ending),
            (Duration::from_millis(1250), "tests::a", Ending::Passed)
        );
        let failed = read_time("test tests::a ... FAILED <0.001s>").unwrap();
        assert_eq!(failed.ending, Ending::Failed);
        assert!(read_time("test tests::a - should panic ... ok <0.001s>").unwrap().name == "tests::a");
        assert_eq!(read_time("test result: ok. 3 passed; 0 failed"), None);
        assert_eq!(read_time("test tests::a ... ok"), None);
    }

    #[test]
    fn the_slowest_come_first_and_failures_last() {
        let test = |millis, name: &str, ending| TestTime {
            took: Duration::from_millis(millis),
            name: name.to_owned(),
            ending,
        };
        let tests = [
            test(5, "a quick", Ending::Passed),
            test(900, "a slow", Ending::Failed),
            test(20, "a busy", Ending::Unsteady),
        ];
        let expected = "\nthe 3 slowest of 3 tests:\n    0.900 s  a slow\n    0.020 s  a busy\n    \
            0.005 s  a quick\n\n1 failed beside others and passed alone:\n  a busy\n\n\
            1 failed:\n  a slow\n";
        assert_eq!(summary(tests.into()), expected);
        assert_eq!(summary(Vec::new()), "");
    }

    #[track_caller]
    fn check_binary(arguments: &str, expected: (u8, Ending)) {
        let script = crate::workspace::root().join("crates/xtask/tests/data/suite.sh");
        let (code, tests) =
            run_curiously(script.to_str().unwrap(), &words(arguments), || Box::new(io::sink())).unwrap();
        assert_eq!((code, tests[0].ending), expected, "{arguments}");
    }

    #[test]
    fn what_passes_alone_is_told_apart_and_fails_all_the_same() {
        check_binary("all", (0, Ending::Passed));
        check_binary("busy", (101, Ending::Unsteady));
        check_binary("broken", (101, Ending::Failed));
        check_binary("crowd", (101, Ending::Failed));
        check_binary("crash", (101, Ending::Passed));
    }

    #[test]
    fn the_runner_is_named_as_cargo_wants_it() {
        assert_eq!(variable_for("x86_64-unknown-linux-gnu"), "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER");
    }
}
