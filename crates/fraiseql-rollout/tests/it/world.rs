//! A simulated world: a clock, instances, a proxy that counts, and requests. It outlives controllers.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use fraiseql_flow::Journal;
use fraiseql_model::traffic::{
    ArmCounts, Backend, BackendHealth, BackendState, Generation, GenerationOrigin, LATENCY_BOUNDS_US,
    ProxyState, Stamp, Sticky,
};
use fraiseql_rollout::{
    Command, CommandError, Executor, ExecutorError, Fleet, GateLook, GateOutcome, GateState, Gates,
    InstancesSeen, Policy, Rollout, Service, Traffic, TrafficFault,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// How often a gate that works is looked at before it is done.
const WORK_LOOKS: u32 = 3;
/// How often the controller looks.
const TICK_MS: u64 = 1_000;

/// How a release behaves.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// How long an instance takes to become ready; `None`: it never does.
    pub ready_ms: Option<u64>,
    /// How long an instance lives; `None`: for ever.
    pub lives_ms: Option<u64>,
    /// Of its requests, how many fail.
    pub errors: f64,
    /// Of its requests, how many fail inside of a good answer.
    pub graphql_errors: f64,
    /// How long an answer takes.
    pub latency_us: u64,
    /// A gate that it does not pass.
    pub fails: Option<&'static str>,
}

impl Behaviour {
    pub fn good() -> Self {
        Self {
            ready_ms: Some(2_000),
            lives_ms: None,
            errors: 0.0,
            graphql_errors: 0.0,
            latency_us: 900,
            fails: None,
        }
    }
}

#[derive(Clone, Debug)]
struct Instance {
    began_ms: u64,
}

/// Everything outside of the controller.
pub struct World {
    pub now_ms: u64,
    pub per_second: u64,
    behaviours: BTreeMap<String, Behaviour>,
    instances: BTreeMap<String, Vec<Instance>>,
    restarts: BTreeMap<String, u32>,
    generation: Option<(Generation, GenerationOrigin)>,
    lease_ends_ms: Option<u64>,
    /// How often the gate that works was looked at.
    works: u32,
    counts: BTreeMap<String, ArmCounts>,
    random: ChaCha8Rng,
    /// Requests that nobody could answer, because no instance was ready.
    pub lost: u64,
    /// What the controller has done so far.
    pub effects: u64,
    /// The effect at which the controller dies, and whether it comes to pass.
    pub dies_at: Option<(u64, bool)>,
}

/// The world, as the controller reaches it.
#[derive(Clone)]
pub struct Reach(Arc<Mutex<World>>);

impl World {
    pub fn new(seed: u64, behaviours: &[(&str, Behaviour)]) -> Self {
        Self {
            now_ms: 0,
            per_second: 100,
            behaviours: behaviours
                .iter()
                .map(|(name, behaviour)| ((*name).to_owned(), behaviour.clone()))
                .collect(),
            instances: BTreeMap::new(),
            restarts: BTreeMap::new(),
            generation: None,
            lease_ends_ms: None,
            works: 0,
            counts: BTreeMap::new(),
            random: ChaCha8Rng::seed_from_u64(seed),
            lost: 0,
            effects: 0,
            dies_at: None,
        }
    }

    /// Lets time pass, in which requests come.
    pub fn pass(&mut self, milliseconds: u64) {
        let end = self.now_ms + milliseconds;
        while self.now_ms < end {
            self.now_ms += 100;
            self.restart();
            if self.lease_ends_ms.is_some_and(|ends| ends <= self.now_ms)
                && let Some((generation, _)) = self.generation.take()
            {
                self.lease_ends_ms = None;
                self.generation = Some((generation.on_stable(), GenerationOrigin::LeaseEnded));
            }
            for _ in 0..self.per_second / 10 {
                self.request();
            }
        }
    }

    fn restart(&mut self) {
        for (release, instances) in &mut self.instances {
            let Some(lives) = self.behaviours[release].lives_ms else { continue };
            for instance in instances {
                if self.now_ms >= instance.began_ms + lives {
                    *self.restarts.entry(release.clone()).or_default() += 1;
                    instance.began_ms = self.now_ms;
                }
            }
        }
    }

    fn ready(&self, release: &str) -> u32 {
        let ready = |instance: &&Instance| {
            let ready = self.behaviours[release].ready_ms;
            ready.is_some_and(|ready| self.now_ms >= instance.began_ms + ready)
        };
        let instances =
            self.instances.get(release).map_or(0, |instances| instances.iter().filter(ready).count());
        u32::try_from(instances).unwrap()
    }

    fn request(&mut self) {
        let Some((generation, _)) = &self.generation else { return };
        let point = self.random.random_range(0..100_u8);
        let mut sum = 0;
        let arm = generation.arms.iter().find(|arm| {
            sum += arm.weight;
            point < sum
        });
        let Some(release) = arm.map(|arm| arm.release.clone()) else { return };
        // A canary without an instance is passed over, and it counts against it.
        let dead = self.ready(&release) == 0;
        let stable = generation.stable.clone();
        self.count(&release, dead);
        if dead {
            if release != stable && self.ready(&stable) > 0 {
                self.count(&stable, false);
            } else {
                self.lost += 1;
            }
        }
    }

    fn count(&mut self, release: &str, dead: bool) {
        let behaviour = self.behaviours[release].clone();
        let failed = dead || self.random.random_bool(behaviour.errors);
        let graphql_failed = !failed && self.random.random_bool(behaviour.graphql_errors);
        // Some answers of every release take long.
        let slow = self.random.random_bool(0.005);
        let latency = behaviour.latency_us * if slow { 10 } else { 1 };
        let counts = self.counts.entry(release.to_owned()).or_insert_with(|| ArmCounts {
            release: release.to_owned(),
            latency: vec![0; LATENCY_BOUNDS_US.len() + 1],
            ..ArmCounts::default()
        });
        counts.requests += 1;
        counts.failed += u64::from(failed);
        counts.graphql_failed += u64::from(graphql_failed);
        counts.latency[LATENCY_BOUNDS_US.partition_point(|bound| *bound < latency)] += 1;
    }

    pub fn behave(&mut self, release: &str, behaviour: Behaviour) {
        self.behaviours.insert(release.to_owned(), behaviour);
    }

    /// An operator asks the proxy itself.
    pub fn roll_back_at_the_proxy(&mut self) {
        let (generation, _) = self.generation.take().unwrap();
        self.generation = Some((generation.rolled_back().unwrap(), GenerationOrigin::Operator));
        self.lease_ends_ms = None;
    }

    /// Returns the releases that have traffic, with their share.
    pub fn shares(&self) -> BTreeMap<String, u8> {
        let arms = self.generation.iter().flat_map(|(generation, _)| &generation.arms);
        arms.filter(|arm| arm.weight > 0).map(|arm| (arm.release.clone(), arm.weight)).collect()
    }

    /// Returns how many instances of each release run.
    pub fn running(&self) -> BTreeMap<String, usize> {
        self.instances.iter().map(|(release, instances)| (release.clone(), instances.len())).collect()
    }
}

impl Reach {
    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }

    /// Something is done, unless the controller dies before it, or dies right after.
    async fn effect<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        let (number, dies) = {
            let mut world = self.world();
            world.effects += 1;
            (world.effects, world.dies_at)
        };
        match dies.filter(|(at, _)| *at == number) {
            Some((_, false)) => std::future::pending().await,
            Some((_, true)) => {
                act(&mut self.world());
                std::future::pending().await
            }
            None => act(&mut self.world()),
        }
    }
}

impl Fleet for Reach {
    async fn set(&mut self, wanted: &BTreeMap<String, u32>) {
        let differs = {
            let world = self.world();
            let running = world.instances.iter().map(|(release, instances)| (release, instances.len()));
            let wanted = wanted.iter().map(|(release, count)| (release, usize::try_from(*count).unwrap()));
            !running.eq(wanted)
        };
        if differs {
            self.effect(|world| {
                let now_ms = world.now_ms;
                world.instances.retain(|release, _| wanted.contains_key(release));
                for (release, count) in wanted {
                    let instances = world.instances.entry(release.clone()).or_default();
                    instances.resize(usize::try_from(*count).unwrap(), Instance { began_ms: now_ms });
                }
            })
            .await;
        }
    }

    async fn seen(&mut self) -> BTreeMap<String, InstancesSeen> {
        let world = self.world();
        let seen = |(release, instances): (&String, &Vec<Instance>)| {
            let restarts = world.restarts.get(release).copied().unwrap_or(0);
            let said = if restarts > 0 { format!("ended {restarts} times") } else { "starting".to_owned() };
            let (running, ready) = (u32::try_from(instances.len()).unwrap(), world.ready(release));
            (release.clone(), InstancesSeen { running, ready, crashing: restarts >= 3, said })
        };
        world.instances.iter().map(seen).collect()
    }

    fn backends(&self, release: &str) -> Vec<Backend> {
        let count = self.world().instances.get(release).map_or(0, Vec::len);
        let backend = |index: usize| Backend {
            name: format!("{release}-{index}"),
            address: "127.0.0.1:1".parse().unwrap(),
            draining: false,
        };
        (0..count).map(backend).collect()
    }
}

impl Traffic for Reach {
    async fn state(&mut self) -> Option<ProxyState> {
        let world = self.world();
        let generation = world.generation.as_ref();
        let backends = generation.iter().flat_map(|(generation, _)| &generation.arms).flat_map(|arm| {
            arm.backends.iter().map(|backend| BackendState {
                name: backend.name.clone(),
                release: arm.release.clone(),
                health: BackendHealth::Ready,
                in_flight: 0,
                streams: 0,
            })
        });
        Some(ProxyState {
            pid: 1,
            version: String::new(),
            address: "127.0.0.1:1".parse().unwrap(),
            generation: generation.map(|(generation, _)| generation.clone()),
            origin: generation.map_or(GenerationOrigin::Control, |(_, origin)| *origin),
            lease_left_ms: None,
            backends: backends.collect(),
        })
    }

    async fn counts(&mut self) -> Option<Vec<ArmCounts>> {
        Some(self.world().counts.values().cloned().collect())
    }

    async fn apply(&mut self, generation: &Generation) -> Result<(), TrafficFault> {
        generation.check().unwrap();
        self.effect(|world| {
            if let Some((held, _)) = &world.generation
                && held.stamp >= generation.stamp
            {
                return Err(TrafficFault::Fenced { highest: held.stamp });
            }
            world.lease_ends_ms = generation.lease_ms.map(|lease| world.now_ms + lease);
            world.generation = Some((generation.clone(), GenerationOrigin::Control));
            Ok(())
        })
        .await
    }

    async fn renew(&mut self, stamp: Stamp) -> Result<(), TrafficFault> {
        self.effect(|world| match &world.generation {
            Some((held, GenerationOrigin::Control)) if held.stamp == stamp => {
                world.lease_ends_ms = held.lease_ms.map(|lease| world.now_ms + lease);
                Ok(())
            }
            _ => Err(TrafficFault::Failed("another generation holds".to_owned())),
        })
        .await
    }
}

impl Gates for Reach {
    async fn run(&mut self, name: &str, rollout: &Rollout, _at: &[Backend]) -> GateLook {
        self.effect(|world| {
            // What comes before instances takes some seconds.
            if rollout.policy.prepare.iter().any(|gate| gate == name) && world.works < WORK_LOOKS {
                world.works += 1;
                return GateLook::Busy("at work".to_owned());
            }
            world.works = 0;
            let failed = world.behaviours[rollout.new.as_str()].fails == Some(name);
            let outcome = if failed { GateOutcome::Failed } else { GateOutcome::Passed };
            GateLook::Done(GateState { outcome, evidence: "simulated".to_owned() })
        })
        .await
    }
}

/// The controller in its world.
pub struct Simulation {
    reach: Reach,
    state: tempfile::TempDir,
    executor: Option<Executor>,
    /// What has changed so far: the second, and words.
    pub told: Vec<String>,
}

impl Simulation {
    /// Begins with the release `blue`, which serves when this returns.
    pub fn new(seed: u64, instances: u32, green: Behaviour) -> Self {
        let world = World::new(seed, &[("blue", Behaviour::good()), ("green", green)]);
        let state = in_memory();
        let reach = Reach(Arc::new(Mutex::new(world)));
        let mut simulation = Self { reach, state, executor: None, told: Vec::new() };
        simulation.start();
        simulation.deploy("blue", &quick(fraiseql_rollout::Strategy::BlueGreen, instances)).unwrap();
        simulation.run(60);
        assert!(simulation.service().rollout.is_none(), "{:#?}", simulation.told);
        simulation.told.clear();
        simulation.world().effects = 0;
        simulation
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.reach.world()
    }

    pub fn service(&self) -> Service {
        self.executor.as_ref().unwrap().service().clone()
    }

    pub fn is_alive(&self) -> bool {
        self.executor.is_some()
    }

    /// Starts a controller.
    pub fn start(&mut self) {
        let now_ms = self.world().now_ms;
        let journal = Journal::take_over(self.state.path()).unwrap();
        self.executor = Some(Executor::resume(journal, 1, Sticky::None, now_ms).unwrap());
    }

    /// Kills the controller.
    pub fn kill(&mut self) {
        self.executor = None;
        self.world().dies_at = None;
    }

    pub fn deploy(&mut self, release: &str, policy: &Policy) -> Result<(), CommandError> {
        let (release, policy) = (release.to_owned(), Box::new(policy.clone()));
        self.command(&Command::Deploy { release, policy, again: false })
    }

    pub fn command(&mut self, command: &Command) -> Result<(), CommandError> {
        let now_ms = self.world().now_ms;
        self.executor.as_mut().unwrap().command(command, now_ms).unwrap()
    }

    /// Lets so many seconds pass; fewer when the controller dies.
    pub fn run(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.world().pass(TICK_MS);
            let Some(executor) = &mut self.executor else { return };
            let now_ms = self.reach.world().now_ms;
            let (mut fleet, mut traffic, mut gates) =
                (self.reach.clone(), self.reach.clone(), self.reach.clone());
            let died = {
                let ticking = executor.tick((&mut fleet, &mut traffic, &mut gates), now_ms);
                let mut context = Context::from_waker(Waker::noop());
                match pin!(ticking).poll(&mut context) {
                    Poll::Ready(Ok(tick)) => {
                        let second = now_ms / 1_000;
                        self.told
                            .extend(tick.changes.into_iter().map(|change| format!("{second:4} s  {change}")));
                        assert_eq!(tick.faults, Vec::<String>::new());
                        false
                    }
                    Poll::Ready(Err(ExecutorError::Fenced(_))) => true,
                    Poll::Ready(Err(error)) => panic!("{error}"),
                    // It has died in the middle of something.
                    Poll::Pending => true,
                }
            };
            if died {
                return self.kill();
            }
        }
    }

    /// Lets time pass until nothing is under way, at most so many seconds.
    pub fn settle(&mut self, seconds: u64) {
        for _ in 0..seconds {
            if !self.is_alive() || self.service().rollout.is_none() {
                return;
            }
            self.run(1);
        }
        panic!("it is still under way after {seconds} s: {:#?}", self.told);
    }

    /// Returns how the last rollout ended, and what serves then.
    pub fn end(&self) -> String {
        let service = self.service();
        let last = service.last.expect("one has ended");
        let world = self.world();
        format!("{}; traffic {:?}; instances {:?}", last.outcome, world.shares(), world.running())
    }
}

/// Returns a folder that costs no time to sync, where there is one.
fn in_memory() -> tempfile::TempDir {
    let memory = std::path::Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

/// The guide's strategies, in minutes instead of hours.
pub fn quick(strategy: fraiseql_rollout::Strategy, instances: u32) -> Policy {
    Policy {
        strategy,
        instances,
        step_ms: 30_000,
        bake_ms: 30_000,
        keep_ms: 120_000,
        progress_ms: 60_000,
        blind_ms: 120_000,
        gates: vec!["smoke".to_owned(), "schema".to_owned()],
        ..Policy::default()
    }
}
