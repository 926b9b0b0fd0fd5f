//! Pods that name their node.

use model_api::Observation as O;
use model_api::observation::UnschedulableReason as Check;

use crate::world::World;

/// No cordon keeps a pod away that no scheduler looks at.
#[test]
fn a_pod_that_names_its_node_comes_back_to_it_though_it_is_cordoned() {
    let world = World::read(
        "nodes 1 per zone a b
         deployment web 2 node=a-0 tolerate=30
         at 100 drain a-0",
    );
    let run = world.run(1, 600);
    let nodes: Vec<u32> = run
        .simulation
        .recorder()
        .observations()
        .iter()
        .filter_map(|record| match record.observation {
            O::PodBound { node, .. } if record.at.as_secs_f64() > 100.0 => Some(node.0),
            _ => None,
        })
        .collect();
    assert_eq!(nodes, [0, 0], "two were drained, and two came again");
    assert_eq!(run.times(|seen| matches!(seen, O::NodeDrained { .. })).len(), 1);
    assert!(run.times(|seen| matches!(seen, O::PodBecameUnschedulable { .. })).is_empty());
    let web = world.workload("web");
    let pods = run.cluster().pods_of(web).iter();
    assert_eq!(pods.filter(|pod| run.cluster().pod(**pod).is_ready).count(), 2);
}

/// Its kubelet refuses what has no room, and the controller makes the next one.
#[test]
fn a_node_that_has_no_room_refuses_the_pods_that_name_it() {
    let world = World::read(
        "nodes 1 per zone a b
         deployment web 3 cpu=4000 node=a-0
         deployment late 0 cpu=1000 node=a-0
         at 10 scale late 1",
    );
    let run = world.run(1, 20);
    let refused =
        |seen: &O| matches!(seen, O::PodNotAdmitted { check: Check::NodeResourcesFit, .. });
    let times = run.times(refused);
    assert!(times[0] < 0.5 && times.len() > 10, "{times:?}");
    let web = world.workload("web");
    let running = run.cluster().pods_of(web).iter().filter(|pod| run.cluster().pod(**pod).is_ready);
    let nodes: Vec<u32> =
        running.filter_map(|pod| run.cluster().pod(*pod).node.map(|node| node.0)).collect();
    assert_eq!(nodes, [0, 0]);
    let late = world.workload("late");
    assert!(
        run.times(|seen| matches!(seen, O::PodNotAdmitted { workload, .. } if *workload == late))
            [0]
            > 10.0
    );
    assert!(
        run.times(|seen| matches!(seen, O::PodStarted { workload, .. } if *workload == late))
            .is_empty()
    );
}
