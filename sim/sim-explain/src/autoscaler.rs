//! Which nodes come for pods that wait, and which nodes are not needed.

use std::collections::BTreeMap;

use model_api::blueprint::Blueprint;
use model_api::kube::{Node, ResourceList, WorkloadKind, scale_up_delay};
use model_api::{NodeId, PodId, SimSpan, SimTime};
use model_kube::cluster_autoscaler::{
    CandidateNode, DrainBudget, DrainPod, ExpansionOption, GroupSize, MovablePod, NodeGroup,
    NodeUtilization, Options, Owner, OwnerState, PodPhase, Removal, RemovalCandidate, RemovalGroup,
    UnremovableReason, UtilizationPod, WaitingPods, choose, expansions, ineligible_because,
    pods_to_move, removable_now, scale_up, unneeded_nodes, utilization,
};
use model_kube::daemon_set::should_run;
use model_kube::scheduling::pod_requests;
use report_data::{DecisionKind, DecisionReport, Program};

use crate::amount;
use crate::draft::{Draft, Row, row};
use crate::expanders;
use crate::placed::{Placed, workload_names};
use crate::refusal::{Refusal, one_of};
use crate::typed::PodCount;

const HOSTNAME: &str = "kubernetes.io/hostname";
/// The moment that is asked about: late enough for everything to have a past.
const NOW: SimTime = SimTime::from_days(365);

/// What waits, and how the autoscaler chooses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AutoscalerQuestion {
    /// More pods of workloads: those that find no node wait.
    pub pods: Vec<PodCount>,
    /// `--expander`, a chain with commas; without one the platform's, else `least-waste`.
    pub expander: Option<String>,
    /// Most nodes that may come at once; without it the platform's, else 1000.
    pub max_new_nodes: Option<u32>,
}

/// A node group, and the nodes that are there of it.
struct Group {
    facts: NodeGroup,
    nodes: Vec<NodeId>,
}

/// How far a group may grow of which nobody said how far: a scale-up is limited far below.
const ROOM_OF_GUESSED: usize = 100_000;

/// Explains what the cluster autoscaler would do.
///
/// # Errors
/// When there is no such workload or expander.
pub fn autoscaler(
    blueprint: &Blueprint,
    program: &Program,
    question: &AutoscalerQuestion,
) -> Result<DecisionReport, Refusal> {
    let spec = blueprint.cluster_autoscaler.as_ref();
    let mut options = spec.map_or_else(Options::default, Options::stated);
    if let Some(name) = &question.expander {
        let ranking = spec.and_then(|spec| spec.priorities.as_deref());
        options.expanders = expanders::chain(name, ranking)?;
    }
    if let Some(most) = question.max_new_nodes {
        options.max_nodes_per_scale_up = most.into();
    }
    let mut placed = Placed::filled(blueprint, None);
    let names = workload_names(blueprint);
    let is_expendable = |idx: &usize| {
        blueprint.workloads[*idx].template.spec.priority < options.expendable_priority_cutoff
    };
    placed.forget(is_expendable);
    let expendable: Vec<&str> =
        (0..names.len()).filter(is_expendable).map(|idx| names[idx].as_str()).collect();
    for PodCount { workload, count } in &question.pods {
        let idx = one_of("workload", Some(workload), &names)?;
        placed.put(idx, *count);
    }
    let causes_growth = |idx: usize| {
        let workload = &blueprint.workloads[idx];
        let is_daemon = matches!(workload.kind, WorkloadKind::DaemonSet { .. });
        !is_daemon && !is_expendable(&idx)
    };
    let waiting = placed.waiting.iter().copied().enumerate();
    let waiting: BTreeMap<usize, u32> =
        waiting.filter(|(idx, count)| *count > 0 && causes_growth(*idx)).collect();
    let node_count = placed.cache.present_nodes().len();
    let subject = format!("of {}", amount::count(node_count as i64, "node"));
    let mut draft = Draft::new(blueprint, program, DecisionKind::Autoscaler, subject);
    let groups = groups(&placed);
    let up = grow(&mut draft, &placed, &groups, &waiting, &options);
    let down = shrink(&mut draft, &placed, &groups, &options);
    draft.answer(format!("{up}; {down}"));
    if blueprint.node_groups.is_empty() {
        draft.note(
            "node groups are taken to be the nodes that are alike but for their names, one group a zone, of any size",
        );
    } else if spec.is_none() {
        draft.note(
            "the platform runs no cluster autoscaler: this is what one with default flags would do",
        );
    }
    if !expendable.is_empty() {
        draft.note(format!(
            "below priority {} pods count for nothing, neither as waiting nor on their nodes: {}",
            options.expendable_priority_cutoff,
            expendable.join(", ")
        ));
    }
    Ok(draft.finish())
}

/// The node groups of the platform; without any, those that its nodes look like.
fn groups(placed: &Placed<'_>) -> Vec<Group> {
    let blueprint = placed.blueprint;
    if blueprint.node_groups.is_empty() {
        return guessed_groups(placed);
    }
    let group = |spec: &model_api::machines::NodeGroup| {
        let first = spec.nodes.first().expect("a group has room for a node");
        let like = &blueprint.nodes[first.index()].node;
        let template = Node { name: spec.name.clone(), images: Vec::new(), ..like.clone() };
        let nodes = spec.nodes[..spec.initial as usize].to_vec();
        let size = GroupSize { min: spec.min as usize, max: spec.max(), target: nodes.len() };
        Group { facts: facts(placed, template, size), nodes }
    };
    blueprint.node_groups.iter().map(group).collect()
}

/// Nodes that are alike but for their names, in one zone.
fn guessed_groups(placed: &Placed<'_>) -> Vec<Group> {
    let blueprint = placed.blueprint;
    let plain = |node: &Node| {
        let mut node = node.clone();
        node.labels.remove(HOSTNAME);
        node.annotations.clear();
        node.name.clear();
        node
    };
    let mut alike: Vec<(Node, String, Vec<NodeId>)> = Vec::new();
    for (idx, spec) in blueprint.nodes.iter().enumerate().filter(|(_, it)| !it.is_control_plane) {
        let (node, id) = (plain(&spec.node), NodeId::from_index(idx));
        match alike.iter_mut().find(|(known, ..)| *known == node) {
            Some((_, name, nodes)) => {
                let common = name.chars().zip(spec.node.name.chars());
                *name = common.take_while(|(a, b)| a == b).map(|(a, _)| a).collect();
                nodes.push(id);
            }
            None => alike.push((node, spec.node.name.clone(), vec![id])),
        }
    }
    let groups = alike.into_iter().map(|(_, name, nodes)| {
        let like = &blueprint.nodes[nodes[0].index()].node;
        let name = name.trim_end_matches(['-', '.', '_']).to_owned();
        let target = nodes.len();
        let size = GroupSize { min: 0, max: target + ROOM_OF_GUESSED, target };
        Group { facts: facts(placed, Node { name, ..like.clone() }, size), nodes }
    });
    groups.collect()
}

fn facts(placed: &Placed<'_>, template: Node, size: GroupSize) -> NodeGroup {
    let workloads = placed.blueprint.workloads.iter().enumerate();
    let daemons = workloads.filter(|(_, workload)| {
        matches!(workload.kind, WorkloadKind::DaemonSet { .. })
            && should_run(&workload.template.spec, &template)
    });
    let daemons: Vec<_> = daemons
        .map(|(idx, workload)| (placed.shapes[idx], pod_requests(&workload.template.spec)))
        .collect();
    let daemons: Vec<_> = daemons.iter().map(|(shape, requests)| (*shape, requests)).collect();
    NodeGroup::new(template, size, &daemons)
}

/// What each group would do for the pods that wait; says what is done.
fn grow(
    draft: &mut Draft<'_>,
    placed: &Placed<'_>,
    groups: &[Group],
    waiting: &BTreeMap<usize, u32>,
    options: &Options,
) -> String {
    let blueprint = placed.blueprint;
    let pod_count: u32 = waiting.values().fold(0, |sum, count| sum.saturating_add(*count));
    draft.figure("podsWaiting", pod_count);
    if waiting.is_empty() {
        draft.figure("newNodes", 0);
        return "no pod waits, so no node comes".to_owned();
    }
    let mut pods = Vec::new();
    for (idx, count) in waiting {
        let workload = &blueprint.workloads[*idx];
        let spec = &workload.template.spec;
        let requests = amount::list(&pod_requests(spec));
        let text = format!("{count} of {}/{}: {requests} each", workload.namespace, workload.name);
        let field =
            workload.container_path(workload.only_container(|_| true), "resources.requests");
        draft.step_at("waits", text, &workload.origin, &field);
        let shape = placed.shapes[*idx];
        let delay = scale_up_delay(&workload.template.annotations);
        let delay = delay.and_then(Result::ok).unwrap_or_default();
        pods.push(WaitingPods { shape, spec, count: *count as usize, zone: None, delay });
    }
    let facts: Vec<NodeGroup> = groups.iter().map(|group| group.facts.clone()).collect();
    let found = expansions(&placed.cache, &facts, &pods, options);
    let offers: Vec<ExpansionOption> = found.iter().map(|it| it.option.clone()).collect();
    offers_table(draft, &facts, &offers);
    let mut tied = 1;
    let best = choose(&options.expanders, &offers, |count| {
        tied = count;
        0
    });
    expanders::ranks(draft, &options.expanders, &offers);
    let done = scale_up(&placed.cache, &facts, &pods, options, |_| 0);
    let (Some(best), Some(done)) = (best.map(|idx| &offers[idx]), done) else {
        draft.figure("newNodes", 0);
        return format!("{} wait, and no node comes", amount::count(pod_count, "pod"));
    };
    let grown = done.new_targets.iter().map(|(group, target)| {
        let facts = &facts[*group];
        (facts.name.as_str(), target - facts.size.target)
    });
    let grown: Vec<(&str, usize)> = grown.collect();
    let new_nodes: usize = grown.iter().map(|(_, count)| count).sum();
    draft.figure("newNodes", new_nodes);
    draft.figure("group", best.group.clone());
    let each: Vec<String> =
        grown.iter().map(|(name, count)| format!("{count} in {name}")).collect();
    // Groups that share the growth are not others.
    let others = match tied.saturating_sub(grown.len()) {
        0 => String::new(),
        count => format!(" (or as many from one of {count} equal groups, at random)"),
    };
    format!(
        "{} for {} of {}: {}{others}",
        if new_nodes == 1 { "1 node comes".to_owned() } else { format!("{new_nodes} nodes come") },
        done.helped.iter().sum::<usize>(),
        amount::count(pod_count, "waiting pod"),
        each.join(", "),
    )
}

fn offers_table(draft: &mut Draft<'_>, groups: &[NodeGroup], offers: &[ExpansionOption]) {
    let is_declared = !draft.blueprint.node_groups.is_empty();
    let rows = groups.iter().map(|group| {
        let offer = offers.iter().find(|offer| offer.group == group.name);
        let most = if is_declared { group.size.max.to_string() } else { "any".to_owned() };
        row([
            ("group", group.name.clone().into()),
            ("size", group.size.target.into()),
            ("max", most.into()),
            ("newNodes", offer.map_or(0, |offer| offer.node_count).into()),
            ("pods", offer.map_or(0, |offer| offer.pod_count).into()),
        ])
    });
    let rows = rows.collect();
    let columns = [
        ("group", "node group"),
        ("size", "nodes"),
        ("max", "at most"),
        ("newNodes", "new nodes"),
        ("pods", "pods placed"),
    ];
    draft.table("scaleUp", "what each node group would do for the pods that wait", &columns, rows);
}

/// What decisions look at of the pods of one node, owned.
struct OnNode {
    pods: Vec<PodId>,
    requests: Vec<ResourceList>,
}

/// What keeps each node; says which could go.
fn shrink(
    draft: &mut Draft<'_>,
    placed: &Placed<'_>,
    groups: &[Group],
    options: &Options,
) -> String {
    let blueprint = placed.blueprint;
    let allowed = placed.disruptions_allowed();
    let budgets: Vec<DrainBudget> = blueprint
        .budgets
        .iter()
        .zip(&allowed)
        .map(|(budget, allowed)| DrainBudget {
            namespace: budget.namespace.clone(),
            selector: budget.selector.clone(),
            disruptions_allowed: *allowed,
        })
        .collect();
    let mut rows: Vec<(Row, Option<String>)> = Vec::new();
    let (mut removals, mut places) = (Vec::new(), Vec::new());
    for (idx, spec) in placed.nodes() {
        let node = NodeId::from_index(idx);
        let is_autoscaled = groups.iter().any(|group| group.nodes.contains(&node));
        let pods = placed.cache.pods_on(node).to_vec();
        let requests =
            pods.iter().map(|pod| pod_requests(&workload_of(placed, *pod).template.spec)).collect();
        let on_node = OnNode { pods, requests };
        let (used, reason) = keeps(placed, is_autoscaled, &spec.node, &on_node, &budgets, options);
        let percent = used.map_or_else(String::new, |used| format!("{:.0} %", used.share * 100.0));
        let cells = row([
            ("node", spec.node.name.clone().into()),
            ("pods", on_node.pods.len().into()),
            ("utilization", percent.into()),
        ]);
        let reason = reason.map_err(|removal| {
            places.push(rows.len());
            removals.push(Removal { node, to_move: removal });
        });
        rows.push((cells, reason.ok()));
    }
    let needs = unneeded_nodes(&placed.cache, &removals, &allowed);
    for (place, reason) in &needs.needed {
        rows[places[*place]].1 = Some(format!("{reason:?}"));
    }
    let unneeded: Vec<&Removal> = needs.unneeded.iter().map(|place| &removals[*place]).collect();
    let removable = removable(groups, &unneeded, options);
    for place in (0..unneeded.len()).filter(|place| !removable.contains(place)) {
        let reason = format!("{:?}", UnremovableReason::NodeGroupMinSizeReached);
        rows[places[needs.unneeded[place]]].1 = Some(reason);
    }
    let rows = rows.into_iter().map(|(mut cells, reason)| {
        let answer = reason.unwrap_or_else(|| "not needed".to_owned());
        cells.insert("answer".to_owned(), answer.into());
        cells
    });
    let rows = rows.collect();
    let columns = [
        ("node", "node"),
        ("pods", "pods"),
        ("utilization", "requested"),
        ("answer", "stays because"),
    ];
    draft.table("scaleDown", "whether each node is needed", &columns, rows);
    draft.figure("nodesUnneeded", removable.len());
    if !options.scale_down_enabled {
        draft.step("scale-down", "disabled: no node goes");
        return "no node goes, because scale-down is disabled".to_owned();
    }
    let text = format!(
        "requests above {} % of a node keep it; others go when all their pods fit elsewhere, {} after that, empty ones first, at most {} at once and {} with pods",
        (options.utilization.threshold * 100.0).round(),
        amount::span(options.scale_down_unneeded_time),
        options.max_scale_down_parallelism,
        options.max_drain_parallelism
    );
    draft.step("scale-down", text);
    match removable.len() {
        0 => "no node could go".to_owned(),
        count => format!("{} could go", amount::count(count as i64, "node")),
    }
}

/// Which of the nodes that nothing needs may go when each has been unneeded for long: groups keep
/// their least size.
fn removable(groups: &[Group], unneeded: &[&Removal], options: &Options) -> Vec<usize> {
    let candidates = unneeded.iter().map(|removal| RemovalCandidate {
        group: groups.iter().position(|group| group.nodes.contains(&removal.node)),
        since: SimTime::ZERO,
        is_ready: true,
        is_kept_by_annotation: false,
        is_empty: removal.to_move.is_empty(),
    });
    let candidates: Vec<RemovalCandidate> = candidates.collect();
    let sizes = groups.iter().map(|group| {
        let GroupSize { min, target, .. } = group.facts.size;
        RemovalGroup { min, target, deletions: 0 }
    });
    removable_now(&candidates, &sizes.collect::<Vec<_>>(), options, NOW)
}

fn workload_of<'a>(placed: &Placed<'a>, pod: PodId) -> &'a model_api::kube::Workload {
    &placed.blueprint.workloads[placed.pods[pod.index()]]
}

/// What a node is used for, and why it stays; an error are the pods that would have to move.
fn keeps(
    placed: &Placed<'_>,
    is_autoscaled: bool,
    node: &Node,
    on_node: &OnNode,
    budgets: &[DrainBudget],
    options: &Options,
) -> (Option<NodeUtilization>, Result<String, Vec<MovablePod>>) {
    let controller = |pod: &PodId| workload_of(placed, *pod).kind.controller();
    let measured: Vec<UtilizationPod<'_>> = on_node
        .pods
        .iter()
        .zip(&on_node.requests)
        .map(|(pod, requests)| UtilizationPod {
            requests,
            owner_kind: controller(pod).map(|(_, kind)| kind),
            annotations: &workload_of(placed, *pod).template.annotations,
            deleted_at: None,
            grace: SimSpan::from_secs(30),
        })
        .collect();
    let candidate = CandidateNode {
        annotations: &node.annotations,
        taints: &node.taints,
        allocatable: &node.allocatable,
        accelerator: None,
        is_ready: true,
        is_autoscaled,
        is_recently_unremovable: false,
        pods: &measured,
    };
    let used = utilization(&candidate, &options.utilization, NOW);
    if let Some(reason) = ineligible_because(&candidate, &options.utilization, NOW) {
        return (used, Ok(format!("{reason:?}")));
    }
    let facts: Vec<DrainPod<'_>> = on_node
        .pods
        .iter()
        .map(|pod| {
            let workload = workload_of(placed, *pod);
            DrainPod {
                namespace: &workload.namespace,
                labels: &workload.template.labels,
                annotations: &workload.template.annotations,
                owner: controller(pod).map(|(group, kind)| Owner {
                    group,
                    kind,
                    state: OwnerState::Unknown,
                }),
                phase: PodPhase::Running,
                restart_policy: workload.template.spec.restart_policy,
                created_at: Some(SimTime::ZERO),
                deleted_at: None,
                grace: workload.template.spec.termination_grace,
                local_volumes: &workload.template.spec.local_volumes,
            }
        })
        .collect();
    let drain = pods_to_move(&facts, budgets, &options.drain, NOW);
    if let Some((place, obstacle)) = drain.blocked_by {
        let workload = workload_of(placed, on_node.pods[place]);
        let text = format!("{obstacle:?}: {}/{}", workload.namespace, workload.name);
        return (used, Ok(text));
    }
    let moved = drain.to_move.iter().map(|place| {
        let pod = on_node.pods[*place];
        let covering =
            budgets.iter().enumerate().filter(|(_, budget)| budget.covers(&facts[*place]));
        MovablePod {
            pod,
            shape: placed.shapes[placed.pods[pod.index()]],
            zone: None,
            budgets: covering.map(|(idx, _)| idx).collect(),
        }
    });
    (used, Err(moved.collect()))
}
