//! The cluster autoscaler in time: nodes come, do not come, and go.

use model_api::{NodeId, Observation, ZoneId};
use proptest::prelude::*;

use crate::world::{Run, World};

/// Three zones with one node each that stays, and up to four more a zone; a node takes 15 pods.
const TOWN: &str = "
    nodes 1 per zone a b c
    members a b c
    group a 0 from 0 to 4
    group b 0 from 0 to 4
    group c 0 from 0 to 4
    autoscaler balanced
    deployment web 30 spread cpu=500
    deployment extra 0 spread cpu=500
";

fn world(more: &str) -> World {
    let mut world = World::read(TOWN);
    world.add(more);
    world
}

/// Nodes that exist at the end, in the order of names.
fn nodes(run: &Run) -> usize {
    let cluster = run.cluster();
    let count = cluster.blueprint().nodes.len();
    (0..count).filter(|idx| cluster.is_node_ready(NodeId::from_index(*idx))).count()
}

fn ready_pods(run: &Run, world: &World) -> usize {
    let of = |name: &str| run.cluster().pods_of(world.workload(name)).iter();
    of("web").chain(of("extra")).filter(|pod| run.cluster().pod(**pod).is_ready).count()
}

fn first(run: &Run, picks: impl Fn(&Observation) -> bool) -> f64 {
    run.times(picks).first().copied().unwrap_or(f64::INFINITY)
}

#[test]
fn nodes_come_for_pods_that_wait_and_go_when_they_do_not() {
    let world = world("at 1000 scale extra 45\nat 3000 scale extra 0");
    let grown = world.run(1, 2900);
    assert_eq!((nodes(&grown), ready_pods(&grown, &world)), (5, 75));
    let asked = first(&grown, |it| matches!(it, Observation::NodesRequested { .. }));
    // 2 s of age, 10 s from look to look.
    assert!((1002.0..1013.0).contains(&asked), "{asked}");
    let came = first(&grown, |it| matches!(it, Observation::NodeRestored { .. }));
    assert!((30.0..900.0).contains(&(came - asked)), "{came} after {asked}");
    let run = world.run(1, 5400);
    assert_eq!((nodes(&run), ready_pods(&run, &world)), (3, 30));
    let gone = run.times(|it| matches!(it, Observation::NodeRemoved { .. }));
    assert_eq!(gone.len(), 2);
    assert!(gone[0] > 3600.0, "unneeded for ten minutes: {gone:?}");
}

#[test]
fn a_quota_counts_the_workers_of_no_group_too() {
    let town = "nodes 2 per zone a\ngroup a 0 from 0 to 5\nautoscaler
        deployment web 0 cpu=4000\nat 100 scale web 6";
    for (quota, expected) in [(3, 3), (2, 2)] {
        let run = World::read(&format!("{town}\nquota a {quota}")).run(1, 5000);
        assert_eq!(nodes(&run), expected);
    }
}

#[test]
fn a_quiet_day_costs_nothing() {
    let hour = world("").run(3, 3600).simulation.stats().handled_count;
    let day = world("").run(3, 86_400).simulation.stats().handled_count;
    assert_eq!(hour, day);
}

#[test]
fn a_provider_without_capacity_is_waited_for_then_left_alone() {
    let stuck = world(
        "at 500 capacity a stuck\nat 500 capacity b stuck\nat 500 capacity c stuck\nat 1000 scale web 60",
    );
    let run = stuck.run(1, 1800);
    assert_eq!(nodes(&run), 3);
    assert_eq!(run.times(|it| matches!(it, Observation::NodesGivenUp { .. })).len(), 0);
    let run = stuck.run(1, 2200);
    assert!(!run.times(|it| matches!(it, Observation::NodesGivenUp { .. })).is_empty());
    let mut saved = stuck.clone();
    saved.add("at 1500 capacity a enough\nat 1500 capacity b enough\nat 1500 capacity c enough");
    let run = saved.run(1, 2900);
    assert_eq!((nodes(&run), ready_pods(&run, &saved)), (4, 60));
}

#[test]
fn a_group_that_failed_is_left_alone_for_twice_as_long_each_time() {
    let world = World::read(
        "nodes 1 per zone a
         group a 0 from 0 to 9
         autoscaler
         deployment web 1 cpu=4000
         at 100 capacity a refused
         at 200 scale web 4
         at 6000 capacity a enough
         at 30000 capacity a refused
         at 30100 scale web 8",
    );
    let refused = world.run(1, 31_000).times(|it| matches!(it, Observation::NodesRefused { .. }));
    let gaps: Vec<f64> = refused.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // 5, 10, 20 and twice 30 min, up to the next look; after three hours without, from the start.
    for (idx, mins) in [(0, 5.0), (1, 10.0), (2, 20.0), (3, 30.0), (4, 30.0), (6, 5.0)] {
        assert!((60.0 * mins..60.0 * mins + 11.0).contains(&gaps[idx]), "{mins}: {gaps:?}");
    }
    assert!(gaps[5] > 3.0 * 3600.0, "{gaps:?}");
}

#[test]
fn what_one_zone_refuses_another_gives() {
    let world = world("quota a 0\nat 500 capacity b refused\nat 1000 scale web 75");
    let run = world.run(1, 2900);
    assert_eq!((nodes(&run), ready_pods(&run, &world)), (5, 75));
    let in_c = |it: &Observation| matches!(it, Observation::NodesRequested { zone: ZoneId(2), .. });
    assert!(!run.times(in_c).is_empty());
    assert!(!run.times(|it| matches!(it, Observation::NodesRefused { .. })).is_empty());
}

#[test]
fn a_drain_evicts_and_a_budget_stops_it() {
    // Five of twenty stand on a fourth node, until there is room elsewhere.
    let grown = "at 1000 scale extra 20\nat 2000 scale web 20";
    let run = world(grown).run(1, 7000);
    let evicted = |it: &Observation| {
        use model_api::observation::DeletionReason::Eviction;
        matches!(it, Observation::PodDeletionRequested { reason: Eviction, .. })
    };
    assert!(!run.times(evicted).is_empty(), "{}", run.timeline());
    assert_eq!(nodes(&run), 3);
    let blocked = world(&format!("budget extra max=0\n{grown}")).run(1, 7000);
    assert_eq!(nodes(&blocked), 4);
    assert!(blocked.times(evicted).is_empty());
}

#[test]
fn an_annotation_keeps_a_node() {
    let key = "cluster-autoscaler.kubernetes.io/scale-down-disabled";
    for (value, expected) in [("true", 4), ("false", 3)] {
        let mut world = world("at 1000 scale extra 20\nat 2000 scale web 20");
        for spec in &mut world.blueprint.nodes {
            spec.node.annotations.insert(key.to_owned(), value.to_owned());
        }
        assert_eq!(nodes(&world.run(1, 7000)), expected, "{value}");
    }
}

#[test]
fn a_volume_on_the_node_keeps_it() {
    let town = TOWN.replace("extra 0 spread cpu=500", "extra 0 spread cpu=500 cache=100");
    let run = World::read(&format!("{town}\nat 1000 scale extra 20\nat 2000 scale web 20"));
    assert_eq!(nodes(&run.run(1, 7000)), 4);
}

#[test]
fn expendable_pods_keep_no_node() {
    for (priority, expected) in [(-20, 3), (-10, 4)] {
        // No budget lets them go, and some are on the node that is not needed.
        let world = world(&format!(
            "deployment cheap 3 cpu=100 priority={priority}\nbudget cheap max=0
             at 1000 scale extra 20\nat 2000 scale web 20"
        ));
        let run = world.run(1, 7000);
        assert_eq!(nodes(&run), expected, "{priority}: {}", run.timeline());
    }
}

#[test]
fn a_pod_that_waits_for_its_victims_buys_no_node() {
    let run = World::read(
        "nodes 1 per zone a
         group a 0 from 0 to 4
         autoscaler
         deployment low 15 cpu=500
         deployment high 0 cpu=4000 priority=1000
         at 1000 scale high 1",
    )
    .run(1, 1025);
    // Eight make room, and need a node: with the large one it would be two.
    assert_eq!(run.cluster().group_target(0), 1, "{}", run.timeline());
}

#[test]
fn a_lost_zone_is_replaced_by_the_others() {
    let world = world("at 1000 lose zone a");
    let run = world.run(1, 3600);
    assert_eq!(ready_pods(&run, &world), 30, "{}", run.timeline());
}

fn scripts() -> impl Strategy<Value = String> {
    let step = (0..9_u32, 0..3_usize, 0..180_u32).prop_map(|(what, zone, amount)| {
        let zone = ["a", "b", "c"][zone];
        match what {
            0 => format!("lose zone {zone}"),
            1 => format!("restore zone {zone}"),
            2 => format!("capacity {zone} stuck"),
            3 => format!("capacity {zone} refused"),
            4 => format!("capacity {zone} enough"),
            5 => format!("scale web {}", amount / 4),
            _ => format!("scale extra {}", amount / 2),
        }
    });
    prop::collection::vec((step, 1..1500_u32), 1..8).prop_map(|steps| {
        let mut at = 300;
        let mut text = String::new();
        for (step, pause) in steps {
            text.push_str(&format!("at {at} {step}\n"));
            at += pause;
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// What the lazy autoscaler leaves out changes nothing, and sizes keep their bounds.
    #[test]
    fn looks_that_are_left_out_change_nothing(script in scripts(), seed in 0..1000_u64) {
        let world = world(&script);
        let lazy = world.run(seed, 12_000);
        let eager = world.run_with(seed, 12_000, |cluster| cluster.scan_at_every_interval());
        let (lazy_lines, eager_lines) = (lazy.timeline(), eager.timeline());
        let pairs = lazy_lines.lines().zip(eager_lines.lines());
        prop_assert_eq!(pairs.filter(|(a, b)| a != b).take(3).collect::<Vec<_>>(), []);
        prop_assert_eq!(lazy_lines.lines().count(), eager_lines.lines().count());
        for group in 0..3 {
            let spec = &lazy.cluster().blueprint().node_groups[group];
            let has = |node: &&NodeId| lazy.cluster().has_machine(**node);
            let machines = spec.nodes.iter().filter(has).count();
            let target = lazy.cluster().group_target(group);
            prop_assert!(machines <= target && target <= spec.max());
        }
    }
}

/// Nodes that were found needed at different moments are tried again once, with what is new, and then
/// nobody looks at them any more.
#[test]
fn nodes_that_are_needed_are_not_looked_at_for_ever() {
    // A pod a node, which nothing may move because it has files there.
    let mut world = World::read(
        "nodes 1 per zone a b
         group a 1 from 1 to 6
         group b 1 from 1 to 6
         autoscaler
         deployment web 4 cpu=5000 spread cache=100
         at 100 scale web 6
         at 1000 scale web 7",
    );
    let autoscaler = world.blueprint.cluster_autoscaler.as_mut().expect("stated");
    autoscaler.scale_down_threshold_ppm = Some(900_000);
    for seed in 0..5 {
        let counts = [1, 2, 30].map(|days| {
            let run = world.run(seed, days * 86_400);
            run.simulation.stats().handled_count
        });
        assert_eq!(counts[0], counts[1], "seed {seed}: {counts:?}");
        assert_eq!(counts[0], counts[2], "seed {seed}: {counts:?}");
    }
}
