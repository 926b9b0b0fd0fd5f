//! From unneeded to removed
//! (`core/scaledown/{unneeded/nodes,budgets/budgets}.go`, `core/static_autoscaler.go`).

use std::collections::BTreeMap;

use sim_kernel::{SimSpan, SimTime};

use super::Options;
use super::eligibility::UnremovableReason;

/// Since when nodes are unneeded, without interruption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unneeded<K: Ord> {
    since: BTreeMap<K, SimTime>,
}

impl<K: Ord> Default for Unneeded<K> {
    fn default() -> Self {
        Self { since: BTreeMap::new() }
    }
}

impl<K: Ord> Unneeded<K> {
    /// These nodes are unneeded now: others are forgotten, known ones keep their moment (`Update`).
    pub fn update(&mut self, nodes: impl IntoIterator<Item = K>, now: SimTime) {
        let mut earlier = std::mem::take(&mut self.since);
        for node in nodes {
            let since = earlier.remove(&node).unwrap_or(now);
            self.since.insert(node, since);
        }
    }

    /// Forgets all (`Clear`): the cluster is unhealthy.
    pub fn clear(&mut self) {
        self.since.clear();
    }

    /// Since when a node is unneeded, if it is.
    pub fn since(&self, node: &K) -> Option<SimTime> {
        self.since.get(node).copied()
    }

    /// All unneeded nodes with their moments.
    pub fn iter(&self) -> impl Iterator<Item = (&K, SimTime)> {
        self.since.iter().map(|(node, since)| (node, *since))
    }
}

/// An unneeded node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemovalCandidate {
    /// Position of its group; `None` when it has none.
    pub group: Option<usize>,
    /// Since when it is unneeded.
    pub since: SimTime,
    /// Condition Ready is True.
    pub is_ready: bool,
    /// People forbade to remove it.
    pub is_kept_by_annotation: bool,
    /// No pod needs another place.
    pub is_empty: bool,
}

/// A node group from which nodes go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RemovalGroup {
    /// Its least size.
    pub min: usize,
    /// What it is told to be.
    pub target: usize,
    /// How many of its nodes are being deleted.
    pub deletions: usize,
}

/// Why an unneeded node may not go yet; `None` when it may (`unremovableReason`). The times must be
/// exceeded.
pub fn unremovable_because(
    candidate: &RemovalCandidate,
    groups: &[RemovalGroup],
    options: &Options,
    now: SimTime,
) -> Option<UnremovableReason> {
    if candidate.is_kept_by_annotation {
        return Some(UnremovableReason::ScaleDownDisabledAnnotation);
    }
    let Some(group) = candidate.group else { return Some(UnremovableReason::NotAutoscaled) };
    let (wanted, reason) = if candidate.is_ready {
        (options.scale_down_unneeded_time, UnremovableReason::NotUnneededLongEnough)
    } else {
        (options.scale_down_unready_time, UnremovableReason::NotUnreadyLongEnough)
    };
    if candidate.since + wanted >= now {
        return Some(reason);
    }
    let Some(group) = groups.get(group) else { return Some(UnremovableReason::UnexpectedError) };
    let remaining = group.target.saturating_sub(group.deletions);
    (remaining <= group.min).then_some(UnremovableReason::NodeGroupMinSizeReached)
}

/// Positions of the nodes that may go, empty ones before others: each that goes leaves its group
/// smaller for those after it (`RemovableAt`).
pub fn removable_now(
    candidates: &[RemovalCandidate],
    groups: &[RemovalGroup],
    options: &Options,
    now: SimTime,
) -> Vec<usize> {
    let mut groups = groups.to_vec();
    let mut removable = Vec::new();
    for empty in [true, false] {
        for (idx, candidate) in candidates.iter().enumerate() {
            let may_go = candidate.is_empty == empty
                && unremovable_because(candidate, &groups, options, now).is_none();
            if may_go && let Some(group) = candidate.group {
                groups[group].target -= 1;
                removable.push(idx);
            }
        }
    }
    removable
}

/// Numbers of nodes being deleted, or to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deletions {
    /// Empty ones.
    pub empty: usize,
    /// Those whose pods must go first.
    pub drained: usize,
}

/// How many deletions may start (`CropNodes`, groups that are not atomic).
pub fn deletion_budget(
    wanted: Deletions,
    running: Deletions,
    max_parallel: usize,
    max_parallel_drains: usize,
) -> Deletions {
    let room = max_parallel.saturating_sub(running.empty + running.drained);
    let empty = wanted.empty.min(room);
    let drain_room = max_parallel_drains.saturating_sub(running.drained).min(room - empty);
    Deletions { empty, drained: wanted.drained.min(drain_room) }
}

/// Whether nodes were added or deleted, or a deletion failed, too short a while ago
/// (`isScaleDownInCooldown`). The delays are for the whole cluster.
pub fn is_in_cooldown(
    last_added_at: Option<SimTime>,
    last_deleted_at: Option<SimTime>,
    last_failed_at: Option<SimTime>,
    options: &Options,
    now: SimTime,
) -> bool {
    let lasts = |since: Option<SimTime>, delay: SimSpan| since.is_some_and(|at| at + delay > now);
    lasts(last_added_at, options.scale_down_delay_after_add)
        || lasts(last_failed_at, options.scale_down_delay_after_failure)
        || lasts(last_deleted_at, options.scale_down_delay_after_delete)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(mins: u64) -> SimTime {
        SimTime::ZERO + SimSpan::from_mins(mins)
    }

    #[test]
    fn an_interruption_starts_the_wait_anew() {
        let mut unneeded = Unneeded::default();
        unneeded.update(["a", "b"], at(0));
        unneeded.update(["a"], at(1));
        unneeded.update(["a", "b"], at(2));
        let since: Vec<_> = unneeded.iter().collect();
        assert_eq!(since, [(&"a", at(0)), (&"b", at(2))]);
    }

    /// TestRemovableAt of `unneeded/nodes_test.go`.
    #[test]
    fn groups_keep_their_minimum() {
        let removable = |empty: usize, drained: usize, min, target| {
            let candidate = |is_empty| RemovalCandidate {
                group: Some(0),
                since: at(0),
                is_ready: true,
                is_kept_by_annotation: false,
                is_empty,
            };
            let candidates: Vec<_> = std::iter::repeat_n(candidate(true), empty)
                .chain(std::iter::repeat_n(candidate(false), drained))
                .collect();
            let groups = [RemovalGroup { min, target, deletions: 2 }];
            let options = Options::default();
            let removable = removable_now(&candidates, &groups, &options, at(11));
            let empty = removable.iter().filter(|idx| candidates[**idx].is_empty).count();
            (empty, removable.len() - empty)
        };
        assert_eq!(removable(3, 2, 1, 10), (3, 2));
        assert_eq!(removable(3, 5, 1, 10), (3, 4));
        assert_eq!(removable(3, 5, 1, 5), (2, 0));
    }

    #[test]
    fn the_wait_must_be_exceeded() {
        let candidate = RemovalCandidate {
            group: Some(0),
            since: at(0),
            is_ready: true,
            is_kept_by_annotation: false,
            is_empty: true,
        };
        let groups = [RemovalGroup { min: 0, target: 1, deletions: 0 }];
        let of =
            |candidate, now| unremovable_because(&candidate, &groups, &Options::default(), now);
        assert_eq!(of(candidate, at(10)), Some(UnremovableReason::NotUnneededLongEnough));
        assert_eq!(of(candidate, at(11)), None);
        let unready = RemovalCandidate { is_ready: false, ..candidate };
        assert_eq!(of(unready, at(11)), Some(UnremovableReason::NotUnreadyLongEnough));
    }
}
