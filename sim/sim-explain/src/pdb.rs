//! What a disruption budget allows, and which eviction answers what.

use model_api::blueprint::Blueprint;
use model_api::kube::{PodDisruptionBudget, Workload};
use model_kube::disruption::{Admission, BudgetStatus, Demand, EvictionRequest, admit, status};
use report_data::{DecisionKind, DecisionReport, Program};

use crate::amount;
use crate::draft::{Draft, row};
use crate::placed::title;
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
    let pods = selected.iter().fold(0_u32, |sum, it| sum.saturating_add(it.replicas));
    let healthy = question.healthy.unwrap_or(pods);
    if healthy > pods {
        return Err(Refusal::new(format!("{healthy} pods are healthy of {pods} there are")));
    }
    let demand = Demand::of(budget);
    let count = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
    let got = status(demand, count(pods), count(pods), count(healthy));
    let mut draft = Draft::new(blueprint, program, DecisionKind::Pdb, names[idx].clone());
    sums(&mut draft, budget, demand, &selected, got);
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
    draft.answer(format!(
        "{} may go now: {} healthy, {} must stay",
        amount::count(got.disruptions_allowed, "pod"),
        got.current_healthy,
        got.desired_healthy,
    ));
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

fn sums(
    draft: &mut Draft<'_>,
    budget: &PodDisruptionBudget,
    demand: Demand,
    selected: &[&Workload],
    got: BudgetStatus,
) {
    let origin = &budget.origin;
    let pods = selected.iter().map(|it| format!("{} ({})", title(it), it.replicas));
    let pods: Vec<String> = pods.collect();
    let text = if pods.is_empty() { "nothing".to_owned() } else { pods.join(", ") };
    draft.step_at("selects", text, origin, "spec.selector");
    let how = match demand {
        Demand::Nothing => "it asks for nothing",
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
