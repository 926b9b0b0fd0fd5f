//! API servers that run and are flooded, or store slowly.

use std::collections::BTreeMap;

use model_api::observation::DeletionReason;
use model_api::{NodeId, Observation};

use crate::world::{Run, World};

const TOWN: &str = "
    nodes 3 per zone a b c
    members a b c
    deployment web 6 spread probe=5
    service web";

fn run(script: &str, seed: u64) -> Run {
    World::read(&format!("{TOWN}\n{script}")).run(seed, 1500)
}

fn is_silent(observation: &Observation) -> bool {
    matches!(observation, Observation::NodeBecameNotReady { .. })
}

fn is_moved(observation: &Observation) -> bool {
    matches!(observation, Observation::PodDeletionRequested { .. })
}

fn is_routed_anew(observation: &Observation) -> bool {
    matches!(observation, Observation::EndpointsChanged { .. })
}

#[test]
fn a_flood_of_the_catch_all_level_changes_nothing() {
    for seed in 0..5 {
        let loss = "at 100 lose zone a\nat 900 restore zone a";
        let calm = run(loss, seed);
        let flooded = run(&format!("at 50 flood catch-all 20000 500 1\n{loss}\nat 1000 ebb"), seed);
        for is_one in [is_silent, is_moved, is_routed_anew] {
            assert_eq!(calm.times(is_one), flooded.times(is_one), "seed {seed}");
        }
    }
}

#[test]
fn one_client_of_the_controllers_level_hardly_delays_them() {
    let calm = run("at 100 lose zone a", 1);
    let flooded = run("at 50 flood workload-high 20000 500 1\nat 100 lose zone a", 1);
    let (calm, flooded) = (calm.times(is_moved), flooded.times(is_moved));
    assert_eq!(calm.len(), flooded.len());
    let late = calm.iter().zip(&flooded).map(|(calm, flooded)| flooded - calm);
    assert!(late.clone().all(|late| (-1.0..2.0).contains(&late)), "{:?}", late.collect::<Vec<_>>());
}

#[test]
fn many_clients_of_the_controllers_level_delay_them_and_no_lease() {
    let mut late = 0.0;
    for seed in 0..10 {
        let calm = run("at 100 lose zone a", seed);
        let flooded = run("at 50 flood workload-high 20000 500 2000\nat 100 lose zone a", seed);
        assert_eq!(flooded.times(|it| matches!(it, Observation::LeaseStalled { .. })), []);
        assert_eq!(flooded.times(|it| matches!(it, Observation::LeaderStalled { .. })), []);
        assert_eq!(flooded.times(is_silent).len(), calm.times(is_silent).len(), "seed {seed}");
        late += flooded.times(is_silent)[0] - calm.times(is_silent)[0];
    }
    // Three servers of 786 a second get 20000: a try in eight, after 8 s in a queue and 7 retries.
    assert!((80.0..500.0).contains(&late), "{late} s in ten runs");
}

#[test]
fn nodes_whose_leases_drown_are_silent_and_their_pods_run_on() {
    let run = run("at 100 flood node-high 20000 2000 2000\nat 400 ebb", 1);
    let silent = run.times(is_silent);
    assert_eq!(silent.len(), 9, "{silent:?}");
    assert!(silent.iter().all(|at| (140.0..165.0).contains(at)), "{silent:?}");
    assert_eq!(run.times(|it| matches!(it, Observation::MasterDisruptionStarted)).len(), 1);
    assert_eq!(run.times(is_moved), [], "where every node is silent nothing is evicted");
    assert_eq!(run.times(|it| matches!(it, Observation::NodeLost { .. })), []);
    let back = run.times(|it| matches!(it, Observation::NodeBecameReady { .. }));
    assert!(back.len() == 9 && back.iter().all(|at| (400.0..402.0).contains(at)), "{back:?}");
    assert!((0..9).all(|node| run.cluster().is_node_ready(NodeId(node))));
}

#[test]
fn leaders_whose_leases_drown_give_up_until_the_flood_is_over() {
    let run = run("at 100 flood leader-election 5000 2000 500\nat 200 lose zone a\nat 400 ebb", 1);
    let stalled = run.times(|it| matches!(it, Observation::LeaderStalled { .. }));
    assert_eq!(stalled, [100.0, 100.0]);
    let silent = run.times(is_silent);
    assert!(silent.iter().all(|at| *at > 400.0) && !silent.is_empty(), "{silent:?}");
    let led = run.times(|it| matches!(it, Observation::LeaderChanged));
    assert!(matches!(led[..], [at] if (400.0..430.0).contains(&at)), "{led:?}");
}

#[test]
fn a_flood_that_is_over_soon_leaves_leaders_in_office() {
    let run = run("at 100 flood leader-election 5000 2000 500\nat 105 ebb", 1);
    assert_eq!(run.times(|it| matches!(it, Observation::LeaderChanged)), []);
    assert_eq!(run.times(is_silent), []);
}

#[test]
fn slow_writes_delay_everything_and_take_leaders_first() {
    let loss = "at 100 lose zone a";
    let (calm, slow) = (run(loss, 1), run(&format!("at 50 slow 2000\n{loss}"), 1));
    assert_eq!(slow.times(is_silent).len(), calm.times(is_silent).len());
    let late = slow.times(is_silent)[0] - calm.times(is_silent)[0];
    // A pass, and before it the lease and the caches of another leader if one has to follow.
    assert!((1.9..=6.1).contains(&late), "{late}");
    // A leader's client waits for 5 s, a kubelet for 10 s.
    let slow = run("at 50 slow 6000", 1);
    assert_eq!(slow.times(|it| matches!(it, Observation::LeaderStalled { .. })), [50.0, 50.0]);
    assert_eq!(slow.times(|it| matches!(it, Observation::LeaseStalled { .. })), []);
}

#[test]
fn without_priorities_a_flood_of_anybody_drowns_leases() {
    let flood = "at 100 flood catch-all 100000 500 1\nat 600 ebb";
    let mut world = World::read(&format!("{TOWN}\n{flood}"));
    world.blueprint.parameters.priority_and_fairness = false;
    let run = world.run(1, 1500);
    // One try in 83 succeeds: of 40 s of tries more than half fail.
    let stalled = run.times(|it| matches!(it, Observation::LeaseStalled { .. }));
    assert!(stalled.len() >= 9, "{stalled:?}");
    let leaders = run.times(|it| matches!(it, Observation::LeaderStalled { .. }));
    assert!(leaders.len() >= 2, "{leaders:?}");
    assert!((0..9).all(|node| run.cluster().is_node_ready(NodeId(node))));
}

fn is_stalled_leader(observation: &Observation) -> bool {
    matches!(observation, Observation::LeaderStalled { .. })
}

fn is_leader_changed(observation: &Observation) -> bool {
    matches!(observation, Observation::LeaderChanged)
}

#[test]
fn a_leader_that_outlives_an_api_outage_gives_up_when_the_flood_lasts() {
    let flood = "at 100 flood leader-election 5000 2000 500\nat 105 kill etcd";
    let run = run(&format!("{flood}\nat 200 lose zone a\nat 400 ebb"), 1);
    let stalled = run.times(is_stalled_leader);
    assert!(matches!(stalled[..], [100.0, 100.0, c, d] if c > 105.0 && d > 105.0), "{stalled:?}");
    let silent = run.times(is_silent);
    assert!(!silent.is_empty() && silent.iter().all(|at| *at > 400.0), "{silent:?}");
    assert_eq!(run.times(is_leader_changed).len(), 1);
}

#[test]
fn a_leader_that_cannot_renew_gets_no_longer_term_when_the_api_is_lost() {
    // It renewed last at 100 at the latest, and gives up 10 s later.
    let flood = "at 100 flood leader-election 5000 2000 500\nat 107 api down";
    let run = run(&format!("{flood}\nat 111 ebb\nat 112 api up"), 1);
    assert_eq!(run.times(is_leader_changed).len(), 1);
}

#[test]
fn who_could_not_renew_does_so_as_soon_as_something_gets_through() {
    for flood in ["node-high 20000 2000 2000", "leader-election 5000 2000 500"] {
        for mild in ["slow 100", "flood node-high 900 2000 1", "flood workload-low 9000 500 1"] {
            let text = format!("at 50 {mild}\nat 100 flood {flood}\nat 105 ebb 1");
            let run = run(&text, 1);
            assert_eq!(run.times(is_leader_changed), [], "{text}");
            assert_eq!(run.times(is_silent), [], "{text}");
        }
    }
}

#[test]
fn a_leader_that_is_gone_does_not_start_when_its_lists_come_at_last() {
    // The second one waits for its lists when it is killed; the third finds the lease free 15 s later.
    let run = run(
        "at 100 flood workload-high 2000000 500 2000\nat 110 kill controller-manager
        at 180 kill controller-manager\nat 181 ebb",
        1,
    );
    let led = run.times(is_leader_changed);
    assert!(matches!(led[..], [at] if at > 192.0), "{led:?}");
}

/// Of each pod that a taint evicted: how long its node had had it, in seconds.
fn stays(run: &Run) -> Vec<f64> {
    let (mut nodes, mut tainted, mut stays) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    for record in run.simulation.recorder().observations() {
        let at = record.at.as_secs_f64();
        match record.observation {
            Observation::PodBound { pod, node, .. } => {
                nodes.insert(pod, node);
            }
            Observation::NodeTaintedNoExecute { node } => {
                tainted.insert(node, at);
            }
            Observation::PodDeletionRequested { pod, reason: DeletionReason::Taint, .. } => {
                stays.push(at - tainted[&nodes[&pod]]);
            }
            _ => {}
        }
    }
    stays
}

#[test]
fn a_pod_has_all_its_time_whenever_its_node_is_tainted_anew() {
    let town = TOWN.replace("spread", "spread tolerate=30");
    let mut count = 0;
    // So many flows that requests for pods share all queues with the flood in about half of the runs,
    // and what controllers ask for nodes in another half.
    for seed in 0..20 {
        let text = "at 10 flood workload-high 2000000 500 46\nat 50 isolate node a-0
            at 51 isolate node b-0\nat 180 rejoin node a-0\nat 181 rejoin node b-0
            at 240 isolate node a-0\nat 241 isolate node b-0\nat 300 ebb";
        let run = World::read(&format!("{town}\n{text}")).run(seed, 600);
        let stays = stays(&run);
        count += stays.len();
        assert!(stays.iter().all(|stay| *stay >= 30.0), "seed {seed}: {stays:?}");
    }
    assert!(count > 10, "{count} evictions");
}

#[test]
fn a_flood_of_service_accounts_refuses_what_looks_after_databases() {
    use model_api::DatabaseId;
    use model_api::blueprint::{Database, DatabaseManager, Patroni, PatroniStore};
    let stalled = |manager: DatabaseManager, rate: u32, until_secs: u64| {
        let mut world = World::read(&format!(
            "nodes 1 per zone a
             database orders 1
             at 100 flood workload-low {rate} 1000 500
             at 400 ebb"
        ));
        let workload = world.workload("orders");
        world.blueprint.databases.push(Database { workload, manager, ..Database::default() });
        world.run(1, until_secs).cluster().is_database_client_stalled(DatabaseId(0))
    };
    let at = |manager, rate| [99, 250, 399, 402].map(|until| stalled(manager, rate, until));
    let patroni = Patroni::default();
    for manager in [DatabaseManager::CloudNativePg, DatabaseManager::Patroni(patroni)] {
        assert_eq!(at(manager, 1_000_000), [false, true, true, false], "{manager:?}");
        assert_eq!(at(manager, 1), [false; 4], "{manager:?}");
    }
    // Every write takes eleven seconds more, and Patroni waits for ten.
    let slow = |manager: DatabaseManager| {
        let mut world = World::read("nodes 1 per zone a\n database orders 1\n at 100 slow 11000");
        let workload = world.workload("orders");
        world.blueprint.databases.push(Database { workload, manager, ..Database::default() });
        world.run(1, 200).cluster().is_database_client_stalled(DatabaseId(0))
    };
    assert!(slow(DatabaseManager::Patroni(patroni)) && !slow(DatabaseManager::CloudNativePg));
    let apart = Patroni { store: PatroniStore::Etcd, ..patroni };
    assert_eq!(at(DatabaseManager::Patroni(apart), 1_000_000), [false; 4]);
}
