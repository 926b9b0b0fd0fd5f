//! Static stability: every control plane is frozen while something else is broken.

use model_api::fault::{Condition, ControlPlaneFault, Fault, FaultKind, Start};
use model_api::{FaultId, SimSpan};

/// Adds to each fault of machines, pods or load an outage of the API that begins with it and lasts
/// as long; until the end of the run, when it has no end. With the API, controllers, the scheduler,
/// autoscalers and operators of databases decide nothing.
pub(in super::super) fn freeze(faults: &mut Vec<Fault>) {
    for idx in 0..faults.len() {
        let fault = &faults[idx];
        if matches!(fault.kind, FaultKind::ControlPlane(_)) {
            continue;
        }
        let condition = Condition::FaultStarted(FaultId::from_index(idx));
        let frozen = Fault {
            name: format!("control plane frozen during {}", fault.name),
            kind: FaultKind::ControlPlane(ControlPlaneFault::ApiOutage),
            start: Start::When { condition, delay: SimSpan::ZERO },
            duration: fault.duration,
            origin: fault.origin.clone(),
        };
        faults.push(frozen);
    }
}
