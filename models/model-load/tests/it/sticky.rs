//! Clients that stay with a pod: what new pods get, what those meet whose pod is dead, what is lost.

use model_api::path::{CallPolicy, Serving};
use model_api::session::{HashInput, Sessions, Stickiness};
use sim_kernel::SimSpan;

use crate::world::{Act, Case, Node, Of, PLACE_COUNT, Run};

/// What a pod can do, per 1000 s.
const POD: u64 = 100_000;

type Pods = [(u64, bool, u64); PLACE_COUNT];

/// Pods in the first places, alive.
fn pods(numbers: &[u64]) -> Pods {
    let mut pods = [(0, false, 0); PLACE_COUNT];
    for (place, &number) in pods.iter_mut().zip(numbers) {
        *place = (number, number > 0, POD);
    }
    pods
}

fn by_address() -> Stickiness {
    Stickiness::Address { timeout: Stickiness::TIMEOUT }
}

/// A shop that so many per 1000 s ask for themselves.
fn shop(rate: u64, stickiness: Stickiness, sessions: Sessions, client: CallPolicy) -> Case {
    let node = Node {
        base_millis: 20,
        loads: vec![(None, vec![(0, rate)])],
        client,
        serving: Serving { workers: 2, queue_limit: Some(20), ..Serving::default() },
        sticky: Some(stickiness),
        sessions,
        ..Node::default()
    };
    Case {
        nodes: vec![node],
        start: vec![Act::Outside([1, 1, 1]), Act::Pods(0, pods(&[1, 2, 3, 4]))],
        millis: 400_000,
        ..Case::default()
    }
}

fn many(count: u32) -> Sessions {
    Sessions { count: Some(count), ..Sessions::default() }
}

/// Four pods, and clients enough that each gets its share.
pub(crate) fn even(client: CallPolicy) -> Case {
    shop(240_000, by_address(), Sessions::default(), client)
}

/// A gateway that hashes cookies of unequal clients.
pub(crate) fn hashed(client: CallPolicy) -> Case {
    let hashed = Stickiness::Hashed { by: Some(HashInput::Cookie), fallback: None, slots: 10_000 };
    let sessions = Sessions { count: Some(2_000), lasts: None, skew_milli: 500 };
    let mut case = shop(220_000, hashed, sessions, client);
    case.nodes[0].loads[0].0 = Some(1);
    case.nodes.push(Node { base_millis: 2, ..Node::default() });
    case.start.push(Act::Endpoints(1, 4, 4, 4_000_000));
    case.start.push(Act::Places(1, [(2, 2), (1, 1), (1, 1)]));
    case
}

/// One of four pods is dead for a while before proxies know it, and another comes in its place.
pub(crate) fn dead(client: CallPolicy) -> Case {
    let mut case = shop(160_000, by_address(), many(3_000), client);
    let mut dead = pods(&[1, 2, 3, 4]);
    dead[1].1 = false;
    case.script = vec![
        (100_000, Act::Pods(0, dead)),
        (140_000, Act::Pods(0, pods(&[1, 0, 3, 4]))),
        (200_000, Act::Pods(0, pods(&[1, 0, 3, 4, 5]))),
    ];
    case
}

/// Two pods that are too few, and then four: sessions that last two minutes bring them clients.
pub(crate) fn scaled(client: CallPolicy) -> Case {
    let sessions = Sessions { lasts: Some(SimSpan::from_secs(120)), ..Sessions::default() };
    let mut case = shop(250_000, by_address(), sessions, client);
    case.start[1] = Act::Pods(0, pods(&[1, 2]));
    case.script = vec![(100_000, Act::Pods(0, pods(&[1, 2, 3, 4])))];
    case
}

/// One of four pods goes, which kept the sessions of a quarter of all.
pub(crate) fn lost(client: CallPolicy) -> Case {
    let mut case = shop(160_000, by_address(), many(2_000), client);
    case.nodes[0].serving.loses_sessions = true;
    case.script = vec![(100_000, Act::Pods(0, pods(&[1, 2, 3])))];
    case
}

fn lost_share(run: &Run) -> f64 {
    let (offered, served) = run.totals(Of::Service(0));
    1.0 - served / offered
}

/// Of both engines.
fn runs(case: &Case) -> [Run; 2] {
    [case.run(), case.run_requests(1)]
}

const IMPATIENT: CallPolicy = CallPolicy {
    timeout: Some(SimSpan::from_millis(500)),
    retries: 0,
    backoff: SimSpan::from_millis(100),
    retry_budget_ppm: None,
    breaker: None,
    is_parallel: false,
    cache: None,
};

#[test]
fn more_pods_do_not_help_clients_that_stay() {
    let stays = |lasts| {
        let mut case = scaled(IMPATIENT);
        case.nodes[0].sessions.lasts = lasts;
        case
    };
    for run in runs(&stays(None)) {
        // Two pods do 200 of 250 a second, to the end.
        assert!((lost_share(&run) - 0.2).abs() < 0.03, "{}", lost_share(&run));
    }
    let [flow, single] = runs(&stays(Some(SimSpan::from_secs(30))));
    for run in [&flow, &single] {
        // They are too few for the first quarter, and for some time after it.
        assert!((0.05..0.08).contains(&lost_share(run)), "{}", lost_share(run));
    }
    // It costs steps while sessions end, and nothing afterwards.
    assert!(flow.event_count < 6_000, "{} events", flow.event_count);
}

#[test]
fn who_tries_again_meets_the_same_dead_pod() {
    let hasty = CallPolicy { retries: 3, ..IMPATIENT };
    let mut case = dead(hasty);
    case.script.truncate(1);
    for run in runs(&case) {
        // A quarter is lost for three quarters of the time, whatever they do.
        assert!((lost_share(&run) - 0.75 / 4.0).abs() < 0.015, "{}", lost_share(&run));
    }
    case.nodes[0].sticky = None;
    case.start[1] = Act::Endpoints(0, 4, 4, 4 * POD);
    case.script[0].1 = Act::Endpoints(0, 4, 3, 3 * POD);
    for run in runs(&case) {
        assert!(lost_share(&run) < 0.005, "any pod will do: {}", lost_share(&run));
    }
}

#[test]
fn one_address_makes_one_pod_hot() {
    for count in [1, 2] {
        let case = shop(160_000, by_address(), many(count), IMPATIENT);
        for run in runs(&case) {
            let [(0, seen)] = run.sessions[..] else { panic!("{:?}", run.sessions) };
            assert!(seen.hottest_milli >= 2_000, "{seen:?}");
            assert!(count > 1 || (seen.hottest_milli == 4_000 && lost_share(&run) > 0.3));
        }
    }
}

#[test]
fn callers_stay_with_as_many_pods_as_they_have() {
    let mut case = shop(80_000, by_address(), Sessions::default(), IMPATIENT);
    // A Service of one pod calls the shop.
    let load = case.nodes[0].loads.remove(0);
    case.nodes.push(Node {
        base_millis: 1,
        calls: vec![0],
        loads: vec![load],
        policy: IMPATIENT,
        ..Node::default()
    });
    case.start.push(Act::Endpoints(1, 1, 1, 4_000_000));
    case.start.push(Act::Places(1, [(1, 1), (0, 0), (0, 0)]));
    for run in runs(&case) {
        let [(0, seen)] = run.sessions[..] else { panic!("{:?}", run.sessions) };
        assert_eq!(seen.hottest_milli, 4_000);
    }
}

#[test]
fn sessions_in_the_memory_of_a_pod_cost_a_request_each() {
    for run in runs(&lost(IMPATIENT)) {
        let [(0, seen)] = run.sessions[..] else { panic!("{:?}", run.sessions) };
        assert!((440..560).contains(&seen.moved) && seen.lost == seen.moved, "{seen:?}");
        let (offered, served) = run.totals(Of::Service(0));
        let lost = offered - served;
        assert!((lost / seen.lost as f64 - 1.0).abs() < 0.1, "{lost} of {seen:?}");
    }
}
