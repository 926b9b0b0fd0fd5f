//! Proxies that hear nothing go on with what they knew, and list when they can.

use model_api::{NodeId, Observation, ServiceId, ZoneId};

use crate::world::{Run, World};

const TOWN: &str = "
    nodes 3 per zone a b c
    deployment web 6 spread probe=5
    service web";

fn run(control_plane: &str, script: &str, seed: u64) -> Run {
    World::read(&format!("{TOWN}\n{control_plane}\n{script}")).run(seed, 1500)
}

/// When endpoints changed after the start, with those that proxies route to and those that live.
fn changes(run: &Run) -> Vec<(f64, u32, u32)> {
    let records = run.simulation.recorder().observations().iter();
    let changes = records.filter_map(|it| match it.observation {
        Observation::EndpointsChanged { ready_count, live_count, .. } => {
            Some((it.at.as_secs_f64(), ready_count, live_count))
        }
        _ => None,
    });
    changes.filter(|(at, ..)| *at > 0.0).collect()
}

/// When proxies that clients reach went by what was no more, and until when.
fn behind(run: &Run) -> (Vec<f64>, Vec<f64>) {
    let is_behind = |it: &Observation| matches!(it, Observation::ProxiesBehind { .. });
    (run.times(is_behind), run.times(|it| *it == Observation::ProxiesCaughtUp))
}

fn is_seen_differently(run: &Run) -> bool {
    run.cluster().is_seen_differently(ServiceId(0))
}

#[test]
fn proxies_outside_the_island_of_the_control_plane_keep_what_they_know() {
    for seed in 0..20 {
        let script = "at 100 isolate zone a\nat 700 rejoin zone a";
        let run = run("members a a a", script, seed);
        // The control plane takes the nodes outside for lost and evicts their pods.
        let silent = run.times(|it| matches!(it, Observation::NodeBecameNotReady { .. }));
        assert_eq!(silent.iter().filter(|at| **at < 700.0).count(), 6, "seed {seed}");
        let changes = changes(&run);
        type Changes = Vec<(f64, u32, u32)>;
        let (cut, later): (Changes, Changes) =
            changes.into_iter().partition(|(at, ..)| *at < 700.0);
        assert_eq!(cut, [(100.0, 6, 4)], "seed {seed}");
        // Back on the network all six run on, whatever the API shows.
        assert_eq!(later[0], (700.0, 6, 6), "seed {seed}");
        let (from, until) = behind(&run);
        assert!(from.len() == 1 && (141.0..156.0).contains(&from[0]), "seed {seed}: {from:?}");
        // A dial of 30 s that met silence, and a pause of 30 to 60 s.
        assert!(until.iter().all(|at| (700.0..792.0).contains(at)), "seed {seed}: {until:?}");
        assert!(!is_seen_differently(&run), "seed {seed}");
    }
}

#[test]
fn proxies_in_a_zone_that_was_cut_off_know_less_than_others_for_a_while() {
    let mut differed = 0;
    for seed in 0..20 {
        let script = "at 100 isolate zone a\nat 400 scale web 9\nat 700 rejoin zone a";
        let world = World::read(&format!("{TOWN}\nmembers b b c\n{script}"));
        let run = world.run(seed, 701);
        // Who is cut off is reached by nobody: what it knows matters when it is back.
        let seen = |zone: u32| run.cluster().routes_in(ServiceId(0), ZoneId(zone)).len();
        differed += usize::from(seen(0) == 6);
        assert_eq!(run.cluster().routes(ServiceId(0)).len(), seen(1), "seed {seed}: most know");
        let last = world.run(seed, 1500);
        let (from, until) = behind(&last);
        assert!(from.iter().all(|at| *at == 700.0), "seed {seed}: {from:?}");
        assert!(until.iter().all(|at| (700.0..792.0).contains(at)), "seed {seed}: {until:?}");
        assert!(!is_seen_differently(&last), "seed {seed}");
    }
    assert!(differed > 10, "three nodes are rarely all back within a second: {differed}");
}

#[test]
fn a_cut_that_nobody_noticed_is_over_at_once() {
    for seed in 0..10 {
        let script = "at 100 isolate zone a\nat 101 scale web 9\nat 110 rejoin zone a";
        let run = run("members b b c", script, seed);
        assert_eq!(behind(&run), (vec![], vec![]), "seed {seed}");
        let at_most = World::read(&format!("{TOWN}\nmembers b b c\n{script}")).run(seed, 110);
        assert!(!is_seen_differently(&at_most), "seed {seed}");
    }
}

/// Readiness that fails while the API is away is reported, and seen by each proxy in its time, when it
/// is back.
#[test]
fn while_the_api_is_away_all_proxies_keep_what_they_know_and_then_list_one_by_one() {
    let cases = [
        // Refused: pauses of 30 to 60 s.
        ("members a b c", "api", 662.0),
        ("", "api", 662.0),
        ("members a b c\nbalancer interval=5 fall=2 rise=1", "balancer", 692.0),
    ];
    for (control_plane, what, latest) in cases {
        for seed in 0..10 {
            let script = format!(
                "at 100 {what} down\nat 200 late web 1000000\nat 600 {what} up\nat 900 late web 0"
            );
            let run = run(control_plane, &script, seed);
            let changes = changes(&run);
            assert!(changes.iter().all(|(at, ..)| *at > 600.0), "{what} {seed}: {changes:?}");
            let (from, until) = behind(&run);
            assert!((600.0..615.0).contains(&from[0]), "{what} {seed}: {from:?}");
            assert!(!until.is_empty(), "{what} {seed}");
            let is_late = |at: &f64| !(600.0..latest).contains(at);
            assert!(!until.iter().any(is_late), "{what} {seed}: {until:?}");
            assert!(!is_seen_differently(&run), "{what} {seed}");
        }
    }
}

#[test]
fn proxies_of_a_vanished_api_server_hang_until_a_ping_fails() {
    let mut hung = 0;
    for seed in 0..20 {
        let run = run("members a b c", "at 100 lose member 0\nat 101 scale web 12", seed);
        let (from, until) = behind(&run);
        hung += usize::from(!from.is_empty());
        assert!(from.iter().all(|at| (101.0..147.0).contains(at)), "seed {seed}: {from:?}");
        // 15 to 45 s until the connection is given up, 0.8 to 1.6 s until the list.
        assert!(until.iter().all(|at| (115.0..147.0).contains(at)), "seed {seed}: {until:?}");
        assert_eq!(from.len(), until.len(), "seed {seed}");
    }
    assert!(hung > 15, "a proxy of nine is rarely connected to none of three: {hung}");
}

/// The balancer sends proxies of a server that ended to it again until its checks have failed.
#[test]
fn a_refused_proxy_tries_until_the_balancer_sends_it_elsewhere() {
    let mut behind_count = 0;
    for seed in 0..20 {
        let balancer = "members a b c\nbalancer interval=10 fall=2 rise=2";
        let run = run(balancer, "at 93 scale web 12\nat 100 server 0 down", seed);
        let (from, until) = behind(&run);
        behind_count += from.len();
        assert_eq!(from.len(), until.len(), "seed {seed}");
        // The checks have failed by 120 s, and a pause of 6.4 s is doubled at most.
        assert!(until.iter().all(|at| *at < 150.0), "seed {seed}: {until:?}");
        assert!(!is_seen_differently(&run), "seed {seed}");
    }
    assert!(behind_count > 0, "some is sent there more than once");
}

/// They have no rules at all until they list: what they knew before is no view of anybody.
#[test]
fn proxies_that_boot_go_by_nothing_old() {
    for seed in 0..20 {
        let script = "at 100 lose zone a\nat 690 restore zone a\nat 700 scale web 12";
        let run = run("members a b c", script, seed);
        let (from, _) = behind(&run);
        assert!(from.iter().all(|at| *at < 147.0), "seed {seed}: {from:?}");
        assert!(!is_seen_differently(&run), "seed {seed}");
    }
}

#[test]
fn who_elects_for_a_moment_loses_no_watch() {
    for seed in 0..20 {
        let run = run("members a b c", "at 100 kill etcd\nat 110 scale web 9", seed);
        assert_eq!(behind(&run), (vec![], vec![]), "seed {seed}");
    }
}

/// The proxy of each node that clients reach is asked what it knows: before it lists that is what all
/// knew when it was cut off, and after it what all know.
#[test]
fn a_proxy_knows_what_it_knew_or_what_all_know() {
    let script = "at 100 isolate zone a\nat 130 isolate node b-0\nat 200 scale web 12
        at 300 scale web 3\nat 420 rejoin zone a\nat 430 rejoin node b-0";
    let world = World::read(&format!("{TOWN}\nmembers b c c\n{script}"));
    let mut behind = 0;
    for seed in 0..10 {
        for until in [120, 180, 260, 400, 421, 431, 440, 470, 600] {
            let run = world.run(seed, until);
            let known = |node| run.cluster().routes_from(ServiceId(0), node).len();
            let nodes = (0..9).map(NodeId).filter(|node| run.cluster().is_reachable(*node));
            for node in nodes {
                let is_behind = known(node) != known(NodeId(8));
                behind += usize::from(is_behind);
                assert!(!is_behind || known(node) == 6, "seed {seed}, {until} s, {node:?}");
                assert!(!is_behind || (420..520).contains(&until) && node.index() < 4);
            }
        }
    }
    assert!(behind > 50, "they need longer than a few seconds to list: {behind}");
}
