//! Flows and single requests are one model: they say the same.
//!
//! Availability within 0.05 points, p50, p95 and p99 within 5 %, and within 15 % where workers are
//! 95 % busy. The table of `docs/REQUESTS.md` is part of the message of a failure.

use std::fmt::Write as _;

use model_api::limiter::{LimitBy, Period};
use model_api::load::{ThinkLaw, Thinking};
use model_api::observation::{FlowSegment, WaitLaw};
use model_api::path::{Breaker, CallPolicy, Discipline, RateLimit, RateLimitCounts, Serving, Work};
use sim_kernel::{SimSpan, SimTime};

use crate::sticky;
use crate::world::{Act, Case, Keeps, Node, Of, Run};

mod balanced;
mod cached;
mod paths;

use paths::{
    in_store, limited, limited_addresses, limited_in_pods, limited_tenants, limited_to_rushes,
    limited_writing, named, slow_names, unresolved, without_part_of_store, without_store, writing,
};

/// The largest difference of availability, in points.
const POINTS: f64 = 0.05;
/// Runs of single requests of each case, and how many standard errors of their mean are chance: with some
/// hundred comparisons, of which one in a hundred would be more than two and a half away.
const RUN_COUNT: u64 = 4;
const CHANCE: f64 = 3.0;
const QUANTILES: [f64; 3] = [0.5, 0.95, 0.99];

/// A case, whose requests are looked at, and how close latencies must be, in percent; without it
/// they are not compared: most requests fail, or wait in a queue that only just fills or drains.
struct Comparison {
    name: &'static str,
    case: Case,
    whose: Of,
    percent: Option<f64>,
}

fn millis(millis: u64) -> SimSpan {
    SimSpan::from_millis(millis)
}

/// How clients call that do not wait longer than this, and try again so often.
fn patience(timeout_millis: u64, retries: u32) -> CallPolicy {
    CallPolicy {
        timeout: Some(millis(timeout_millis)),
        retries,
        backoff: millis(100),
        ..CallPolicy::default()
    }
}

/// One Service: requests per second, workers of its one pod, what they can do per second.
fn single(rps: u64, workers: u32, capacity: u64, client: CallPolicy, serving: Serving) -> Case {
    let serving = Serving { workers, ..serving };
    let node = Node {
        base_millis: 5,
        loads: vec![(None, vec![(0, rps * 1000)])],
        client,
        serving,
        ..Node::default()
    };
    Case {
        nodes: vec![node],
        start: vec![Act::Endpoints(0, 1, 1, capacity * 1000)],
        script: Vec::new(),
        millis: 400_000,
        ..Case::default()
    }
}

/// A spike of this factor for ten seconds, a minute after the start.
fn with_spike(mut case: Case, factor_milli: u64) -> Case {
    case.script =
        vec![(60_000, Act::Factor(0, factor_milli, 0)), (70_000, Act::Factor(0, 1000, 0))];
    case
}

/// A gateway, a shop behind it, and a stock that the shop calls.
fn chain(policy: CallPolicy, client: CallPolicy) -> Case {
    let hop = |base_millis, calls: &[u32], policy| Node {
        base_millis,
        calls: calls.to_vec(),
        policy,
        serving: Serving { workers: 4, ..Serving::default() },
        ..Node::default()
    };
    let mut nodes =
        vec![hop(2, &[], CallPolicy::default()), hop(10, &[2], policy), hop(5, &[], policy)];
    nodes[1].loads = vec![(Some(0), vec![(0, 400_000)])];
    nodes[1].client = client;
    let start = (0..3).zip([800, 600, 550]);
    Case {
        nodes,
        start: start.map(|(node, capacity)| Act::Endpoints(node, 3, 3, capacity * 1000)).collect(),
        script: Vec::new(),
        millis: 400_000,
        ..Case::default()
    }
}

/// A shop that calls Services of one worker each, which do so many requests per second of its 70.
fn tree(capacities: &[u64]) -> Case {
    let mut case = single(70, 4, 400, CallPolicy::default(), Serving::default());
    for (callee, &capacity) in (1..).zip(capacities) {
        let serving = Serving { workers: 1, ..Serving::default() };
        case.nodes.push(Node { base_millis: 5, serving, ..Node::default() });
        case.nodes[0].calls.push(callee);
        case.start.push(Act::Endpoints(callee, 1, 1, capacity * 1000));
    }
    case
}

/// A shop that asks a stock of twelve workers, 70 % busy, for twenty things, one after the other or all
/// at the same time.
fn looped(is_at_once: bool) -> Case {
    let mut case = single(30, 4, 400, CallPolicy::default(), Serving::default());
    let serving = Serving { workers: 4, ..Serving::default() };
    case.nodes.push(Node { base_millis: 3, serving, ..Node::default() });
    case.nodes[0].calls = vec![1; 20];
    case.start.push(Act::Endpoints(1, 3, 3, 857_000));
    at_once(case, if is_at_once { 20 } else { 0 })
}

/// The same whose first so many calls are made at the same time.
fn at_once(mut case: Case, count: usize) -> Case {
    case.nodes[0].parallel_count = count;
    case
}

/// A shop that two tenants ask: one through the gateway, a third of which is dead for a while; one
/// beside it, who gives up soon and tries again.
fn tenants() -> Case {
    let mut case = chain(CallPolicy::default(), CallPolicy::default());
    case.nodes[1].loads = vec![(Some(0), vec![(0, 250_000)]), (None, vec![(0, 150_000)])];
    case.nodes[1].tenants = vec![("patient", patience(5_000, 0)), ("impatient", patience(200, 1))];
    case.script = vec![
        (100_000, Act::Endpoints(0, 3, 2, 533_000)),
        (150_000, Act::Endpoints(0, 2, 2, 533_000)),
    ];
    case
}

/// A shop in three zones that calls a stock, whose endpoints carry hints: what the pods of each zone
/// can do per second.
fn zones(capacities: [u64; 3], policy: CallPolicy) -> Case {
    let mut case = chain(policy, CallPolicy::default());
    case.nodes[2].has_hints = true;
    case.start[2] =
        Act::Stations(2, capacities.map(|it| (u32::from(it > 0), u32::from(it > 0), it * 1000)));
    case.start.extend([
        Act::Outside([1, 1, 1]),
        Act::Places(0, [(1, 1); 3]),
        Act::Places(1, [(1, 1); 3]),
    ]);
    case
}

/// The same chain on four nodes, where calls to the stock stay on the node of the shop: what its pods on
/// each node can do per second.
fn on_nodes(capacities: [u64; 4], policy: CallPolicy) -> Case {
    let mut case = chain(policy, CallPolicy::default());
    case.nodes[2].keeps = Some(Keeps::Inside);
    case.start[2] =
        Act::OnNodes(2, capacities.map(|it| (u32::from(it > 0), u32::from(it > 0), it * 1000)));
    case.start.extend([
        Act::Outside([2, 1, 1]),
        Act::NodePlaces(0, [(1, 1); 4]),
        Act::NodePlaces(1, [(1, 1); 4]),
    ]);
    case
}

/// The chain behind a balancer that leads to two nodes, with one pod of the gateway and with three.
fn fronts(client: CallPolicy) -> Case {
    let mut case = chain(CallPolicy::default(), client);
    case.nodes[0].keeps = Some(Keeps::FromOutside);
    case.nodes[0].connect_millis = Some(500);
    case.start[0] = Act::OnNodes(0, [(1, 1, 230_000), (0, 0, 0), (3, 3, 690_000), (0, 0, 0)]);
    case.start.extend([
        Act::NodePlaces(1, [(1, 1); 4]),
        Act::NodePlaces(2, [(1, 1); 4]),
        Act::Entrance(0, true, 2, 0),
        Act::Fronts(0, [true, false, true, false]),
    ]);
    case
}

const fn thinking(mean: SimSpan) -> Thinking {
    Thinking { mean, law: ThinkLaw::Exponential }
}

/// Users who think for so long, of eight workers who take 80 ms for a request.
fn users(count: u64, think_millis: u64) -> Case {
    let mut case = single(count, 8, 100, CallPolicy::default(), Serving::default());
    case.nodes[0].base_millis = 80;
    case.nodes[0].users = Some(thinking(millis(think_millis)));
    case
}

/// Users who think for a second, of one worker who takes 50 ms for a request.
fn few_users(count: u64) -> Case {
    let mut case = single(count, 1, 20, CallPolicy::default(), Serving::default());
    case.nodes[0].base_millis = 50;
    case.nodes[0].users = Some(thinking(millis(1_000)));
    case
}

/// Users who think for four seconds, of the chain.
fn closed_chain(count: u64) -> Case {
    let mut case = chain(patience(10_000, 0), patience(20_000, 0));
    case.nodes[1].loads[0].1 = vec![(0, count * 1000)];
    case.nodes[1].users = Some(thinking(millis(4_000)));
    case
}

/// Pods whose containers have so many cores and threads: a request takes 10 ms of CPU.
fn quotas(rps: u64, pods: u32, milli_cores: u64, workers: u32, work: Work) -> Case {
    let quota_period = Some(millis(100));
    let serving = Serving { workers, work, quota_period, ..Serving::default() };
    let mut case = single(rps, workers, 0, CallPolicy::default(), serving);
    case.nodes[0].base_millis = 20;
    case.start = vec![Act::Endpoints(0, pods, pods, u64::from(pods) * milli_cores * 100)];
    if rps * 11 > u64::from(pods) * milli_cores {
        // What a busy pod has left over is remembered for long.
        case.millis = 2_000_000;
    }
    case
}

/// A Service that is seldom asked, and whose pods are away for most of the time.
fn seldom() -> Case {
    let mut case = single(2, 8, 800, CallPolicy::default(), Serving::default());
    case.script =
        vec![(600_000, Act::Endpoints(0, 0, 0, 0)), (3_600_000, Act::Endpoints(0, 1, 1, 800_000))];
    case.millis = 4_000_000;
    case
}

/// Three pods of a worker each, which do 300 requests a second together.
fn three_pods(rps: u64, serving: Serving) -> Case {
    let mut case = single(rps, 1, 0, CallPolicy::default(), serving);
    case.start = vec![Act::Endpoints(0, 3, 3, 300_000)];
    case
}

fn heavy(rps: u64, queue_limit: Option<u32>) -> Case {
    let mut case = three_pods(
        rps,
        Serving { queue_limit, work: Work::Lognormal { variation: 3.0 }, ..Serving::default() },
    );
    case.millis = 4_000_000;
    case
}

/// Workers in line that do 800 a second, of work that varies much.
fn varied(rps: u64, workers: u32, variation: f64) -> Case {
    let work = Work::Lognormal { variation };
    let serving = Serving { work, ..Serving::default() };
    let mut case = single(rps, workers, 800, CallPolicy::default(), serving);
    case.millis = 4_000_000;
    case
}

fn constant_overload() -> Case {
    let work = Work::Constant;
    three_pods(360, Serving { queue_limit: Some(100), work, ..Serving::default() })
}

/// Workers that are shared and do 800 a second, of work that varies much.
fn heavy_shared(rps: u64, workers: u32, variation: f64) -> Case {
    let (discipline, work) = (Discipline::Sharing, Work::Lognormal { variation });
    let serving = Serving { discipline, work, ..Serving::default() };
    let mut case = single(rps, workers, 800, CallPolicy::default(), serving);
    case.millis = 2_000_000;
    case
}

/// The queue has room for what the pods do in a second.
fn default_queue(rps: u64) -> Case {
    three_pods(rps, Serving::default())
}

/// The same, so long that its queue fills and drains many times.
fn default_queue_for_long(rps: u64) -> Case {
    Case { millis: 20_000_000, ..default_queue(rps) }
}

/// Pods that let so many in together in each window, from a full second on.
fn limited_for_long(rps: u64, limit: u64, window_secs: u64, millis: u64) -> Case {
    let rate_limit = Some(RateLimit {
        limit,
        window: SimSpan::from_secs(window_secs),
        counts: RateLimitCounts::EachPod,
    });
    let serving = Serving { rate_limit, ..Serving::default() };
    let mut case = single(rps, 8, 800, CallPolicy::default(), serving);
    case.start = vec![Act::Endpoints(0, 3, 3, 800_000)];
    case.millis = millis;
    case
}

/// The chain behind a load balancer that gives each node half a second. A third of its nodes is silent
/// for a while, then it is away itself, then it leads nowhere.
fn balanced(client: CallPolicy) -> Case {
    let mut case = chain(CallPolicy::default(), client);
    case.nodes[0].connect_millis = Some(500);
    case.script = vec![
        (50_000, Act::Entrance(0, true, 6, 2)),
        (200_000, Act::Entrance(0, false, 6, 0)),
        (210_000, Act::Entrance(0, true, 6, 0)),
        (250_000, Act::Entrance(0, true, 0, 0)),
        (255_000, Act::Entrance(0, true, 6, 0)),
    ];
    case
}

/// The same, whose machine stays.
fn third_silent(client: CallPolicy) -> Case {
    let mut case = balanced(client);
    case.script.truncate(1);
    case.script.push((300_000, Act::Entrance(0, true, 4, 0)));
    case
}

/// The chain whose gateway chooses pods of the shop itself: for a while it knows two dead ones of six
/// that proxies know of too, and then longer than they do.
fn chosen(connect_millis: u64, retries: u32, client: CallPolicy) -> Case {
    let mut case = chain(CallPolicy::default(), client);
    case.nodes[1].chosen = Some((connect_millis, retries));
    case.start[1] = Act::Endpoints(1, 6, 6, 900_000);
    case.start.push(Act::Choice(1, 6, 0));
    case.script = vec![
        (50_000, Act::Endpoints(1, 6, 4, 600_000)),
        (50_000, Act::Choice(1, 4, 2)),
        (200_000, Act::Endpoints(1, 4, 4, 600_000)),
        (260_000, Act::Choice(1, 4, 0)),
        (300_000, Act::Endpoints(1, 0, 0, 0)),
        (300_000, Act::Choice(1, 0, 0)),
        (305_000, Act::Endpoints(1, 4, 4, 600_000)),
        (305_000, Act::Choice(1, 4, 0)),
    ];
    case
}

/// The same behind a balancer with a silent node.
fn balanced_and_chosen(client: CallPolicy) -> Case {
    let mut case = chosen(500, 5, client);
    case.nodes[0].connect_millis = Some(2_000);
    case.start.push(Act::Entrance(0, true, 5, 1));
    case
}

/// Most nodes of it are silent all the time.
fn mostly_silent(client: CallPolicy) -> Case {
    let mut case = chain(CallPolicy::default(), client);
    case.nodes[0].connect_millis = Some(500);
    case.start.push(Act::Entrance(0, true, 10, 6));
    case
}

fn queue_of(limit: u32) -> Serving {
    Serving { queue_limit: Some(limit), ..Serving::default() }
}

fn comparisons() -> Vec<Comparison> {
    let plain = CallPolicy::default();
    let calm = patience(5_000, 0);
    let hasty = patience(2_000, 1);
    let some = Serving::default();
    let exp = Work::Exponential;
    let twice = Work::Lognormal { variation: 2.0 };
    let budget = CallPolicy { retry_budget_ppm: Some(100_000), ..patience(500, 3) };
    let breaker = CallPolicy {
        breaker: Some(Breaker { open_for: SimSpan::from_secs(20), ..Breaker::default() }),
        ..patience(300, 0)
    };
    let mut seldom_asking = slow_names(4, 800, 0, patience(500, 1));
    seldom_asking.connecting_ppm = Some(100_000);
    let part_of_store = |passes, millis| without_part_of_store(passes, patience(millis, 0));
    let limit = |limit| Serving {
        rate_limit: Some(RateLimit {
            limit,
            window: SimSpan::from_secs(1),
            counts: RateLimitCounts::EachPod,
        }),
        ..Serving::default()
    };
    let work = |work| Serving { work, ..Serving::default() };
    let shared = Serving { discipline: Discipline::Sharing, ..some };
    // Near saturation the law of the flow has too low a median where nothing but work counts.
    let mut longer = single(760, 8, 800, plain, shared);
    longer.nodes[0].base_millis = 25;
    let mut dead = chain(patience(200, 2), patience(2_000, 1));
    dead.script = vec![
        (60_000, Act::Endpoints(2, 3, 2, 550_000)),
        (100_000, Act::Endpoints(2, 2, 2, 550_000)),
    ];
    let mut broken = chain(breaker, patience(2_000, 0));
    broken.script = vec![
        (100_000, Act::Endpoints(2, 3, 0, 0)),
        (150_000, Act::Endpoints(2, 0, 0, 0)),
        (290_000, Act::Endpoints(2, 3, 3, 550_000)),
    ];
    let mut thrice = chain(calm, calm);
    thrice.nodes[1].calls = vec![2; 3];
    thrice.nodes[2].base_millis = 22;
    thrice.nodes[1].loads = vec![(Some(0), vec![(0, 110_000)])];
    // The gateway calls somebody of its own, of whom half is dead for a while.
    let mut half = chain(patience(200, 1), patience(2_000, 1));
    half.nodes[0].calls = vec![3];
    half.nodes.push(Node { base_millis: 1, ..half.nodes[2].clone() });
    half.start.push(Act::Endpoints(3, 2, 2, 1_200_000));
    half.script = vec![
        (100_000, Act::Endpoints(3, 2, 1, 600_000)),
        (200_000, Act::Endpoints(3, 2, 2, 1_200_000)),
    ];
    // The first zone is lost: its endpoints stay for a while, then its callers go to the others.
    let mut zone_lost = zones([250, 250, 250], patience(300, 1));
    zone_lost.script = vec![
        (100_000, Act::Stations(2, [(1, 0, 0), (1, 1, 250_000), (1, 1, 250_000)])),
        (120_000, Act::Stations(2, [(0, 0, 0), (1, 1, 250_000), (1, 1, 250_000)])),
        (200_000, Act::Pool(2, [(0, 0), (1, 1), (1, 1)], 500_000)),
    ];
    // Clients of two zones, of which one has the smaller part of the pods.
    let mut nearest = single(0, 4, 0, calm, some);
    nearest.nodes[0].loads = vec![(None, vec![(0, 300_000)]), (None, vec![(0, 100_000)])];
    nearest.nodes[0].zones = vec![0, 1];
    nearest.nodes[0].has_hints = true;
    nearest.start = vec![
        Act::Outside([1, 1, 1]),
        Act::Stations(0, [(1, 1, 340_000), (1, 1, 340_000), (2, 2, 600_000)]),
    ];
    let served =
        |name, case, zone, percent| Comparison { name, case, whose: Of::Served(2, zone), percent };
    let of = |name, case, service, percent| Comparison {
        name,
        case,
        whose: Of::Service(service),
        percent,
    };
    let tenant =
        |name, load, percent| Comparison { name, case: tenants(), whose: Of::Load(load), percent };
    vec![
        of("8 workers, 50 % busy", single(400, 8, 800, plain, some), 0, Some(5.0)),
        of("8 workers, 75 % busy", single(600, 8, 800, plain, some), 0, Some(5.0)),
        of("8 workers, 95 % busy", single(760, 8, 800, plain, some), 0, Some(15.0)),
        of("1 worker, 75 % busy, time-out", single(750, 1, 1000, calm, some), 0, Some(5.0)),
        of(
            "1 worker, 75 % busy, constant work",
            single(750, 1, 1000, plain, work(Work::Constant)),
            0,
            Some(5.0),
        ),
        of(
            "8 workers, 75 % busy, queue of 8",
            single(600, 8, 800, plain, queue_of(8)),
            0,
            Some(5.0),
        ),
        of(
            "8 workers, 120 % busy, queue of 100",
            single(960, 8, 800, plain, queue_of(100)),
            0,
            Some(15.0),
        ),
        of("8 shared, 75 % busy", single(600, 8, 800, plain, shared), 0, Some(5.0)),
        of("8 shared, 95 % busy, 25 ms besides", longer, 0, Some(15.0)),
        of("1 shared, 60 % busy, time-out", single(1200, 1, 2000, calm, shared), 0, Some(5.0)),
        of(
            "1 shared, 75 % busy, constant work",
            single(1500, 1, 2000, plain, Serving { work: Work::Constant, ..shared }),
            0,
            Some(5.0),
        ),
        of(
            "8 shared, 120 % busy, 100 more at most",
            single(960, 8, 800, plain, Serving { queue_limit: Some(100), ..shared }),
            0,
            Some(15.0),
        ),
        of("8 shared, 75 % busy, work of 3.0", heavy_shared(600, 8, 3.0), 0, Some(5.0)),
        of("1 shared, 60 % busy, work of 2.0", heavy_shared(480, 1, 2.0), 0, Some(5.0)),
        of("4 shared, 95 % busy, work of 3.0", heavy_shared(760, 4, 3.0), 0, Some(15.0)),
        of("gateway, shop, stock", chain(calm, calm), 1, Some(5.0)),
        of("the same, stock asked three times", thrice, 1, Some(5.0)),
        of("twenty calls to one Service, in a loop", looped(false), 0, Some(5.0)),
        of("the same, all at the same time", looped(true), 0, Some(5.0)),
        of("a call tree, 50 to 80 % busy", tree(&[140, 120, 100, 90, 88]), 0, Some(5.0)),
        of(
            "the same tree, all at the same time",
            at_once(tree(&[140, 120, 100, 90, 88]), 5),
            0,
            Some(5.0),
        ),
        of(
            "two of them at the same time",
            at_once(tree(&[140, 120, 100, 90, 88]), 2),
            0,
            Some(5.0),
        ),
        of("100 users, 8 workers 89 % busy", users(100, 1_000), 0, Some(15.0)),
        of("20 users, 1 worker 84 % busy", few_users(20), 0, Some(15.0)),
        of("1500 users of gateway, shop, stock", closed_chain(1_500), 1, Some(5.0)),
        of("the same at the limit of stock", closed_chain(2_300), 1, Some(15.0)),
        tenant("two tenants, the one through the gateway", 0, Some(5.0)),
        tenant("the same, the impatient one beside it", 1, Some(5.0)),
        of("seldom asked, away for most of the time", seldom(), 0, None),
        of("stock loses an endpoint, retries", dead.clone(), 1, None),
        of("the same, its gateway", dead, 0, None),
        of("a fifth writes, no primary", writing(None, 200_000, calm, calm), 1, Some(5.0)),
        of("the same, who writes tries again", writing(None, 200_000, hasty, calm), 1, None),
        of("the same, the stock", writing(None, 200_000, hasty, calm), 2, None),
        of("the same, clients do too", writing(None, 200_000, hasty, hasty), 1, None),
        of("the same, the stock", writing(None, 200_000, hasty, hasty), 2, None),
        of("the shop writes more", writing(Some(300_000), 100_000, hasty, hasty), 1, None),
        of("the same, the stock", writing(Some(300_000), 100_000, hasty, hasty), 2, None),
        of("a fifth writes behind a limit, no primary", limited_writing(), 1, None),
        of("what the gateway calls loses half, its gateway", half.clone(), 0, None),
        of("the same, the shop", half, 1, None),
        of("stock is gone, circuit breaker", broken, 1, None),
        of("a cache has nine tenths of the stock", cached::warm(900_000, 55), 1, Some(15.0)),
        of("the same, a third", cached::warm(333_000, 550), 1, Some(5.0)),
        of("the same, the stock", cached::warm(333_000, 550), 2, Some(5.0)),
        of("the cache is cold, stock too small", cached::cold(patience(500, 0)), 1, None),
        of("the same, tries again", cached::cold(patience(500, 2)), 1, None),
        of("the same, the stock", cached::cold(patience(500, 2)), 2, None),
        of("stock in three zones, as large", zones([200, 200, 200], calm), 1, Some(5.0)),
        of("one zone too small", zones([360, 100, 360], patience(500, 1)), 1, None),
        served(
            "the same, what that zone serves",
            zones([360, 100, 360], patience(500, 1)),
            1,
            None,
        ),
        served("the same, another", zones([360, 100, 360], patience(500, 1)), 0, Some(5.0)),
        of("one zone without stock", zones([300, 0, 300], calm), 1, Some(5.0)),
        served("the same, one with", zones([300, 0, 300], calm), 2, Some(5.0)),
        of("a zone is lost, then its hints", zone_lost.clone(), 1, None),
        served("the same, what the first zone serves", zone_lost, 0, None),
        Comparison {
            name: "clients of two zones, those of the first",
            case: nearest.clone(),
            whose: Of::Load(0),
            percent: Some(15.0),
        },
        Comparison {
            name: "the same, those of the second",
            case: nearest,
            whose: Of::Load(1),
            percent: Some(5.0),
        },
        of("on four nodes, as large", on_nodes([150; 4], calm), 1, Some(5.0)),
        of(
            "the same, one node without stock",
            on_nodes([150, 150, 0, 150], patience(500, 1)),
            1,
            None,
        ),
        of("a node with one pod, one with three", fronts(patience(5_000, 0)), 1, Some(5.0)),
        of("clients that stay with one of four pods", sticky::even(calm), 0, Some(5.0)),
        of("the same by a ring of hashes", sticky::hashed(calm), 0, Some(5.0)),
        of("a pod of those is dead, clients try again", sticky::dead(patience(500, 2)), 0, None),
        of("two pods, then four, sessions end", sticky::scaled(patience(500, 0)), 0, None),
        of("the same, clients do not wait so long", sticky::scaled(patience(250, 0)), 0, None),
        of("a pod goes and takes its sessions with it", sticky::lost(calm), 0, None),
        of("quota of 2 cores, 8 threads, 50 %", quotas(100, 1, 2000, 8, exp), 0, Some(5.0)),
        of("the same, 75 %", quotas(150, 1, 2000, 8, exp), 0, Some(5.0)),
        of("the same, 95 %", quotas(190, 1, 2000, 8, exp), 0, Some(15.0)),
        of("quota of 1 core in each of 3 pods, 50 %", quotas(150, 3, 1000, 4, exp), 0, Some(5.0)),
        of("the same, 75 %", quotas(225, 3, 1000, 4, exp), 0, Some(5.0)),
        of("the same, 95 %", quotas(285, 3, 1000, 4, exp), 0, Some(15.0)),
        of("quota of half a core, 20 threads, 40 %", quotas(80, 4, 500, 20, exp), 0, Some(5.0)),
        of("the same, 60 %", quotas(120, 4, 500, 20, exp), 0, Some(5.0)),
        of("the same, 80 %", quotas(160, 4, 500, 20, exp), 0, Some(5.0)),
        of("the same, 60 %, work of 2.0", quotas(120, 4, 500, 20, twice), 0, Some(5.0)),
        of("the same, constant work", quotas(120, 4, 500, 20, Work::Constant), 0, Some(5.0)),
        of("quota of 6 cores, 8 threads, 75 %", quotas(450, 1, 6000, 8, exp), 0, Some(5.0)),
        of("balancer with silent nodes, then away", balanced(patience(700, 0)), 1, None),
        of("the same, its gateway", balanced(patience(700, 0)), 0, None),
        of("the same, patient clients", balanced(patience(10_000, 0)), 1, Some(5.0)),
        of("a third silent, hasty clients who try again", third_silent(patience(400, 2)), 1, None),
        of("the same, its gateway", third_silent(patience(400, 2)), 0, None),
        of("the first balancer, no time-outs", balanced(plain), 1, Some(5.0)),
        of("balancer with 6 of 10 nodes silent", mostly_silent(patience(10_000, 0)), 1, Some(5.0)),
        of("the same, its gateway", mostly_silent(patience(10_000, 0)), 0, Some(5.0)),
        of("the same, hasty ones who try again", mostly_silent(patience(1_200, 2)), 1, None),
        of("gateway that tries other pods", chosen(500, 5, patience(10_000, 0)), 1, Some(5.0)),
        of("the same, its gateway", chosen(500, 5, patience(10_000, 0)), 0, None),
        of("the same, impatient clients", chosen(500, 5, patience(1_200, 0)), 1, None),
        of("gateway that waits long for pods", chosen(60_000, 5, patience(5_000, 0)), 1, None),
        of("gateway that tries one pod only", chosen(500, 0, patience(5_000, 1)), 1, None),
        of("balancer and gateway that try", balanced_and_chosen(patience(3_000, 0)), 1, None),
        of("the same, patient clients", balanced_and_chosen(plain), 1, Some(15.0)),
        of("a third less limit in each pod", limited_in_pods(&[(Period::Second, 100)]), 0, None),
        of("a limit that lets in rushes", limited_to_rushes(), 1, Some(15.0)),
        of("a limit for each minute", limited_in_pods(&[(Period::Minute, 4_000)]), 1, None),
        of(
            "in a store that is told from time to time",
            limited(
                &[(Period::Minute, 12_000)],
                in_store(Some(millis(200))),
                LimitBy::Service,
                calm,
            ),
            1,
            None,
        ),
        of(
            "seconds and minutes, where refused ones count",
            limited(
                &[(Period::Second, 300), (Period::Minute, 20_000)],
                in_store(None),
                LimitBy::Service,
                calm,
            ),
            0,
            None,
        ),
        of("a limit for each of 100 addresses", limited_addresses(), 1, None),
        of("a store that is away, all pass", without_store(true, patience(5_000, 0)), 1, Some(5.0)),
        of("the same, hasty clients who try again", without_store(true, patience(200, 1)), 1, None),
        of("a store that is away, none passes", without_store(false, patience(5_000, 1)), 1, None),
        of("the same without retries, its gateway", without_store(false, calm), 0, None),
        of("a part of a store is away, it passes", part_of_store(true, 5_000), 1, Some(5.0)),
        of("the same, hasty clients", part_of_store(true, 200), 1, None),
        of("a part of a store is away, none passes", part_of_store(false, 5_000), 1, None),
        Comparison {
            name: "two tenants with limits, the loud one",
            case: limited_tenants(),
            whose: Of::Load(1),
            percent: None,
        },
        Comparison {
            name: "the same, the other one",
            case: limited_tenants(),
            whose: Of::Load(0),
            percent: None,
        },
        of("a name that leads away from a lost gateway", named(patience(500, 0), false), 1, None),
        of("the same, its first gateway", named(patience(500, 0), false), 0, None),
        of("the same, clients who try again", named(patience(500, 1), false), 1, None),
        of("the shop does not find the stock", unresolved(false), 1, None),
        of("the same, and waits", unresolved(true), 1, None),
        of("names take 4 ms, then 200", slow_names(4, 200, 0, calm), 1, Some(5.0)),
        of("the same, answers are kept", slow_names(4, 200, 1, calm), 1, Some(5.0)),
        of("a tenth looks names up, and does not wait so long", seldom_asking, 1, None),
        of("a name that leads to nobody", named(patience(500, 1), true), 1, None),
    ]
    .into_iter()
    .chain(balanced::comparisons())
    .chain([
        of("work of 3.0, 90 % busy", heavy(270, Some(100)), 0, Some(15.0)),
        of("the same, 70 % busy", heavy(210, None), 0, Some(5.0)),
        of("work of 2.0, 8 workers 70 % busy", varied(560, 8, 2.0), 0, Some(5.0)),
        of("the same, 95 % busy", varied(760, 8, 2.0), 0, Some(15.0)),
        of("work of 1.5, 4 workers 75 % busy", varied(600, 4, 1.5), 0, Some(5.0)),
        // Behind long work on the only worker waits have the tail of that work, and neither law has both ends.
        of("work of 2.0, 1 worker 75 % busy", varied(600, 1, 2.0), 0, Some(10.0)),
        of("work of 3.0, 1 worker 60 % busy", varied(480, 1, 3.0), 0, Some(15.0)),
        of("the same, constant, 120 % busy", constant_overload(), 0, Some(15.0)),
        of("a queue without a limit, 120 % busy", default_queue(360), 0, Some(5.0)),
        of("the same, 100 % busy", default_queue_for_long(300), 0, None),
        of("the same, 98 % busy", default_queue_for_long(294), 0, None),
        of(
            "an hour's limit of pods, not reached yet",
            limited_for_long(66, 60_000, 3_600, 1_800_000),
            0,
            None,
        ),
        of("a minute's limit of pods", limited_for_long(200, 3_000, 60, 600_000), 0, None),
        of(
            "the same, ten minutes, and reached",
            limited_for_long(200, 30_000, 600, 1_500_000),
            0,
            None,
        ),
        of("rate limit", single(400, 8, 800, plain, limit(300)), 0, Some(5.0)),
        of(
            "spike, no retries",
            with_spike(single(600, 8, 800, patience(500, 0), queue_of(800)), 2500),
            0,
            None,
        ),
        of(
            "spike, retries: a storm that stays",
            with_spike(single(600, 8, 800, patience(500, 3), queue_of(800)), 2500),
            0,
            None,
        ),
        of(
            "spike, retries with a budget of 10 %",
            with_spike(single(600, 8, 800, budget, queue_of(800)), 2500),
            0,
            None,
        ),
    ])
    .collect()
}

fn availability(run: &Run, of: Of) -> f64 {
    let (offered, served) = run.totals(of);
    100.0 * served / offered
}

/// Of the requests that were asked, those that a rate limit refused.
fn refused(run: &Run, of: Of) -> f64 {
    100.0 * run.limited(of) / run.totals(of).0
}

/// Latency in milliseconds, of single requests.
fn counted(run: &Run, of: Of, quantile: f64) -> f64 {
    let answered = run.answered.iter().filter(|(id, _, _)| *id == of);
    let total: u64 = answered.clone().map(|(_, _, count)| count).sum();
    let mut left = quantile * total as f64;
    for (_, within_ns, count) in answered {
        left -= *count as f64;
        if left <= 0.0 {
            return *within_ns as f64 * 1e-6;
        }
    }
    f64::NAN
}

/// The same of flows.
fn computed(run: &Run, of: Of, quantile: f64) -> f64 {
    let segments = run.segments_of(of);
    let weight = |until: SimTime, segment: &FlowSegment| {
        let served = segment.served_from_millirps + segment.served_until_millirps;
        served as f64 * (until - segment.from).as_secs_f64()
    };
    let total: f64 = segments.iter().map(|(until, segment)| weight(*until, segment)).sum();
    let within = |limit_ns: f64| {
        let share = segments
            .iter()
            .map(|(until, segment)| weight(*until, segment) * share_within(segment, limit_ns));
        share.sum::<f64>() / total
    };
    let (mut low, mut high) = (0.0, 1e12);
    for _ in 0..80 {
        let middle = f64::midpoint(low, high);
        if within(middle) < quantile { low = middle } else { high = middle }
    }
    high * 1e-6
}

fn share_within(segment: &FlowSegment, limit_ns: f64) -> f64 {
    let late = f64::from(segment.late_ppm) / 1e6;
    let at_once = |limit_ns: f64| {
        let left = limit_ns - segment.base_latency_ns as f64;
        if left < 0.0 {
            return 0.0;
        }
        if segment.wait_mean_ns == 0 {
            return 1.0;
        }
        let waits = f64::from(segment.wait_probability_ppm) / 1e6;
        let shape = f64::from(segment.wait_shape_milli) / 1e3;
        let means = left / segment.wait_mean_ns as f64;
        let within = match segment.wait_law {
            WaitLaw::Gamma => gamma_share(shape, shape * means),
            WaitLaw::Lognormal => lognormal_share(shape, means),
            WaitLaw::Normal => normal_share((means - 1.0) * shape.sqrt()),
        };
        1.0 - waits + waits * within
    };
    let again = f64::from(segment.late_again_ppm) / 1e6;
    let (mut within, mut all, mut part) = (0.0, 0.0, 1.0);
    for times in 1..=segment.late_times {
        within += part * at_once(limit_ns - segment.late_by_ns as f64 * f64::from(times));
        (all, part) = (all + part, part * again);
    }
    (1.0 - late) * at_once(limit_ns) + late * within / all
}

fn lognormal_share(shape: f64, means: f64) -> f64 {
    let spread = (1.0 + 1.0 / shape).ln().sqrt();
    normal_share((means.ln() + spread * spread / 2.0) / spread)
}

fn normal_share(score: f64) -> f64 {
    libm::erfc(-score / std::f64::consts::SQRT_2) / 2.0
}

/// By its series, which needs no more than patience.
fn gamma_share(shape: f64, point: f64) -> f64 {
    if point <= 0.0 {
        return 0.0;
    }
    if point > shape + 40.0 * shape.sqrt() + 40.0 {
        return 1.0;
    }
    let (mut term, mut sum) = (1.0 / shape, 1.0 / shape);
    for step in 1..20_000 {
        term *= point / (shape + f64::from(step));
        sum += term;
        if term < sum * 1e-13 {
            break;
        }
    }
    (shape * point.ln() - point - libm::lgamma(shape)).exp() * sum
}

/// Mean and standard error.
fn mean_and_error(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
    (mean, (variance / count).sqrt())
}

/// The cases of one remainder: tests run side by side.
fn part(remainder: usize) -> impl Iterator<Item = Comparison> {
    let cases = comparisons().into_iter().enumerate();
    cases.filter(move |(idx, _)| idx % 2 == remainder).map(|(_, comparison)| comparison)
}

/// Compares the two engines.
#[expect(clippy::print_stdout, reason = "the table of docs/REQUESTS.md, with `-- --nocapture`")]
fn compare(all: impl Iterator<Item = Comparison>) {
    let (mut table, mut wrong) = (String::new(), String::new());
    for Comparison { name, case, whose, percent } in all {
        let flow = case.run();
        let runs: Vec<Run> = (0..RUN_COUNT).map(|seed| case.run_requests(seed)).collect();
        let of = |figure: &dyn Fn(&Run) -> f64| {
            mean_and_error(&runs.iter().map(figure).collect::<Vec<f64>>())
        };
        let of_flow = availability(&flow, whose);
        let (seen, error) = of(&|run| availability(run, whose));
        let _ = write!(table, "| {name} | {of_flow:.3} | {seen:.3} ± {error:.3} |");
        if (of_flow - seen).abs() > POINTS + CHANCE * error {
            let _ = writeln!(wrong, "{name}: {of_flow:.3} %, counted {seen:.3} ± {error:.3}");
        }
        let limited = refused(&flow, whose);
        let (seen, error) = of(&|run| refused(run, whose));
        if (limited - seen).abs() > POINTS + CHANCE * error {
            let _ =
                writeln!(wrong, "{name}: {limited:.3} % limited, counted {seen:.3} ± {error:.3}");
        }
        for quantile in QUANTILES {
            let Some(percent) = percent else {
                table.push_str(" |");
                continue;
            };
            let computed = computed(&flow, whose, quantile);
            let (seen, error) = of(&|run| counted(run, whose, quantile));
            let _ = write!(table, " {computed:.2} / {seen:.2} |");
            if (computed - seen).abs() > percent / 100.0 * seen + CHANCE * error {
                let _ = writeln!(wrong, "{name}: p{quantile} {computed:.2} ms, counted {seen:.2}");
            }
        }
        table.push('\n');
    }
    print!("{table}");
    assert!(wrong.is_empty(), "{wrong}\n{table}");
}

#[test]
fn flows_and_single_requests_say_the_same() {
    compare(part(0));
}

#[test]
fn flows_and_single_requests_say_the_same_of_others() {
    compare(part(1));
}

/// A storm whose requests nobody waits for any more ends when a limit lets in a little less than the pods can do,
/// though nothing is answered until the queue has become short enough.
#[test]
fn a_full_queue_drains_while_all_who_come_give_up() {
    for run in
        [paths::storm_that_a_limit_ends().run(), paths::storm_that_a_limit_ends().run_requests(1)]
    {
        let served_at = |secs: u64| {
            let at = SimTime::from_secs(secs);
            let segments = run.of(1);
            let found = segments.iter().find(|(until, it)| it.from <= at && at < *until);
            found.map(|(_, it)| it.served_from_millirps).expect("flows have no gaps")
        };
        assert!(served_at(290) < 1_000 && served_at(310) < 10_000, "{}", served_at(310));
        assert!(served_at(420) > 245_000, "{}", served_at(420));
    }
}
