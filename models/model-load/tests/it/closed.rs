//! Users who wait for answers, against exact results: the machine repairman, which no law of thinking
//! and, where workers are shared, no law of the work changes (Baskett, Chandy, Muntz, Palacios 1975).

use model_api::load::{ThinkLaw, Thinking};
use model_api::path::{Balancing, CallPolicy, Discipline, Serving, Work};
use sim_kernel::SimSpan;

use crate::world::{Act, Case, Node, Of};

const RUN_COUNT: u64 = 20;
/// Student's quantile for 19 degrees of freedom, two-sided 99.9 %.
const STUDENT: f64 = 3.883;
const SECS: u64 = 1_000;
/// Forgotten, because all users begin by thinking.
const WARM_UP_SECS: u64 = 100;

/// Users, how long they think, workers, how long a request takes one of them, in milliseconds.
#[derive(Clone, Copy, Debug)]
struct Closed {
    users: u64,
    think: u64,
    workers: u32,
    work: u64,
    law: ThinkLaw,
    variation: Work,
    discipline: Discipline,
    /// Requests that may wait; whoever finds no room thinks again.
    room: u32,
}

impl Closed {
    fn case(self) -> Case {
        let node = Node {
            base_millis: self.work,
            loads: vec![(None, vec![(0, self.users * 1000)])],
            users: Some(Thinking { mean: SimSpan::from_millis(self.think), law: self.law }),
            serving: Serving {
                workers: self.workers,
                discipline: self.discipline,
                balancing: Balancing::Shared,
                work: self.variation,
                queue_limit: Some(self.room),
                rate_limit: None,
                cores_max: None,
                warm_up: None,
                quota_period: None,
                loses_requests: false,
                reconnect: None,
                loses_sessions: false,
            },
            client: CallPolicy::default(),
            ..Node::default()
        };
        let capacity = u64::from(self.workers) * 1_000_000 / self.work;
        Case {
            nodes: vec![node],
            start: vec![Act::Endpoints(0, 1, 1, capacity)],
            millis: SECS * 1000,
            ..Case::default()
        }
    }

    /// Requests per second, from the states one by one.
    fn exact(self) -> f64 {
        let (think, work) = (self.think as f64, self.work as f64);
        let mut weights = vec![1.0_f64];
        for inside in 1..=self.users {
            let busy = inside.min(self.workers.into()) as f64;
            let before = weights[weights.len() - 1];
            weights.push(before * (self.users - inside + 1) as f64 / think * work / busy);
        }
        let total: f64 = weights.iter().sum();
        let busy = |inside: u64| inside.min(self.workers.into()) as f64;
        let mean: f64 =
            (0..=self.users).zip(&weights).map(|(inside, weight)| busy(inside) * weight).sum();
        mean / total / work * 1000.0
    }

    /// The share of requests that find room, likewise.
    fn exact_share(self) -> f64 {
        let (think, work) = (self.think as f64, self.work as f64);
        let inside_max = u64::from(self.workers + self.room).min(self.users);
        let (mut weight, mut come, mut taken) = (1.0_f64, 0.0, 0.0);
        for inside in 0..=inside_max {
            let ask = (self.users - inside) as f64 / think;
            come += weight * ask;
            taken += if inside < inside_max { weight * ask } else { 0.0 };
            weight *= ask * work / (inside + 1).min(self.workers.into()) as f64;
            // Only quotients of the sums count.
            if weight > 1e200 {
                (weight, come, taken) = (weight * 1e-200, come * 1e-200, taken * 1e-200);
            }
        }
        taken / come
    }

    /// Requests per second after the warm-up.
    fn seen(self, of_requests: Option<u64>) -> f64 {
        let case = self.case();
        let run = match of_requests {
            Some(seed) => case.run_requests(seed),
            None => case.run(),
        };
        let from = sim_kernel::SimTime::from_secs(WARM_UP_SECS);
        let sum: f64 = run
            .segments_of(Of::Service(0))
            .iter()
            .map(|(until, segment)| {
                let secs = until.saturating_since(from.max(segment.from)).as_secs_f64();
                let ends = segment.served_from_millirps + segment.served_until_millirps;
                secs * ends as f64 / 2e3
            })
            .sum();
        sum / (SECS - WARM_UP_SECS) as f64
    }
}

fn cases() -> Vec<Closed> {
    let base = Closed {
        users: 20,
        think: 1_000,
        workers: 1,
        work: 50,
        law: ThinkLaw::Exponential,
        variation: Work::Exponential,
        discipline: Discipline::Sharing,
        room: 100_000,
    };
    let eight = Closed { users: 100, workers: 8, work: 80, ..base };
    let constant = ThinkLaw::Constant;
    let heavy = Work::Lognormal { variation: 2.0 };
    vec![
        Closed { users: 10, ..base },
        base,
        Closed { users: 40, ..base },
        Closed { law: constant, ..base },
        Closed { law: constant, variation: heavy, ..base },
        Closed { users: 50, ..eight },
        eight,
        Closed { users: 120, law: constant, variation: heavy, ..eight },
    ]
}

#[test]
fn single_users_are_the_machine_repairman() {
    for case in cases() {
        let seen: Vec<f64> = (0..RUN_COUNT).map(|seed| case.seen(Some(seed))).collect();
        let mean = seen.iter().sum::<f64>() / seen.len() as f64;
        let count = RUN_COUNT as f64;
        let variance = seen.iter().map(|it| (it - mean).powi(2)).sum::<f64>() / (count - 1.0);
        let half = STUDENT * (variance / count).sqrt();
        let exact = case.exact();
        assert!(half < 0.02 * exact, "{case:?}: {half} is too wide");
        assert!((mean - exact).abs() <= half, "{case:?}: {mean} ± {half}, exactly {exact}");
    }
}

#[test]
fn flows_of_users_are_the_machine_repairman_too() {
    for case in cases() {
        for discipline in [Discipline::Sharing, Discipline::FirstCome] {
            let case = Closed { discipline, variation: Work::Exponential, ..case };
            let (seen, exact) = (case.seen(None), case.exact());
            assert!((seen - exact).abs() < 0.005 * exact, "{case:?}: {seen}, exactly {exact}");
        }
    }
}

#[test]
fn users_who_find_no_room_come_back_after_thinking() {
    let base = Closed {
        think: 2_000,
        workers: 3,
        work: 10,
        room: 300,
        discipline: Discipline::FirstCome,
        ..cases()[0]
    };
    for (users, room, wanted) in
        [(1_000, 300, 0.8541), (2_000, 300, 0.3535), (2_000, 600, 0.4293), (700, 30, 0.8886)]
    {
        let case = Closed { users, room, ..base };
        let exact = case.exact_share();
        assert!((exact - wanted).abs() < 1e-4, "{case:?}: {exact}");
        let (offered, served) = case.case().run().totals(Of::Service(0));
        assert!(
            (served / offered - exact).abs() < 2e-3,
            "{case:?}: {} of {exact}",
            served / offered
        );
        let (offered, served) = case.case().run_requests(1).totals(Of::Service(0));
        assert!(
            (served / offered - exact).abs() < 5e-3,
            "{case:?}: {} of {exact}",
            served / offered
        );
    }
}

#[test]
fn a_healthy_month_of_users_costs_next_to_nothing() {
    for case in cases() {
        let run = Case { millis: 30 * 86_400_000, ..case.case() }.run();
        assert!(run.event_count < 60, "{case:?}: {}", run.event_count);
    }
}

#[test]
fn users_who_get_no_answers_ask_less_and_are_there_when_it_is_over() {
    let closed = cases()[1];
    let mut case = closed.case();
    case.nodes[0].client.timeout = Some(SimSpan::from_secs(9));
    // The only endpoint is dead for a while: each waits nine seconds, and thinks one.
    case.millis = 2_000_000;
    case.script =
        vec![(500_000, Act::Endpoints(0, 1, 0, 0)), (1_000_000, Act::Endpoints(0, 1, 1, 20_000))];
    for run in [case.run(), case.run_requests(3)] {
        let asked = |from: u64, until: u64| -> f64 {
            let segments = run.segments_of(Of::Service(0));
            let (from, until) =
                (sim_kernel::SimTime::from_secs(from), sim_kernel::SimTime::from_secs(until));
            let part = segments.iter().map(|(end, segment)| {
                let secs = (*end).min(until).saturating_since(segment.from.max(from)).as_secs_f64();
                secs * (segment.offered_from_millirps + segment.offered_until_millirps) as f64 / 2e3
            });
            part.sum::<f64>() / (until - from).as_secs_f64()
        };
        let (before, during, after) = (asked(100, 500), asked(550, 950), asked(1_100, 2_000));
        assert!((during - 2.0).abs() < 0.1, "{during}");
        for well in [before, after] {
            assert!((well - closed.exact()).abs() < 0.5, "{well}, exactly {}", closed.exact());
        }
    }
}

#[test]
fn more_users_ask_more() {
    let mut case = cases()[5].case();
    case.millis = 2_000_000;
    case.nodes[0].loads[0].1 = vec![(0, 50_000), (1_000, 50_000), (1_400, 80_000)];
    case.script = vec![(1_700_000, Act::Factor(0, 500, 60))];
    let flow = case.run();
    let requests = case.run_requests(5);
    let (of_flow, seen) = (flow.totals(Of::Service(0)), requests.totals(Of::Service(0)));
    assert!((of_flow.0 - seen.0).abs() < 0.01 * seen.0, "{of_flow:?} {seen:?}");
}
