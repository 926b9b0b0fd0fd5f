//! Faults in time: when each one starts and ends, and what it picked.
//!
//! # Modelled
//! Start at a time, at a time drawn from a window, or some time after a condition first holds;
//! an end after a duration; overlapping faults (a zone that two faults darken has power again when
//! the last of them is over); picks drawn by the fault's name, so that adding a fault changes no
//! draw of another.
//! # Not modelled
//! A fault that is injected again when its condition holds a second time: each strikes once a run.
//! # Defaults and their sources
//! None: a scenario states everything.
//! # Invariants
//! A fault strikes at most once and ends at most once, and never ends before it struck.
//! # Checked against
//! `tests/it/actions.rs`, `tests/it/main.rs`.

use model_api::control_plane::MemberPart;
use model_api::fault::{
    Condition, ControlPlaneFault, Fault, FaultKind, FaultPlan, NodePick, Start, ZonePick,
};
use model_api::{
    AutoscalerId, Blueprint, DatabaseId, FaultId, NodeId, PlaceId, PoolId, PoolerId, ServiceId,
    WorkloadId, ZoneId,
};
use model_kube::cluster::{DrainId, LeakId, StrainId, TemplateId};
use model_storage::Loss;
use sim_kernel::{EntityKey, Purpose, SimSpan, SimTime, Streams};

/// When a fault is to start by the clock.
const START: Purpose = Purpose::new("fault start");
/// Which zone or node a fault hits.
const PICK: Purpose = Purpose::new("fault target");

/// What the fault plan does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultEvent {
    /// A fault strikes.
    StrikeDue(FaultId),
    /// A fault is over.
    EndDue(FaultId),
}

/// Where the faults of one run stand.
#[derive(Clone, Debug, Default)]
pub(crate) struct FaultBook {
    /// Per fault: what it struck, once it has.
    pub(crate) struck: Vec<Option<Struck>>,
    /// Per fault: its condition has held, so that it is scheduled.
    is_triggered: Vec<bool>,
    /// What actions that are over did and nobody could take back yet, for want of an API.
    pub(crate) owed: Vec<(FaultId, Struck)>,
}

/// What a fault picked when it struck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Struck {
    /// Nothing that would have to be undone.
    Nothing,
    /// The power of a zone.
    ZonePower(ZoneId),
    /// The contact of a zone with the rest.
    ZoneContact(ZoneId),
    /// A node.
    Node(NodeId),
    /// The memory of pods.
    Leak(LeakId),
    /// New machines in a zone.
    Capacity(ZoneId),
    /// Load curves.
    Load,
    /// A name, by its position.
    Name(usize),
    /// The DNS of the cluster is slow.
    SlowDns,
    /// Every zone, for good.
    Region,
    /// Copies that are made, or not.
    Copies,
    /// Machines of the control plane.
    Members(MemberSet),
    /// Processes of members, which are down.
    Parts(MemberPart, MemberSet),
    /// Disks under members of etcd: a fault makes them slow.
    Flushes(FaultId, MemberSet),
    /// The load balancer before the API servers.
    ApiBalancer,
    /// The API servers.
    Api,
    /// The control plane of the cloud.
    Cloud,
    /// The API servers, which run.
    Strain(StrainId),
    /// The webhook that the fault names.
    Webhook(FaultId),
    /// Registries, those the fault names.
    Registries(FaultId),
    /// A vault, by its position, which is sealed.
    Vault(usize),
    /// A Secret or ConfigMap, which that fault deleted.
    Configuration(FaultId),
    /// The template of a workload, which was this before.
    Rollout(WorkloadId, TemplateId),
    /// The size of a workload, which was this before.
    Scale(WorkloadId, u32),
    /// The limits of an autoscaler, which were these before.
    Limits(AutoscalerId, Option<i32>, Option<i32>),
    /// An autoscaler, which is deleted.
    Autoscaler(AutoscalerId),
    /// A workload is held or goes on: what it was before.
    Hold(WorkloadId, bool),
    /// The scheduling gates of a workload's pods are removed: whether they were before.
    Gates(WorkloadId, bool),
    /// A drain or an upgrade of nodes.
    Drain(DrainId),
    /// An upgrade of the control plane.
    Upgrade,
    /// The taint that a fault set.
    OutOfService(FaultId),
    /// Instances of a database, which are kept off.
    Fence(DatabaseId),
    /// A pooler, which is paused.
    Pause(PoolerId),
    /// The volumes of a database, which are to be larger.
    Growth(DatabaseId),
    /// The primary of a database, which hands over.
    Switchover(DatabaseId),
    /// An instance of a database, which stands still.
    Frozen(DatabaseId, u8),
    /// An instance of a database, which no primary reaches.
    HeldBack(DatabaseId, u8),
    /// Disks of a storage pool.
    Disks(Loss),
    /// A place for copies, which is limited.
    Throttle(PlaceId),
    /// The `min_size` of a storage pool.
    MinSize(PoolId),
}

/// Members of the control plane by number, up to 64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MemberSet(u64);

impl MemberSet {
    /// A control plane has no more members than this set can hold.
    pub(crate) const LEN_MAX: usize = 64;

    pub(crate) fn of(members: &[usize]) -> Self {
        Self(members.iter().fold(0, |set, member| set | 1 << member))
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = usize> {
        (0..Self::LEN_MAX).filter(move |member| self.0 >> member & 1 == 1)
    }

    pub(crate) fn contains(self, member: usize) -> bool {
        self.iter().any(|it| it == member)
    }
}

/// Something that a condition may be waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Happening {
    /// A fault struck.
    FaultStarted(FaultId),
    /// A fault is over.
    FaultEnded(FaultId),
    /// The proxies of a Service route to this many endpoints.
    Endpoints(ServiceId, u32),
    /// A pod waits because no node fits.
    PodUnschedulable,
    /// A database promotes a new primary.
    FailoverStarted,
    /// The volume that holds the log of a database is full to this share.
    VolumeAbove(DatabaseId, u32),
}

impl Happening {
    /// Whether this makes `condition` hold.
    pub(crate) fn satisfies(self, condition: Condition) -> bool {
        match (self, condition) {
            (Self::FaultStarted(a), Condition::FaultStarted(b))
            | (Self::FaultEnded(a), Condition::FaultEnded(b)) => a == b,
            (Self::Endpoints(a, count), Condition::EndpointsBelow(b, limit)) => {
                a == b && count < limit
            }
            (Self::VolumeAbove(a, share), Condition::WalVolumeAbove(b, limit)) => {
                a == b && share == limit
            }
            (Self::PodUnschedulable, Condition::PodUnschedulable)
            | (Self::FailoverStarted, Condition::FailoverStarted) => true,
            _ => false,
        }
    }
}

impl FaultBook {
    pub(crate) fn new(plan: &FaultPlan) -> Self {
        let count = plan.faults.len();
        Self { struck: vec![None; count], is_triggered: vec![false; count], owed: Vec::new() }
    }

    /// What faults that are on struck.
    fn on(&self) -> impl Iterator<Item = Struck> {
        self.struck.iter().flatten().copied()
    }

    /// Whether a fault that is on keeps the power from a zone.
    pub(crate) fn is_dark(&self, zone: ZoneId) -> bool {
        self.on()
            .any(|struck| matches!(struck, Struck::Region) || struck == Struck::ZonePower(zone))
    }

    /// Whether a fault that is on cuts a zone off.
    pub(crate) fn is_isolated(&self, zone: ZoneId) -> bool {
        self.on().any(|struck| struck == Struck::ZoneContact(zone))
    }

    /// Whether a fault that is on keeps a registry from answering.
    pub(crate) fn is_registry_cut_off(&self, plan: &FaultPlan, host: &str) -> bool {
        self.on().any(|struck| {
            let Struck::Registries(fault) = struck else { return false };
            let kind = &plan.faults[fault.index()].kind;
            let named = match kind {
                FaultKind::ControlPlane(ControlPlaneFault::RegistryOutage { host }) => {
                    host.as_deref()
                }
                _ => None,
            };
            named.is_none_or(|named| named == host)
        })
    }

    /// Whether a fault that is on keeps a machine down, which may be a member of the control plane.
    pub(crate) fn is_held(&self, node: Option<NodeId>, member: Option<usize>) -> bool {
        self.on().any(|struck| match struck {
            Struck::Node(held) => node == Some(held),
            Struck::Members(held) => member.is_some_and(|member| held.contains(member)),
            _ => false,
        })
    }

    /// Whether a fault that is on keeps a process of a member down.
    pub(crate) fn is_part_held(&self, part: MemberPart, member: usize) -> bool {
        self.on().any(|struck| {
            matches!(struck, Struck::Parts(of, held) if of == part && held.contains(member))
        })
    }

    /// How slow faults that are on make the disk of a member together.
    pub(crate) fn flush_of(&self, plan: &FaultPlan, member: usize) -> SimSpan {
        let latency = |struck: Struck| {
            let Struck::Flushes(fault, slow) = struck else { return SimSpan::ZERO };
            match plan.faults[fault.index()].kind {
                FaultKind::ControlPlane(ControlPlaneFault::SlowDisk { latency, .. })
                    if slow.contains(member) =>
                {
                    latency
                }
                _ => SimSpan::ZERO,
            }
        };
        self.on().map(latency).sum()
    }

    /// Faults whose start is a matter of the clock, with that time.
    pub(crate) fn timed(
        plan: &FaultPlan,
        streams: Streams,
    ) -> impl Iterator<Item = (FaultId, SimTime)> + '_ {
        plan.faults.iter().enumerate().filter_map(move |(idx, fault)| {
            start_time(fault, streams).map(|at| (FaultId::from_index(idx), at))
        })
    }

    /// Marks and returns the faults whose condition `happening` satisfies for the first time, each
    /// with the delay after which it strikes.
    pub(crate) fn trigger(
        &mut self,
        plan: &FaultPlan,
        happening: Happening,
    ) -> Vec<(FaultId, SimSpan)> {
        let mut due = Vec::new();
        for (idx, fault) in plan.faults.iter().enumerate() {
            if let Start::When { condition, delay } = fault.start
                && !self.is_triggered[idx]
                && happening.satisfies(condition)
            {
                self.is_triggered[idx] = true;
                due.push((FaultId::from_index(idx), delay));
            }
        }
        due
    }
}

/// When a fault starts by the clock; `None` when it waits for a condition.
fn start_time(fault: &Fault, streams: Streams) -> Option<SimTime> {
    match fault.start {
        Start::At(at) => Some(at),
        Start::Within(first, last) => {
            let draw = streams.draw(entity(fault), START, 0);
            Some(SimTime::from_nanos(draw.range_inclusive(first.as_nanos(), last.as_nanos())))
        }
        Start::When { .. } => None,
    }
}

fn entity(fault: &Fault) -> EntityKey {
    EntityKey::of("fault").child(&fault.name)
}

/// The zone a fault hits.
pub(crate) fn pick_zone(
    fault: &Fault,
    pick: ZonePick,
    blueprint: &Blueprint,
    streams: Streams,
) -> ZoneId {
    match pick {
        ZonePick::Zone(zone) => zone,
        ZonePick::Random => {
            let draw = streams.draw(entity(fault), PICK, 0);
            ZoneId::from_index(draw.index(blueprint.zones.len()))
        }
    }
}

/// The node a fault hits; `None` when there is none of that description. `exists` says whether there
/// is a machine now, `carries` names the node under the primary or first pod of a workload.
pub(crate) fn pick_node(
    fault: &Fault,
    pick: NodePick,
    blueprint: &Blueprint,
    streams: Streams,
    exists: impl Fn(NodeId) -> bool,
    carries: impl FnOnce(WorkloadId) -> Option<NodeId>,
) -> Option<NodeId> {
    match pick {
        NodePick::Node(node) => Some(node).filter(|node| exists(*node)),
        NodePick::Of(workload) => carries(workload),
        NodePick::Random { zone } => {
            let workers: Vec<NodeId> = blueprint
                .nodes
                .iter()
                .enumerate()
                .filter(|(idx, spec)| {
                    !spec.is_control_plane
                        && zone.is_none_or(|zone| zone == spec.zone)
                        && exists(NodeId::from_index(*idx))
                })
                .map(|(idx, _)| NodeId::from_index(idx))
                .collect();
            streams.draw(entity(fault), PICK, 0).pick(&workers).copied()
        }
    }
}

/// Draws `count` of `items` without replacement, in the order they were drawn; all of them when
/// `count` is `None`.
pub(crate) fn pick_some<T: Copy>(
    fault: &Fault,
    items: &[T],
    count: Option<u32>,
    streams: Streams,
) -> Vec<T> {
    let mut left = items.to_vec();
    let Some(count) = count else { return left };
    let mut picked = Vec::new();
    for occurrence in 0..u64::from(count) {
        if left.is_empty() {
            break;
        }
        let draw = streams.draw(entity(fault), PICK, occurrence);
        picked.push(left.remove(draw.index(left.len())));
    }
    picked
}
