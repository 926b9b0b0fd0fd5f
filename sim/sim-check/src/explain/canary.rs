//! What becomes of a revision that is tried, in words.

use model_api::canary::{Canary, MetricKind};
use model_api::observation::{CanaryFact, CanaryFailure};
use model_api::{SimSpan, SourceRef, WorkloadId};

use super::Story;

impl<E> Story<'_, E> {
    /// A fact about a revision, with the field of its `Canary` that has it so.
    pub(super) fn canary_sentence(
        &self,
        id: WorkloadId,
        fact: CanaryFact,
    ) -> (String, Option<SourceRef>) {
        let name = self.blueprint.workload_name(id);
        let spec = self.blueprint.canaries.iter().find(|canary| canary.target == id);
        let field = |path: &str| spec.map(|canary| canary.origin.of(path));
        match fact {
            CanaryFact::Started => {
                (format!("the new version of {name} starts as a canary"), field("spec.analysis"))
            }
            CanaryFact::Restarted => {
                let text = format!("another version of {name}: its trial begins anew");
                (text, field("spec.analysis"))
            }
            CanaryFact::Routed { is_mirrored: true, .. } => {
                let text = format!("requests are copied to the new version of {name}");
                (text, field("spec.analysis.mirror"))
            }
            CanaryFact::Routed { weight, .. } => {
                let text = format!("the new version of {name} answers {weight} % of the requests");
                (text, spec.map(weight_field))
            }
            CanaryFact::CheckFailed { metric, value, failed_count } => {
                let allowed = spec.map_or(1, |canary| canary.analysis.effective_threshold());
                let text = format!(
                    "check {failed_count} of {allowed} of the new version of {name} fails: {}",
                    measured(metric, value)
                );
                (text, field("spec.analysis.metrics"))
            }
            CanaryFact::Promoted => {
                let text = format!("the new version of {name} has passed: the primary gets it");
                (text, field("spec.analysis"))
            }
            CanaryFact::Succeeded => {
                let text = format!("the primary of {name} runs the new version; its canary stops");
                (text, field("spec.analysis"))
            }
            CanaryFact::RolledBack { reason: CanaryFailure::Checks } => {
                let text = format!("{name} is rolled back: too many checks failed");
                (text, field("spec.analysis.threshold"))
            }
            CanaryFact::RolledBack { reason: CanaryFailure::ProgressDeadline } => {
                let text = format!("{name} is rolled back: its pods are not there in time");
                (text, field("spec.progressDeadlineSeconds"))
            }
            CanaryFact::RolledBack { reason: CanaryFailure::PrimaryDeadline } => {
                let text = format!(
                    "{name} is rolled back: its primary has lacked pods for longer than it may"
                );
                (text, field("spec.progressDeadlineSeconds"))
            }
        }
    }
}

fn weight_field(canary: &Canary) -> SourceRef {
    let analysis = &canary.analysis;
    canary.origin.of(if analysis.effective_iterations() > 0 {
        "spec.analysis.iterations"
    } else if analysis.step_weight > 0 {
        "spec.analysis.stepWeight"
    } else {
        "spec.analysis.stepWeights"
    })
}

fn measured(metric: MetricKind, value: Option<i64>) -> String {
    match (metric, value) {
        (_, None) => "it gets no requests".to_owned(),
        (MetricKind::SuccessRate, Some(ppm)) => {
            format!("{}.{:02} % of its answers are good", ppm / 10_000, ppm % 10_000 / 100)
        }
        (MetricKind::Duration, Some(ns)) => {
            let span = SimSpan::from_nanos(ns.unsigned_abs());
            format!("1 % of its answers take longer than {span}")
        }
    }
}
