//! The pod garbage collector in time.

use model_api::Observation as O;
use model_kube::cluster::PodPhase;

use crate::world::World;

#[test]
fn finished_pods_above_the_threshold_go_the_oldest_first() {
    let counts = |threshold| {
        let mut world = World::read(
            "nodes 2 per zone a
             job batch 1 completions=6 work=10",
        );
        world.blueprint.parameters.terminated_pod_gc_threshold = threshold;
        let run = world.run(1, 600);
        let cluster = run.cluster();
        let is_left = |number: usize| {
            let pod = model_api::PodId::from_index(number);
            cluster.pod(pod).phase == PodPhase::Finished
        };
        let left: Vec<usize> = (0..cluster.pod_count()).filter(|it| is_left(*it)).collect();
        (left, run.times(|seen| matches!(seen, O::PodGone { .. })).len())
    };
    assert_eq!(counts(12_500), ((0..6).collect(), 0));
    assert_eq!(counts(2), (vec![4, 5], 4));
    assert_eq!(counts(0), ((0..6).collect(), 0), "0 keeps all");
}

#[test]
fn a_new_leader_puts_nodes_into_quarantine_anew() {
    let world = World::read(
        "nodes 2 per zone a
         members a a a
         statefulset db 2 tolerate=3000
         at 100 lose node a-0
         at 200 delete node a-0
         at 230 kill controller-manager",
    );
    let mut checked = 0;
    for seed in 0..10 {
        let run = world.run(seed, 600);
        let led = run.times(|seen| matches!(seen, O::LeaderChanged));
        let gone = run.times(|seen| matches!(seen, O::PodGone { .. }));
        let Some(gone) = gone.first() else { continue };
        assert!((40.0..81.0).contains(&(gone - led[0])), "seed {seed}: {led:?} {gone:?}");
        checked += 1;
    }
    assert!(checked > 0, "in no run a pod was on the node");
}
