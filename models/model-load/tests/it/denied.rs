//! What network policies deny is lost, in both engines alike, and for nobody else.

use model_api::observation::LossReason;
use model_api::path::{CallPolicy, Callee, DeniedCall};
use model_api::{DatabaseId, ServiceId, SimSpan};

use crate::world::{Act, Case, Node, Run};

/// A gateway (0), a shop (1) behind it that calls a stock (2) and writes to a database, and a page (3)
/// behind the same gateway.
fn case(denied: &[DeniedCall]) -> Case {
    let client = CallPolicy { timeout: Some(SimSpan::from_secs(2)), ..CallPolicy::default() };
    let hop = || Node { base_millis: 5, client, ..Node::default() };
    let load = || vec![(Some(0), vec![(0, 20_000)])];
    let nodes = vec![
        hop(),
        Node { calls: vec![2], databases: vec![0], loads: load(), ..hop() },
        hop(),
        Node { loads: load(), ..hop() },
    ];
    Case {
        nodes,
        start: (0..4).map(|node| Act::Endpoints(node, 2, 2, 1_000_000)).collect(),
        script: Vec::new(),
        millis: 60_000,
        denied: denied.to_vec(),
        ..Case::default()
    }
}

/// Requests served of those offered to a Service, in percent, and why most of the others are lost.
fn fate(run: &Run, service: u32) -> (f64, LossReason) {
    let (mut offered, mut served, mut reason) = (0, 0, LossReason::None);
    for (_, segment) in run.of(service) {
        offered += segment.offered_from_millirps + segment.offered_until_millirps;
        served += segment.served_from_millirps + segment.served_until_millirps;
        if segment.loss != LossReason::None {
            reason = segment.loss;
        }
    }
    (100.0 * served as f64 / offered.max(1) as f64, reason)
}

#[test]
fn denied_calls_are_lost_and_others_are_not() {
    let from = |caller: Option<u32>, callee| DeniedCall { caller: caller.map(ServiceId), callee };
    let service = |idx| Callee::Service(ServiceId(idx));
    let rows = [
        (vec![], true, true),
        (vec![from(Some(1), service(2))], false, true),
        (vec![from(Some(1), Callee::Database(DatabaseId(0)))], false, true),
        (vec![from(Some(0), service(1))], false, true),
        (vec![from(Some(0), service(3))], true, false),
        (vec![from(None, service(0))], false, false),
        // Nobody makes this call.
        (vec![from(Some(2), service(3))], true, true),
    ];
    for (denied, is_shop_up, is_page_up) in rows {
        let case = case(&denied);
        for (engine, run) in [("flows", case.run()), ("requests", case.run_requests(1))] {
            for (idx, is_up) in [(1, is_shop_up), (3, is_page_up)] {
                let (share, reason) = fate(&run, idx);
                if is_up {
                    assert!(share > 99.0, "{engine}, {denied:?}, {idx}: {share} {reason:?}");
                } else {
                    // Of a minute's requests those of the last two seconds still wait.
                    assert!(share < 3.4, "{engine}, {denied:?}, {idx}: {share}");
                    assert_eq!(reason, LossReason::Denied, "{engine}, {denied:?}, {idx}");
                }
            }
        }
    }
}
