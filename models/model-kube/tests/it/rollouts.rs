//! Rollouts and drains in time.

use model_api::Observation;
use model_api::observation::{DeletionReason, DrainFailure};

use crate::world::{Run, World};

fn run(text: &str, until_secs: u64) -> Run {
    World::read(text).run(1, until_secs)
}

/// Sizes of ReplicaSets in the order in which they were written: number of the set and its size.
fn steps(run: &Run) -> Vec<(u32, u32)> {
    let records = run.simulation.recorder().observations().iter();
    records
        .filter_map(|record| match record.observation {
            Observation::ReplicaSetScaled { revision, replicas, .. } => Some((revision, replicas)),
            _ => None,
        })
        .collect()
}

const NODES: &str = "nodes 2 per zone a b c";

/// What the recorded control planes of `roll*` did, step by step.
#[test]
fn replica_sets_are_sized_as_recorded() {
    let cases: [(&str, &[(u32, u32)]); 4] = [
        (
            "web 10 surge=0 unavailable=1",
            &[
                (1, 0),
                (0, 9),
                (1, 1),
                (0, 8),
                (1, 2),
                (0, 7),
                (1, 3),
                (0, 6),
                (1, 4),
                (0, 5),
                (1, 5),
                (0, 4),
                (1, 6),
                (0, 3),
                (1, 7),
                (0, 2),
                (1, 8),
                (0, 1),
                (1, 9),
                (0, 0),
                (1, 10),
            ],
        ),
        ("web 3 surge=25% unavailable=25%", &[(1, 1), (0, 2), (1, 2), (0, 1), (1, 3), (0, 0)]),
        (
            "web 5 surge=1 unavailable=0",
            &[(1, 1), (0, 4), (1, 2), (0, 3), (1, 3), (0, 2), (1, 4), (0, 1), (1, 5), (0, 0)],
        ),
        ("web 4", &[(0, 0), (1, 4)]),
    ];
    for (deployment, expected) in cases {
        let run =
            run(&format!("{NODES}\n deployment {deployment} spread\n at 10 rollout web 2"), 600);
        assert_eq!(steps(&run), expected, "{deployment}");
        let done = run.times(|it| matches!(it, Observation::RolloutCompleted { .. }));
        assert_eq!(done.len(), 1, "{deployment}");
    }
}

#[test]
fn a_broken_rollout_stops_at_what_may_be_unavailable_and_is_undone() {
    let text = format!(
        "{NODES}
         deployment web 10 spread surge=25% unavailable=25% deadline=60
         at 10 rollout web 2 broken
         at 100 undo web"
    );
    let run = run(&text, 300);
    assert_eq!(steps(&run), [(1, 3), (0, 8), (1, 5), (1, 0), (0, 10)]);
    let stalled = run.times(|it| matches!(it, Observation::RolloutStalled { .. }));
    assert!(matches!(stalled[..], [at] if (70.0..73.0).contains(&at)), "{stalled:?}");
    let deleted = run.times(|it| {
        matches!(it, Observation::PodDeletionRequested { reason: DeletionReason::Rollout, .. })
    });
    assert_eq!(deleted.len(), 2 + 5);
}

#[test]
fn availability_counts_from_a_condition_in_whole_seconds() {
    let text = format!(
        "{NODES}
         deployment web 5 spread surge=25% unavailable=25% min-ready=15
         at 10 rollout web 2"
    );
    let run = run(&text, 300);
    assert_eq!(steps(&run)[..3], [(1, 2), (0, 4), (1, 3)]);
    let ready = run.times(|it| matches!(it, Observation::PodBecameReady { .. }));
    let first_ready = ready.into_iter().find(|at| *at > 10.0).expect("new pods become ready");
    let sized = run.times(|it| matches!(it, Observation::ReplicaSetScaled { .. }));
    let waited = sized[3] - first_ready;
    assert!((14.0..15.3).contains(&waited), "{waited}");
}

#[test]
fn a_recreation_waits_until_the_old_pods_are_gone() {
    let text = format!(
        "{NODES}
         deployment web 2
         at 10 rollout web 2"
    );
    insta::assert_snapshot!(run(&text, 60).timeline(), @r"
    10.00 RolloutStarted { workload: WorkloadId(0) }
    10.05 ReplicaSetScaled { workload: WorkloadId(0), revision: 0, replicas: 0 }
    10.14 web#0 (0) deleted: Rollout
    10.14 web#1 (1) deleted: Rollout
    10.20 web#1 (1) not Ready: Terminating
    10.22 web#0 (0) not Ready: Terminating
    12.78 web#0 (0) gone
    14.04 web#1 (1) gone
    14.12 ReplicaSetScaled { workload: WorkloadId(0), revision: 1, replicas: 2 }
    14.22 web#2 (2) created
    14.23 web#2 (2) bound to a-0
    14.24 web#3 (3) created
    14.30 web#3 (3) bound to c-0
    19.83 web#3 (3) has images
    19.95 web#3 (3) started
    20.32 web#3 (3) Ready
    22.93 web#2 (2) has images
    23.20 web#2 (2) started
    23.73 web#2 (2) Ready
    23.77 RolloutCompleted { workload: WorkloadId(0) }
    ");
}

#[test]
fn a_stateful_set_goes_from_the_highest_ordinal_to_the_partition() {
    let text = format!(
        "{NODES}
         statefulset db 3 partition=1
         at 10 rollout db 2"
    );
    insta::assert_snapshot!(run(&text, 100).timeline(), @r"
    10.00 RolloutStarted { workload: WorkloadId(0) }
    10.08 db#2 (2) deleted: Rollout
    10.16 db#2 (2) not Ready: Terminating
    13.75 db#2 (2) gone
    13.79 db#2 (3) created
    13.81 db#2 (3) bound to b-1
    18.84 db#2 (3) has images
    19.25 db#2 (3) started
    19.38 db#2 (3) Ready
    19.46 db#1 (1) deleted: Rollout
    19.49 db#1 (1) not Ready: Terminating
    21.73 db#1 (1) gone
    21.82 db#1 (4) created
    21.87 db#1 (4) bound to c-0
    26.97 db#1 (4) has images
    27.44 db#1 (4) started
    27.87 db#1 (4) Ready
    27.93 RolloutCompleted { workload: WorkloadId(0) }
    ");
}

#[test]
fn daemons_are_replaced_one_by_one() {
    let text = "nodes 1 per zone a b c
         daemonset agent
         at 10 rollout agent 2";
    insta::assert_snapshot!(run(text, 100).timeline(), @r"
    10.00 RolloutStarted { workload: WorkloadId(0) }
    10.08 agent#0 (0) deleted: Rollout
    10.17 agent#0 (0) not Ready: Terminating
    12.77 agent#0 (0) gone
    12.85 agent#0 (3) created
    12.92 agent#0 (3) bound to a-0
    21.15 agent#0 (3) has images
    21.57 agent#0 (3) started
    21.90 agent#0 (3) Ready
    21.92 agent#2 (2) deleted: Rollout
    21.97 agent#2 (2) not Ready: Terminating
    25.09 agent#2 (2) gone
    25.17 agent#2 (4) created
    25.25 agent#2 (4) bound to c-0
    28.84 agent#2 (4) has images
    29.05 agent#2 (4) started
    29.92 agent#2 (4) Ready
    29.96 agent#1 (1) deleted: Rollout
    29.97 agent#1 (1) not Ready: Terminating
    33.48 agent#1 (1) gone
    33.52 agent#1 (5) created
    33.60 agent#1 (5) bound to b-0
    40.14 agent#1 (5) has images
    40.37 agent#1 (5) started
    41.23 agent#1 (5) Ready
    41.29 RolloutCompleted { workload: WorkloadId(0) }
    ");
}

#[test]
fn a_drain_waits_for_its_budget() {
    let text = "nodes 2 per zone a b c
         deployment web 6 spread
         budget web max=1
         at 10 drain a-0 a-1";
    insta::assert_snapshot!(run(text, 100).timeline(), @r"
    10.00 NodeCordoned { node: NodeId(0) }
    10.10 web#1 (1) deleted: Eviction
    10.15 web#1 (1) not Ready: Terminating
    10.18 web#6 (6) created
    10.26 web#6 (6) bound to a-1
    11.13 web#6 (6) has images
    11.25 web#6 (6) started
    12.16 web#6 (6) Ready
    13.99 web#1 (1) gone
    14.10 NodeDrained { node: NodeId(0) }
    14.10 NodeCordoned { node: NodeId(1) }
    14.11 web#3 (3) deleted: Eviction
    14.12 EvictionRefused { pod: PodId(6), workload: WorkloadId(0), code: 429 }
    14.14 web#7 (7) created
    14.18 web#7 (7) bound to b-0
    14.19 web#3 (3) not Ready: Terminating
    14.76 web#7 (7) has images
    14.88 web#7 (7) started
    15.25 web#7 (7) Ready
    17.42 web#3 (3) gone
    19.19 web#6 (6) deleted: Eviction
    19.24 web#8 (8) created
    19.26 web#8 (8) bound to c-1
    19.27 web#6 (6) not Ready: Terminating
    19.88 web#8 (8) has images
    20.18 web#8 (8) started
    20.37 web#8 (8) Ready
    21.98 web#6 (6) gone
    22.19 NodeDrained { node: NodeId(1) }
    ");
}

#[test]
fn a_drain_that_no_budget_ever_allows_times_out() {
    let text = "nodes 1 per zone a b c
         deployment web 3 spread
         budget web max=0
         at 10 drain a-0 b-0 timeout=12";
    insta::assert_snapshot!(run(text, 100).timeline(), @r"
    10.00 NodeCordoned { node: NodeId(0) }
    10.10 EvictionRefused { pod: PodId(1), workload: WorkloadId(0), code: 429 }
    15.14 EvictionRefused { pod: PodId(1), workload: WorkloadId(0), code: 429 }
    20.19 EvictionRefused { pod: PodId(1), workload: WorkloadId(0), code: 429 }
    25.23 DrainFailed { node: NodeId(0), reason: TimedOut }
    ");
}

#[test]
fn two_drains_of_one_node_both_end() {
    let town = "nodes 2 per zone a\ndeployment web 2\nbudget web max=1";
    for second_at in [10, 11, 14] {
        let script = format!("at 10 drain a-0\nat {second_at} drain a-0");
        let run = run(&format!("{town}\n{script}"), 300);
        let drained = run.times(|it| matches!(it, Observation::NodeDrained { .. }));
        assert_eq!(drained.len(), 2, "{second_at}");
    }
}

#[test]
fn a_node_without_an_object_is_not_drained() {
    let run = run("nodes 2 per zone a\nat 10 delete node a-0\nat 20 drain a-0", 300);
    let reason = DrainFailure::NoNode;
    let failed = run.times(
        |it| matches!(it, Observation::DrainFailed { reason: found, .. } if *found == reason),
    );
    assert_eq!(failed, [20.0]);
}

#[test]
fn an_upgrade_does_not_revive_a_lost_node() {
    let script = "nodes 2 per zone a\nat 10 lose node a-0\nat 20 upgrade a-0";
    let text = format!("{script}\nat 2000 restore node a-0");
    let run = run(&text, 3000);
    let back = run.times(|it| matches!(it, Observation::NodeRestored { .. }));
    assert!(matches!(back[..], [at] if at > 2000.0), "{back:?}");
    let uncordoned = run.times(|it| matches!(it, Observation::NodeUncordoned { .. }));
    assert!(matches!(uncordoned[..], [at] if at > 2000.0), "{uncordoned:?}");
}

#[test]
fn an_upgrade_reboots_one_node_after_the_other() {
    let text = "nodes 1 per zone a b c
         deployment web 3 spread
         daemonset agent
         budget web max=1
         at 10 upgrade a-0 b-0";
    insta::assert_snapshot!(run(text, 600).timeline(), @r"
     10.00 NodeCordoned { node: NodeId(0) }
     10.10 web#1 (1) deleted: Eviction
     10.15 web#1 (1) not Ready: Terminating
     10.18 web#3 (6) created
     10.24 web#3 (6) bound to b-0
     11.07 web#3 (6) has images
     11.19 web#3 (6) started
     11.55 web#3 (6) Ready
     13.99 web#1 (1) gone
     14.10 NodeDrained { node: NodeId(0) }
     14.10 a-0 lost
     59.18 a-0 NotReady
     59.18 agent#0 (3) not Ready: NodeNotReady
     59.24 a-0 tainted
     90.28 a-0 runs
     90.35 a-0 Ready
     90.35 NodeUncordoned { node: NodeId(0) }
     90.35 NodeCordoned { node: NodeId(1) }
     90.36 web#3 (6) deleted: Eviction
     90.39 EvictionRefused { pod: PodId(0), workload: WorkloadId(0), code: 429 }
     90.39 web#4 (7) created
     90.42 web#4 (7) bound to a-0
     90.44 web#3 (6) not Ready: Terminating
     91.56 web#4 (7) has images
     91.57 agent#0 (3) has images
     91.87 agent#0 (3) started
     91.96 web#4 (7) started
     92.00 web#4 (7) Ready
     92.83 agent#0 (3) Ready
     93.67 web#3 (6) gone
     94.25 a-0 untainted
     95.45 web#0 (0) deleted: Eviction
     95.50 web#5 (8) created
     95.54 web#0 (0) not Ready: Terminating
     95.58 web#5 (8) bound to a-0
     96.48 web#5 (8) has images
     96.86 web#5 (8) started
     97.65 web#5 (8) Ready
     98.10 web#0 (0) gone
     98.45 NodeDrained { node: NodeId(1) }
     98.45 b-0 lost
    149.36 b-0 NotReady
    149.36 agent#1 (4) not Ready: NodeNotReady
    149.44 b-0 tainted
    278.45 b-0 runs
    278.52 b-0 Ready
    278.52 NodeUncordoned { node: NodeId(1) }
    279.50 agent#1 (4) has images
    279.62 b-0 untainted
    279.74 agent#1 (4) started
    279.88 agent#1 (4) Ready
    ");
}

#[test]
fn replicas_that_change_amid_a_rollout_are_shared_out() {
    let text = format!(
        "{NODES}
         deployment web 10 spread surge=25% unavailable=25%
         at 10 rollout web 2
         at 13 scale web 20"
    );
    let steps = steps(&run(&text, 300));
    // 25 pods may be: 8 and 5 of 13 keep their shares of these.
    assert_eq!(steps[..5], [(1, 3), (0, 8), (1, 5), (0, 15), (1, 10)]);
    assert_eq!(steps.last(), Some(&(0, 0)));
    assert!(steps.contains(&(1, 20)));
}

#[test]
fn clients_of_controllers_are_limited() {
    let text = "nodes 10 per zone a b c
         deployment web 0 surge=1 unavailable=0 cpu=10
         at 10 scale web 230";
    let run = run(text, 100);
    let created = run.times(|it| matches!(it, Observation::PodCreated { .. }));
    assert_eq!(created.len(), 230);
    // 30 at once and 20 a second: the last 200 take ten seconds.
    let took = created[229] - created[0];
    assert!((10.0..10.6).contains(&took), "{took}");
}

/// Sizes of ReplicaSets as they were written, with whole seconds.
fn sizes(run: &Run) -> Vec<(u64, u32, u32)> {
    let records = run.simulation.recorder().observations().iter();
    let scaled = records.filter_map(|record| match record.observation {
        Observation::ReplicaSetScaled { revision, replicas, .. } => {
            Some((record.at.as_secs_f64() as u64, revision, replicas))
        }
        _ => None,
    });
    scaled.collect()
}

#[test]
fn a_paused_deployment_rolls_nothing_out_and_is_scaled_all_the_same() {
    let text = "nodes 2 per zone a b
        deployment web 4 surge=1 unavailable=0 deadline=60 cpu=100 paused
        at 100 rollout web 2
        at 200 scale web 6
        at 1000 resume web";
    let run = World::read(text).run(1, 2000);
    let found = sizes(&run);
    assert_eq!(found[0], (200, 0, 6), "{found:?}");
    assert!(found[1..].iter().all(|(at, ..)| *at >= 1000), "{found:?}");
    assert_eq!(found.iter().rev().find(|(_, revision, _)| *revision == 1).map(|it| it.2), Some(6));
    let stalled = |it: &Observation| matches!(it, Observation::RolloutStalled { .. });
    assert_eq!(run.times(stalled), [0.0; 0], "the deadline begins when it goes on");
}

#[test]
fn pods_of_a_rollout_that_is_paused_are_shared_out_when_it_is_scaled() {
    let text = "nodes 3 per zone a b
        deployment web 8 surge=4 unavailable=0 deadline=60 cpu=100 min-ready=30
        at 100 rollout web 2
        at 110 suspend web
        at 300 scale web 16";
    let run = World::read(text).run(1, 1500);
    let found = sizes(&run);
    let last = |wanted: u32| found.iter().rev().find(|(_, revision, _)| *revision == wanted);
    // 8 and 4 of 12 become 13 and 7 of 20 (`getReplicaSetFraction`).
    assert_eq!((last(0).map(|it| it.2), last(1).map(|it| it.2)), (Some(13), Some(7)), "{found:?}");
    assert_eq!(run.times(|it| matches!(it, Observation::RolloutCompleted { .. })), [0.0; 0]);
}
