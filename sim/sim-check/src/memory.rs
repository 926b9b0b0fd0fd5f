//! What became of pods that memory ran out for.

use std::collections::BTreeMap;

use model_api::observation::{EvictionReason, KillReason};
use model_api::usage::NodeResource;
use model_api::{Observation, WorkloadId};

/// The pods of a workload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryMeasures {
    /// Containers that were killed at their limit, or because their node had none left.
    pub kill_count: u32,
    /// Pods that a kubelet evicted.
    pub eviction_count: u32,
    /// Pods that a kubelet did not take.
    pub refusal_count: u32,
}

/// Takes notice of an observation about memory.
pub(crate) fn fold(measures: &mut BTreeMap<WorkloadId, MemoryMeasures>, observation: &Observation) {
    match *observation {
        Observation::ContainersKilled {
            workload,
            reason: KillReason::MemoryLimit | KillReason::NodeMemory,
            ..
        } => measures.entry(workload).or_default().kill_count += 1,
        Observation::PodEvicted {
            workload,
            reason: EvictionReason::Pressure(NodeResource::Memory),
            ..
        } => {
            measures.entry(workload).or_default().eviction_count += 1;
        }
        Observation::PodRefused { workload, resource: NodeResource::Memory, .. } => {
            measures.entry(workload).or_default().refusal_count += 1;
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use model_api::{NodeId, PodId};

    use super::*;

    #[test]
    fn probes_kill_for_other_reasons() {
        let (pod, workload, node) = (PodId(1), WorkloadId(2), NodeId(3));
        let killed = |reason| Observation::ContainersKilled { pod, workload, reason };
        let mut measures = BTreeMap::new();
        for seen in [
            killed(KillReason::LivenessProbe),
            killed(KillReason::MemoryLimit),
            killed(KillReason::NodeMemory),
            Observation::PodEvicted {
                pod,
                workload,
                node,
                reason: EvictionReason::Pressure(NodeResource::Memory),
            },
            Observation::PodEvicted { pod, workload, node, reason: EvictionReason::StorageLimit },
            Observation::PodRefused { pod, workload, node, resource: NodeResource::Memory },
            Observation::PodRefused { pod, workload, node, resource: NodeResource::Disk },
            Observation::PodRefused { pod, workload, node, resource: NodeResource::Processes },
        ] {
            fold(&mut measures, &seen);
        }
        let counts = MemoryMeasures { kill_count: 2, eviction_count: 1, refusal_count: 1 };
        assert_eq!(measures, BTreeMap::from([(workload, counts)]));
    }
}
