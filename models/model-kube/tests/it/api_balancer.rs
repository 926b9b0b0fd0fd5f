//! The load balancer before the API servers, and kubelets that come through it.

use model_api::Observation;

use crate::world::{Run, World};

const TOWN: &str = "
    nodes 3 per zone a b c
    members a b c
    deployment web 6 spread probe=5
    service web";

fn run(balancer: &str, script: &str, seed: u64) -> Run {
    World::read(&format!("{TOWN}\n{balancer}\n{script}")).run(seed, 900)
}

/// When the balancer took a server out or in, and how long after it had turned.
fn pooled(run: &Run, picks_in: bool) -> Vec<(f64, f64)> {
    let records = run.simulation.recorder().observations().iter();
    let turns = records.filter_map(|it| match it.observation {
        Observation::ApiServerPooled { is_in, after_ns, .. } if is_in == picks_in => {
            Some((it.at.as_secs_f64(), after_ns as f64 / 1e9))
        }
        _ => None,
    });
    turns.collect()
}

fn silent(run: &Run) -> Vec<f64> {
    run.times(|it| matches!(it, Observation::NodeBecameNotReady { .. }))
}

#[test]
fn a_dead_server_is_out_after_its_checks_and_in_again_when_it_answers() {
    for seed in 0..30 {
        let script = "at 100 server 0 down\nat 300 server 0 up";
        let run = run("balancer interval=10 fall=2 rise=2", script, seed);
        let (out, back) = (pooled(&run, false), pooled(&run, true));
        assert_eq!((out.len(), back.len()), (1, 1), "seed {seed}");
        assert!((110.0..=120.0).contains(&out[0].0), "seed {seed}: {out:?}");
        // It starts within 5 to 30 s, and two checks succeed.
        assert!((315.0..=350.0).contains(&back[0].0), "seed {seed}: {back:?}");
        assert!((10.0..=20.0).contains(&back[0].1), "seed {seed}: {back:?}");
        // Kubelets were refused at most, and tried again.
        assert!(silent(&run).is_empty(), "seed {seed}");
    }
}

#[test]
fn a_blip_that_is_shorter_than_the_checks_is_not_noticed() {
    for seed in 0..30 {
        let run = run("balancer interval=10 fall=3 rise=2", "at 100 kill etcd", seed);
        assert!(pooled(&run, false).is_empty(), "seed {seed}");
    }
}

/// A machine that is gone costs each kubelet that is sent to it the time of a renewal. With checks that
/// take a minute that is longer than the grace period for some.
#[test]
fn slow_checks_of_a_lost_machine_take_healthy_nodes_for_dead() {
    let lost = |balancer: &str| -> usize {
        let runs = (0..30).map(|seed| run(balancer, "at 100 lose member 0", seed));
        runs.map(|run| silent(&run).len()).sum()
    };
    assert_eq!(lost("balancer interval=5 fall=2 rise=1"), 0);
    assert!(lost("balancer interval=60 fall=3 rise=1") > 10);
}

#[test]
fn without_the_balancer_every_node_seems_lost_and_nothing_is_evicted_or_routed_anew() {
    for seed in 0..10 {
        let script = "at 100 balancer down\nat 200 crash web\nat 700 balancer up";
        let run = run("balancer interval=10 fall=2 rise=2", script, seed);
        let lost = silent(&run);
        assert_eq!(lost.len(), 9, "seed {seed}");
        assert!(lost.iter().all(|at| (135.0..160.0).contains(at)), "seed {seed}: {lost:?}");
        assert!(run.times(|it| *it == Observation::MasterDisruptionStarted).len() == 1);
        let evicted = run.times(|it| matches!(it, Observation::PodDeletionRequested { .. }));
        assert!(evicted.is_empty(), "seed {seed}: {evicted:?}");
        // The API answers all the while; proxies hear of nothing until the balancer is back.
        assert!(run.times(|it| *it == Observation::ApiLost).is_empty());
        let ready = run.times(|it| matches!(it, Observation::NodeBecameReady { .. }));
        let ready: Vec<&f64> = ready.iter().filter(|at| **at > 1.0).collect();
        assert_eq!(ready.len(), 9, "seed {seed}");
        assert!(ready.iter().all(|at| (700.0..711.5).contains(*at)), "seed {seed}: {ready:?}");
    }
}

#[test]
fn kubelets_come_back_when_the_balancer_believes_in_the_servers_again() {
    for seed in 0..10 {
        let script = "at 100 api down\nat 300 api up";
        let run = run("balancer interval=10 fall=2 rise=3", script, seed);
        let back = pooled(&run, true);
        assert_eq!(back.len(), 3, "seed {seed}");
        assert!(back.iter().all(|(at, _)| (320.0..=330.0).contains(at)), "seed {seed}: {back:?}");
        let regained = run.times(|it| *it == Observation::ApiRegained);
        assert_eq!(regained, [300.0], "seed {seed}");
    }
}
