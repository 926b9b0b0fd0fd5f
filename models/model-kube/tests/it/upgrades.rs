//! The control plane upgraded, member by member.

use model_api::kube::Version;
use model_api::{NodeId, Observation};

use crate::world::{Run, World};

const TOWN: &str = "
    nodes 3 per zone a b c
    members a b c
    deployment web 6 spread probe=5
    service web";

fn run(script: &str, seed: u64, until_secs: u64) -> Run {
    World::read(&format!("{TOWN}\n{script}")).run(seed, until_secs)
}

/// Members in the order in which they were upgraded, and when each was done.
fn upgraded(run: &Run) -> Vec<(u32, f64)> {
    let records = run.simulation.recorder().observations().iter();
    let upgraded = records.filter_map(|it| match it.observation {
        Observation::MemberUpgraded { member } => Some((member, it.at.as_secs_f64())),
        _ => None,
    });
    upgraded.collect()
}

#[test]
fn members_come_one_after_the_other_and_nothing_stops_for_longer_than_leads_change_hands() {
    for seed in 0..40 {
        let run = run("at 100 upgrade control-plane", seed, 400);
        let mut members: Vec<u32> = upgraded(&run).iter().map(|(member, _)| *member).collect();
        let last = upgraded(&run)[2].1;
        // Each takes 2 to 10 s for etcd and 5 to 30 s for its API server.
        assert!((121.0..221.0).contains(&last), "seed {seed}: {last}");
        members.sort_unstable();
        assert_eq!(members, [0, 1, 2], "seed {seed}");
        let lost = run.times(|it| *it == Observation::ApiLost);
        let back = run.times(|it| *it == Observation::ApiRegained);
        // The leader of etcd comes last, and hands its lead over in a moment.
        assert_eq!((lost.len(), back.len()), (1, 1), "seed {seed}");
        assert!(back[0] - lost[0] < 0.1, "seed {seed}");
        assert!(run.times(|it| *it == Observation::QuorumLost).is_empty(), "seed {seed}");
        assert!(run.times(|it| matches!(it, Observation::KubeletsHung { .. })).is_empty());
        assert!(run.times(|it| matches!(it, Observation::NodeBecameNotReady { .. })).is_empty());
        // The lease of the controller manager has to run out; once, or twice where the second one
        // to hold it is upgraded later.
        let changed = run.times(|it| *it == Observation::LeaderChanged).len();
        assert!((1..=3).contains(&changed), "seed {seed}: {changed}");
    }
}

#[test]
fn a_scheduler_that_is_upgraded_is_replaced_within_seconds() {
    for seed in 0..40 {
        let script = "at 100 upgrade control-plane\nat 101 scale web 7\nat 150 scale web 8";
        let run = run(script, seed, 500);
        let created = run.times(|it| matches!(it, Observation::PodCreated { .. }));
        let bound = run.times(|it| matches!(it, Observation::PodBound { .. }));
        let late = created.iter().zip(&bound).map(|(created, bound)| bound - created);
        // 0 to 4.4 s until a candidate looks, 1 to 10 s until its caches are filled.
        assert!(late.clone().all(|it| it < 16.0), "seed {seed}: {:?}", late.collect::<Vec<_>>());
        assert_eq!(bound.len(), 8, "seed {seed}");
    }
}

#[test]
fn with_a_member_gone_nothing_is_upgraded() {
    for seed in 0..20 {
        let run = run("at 90 lose member 2\nat 100 upgrade control-plane", seed, 900);
        // Two of three would be no quorum while one of them starts anew.
        assert!(run.times(|it| *it == Observation::QuorumLost).is_empty(), "seed {seed}");
        assert!(upgraded(&run).is_empty(), "seed {seed}");
    }
}

#[test]
fn machines_that_boot_anew_close_their_connections_first() {
    for seed in 0..20 {
        let run = run("at 100 upgrade control-plane reboots", seed, 900);
        assert_eq!(upgraded(&run).len(), 3, "seed {seed}");
        let last = upgraded(&run)[2].1;
        // Each boots for 60 to 180 s.
        assert!((295.0..730.0).contains(&last), "seed {seed}: {last}");
        assert!(run.times(|it| matches!(it, Observation::KubeletsHung { .. })).is_empty());
        assert!(run.times(|it| *it == Observation::QuorumLost).is_empty(), "seed {seed}");
    }
}

#[test]
fn kubelets_that_are_too_old_stop_an_upgrade_unless_it_is_forced() {
    let world = |script: &str, kubelet: u16| {
        let mut world = World::read(&format!("{TOWN}\n{script}"));
        world.blueprint.control_plane.version = Some(Version::new(36));
        world.blueprint.nodes[4].version = Some(Version::new(kubelet));
        world.run(1, 900)
    };
    let refused = |run: &Run| run.times(|it| matches!(it, Observation::UpgradeRefused { .. }));
    let plain = "at 100 upgrade control-plane to=37";
    assert_eq!(refused(&world(plain, 33)), [100.0]);
    assert_eq!(upgraded(&world(plain, 33)).len(), 0);
    assert_eq!(upgraded(&world(plain, 34)).len(), 3);
    assert_eq!(upgraded(&world("at 100 upgrade control-plane to=37 force", 33)).len(), 3);
    // A version is not skipped, whatever is forced.
    assert_eq!(upgraded(&world("at 100 upgrade control-plane to=38 force", 36)).len(), 0);
    // Nodes that are upgraded get the version of the control plane, so that the next one may come.
    let script = "
        at 100 upgrade a-0 a-1 a-2 b-0 b-1 b-2 c-0 c-1 c-2
        at 4000 upgrade control-plane to=37";
    let mut nodes = World::read(&format!("{TOWN}\n{script}"));
    nodes.blueprint.control_plane.version = Some(Version::new(36));
    nodes.blueprint.nodes.iter_mut().for_each(|node| node.version = Some(Version::new(33)));
    let run = nodes.run(1, 5000);
    assert_eq!(run.cluster().kubelet_version(NodeId(4)), Some(Version::new(36)));
    assert_eq!(upgraded(&run).len(), 3, "{}", run.timeline());
}

/// A script, and from when on each member is done at the earliest.
#[test]
fn no_member_is_touched_while_another_does_not_answer() {
    let rows = [
        // Of the second member, before the upgrade begins.
        ("at 50 etcd 1 down\nat 100 upgrade control-plane\nat 900 etcd 1 up", [900.0; 3]),
        ("at 50 server 1 down\nat 100 upgrade control-plane\nat 900 server 1 up", [900.0; 3]),
        // While the first member is upgraded, which is finished.
        (
            "at 100 upgrade control-plane\nat 101 etcd 2 down\nat 900 etcd 2 up",
            [100.0, 900.0, 900.0],
        ),
    ];
    for (script, least) in rows {
        for seed in 0..10 {
            let run = run(script, seed, 1400);
            let done = upgraded(&run);
            assert_eq!(done.len(), 3, "{script}, {seed}: {}", run.timeline());
            let are_late = done.iter().zip(least).all(|((_, at), least)| *at >= least);
            assert!(are_late, "{script}, {seed}: {done:?}");
            // One that is lost beside the one that starts anew takes the quorum.
            let quorums = run.times(|it| *it == Observation::QuorumLost);
            assert!(quorums.len() <= usize::from(least[0] < 900.0), "{script}, {seed}");
        }
    }
    let never = run("at 50 etcd 1 down\nat 100 upgrade control-plane", 1, 1400);
    assert!(upgraded(&never).is_empty(), "{}", never.timeline());
}
