//! Spreading new nodes over similar node groups (`processors/nodegroupset`).

use model_api::kube::{Labels, ResourceList};

/// Sizes of a node group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupSize {
    /// Its least size.
    pub min: usize,
    /// Its greatest size.
    pub max: usize,
    /// What it is told to be.
    pub target: usize,
}

/// Divides new nodes among groups: always one more for the smallest, as far as each can grow
/// (`balancing_processor.go`, BalanceScaleUpBetweenGroups). The result holds the new target of each
/// group, in the order given.
pub fn balance(groups: &[GroupSize], new_nodes: usize) -> Vec<usize> {
    let mut targets: Vec<usize> = groups.iter().map(|group| group.target).collect();
    let has_room = |idx: &usize| groups[*idx].target != groups[*idx].max;
    let mut order: Vec<usize> = (0..groups.len()).filter(has_room).collect();
    let room = |idx: &usize| groups[*idx].max.saturating_sub(groups[*idx].target);
    let mut remaining = new_nodes.min(order.iter().map(room).sum());
    order.sort_by_key(|idx| groups[*idx].target);
    let (mut start, mut current) = (0, 0);
    while remaining > 0 {
        let group = order[current];
        if targets[group] < groups[group].max {
            targets[group] += 1;
            remaining -= 1;
        } else {
            order.swap(start, current);
            start += 1;
        }
        // The next one is smaller by one: it is its turn. Otherwise all so far are equal. After a
        // swap the group to compare is the one that came here.
        let next_is_smaller =
            current + 1 < order.len() && targets[order[current]] > targets[order[current + 1]];
        current = if next_is_smaller { current + 1 } else { start };
    }
    targets
}

/// By how much similar groups may differ (`config.NodeGroupDifferenceRatios`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SimilarityRatios {
    /// `--max-allocatable-difference-ratio`.
    pub allocatable: f64,
    /// `--max-free-difference-ratio`.
    pub free: f64,
    /// `--memory-difference-ratio`: of the capacity.
    pub memory_capacity: f64,
}

impl Default for SimilarityRatios {
    fn default() -> Self {
        Self { allocatable: 0.05, free: 0.05, memory_capacity: 0.015 }
    }
}

/// A template node of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TemplateFacts {
    /// Labels.
    pub labels: Labels,
    /// `status.capacity`.
    pub capacity: ResourceList,
    /// `status.allocatable`.
    pub allocatable: ResourceList,
    /// What the pods that every node of the group gets request.
    pub requested: ResourceList,
}

/// Labels in which similar groups may differ (`compare_nodegroups.go`, BasicIgnoredLabels).
const IGNORED_LABELS: [&str; 7] = [
    "kubernetes.io/hostname",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "beta.kubernetes.io/fluentd-ds-ready",
    "kops.k8s.io/instancegroup",
];

/// Whether two groups count as similar, so that nodes are spread over both
/// (`compare_nodegroups.go`, IsCloudProviderNodeInfoSimilar). Capacities must be equal but for
/// memory; allocatable and free amounts may differ by a share.
pub fn are_similar(one: &TemplateFacts, other: &TemplateFacts, ratios: &SimilarityRatios) -> bool {
    let is_compared = |key: &str| !IGNORED_LABELS.contains(&key);
    let labels = |of: &TemplateFacts| -> Vec<(String, String)> {
        let compared = of.labels.iter().filter(|(key, _)| is_compared(key));
        compared.map(|(key, value)| (key.clone(), value.clone())).collect()
    };
    if labels(one) != labels(other) {
        return false;
    }
    if !one.capacity.0.keys().eq(other.capacity.0.keys()) {
        return false;
    }
    let same_capacity = one.capacity.0.iter().all(|(name, amount)| {
        let others = other.capacity.get(name).unwrap_or(0);
        if name == ResourceList::MEMORY {
            is_within(*amount, others, ratios.memory_capacity)
        } else {
            *amount == others
        }
    });
    let free =
        |of: &TemplateFacts, name: &str, amount: i64| amount - of.requested.get(name).unwrap_or(0);
    same_capacity
        && all_within(&one.allocatable, &other.allocatable, ratios.allocatable, |_, _, it| it)
        && all_within(&one.allocatable, &other.allocatable, ratios.free, |is_one, name, it| {
            free(if is_one { one } else { other }, name, it)
        })
}

/// Whether all amounts that both state are near each other (`resourceMapsWithinTolerance`).
fn all_within(
    one: &ResourceList,
    other: &ResourceList,
    ratio: f64,
    amount: impl Fn(bool, &str, i64) -> i64,
) -> bool {
    one.0.len() == other.0.len()
        && one.0.iter().all(|(name, first)| {
            other.get(name).is_some_and(|second| {
                is_within(amount(true, name, *first), amount(false, name, second), ratio)
            })
        })
}

/// `resourceListWithinTolerance`: the larger one exceeds the smaller by no more than a share of it.
fn is_within(one: i64, other: i64, ratio: f64) -> bool {
    let (small, large) = (one.min(other) as f64, one.max(other) as f64);
    large - small <= large * ratio
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(zone: &str, memory: i64) -> TemplateFacts {
        let labels = [("topology.kubernetes.io/zone", zone), ("pool", "workers")];
        let amounts = |pods| {
            let amounts = [("cpu", 4000), ("memory", memory), ("pods", pods)];
            ResourceList(amounts.map(|(name, amount)| (name.to_owned(), amount)).into())
        };
        TemplateFacts {
            labels: labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
            capacity: amounts(110),
            allocatable: amounts(110),
            requested: ResourceList::default(),
        }
    }

    #[test]
    fn a_group_that_is_full_leaves_its_turn_to_the_next() {
        let sizes = [(5, 6), (2, 8), (3, 7), (2, 3)];
        let groups = sizes.map(|(target, max)| GroupSize { min: 0, max, target });
        assert_eq!(balance(&groups, 8), [5, 6, 6, 3]);
    }

    #[test]
    fn zones_and_a_little_memory_may_differ() {
        let ratios = SimilarityRatios::default();
        let one = template("a", 16_000_000_000);
        assert!(are_similar(&one, &template("b", 16_100_000_000), &ratios));
        assert!(!are_similar(&one, &template("b", 16_500_000_000), &ratios), "over 1.5 %");
        let mut labeled = template("b", 16_000_000_000);
        labeled.labels.insert("pool".into(), "batch".into());
        assert!(!are_similar(&one, &labeled, &ratios));
        let mut full = template("b", 16_000_000_000);
        full.requested.0.insert("cpu".into(), 400);
        assert!(!are_similar(&one, &full, &ratios), "free amounts differ by a tenth");
    }
}
