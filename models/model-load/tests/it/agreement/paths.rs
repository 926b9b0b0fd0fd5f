//! Cases of limits of gateways, of names, and of databases that a share of the requests writes to.

use model_api::limiter::{Counters, LimitBy, Limiter, Period, Store, StoreState};
use model_api::path::{CallPolicy, Serving};
use model_api::{Origin, ServiceId};
use model_load::News;
use sim_kernel::SimSpan;

use super::{chain, millis, patience};
use crate::world::{Act, Case};

/// The chain whose gateway lets so many requests in.
pub(super) fn limited(
    limits: &[(Period, u64)],
    counters: Counters,
    by: LimitBy,
    client: CallPolicy,
) -> Case {
    let mut case = chain(CallPolicy::default(), client);
    case.limiters.push(Limiter {
        name: "limit".into(),
        gateway: ServiceId(0),
        service: None,
        tenant: None,
        limits: limits.to_vec(),
        by,
        counters,
        connecting_ppm: 0,
        is_fault_tolerant: true,
        origin: Origin::default(),
    });
    case
}

/// In a store that is asked so often, and gives up after 300 ms.
pub(super) fn in_store(sync_every: Option<SimSpan>) -> Counters {
    let (timeout, counts_refused) = (millis(300), sync_every.is_none());
    let store = Some(Store::Service(ServiceId(2)));
    Counters::Shared { store, timeout, sync_every, counts_refused }
}

/// A limit whose store says nothing for a while, and then refuses for a while.
pub(super) fn without_store(is_fault_tolerant: bool, client: CallPolicy) -> Case {
    let mut case = limited(&[(Period::Second, 300)], in_store(None), LimitBy::Service, client);
    case.limiters[0].is_fault_tolerant = is_fault_tolerant;
    case.script = vec![
        (100_000, Act::Store(0, StoreState::Silent)),
        (160_000, Act::Store(0, StoreState::Refuses)),
        (190_000, Act::Store(0, StoreState::Answers)),
    ];
    case
}

/// A limit of whose store one of three pods says nothing for a while, and then refuses: a third of the
/// requests opens a connection.
pub(super) fn without_part_of_store(is_fault_tolerant: bool, client: CallPolicy) -> Case {
    // Those that pass do so evenly where the limit is not reached.
    let limit = if is_fault_tolerant { 3_000 } else { 300 };
    let mut case = limited(&[(Period::Second, limit)], in_store(None), LimitBy::Service, client);
    case.limiters[0].is_fault_tolerant = is_fault_tolerant;
    let third = |state| Act::StorePart(0, state, 111_111);
    case.script = vec![
        (100_000, third(StoreState::Silent)),
        (200_000, third(StoreState::Refuses)),
        (290_000, Act::Store(0, StoreState::Answers)),
    ];
    case
}

/// Two tenants of whom each may ask for 150 a second; one of them asks for three times as much for a
/// while.
pub(super) fn limited_tenants() -> Case {
    let limits = [(Period::Second, 150)];
    let mut case = limited(&limits, in_store(None), LimitBy::Tenant, CallPolicy::default());
    case.nodes[1].loads = vec![(Some(0), vec![(0, 100_000)]); 2];
    case.nodes[1].tenants = vec![("calm", patience(5_000, 0)), ("loud", patience(5_000, 0))];
    case.script = vec![
        (100_000, Act::TenantFactor(1, "loud", 3_000)),
        (200_000, Act::TenantFactor(1, "loud", 1_000)),
    ];
    case
}

/// Each of a hundred addresses, which ask four times a second, may do so three times.
pub(super) fn limited_addresses() -> Case {
    let limits = [(Period::Second, 3)];
    let mut case = limited(&limits, in_store(None), LimitBy::Address, CallPolicy::default());
    case.nodes[1].addresses = Some(100);
    case
}

/// A pod of the gateway is lost, so that the others let less in.
pub(super) fn limited_in_pods(limits: &[(Period, u64)]) -> Case {
    let client = CallPolicy::default();
    let mut case = limited(limits, Counters::EachPod, LimitBy::Service, client);
    case.script = vec![(200_000, Act::Endpoints(0, 2, 2, 533_000))];
    case
}

/// Five times as many come as the limits of three pods let in, all at the start of each second: the shop works
/// off for half of it what comes in a fifth.
pub(super) fn limited_to_rushes() -> Case {
    let client = CallPolicy::default();
    let limits = [(Period::Second, 100)];
    let mut case = limited(&limits, Counters::EachPod, LimitBy::Service, client);
    case.nodes[1].calls.clear();
    case.nodes[1].loads = vec![(Some(0), vec![(0, 1_500_000)])];
    let start = (0..3).zip([6_000, 600, 550]);
    case.start =
        start.map(|(node, capacity)| Act::Endpoints(node, 3, 3, capacity * 1000)).collect();
    case
}

/// The chain, whose shop looks up the stock for a third of its calls, while nobody answers that for a while:
/// what is kept is gone after 30 s.
pub(super) fn unresolved(is_silent: bool) -> Case {
    let mut case = chain(patience(200, 1), patience(2_000, 1));
    case.looks_up = true;
    let news = |found_milli, within_secs| {
        let within = SimSpan::from_secs(within_secs);
        Act::Inside(News { weight_milli: 1000, found_milli, is_silent, within })
    };
    case.script = vec![(100_000, news(667, 30)), (250_000, news(1000, 0))];
    case
}

/// The chain, whose shop looks the stock up for each call, which takes so long, and longer for a while;
/// answers are kept so long for each of its pods.
pub(super) fn slow_names(
    normal_millis: u64,
    slow_millis: u64,
    keeps_secs: u64,
    policy: CallPolicy,
) -> Case {
    let mut case = chain(policy, patience(5_000, 0));
    case.looks_up = true;
    case.keeps_secs = keeps_secs;
    // Calls that waited for one answer come together with those after them: for that there is room.
    case.nodes[1].loads = vec![(Some(0), vec![(0, 200_000)])];
    case.start.push(Act::LookUp(normal_millis));
    case.script = vec![(100_000, Act::LookUp(slow_millis)), (250_000, Act::LookUp(normal_millis))];
    case
}

/// The chain with two gateways that a name leads to. One of them is lost; after a while the name leads away
/// from it, which clients learn within so long; later its name servers are away, or it leads to nobody.
pub(super) fn named(client: CallPolicy, is_silent: bool) -> Case {
    let mut case = chain(CallPolicy::default(), client);
    case.nodes.push(case.nodes[0].clone());
    case.nodes[1].loads = vec![(Some(0), vec![(0, 400_000)]), (Some(3), vec![(0, 400_000)])];
    case.nodes[1].records = vec![0, 1];
    let news = |weight_milli, found_milli, within_secs| News {
        weight_milli,
        found_milli,
        is_silent,
        within: SimSpan::from_secs(within_secs),
    };
    case.start.extend([
        Act::Endpoints(3, 3, 3, 800_000),
        Act::News(0, news(500, 1000, 0)),
        Act::News(1, news(500, 1000, 0)),
    ]);
    case.script = vec![
        (50_000, Act::Endpoints(3, 3, 0, 0)),
        (80_000, Act::News(0, news(1000, 1000, 60))),
        (80_000, Act::News(1, news(0, 1000, 60))),
        (200_000, Act::News(0, news(1000, 0, 60))),
        (240_000, Act::News(0, news(1000, 1000, 5))),
        (300_000, Act::Endpoints(3, 3, 3, 800_000)),
        (300_000, Act::News(0, news(500, 1000, 60))),
        (300_000, Act::News(1, news(500, 1000, 60))),
    ];
    case
}

/// The chain, of whose requests so many of a million write at the shop, and at the stock: the primary is
/// away for a third of the time.
pub(super) fn writing(
    shop_ppm: Option<u32>,
    stock_ppm: u32,
    policy: CallPolicy,
    client: CallPolicy,
) -> Case {
    let mut case = chain(policy, client);
    for (node, write_ppm) in [(1, shop_ppm), (2, Some(stock_ppm))] {
        case.nodes[node].databases = write_ppm.map(|_| 0).into_iter().collect();
        case.nodes[node].write_ppm = write_ppm;
    }
    case.nodes[1].loads = vec![(Some(0), vec![(0, 300_000)])];
    case.script = vec![(100_000, Act::Writable(0, false)), (233_000, Act::Writable(0, true))];
    case
}

/// The chain behind a limit that refuses a tenth of what clients ask for, of whose requests a fifth writes at
/// the stock: the primary is away for a third of the time.
pub(super) fn limited_writing() -> Case {
    let limits = [(Period::Second, 270)];
    let calm = patience(5_000, 0);
    let Case { limiters, .. } = limited(&limits, in_store(None), LimitBy::Service, calm);
    Case { limiters, ..writing(None, 200_000, calm, calm) }
}

/// A shop whose clients try again what took too long: a spike fills its queue while the store of the limit before it
/// is away.
pub(super) fn storm_that_a_limit_ends() -> Case {
    let client = CallPolicy { backoff: millis(200), ..patience(2_000, 3) };
    let mut case = limited(&[(Period::Second, 380)], in_store(None), LimitBy::Service, client);
    case.nodes[1].calls.clear();
    case.nodes[1].serving = Serving { workers: 1, queue_limit: Some(500), ..Serving::default() };
    case.nodes[1].loads = vec![(Some(0), vec![(0, 250_000)])];
    case.start = vec![
        Act::Endpoints(0, 2, 2, 8_000_000),
        Act::Endpoints(1, 4, 4, 400_000),
        Act::Endpoints(2, 1, 1, 400_000),
    ];
    case.script = vec![
        (100_000, Act::Store(0, StoreState::Silent)),
        (110_000, Act::Factor(1, 3_000, 0)),
        (140_000, Act::Factor(1, 1_000, 0)),
        (300_000, Act::Store(0, StoreState::Answers)),
    ];
    case.millis = 500_000;
    case
}
