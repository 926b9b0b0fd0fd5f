//! Machines on demand: groups of nodes that grow and shrink, and what decides about it.

use sim_kernel::SimSpan;

use crate::ids::{NodeId, WorkloadId, ZoneId};
use crate::source::Origin;

/// Nodes of one pool in one zone, which the cluster autoscaler adds and removes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeGroup {
    /// Name, `<pool>-<zone>`.
    pub name: String,
    /// Its zone.
    pub zone: ZoneId,
    /// Every node that it may ever have, as many as its maximum. The first [`NodeGroup::initial`]
    /// are there at the start; the others are places for nodes to come.
    pub nodes: Vec<NodeId>,
    /// How many nodes it has at the start.
    pub initial: u32,
    /// Its least size.
    pub min: u32,
    /// From the request for a node until its kubelet posts Ready.
    pub boot: BootTime,
    /// Where its pool was written.
    pub origin: Origin,
}

impl NodeGroup {
    /// Its greatest size.
    pub fn max(&self) -> usize {
        self.nodes.len()
    }

    /// Nodes that are not there at the start.
    pub fn spare_nodes(&self) -> &[NodeId] {
        &self.nodes[self.initial as usize..]
    }
}

/// How long the kubelet of a machine that shuts down in order gives its pods; nothing is not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShutdownGrace {
    /// `shutdownGracePeriod`: all pods together.
    pub total: SimSpan,
    /// `shutdownGracePeriodCriticalPods`: the part of it that is kept for critical pods.
    pub critical: SimSpan,
    /// `shutdownGracePeriodByPodPriority`, instead of the two: from which priority on, and how long.
    pub by_priority: Vec<(i32, SimSpan)>,
}

/// A log-normal time, by two of its quantiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BootTime {
    /// Half of all nodes need at most this.
    pub median: SimSpan,
    /// 95 of 100 nodes need at most this; not below the median.
    pub p95: SimSpan,
}

impl Default for BootTime {
    /// Median 150 s, p95 300 s: OpenStack-type clouds with a prepared image. **Assumption.**
    fn default() -> Self {
        Self { median: SimSpan::from_secs(150), p95: SimSpan::from_secs(300) }
    }
}

/// The cluster autoscaler and its flags; `None` is the default of the flag.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClusterAutoscaler {
    /// The workload whose pods run it; without one it runs whenever the API answers.
    pub workload: Option<WorkloadId>,
    /// `--scan-interval`.
    pub scan_interval: Option<SimSpan>,
    /// `--expander`, the first of them first; empty is the default.
    pub expanders: Vec<ExpanderKind>,
    /// The ranking of node groups for the expander `priority`; without one it passes every option on.
    pub priorities: Option<Vec<PriorityRank>>,
    /// Where that ranking is written.
    pub priorities_origin: Origin,
    /// `--balance-similar-node-groups`.
    pub balances_similar_groups: Option<bool>,
    /// `--max-nodes-total`.
    pub max_nodes_total: Option<u32>,
    /// `--max-node-provision-time`.
    pub max_node_provision_time: Option<SimSpan>,
    /// `--new-pod-scale-up-delay`.
    pub new_pod_scale_up_delay: Option<SimSpan>,
    /// `--scale-down-enabled`.
    pub scale_down_enabled: Option<bool>,
    /// `--scale-down-utilization-threshold`, in parts per million.
    pub scale_down_threshold_ppm: Option<u32>,
    /// `--scale-down-unneeded-time`.
    pub scale_down_unneeded_time: Option<SimSpan>,
    /// `--scale-down-unready-time`.
    pub scale_down_unready_time: Option<SimSpan>,
    /// `--scale-down-delay-after-add`.
    pub scale_down_delay_after_add: Option<SimSpan>,
    /// `--skip-nodes-with-system-pods`.
    pub skips_system_pods: Option<bool>,
    /// Where it was written.
    pub origin: Origin,
}

/// Expanders that need nothing but the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words are those of the flag")]
pub enum ExpanderKind {
    LeastWaste,
    MostPods,
    LeastNodes,
    Random,
    Priority,
}

impl ExpanderKind {
    /// All there are.
    pub const ALL: [Self; 5] =
        [Self::LeastWaste, Self::MostPods, Self::LeastNodes, Self::Priority, Self::Random];

    /// As the flag names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::LeastWaste => "least-waste",
            Self::MostPods => "most-pods",
            Self::LeastNodes => "least-nodes",
            Self::Random => "random",
            Self::Priority => "priority",
        }
    }

    /// The one of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// An entry of the ConfigMap `cluster-autoscaler-priority-expander`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PriorityRank {
    /// The rank: higher ones win, negative ones never.
    pub rank: i64,
    /// Regular expressions, of which one must be found in the name of a group.
    pub patterns: Vec<String>,
}
