//! Small platforms whose segments can be worked out by hand.

use model_api::ServiceId;
use model_load::{Flows, GraphError, pod_capacity_millirps};
use sim_kernel::SimSpan;

use crate::world::{Act, Case, Node, Run};

const MONTH_MILLIS: u64 = 30 * 86_400_000;

fn constant(rps: u64) -> Vec<(u64, u64)> {
    vec![(0, rps * 1000)]
}

#[track_caller]
fn check(run: &Run, service: u32, expected: &str) {
    let text = run.text(service);
    let trimmed = expected.lines().map(str::trim).filter(|line| !line.is_empty());
    assert_eq!(text.lines().collect::<Vec<_>>(), trimmed.collect::<Vec<_>>(), "\n{text}");
}

/// A gateway (0), a shop (1) behind it, a stock (2) that the shop calls and that writes.
fn shop(points: Vec<(u64, u64)>) -> Case {
    let node = |calls: &[u32], databases: &[u32], base_millis| Node {
        calls: calls.to_vec(),
        databases: databases.to_vec(),
        base_millis,
        loads: Vec::new(),
        ..Node::default()
    };
    let mut nodes = vec![node(&[], &[], 1), node(&[2], &[], 20), node(&[], &[0], 5)];
    nodes[1].loads.push((Some(0), points));
    Case {
        nodes,
        start: (0..3).map(|service| Act::Endpoints(service, 3, 3, 3_000_000)).collect(),
        script: Vec::new(),
        millis: 1_000_000,
        ..Case::default()
    }
}

#[test]
fn a_healthy_month_of_constant_load_costs_nothing() {
    let run = Case { millis: MONTH_MILLIS, ..shop(constant(100)) }.run();
    assert_eq!(run.event_count, 0);
    for service in 0..3 {
        check(&run, service, "0-2592000 asked 100-100 served 100-100 None");
    }
}

#[test]
fn dead_endpoints_take_their_share_until_they_leave() {
    let mut case = shop(constant(90));
    case.script = vec![
        (100_000, Act::Endpoints(1, 3, 2, 2_000_000)),
        (150_000, Act::Endpoints(1, 2, 2, 2_000_000)),
    ];
    let run = case.run();
    check(
        &run,
        1,
        "0-100 asked 90-90 served 90-90 None
         100-150 asked 90-90 served 60-60 DeadEndpoints
         150-1000 asked 90-90 served 90-90 None",
    );
    // What the shop loses does not reach the stock; the gateway is not to blame.
    check(
        &run,
        2,
        "0-100 asked 90-90 served 90-90 None
         100-150 asked 60-60 served 60-60 None
         150-1000 asked 90-90 served 90-90 None",
    );
    check(&run, 0, "0-1000 asked 90-90 served 90-90 None");
}

#[test]
fn clients_of_a_shop_behind_a_dead_gateway_count_as_lost() {
    let mut case = shop(constant(90));
    case.script =
        vec![(100_000, Act::Endpoints(0, 3, 2, 2_000_000)), (200_000, Act::Endpoints(0, 0, 0, 0))];
    let run = case.run();
    check(
        &run,
        1,
        "0-100 asked 90-90 served 90-90 None
         100-200 asked 90-90 served 60-60 Dependency(ServiceId(0))
         200-1000 asked 90-90 served 0-0 Dependency(ServiceId(0))",
    );
    check(
        &run,
        0,
        "0-100 asked 90-90 served 90-90 None
         100-200 asked 90-90 served 60-60 DeadEndpoints
         200-1000 asked 90-90 served 0-0 NoEndpoints",
    );
}

#[test]
fn a_database_without_writes_fails_whoever_needs_it() {
    let mut case = shop(constant(90));
    case.script = vec![(100_000, Act::Writable(0, false)), (160_000, Act::Writable(0, true))];
    let run = case.run();
    check(
        &run,
        1,
        "0-100 asked 90-90 served 90-90 None
         100-160 asked 90-90 served 0-0 Dependency(ServiceId(2))
         160-1000 asked 90-90 served 90-90 None",
    );
    check(
        &run,
        2,
        "0-100 asked 90-90 served 90-90 None
         100-160 asked 90-90 served 0-0 Database(DatabaseId(0))
         160-1000 asked 90-90 served 90-90 None",
    );
    check(&run, 0, "0-1000 asked 90-90 served 90-90 None");
}

#[test]
fn a_ramp_bends_where_it_meets_a_capacity() {
    // 0 to 400 rps in 400 s and back; the shop can do 250, the stock 100.
    let mut case = shop(vec![(0, 0), (400, 400_000), (800, 0)]);
    case.start[1] = Act::Endpoints(1, 2, 2, 250_000);
    case.start[2] = Act::Endpoints(2, 1, 1, 100_000);
    let run = case.run();
    check(
        &run,
        1,
        "0-100 asked 0-100 served 0-100 None
         100-250 asked 100-250 served 100-100 Dependency(ServiceId(2))
         250-400 asked 250-400 served 100-100 Dependency(ServiceId(2))
         400-550 asked 400-250 served 100-100 Dependency(ServiceId(2))
         550-700 asked 250-100 served 100-100 Dependency(ServiceId(2))
         700-800 asked 100-0 served 100-0 None
         800-1000 asked 0-0 served 0-0 None",
    );
    check(
        &run,
        2,
        "0-100 asked 0-100 served 0-100 None
         100-250 asked 100-250 served 100-100 Overload
         250-550 asked 250-250 served 100-100 Overload
         550-700 asked 250-100 served 100-100 Overload
         700-800 asked 100-0 served 100-0 None
         800-1000 asked 0-0 served 0-0 None",
    );
    // Six bends of the curve and the capacities, the last of them at 800 s.
    assert_eq!(run.event_count, 6);
}

#[test]
fn a_spike_multiplies_the_load_and_ramps() {
    let mut case = shop(constant(100));
    case.start[1] = Act::Endpoints(1, 3, 3, 150_000);
    case.script = vec![(100_000, Act::Factor(1, 2000, 100)), (400_000, Act::Factor(1, 1000, 0))];
    check(
        &case.run(),
        1,
        "0-100 asked 100-100 served 100-100 None
         100-150 asked 100-150 served 100-150 None
         150-200 asked 150-200 served 150-150 Overload
         200-400 asked 200-200 served 150-150 Overload
         400-1000 asked 100-100 served 100-100 None",
    );
}

#[test]
fn steps_cut_and_keep_both_values() {
    let case = shop(vec![(10, 5_000), (10, 7_000), (20, 7_000), (30, 9_000)]);
    check(
        &case.run(),
        0,
        "0-10 asked 5-5 served 5-5 None
         10-20 asked 7-7 served 7-7 None
         20-30 asked 7-9 served 7-9 None
         30-1000 asked 9-9 served 9-9 None",
    );
}

#[test]
fn latency_sums_the_path_and_waits_grow_with_utilization() {
    let run = shop(constant(100)).run();
    let latency = |service| run.of(service)[0].1.base_latency_ns / 1_000_000;
    assert_eq!([latency(0), latency(1), latency(2)], [1, 26, 5]);
    // One server of the stock at half of its capacity: every second request waits. At twice of it its queue
    // has room for a second of work, and all but two places are taken in the mean.
    let mut case = shop(constant(100));
    case.start = (0..3).map(|service| Act::Endpoints(service, 1, 1, u64::MAX)).collect();
    case.start[2] = Act::Endpoints(2, 1, 1, 200_000);
    case.script = vec![(500_000, Act::Endpoints(2, 1, 1, 50_000))];
    let run = case.run();
    for service in [1, 2] {
        let segments = run.of(service);
        let waits: Vec<_> = segments
            .iter()
            .map(|(_, segment)| (segment.wait_probability_ppm, segment.wait_mean_ns))
            .collect();
        assert_eq!(waits, [(500_000, 10_000_000), (1_000_000, 980_000_000)]);
    }
    assert_eq!(run.of(0)[0].1.wait_probability_ppm, 0);
}

#[test]
fn telling_the_same_again_changes_nothing() {
    let mut case = shop(constant(100));
    case.script = (1..50).map(|step| (step * 1000, Act::Endpoints(1, 3, 3, 3_000_000))).collect();
    let run = case.run();
    assert_eq!((run.segments.len(), run.event_count), (3, 0));
}

#[test]
fn circles_and_disorder_are_named() {
    let mut case = shop(constant(1));
    case.nodes[2].calls.push(1);
    let circle = Flows::new(&case.blueprint()).expect_err("the stock calls the shop");
    assert_eq!(circle.to_string(), "requests would go in a circle: shop/s1 -> shop/s2 -> shop/s1");
    let mut case = shop(vec![(10, 1), (5, 1)]);
    case.nodes[0].loads.push((None, constant(1)));
    let disorder = Flows::new(&case.blueprint()).expect_err("time goes back");
    assert_eq!(disorder, GraphError::CurveOutOfOrder("shop/s1".into()));
}

#[test]
fn capacity_is_cpu_over_cost() {
    // Half a core at 10 ms a request: 50 per second.
    assert_eq!(pod_capacity_millirps(500, SimSpan::from_millis(10)), 50_000);
    assert_eq!(pod_capacity_millirps(500, SimSpan::ZERO), u64::MAX);
    assert_eq!(pod_capacity_millirps(0, SimSpan::from_millis(10)), 0);
}

#[test]
fn as_many_requests_are_inside_as_come_while_one_is() {
    let node = |loads, base_millis| Node { loads, base_millis, ..Node::default() };
    let one = |rps: u64, capacity_rps: u64| Case {
        nodes: vec![node(vec![(None, constant(rps))], 20)],
        start: vec![Act::Endpoints(0, 1, 1, capacity_rps * 1000)],
        millis: 1000,
        ..Case::default()
    };
    // One worker of 100 a second: half of them wait for 20 ms, so that each is there for 30 ms.
    assert_eq!(one(50, 100).inside_milli(), [(ServiceId(0), 1500)]);
    assert_eq!(one(0, 100).inside_milli(), [(ServiceId(0), 0)]);
    // A full queue is worked off in a second; a place is free in the mean.
    assert_eq!(one(200, 100).inside_milli(), [(ServiceId(0), 101_000)]);
}

#[test]
fn a_pod_uses_no_more_cores_than_it_has_workers() {
    let mut case = shop(constant(1));
    case.nodes[1].serving.cores_max = Some(1);
    let flows = Flows::new(&case.blueprint()).expect("a case is well formed");
    let capacity = |service, cpu| flows.pod_capacity_millirps(ServiceId(service), cpu);
    // A request takes 10 ms of CPU: 100 a second on each core.
    assert_eq!([500, 1000, 2000].map(|cpu| capacity(1, cpu)), [50_000, 100_000, 100_000]);
    assert_eq!([500, 1000, 2000].map(|cpu| capacity(2, cpu)), [50_000, 100_000, 200_000]);
}
