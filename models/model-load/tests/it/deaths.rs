//! Requests in pods that die: as many are lost as are in them, in both engines, and callers try again.

use model_api::path::CallPolicy;
use sim_kernel::SimSpan;

use crate::world::{Act, Case, Node, Of};

/// Four pods that take 500 ms for each of 200 requests per second: 100 are in them.
fn case(client: CallPolicy) -> Case {
    let node = Node {
        base_millis: 500,
        loads: vec![(None, vec![(0, 200_000)])],
        client,
        ..Node::default()
    };
    Case {
        nodes: vec![node],
        start: vec![Act::Endpoints(0, 4, 4, u64::MAX)],
        // One of four dies, and is gone at once.
        script: vec![(60_000, Act::Deaths(0, 1, 4)), (60_000, Act::Endpoints(0, 3, 3, u64::MAX))],
        millis: 120_000,
        ..Case::default()
    }
}

fn lost(case: &Case) -> [f64; 2] {
    let lost = |totals: (f64, f64)| totals.0 - totals.1;
    let flow = lost(case.run().totals(Of::Service(0)));
    let runs = (0..20).map(|seed| lost(case.run_requests(seed).totals(Of::Service(0))));
    [flow, runs.sum::<f64>() / 20.0]
}

#[test]
fn what_is_in_a_pod_is_lost_with_it() {
    let waits = CallPolicy { timeout: Some(SimSpan::from_secs(10)), ..CallPolicy::default() };
    for client in [CallPolicy::default(), waits] {
        let [flow, single] = lost(&case(client));
        assert!((flow - 25.0).abs() < 0.5, "{flow}");
        assert!((single - 25.0).abs() < 4.0, "{single}");
    }
}

#[test]
fn who_tries_again_loses_what_fails_twice() {
    let client = CallPolicy {
        timeout: Some(SimSpan::from_secs(10)),
        retries: 1,
        backoff: SimSpan::from_millis(100),
        ..CallPolicy::default()
    };
    let [flow, single] = lost(&case(client));
    // Flows get used to a change: some of the first of them do not try again.
    assert!(flow < 12.0, "{flow}");
    assert!(single < 7.0, "{single}");
}
