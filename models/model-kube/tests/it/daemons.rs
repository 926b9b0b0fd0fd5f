//! Daemons: pods that belong to their nodes.

use model_api::observation::DeletionReason;
use model_api::{NodeId, Observation};

use crate::world::World;

/// Times between one refusal and the next, in whole seconds.
fn gaps_of_refusals(text: &str, until_secs: u64) -> Vec<u64> {
    let run = World::read(text).run(1, until_secs);
    let refused = run.times(|it| matches!(it, Observation::PodRefused { .. }));
    refused.windows(2).map(|pair| (pair[1] - pair[0]) as u64).collect()
}

/// The only pod that uses the disk may not be evicted, so that the disk stays short. A daemon tolerates
/// the taint for that, and its kubelet takes nothing that is not critical.
const SHORT_OF_DISK: &str = "nodes 1 per zone a
    disk 1000
    deployment web 1 priority=2000000000
    fills web 100 grows=3600
    daemonset agent tolerant
    ";

#[test]
fn a_daemon_that_its_node_refuses_waits_twice_as_long_each_time() {
    let gaps = gaps_of_refusals(SHORT_OF_DISK, 3000);
    assert!(gaps.len() >= 9, "{gaps:?}");
    for (gap, wait) in gaps.iter().zip([1, 2, 4, 8, 16, 32, 64, 128, 256]) {
        assert!((wait..=wait + 2).contains(gap), "{gap} for {wait}: {gaps:?}");
    }
}

#[test]
fn another_controller_manager_has_forgotten_who_failed() {
    // Without members of a control plane nobody can be killed.
    let text = format!("{SHORT_OF_DISK} members a\n at 1000 kill controller-manager");
    let run = World::read(&text).run(1, 1060);
    let refused = run.times(|it| matches!(it, Observation::PodRefused { .. }));
    let later = refused.iter().filter(|at| **at > 1000.0).count();
    assert!(later >= 4, "waits begin at a second again: {refused:?}");
}

#[test]
fn under_pressure_of_memory_a_daemon_without_requests_is_taken() {
    // `TolerationsTolerateTaint` in the eviction manager's Admit.
    let text = "nodes 1 per zone a
        memory 1000
        deployment web 1 mem=100 priority=2000000000
        uses web 100 grows=3600
        daemonset agent best-effort tolerant";
    assert_eq!(gaps_of_refusals(text, 1500), [0_u64; 0]);
}

#[test]
fn a_daemon_of_higher_priority_preempts_on_its_own_node() {
    let text = "nodes 1 per zone a b
        deployment web 15 cpu=1000
        daemonset agent cpu=500 priority=1000";
    let world = World::read(text);
    let (web, agent) = (world.workload("web"), world.workload("agent"));
    let run = world.run(1, 300);
    let records = || run.simulation.recorder().observations().iter();
    let preempted = records().filter(|it| {
        let reason = DeletionReason::Preemption;
        matches!(it.observation, Observation::PodDeletionRequested { workload, reason: why, .. }
            if workload == web && why == reason)
    });
    assert_eq!(preempted.count(), 1, "one node has room");
    let cluster = run.cluster();
    let mut nodes: Vec<NodeId> =
        cluster.pods_of(agent).iter().filter_map(|pod| cluster.pod(*pod).node).collect();
    nodes.sort_unstable();
    assert_eq!(nodes, [NodeId(0), NodeId(1)]);
}

#[test]
fn a_daemon_that_is_no_more_important_waits() {
    let text = "nodes 1 per zone a
        deployment web 8 cpu=1000
        daemonset agent cpu=500";
    let run = World::read(text).run(1, 300);
    assert_eq!(run.times(|it| matches!(it, Observation::PodDeletionRequested { .. })), [0.0; 0]);
}

/// Daemons have no place of their own: a pod that waited for room takes that of one that is evicted,
/// until the taint of the pressure is there. That this goes away makes no room.
#[test]
fn a_daemon_whose_place_was_taken_waits_until_somebody_leaves() {
    let text = "nodes 1 per zone a
        memory 1000
        daemonset agent mem=300 tolerant
        deployment web 3 mem=300
        uses agent 300
        at 100 leak agent 3600
        at 400 mend
        at 1200 scale web 2";
    insta::assert_snapshot!(World::read(text).run(2, 1250).timeline(), @r"
     207.96 a-0 under pressure
     207.96 agent#0 (0) evicted from a-0
     207.96 agent#0 (0) not Ready: Evicted
     210.21 web#2 (3) bound to a-0
     210.24 agent#0 (0) deleted: ScaleDown
     210.24 agent#0 (0) gone
     210.26 agent#0 (4) created
     210.27 agent#0 (4) unschedulable: NodeResourcesFit
     211.04 web#2 (3) has images
     211.18 web#2 (3) started
     211.84 web#2 (3) Ready
     511.21 a-0 relieved
    1200.09 ReplicaSetScaled { workload: WorkloadId(1), revision: 0, replicas: 2 }
    1200.17 web#2 (3) deleted: ScaleDown
    1200.26 web#2 (3) not Ready: Terminating
    1202.76 web#2 (3) gone
    1202.76 agent#0 (4) bound to a-0
    1203.31 agent#0 (4) has images
    1203.48 agent#0 (4) started
    1204.14 agent#0 (4) Ready
    ");
}
