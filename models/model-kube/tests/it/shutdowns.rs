//! Machines that shut down in order.

use model_api::machines::ShutdownGrace;
use model_api::observation::EvictionReason;
use model_api::{NodeId, Observation as O};
use sim_kernel::SimSpan;

use crate::world::{Run, World};

/// Runs a script on nodes whose kubelets have 60 s, 10 of them for critical pods.
fn run(script: &str) -> Run {
    let mut world = World::read(script);
    for node in &mut world.blueprint.nodes {
        node.shutdown_grace = ShutdownGrace {
            total: SimSpan::from_secs(60),
            critical: SimSpan::from_secs(10),
            by_priority: Vec::new(),
        };
    }
    world.run(1, 2000)
}

fn ended(run: &Run) -> Vec<f64> {
    let reason = EvictionReason::NodeShutdown;
    run.times(|seen| matches!(seen, O::PodEvicted { reason: it, .. } if *it == reason))
}

/// One node, so that everything is on it.
const ONE: &str = "nodes 1 per zone a";

#[test]
fn groups_end_one_after_the_other_and_then_the_machine_is_off() {
    let run = run(&format!(
        "{ONE}
         deployment web 2
         deployment core 1 priority=2000000000
         at 100 shut-down node a-0"
    ));
    let ended = ended(&run);
    assert_eq!(ended[..2], [100.0; 2], "those of low priority first");
    assert!(ended.len() == 3 && ended[2] > 100.5 && ended[2] < 110.0, "{ended:?}");
    let not_ready = run.times(|seen| matches!(seen, O::NodeBecameNotReady { .. }));
    assert_eq!(not_ready, [100.0], "the kubelet says so itself, once");
    let lost = run.times(|seen| matches!(seen, O::NodeLost { .. }));
    assert!(lost.len() == 1 && lost[0] > ended[2] && lost[0] < 115.0, "{lost:?}");
    // Controllers replace what failed at once, and nothing is evicted by taints.
    let created = run.times(|seen| matches!(seen, O::PodCreated { .. }));
    let later: Vec<f64> = created.into_iter().filter(|at| *at > 0.0).collect();
    assert!(later.len() == 3 && later.iter().all(|at| *at < 115.0), "{later:?}");
    assert!(run.times(|seen| matches!(seen, O::PodDeletionRequested { .. })).is_empty());
}

#[test]
fn a_group_is_waited_for_no_longer_than_its_period() {
    let mut world = World::read(&format!(
        "{ONE}
         deployment web 1
         at 100 shut-down node a-0
         at 101 restore node a-0"
    ));
    // It goes on serving for longer than the group has.
    let spec = &mut world.blueprint.workloads[0].template.spec;
    spec.termination_grace = SimSpan::from_secs(600);
    spec.containers[0].lifecycle.pre_stop = Some(SimSpan::from_secs(500));
    world.blueprint.nodes[0].shutdown_grace.total = SimSpan::from_secs(30);
    let run = world.run(1, 2000);
    let lost = run.times(|seen| matches!(seen, O::NodeLost { .. }));
    assert!(lost.len() == 1 && (129.9..133.1).contains(&lost[0]), "{lost:?}");
    let back = run.times(|seen| matches!(seen, O::NodeRestored { .. }));
    assert!(back.len() == 1 && back[0] > lost[0] + 59.0, "it boots when it is off: {back:?}");
    let ready = run.times(|seen| matches!(seen, O::NodeBecameReady { .. }));
    assert_eq!(ready.len(), 1);
    assert!(run.cluster().is_node_ready(NodeId(0)));
}

#[test]
fn a_stateful_pod_moves_at_once_where_a_crash_would_hold_it() {
    let started = |verb: &str| {
        let run = run(&format!(
            "nodes 2 per zone a
             statefulset db 2 tolerate=300
             at 100 {verb} node a-0"
        ));
        let started = run.times(|seen| matches!(seen, O::PodStarted { .. }));
        started.into_iter().filter(|at| *at > 0.0).collect::<Vec<f64>>()
    };
    let (orderly, crash) = (started("shut-down"), started("lose"));
    assert!(!orderly.is_empty() && orderly.iter().all(|at| *at < 150.0), "{orderly:?}");
    assert!(crash.is_empty(), "its pod stays Terminating: {crash:?}");
}

#[test]
fn a_reboot_after_a_drain_ends_daemons_in_order() {
    let run = run("nodes 1 per zone a b
         daemonset agent
         deployment web 2 spread
         at 100 upgrade a-0");
    let ended = ended(&run);
    assert_eq!(ended.len(), 1, "the drain left it alone: {ended:?}");
    let uncordoned = run.times(|seen| matches!(seen, O::NodeUncordoned { .. }));
    assert!(uncordoned.len() == 1 && uncordoned[0] > ended[0] + 60.0, "{uncordoned:?}");
    assert!(run.cluster().is_node_ready(NodeId(0)));
    let daemons = run.cluster().pods_of(model_api::WorkloadId(0)).len();
    assert_eq!(daemons, 2, "each node has its own again");
}

#[test]
fn without_periods_a_shutdown_is_a_loss_of_power() {
    let lines = |verb: &str| {
        let script = format!("{ONE} b\n deployment web 2 spread\n at 100 {verb} node a-0");
        World::read(&script).run(1, 2000).times(|_| true)
    };
    assert_eq!(lines("shut-down"), lines("lose"));
}
