//! Memory that runs out: of containers, and of nodes.

use model_api::kube::ResourceList;
use model_api::observation::KillReason;
use model_api::parameters::Range;
use model_api::{NodeId, Observation, PodId, SimTime};
use sim_kernel::SimSpan;

use crate::world::{RigEvent, World};

fn is_killed(observation: &Observation) -> bool {
    matches!(observation, Observation::ContainersKilled { .. })
}

fn is_evicted(observation: &Observation) -> bool {
    matches!(observation, Observation::PodEvicted { .. })
}

#[test]
fn a_container_is_killed_at_its_limit_and_begins_anew() {
    // 3600 MiB an hour are one a second.
    let text = "nodes 1 per zone a
        deployment web 1 mem=100 limit=200
        service web
        uses web 140 grows=3600";
    insta::assert_snapshot!(World::read(text).run(1, 140).timeline(), @r"
     60.00 web#0 (0) killed: MemoryLimit
     60.00 service web: 1 routed, 0 live
     60.58 web#0 (0) not Ready: ContainersEnded
     60.58 web#0 (0) has images
     60.79 web#0 (0) started
     61.02 web#0 (0) Ready
     61.59 service web: 0 routed, 0 live
     62.00 service web: 1 routed, 0 live
     63.69 service web: 1 routed, 1 live
    120.79 web#0 (0) killed: MemoryLimit
    120.79 service web: 1 routed, 0 live
    121.02 web#0 (0) not Ready: ContainersEnded
    121.40 service web: 0 routed, 0 live
    134.18 web#0 (0) has images
    134.38 web#0 (0) started
    134.43 web#0 (0) Ready
    135.17 service web: 1 routed, 0 live
    136.08 service web: 1 routed, 1 live
    ");
}

/// Beside the container that grows there is another one; both together may use 300 MiB.
#[test]
fn a_limit_of_the_pod_kills_before_that_of_its_container() {
    let killed = |limit_mib: Option<i64>| {
        let mut world = World::read(
            "nodes 1 per zone a
             deployment web 1 mem=100 limit=400
             uses web 140 grows=3600",
        );
        let spec = &mut world.blueprint.workloads[0].template.spec;
        let other = spec.containers[0].clone();
        spec.containers.push(model_api::kube::Container { name: "side".to_owned(), ..other });
        let limit = limit_mib.map(|mib| (ResourceList::MEMORY.to_owned(), mib << 20));
        spec.limits.0.extend(limit);
        world.run(1, 300).times(is_killed)[0] as u64
    };
    assert_eq!(killed(None), 260);
    assert_eq!(killed(Some(300)), 60, "140 and 100 of them are there from the start");
    assert_eq!(killed(Some(900)), 260);
}

#[test]
fn kills_in_a_row_wait_for_the_back_off() {
    let text = "nodes 1 per zone a
        deployment web 1 mem=100 limit=200
        uses web 195 grows=3600";
    let killed = World::read(text).run(1, 900).times(is_killed);
    let gaps: Vec<u64> = killed.windows(2).map(|pair| (pair[1] - pair[0]) as u64).collect();
    // Five seconds of growth, some to start, and 0, 10, 20, 40, 80, 160 s of back-off, half of it more
    // at most.
    assert!(gaps[0] < 10 && (15..25).contains(&gaps[1]) && (25..40).contains(&gaps[2]), "{gaps:?}");
    assert!(gaps.len() >= 6 && gaps[5] > 160, "{gaps:?}");
}

#[test]
fn without_a_limit_a_leak_only_meets_that_of_the_node() {
    let text = "nodes 1 per zone a
        deployment web 1 mem=100
        uses web 140 grows=3600";
    assert_eq!(World::read(text).run(1, 3600).times(is_killed), [0.0; 0]);
}

#[test]
fn a_leak_takes_until_it_is_mended() {
    let text = "nodes 1 per zone a
        deployment web 1 mem=100
        uses web 140
        at 100 leak web 3600
        at 150 mend";
    let run = World::read(text).run(1, 1000);
    let used = |secs| run.cluster().memory_used(PodId(0), SimTime::from_secs(secs));
    assert_eq!(used(1000), Some(190 << 20));
    assert_eq!(run.simulation.stats().handled_count, 2, "the two commands");
}

#[test]
fn pods_grow_at_rates_of_their_own() {
    let text = "nodes 1 per zone a
        deployment web 5 mem=100 limit=200
        uses web 100 grows=360 vary=10";
    let killed = World::read(text).run(1, 1150).times(is_killed);
    assert_eq!(killed.len(), 5);
    assert!(killed.windows(2).all(|pair| pair[0] < pair[1]), "{killed:?}");
    assert!(killed.iter().all(|at| (909.0..=1112.0).contains(at)), "{killed:?}");
    let text = text.replace("vary=10", "");
    let together = World::read(&text).run(1, 1150).times(is_killed);
    assert!(together.iter().all(|at| *at == together[0]), "{together:?}");
}

/// A node of 1000 MiB, of which pods may use 1000 before the threshold of 100 MiB is crossed, and 1100
/// in all.
const SMALL: &str = "nodes 1 per zone a b
    memory 1000
    ";

#[test]
fn a_kubelet_evicts_and_the_pod_goes_elsewhere() {
    let text = format!(
        "{SMALL} deployment web 1 mem=100
        deployment other 2 mem=600 spread
        service web
        uses web 100 grows=1800"
    );
    insta::assert_snapshot!(World::read(&text).run(1, 1000).timeline(), @r"
    609.96 a-0 under pressure
    609.96 web#0 (0) evicted from a-0
    609.96 web#0 (0) not Ready: Evicted
    609.96 service web: 1 routed, 0 live
    610.97 service web: 0 routed, 0 live
    612.61 web#1 (3) created
    612.63 web#1 (3) bound to b-0
    616.31 web#1 (3) has images
    616.47 web#1 (3) started
    617.24 web#1 (3) Ready
    617.63 service web: 1 routed, 0 live
    617.77 service web: 1 routed, 1 live
    913.31 a-0 relieved
    ");
}

#[test]
fn what_grows_faster_than_a_kubelet_looks_meets_the_kernel() {
    // 200 MiB a second.
    let text = format!(
        "{SMALL} deployment other 2 mem=500 spread
        deployment web 1 best-effort
        uses web 100
        at 21 leak web 720000
        at 24 mend"
    );
    let run = World::read(&text).run(1, 60);
    assert_eq!(run.times(is_evicted), [0.0; 0]);
    let killed = run.times(|it| {
        let reason = KillReason::NodeMemory;
        matches!(it, Observation::ContainersKilled { reason: why, pod: PodId(2), .. } if *why == reason)
    });
    assert!(killed.len() == 1 && (23.5..23.6).contains(&killed[0]), "{killed:?}");
}

#[test]
fn a_neighbor_goes_that_uses_more_beyond_its_request() {
    // The one that leaks stays within its request until its neighbors are gone.
    let text = "nodes 1 per zone a
        memory 1000
        deployment leaky 1 mem=600
        deployment idle 1 mem=100
        deployment small 1 best-effort
        uses leaky 300 grows=3600
        uses idle 90
        uses small 250";
    let run = World::read(text).run(1, 700);
    let mut evicted = String::new();
    for line in run.timeline().lines().filter(|line| line.contains("evicted")) {
        evicted += &format!("{}\n", line.trim());
    }
    insta::assert_snapshot!(evicted, @r"
    369.96 small#0 (2) evicted from a-0
    612.31 leaky#0 (0) evicted from a-0
    ");
}

#[test]
fn under_pressure_nothing_is_bound_and_best_effort_is_refused() {
    let text = "nodes 1 per zone a
        memory 1000
        deployment web 1 mem=100 priority=1000
        deployment idle 0 best-effort
        uses web 100 grows=3600
        at 910 scale idle 1";
    let run = World::read(text).run(1, 1225);
    insta::assert_snapshot!(run.timeline(), @r"
     909.96 a-0 under pressure
     909.96 web#0 (0) evicted from a-0
     909.96 web#0 (0) not Ready: Evicted
     910.08 ReplicaSetScaled { workload: WorkloadId(1), revision: 0, replicas: 1 }
     910.10 idle#0 (1) created
     910.13 idle#0 (1) bound to a-0
     910.16 idle#0 (1) refused by a-0
     910.18 idle#1 (2) created
     910.20 idle#1 (2) bound to a-0
     910.29 idle#1 (2) refused by a-0
     910.32 idle#2 (3) created
     910.38 idle#2 (3) bound to a-0
     910.46 idle#2 (3) refused by a-0
     910.48 idle#3 (4) created
     910.58 idle#3 (4) bound to a-0
     910.59 idle#3 (4) refused by a-0
     910.63 idle#4 (5) created
     910.69 idle#4 (5) bound to a-0
     910.76 idle#4 (5) refused by a-0
     910.83 idle#5 (6) created
     910.88 idle#5 (6) bound to a-0
     910.96 idle#5 (6) refused by a-0
     910.99 idle#6 (7) created
     911.06 idle#6 (7) bound to a-0
     911.08 idle#6 (7) refused by a-0
     911.10 idle#7 (8) created
     911.19 idle#7 (8) bound to a-0
     911.26 idle#7 (8) refused by a-0
     911.28 idle#8 (9) created
     911.33 idle#8 (9) bound to a-0
     911.42 idle#8 (9) refused by a-0
     911.48 idle#9 (10) created
     911.56 idle#9 (10) unschedulable: TaintToleration
     912.61 web#1 (11) created
     912.63 web#1 (11) unschedulable: TaintToleration
    1213.31 a-0 relieved
    1221.47 web#1 (11) bound to a-0
    1221.47 idle#9 (10) bound to a-0
    1221.96 web#1 (11) has images
    1222.11 web#1 (11) started
    1222.89 web#1 (11) Ready
    ");
}

#[test]
fn critical_pods_stay_and_nobody_looks_again_and_again() {
    let text = "nodes 1 per zone a
        memory 1000
        deployment web 1 mem=100 priority=2000000000
        uses web 100
        at 100 leak web 3600
        at 1050 mend";
    let run = World::read(text).run(1, 86_400);
    assert_eq!(run.times(is_evicted), [0.0; 0]);
    let count = run.simulation.stats().handled_count;
    assert!(count < 10, "{count} events in a day under pressure");
}

#[test]
fn a_node_that_stops_forgets_its_pressure() {
    let text = "nodes 1 per zone a
        memory 1000
        deployment web 1 mem=100
        uses web 100 grows=3600
        at 915 lose node a-0
        at 930 restore node a-0";
    let run = World::read(text).run(1, 1300);
    insta::assert_snapshot!(run.timeline(), @r"
     909.96 a-0 under pressure
     909.96 web#0 (0) evicted from a-0
     909.96 web#0 (0) not Ready: Evicted
     912.61 web#1 (1) created
     912.63 web#1 (1) unschedulable: TaintToleration
     915.00 a-0 lost
     960.98 a-0 NotReady
     960.98 MasterDisruptionStarted
    1006.18 a-0 runs
    1006.25 a-0 Ready
    1006.25 web#1 (1) bound to a-0
    1006.74 web#1 (1) has images
    1006.90 web#1 (1) started
    1007.67 web#1 (1) Ready
    ");
}

#[test]
fn a_pod_that_ended_without_contact_is_evicted_once() {
    // The zone is silent until the API gives its pods up; what leaks then is critical.
    let text = "nodes 1 per zone a b c
        memory 1000
        deployment web 3 mem=100 spread
        deployment big 3 mem=100 spread priority=2000000000
        uses big 600
        at 10 isolate zone a
        at 500 leak big 3600";
    let run = World::read(text).run(1, 3600);
    let evicted = run.times(|it| matches!(it, Observation::PodEvicted { node: NodeId(0), .. }));
    assert_eq!(evicted.len(), 1, "{evicted:?}");
}

#[test]
fn a_pod_that_is_being_deleted_slowly_is_evicted_fast() {
    let text = format!(
        "{SMALL} deployment web 1 mem=100
        deployment other 2 mem=600 spread
        uses web 100 grows=1800
        at 605 scale web 0"
    );
    let mut world = World::read(&text);
    let spec = &mut world.blueprint.workloads[0].template.spec;
    spec.termination_grace = SimSpan::from_hours(1);
    spec.containers[0].lifecycle.pre_stop = Some(SimSpan::from_mins(50));
    insta::assert_snapshot!(world.run(1, 5000).timeline(), @r"
    605.05 ReplicaSetScaled { workload: WorkloadId(0), revision: 0, replicas: 0 }
    605.14 web#0 (0) deleted: ScaleDown
    609.96 a-0 under pressure
    609.96 web#0 (0) evicted from a-0
    610.96 web#0 (0) not Ready: Evicted
    613.52 web#0 (0) gone
    914.31 a-0 relieved
    ");
}

#[test]
fn a_kubelet_waits_half_a_minute_for_a_pod_that_stays() {
    // What is left of a pod takes long to go, while its neighbor takes 8 MiB a second.
    let text = "nodes 1 per zone a
        memory 1000
        deployment big 1 mem=100 priority=1000
        deployment small 1 best-effort
        uses big 500 grows=28800
        uses small 250";
    let mut world = World::read(text);
    world.blueprint.parameters.pod_clear = Range::millis(200_000, 200_000);
    let run = world.run(1, 100);
    let evicted = run.times(is_evicted);
    assert!(evicted.len() == 2 && (30.0..34.0).contains(&(evicted[1] - evicted[0])), "{evicted:?}");
}

#[test]
fn a_threshold_that_no_node_keeps_is_no_clock() {
    // 16 GiB more are to be reclaimed of a node that has 1.
    let text = "nodes 1 per zone a
        memory 1000
        deployment web 1 mem=100
        uses web 100 grows=3600
        at 920 scale web 0";
    let mut world = World::read(text);
    world.blueprint.parameters.eviction_minimum_reclaim_bytes = 16 << 30;
    let run = world.run(1, 86_400);
    assert_eq!(run.times(is_evicted).len(), 1);
    let count = run.simulation.stats().handled_count;
    assert!(count < 100, "{count} events in a day under pressure");
}

#[test]
fn a_pod_uses_what_it_requests_as_such() {
    let text = "nodes 1 per zone a
        memory 1000
        deployment web 1 best-effort
        deployment other 1 best-effort
        uses other 100";
    let mut world = World::read(text);
    let spec = &mut world.blueprint.workloads[0].template.spec;
    spec.containers.push(spec.containers[0].clone());
    spec.containers[0].requests.0.insert(ResourceList::MEMORY.to_owned(), 100 << 20);
    spec.requests.0.insert(ResourceList::MEMORY.to_owned(), 700 << 20);
    let run = world.run(1, 10);
    assert_eq!(run.cluster().memory_used(PodId(0), SimTime::from_secs(10)), Some(700 << 20));
}

/// Position in the script of the command behind the first observation that `picks`.
fn command_behind(text: &str, picks: fn(&Observation) -> bool) -> Option<u32> {
    let run = World::read(text).run(1, 1500);
    let journal = run.simulation.recorder();
    let first = journal.observations().iter().find(|it| picks(&it.observation))?;
    journal.chain(first.cause).into_iter().find_map(|record| match record.event {
        RigEvent::Command(position) => Some(position),
        RigEvent::Kube(_) => None,
    })
}

#[test]
fn what_a_mended_leak_left_is_still_its_doing() {
    let text = "nodes 1 per zone a
        deployment web 1 mem=100 limit=200
        uses web 100 grows=360
        at 100 leak web 1800
        at 200 mend";
    assert_eq!(command_behind(text, is_killed), Some(0));
    // A container that began after that has nothing of it.
    let text = format!("{text}\n at 300 crash web");
    assert_eq!(command_behind(&text, is_killed), Some(2));
}

#[test]
fn of_two_leaks_the_one_that_took_most_is_blamed() {
    let text = "nodes 1 per zone a
        memory 1000
        deployment slow 1 mem=100
        deployment fast 1 mem=100
        uses slow 100
        uses fast 100
        at 10 leak slow 360
        at 20 leak fast 3600";
    assert_eq!(command_behind(text, is_evicted), Some(1));
}
