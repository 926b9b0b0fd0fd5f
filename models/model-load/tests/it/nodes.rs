//! Requests that traffic policies keep on their node, or hints prefer to: who gets which, what is dropped.

use model_api::ServiceId;
use model_api::observation::LossReason;
use model_api::path::{CallPolicy, Serving};
use sim_kernel::SimSpan;

use crate::world::{Act, Case, Keeps, Node, Of};

const MILLIS: u64 = 100_000;
/// Requests per 1000 s of the load.
const RATE: u64 = 300_000;

/// A gateway (0), a shop (1) behind it, a stock (2) that the shop calls, on four nodes in three zones: two
/// in the first. Something keeps the requests of the Service at `place` on their node.
fn case(place: u32, keeps: Keeps, shops: [(u32, u32); 4], start: &[Act]) -> Case {
    let hop = || Node {
        base_millis: 2,
        client: CallPolicy { timeout: Some(SimSpan::from_secs(2)), ..CallPolicy::default() },
        policy: CallPolicy { timeout: Some(SimSpan::from_secs(1)), ..CallPolicy::default() },
        serving: Serving { workers: 4, ..Serving::default() },
        ..Node::default()
    };
    let shop = Node { calls: vec![2], loads: vec![(Some(0), vec![(0, RATE)])], ..hop() };
    let mut nodes = vec![hop(), shop, hop()];
    nodes[place as usize].keeps = Some(keeps);
    let mut acts = vec![Act::Outside([2, 1, 1])];
    for node in (0..3).filter(|node| *node != place) {
        acts.push(Act::Endpoints(node, 4, 4, 4_000_000));
        acts.push(Act::NodePlaces(node, shops));
    }
    acts.extend_from_slice(start);
    Case { nodes, start: acts, millis: MILLIS, ..Case::default() }
}

/// Both engines answer this share of the requests to a Service, and send endpoints of each zone these
/// parts of its attempts; the loss is for this reason.
#[track_caller]
fn check(case: &Case, service: u32, zones: [f64; 3], answered: f64, reason: LossReason) {
    for (run, error) in [(case.run(), 1e-3), (case.run_requests(3), 0.03)] {
        let rate =
            |zone| run.totals(Of::Served(service, zone)).0 * 1e6 / MILLIS as f64 / RATE as f64;
        let found = [0, 1, 2].map(rate);
        let is_close = |(one, other): (&f64, &f64)| (one - other).abs() <= error;
        assert!(found.iter().zip(&zones).all(is_close), "{found:?}, not {zones:?}");
        let (offered, served) = run.totals(Of::Service(service));
        let share = served / offered;
        assert!((share - answered).abs() <= error, "{share}, not {answered}");
        let reasons = run.of(service).into_iter().map(|(_, segment)| segment.loss);
        for found in reasons.filter(|found| *found != LossReason::None) {
            assert_eq!(found, reason);
        }
    }
}

fn on_nodes(service: u32, counts: [u32; 4]) -> Act {
    Act::OnNodes(service, counts.map(|count| (count, count, u64::from(count) * 1_000_000)))
}

#[test]
fn calls_from_nodes_without_an_endpoint_are_dropped() {
    // Of the shop a quarter is on the first node, a quarter on the second, half in the second zone.
    let shops = [(1, 1), (1, 1), (2, 2), (0, 0)];
    let of = |counts| case(2, Keeps::Inside, shops, &[on_nodes(2, counts)]);
    check(&of([1, 1, 1, 1]), 2, [0.5, 0.5, 0.0], 1.0, LossReason::None);
    check(&of([1, 0, 3, 3]), 2, [0.25, 0.5, 0.0], 0.75, LossReason::NotLocal);
    check(&of([0, 4, 0, 4]), 2, [0.25, 0.0, 0.0], 0.25, LossReason::NotLocal);
    check(&of([0, 0, 0, 0]), 2, [0.0; 3], 0.0, LossReason::NoEndpoints);
    // What is dropped is silent: the shop waits for its time-out.
    let run = of([0, 4, 0, 4]).run();
    let late = run.of(1).iter().map(|(_, segment)| segment.base_latency_ns).max();
    assert!(late < Some(100_000_000), "those that are answered are not late: {late:?}");
    assert_eq!(run.of(1).last().map(|(_, it)| it.loss), Some(LossReason::Dependency(ServiceId(2))));
}

#[test]
fn a_balancer_gives_each_node_as_much_however_many_pods_it_has() {
    let even = [(1, 1); 4];
    let fronts = |nodes| Act::Fronts(0, nodes);
    let of = |nodes| case(0, Keeps::FromOutside, even, &[on_nodes(0, [1, 0, 3, 0]), fronts(nodes)]);
    check(&of([true, false, true, false]), 0, [0.5, 0.5, 0.0], 1.0, LossReason::None);
    check(&of([true, false, false, false]), 0, [1.0, 0.0, 0.0], 1.0, LossReason::None);
    // A node that is led to and has lost its last endpoint drops what comes.
    check(&of([true, true, true, true]), 0, [0.25, 0.25, 0.0], 0.5, LossReason::NotLocal);
}

#[test]
fn hints_for_nodes_prefer_the_node_then_the_zone() {
    let shops = [(1, 1); 4];
    let of = |counts| case(2, Keeps::Hints, shops, &[on_nodes(2, counts)]);
    check(&of([1, 2, 3, 4]), 2, [0.5, 0.25, 0.25], 1.0, LossReason::None);
    // The second node asks the first one of its zone, the last zone asks all: 1 of 4, and 3 of 4.
    let (first, second) = (0.5 + 0.25 * 0.25, 0.25 + 0.25 * 0.75);
    check(&of([1, 0, 3, 0]), 2, [first, second, 0.0], 1.0, LossReason::None);
}

#[test]
fn an_endpoint_that_goes_keeps_what_a_policy_keeps_on_its_node() {
    let shops = [(1, 1); 4];
    let inside = case(2, Keeps::Inside, shops, &[Act::Going(2, 2)]);
    check(&inside, 2, [0.5, 0.25, 0.25], 1.0, LossReason::None);
    // A policy for requests from outside leaves those inside to the other three.
    let outside = case(2, Keeps::FromOutside, shops, &[Act::Going(2, 2)]);
    check(&outside, 2, [2.0 / 3.0, 0.0, 1.0 / 3.0], 1.0, LossReason::None);
}
