//! Timelines, as text.

use crate::world::World;

fn check(text: &str, until_secs: u64) -> String {
    World::read(text).run(1, until_secs).timeline()
}

#[test]
fn nothing_happens_while_everything_is_healthy() {
    let run = World::read(
        "nodes 3 per zone a b c
         members a b c
         deployment web 6 spread probe=5
         daemonset agent
         statefulset db 3 spread claim
         service web",
    )
    .run(1, 30 * 86_400);
    assert_eq!(run.timeline(), "");
    assert_eq!(run.simulation.stats().handled_count, 0);
}

#[test]
fn a_lost_zone_is_found_evicted_and_replaced() {
    let text = "nodes 3 per zone a b c
        deployment web 6 spread probe=5
        service web
        at 100 lose zone a";
    insta::assert_snapshot!(check(text, 600), @r"
    100.00 zone a lost
    100.00 a-0 lost
    100.00 a-1 lost
    100.00 a-2 lost
    100.00 service web: 6 routed, 4 live
    144.35 a-1 NotReady
    144.35 web#0 (0) not Ready: NodeNotReady
    144.35 a-2 NotReady
    144.44 a-1 tainted
    145.36 service web: 5 routed, 4 live
    149.36 a-0 NotReady
    149.36 web#4 (4) not Ready: NodeNotReady
    150.34 service web: 4 routed, 4 live
    154.44 a-2 tainted
    164.44 a-0 tainted
    444.44 web#0 (0) deleted: Taint
    444.53 web#6 (6) created
    444.61 web#6 (6) bound to c-2
    452.44 web#6 (6) has images
    452.56 web#6 (6) started
    458.47 web#6 (6) Ready
    459.21 service web: 5 routed, 5 live
    464.44 web#4 (4) deleted: Taint
    464.52 web#7 (7) created
    464.55 web#7 (7) bound to b-2
    468.17 web#7 (7) has images
    468.29 web#7 (7) started
    473.66 web#7 (7) Ready
    474.72 service web: 6 routed, 6 live
    ");
}

#[test]
fn a_partition_that_heals_before_the_eviction_leaves_the_pods() {
    let text = "nodes 3 per zone a b c
        deployment web 6 spread probe=5
        service web
        at 100 isolate zone a
        at 160 rejoin zone a";
    insta::assert_snapshot!(check(text, 900), @r"
    100.00 zone a lost
    100.00 a-0 lost
    100.00 a-1 lost
    100.00 a-2 lost
    100.00 service web: 6 routed, 4 live
    144.35 a-1 NotReady
    144.35 web#0 (0) not Ready: NodeNotReady
    144.35 a-2 NotReady
    144.44 a-1 tainted
    145.36 service web: 5 routed, 4 live
    149.36 a-0 NotReady
    149.36 web#4 (4) not Ready: NodeNotReady
    150.34 service web: 4 routed, 4 live
    154.44 a-2 tainted
    160.00 zone a restored
    160.00 a-0 runs
    160.00 a-1 runs
    160.00 a-2 runs
    160.00 ProxiesBehind { count: 3 }
    163.56 a-2 Ready
    164.17 a-1 Ready
    164.31 web#0 (0) Ready
    164.39 a-1 untainted
    164.39 a-2 untainted
    164.44 a-0 tainted
    164.70 service web: 5 routed, 5 live
    166.47 a-0 Ready
    169.11 web#4 (4) Ready
    169.40 a-0 untainted
    169.85 service web: 6 routed, 6 live
    176.20 ProxiesCaughtUp
    ");
}

#[test]
fn power_that_returns_starts_the_containers_anew() {
    let text = "nodes 1 per zone a b c
        deployment web 3 spread probe=5
        service web
        at 100 lose zone a
        at 110 restore zone a";
    insta::assert_snapshot!(check(text, 900), @r"
    100.00 zone a lost
    100.00 a-0 lost
    100.00 service web: 3 routed, 2 live
    110.00 zone a restored
    149.36 a-0 NotReady
    149.36 web#1 (1) not Ready: NodeNotReady
    149.44 a-0 tainted
    150.37 service web: 2 routed, 2 live
    186.18 a-0 runs
    186.25 a-0 Ready
    187.39 web#1 (1) has images
    187.83 web#1 (1) started
    189.44 a-0 untainted
    193.66 web#1 (1) Ready
    194.65 service web: 3 routed, 3 live
    ");
}

#[test]
fn a_stateful_pod_on_a_lost_node_waits_for_the_node() {
    let text = "nodes 1 per zone a b c
        statefulset db 3 spread claim tolerate=30
        at 100 lose zone a
        at 400 restore zone a";
    insta::assert_snapshot!(check(text, 900), @r"
    100.00 zone a lost
    100.00 a-0 lost
    149.36 a-0 NotReady
    149.36 db#0 (0) not Ready: NodeNotReady
    149.44 a-0 tainted
    179.44 db#0 (0) deleted: Taint
    400.00 zone a restored
    476.18 a-0 runs
    476.25 a-0 Ready
    478.37 db#0 (0) gone
    478.43 db#0 (3) created
    478.47 db#0 (3) bound to a-0
    478.47 db#0 (3) volumes from 485.07 on
    480.02 a-0 untainted
    486.03 db#0 (3) has images
    486.35 db#0 (3) started
    487.15 db#0 (3) Ready
    ");
}

#[test]
fn a_deleted_node_frees_the_name_of_its_stateful_pod() {
    let text = "nodes 2 per zone a b c
        statefulset db 3 spread tolerate=30
        at 100 lose node a-0
        at 340 delete node a-0";
    insta::assert_snapshot!(check(text, 900), @r"
    100.00 a-0 lost
    149.36 a-0 NotReady
    149.36 db#0 (0) not Ready: NodeNotReady
    149.44 a-0 tainted
    179.44 db#0 (0) deleted: Taint
    386.42 PodDisrupted { pod: PodId(0), workload: WorkloadId(0), reason: PodGc }
    386.42 db#0 (0) gone
    386.47 db#0 (3) created
    386.51 db#0 (3) bound to a-1
    391.82 db#0 (3) has images
    392.14 db#0 (3) started
    392.93 db#0 (3) Ready
    ");
}

#[test]
fn without_a_quorum_nothing_is_rescheduled_or_rerouted() {
    let text = "nodes 1 per zone a b c
        members a b c
        deployment web 3 spread tolerate=30 probe=5
        service web
        at 100 isolate zone a
        at 110 lose zone b
        at 400 rejoin zone a";
    insta::assert_snapshot!(check(text, 900), @r"
    100.00 zone a lost
    100.00 a-0 lost
    100.00 service web: 3 routed, 2 live
    110.00 zone b lost
    110.00 QuorumLost
    110.00 ApiLost
    110.00 KubeletsHung { count: 1 }
    110.00 b-0 lost
    110.00 service web: 3 routed, 1 live
    149.36 WriteWaits { write: Unready(WorkloadId(0)) }
    400.00 zone a restored
    400.00 a-0 runs
    400.00 service web: 3 routed, 2 live
    401.65 EtcdLed { member: 0 }
    401.65 QuorumRegained
    401.65 ApiRegained
    412.48 LeaderChanged
    462.58 b-0 NotReady
    462.58 web#0 (0) not Ready: NodeNotReady
    462.64 b-0 tainted
    463.59 service web: 2 routed, 2 live
    492.64 web#0 (0) deleted: Taint
    492.72 web#3 (3) created
    492.77 web#3 (3) bound to a-0
    493.60 web#3 (3) has images
    493.72 web#3 (3) started
    499.08 web#3 (3) Ready
    499.47 service web: 3 routed, 3 live
    ");
}

#[test]
fn a_lost_leader_costs_a_take_over_and_a_fresh_grace_period() {
    let text = "nodes 1 per zone a b c
        members a b c
        deployment web 3 spread tolerate=30 probe=5
        at 100 lose zone c";
    insta::assert_snapshot!(check(text, 400), @r"
    100.00 zone c lost
    100.00 KubeletsHung { count: 1 }
    100.00 c-0 lost
    124.94 LeaderChanged
    175.04 c-0 NotReady
    175.04 web#2 (2) not Ready: NodeNotReady
    185.04 c-0 tainted
    215.04 web#2 (2) deleted: Taint
    215.12 web#3 (3) created
    215.17 web#3 (3) bound to a-0
    216.00 web#3 (3) has images
    216.12 web#3 (3) started
    221.48 web#3 (3) Ready
    ");
}

#[test]
fn a_crash_loop_backs_off() {
    let text = "nodes 1 per zone a
        deployment web 1
        service web
        at 100 crash web
        at 110 crash web
        at 130 crash web";
    insta::assert_snapshot!(check(text, 400), @r"
    100.00 service web: 1 routed, 0 live
    100.58 web#0 (0) not Ready: ContainersEnded
    100.58 web#0 (0) has images
    100.79 web#0 (0) started
    101.02 web#0 (0) Ready
    101.59 service web: 0 routed, 0 live
    102.00 service web: 1 routed, 0 live
    103.69 service web: 1 routed, 1 live
    110.00 service web: 1 routed, 0 live
    110.23 web#0 (0) not Ready: ContainersEnded
    110.61 service web: 0 routed, 0 live
    123.38 web#0 (0) has images
    123.59 web#0 (0) started
    123.63 web#0 (0) Ready
    124.37 service web: 1 routed, 0 live
    125.28 service web: 1 routed, 1 live
    130.00 service web: 1 routed, 0 live
    130.05 web#0 (0) not Ready: ContainersEnded
    130.29 service web: 0 routed, 0 live
    156.60 web#0 (0) has images
    156.91 web#0 (0) started
    157.34 web#0 (0) Ready
    158.40 service web: 1 routed, 0 live
    159.76 service web: 1 routed, 1 live
    ");
}

#[test]
fn a_required_spread_leaves_the_replacement_pending_until_the_zone_is_back() {
    let text = "nodes 1 per zone a b c
        deployment web 3 hard-spread tolerate=30
        at 100 isolate zone a
        at 300 rejoin zone a";
    insta::assert_snapshot!(check(text, 600), @r"
    100.00 zone a lost
    100.00 a-0 lost
    149.36 a-0 NotReady
    149.36 web#1 (1) not Ready: NodeNotReady
    149.44 a-0 tainted
    179.44 web#1 (1) deleted: Taint
    179.53 web#3 (3) created
    179.59 web#3 (3) unschedulable: PodTopologySpread
    300.00 zone a restored
    300.00 a-0 runs
    304.07 web#1 (1) gone
    306.47 a-0 Ready
    306.47 web#3 (3) bound to a-0
    307.30 web#3 (3) has images
    307.42 web#3 (3) started
    307.78 web#3 (3) Ready
    309.68 a-0 untainted
    ");
}

#[test]
fn losing_every_zone_evicts_nothing() {
    let text = "nodes 1 per zone a b
        deployment web 2 spread tolerate=30
        at 100 isolate zone a
        at 100 isolate zone b
        at 400 rejoin zone a
        at 400 rejoin zone b";
    insta::assert_snapshot!(check(text, 900), @r"
    100.00 zone a lost
    100.00 a-0 lost
    100.00 zone b lost
    100.00 b-0 lost
    149.36 a-0 NotReady
    149.36 web#0 (0) not Ready: NodeNotReady
    149.36 b-0 NotReady
    149.36 web#1 (1) not Ready: NodeNotReady
    149.36 MasterDisruptionStarted
    400.00 zone a restored
    400.00 a-0 runs
    400.00 zone b restored
    400.00 b-0 runs
    404.31 web#0 (0) Ready
    406.47 a-0 Ready
    406.82 b-0 Ready
    409.60 web#1 (1) Ready
    ");
}

#[test]
fn a_budget_stops_the_second_eviction() {
    let text = "nodes 1 per zone a b
        deployment web 2 spread
        budget web max=1
        at 100 evict web 0
        at 101 evict web 1
        at 130 scale web 1";
    insta::assert_snapshot!(check(text, 900), @r"
    100.00 web#0 (0) deleted: Eviction
    100.09 web#0 (0) not Ready: Terminating
    100.09 web#2 (2) created
    100.10 web#2 (2) bound to a-0
    101.00 EvictionRefused { pod: PodId(1), workload: WorkloadId(0), code: 429 }
    101.26 web#2 (2) has images
    101.53 web#2 (2) started
    102.06 web#2 (2) Ready
    102.64 web#0 (0) gone
    130.05 ReplicaSetScaled { workload: WorkloadId(0), revision: 0, replicas: 1 }
    130.08 web#2 (2) deleted: ScaleDown
    130.14 web#2 (2) not Ready: Terminating
    131.37 web#2 (2) gone
    ");
}

#[test]
fn pods_deleted_while_the_api_is_away_wait_for_it() {
    let text = "nodes 1 per zone a b
        deployment web 2 spread
        service web
        at 100 api down
        at 105 crash web
        at 110 scale web 3
        at 160 api up";
    insta::assert_snapshot!(check(text, 900), @r"
    100.00 ApiLost
    105.00 service web: 2 routed, 0 live
    105.58 WriteWaits { write: Readiness(WorkloadId(0)) }
    105.58 web#0 (0) has images
    105.77 web#1 (1) has images
    105.79 web#0 (0) started
    106.22 web#1 (1) started
    108.43 service web: 2 routed, 1 live
    108.69 service web: 2 routed, 2 live
    160.00 ApiRegained
    161.00 ReplicaSetScaled { workload: WorkloadId(0), revision: 0, replicas: 3 }
    161.09 web#2 (2) created
    161.10 web#2 (2) bound to a-0
    162.26 web#2 (2) has images
    162.53 web#2 (2) started
    163.06 web#2 (2) Ready
    164.07 ProxiesBehind { count: 2 }
    177.53 service web: 3 routed, 3 live
    189.01 ProxiesCaughtUp
    ");
}

#[test]
fn an_out_of_service_taint_frees_a_stateful_pod() {
    let text = "nodes 2 per zone a b
        statefulset db 2 spread
        at 100 lose node a-0
        at 200 out-of-service node a-0";
    insta::assert_snapshot!(check(text, 900), @r"
    100.00 a-0 lost
    149.36 a-0 NotReady
    149.36 db#0 (0) not Ready: NodeNotReady
    149.44 a-0 tainted
    200.00 db#0 (0) deleted: Taint
    206.42 db#0 (0) gone
    206.47 db#0 (2) created
    206.51 db#0 (2) bound to a-1
    211.82 db#0 (2) has images
    212.14 db#0 (2) started
    212.93 db#0 (2) Ready
    ");
}

#[test]
fn a_majority_cut_off_with_the_api_takes_the_control_plane_along() {
    let text = "nodes 1 per zone a b c
        members a a b
        deployment web 3 spread tolerate=30 probe=5
        service web
        at 100 isolate zone a
        at 400 rejoin zone a";
    insta::assert_snapshot!(check(text, 900), @r"
    100.00 zone a lost
    100.00 a-0 lost
    100.00 service web: 3 routed, 2 live
    127.78 LeaderChanged
    177.88 b-0 NotReady
    177.88 web#0 (0) not Ready: NodeNotReady
    177.88 c-0 NotReady
    177.88 web#2 (2) not Ready: NodeNotReady
    177.94 b-0 tainted
    177.94 c-0 tainted
    178.89 ProxiesBehind { count: 2 }
    207.94 web#0 (0) deleted: Taint
    207.94 web#2 (2) deleted: Taint
    208.02 web#3 (3) created
    208.07 web#3 (3) bound to a-0
    208.11 web#4 (4) created
    208.13 web#4 (4) bound to a-0
    208.90 web#3 (3) has images
    209.02 web#3 (3) started
    209.28 web#4 (4) has images
    209.68 web#4 (4) started
    214.38 web#3 (3) Ready
    214.72 web#4 (4) Ready
    400.00 zone a restored
    400.00 a-0 runs
    400.00 service web: 3 routed, 3 live
    400.31 service web: 3 routed, 2 live
    400.53 service web: 3 routed, 1 live
    401.55 service web: 3 routed, 3 live
    401.76 web#2 (2) gone
    402.86 web#0 (0) gone
    403.58 c-0 Ready
    406.82 b-0 Ready
    408.34 b-0 untainted
    408.34 c-0 untainted
    429.43 ProxiesCaughtUp
    ");
}

#[test]
fn a_pod_of_high_priority_takes_the_place_of_the_least_important() {
    let text = "nodes 1 per zone a
        deployment low 7 cpu=1000
        deployment high 0 cpu=3000 priority=1000
        budget low max=7
        at 100 scale high 1";
    insta::assert_snapshot!(check(text, 300), @r"
    100.09 ReplicaSetScaled { workload: WorkloadId(1), revision: 0, replicas: 1 }
    100.12 high#0 (7) created
    100.20 high#0 (7) unschedulable: NodeResourcesFit
    100.20 low#5 (5) deleted: Preemption
    100.20 low#6 (6) deleted: Preemption
    100.24 low#7 (8) created
    100.24 low#6 (6) not Ready: Terminating
    100.27 low#5 (5) not Ready: Terminating
    100.32 low#8 (9) created
    100.34 low#7 (8) unschedulable: NodeResourcesFit
    100.39 low#8 (9) unschedulable: NodeResourcesFit
    101.80 low#6 (6) gone
    103.80 low#5 (5) gone
    103.80 high#0 (7) bound to a-0
    110.88 high#0 (7) has images
    111.09 high#0 (7) started
    111.20 high#0 (7) Ready
    ");
}
