//! Single members of the control plane: etcd apart from API servers, processes that end by themselves,
//! slow disks.

use model_api::Observation;
use model_api::control_plane::MemberPart;

use crate::world::{Run, World};

const TOWN: &str = "
    nodes 3 per zone a b c
    members a b c
    deployment web 6 spread probe=5
    service web";

fn run(town: &str, script: &str, seed: u64) -> Run {
    World::read(&format!("{town}\n{script}")).run(seed, 900)
}

/// Without a quorum, and without an API server that answers: how often, and for how many seconds.
fn away(run: &Run) -> (usize, usize, f64) {
    let lost = run.times(|it| *it == Observation::ApiLost);
    let back = run.times(|it| *it == Observation::ApiRegained);
    let span = lost.iter().enumerate().map(|(idx, at)| back.get(idx).unwrap_or(&900.0) - at);
    let quorum = run.times(|it| *it == Observation::QuorumLost).len();
    (quorum, lost.len(), span.sum())
}

/// What happens to etcd, how often it loses its quorum, and the least and most seconds without an API.
#[test]
fn quorum_is_a_matter_of_members_and_not_of_zones() {
    let stacked = "";
    let five = "etcd a a b b c";
    let three = "etcd a b c";
    let two_zones = "etcd a a b";
    let cases: [(&str, &str, usize, f64, f64); 10] = [
        // One of three may go, and nobody notices if it does not lead.
        (stacked, "at 100 etcd follower down", 0, 0.0, 0.0),
        (stacked, "at 100 etcd leader down", 0, 0.7, 2.5),
        (stacked, "at 100 etcd 0 down\nat 101 etcd 1 down", 1, 798.0, 800.0),
        (three, "at 100 etcd 3 down\nat 101 etcd 4 down", 1, 798.0, 800.0),
        (five, "at 100 etcd 3 down\nat 110 etcd 4 down", 0, 0.0, 5.0),
        // A zone with two of five, then a third one.
        (five, "at 100 lose zone a", 0, 0.0, 2.5),
        (five, "at 100 lose zone a\nat 110 etcd 5 down", 1, 785.0, 800.0),
        (five, "at 100 lose zone c\nat 110 etcd 5 down\nat 600 etcd 5 up", 0, 0.0, 5.0),
        (two_zones, "at 100 lose zone a\nat 200 restore zone a", 1, 99.0, 400.0),
        (two_zones, "at 100 lose zone b", 0, 0.0, 2.5),
    ];
    for (etcd, script, quorum_lost, least, most) in cases {
        for seed in 0..20 {
            let run = run(&format!("{TOWN}\n{etcd}"), script, seed);
            let (lost, _, secs) = away(&run);
            assert_eq!(lost, quorum_lost, "{etcd}; {script}; seed {seed}");
            assert!((least..=most).contains(&secs), "{etcd}; {script}; seed {seed}: {secs}");
        }
    }
}

#[test]
fn api_servers_of_an_etcd_of_its_own_outlive_any_of_its_members() {
    for seed in 0..20 {
        // Stacked, the API server beside a dead member of etcd answers nothing: its leaders end.
        let stacked = "at 100 etcd 0 down\nat 100 etcd 1 up";
        let town = format!("{TOWN}\netcd a b c");
        let apart = run(&town, "at 100 etcd 3 down", seed);
        assert!(apart.times(|it| *it == Observation::LeaderChanged).is_empty(), "seed {seed}");
        let stacked = run(TOWN, stacked, seed);
        let changes = stacked.times(|it| *it == Observation::LeaderChanged);
        assert!(changes.len() <= 1, "seed {seed}: {changes:?}");
    }
}

#[test]
fn a_leader_without_its_api_server_gives_up_and_another_one_takes_over() {
    let mut changed = 0;
    for seed in 0..60 {
        let run = run(TOWN, "at 100 server 0 down\nat 101 scale web 7", seed);
        let (quorum, api, _) = away(&run);
        assert_eq!((quorum, api), (0, 0), "two others answer, seed {seed}");
        let changes = run.times(|it| *it == Observation::LeaderChanged);
        changed += changes.len();
        // Its last renewal was up to 2 s before; candidates wait for 15 s from then, look every 2 to
        // 4.4 s, and fill their caches for up to 10 s.
        assert!(changes.iter().all(|at| (113.0..131.0).contains(at)), "seed {seed}: {changes:?}");
        let ready = run.times(|it| matches!(it, Observation::PodBecameReady { .. }));
        assert_eq!(ready.len(), 7, "seed {seed}");
        let silent = run.times(|it| matches!(it, Observation::NodeBecameNotReady { .. }));
        assert!(silent.is_empty(), "seed {seed}: {silent:?}");
    }
    assert!((5..40).contains(&changed), "one of three leads: {changed} of 60");
}

#[test]
fn a_leader_whose_api_server_is_back_within_its_deadline_leads_on() {
    let mut world = World::read(&format!("{TOWN}\nat 100 server 0 down\nat 102 server 0 up"));
    world.blueprint.parameters.apiserver_start = model_api::parameters::Range::millis(5000, 6000);
    for seed in 0..40 {
        let run = world.run(seed, 300);
        let changes = run.times(|it| *it == Observation::LeaderChanged);
        assert!(changes.is_empty(), "seed {seed}: {changes:?}");
    }
    world.blueprint.parameters.apiserver_start =
        model_api::parameters::Range::millis(15_000, 16_000);
    let runs = (0..40).map(|seed| world.run(seed, 300));
    let changes: usize =
        runs.map(|it| it.times(|it| *it == Observation::LeaderChanged).len()).sum();
    assert!(changes > 3, "after 12 s without a renewal it ends: {changes}");
}

#[test]
fn without_any_api_server_nothing_is_written_and_etcd_keeps_its_quorum() {
    for seed in 0..20 {
        let script =
            "at 100 server 0 down\nat 100 server 1 down\nat 110 server 2 down\nat 200 server 1 up";
        let run = run(TOWN, script, seed);
        let (quorum, api, secs) = away(&run);
        // It starts within 5 to 30 s.
        assert_eq!((quorum, api), (0, 1), "seed {seed}");
        assert!((95.0..120.5).contains(&secs), "seed {seed}: {secs}");
    }
}

#[test]
fn a_slow_disk_counts_where_it_leads_or_is_needed() {
    let slowed = |run: &Run| {
        let records = run.simulation.recorder().observations().iter();
        let latencies = records.filter_map(|it| match it.observation {
            Observation::ApiSlowed { latency_ns } => Some(latency_ns / 1_000_000),
            _ => None,
        });
        latencies.collect::<Vec<u64>>()
    };
    let cases: [(&str, &[u64], usize, usize); 6] = [
        // The leader's: writes are slow; a follower's: two others are quicker.
        ("at 100 disk leader 500", &[500], 0, 0),
        ("at 100 disk leader 500\nat 200 disk leader 0", &[500], 0, 0),
        // It is slower than the election time-out: another one leads, and all is well.
        ("at 100 disk leader 1500", &[], 0, 1),
        // Two slow ones of three: one of them is needed.
        ("at 100 disk 0 300\nat 100 disk 1 400\nat 100 disk 2 400", &[300, 400], 0, 0),
        ("at 100 disk 0 2000\nat 100 disk 1 2000", &[], 1, 1),
        ("at 100 disk 0 2000\nat 100 disk 1 2000\nat 300 disk 1 0", &[], 1, 1),
    ];
    for (script, expected, quorum_lost, outages) in cases {
        for seed in 0..10 {
            let run = run(TOWN, script, seed);
            let (quorum, api, _) = away(&run);
            assert_eq!(quorum, quorum_lost, "{script}; seed {seed}");
            assert!((outages..=2).contains(&api) || api == outages, "{script}; seed {seed}: {api}");
            let seen = slowed(&run);
            let is_expected = seen == expected || (expected.len() == 2 && seen.ends_with(&[400]));
            assert!(is_expected, "{script}; seed {seed}: {seen:?}");
        }
    }
}

/// When processes of a member were away, and when they were there again.
#[test]
fn every_process_that_is_away_is_told_of() {
    let turns = |script: &str, of: MemberPart| {
        let run = run(TOWN, script, 3);
        let records = run.simulation.recorder().observations().iter();
        let turns = records.filter_map(|it| match it.observation {
            Observation::MemberServes { member, part, is_up, after_ns } if part == of => {
                Some((member, is_up, it.at.as_secs_f64() + after_ns as f64 / 1e9))
            }
            _ => None,
        });
        turns.collect::<Vec<(u32, bool, f64)>>()
    };
    let server = turns("at 100 server 1 down\nat 200 server 1 up", MemberPart::ApiServer);
    assert_eq!(server[0], (1, false, 100.0));
    // It starts within 5 to 30 s.
    assert!(server[1].1 && (205.0..=230.0).contains(&server[1].2), "{server:?}");
    assert_eq!(server.len(), 2);
    // With the etcd beside it an API server has nobody to ask.
    for part in [MemberPart::ApiServer, MemberPart::Etcd] {
        let both = turns("at 100 etcd 0 down\nat 150 etcd 0 up", part);
        assert_eq!(both, [(0, false, 100.0), (0, true, 150.0)], "{part:?}");
    }
    let all = turns("at 100 api down\nat 160 api up", MemberPart::ApiServer);
    assert_eq!(all.iter().filter(|(_, is_up, at)| !is_up && *at == 100.0).count(), 3);
    assert_eq!(all.iter().filter(|(_, is_up, at)| *is_up && *at == 160.0).count(), 3);
    assert!(turns("at 100 api down\nat 160 api up", MemberPart::Etcd).is_empty());
}
