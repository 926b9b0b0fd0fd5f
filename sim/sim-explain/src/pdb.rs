//! What a disruption budget allows, and which eviction answers what.

use model_api::blueprint::Blueprint;
use model_api::kube::{PodDisruptionBudget, Workload, WorkloadKind};
use model_kube::daemon_set::should_run;
use model_kube::disruption::{
    Admission, BudgetStatus, Covered, Demand, EvictionRequest, admit, status_of,
};
use report_data::{DecisionKind, DecisionReport, Program};

use crate::amount;
use crate::draft::{Draft, row};
use crate::placed::{nodes, title};
use crate::refusal::{Refusal, one_of};

/// Which budget, and how its pods are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PdbQuestion {
    /// Its name; the only one when there is none.
    pub name: Option<String>,
    /// Pods that are healthy; all when it is not said.
    pub healthy: Option<u32>,
}

/// Explains what a budget allows.
///
/// # Errors
/// When there is no such budget.
pub fn pdb(
    blueprint: &Blueprint,
    program: &Program,
    question: &PdbQuestion,
) -> Result<DecisionReport, Refusal> {
    let names = blueprint.budgets.iter().map(|it| format!("{}/{}", it.namespace, it.name));
    let names: Vec<String> = names.collect();
    let idx = one_of("PodDisruptionBudget", question.name.as_deref(), &names)?;
    let budget = &blueprint.budgets[idx];
    let selected: Vec<&Workload> =
        blueprint.workloads.iter().filter(|it| selects(budget, it)).collect();
    let counts: Vec<u32> = selected.iter().map(|it| pod_count(blueprint, it)).collect();
    let pods = counts.iter().fold(0_u32, |sum, it| sum.saturating_add(*it));
    let healthy = question.healthy.unwrap_or(pods);
    if healthy > pods {
        return Err(Refusal::new(format!("{healthy} pods are healthy of {pods} there are")));
    }
    let demand = Demand::of(budget);
    let mut left = healthy;
    let covered = selected.iter().zip(&counts).filter(|(_, count)| **count > 0);
    let covered = covered.map(|(workload, count)| {
        // Only their sum counts.
        let healthy_count = left.min(*count);
        left -= healthy_count;
        let (kind, replicas) = (&workload.kind, workload.replicas);
        (*workload, Covered { kind, replicas, pod_count: *count, healthy_count })
    });
    let (owners, covered): (Vec<&Workload>, Vec<Covered<'_>>) = covered.unzip();
    let synced = status_of(demand, &covered);
    let got = synced.unwrap_or_default();
    let mut draft = Draft::new(blueprint, program, DecisionKind::Pdb, names[idx].clone());
    let pods_of: Vec<(&Workload, u32)> = selected.iter().copied().zip(counts).collect();
    let scaleless = synced.err().map(|it| owners[it.place]);
    sums(&mut draft, budget, demand, &pods_of, got, scaleless);
    evictions(&mut draft, budget, &selected, got);
    let origin = &budget.origin;
    if selected.is_empty() {
        draft.step_at("warning", "it selects no pod of the input", origin, "spec.selector");
    } else if pods > 0 && got.disruptions_allowed == 0 && healthy == pods {
        let text =
            "it never allows an eviction, even with all pods healthy: nodes cannot be drained";
        let field = match demand {
            Demand::MinAvailable(_) => "spec.minAvailable",
            Demand::MaxUnavailable(_) => "spec.maxUnavailable",
            Demand::Nothing => "spec",
        };
        draft.step_at("warning", text, origin, field);
    }
    draft.answer(match scaleless {
        Some(owner) => format!(
            "0 pods may go, ever: the budget counts replicas, and {} has no /scale",
            title(owner)
        ),
        None => format!(
            "{} may go now: {} healthy, {} must stay",
            amount::count(got.disruptions_allowed, "pod"),
            got.current_healthy,
            got.desired_healthy,
        ),
    });
    let figures = [
        ("expectedPods", got.expected_pods),
        ("currentHealthy", got.current_healthy),
        ("desiredHealthy", got.desired_healthy),
        ("disruptionsAllowed", got.disruptions_allowed),
    ];
    figures.into_iter().for_each(|(name, value)| draft.figure(name, value));
    draft.note(
        "budgets bind evictions through the API only (drains, autoscalers): lost nodes, rollouts and deletions do not ask them, and preemption spares them where it can",
    );
    Ok(draft.finish())
}

fn selects(budget: &PodDisruptionBudget, workload: &Workload) -> bool {
    budget.namespace == workload.namespace
        && budget.selector.as_ref().is_some_and(|it| it.matches(&workload.template.labels))
}

/// Pods of a workload; a DaemonSet has one on every node that is there and that it may run on.
fn pod_count(blueprint: &Blueprint, workload: &Workload) -> u32 {
    if !matches!(workload.kind, WorkloadKind::DaemonSet { .. }) {
        return workload.replicas;
    }
    let spec = &workload.template.spec;
    let count = nodes(blueprint).filter(|(_, it)| should_run(spec, &it.node)).count();
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn sums(
    draft: &mut Draft<'_>,
    budget: &PodDisruptionBudget,
    demand: Demand,
    pods_of: &[(&Workload, u32)],
    got: BudgetStatus,
    scaleless: Option<&Workload>,
) {
    let origin = &budget.origin;
    let pods = pods_of.iter().map(|(it, count)| format!("{} ({count})", title(it)));
    let pods: Vec<String> = pods.collect();
    let text = if pods.is_empty() { "nothing".to_owned() } else { pods.join(", ") };
    draft.step_at("selects", text, origin, "spec.selector");
    if let Some(owner) = scaleless {
        let text = format!(
            "unknown: {} has no /scale to count, so the controller's sync fails and allows nothing (minAvailable as a number counts pods instead)",
            title(owner)
        );
        draft.step("expected", text);
        return;
    }
    let has_bare_pods = pods_of.iter().any(|(it, _)| matches!(it.kind, WorkloadKind::Pod));
    let how = match demand {
        Demand::Nothing => "it asks for nothing",
        _ if demand.counts_scale() && has_bare_pods => {
            "replicas of its controllers; a bare pod has none and adds 0"
        }
        _ if demand.counts_scale() => "replicas of its controllers",
        _ => "matching pods",
    };
    draft.step("expected", format!("{}: {how}", got.expected_pods));
    let (text, field) = match demand {
        Demand::MinAvailable(value) => (
            format!(
                "{} of {} must stay: {}",
                amount::share(value),
                got.expected_pods,
                got.desired_healthy
            ),
            "spec.minAvailable",
        ),
        Demand::MaxUnavailable(value) => (
            format!(
                "{} of {} may be missing: {} must stay",
                amount::share(value),
                got.expected_pods,
                got.desired_healthy
            ),
            "spec.maxUnavailable",
        ),
        Demand::Nothing => {
            let text = "neither minAvailable nor maxUnavailable is stated: nothing may go";
            (text.to_owned(), "spec")
        }
    };
    draft.step_at("desired", format!("{text} (shares round up)"), origin, field);
    // `updatePdbStatus` of pkg/controller/disruption/disruption.go.
    if got.expected_pods <= 0 {
        draft.step("allowed", "0: while no pod is expected, none may go");
        return;
    }
    let allowed = format!(
        "{} healthy - {} = {}",
        got.current_healthy, got.desired_healthy, got.disruptions_allowed
    );
    draft.step("allowed", format!("{allowed} (never below 0)"));
}

/// What the eviction API answers for pods of each workload, ready and not.
fn evictions(
    draft: &mut Draft<'_>,
    budget: &PodDisruptionBudget,
    selected: &[&Workload],
    got: BudgetStatus,
) {
    let all = &draft.blueprint.budgets;
    let mut rows = Vec::new();
    for workload in selected {
        let budget_count = all.iter().filter(|it| selects(it, workload)).count();
        let states =
            [("ready", false, true), ("not ready", false, false), ("Pending", true, false)];
        for (state, ignores_budgets, is_ready) in states {
            let request =
                EvictionRequest { ignores_budgets, is_ready, budget_count, disrupted_count: 0 };
            let answer = admit(request, budget.unhealthy_pods, Some(&got), true);
            let (http_status, text) = match answer {
                Admission::Free => (201, "goes; the budget is not charged".to_owned()),
                Admission::Charged => (201, format!("goes; {} left", got.disruptions_allowed - 1)),
                Admission::TooManyRequests => {
                    (429, "stays: the budget has nothing left".to_owned())
                }
                Admission::Forbidden => (403, "stays: the status cannot be used".to_owned()),
                Admission::SeveralBudgets => {
                    (500, format!("stays: {budget_count} budgets select it, and the API takes one"))
                }
            };
            rows.push(row([
                ("workload", format!("{}/{}", workload.namespace, workload.name).into()),
                ("pod", state.into()),
                ("httpStatus", http_status.into()),
                ("answer", text.into()),
            ]));
        }
    }
    let columns =
        [("workload", "workload"), ("pod", "pod"), ("httpStatus", "HTTP"), ("answer", "answer")];
    draft.table("evictions", "what an eviction of one pod is answered now", &columns, rows);
}
