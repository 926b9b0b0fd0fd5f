//! Scheduling gates.

use model_api::Observation as O;
use model_api::observation::UnschedulableReason;

use crate::world::World;

#[test]
fn gated_pods_wait_until_somebody_removes_their_gates() {
    let world = World::read(
        "nodes 1 per zone a
         deployment web 2 gated
         deployment free 1
         at 100 lift gates web
         at 200 scale web 3
         at 300 keep gates web
         at 400 scale web 4",
    );
    let web = world.workload("web");
    let run = world.run(1, 86_400);
    let is_gated = |seen: &O| {
        let reason = UnschedulableReason::SchedulingGates;
        matches!(seen, O::PodBecameUnschedulable { reason: it, .. } if *it == reason)
    };
    let secs = |times: Vec<f64>| times.into_iter().map(|at| at as u32).collect::<Vec<u32>>();
    assert_eq!(secs(run.times(is_gated)), [0, 0, 400]);
    let is_bound = |seen: &O| matches!(seen, O::PodBound { workload, .. } if *workload == web);
    assert_eq!(secs(run.times(is_bound)), [100, 100, 200]);
    assert!(run.simulation.stats().handled_count < 100, "pods that wait cost nothing");
}

/// Gates come before everything else: pods that have one are no reason for nodes to come, and preempt
/// nobody.
#[test]
fn gated_pods_ask_for_nothing() {
    let run = World::read(
        "nodes 1 per zone a
         group a 1 from 1 to 5
         autoscaler
         deployment low 12 cpu=1000 priority=0
         deployment high 8 cpu=1000 priority=1000 gated",
    )
    .run(1, 3600);
    assert!(run.times(|seen| matches!(seen, O::PodDeletionRequested { .. })).is_empty());
    assert!(run.times(|seen| matches!(seen, O::NodeBecameReady { .. })).is_empty());
}
