//! One instance of a release: its process, its socket, and what is known of its health.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use command_fds::{CommandFdExt, FdMapping};
use fraiseql_process::{ProcessId, ProcessUsage, boot_id, is_alive};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use crate::error::{AgentError, file};
use crate::written::{read_json, write_json};

/// The version of [`InstanceRecord`].
const FORMAT: u32 = 1;
/// The number that the first inherited socket has, as `sd_listen_fds(3)` says.
const FIRST_SOCKET: i32 = 3;
/// A log larger than this is put aside.
const LOG_BYTES_MAX: u64 = 16 << 20;
const LOG_BYTES_SHOWN: u64 = 4 << 10;
/// An instance that ran for so long has not ended because of how it starts.
const SETTLED: Duration = Duration::from_secs(60);
const BACKOFF_FIRST: Duration = Duration::from_millis(200);
const BACKOFF_MAX: Duration = Duration::from_secs(15);
/// So often in a row, and it is called crashing.
const CRASHES_MAX: u32 = 3;

/// What is written down of an instance, so that the next agent finds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct InstanceRecord {
    format: u32,
    pub(crate) name: String,
    pub(crate) release: String,
    pub(crate) address: SocketAddr,
    pub(crate) process: Option<ProcessId>,
    boot: String,
}

/// What an instance is started with.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Variables beside the agent's own.
    pub variables: Vec<(OsString, OsString)>,
    /// The folder in which it runs.
    pub folder: PathBuf,
}

/// What probes have found, shared with who asks them.
#[derive(Debug, Default)]
pub(crate) struct Health {
    pub(crate) ready: AtomicBool,
    /// Probes in a row that found it dead.
    pub(crate) silent: AtomicU32,
}

/// An instance.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) record: InstanceRecord,
    pub(crate) health: Arc<Health>,
    folder: PathBuf,
    /// There when we started it: then we must also take its exit status.
    child: Option<Child>,
    started: Option<Instant>,
    /// Ends in a row.
    pub(crate) crashes: u32,
    not_before: Option<Instant>,
    stopping: Option<Instant>,
    killed: bool,
}

impl Instance {
    /// Makes one that does not run, at an address that is free now.
    pub(crate) fn new(folder: &Path, name: &str, release: &str) -> Result<Self, AgentError> {
        let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
        let address = bound.map_err(file("find a port for an instance in", folder))?;
        let record = InstanceRecord {
            format: FORMAT,
            name: name.to_owned(),
            release: release.to_owned(),
            address,
            process: None,
            boot: boot_id(),
        };
        let instance = Self::of(folder, record);
        instance.write()?;
        Ok(instance)
    }

    /// Returns those that an agent has left behind: running or not.
    pub(crate) fn found(folder: &Path) -> Result<Vec<Self>, AgentError> {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(file("read", folder)(error)),
        };
        let mut found = Vec::new();
        for entry in entries {
            let path = entry.map_err(file("read", folder))?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let Some(mut record) = read_json::<InstanceRecord>(&path)? else { continue };
            if record.boot != boot_id() {
                // Its pid may be anybody's by now.
                (record.process, record.boot) = (None, boot_id());
            }
            let mut instance = Self::of(folder, record);
            instance.started = instance.process().map(|_| Instant::now());
            found.push(instance);
        }
        Ok(found)
    }

    fn of(folder: &Path, record: InstanceRecord) -> Self {
        Self {
            record,
            health: Arc::default(),
            folder: folder.to_owned(),
            child: None,
            started: None,
            crashes: 0,
            not_before: None,
            stopping: None,
            killed: false,
        }
    }

    /// Returns its process while it lives.
    pub(crate) fn process(&self) -> Option<ProcessId> {
        self.record.process.filter(|process| is_alive(*process))
    }

    /// Returns what it uses of the machine.
    pub(crate) fn usage(&self) -> Option<ProcessUsage> {
        ProcessUsage::of(self.process()?)
    }

    /// Returns true when it ends again and again.
    pub(crate) fn is_crashing(&self) -> bool {
        self.crashes >= CRASHES_MAX
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.is_some()
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.health.ready.load(Ordering::Acquire) && self.process().is_some() && !self.is_stopping()
    }

    /// Starts it, if it does not run and its time has come.
    pub(crate) fn start(&mut self, launch: &Launch) -> Result<bool, AgentError> {
        let waits = self.not_before.is_some_and(|not_before| Instant::now() < not_before);
        if self.is_stopping() || waits || self.process().is_some() {
            return Ok(false);
        }
        let listener = self.listen()?;
        let log = self.open_log()?;
        let errors = log.try_clone().map_err(file("open", &self.log()))?;
        let mut command = Command::new(&launch.program);
        command.args(&launch.arguments).current_dir(&launch.folder).process_group(0);
        command.envs(launch.variables.iter().map(|(name, value)| (name, value)));
        command.env("LISTEN_FDS", "1").env_remove("LISTEN_PID").env_remove("NOTIFY_SOCKET");
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        let socket = FdMapping { parent_fd: OwnedFd::from(listener), child_fd: FIRST_SOCKET };
        let mapped = command.fd_mappings(vec![socket]);
        mapped.map_err(|error| file("start", &launch.program)(std::io::Error::other(error.to_string())))?;
        let child = match command.spawn() {
            Ok(child) => child,
            Err(error) => {
                self.note_end();
                return Err(file("start", &launch.program)(error));
            }
        };
        self.record.process = ProcessId::of_child(&child);
        (self.child, self.started, self.killed) = (Some(child), Some(Instant::now()), false);
        self.health = Arc::default();
        self.write()?;
        Ok(true)
    }

    /// Takes note of its end. Returns how it ended, when that is news.
    pub(crate) fn reap(&mut self) -> Option<String> {
        self.record.process?;
        let status = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
        if status.is_none() && self.process().is_some() {
            return None;
        }
        (self.record.process, self.child) = (None, None);
        self.health.ready.store(false, Ordering::Release);
        self.note_end();
        // Whether that can be written or not, the next agent looks at the process itself.
        drop(self.write());
        Some(status.map_or_else(|| "it has ended".to_owned(), |status| format!("it has ended: {status}")))
    }

    fn note_end(&mut self) {
        let settled = self.started.is_some_and(|started| started.elapsed() >= SETTLED);
        self.crashes = if settled { 1 } else { self.crashes.saturating_add(1) };
        let factor = 2_u32.saturating_pow(self.crashes.min(10).saturating_sub(1));
        self.not_before = Some(Instant::now() + BACKOFF_FIRST.saturating_mul(factor).min(BACKOFF_MAX));
    }

    /// Ends it at once: it hangs.
    pub(crate) fn kill(&mut self) {
        if let Some(process) = self.process() {
            process.signal(Signal::KILL);
        }
    }

    /// Adds why it is ended to what it wrote: that is where people look.
    pub(crate) fn note(&self, why: &str) {
        let written = self.open_log().and_then(|mut log| {
            writeln!(log, "ended by the agent: {why}").map_err(file("write", &self.log()))
        });
        // It is ended whether its log has room or not.
        drop(written);
    }

    /// Asks it once to stop.
    pub(crate) fn begin_stop(&mut self) {
        if self.stopping.is_none() {
            self.stopping = Some(Instant::now());
            if let Some(process) = self.process() {
                process.signal(Signal::TERM);
            }
        }
    }

    /// Returns true when it is gone; kills it when it has had `patience`.
    pub(crate) fn has_stopped(&mut self, patience: Duration) -> bool {
        let Some(process) = self.process() else {
            self.reap();
            return true;
        };
        if !self.killed && self.stopping.is_some_and(|since| since.elapsed() >= patience) {
            self.killed = true;
            process.signal(Signal::KILL);
        }
        false
    }

    /// Forgets it. Its log stays.
    pub(crate) fn forget(&self) {
        let path = self.path();
        // What cannot be removed is found by the next agent, and stopped again.
        drop(fs::remove_file(path));
    }

    /// Returns the last line that it wrote.
    pub(crate) fn said(&self) -> String {
        let read = || -> std::io::Result<String> {
            let mut log = File::open(self.log())?;
            let bytes = log.metadata()?.len();
            log.seek(SeekFrom::Start(bytes.saturating_sub(LOG_BYTES_SHOWN)))?;
            let mut end = Vec::new();
            log.read_to_end(&mut end)?;
            let text = String::from_utf8_lossy(&end).into_owned();
            let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
            // A failure says what is wrong in its first line, and what to do below it.
            let telling = lines.iter().rev().find(|line| line.starts_with("error["));
            Ok(telling.or(lines.last()).map(ToString::to_string).unwrap_or_default())
        };
        read().unwrap_or_else(|error| format!("its log cannot be read: {error}"))
    }

    /// Puts a log aside that has become too large. The process goes on writing at its end.
    pub(crate) fn bound_log(&self) {
        let log = self.log();
        if fs::metadata(&log).is_ok_and(|found| found.len() > LOG_BYTES_MAX) {
            // A log that cannot be put aside is no reason to stop an instance.
            drop(
                fs::copy(&log, log.with_extension("log.1"))
                    .and_then(|_| OpenOptions::new().write(true).open(&log).and_then(|log| log.set_len(0))),
            );
        }
    }

    /// Listens where it is known to listen; elsewhere when somebody else is there meanwhile.
    fn listen(&mut self) -> Result<TcpListener, AgentError> {
        let listener = TcpListener::bind(self.record.address)
            .or_else(|_taken| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
        let listener = listener.map_err(file("find a port for an instance in", &self.folder))?;
        self.record.address = listener.local_addr().map_err(file("look at a port of", &self.folder))?;
        Ok(listener)
    }

    fn open_log(&self) -> Result<File, AgentError> {
        let log = self.log();
        let opened = OpenOptions::new().create(true).append(true).mode(0o600).open(&log);
        opened.map_err(file("open", &log))
    }

    fn write(&self) -> Result<(), AgentError> {
        write_json(&self.path(), &self.record)
    }

    fn path(&self) -> PathBuf {
        self.folder.join(format!("{}.json", self.record.name))
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.folder.join(format!("{}.log", self.record.name))
    }
}
