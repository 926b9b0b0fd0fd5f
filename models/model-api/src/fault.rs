//! Faults: what a scenario does to a platform, the actions of people among them.

use sim_kernel::{SimSpan, SimTime};

mod control_plane;
mod instance;
mod storage;

pub use control_plane::{ApiFlood, ControlPlaneFault, Leading, MemberPick, PriorityLevel};
pub use instance::{InstanceFault, InstanceHarm, InstancePick};
pub use storage::{DiskCount, StorageFault};

use crate::action::Action;
use crate::dns::DnsFault;
use crate::ids::{
    BalancerId, DataSetId, DatabaseId, FaultId, KeyId, NodeId, PlaceId, PolicyId, ServiceId,
    WorkloadId, ZoneId,
};
use crate::memory::Growth;
use crate::source::Origin;
use crate::usage::NodeResource;

/// Everything that a scenario injects, in the order it was written; [`FaultId`] is the position.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FaultPlan {
    /// The faults.
    pub faults: Vec<Fault>,
}

/// One fault.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// Name in reports; unique in the plan.
    pub name: String,
    /// What happens.
    pub kind: FaultKind,
    /// When it starts.
    pub start: Start,
    /// How long it lasts; `None` means for ever (or, for a crash, that it is momentary).
    pub duration: Option<SimSpan>,
    /// Where it was written.
    pub origin: Origin,
}

/// What a fault does.
#[derive(Clone, Debug, PartialEq)]
pub enum FaultKind {
    /// Power of a zone is gone: machines stop, volumes come back intact.
    ZonePowerLoss {
        /// The zone.
        zone: ZonePick,
    },
    /// A zone runs on, but nothing outside reaches it and it reaches nothing outside.
    ZoneIsolation {
        /// The zone.
        zone: ZonePick,
    },
    /// A node stops.
    NodeCrash {
        /// Which.
        node: NodePick,
    },
    /// A node shuts down in order: its kubelet ends the pods first, as it is configured to.
    NodeShutdown {
        /// Which.
        node: NodePick,
    },
    /// The processes of pods end with an error; the kubelet restarts them.
    PodCrash {
        /// Pods of this workload.
        workload: WorkloadId,
        /// How many, drawn at random; `None` means all.
        count: Option<u32>,
    },
    /// The memory of pods grows; what they took stays theirs until they end.
    MemoryLeak {
        /// Pods of this workload, which [`Blueprint::memory`](crate::Blueprint::memory) names.
        workload: WorkloadId,
        /// How many, drawn at random; `None` means all, those to come as well.
        count: Option<u32>,
        /// How fast, besides how they grow anyway.
        growth: Growth,
    },
    /// Pods take more and more of a disk, of its inodes, or of process ids.
    UsageLeak {
        /// Pods of this workload, which [`Blueprint::usage`](crate::Blueprint::usage) names.
        workload: WorkloadId,
        /// Of what.
        resource: NodeResource,
        /// How many pods, drawn at random; `None` means all, those to come as well.
        count: Option<u32>,
        /// How fast, besides how they grow anyway.
        growth: Growth,
    },
    /// The provider has no capacity for new machines in a zone.
    NoCapacity {
        /// The zone.
        zone: ZonePick,
        /// It says so at once. Otherwise it takes requests, and the machines do not come while
        /// the fault lasts.
        is_refused: bool,
    },
    /// Requests from outside multiply.
    LoadSpike {
        /// For these Services; empty means all that have a load.
        services: Vec<ServiceId>,
        /// Those of this tenant only.
        tenant: Option<String>,
        /// Factor in thousandths: 2000 doubles.
        factor_milli: u64,
        /// Time to reach it (and to fall back), linear.
        ramp: SimSpan,
    },
    /// Something is done to the platform on purpose.
    Action(Action),
    /// What decides, or what nodes need to start something new, fails.
    ControlPlane(ControlPlaneFault),
    /// Data or copies of it are destroyed, or copies are not made.
    Data(DataFault),
    /// Disks of storage pools are lost, or what stands on them is slow.
    Storage(StorageFault),
    /// An instance of a database fails by itself.
    Instance(InstanceFault),
    /// A name that clients ask for goes wrong.
    Dns {
        /// Position in [`Blueprint::names`](crate::Blueprint::names).
        name: usize,
        /// What does.
        kind: DnsFault,
    },
    /// The DNS of the cluster takes so long for each answer.
    SlowDns {
        /// From a question to its answer.
        latency: SimSpan,
    },
    /// Caches before calls lose what they have.
    CacheCold {
        /// Whose calls they are before, or whose pods hold them.
        service: ServiceId,
        /// Of a million things, how many.
        share_ppm: u32,
    },
    /// A machine of a load balancer is gone; another one is made in its place.
    BalancerMachineLoss {
        /// Of which balancer: the machine that holds its address.
        balancer: BalancerId,
        /// The machine that stands by is gone too, where there is one.
        takes_standby: bool,
    },
}

/// What a fault does to data and to copies of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataFault {
    /// A zone is gone for good, with its volumes.
    ZoneDestroyed {
        /// The zone.
        zone: ZonePick,
    },
    /// The region is gone for good.
    RegionLoss,
    /// An account of the provider is gone, with all that is in it.
    AccountLoss {
        /// Its name.
        account: String,
    },
    /// The content of a data set is destroyed in every live copy.
    LogicalLoss {
        /// Which.
        data_set: DataSetId,
        /// When that is noticed.
        discovered_after: SimSpan,
        /// Copies that the data set's account can delete are deleted: ransomware.
        deletes_copies: bool,
    },
    /// A place for copies is gone, with all that is in it.
    BackupTargetLoss {
        /// Which.
        place: PlaceId,
    },
    /// A place for copies takes nothing more: it is full, or its quota is reached. What is in it is there.
    BucketFull {
        /// Which.
        place: PlaceId,
    },
    /// A key is gone.
    KeyLoss {
        /// Which.
        key: KeyId,
    },
    /// A key cannot be used: it is disabled, its KMS is away, its vault is sealed.
    KeyDisabled {
        /// Which.
        key: KeyId,
    },
    /// Runs of a policy fail.
    BackupsBroken {
        /// Which: all that one schedule makes.
        policies: Vec<PolicyId>,
        /// They look complete.
        is_silent: bool,
    },
    /// The archive of a data set stores nothing.
    ArchiveBroken {
        /// Whose.
        data_set: DataSetId,
        /// It says that it does, so that nothing is kept to be stored later.
        is_silent: bool,
    },
}

/// Which zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ZonePick {
    /// This one.
    Zone(ZoneId),
    /// A zone drawn at random, each run its own.
    Random,
}

/// Which node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodePick {
    /// This one.
    Node(NodeId),
    /// A worker drawn at random, of the zone if one is named.
    Random {
        /// Only nodes of this zone.
        zone: Option<ZoneId>,
    },
    /// The node under the pod of this workload that serves as primary, or under its first pod.
    Of(WorkloadId),
}

/// When a fault starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At a time.
    At(SimTime),
    /// At a time drawn uniformly from a window, both ends included.
    Within(SimTime, SimTime),
    /// Some time after a condition first holds.
    When {
        /// The condition.
        condition: Condition,
        /// How long after.
        delay: SimSpan,
    },
}

/// A condition that may start a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Another fault has started.
    FaultStarted(FaultId),
    /// Another fault has ended.
    FaultEnded(FaultId),
    /// A Service has fewer ready endpoints than this.
    EndpointsBelow(ServiceId, u32),
    /// Some pod waits because no node fits.
    PodUnschedulable,
    /// A database promotes a new primary.
    FailoverStarted,
    /// The write-ahead log of a database takes this share of its volume, in parts per million.
    WalVolumeAbove(DatabaseId, u32),
}
