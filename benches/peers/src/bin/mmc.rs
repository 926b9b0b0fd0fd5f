//! Requests to one M/M/16 service, 80 % busy: our request engine, and the loop as one writes it in
//! nexosim, in turns.
//!
//! ```text
//! cargo run --release --bin mmc -- [ROUNDS]
//! ```
//!
//! A million requests each, arrivals and services drawn from the same generator. Printed are requests
//! per CPU second of every round, without set-up, and nexosim's mean wait beside the exact one.
#![expect(clippy::print_stdout, reason = "a program for people")]

#[path = "../watch.rs"]
mod watch;

use std::collections::VecDeque;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use benches::{Chain, Luck};
use model_api::{ServiceId, SimTime};
use nexosim::model::{Context, Model, schedulable};
use nexosim::ports::EventSource;
use nexosim::simulation::{Mailbox, SimInit};
use nexosim::time::MonotonicTime;
use serde::{Deserialize, Serialize};

use watch::Watch;

const COUNT: u64 = 1_000_000;
const WORKERS: u64 = 16;
const ARRIVAL_NS: u64 = 10_000;
const SERVICE_NS: u64 = ARRIVAL_NS * WORKERS * 8 / 10;

fn main() -> ExitCode {
    let rounds = std::env::args().nth(1).map_or(Some(5), |text| text.parse().ok());
    let Some(rounds) = rounds else { return ExitCode::from(2) };
    println!("exact mean wait: {:.2} us", exact_wait_ns() / 1e3);
    for seed in 1..=rounds {
        println!("eidp-sim, {:.0} requests/s", ours(seed));
        let (rate, wait_ns) = nexosim(seed);
        println!("nexosim, {rate:.0} requests/s, mean wait {:.2} us", wait_ns / 1e3);
    }
    ExitCode::SUCCESS
}

/// Requests per CPU second of our engine.
fn ours(seed: u64) -> f64 {
    let chain = Chain::SINGLE;
    let mut requests = chain.requests(seed);
    let mut watch = Watch::new();
    watch.start();
    requests.advance(SimTime::from_secs(COUNT / chain.rps));
    watch.stop();
    let (ended, _) = requests.ended_and_served(ServiceId(0));
    ended as f64 * 1e9 / watch.cpu_ns() as f64
}

/// Requests per CPU second of the loop in nexosim, and how long they waited in the mean.
fn nexosim(seed: u64) -> (f64, f64) {
    let totals = Arc::new(Totals::default());
    let model = Service {
        luck: Luck::new(seed),
        waiting: VecDeque::new(),
        busy: 0,
        totals: totals.clone(),
    };
    let mailbox = Mailbox::new();
    let mut bench = SimInit::with_num_threads(1);
    let start = EventSource::new().connect(Service::start, &mailbox).register(&mut bench);
    let mut sim = bench
        .add_model(model, mailbox, "service")
        .init(MonotonicTime::EPOCH)
        .expect("every port is connected");
    sim.process_event(&start, ()).expect("no model fails");
    let horizon = MonotonicTime::EPOCH + Duration::from_nanos(COUNT * ARRIVAL_NS);
    let mut watch = Watch::new();
    watch.start();
    sim.step_until(horizon).expect("no model fails");
    watch.stop();
    let started = totals.started.load(Ordering::Relaxed) as f64;
    let waited_ns = totals.waited_ns.load(Ordering::Relaxed) as f64;
    (started * 1e9 / watch.cpu_ns() as f64, waited_ns / started)
}

/// What a run did. One thread writes, so a load and a store do.
#[derive(Default)]
struct Totals {
    started: AtomicU64,
    waited_ns: AtomicU64,
}

fn add(counter: &AtomicU64, amount: u64) {
    counter.store(counter.load(Ordering::Relaxed) + amount, Ordering::Relaxed);
}

fn no_luck() -> Luck {
    Luck::new(1)
}

#[derive(Serialize, Deserialize)]
struct Service {
    #[serde(skip, default = "no_luck")]
    luck: Luck,
    waiting: VecDeque<MonotonicTime>,
    busy: u64,
    #[serde(skip)]
    totals: Arc<Totals>,
}

#[Model]
impl Service {
    async fn start(&mut self, _: (), cx: &Context<Self>) {
        self.expect_arrival(cx);
    }

    fn delay(&mut self, mean_ns: u64) -> Duration {
        // A deadline must lie in the future, so nought becomes one.
        Duration::from_nanos(self.luck.delay_ns(mean_ns).max(1))
    }

    fn expect_arrival(&mut self, cx: &Context<Self>) {
        let delay = self.delay(ARRIVAL_NS);
        cx.schedule_event(delay, schedulable!(Self::arrived), ()).expect("in the future");
    }

    fn serve(&mut self, arrived_at: MonotonicTime, cx: &Context<Self>) {
        add(&self.totals.started, 1);
        let waited = cx.time().duration_since(arrived_at);
        add(&self.totals.waited_ns, waited.as_nanos() as u64);
        let delay = self.delay(SERVICE_NS);
        cx.schedule_event(delay, schedulable!(Self::served), ()).expect("in the future");
    }

    #[nexosim(schedulable)]
    async fn arrived(&mut self, _: (), cx: &Context<Self>) {
        self.expect_arrival(cx);
        if self.busy == WORKERS {
            self.waiting.push_back(cx.time());
        } else {
            self.busy += 1;
            self.serve(cx.time(), cx);
        }
    }

    #[nexosim(schedulable)]
    async fn served(&mut self, _: (), cx: &Context<Self>) {
        match self.waiting.pop_front() {
            Some(arrived_at) => self.serve(arrived_at, cx),
            None => self.busy -= 1,
        }
    }
}

/// Erlang's C formula: the mean wait of M/M/c.
fn exact_wait_ns() -> f64 {
    let offered = SERVICE_NS as f64 / ARRIVAL_NS as f64;
    let blocked = (1..=WORKERS)
        .fold(1.0, |blocked, servers| offered * blocked / (servers as f64 + offered * blocked));
    let servers = WORKERS as f64;
    let waits = servers * blocked / (servers - offered * (1.0 - blocked));
    waits * SERVICE_NS as f64 / (servers - offered)
}
