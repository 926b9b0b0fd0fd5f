//! Claims that a single pod in the cluster may use (`ReadWriteOncePod`).

use model_api::Observation as O;
use model_api::kube::PersistentVolumeClaim;
use model_api::observation::UnschedulableReason;

use crate::world::{Run, World};

/// A world in which all workloads share such a claim.
fn run(script: &str, seed: u64) -> Run {
    let mut world = World::read(script);
    for workload in &mut world.blueprint.workloads {
        workload.template.spec.claim_names = vec!["data".into()];
    }
    world.blueprint.claims.push(PersistentVolumeClaim {
        namespace: "shop".into(),
        name: "data".into(),
        is_of_one_pod: true,
        ..PersistentVolumeClaim::default()
    });
    world.run(seed, 3600)
}

/// Times at which a pod was refused for the claim.
fn refusals(run: &Run) -> Vec<f64> {
    let reason = UnschedulableReason::VolumeRestrictions;
    run.times(|seen| matches!(seen, O::PodBecameUnschedulable { reason: it, .. } if *it == reason))
}

#[test]
fn one_pod_has_the_claim_and_the_next_one_follows_it() {
    for seed in 0..5 {
        let run = run("nodes 2 per zone a b\n deployment web 2\n at 100 evict web 0", seed);
        let bound = run.times(|seen| matches!(seen, O::PodBound { .. }));
        let gone = run.times(|seen| matches!(seen, O::PodGone { .. }));
        assert_eq!((bound.len(), gone.len()), (2, 1), "seed {seed}: {bound:?} {gone:?}");
        assert_eq!(bound[1], gone[0], "it is bound as soon as the claim is free");
        assert_eq!(refusals(&run).len(), 2, "the second replica, and that of the first");
    }
}

/// `TestPostFilter` and volume_restrictions_test.go: pods that use the claim may be preempted for it.
#[test]
fn a_more_important_pod_preempts_the_one_that_has_the_claim() {
    for seed in 0..5 {
        let script = "nodes 2 per zone a b
            deployment web 1 priority=0
            deployment vip 1 priority=1000";
        let run = run(script, seed);
        let deleted = run.times(|seen| matches!(seen, O::PodDeletionRequested { .. }));
        assert_eq!(deleted, [0.0], "seed {seed}");
        let bound = run.times(|seen| matches!(seen, O::PodBound { .. }));
        let gone = run.times(|seen| matches!(seen, O::PodGone { .. }));
        assert_eq!(bound[1..], gone[..1], "seed {seed}: the important one, and nobody after it");
    }
}
