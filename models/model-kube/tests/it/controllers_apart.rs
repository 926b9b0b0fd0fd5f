//! Controller managers and schedulers on machines of their own.

use model_api::Observation;

use crate::world::{Run, World};

const TOWN: &str = "
    nodes 3 per zone a b c
    members a b c
    etcd a b c
    deployment web 6 spread probe=5
    service web";

fn run(town: &str, script: &str, seed: u64) -> Run {
    World::read(&format!("{TOWN}\n{town}\n{script}")).run(seed, 900)
}

fn changes(run: &Run) -> Vec<f64> {
    run.times(|it| *it == Observation::LeaderChanged)
}

fn silent(run: &Run) -> Vec<f64> {
    run.times(|it| matches!(it, Observation::NodeBecameNotReady { .. }))
}

#[test]
fn a_zone_without_a_controller_takes_no_leader_with_it() {
    for seed in 0..30 {
        // Both replicas stand where the zone is not; a server of theirs may.
        let run = run(
            "managers b c\nbalancer interval=10 fall=2 rise=2",
            "at 100 api down\nat 105 api up",
            seed,
        );
        assert!(changes(&run).is_empty(), "seed {seed}");
    }
    // One of two machines leads; with its zone it goes, and the other one takes over.
    let runs = (0..40).map(|seed| run("managers a b", "at 100 lose zone a", seed));
    let taken: usize = runs.map(|run| changes(&run).len()).sum();
    assert!((10..40).contains(&taken), "{taken}");
}

#[test]
fn a_leader_alone_in_its_zone_is_missed_until_its_machine_is_back() {
    for seed in 0..10 {
        let town = "managers a";
        let run = run(town, "at 100 lose zone a\nat 400 restore zone a", seed);
        // Nobody looks at nodes meanwhile.
        let lost = silent(&run);
        assert!(lost.iter().all(|at| *at > 400.0), "seed {seed}: {lost:?}");
        let changed = changes(&run);
        assert_eq!(changed.len(), 1, "seed {seed}");
        // A boot, a container, its own old lease is long over.
        assert!(changed[0] > 400.0, "seed {seed}: {changed:?}");
    }
}

#[test]
fn the_loss_of_an_api_server_costs_a_leader_apart_its_lease_for_its_share() {
    let lost = |script: &str| -> usize {
        (0..60)
            .map(|seed| changes(&run("managers a b c\nschedulers a b c", script, seed)).len())
            .sum()
    };
    // A third of the leaders hangs on it, longer than the lease lasts.
    let hung = lost("at 100 lose member 0");
    assert!((8..35).contains(&hung), "{hung}");
    // A process that ends closes its connections, and the next dial finds another one.
    assert_eq!(lost("at 100 server 0 down"), 0);
}

#[test]
fn pods_are_placed_again_when_another_scheduler_leads() {
    for seed in 0..20 {
        let script = "at 100 lose zone a\nat 101 scale web 8";
        let run = run("schedulers a b", script, seed);
        let bound = run.times(|it| matches!(it, Observation::PodBound { .. }));
        let late = bound.iter().filter(|at| **at > 101.0).copied().reduce(f64::min);
        assert!(late.is_some_and(|at| at < 160.0), "seed {seed}: {bound:?}");
    }
}

#[test]
fn controllers_apart_are_upgraded_after_the_servers() {
    for seed in 0..10 {
        let run = run("managers a b\nschedulers b c", "at 100 upgrade control-plane", seed);
        let records = run.simulation.recorder().observations().iter();
        let upgraded = records.filter_map(|it| match it.observation {
            Observation::MemberUpgraded { member } => Some(member),
            _ => None,
        });
        let order: Vec<u32> = upgraded.collect();
        assert_eq!(order.len(), 7, "seed {seed}: {order:?}");
        assert!(order[..3].iter().all(|member| *member < 3), "seed {seed}: {order:?}");
        assert_eq!(order[3..], [6, 7, 8, 9], "seed {seed}");
    }
}
