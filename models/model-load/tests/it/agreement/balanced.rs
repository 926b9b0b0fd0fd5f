//! Cases of Services whose pods each have a queue of their own.

use model_api::path::{Balancing, CallPolicy, Discipline, Serving, Work};

use super::{Comparison, chain, millis, patience, single, thinking, with_spike};
use crate::world::{Act, Case, Of};

/// Four pods of two workers each, of whom each does a hundred requests a second.
fn pods(rps: u64, balancing: Balancing, client: CallPolicy, serving: Serving) -> Case {
    let mut case = single(rps, 2, 0, client, Serving { balancing, ..serving });
    case.nodes[0].base_millis = 10;
    case.start = vec![Act::Endpoints(0, 4, 4, 800_000)];
    if rps > 700 {
        case.millis = 1_000_000;
    }
    case
}

/// The chain whose Services are balanced like that.
fn balanced_chain(balancing: Balancing, policy: CallPolicy, client: CallPolicy) -> Case {
    let mut case = chain(policy, client);
    case.nodes.iter_mut().for_each(|node| node.serving.balancing = balancing);
    case
}

/// Of which the stock loses an endpoint that is known for a while.
fn dead(balancing: Balancing) -> Case {
    let mut case = balanced_chain(balancing, patience(200, 2), patience(2_000, 1));
    case.script = vec![
        (60_000, Act::Endpoints(2, 3, 2, 550_000)),
        (100_000, Act::Endpoints(2, 2, 2, 550_000)),
    ];
    case
}

/// A pod of four dies with what is in it, proxies know it for ten seconds, and another comes.
fn dying(client: CallPolicy) -> Case {
    let mut case = pods(480, Balancing::Random, client, Serving::default());
    case.script = vec![
        (100_000, Act::Deaths(0, 1, 4)),
        (100_000, Act::Endpoints(0, 4, 3, 600_000)),
        (110_000, Act::Endpoints(0, 3, 3, 600_000)),
        (200_000, Act::Endpoints(0, 4, 4, 800_000)),
    ];
    case
}

fn users(count: u64) -> Case {
    let mut case = pods(count, Balancing::Random, CallPolicy::default(), Serving::default());
    case.nodes[0].users = Some(thinking(millis(1_000)));
    case
}

pub(super) fn comparisons() -> Vec<Comparison> {
    let plain = CallPolicy::default();
    let some = Serving::default();
    let room = |limit| Serving { queue_limit: Some(limit), ..some };
    let shared = Serving { discipline: Discipline::Sharing, ..some };
    let mut constant =
        pods(600, Balancing::Random, plain, Serving { work: Work::Constant, ..some });
    constant.nodes[0].serving.workers = 1;
    let mut sharing = pods(480, Balancing::Random, plain, shared);
    sharing.nodes[0].base_millis = 30;
    let of =
        |name, case, whose, percent| Comparison { name, case, whose: Of::Service(whose), percent };
    let own = |rps, serving| pods(rps, Balancing::Random, plain, serving);
    let in_turn = |rps, serving| pods(rps, Balancing::RoundRobin, plain, serving);
    let fewest = |rps, serving| pods(rps, Balancing::LeastRequests, plain, serving);
    let budget = CallPolicy { retry_budget_ppm: Some(100_000), ..patience(500, 3) };
    let storm = |client| with_spike(pods(600, Balancing::Random, client, room(200)), 2500);
    vec![
        of("4 pods as one, 80 % busy", pods(640, Balancing::Shared, plain, some), 0, Some(5.0)),
        of("4 pods by chance, 60 % busy", own(480, some), 0, Some(5.0)),
        of("the same, 80 %", own(640, some), 0, Some(5.0)),
        of("the same, 95 %", own(760, some), 0, Some(15.0)),
        of("the same, 75 %, queue of 4 each", own(600, room(4)), 0, Some(5.0)),
        of("the same, 120 %, queue of 25 each", own(960, room(25)), 0, Some(5.0)),
        of("the same of one worker, 75 %, constant work", constant, 0, Some(5.0)),
        of("the same, 60 %, shared workers", sharing, 0, Some(5.0)),
        of("4 pods by chance, 600 users", users(600), 0, Some(5.0)),
        of("4 pods in turn, 60 % busy", in_turn(480, some), 0, Some(5.0)),
        of("the same, 80 %", in_turn(640, some), 0, Some(5.0)),
        of("the same, 95 %", in_turn(760, some), 0, Some(15.0)),
        of("the same, 120 %, queue of 25 each", in_turn(960, room(25)), 0, Some(5.0)),
        of("4 pods, the one with fewest, 60 % busy", fewest(480, some), 0, Some(5.0)),
        of("the same, 80 %", fewest(640, some), 0, Some(5.0)),
        of("the same, 95 %", fewest(760, some), 0, Some(15.0)),
        of("the same, 120 %, queue of 25 each", fewest(960, room(25)), 0, Some(5.0)),
        of(
            "gateway, shop, stock, each by chance",
            balanced_chain(Balancing::Random, plain, plain),
            1,
            Some(5.0),
        ),
        of("the same, stock loses an endpoint", dead(Balancing::Random), 1, None),
        of("the same in turn", dead(Balancing::RoundRobin), 1, None),
        of("a pod of four by chance dies", dying(plain), 0, None),
        of("the same, clients try again", dying(patience(500, 2)), 0, None),
        of("spike on pods by chance, no retries", storm(patience(500, 0)), 0, None),
        of("the same, retries with a budget of 10 %", storm(budget), 0, None),
        of("the same, retries: a storm that stays", storm(patience(500, 3)), 0, None),
    ]
}
