//! Operators that lose the API, and with it their lease.

use model_api::blueprint::Database;
use model_api::{Observation, WorkloadId};

use crate::world::{Run, World};

const TOWN: &str = "
    nodes 2 per zone a b c
    members a b c
    group a 0 from 0 to 2
    autoscaler
    database orders 1
    deployment operator 1 spread cpu=100 probe=5
    deployment web 30 spread cpu=500";

/// The town, with an operator of its database of so many pods, or one of its node groups.
fn world(script: &str, replicas: u32, is_autoscaler: bool) -> World {
    let town = TOWN.replace("operator 1", &format!("operator {replicas}"));
    let mut world = World::read(&format!("{town}\n{script}"));
    let operator = Some(world.workload("operator"));
    if is_autoscaler {
        let autoscaler = world.blueprint.cluster_autoscaler.as_mut().expect("the town has one");
        autoscaler.workload = operator;
    } else {
        let workload = world.workload("orders");
        let database = Database { workload, operator, ..Database::default() };
        world.blueprint.databases.push(database);
    }
    world
}

/// When leaders gave up, and when others took over.
fn turns(run: &Run) -> (Vec<f64>, Vec<f64>) {
    let of = |wanted: bool| {
        run.times(|it| matches!(it, Observation::OperatorTurned { leads, .. } if *leads == wanted))
    };
    (of(false), of(true))
}

#[test]
fn an_outage_that_is_over_in_time_leaves_an_operator_in_office() {
    for seed in 0..20 {
        for (secs, is_lost) in [(9, false), (13, true)] {
            let script = format!("at 100 api down\nat {} api up", 100 + secs);
            let (given_up, _) = turns(&world(&script, 2, false).run(seed, 400));
            // 12 s after a renewal of the two seconds before.
            let expected = given_up.iter().all(|at| (110.0..=112.0).contains(at));
            assert!(expected && given_up.is_empty() != is_lost, "seed {seed}: {given_up:?}");
        }
    }
}

#[test]
fn a_second_pod_takes_over_with_its_next_look_at_the_api() {
    for seed in 0..20 {
        let run = world("at 100 api down\nat 160 api up", 2, false).run(seed, 600);
        let (given_up, taken) = turns(&run);
        assert_eq!((given_up.len(), taken.len()), (1, 1), "seed {seed}");
        assert!((160.0..=164.4).contains(&taken[0]), "seed {seed}: {taken:?}");
    }
}

#[test]
fn a_single_pod_crashes_through_an_outage_and_waits_for_its_own_lease_afterwards() {
    for seed in 0..20 {
        let run = world("at 100 api down\nat 160 api up", 1, false).run(seed, 600);
        let (given_up, taken) = turns(&run);
        assert_eq!((given_up.len(), taken.len()), (1, 1), "seed {seed}");
        // A start that finds the API; it has to see the old lease for 15 s.
        let started = run.times(|it| *it == started(&run));
        let last = *started.last().expect("it starts again and again");
        assert!(started.len() >= 4 && last > 150.0, "seed {seed}: {started:?}");
        assert!((last + 15.0..last + 30.0).contains(&taken[0]), "seed {seed}: {last}, {taken:?}");
    }
}

/// A start of the pod of the operator.
fn started(run: &Run) -> Observation {
    let workload = workload_named(run, "operator");
    let pod = run.cluster().pods_of(workload)[0];
    Observation::PodStarted { pod, workload }
}

fn workload_named(run: &Run, name: &str) -> WorkloadId {
    let workloads = &run.cluster().blueprint().workloads;
    let idx = workloads.iter().position(|it| it.name == name).expect("the town has it");
    WorkloadId::from_index(idx)
}

#[test]
fn the_autoscaler_finds_its_own_lease_again_and_has_forgotten_what_it_saw() {
    for seed in 0..10 {
        let run = world("at 100 api down\nat 160 api up", 1, true).run(seed, 600);
        let last = *run.times(|it| *it == started(&run)).last().expect("it starts again");
        let (_, taken) = turns(&run);
        // Its name is in the lease: no 15 s.
        assert!((last..last + 12.0).contains(&taken[0]), "seed {seed}: {last}, {taken:?}");
    }
    // Pods that need more nodes wait until it is there.
    let asked = |script: &str| {
        let run = world(&format!("{script}\nat 120 scale web 100"), 1, true).run(1, 900);
        (run.times(|it| matches!(it, Observation::NodesRequested { .. })), turns(&run).1)
    };
    let (calm, _) = asked("");
    assert!((122.0..135.0).contains(&calm[0]), "{calm:?}");
    let (late, taken) = asked("at 60 api down\nat 119 api up");
    assert!(taken[0] > 119.0 && late[0] >= taken[0], "{taken:?} {late:?}");
}

#[test]
fn a_leader_that_crashes_is_followed_once_its_lease_has_run_out() {
    for (replicas, least, most) in [(1, 115.0, 140.0), (2, 113.0, 140.0)] {
        for seed in 0..10 {
            let (given_up, taken) =
                turns(&world("at 100 crash operator", replicas, false).run(seed, 400));
            assert_eq!(given_up, [], "it ends before it could give up");
            assert!(
                matches!(taken[..], [at] if (least..most).contains(&at)),
                "seed {seed}: {taken:?}"
            );
        }
    }
}

#[test]
fn a_leader_that_is_told_to_end_lets_go_of_its_lease() {
    for seed in 0..10 {
        let run = world("at 100 rollout operator 2", 2, false).run(seed, 400);
        let (given_up, taken) = turns(&run);
        assert_eq!(given_up, []);
        let started = run.times(|it| {
            let operator = workload_named(&run, "operator");
            matches!(it, Observation::PodStarted { workload, .. } if *workload == operator)
        });
        // A new one finds it free as soon as it looks; a lease that has to run out takes 15 s more.
        let (last, started) = (taken.last(), started.last().expect("both are replaced"));
        assert!(last.is_some_and(|at| *at < started + 12.0), "seed {seed}: {taken:?} {started}");
    }
}

#[test]
fn a_leader_that_is_cut_off_ends_and_another_one_takes_over() {
    for seed in 0..20 {
        let run = world("at 100 isolate zone a\nat 400 rejoin zone a", 3, false).run(seed, 600);
        let (given_up, taken) = turns(&run);
        assert_eq!(given_up.len(), taken.len(), "seed {seed}: {given_up:?} {taken:?}");
        for (given_up, taken) in given_up.iter().zip(&taken) {
            assert!((110.0..=112.0).contains(given_up), "seed {seed}");
            assert!((113.0..=124.0).contains(taken), "seed {seed}: {taken}");
        }
    }
}
