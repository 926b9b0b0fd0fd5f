//! Which nodes come for pods that wait, and which nodes are not needed.

use std::collections::BTreeMap;

use model_api::blueprint::Blueprint;
use model_api::kube::{Labels, Node, ResourceList, WorkloadKind};
use model_api::{NodeId, PodId, SimSpan, SimTime};
use model_kube::cluster_autoscaler::{
    CandidateNode, DrainBudget, DrainPod, Expander, ExpansionOption, MovablePod, NodeLimit,
    NodeTemplate, NodeUtilization, Options, Owner, OwnerState, PendingGroup, PodPhase, Removal,
    UtilizationPod, best_options, can_take, estimate, ineligible_because, pods_to_move,
    unneeded_nodes, utilization,
};
use model_kube::daemon_set::should_run;
use model_kube::scheduling::{ShapeId, pod_requests};
use report_data::{DecisionKind, DecisionReport, Program};

use crate::amount;
use crate::draft::{Draft, Row, row};
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
    /// `--expander`: `least-waste` when there is none.
    pub expander: Option<String>,
    /// Most nodes that a group may get; any number when there is none.
    pub max_new_nodes: Option<u32>,
}

/// Nodes that are alike but for their names, in one zone.
struct Group {
    name: String,
    template: Node,
    size: usize,
    daemon_set_pods: Vec<ShapeId>,
}

/// Explains what the cluster autoscaler would do.
///
/// # Errors
/// When there is no such workload or expander.
pub fn autoscaler(
    blueprint: &Blueprint,
    program: &Program,
    question: &AutoscalerQuestion,
) -> Result<DecisionReport, Refusal> {
    let expander = expander(question.expander.as_deref())?;
    let mut placed = Placed::filled(blueprint, None);
    let names = workload_names(blueprint);
    for PodCount { workload, count } in &question.pods {
        let idx = one_of("workload", Some(workload), &names)?;
        placed.put(idx, *count);
    }
    let is_daemon =
        |idx: usize| matches!(blueprint.workloads[idx].kind, WorkloadKind::DaemonSet { .. });
    let waiting = placed.waiting.iter().copied().enumerate();
    let waiting: BTreeMap<usize, u32> =
        waiting.filter(|(idx, count)| *count > 0 && !is_daemon(*idx)).collect();
    let subject = format!("of {}", amount::count(blueprint.nodes.len() as i64, "node"));
    let mut draft = Draft::new(blueprint, program, DecisionKind::Autoscaler, subject);
    let groups = groups(&placed);
    let options = Options::default();
    let up = scale_up(&mut draft, &placed, &groups, &waiting, &expander, question.max_new_nodes);
    let down = scale_down(&mut draft, &placed, &options);
    draft.answer(format!("{up}; {down}"));
    draft.note(
        "node groups are taken to be the nodes that are alike but for their names, one group a zone",
    );
    draft.note("that pods use emptyDir or hostPath volumes is not looked at; each blocks the removal of its node");
    Ok(draft.finish())
}

fn expander(name: Option<&str>) -> Result<Expander, Refusal> {
    match name.unwrap_or("least-waste") {
        "least-waste" => Ok(Expander::LeastWaste),
        "most-pods" => Ok(Expander::MostPods),
        "least-nodes" => Ok(Expander::LeastNodes),
        "random" => Ok(Expander::Random),
        other => Err(Refusal {
            message: format!("there is no expander `{other}` to be explained"),
            help: Some("there are least-waste, most-pods, least-nodes and random".to_owned()),
        }),
    }
}

fn groups(placed: &Placed<'_>) -> Vec<Group> {
    let blueprint = placed.blueprint;
    let mut groups: Vec<Group> = Vec::new();
    let plain = |node: &Node| {
        let mut node = node.clone();
        node.labels.remove(HOSTNAME);
        node.name.clear();
        node
    };
    for spec in blueprint.nodes.iter().filter(|it| !it.is_control_plane) {
        let node = plain(&spec.node);
        match groups.iter_mut().find(|group| plain(&group.template) == node) {
            Some(group) => {
                let common = group.name.chars().zip(spec.node.name.chars());
                let same = common.take_while(|(a, b)| a == b).map(|(a, _)| a);
                group.name = same.collect();
                group.size += 1;
            }
            None => groups.push(Group {
                name: spec.node.name.clone(),
                template: spec.node.clone(),
                size: 1,
                daemon_set_pods: Vec::new(),
            }),
        }
    }
    for group in &mut groups {
        group.name = group.name.trim_end_matches(['-', '.', '_']).to_owned();
        let daemons = blueprint.workloads.iter().enumerate().filter(|(_, workload)| {
            matches!(workload.kind, WorkloadKind::DaemonSet { .. })
                && should_run(&workload.template.spec, &group.template)
        });
        group.daemon_set_pods = daemons.map(|(idx, _)| placed.shapes[idx]).collect();
    }
    groups
}

/// What each group would do for the pods that wait; says what is done.
fn scale_up(
    draft: &mut Draft<'_>,
    placed: &Placed<'_>,
    groups: &[Group],
    waiting: &BTreeMap<usize, u32>,
    expander: &Expander,
    max_new_nodes: Option<u32>,
) -> String {
    let blueprint = placed.blueprint;
    let pod_count: u32 = waiting.values().sum();
    draft.figure("podsWaiting", pod_count);
    if waiting.is_empty() {
        draft.figure("newNodes", 0);
        return "no pod waits, so no node comes".to_owned();
    }
    for (idx, count) in waiting {
        let workload = &blueprint.workloads[*idx];
        let requests = amount::list(&pod_requests(&workload.template.spec));
        let text = format!("{count} of {}/{}: {requests} each", workload.namespace, workload.name);
        let field =
            format!("{}.containers[0].resources.requests", crate::placed::pod_spec_path(workload));
        draft.step_at("waits", text, &workload.origin, &field);
    }
    let limit = max_new_nodes.map_or(NodeLimit::None, |most| NodeLimit::AtMost(most as usize));
    let (mut rows, mut options) = (Vec::new(), Vec::new());
    for group in groups {
        let template =
            NodeTemplate { node: &group.template, daemon_set_pods: &group.daemon_set_pods };
        let mut pending = Vec::new();
        let mut taken = Vec::new();
        for (idx, count) in waiting {
            let shape = placed.shapes[*idx];
            if can_take(&placed.cache, template, shape, None) {
                let spec = &blueprint.workloads[*idx].template.spec;
                pending.push(PendingGroup::new(shape, *count as usize, spec, &group.template));
                taken.push(*idx);
            }
        }
        let got = estimate(&placed.cache, template, &pending, limit);
        rows.push(row([
            ("group", group.name.clone().into()),
            ("size", group.size.into()),
            ("newNodes", got.node_count.into()),
            ("pods", got.scheduled_count().into()),
        ]));
        if got.node_count > 0 && got.scheduled_count() > 0 {
            options.push(option(blueprint, group, &taken, &got.scheduled, got.node_count));
        }
    }
    let best = best_options(expander, &options);
    draft.step(
        "expander",
        format!(
            "{expander:?} leaves {} of {}",
            best.len(),
            amount::count(options.len() as i64, "option")
        ),
    );
    let columns = [
        ("group", "node group"),
        ("size", "nodes"),
        ("newNodes", "new nodes"),
        ("pods", "pods placed"),
    ];
    draft.table("scaleUp", "what each node group would do for the pods that wait", &columns, rows);
    let Some(first) = best.first().map(|idx| &options[*idx]) else {
        draft.figure("newNodes", 0);
        return format!(
            "{} wait, and no new node of any group would take them",
            amount::count(pod_count, "pod")
        );
    };
    draft.figure("newNodes", first.node_count);
    draft.figure("group", first.group.clone());
    let others = match best.len() {
        1 => String::new(),
        count => format!(" or one of {} equal groups, at random,", count - 1),
    };
    format!(
        "{}{others} gets {} for {} of {}",
        first.group,
        amount::count(first.node_count as i64, "node"),
        first.pod_count,
        amount::count(pod_count, "waiting pod")
    )
}

fn option(
    blueprint: &Blueprint,
    group: &Group,
    taken: &[usize],
    scheduled: &[usize],
    node_count: usize,
) -> ExpansionOption {
    let mut option = ExpansionOption {
        group: group.name.clone(),
        node_count,
        capacity: group.template.allocatable.clone(),
        ..ExpansionOption::default()
    };
    for (idx, count) in taken.iter().zip(scheduled) {
        option.pod_count += count;
        let count = i64::try_from(*count).unwrap_or(i64::MAX);
        for container in &blueprint.workloads[*idx].template.spec.containers {
            let cpu = container.requests.cpu_millis().unwrap_or(0);
            let memory = container.requests.memory_bytes().unwrap_or(0);
            option.requested_cpu_millis += cpu.saturating_mul(count);
            option.requested_memory_bytes += memory.saturating_mul(count);
        }
    }
    option
}

/// What decisions look at of the pods of one node, owned.
struct OnNode {
    pods: Vec<PodId>,
    requests: Vec<ResourceList>,
}

/// What keeps each node; says which could go.
fn scale_down(draft: &mut Draft<'_>, placed: &Placed<'_>, options: &Options) -> String {
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
    for (idx, spec) in blueprint.nodes.iter().enumerate() {
        let node = NodeId::from_index(idx);
        let pods = placed.cache.pods_on(node).to_vec();
        let requests =
            pods.iter().map(|pod| pod_requests(&workload_of(placed, *pod).template.spec)).collect();
        let on_node = OnNode { pods, requests };
        let (used, reason) =
            keeps(placed, spec.is_control_plane, &spec.node, &on_node, &budgets, options);
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
    let unneeded = needs.unneeded.len();
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
    draft.figure("nodesUnneeded", unneeded);
    let text = format!(
        "requests above {} % of a node keep it; others go when all their pods fit elsewhere, {} after that, empty ones first, at most {} at once and {} with pods",
        (options.utilization.threshold * 100.0).round(),
        amount::span(options.scale_down_unneeded_time),
        options.max_scale_down_parallelism,
        options.max_drain_parallelism
    );
    draft.step("scale-down", text);
    match unneeded {
        0 => "no node could go".to_owned(),
        count => format!("{} could go", amount::count(count as i64, "node")),
    }
}

fn workload_of<'a>(placed: &Placed<'a>, pod: PodId) -> &'a model_api::kube::Workload {
    &placed.blueprint.workloads[placed.pods[pod.index()]]
}

/// What a node is used for, and why it stays; an error are the pods that would have to move.
fn keeps(
    placed: &Placed<'_>,
    is_control_plane: bool,
    node: &Node,
    on_node: &OnNode,
    budgets: &[DrainBudget],
    options: &Options,
) -> (Option<NodeUtilization>, Result<String, Vec<MovablePod>>) {
    let none = Labels::new();
    let owner_kind = |pod: &PodId| match workload_of(placed, *pod).kind {
        WorkloadKind::Pod => None,
        WorkloadKind::Deployment { .. } => Some("ReplicaSet"),
        ref kind => Some(kind.name()),
    };
    let measured: Vec<UtilizationPod<'_>> = on_node
        .pods
        .iter()
        .zip(&on_node.requests)
        .map(|(pod, requests)| UtilizationPod {
            requests,
            owner_kind: owner_kind(pod),
            annotations: &workload_of(placed, *pod).template.annotations,
            deleted_at: None,
            grace: SimSpan::from_secs(30),
        })
        .collect();
    let candidate = CandidateNode {
        annotations: &none,
        taints: &node.taints,
        allocatable: &node.allocatable,
        accelerator: None,
        is_ready: true,
        is_autoscaled: !is_control_plane,
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
                owner: owner_kind(pod).map(|kind| Owner {
                    group: "apps",
                    kind,
                    state: OwnerState::Unknown,
                }),
                phase: PodPhase::Running,
                restart_policy: workload.template.spec.restart_policy,
                created_at: Some(SimTime::ZERO),
                deleted_at: None,
                grace: workload.template.spec.termination_grace,
                local_volumes: &[],
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
