//! The Service `kubernetes` and operators that come through it.

use model_api::Observation;
use model_api::blueprint::Database;

use crate::world::{Run, World};

const TOWN: &str = "
    nodes 2 per zone a b c
    members a b c
    etcd a b c
    database orders 1
    deployment operator 2 spread cpu=100 probe=5";

/// The town with an operator of its database.
fn world(reconciler: &str, script: &str) -> World {
    let mut world = World::read(&format!("{TOWN}\n{reconciler}\n{script}"));
    let (workload, operator) = (world.workload("orders"), Some(world.workload("operator")));
    world.blueprint.databases.push(Database { workload, operator, ..Database::default() });
    world
}

fn given_up(run: &Run) -> Vec<f64> {
    run.times(|it| matches!(it, Observation::OperatorTurned { leads: false, .. }))
}

/// When an address was taken away, or listed, and how long after its server had turned.
fn listed(run: &Run, picks_listed: bool) -> Vec<(f64, f64)> {
    let records = run.simulation.recorder().observations().iter();
    let turns = records.filter_map(|it| match it.observation {
        Observation::ApiServerListed { is_listed, after_ns, .. } if is_listed == picks_listed => {
            Some((it.at.as_secs_f64(), after_ns as f64 / 1e9))
        }
        _ => None,
    });
    turns.collect()
}

#[test]
fn a_dead_server_stays_listed_until_its_lease_has_run_out_and_another_one_looks() {
    let mut stayed = Vec::new();
    for seed in 0..60 {
        let script = "at 100 server 0 down\nat 300 server 0 up";
        let run = world("reconciler lease", script).run(seed, 400);
        let (gone, back) = (listed(&run, false), listed(&run, true));
        assert_eq!((gone.len(), back.len()), (1, 1), "seed {seed}");
        stayed.push(gone[0].1);
        // It starts within 5 to 30 s and is listed when it answers.
        assert!((305.0..=330.0).contains(&back[0].0) && back[0].1 < 0.01, "seed {seed}: {back:?}");
    }
    // Two others look: sooner than one alone would.
    assert!(stayed.iter().all(|secs| (5.0..=25.0).contains(secs)), "{stayed:?}");
    let mean = stayed.iter().sum::<f64>() / stayed.len() as f64;
    assert!((11.0..16.0).contains(&mean), "{mean}");
}

#[test]
fn a_server_that_ends_in_order_takes_its_address_away_itself() {
    for seed in 0..10 {
        let run = world("reconciler lease", "at 100 upgrade control-plane").run(seed, 600);
        let gone = listed(&run, false);
        assert_eq!((gone.len(), listed(&run, true).len()), (3, 3), "seed {seed}");
        assert!(gone.iter().all(|(_, after)| *after < 0.001), "seed {seed}: {gone:?}");
    }
}

#[test]
fn operators_dial_anew_when_the_server_that_they_are_connected_to_is_upgraded() {
    let mut members = std::collections::BTreeSet::new();
    for seed in 0..40 {
        // Nobody takes addresses away: who dials may be led to the server that is away.
        let script = "at 100 upgrade control-plane\nat 900 crash operator";
        let run = world("reconciler none", script).run(seed, 1200);
        let in_vain = run.times(|it| matches!(it, Observation::DialedInVain { .. }));
        assert!(
            in_vain.iter().all(|at| *at < 900.0),
            "all are there again: {in_vain:?}, seed {seed}"
        );
        let records = run.simulation.recorder().observations().iter();
        members.extend(records.filter_map(|it| match it.observation {
            Observation::DialedInVain { member } => Some(member),
            _ => None,
        }));
        let pods = run.cluster().pods_of(world("", "").workload("operator"));
        assert!(pods.iter().all(|pod| !run.cluster().is_api_client_cut(*pod)), "seed {seed}");
    }
    assert!(members.into_iter().eq(0..3), "not only the leader of etcd ends connections");
}

#[test]
fn a_silent_server_costs_an_operator_its_lease_and_a_process_that_ends_does_not() {
    let lost = |reconciler: &str, script: &str| -> usize {
        let runs = (0..90).map(|seed| given_up(&world(reconciler, script).run(seed, 300)));
        runs.map(|it| it.len()).sum()
    };
    let silent = lost("reconciler lease", "at 100 lose member 0");
    assert!((15..45).contains(&silent), "a third of 90 is connected to it: {silent}");
    // The connection is closed, and two of three tries lead to others.
    assert!(lost("reconciler lease", "at 100 server 0 down") <= 2);
    // Where nothing is stated pods reach whichever server answers.
    assert_eq!(lost("", "at 100 lose member 0"), 0);
}

#[test]
fn who_loses_the_lease_does_so_within_seconds_and_another_pod_takes_over() {
    let mut seen = 0;
    for seed in 0..60 {
        let run = world("reconciler lease", "at 100 lose member 0").run(seed, 600);
        let lost = given_up(&run);
        let taken = run.times(|it| matches!(it, Observation::OperatorTurned { leads: true, .. }));
        assert_eq!(lost.len(), taken.len(), "seed {seed}");
        seen += lost.len();
        // 12 s after a renewal of the two seconds before.
        assert!(lost.iter().all(|at| (110.0..=112.0).contains(at)), "seed {seed}: {lost:?}");
        // The lease has to run out; the other pod may hang as long as 45 s, or start anew.
        assert!(taken.iter().all(|at| (113.0..=170.0).contains(at)), "seed {seed}: {taken:?}");
    }
    assert!(seen > 5);
}

#[test]
fn addresses_that_nobody_takes_away_lead_pods_astray_for_ever() {
    for seed in 0..10 {
        let run = world("reconciler none", "at 100 server 0 down").run(seed, 600);
        assert!(listed(&run, false).is_empty(), "seed {seed}");
    }
}
