//! Requests that are divided between two sets of pods: what each answers, loses and is charged with,
//! in flows without a memory, in flows with one, and one by one.

use model_api::observation::LossReason;
use model_api::path::CallPolicy;
use proptest::prelude::*;
use sim_kernel::SimSpan;

use crate::world::{Act, Case, Node, Run};

/// Requests per 1000 s of the load.
const RATE: u64 = 200_000;
const MILLIS: u64 = 100_000;

/// One way to divide.
#[derive(Clone, Copy, Debug)]
struct Way {
    weight: u32,
    is_mirrored: bool,
    /// Errors of a million answers, and live pods of four: of the primary and of the canary.
    failing: [u32; 2],
    live: [u32; 2],
}

/// A gateway (0), a shop (1) behind it, a stock (2) that the shop calls; the Service at `place` has a
/// canary, whose node (3) is like it. `client` decides which engine the flows need.
fn case(way: Way, place: u32, client: CallPolicy) -> Case {
    let hop = || Node { base_millis: 2, client, ..Node::default() };
    let shop = Node { calls: vec![2], loads: vec![(Some(0), vec![(0, RATE)])], ..hop() };
    let mut start: Vec<Act> = (0..4).map(|node| Act::Endpoints(node, 4, 4, u64::MAX)).collect();
    for (node, idx) in [(place, 0), (3, 1)] {
        start.push(Act::Endpoints(node, 4, way.live[idx], u64::MAX));
        start.push(Act::Failing(node, way.failing[idx]));
    }
    start.push(Act::Split(place, way.weight, way.is_mirrored));
    Case {
        nodes: vec![hop(), shop, hop(), hop()],
        start,
        millis: MILLIS,
        canaries: vec![(place, 3)],
        ..Case::default()
    }
}

/// Requests per 1000 s, offered and served, in the mean.
fn rates(run: &Run, service: u32) -> (f64, f64) {
    let (mut offered, mut served) = (0.0, 0.0);
    for (_, it) in run.of(service) {
        let secs = (it.until - it.from).as_secs_f64() / 2.0;
        offered += secs * (it.offered_from_millirps + it.offered_until_millirps) as f64;
        served += secs * (it.served_from_millirps + it.served_until_millirps) as f64;
    }
    let whole = MILLIS as f64 / 1000.0;
    (offered / whole, served / whole)
}

impl Way {
    /// The share of requests that the pods of one side answer well.
    fn good(&self, side: usize) -> f64 {
        f64::from(self.live[side]) / 4.0 * (1.0 - f64::from(self.failing[side]) / 1e6)
    }

    fn answered(&self) -> f64 {
        let weight = if self.is_mirrored { 0.0 } else { f64::from(self.weight) / 100.0 };
        (1.0 - weight) * self.good(0) + weight * self.good(1)
    }

    fn reaches_canary(&self) -> f64 {
        if self.is_mirrored { 1.0 } else { f64::from(self.weight) / 100.0 }
    }
}

fn patient() -> CallPolicy {
    CallPolicy { timeout: Some(SimSpan::from_secs(1)), ..CallPolicy::default() }
}

#[track_caller]
fn check(way: Way, place: u32, engine: &str, run: &Run, error: f64) {
    let rate = RATE as f64;
    let what = format!("{engine}, {place}, {way:?}");
    let (offered, served) = rates(run, 1);
    assert!((offered - rate).abs() <= rate * 0.003 + 1.0, "{what}: {offered}");
    let wanted = rate * way.answered();
    assert!((served - wanted).abs() <= error, "{what}: {served}, not {wanted}");
    let (tried, well) = rates(run, 3);
    let wanted = rate * way.reaches_canary();
    // A stock is asked by those only that shops could serve at all.
    assert!((tried - wanted).abs() <= error, "{what}: {tried} tried, not {wanted}");
    assert!((well - wanted * way.good(1)).abs() <= error, "{what}: {well} well");
}

fn ways() -> impl Strategy<Value = Way> {
    let share = || prop_oneof![Just(0_u32), 0..=1_000_000_u32];
    let live = || prop_oneof![Just(4_u32), 0..=4_u32];
    let weight = prop_oneof![Just(0_u32), Just(100_u32), 0..=100_u32];
    (weight, prop::bool::weighted(0.2), [share(), share()], [live(), live()]).prop_map(
        |(weight, is_mirrored, failing, live)| {
            let weight = if is_mirrored { 0 } else { weight };
            Way { weight, is_mirrored, failing, live }
        },
    )
}

proptest! {
    #[test]
    fn each_side_loses_what_its_weight_loses(way in ways(), place in 0..3_u32) {
        for (engine, client) in [("flows", CallPolicy::default()), ("memory", patient())] {
            let run = case(way, place, client).run();
            check(way, place, engine, &run, 8.0);
        }
    }

    #[test]
    fn what_is_lost_has_a_reason_and_nothing_else_has(way in ways(), place in 0..3_u32) {
        for client in [CallPolicy::default(), patient()] {
            let run = case(way, place, client).run();
            for (_, it) in run.of(1).into_iter().chain(run.of(3)) {
                let lost = it.offered_from_millirps - it.served_from_millirps;
                prop_assert!(it.served_from_millirps <= it.offered_from_millirps);
                prop_assert!(lost == 0 || it.loss != LossReason::None, "{way:?}: {it:?}");
            }
        }
    }
}

#[test]
fn single_requests_are_divided_as_flows_are() {
    let good = Way { weight: 20, is_mirrored: false, failing: [0, 0], live: [4, 4] };
    let ways = [
        good,
        Way { failing: [0, 300_000], ..good },
        Way { failing: [100_000, 900_000], live: [3, 2], weight: 60, ..good },
        Way { weight: 0, is_mirrored: true, failing: [0, 500_000], ..good },
        Way { weight: 100, live: [0, 4], ..good },
    ];
    // 20 000 requests: four standard deviations of half of them.
    let chance = 4.0 * 71.0 / (MILLIS as f64 / 1e6);
    for way in ways {
        for place in 0..3 {
            for client in [CallPolicy::default(), patient()] {
                let run = case(way, place, client).run_requests(1);
                check(way, place, "requests", &run, chance);
            }
        }
    }
}

#[test]
fn a_canary_without_weight_changes_nothing() {
    let way = Way { weight: 0, is_mirrored: false, failing: [0, 0], live: [4, 0] };
    for client in [CallPolicy::default(), patient()] {
        let with = case(way, 1, client);
        let mut without = with.clone();
        without.canaries.clear();
        without.nodes.truncate(3);
        without.start.retain(|act| !matches!(act, Act::Endpoints(3, ..) | Act::Failing(3, _)));
        for service in 0..3 {
            assert_eq!(with.run().of(service), without.run().of(service), "{service}");
            let (one, other) = (with.run_requests(7), without.run_requests(7));
            assert_eq!(one.of(service), other.of(service), "{service}");
        }
    }
}

#[test]
fn a_gateway_passes_on_nothing_that_it_asks_in_vain_for_whichever_of_its_pods_get_it() {
    let well = Way { weight: 60, is_mirrored: false, failing: [0, 0], live: [4, 4] };
    for client in [CallPolicy::default(), patient()] {
        let mut case = case(well, 0, client);
        // Half of what the gateway asks itself is dead.
        case.nodes[0].calls = vec![4];
        case.nodes.push(Node { base_millis: 2, client, ..Node::default() });
        case.start.push(Act::Endpoints(4, 4, 2, u64::MAX));
        for (engine, run, error) in
            [("flows", case.run(), 8.0), ("single requests", case.run_requests(1), 4_000.0)]
        {
            let (offered, served) = rates(&run, 2);
            let wanted = RATE as f64 / 2.0;
            assert!((offered - wanted).abs() <= error, "{engine}: stock is asked {offered}");
            assert!((served - wanted).abs() <= error, "{engine}: stock answers {served}");
            let (_, served) = rates(&run, 1);
            assert!((served - wanted).abs() <= error, "{engine}: the shop answers {served}");
        }
    }
}
