//! Static stability: every control plane is frozen while something else is broken.

use model_api::fault::{
    Condition, ControlPlaneFault, DataFault, Fault, FaultKind, Start, StorageFault,
};
use model_api::{FaultId, SimSpan};

/// Adds to each fault of machines, pods or load, the loss of a zone or region among them, an outage
/// of the API that begins with it and lasts as long; until the end of the run, when it has no end.
/// With the API, controllers, the scheduler, autoscalers and operators of databases decide nothing.
/// Where the platform asks the control plane of a cloud for something, that answers nothing either.
///
/// Actions go through the API, and what harms copies, keys and accounts only takes no machine away:
/// with both nothing is frozen.
pub(in super::super) fn freeze(faults: &mut Vec<Fault>, asks_cloud: bool) {
    for idx in 0..faults.len() {
        let fault = &faults[idx];
        if !takes_machines_or_load(&fault.kind) {
            continue;
        }
        let condition = Condition::FaultStarted(FaultId::from_index(idx));
        let frozen = |whose: &str, kind| Fault {
            name: format!("{whose} frozen during {}", fault.name),
            kind: FaultKind::ControlPlane(kind),
            start: Start::When { condition, delay: SimSpan::ZERO },
            duration: fault.duration,
            origin: fault.origin.clone(),
        };
        let of_cluster = frozen("control plane", ControlPlaneFault::ApiOutage);
        let of_cloud = frozen("control plane of the cloud", ControlPlaneFault::CloudApiOutage);
        faults.push(of_cluster);
        if asks_cloud {
            faults.push(of_cloud);
        }
    }
}

fn takes_machines_or_load(kind: &FaultKind) -> bool {
    match kind {
        FaultKind::ZonePowerLoss { .. }
        | FaultKind::ZoneIsolation { .. }
        | FaultKind::NodeCrash { .. }
        | FaultKind::NodeShutdown { .. }
        | FaultKind::PodCrash { .. }
        | FaultKind::BalancerMachineLoss { .. }
        | FaultKind::CacheCold { .. }
        | FaultKind::MemoryLeak { .. }
        | FaultKind::UsageLeak { .. }
        | FaultKind::NoCapacity { .. }
        | FaultKind::Instance(_)
        | FaultKind::LoadSpike { .. } => true,
        FaultKind::Data(fault) => {
            matches!(fault, DataFault::ZoneDestroyed { .. } | DataFault::RegionLoss)
        }
        FaultKind::Storage(fault) => matches!(fault, StorageFault::DiskLoss { .. }),
        FaultKind::Action(_)
        | FaultKind::ControlPlane(_)
        | FaultKind::Dns { .. }
        | FaultKind::SlowDns { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use model_api::action::Action;
    use model_api::fault::{NodePick, ZonePick};
    use model_api::{KeyId, NodeId, Origin, SimTime, WorkloadId};

    use super::*;

    fn frozen(kind: FaultKind) -> bool {
        let fault = Fault {
            name: "it".to_owned(),
            kind,
            start: Start::At(SimTime::ZERO),
            duration: None,
            origin: Origin::default(),
        };
        let mut faults = vec![fault];
        freeze(&mut faults, false);
        faults.len() > 1
    }

    #[test]
    fn the_control_plane_is_frozen_with_machines_only() {
        let zone = ZonePick::Random;
        assert!(frozen(FaultKind::ZonePowerLoss { zone }));
        assert!(frozen(FaultKind::NodeCrash { node: NodePick::Node(NodeId::from_index(0)) }));
        assert!(frozen(FaultKind::Data(DataFault::ZoneDestroyed { zone })));
        assert!(frozen(FaultKind::Data(DataFault::RegionLoss)));
        let key = KeyId::from_index(0);
        assert!(!frozen(FaultKind::Data(DataFault::KeyLoss { key })));
        assert!(!frozen(FaultKind::ControlPlane(ControlPlaneFault::ApiOutage)));
        let workload = WorkloadId::from_index(0);
        assert!(!frozen(FaultKind::Action(Action::Scale { workload, replicas: 3 })));
    }
}
