//! Load balancers in time: what a client meets at an address while machines, nodes and zones go.

use model_api::blueprint::{NodeSpec, Zone};
use model_api::gateway::{Failover, HealthMonitor, LoadBalancer, Vrrp};
use model_api::{Blueprint, Origin, ServiceId, ZoneId};
use model_gateway::{Led, ZoneState};
use proptest::prelude::*;
use sim_kernel::SimSpan;

use crate::world::{Act, World};

/// A balancer of machines in these zones before six nodes, two in each of three zones; what it did.
fn run(machines: &[u32], monitor: Option<HealthMonitor>, script: &[(u64, Act)]) -> World {
    let zone = |name: &str| Zone { name: name.to_owned(), ..Zone::default() };
    let node = |idx: u32| NodeSpec { zone: ZoneId(idx / 2), ..NodeSpec::default() };
    let balancer = LoadBalancer {
        name: "edge".to_owned(),
        service: ServiceId(0),
        machine_zones: machines.iter().copied().map(ZoneId).collect(),
        zones: (0..3).map(ZoneId).collect(),
        monitor,
        connect_timeout: LoadBalancer::CONNECT_TIMEOUT,
        try_count: LoadBalancer::TRY_COUNT,
        vrrp: Vrrp::default(),
        failover: Failover::default(),
        origin: Origin::default(),
    };
    let blueprint = Blueprint {
        zones: ["a", "b", "c"].map(zone).to_vec(),
        nodes: (0..6).map(node).collect(),
        balancers: vec![balancer],
        ..Blueprint::default()
    };
    let nodes = (0..6).map(|node| (0, Act::Node(node, Some(true))));
    let script: Vec<(u64, Act)> = nodes.chain(script.iter().copied()).collect();
    World::play(blueprint, 7, &script)
}

/// From the first moment at which `is_it` holds to the next at which it does not.
fn span(world: &World, is_it: impl Fn(&Led) -> bool) -> Option<f64> {
    let begin = world.led.iter().find(|(_, led)| is_it(led))?.0;
    let later = world.led.iter().find(|(at, led)| *at > begin && !is_it(led));
    later.map(|(at, _)| at - begin)
}

fn zone_lost(zone: u32, at: u64, back: u64) -> Vec<(u64, Act)> {
    let nodes = [zone * 2, zone * 2 + 1];
    let set = |at, answers, state| {
        let nodes = nodes.map(|node| (at, Act::Node(node, Some(answers))));
        nodes.into_iter().chain([(at, Act::Zone(zone, state))])
    };
    set(at, false, ZoneState::Dark).chain(set(back, true, ZoneState::Up)).collect()
}

/// A name, zones of machines, a script, and for how long, at least and at most, nobody answers.
type Row<'a> = (&'a str, &'a [u32], &'a [(u64, Act)], Option<(f64, f64)>);

#[test]
fn addresses_are_away_as_long_as_their_machines() {
    let away = |led: &Led| !led.is_answering;
    let machine = [(1000, Act::Machines(false))];
    let both = [(1000, Act::Machines(true))];
    let zone = zone_lost(0, 1000, 4000);
    let cut_off = |state| [(1000, Act::Zone(0, state)), (1020, Act::Zone(0, ZoneState::Up))];
    let frozen = |from, until, lost, both| {
        [(from, Act::Cloud(false)), (lost, Act::Machines(both)), (until, Act::Cloud(true))]
    };
    let rows: [Row<'_>; 12] = [
        ("a machine of two", &[0, 1], &machine, Some((2.6, 3.7))),
        ("both", &[0, 1], &both, Some((110.0, 245.0))),
        ("the only one", &[0], &machine, Some((110.0, 245.0))),
        ("the zone of both", &[0, 0], &zone, Some((110.0, 245.0))),
        ("the zone of one", &[0, 1], &zone, Some((2.6, 3.7))),
        ("another zone", &[1, 2], &zone, None),
        // The health manager starts anew: 60 s until its first look, then 60 to 180 s to build.
        ("the only one, no cloud", &[0], &frozen(1000, 4000, 1000, false), Some((3120.0, 3240.0))),
        (
            "given up before the cloud went",
            &[0],
            &frozen(1080, 4000, 1000, false),
            Some((3060.0, 3180.0)),
        ),
        ("the cloud back in time", &[0], &frozen(1000, 1010, 1000, false), Some((130.0, 250.0))),
        ("one of two, no cloud", &[0, 1], &frozen(1000, 4000, 1000, false), Some((2.6, 3.7))),
        ("both, no cloud", &[0, 1], &frozen(900, 4000, 1000, true), Some((3120.0, 3240.0))),
        ("the only one cut off for a while", &[0], &cut_off(ZoneState::CutOff), Some((20.0, 20.0))),
    ];
    for (name, machines, script, wanted) in rows {
        let world = run(machines, None, script);
        let seen = span(&world, away);
        let fits = match (seen, wanted) {
            (Some(seen), Some((least, most))) => (least..=most).contains(&seen),
            (seen, wanted) => seen.is_none() && wanted.is_none(),
        };
        assert!(fits, "{name}: {seen:?}, wanted {wanted:?}");
    }
}

#[test]
fn silent_nodes_are_members_until_a_monitor_finds_them_down() {
    let silent = |led: &Led| led.silent_count == 2;
    let script = zone_lost(0, 1000, 4000);
    let of = |monitor| span(&run(&[1, 2], monitor, &script), silent);
    assert_eq!(of(None), Some(3000.0), "as long as they are lost");
    let monitor = HealthMonitor::default();
    let seen = of(Some(monitor)).expect("found down");
    assert!((25.0..=30.0).contains(&seen), "{seen}");
    let quick = HealthMonitor { delay: SimSpan::from_secs(2), fall: 1, ..monitor };
    let seen = of(Some(quick)).expect("found down");
    assert!((2.0..=4.0).contains(&seen), "{seen}");
    // Back before it is found down, and gone from the cluster.
    let blink = [(1000, Act::Node(0, Some(false))), (1003, Act::Node(0, Some(true)))];
    let world = run(&[0], Some(monitor), &blink);
    assert!(world.led.iter().all(|(_, led)| led.member_count == 6 || led.silent_count == 0));
    let gone = [(1000, Act::Node(0, Some(false))), (1003, Act::Node(0, None))];
    let world = run(&[0], None, &gone);
    let led = world.led.last().expect("it leads somewhere").1;
    assert_eq!((led.member_count, led.silent_count), (5, 0));
}

fn acts() -> impl Strategy<Value = Vec<(u64, Act)>> {
    let state = prop_oneof![Just(ZoneState::Up), Just(ZoneState::CutOff), Just(ZoneState::Dark)];
    let act = prop_oneof![
        (0..6_u32, any::<bool>()).prop_map(|(node, is)| Act::Node(node, Some(is))),
        (0..3_u32, state).prop_map(|(zone, state)| Act::Zone(zone, state)),
        any::<bool>().prop_map(Act::Machines),
        any::<bool>().prop_map(Act::Cloud),
    ];
    let timed = prop::collection::vec((1..2_000_u64, act), 0..24);
    timed.prop_map(|mut acts| {
        acts.sort_by_key(|(at, _)| *at);
        acts
    })
}

proptest! {
    #[test]
    fn what_is_mended_is_well_in_the_end(
        mut script in acts(),
        machines in prop::collection::vec(0..3_u32, 1..=2),
        is_watched in any::<bool>(),
    ) {
        script.push((4_000, Act::Cloud(true)));
        script.extend((0..3).map(|zone| (5_000, Act::Zone(zone, ZoneState::Up))));
        script.extend((0..6).map(|node| (5_000, Act::Node(node, Some(true)))));
        let world = run(&machines, is_watched.then(HealthMonitor::default), &script);
        let last = world.led.last().expect("it leads somewhere").1;
        prop_assert_eq!(last, Led { is_answering: true, member_count: 6, silent_count: 0 });
        prop_assert!(world.led.iter().all(|(_, led)| led.silent_count <= led.member_count));
    }
}
