//! Canaries that cannot pass, and budgets that forget their primaries: W0172, W0173.

use model_api::canary::{Analysis, Canary, PRIMARY_SUFFIX};

use super::{Lint, listed};
use crate::diagnostic::{Code, Diagnostic};
use crate::manifest::Object;

impl Lint<'_> {
    pub(super) fn canaries(&mut self) {
        for canary in &self.manifests.canaries {
            let object = self.manifests.object(canary);
            self.forgotten_primary(&canary.value);
            self.never_promoted(&canary.value, object);
        }
    }

    /// W0172.
    fn forgotten_primary(&mut self, canary: &Canary) {
        let workload = |id: model_api::WorkloadId| &self.manifests.workloads[id.index()].value;
        let (target, primary) = (workload(canary.target), workload(canary.primary));
        for budget in &self.manifests.budgets {
            let Some(selector) = &budget.value.selector else { continue };
            let is_here = budget.value.namespace == target.namespace;
            let forgets = selector.matches(&target.template.labels)
                && !selector.matches(&primary.template.labels);
            if !is_here || !forgets {
                continue;
            }
            let object = self.manifests.object(budget);
            let message = format!(
                "{} protects pods that are tried, and not those of {}{PRIMARY_SUFFIX}, which answer requests",
                object.title(),
                target.name
            );
            let wanted = primary.selector.as_ref().map(|it| listed(&it.match_labels));
            let help = format!("select {}", wanted.unwrap_or_default());
            let span = object.span("spec.selector");
            self.push(object, Diagnostic::new(Code::W0172, span, message).help(help));
        }
    }

    /// W0173.
    fn never_promoted(&mut self, canary: &Canary, object: &Object) {
        let Some((path, why)) = halt(&canary.analysis) else { return };
        let message = format!("{} never promotes a version: {why}", object.title());
        self.push(object, Diagnostic::new(Code::W0173, object.span(path), message));
    }
}

/// The field that keeps an analysis from its end, and why.
fn halt(analysis: &Analysis) -> Option<(&'static str, &'static str)> {
    let iterates = analysis.effective_iterations() > 0;
    let has_steps = analysis.step_weight > 0 || !analysis.step_weights.is_empty();
    if analysis.is_skipped {
        return None;
    }
    if !iterates && !has_steps {
        return Some(("spec.analysis", "no stepWeight, stepWeights or iterations is stated"));
    }
    let is_mirrored = analysis.mirrors && analysis.can_mirror();
    if !iterates && analysis.mirrors && !is_mirrored {
        return Some((
            "spec.analysis.mirror",
            "its provider copies no requests, and it waits for that",
        ));
    }
    let gets_none = iterates && !is_mirrored && !analysis.has_load_test;
    (gets_none && !analysis.metrics.is_empty())
        .then_some(("spec.analysis.metrics", "its metrics look at requests, and it gets none"))
}
