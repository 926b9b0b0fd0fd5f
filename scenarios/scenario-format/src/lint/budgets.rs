//! Disruption budgets: W0105, W0106.

use model_api::kube::{IntOrPercent, PodDisruptionBudget, Workload};

use super::Lint;
use crate::diagnostic::{Code, Diagnostic};

impl Lint<'_> {
    pub(super) fn budgets(&mut self) {
        for budget in &self.manifests.budgets {
            let object = self.manifests.object(budget);
            let replicas: u32 = self
                .workloads()
                .filter(|(workload, _)| {
                    protects(&budget.value, workload) && workload.kind.has_scale()
                })
                .map(|(workload, _)| workload.replicas)
                .fold(0, u32::saturating_add);
            if replicas > 0 && allowed(&budget.value, replicas) == 0 {
                let path = match (budget.value.min_available, budget.value.max_unavailable) {
                    (Some(_), _) => "spec.minAvailable",
                    (None, Some(_)) => "spec.maxUnavailable",
                    (None, None) => "spec",
                };
                let message = format!(
                    "{} never allows an eviction: all of {replicas} pods must stay",
                    object.title()
                );
                self.warn(Code::W0105, object, path, message);
            }
        }
        for (workload, _) in self.workloads() {
            let budgets = self.manifests.budgets.iter();
            let mut protecting = budgets.filter(|budget| protects(&budget.value, workload));
            let (Some(first), Some(second)) = (protecting.next(), protecting.next()) else {
                continue;
            };
            let object = self.manifests.object(second);
            let other = self.manifests.object(first);
            let message = format!(
                "{} selects pods of {}/{}, which {} selects too",
                object.title(),
                workload.namespace,
                workload.name,
                other.title()
            );
            self.push(
                object,
                Diagnostic::new(Code::W0106, object.span("spec.selector"), message)
                    .label("the eviction API refuses pods with two budgets")
                    .related(other.span("spec.selector"), "the other one"),
            );
        }
    }
}

fn protects(budget: &PodDisruptionBudget, workload: &Workload) -> bool {
    budget.namespace == workload.namespace
        && budget.selector.as_ref().is_some_and(|it| it.matches(&workload.template.labels))
}

/// Evictions allowed while all pods are healthy (`pkg/controller/disruption/disruption.go`,
/// getExpectedPodCount: percentages are rounded up).
fn allowed(budget: &PodDisruptionBudget, replicas: u32) -> i64 {
    let replicas = i64::from(replicas);
    let amount = |value: IntOrPercent| match value {
        IntOrPercent::Int(count) => i64::from(count),
        IntOrPercent::Percent(percent) => (replicas * i64::from(percent) + 99) / 100,
    };
    match (budget.min_available, budget.max_unavailable) {
        (Some(min), _) => (replicas - amount(min)).max(0),
        (None, Some(max)) => amount(max),
        // Neither: the controller expects no pods, and allows nothing.
        (None, None) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_round_up() {
        let min = |value| PodDisruptionBudget { min_available: Some(value), ..Default::default() };
        let max =
            |value| PodDisruptionBudget { max_unavailable: Some(value), ..Default::default() };
        let cases = [
            (min(IntOrPercent::Int(1)), 2, 1),
            (min(IntOrPercent::Int(2)), 2, 0),
            (min(IntOrPercent::Percent(50)), 3, 1),
            (min(IntOrPercent::Percent(100)), 3, 0),
            (max(IntOrPercent::Int(0)), 3, 0),
            (max(IntOrPercent::Percent(1)), 3, 1),
            (max(IntOrPercent::Percent(0)), 3, 0),
            (PodDisruptionBudget::default(), 3, 0),
        ];
        for (budget, replicas, expected) in cases {
            assert_eq!(allowed(&budget, replicas), expected, "{budget:?}");
        }
    }
}
