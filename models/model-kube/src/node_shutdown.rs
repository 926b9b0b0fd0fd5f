//! Graceful node shutdown: in which groups pods end, and how long each may take.
//!
//! # Modelled
//! Groups by priority, from the two periods or from the list by priority, and the grace of each pod: a
//! run and the recorded cases ask the same functions.
//! # Not modelled
//! Whether the machine allows the delay (logind's `InhibitDelayMaxSec`). Machines that a provider
//! deletes: they are gone at once.
//! # Defaults and their sources
//! `pkg/kubelet/nodeshutdown/nodeshutdown_manager.go`, `_linux.go`, Kubernetes 1.36: off, both
//! periods are 0.
//! # Invariants
//! Every pod is in exactly one group; groups run from low to high priority.
//! # Checked against
//! `conformance/nodes-shutdown-podgc.yaml`.

use model_api::machines::ShutdownGrace;
use sim_kernel::SimSpan;

/// Priority of `system-cluster-critical`.
pub const CRITICAL_PRIORITY: i32 = 2_000_000_000;

/// A priority from which on a period holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupPeriod {
    /// Lowest priority of the group.
    pub priority: i32,
    /// `shutdownGracePeriodSeconds`.
    pub period: SimSpan,
}

/// Pods that end together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShutdownGroup {
    /// Its period.
    pub period: GroupPeriod,
    /// Positions of its pods.
    pub pods: Vec<usize>,
}

/// The groups of `shutdownGracePeriod` and `shutdownGracePeriodCriticalPods`; none when switched
/// off, or when the second is longer than the first.
pub fn group_periods(total: SimSpan, critical: SimSpan) -> Vec<GroupPeriod> {
    match total.checked_sub(critical) {
        Some(normal) if !total.is_zero() => vec![
            GroupPeriod { priority: 0, period: normal },
            GroupPeriod { priority: CRITICAL_PRIORITY, period: critical },
        ],
        _ => Vec::new(),
    }
}

/// The groups of a kubelet's configuration (`migrateConfig`); none when it asks for no time at all.
pub fn periods_of(config: &ShutdownGrace) -> Vec<GroupPeriod> {
    let stated = config.by_priority.iter();
    let stated =
        stated.map(|(priority, period)| GroupPeriod { priority: *priority, period: *period });
    let stated: Vec<GroupPeriod> = stated.collect();
    if stated.is_empty() {
        return group_periods(config.total, config.critical);
    }
    if stated.iter().all(|group| group.period.is_zero()) { Vec::new() } else { stated }
}

/// Sorts pods, given by their priorities, into groups (`groupByPriority`); groups without pods are
/// left out.
pub fn groups(periods: &[GroupPeriod], priorities: &[i32]) -> Vec<ShutdownGroup> {
    let mut periods = periods.to_vec();
    periods.sort_unstable();
    let mut groups: Vec<ShutdownGroup> =
        periods.iter().map(|period| ShutdownGroup { period: *period, pods: Vec::new() }).collect();
    for (pod, priority) in priorities.iter().enumerate() {
        let above = periods.partition_point(|period| period.priority <= *priority);
        if let Some(group) = groups.get_mut(above.saturating_sub(1)) {
            group.pods.push(pod);
        }
    }
    groups.retain(|group| !group.pods.is_empty());
    groups
}

/// The grace period a pod gets: its own, cut to its group's.
pub fn grace(group: &ShutdownGroup, own: SimSpan) -> SimSpan {
    own.min(group.period.period)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_below_the_lowest_priority_are_in_the_lowest_group() {
        let periods = group_periods(SimSpan::from_secs(30), SimSpan::from_secs(10));
        let groups = groups(&periods, &[-5, 0, 1_000_000_000, CRITICAL_PRIORITY + 1000]);
        let pods: Vec<_> = groups.iter().map(|group| group.pods.clone()).collect();
        assert_eq!(pods, [vec![0, 1, 2], vec![3]]);
        assert!(group_periods(SimSpan::from_secs(5), SimSpan::from_secs(6)).is_empty());
    }
}
