//! A scheduler profile: what `KubeSchedulerConfiguration` can change.

use model_api::kube::{NodeAffinity, TopologySpreadConstraint};

use super::score::ScorePlugin;

/// The settings of one profile. [`Profile::default`] is the scheduler started without a file
/// (pkg/scheduler/apis/config/v1/{default_plugins,defaults}.go, 1.36).
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// `NodeResourcesFitArgs.scoringStrategy`: how the shares of resources become a score.
    pub scoring: ScoringStrategy,
    /// `NodeResourcesFitArgs.scoringStrategy.resources`: name and weight.
    pub scored_resources: Vec<(String, i64)>,
    /// `NodeResourcesBalancedAllocationArgs.resources`.
    pub balanced_resources: Vec<String>,
    /// `NodeResourcesFitArgs.ignoredResources`: extended resources that are not filtered.
    pub ignored_resources: Vec<String>,
    /// `NodeResourcesFitArgs.ignoredResourceGroups`: the same by the part before the slash.
    pub ignored_resource_groups: Vec<String>,
    /// `NodeAffinityArgs.addedAffinity`: holds for every pod beside its own.
    pub added_affinity: NodeAffinity,
    /// `InterPodAffinityArgs.hardPodAffinityWeight`: what a required affinity term of an existing
    /// pod adds for a pod that it matches.
    pub hard_pod_affinity_weight: i64,
    /// `InterPodAffinityArgs.ignorePreferredTermsOfExistingPods`.
    pub ignores_preferred_terms_of_existing_pods: bool,
    /// `PodTopologySpreadArgs`: constraints of pods that state none.
    pub default_spreading: DefaultSpreading,
    /// `percentageOfNodesToScore`; 0 means adaptive.
    pub percentage_of_nodes_to_score: u32,
    /// `DefaultPreemptionArgs.minCandidateNodesPercentage`.
    pub min_candidate_nodes_percentage: u32,
    /// `DefaultPreemptionArgs.minCandidateNodesAbsolute`.
    pub min_candidate_nodes_absolute: u32,
    /// Weights of score plugins that differ from [`ScorePlugin::default_weight`]; 0 disables.
    pub weights: Vec<(ScorePlugin, i64)>,
}

/// `scoringStrategy.type` with its parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ScoringStrategy {
    /// Emptier nodes are better.
    #[default]
    LeastAllocated,
    /// Fuller nodes are better.
    MostAllocated,
    /// `requestedToCapacityRatio.shape`: points of utilization (0 to 100) and score (0 to 10),
    /// by rising utilization.
    RequestedToCapacityRatio(Vec<(i64, i64)>),
}

/// `PodTopologySpreadArgs.defaultingType`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DefaultSpreading {
    /// `System`: hostname with skew 3 and zone with skew 5, both soft.
    #[default]
    System,
    /// `List`: these; their selectors are not read, the pod's Services and owner give them.
    List(Vec<TopologySpreadConstraint>),
}

impl Default for Profile {
    fn default() -> Self {
        let names = ["cpu", "memory"];
        Self {
            scoring: ScoringStrategy::default(),
            scored_resources: names.map(|name| (name.to_owned(), 1)).into(),
            balanced_resources: names.map(str::to_owned).into(),
            ignored_resources: Vec::new(),
            ignored_resource_groups: Vec::new(),
            added_affinity: NodeAffinity::default(),
            hard_pod_affinity_weight: 1,
            ignores_preferred_terms_of_existing_pods: false,
            default_spreading: DefaultSpreading::default(),
            percentage_of_nodes_to_score: 0,
            min_candidate_nodes_percentage: 10,
            min_candidate_nodes_absolute: 100,
            weights: Vec::new(),
        }
    }
}

impl Profile {
    /// Weight of a plugin; 0 when it is disabled.
    pub fn weight(&self, plugin: ScorePlugin) -> i64 {
        let own = self.weights.iter().find(|(known, _)| *known == plugin);
        own.map_or(plugin.default_weight(), |(_, weight)| *weight)
    }

    /// Sets the weight of a plugin; 0 disables it.
    pub fn set_weight(&mut self, plugin: ScorePlugin, weight: i64) {
        self.weights.retain(|(known, _)| *known != plugin);
        self.weights.push((plugin, weight));
    }

    /// How many feasible nodes end a search: all below 100 nodes, else the configured share or one
    /// that falls with size, `max(50 - n/125, 5)` percent, at least 100
    /// (pkg/scheduler/schedule_one.go, numFeasibleNodesToFind, 1.36).
    pub fn feasible_count_wanted(&self, node_count: usize) -> usize {
        const ALL_BELOW: usize = 100;
        if node_count < ALL_BELOW {
            return node_count;
        }
        let percent = match self.percentage_of_nodes_to_score as usize {
            0 => 50_usize.saturating_sub(node_count / 125).max(5),
            configured => configured.min(100),
        };
        (node_count * percent / 100).max(ALL_BELOW)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// TestNumFeasibleNodesToFind, and the ends of both rules.
    #[test]
    fn a_search_ends_when_enough_nodes_are_feasible() {
        let rows = [
            (0, 10, 10),
            (40, 10, 10),
            (0, 99, 99),
            (0, 100, 100),
            (0, 1000, 420),
            (40, 1000, 400),
            (5, 1000, 100),
            (0, 6000, 300),
            (40, 6000, 2400),
            (100, 6000, 6000),
            (200, 6000, 6000),
        ];
        for (percentage_of_nodes_to_score, node_count, wanted) in rows {
            let profile = Profile { percentage_of_nodes_to_score, ..Profile::default() };
            let row = (percentage_of_nodes_to_score, node_count);
            assert_eq!(profile.feasible_count_wanted(node_count), wanted, "{row:?}");
        }
    }
}
