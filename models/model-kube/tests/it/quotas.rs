//! Quotas of pods.

use model_api::Observation as O;

use crate::world::{Run, World};

fn refusals(run: &Run) -> usize {
    run.times(|seen| matches!(seen, O::PodOverQuota { .. })).len()
}

fn ready(world: &World, run: &Run, name: &str) -> usize {
    let pods = run.cluster().pods_of(world.workload(name)).iter();
    pods.filter(|pod| run.cluster().pod(**pod).is_ready).count()
}

/// A quota that is full refuses the surge of a rollout, which goes on within `maxUnavailable`; a pod that
/// is being deleted counts until it is gone.
#[test]
fn a_rollout_has_no_surge_in_a_namespace_that_is_full() {
    let text = |quota: &str| {
        format!(
            "nodes 2 per zone a b
             {quota}
             deployment web 4 surge=1 unavailable=1
             at 100 rollout web 2"
        )
    };
    for (quota, is_full) in [("", false), ("quota pods=8", false), ("quota cpu=2000", true)] {
        let world = World::read(&text(quota));
        let run = world.run(1, 900);
        assert_eq!(refusals(&run) > 0, is_full, "{quota}: {}", run.timeline());
        assert_eq!(ready(&world, &run, "web"), 4, "{quota}");
        let done = run.times(|seen| matches!(seen, O::RolloutCompleted { .. }));
        assert_eq!(done.len(), 1, "{quota}");
    }
    // Without leave to take one away first it never moves.
    let stuck = World::read(&text("quota pods=4").replace("unavailable=1", "unavailable=0"));
    let run = stuck.run(1, 500);
    assert!(run.times(|seen| matches!(seen, O::RolloutCompleted { .. })).is_empty());
}

/// What a quota leaves no room for is missing from the start, and is made when there is room.
#[test]
fn pods_beyond_a_quota_are_made_when_others_go() {
    let world = World::read(
        "nodes 2 per zone a b
         quota pods=5
         deployment web 4
         deployment late 3
         at 1000 scale web 2",
    );
    let run = world.run(1, 999);
    assert_eq!((ready(&world, &run, "web"), ready(&world, &run, "late")), (4, 1));
    assert_eq!(refusals(&run), 1, "it is told once");
    // 5 ms, doubled each time: some twenty tries in a quarter of an hour.
    assert!(run.simulation.stats().handled_count < 60);
    let run = world.run(1, 4_000);
    assert_eq!((ready(&world, &run, "web"), ready(&world, &run, "late")), (2, 3));
}

/// While a controller waits for its next try, a change in between is refused without being told again; a
/// sync that nobody refused lets the next refusal be told.
#[test]
fn a_refusal_is_told_once_whatever_comes_before_the_next_try() {
    let world = World::read(
        "nodes 2 per zone a b
         quota pods=5
         deployment web 4
         deployment late 3
         at 1000 scale late 1
         at 1010 scale late 3
         at 1020 scale late 4
         at 1030 scale late 5",
    );
    let run = world.run(1, 1_100);
    assert_eq!(ready(&world, &run, "late"), 1);
    assert_eq!(refusals(&run), 2, "{}", run.timeline());
}
