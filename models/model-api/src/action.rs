//! Actions: what people and automation do to a platform, besides what goes wrong.

use sim_kernel::SimSpan;

use crate::ids::{AutoscalerId, DatabaseId, NodeId, PoolerId, WorkloadId};
use crate::kube::{PodTemplate, Version};

/// What is done. Nothing of it happens while the API is away.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// A workload, or a Cluster of CloudNativePG, gets another pod template. At the end it gets the former
    /// one back.
    Rollout {
        /// Which.
        workload: WorkloadId,
        /// The template.
        template: Box<PodTemplate>,
        /// Its pods run, but never become ready.
        is_broken: bool,
        /// Of a million answers of its ready pods, how many are errors.
        failing_ppm: u32,
        /// It is undone by whatever deploys, once its progress deadline is exceeded.
        is_undone_when_stalled: bool,
    },
    /// A workload gets another number of replicas. At the end it gets the former one back.
    Scale {
        /// Which.
        workload: WorkloadId,
        /// How many.
        replicas: u32,
    },
    /// A Deployment is paused, a Job or CronJob suspended; or it goes on. At the end it is as before.
    Hold {
        /// Which.
        workload: WorkloadId,
        /// It waits from now on, rather than goes on.
        is_held: bool,
    },
    /// Somebody takes the scheduling gates off the pods of a workload: off those that are there, and
    /// off each new one at once. At the end new pods keep theirs.
    LiftGates {
        /// Whose.
        workload: WorkloadId,
    },
    /// Nodes are drained, one after the other, and stay cordoned. At the end they are uncordoned.
    Drain(NodeWork),
    /// Nodes are drained, boot anew and are uncordoned, one after the other.
    NodeUpgrade(NodeWork),
    /// The control plane is upgraded, one member after the other.
    ControlPlaneUpgrade(ControlPlaneUpgrade),
    /// Node objects are deleted, as by a cloud controller whose machines are no more.
    DeleteNodes(Vec<NodeId>),
    /// Nodes get the taint `node.kubernetes.io/out-of-service`; at the end it is taken away.
    OutOfServiceTaint(Vec<NodeId>),
    /// Pods are evicted through the API, which asks their disruption budgets.
    Evict {
        /// Pods of this workload.
        workload: WorkloadId,
        /// How many, drawn at random; `None` means all.
        count: Option<u32>,
    },
    /// The primary of a database hands over to a standby.
    Switchover {
        /// Which database.
        database: DatabaseId,
        /// To this instance, counted from zero; to whichever has most when `None`.
        to: Option<u8>,
    },
    /// PostgreSQL of instances of a database is kept off. At the end no instance is.
    Fence {
        /// Which database.
        database: DatabaseId,
        /// Which instances.
        whom: Fenced,
    },
    /// A pooler is paused (`PAUSE` of PgBouncer): it lends no connection, and who asks waits. At the end it
    /// goes on (`RESUME`).
    PausePooler {
        /// Which.
        pooler: PoolerId,
    },
    /// The limits of a HorizontalPodAutoscaler are changed. At the end it has the former ones back.
    SetAutoscaler {
        /// Which.
        autoscaler: AutoscalerId,
        /// `minReplicas` from now on; as it is when `None`.
        min: Option<i32>,
        /// `maxReplicas` from now on; as it is when `None`.
        max: Option<i32>,
    },
    /// A HorizontalPodAutoscaler is deleted: its workload keeps the size that it has. At the end it is made
    /// anew.
    DeleteAutoscaler {
        /// Which.
        autoscaler: AutoscalerId,
    },
    /// The volumes that hold the write-ahead log of a database are made larger.
    GrowStorage {
        /// Which database.
        database: DatabaseId,
        /// Their size from now on.
        size_bytes: u64,
    },
}

/// Which instances of a database are fenced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fenced {
    /// The one that is primary then.
    Primary,
    /// All of them.
    All,
    /// This one, counted from zero.
    Instance(u8),
}

impl Action {
    /// Whether it takes its time and then is complete, rather than being done at once.
    pub const fn can_complete(&self) -> bool {
        matches!(
            self,
            Self::Rollout { .. }
                | Self::Drain(_)
                | Self::NodeUpgrade(_)
                | Self::ControlPlaneUpgrade(_)
                | Self::GrowStorage { .. }
                | Self::Switchover { .. }
        )
    }
}

/// An upgrade of the control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlPlaneUpgrade {
    /// The version afterwards; `None` leaves the minor version as it is.
    pub to: Option<Version>,
    /// Machines boot anew, rather than processes alone.
    pub reboots: bool,
    /// Kubelets that are too old for the new version do not stop it.
    pub forces: bool,
}

/// Nodes that are worked on one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeWork {
    /// Which, in order.
    pub nodes: Vec<NodeId>,
    /// Time for each node; `None` waits for ever.
    pub timeout: Option<SimSpan>,
    /// Pods that nothing replaces are deleted, too.
    pub forces: bool,
    /// A node that cannot be drained does not stop the work on the others.
    pub goes_on: bool,
}
