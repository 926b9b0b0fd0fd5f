//! Rollouts that are asked of a Deployment while it is paused.

use model_api::action::Action;
use model_api::fault::{Fault, FaultKind, Start};
use model_api::kube::WorkloadKind;
use model_api::{SimTime, WorkloadId};

use super::super::Resolver;
use crate::diagnostic::{Code, Diagnostic};
use crate::document::FaultSpec;

impl Resolver<'_> {
    /// W0206.
    pub(super) fn question_paused_rollouts(&mut self, faults: &[Fault], specs: &[FaultSpec]) {
        for (fault, spec) in faults.iter().zip(specs) {
            let FaultKind::Action(Action::Rollout { workload, .. }) = &fault.kind else { continue };
            let deployment = &self.blueprint.workloads[workload.index()];
            let WorkloadKind::Deployment { is_paused, .. } = deployment.kind else { continue };
            if is_paused_then(faults, *workload, is_paused, fault.start) {
                let name = self.blueprint.workload_name(*workload);
                let message = format!(
                    "`{name}` is paused when `{}` asks it for a rollout: it gets the template and no pods of it",
                    fault.name
                );
                let help = "resume it before (`kubectl rollout restart` refuses this), or take `paused: true` away";
                let diagnostic = Diagnostic::new(Code::W0206, spec.span(), message);
                self.diagnostics.push(diagnostic.help(help));
            }
        }
    }
}

/// Whether a Deployment is sure to be paused at the start of something: where the times of all that
/// pauses or resumes it are stated.
fn is_paused_then(faults: &[Fault], of: WorkloadId, at_start: bool, then: Start) -> bool {
    let mut turns: Vec<(SimTime, bool)> = Vec::new();
    for fault in faults {
        let FaultKind::Action(Action::Hold { workload, is_held }) = fault.kind else { continue };
        if workload != of {
            continue;
        }
        let Start::At(at) = fault.start else { return false };
        turns.push((at, is_held));
        turns.extend(fault.duration.map(|duration| (at.saturating_add(duration), !is_held)));
    }
    let then = match then {
        Start::At(at) | Start::Within(at, _) => at,
        Start::When { .. } if turns.is_empty() => SimTime::ZERO,
        Start::When { .. } => return false,
    };
    turns.sort_by_key(|(at, _)| *at);
    turns.iter().rfind(|(at, _)| *at <= then).map_or(at_start, |(_, is_held)| *is_held)
}

#[cfg(test)]
mod tests {
    use model_api::{Origin, SimSpan};

    use super::*;

    fn hold(is_held: bool, start: Start, duration: Option<SimSpan>) -> Fault {
        let workload = WorkloadId::from_index(0);
        let kind = FaultKind::Action(Action::Hold { workload, is_held });
        Fault { name: "it".to_owned(), kind, start, duration, origin: Origin::default() }
    }

    #[test]
    fn only_what_is_paused_for_sure_is_said_to_be() {
        let at = |secs| Start::At(SimTime::from_secs(secs));
        let within = Start::Within(SimTime::from_secs(1), SimTime::from_secs(90));
        let of = WorkloadId::from_index(0);
        let minute = Some(SimSpan::from_mins(1));
        let cases = [
            (vec![], false, at(50), false),
            (vec![], true, at(50), true),
            (vec![hold(false, at(10), None)], true, at(50), false),
            (vec![hold(false, at(60), None)], true, at(50), true),
            (vec![hold(true, at(10), None)], false, at(50), true),
            (vec![hold(true, at(10), minute)], false, at(50), true),
            (vec![hold(true, at(10), minute)], false, at(80), false),
            // It resumes for a minute, and waits again.
            (vec![hold(false, at(10), minute)], true, at(80), true),
            (vec![hold(true, within, None)], false, at(95), false),
        ];
        for (faults, at_start, then, expected) in cases {
            assert_eq!(is_paused_then(&faults, of, at_start, then), expected, "{faults:?}");
        }
    }
}
