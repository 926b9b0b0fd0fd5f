//! One scheduling attempt: filter, score, choose.

use std::collections::BTreeMap;
use std::sync::Arc;

use model_api::observation::{RefusedNodes, UnschedulableReason};
use model_api::{NodeId, PodId};

use super::cache::{CachedPod, SchedulerCache, ShapeId};
use super::filter::{Code, Query, Rejection, looks_at_pods};
use super::local::{Asked, LocalAnswer};
use super::score::{self, PluginScore, ScorePlugin};
use super::volume::VolumesId;

/// A pod to be placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Its template.
    pub shape: ShapeId,
    /// Its claims.
    pub volumes: VolumesId,
    /// The pod, so that its own nomination is told from those of others.
    pub pod: Option<PodId>,
    /// `status.nominatedNodeName`.
    pub nominated_node: Option<NodeId>,
    /// The node that the affinity of a daemon names: the DaemonSet controller adds it to the pod, not
    /// to the template (pkg/controller/daemon/util/daemonset_util.go, ReplaceDaemonSetPodNodeNameNodeAffinity,
    /// 1.36).
    pub only_node: Option<NodeId>,
}

impl Attempt {
    /// A pod without claims and without a past.
    pub const fn new(shape: ShapeId) -> Self {
        Self { shape, volumes: VolumesId::NONE, pod: None, nominated_node: None, only_node: None }
    }
}

/// What became of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placement {
    /// The pod goes to this node.
    Node(NodeId),
    /// No node fits.
    Unschedulable(Diagnosis),
}

/// Why no node fits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnosis {
    /// Per filter, how many nodes it was the first to refuse; in the profile's order.
    pub refused_counts: Vec<(UnschedulableReason, u32)>,
    /// Some node was refused in a way that removing pods from it might mend.
    pub may_preempt: bool,
}

impl Diagnosis {
    /// The filter that says most: see [`RefusedNodes`].
    pub fn main_reason(&self) -> UnschedulableReason {
        self.refused_nodes().main().unwrap_or(UnschedulableReason::NodeResourcesFit)
    }

    /// How many nodes which filter refused.
    pub fn refused_nodes(&self) -> RefusedNodes {
        RefusedNodes::of(&self.refused_counts)
    }

    /// The filters that refused nodes, in the profile's order.
    pub fn filters(&self) -> Vec<UnschedulableReason> {
        if self.refused_counts.is_empty() {
            return vec![self.main_reason()];
        }
        self.refused_counts.iter().map(|(filter, _)| *filter).collect()
    }

    /// Whether some node was refused because of pods elsewhere.
    pub fn looks_at_pods(&self) -> bool {
        self.refused_counts.iter().any(|(filter, _)| looks_at_pods(*filter))
    }

    /// A pod that may go to one node only of so many, and not there.
    pub fn of_only_node(rejection: Rejection, node_count: usize) -> Self {
        let mut refused = vec![NARROWED_OUT; node_count.saturating_sub(1)];
        refused.push(rejection);
        Self::of(&refused)
    }

    fn of(refused: &[Rejection]) -> Self {
        let mut counts = BTreeMap::new();
        for rejection in refused {
            *counts.entry(rejection.filter).or_insert(0) += 1;
        }
        Self {
            refused_counts: counts.into_iter().collect(),
            may_preempt: refused.iter().any(|rejection| rejection.code == Code::Unschedulable),
        }
    }
}

/// What a search found.
#[derive(Debug, Default)]
struct Found {
    feasible: Vec<NodeId>,
    refused: Vec<Rejection>,
    /// What the feasible nodes by themselves answered, when they were asked so.
    answers: Option<Vec<LocalAnswer>>,
}

/// What an attempt would make of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeReport {
    /// The node.
    pub node: NodeId,
    /// Whether it passes, and what then speaks for it.
    pub outcome: Result<Vec<PluginScore>, Refusal>,
}

/// Why a node is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// By which filter, how finally.
    pub rejection: Rejection,
    /// In words.
    pub reasons: Vec<String>,
}

impl NodeReport {
    /// Weighted sum of the scores; `None` for a node that is refused.
    pub fn total(&self) -> Option<i64> {
        let scores = self.outcome.as_ref().ok()?;
        Some(scores.iter().map(|score| score.weight * score.score).sum())
    }
}

impl SchedulerCache {
    /// Looks for a node for a pod whose volumes, if any, all stand in `zone`; `draw` gives a number
    /// below its argument and decides among equals. The caller adds the pod to the node found.
    pub fn schedule(
        &mut self,
        shape: ShapeId,
        zone: Option<&str>,
        draw: impl FnOnce(usize) -> usize,
    ) -> Placement {
        let volumes = zone.map_or(VolumesId::NONE, |zone| self.volumes_in_zone(zone));
        self.attempt(Attempt { volumes, ..Attempt::new(shape) }, draw)
    }

    /// Looks for a node. `draw` gives a number below its argument and decides among equals, as
    /// upstream's random numbers do. The caller adds the pod to the node found
    /// (pkg/scheduler/schedule_one.go, schedulePod, 1.36).
    pub fn attempt(&mut self, attempt: Attempt, draw: impl FnOnce(usize) -> usize) -> Placement {
        let catalog = Arc::clone(&self.catalog);
        let mut query = Query::new(self, &catalog, attempt);
        if let Err(rejection) = query.pre_filter() {
            let refused = vec![rejection; self.order.list().len()];
            return Placement::Unschedulable(Diagnosis::of(&refused));
        }
        if let Some(node) = attempt.nominated_node
            && self.is_there(node)
            && query.is_searched(node)
            && self.check_guarded(&mut query, attempt, node).is_ok()
        {
            return Placement::Node(node);
        }
        let found = self.search(&mut query, attempt);
        match found.feasible.as_slice() {
            [] => Placement::Unschedulable(Diagnosis::of(&found.refused)),
            [only] => Placement::Node(*only),
            // Upstream tries again after a back-off, to the same end.
            feasible if query.shape.has_unreadable_preference => {
                Placement::Unschedulable(Diagnosis::of(&vec![NARROWED_OUT; feasible.len()]))
            }
            feasible => {
                let totals = match &found.answers {
                    Some(answers) => score::totals_from(self, attempt, feasible, answers),
                    None => score::totals(self, attempt, feasible),
                };
                let best = totals.iter().max().expect("several nodes are feasible");
                let is_best = |(_, total): &(&NodeId, &i64)| *total == best;
                let tied: Vec<NodeId> =
                    feasible.iter().zip(&totals).filter(is_best).map(|(node, _)| *node).collect();
                Placement::Node(tied[draw(tied.len())])
            }
        }
    }

    /// Whether one node would take a pod: what binds the pods of a DaemonSet, each of which may
    /// only go to its own node.
    ///
    /// # Errors
    /// The first filter that refuses it.
    ///
    /// # Panics
    /// When the node is unknown.
    pub fn check(
        &mut self,
        shape: ShapeId,
        zone: Option<&str>,
        node: NodeId,
    ) -> Result<(), Rejection> {
        let volumes = zone.map_or(VolumesId::NONE, |zone| self.volumes_in_zone(zone));
        self.check_attempt(Attempt { volumes, ..Attempt::new(shape) }, node)
    }

    /// The same for a pod with a past.
    ///
    /// # Errors
    /// The first filter that refuses it.
    ///
    /// # Panics
    /// When the node is unknown.
    pub fn check_attempt(&mut self, attempt: Attempt, node: NodeId) -> Result<(), Rejection> {
        let catalog = Arc::clone(&self.catalog);
        let mut query = Query::new(self, &catalog, attempt);
        query.pre_filter()?;
        self.check_guarded(&mut query, attempt, node)
    }

    /// The first of some filters that refuses a node.
    ///
    /// # Errors
    /// That filter.
    ///
    /// # Panics
    /// When the node is unknown.
    pub(crate) fn check_each(
        &self,
        attempt: Attempt,
        node: NodeId,
        filters: &[UnschedulableReason],
    ) -> Result<(), UnschedulableReason> {
        let catalog = Arc::clone(&self.catalog);
        let query = Query::new(self, &catalog, attempt);
        let check = |filter: &UnschedulableReason| query.check_alone(self, node, *filter);
        filters.iter().try_for_each(check).map_err(|rejection| rejection.filter)
    }

    /// Nodes that pass, until there are enough, and what refused the others.
    fn search(&mut self, query: &mut Query<'_>, attempt: Attempt) -> Found {
        let order = Arc::clone(self.order.list());
        let searched: Arc<Vec<NodeId>> = if query.is_narrowed() {
            Arc::new(order.iter().copied().filter(|node| query.is_searched(*node)).collect())
        } else {
            Arc::clone(&order)
        };
        let count = searched.len();
        let wanted = self.catalog.profile.feasible_count_wanted(count);
        let start = if count == 0 { 0 } else { self.next_start_idx % count };
        let (before, behind) = searched.split_at(start);
        let nodes = behind.iter().chain(before).copied();
        let mut found = if self.nominations.is_empty() {
            self.search_alone(query, attempt, nodes, wanted)
        } else {
            self.search_among_nominated(query, attempt, nodes, wanted)
        };
        if !order.is_empty() {
            let seen = found.feasible.len() + found.refused.len();
            self.next_start_idx = (self.next_start_idx + seen) % order.len();
        }
        let refused_count = found.refused.len() + (order.len() - count);
        found.refused.resize(refused_count, NARROWED_OUT);
        found
    }

    /// When no pod is nominated, nodes that did not change answer as before.
    fn search_alone(
        &mut self,
        query: &Query<'_>,
        attempt: Attempt,
        nodes: impl Iterator<Item = NodeId>,
        wanted: usize,
    ) -> Found {
        let mut kept = std::mem::take(&mut self.local);
        let mut asked = Asked::new(&mut kept, query, self, attempt);
        let mut found = Found::default();
        let mut answers = Vec::with_capacity(wanted);
        found.feasible.reserve(wanted);
        let is_local = query.is_local();
        for node in nodes {
            let answer = asked.answer(node);
            let others = || if is_local { Ok(()) } else { query.check_others(self, node) };
            match answer.refused.map_or_else(others, Err) {
                Ok(()) => {
                    found.feasible.push(node);
                    answers.push(answer);
                }
                Err(rejection) => found.refused.push(rejection),
            }
            if found.feasible.len() >= wanted {
                break;
            }
        }
        self.local = kept;
        found.answers = Some(answers);
        found
    }

    fn search_among_nominated(
        &mut self,
        query: &mut Query<'_>,
        attempt: Attempt,
        nodes: impl Iterator<Item = NodeId>,
        wanted: usize,
    ) -> Found {
        let mut found = Found::default();
        for node in nodes {
            match self.check_guarded(query, attempt, node) {
                Ok(()) => found.feasible.push(node),
                Err(rejection) => found.refused.push(rejection),
            }
            if found.feasible.len() >= wanted {
                break;
            }
        }
        found
    }

    /// The filters for one node; twice when pods of equal or higher priority are nominated to it:
    /// with them and without
    /// (framework/runtime/framework.go, RunFilterPluginsWithNominatedPods, 1.36).
    pub(super) fn check_guarded(
        &mut self,
        query: &mut Query<'_>,
        attempt: Attempt,
        node: NodeId,
    ) -> Result<(), Rejection> {
        if self.nominations.is_empty() {
            return query.check(self, node);
        }
        let catalog = Arc::clone(&self.catalog);
        let nominated = self.nominations.iter().filter(|nomination| {
            nomination.node == node
                && Some(nomination.pod) != attempt.pod
                && !self.pods.contains_key(&nomination.pod)
                && catalog.shapes[nomination.shape.index()].priority >= query.shape.priority
        });
        let guests: Vec<(PodId, ShapeId)> = nominated.map(|it| (it.pod, it.shape)).collect();
        if guests.is_empty() {
            return query.check(self, node);
        }
        for (pod, shape) in &guests {
            self.place(*pod, CachedPod::guest(*shape, node));
        }
        query.refresh(self);
        let with = query.check(self, node);
        for (pod, _) in &guests {
            self.displace(*pod);
        }
        query.refresh(self);
        with.and_then(|()| query.check(self, node))
    }

    /// Every node with what refuses it or the scores of each plugin: what [`Self::attempt`] would
    /// weigh if it looked at all nodes.
    pub fn explain(&mut self, attempt: Attempt) -> Vec<NodeReport> {
        let catalog = Arc::clone(&self.catalog);
        let mut query = Query::new(self, &catalog, attempt);
        let order = Arc::clone(self.order.list());
        let mut feasible = Vec::new();
        let mut reports = Vec::with_capacity(order.len());
        for node in order.iter().copied() {
            let checked = match query.pre_filter() {
                Err(rejection) => Err(rejection),
                Ok(()) if !query.is_searched(node) => Err(NARROWED_OUT),
                Ok(()) => self.check_guarded(&mut query, attempt, node),
            };
            let outcome = match checked {
                Ok(()) => {
                    feasible.push(node);
                    Ok(Vec::new())
                }
                Err(rejection) => {
                    let reasons = query.reasons(self, node, &rejection);
                    Err(Refusal { rejection, reasons })
                }
            };
            reports.push(NodeReport { node, outcome });
        }
        let scores = score::all(self, attempt, &feasible);
        let passing = reports.iter_mut().filter_map(|report| report.outcome.as_mut().ok());
        for (place, own) in passing.enumerate() {
            own.extend(scores.iter().map(|plugin| PluginScore {
                plugin: plugin.plugin,
                raw: plugin.raw[place],
                score: plugin.scores[place],
                weight: plugin.weight,
            }));
        }
        reports
    }

    /// One filter by itself on one node, with its reasons.
    ///
    /// # Errors
    /// When the filter refuses the node.
    pub fn filter_alone(
        &self,
        attempt: Attempt,
        node: NodeId,
        filter: UnschedulableReason,
    ) -> Result<(), Refusal> {
        let query = Query::new(self, &self.catalog, attempt);
        query.check_alone(self, node, filter).map_err(|rejection| {
            let reasons = query.reasons(self, node, &rejection);
            Refusal { rejection, reasons }
        })
    }

    /// The scores of one plugin for these nodes, as if all others had been filtered out; `None`
    /// when the plugin takes itself out.
    pub fn score_alone(
        &self,
        attempt: Attempt,
        nodes: &[NodeId],
        plugin: ScorePlugin,
    ) -> Option<Vec<i64>> {
        score::of_plugin(self, attempt, nodes, plugin).map(|plugin| plugin.scores)
    }

    pub(super) fn is_there(&self, node: NodeId) -> bool {
        self.nodes.get(node.index()).is_some_and(|cached| cached.is_present)
    }
}

/// A node that affinity by name leaves out of the search
/// (pkg/scheduler/schedule_one.go, findNodesThatFitPod, 1.36).
const NARROWED_OUT: Rejection = Rejection {
    filter: UnschedulableReason::NodeAffinity,
    code: Code::UnschedulableAndUnresolvable,
};

impl CachedPod {
    /// A pod that is counted for the moment only.
    pub(super) const fn guest(shape: ShapeId, node: NodeId) -> Self {
        Self {
            shape,
            node,
            volumes: VolumesId::NONE,
            is_terminating: false,
            is_preempted: false,
            started: None,
        }
    }
}
