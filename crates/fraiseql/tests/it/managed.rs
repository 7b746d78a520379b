//! A service as an operator has it: an agent with instances and a proxy, and releases that are deployed.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use fraiseql_testkit::{Database, HaProxyServer};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::control::ask;
use crate::load::{Clients, Seen, Way};
use crate::process::{Ended, Running, fraiseql, run, signal_pid, wait_until};
use crate::project::{MUSIC, Project, TABLES, database, free_port};

/// Every kind of client that only reads.
pub const READERS: &[Way] = &[Way::KeepAlive, Way::NewConnections, Way::Http2, Way::WebSocket];

/// What makes rollouts short enough for a test.
const QUICK: &str = "[agent]\nliveness_interval_ms = 500\nliveness_timeout_ms = 3000\n\
                     [proxy]\nprobe_interval_ms = 200\nprobe_timeout_ms = 2000\nanswer_timeout_ms = 5000\n";

/// An agent at work.
pub struct Managed {
    pub project: Project,
    _database: Database,
    pub url: String,
    pub agent: Option<Running>,
    /// Where clients come.
    pub port: u16,
    /// Who shares out traffic instead of the built-in proxy.
    pub haproxy: Option<HaProxyServer>,
    /// What stands in the settings' file of every release.
    settings: String,
}

impl Managed {
    /// Starts an agent that has no release yet.
    pub fn start() -> Self {
        Self::start_with(free_port(), None, QUICK)
    }

    /// The same behind an HAProxy; `None` where there is none.
    pub fn behind_haproxy() -> Option<Self> {
        let haproxy = HaProxyServer::start(8)?;
        let (port, socket) = (haproxy.port, haproxy.socket());
        let settings = format!("{QUICK}driver = \"haproxy\"\nhaproxy_socket = \"{}\"\n", socket.display());
        Some(Self::start_with(port, Some(haproxy), &settings))
    }

    /// The same with settings beside those that make it quick: of the agent, and others.
    pub fn with_settings(agent: &str, others: &str) -> Self {
        let quick = QUICK.replacen("[agent]\n", &format!("[agent]\n{agent}"), 1);
        Self::start_with(free_port(), None, &format!("{quick}{others}"))
    }

    fn start_with(port: u16, haproxy: Option<HaProxyServer>, settings: &str) -> Self {
        let database = database(TABLES);
        let url = database.url();
        crate::project::execute(&url, "INSERT INTO artist VALUES (1, 'Nina'), (2, 'Ella')");
        let project = Project::new(MUSIC);
        project.write("fraiseql.toml", settings);
        let settings = settings.to_owned();
        let mut managed = Self { project, _database: database, url, agent: None, port, haproxy, settings };
        managed.start_agent();
        managed
    }

    /// The same, with a first release that serves.
    pub fn serving() -> Self {
        let managed = Self::start();
        managed.deploy(&["--bake", "0s"]).ok();
        managed
    }

    pub fn start_agent(&mut self) {
        self.start_agent_with(&[]);
    }

    /// The same, with more variables.
    pub fn start_agent_with(&mut self, variables: &[(&str, &str)]) {
        let port = self.port.to_string();
        let arguments = ["agent", "shop", "--port", &port, "--database-url", &self.url];
        let mut command = fraiseql(self.project.root(), arguments);
        command.envs(variables.iter().copied());
        let mut agent = Running::spawn(command);
        agent.wait_for("looks after");
        wait_until("the agent answers", || self.told());
        self.agent = Some(agent);
    }

    /// Kills the agent, and nothing else.
    pub fn kill_agent(&mut self) {
        self.agent.take().expect("it runs").kill();
    }

    /// Returns what the agent tells of itself; `None` when it does not answer.
    fn told(&self) -> Option<Value> {
        let socket = self.project.dir().join(".fraiseql/agent.sock");
        let (status, answer) = ask(&socket, "GET", "/status", &Value::Null)?;
        (status == 200 && !answer.is_null()).then_some(answer)
    }

    #[track_caller]
    pub fn status(&self) -> Value {
        wait_until("the agent answers", || self.told())
    }

    /// Waits until what the agent tells of the service is so.
    #[track_caller]
    pub fn until(&self, what: &str, mut is_so: impl FnMut(&Value) -> bool) -> Value {
        wait_until(what, || self.told().filter(|status| is_so(status)))
    }

    /// Returns the weights of releases, by their first digits, as the proxy has them.
    pub fn weights(&self) -> Vec<(String, u64)> {
        let socket = self.project.dir().join(".fraiseql/proxy.sock");
        let state = match &self.haproxy {
            Some(_) => self.status()["proxy"].clone(),
            None => ask(&socket, "GET", "/state", &Value::Null).map(|(_, state)| state).unwrap_or_default(),
        };
        let arms = state["generation"]["arms"].as_array().cloned().unwrap_or_default();
        let mut weights: Vec<(String, u64)> = arms
            .iter()
            .map(|arm| {
                (arm["release"].as_str().expect("a name").to_owned(), arm["weight"].as_u64().unwrap_or(0))
            })
            .filter(|(_, weight)| *weight > 0)
            .collect();
        weights.sort();
        weights
    }

    /// Runs a command about the project.
    #[track_caller]
    pub fn tell(&self, arguments: &[&str]) -> Ended {
        run(self.project.root(), arguments.iter().chain(&["-C", "shop"]))
    }

    fn deployment<'a>(&'a self, flags: &[&'a str]) -> Vec<&'a str> {
        let mut arguments = vec!["deploy", "shop", "--yes", "--database-url", &self.url];
        arguments.extend(flags);
        // What a test does not say is quick.
        let lacks = |flag: &str| !flags.contains(&flag);
        for (flag, value) in
            [("--step-time", "1s"), ("--deadline", "30s"), ("--patience", "60s"), ("--settle", "1s")]
        {
            if lacks(flag) {
                arguments.extend([flag, value]);
            }
        }
        arguments
    }

    /// Deploys the project as it is now.
    #[track_caller]
    pub fn deploy(&self, flags: &[&str]) -> Ended {
        run(self.project.root(), self.deployment(flags))
    }

    /// The same, without waiting for the end.
    pub fn deploying(&self, flags: &[&str]) -> Running {
        Running::spawn(fraiseql(self.project.root(), self.deployment(flags)))
    }

    /// Makes a release that differs from the others by nothing that anybody notices; returns its name.
    #[track_caller]
    pub fn another(&self, number: u32) -> String {
        self.project.write("fraiseql.toml", &format!("{}[limits]\ndepth = {}\n", self.settings, 10 + number));
        self.build()
    }

    /// Builds a release of the project as it is now; returns its name.
    #[track_caller]
    pub fn build(&self) -> String {
        let ended = self.project.run(&["release", "build", "shop", "--database-url", &self.url]);
        ended.ok().trim().to_owned()
    }

    /// Puts a script in the place of the program of a release; `$REAL` is the program.
    pub fn pretend(&self, release: &str, script: &str) {
        let program = self.project.dir().join(format!(".fraiseql/releases/{release}/program"));
        let real = program.with_file_name("real");
        fs::rename(&program, &real).expect("it is there");
        let text = format!("#!/bin/sh\nREAL='{}'\n{script}\n", real.display());
        let mut file = fs::File::create(&program).expect("the folder is ours");
        file.write_all(text.as_bytes()).expect("there is room");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("it is ours");
    }

    /// Returns the pids of the instances of a release that run.
    pub fn pids(&self, release: &str) -> Vec<u32> {
        let status = self.status();
        let instances = status["instances"].as_array().cloned().unwrap_or_default();
        let of = instances.iter().filter(|instance| instance["release"] == json!(release));
        of.filter_map(|instance| u32::try_from(instance["pid"].as_u64()?).ok()).collect()
    }

    pub fn stable(&self) -> String {
        self.status()["service"]["stable"].as_str().expect("there is one").to_owned()
    }

    /// Kills everything that runs, as the loss of power would.
    pub fn lose_power(&mut self) {
        self.agent.take();
        for pid in self.project.processes() {
            signal_pid(pid, Signal::KILL);
        }
        wait_until("everything is gone", || self.project.processes().is_empty().then_some(()));
    }

    pub fn clients(&self, ways: &[Way]) -> Clients {
        Clients::start(self.port, ways)
    }
}

/// Fails when a client has seen a failure; returns how many answers there were, and the longest time.
#[track_caller]
pub fn nobody_noticed(seen: Vec<Seen>) -> (usize, Duration) {
    let failed: Vec<String> = seen
        .iter()
        .flat_map(|seen| seen.failed.iter().map(|reason| format!("{:?}: {reason}", seen.way)))
        .collect();
    assert_eq!(failed, Vec::<String>::new());
    let micros: Vec<u64> = seen.into_iter().flat_map(|seen| seen.micros).collect();
    (micros.len(), Duration::from_micros(micros.into_iter().max().unwrap_or(0)))
}
