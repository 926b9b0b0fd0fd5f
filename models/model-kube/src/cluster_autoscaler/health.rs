//! When the autoscaler trusts what it sees (`clusterstate/clusterstate.go`).

use sim_kernel::{SimSpan, SimTime};

/// Flags of health.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HealthLimits {
    /// `--ok-total-unready-count`.
    pub ok_unready_count: usize,
    /// `--max-total-unready-percentage`.
    pub max_unready_percentage: f64,
}

impl Default for HealthLimits {
    fn default() -> Self {
        Self { ok_unready_count: 3, max_unready_percentage: 45.0 }
    }
}

impl HealthLimits {
    fn allow(&self, unready: usize, all: usize) -> bool {
        unready <= self.ok_unready_count
            || unready as f64 <= self.max_unready_percentage / 100.0 * all as f64
    }
}

/// Whether enough nodes are ready for anything to be done at all (`IsClusterHealthy`). Otherwise the
/// loop does nothing and the timers of unneeded nodes start anew.
pub fn is_cluster_healthy(unready: usize, registered: usize, limits: &HealthLimits) -> bool {
    limits.allow(unready, registered)
}

/// Nodes of a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupReadiness {
    /// What the group is told to be.
    pub target: usize,
    /// By how many nodes it is growing at the moment.
    pub growing_by: usize,
    /// Instances that did not register in time.
    pub long_unregistered: usize,
    /// Nodes that are ready.
    pub ready: usize,
    /// Nodes that are not.
    pub unready: usize,
    /// Nodes that are not ready yet.
    pub not_started: usize,
}

/// Whether a group may be scaled up (`IsNodeGroupHealthy`): not too many of the nodes that it should
/// have are missing or not ready without a reason.
pub fn is_group_healthy(group: &GroupReadiness, limits: &HealthLimits) -> bool {
    let expected = group.target.saturating_sub(group.growing_by + group.long_unregistered);
    let known = group.ready + group.unready + group.not_started;
    if known == 0 {
        // No node is known: it is empty, or growing from nothing.
        return group.target == 0 || expected == 0;
    }
    limits.allow(expected.saturating_sub(group.ready), known)
}

/// Whether a scale-up has failed for being late: nodes did not come within
/// `--max-node-provision-time` (`updateScaleRequests`).
pub fn is_scale_up_late(requested_at: SimTime, max_provision_time: SimSpan, now: SimTime) -> bool {
    requested_at + max_provision_time < now
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_zone_of_three_is_no_reason_to_stop_but_its_group_drops_out() {
        let limits = HealthLimits::default();
        assert!(is_cluster_healthy(4, 12, &limits));
        assert!(!is_cluster_healthy(6, 12, &limits));
        assert!(is_cluster_healthy(3, 4, &limits), "three are always forgiven");
        let lost = GroupReadiness { target: 4, unready: 4, ..GroupReadiness::default() };
        assert!(!is_group_healthy(&lost, &limits));
        let growing = GroupReadiness { target: 4, growing_by: 4, ..GroupReadiness::default() };
        assert!(is_group_healthy(&growing, &limits));
    }
}
