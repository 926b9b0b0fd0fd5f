//! What a spike leaves behind is told until it is served: as a flow and request by request.

use model_api::observation::FlowSegment;
use model_api::path::{CallPolicy, Serving};
use sim_kernel::{SimSpan, SimTime};

use crate::world::{Act, Case, Node, Run};

const SECS: u64 = 1_000;
/// More come than can be served, from the one to the other.
const SPIKE: (u64, u64) = (60, 120);

/// A Service whose ten workers answer a hundred requests a second, asked eighty times; and one before it
/// that passes everything on to it. Nobody gives up.
fn case() -> Case {
    let serving = Serving { workers: 10, queue_limit: Some(100_000), ..Serving::default() };
    let client = CallPolicy { timeout: Some(SimSpan::from_hours(1)), ..CallPolicy::default() };
    let front = Node {
        calls: vec![1],
        base_millis: 1,
        loads: vec![(None, vec![(0, 80_000)])],
        serving: Serving { workers: 1_000, ..serving },
        policy: client,
        client,
        ..Node::default()
    };
    let back = Node { base_millis: 100, serving, ..Node::default() };
    Case {
        nodes: vec![front, back],
        start: vec![Act::Endpoints(0, 1, 1, 1_000_000_000), Act::Endpoints(1, 1, 1, 100_000)],
        script: vec![
            (SPIKE.0 * SECS, Act::Factor(0, 3_000, 0)),
            (SPIKE.1 * SECS, Act::Factor(0, 1_000, 0)),
        ],
        millis: 1_200 * SECS,
        ..Case::default()
    }
}

/// The first and the last moment at which something is piled up.
fn piled_up(run: &Run, service: u32) -> (SimTime, SimTime) {
    let its = run.of(service);
    let mut ends =
        its.iter().filter(|(_, it): &&(SimTime, FlowSegment)| it.is_piled_up).map(|(end, _)| *end);
    let first = ends.next().expect("something piles up");
    (first, ends.next_back().unwrap_or(first))
}

/// 140 too many a second for a minute, and twenty more than come are served afterwards: after seven
/// minutes it is gone, but for what waits by chance.
#[test]
fn what_piles_up_is_told_until_it_is_served() {
    let case = case();
    let gone = SPIKE.1 + (SPIKE.1 - SPIKE.0) * 140 / 20;
    for (name, run) in [("flow", case.run()), ("requests", case.run_requests(1))] {
        for service in [0, 1] {
            let (first, last) = piled_up(&run, service);
            assert!(first > SimTime::from_secs(SPIKE.0), "{name} {service}: {first}");
            let (early, late) = (SimTime::from_secs(gone - 60), SimTime::from_secs(gone + 60));
            assert!(early < last && last < late, "{name} {service}: {last}");
        }
    }
}

/// Five seconds of work fill the queue; what a quarter of the workers has to spare serves it in twenty.
#[test]
fn a_backlog_of_seconds_is_told_as_well() {
    let mut case = case();
    let [_, back] = case.nodes.as_slice() else { unreachable!("there are two") };
    let serving = Serving { queue_limit: Some(500), ..back.serving };
    let loads = vec![(None, vec![(0, 75_000)])];
    let client = case.nodes[0].client;
    case.nodes = vec![Node { serving, loads, client, ..back.clone() }];
    case.start = vec![Act::Endpoints(0, 1, 1, 100_000)];
    let requests = (1..=5).map(|seed| ("requests", case.run_requests(seed)));
    for (name, run) in std::iter::once(("flow", case.run())).chain(requests) {
        let (_, last) = piled_up(&run, 0);
        let (early, late) = (SPIKE.1 + 12, SPIKE.1 + 32);
        let is_near = SimTime::from_secs(early) < last && last < SimTime::from_secs(late);
        assert!(is_near, "{name}: {last}");
    }
}

/// A Service that is busy and well has no backlog, however its queue swings by chance.
#[test]
fn what_waits_by_chance_is_no_backlog() {
    let case = Case { script: Vec::new(), ..case() };
    let runs = (0..10).map(|seed| case.run_requests(seed));
    for run in runs.chain([case.run()]) {
        let is_piled_up = |(_, segment): &(SimTime, FlowSegment)| segment.is_piled_up;
        assert!(!run.segments.iter().any(is_piled_up));
    }
}
