//! The state of the API lost and restored: what is old, what is orphaned, what comes back.

use model_api::{Observation, PodId};
use model_kube::cluster::PodPhase;

use crate::world::{Run, World};

const TOWN: &str = "
    nodes 3 per zone a b c
    members a b c
    deployment web 6 spread probe=5
    service web";

fn run(script: &str, seed: u64, until_secs: u64) -> Run {
    let world = World::read(&format!("{TOWN}\n{script}"));
    world.run_with(seed, until_secs, |cluster| cluster.keep_history())
}

fn pods(run: &Run, name: usize) -> Vec<PodId> {
    run.cluster().pods_of(model_api::WorkloadId::from_index(name)).to_vec()
}

fn count(run: &Run, picks: impl Fn(&Observation) -> bool) -> usize {
    run.times(picks).len()
}

fn is_orphaned(it: &Observation) -> bool {
    matches!(it, Observation::PodOrphaned { .. })
}

fn is_returned(it: &Observation) -> bool {
    matches!(it, Observation::PodReturned { .. })
}

#[test]
fn a_scale_up_since_the_snapshot_is_undone_and_its_pods_are_killed() {
    let script = "at 100 scale web 8\nat 1000 lose etcd\nat 2000 restore etcd 50";
    for seed in 0..20 {
        let run = run(script, seed, 2600);
        assert_eq!(run.cluster().replicas(model_api::WorkloadId(0)), 6);
        assert_eq!(pods(&run, 0), (0..6).map(PodId).collect::<Vec<_>>());
        assert_eq!(count(&run, is_orphaned), 2, "seed {seed}");
        for pod in [6, 7].map(PodId) {
            assert_eq!(run.cluster().pod(pod).phase, PodPhase::Gone, "seed {seed}");
        }
        let api = run.times(|it| *it == Observation::ApiRegained)[0];
        let gone = run.times(|it| matches!(it, Observation::PodGone { .. }));
        // Its kubelet lists its pods as soon as the API answers, and gives a second.
        assert!(gone.iter().all(|at| (api..api + 15.0).contains(at)), "seed {seed}: {gone:?}");
        let service = model_api::ServiceId(0);
        assert_eq!(run.cluster().endpoint_counts(service), (6, 6), "seed {seed}");
    }
}

#[test]
fn a_rollout_since_the_snapshot_is_undone_and_proxies_route_to_what_is_no_more() {
    let town = TOWN.replace("probe=5", "probe=5 surge=25% unavailable=25%");
    let script = "at 100 rollout web 2\nat 1000 lose etcd\nat 2000 restore etcd 50";
    let world = World::read(&format!("{town}\n{script}"));
    for seed in 0..20 {
        let run = world.run_with(seed, 2600, |cluster| cluster.keep_history());
        let web = model_api::WorkloadId(0);
        assert_eq!(run.cluster().template(web), model_kube::cluster::TemplateId::at_start(web));
        assert_eq!(pods(&run, 0), (0..6).map(PodId).collect::<Vec<_>>(), "seed {seed}");
        assert_eq!((count(&run, is_orphaned), count(&run, is_returned)), (6, 6), "seed {seed}");
        // From the restore until the old pods are ready again, everything that is routed to is dead.
        let records = run.simulation.recorder().observations().iter();
        let dead = records.filter(|it| {
            matches!(it.observation,
                Observation::EndpointsChanged { ready_count, live_count: 0, .. } if ready_count > 0)
        });
        assert!(dead.count() > 0, "seed {seed}");
        assert_eq!(run.cluster().endpoint_counts(model_api::ServiceId(0)), (6, 6));
    }
}

#[test]
fn a_snapshot_of_the_last_moment_changes_nothing() {
    let script = "at 100 scale web 8\nat 1000 lose etcd\nat 1500 restore etcd 1000";
    let run = run(script, 1, 2000);
    assert_eq!(pods(&run, 0).len(), 8);
    let touched = count(&run, is_orphaned) + count(&run, is_returned);
    assert_eq!(touched, 0, "{}", run.timeline());
    assert_eq!(count(&run, |it| matches!(it, Observation::NodeBecameNotReady { .. })), 0);
}

#[test]
fn a_node_deleted_since_is_back_and_one_that_lost_power_is_found_silent_again() {
    let script = "
        at 100 lose node a-1
        at 900 delete node a-1
        at 1000 delete node b-1
        at 2000 lose etcd
        at 3000 restore etcd 50";
    let run = run(script, 3, 4500);
    let back = count(&run, |it| matches!(it, Observation::NodeReturned { .. }));
    let silent = run.times(|it| matches!(it, Observation::NodeBecameNotReady { .. }));
    assert_eq!(back, 2, "{}", run.timeline());
    assert_eq!(silent.len(), 2, "one node is found silent twice: {silent:?}");
    assert_eq!(pods(&run, 0).iter().filter(|pod| run.cluster().pod(**pod).is_ready).count(), 6);
}

#[test]
fn a_second_restore_finds_the_state_of_the_first() {
    let script = "
        at 100 scale web 8
        at 1000 lose etcd
        at 1500 restore etcd 500
        at 2000 scale web 4
        at 3000 lose etcd
        at 3500 restore etcd 50
        at 4000 lose etcd
        at 4500 restore etcd 3600";
    let run = run(script, 1, 5000);
    assert_eq!(run.cluster().replicas(model_api::WorkloadId(0)), 6);
    let ready = pods(&run, 0).into_iter().filter(|pod| run.cluster().pod(*pod).is_ready);
    assert_eq!(ready.count(), 6, "{}", run.timeline());
}

#[test]
fn what_follows_a_restore_is_told_in_order() {
    let script = "at 100 scale web 7\nat 1000 lose etcd\nat 2000 restore etcd 50";
    insta::assert_snapshot!(run(script, 1, 2600).timeline(), @r"
     100.05 ReplicaSetScaled { workload: WorkloadId(0), revision: 0, replicas: 7 }
     100.14 web#6 (6) created
     100.22 web#6 (6) bound to b-2
     104.12 web#6 (6) has images
     104.24 web#6 (6) started
     110.15 web#6 (6) Ready
     111.16 service web: 7 routed, 7 live
    1000.00 ApiLost
    1000.00 ApiStateLost
    2000.00 ApiStateRestored { lost_ns: 1950000000000 }
    2000.00 WorkloadReverted { workload: WorkloadId(0), from: 7, to: 6, is_older_template: false }
    2000.00 PodOrphaned { pod: PodId(6), workload: WorkloadId(0) }
    2008.79 ApiRegained
    2008.79 ProxiesBehind { count: 9 }
    2009.32 service web: 7 routed, 6 live
    2011.77 web#6 (6) gone
    2032.75 LeaderChanged
    2047.16 service web: 6 routed, 6 live
    2053.53 ProxiesCaughtUp
    ");
}

/// A snapshot of the time in which pods of a deleted node are not garbage yet: they are back on a node
/// that is not. It may register again before they are collected, and counts each of them once.
#[test]
fn pods_that_come_back_to_a_deleted_node_are_counted_once() {
    for back in ["", "at 1500 restore node a-1", "at 1990 restore node a-1"] {
        let script = format!(
            "at 100 lose node a-1\nat 200 delete node a-1\nat 1000 lose etcd\n{back}\n\
             at 2000 restore etcd 210"
        );
        for seed in 0..20 {
            let run = run(&script, seed, 4500);
            let ready =
                pods(&run, 0).iter().filter(|pod| run.cluster().pod(**pod).is_ready).count();
            assert_eq!((pods(&run, 0).len(), ready), (6, 6), "seed {seed}: {}", run.timeline());
        }
    }
}

/// One of three waits for room when the snapshot is made and runs later; what its kubelet has to report drowns in
/// a flood, and its object is gone with its node when etcd is lost. It comes back without a node.
#[test]
fn a_report_that_waits_is_nobodys_once_its_pod_has_no_node() {
    let world = World::read(
        "nodes 1 per zone a b
        members a a a
        deployment big 2 cpu=7600
        deployment web 1 cpu=300 probe=5
        service web
        at 100 scale web 3
        at 1000 scale big 0
        at 2000 flood system 20000 2000 2000
        at 2001 crash web
        at 2002 delete node a-0
        at 2003 delete node b-0
        at 2100 lose etcd
        at 2200 restore etcd 500
        at 2300 ebb",
    );
    for seed in 0..20 {
        let run = world.run_with(seed, 3000, |cluster| cluster.keep_history());
        let has_no_node = |pod: &&PodId| run.cluster().pod(**pod).node.is_none();
        let waiting = pods(&run, 1).iter().filter(has_no_node).count();
        assert_eq!(waiting, 1, "seed {seed}: {}", run.timeline());
    }
}
