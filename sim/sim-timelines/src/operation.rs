//! What is done to the cluster of a trace.
//!
//! [`script`] reads the schedule, [`selection`] says which nodes and pods an entry is about,
//! [`resolver`] makes operations of it. What changes objects goes through
//! [`Objects`](crate::stage::objects::Objects) first, which works out what becomes of them.

use model_api::kube::{HorizontalPodAutoscaler, PodDisruptionBudget, Taint, Workload};
use model_api::{AutoscalerId, BudgetId, NodeId, SimSpan, WorkloadId, ZoneId};
use model_kube::cluster::Component;

mod resolver;
mod script;
mod selection;

pub(crate) use script::{Change, Edit, Script, kind_of, name_of};

/// Something that is done.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    /// No lease, no status, no pod is handled from now on.
    Kill(Nodes),
    /// The kubelets go on.
    Revive(Nodes),
    /// Machines stop, and all that runs on them; or boot.
    Power(Nodes, bool),
    /// Machines come: their positions among the nodes.
    Add(Vec<NodeId>),
    /// Node objects are deleted.
    Delete(Nodes),
    /// The out-of-service taint is set, or taken away.
    OutOfService(Nodes, bool),
    /// New pods are kept away, or let in again.
    Cordon(Nodes, bool),
    /// Taints are set, or taken away.
    Taint(Nodes, Taints),
    /// Nodes are emptied one after the other.
    Drain(Nodes, Drain),
    /// The process that leads dies; another one waits.
    KillLeader(Component),
    /// The API servers answer, or not.
    Api(bool),
    /// A workload's replicas are changed, or it is created.
    Scale(WorkloadId, u32),
    /// A workload is deleted, and its pods with it.
    DeleteWorkload(WorkloadId),
    /// A workload gets another template: its position among the new ones.
    Patch(usize),
    /// A Deployment is paused, or a Job suspended; or goes on.
    Hold(WorkloadId, bool),
    /// How a workload replaces its pods is changed.
    Strategy(WorkloadId, Box<Workload>),
    /// What a budget demands is changed.
    Budget(BudgetId, Box<PodDisruptionBudget>),
    /// Limits, behavior and metrics of an autoscaler are changed.
    Autoscaler(AutoscalerId, Box<HorizontalPodAutoscaler>),
    /// An autoscaler is deleted.
    DeleteAutoscaler(AutoscalerId),
    /// Evictions of pods are posted, once each.
    Evict(Vec<Pods>),
    /// Pods are deleted; by force, so that their objects are gone at once.
    DeletePods(Vec<Pods>, bool),
}

/// How the taints of nodes change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Taints {
    /// One more, in place of one of that key and effect.
    With(Taint),
    /// None of that key and, if it is stated, effect.
    Without(String, Option<model_api::kube::TaintEffect>),
    /// These and no others.
    Only(Vec<Taint>),
}

/// Which pods.
#[derive(Clone, Debug)]
pub(crate) enum Pods {
    /// All of a workload.
    Of(WorkloadId),
    /// The one of a StatefulSet with an ordinal.
    Ordinal(WorkloadId, u32),
    /// A bare pod: its position among the arrivals.
    Arrived(u32),
    /// All on nodes.
    On(Nodes),
    /// All that are being deleted.
    Terminating,
}

/// Which nodes.
#[derive(Clone, Debug)]
pub(crate) enum Nodes {
    All,
    /// Those that are down.
    Killed,
    Of(ZoneId),
    /// Of the zone in which a workload has most pods.
    MostOf(WorkloadId),
    Listed(Vec<NodeId>),
    /// The first so many of others.
    First(Box<Nodes>, u32),
}

impl Nodes {
    fn asks_for_most(&self) -> bool {
        match self {
            Self::MostOf(_) => true,
            Self::First(nodes, _) => nodes.asks_for_most(),
            Self::All | Self::Killed | Self::Of(_) | Self::Listed(_) => false,
        }
    }
}

impl Operation {
    /// Whether it is about the zone with most pods, whichever that is.
    pub(crate) fn asks_for_most(&self) -> bool {
        match self {
            Self::Kill(nodes)
            | Self::Revive(nodes)
            | Self::Power(nodes, _)
            | Self::Delete(nodes)
            | Self::OutOfService(nodes, _)
            | Self::Cordon(nodes, _)
            | Self::Taint(nodes, _)
            | Self::Drain(nodes, _) => nodes.asks_for_most(),
            Self::Evict(pods) | Self::DeletePods(pods, _) => {
                pods.iter().any(|it| matches!(it, Pods::On(nodes) if nodes.asks_for_most()))
            }
            Self::Add(_)
            | Self::KillLeader(_)
            | Self::Api(_)
            | Self::Scale(..)
            | Self::DeleteWorkload(_)
            | Self::Patch(_)
            | Self::Hold(..)
            | Self::Strategy(..)
            | Self::Budget(..)
            | Self::Autoscaler(..)
            | Self::DeleteAutoscaler(_) => false,
        }
    }
}

/// How nodes are drained.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drain {
    /// How long one node is given.
    pub(crate) timeout: Option<SimSpan>,
    /// A node that timed out does not end it.
    pub(crate) goes_on: bool,
}
