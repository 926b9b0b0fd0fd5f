//! Single requests against exact results of queueing theory.
//!
//! Each case is played once, from a fixed seed, in 40 batches after a warm-up; the exact value must
//! lie within the 99.9 % interval of the batch means, and that interval must be narrow, so that a
//! wide one hides no error.

use model_api::kube::Service;
use model_api::load::{Clients, Load, LoadPoint, ServiceProfile};
use model_api::path::{Balancing, CallPolicy, Discipline, Serving, Work};
use model_api::{Blueprint, Origin, ServiceId, SimSpan, SimTime};
use model_load::Requests;
use sim_kernel::Streams;

const BATCH_COUNT: u32 = 40;
/// Student's quantile for 39 degrees of freedom, two-sided 99.9 %.
const STUDENT: f64 = 3.558;
/// Requests of a case, after the warm-up.
const REQUEST_COUNT: f64 = 400_000.0;

/// One Service: requests per second that come, its pods, workers of each, requests per second that a worker
/// can do.
#[derive(Clone, Copy, Debug)]
struct Queue {
    arrivals: f64,
    pods: u32,
    balancing: Balancing,
    workers: u32,
    speed: f64,
    work: Work,
    discipline: Discipline,
    /// Requests that may wait in each pod.
    waiting: Option<u32>,
}

/// What was seen: batch means.
#[derive(Debug)]
struct Seen {
    waits: Vec<f64>,
    losses: Vec<f64>,
    is_waiting: Vec<f64>,
}

impl Queue {
    /// One worker, first come, first served, with room for all.
    fn of(arrivals: f64, speed: f64, work: Work) -> Self {
        let discipline = Discipline::FirstCome;
        let balancing = Balancing::Shared;
        Self { arrivals, pods: 1, balancing, workers: 1, speed, work, discipline, waiting: None }
    }

    fn blueprint(self) -> Blueprint {
        let rate_millirps = (self.arrivals * 1000.0).round() as u64;
        Blueprint {
            services: vec![Service::default()],
            profiles: vec![ServiceProfile {
                service: ServiceId(0),
                cpu_per_request: SimSpan::from_millis(1),
                base_latency: SimSpan::ZERO,
                depends_on: Vec::new(),
                policies: Vec::new(),
                upstream: CallPolicy::default(),
                writes_to: Vec::new(),
                serving: Serving {
                    workers: self.workers,
                    discipline: self.discipline,
                    balancing: self.balancing,
                    // Nobody is turned away from a queue this long.
                    queue_limit: Some(self.waiting.unwrap_or(1_000_000)),
                    work: self.work,
                    rate_limit: None,
                    cores_max: None,
                    warm_up: None,
                    quota_period: None,
                    loses_requests: false,
                    reconnect: None,
                    loses_sessions: false,
                },
                readiness: model_api::path::Readiness::default(),
                origin: Origin::default(),
            }],
            loads: vec![Load {
                service: ServiceId(0),
                via: None,
                clients: Clients::default(),
                client: CallPolicy::default(),
                users: None,
                points: vec![LoadPoint { at: SimTime::ZERO, rate_millirps }],
                origin: Origin::default(),
            }],
            ..Blueprint::default()
        }
    }

    fn play(self, seed: u64) -> Seen {
        let service = ServiceId(0);
        let mut requests =
            Requests::new(&self.blueprint(), Streams::new(seed, 0)).expect("no circle");
        let capacity = (f64::from(self.pods * self.workers) * self.speed * 1000.0).round() as u64;
        requests.set_endpoints(service, self.pods, self.pods, capacity);
        let batch_secs = REQUEST_COUNT / f64::from(BATCH_COUNT) / self.arrivals;
        let at =
            |batches: f64| SimTime::ZERO + SimSpan::from_secs_f64_rounded(batches * batch_secs);
        // A tenth of the run to forget that it began empty.
        const WARM_UP: f64 = 4.0;
        requests.advance(at(WARM_UP));
        let mut before = (requests.latencies(service), requests.ended_and_served(service));
        let mut waiting_before = below(&requests);
        let mut seen = Seen { waits: Vec::new(), losses: Vec::new(), is_waiting: Vec::new() };
        for batch in 1..=BATCH_COUNT {
            requests.advance(at(WARM_UP + f64::from(batch)));
            let now = (requests.latencies(service), requests.ended_and_served(service));
            let (then_latencies, now_latencies) =
                (before.0.expect("it is asked"), now.0.expect("too"));
            let count = (now_latencies.count - then_latencies.count) as f64;
            let sum = (now_latencies.sum_ns - then_latencies.sum_ns) as f64;
            seen.waits.push(sum / count * 1e-9);
            let ended = (now.1.0 - before.1.0) as f64;
            seen.losses.push(1.0 - (now.1.1 - before.1.1) as f64 / ended);
            let waiting = below(&requests);
            seen.is_waiting.push(1.0 - (waiting - waiting_before) / count);
            (before, waiting_before) = (now, waiting);
        }
        seen
    }
}

/// Requests that were answered without waiting.
fn below(requests: &Requests) -> f64 {
    requests.answered_within(ServiceId(0), SimSpan::from_nanos(1)) as f64
}

#[track_caller]
fn check(what: &str, batches: &[f64], expected: f64) {
    let count = batches.len() as f64;
    let mean = batches.iter().sum::<f64>() / count;
    let variance = batches.iter().map(|batch| (batch - mean).powi(2)).sum::<f64>() / (count - 1.0);
    let half_width = STUDENT * (variance / count).sqrt();
    assert!(
        (mean - expected).abs() <= half_width,
        "{what}: {mean} ± {half_width}, exactly {expected}"
    );
    assert!(half_width <= 0.25 * expected, "{what}: ± {half_width} says little");
}

/// Erlang's C, by his recursion for B.
fn erlang_c(workers: u32, erlangs: f64) -> f64 {
    let blocking = (1..=workers)
        .fold(1.0, |blocking, busy| erlangs * blocking / (f64::from(busy) + erlangs * blocking));
    let servers = f64::from(workers);
    servers * blocking / (servers - erlangs * (1.0 - blocking))
}

#[test]
fn m_m_c_waits_as_erlang_says() {
    for (case, (workers, utilization)) in
        [(1, 0.5), (1, 0.8), (1, 0.9), (2, 0.7), (5, 0.8), (16, 0.9), (50, 0.9)]
            .into_iter()
            .enumerate()
    {
        let speed = 100.0;
        let arrivals = f64::from(workers) * speed * utilization;
        let work = Work::Exponential;
        let queue = Queue { workers, ..Queue::of(arrivals, speed, work) };
        let seen = queue.play(case as u64);
        let waits = erlang_c(workers, f64::from(workers) * utilization);
        let what = format!("M/M/{workers} at {utilization}");
        check(
            &format!("{what}, mean wait"),
            &seen.waits,
            waits / (f64::from(workers) * speed - arrivals),
        );
        check(&format!("{what}, share that waits"), &seen.is_waiting, waits);
    }
}

/// What is divided by chance is several Poisson flows, each with a queue of its own.
#[test]
fn pods_that_requests_are_sent_to_by_chance_are_queues_of_their_own() {
    for (case, (pods, workers, utilization)) in
        [(3, 1, 0.6), (3, 1, 0.8), (10, 2, 0.8), (4, 8, 0.9)].into_iter().enumerate()
    {
        let speed = 100.0;
        let of_pod = f64::from(workers) * speed;
        let arrivals = f64::from(pods) * of_pod * utilization;
        let queue = Queue {
            pods,
            workers,
            balancing: Balancing::Random,
            ..Queue::of(arrivals, speed, Work::Exponential)
        };
        let seen = queue.play(400 + case as u64);
        let waits = erlang_c(workers, f64::from(workers) * utilization);
        let what = format!("{pods} times M/M/{workers} at {utilization}");
        let wait = waits / (of_pod * (1.0 - utilization));
        check(&format!("{what}, mean wait"), &seen.waits, wait);
        check(&format!("{what}, share that waits"), &seen.is_waiting, waits);
    }
}

/// Of work that is shared likewise.
#[test]
fn workers_of_each_pod_are_shared_by_those_who_came_there_by_chance() {
    let queue = Queue {
        pods: 4,
        balancing: Balancing::Random,
        discipline: Discipline::Sharing,
        ..Queue::of(4.0 * 75.0, 100.0, Work::Exponential)
    };
    let seen = queue.play(500);
    // M/M/1: the time that a request takes, of which its own work takes 10 ms without sharing.
    check("4 times M/M/1, shared", &seen.waits, 1.0 / (100.0 - 75.0));
}

/// Two pods in turn get their requests at times that are the sum of two exponential ones each: E2/M/1, of which
/// as many wait as the root of a quadratic equation says.
#[test]
fn pods_in_turn_wait_as_the_root_says() {
    for (case, utilization) in [0.6_f64, 0.8, 0.9].into_iter().enumerate() {
        let speed = 100.0;
        let queue = Queue {
            pods: 2,
            balancing: Balancing::RoundRobin,
            ..Queue::of(2.0 * speed * utilization, speed, Work::Exponential)
        };
        let seen = queue.play(600 + case as u64);
        // r (2 u + 1 - r)² = (2 u)², less its root at 1: r² - (4 u + 1) r + 4 u² = 0.
        let twice = 2.0 * utilization;
        let sum = 2.0 * twice + 1.0;
        let root = (sum - (sum * sum - 4.0 * twice * twice).sqrt()) / 2.0;
        let what = format!("E2/M/1 at {utilization}");
        check(&format!("{what}, mean wait"), &seen.waits, root / (speed * (1.0 - root)));
        check(&format!("{what}, share that waits"), &seen.is_waiting, root);
    }
}

/// Each pod is full for itself.
#[test]
fn full_pods_lose_as_each_by_itself_does() {
    for (case, (pods, workers, waiting, utilization)) in
        [(3, 1, 4, 0.8), (4, 2, 5, 1.2)].into_iter().enumerate()
    {
        let speed = 100.0;
        let arrivals = f64::from(pods * workers) * speed * utilization;
        let queue = Queue {
            pods,
            workers,
            balancing: Balancing::Random,
            waiting: Some(waiting),
            ..Queue::of(arrivals, speed, Work::Exponential)
        };
        let seen = queue.play(700 + case as u64);
        let mut weights = vec![1.0_f64];
        for inside in 1..=workers + waiting {
            let leaves = f64::from(inside.min(workers)) / f64::from(workers);
            weights.push(weights[weights.len() - 1] * utilization / leaves);
        }
        let lost = weights[weights.len() - 1] / weights.iter().sum::<f64>();
        let what = format!("{pods} times M/M/{workers} with {waiting} places at {utilization}");
        check(&format!("{what}, losses"), &seen.losses, lost);
    }
}

#[test]
fn m_g_1_waits_as_pollaczek_and_khinchine_say() {
    for (case, (work, utilization)) in [
        (Work::Constant, 0.5),
        (Work::Constant, 0.8),
        (Work::Constant, 0.9),
        (Work::Lognormal { variation: 0.5 }, 0.8),
        (Work::Lognormal { variation: 1.5 }, 0.7),
    ]
    .into_iter()
    .enumerate()
    {
        let speed = 100.0;
        let arrivals = speed * utilization;
        let queue = Queue::of(arrivals, speed, work);
        let seen = queue.play(100 + case as u64);
        let second_moment = (1.0 + work.variation_squared()) / (speed * speed);
        let wait = arrivals * second_moment / (2.0 * (1.0 - utilization));
        let what = format!("M/G/1, {work:?} at {utilization}");
        check(&format!("{what}, mean wait"), &seen.waits, wait);
        check(&format!("{what}, share that waits"), &seen.is_waiting, utilization);
    }
}

#[test]
fn full_queues_lose_as_the_birth_and_death_process_says() {
    for (case, (workers, waiting, utilization)) in
        [(1, 4, 0.8), (1, 10, 1.0), (2, 5, 1.5), (8, 20, 0.95), (8, 0, 0.9)].into_iter().enumerate()
    {
        let speed = 100.0;
        let arrivals = f64::from(workers) * speed * utilization;
        let work = Work::Exponential;
        let queue = Queue { workers, waiting: Some(waiting), ..Queue::of(arrivals, speed, work) };
        let seen = queue.play(200 + case as u64);
        // The share of time with so many inside, and the wait of who comes then.
        let mut weights = vec![1.0];
        for inside in 1..=workers + waiting {
            let rate = f64::from(inside.min(workers)) * speed;
            weights.push(weights[weights.len() - 1] * arrivals / rate);
        }
        let total: f64 = weights.iter().sum();
        let lost = weights[weights.len() - 1] / total;
        let ahead = (workers..workers + waiting).map(|inside| {
            let waits_for = f64::from(inside - workers + 1) / (f64::from(workers) * speed);
            weights[inside as usize] / total * waits_for
        });
        let wait = ahead.sum::<f64>() / (1.0 - lost);
        let what = format!("M/M/{workers}/{} at {utilization}", workers + waiting);
        check(&format!("{what}, share lost"), &seen.losses, lost);
        if waiting > 0 {
            check(&format!("{what}, mean wait"), &seen.waits, wait);
        }
    }
}

/// Where workers are shared the mean time is that of M/M/c, whatever the law of the work (Kelly 1979).
#[test]
fn sharing_takes_as_long_whatever_the_work() {
    let lognormal = |variation| Work::Lognormal { variation };
    for (case, (workers, work, utilization)) in [
        (1, Work::Exponential, 0.5),
        (1, Work::Exponential, 0.8),
        (1, Work::Constant, 0.8),
        (1, lognormal(0.5), 0.7),
        (1, lognormal(2.0), 0.7),
        (4, Work::Exponential, 0.8),
        (4, lognormal(1.5), 0.8),
        (16, Work::Constant, 0.9),
    ]
    .into_iter()
    .enumerate()
    {
        let speed = 100.0;
        let arrivals = f64::from(workers) * speed * utilization;
        let discipline = Discipline::Sharing;
        let queue = Queue { workers, discipline, ..Queue::of(arrivals, speed, work) };
        let seen = queue.play(300 + case as u64);
        let waits = erlang_c(workers, f64::from(workers) * utilization);
        let exact = 1.0 / speed + waits / (f64::from(workers) * speed - arrivals);
        check(&format!("{workers} shared, {work:?} at {utilization}, mean"), &seen.waits, exact);
    }
}

/// The same for what a limit on the number inside turns away.
#[test]
fn sharing_loses_as_erlang_says_whatever_the_work() {
    for (case, (workers, waiting, work, utilization)) in [
        (1, 4, Work::Exponential, 0.8),
        (1, 10, Work::Constant, 1.0),
        (2, 5, Work::Lognormal { variation: 1.5 }, 1.5),
    ]
    .into_iter()
    .enumerate()
    {
        let speed = 100.0;
        let arrivals = f64::from(workers) * speed * utilization;
        let (waiting, discipline) = (Some(waiting), Discipline::Sharing);
        let queue = Queue { workers, waiting, discipline, ..Queue::of(arrivals, speed, work) };
        let seen = queue.play(400 + case as u64);
        let (lost, inside) = birth_and_death(queue, utilization);
        let what = format!("{workers} shared, {work:?}, {waiting:?} more at {utilization}");
        check(&format!("{what}, share lost"), &seen.losses, lost);
        check(&format!("{what}, mean"), &seen.waits, inside / (arrivals * (1.0 - lost)));
    }
}

/// The share of time in which the queue is full, and the mean number inside.
fn birth_and_death(queue: Queue, utilization: f64) -> (f64, f64) {
    let mut weights = vec![1.0];
    for inside in 1..=queue.workers + queue.waiting.expect("it is limited") {
        let rate = f64::from(inside.min(queue.workers));
        weights.push(weights[weights.len() - 1] * utilization * f64::from(queue.workers) / rate);
    }
    let total: f64 = weights.iter().sum();
    let inside = (0_u32..).zip(&weights).map(|(inside, weight)| f64::from(inside) * weight);
    (weights[weights.len() - 1] / total, inside.sum::<f64>() / total)
}

/// With one worker and exponential work the variance is known too (Coffman, Muntz, Trotter 1970).
#[test]
fn sharing_varies_as_coffman_muntz_and_trotter_say() {
    let (speed, utilization) = (100.0, 0.7);
    let discipline = Discipline::Sharing;
    let queue = Queue { discipline, ..Queue::of(speed * utilization, speed, Work::Exponential) };
    let service = ServiceId(0);
    let mut requests = Requests::new(&queue.blueprint(), Streams::new(500, 0)).expect("no circle");
    requests.set_endpoints(service, 1, 1, 100_000);
    requests.advance(SimTime::from_secs(10_000));
    // From the law, in steps of a thousandth of the mean.
    let mean = 1.0 / (speed * (1.0 - utilization));
    let count = requests.latencies(service).expect("it is asked").count as f64;
    let step = mean / 50.0;
    let squares = (0..2_000).map(|idx| {
        let at = SimSpan::from_secs_f64_rounded(f64::from(idx) * step);
        let longer = 1.0 - requests.answered_within(service, at) as f64 / count;
        2.0 * (f64::from(idx) + 0.5) * step * step * longer
    });
    let variance = squares.sum::<f64>() - mean * mean;
    let exact = mean * mean * (2.0 + utilization) / (2.0 - utilization);
    assert!((variance / exact - 1.0).abs() < 0.05, "{variance}, exactly {exact}");
}
