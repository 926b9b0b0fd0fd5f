//! Where a pod goes: per node the filter that refuses it, or the score of each plugin.

use std::collections::BTreeMap;

use model_api::NodeId;
use model_api::blueprint::Blueprint;
use model_api::kube::{PodSpec, UnsatisfiableAction, Workload, WorkloadKind};
use model_api::observation::UnschedulableReason as Filter;
use model_kube::daemon_set::should_run;
use model_kube::scheduling::{
    Attempt, Budget, Code, NodeReport, PluginScore, Refusal as NodeRefusal, ScorePlugin,
    pod_requests,
};
use report_data::{Datum, DecisionKind, DecisionReport, Program};

use crate::amount;
use crate::draft::{Draft, Row, row};
use crate::placed::{Placed, nodes, title, workload_of_pod};
use crate::refusal::Refusal;

/// Which pod, and what runs already.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScheduleQuestion {
    /// A pod, or the workload whose pod it is; the only workload when there is none.
    pub pod: Option<String>,
    /// Nothing else runs.
    pub on_empty: bool,
    /// Which pod of its workload it is, from 1; the last when there is none.
    pub replica: Option<u32>,
}

/// Explains where a pod goes.
///
/// # Errors
/// When there is no such pod.
pub fn schedule(
    blueprint: &Blueprint,
    program: &Program,
    question: &ScheduleQuestion,
) -> Result<DecisionReport, Refusal> {
    let idx = workload_of_pod(blueprint, question.pod.as_deref())?;
    let workload = &blueprint.workloads[idx];
    let own = own_nodes(blueprint, workload);
    let pod_count = own.as_ref().map_or(workload.replicas, |it| it.len() as u32);
    let replica = question.replica.unwrap_or(pod_count.max(1));
    if replica == 0 {
        return Err(Refusal::new("replicas are counted from 1"));
    }
    let mut placed = if question.on_empty {
        Placed::empty(blueprint)
    } else {
        Placed::filled(blueprint, Some((idx, replica - 1)))
    };
    let subject = format!("pod {replica} of {}", title(workload));
    let mut draft = Draft::new(blueprint, program, DecisionKind::Schedule, subject);
    wishes(&mut draft, &placed, idx);
    if let Some(name) = &workload.template.spec.node_name {
        bound(&mut draft, &placed, idx, name);
        return Ok(draft.finish());
    }
    let mut attempt = placed.attempt(idx);
    if let Some(own) = &own {
        let Some(node) = own.get(replica as usize - 1).copied() else {
            let nodes = amount::count(own.len() as i64, "node");
            return Err(Refusal::new(format!("the DaemonSet has a pod on {nodes}, and no more")));
        };
        // Each of its pods is there already, this one too.
        placed.take_off(idx, node);
        attempt.only_node = Some(node);
        let text = format!(
            "{}: the DaemonSet controller names it in the node affinity of the pod",
            placed.node_name(node)
        );
        draft.step_at("node", text, &workload.origin, "kind");
    }
    let reports = placed.cache.explain(attempt);
    let best = reports.iter().filter_map(NodeReport::total).max();
    match best {
        Some(best) => winner(&mut draft, &placed, &reports, best),
        None => nobody(&mut draft, &mut placed, attempt, &reports),
    }
    gates(&mut draft, workload);
    refusals(&mut draft, workload, &reports);
    tables(&mut draft, &placed, &reports, best);
    if let Some(text) = placed.who_waits().filter(|_| !question.on_empty) {
        draft.note(text);
    }
    if !question.on_empty {
        draft.note(
            "all other pods of the input were placed before it, of higher priority first, then in the order of the input (--empty: none)",
        );
    }
    Ok(draft.finish())
}

/// The nodes on which a DaemonSet has a pod; `None` of another workload.
fn own_nodes(blueprint: &Blueprint, workload: &Workload) -> Option<Vec<NodeId>> {
    let spec = &workload.template.spec;
    let own = || nodes(blueprint).filter(|(_, it)| should_run(spec, &it.node));
    matches!(workload.kind, WorkloadKind::DaemonSet { .. })
        .then(|| own().map(|(idx, _)| NodeId::from_index(idx)).collect())
}

/// A pod that names its node is bound to it when it is created, and only its kubelet checks it.
fn bound(draft: &mut Draft<'_>, placed: &Placed<'_>, workload_idx: usize, name: &str) {
    let workload = &placed.blueprint.workloads[workload_idx];
    let text = format!("{name}: the pod is bound already, the scheduler never sees it");
    draft.step_at("nodeName", text, &workload.origin, &workload.pod_path("nodeName"));
    draft.figure("node", name);
    let answer = match placed.admit(workload_idx, name) {
        None => format!("it names {name}, which does not exist: it never runs"),
        Some((_, Ok(()))) => {
            format!("{name} takes it: it names that node, and its kubelet has nothing against it")
        }
        Some((_, Err(check))) => {
            let text = "its kubelet looks at room, node affinity, host ports and taints of the \
                        effect NoExecute";
            let field = workload.filter_path(check);
            draft.step_at(format!("{check:?}"), text, &workload.origin, &field);
            format!(
                "it names {name}, whose kubelet does not take it ({check:?}): it fails, and its \
                 controller makes another one that fails as well"
            )
        }
    };
    draft.answer(answer);
}

/// Scheduling gates: the queue does not try the pod while it has one (plugin SchedulingGates).
fn gates(draft: &mut Draft<'_>, workload: &Workload) {
    let names = &workload.template.spec.scheduling_gates;
    if names.is_empty() {
        return;
    }
    let field = workload.pod_path("schedulingGates");
    let text = format!("{}: not tried while the pod has one", names.join(", "));
    draft.step_at("scheduling gates", text, &workload.origin, &field);
    draft.answer(format!(
        "it stays Pending (SchedulingGated) until somebody removes {}; then {}",
        names.join(", "),
        draft.answered()
    ));
}

/// What the pod asks for, field by field.
fn wishes(draft: &mut Draft<'_>, placed: &Placed<'_>, workload_idx: usize) {
    let workload = &placed.blueprint.workloads[workload_idx];
    let (spec, origin) = (&workload.template.spec, &workload.origin);
    let path = |field: &str| workload.pod_path(field);
    let requests = workload.container_path(workload.only_container(|_| true), "resources.requests");
    draft.step_at("requests", amount::list(&pod_requests(spec)), origin, &requests);
    if spec.priority != 0 {
        draft.step_at("priority", spec.priority.to_string(), origin, &path("priorityClassName"));
    }
    if !spec.node_selector.is_empty() {
        let labels = spec.node_selector.iter().map(|(key, value)| format!("{key}={value}"));
        let labels: Vec<String> = labels.collect();
        draft.step_at("node selector", labels.join(", "), origin, &path("nodeSelector"));
    }
    let affinity = &spec.affinity;
    let counted = [
        (
            "node affinity",
            affinity.node.required.is_some(),
            affinity.node.preferred.len(),
            "nodeAffinity",
        ),
        (
            "pod affinity",
            !affinity.pod_required.is_empty(),
            affinity.pod_preferred.len(),
            "podAffinity",
        ),
        (
            "pod anti-affinity",
            !affinity.pod_anti_required.is_empty(),
            affinity.pod_anti_preferred.len(),
            "podAntiAffinity",
        ),
    ];
    for (what, is_required, preferred_count, field) in counted {
        if is_required || preferred_count > 0 {
            let required = if is_required { "required terms" } else { "nothing required" };
            let text =
                format!("{required}, {}", amount::count(preferred_count as i64, "preferred term"));
            draft.step_at(what, text, origin, &path(&format!("affinity.{field}")));
        }
    }
    spreading(draft, placed, workload_idx, spec, &path("topologySpreadConstraints"));
}

fn spreading(
    draft: &mut Draft<'_>,
    placed: &Placed<'_>,
    workload_idx: usize,
    spec: &PodSpec,
    field: &str,
) {
    let origin = &placed.blueprint.workloads[workload_idx].origin;
    let mut counts = placed.cache.domain_counts(placed.shapes[workload_idx]).into_iter();
    for (idx, constraint) in spec.topology_spread_constraints.iter().enumerate() {
        let is_hard = constraint.when_unsatisfiable == UnsatisfiableAction::DoNotSchedule;
        let mut text = format!(
            "over {}: maxSkew {}, {}",
            constraint.topology_key,
            constraint.max_skew,
            if is_hard { "DoNotSchedule" } else { "ScheduleAnyway" }
        );
        if is_hard && let Some((_, domains)) = counts.next() {
            let each: Vec<String> =
                domains.iter().map(|(name, count)| format!("{name} {count}")).collect();
            let least = domains.iter().map(|(_, count)| *count).min().unwrap_or(0);
            text.push_str(&format!("; matching pods {}; the least is {least}", each.join(", ")));
            // `minMatchNum` of podtopologyspread/filtering.go.
            let wanted = constraint.min_domains.unwrap_or(1);
            if i64::from(wanted) > domains.len() as i64 {
                text.push_str(&format!(
                    ", which counts as 0: minDomains {wanted}, and there are {}",
                    domains.len()
                ));
            }
        }
        draft.step_at("spread", text, origin, &format!("{field}[{idx}]"));
    }
    if spec.topology_spread_constraints.is_empty() {
        draft.step(
            "spread",
            "built-in: over kubernetes.io/hostname (maxSkew 3) and topology.kubernetes.io/zone (maxSkew 5), ScheduleAnyway",
        );
    }
}

fn winner(draft: &mut Draft<'_>, placed: &Placed<'_>, reports: &[NodeReport], best: i64) {
    let tied: Vec<&str> = reports
        .iter()
        .filter(|report| report.total() == Some(best))
        .map(|report| placed.node_name(report.node))
        .collect();
    let passing = reports.iter().filter(|report| report.outcome.is_ok()).count();
    let of = format!("of {} nodes {passing} pass all filters", reports.len());
    draft.answer(match tied.as_slice() {
        [only] => format!("{only} takes it with a score of {best}; {of}"),
        [first, others @ ..] => format!(
            "{first} or one of {} more takes it: {} have the best score of {best}, and the scheduler draws; {of}",
            others.len(),
            amount::count(tied.len() as i64, "node"),
        ),
        [] => String::new(),
    });
    draft.figure("node", tied.first().copied().unwrap_or_default());
    draft.figure("tiedNodes", tied.join(" "));
    draft.figure("score", best);
    draft.figure("nodesPassing", passing);
    draft.figure("nodes", reports.len());
}

/// No node passes: what preemption would do.
fn nobody(
    draft: &mut Draft<'_>,
    placed: &mut Placed<'_>,
    attempt: Attempt,
    reports: &[NodeReport],
) {
    draft.figure("nodesPassing", 0);
    draft.figure("nodes", reports.len());
    let allowed = placed.disruptions_allowed();
    let budgets: Vec<Budget<'_>> = placed
        .blueprint
        .budgets
        .iter()
        .zip(&allowed)
        .map(|(budget, allowed)| Budget {
            namespace: &budget.namespace,
            selector: budget.selector.as_ref(),
            disruptions_allowed: *allowed,
            disrupted: &[],
        })
        .collect();
    let candidates = if placed.cache.may_preempt(attempt) {
        placed.cache.preemption_candidates(attempt, &budgets, &mut |_| 0)
    } else {
        Vec::new()
    };
    let best = placed.cache.best_candidate(candidates.clone(), &mut |_| 0);
    let Some(best) = best else {
        draft.answer(format!(
            "no node takes it: all {} are refused, and no pod of lower priority is in its way; it stays Pending",
            reports.len()
        ));
        return;
    };
    let victims = |pods: &[model_api::PodId]| {
        let names = pods.iter().map(|pod| {
            let workload = &placed.blueprint.workloads[placed.pods[pod.index()]];
            format!("{}/{}", workload.namespace, workload.name)
        });
        names.collect::<Vec<_>>().join(", ")
    };
    draft.answer(format!(
        "no node takes it as they are; it preempts {} on {} ({})",
        amount::count(best.victims.len() as i64, "pod"),
        placed.node_name(best.node),
        victims(&best.victims),
    ));
    draft.figure("nominatedNode", placed.node_name(best.node));
    let rows = candidates.iter().map(|candidate| {
        row([
            ("node", placed.node_name(candidate.node).into()),
            ("violations", candidate.violation_count.into()),
            ("victims", victims(&candidate.victims).into()),
        ])
    });
    let rows = rows.collect();
    let columns = [("node", "node"), ("violations", "budgets violated"), ("victims", "victims")];
    draft.table("preemption", "nodes that preemption could free", &columns, rows);
}

/// One step a filter that refuses nodes, with the field it reads.
fn refusals(draft: &mut Draft<'_>, workload: &Workload, reports: &[NodeReport]) {
    let mut by_filter: BTreeMap<Filter, (usize, BTreeMap<String, usize>)> = BTreeMap::new();
    for refusal in reports.iter().filter_map(|report| report.outcome.as_ref().err()) {
        let (count, reasons) = by_filter.entry(refusal.rejection.filter).or_default();
        *count += 1;
        for reason in &refusal.reasons {
            *reasons.entry(reason.clone()).or_default() += 1;
        }
    }
    for (filter, (count, reasons)) in by_filter {
        let reasons: Vec<String> =
            reasons.into_iter().map(|(reason, count)| format!("{reason} ({count})")).collect();
        let text =
            format!("refuses {}: {}", amount::count(count as i64, "node"), reasons.join(", "));
        let field = workload.filter_path(filter);
        draft.step_at(format!("{filter:?}"), text, &workload.origin, &field);
    }
}

fn tables(draft: &mut Draft<'_>, placed: &Placed<'_>, reports: &[NodeReport], best: Option<i64>) {
    let (mut passing, mut refused): (Vec<Row>, Vec<Row>) = (Vec::new(), Vec::new());
    let mut plugins: Vec<PluginScore> = Vec::new();
    for report in reports {
        let node = placed.node_name(report.node);
        let mut cells =
            row([("node", node.into()), ("zone", placed.zone_name(report.node).into())]);
        match &report.outcome {
            Ok(scores) => {
                for score in scores {
                    let datum = report_data::PluginScore {
                        raw: score.raw,
                        normalized: score.score,
                        weight: score.weight,
                    };
                    cells.insert(score.plugin.name().to_owned(), datum.into());
                }
                plugins.clone_from(scores);
                let total = report.total().unwrap_or_default();
                cells.insert("total".to_owned(), total.into());
                cells.insert("isBest".to_owned(), Datum::Truth(Some(total) == best));
                passing.push(cells);
            }
            Err(refusal) => {
                cells.extend(refusal_cells(refusal));
                refused.push(cells);
            }
        }
    }
    passing.sort_by_key(|cells| match cells.get("total") {
        Some(Datum::Number(total)) => -total,
        _ => 0,
    });
    let titles: Vec<(&str, String)> = plugins
        .iter()
        .map(|score| (score.plugin.name(), format!("{} x{}", short(score.plugin), score.weight)))
        .collect();
    let mut columns = vec![("node", "node"), ("total", "total")];
    columns.extend(titles.iter().map(|(name, title)| (*name, title.as_str())));
    let title = "nodes that pass (each plugin: its count: that as 0 to 100, times its weight)";
    draft.table("scores", title, &columns, passing);
    let columns = [("node", "node"), ("filter", "refused by"), ("reason", "because")];
    draft.table("refused", "nodes that are refused", &columns, refused);
}

fn refusal_cells(refusal: &NodeRefusal) -> Row {
    let code = match refusal.rejection.code {
        Code::Unschedulable => "Unschedulable",
        Code::UnschedulableAndUnresolvable => "UnschedulableAndUnresolvable",
    };
    row([
        ("filter", format!("{:?}", refusal.rejection.filter).into()),
        ("code", code.into()),
        ("reason", refusal.reasons.join(", ").into()),
    ])
}

/// A plugin's name in few letters.
const fn short(plugin: ScorePlugin) -> &'static str {
    match plugin {
        ScorePlugin::TaintToleration => "taints",
        ScorePlugin::NodeAffinity => "affinity",
        ScorePlugin::PodTopologySpread => "spread",
        ScorePlugin::InterPodAffinity => "pods",
        ScorePlugin::NodeResourcesFit => "fit",
        ScorePlugin::NodeResourcesBalancedAllocation => "balance",
        ScorePlugin::ImageLocality => "image",
    }
}
