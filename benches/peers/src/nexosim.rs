//! The workloads on nexosim, single-threaded.
//!
//! A model schedules only on itself, so in PHOLD a move to a neighbour is a message to its
//! port, which schedules there: two steps where others take one, as its users must.
//! Models are serializable by contract; what they count is shared with the outside.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use benches::kernel::next_process;
use benches::{Luck, Work, Workload};
use nexosim::model::{Context, Model, schedulable};
use nexosim::ports::{EventSource, Output};
use nexosim::simulation::{EventId, EventKey, Mailbox, SimInit, Simulation};
use nexosim::time::MonotonicTime;
use serde::{Deserialize, Serialize};

use crate::watch::Watch;

/// What a run did. One thread writes, so a load and a store do.
#[derive(Default)]
struct Counts {
    event_count: AtomicU64,
    check: AtomicU64,
}

fn add(counter: &AtomicU64, amount: u64) {
    counter.store(counter.load(Ordering::Relaxed) + amount, Ordering::Relaxed);
}

fn luck() -> Luck {
    Luck::new(1)
}

fn nanos(nanos: u64) -> Duration {
    // A deadline must lie in the future, so nought becomes one.
    Duration::from_nanos(nanos.max(1))
}

/// Runs a workload.
pub fn run(workload: Workload, watch: &mut Watch) -> Option<Work> {
    let counts = Arc::new(Counts::default());
    let mut sim = match workload {
        Workload::Hold { pending_count, .. } => {
            let hold = Hold { luck: luck(), counts: counts.clone() };
            started!(hold, Hold::start, pending_count)
        }
        Workload::Phold { .. } => phold(&counts),
        Workload::Mm1 { .. } => {
            let (arrived_at, is_busy) = (VecDeque::new(), false);
            let mm1 = Mm1 { luck: luck(), arrived_at, is_busy, counts: counts.clone() };
            started!(mm1, Mm1::start, ())
        }
        Workload::Timers { .. } => {
            let timeouts = (0..Workload::TIMER_COUNT).map(|_| None).collect();
            let timers = Timers { luck: luck(), timeouts, counts: counts.clone() };
            started!(timers, Timers::start, ())
        }
    };
    let horizon = MonotonicTime::EPOCH + Duration::from_nanos(workload.horizon_ns());
    watch.start();
    sim.step_until(horizon).expect("no model fails");
    watch.stop();
    Some(Work {
        event_count: counts.event_count.load(Ordering::Relaxed),
        check: counts.check.load(Ordering::Relaxed),
    })
}

#[derive(Serialize, Deserialize)]
struct Hold {
    #[serde(skip, default = "luck")]
    luck: Luck,
    #[serde(skip)]
    counts: Arc<Counts>,
}

#[Model]
impl Hold {
    async fn start(&mut self, pending_count: u64, cx: &Context<Self>) {
        for _ in 0..pending_count {
            self.hold(cx);
        }
    }

    fn hold(&mut self, cx: &Context<Self>) {
        let delay_ns = self.luck.delay_ns_of_1s();
        add(&self.counts.check, delay_ns);
        cx.schedule_event(nanos(delay_ns), schedulable!(Self::held), ()).expect("in the future");
    }

    #[nexosim(schedulable)]
    async fn held(&mut self, _: (), cx: &Context<Self>) {
        add(&self.counts.event_count, 1);
        self.hold(cx);
    }
}

#[derive(Serialize, Deserialize)]
struct Process {
    process: u32,
    neighbours: [Output<u64>; 8],
    #[serde(skip, default = "luck")]
    luck: Luck,
    #[serde(skip)]
    counts: Arc<Counts>,
}

#[Model]
impl Process {
    /// Lets an event visit this process after a delay.
    async fn accept(&mut self, delay_ns: u64, cx: &Context<Self>) {
        cx.schedule_event(nanos(delay_ns), schedulable!(Self::visited), ()).expect("in the future");
    }

    #[nexosim(schedulable)]
    async fn visited(&mut self, _: (), cx: &Context<Self>) {
        add(&self.counts.event_count, 1);
        add(&self.counts.check, u64::from(self.process) + 1);
        let word = self.luck.word();
        let process = next_process(self.process, word);
        let delay_ns = self.luck.delay_ns_of_1s();
        if process == self.process {
            self.accept(delay_ns, cx).await;
        } else {
            self.neighbours[(word & 7) as usize].send(delay_ns).await;
        }
    }
}

fn phold(counts: &Arc<Counts>) -> Simulation {
    let mailboxes: Vec<Mailbox<Process>> =
        (0..Workload::PHOLD_PROCESS_COUNT).map(|_| Mailbox::new()).collect();
    let mut bench = SimInit::with_num_threads(1);
    let mut starts: Vec<(EventId<u64>, u64)> = Vec::new();
    let mut models = Vec::new();
    for process in 0..Workload::PHOLD_PROCESS_COUNT {
        let mut luck = Luck::new(process.into());
        let start = EventSource::new()
            .connect(Process::accept, &mailboxes[process as usize])
            .register(&mut bench);
        starts.push((start, luck.delay_ns_of_1s()));
        let neighbours = std::array::from_fn(|choice| {
            let neighbour = Workload::phold_neighbour(process, choice as u32);
            let mut output = Output::default();
            output.connect(Process::accept, &mailboxes[neighbour as usize]);
            output
        });
        models.push(Process { process, neighbours, luck, counts: counts.clone() });
    }
    for (model, mailbox) in models.into_iter().zip(mailboxes) {
        let name = format!("process{}", model.process);
        bench = bench.add_model(model, mailbox, &name);
    }
    let mut sim = bench.init(MonotonicTime::EPOCH).expect("every port is connected");
    for (start, delay_ns) in starts {
        sim.process_event(&start, delay_ns).expect("no model fails");
    }
    sim
}

#[derive(Serialize, Deserialize)]
struct Mm1 {
    #[serde(skip, default = "luck")]
    luck: Luck,
    arrived_at: VecDeque<MonotonicTime>,
    is_busy: bool,
    #[serde(skip)]
    counts: Arc<Counts>,
}

#[Model]
impl Mm1 {
    async fn start(&mut self, _: (), cx: &Context<Self>) {
        self.expect_arrival(cx);
    }

    fn expect_arrival(&mut self, cx: &Context<Self>) {
        let delay_ns = self.luck.delay_ns(Workload::MM1_ARRIVAL_NS);
        cx.schedule_event(nanos(delay_ns), schedulable!(Self::arrived), ()).expect("in the future");
    }

    fn serve(&mut self, cx: &Context<Self>) {
        let service_ns = self.luck.delay_ns(Workload::MM1_SERVICE_NS);
        cx.schedule_event(nanos(service_ns), schedulable!(Self::served), ())
            .expect("in the future");
    }

    #[nexosim(schedulable)]
    async fn arrived(&mut self, _: (), cx: &Context<Self>) {
        add(&self.counts.event_count, 1);
        self.expect_arrival(cx);
        if self.is_busy {
            self.arrived_at.push_back(cx.time());
        } else {
            self.is_busy = true;
            self.serve(cx);
        }
    }

    #[nexosim(schedulable)]
    async fn served(&mut self, _: (), cx: &Context<Self>) {
        add(&self.counts.event_count, 1);
        match self.arrived_at.pop_front() {
            Some(arrived_at) => {
                let wait = cx.time().duration_since(arrived_at);
                add(&self.counts.check, wait.as_nanos() as u64);
                self.serve(cx);
            }
            None => self.is_busy = false,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Timers {
    #[serde(skip, default = "luck")]
    luck: Luck,
    timeouts: Vec<Option<EventKey>>,
    #[serde(skip)]
    counts: Arc<Counts>,
}

#[Model]
impl Timers {
    async fn start(&mut self, _: (), cx: &Context<Self>) {
        for idx in 0..Workload::TIMER_COUNT {
            let phase_ns = self.luck.word() % Workload::TIMER_PERIOD_NS;
            cx.schedule_event(nanos(phase_ns), schedulable!(Self::ticked), idx)
                .expect("in the future");
        }
    }

    #[nexosim(schedulable)]
    async fn ticked(&mut self, idx: u32, cx: &Context<Self>) {
        add(&self.counts.event_count, 1);
        let timeout = &mut self.timeouts[idx as usize];
        if !self.luck.word().is_multiple_of(10)
            && let Some(key) = timeout.take()
        {
            key.cancel();
        }
        let deadline = nanos(Workload::TIMEOUT_NS);
        let key = cx.schedule_keyed_event(deadline, schedulable!(Self::timed_out), idx);
        *timeout = Some(key.expect("in the future"));
        cx.schedule_event(nanos(Workload::TIMER_PERIOD_NS), schedulable!(Self::ticked), idx)
            .expect("in the future");
    }

    #[nexosim(schedulable)]
    async fn timed_out(&mut self, idx: u32) {
        add(&self.counts.event_count, 1);
        add(&self.counts.check, u64::from(idx) + 1);
    }
}

/// A bench of one model whose `start` was called with `arg`.
macro_rules! started {
    ($model:expr, $start:path, $arg:expr) => {{
        let mailbox = Mailbox::new();
        let mut bench = SimInit::with_num_threads(1);
        let start = EventSource::new().connect($start, &mailbox).register(&mut bench);
        let mut sim = bench
            .add_model($model, mailbox, "model")
            .init(MonotonicTime::EPOCH)
            .expect("every port is connected");
        sim.process_event(&start, $arg).expect("no model fails");
        sim
    }};
}
use started;
