//! Faults of what decides and of what nodes need to start something new.
//!
//! None of them stops a process that serves requests: what they do shows when something has to
//! change while they last.

use sim_kernel::SimSpan;

use super::ZonePick;
use crate::control_plane::MemberPart;
use crate::kube::SourceKind;

/// What fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlPlaneFault {
    /// Machines of the control plane stop: their etcd, API server and controllers with them.
    MemberLoss {
        /// Only members of this zone.
        zone: Option<ZonePick>,
        /// How many of them, drawn at random; `None` means all.
        count: Option<u32>,
    },
    /// Processes of members end and stay down; their machines run.
    MemberDown {
        /// Which process.
        part: MemberPart,
        /// Of which members.
        pick: MemberPick,
    },
    /// The disk under members of etcd is slow: each flush takes so much longer.
    SlowDisk {
        /// Of which members.
        pick: MemberPick,
        /// How much.
        latency: SimSpan,
    },
    /// Nobody gets through the load balancer before the API servers.
    ApiBalancerOutage,
    /// The process that leads ends with an error and starts again as a candidate.
    LeaderKill(Leading),
    /// No API server answers; etcd and the machines are well.
    ApiOutage,
    /// The control plane of the cloud answers nothing: no machine is made or removed, no volume attached.
    /// What runs there goes on.
    CloudApiOutage,
    /// API servers that run get more requests than they let through.
    ApiFlood(ApiFlood),
    /// The API stores slowly, as with a slow disk under etcd: each write takes so much longer.
    SlowApi {
        /// How much.
        latency: SimSpan,
    },
    /// The endpoints of a webhook accept calls and answer none.
    WebhookOutage {
        /// Its name, or that of its configuration.
        name: String,
    },
    /// A vault is sealed: it runs and gives nothing away.
    VaultSealed {
        /// Its position among the vaults of the blueprint.
        vault: usize,
    },
    /// A Secret or ConfigMap is deleted; who runs keeps what it read.
    ConfigurationDeleted {
        /// Which kind it is.
        kind: SourceKind,
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// An image registry does not answer.
    RegistryOutage {
        /// Host of the registry as image names have it; `None` means every one.
        host: Option<String>,
    },
}

/// Members of the control plane that a fault hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberPick {
    /// Only members of this zone.
    pub zone: Option<ZonePick>,
    /// How many of them, drawn at random.
    pub count: u32,
    /// Only the one that leads etcd (true), or only others (false).
    pub leads: Option<bool>,
}

/// What has a leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Leading {
    /// kube-controller-manager.
    ControllerManager,
    /// kube-scheduler.
    Scheduler,
    /// etcd.
    Etcd,
}

/// Requests that keep coming to the API servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiFlood {
    /// The priority level that they belong to.
    pub level: PriorityLevel,
    /// How many come to all servers together, per 1000 s.
    pub millirps: u64,
    /// Objects that each lists; 0 for requests that list nothing.
    pub objects: u64,
    /// How long each takes once it has its seats; `None` for what a request of so many objects is
    /// taken to need.
    pub takes: Option<SimSpan>,
    /// Flows that they come in: users or namespaces, whatever the schema tells apart.
    pub flows: u32,
    /// They write.
    pub is_mutating: bool,
}

/// The priority levels that every API server makes sure of
/// (`apiserver/pkg/apis/flowcontrol/bootstrap/default.go`, Kubernetes 1.36).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the words are the names of the levels")]
pub enum PriorityLevel {
    Exempt,
    System,
    NodeHigh,
    LeaderElection,
    WorkloadHigh,
    WorkloadLow,
    GlobalDefault,
    CatchAll,
}

impl PriorityLevel {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Exempt,
        Self::System,
        Self::NodeHigh,
        Self::LeaderElection,
        Self::WorkloadHigh,
        Self::WorkloadLow,
        Self::GlobalDefault,
        Self::CatchAll,
    ];

    /// Its name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exempt => "exempt",
            Self::System => "system",
            Self::NodeHigh => "node-high",
            Self::LeaderElection => "leader-election",
            Self::WorkloadHigh => "workload-high",
            Self::WorkloadLow => "workload-low",
            Self::GlobalDefault => "global-default",
            Self::CatchAll => "catch-all",
        }
    }

    /// The flow schemas whose requests belong to it.
    pub const fn schemas(self) -> &'static [&'static str] {
        match self {
            Self::Exempt => &["exempt", "probes"],
            Self::System => &["system-nodes"],
            Self::NodeHigh => &["system-node-high"],
            Self::LeaderElection => &["system-leader-election", "workload-leader-election"],
            Self::WorkloadHigh => &[
                "kube-controller-manager",
                "kube-scheduler",
                "kube-system-service-accounts",
                "endpoint-controller",
            ],
            Self::WorkloadLow => &["service-accounts"],
            Self::GlobalDefault => &["global-default"],
            Self::CatchAll => &["catch-all"],
        }
    }
}
