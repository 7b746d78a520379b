//! Keeps so many instances of each release running: starts, probes, starts again, stops.
//!
//! It acts when it is looked after, and waits for nothing: probes run beside it. Instances outlive it,
//! and the next one adopts them by pid and start time.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use fraiseql_model::release::RELEASE_DIGITS_SHOWN;
use fraiseql_process::ProcessUsage;
use tokio::task::JoinSet;

use crate::error::AgentError;
use crate::instance::{Health, Instance, Launch};
use crate::probe;

/// How often instances are asked, and when they are given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SupervisorOptions {
    /// How often an instance is asked whether it lives.
    pub liveness_interval: Duration,
    /// How long that may take.
    pub liveness_timeout: Duration,
    /// After so many silent answers in a row it is killed and started again.
    pub liveness_threshold: u32,
    /// How often an instance is asked whether it is ready.
    pub readiness_interval: Duration,
    /// How long that may take.
    pub readiness_timeout: Duration,
    /// How long an instance may take to stop before it is killed.
    pub stop_timeout: Duration,
    /// The most bytes of memory of its own; one that uses more is killed and started again.
    pub memory_max: Option<u64>,
}

/// Something that happened to an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceEvent {
    /// The instance.
    pub name: String,
    /// What, in words.
    pub what: String,
    /// True when it is not as it should be.
    pub bad: bool,
}

/// What is known of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceView {
    /// Its name.
    pub name: String,
    /// Its release.
    pub release: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its pid, while it runs.
    pub pid: Option<u32>,
    /// Whether it is ready.
    pub ready: bool,
    /// Whether it is to go.
    pub stopping: bool,
    /// Ends in a row.
    pub crashes: u32,
    /// Whether it ends again and again.
    pub crashing: bool,
    /// The last line that it wrote.
    pub said: String,
    /// Its log.
    pub log: PathBuf,
    /// What it uses of the machine.
    pub usage: Option<ProcessUsage>,
}

/// How instances of a release are started; fails with a reason when that release is not there.
pub type LaunchOf = dyn Fn(&str, &str) -> Result<Launch, AgentError> + Send + Sync;

/// The instances of one machine.
pub struct Supervisor {
    folder: PathBuf,
    options: SupervisorOptions,
    launch: Box<LaunchOf>,
    instances: BTreeMap<String, Instance>,
    wanted: BTreeMap<String, u32>,
    probes: JoinSet<()>,
    asked: BTreeMap<String, (Instant, Instant)>,
    events: Vec<InstanceEvent>,
}

impl Supervisor {
    /// Takes over what the last one has left behind. Nothing is stopped before [`Self::set`].
    ///
    /// `launch` tells how an instance of a release is started, by release and by name.
    pub fn take_over(
        state: &Path,
        options: SupervisorOptions,
        launch: Box<LaunchOf>,
    ) -> Result<Self, AgentError> {
        let folder = state.join("instances");
        std::fs::create_dir_all(&folder).map_err(crate::error::file("make", &folder))?;
        let found = Instance::found(&folder)?;
        let mut supervisor = Self {
            folder,
            options,
            launch,
            instances: BTreeMap::new(),
            wanted: BTreeMap::new(),
            probes: JoinSet::new(),
            asked: BTreeMap::new(),
            events: Vec::new(),
        };
        for instance in found {
            *supervisor.wanted.entry(instance.record.release.clone()).or_default() += 1;
            if instance.process().is_some() {
                supervisor.tell(&instance.record.name.clone(), "was running already", false);
            }
            supervisor.instances.insert(instance.record.name.clone(), instance);
        }
        Ok(supervisor)
    }

    /// Wants so many instances of each release, and no others.
    pub fn set(&mut self, wanted: &BTreeMap<String, u32>) {
        self.wanted.clone_from(wanted);
    }

    /// Does what is to be done now.
    pub fn look_after(&mut self) {
        while self.probes.try_join_next().is_some() {}
        for name in self.wanted_names() {
            if !self.instances.contains_key(&name.1) {
                match Instance::new(&self.folder, &name.1, &name.0) {
                    Ok(instance) => drop(self.instances.insert(name.1, instance)),
                    Err(error) => self.tell(&name.1, &told(&error), true),
                }
            }
        }
        let wanted = self.wanted_names();
        let names: Vec<String> = self.instances.keys().cloned().collect();
        for name in names {
            let is_wanted = wanted.iter().any(|(_, wanted)| *wanted == name);
            self.look_after_one(&name, is_wanted);
        }
    }

    fn look_after_one(&mut self, name: &str, is_wanted: bool) {
        let Some(instance) = self.instances.get_mut(name) else { return };
        if !is_wanted || instance.is_stopping() {
            instance.begin_stop();
            if instance.has_stopped(self.options.stop_timeout) {
                instance.forget();
                self.instances.remove(name);
                self.asked.remove(name);
                self.tell(name, "has stopped", false);
            }
            return;
        }
        if let Some(how) = instance.reap() {
            let said = instance.said();
            self.tell(name, &format!("{how}: {said}"), true);
            return;
        }
        if instance.process().is_some() {
            instance.bound_log();
            if instance.health.silent.load(Ordering::Acquire) >= self.options.liveness_threshold {
                instance.kill();
                instance.health.silent.store(0, Ordering::Release);
                self.tell(name, "does not answer any more, and is started again", true);
                return;
            }
            let used = instance.usage().map_or(0, |usage| usage.memory_bytes);
            if let Some(most) = self.options.memory_max.filter(|most| used > *most) {
                let what = format!("it used {} MiB of memory, and may use {}", used >> 20, most >> 20);
                instance.kill();
                instance.note(&what);
                self.tell(name, &format!("is started again: {what}"), true);
                return;
            }
            self.probe(name);
            return;
        }
        let launch = (self.launch)(&instance.record.release, name);
        match launch.and_then(|launch| instance.start(&launch)) {
            Ok(true) => self.tell(name, "starts", false),
            Ok(false) => {}
            Err(error) => self.tell(name, &told(&error), true),
        }
    }

    /// Asks an instance, beside everything else, when its time has come.
    fn probe(&mut self, name: &str) {
        let Some(instance) = self.instances.get(name) else { return };
        let now = Instant::now();
        let (ready_at, alive_at) =
            self.asked.entry(name.to_owned()).or_insert((now, now + self.options.liveness_interval));
        let (address, health) = (instance.record.address, Arc::clone(&instance.health));
        if now >= *ready_at {
            *ready_at = now + self.options.readiness_interval;
            self.probes.spawn(ask_ready(address, Arc::clone(&health), self.options.readiness_timeout));
        }
        if now >= *alive_at {
            *alive_at = now + self.options.liveness_interval;
            self.probes.spawn(ask_alive(address, health, self.options.liveness_timeout));
        }
    }

    /// Returns what happened since the last call.
    pub fn events(&mut self) -> Vec<InstanceEvent> {
        std::mem::take(&mut self.events)
    }

    /// Returns what is known of all instances.
    pub fn views(&self) -> Vec<InstanceView> {
        let view = |instance: &Instance| InstanceView {
            name: instance.record.name.clone(),
            release: instance.record.release.clone(),
            address: instance.record.address,
            pid: instance.process().map(|process| process.pid),
            ready: instance.is_ready(),
            stopping: instance.is_stopping(),
            crashes: instance.crashes,
            crashing: instance.is_crashing(),
            said: instance.said(),
            log: instance.log(),
            usage: instance.usage(),
        };
        self.instances.values().map(view).collect()
    }

    /// Returns names and addresses of the instances of a release, those that stay longest first.
    pub fn addresses(&self, release: &str) -> Vec<(String, SocketAddr)> {
        let mut found: Vec<&Instance> = self
            .instances
            .values()
            .filter(|instance| instance.record.release == release && !instance.is_stopping())
            .collect();
        found.sort_by_key(|instance| number_of(&instance.record.name));
        found.iter().map(|instance| (instance.record.name.clone(), instance.record.address)).collect()
    }

    /// Returns release and name of each instance that is wanted.
    fn wanted_names(&self) -> Vec<(String, String)> {
        let names = |(release, count): (&String, &u32)| {
            let (release, short) =
                (release.clone(), release.get(..RELEASE_DIGITS_SHOWN).unwrap_or(release).to_owned());
            (1..=*count).map(move |number| (release.clone(), format!("{short}-{number}")))
        };
        self.wanted.iter().flat_map(names).collect()
    }

    fn tell(&mut self, name: &str, what: &str, bad: bool) {
        self.events.push(InstanceEvent { name: name.to_owned(), what: what.to_owned(), bad });
    }
}

fn number_of(name: &str) -> u32 {
    let digits = name.rsplit('-').next().unwrap_or("").parse();
    digits.unwrap_or(u32::MAX)
}

fn told(error: &AgentError) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    format!("cannot be started: {error}{}", cause.unwrap_or_default())
}

async fn ask_ready(address: SocketAddr, health: Arc<Health>, limit: Duration) {
    let ready = matches!(probe::get(address, "/health/ready", limit).await, Ok((200, _)));
    health.ready.store(ready, Ordering::Release);
}

async fn ask_alive(address: SocketAddr, health: Arc<Health>, limit: Duration) {
    match probe::get(address, "/health", limit).await {
        Ok(_) => health.silent.store(0, Ordering::Release),
        Err(_) => drop(health.silent.fetch_add(1, Ordering::AcqRel)),
    }
}
