//! A platform of nothing but a database: a script of what happens to its instances.

use std::fmt::Write as _;
use std::sync::Arc;

use model_api::blueprint::{
    CommitWait, Database, DatabaseManager, Patroni, PrimaryUpdate, Synchronous, WalVolume, Zone,
};
use model_api::observation::InstanceFact;
use model_api::parameters::Range;
use model_api::{
    Blueprint, DatabaseId, Observation, Parameters, PodId, ServiceId, WorkloadId, ZoneId,
};
use model_postgres::{Access, Databases, Freeze, Lack, Leadership, PgEvent, PgNotice, StopKind};
use sim_kernel::{
    Context, Journal, Limits, Model, Priority, Recorder, SimSpan, SimTime, Simulation, Streams,
};

use crate::ledger::{Ledger, SESSION_COUNT};

pub(crate) const DATABASE: DatabaseId = DatabaseId(0);

/// What a script can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// The machine under an instance stops; its pod is found not ready after `detection`.
    Power(u8),
    /// The processes of an instance end; the pod is not ready at once.
    Crash(u8),
    /// The pod of an instance was deleted, and its sessions had their time; it is not ready at once.
    Delete(u8),
    /// The container of an instance runs again; ready at the first probe, every 10 s, that PostgreSQL answers.
    Start(u8),
    /// The Ready condition, when nothing else changes.
    Ready(u8, bool),
    /// A zone is cut off; its pods are found not ready after `detection`.
    Isolate(u32),
    /// A zone is reachable again; pods whose PostgreSQL answers are ready at once.
    Rejoin(u32),
    /// The operator works or does not.
    Operator(bool),
    /// The API works or does not.
    Api(bool),
    /// Every process of a member is killed, on a machine that lives.
    Kill(u8),
    /// The postmaster of an instance is killed, Patroni lives.
    KillPostmaster(u8),
    /// Every process of a member stops, or goes on.
    Freeze(u8, bool),
    /// Some processes of a member stop.
    FreezePart(u8, Freeze),
    /// A standby receives nothing, or receives again.
    Hold(u8, bool),
    /// The processes of a running instance stand still, and its pod is found not ready after 30 s; or they
    /// go on, and it is ready at its next probe.
    Pause(u8, bool),
    /// They go on, and find that they were told to end.
    ResumeToEnd(u8),
    /// Nothing that a primary sends reaches an instance, or it does again.
    Starve(u8, bool),
    /// The volume of an instance is gone, and its processes with it; the pod is not ready at once.
    Destroy(u8),
    /// Clients commit at another rate, in parts per million of the configured one.
    Load(u32),
    /// The leader is asked to hand over.
    SwitchOver(Option<u8>),
    /// The node under an instance takes no pods any more, or does again.
    Cordon(u8, bool),
    /// An instance is fenced, or is not any more.
    Fence(u8, bool),
    /// All instances need a restart, or new pods. A deleted pod ends when its sessions had their time; the
    /// new one runs 20 s later.
    Update { is_in_place: bool },
    /// The archive takes a segment in a second, or fails.
    Archive(bool),
    /// The volumes are to have so many megabytes.
    Grow(u64),
}

/// What a primary waits for its sessions.
pub(crate) const SMART_SHUTDOWN: SimSpan = SimSpan::from_secs(180);
/// From the end of a pod that is made again until the container of the new one runs.
const REPLACING: SimSpan = SimSpan::from_secs(20);

/// Between two probes of a pod.
const PROBE_PERIOD: SimSpan = SimSpan::from_secs(10);
/// From the moment at which processes stand still to Ready=False.
const PROBES_FAIL: SimSpan = SimSpan::from_secs(30);

/// From the loss of a machine to Ready=False.
pub(crate) const DETECTION: SimSpan = SimSpan::from_secs(50);

#[derive(Clone, Copy, Debug, Hash)]
pub(crate) enum WorldEvent {
    Pg(PgEvent),
    Step(u32),
    /// An instance is found not ready, unless it came back since.
    Noticed {
        ordinal: u8,
        count: u32,
    },
    BecameReady {
        ordinal: u8,
        count: u32,
    },
    /// The pod of an instance that is made again has ended.
    Ended(u8),
    /// The new one runs.
    Replaced(u8),
}

impl From<PgEvent> for WorldEvent {
    fn from(event: PgEvent) -> Self {
        Self::Pg(event)
    }
}

#[derive(Clone)]
pub(crate) struct World {
    pub(crate) databases: Databases,
    script: Arc<Vec<Act>>,
    instance_count: u8,
    is_running: Vec<bool>,
    /// Changes of each instance, to tell old timers from new ones.
    counts: Vec<u32>,
    detection: SimSpan,
    notices: Vec<PgNotice>,
    leadership: Vec<(SimTime, Leadership)>,
    ledger: Ledger,
}

impl World {
    fn zone(ordinal: u8) -> ZoneId {
        ZoneId(u32::from(ordinal) % 3)
    }

    fn pod(ordinal: u8) -> PodId {
        PodId(u32::from(ordinal))
    }

    fn set_ready<R: Recorder<Observation>>(
        &mut self,
        ordinal: u8,
        is_ready: bool,
        ctx: &mut Context<'_, WorldEvent, R>,
    ) {
        let instance = (DATABASE, ordinal);
        self.databases.instance_ready(instance, is_ready, ctx, &mut self.notices);
    }

    fn act<R: Recorder<Observation>>(&mut self, act: Act, ctx: &mut Context<'_, WorldEvent, R>) {
        let mut notices = std::mem::take(&mut self.notices);
        match act {
            Act::Power(ordinal) => {
                self.stop(ordinal, StopKind::Power, ctx);
                let count = self.counts[usize::from(ordinal)];
                let event = WorldEvent::Noticed { ordinal, count };
                ctx.schedule_in(self.detection, Priority::NORMAL, event);
            }
            Act::Crash(ordinal) => {
                self.stop(ordinal, StopKind::Process, ctx);
                self.set_ready(ordinal, false, ctx);
            }
            Act::Delete(ordinal) => {
                self.stop(ordinal, StopKind::Shutdown, ctx);
                self.set_ready(ordinal, false, ctx);
            }
            Act::Start(ordinal) => {
                let (pod, zone) = (Self::pod(ordinal), Self::zone(ordinal));
                self.is_running[usize::from(ordinal)] = true;
                self.counts[usize::from(ordinal)] += 1;
                let count = self.counts[usize::from(ordinal)];
                self.databases.instance_started((DATABASE, ordinal), pod, zone, ctx, &mut notices);
                let event = WorldEvent::BecameReady { ordinal, count };
                ctx.schedule_in(PROBE_PERIOD, Priority::NORMAL, event);
            }
            Act::Ready(ordinal, is_ready) => self.set_ready(ordinal, is_ready, ctx),
            Act::Isolate(zone) => {
                self.ledger.set_cut(zone, true);
                self.databases.set_zone_isolated(ZoneId(zone), true, ctx, &mut notices);
                for ordinal in self.of_zone(zone) {
                    self.counts[usize::from(ordinal)] += 1;
                    let count = self.counts[usize::from(ordinal)];
                    let event = WorldEvent::Noticed { ordinal, count };
                    ctx.schedule_in(self.detection, Priority::NORMAL, event);
                }
            }
            Act::Rejoin(zone) => {
                self.ledger.set_cut(zone, false);
                self.databases.set_zone_isolated(ZoneId(zone), false, ctx, &mut notices);
                for ordinal in self.of_zone(zone) {
                    self.counts[usize::from(ordinal)] += 1;
                    let count = self.counts[usize::from(ordinal)];
                    let access = self.databases.access_of(DATABASE, ordinal);
                    if !self.is_running[usize::from(ordinal)] {
                        // Nobody asks its pod.
                    } else if matches!(access, Access::ReadOnly | Access::ReadWrite) {
                        self.set_ready(ordinal, true, ctx);
                    } else {
                        self.set_ready(ordinal, false, ctx);
                        let event = WorldEvent::BecameReady { ordinal, count };
                        ctx.schedule_in(PROBE_PERIOD, Priority::NORMAL, event);
                    }
                }
            }
            Act::Operator(is) => {
                self.databases.set_operator_available(DATABASE, is, ctx, &mut notices);
            }
            Act::Api(is) => self.databases.set_api_available(is, ctx, &mut notices),
            Act::Kill(ordinal) => self.stop(ordinal, StopKind::Killed, ctx),
            Act::KillPostmaster(ordinal) => {
                self.databases.kill_postmaster((DATABASE, ordinal), ctx, &mut notices);
            }
            Act::Freeze(ordinal, is) => {
                self.databases.set_frozen((DATABASE, ordinal), is, ctx, &mut notices);
            }
            Act::FreezePart(ordinal, what) => {
                self.databases.freeze((DATABASE, ordinal), what, ctx, &mut notices);
            }
            Act::Hold(ordinal, is) => {
                self.databases.set_held((DATABASE, ordinal), is, ctx, &mut notices);
            }
            Act::Pause(ordinal, is) => {
                self.counts[usize::from(ordinal)] += 1;
                let count = self.counts[usize::from(ordinal)];
                let is_running = self.is_running[usize::from(ordinal)];
                let instance = (DATABASE, ordinal);
                if !is {
                    self.databases.resume(instance, false, ctx, &mut notices);
                    if is_running {
                        let event = WorldEvent::BecameReady { ordinal, count };
                        ctx.schedule_in(PROBE_PERIOD, Priority::NORMAL, event);
                    }
                } else if self.databases.pause(instance, ctx, &mut notices) {
                    let event = WorldEvent::Noticed { ordinal, count };
                    ctx.schedule_in(PROBES_FAIL, Priority::NORMAL, event);
                }
            }
            Act::ResumeToEnd(ordinal) => {
                self.databases.resume((DATABASE, ordinal), true, ctx, &mut notices);
            }
            Act::Starve(ordinal, is) => {
                self.databases.set_starved((DATABASE, ordinal), is, ctx, &mut notices);
            }
            Act::Destroy(ordinal) => {
                self.is_running[usize::from(ordinal)] = false;
                self.counts[usize::from(ordinal)] += 1;
                self.databases.destroy_volume((DATABASE, ordinal), ctx, &mut notices);
                self.set_ready(ordinal, false, ctx);
            }
            Act::Load(ppm) => self.databases.set_load(DATABASE, ppm, ctx, &mut notices),
            Act::SwitchOver(candidate) => {
                self.databases.switch_over(DATABASE, candidate, ctx, &mut notices);
            }
            Act::Cordon(ordinal, is) => {
                self.databases.set_cordoned((DATABASE, ordinal), is, ctx, &mut notices);
            }
            Act::Fence(ordinal, is) => {
                self.databases.set_fenced((DATABASE, ordinal), is, ctx, &mut notices);
            }
            Act::Update { is_in_place } => {
                self.databases.begin_update(DATABASE, ctx, &mut notices);
                let lack = if is_in_place { Lack::Restart } else { Lack::Pod };
                for ordinal in 0..self.instance_count {
                    self.databases.set_lack((DATABASE, ordinal), lack, ctx, &mut notices);
                }
            }
            Act::Archive(works) => {
                let segment = works.then_some(SimSpan::from_secs(1));
                self.databases.set_archiver(DATABASE, segment, ctx, &mut notices);
            }
            Act::Grow(megabytes) => {
                let bytes = megabytes * 1_000_000;
                self.databases.grow_storage(DATABASE, bytes, ctx, &mut notices);
            }
        }
        // What an act does to an instance comes before what is found of its pod.
        notices.append(&mut self.notices);
        self.notices = notices;
    }

    fn look_at(&mut self, now: SimTime, told: usize) {
        let zones: Vec<ZoneId> = (0..self.instance_count).map(Self::zone).collect();
        let new = &self.notices[told.min(self.notices.len())..];
        self.ledger.look(&self.databases, &zones, new, now);
    }

    fn of_zone(&self, zone: u32) -> Vec<u8> {
        (0..self.instance_count).filter(|&one| Self::zone(one) == ZoneId(zone)).collect()
    }

    fn stop<R: Recorder<Observation>>(
        &mut self,
        ordinal: u8,
        kind: StopKind,
        ctx: &mut Context<'_, WorldEvent, R>,
    ) {
        self.is_running[usize::from(ordinal)] = false;
        self.counts[usize::from(ordinal)] += 1;
        let instance = (DATABASE, ordinal);
        self.databases.instance_stopped(instance, kind, ctx, &mut self.notices);
    }
}

impl Model for World {
    type Event = WorldEvent;
    type Observation = Observation;

    fn handle<R: Recorder<Observation>>(
        &mut self,
        event: WorldEvent,
        ctx: &mut Context<'_, WorldEvent, R>,
    ) {
        let told = self.notices.len();
        self.ledger.advance(ctx.now());
        match event {
            WorldEvent::Pg(event) => {
                let mut notices = std::mem::take(&mut self.notices);
                self.databases.handle(event, ctx, &mut notices);
                self.notices = notices;
            }
            WorldEvent::Step(idx) => self.act(self.script[idx as usize], ctx),
            WorldEvent::Noticed { ordinal, count } => {
                if self.counts[usize::from(ordinal)] == count {
                    self.set_ready(ordinal, false, ctx);
                }
            }
            WorldEvent::BecameReady { ordinal, count } => {
                let access = self.databases.access_of(DATABASE, ordinal);
                let answers = matches!(access, Access::ReadOnly | Access::ReadWrite);
                if self.counts[usize::from(ordinal)] != count {
                    // Something else happened to it.
                } else if answers {
                    self.set_ready(ordinal, true, ctx);
                } else {
                    ctx.schedule_in(PROBE_PERIOD, Priority::NORMAL, event);
                }
            }
            WorldEvent::Ended(ordinal) => {
                self.stop(ordinal, StopKind::Shutdown, ctx);
                self.set_ready(ordinal, false, ctx);
                ctx.schedule_in(REPLACING, Priority::NORMAL, WorldEvent::Replaced(ordinal));
            }
            WorldEvent::Replaced(ordinal) => {
                let mut notices = std::mem::take(&mut self.notices);
                self.databases.set_lack((DATABASE, ordinal), Lack::Nothing, ctx, &mut notices);
                self.notices = notices;
                self.act(Act::Start(ordinal), ctx);
            }
        }
        for idx in told.min(self.notices.len())..self.notices.len() {
            if let PgNotice::ReplacePod { ordinal, .. } = self.notices[idx] {
                let linger = self.databases.smart_shutdown(DATABASE, ordinal);
                ctx.schedule_in(linger, Priority::NORMAL, WorldEvent::Ended(ordinal));
            }
        }
        self.look_at(ctx.now(), told);
        for ordinal in 0..self.instance_count {
            let is_committing = self.databases.commits(DATABASE, ordinal, ctx.now());
            let access = self.databases.access_of(DATABASE, ordinal);
            assert!(!is_committing || access == Access::ReadWrite, "{ordinal} is {access:?}");
        }
        for notice in &self.notices[told.min(self.notices.len())..] {
            if let PgNotice::Leadership { what, .. } = notice {
                self.leadership.push((ctx.now(), *what));
            }
        }
    }
}

/// A cluster over three zones, and how it is run.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) instances: u8,
    pub(crate) synchronous: Option<Synchronous>,
    pub(crate) commit_wait: CommitWait,
    pub(crate) failover_delay: SimSpan,
    pub(crate) has_isolation_check: bool,
    pub(crate) isolation_stop: Option<SimSpan>,
    pub(crate) smart_shutdown: SimSpan,
    pub(crate) lease_duration: Option<SimSpan>,
    /// Megabytes that an empty instance copies, at 100 a second.
    pub(crate) data_megabytes: u64,
    pub(crate) manager: DatabaseManager,
    pub(crate) wal: Option<WalVolume>,
    pub(crate) switchover_delay: SimSpan,
    pub(crate) primary_update: PrimaryUpdate,
    /// Where etcd of Patroni has its leader.
    pub(crate) store_leader: u8,
    pub(crate) parameters: Parameters,
    pub(crate) detection: SimSpan,
    pub(crate) seed: u64,
    pub(crate) run: u64,
}

impl Default for Case {
    fn default() -> Self {
        Self {
            instances: 3,
            synchronous: None,
            commit_wait: CommitWait::Standbys,
            failover_delay: SimSpan::ZERO,
            has_isolation_check: true,
            isolation_stop: None,
            smart_shutdown: SMART_SHUTDOWN,
            lease_duration: None,
            data_megabytes: 10_000,
            manager: DatabaseManager::CloudNativePg,
            wal: None,
            switchover_delay: SimSpan::from_hours(1),
            primary_update: PrimaryUpdate::default(),
            store_leader: 1,
            parameters: Parameters::default(),
            detection: DETECTION,
            seed: 1,
            run: 0,
        }
    }
}

/// A cluster that Patroni manages.
pub(crate) fn patroni(settings: Patroni) -> Case {
    Case { manager: DatabaseManager::Patroni(settings), ..Case::default() }
}

/// `any` with that number.
pub(crate) fn any(number: u32, is_required: bool, failover_quorum: bool) -> Option<Synchronous> {
    Some(Synchronous { number, is_any: true, is_required, failover_quorum })
}

/// Every timer that is drawn has its middle value, so that a timeline can be read: watch 0, lag
/// 50 ms, promotion and recovery 4 s, propagation 1 s, reconnection 5 s.
pub(crate) fn fixed() -> Parameters {
    let just = |millis| Range::millis(millis, millis);
    Parameters {
        watch_latency: just(0),
        replication_lag: just(50),
        promotion: just(4000),
        endpoint_propagation: just(1000),
        client_reconnect: just(5000),
        commit_round_trip: just(0),
        ..Parameters::default()
    }
}

impl Case {
    pub(crate) fn blueprint(&self) -> Blueprint {
        let zone = |name: &str| Zone { name: name.into(), ..Zone::default() };
        Blueprint {
            zones: vec![zone("a"), zone("b"), zone("c")],
            databases: vec![Database {
                namespace: "shop".into(),
                name: "orders".into(),
                workload: WorkloadId(0),
                read_write_service: ServiceId(0),
                read_only_service: ServiceId(1),
                instances: u32::from(self.instances),
                synchronous: self.synchronous,
                commit_wait: self.commit_wait,
                failover_delay: self.failover_delay,
                switchover_delay: self.switchover_delay,
                smart_shutdown: self.smart_shutdown,
                primary_update: self.primary_update,
                has_budgets: true,
                has_isolation_check: self.has_isolation_check,
                isolation_stop: self.isolation_stop,
                lease_duration: self.lease_duration,
                manager: self.manager,
                wal_bytes_per_second: 1_000_000,
                commits_per_second: 200,
                session_count: SESSION_COUNT,
                data_bytes: self.data_megabytes * 1_000_000,
                wal: self.wal,
                ..Database::default()
            }],
            parameters: self.parameters.clone(),
            ..Blueprint::default()
        }
    }

    /// Runs a script, in milliseconds, for so long.
    pub(crate) fn run(&self, script: &[(u64, Act)], millis: u64) -> Run {
        let instances = usize::from(self.instances);
        let mut databases = Databases::new(&self.blueprint(), Streams::new(self.seed, self.run));
        for ordinal in 0..self.instances {
            databases.place(DATABASE, ordinal, World::pod(ordinal), World::zone(ordinal));
        }
        databases.place_store_leader(DATABASE, self.store_leader);
        let world = World {
            databases,
            script: Arc::new(script.iter().map(|&(_, act)| act).collect()),
            instance_count: self.instances,
            is_running: vec![true; instances],
            counts: vec![0; instances],
            detection: self.detection,
            notices: Vec::new(),
            leadership: Vec::new(),
            ledger: Ledger::new(instances),
        };
        let mut sim = Simulation::new(world, Journal::new(), Limits::default());
        sim.apply(|world, ctx| {
            let mut notices = Vec::new();
            world.databases.begin(ctx, &mut notices);
            world.notices = notices;
            world.look_at(ctx.now(), 0);
        });
        for (idx, &(at, _)) in (0_u32..).zip(script) {
            sim.schedule_at(SimTime::from_millis(at), Priority::FIRST, WorldEvent::Step(idx));
        }
        let outcome = sim.run_until(SimTime::from_millis(millis));
        assert!(outcome.is_complete(), "{outcome}");
        sim.apply(|world, ctx| {
            world.ledger.advance(ctx.now());
            world.databases.finish(ctx);
        });
        let world = sim.model();
        let primary = world.databases.primary_ordinal(DATABASE);
        let end = SimTime::from_millis(millis);
        let readable = match world.databases.is_empty(DATABASE, primary) {
            false => world.databases.written(DATABASE, primary, end),
            // Nobody took its place: whoever is left with most can.
            true => (0..self.instances)
                .map(|one| world.databases.written(DATABASE, one, end))
                .max()
                .unwrap_or_default(),
        };
        let acknowledged_ns = world.ledger.acknowledged_ns;
        let (unknown_ns, waiting_ns) = (world.ledger.unknown_ns, world.ledger.waiting_ns());
        let facts =
            sim.recorder().observations().iter().map(|record| (record.at, record.observation));
        Run {
            facts: facts.collect(),
            pending_count: sim.stats().pending_count,
            notices: sim.model().notices.clone(),
            leadership: sim.model().leadership.clone(),
            digest: sim.digest(),
            readable_ns: readable.as_nanos(),
            acknowledged_ns,
            unknown_ns,
            waiting_ns,
            rate_most_ppm: world.ledger.rate_most_ppm,
            is_whole: world.databases.is_whole(DATABASE),
        }
    }
}

/// What a run told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Run {
    pub(crate) facts: Vec<(SimTime, Observation)>,
    pub(crate) notices: Vec<PgNotice>,
    pub(crate) leadership: Vec<(SimTime, Leadership)>,
    pub(crate) pending_count: usize,
    pub(crate) digest: u64,
    /// What is in the database at the end, in nanoseconds of committing at the configured rate.
    pub(crate) readable_ns: u64,
    /// What clients were told is in it, likewise.
    pub(crate) acknowledged_ns: u64,
    /// What they were not told of because a primary went while it waited for a standby.
    pub(crate) unknown_ns: u64,
    /// What waits at the end.
    pub(crate) waiting_ns: u64,
    /// The most that all clients committed at together, of the configured rate.
    pub(crate) rate_most_ppm: u64,
    /// Every instance has its place at the end.
    pub(crate) is_whole: bool,
}

impl Run {
    /// What the platform was told of the log and of whoever archives it.
    pub(crate) fn log(&self) -> Vec<String> {
        let of = |notice: &PgNotice| match notice {
            PgNotice::PrimaryRuns { is_running: true, .. } => Some("runs".to_owned()),
            PgNotice::PrimaryRuns { is_running: false, .. } => Some("stopped".to_owned()),
            PgNotice::LogForked { ordinal, .. } => Some(format!("forked {ordinal}")),
            PgNotice::LogHandedIn { ordinal, .. } => Some(format!("handed in {ordinal}")),
            _ => None,
        };
        self.notices.iter().filter_map(of).collect()
    }

    /// From when to when clients could not write, for outages that ended.
    pub(crate) fn outages(&self) -> Vec<(SimTime, SimTime)> {
        let mut outages = Vec::new();
        let mut stopped = None;
        for &(at, fact) in &self.facts {
            match fact {
                Observation::WritesStopped { .. } => stopped = Some(at),
                Observation::WritesResumed { .. } => {
                    outages.extend(stopped.take().map(|from| (from, at)));
                }
                _ => {}
            }
        }
        outages
    }

    /// Commits lost, in all.
    pub(crate) fn lost(&self) -> u64 {
        let of = |fact: &(SimTime, Observation)| match fact.1 {
            Observation::CommitsLost { commit_count, .. } => commit_count,
            _ => 0,
        };
        self.facts.iter().map(of).sum()
    }

    /// What was lost, in nanoseconds of committing at the configured rate.
    pub(crate) fn lost_ns(&self) -> u64 {
        let of = |fact: &(SimTime, Observation)| match fact.1 {
            // A byte a microsecond.
            Observation::CommitsLost { wal_bytes, .. } => wal_bytes * 1_000,
            _ => 0,
        };
        self.facts.iter().map(of).sum()
    }

    /// Commits of unknown outcome: kept, lost, and undecided at the end.
    pub(crate) fn unknown(&self) -> (u64, u64, u64) {
        self.facts.iter().fold((0, 0, 0), |sum, (_, fact)| match *fact {
            Observation::CommitsUnknown { durable_count, lost_count, undecided_count, .. } => {
                (sum.0 + durable_count, sum.1 + lost_count, sum.2 + undecided_count)
            }
            _ => sum,
        })
    }

    /// Whether everything that was committed is either readable or lost, and whether clients were told
    /// of all but what was under way. `break_count` is how often connections broke at most.
    pub(crate) fn adds_up(&self, break_count: u64) -> bool {
        const COMMIT_NS: u64 = 5_000_000;
        let superseded = self.notices.iter().filter(|it| matches!(it, PgNotice::Superseded { .. }));
        // A loss of less than a commit is none; bytes and shares of the rate are whole. What was sent
        // but did not arrive counts as lost, up to half a round trip.
        let given_ns = 6_000_000 * (superseded.count() as u64 + 1) + 7_000_000 * break_count;
        let (durable, lost, undecided) = self.unknown();
        let committed_ns = self.acknowledged_ns + self.unknown_ns + self.waiting_ns;
        let found_ns = self.readable_ns + self.lost_ns() + lost * COMMIT_NS;
        // What a standby had not confirmed yet when its primary went was not told either: a lag.
        let unknown_ns = (durable + lost + undecided) * COMMIT_NS;
        let lag_ns = 120_000_000 * break_count;
        found_ns.abs_diff(committed_ns) <= given_ns
            && unknown_ns + given_ns >= self.unknown_ns
            && unknown_ns <= self.unknown_ns + self.waiting_ns + lag_ns + given_ns
    }

    /// How many instances take writes when the run ends.
    pub(crate) fn writable_at_end(&self) -> u32 {
        let of = |fact: &(SimTime, Observation)| match fact.1 {
            Observation::WritablePrimaries { count, .. } => Some(count),
            _ => None,
        };
        self.facts.iter().rev().find_map(of).unwrap_or(0)
    }

    /// When that first happened to a leader key.
    pub(crate) fn moment(&self, wanted: Leadership) -> Option<SimTime> {
        self.leadership.iter().find(|(_, what)| *what == wanted).map(|(at, _)| *at)
    }

    pub(crate) fn promotion_count(&self) -> usize {
        let is =
            |fact: &&(SimTime, Observation)| matches!(fact.1, Observation::PrimaryPromoted { .. });
        self.facts.iter().filter(is).count()
    }

    /// The timeline after the start, one line a fact.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // What is counted over a whole run has no place in a timeline.
        let is_told = |(at, fact): &&(SimTime, Observation)| {
            *at > SimTime::ZERO && !matches!(fact, Observation::DatabaseTallied { .. })
        };
        for &(at, fact) in self.facts.iter().filter(is_told) {
            let millis = at.as_nanos() / 1_000_000;
            let _ = write!(text, "{}.{:03} ", millis / 1000, millis % 1000);
            let _ = match fact {
                Observation::FailoverStarted { from, .. } => {
                    writeln!(text, "fails over {}", from.0)
                }
                Observation::Instance { pod, fact, .. } => match fact {
                    InstanceFact::Fenced => writeln!(text, "fenced {}", pod.0),
                    InstanceFact::CloneStarted { takes_ns } => {
                        writeln!(text, "clones {} for {}", pod.0, takes_ns / 1_000_000_000)
                    }
                    InstanceFact::Cloned => writeln!(text, "cloned {}", pod.0),
                },
                Observation::InstanceUpdated { pod, how, .. } => {
                    writeln!(text, "{how:?} {}", pod.0)
                }
                Observation::SwitchoverStarted { from, .. } => {
                    writeln!(text, "hands over {}", from.0)
                }
                Observation::PrimaryPromoted { pod, .. } => writeln!(text, "promoted {}", pod.0),
                Observation::WritesStopped { .. } => writeln!(text, "writes stop"),
                Observation::WritesResumed { .. } => writeln!(text, "writes resume"),
                Observation::WritablePrimaries { count, .. } => writeln!(text, "writable {count}"),
                Observation::CommitsKept { .. } => writeln!(text, "kept"),
                Observation::CommitsLost { span_ns, commit_count, wal_bytes, .. } => {
                    let millis = span_ns / 1_000_000;
                    writeln!(text, "lost {millis} ms, {commit_count} commits, {wal_bytes} bytes")
                }
                Observation::CommitsUnknown {
                    durable_count, lost_count, undecided_count, ..
                } => {
                    writeln!(
                        text,
                        "unknown: {durable_count} kept, {lost_count} lost, {undecided_count} open"
                    )
                }
                Observation::FailoverBlocked { reason, .. } => writeln!(text, "blocked {reason:?}"),
                Observation::WalVolumeFull { pod, .. } => writeln!(text, "volume full {}", pod.0),
                Observation::VolumeGrown { .. } => writeln!(text, "volume grown"),
                Observation::StandbyOutrun { pod, .. } => writeln!(text, "outrun {}", pod.0),
                other => writeln!(text, "{other:?}"),
            };
        }
        text
    }
}
