//! Keeps a service running that can replace itself: the proxy. It is known by its control socket, not
//! by having been started here.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fraiseql_process::{ProcessId, boot_id, is_alive};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use crate::error::{AgentError, file};
use crate::instance::Launch;
use crate::written::{read_json, write_json};

/// How long it may be silent before it is taken for hung.
const SILENCE_MAX: Duration = Duration::from_secs(6);
/// How long it may be silent after its start.
const START_MAX: Duration = Duration::from_secs(20);
const BACKOFF_FIRST: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// Keeps it running.
#[derive(Debug)]
pub struct ProxyKeeper {
    record: PathBuf,
    log: PathBuf,
    launch: Launch,
    process: Option<ProcessId>,
    child: Option<Child>,
    started: Option<Instant>,
    silent: Option<Instant>,
    not_before: Option<Instant>,
    backoff: Duration,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptRecord {
    process: ProcessId,
    boot: String,
}

impl ProxyKeeper {
    /// Takes over what the last agent knew of it.
    pub fn take_over(state: &Path, name: &str, launch: Launch) -> Result<Self, AgentError> {
        let folder = state.join("kept");
        std::fs::create_dir_all(&folder).map_err(file("make", &folder))?;
        let record = folder.join(format!("{name}.json"));
        let known = read_json::<KeptRecord>(&record)?.filter(|known| known.boot == boot_id());
        let process = known.map(|known| known.process).filter(|process| is_alive(*process));
        Ok(Self {
            record,
            log: folder.join(format!("{name}.log")),
            launch,
            process,
            child: None,
            started: None,
            silent: None,
            not_before: None,
            backoff: BACKOFF_FIRST,
        })
    }

    /// Takes note of who answers on its control socket, and starts it when nobody does. Returns what
    /// happened, in words.
    pub fn look_after(&mut self, answers: Option<u32>) -> Result<Option<String>, AgentError> {
        if let Some(child) = &mut self.child
            && matches!(child.try_wait(), Ok(Some(_)))
        {
            self.child = None;
        }
        if let Some(pid) = answers {
            (self.silent, self.backoff) = (None, BACKOFF_FIRST);
            let process = ProcessId::of(pid);
            if process != self.process {
                self.process = process;
                self.write()?;
            }
            return Ok(None);
        }
        let silent = *self.silent.get_or_insert_with(Instant::now);
        if let Some(process) = self.process.filter(|process| is_alive(*process)) {
            let starting = self.started.is_some_and(|started| started.elapsed() < START_MAX);
            if silent.elapsed() < SILENCE_MAX || starting {
                return Ok(None);
            }
            process.signal(Signal::KILL);
            return Ok(Some("does not answer any more, and is started again".to_owned()));
        }
        if self.not_before.is_some_and(|not_before| Instant::now() < not_before) {
            return Ok(None);
        }
        self.start().map(Some)
    }

    /// Returns its log.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Asks it to stop; returns true when it is gone.
    pub fn stop(&mut self) -> bool {
        if let Some(child) = &mut self.child
            && matches!(child.try_wait(), Ok(Some(_)))
        {
            self.child = None;
        }
        match self.process.filter(|process| is_alive(*process)) {
            Some(process) => {
                if self.not_before.is_none_or(|not_before| Instant::now() >= not_before) {
                    process.signal(Signal::TERM);
                    self.not_before = Some(Instant::now() + BACKOFF_MAX);
                }
                false
            }
            None => true,
        }
    }

    fn start(&mut self) -> Result<String, AgentError> {
        self.not_before = Some(Instant::now() + self.backoff);
        self.backoff = (self.backoff * 2).min(BACKOFF_MAX);
        let log = OpenOptions::new().create(true).append(true).mode(0o600).open(&self.log);
        let log = log.map_err(file("open", &self.log))?;
        let errors = log.try_clone().map_err(file("open", &self.log))?;
        let mut command = Command::new(&self.launch.program);
        command.args(&self.launch.arguments).current_dir(&self.launch.folder).process_group(0);
        command.envs(self.launch.variables.iter().map(|(name, value)| (name, value)));
        command.env_remove("LISTEN_FDS").env_remove("LISTEN_PID").env_remove("NOTIFY_SOCKET");
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        let child = command.spawn().map_err(file("start", &self.launch.program))?;
        (self.process, self.started) = (ProcessId::of_child(&child), Some(Instant::now()));
        let pid = child.id();
        self.child = Some(child);
        self.silent = None;
        self.write()?;
        Ok(format!("starts as process {pid}"))
    }

    fn write(&self) -> Result<(), AgentError> {
        match self.process {
            Some(process) => write_json(&self.record, &KeptRecord { process, boot: boot_id() }),
            None => Ok(()),
        }
    }
}
