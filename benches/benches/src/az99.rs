//! The loss of a zone under a hundred autoscaled groups, a peer's workload.
//!
//! 99 nodes of 16 cores, 33 in each of three zones; 100 groups of 20 pods of half a core; a
//! constant load of ten pods' worth a group, target 60 %, so that 17 stay; the nodes of a zone go
//! an hour after the start. The 66 that are left have 1056 cores for 850 that are asked for, so
//! that an autoscaler of nodes would have nothing to do.

use model_api::fault::{Fault, FaultKind, FaultPlan, Start, ZonePick};
use model_api::kube::{
    HorizontalPodAutoscaler, MetricSource, MetricSpec, MetricTarget, ScaleTarget, TaintEffect,
    Toleration, TolerationOperator, WorkloadKind,
};
use model_api::observation::DeletionReason;
use model_api::{Blueprint, Observation, Origin, SimSpan, SimTime, ZoneId};
use platform::{Event, Plan};
use sim_kernel::Journal;

use crate::estate::{Estate, live_count};

const LOST_AT: SimTime = SimTime::from_secs(3600);
/// Five cores' worth of requests of 2 ms.
const RATE_MILLIRPS: u64 = 2_500_000;

/// What one run answered; times in seconds since the loss.
#[derive(Clone, Copy, Debug)]
pub struct Az99 {
    /// Pods that answered just before the loss.
    pub settled_count: usize,
    /// Scale events in the half hour before it.
    pub idle_rescale_count: u64,
    /// Scale events after it.
    pub late_rescale_count: u64,
    /// The first node was seen to be lost.
    pub first_not_ready_secs: Option<u64>,
    /// The first pod was evicted.
    pub first_evicted_secs: Option<u64>,
    /// The last pod was evicted.
    pub last_evicted_secs: Option<u64>,
    /// As many pods answered as before, and proxies knew it.
    pub recovered_secs: Option<u64>,
    /// Events of the run.
    pub event_count: u64,
}

/// Plays run number `run`.
///
/// # Panics
/// When the run reaches a limit, which two hours of this do not.
pub fn az99(run: u64) -> Az99 {
    let horizon = SimSpan::from_secs(7200);
    let plan = Plan::new(blueprint(), fault(), horizon).expect("nothing goes in a circle");
    let journal: Journal<Event, Observation> = Journal::new();
    let mut simulation = plan.simulation(1, run, journal);
    let outcome = simulation.run_until(LOST_AT - SimSpan::from_secs(1));
    assert!(outcome.is_complete(), "{outcome}");
    let settled_count = live_count(simulation.model());
    let outcome = simulation.run_until(plan.horizon());
    assert!(outcome.is_complete(), "{outcome}");
    let event_count = simulation.stats().handled_count;
    let (_, journal) = simulation.into_parts();
    let half_hour = LOST_AT - SimSpan::from_mins(30);
    let mut answer = Az99 {
        settled_count,
        idle_rescale_count: 0,
        late_rescale_count: 0,
        first_not_ready_secs: None,
        first_evicted_secs: None,
        last_evicted_secs: None,
        recovered_secs: None,
        event_count,
    };
    let mut live_by_service = vec![0_usize; 100];
    for record in journal.observations() {
        let secs = record.at.saturating_since(LOST_AT).as_secs();
        match record.observation {
            Observation::Rescaled { .. } if record.at >= LOST_AT => answer.late_rescale_count += 1,
            Observation::Rescaled { .. } if record.at >= half_hour => {
                answer.idle_rescale_count += 1;
            }
            Observation::NodeBecameNotReady { .. } => {
                answer.first_not_ready_secs.get_or_insert(secs);
            }
            Observation::PodDeletionRequested { reason: DeletionReason::Taint, .. } => {
                answer.first_evicted_secs.get_or_insert(secs);
                answer.last_evicted_secs = Some(secs);
            }
            Observation::EndpointsChanged { service, live_count, .. } => {
                live_by_service[service.index()] = live_count as usize;
                let live: usize = live_by_service.iter().sum();
                if record.at > LOST_AT && live < settled_count {
                    answer.recovered_secs = None;
                } else if record.at > LOST_AT {
                    answer.recovered_secs.get_or_insert(secs);
                }
            }
            _ => {}
        }
    }
    answer
}

fn blueprint() -> Blueprint {
    let estate = Estate { node_count: 99, service_count: 100, pod_count: 2_000 };
    let mut blueprint = estate.blueprint();
    blueprint.workloads.truncate(estate.service_count);
    for spec in &mut blueprint.nodes {
        spec.node.allocatable.0.insert("cpu".to_owned(), 16_000);
        spec.node.allocatable.0.insert("memory".to_owned(), 64 << 30);
    }
    for workload in &mut blueprint.workloads {
        // The peer knows no StatefulSet and no topology; nobody states a spread.
        if let WorkloadKind::StatefulSet { .. } = workload.kind {
            workload.kind = WorkloadKind::ReplicaSet;
        }
        let spec = &mut workload.template.spec;
        spec.topology_spread_constraints.clear();
        spec.tolerations = ["not-ready", "unreachable"].map(tolerates).to_vec();
        let requests = &mut spec.containers[0].requests.0;
        requests.insert("memory".to_owned(), 512 << 20);
        blueprint.autoscalers.push(HorizontalPodAutoscaler {
            namespace: workload.namespace.clone(),
            name: workload.name.clone(),
            target: ScaleTarget {
                kind: workload.kind.name().to_owned(),
                name: workload.name.clone(),
            },
            min_replicas: 1,
            max_replicas: 200,
            metrics: vec![MetricSpec {
                source: MetricSource::Resource { name: "cpu".to_owned() },
                target: MetricTarget::Utilization(60),
            }],
            behavior: None,
            origin: Origin::default(),
        });
    }
    for profile in &mut blueprint.profiles {
        profile.depends_on.clear();
    }
    for load in &mut blueprint.loads {
        load.points[0].rate_millirps = RATE_MILLIRPS;
    }
    blueprint
}

/// What admission adds to every pod (DefaultTolerationSeconds, 300 s).
fn tolerates(condition: &str) -> Toleration {
    Toleration {
        key: format!("node.kubernetes.io/{condition}"),
        operator: TolerationOperator::Exists,
        value: String::new(),
        effect: Some(TaintEffect::NoExecute),
        toleration: Some(SimSpan::from_secs(300)),
    }
}

fn fault() -> FaultPlan {
    let fault = Fault {
        name: "zone lost".to_owned(),
        kind: FaultKind::ZonePowerLoss { zone: ZonePick::Zone(ZoneId(0)) },
        start: Start::At(LOST_AT),
        duration: None,
        origin: Origin::default(),
    };
    FaultPlan { faults: vec![fault] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recovery_starts_when_tolerations_have_run_out_and_not_at_once() {
        let answer = az99(0);
        assert_eq!((answer.settled_count, answer.idle_rescale_count), (1_700, 0));
        let evicted = answer.first_evicted_secs.expect("pods are evicted");
        assert!((340..=370).contains(&evicted), "{answer:?}");
        assert!(answer.recovered_secs.is_some_and(|secs| secs > 600), "{answer:?}");
    }
}
