//! How many nodes of a group would take the pods that wait
//! (`estimator/{binpacking_estimator,decreasing_pod_orderer,threshold_based_limiter}.go`).

use std::collections::BTreeSet;

use model_api::kube::{Node, PodSpec, ResourceList};
use model_api::observation::UnschedulableReason;
use model_api::{NodeId, PodId};

use crate::scheduling::{Code, Rejection, SchedulerCache, ShapeId};

/// Pods that are alike to the scheduler.
#[derive(Clone, Debug, PartialEq)]
pub struct PendingGroup {
    /// Their template.
    pub shape: ShapeId,
    /// How many wait.
    pub count: usize,
    /// See [`pod_score`].
    pub score: f64,
    /// Some spread constraint of theirs goes by host name.
    pub spreads_over_hosts: bool,
    /// The zone in which all their volumes stand.
    pub zone: Option<String>,
}

const HOSTNAME: &str = "kubernetes.io/hostname";

impl PendingGroup {
    /// A group of pods without volumes; `spec` is that of the shape.
    pub fn new(shape: ShapeId, count: usize, spec: &PodSpec, template: &Node) -> Self {
        let over_hosts = |key: &String| key == HOSTNAME;
        let keys =
            spec.topology_spread_constraints.iter().map(|constraint| &constraint.topology_key);
        Self {
            shape,
            count,
            score: pod_score(spec, &template.allocatable),
            spreads_over_hosts: keys.into_iter().any(over_hosts),
            zone: None,
        }
    }
}

/// How much of a template node a pod takes: the sum of the shares of CPU and memory that its app
/// containers request (`calculatePodScore`).
pub fn pod_score(spec: &PodSpec, allocatable: &ResourceList) -> f64 {
    let share = |resource: &str| {
        let requests = spec.containers.iter().filter_map(|it| it.requests.get(resource));
        let whole = allocatable.get(resource).filter(|amount| *amount > 0)?;
        Some(requests.sum::<i64>() as f64 / whole as f64)
    };
    [ResourceList::CPU, ResourceList::MEMORY].into_iter().filter_map(share).sum()
}

/// The order in which groups are packed: largest pods first, equals as they were
/// (`DecreasingPodOrderer`).
pub fn decreasing_order(scores: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    order
}

/// How many nodes an estimate may add (`threshold_based_limiter.go`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NodeLimit {
    /// Any number.
    #[default]
    None,
    /// So many.
    AtMost(usize),
}

impl NodeLimit {
    /// The limit that flags and sizes give together: nodes per scale-up (0: any number), the room
    /// left in the group and those similar to it, and in the whole cluster (`max_nodes_total`, 0:
    /// any number).
    pub fn of(per_scale_up: i64, group_room: usize, total: i64, node_count: usize) -> Self {
        let flag = |value: i64| usize::try_from(value).ok().filter(|value| *value > 0);
        let cluster_room = flag(total).map(|total| total.saturating_sub(node_count));
        let limits = [flag(per_scale_up), Some(group_room), cluster_room];
        limits.into_iter().flatten().min().map_or(Self::None, Self::AtMost)
    }

    fn allows(self, added: usize) -> bool {
        match self {
            Self::None => true,
            Self::AtMost(limit) => added < limit,
        }
    }
}

/// What an estimate comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Estimate {
    /// How many nodes are needed.
    pub node_count: usize,
    /// How many pods of each group they take, in the order of the groups given.
    pub scheduled: Vec<usize>,
}

impl Estimate {
    /// How many pods the nodes take.
    pub fn scheduled_count(&self) -> usize {
        self.scheduled.iter().sum()
    }
}

/// A template node and what every node made from it runs.
#[derive(Clone, Copy, Debug)]
pub struct NodeTemplate<'a> {
    /// The node, with the labels of its group.
    pub node: &'a Node,
    /// Pods of DaemonSets that each such node gets.
    pub daemon_set_pods: &'a [ShapeId],
}

/// Packs pods onto nodes made from a template, first fit, largest first (`Estimate`).
///
/// `cluster` is the cluster as it is, with nodes that are on their way; it is left alone. A pod goes
/// to the node added last, then to earlier ones; when it fits none, a node is added, unless the last
/// one is still empty: a further one would not take the pod either. A pod that only the spreading
/// over host names keeps off the last node may go to any other node of the cluster, and such a node
/// then counts as needed, as it does upstream.
pub fn estimate(
    cluster: &SchedulerCache,
    template: NodeTemplate<'_>,
    groups: &[PendingGroup],
    limit: NodeLimit,
) -> Estimate {
    let mut packing = Packing::new(cluster, template, limit);
    let mut scheduled = vec![0; groups.len()];
    let scores: Vec<f64> = groups.iter().map(|group| group.score).collect();
    let mut may_add = true;
    for idx in decreasing_order(&scores) {
        let group = &groups[idx];
        let on_added = packing.onto_added_nodes(group);
        let mut placed = on_added;
        if may_add {
            let (on_new, go_on) = packing.onto_new_nodes(group, group.count - on_added);
            placed += on_new;
            may_add = go_on;
        }
        scheduled[idx] = placed;
    }
    Estimate { node_count: packing.used.len(), scheduled }
}

/// Whether a fresh node made from a template would take a pod
/// (`core/scaleup/orchestrator`, SchedulablePodGroups).
pub fn can_take(
    cluster: &SchedulerCache,
    template: NodeTemplate<'_>,
    shape: ShapeId,
    zone: Option<&str>,
) -> bool {
    let mut packing = Packing::new(cluster, template, NodeLimit::None);
    let node = packing.add_node();
    packing.cache.check(shape, zone, node).is_ok()
}

/// How many pods of each group, in the order given, find room on nodes that are there or on their
/// way (`core/podlistprocessor/filter_out_schedulable.go`): nothing has to be done for them.
pub(super) fn find_room(
    cluster: &SchedulerCache,
    upcoming: &[(NodeTemplate<'_>, usize)],
    groups: &[PendingGroup],
) -> Vec<usize> {
    let none = Node::default();
    let template = NodeTemplate { node: &none, daemon_set_pods: &[] };
    let mut packing = Packing::new(cluster, template, NodeLimit::None);
    for (template, count) in upcoming {
        packing.template = *template;
        for _ in 0..*count {
            packing.add_node();
        }
    }
    let mut placed = Vec::new();
    for group in groups {
        let fits = (0..group.count).take_while(|_| packing.search(group, |_, _| true));
        placed.push(fits.count());
    }
    placed
}

/// A simulation of the cluster in which nodes are added.
struct Packing<'a> {
    cache: SchedulerCache,
    template: NodeTemplate<'a>,
    limit: NodeLimit,
    /// All nodes in the order of the list that is searched.
    nodes: Vec<NodeId>,
    /// How many of [`Self::nodes`] were there before.
    existing_count: usize,
    /// Nodes that took a pod.
    used: BTreeSet<NodeId>,
    /// Where the next search over all nodes begins.
    next_idx: usize,
    next_pod: usize,
}

impl<'a> Packing<'a> {
    fn new(cluster: &SchedulerCache, template: NodeTemplate<'a>, limit: NodeLimit) -> Self {
        let nodes = cluster.present_nodes();
        Self {
            cache: cluster.clone(),
            template,
            limit,
            existing_count: nodes.len(),
            nodes,
            used: BTreeSet::new(),
            next_idx: 0,
            next_pod: cluster.next_free_pod().index(),
        }
    }

    fn last_added(&self) -> Option<NodeId> {
        (self.nodes.len() > self.existing_count).then(|| self.nodes[self.nodes.len() - 1])
    }

    /// `tryToScheduleOnExistingNodes`: how many pods fit on nodes added before, until one does not.
    fn onto_added_nodes(&mut self, group: &PendingGroup) -> usize {
        for placed in 0..group.count {
            let last = self.last_added();
            let last_is_used = last.is_some_and(|last| self.used.contains(&last));
            let fits = match last {
                Some(last) if last_is_used && self.try_put(group, last).is_ok() => true,
                Some(last) => self.search(group, |packing, idx| {
                    idx >= packing.existing_count && packing.nodes[idx] != last
                }),
                None => false,
            };
            if !fits {
                return placed;
            }
        }
        group.count
    }

    /// `tryToScheduleOnNewNodes`: how many pods found a place, and whether it is worth adding nodes
    /// for further groups.
    fn onto_new_nodes(&mut self, group: &PendingGroup, count: usize) -> (usize, bool) {
        for placed in 0..count {
            if self.onto_last_node(group) {
                continue;
            }
            if self.last_added().is_some_and(|last| !self.used.contains(&last)) {
                return (placed, true);
            }
            if !self.limit.allows(self.nodes.len() - self.existing_count) {
                return (placed, false);
            }
            let node = self.add_node();
            if self.try_put(group, node).is_err() {
                return (placed, true);
            }
        }
        (count, true)
    }

    fn onto_last_node(&mut self, group: &PendingGroup) -> bool {
        let Some(last) = self.last_added() else { return false };
        match self.try_put(group, last) {
            Ok(()) => true,
            Err(rejection) => {
                let is_spreading = rejection.filter == UnschedulableReason::PodTopologySpread
                    && rejection.code == Code::Unschedulable;
                is_spreading
                    && group.spreads_over_hosts
                    && self.search(group, |packing, idx| packing.nodes[idx] != last)
            }
        }
    }

    /// `SchedulePodOnAnyNodeMatching`: the first node that takes the pod, from where the last search
    /// ended.
    fn search(&mut self, group: &PendingGroup, accepts: impl Fn(&Self, usize) -> bool) -> bool {
        let count = self.nodes.len();
        for step in 0..count {
            let idx = (self.next_idx + step) % count;
            if accepts(self, idx) && self.try_put(group, self.nodes[idx]).is_ok() {
                self.next_idx = (idx + 1) % count;
                return true;
            }
        }
        false
    }

    fn try_put(&mut self, group: &PendingGroup, node: NodeId) -> Result<(), Rejection> {
        self.cache.check(group.shape, group.zone.as_deref(), node)?;
        let pod = self.pod_id();
        self.cache.add_pod(pod, group.shape, node);
        self.used.insert(node);
        Ok(())
    }

    fn pod_id(&mut self) -> PodId {
        let pod = PodId::from_index(self.next_pod);
        self.next_pod += 1;
        pod
    }

    /// `addNewNodeToSnapshot`: a copy of the template with a name of its own, in the same zone.
    fn add_node(&mut self) -> NodeId {
        let place = self.nodes.len() - self.existing_count;
        let mut node = self.template.node.clone();
        node.name = format!("{}-e-{place}", node.name);
        node.labels.insert(HOSTNAME.to_owned(), node.name.clone());
        let id = self.cache.next_free_node();
        self.cache.add_node(id, &node);
        self.nodes.push(id);
        for shape in self.template.daemon_set_pods {
            let pod = self.pod_id();
            self.cache.add_pod(pod, *shape, id);
        }
        id
    }
}

#[cfg(test)]
mod tests {
    use model_api::kube::Container;

    use super::*;

    fn amounts(cpu: i64, memory: i64) -> ResourceList {
        let amounts = [(ResourceList::CPU, cpu), (ResourceList::MEMORY, memory)];
        ResourceList(amounts.map(|(name, amount)| (name.to_owned(), amount)).into())
    }

    /// Shares of both resources together; init containers do not count, nor does what a node has none of.
    #[test]
    fn a_pod_scores_by_its_shares_of_a_node() {
        let container =
            |cpu, memory| Container { requests: amounts(cpu, memory), ..Container::default() };
        let spec = PodSpec {
            init_containers: vec![container(900, 900)],
            containers: vec![container(500, 100), container(250, 0)],
            ..PodSpec::default()
        };
        assert_eq!(pod_score(&spec, &amounts(1000, 400)), 0.75 + 0.25);
        assert_eq!(pod_score(&spec, &amounts(1000, 0)), 0.75);
        assert_eq!(pod_score(&PodSpec::default(), &amounts(1000, 400)), 0.0);
    }

    #[test]
    fn the_largest_pods_are_packed_first_and_equals_as_they_were() {
        assert_eq!(decreasing_order(&[1.0, 3.0, 0.5, 3.0]), [1, 3, 0, 2]);
        let estimate = Estimate { node_count: 1, scheduled: vec![2, 0, 3] };
        assert_eq!(estimate.scheduled_count(), 5);
    }

    /// Nodes per scale-up, room in groups, and of the whole cluster, which has nine nodes.
    #[test]
    fn the_least_of_all_limits_holds() {
        let rows = [
            (0, 5, 0, 5),
            (3, 5, 0, 3),
            (1000, 5, 0, 5),
            (-1, 5, -1, 5),
            (0, 5, 11, 2),
            (0, 5, 9, 0),
            (0, 5, 1, 0),
        ];
        for (per_scale_up, room, total, expected) in rows {
            let limit = NodeLimit::of(per_scale_up, room, total, 9);
            assert_eq!(limit, NodeLimit::AtMost(expected), "{per_scale_up} {room} {total}");
        }
        let two = NodeLimit::AtMost(2);
        assert_eq!([1, 2, 3].map(|added| two.allows(added)), [true, false, false]);
        assert!(NodeLimit::None.allows(1_000_000));
    }
}
