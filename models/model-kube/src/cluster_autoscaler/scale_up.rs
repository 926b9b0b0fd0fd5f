//! One scale-up: which group grows, by how much, and which similar groups share it
//! (`core/scaleup/orchestrator/orchestrator.go`, ScaleUp).

use model_api::kube::{Node, PodSpec, ResourceList};
use sim_kernel::SimSpan;

use crate::scheduling::{SchedulerCache, ShapeId};

use super::Options;
use super::balancing::{GroupSize, SimilarityRatios, TemplateFacts, are_similar, balance};
use super::estimator::{
    Estimate, NodeLimit, NodeTemplate, PendingGroup, can_take, estimate, find_room,
};
use super::expander::{ExpansionOption, choose};

/// A node group as a scale-up sees it.
#[derive(Clone, Debug)]
pub struct NodeGroup {
    /// Its name.
    pub name: String,
    /// Its sizes.
    pub size: GroupSize,
    /// A node as the group makes them, with labels and allocatable.
    pub template: Node,
    /// What the comparison of groups looks at.
    pub facts: TemplateFacts,
    /// Pods of DaemonSets that every node of the group gets.
    pub daemon_set_pods: Vec<ShapeId>,
    /// It neither failed lately nor lacks too many nodes; see
    /// [`is_group_healthy`](super::is_group_healthy) and [`Backoff`](super::Backoff).
    pub may_grow: bool,
}

/// Pods that are alike and wait.
#[derive(Clone, Debug)]
pub struct WaitingPods<'a> {
    /// Their template, compiled.
    pub shape: ShapeId,
    /// Their template's spec.
    pub spec: &'a PodSpec,
    /// How many wait.
    pub count: usize,
    /// The zone in which all their volumes stand.
    pub zone: Option<String>,
    /// What their annotation `pod-scale-up-delay` asks for; zero without one.
    pub delay: SimSpan,
}

/// What a scale-up does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScaleUp {
    /// Positions of the groups that grow, with their new target sizes.
    pub new_targets: Vec<(usize, usize)>,
    /// How many pods of each kind the estimate places.
    pub helped: Vec<usize>,
}

/// What one group would do for the pods that wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expansion {
    /// Its position among the groups.
    pub group: usize,
    /// What expanders look at.
    pub option: ExpansionOption,
    /// How many pods of each kind it places.
    pub scheduled: Vec<usize>,
}

/// What each group that may grow and helps would do for the pods that wait.
pub fn expansions(
    cluster: &SchedulerCache,
    groups: &[NodeGroup],
    waiting: &[WaitingPods<'_>],
    options: &Options,
) -> Vec<Expansion> {
    expansions_of(cluster, groups, waiting, options, &all_takes(cluster, groups, waiting))
}

/// What is done about the pods that wait; `None` when no group helps. One group is chosen, and those
/// similar to it share its growth when groups are balanced. `draw` decides among equal options.
pub fn scale_up(
    cluster: &SchedulerCache,
    groups: &[NodeGroup],
    waiting: &[WaitingPods<'_>],
    options: &Options,
    draw: impl FnOnce(usize) -> usize,
) -> Option<ScaleUp> {
    let takes = all_takes(cluster, groups, waiting);
    let mut found = expansions_of(cluster, groups, waiting, options, &takes);
    let offers: Vec<ExpansionOption> = found.iter().map(|it| it.option.clone()).collect();
    let best = found.swap_remove(choose(&options.expanders, &offers, draw)?);
    let node_count = cluster.present_nodes().len();
    let new_nodes = capped(best.option.node_count, node_count, options.max_nodes_total)?;
    let sharing = sharers(groups, &takes, best.group, options);
    let sizes: Vec<GroupSize> = sharing.iter().map(|it| groups[*it].size.clone()).collect();
    let targets = balance(&sizes, new_nodes).into_iter().zip(&sizes).zip(&sharing);
    let changed = targets.filter(|((target, size), _)| *target != size.target);
    Some(ScaleUp {
        new_targets: changed.map(|((target, _), group)| (*group, target)).collect(),
        helped: best.scheduled,
    })
}

fn expansions_of(
    cluster: &SchedulerCache,
    groups: &[NodeGroup],
    waiting: &[WaitingPods<'_>],
    options: &Options,
    takes: &[Vec<bool>],
) -> Vec<Expansion> {
    let node_count = cluster.present_nodes().len();
    let mut found = Vec::new();
    for (place, group) in groups.iter().enumerate() {
        if !group.may_grow || group.size.target >= group.size.max {
            continue;
        }
        let room: usize = sharers(groups, takes, place, options)
            .into_iter()
            .map(|it| groups[it].size.max.saturating_sub(groups[it].size.target))
            .sum();
        let (per_scale_up, total) = (options.max_nodes_per_scale_up, options.max_nodes_total);
        let limit = NodeLimit::of(per_scale_up, room, total, node_count);
        let estimated = estimate_for(cluster, group, waiting, &takes[place], limit);
        if estimated.node_count > 0 && estimated.scheduled_count() > 0 {
            let option = option(group, waiting, &estimated);
            found.push(Expansion { group: place, option, scheduled: estimated.scheduled });
        }
    }
    found
}

/// The pods that still wait when those that fit on nodes that are there, or on their way
/// (`upcoming`, by group), are taken off.
pub fn left_over<'a>(
    cluster: &SchedulerCache,
    groups: &[NodeGroup],
    upcoming: &[usize],
    waiting: &[WaitingPods<'a>],
) -> Vec<WaitingPods<'a>> {
    let on_their_way: Vec<(NodeTemplate<'_>, usize)> =
        groups.iter().zip(upcoming).map(|(group, count)| (group.as_template(), *count)).collect();
    let pending: Vec<PendingGroup> = waiting
        .iter()
        .map(|pods| PendingGroup {
            zone: pods.zone.clone(),
            ..PendingGroup::new(pods.shape, pods.count, pods.spec, &Node::default())
        })
        .collect();
    let mut left = waiting.to_vec();
    for (pods, placed) in left.iter_mut().zip(find_room(cluster, &on_their_way, &pending)) {
        pods.count -= placed;
    }
    left
}

/// Which kinds of pods a fresh node of each group would take.
fn all_takes(
    cluster: &SchedulerCache,
    groups: &[NodeGroup],
    waiting: &[WaitingPods<'_>],
) -> Vec<Vec<bool>> {
    groups.iter().map(|group| takes_of(cluster, group, waiting)).collect()
}

/// Which kinds of pods a fresh node of the group would take (`SchedulablePodGroups`).
fn takes_of(cluster: &SchedulerCache, group: &NodeGroup, waiting: &[WaitingPods<'_>]) -> Vec<bool> {
    let template = group.as_template();
    let takes =
        |pods: &WaitingPods<'_>| can_take(cluster, template, pods.shape, pods.zone.as_deref());
    waiting.iter().map(takes).collect()
}

fn estimate_for(
    cluster: &SchedulerCache,
    group: &NodeGroup,
    waiting: &[WaitingPods<'_>],
    takes: &[bool],
    limit: NodeLimit,
) -> Estimate {
    let pending: Vec<PendingGroup> = waiting
        .iter()
        .zip(takes)
        .map(|(pods, takes)| PendingGroup {
            zone: pods.zone.clone(),
            // Pods that no node of the group would take are not looked at.
            ..PendingGroup::new(
                pods.shape,
                if *takes { pods.count } else { 0 },
                pods.spec,
                &group.template,
            )
        })
        .collect();
    estimate(cluster, group.as_template(), &pending, limit)
}

fn option(group: &NodeGroup, waiting: &[WaitingPods<'_>], estimated: &Estimate) -> ExpansionOption {
    let requested = |resource: &str| -> i64 {
        let each = waiting.iter().zip(&estimated.scheduled).map(|(pods, count)| {
            let requests = pods.spec.containers.iter().filter_map(|it| it.requests.get(resource));
            requests.sum::<i64>() * *count as i64
        });
        each.sum()
    };
    ExpansionOption {
        group: group.name.clone(),
        node_count: estimated.node_count,
        capacity: group.facts.capacity.clone(),
        pod_count: estimated.scheduled_count(),
        requested_cpu_millis: requested(ResourceList::CPU),
        requested_memory_bytes: requested(ResourceList::MEMORY),
    }
}

/// The group and, when groups are balanced, those similar to it that take the same pods and may grow.
fn sharers(
    groups: &[NodeGroup],
    takes: &[Vec<bool>],
    chosen: usize,
    options: &Options,
) -> Vec<usize> {
    let ratios = SimilarityRatios::default();
    let shares = |idx: &usize| {
        let (one, other) = (&groups[chosen], &groups[*idx]);
        let takes_all = takes[chosen].iter().zip(&takes[*idx]).all(|(one, other)| !one || *other);
        options.balances_similar_groups
            && *idx != chosen
            && other.may_grow
            && takes_all
            && are_similar(&one.facts, &other.facts, &ratios)
    };
    std::iter::once(chosen).chain((0..groups.len()).filter(shares)).collect()
}

/// `GetCappedNewNodeCount`: `--max-nodes-total` (0: any number) bounds the cluster.
fn capped(new_nodes: usize, node_count: usize, max_total: i64) -> Option<usize> {
    let room = match usize::try_from(max_total) {
        Ok(max) if max > 0 => max.saturating_sub(node_count),
        _ => new_nodes,
    };
    Some(new_nodes.min(room)).filter(|count| *count > 0)
}

impl NodeGroup {
    /// A group that makes nodes like `template`, whose name is the group's, each with pods of these
    /// DaemonSets: what they request.
    ///
    /// Simplified: nothing of a machine is reserved, so that its capacity is what pods may request.
    pub fn new(template: Node, size: GroupSize, daemons: &[(ShapeId, &ResourceList)]) -> Self {
        let mut requested = ResourceList::default();
        for (name, amount) in daemons.iter().flat_map(|(_, requests)| &requests.0) {
            *requested.0.entry(name.clone()).or_default() += amount;
        }
        Self {
            name: template.name.clone(),
            size,
            facts: TemplateFacts {
                labels: template.labels.clone(),
                capacity: template.allocatable.clone(),
                allocatable: template.allocatable.clone(),
                requested,
            },
            daemon_set_pods: daemons.iter().map(|(shape, _)| *shape).collect(),
            template,
            may_grow: true,
        }
    }

    fn as_template(&self) -> NodeTemplate<'_> {
        NodeTemplate { node: &self.template, daemon_set_pods: &self.daemon_set_pods }
    }
}
