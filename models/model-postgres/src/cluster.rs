//! One cluster: its state, and what every change leads to.

use model_api::blueprint::{
    Blueprint, CommitWait, Database, DatabaseManager, PrimaryUpdate, Synchronous,
};
use model_api::observation::FailoverBlock;
use model_api::parameters::Range;
use model_api::{DatabaseId, Observation, Parameters, PodId, ServiceId, ZoneId};
use sim_kernel::{EntityKey, EventId, Probe, Purpose, SimSpan, SimTime, Timer};

use crate::clone::CLONE_BYTES_PER_SECOND;
use crate::databases::{PgNotice, StopKind};
use crate::event::PgEvent;
use crate::instance::{Instance, Link, Process, Role};
use crate::pace::Pace;
use crate::patroni::Patroni;
use crate::pooler::Pool;
use crate::position::Mark;
use crate::tally::Tally;
use crate::unknown::Unknown;
use crate::update::Update;
use crate::volume::Storing;
use crate::wal::Wal;

/// What a cluster needs of the world outside itself.
pub(crate) trait Port {
    fn now(&self) -> SimTime;
    fn observe(&mut self, observation: Observation);
    fn notice(&mut self, notice: PgNotice);
    fn hit(&mut self, probe: &'static Probe);
    fn timer_at(&mut self, at: SimTime, event: PgEvent) -> Timer;
    /// The same, as an effect of something earlier.
    fn timer_because(&mut self, cause: EventId, at: SimTime, event: PgEvent) -> Timer;
    /// What happens now.
    fn cause(&self) -> EventId;
    fn cancel(&mut self, timer: Timer);
    fn is_pending(&self, timer: Timer) -> bool;
    fn parameters(&self) -> &Parameters;
    fn pace(&self) -> Pace;
    fn draw(&self, entity: EntityKey, purpose: Purpose, occurrence: u32, range: Range) -> SimSpan;
    /// The same, with small values likelier: the cube of a uniform number.
    fn draw_skewed(
        &self,
        entity: EntityKey,
        purpose: Purpose,
        occurrence: u32,
        range: Range,
    ) -> SimSpan;
    fn is_api_available(&self) -> bool;
    fn is_isolated(&self, zone: ZoneId) -> bool;

    fn timer_in(&mut self, span: SimSpan, event: PgEvent) -> Timer {
        self.timer_at(self.now().saturating_add(span), event)
    }

    /// Whether two instances reach each other.
    fn is_reachable(&self, one: ZoneId, other: ZoneId) -> bool {
        one == other || !self.is_isolated(one) && !self.is_isolated(other)
    }

    /// Whether the API server answers an instance.
    ///
    /// Simplified: never inside an isolated zone, because a member of the control plane alone in
    /// one has no quorum.
    fn is_api_reachable(&self, zone: ZoneId) -> bool {
        self.is_api_available() && !self.is_isolated(zone)
    }
}

/// What does not change during a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) id: DatabaseId,
    pub(crate) key: EntityKey,
    pub(crate) read_write_service: ServiceId,
    pub(crate) synchronous: Option<Synchronous>,
    pub(crate) commit_wait: CommitWait,
    pub(crate) failover_delay: SimSpan,
    pub(crate) switchover_delay: SimSpan,
    pub(crate) is_left_alone: bool,
    pub(crate) smart_shutdown: SimSpan,
    /// The most that an instance takes to end after its sessions, before it is killed.
    pub(crate) stop_budget: SimSpan,
    pub(crate) primary_update: PrimaryUpdate,
    pub(crate) has_isolation_check: bool,
    pub(crate) isolation_stop: SimSpan,
    pub(crate) lease_duration: SimSpan,
    pub(crate) wal_bytes_per_second: u64,
    pub(crate) commits_per_second: u64,
    /// Sessions that may commit at a time.
    pub(crate) session_count: u32,
    /// Bytes of its data, and how many of them a second an empty instance copies.
    pub(crate) data_bytes: u64,
    pub(crate) clone_bytes_per_second: u64,
    /// Share of the clients that stand in one zone, in parts per million.
    pub(crate) zone_share_ppm: u32,
}

/// `status.targetPrimary`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// The current primary.
    Current,
    /// None yet: a failover has begun.
    Pending,
    /// That instance.
    Instance(u8),
}

/// How far a failover is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// There is none.
    Calm,
    /// The operator saw the failure and waits `failoverDelay`.
    Delay,
    /// The delay is over and nothing can be decided.
    Blocked,
    /// Waits until no standby receives any more.
    Receivers,
    /// The candidate waits for the lease.
    Lease,
    /// The candidate promotes itself.
    Promoting,
}

/// A primary that was replaced, until it is known what it had acknowledged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OldSide {
    pub(crate) ordinal: u8,
    /// What the promoted instance had.
    pub(crate) survivor: Mark,
    /// When the first commit beyond that was made; `None` while there is none.
    pub(crate) lost_from: Option<SimTime>,
}

impl OldSide {
    /// Time that is lost when so much was acknowledged: from the first commit that is gone to the last.
    pub(crate) fn lost(&self, acknowledged: Mark) -> SimSpan {
        if acknowledged.position_ns <= self.survivor.position_ns {
            return SimSpan::ZERO;
        }
        let from = self.lost_from.unwrap_or(self.survivor.committed_at);
        acknowledged.committed_at.saturating_since(from)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    pub(crate) setup: Setup,
    pub(crate) instances: Vec<Instance>,
    /// `status.currentPrimary`.
    pub(crate) current: u8,
    pub(crate) target: Target,
    pub(crate) stage: Stage,
    pub(crate) stage_timer: Timer,
    pub(crate) blocked: Option<FailoverBlock>,
    /// Who is to be primary next, when somebody said so.
    pub(crate) heir: Option<u8>,
    pub(crate) move_timer: Timer,
    pub(crate) update: Update,
    pub(crate) is_operator_available: bool,
    /// When the last WAL receiver of the old primary notices that it is gone.
    pub(crate) receivers_down_at: SimTime,
    pub(crate) is_lease_released: bool,
    pub(crate) old_sides: Vec<OldSide>,
    /// Commits whose clients never heard, until it is known how they ended.
    pub(crate) unknowns: Vec<Unknown>,
    /// Patroni beside each instance, when no operator decides.
    pub(crate) patroni: Option<Patroni>,
    /// At which rate clients commit, of the configured one.
    pub(crate) load_ppm: u32,
    /// Where the `-rw` Service leads.
    pub(crate) backend: Option<(u8, PodId)>,
    pub(crate) backend_timer: Timer,
    pub(crate) has_clients: bool,
    /// Clients know all instances and go to whichever takes writes, past the Service.
    pub(crate) has_direct_clients: bool,
    pub(crate) clients_timer: Timer,
    /// Clients have to learn a new address first.
    pub(crate) is_backend_new: bool,
    pub(crate) adjust_timer: Timer,
    /// The log and its volume, where somebody looks at it.
    pub(crate) wal: Option<Wal>,
    /// A primary that was shut down, and stores the rest of its log.
    pub(crate) storing: Storing,
    pub(crate) wal_timer: Timer,
    /// When that timer is due.
    pub(crate) wal_due: Option<SimTime>,
    pub(crate) growth_timer: Timer,
    pub(crate) growth_count: u32,
    /// Poolers that lead to its primary.
    pub(crate) pools: Vec<Pool>,
    pub(crate) is_serving: bool,
    /// The platform takes the primary for running.
    pub(crate) is_told_running: bool,
    /// Something may have changed since somebody asked what is at stake.
    pub(crate) is_touched: bool,
    pub(crate) tally: Tally,
    pub(crate) writable_count: u32,
    pub(crate) failover_count: u32,
    pub(crate) freeze_count: u32,
    /// When lags were last drawn.
    pub(crate) frozen_at: Option<SimTime>,
    pub(crate) client_count: u32,
    pub(crate) backend_count: u32,
    pub(crate) adjust_count: u32,
    pub(crate) break_count: u32,
    /// When connections of clients last broke.
    pub(crate) broken_at: SimTime,
}

/// `DefaultMaxStopDelay` of CloudNativePG's `api/v1/cluster_types.go`, where nothing says how long a pod has
/// to end.
const STOP_DELAY: SimSpan = SimSpan::from_secs(1_800);

const RECOVERY: Purpose = Purpose::new("postgres crash recovery");

impl Cluster {
    pub(crate) fn new(
        id: DatabaseId,
        name: &str,
        database: &Database,
        blueprint: &Blueprint,
    ) -> Self {
        let parameters = &blueprint.parameters;
        let zone_count = u32::try_from(blueprint.zones.len().max(1)).expect("zones are few");
        let setup = Setup {
            id,
            key: EntityKey::of("database").child(name),
            read_write_service: database.read_write_service,
            synchronous: database.synchronous.filter(|synchronous| synchronous.number > 0),
            commit_wait: database.commit_wait,
            failover_delay: database.failover_delay,
            switchover_delay: database.switchover_delay,
            is_left_alone: database.is_left_alone,
            smart_shutdown: database.smart_shutdown,
            stop_budget: STOP_DELAY.saturating_sub(database.smart_shutdown),
            primary_update: database.primary_update,
            has_isolation_check: database.has_isolation_check,
            isolation_stop: database.isolation_stop.unwrap_or(parameters.isolation_stop),
            lease_duration: database.lease_duration.unwrap_or(parameters.primary_lease_duration),
            wal_bytes_per_second: database.wal_bytes_per_second,
            commits_per_second: database.commits_per_second,
            session_count: database.session_count,
            data_bytes: database.data_bytes,
            clone_bytes_per_second: database
                .clone_bytes_per_second
                .unwrap_or(CLONE_BYTES_PER_SECOND)
                .max(1),
            zone_share_ppm: crate::position::FULL_RATE_PPM / zone_count,
        };
        let instance_count =
            usize::try_from(database.instances.clamp(1, 255)).expect("at most 255");
        let mut instances = vec![Instance::default(); instance_count];
        instances[0].role = Role::Primary;
        // Nobody is missed where nobody is to run.
        instances[0].is_excused = database.is_hibernated;
        for &ordinal in &database.fenced {
            if let Some(instance) = instances.get_mut(usize::from(ordinal)) {
                instance.is_fenced = true;
            }
        }
        Self {
            setup,
            instances,
            current: 0,
            target: Target::Current,
            stage: Stage::Calm,
            stage_timer: Timer::NONE,
            blocked: None,
            heir: None,
            move_timer: Timer::NONE,
            update: Update::default(),
            is_operator_available: true,
            receivers_down_at: SimTime::ZERO,
            is_lease_released: false,
            old_sides: Vec::new(),
            unknowns: Vec::new(),
            patroni: match database.manager {
                DatabaseManager::CloudNativePg => None,
                DatabaseManager::Patroni(settings) => Some(Patroni::new(settings, instance_count)),
            },
            load_ppm: crate::position::FULL_RATE_PPM,
            backend: None,
            backend_timer: Timer::NONE,
            has_clients: false,
            has_direct_clients: false,
            clients_timer: Timer::NONE,
            is_backend_new: false,
            adjust_timer: Timer::NONE,
            wal: database.wal.map(Wal::new),
            storing: Storing::default(),
            wal_timer: Timer::NONE,
            wal_due: None,
            growth_timer: Timer::NONE,
            growth_count: 0,
            pools: Vec::new(),
            is_serving: false,
            is_told_running: true,
            is_touched: false,
            tally: Tally::default(),
            writable_count: 0,
            failover_count: 0,
            freeze_count: 0,
            frozen_at: None,
            client_count: 0,
            backend_count: 0,
            adjust_count: 0,
            break_count: 0,
            broken_at: SimTime::ZERO,
        }
    }

    /// Starts in good order: what was placed runs, instance 0 is primary, standbys stream.
    pub(crate) fn begin(&mut self, port: &mut impl Port) {
        let now = port.now();
        let has_primary = self.at(0).pod.is_some();
        for ordinal in self.ordinals() {
            let is_first = ordinal == 0;
            let instance = self.at_mut(ordinal);
            let Some(pod) = instance.pod else { continue };
            instance.process = Process::Running;
            instance.is_ready = true;
            instance.role = if is_first { Role::Primary } else { Role::Standby };
            let streams = has_primary && !is_first;
            instance.link = if streams { Link::Streaming(0, now) } else { Link::Broken };
            let role = instance.role;
            port.notice(PgNotice::RoleChanged { database: self.setup.id, ordinal, pod, role });
        }
        if self.at(0).is_running() {
            self.open(port, 0, Mark::default(), Mark::default());
        }
        if self.patroni.is_some() {
            self.begin_patroni(port);
        }
        if let Some(pod) = self.at(0).pod {
            self.backend = Some((0, pod));
            self.has_clients = true;
            let service = self.setup.read_write_service;
            port.notice(PgNotice::SetBackend { service, pod });
        }
        self.settle_writes(port);
        if !self.is_serving {
            port.notice(PgNotice::SetWritable { database: self.setup.id, is_writable: false });
        }
        self.refresh(port);
    }

    /// Draws every consequence of whatever changed. Each part looks at the whole state and acts
    /// only where it differs from what should be, so the order of inputs at one instant matters
    /// little and telling twice does nothing.
    pub(crate) fn refresh(&mut self, port: &mut impl Port) {
        if self.patroni.is_some() {
            self.break_links(port);
            self.tend_clones(port);
            self.tend_members(port);
            self.tend_volume(port);
        } else {
            self.tend_fences(port);
            self.tend_clones(port);
            self.tend_waiting(port);
            self.start_waiting(port);
            self.break_links(port);
            self.review_failover(port);
            self.review_switchover(port);
            self.review_update(port);
            self.demote_superseded(port);
            self.open_current(port);
            self.check_isolation(port);
            self.tend_volume(port);
        }
        self.settle_losses(port);
        self.attach_standbys(port);
        self.adjust_number(port);
        self.move_backend(port);
        self.settle_writes(port);
        self.tend_poolers(port);
        self.reconnect_clients(port);
        self.settle_wal(port);
        self.count_on(port.now());
    }

    pub(crate) fn started(&mut self, port: &mut impl Port, ordinal: u8, pod: PodId, zone: ZoneId) {
        let is_there = self.has_processes(ordinal);
        if is_there && self.at(ordinal).pod == Some(pod) {
            return;
        }
        if is_there {
            // Its container was replaced before anybody told that the old one ended.
            self.stopped(port, ordinal, StopKind::Process);
        }
        let instance = self.at_mut(ordinal);
        instance.pod = Some(pod);
        instance.zone = zone;
        instance.is_leaving = false;
        (instance.paused_since, instance.is_closing) = (None, false);
        if self.patroni.is_some() {
            self.member_started(port, ordinal);
        } else {
            self.at_mut(ordinal).process = Process::Waiting;
        }
        self.refresh(port);
    }

    pub(crate) fn stopped(&mut self, port: &mut impl Port, ordinal: u8, kind: StopKind) {
        if !self.has_processes(ordinal) {
            return;
        }
        if self.patroni.is_some() {
            self.member_stopped(port, ordinal, kind);
        }
        let instance = self.at_mut(ordinal);
        (instance.process, instance.is_excused) = (Process::Down, false);
        (instance.cloning, instance.deaf_until) = (None, SimTime::ZERO);
        port.cancel(self.at(ordinal).work);
        if self.at(ordinal).is_open {
            if kind == StopKind::Shutdown {
                self.store_rest(port, ordinal, self.setup.stop_budget);
            }
            self.close(port, ordinal, kind);
        } else {
            self.unlink(port, ordinal, kind);
        }
        let instance = self.at_mut(ordinal);
        (instance.paused_since, instance.is_closing) = (None, false);
        self.refresh(port);
    }

    /// Makes up for turns that were no events, where there are turns.
    pub(crate) fn catch_up_any(&mut self, port: &mut impl Port) {
        if self.patroni.is_some() {
            self.catch_up(port);
        }
    }

    /// A zone was cut off or is back, or the API server.
    pub(crate) fn surroundings_changed(&mut self, port: &mut impl Port) {
        if self.patroni.is_some() {
            self.store_returned(port);
            self.stir(port);
        }
        self.refresh(port);
    }

    /// A primary gives up a standby that fell silent.
    pub(crate) fn silence_over(&mut self, port: &mut impl Port) {
        self.break_silent(port);
        if self.patroni.is_some() {
            self.catch_up(port);
            self.stir(port);
        }
        self.refresh(port);
    }

    /// Whether anything of an instance runs.
    fn has_processes(&self, ordinal: u8) -> bool {
        let has_patroni = self.patroni.as_ref().is_some_and(|it| it.at(ordinal).is_alive);
        has_patroni || self.at(ordinal).process != Process::Down
    }

    /// Starts instances whose manager can read the Cluster object.
    ///
    /// An instance that was primary comes back as primary while nobody else was chosen: it
    /// recovers from its own WAL. Otherwise it rewinds first and follows.
    fn start_waiting(&mut self, port: &mut impl Port) {
        for ordinal in self.ordinals() {
            let instance = *self.at(ordinal);
            if instance.process != Process::Waiting
                || instance.is_empty
                || !self.hears(port, ordinal)
            {
                continue;
            }
            if instance.is_fenced {
                let instance = self.at_mut(ordinal);
                (instance.process, instance.is_excused) = (Process::Fenced, true);
                continue;
            }
            if ordinal == self.current && !self.has_room() {
                self.at_mut(ordinal).process = Process::Full;
                if let Some(wal) = &mut self.wal {
                    wal.full_since.get_or_insert(port.now());
                }
                continue;
            }
            let recovery = self.recovery_span(port, ordinal);
            self.work(port, ordinal, recovery);
        }
    }

    /// How long crash recovery takes.
    pub(crate) fn recovery_span(&self, port: &impl Port, ordinal: u8) -> SimSpan {
        self.work_span(port, ordinal, RECOVERY, port.parameters().promotion)
    }

    /// Lets an instance be busy for a while.
    pub(crate) fn work(&mut self, port: &mut impl Port, ordinal: u8, span: SimSpan) {
        let database = self.setup.id;
        let timer = port.timer_in(span, PgEvent::InstanceUp { database, ordinal });
        let instance = self.at_mut(ordinal);
        instance.process = Process::Working;
        instance.work = timer;
        instance.work_count += 1;
    }

    pub(crate) fn work_span(
        &self,
        port: &impl Port,
        ordinal: u8,
        purpose: Purpose,
        range: Range,
    ) -> SimSpan {
        port.draw(self.key_of(ordinal), purpose, self.at(ordinal).work_count, range)
    }

    /// PostgreSQL is up, or a former primary has found out that it must rewind first.
    pub(crate) fn instance_up(&mut self, port: &mut impl Port, ordinal: u8) {
        if self.at(ordinal).cloning.is_some() {
            let replay = self.cloned(port, ordinal);
            let recovery = self.recovery_span(port, ordinal);
            self.work(port, ordinal, replay.saturating_add(recovery));
        } else if self.is_superseded(ordinal) {
            self.rewind(port, ordinal);
        } else {
            let instance = self.at_mut(ordinal);
            (instance.process, instance.up_since) = (Process::Running, Some(port.now()));
            if let Some(pod) = self.at(ordinal).pod {
                let database = self.setup.id;
                port.notice(PgNotice::InstanceRunning { database, ordinal, pod });
            }
        }
        self.refresh(port);
    }

    pub(crate) fn set_role(&mut self, port: &mut impl Port, ordinal: u8, role: Role) {
        let database = self.setup.id;
        let instance = self.at_mut(ordinal);
        if instance.role == role {
            return;
        }
        instance.role = role;
        if let Some(pod) = instance.pod {
            port.notice(PgNotice::RoleChanged { database, ordinal, pod, role });
        }
    }

    /// Whether the operator can act: it runs and the API server answers.
    pub(crate) fn has_operator(&self, port: &impl Port) -> bool {
        self.is_operator_available && !self.setup.is_left_alone && port.is_api_available()
    }

    pub(crate) fn ordinals(&self) -> impl Iterator<Item = u8> + use<> {
        0..u8::try_from(self.instances.len()).expect("at most 255 instances")
    }

    pub(crate) fn at(&self, ordinal: u8) -> &Instance {
        &self.instances[usize::from(ordinal)]
    }

    pub(crate) fn at_mut(&mut self, ordinal: u8) -> &mut Instance {
        &mut self.instances[usize::from(ordinal)]
    }

    pub(crate) fn key_of(&self, ordinal: u8) -> EntityKey {
        self.setup.key.part(u64::from(ordinal))
    }
}
