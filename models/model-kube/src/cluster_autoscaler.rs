//! Cluster autoscaler: when nodes come and when they go.
//!
//! # Modelled
//! Which pods help would be sought for, how many nodes of a group would take them (binpacking with
//! the scheduler's own filters), which group is chosen, how new nodes are spread over similar groups;
//! which nodes are candidates for removal, what keeps a node, for how long it must be unneeded, how
//! many go at once; back-off of groups that fail, health of groups and of the cluster.
//! # Not modelled
//! The limit of ten seconds on one estimate (it is time of a real machine; [`estimate`] has the limit
//! of nodes). Atomic groups, provisioning requests, capacity buffers, dynamic resources, the price
//! expander (its prices are those of one provider), limits of resources over the whole cluster. Pods
//! that fit on nodes that are there do not keep these nodes from being found unneeded in the same look.
//! # Defaults and their sources
//! cluster-autoscaler `pkg/config/flags/flags.go` and `pkg/config/const.go` (formerly in
//! kubernetes/autoscaler), August 2026: [`Options`]. Every function names its own file there.
//! # Invariants
//! An estimate never exceeds its limit of nodes and schedules no pod twice. Balancing adds no more
//! than was asked for and exceeds no maximum. What may be removed leaves every group its minimum.
//! # Checked against
//! `conformance/cluster-autoscaler.yaml`; upstream's test tables; property tests.

mod backoff;
mod balancing;
mod drainability;
mod eligibility;
mod estimator;
mod expander;
mod health;
mod planner;
mod scale_up;
mod scan;
mod unneeded;

pub use backoff::{Backoff, BackoffSettings};
pub use balancing::{GroupSize, SimilarityRatios, TemplateFacts, are_similar, balance};
pub use drainability::{
    Drain, DrainBudget, DrainOptions, DrainPod, Drainability, Obstacle, Owner, OwnerState,
    PodPhase, drainability, is_daemon_set_pod, is_long_terminating, is_mirror_pod,
    long_terminating_after, pods_to_move,
};
pub use eligibility::{
    CandidateNode, NodeUtilization, UnremovableReason, UtilizationOptions, UtilizationPod,
    ineligible_because, utilization,
};
pub use estimator::{
    Estimate, NodeLimit, NodeTemplate, PendingGroup, can_take, decreasing_order, estimate,
    pod_score,
};
pub use expander::{
    Expander, ExpansionOption, InvalidPriorities, Priorities, Rank, choose, narrowed,
};
pub use health::{
    GroupReadiness, HealthLimits, is_cluster_healthy, is_group_healthy, is_scale_up_late,
};
pub use planner::{MovablePod, Needs, Removal, unneeded_nodes};
pub use scale_up::{Expansion, NodeGroup, ScaleUp, WaitingPods, expansions, left_over, scale_up};
pub use scan::{Actions, Autoscaler, SeenNode, Sight};
pub use unneeded::{
    Deletions, RemovalCandidate, RemovalGroup, Unneeded, deletion_budget, is_in_cooldown,
    removable_now, unremovable_because,
};

use model_api::machines::{ClusterAutoscaler, ExpanderKind, PriorityRank};
use sim_kernel::SimSpan;

/// Flags, as far as a decision reads them.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// `--scan-interval`.
    pub scan_interval: SimSpan,
    /// `--frequent-loops-enabled`: a look that did something is followed by another one at once.
    pub frequent_loops: bool,
    /// `--expander`, the first of them first.
    pub expanders: Vec<Expander>,
    /// `--max-nodes-per-scaleup`; 0 is no limit.
    pub max_nodes_per_scale_up: i64,
    /// `--max-nodes-total`; 0 is no limit.
    pub max_nodes_total: i64,
    /// `--max-node-provision-time`.
    pub max_node_provision_time: SimSpan,
    /// `--new-pod-scale-up-delay`.
    pub new_pod_scale_up_delay: SimSpan,
    /// `--expendable-pods-priority-cutoff`: pods of a lower priority are not looked at, waiting or on
    /// a node.
    pub expendable_priority_cutoff: i32,
    /// `--balance-similar-node-groups`.
    pub balances_similar_groups: bool,
    /// `--scale-down-enabled`.
    pub scale_down_enabled: bool,
    /// `--scale-down-unneeded-time`.
    pub scale_down_unneeded_time: SimSpan,
    /// `--scale-down-unready-time`.
    pub scale_down_unready_time: SimSpan,
    /// `--scale-down-delay-after-add`.
    pub scale_down_delay_after_add: SimSpan,
    /// `--scale-down-delay-after-delete`.
    pub scale_down_delay_after_delete: SimSpan,
    /// `--scale-down-delay-after-failure`.
    pub scale_down_delay_after_failure: SimSpan,
    /// `--unremovable-node-recheck-timeout`.
    pub unremovable_recheck: SimSpan,
    /// `--max-scale-down-parallelism`.
    pub max_scale_down_parallelism: usize,
    /// `--max-drain-parallelism`.
    pub max_drain_parallelism: usize,
    /// `--max-graceful-termination-sec`.
    pub max_graceful_termination: SimSpan,
    /// `--max-pod-eviction-time`.
    pub max_pod_eviction_time: SimSpan,
    /// `--node-delete-delay-after-taint`.
    pub node_delete_delay_after_taint: SimSpan,
    /// How utilization is measured and compared.
    pub utilization: UtilizationOptions,
    /// What keeps pods where they are.
    pub drain: DrainOptions,
    /// When the cluster or a group counts as unhealthy.
    pub health: HealthLimits,
    /// For how long a group that failed is left alone.
    pub backoff: BackoffSettings,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            scan_interval: SimSpan::from_secs(10),
            frequent_loops: true,
            expanders: vec![Expander::LeastWaste],
            max_nodes_per_scale_up: 1000,
            max_nodes_total: 0,
            max_node_provision_time: SimSpan::from_mins(15),
            new_pod_scale_up_delay: SimSpan::ZERO,
            expendable_priority_cutoff: -10,
            balances_similar_groups: false,
            scale_down_enabled: true,
            scale_down_unneeded_time: SimSpan::from_mins(10),
            scale_down_unready_time: SimSpan::from_mins(20),
            scale_down_delay_after_add: SimSpan::from_mins(10),
            scale_down_delay_after_delete: SimSpan::ZERO,
            scale_down_delay_after_failure: SimSpan::from_mins(3),
            unremovable_recheck: SimSpan::from_mins(5),
            max_scale_down_parallelism: 10,
            max_drain_parallelism: 1,
            max_graceful_termination: SimSpan::from_secs(600),
            max_pod_eviction_time: SimSpan::from_mins(2),
            node_delete_delay_after_taint: SimSpan::from_secs(5),
            utilization: UtilizationOptions::default(),
            drain: DrainOptions::default(),
            health: HealthLimits::default(),
            backoff: BackoffSettings::default(),
        }
    }
}

impl Options {
    /// The flags that a platform states over the defaults.
    pub fn stated(spec: &ClusterAutoscaler) -> Self {
        let mut options = Self::default();
        let spans = [
            (&mut options.scan_interval, spec.scan_interval),
            (&mut options.max_node_provision_time, spec.max_node_provision_time),
            (&mut options.new_pod_scale_up_delay, spec.new_pod_scale_up_delay),
            (&mut options.scale_down_unneeded_time, spec.scale_down_unneeded_time),
            (&mut options.scale_down_unready_time, spec.scale_down_unready_time),
            (&mut options.scale_down_delay_after_add, spec.scale_down_delay_after_add),
        ];
        for (flag, stated) in spans {
            *flag = stated.unwrap_or(*flag);
        }
        let switches = [
            (&mut options.balances_similar_groups, spec.balances_similar_groups),
            (&mut options.scale_down_enabled, spec.scale_down_enabled),
            (&mut options.drain.skips_system_pods, spec.skips_system_pods),
        ];
        for (flag, stated) in switches {
            *flag = stated.unwrap_or(*flag);
        }
        if let Some(total) = spec.max_nodes_total {
            options.max_nodes_total = total.into();
        }
        if let Some(ppm) = spec.scale_down_threshold_ppm {
            options.utilization.threshold = f64::from(ppm) / 1e6;
        }
        if !spec.expanders.is_empty() {
            let ranking = spec.priorities.as_deref();
            let expander = |kind: &ExpanderKind| Expander::of(*kind, ranking);
            options.expanders = spec.expanders.iter().map(expander).collect();
        }
        options
    }
}

impl Expander {
    /// The expander of this name; `ranking` is that of `priority`. One that holds a pattern that is no
    /// regular expression counts for nothing, as upstream.
    pub fn of(kind: ExpanderKind, ranking: Option<&[PriorityRank]>) -> Self {
        match kind {
            ExpanderKind::Priority => {
                Self::Priority(ranking.and_then(|ranking| Priorities::new(ranking).ok()))
            }
            ExpanderKind::LeastWaste => Self::LeastWaste,
            ExpanderKind::MostPods => Self::MostPods,
            ExpanderKind::LeastNodes => Self::LeastNodes,
            ExpanderKind::Random => Self::Random,
        }
    }
}
