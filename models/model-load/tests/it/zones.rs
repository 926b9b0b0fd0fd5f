//! Requests that hints divide by zone: who gets which, what crosses between zones, and what is told.

use model_api::path::{CallPolicy, Serving};
use sim_kernel::SimSpan;

use crate::world::{Act, Case, Node, Of, Run};

const MILLIS: u64 = 100_000;
/// Requests per 1000 s of the load.
const RATE: u64 = 300_000;

fn patient() -> CallPolicy {
    CallPolicy { timeout: Some(SimSpan::from_secs(2)), ..CallPolicy::default() }
}

/// A gateway (0), a shop (1) behind it, a stock (2) that the shop calls. The Service at `place` carries
/// hints; pods of the others, by zone.
fn case(place: u32, pods: [(u32, u32); 3], start: &[Act]) -> Case {
    let hop = || Node {
        base_millis: 2,
        client: patient(),
        serving: Serving { workers: 4, ..Serving::default() },
        ..Node::default()
    };
    let shop = Node { calls: vec![2], loads: vec![(Some(0), vec![(0, RATE)])], ..hop() };
    let mut nodes = vec![hop(), shop, hop()];
    nodes[place as usize].has_hints = true;
    let mut acts = vec![Act::Outside([1, 1, 2])];
    for node in (0..3).filter(|node| *node != place) {
        acts.push(Act::Endpoints(node, 4, 4, 4_000_000));
        acts.push(Act::Places(node, pods));
    }
    acts.extend_from_slice(start);
    Case { nodes, start: acts, millis: MILLIS, ..Case::default() }
}

/// Requests per 1000 s that endpoints of each zone got and answered.
fn rates(run: &Run, service: u32) -> [(f64, f64); 3] {
    [0, 1, 2].map(|zone| {
        let (offered, served) = run.totals(Of::Served(service, zone));
        let secs = MILLIS as f64 / 1e3;
        (1e3 * offered / secs, 1e3 * served / secs)
    })
}

/// Both engines give these rates and this share between zones, single requests up to chance.
#[track_caller]
fn check(case: &Case, service: u32, wanted: [(f64, f64); 3], crossing: f64) {
    for (run, error) in [(case.run(), 1e-3), (case.run_requests(3), 0.03)] {
        let found = rates(&run, service);
        let all: f64 = wanted.iter().map(|(offered, _)| offered).sum();
        for (found, wanted) in found.iter().zip(&wanted) {
            let close = |one: f64, other: f64| (one - other).abs() <= error * all;
            assert!(close(found.0, wanted.0) && close(found.1, wanted.1), "{found:?} {wanted:?}");
        }
        let crossed = run.crossing(service);
        assert!((crossed - crossing).abs() <= error, "{crossed}, not {crossing}");
    }
}

fn stations(service: u32, counts: [(u32, u32); 3]) -> Act {
    Act::Stations(service, counts.map(|(ready, live)| (ready, live, u64::from(live) * 1_000_000)))
}

#[test]
fn callers_stay_in_their_zone_while_it_has_an_endpoint() {
    let rate = RATE as f64;
    // Half of the shop is in the first zone; one pod of five there gets half of all requests.
    let pods = [(2, 2), (1, 1), (1, 1)];
    let all = case(2, pods, &[stations(2, [(1, 1), (2, 2), (2, 2)])]);
    let parts = [(rate / 2.0, rate / 2.0), (rate / 4.0, rate / 4.0), (rate / 4.0, rate / 4.0)];
    check(&all, 2, parts, 0.0);
    // Callers of a zone without endpoints use those of all others.
    let without = case(2, pods, &[stations(2, [(0, 0), (1, 1), (3, 3)])]);
    let (second, third) = (rate / 4.0 + rate / 8.0, rate / 4.0 + rate * 3.0 / 8.0);
    check(&without, 2, [(0.0, 0.0), (second, second), (third, third)], 0.5);
    // Endpoints that are dead and still known lose what comes from their zone.
    let dead = case(2, pods, &[stations(2, [(2, 1), (1, 1), (1, 1)])]);
    check(&dead, 2, [(rate / 2.0, rate / 4.0), parts[1], parts[2]], 0.0);
}

#[test]
fn without_hints_all_endpoints_are_one_pool() {
    let rate = RATE as f64;
    let pods = [(2, 2), (1, 1), (1, 1)];
    let pool = case(2, pods, &[Act::Pool(2, [(1, 1), (2, 2), (1, 0)], 3_000_000)]);
    let parts = [(rate / 4.0, rate / 4.0), (rate / 2.0, rate / 2.0), (rate / 4.0, 0.0)];
    // Stays: 2/4 of callers x 1/4, and 1/4 x 2/4, and 1/4 x 1/4.
    check(&pool, 2, parts, 1.0 - (2.0 + 2.0 + 1.0) / 16.0);
    // The whole Service is as one that was never divided.
    let mut plain = pool.clone();
    plain.nodes[2].has_hints = false;
    plain.start = vec![
        Act::Endpoints(0, 4, 4, 4_000_000),
        Act::Endpoints(1, 4, 4, 4_000_000),
        Act::Endpoints(2, 4, 3, 3_000_000),
    ];
    for service in 0..3 {
        assert_eq!(pool.run().of(service), plain.run().of(service));
        assert_eq!(pool.traffic(service), plain.traffic(service));
    }
}

#[test]
fn autoscalers_see_the_requests_of_all_zones() {
    let even = [(1, 1), (1, 1), (1, 1)];
    let fair = [(1, 1), (1, 1), (2, 2)];
    for (zones, wanted) in [
        ([(1, 1), (1, 1), (2, 2)], RATE),
        // Nothing stands in the first zone.
        ([(0, 0), (2, 2), (2, 2)], RATE),
        // A zone's only endpoint is dead, and a quarter of the callers is there.
        ([(1, 0), (1, 1), (2, 2)], RATE * 3 / 4),
    ] {
        let traffic = case(2, fair, &[stations(2, zones)]).traffic(2);
        assert_eq!((traffic.offered_millirps.0, traffic.answered_millirps.0), (RATE, wanted));
        // None waits, and each is there for 2 ms.
        assert_eq!(traffic.inside_milli.0, wanted * 2 / 1000);
    }
    let answered = case(2, even, &[stations(2, even)]).traffic(2).answered_millirps;
    assert_eq!(answered, (RATE, RATE));
}

#[test]
fn a_gateway_knows_no_hints_unless_it_leaves_the_choice_to_proxies() {
    let rate = RATE as f64;
    let pods = [(2, 2), (1, 1), (1, 1)];
    let mut shop = case(1, pods, &[stations(1, [(1, 1), (1, 1), (2, 2)])]);
    let spread = [0.25, 0.25, 0.5].map(|part| (rate * part, rate * part));
    check(&shop, 1, spread, 1.0 - (2.0 + 1.0 + 2.0) / 16.0);
    shop.nodes[1].is_service_upstream = true;
    let near = [0.5, 0.25, 0.25].map(|part| (rate * part, rate * part));
    check(&shop, 1, near, 0.0);
}

#[test]
fn clients_enter_at_any_node_and_stay_in_its_zone() {
    let rate = RATE as f64;
    let even = [(1, 1), (1, 1), (1, 1)];
    let gateway = case(0, even, &[stations(0, [(1, 1), (1, 1), (4, 4)])]);
    check(&gateway, 0, [0.25, 0.25, 0.5].map(|part| (rate * part, rate * part)), 0.0);
    // Those who have a zone nearest enter there, while it has a node.
    let mut first = gateway.clone();
    first.nodes[1].zones = vec![0];
    check(&first, 0, [1.0, 0.0, 0.0].map(|part| (rate * part, rate * part)), 0.0);
    first.start.push(Act::Outside([0, 1, 1]));
    check(&first, 0, [0.0, 0.5, 0.5].map(|part| (rate * part, rate * part)), 0.0);
}

#[test]
fn a_zone_with_one_pod_takes_all_of_its_zone() {
    let rate = RATE as f64;
    let even = [(1, 1), (1, 1), (1, 1)];
    // Six pods can do 480 of 300 requests per second, and the one of the second zone 80 of 100.
    let trap = Act::Stations(2, [(4, 4, 320_000), (1, 1, 80_000), (1, 1, 80_000)]);
    let run = case(2, even, &[trap]).run();
    let (offered, served) = run.totals(Of::Service(1));
    assert!((served / offered - (1.0 + 0.8 + 0.8) / 3.0).abs() < 0.01, "{}", served / offered);
    let found = rates(&run, 2);
    assert!((found[1].0 - rate / 3.0).abs() < 1.0 && (found[1].1 - 80_000.0).abs() < 800.0);
    let spread = Act::Stations(2, [(2, 2, 160_000); 3]);
    let (offered, served) = case(2, even, &[spread]).run().totals(Of::Service(1));
    assert!(served / offered > 0.9999);
}
