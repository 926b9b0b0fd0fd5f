//! All database clusters of a platform: inputs, events, notices.

use std::sync::Arc;

use model_api::{
    Blueprint, DatabaseId, Observation, Parameters, PodId, PoolerId, ServiceId, ZoneId,
};
use sim_kernel::{Context, Recorder, SimSpan, SimTime, Streams};

use crate::cluster::Cluster;
use crate::event::PgEvent;
use crate::instance::Role;
use crate::io::Io;
use crate::pace::Pace;
use crate::patroni::Freeze;
use crate::pooler::{Pool, patience_before};
use crate::update::Lack;
use crate::wal::Archiver;

/// What the platform has to carry out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PgNotice {
    /// The `-rw` Service leads to this pod and no other.
    SetBackend {
        /// The Service.
        service: ServiceId,
        /// The pod of the primary.
        pod: PodId,
    },
    /// Clients outside an isolated zone can write from now on, or cannot. Includes the time they
    /// take to learn the new endpoint and to reconnect.
    SetWritable {
        /// Which database.
        database: DatabaseId,
        /// Whether they can.
        is_writable: bool,
    },
    /// The primary runs, and its archiver with it, or it does not.
    PrimaryRuns {
        /// Which database.
        database: DatabaseId,
        /// Whether it does.
        is_running: bool,
    },
    /// An instance is primary or standby now; the `-ro` Service selects standbys.
    RoleChanged {
        /// Which database.
        database: DatabaseId,
        /// Which instance.
        ordinal: u8,
        /// Its pod.
        pod: PodId,
        /// What it is.
        role: Role,
    },
    /// PostgreSQL answers in this instance: its readiness probe passes.
    InstanceRunning {
        /// Which database.
        database: DatabaseId,
        /// Which instance.
        ordinal: u8,
        /// Its pod.
        pod: PodId,
    },
    /// A primary stopped itself because it was isolated. Its container is restarted and waits for
    /// the API server; the platform need not tell that it started again.
    InstanceHalted {
        /// Which database.
        database: DatabaseId,
        /// Which instance.
        ordinal: u8,
        /// Its pod.
        pod: PodId,
    },
    /// The operator deletes the pod of an instance, so that it comes back of the newest template.
    ReplacePod {
        /// Which database.
        database: DatabaseId,
        /// Which instance.
        ordinal: u8,
        /// Its pod.
        pod: PodId,
    },
    /// PostgreSQL of an instance restarts in its pod, which thereby is of the newest template.
    InstanceRestarted {
        /// Which database.
        database: DatabaseId,
        /// Which instance.
        ordinal: u8,
        /// Its pod.
        pod: PodId,
    },
    /// A standby was promoted: log that its predecessor had closed and not archived is on that one's disk
    /// alone.
    LogForked {
        /// Which database.
        database: DatabaseId,
        /// The predecessor.
        ordinal: u8,
    },
    /// An old primary is back, and hands what it has of the log to the archive.
    LogHandedIn {
        /// Which database.
        database: DatabaseId,
        /// Which instance.
        ordinal: u8,
    },
    /// A pooler fails so many of a million requests from now on.
    PoolerFails {
        /// Which.
        pooler: PoolerId,
        /// How many.
        failing_ppm: u32,
    },
    /// The volume that holds the log of a database is full to a share that somebody waited for.
    VolumeAbove {
        /// Which database.
        database: DatabaseId,
        /// The share, in parts per million.
        share_ppm: u32,
    },
    /// The volumes of a database have the size that was asked for.
    VolumeGrown {
        /// Which database.
        database: DatabaseId,
    },
    /// A primary was replaced: what it committed after this moment is gone.
    Superseded {
        /// Which database.
        database: DatabaseId,
        /// The old primary.
        ordinal: u8,
        /// Commits up to here survive.
        kept_until: SimTime,
    },
    /// Something happened around the leader key of a cluster that Patroni manages.
    Leadership {
        /// Which database.
        database: DatabaseId,
        /// Which member.
        ordinal: u8,
        /// What.
        what: Leadership,
    },
}

/// What became of the leader key, and of whoever has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Leadership {
    /// The leader renewed it.
    Renewed,
    /// The key of this leader is gone.
    KeyGone,
    /// This member has it.
    KeyTaken,
    /// It has decided to promote its instance.
    Promotes,
    /// It told its instance to promote itself.
    Requested,
    /// The instance takes writes.
    Promoted,
}

/// What a client finds that connects to an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    /// Nobody listens.
    Refused,
    /// The connection stands, but nobody answers.
    Silent,
    /// It answers, but does not take connections yet.
    Starting,
    /// A standby.
    ReadOnly,
    /// A primary.
    ReadWrite,
}

/// How an instance ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StopKind {
    /// Its machine is gone: nobody is told, connections fall silent, the lease is abandoned.
    Power,
    /// Its processes ended: connections break at once, the instance manager releases the lease.
    Process,
    /// All its processes were killed, a store member beside it included, on a machine that lives:
    /// connections break at once and new ones are refused.
    Killed,
    /// It was asked to end (deletion, eviction): a primary waits until its standbys have everything.
    Shutdown,
}

/// All database clusters of a run.
#[derive(Clone, Debug)]
pub struct Databases {
    pub(crate) parameters: Arc<Parameters>,
    pub(crate) streams: Streams,
    pub(crate) clusters: Vec<Cluster>,
    pub(crate) is_isolated: Vec<bool>,
    /// By zone: whatever stood there is destroyed.
    pub(crate) is_gone: Vec<bool>,
    /// Those of which something changed, and nobody asked since.
    pub(crate) touched: Vec<DatabaseId>,
    is_api_available: bool,
    /// By database: the API refuses whoever looks after it.
    is_api_refusing: Vec<bool>,
    pace: Pace,
}

impl Databases {
    /// The clusters of a blueprint, none of whose instances runs yet.
    pub fn new(blueprint: &Blueprint, streams: Streams) -> Self {
        let cluster = |(idx, database)| {
            let id = DatabaseId::from_index(idx);
            let name = blueprint.database_name(id);
            let mut cluster = Cluster::new(id, &name, database, blueprint);
            if let Some(workload) = blueprint.workloads.get(database.workload.index()) {
                let grace = workload.template.spec.termination_grace;
                cluster.setup.stop_budget = grace.saturating_sub(database.smart_shutdown);
            }
            cluster
        };
        let mut clusters: Vec<Cluster> =
            blueprint.databases.iter().enumerate().map(cluster).collect();
        for (idx, pooler) in blueprint.poolers.iter().enumerate() {
            let patience = patience_before(blueprint, pooler);
            let pool = Pool::new(PoolerId::from_index(idx), pooler, patience);
            clusters[pooler.database.index()].pools.push(pool);
        }
        Self {
            parameters: Arc::new(blueprint.parameters.clone()),
            streams,
            clusters,
            is_isolated: vec![false; blueprint.zones.len()],
            is_gone: vec![false; blueprint.zones.len()],
            touched: Vec::new(),
            is_api_available: true,
            is_api_refusing: vec![false; blueprint.databases.len()],
            pace: Pace::default(),
        }
    }

    /// The same clusters on a machine of another pace.
    #[must_use]
    pub fn with_pace(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// The same clusters with other luck. Before the run begins.
    #[must_use]
    pub fn with_streams(mut self, streams: Streams) -> Self {
        self.streams = streams;
        self
    }

    /// Puts an instance on its pod before the run begins.
    pub fn place(&mut self, database: DatabaseId, ordinal: u8, pod: PodId, zone: ZoneId) {
        let instance = self.clusters[database.index()].at_mut(ordinal);
        instance.pod = Some(pod);
        instance.zone = zone;
    }

    /// Begins in good order: what was placed runs and is ready, instance 0 is primary.
    pub fn begin<E, R>(&mut self, ctx: &mut Context<'_, E, R>, notices: &mut Vec<PgNotice>)
    where
        E: Copy + From<PgEvent>,
        R: Recorder<Observation>,
    {
        self.each(ctx, notices, |cluster, io| cluster.begin(io));
    }

    /// Tells that the container of an instance runs, in this pod and zone.
    pub fn instance_started<E, R>(
        &mut self,
        (database, ordinal): (DatabaseId, u8),
        pod: PodId,
        zone: ZoneId,
        ctx: &mut Context<'_, E, R>,
        notices: &mut Vec<PgNotice>,
    ) where
        E: Copy + From<PgEvent>,
        R: Recorder<Observation>,
    {
        self.one(database, ctx, notices, |cluster, io| {
            cluster.catch_up_any(io);
            cluster.started(io, ordinal, pod, zone);
        });
    }

    /// Tells that the processes of an instance are gone.
    pub fn instance_stopped<E, R>(
        &mut self,
        (database, ordinal): (DatabaseId, u8),
        kind: StopKind,
        ctx: &mut Context<'_, E, R>,
        notices: &mut Vec<PgNotice>,
    ) where
        E: Copy + From<PgEvent>,
        R: Recorder<Observation>,
    {
        self.one(database, ctx, notices, |cluster, io| {
            cluster.catch_up_any(io);
            cluster.stopped(io, ordinal, kind);
        });
    }

    /// Tells the Ready condition of an instance's pod, as the API has it; false also when there is
    /// no pod.
    pub fn instance_ready<E, R>(
        &mut self,
        (database, ordinal): (DatabaseId, u8),
        is_ready: bool,
        ctx: &mut Context<'_, E, R>,
        notices: &mut Vec<PgNotice>,
    ) where
        E: Copy + From<PgEvent>,
        R: Recorder<Observation>,
    {
        self.one(database, ctx, notices, |cluster, io| {
            if cluster.at(ordinal).is_ready != is_ready {
                cluster.at_mut(ordinal).is_ready = is_ready;
                cluster.refresh(io);
            }
        });
    }

    /// Tells that a zone is cut off from everything else, or is not any more.
    pub fn set_zone_isolated<E, R>(
        &mut self,
        zone: ZoneId,
        is_isolated: bool,
        ctx: &mut Context<'_, E, R>,
        notices: &mut Vec<PgNotice>,
    ) where
        E: Copy + From<PgEvent>,
        R: Recorder<Observation>,
    {
        if self.is_isolated[zone.index()] != is_isolated {
            self.each(ctx, notices, |cluster, io| cluster.catch_up_any(io));
            self.is_isolated[zone.index()] = is_isolated;
            self.each(ctx, notices, |cluster, io| cluster.surroundings_changed(io));
        }
    }

    /// Tells whether the operator of a database works: a pod of it runs and reaches the API.
    pub fn set_operator_available<E, R>(
        &mut self,
        database: DatabaseId,
        is_available: bool,
        ctx: &mut Context<'_, E, R>,
        notices: &mut Vec<PgNotice>,
    ) where
        E: Copy + From<PgEvent>,
        R: Recorder<Observation>,
    {
        self.one(database, ctx, notices, |cluster, io| {
            if cluster.is_operator_available != is_available {
                cluster.is_operator_available = is_available;
                cluster.refresh(io);
            }
        });
    }

    /// Tells whether the API server can be written to.
    pub fn set_api_available<E, R>(
        &mut self,
        is_available: bool,
        ctx: &mut Context<'_, E, R>,
        notices: &mut Vec<PgNotice>,
    ) where
        E: Copy + From<PgEvent>,
        R: Recorder<Observation>,
    {
        if self.is_api_available != is_available {
            self.each(ctx, notices, |cluster, io| cluster.catch_up_any(io));
            self.is_api_available = is_available;
            self.each(ctx, notices, |cluster, io| cluster.surroundings_changed(io));
        }
    }

    /// Tells whether an API server that runs refuses whoever looks after a database, as in a flood: its
    /// operator, or Patroni that keeps its leader key there.
    pub fn set_api_refusing<E, R>(
        &mut self,
        database: DatabaseId,
        is_refusing: bool,
        ctx: &mut Context<'_, E, R>,
        notices: &mut Vec<PgNotice>,
    ) where
        E: Copy + From<PgEvent>,
        R: Recorder<Observation>,
    {
        if self.is_api_refusing[database.index()] != is_refusing {
            self.one(database, ctx, notices, |cluster, io| cluster.catch_up_any(io));
            self.is_api_refusing[database.index()] = is_refusing;
            self.one(database, ctx, notices, |cluster, io| cluster.surroundings_changed(io));
        }
    }

    /// Tells at which rate clients commit from now on, in parts per million of the configured rate.
    pub fn set_load<E, R>(
        &mut self,
        database: DatabaseId,
        rate_ppm: u32,
        ctx: &mut Context<'_, E, R>,
        notices: &mut Vec<PgNotice>,
    ) where
        E: Copy + From<PgEvent>,
        R: Recorder<Observation>,
    {
        // How fast a stream moves does not say how late it is, while all of it is shipped.
        let cluster = &self.clusters[database.index()];
        if cluster.is_lag_of_rate(rate_ppm) {
            self.one(database, ctx, notices, |cluster, io| cluster.set_load(io, rate_ppm));
        } else {
            self.one_unseen(database, ctx, notices, |cluster, io| cluster.set_load(io, rate_ppm));
        }
    }

    /// Tells that the archive takes a segment in such a time, or that it fails (`None`). A database of
    /// which this is never told archives nothing.
    pub fn set_archiver<E, R>(
        &mut self,
        database: DatabaseId,
        segment: Option<SimSpan>,
        ctx: &mut Context<'_, E, R>,
        notices: &mut Vec<PgNotice>,
    ) where
        E: Copy + From<PgEvent>,
        R: Recorder<Observation>,
    {
        let archiver = segment.map_or(Archiver::Fails, Archiver::Stores);
        self.one(database, ctx, notices, |cluster, io| cluster.set_archiver(io, archiver));
    }

    /// Lets the platform know once the volume that holds the log is full to a share, in parts per
    /// million. Before the run begins.
    pub fn watch_volume(&mut self, database: DatabaseId, share_ppm: u32) {
        if let Some(wal) = &mut self.clusters[database.index()].wal {
            wal.watched_ppm.push(share_ppm);
        }
    }

    /// Asks for larger volumes, as a larger size in the Cluster does: the operator carries it out.
    pub fn grow_storage<E, R>(
        &mut self,
        database: DatabaseId,
        size_bytes: u64,
        ctx: &mut Context<'_, E, R>,
        notices: &mut Vec<PgNotice>,
    ) where
        E: Copy + From<PgEvent>,
        R: Recorder<Observation>,
    {
        self.one(database, ctx, notices, |cluster, io| cluster.grow(io, size_bytes));
    }

    /// Log that the archive has not taken as of the last change, in bytes.
    pub fn archive_backlog(&self, database: DatabaseId, now: SimTime) -> u64 {
        let Some(mut wal) = self.clusters[database.index()].wal.clone() else { return 0 };
        wal.advance(now);
        wal.backlog()
    }

    /// Kills the postmaster of an instance that Patroni manages; Patroni lives.
    pub fn kill_postmaster<E, R>(
        &mut self,
        (database, ordinal): (DatabaseId, u8),
        ctx: &mut Context<'_, E, R>,
        notices: &mut Vec<PgNotice>,
    ) where
        E: Copy + From<PgEvent>,
        R: Recorder<Observation>,
    {
        self.patroni(database, ctx, notices, |cluster, io| cluster.postmaster_killed(io, ordinal));
    }

    /// Stops all processes of a member that Patroni manages, or lets them go on.
    pub fn set_frozen<E, R>(
        &mut self,
        (database, ordinal): (DatabaseId, u8),
        is_frozen: bool,
        ctx: &mut Context<'_, E, R>,
        notices: &mut Vec<PgNotice>,
    ) where
        E: Copy + From<PgEvent>,
        R: Recorder<Observation>,
    {
        self.patroni(database, ctx, notices, |cluster, io| {
            cluster.set_frozen(io, ordinal, is_frozen.then_some(Freeze::Everything));
        });
    }

    /// Stops some processes of a member that Patroni manages, until [`Self::set_frozen`] lets them go
    /// on.
    pub fn freeze<E, R>(
        &mut self,
        (database, ordinal): (DatabaseId, u8),
        what: Freeze,
        ctx: &mut Context<'_, E, R>,
        notices: &mut Vec<PgNotice>,
    ) where
        E: Copy + From<PgEvent>,
        R: Recorder<Observation>,
    {
        self.patroni(database, ctx, notices, |cluster, io| {
            cluster.set_frozen(io, ordinal, Some(what));
        });
    }

    /// Lets a standby receive nothing, or receive again. Its clients read from it as before. The end
    /// of its primary, or its own promotion, ends it as well.
    pub fn set_held<E, R>(
        &mut self,
        (database, ordinal): (DatabaseId, u8),
        is_held: bool,
        ctx: &mut Context<'_, E, R>,
        notices: &mut Vec<PgNotice>,
    ) where
        E: Copy + From<PgEvent>,
        R: Recorder<Observation>,
    {
        self.one(database, ctx, notices, |cluster, io| {
            cluster.catch_up_any(io);
            cluster.set_held(io, ordinal, is_held);
        });
    }

    /// Tells that the volume of an instance neither reads nor writes, or does again.
    pub fn set_stalled<E, R>(
        &mut self,
        (database, ordinal): (DatabaseId, u8),
        is_stalled: bool,
        ctx: &mut Context<'_, E, R>,
        notices: &mut Vec<PgNotice>,
    ) where
        E: Copy + From<PgEvent>,
        R: Recorder<Observation>,
    {
        self.one(database, ctx, notices, |cluster, io| {
            cluster.set_stalled(io, ordinal, is_stalled);
        });
    }

    /// Asks the primary to hand over, to that candidate if one is named: `kubectl cnpg promote`, or
    /// `patronictl switchover`.
    pub fn switch_over<E, R>(
        &mut self,
        database: DatabaseId,
        candidate: Option<u8>,
        ctx: &mut Context<'_, E, R>,
        notices: &mut Vec<PgNotice>,
    ) where
        E: Copy + From<PgEvent>,
        R: Recorder<Observation>,
    {
        self.one(database, ctx, notices, |cluster, io| {
            if cluster.patroni.is_some() {
                cluster.catch_up(io);
                cluster.request_handover(io, candidate);
            } else {
                cluster.request_switchover(io, candidate);
            }
        });
    }

    /// Keeps an instance of a cluster of CloudNativePG off (`cnpg.io/fencedInstances`), or does not any
    /// more.
    pub fn set_fenced<E, R>(
        &mut self,
        (database, ordinal): (DatabaseId, u8),
        is_fenced: bool,
        ctx: &mut Context<'_, E, R>,
        notices: &mut Vec<PgNotice>,
    ) where
        E: Copy + From<PgEvent>,
        R: Recorder<Observation>,
    {
        self.one(database, ctx, notices, |cluster, io| cluster.set_fenced(io, ordinal, is_fenced));
    }

    /// Tells that the node under an instance takes no pods any more, or does again.
    pub fn set_cordoned<E, R>(
        &mut self,
        (database, ordinal): (DatabaseId, u8),
        is_cordoned: bool,
        ctx: &mut Context<'_, E, R>,
        notices: &mut Vec<PgNotice>,
    ) where
        E: Copy + From<PgEvent>,
        R: Recorder<Observation>,
    {
        self.one(database, ctx, notices, |cluster, io| {
            cluster.set_cordoned(io, ordinal, is_cordoned);
        });
    }

    /// Tells that the template of the instances of a database has changed, before
    /// [`Databases::set_lack`] of each.
    pub fn begin_update<E, R>(
        &mut self,
        database: DatabaseId,
        ctx: &mut Context<'_, E, R>,
        notices: &mut Vec<PgNotice>,
    ) where
        E: Copy + From<PgEvent>,
        R: Recorder<Observation>,
    {
        self.one(database, ctx, notices, |cluster, _| cluster.begin_update());
    }

    /// Tells what the pod of an instance needs to be of the newest template.
    pub fn set_lack<E, R>(
        &mut self,
        (database, ordinal): (DatabaseId, u8),
        lack: Lack,
        ctx: &mut Context<'_, E, R>,
        notices: &mut Vec<PgNotice>,
    ) where
        E: Copy + From<PgEvent>,
        R: Recorder<Observation>,
    {
        self.one(database, ctx, notices, |cluster, io| {
            cluster.set_lack(io, ordinal, lack);
        });
    }

    /// How long the sessions of an instance keep it from ending when its pod is deleted: those of a
    /// primary that takes writes.
    pub fn smart_shutdown(&self, database: DatabaseId, ordinal: u8) -> SimSpan {
        let cluster = &self.clusters[database.index()];
        if cluster.at(ordinal).is_open { cluster.setup.smart_shutdown } else { SimSpan::ZERO }
    }

    /// Lets clients of a database know all its instances: they write to whichever takes writes, at
    /// the configured rate, without a Service. Before the run begins.
    pub fn set_direct_clients(&mut self, database: DatabaseId) {
        self.clusters[database.index()].has_direct_clients = true;
    }

    /// When the lease of a member was last renewed.
    pub fn renewed_at(&self, database: DatabaseId, ordinal: u8) -> SimTime {
        let patroni = self.clusters[database.index()].patroni.as_ref();
        patroni.map_or(SimTime::ZERO, |patroni| patroni.at(ordinal).renewed_at)
    }

    /// Places the leader of etcd on a member, before the run begins.
    pub fn place_store_leader(&mut self, database: DatabaseId, ordinal: u8) {
        if let Some(patroni) = &mut self.clusters[database.index()].patroni {
            patroni.store_leader = ordinal;
            patroni.is_store_leader_placed = true;
        }
    }

    /// What a client finds that connects to an instance.
    pub fn access_of(&self, database: DatabaseId, ordinal: u8) -> Access {
        self.clusters[database.index()].access_of(ordinal)
    }

    /// Whether an instance acknowledges commits now.
    pub fn commits(&self, database: DatabaseId, ordinal: u8, now: SimTime) -> bool {
        self.clusters[database.index()].can_commit(ordinal, now)
    }

    /// Whether an instance was told to end and waits for its sessions, nobody else being let in.
    pub fn is_ending(&self, database: DatabaseId, ordinal: u8) -> bool {
        let instance = self.clusters[database.index()].at(ordinal);
        instance.is_open && instance.is_closing
    }

    /// Whether clients are connected to the primary that the `-rw` Service leads to.
    pub fn has_clients(&self, database: DatabaseId) -> bool {
        self.clusters[database.index()].has_clients
    }

    /// What an instance has of all that clients ever committed: the time that they spent on it at the
    /// configured rate.
    pub fn written(&self, database: DatabaseId, ordinal: u8, now: SimTime) -> SimSpan {
        SimSpan::from_nanos(self.clusters[database.index()].at(ordinal).mark(now).position_ns)
    }

    /// Whether commits of an instance need to be confirmed by a standby.
    pub fn needs_confirmation(&self, database: DatabaseId, ordinal: u8) -> bool {
        self.clusters[database.index()].confirming_number(ordinal) > 0
    }

    /// Whether every member has its place: one primary, and each other instance streams from it.
    pub fn is_whole(&self, database: DatabaseId) -> bool {
        let cluster = &self.clusters[database.index()];
        let mut others = cluster.ordinals().filter(|&ordinal| ordinal != cluster.current);
        cluster.at(cluster.current).is_open
            && others.all(|ordinal| cluster.at(ordinal).streams_from(cluster.current))
    }

    /// Takes an event of this model.
    pub fn handle<E, R>(
        &mut self,
        event: PgEvent,
        ctx: &mut Context<'_, E, R>,
        notices: &mut Vec<PgNotice>,
    ) where
        E: Copy + From<PgEvent>,
        R: Recorder<Observation>,
    {
        // Turns that were no events went by before this one.
        self.one(event.database(), ctx, notices, |cluster, io| cluster.catch_up_any(io));
        self.one(event.database(), ctx, notices, |cluster, io| match event {
            PgEvent::FailoverDue { .. } => cluster.failover_due(io),
            PgEvent::ReceiversDown { .. } => cluster.receivers_down(io),
            PgEvent::LeaseFree { .. } => cluster.lease_free(io),
            PgEvent::PromotionDone { .. } => cluster.promotion_done(io),
            PgEvent::BackendDue { .. } => cluster.backend_due(io),
            PgEvent::ClientsDue { .. } => cluster.clients_due(io),
            PgEvent::AdjustDue { .. } => cluster.number_adjusted(io),
            PgEvent::SilenceOver { .. } => cluster.silence_over(io),
            PgEvent::SwitchoverDue { .. } => cluster.switchover_due(io),
            PgEvent::UpdateDue { .. } => cluster.update_due(io),
            PgEvent::RestartDue { .. } => cluster.restart_due(io),
            PgEvent::PoolerDue { .. } => cluster.refresh(io),
            PgEvent::WalDue { .. } => cluster.wal_reached(io),
            PgEvent::VolumeGrown { .. } => cluster.volume_grown(io),
            PgEvent::MemberTurn { ordinal, .. } => cluster.member_turn(io, ordinal),
            PgEvent::MemberStep { ordinal, .. } => cluster.member_step(io, ordinal),
            PgEvent::MemberAction { ordinal, .. } => cluster.member_action(io, ordinal),
            PgEvent::LeaseOver { ordinal, .. } => cluster.lease_over(io, ordinal),
            PgEvent::StoreElected { .. } => cluster.store_elected(io),
            PgEvent::InstanceUp { ordinal, .. } => cluster.instance_up(io, ordinal),
            PgEvent::LinkUp { ordinal, .. } => cluster.link_up(io, ordinal),
            PgEvent::IsolationDue { ordinal, .. } => cluster.isolation_due(io, ordinal),
        });
    }

    /// Tells what is lost so far in a split that the end of the run leaves open. To be called once.
    pub fn finish<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<PgEvent>,
        R: Recorder<Observation>,
    {
        self.each(ctx, &mut Vec::new(), |cluster, io| cluster.finish(io));
    }

    /// The pod of the current primary, for faults that strike it.
    pub fn primary_pod(&self, database: DatabaseId) -> Option<PodId> {
        let cluster = &self.clusters[database.index()];
        cluster.at(cluster.current).pod
    }

    /// The number of the current primary.
    pub fn primary_ordinal(&self, database: DatabaseId) -> u8 {
        self.clusters[database.index()].current
    }

    /// What an instance is.
    pub fn role_of(&self, database: DatabaseId, ordinal: u8) -> Role {
        self.clusters[database.index()].at(ordinal).role
    }

    /// Whether clients can write.
    pub fn is_writable(&self, database: DatabaseId) -> bool {
        self.clusters[database.index()].is_serving
    }

    pub(crate) fn one<E, R>(
        &mut self,
        database: DatabaseId,
        ctx: &mut Context<'_, E, R>,
        notices: &mut Vec<PgNotice>,
        act: impl FnOnce(&mut Cluster, &mut Io<'_, '_, E, R>),
    ) where
        E: Copy + From<PgEvent>,
        R: Recorder<Observation>,
    {
        self.one_unseen(database, ctx, notices, act);
        self.touch(database);
    }

    /// As [`Self::one`], where nothing changes of what is at stake.
    fn one_unseen<E, R>(
        &mut self,
        database: DatabaseId,
        ctx: &mut Context<'_, E, R>,
        notices: &mut Vec<PgNotice>,
        act: impl FnOnce(&mut Cluster, &mut Io<'_, '_, E, R>),
    ) where
        E: Copy + From<PgEvent>,
        R: Recorder<Observation>,
    {
        let mut io = Io {
            ctx,
            notices,
            parameters: &self.parameters,
            streams: self.streams,
            is_isolated: &self.is_isolated,
            is_api_available: self.takes_api(database),
            pace: self.pace,
        };
        act(&mut self.clusters[database.index()], &mut io);
    }

    /// Whether the API server serves whoever looks after a database.
    pub(crate) fn takes_api(&self, database: DatabaseId) -> bool {
        self.is_api_available && !self.is_api_refusing[database.index()]
    }

    pub(crate) fn pace(&self) -> Pace {
        self.pace
    }

    /// Acts on a cluster if Patroni manages it.
    fn patroni<E, R>(
        &mut self,
        database: DatabaseId,
        ctx: &mut Context<'_, E, R>,
        notices: &mut Vec<PgNotice>,
        act: impl FnOnce(&mut Cluster, &mut Io<'_, '_, E, R>),
    ) where
        E: Copy + From<PgEvent>,
        R: Recorder<Observation>,
    {
        self.one(database, ctx, notices, |cluster, io| {
            if cluster.patroni.is_some() {
                cluster.catch_up(io);
                act(cluster, io);
            }
        });
    }

    fn each<E, R>(
        &mut self,
        ctx: &mut Context<'_, E, R>,
        notices: &mut Vec<PgNotice>,
        act: impl Fn(&mut Cluster, &mut Io<'_, '_, E, R>),
    ) where
        E: Copy + From<PgEvent>,
        R: Recorder<Observation>,
    {
        for idx in 0..self.clusters.len() {
            self.one(DatabaseId::from_index(idx), ctx, notices, &act);
        }
    }
}
