//! Clients that are counted by themselves: their parts are the whole, and counting changes nothing.

use model_api::path::{CallPolicy, RateLimit, RateLimitCounts, Serving};
use sim_kernel::SimSpan;

use crate::world::{Act, Case, Node, Of, Run};

/// A gateway (0) and a shop (1) that answers 300 requests per second, asked by a tenant through the
/// gateway whose load ramps from 100 to 400, and by one beside it, of 100.
fn shop(client: CallPolicy, serving: Serving) -> Case {
    let ramp = vec![(0, 100_000), (100, 100_000), (200, 400_000), (300, 400_000), (300, 50_000)];
    let node = |base_millis| Node { base_millis, ..Node::default() };
    let shop = Node {
        loads: vec![(Some(0), ramp), (None, vec![(0, 100_000)])],
        tenants: vec![("ramping", client), ("steady", client)],
        serving,
        ..node(20)
    };
    Case {
        nodes: vec![node(2), shop],
        start: vec![Act::Endpoints(0, 2, 2, 2_000_000), Act::Endpoints(1, 3, 3, 300_000)],
        script: vec![
            (50_000, Act::Endpoints(0, 2, 1, 1_000_000)),
            (60_000, Act::Endpoints(0, 1, 1, 1_000_000)),
            (250_000, Act::Endpoints(1, 3, 2, 200_000)),
            (320_000, Act::Endpoints(1, 3, 3, 300_000)),
        ],
        millis: 400_000,
        ..Case::default()
    }
}

fn cases() -> [Case; 3] {
    let patience = CallPolicy { timeout: Some(SimSpan::from_secs(2)), ..CallPolicy::default() };
    let limit =
        RateLimit { limit: 90, window: SimSpan::from_secs(1), counts: RateLimitCounts::EachPod };
    [
        shop(CallPolicy::default(), Serving::default()),
        shop(patience, Serving::default()),
        shop(patience, Serving { rate_limit: Some(limit), ..Serving::default() }),
    ]
}

fn without_tenants(mut case: Case) -> Case {
    case.nodes[1].client = case.nodes[1].tenants[0].1;
    case.nodes[1].tenants.clear();
    case
}

/// The larger difference between the parts and the whole, of what is offered and served, in requests.
fn gap(run: &Run) -> f64 {
    let (whole, first, second) =
        (run.totals(Of::Service(1)), run.totals(Of::Load(0)), run.totals(Of::Load(1)));
    let gap = |whole: f64, first: f64, second: f64| (whole - first - second).abs();
    gap(whole.0, first.0, second.0).max(gap(whole.1, first.1, second.1))
}

#[test]
fn flows_of_clients_sum_to_the_flow_of_their_service() {
    for (number, case) in cases().into_iter().enumerate() {
        let run = case.run();
        assert!(gap(&run) < 1.0, "case {number}: {} of 120 000", gap(&run));
        let (offered, served) = run.totals(Of::Load(1));
        assert!((offered - 40_000.0).abs() < 1e-6, "case {number}: {offered}");
        assert!(served > 30_000.0 && served < 38_000.0, "case {number}: {served}");
    }
}

#[test]
fn each_load_is_told_without_a_gap() {
    for case in cases() {
        for run in [case.run(), case.run_requests(1)] {
            for load in [0, 1] {
                let mut at = sim_kernel::SimTime::ZERO;
                for (until, segment) in run.segments_of(Of::Load(load)) {
                    assert_eq!(segment.from, at);
                    assert!(segment.served_until_millirps <= segment.offered_until_millirps);
                    at = until;
                }
                assert_eq!(at, sim_kernel::SimTime::from_millis(case.millis));
            }
        }
    }
}

#[test]
fn single_requests_count_for_their_load_and_their_service() {
    for case in cases() {
        let run = case.run_requests(7);
        let count = |of| -> u64 {
            run.answered.iter().filter(|(id, ..)| *id == of).map(|(.., count)| count).sum()
        };
        assert_eq!(count(Of::Service(1)), count(Of::Load(0)) + count(Of::Load(1)));
        assert!(count(Of::Load(1)) > 30_000);
    }
}

#[test]
fn counting_clients_changes_no_flow() {
    for case in cases() {
        let (with, without) = (case.run(), without_tenants(case).run());
        for service in [0, 1] {
            let (with, without) =
                (with.totals(Of::Service(service)), without.totals(Of::Service(service)));
            assert!((with.0 - without.0).abs() < 1.0, "{with:?} {without:?}");
            assert!((with.1 - without.1).abs() < 20.0, "{with:?} {without:?}");
        }
    }
}

#[test]
fn a_tenant_that_comes_leaves_the_luck_of_another_alone() {
    let alone = |tenants: &[&'static str]| {
        let mut case = shop(CallPolicy::default(), Serving::default());
        // Far more than anybody asks for: what one gets, the other does not miss.
        case.start[1] = Act::Endpoints(1, 3, 3, 30_000_000);
        case.script.clear();
        let shop = &mut case.nodes[1];
        shop.loads = tenants.iter().map(|_| (None, vec![(0, 50_000)])).collect();
        shop.tenants = tenants.iter().map(|name| (*name, CallPolicy::default())).collect();
        case.millis = 20_000;
        let run = case.run_requests(3);
        let count = run.answered.iter().filter(|(id, ..)| *id == Of::Load(0));
        count.map(|(.., count)| *count).sum::<u64>()
    };
    assert_eq!(alone(&["acme"]), alone(&["acme", "other"]));
    assert_ne!(alone(&["acme"]), alone(&["other"]));
}
