//! Flows that remember: budgets, breakers, gateways whose clients try again.

use model_api::ServiceId;
use model_api::observation::LossReason;
use model_api::path::{Breaker, CallPolicy, Serving};
use model_load::{Requests, rare};
use sim_kernel::{SimSpan, SimTime, Streams};

use crate::world::{Act, Case, Node, Run};

/// Requests per 1000 s of one Service with one endpoint, and how its clients call.
fn one(points: Vec<(u64, u64)>, client: CallPolicy) -> Case {
    Case {
        nodes: vec![Node { loads: vec![(None, points)], client, ..Node::default() }],
        start: vec![Act::Endpoints(0, 1, 1, 1_000_000)],
        script: Vec::new(),
        millis: 400_000,
        ..Case::default()
    }
}

/// The share of the requests to a Service in some seconds that were answered.
fn share(run: &Run, service: u32, from_secs: u64, until_secs: u64) -> f64 {
    let (mut offered, mut served) = (0.0, 0.0);
    for (until, segment) in run.of(service) {
        let secs = |nanos: u64| (nanos as f64 / 1e9).clamp(from_secs as f64, until_secs as f64);
        let length = secs(until.as_nanos()) - secs(segment.from.as_nanos());
        let mean = |first: u64, last: u64| length * f64::midpoint(first as f64, last as f64);
        offered += mean(segment.offered_from_millirps, segment.offered_until_millirps);
        served += mean(segment.served_from_millirps, segment.served_until_millirps);
    }
    served / offered
}

fn breaker() -> CallPolicy {
    let breaker = Some(Breaker { open_for: SimSpan::from_secs(60), ..Breaker::default() });
    CallPolicy { breaker, ..CallPolicy::default() }
}

#[test]
fn a_breaker_that_nobody_calls_through_stays_closed() {
    let mut case = one(vec![(0, 0), (100, 0), (100, 100_000)], breaker());
    case.start = vec![Act::Endpoints(0, 0, 0, 0)];
    case.script = vec![(99_000, Act::Endpoints(0, 1, 1, 1_000_000))];
    for run in [case.run(), case.run_requests(1)] {
        assert_eq!(share(&run, 0, 100, 400), 1.0, "{}", run.text(0));
    }
}

#[test]
fn a_breaker_opens_only_when_its_window_is_full() {
    // Of one call a second, a hundred fill the window at 100 s.
    let gone = |from: u64, until: u64| {
        let mut case = one(vec![(0, 1000)], breaker());
        case.script = vec![
            (from * 1000, Act::Endpoints(0, 0, 0, 0)),
            (until * 1000, Act::Endpoints(0, 1, 1, 1_000_000)),
        ];
        case.run()
    };
    let early = gone(20, 60);
    assert_eq!(share(&early, 0, 60, 400), 1.0, "{}", early.text(0));
    let late = gone(200, 240);
    assert_eq!(share(&late, 0, 240, 400), 1.0, "40 of 100 are too few: {}", late.text(0));
    let long = gone(200, 255);
    let (open, closed) = (share(&long, 0, 256, 309), share(&long, 0, 312, 400));
    assert!(open < 1e-6 && closed > 0.999, "50 s later, for 60 s: {}", long.text(0));
}

#[test]
fn a_budget_is_saved_up_while_nothing_else_changes() {
    let client = CallPolicy {
        retries: 3,
        backoff: SimSpan::from_millis(100),
        retry_budget_ppm: Some(100_000),
        ..CallPolicy::default()
    };
    let mut case = one(vec![(0, 100_000)], client);
    let half = |at| [(at, Act::Endpoints(0, 2, 1, 1_000_000))];
    let whole = |at| [(at, Act::Endpoints(0, 1, 1, 1_000_000))];
    case.script = [half(100_000), whole(120_000), half(200_000), whole(220_000)].concat();
    let run = case.run();
    let (first, again) = (share(&run, 0, 100, 120), share(&run, 0, 200, 220));
    assert!((first - again).abs() < 1e-3, "{first} {again}");
    assert!(first > 0.57, "savings mend more than a tenth of half: {first}");
}

/// A gateway (0) with a dependency (2) of its own, and a shop (1) behind it.
fn gateway() -> Case {
    let hop = |base_millis, calls: &[u32]| Node {
        base_millis,
        calls: calls.to_vec(),
        serving: Serving { workers: 4, ..Serving::default() },
        ..Node::default()
    };
    let mut nodes = vec![hop(2, &[2]), hop(10, &[]), hop(1, &[])];
    nodes[1].loads = vec![(Some(0), vec![(0, 100_000)])];
    nodes[1].client = CallPolicy {
        timeout: Some(SimSpan::from_secs(1)),
        retries: 1,
        backoff: SimSpan::from_millis(100),
        ..CallPolicy::default()
    };
    Case {
        nodes,
        start: (0..3).map(|node| Act::Endpoints(node, 2, 2, 400_000)).collect(),
        script: Vec::new(),
        millis: 400_000,
        ..Case::default()
    }
}

/// Why requests to a Service were lost.
fn reasons(run: &Run, service: u32) -> Vec<LossReason> {
    let lossy = |segment: &model_api::observation::FlowSegment| {
        segment.served_until_millirps < segment.offered_until_millirps
    };
    let mut reasons: Vec<LossReason> = run
        .of(service)
        .into_iter()
        .filter_map(|(_, segment)| lossy(&segment).then_some(segment.loss))
        .collect();
    reasons.sort_unstable();
    reasons.dedup();
    reasons
}

#[test]
fn clients_that_lose_patience_blame_no_gateway() {
    let mut case = gateway();
    case.nodes[1].base_millis = 1500;
    for run in [case.run(), case.run_requests(1)] {
        assert_eq!(share(&run, 0, 0, 400), 1.0, "{}", run.text(0));
        assert_eq!(share(&run, 1, 0, 390), 0.0, "{}", run.text(1));
        assert_eq!(reasons(&run, 1), [LossReason::TimedOut]);
    }
}

#[test]
fn a_gateway_counts_each_attempt_once() {
    let mut case = gateway();
    case.script = vec![(100_000, Act::Endpoints(2, 2, 1, 400_000))];
    for run in [case.run(), case.run_requests(1)] {
        // Half of all attempts fail behind it, so each client asks one and a half times.
        let (seen, mended) = (share(&run, 0, 110, 390), share(&run, 1, 110, 390));
        assert!((seen - 0.5).abs() < 0.01, "{seen}\n{}", run.text(0));
        assert!((mended - 0.75).abs() < 0.01, "{mended}\n{}", run.text(1));
        let asked = run.of(0).into_iter().filter(|(until, _)| until.as_nanos() > 110_000_000_000);
        let rates: Vec<u64> = asked.map(|(_, segment)| segment.offered_from_millirps).collect();
        let mean = rates.iter().sum::<u64>() as f64 / rates.len() as f64;
        assert!((mean - 150_000.0).abs() < 3_000.0, "{mean}");
        assert_eq!(reasons(&run, 0), [LossReason::Dependency(ServiceId(2))]);
    }
}

#[test]
fn requests_come_as_often_as_a_product_of_ramps_says() {
    // The load rises from nothing while its factor falls: it is highest in between.
    let mut case = one(vec![(0, 0), (100, 1_000_000)], CallPolicy::default());
    case.start = vec![Act::Endpoints(0, 1, 1, u64::MAX), Act::Factor(0, 3000, 0)];
    case.script = vec![(0, Act::Factor(0, 1000, 100))];
    case.millis = 100_000;
    let answered: u64 = case.run_requests(1).answered.iter().map(|(_, _, count)| count).sum();
    // 1000 x (3 - 2 x) requests a second, at x of the way: 83 333, give or take 289.
    assert!((answered as f64 - 250_000.0 / 3.0).abs() < 4.0 * 289.0, "{answered}");
}

#[test]
fn where_nobody_asks_nothing_happens() {
    let case = Case { millis: 400_000, ..Case::default() };
    assert_eq!(case.run_requests(1).event_count, 0);
}

#[test]
fn what_seldom_happens_is_noted_of_flows_with_a_memory_too() {
    let client = CallPolicy { retries: 1, ..CallPolicy::default() };
    let mut case = one(vec![(0, 500_000)], client);
    case.nodes[0].databases = vec![0];
    case.nodes[0].serving.queue_limit = Some(10);
    case.script = vec![
        (100_000, Act::Endpoints(0, 2, 1, 1_000_000)),
        (150_000, Act::Endpoints(0, 1, 1, 100_000)),
        (200_000, Act::Endpoints(0, 0, 0, 0)),
        (250_000, Act::Endpoints(0, 1, 1, 1_000_000)),
        (300_000, Act::Writable(0, false)),
    ];
    let run = case.run();
    for (probe, count) in rare::ALL.iter().zip(&run.hits) {
        assert!(*count > 0, "{}", probe.description());
    }
    let calm = one(vec![(0, 500_000)], client).run();
    assert!(calm.hits.iter().all(|count| *count == 0), "{:?}", calm.hits);
}

#[test]
fn it_does_not_matter_how_often_requests_are_looked_at() {
    // Alone, requests are played one after the other up to the next look; with a limit and an
    // impatient client, some of them must not be.
    let client = CallPolicy { timeout: Some(SimSpan::from_millis(2)), ..CallPolicy::default() };
    let client = CallPolicy { retries: 2, backoff: SimSpan::from_millis(1), ..client };
    let mut case = one(vec![(0, 700_000), (20, 900_000)], client);
    case.nodes[0].serving = Serving { queue_limit: Some(3), ..Serving::default() };
    let seen = |step: SimSpan| {
        let streams = Streams::new(1, 0);
        let mut requests = Requests::new(&case.blueprint(), streams).expect("it is well formed");
        requests.set_endpoints(ServiceId(0), 1, 1, 1_000_000);
        let mut now = SimTime::ZERO;
        while now < SimTime::from_secs(20) {
            now += step;
            requests.advance(now);
        }
        let service = ServiceId(0);
        (requests.request_count(), requests.ended_and_served(service), requests.latencies(service))
    };
    let (count, (ended, served), latencies) = seen(SimSpan::from_secs(20));
    assert!(served < ended && count > 15_000, "{served} of {ended} of {count}");
    for step in [SimSpan::from_millis(1), SimSpan::from_millis(500)] {
        assert_eq!(seen(step), (count, (ended, served), latencies), "{step}");
    }
}

/// Pods of which each answers a hundred requests a second, and clients who ask 450 times a second, wait a
/// second for an answer and try four times.
fn stormy(pods: &[(u64, u32)]) -> Case {
    let client =
        CallPolicy { timeout: Some(SimSpan::from_secs(1)), retries: 3, ..CallPolicy::default() };
    let of = |count: u32| Act::Endpoints(0, count, count, u64::from(count) * 100_000);
    let mut case = one(vec![(0, 450_000)], client);
    case.nodes[0].base_millis = 10;
    case.start = vec![of(6)];
    case.script = pods.iter().map(|&(secs, count)| (secs * 1000, of(count))).collect();
    case
}

#[test]
fn a_queue_in_which_nobody_gets_an_answer_in_time_becomes_shorter() {
    // What comes fills half the pods. A second's worth of requests waits there, which those who come then
    // wait for half a second when the others are back.
    let case = stormy(&[(100, 3), (200, 6)]);
    let [flow, single] = [case.run(), case.run_requests(1)];
    let stormy = [&flow, &single].map(|run| share(run, 0, 110, 195));
    assert!((stormy[0] - stormy[1]).abs() < 0.03 && stormy[0] < 0.4, "{stormy:?}");
    for run in [flow, single] {
        assert!(share(&run, 0, 230, 400) > 0.999, "{}", run.text(0));
    }
}
