//! Scores: which of the nodes that pass is best?

use model_api::NodeId;

use super::Attempt;
use super::cache::SchedulerCache;
use super::catalog::Catalog;
use super::local::LocalAnswer;
use super::profile::ScoringStrategy;
use super::shape::{Shape, SoftSpread};
use super::topology::Topology;

/// The highest score a plugin gives (k8s.io/kube-scheduler framework, MaxNodeScore).
const MAX_SCORE: i64 = 100;

/// A scoring plugin of the default profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the words are those of kube-scheduler's plugins")]
pub enum ScorePlugin {
    TaintToleration,
    NodeAffinity,
    PodTopologySpread,
    InterPodAffinity,
    NodeResourcesFit,
    NodeResourcesBalancedAllocation,
    ImageLocality,
}

impl ScorePlugin {
    /// All of them, in the profile's order.
    pub const ALL: [Self; 7] = [
        Self::TaintToleration,
        Self::NodeAffinity,
        Self::PodTopologySpread,
        Self::InterPodAffinity,
        Self::NodeResourcesFit,
        Self::NodeResourcesBalancedAllocation,
        Self::ImageLocality,
    ];

    /// The plugin as Kubernetes spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TaintToleration => "TaintToleration",
            Self::NodeAffinity => "NodeAffinity",
            Self::PodTopologySpread => "PodTopologySpread",
            Self::InterPodAffinity => "InterPodAffinity",
            Self::NodeResourcesFit => "NodeResourcesFit",
            Self::NodeResourcesBalancedAllocation => "NodeResourcesBalancedAllocation",
            Self::ImageLocality => "ImageLocality",
        }
    }

    /// Its weight in the default profile
    /// (pkg/scheduler/apis/config/v1/default_plugins.go, 1.36).
    pub const fn default_weight(self) -> i64 {
        match self {
            Self::TaintToleration => 3,
            Self::NodeAffinity | Self::PodTopologySpread | Self::InterPodAffinity => 2,
            Self::NodeResourcesFit
            | Self::NodeResourcesBalancedAllocation
            | Self::ImageLocality => 1,
        }
    }
}

/// What one plugin gives one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PluginScore {
    /// Which plugin.
    pub plugin: ScorePlugin,
    /// As the plugin counts.
    pub raw: i64,
    /// 0 to 100, before the weight.
    pub score: i64,
    /// The plugin's weight.
    pub weight: i64,
}

/// What one plugin gives the nodes that pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PluginScores {
    pub(super) plugin: ScorePlugin,
    pub(super) weight: i64,
    /// In the order of the nodes.
    pub(super) raw: Vec<i64>,
    pub(super) scores: Vec<i64>,
}

/// Weighted totals, per feasible node.
pub(super) fn totals(cache: &SchedulerCache, attempt: Attempt, feasible: &[NodeId]) -> Vec<i64> {
    let mut totals = vec![0; feasible.len()];
    for plugin in all(cache, attempt, feasible) {
        for (total, score) in totals.iter_mut().zip(&plugin.scores) {
            *total += plugin.weight * score;
        }
    }
    totals
}

/// The plugins that look at a node alone, and one pod.
pub(super) struct LocalScorer<'a> {
    scorer: Scorer<'a>,
    fit: Resources,
    balanced: Resources,
    fit_weight: i64,
    balanced_weight: i64,
}

impl<'a> LocalScorer<'a> {
    pub(super) fn new(cache: &'a SchedulerCache, attempt: Attempt) -> Self {
        let catalog = &*cache.catalog;
        let shape = &catalog.shapes[attempt.shape.index()];
        let balanced = Resources::balanced(catalog, shape);
        let weight = |plugin| catalog.profile.weight(plugin);
        let is_balanced = !balanced.asks_nothing();
        Self {
            fit: Resources::scored(catalog, shape),
            balanced,
            fit_weight: weight(ScorePlugin::NodeResourcesFit),
            balanced_weight: if is_balanced {
                weight(ScorePlugin::NodeResourcesBalancedAllocation)
            } else {
                0
            },
            scorer: Scorer { cache, catalog, shape, feasible: &[] },
        }
    }

    /// What they make of a node: the weighted scores for resources, and the taints that others
    /// count.
    pub(super) fn answer(&self, node: NodeId) -> LocalAnswer {
        let idx = node.index();
        let mut score = 0;
        if self.fit_weight != 0 {
            score += self.fit_weight * self.scorer.resources_fit(&self.fit, idx);
        }
        if self.balanced_weight != 0 {
            let balance = self.scorer.balanced_allocation(&self.balanced, idx);
            score += self.balanced_weight * balance;
        }
        let disliked_count =
            self.scorer.cache.nodes[idx].views[self.scorer.shape.tolerations_idx].disliked_count;
        LocalAnswer { refused: None, score, disliked_count }
    }
}

/// Weighted totals, per feasible node, from what the nodes by themselves answered.
pub(super) fn totals_from(
    cache: &SchedulerCache,
    attempt: Attempt,
    feasible: &[NodeId],
    answers: &[LocalAnswer],
) -> Vec<i64> {
    let mut totals: Vec<i64> = answers.iter().map(|answer| answer.score).collect();
    let profile = &cache.catalog.profile;
    let taints = profile.weight(ScorePlugin::TaintToleration);
    let disliked = answers.iter().map(|answer| i64::from(answer.disliked_count));
    let add = |plugin_weight: i64, scores: &[i64], totals: &mut [i64]| {
        for (total, score) in totals.iter_mut().zip(scores) {
            *total += plugin_weight * score;
        }
    };
    if disliked.clone().all(|count| count == 0) {
        for total in &mut totals {
            *total += taints * MAX_SCORE;
        }
    } else {
        add(taints, &normalize(&disliked.collect::<Vec<_>>(), true), &mut totals);
    }
    let others = [
        ScorePlugin::NodeAffinity,
        ScorePlugin::PodTopologySpread,
        ScorePlugin::InterPodAffinity,
        ScorePlugin::ImageLocality,
    ];
    for plugin in others.into_iter().filter_map(|it| of_plugin(cache, attempt, feasible, it)) {
        add(plugin.weight, &plugin.scores, &mut totals);
    }
    totals
}

/// Scores of every plugin that does not take itself out.
pub(super) fn all(
    cache: &SchedulerCache,
    attempt: Attempt,
    feasible: &[NodeId],
) -> Vec<PluginScores> {
    let plugins = ScorePlugin::ALL.into_iter();
    plugins.filter_map(|plugin| of_plugin(cache, attempt, feasible, plugin)).collect()
}

/// Scores of one plugin; `None` when it takes itself out (PreScore answers Skip) or is disabled.
pub(super) fn of_plugin(
    cache: &SchedulerCache,
    attempt: Attempt,
    feasible: &[NodeId],
    plugin: ScorePlugin,
) -> Option<PluginScores> {
    let catalog = &*cache.catalog;
    let scorer = Scorer { cache, catalog, shape: &catalog.shapes[attempt.shape.index()], feasible };
    let weight = catalog.profile.weight(plugin);
    if weight == 0 {
        return None;
    }
    let (raw, scores) = match plugin {
        ScorePlugin::TaintToleration => {
            let raw = scorer.each(|node| scorer.disliked_taints(node));
            let scores = normalize(&raw, true);
            (raw, scores)
        }
        ScorePlugin::NodeAffinity => {
            let preference = &catalog.preferences[scorer.shape.preference_idx?];
            let raw = scorer.each(|node| preference.weights[node]);
            let scores = normalize(&raw, false);
            (raw, scores)
        }
        ScorePlugin::PodTopologySpread => scorer.topology_spread()?,
        ScorePlugin::InterPodAffinity => scorer.inter_pod_affinity()?,
        ScorePlugin::NodeResourcesFit => {
            let resources = Resources::scored(catalog, scorer.shape);
            let raw = scorer.each(|node| scorer.resources_fit(&resources, node));
            (raw.clone(), raw)
        }
        ScorePlugin::NodeResourcesBalancedAllocation => {
            let resources = Resources::balanced(catalog, scorer.shape);
            if resources.asks_nothing() {
                return None;
            }
            let raw = scorer.each(|node| scorer.balanced_allocation(&resources, node));
            (raw.clone(), raw)
        }
        ScorePlugin::ImageLocality => {
            let raw = scorer.image_locality();
            (raw.clone(), raw)
        }
    };
    Some(PluginScores { plugin, weight, raw, scores })
}

/// To 0..100 by the largest raw score; reversed: fewer is better
/// (plugins/helper/normalize_score.go, DefaultNormalizeScore, 1.36).
fn normalize(raw: &[i64], is_reversed: bool) -> Vec<i64> {
    let max = raw.iter().copied().max().unwrap_or(0);
    raw.iter()
        .map(|raw| match (max, is_reversed) {
            (0, true) => MAX_SCORE,
            (0, false) => *raw,
            (_, true) => MAX_SCORE - MAX_SCORE * raw / max,
            (_, false) => MAX_SCORE * raw / max,
        })
        .collect()
}

/// One pod against the nodes that pass.
struct Scorer<'a> {
    cache: &'a SchedulerCache,
    catalog: &'a Catalog,
    shape: &'a Shape,
    feasible: &'a [NodeId],
}

/// A resource that a plugin weighs, and what the pod asks of it.
#[derive(Clone, Copy, Debug)]
struct Resource {
    /// `None` when no node and no pod has ever named it.
    idx: Option<usize>,
    weight: i64,
    request: i64,
    /// Used amounts are those with scoring's defaults.
    is_defaulted: bool,
}

/// The resources of a plugin.
struct Resources(Vec<Resource>);

impl Resources {
    /// noderesources/resource_allocation.go, 1.36: CPU and memory count with defaults.
    fn scored(catalog: &Catalog, shape: &Shape) -> Self {
        let resources = catalog.profile.scored_resources.iter().map(|(name, weight)| {
            let idx = catalog.known_resource(name);
            let is_defaulted = idx.is_some_and(|idx| idx <= Catalog::MEMORY);
            let request = match idx {
                Some(idx) if is_defaulted => shape.scored_incoming_requests[idx],
                _ => request(shape, idx),
            };
            Resource { idx, weight: *weight, request, is_defaulted }
        });
        Self(resources.collect())
    }

    /// Real requests.
    fn balanced(catalog: &Catalog, shape: &Shape) -> Self {
        let resources = catalog.profile.balanced_resources.iter().map(|name| {
            let idx = catalog.known_resource(name);
            Resource { idx, weight: 1, request: request(shape, idx), is_defaulted: false }
        });
        Self(resources.collect())
    }
}

impl Resources {
    /// The pod asks for none of them, so that balance is none of its concern.
    fn asks_nothing(&self) -> bool {
        self.0.iter().all(|resource| resource.request == 0)
    }
}

fn request(shape: &Shape, resource_idx: Option<usize>) -> i64 {
    resource_idx.and_then(|idx| shape.requests.get(idx)).copied().unwrap_or(0)
}

impl Scorer<'_> {
    fn each(&self, score: impl Fn(usize) -> i64) -> Vec<i64> {
        self.feasible.iter().map(|node| score(node.index())).collect()
    }

    /// tainttoleration/taint_toleration.go, 1.36.
    fn disliked_taints(&self, node_idx: usize) -> i64 {
        self.cache.nodes[node_idx].views[self.shape.tolerations_idx].disliked_count.into()
    }

    /// What a node can give of a resource and what is used of it; `None` for a resource that the
    /// node lacks, and for an extended one that the pod does not ask for
    /// (noderesources/resource_allocation.go, calculateResourceAllocatableRequest, 1.36).
    fn allocatable_and_used(&self, resource: &Resource, node_idx: usize) -> Option<(i64, i64)> {
        let idx = resource.idx?;
        // CPU, memory and local storage come first.
        if idx > 2 && resource.request == 0 {
            return None;
        }
        let node = &self.cache.nodes[node_idx];
        let allocatable = *self.catalog.node(node_idx).allocatable.get(idx)?;
        let used = if resource.is_defaulted { node.used_scored[idx] } else { node.used(idx) };
        (allocatable != 0).then_some((allocatable, used))
    }

    /// noderesources/{least_allocated,most_allocated,requested_to_capacity_ratio}.go, 1.36.
    fn resources_fit(&self, resources: &Resources, node_idx: usize) -> i64 {
        let strategy = &self.catalog.profile.scoring;
        let (mut sum, mut weights) = (0, 0);
        for resource in &resources.0 {
            let known = self.allocatable_and_used(resource, node_idx);
            let Some((allocatable, used)) = known else { continue };
            let requested = used + resource.request;
            let score = match strategy {
                ScoringStrategy::LeastAllocated if requested > allocatable => 0,
                ScoringStrategy::LeastAllocated => {
                    (allocatable - requested) * MAX_SCORE / allocatable
                }
                ScoringStrategy::MostAllocated => {
                    requested.min(allocatable) * MAX_SCORE / allocatable
                }
                ScoringStrategy::RequestedToCapacityRatio(points) => {
                    let utilization =
                        if requested > allocatable { 100 } else { requested * 100 / allocatable };
                    let score = broken_linear(points, utilization);
                    if score <= 0 {
                        continue;
                    }
                    score
                }
            };
            sum += score * resource.weight;
            weights += resource.weight;
        }
        match strategy {
            _ if weights == 0 => 0,
            ScoringStrategy::RequestedToCapacityRatio(_) => {
                (sum as f64 / weights as f64).round() as i64
            }
            _ => sum / weights,
        }
    }

    /// noderesources/balanced_allocation.go, 1.36: how much the pod improves the balance of the
    /// resources, by real requests.
    fn balanced_allocation(&self, resources: &Resources, node_idx: usize) -> i64 {
        let balance = |with_pod: bool| {
            let shares = resources.0.iter().filter_map(|resource| {
                let (allocatable, used) = self.allocatable_and_used(resource, node_idx)?;
                let own = if with_pod { resource.request } else { 0 };
                Some(((used + own) as f64 / allocatable as f64).min(1.0))
            });
            ((1.0 - deviation(shares)) * MAX_SCORE as f64) as i64
        };
        MAX_SCORE / 2 + (MAX_SCORE / 2 + balance(true) - balance(false)) / 2
    }

    /// imagelocality/image_locality.go, 1.36: how much of the pod's images the node has, each weighed
    /// by the share of nodes that have it.
    fn image_locality(&self) -> Vec<i64> {
        const MIB: i64 = 1024 * 1024;
        const MIN_BYTES: i64 = 23 * MIB;
        const MAX_BYTES_PER_CONTAINER: i64 = 1000 * MIB;
        let total = self.cache.order.list().len() as f64;
        let images = self.shape.images.iter().filter_map(|name| {
            let state = self.cache.images.get(name)?;
            let share = f64::from(state.node_count) / total;
            Some((name, (state.size_bytes as f64 * share) as i64))
        });
        let images: Vec<(&String, i64)> = images.collect();
        if images.is_empty() {
            return vec![0; self.feasible.len()];
        }
        let count = i64::try_from(self.shape.images.len()).expect("few containers");
        let max = MAX_BYTES_PER_CONTAINER * count;
        self.each(|node_idx| {
            let here = &self.cache.nodes[node_idx].images;
            let is_here = |name: &str| here.iter().any(|(known, _)| known == name);
            let present = images.iter().filter(|(name, _)| is_here(name));
            let sum: i64 = present.map(|(_, score)| score).sum();
            MAX_SCORE * (sum.clamp(MIN_BYTES, max) - MIN_BYTES) / (max - MIN_BYTES)
        })
    }

    /// podtopologyspread/scoring.go, 1.36. Raw and normalized; nodes not scored get 0.
    fn topology_spread(&self) -> Option<(Vec<i64>, Vec<i64>)> {
        let constraints = &self.shape.soft_spread;
        if constraints.is_empty() {
            return None;
        }
        let topology = &self.catalog.topology;
        let has = |key_idx: usize, node: usize| topology.of(key_idx, node) != Topology::NO_VALUE;
        let is_scored: Vec<bool> = self
            .feasible
            .iter()
            .map(|node| {
                !self.shape.requires_all_keys
                    || constraints.iter().all(|it| has(it.key_idx, node.index()))
            })
            .collect();
        let mut sums = vec![0.0_f64; self.feasible.len()];
        for constraint in constraints {
            self.add_spread(constraint, &is_scored, &mut sums);
        }
        let raw: Vec<i64> = sums.iter().map(|sum| sum.round() as i64).collect();
        let known = || raw.iter().zip(&is_scored).filter(|(_, is)| **is).map(|(raw, _)| *raw);
        let (min, max) = (known().min().unwrap_or(0), known().max().unwrap_or(0));
        let scores = raw.iter().zip(&is_scored).map(|(raw, is_scored)| match is_scored {
            false => 0,
            true if max == 0 => MAX_SCORE,
            true => MAX_SCORE * (max + min - raw) / max,
        });
        let scores = scores.collect();
        Some((raw, scores))
    }

    fn add_spread(&self, constraint: &SoftSpread, is_scored: &[bool], sums: &mut [f64]) {
        let topology = &self.catalog.topology;
        let nodes = || self.feasible.iter().zip(is_scored).filter(|(_, is)| **is);
        let size = if constraint.is_hostname {
            nodes().count()
        } else {
            // Under the system defaults nodes without the key make one domain of their own, which
            // weighs but holds no pods that anybody reads.
            let empty = topology.values(constraint.key_idx).get("").copied();
            let mut is_seen = vec![false; topology.value_count(constraint.key_idx) + 1];
            for (node, _) in nodes() {
                let value = topology.of(constraint.key_idx, node.index());
                let value = if value == Topology::NO_VALUE { empty } else { Some(value) };
                let place = value.map_or(is_seen.len() - 1, |value| value as usize);
                is_seen[place] = true;
            }
            is_seen.into_iter().filter(|seen| *seen).count()
        };
        let weight = libm::log(size as f64 + 2.0);
        let tally = &self.cache.tallies[constraint.tally_idx];
        for (sum, (node, is_scored)) in sums.iter_mut().zip(self.feasible.iter().zip(is_scored)) {
            let value = topology.of(constraint.key_idx, node.index());
            if !is_scored || value == Topology::NO_VALUE {
                continue;
            }
            let value = if constraint.is_hostname { node.0 } else { value };
            let count = tally.at(value) as f64;
            *sum += count * weight + (constraint.max_skew - 1) as f64;
        }
    }

    /// interpodaffinity/scoring.go, 1.36. Raw and normalized.
    fn inter_pod_affinity(&self) -> Option<(Vec<i64>, Vec<i64>)> {
        let (shape, profile) = (self.shape, &self.catalog.profile);
        if profile.ignores_preferred_terms_of_existing_pods && shape.preferred.is_empty() {
            return None;
        }
        let pairs = shape.preferred.iter().chain(&shape.attracted_by);
        let pairs = pairs.filter(|(tally_idx, _)| !self.cache.tallies[*tally_idx].is_empty());
        let mut raw = vec![0; self.feasible.len()];
        let mut is_any = false;
        for (tally_idx, weight) in pairs {
            is_any = true;
            let tally = &self.cache.tallies[*tally_idx];
            let key_idx = self.catalog.rules[*tally_idx].key_idx;
            for (sum, node) in raw.iter_mut().zip(self.feasible) {
                let value = self.catalog.topology.of(key_idx, node.index());
                if value != Topology::NO_VALUE {
                    *sum += weight * tally.at(value);
                }
            }
        }
        if !is_any {
            return None;
        }
        let (min, max) = (*raw.iter().min()?, *raw.iter().max()?);
        let scores = raw.iter().map(|raw| {
            if max == min {
                0
            } else {
                (MAX_SCORE as f64 * ((raw - min) as f64 / (max - min) as f64)) as i64
            }
        });
        let scores = scores.collect();
        Some((raw, scores))
    }
}

/// Half the difference of two shares, else their population standard deviation; 0 for one
/// (noderesources/balanced_allocation.go, balancedResourceScorer, 1.36).
fn deviation(shares: impl Iterator<Item = f64> + Clone) -> f64 {
    let count = shares.clone().count();
    match count {
        0 | 1 => 0.0,
        2 => {
            let mut shares = shares;
            let first = shares.next().unwrap_or_default();
            ((first - shares.next().unwrap_or_default()) / 2.0).abs()
        }
        _ => {
            let mean = shares.clone().sum::<f64>() / count as f64;
            let sum: f64 = shares.map(|share| (share - mean) * (share - mean)).sum();
            (sum / count as f64).sqrt()
        }
    }
}

/// plugins/helper/shape_score.go, BuildBrokenLinearFunction, 1.36; scores of 0 to 10 become 0 to 100.
fn broken_linear(points: &[(i64, i64)], utilization: i64) -> i64 {
    let scaled = |score: i64| score * (MAX_SCORE / 10);
    let Some(place) = points.iter().position(|(at, _)| utilization <= *at) else {
        return points.last().map_or(0, |(_, score)| scaled(*score));
    };
    let (to, end) = points[place];
    if place == 0 {
        return scaled(end);
    }
    let (from, start) = points[place - 1];
    scaled(start) + (scaled(end) - scaled(start)) * (utilization - from) / (to - from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_linear_bends_at_its_points() {
        let points = [(0, 0), (50, 10), (100, 0)];
        let at = [0, 25, 50, 75, 100, 120].map(|at| broken_linear(&points, at));
        assert_eq!(at, [0, 50, 100, 50, 0, 0]);
    }

    #[test]
    fn deviation_of_one_two_and_three_shares() {
        assert_eq!(deviation([0.3].into_iter()), 0.0);
        assert_eq!(deviation([0.25, 0.75].into_iter()), 0.25);
        assert_eq!(deviation([0.0, 0.5, 1.0].into_iter()), (1.0_f64 / 6.0).sqrt());
    }

    #[test]
    fn normalizing_nothing_keeps_it() {
        assert_eq!(normalize(&[0, 0], false), [0, 0]);
        assert_eq!(normalize(&[0, 0], true), [100, 100]);
        assert_eq!(normalize(&[1, 3], true), [67, 0]);
    }
}
