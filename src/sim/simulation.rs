//! A simulation: what it is made of, and one run of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::FutureExt;
use tokio_util::task::TaskTracker;

use super::{
    check::run::{Judgement, judge},
    choice::Strategy,
    clock::START,
    controller::{Bounds, Clients, Controller},
    end::{Check, End},
    fates::Fates,
    fleet::Fleet,
    mixed::mixed,
    panics::{Noted, Watched},
    plan::{Faults, Planned, When},
    quiet::Quiet,
    rates::Rates,
    report::Report,
    server::Server,
    store::SimStore,
    strategy::{Campaign, Replay, StrategyName},
    trace::Recorded,
    workload::{Accepted, Workload},
    world::{Making, World},
};
use crate::{
    Agent, Env, Worker,
    model::{LeaseTimes, Settings, WorkerConfig},
    runtime::WorkerBuilder,
    store::{MemoryStore, memory::ManualClock},
};

type AddAgent = Arc<dyn Fn(WorkerBuilder<SimStore>) -> WorkerBuilder<SimStore> + Send + Sync>;
type Configure = Arc<dyn Fn(u16, WorkerConfig) -> WorkerConfig + Send + Sync>;

/// How often workers look at one another's lifelines unless they are configured otherwise: seldom, so that a death is
/// found in every way there is, and so that most steps are about something else.
const LIFELINE: Duration = Duration::from_secs(1);

/// A fleet, its clients, what goes wrong and what must hold: one run of it is a function of the seed.
///
/// See the [module](super) for an example.
#[derive(Clone)]
#[must_use = "it does nothing until it is run"]
pub struct Simulation {
    seed: u64,
    workers: u16,
    settings: Settings,
    agents: Vec<AddAgent>,
    configure: Configure,
    workload: Workload,
    faults: Faults,
    checks: Vec<(String, Check)>,
    bounds: Bounds,
    patience: Duration,
}

/// What goes wrong in one run.
struct Script {
    plan: Vec<Planned>,
    rates: Option<Rates>,
    /// Until when.
    until: Duration,
    time_one_in: u64,
}

impl Simulation {
    /// Three workers without agents, no clients, no faults.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            workers: 3,
            settings: Settings { partitions: 2, ..Settings::default() },
            agents: Vec::new(),
            configure: Arc::new(|_, config| config),
            workload: Workload::none(),
            faults: Faults::Plan(Vec::new()),
            checks: Vec::new(),
            bounds: Bounds { settle: Duration::from_secs(120), steps: 200_000, time_one_in: 8 },
            patience: Duration::from_secs(2),
        }
    }

    /// How many workers there are; 3 if not set.
    pub fn workers(mut self, workers: u16) -> Self {
        self.workers = workers;
        self
    }

    /// Every worker serves `agent` under `name`; each start of one gets a clone, as a process of its own would.
    pub fn agent<A: Agent + Clone>(mut self, name: &str, agent: A) -> Self {
        let name = name.to_owned();
        self.agents.push(Arc::new(move |builder| builder.agent(&name, Watched(agent.clone()))));
        self
    }

    /// Changes the options of each worker, which are given with its number; the lease is 3 s if not set.
    pub fn configure(
        mut self,
        change: impl Fn(u16, WorkerConfig) -> WorkerConfig + Send + Sync + 'static,
    ) -> Self {
        self.configure = Arc::new(change);
        self
    }

    /// The namespace's settings; two partitions if not set.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// What clients do; nothing if not set.
    pub fn workload(mut self, workload: Workload) -> Self {
        self.workload = workload;
        self
    }

    /// What goes wrong; nothing if not set.
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// What must hold at the end, besides what always must. The error says how it does not.
    pub fn check(
        mut self,
        name: &str,
        holds: impl Fn(&End) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        self.checks.push((name.to_owned(), Arc::new(holds)));
        self
    }

    /// How long after the last fault everything must be finished, by virtual time; two minutes if not set.
    pub fn settles_within(mut self, limit: Duration) -> Self {
        self.bounds.settle = limit;
        self
    }

    /// The most steps that a run may have; 200,000 if not set.
    pub fn ends_within(mut self, steps: u64) -> Self {
        self.bounds.steps = steps;
        self
    }

    /// How long a caller waits for an answer, by virtual time; 2 s if not set.
    pub fn answer_within(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Runs it, picking at random.
    pub fn run(&self) -> Report {
        let random: StrategyName = "random".parse().expect("a strategy");
        self.run_with(&mut *Campaign::new(random).strategy(self.seed))
    }

    /// Runs it, and has `strategy` pick.
    pub fn run_with(&self, strategy: &mut dyn Strategy) -> Report {
        let workers = self.workers;
        let (mut plan, rates) = match &self.faults {
            Faults::Plan(plan) => (plan.clone(), None),
            Faults::Rates(rates) => (rates.plan(self.seed, workers), Some(rates)),
            Faults::Both(plan, rates) => {
                ([plan.clone(), rates.plan(self.seed, workers)].concat(), Some(rates))
            }
        };
        plan.sort();
        let until = rates.map_or(Duration::ZERO, |rates| rates.until);
        let script = Script { plan, rates: rates.cloned(), until, time_one_in: self.bounds.time_one_in };
        self.carry_out(strategy, script)
    }

    /// Runs again what was recorded: the same picks, the same faults. Where that cannot be followed the trace differs, and
    /// so does its [hash](super::Trace::hash).
    pub fn replay(&self, recorded: &Recorded) -> Report {
        self.follow(recorded, &mut Replay::exact(recorded.picks.iter().map(|pick| pick.id).collect()))
    }

    /// Runs with the seed and faults of a recording, and `strategy` to pick.
    pub fn follow(&self, recorded: &Recorded, strategy: &mut dyn Strategy) -> Report {
        let this = Self { seed: recorded.seed, ..self.clone() };
        // Time may pass at every step: the recording says at which it did.
        let (plan, until) = (recorded.faults.clone(), recorded.until);
        this.carry_out(strategy, Script { plan, rates: None, until, time_one_in: 1 })
    }

    fn carry_out(
        &self,
        strategy: &mut dyn Strategy,
        Script { plan, rates, until, time_one_in }: Script,
    ) -> Report {
        assert!(
            tokio::runtime::Handle::try_current().is_err(),
            "a simulation has a runtime of its own: run it where there is no other, as in a plain #[test]"
        );
        let clock = ManualClock::at(START);
        let namespace = "sim".parse().expect("a good name");
        let store = MemoryStore::new(namespace, self.settings.clone(), Arc::new(clock.clone()));
        let world = Arc::new(World::new(Making {
            workers: self.workers,
            clients: self.workload.len(),
            server: Server::new(store, clock),
            fates: Fates::new(mixed(self.seed ^ 1), rates, until, &plan),
            patience: self.patience,
        }));
        let quiet = Arc::<Quiet>::default();
        let reached = quiet.clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .on_thread_park(move || reached.reached())
            .build()
            .expect("a runtime without drivers needs nothing of the system");
        let told = Arc::<Mutex<Accepted>>::default();
        let name = strategy.name();
        let mut plan: Vec<_> =
            plan.into_iter().filter(|planned| !matches!(planned.when, When::To(_))).collect();
        plan.reverse();
        {
            let _noted = Noted::simulated();
            runtime.block_on(async {
                let mut fleet = Fleet::new(world.clone(), self.seed, self.build(), self.workers);
                fleet.start_all();
                let clients = self.start_clients(&world, &told);
                let bounds = Bounds { time_one_in, ..self.bounds };
                let (world, seed, enabled) = (world.clone(), self.seed, Vec::new());
                Controller { world, quiet, fleet, strategy, seed, plan, bounds, clients, enabled }
                    .run()
                    .await;
            });
            drop(runtime);
            // What breaks while everything is torn down is no failure of the run.
            let _ = super::panics::take();
        }
        self.report(&world, name, &told.lock().expect("nobody panics with it"))
    }

    fn build(&self) -> Arc<dyn Fn(u16, SimStore, Env) -> WorkerBuilder<SimStore> + Send + Sync> {
        let (agents, settings, configure) =
            (self.agents.clone(), self.settings.clone(), self.configure.clone());
        Arc::new(move |worker, store, env| {
            let name = format!("w{worker}").parse().expect("a good name");
            let lease = LeaseTimes::new(Duration::from_secs(3)).expect("long enough");
            let config = WorkerConfig { lease, lifeline: LIFELINE, ..WorkerConfig::named(name) };
            let config = configure(worker, config);
            let builder = Worker::builder(store).env(env).settings(settings.clone()).config(config);
            agents.iter().fold(builder, |builder, add| add(builder))
        })
    }

    fn start_clients(&self, world: &Arc<World>, told: &Arc<Mutex<Accepted>>) -> Arc<Clients> {
        let clients = Arc::new(Clients { busy: Mutex::new(self.workload.len()) });
        let tasks = TaskTracker::new();
        for code in self.workload.start(world, self.seed, told) {
            let clients = clients.clone();
            tasks.spawn(async move {
                // A panic has been noted; the client is finished either way.
                let _ = std::panic::AssertUnwindSafe(code).catch_unwind().await;
                *clients.busy.lock().expect("nobody panics with it") -= 1;
            });
        }
        clients
    }

    fn report(&self, world: &World, strategy: &'static str, told: &Accepted) -> Report {
        let mut state = world.state();
        if state.failure.is_none() {
            state.check_all();
        }
        let undecided = if state.failure.is_none() { self.check_end(&mut state, told) } else { 0 };
        let mut trace = std::mem::take(&mut state.trace);
        (trace.seed, trace.until) = (self.seed, state.fates.until());
        trace.objects = state.names.texts();
        trace.faults = std::mem::take(&mut state.fates.happened);
        let mut faults = BTreeMap::new();
        for planned in &trace.faults {
            *faults.entry(planned.fault.as_str()).or_default() += 1;
        }
        let coverage: BTreeSet<_> = trace.events.iter().filter_map(|event| event.reads).collect();
        Report {
            seed: self.seed,
            strategy,
            failure: state.failure.take(),
            steps: state.step(),
            time: state.now(),
            undecided,
            longest_unowned: state.unowned.longest,
            faults,
            trace_hash: trace.hash(),
            trace,
            coverage,
        }
    }

    /// Looks at the end, and gives how many checks came to no answer.
    fn check_end(&self, state: &mut super::world::State, told: &Accepted) -> u64 {
        let (server, lost_writes) = (&state.server, state.lost_writes);
        let Accepted { acked, posted } = told;
        let end =
            End { acked, posted, store: server.store().clone(), lost_writes, replaced: server.replaced() };
        let standard = end.standard();
        let own = || self.checks.iter().find_map(|(name, holds)| Some((name.as_str(), holds(&end).err()?)));
        let Judgement { broken, undecided } = judge(&state.records, &state.losses);
        if let Some((invariant, sentence)) = standard.or(broken).or_else(own) {
            state.fail(invariant, sentence);
        }
        undecided
    }
}
