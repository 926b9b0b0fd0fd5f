//! What holds in every world.

use std::collections::BTreeMap;

use model_api::kube::ResourceList;
use model_api::memory::Growth;
use model_api::observation::DeletionReason;
use model_api::{BudgetId, NodeId, Observation, PodId, WorkloadId};
use model_kube::cluster::PodPhase;
use proptest::prelude::*;
use sim_kernel::SimTime;

use crate::world::{Run, World};

const PLATFORM: &str = "nodes 2 per zone a b c
    members a b c
    daemonset agent cpu=0 tolerant
    deployment web 7 spread tolerate=30 cpu=1500 probe=5
    deployment api 4 hard-spread tolerate=20 cpu=1000
    statefulset db 3 spread claim tolerate=40 cpu=1000 probe=3
    database pg 3 spread tolerate=30
    service web
    service api
    service db
    budget web max=2
    budget api max=1";

/// A command as text, at most at `until` seconds.
fn command() -> impl Strategy<Value = String> {
    let zone = prop::sample::select(vec!["a", "b", "c"]);
    let verb = prop::sample::select(vec!["lose", "restore", "isolate", "rejoin"]);
    let workload = prop::sample::select(vec!["web", "api", "db", "pg"]);
    prop_oneof![
        (verb.clone(), zone.clone()).prop_map(|(verb, zone)| format!("{verb} zone {zone}")),
        (verb, zone.clone(), 0..2)
            .prop_map(|(verb, zone, nth)| format!("{verb} node {zone}-{nth}")),
        workload.clone().prop_map(|name| format!("crash {name}")),
        (prop::sample::select(vec!["web", "api"]), 0..9)
            .prop_map(|(name, count)| format!("scale {name} {count}")),
        (prop::sample::select(vec!["suspend", "resume"]), prop::sample::select(vec!["web", "api"]))
            .prop_map(|(verb, name)| format!("{verb} {name}")),
        (zone.clone(), 0..2).prop_map(|(zone, nth)| format!("delete node {zone}-{nth}")),
        (zone, 0..2).prop_map(|(zone, nth)| format!("out-of-service node {zone}-{nth}")),
        Just("api down".to_owned()),
        prop::sample::select(vec![
            "flood workload-high 20000 500 2000",
            "flood node-high 20000 2000 2000",
            "flood system 9000 900 500",
            "flood leader-election 5000 2000 500",
            "slow 3000",
            "slow 11000",
            "slow 100",
            "flood node-high 900 2000 1",
            "ebb",
            "ebb 0",
            "ebb 1",
            "ebb 2",
        ])
        .prop_map(str::to_owned),
        (prop::sample::select(vec!["web", "api"]), 0..2_usize)
            .prop_map(|(name, nth)| format!("evict {name} {nth}")),
    ]
}

/// What happens, in the order in which it is written.
fn script() -> impl Strategy<Value = Vec<(u64, String)>> {
    // Outages of the API that leases outlive or do not, and some that last.
    let length = prop_oneof![1..40_u64, 200..2000_u64];
    let one = (10..1500_u64, command(), length).prop_map(|(at, command, length)| {
        let back = (command == "api down").then(|| (at + length, "api up".to_owned()));
        [(at, command)].into_iter().chain(back).collect::<Vec<_>>()
    });
    prop::collection::vec(one, 1..12).prop_map(|all| all.concat())
}

fn world(script: &[(u64, String)]) -> World {
    let mut text = PLATFORM.to_owned();
    for (at, command) in script {
        text.push_str(&format!("\nat {at} {command}"));
    }
    World::read(&text)
}

/// Nothing on a node exceeds what it has to give.
fn check_capacity(run: &Run, world: &World) {
    let cluster = run.cluster();
    for idx in 0..world.blueprint.nodes.len() {
        let node = NodeId::from_index(idx);
        let mut cpu_millis = 0;
        for pod in cluster.pods_on(node) {
            let view = cluster.pod(*pod);
            assert_eq!(view.node, Some(node));
            if view.phase == PodPhase::Finished {
                continue;
            }
            let spec = &world.blueprint.workloads[view.workload.index()].template.spec;
            let requests = spec.containers.iter().filter_map(|it| it.requests.cpu_millis());
            cpu_millis += requests.sum::<i64>();
        }
        let allocatable = world.blueprint.nodes[idx].node.allocatable.cpu_millis();
        assert!(Some(cpu_millis) <= allocatable, "{node}: {cpu_millis} of {allocatable:?}");
    }
}

/// One pod a name, and no more active pods than wanted once a controller had its say.
fn check_identities(run: &Run, world: &World) {
    let cluster = run.cluster();
    for (idx, workload) in world.blueprint.workloads.iter().enumerate() {
        let id = WorkloadId::from_index(idx);
        let mut by_ordinal: BTreeMap<u32, u32> = BTreeMap::new();
        for pod in cluster.pods_of(id) {
            *by_ordinal.entry(cluster.pod(*pod).ordinal).or_default() += 1;
        }
        assert!(by_ordinal.values().all(|count| *count == 1), "{}", workload.name);
    }
}

/// The counts in observations follow from the pods' own.
fn check_routes(run: &Run, world: &World) {
    let cluster = run.cluster();
    for idx in 0..world.blueprint.services.len() {
        let service = model_api::ServiceId::from_index(idx);
        let routes = cluster.routes(service);
        let live = routes.iter().filter(|route| route.is_live).count();
        assert_eq!(cluster.endpoint_counts(service), (routes.len() as u32, live as u32));
        for route in routes {
            assert_eq!(route.is_live, cluster.pod(route.pod).is_live);
        }
    }
}

/// No event acts before its cause, and each pod's life is in order.
fn check_order(run: &Run) {
    let journal = run.simulation.recorder();
    let mut last = BTreeMap::new();
    for record in journal.observations() {
        let stage = match record.observation {
            Observation::PodCreated { pod, .. } => (pod, 0),
            Observation::PodBound { pod, .. } => (pod, 1),
            Observation::PodGone { pod, .. } => (pod, 9),
            _ => continue,
        };
        let (pod, stage): (PodId, u32) = stage;
        let before = last.insert(pod, stage);
        assert!(before.is_none_or(|before| before < stage), "{pod}: {before:?} then {stage}");
        let cause = journal.event(record.cause);
        assert!(cause.is_none_or(|cause| cause.at <= record.at));
    }
}

/// Evictions by the API never take a budget below what it asks for.
fn check_budgets(run: &Run, world: &World) {
    let evicted = run.times(|it| {
        matches!(it, Observation::PodDeletionRequested { reason: DeletionReason::Eviction, .. })
    });
    for idx in 0..world.blueprint.budgets.len() {
        let status = run.cluster().budget_status(BudgetId::from_index(idx));
        let status = status.expect("budgets state a limit");
        assert!(status.disruptions_allowed >= 0, "{status:?} after {evicted:?}");
    }
}

/// A taint evicts no pod that has tolerated it for less than it may, however late a request comes.
fn check_stays(run: &Run, world: &World) {
    let (mut nodes, mut tainted) = (BTreeMap::new(), BTreeMap::new());
    for record in run.simulation.recorder().observations() {
        match record.observation {
            Observation::PodBound { pod, node, .. } => {
                nodes.insert(pod, node);
            }
            Observation::NodeTaintedNoExecute { node } => {
                tainted.insert(node, record.at);
            }
            Observation::PodDeletionRequested { pod, workload, reason: DeletionReason::Taint } => {
                let least = match world.blueprint.workloads[workload.index()].name.as_str() {
                    "api" => 20,
                    "db" => 40,
                    _ => 30,
                };
                let stay = record.at.saturating_since(tainted[&nodes[&pod]]);
                assert!(stay.as_secs() >= least, "{pod}: {stay:?}\n{}", run.timeline());
            }
            _ => {}
        }
    }
}

/// Nodes with room for a few pods more than there are, all of which may leak.
const MEMORY: &str = "
    memory 2500
    uses web 200 grows=300 vary=20
    uses api 100
    uses db 256
    uses agent 50";

/// Leaks, in MiB an hour.
fn leaks() -> impl Strategy<Value = Vec<(u64, &'static str, u32)>> {
    let workload = prop::sample::select(vec!["web", "api", "db", "agent"]);
    prop::collection::vec((10..1500_u64, workload, 100..200_000_u32), 1..6)
}

fn leaky(text: &str, leaks: &[(u64, &str, u32)]) -> World {
    let mut world = World::read(text);
    world.add(MEMORY);
    for (at, name, growth) in leaks {
        world.add(&format!("at {at} leak {name} {growth}"));
    }
    world
}

/// Pods use no more than their nodes have, and none is evicted before the one before it is gone.
fn check_memory(run: &Run, world: &World, end: SimTime) {
    let cluster = run.cluster();
    for idx in 0..world.blueprint.nodes.len() {
        let pods = cluster.pods_on(NodeId::from_index(idx)).iter();
        let used: u64 = pods.filter_map(|pod| cluster.memory_used(*pod, end)).sum();
        assert!(used <= 2600 << 20, "node {idx}: {used}");
    }
    let mut last = BTreeMap::new();
    for record in run.simulation.recorder().observations() {
        if let Observation::PodEvicted { node, .. } = record.observation {
            let before = last.insert(node, record.at);
            assert!(before.is_none_or(|at| record.at.saturating_since(at).as_secs() >= 1));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn every_script_leaves_a_sound_cluster(script in script(), seed in 0..1000_u64) {
        let world = world(&script);
        let run = world.run(seed, 1800);
        check_capacity(&run, &world);
        check_identities(&run, &world);
        check_routes(&run, &world);
        check_order(&run);
        check_budgets(&run, &world);
        if !script.iter().any(|(_, command)| command.starts_with("out-of-service")) {
            check_stays(&run, &world);
        }
    }

    #[test]
    fn whatever_leaks_stays_within_its_node(
        script in script(),
        leaks in leaks(),
        seed in 0..1000_u64,
    ) {
        let mut world = leaky(PLATFORM, &leaks);
        for (at, command) in &script {
            world.add(&format!("at {at} {command}"));
        }
        let run = world.run(seed, 1800);
        check_memory(&run, &world, SimTime::from_secs(1800));
        check_capacity(&run, &world);
        check_identities(&run, &world);
        check_routes(&run, &world);
        check_order(&run);
        prop_assert_eq!(run.simulation.digest(), world.run(seed, 1800).simulation.digest());
    }

    /// Once nothing leaks any more and what leaked is gone, every pod is there again.
    ///
    /// All pods together fit any single node, by what they request and by what they use: else those
    /// that flee one node after the other fill the last one, and no daemon that was evicted there
    /// finds its place again (`a_daemon_whose_place_was_taken_waits_until_somebody_leaves`).
    #[test]
    fn everything_recovers_when_nothing_leaks(leaks in leaks(), seed in 0..1000_u64) {
        let mut world = leaky(&PLATFORM.replace("000", "00").replace("500", "50"), &leaks);
        for workload in &mut world.blueprint.workloads {
            let requests = &mut workload.template.spec.containers[0].requests;
            requests.0.insert(ResourceList::MEMORY.to_owned(), 128 << 20);
        }
        world.blueprint.memory.iter_mut().for_each(|it| it.base_bytes /= 2);
        world.add("at 1600 mend\nat 1601 crash web\nat 1601 crash api\nat 1601 crash db");
        world.blueprint.memory.iter_mut().for_each(|it| it.growth = Growth::ZERO);
        let run = world.run(seed, 4000);
        let cluster = run.cluster();
        for (idx, workload) in world.blueprint.workloads.iter().enumerate() {
            let pods = cluster.pods_of(WorkloadId::from_index(idx)).iter();
            let ready = pods.filter(|pod| cluster.pod(**pod).is_ready && cluster.pod(**pod).is_live);
            let wanted = if workload.name == "agent" { 6 } else { workload.replicas as usize };
            prop_assert_eq!(ready.count(), wanted, "{}\n{}", workload.name, run.timeline());
        }
    }

    #[test]
    fn the_same_script_and_seed_give_the_same_run(script in script(), seed in 0..1000_u64) {
        let world = world(&script);
        let (first, second) = (world.run(seed, 1800), world.run(seed, 1800));
        prop_assert_eq!(first.timeline(), second.timeline());
        prop_assert_eq!(first.simulation.digest(), second.simulation.digest());
    }

    /// Once everything is back and time has passed, every pod is where it should be.
    #[test]
    fn everything_recovers_when_everything_is_back(script in script(), seed in 0..1000_u64) {
        // Small enough for all pods to fit a single node: who comes back late finds room.
        let mut world = World::read(&PLATFORM.replace("000", "00").replace("500", "50"));
        for (at, command) in &script {
            world.add(&format!("at {at} {command}"));
        }
        let mut text = String::from("at 1600 ebb\n");
        for zone in ["a", "b", "c"] {
            for verb in ["restore", "rejoin"] {
                text.push_str(&format!("at 1600 {verb} zone {zone}\n"));
                for nth in 0..2 {
                    text.push_str(&format!("at 1601 in-service node {zone}-{nth}\n"));
                    text.push_str(&format!("at 1600 {verb} node {zone}-{nth}\n"));
                }
            }
        }
        // A node whose object was deleted registers again when its kubelet starts.
        for (_, command) in &script {
            if let Some(node) = command.strip_prefix("delete node ") {
                text.push_str(&format!("at 1620 lose node {node}\nat 1630 restore node {node}\n"));
            }
        }
        text.push_str("at 1610 api up\nat 1611 scale web 7\nat 1612 scale api 4\n");
        text.push_str("at 1613 resume web\nat 1614 resume api\n");
        world.add(&text);
        let run = world.run(seed, 4000);
        let cluster = run.cluster();
        for (idx, workload) in world.blueprint.workloads.iter().enumerate() {
            let id = WorkloadId::from_index(idx);
            let pods: Vec<_> = cluster.pods_of(id).iter().map(|pod| cluster.pod(*pod)).collect();
            let is_daemon = workload.name == "agent";
            let wanted = if is_daemon { 6 } else { workload.replicas as usize };
            let ready = pods.iter().filter(|pod| pod.is_ready && pod.is_live).count();
            prop_assert_eq!((ready, pods.len()), (wanted, wanted), "{}: {:?}", workload.name, pods);
        }
    }

    /// A workload that has nothing to do with the others changes none of their draws.
    #[test]
    fn an_unrelated_service_changes_nothing(script in script(), seed in 0..1000_u64) {
        let with = world(&script);
        let mut without = with.clone();
        without.add("service other");
        let timeline = |world: &World| {
            let text = world.run(seed, 1800).timeline();
            text.lines().filter(|line| !line.contains("service other")).collect::<Vec<_>>().join("\n")
        };
        prop_assert_eq!(timeline(&with), timeline(&without));
    }
}
