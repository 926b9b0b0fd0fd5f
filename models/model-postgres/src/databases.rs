//! All database clusters of a platform: inputs, events, notices.

use std::sync::Arc;

use model_api::parameters::Range;
use model_api::{Blueprint, DatabaseId, Observation, Parameters, PodId, ServiceId, ZoneId};
use sim_kernel::{
    Context, EntityKey, Priority, Probe, Purpose, Recorder, SimSpan, SimTime, Streams, Timer,
};

use crate::cluster::{Cluster, Port};
use crate::instance::Role;

/// After machines and pods have changed at the same instant.
const PRIORITY: Priority = Priority::NORMAL;

/// What database clusters wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "every event names its cluster, and an instance by its number")]
pub enum PgEvent {
    /// The operator has seen the failure and `failoverDelay` is over.
    FailoverDue { database: DatabaseId },
    /// No standby receives from the old primary any more.
    ReceiversDown { database: DatabaseId },
    /// The candidate holds the primary lease.
    LeaseFree { database: DatabaseId },
    /// The candidate is primary.
    PromotionDone { database: DatabaseId },
    /// The `-rw` Service selects the new primary.
    BackendDue { database: DatabaseId },
    /// Clients have reconnected.
    ClientsDue { database: DatabaseId },
    /// `synchronous_standby_names` has its new number.
    AdjustDue { database: DatabaseId },
    /// The primary gives up a standby that fell silent.
    SilenceOver { database: DatabaseId },
    /// An instance has recovered, rewound or shut down.
    InstanceUp { database: DatabaseId, ordinal: u8 },
    /// A standby has caught up and streams.
    LinkUp { database: DatabaseId, ordinal: u8 },
    /// The liveness check of an isolated primary has failed often enough.
    IsolationDue { database: DatabaseId, ordinal: u8 },
}

const _: () = assert!(size_of::<PgEvent>() <= 12);

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
}

/// How an instance ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StopKind {
    /// Its machine is gone: nobody is told, connections fall silent, the lease is abandoned.
    Power,
    /// Its processes ended: connections break at once, the instance manager releases the lease.
    Process,
    /// It was asked to end (deletion, eviction): a primary waits until its standbys have everything.
    Shutdown,
}

/// All database clusters of a run.
#[derive(Clone, Debug)]
pub struct Databases {
    parameters: Arc<Parameters>,
    streams: Streams,
    clusters: Vec<Cluster>,
    is_isolated: Vec<bool>,
    is_api_available: bool,
}

impl Databases {
    /// The clusters of a blueprint, none of whose instances runs yet.
    pub fn new(blueprint: &Blueprint, streams: Streams) -> Self {
        let cluster = |(idx, database)| {
            let id = DatabaseId::from_index(idx);
            Cluster::new(id, &blueprint.database_name(id), database, blueprint.zones.len())
        };
        Self {
            parameters: Arc::new(blueprint.parameters.clone()),
            streams,
            clusters: blueprint.databases.iter().enumerate().map(cluster).collect(),
            is_isolated: vec![false; blueprint.zones.len()],
            is_api_available: true,
        }
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
        self.one(database, ctx, notices, |cluster, io| cluster.started(io, ordinal, pod, zone));
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
        self.one(database, ctx, notices, |cluster, io| cluster.stopped(io, ordinal, kind));
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
            self.is_isolated[zone.index()] = is_isolated;
            self.each(ctx, notices, |cluster, io| cluster.refresh(io));
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
            self.is_api_available = is_available;
            self.each(ctx, notices, |cluster, io| cluster.refresh(io));
        }
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
        self.one(event.database(), ctx, notices, |cluster, io| match event {
            PgEvent::FailoverDue { .. } => cluster.failover_due(io),
            PgEvent::ReceiversDown { .. } => cluster.receivers_down(io),
            PgEvent::LeaseFree { .. } => cluster.lease_free(io),
            PgEvent::PromotionDone { .. } => cluster.promotion_done(io),
            PgEvent::BackendDue { .. } => cluster.backend_due(io),
            PgEvent::ClientsDue { .. } => cluster.clients_due(io),
            PgEvent::AdjustDue { .. } => cluster.number_adjusted(io),
            PgEvent::SilenceOver { .. } => cluster.refresh(io),
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

    fn one<E, R>(
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
            is_api_available: self.is_api_available,
        };
        act(&mut self.clusters[database.index()], &mut io);
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

impl PgEvent {
    /// The cluster it belongs to.
    pub fn database(self) -> DatabaseId {
        match self {
            Self::FailoverDue { database }
            | Self::ReceiversDown { database }
            | Self::LeaseFree { database }
            | Self::PromotionDone { database }
            | Self::BackendDue { database }
            | Self::ClientsDue { database }
            | Self::AdjustDue { database }
            | Self::SilenceOver { database }
            | Self::InstanceUp { database, .. }
            | Self::LinkUp { database, .. }
            | Self::IsolationDue { database, .. } => database,
        }
    }
}

/// The context of an event, as a cluster sees it.
struct Io<'a, 'c, E, R: Recorder<Observation>> {
    ctx: &'a mut Context<'c, E, R>,
    notices: &'a mut Vec<PgNotice>,
    parameters: &'a Parameters,
    streams: Streams,
    is_isolated: &'a [bool],
    is_api_available: bool,
}

impl<E, R> Port for Io<'_, '_, E, R>
where
    E: Copy + From<PgEvent>,
    R: Recorder<Observation>,
{
    fn now(&self) -> SimTime {
        self.ctx.now()
    }

    fn observe(&mut self, observation: Observation) {
        self.ctx.observe(|| observation);
    }

    fn notice(&mut self, notice: PgNotice) {
        self.notices.push(notice);
    }

    fn hit(&mut self, probe: &'static Probe) {
        self.ctx.hit(probe);
    }

    fn timer_at(&mut self, at: SimTime, event: PgEvent) -> Timer {
        self.ctx.timer_at(at, PRIORITY, event)
    }

    fn cancel(&mut self, timer: Timer) {
        self.ctx.cancel(timer);
    }

    fn is_pending(&self, timer: Timer) -> bool {
        self.ctx.is_pending(timer)
    }

    fn parameters(&self) -> &Parameters {
        self.parameters
    }

    fn draw(&self, entity: EntityKey, purpose: Purpose, occurrence: u32, range: Range) -> SimSpan {
        let draw = self.streams.draw(entity, purpose, u64::from(occurrence));
        draw.span_between(range.least, range.most)
    }

    fn is_api_available(&self) -> bool {
        self.is_api_available
    }

    fn is_isolated(&self, zone: ZoneId) -> bool {
        self.is_isolated[zone.index()]
    }
}
