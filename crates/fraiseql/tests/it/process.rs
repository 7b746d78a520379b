//! Runs the binary as a user would, in an environment without settings, always with a limit.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// No wait is longer: a command that hangs fails its test.
pub const LIMIT: Duration = Duration::from_secs(120);

/// Returns the command, without what the tester's own environment would add.
pub fn fraiseql<I: AsRef<OsStr>>(dir: &Path, arguments: impl IntoIterator<Item = I>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fraiseql"));
    command.args(arguments);
    clean(&mut command, dir);
    command
}

/// Takes settings out of a command's environment and lets it run in `dir`.
pub fn clean(command: &mut Command, dir: &Path) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text == "DATABASE_URL" || text.starts_with("FRAISEQL_") || text.starts_with("PG") {
            command.env_remove(&name);
        }
    }
    command.current_dir(dir);
}

/// Runs a command to its end.
#[track_caller]
pub fn run<I: AsRef<OsStr>>(dir: &Path, arguments: impl IntoIterator<Item = I>) -> Ended {
    Running::spawn(fraiseql(dir, arguments)).end()
}

/// What a command left behind.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// Returns everything that a user sees, with what differs between runs replaced.
    pub fn shown(&self, replaced: &[(&str, &str)]) -> String {
        let mut shown = format!("{}\n", self.status);
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            shown.push_str(&format!("-- {name}\n"));
            text.split_inclusive('\n').for_each(|line| shown.push_str(&without_time(line)));
        }
        for (from, to) in replaced {
            shown = shown.replace(from, to);
        }
        shown
    }

    /// Returns standard output, after a success.
    #[track_caller]
    pub fn ok(self) -> String {
        assert!(self.status.success(), "{}", self.shown(&[]));
        self.stdout
    }
}

/// Replaces the time that a line of the log begins with: `2026-01-26T14:03:00.000Z`.
fn without_time(line: &str) -> String {
    let is_time = |head: &str| head.starts_with("20") && head.as_bytes()[10] == b'T' && head.ends_with('Z');
    match line.split_at_checked(24) {
        Some((head, rest)) if is_time(head) => format!("[TIME]{rest}"),
        _ => line.to_owned(),
    }
}

/// A command that runs. It is killed when the test ends before it.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: Collected,
    stderr: Collected,
}

impl Running {
    pub fn spawn(command: Command) -> Self {
        Self::spawn_with(command, Stdio::null())
    }

    /// The same, with something for it to read.
    pub fn spawn_with(mut command: Command, stdin: Stdio) -> Self {
        let command = command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary runs");
        let stdout = Collected::of(child.stdout.take().expect("it is piped"));
        let stderr = Collected::of(child.stderr.take().expect("it is piped"));
        Self { child, stdout, stderr }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns what it has said so far.
    pub fn said(&self) -> String {
        self.stderr.text()
    }

    /// Waits until it has said `text`, and returns all that it has said.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) -> String {
        let deadline = Instant::now() + LIMIT;
        loop {
            // Looked at first: what was said before the end must be seen.
            let ended = self.child.try_wait().expect("it can be waited for");
            let said = if ended.is_some() { self.stderr.whole() } else { self.said() };
            if said.contains(text) {
                return said;
            }
            assert!(ended.is_none(), "it ended with {ended:?} before it said {text:?}:\n{said}");
            assert!(Instant::now() < deadline, "it did not say {text:?}:\n{said}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for the line with the address that it serves, and returns the port.
    #[track_caller]
    pub fn port(&mut self, before: &str) -> u16 {
        self.wait_for(before);
        let deadline = Instant::now() + LIMIT;
        loop {
            let said = self.said();
            let rest = said.split_once(before).expect("it was said").1;
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            // The line may not be complete.
            if rest.len() > digits.len() {
                return digits.parse().expect("a port");
            }
            assert!(Instant::now() < deadline, "{said}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        signal_pid(self.pid(), signal);
    }

    /// Waits for its end.
    #[track_caller]
    pub fn end(mut self) -> Ended {
        let deadline = Instant::now() + LIMIT;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                break status;
            }
            assert!(Instant::now() < deadline, "it does not end:\n{}", self.said());
            std::thread::sleep(Duration::from_millis(2));
        };
        Ended { status, stdout: self.stdout.whole(), stderr: self.stderr.whole() }
    }

    /// Kills it and waits for its end, as a crash would.
    pub fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended: then there is nothing to kill.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Sends a signal to a process that a test started, directly or not. It may be gone already.
pub fn signal_pid(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("a pid is not 0");
    let sent = kill_process(pid, signal);
    assert!(matches!(sent, Ok(()) | Err(rustix::io::Errno::SRCH)), "{sent:?}");
}

/// A stream that is read as it comes.
#[derive(Debug)]
struct Collected {
    text: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Collected {
    fn of(stream: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let into = Arc::clone(&text);
        let reader = std::thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut line = Vec::new();
            while stream.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
                into.lock().expect("no reader panics").push_str(&String::from_utf8_lossy(&line));
                line.clear();
            }
        });
        Self { text, reader: Some(reader) }
    }

    fn text(&self) -> String {
        self.text.lock().expect("no reader panics").clone()
    }

    /// Returns the text once the process has ended.
    fn whole(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().expect("no reader panics");
        }
        self.text()
    }
}

/// Asks `condition` again and again until it gives something.
#[track_caller]
pub fn wait_until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: not in {LIMIT:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
