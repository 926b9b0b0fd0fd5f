//! The workloads on simrs: components found by number, boxed events, `Duration` time.
//!
//! Components get `&self`, so their state is in a `RefCell`, which is cheaper than the
//! state store of simrs. It cannot cancel; timers are done as in `desque`. Events of the
//! same time come in any order, which is harmless here.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use benches::kernel::next_process;
use benches::{Luck, Work, Workload};
use simrs::{Component, ComponentId, Executor, Scheduler, Simulation, State};

use crate::watch::Watch;

/// What every component counts; shared so that it can be read at the end.
#[derive(Default)]
struct Counts {
    event_count: u64,
    check: u64,
}

type Shared = Rc<RefCell<Counts>>;

/// Runs a workload.
pub fn run(workload: Workload, watch: &mut Watch) -> Option<Work> {
    let counts = Shared::default();
    let mut sim = Simulation::default();
    match workload {
        Workload::Hold { pending_count, .. } => start_hold(&mut sim, &counts, pending_count),
        Workload::Phold { .. } => start_phold(&mut sim, &counts),
        Workload::Mm1 { .. } => start_mm1(&mut sim, &counts),
        Workload::Timers { .. } => start_timers(&mut sim, &counts),
    }
    let horizon = Duration::from_nanos(workload.horizon_ns());
    watch.start();
    sim.execute(Executor::timed(horizon));
    watch.stop();
    let counts = counts.borrow();
    Some(Work { event_count: counts.event_count, check: counts.check })
}

struct Hold {
    luck: RefCell<Luck>,
    counts: Shared,
}

#[derive(Debug)]
struct Held;

fn start_hold(sim: &mut Simulation, counts: &Shared, pending_count: u64) {
    let mut luck = Luck::new(1);
    let delays: Vec<u64> = (0..pending_count).map(|_| luck.delay_ns_of_1s()).collect();
    counts.borrow_mut().check = delays.iter().sum();
    let id = sim.add_component(Hold { luck: RefCell::new(luck), counts: counts.clone() });
    for delay_ns in delays {
        sim.schedule(Duration::from_nanos(delay_ns), id, Held);
    }
}

impl Component for Hold {
    type Event = Held;

    fn process_event(
        &self,
        id: ComponentId<Held>,
        _event: &Held,
        scheduler: &mut Scheduler,
        _state: &mut State,
    ) {
        let delay_ns = self.luck.borrow_mut().delay_ns_of_1s();
        let mut counts = self.counts.borrow_mut();
        counts.event_count += 1;
        counts.check += delay_ns;
        scheduler.schedule(Duration::from_nanos(delay_ns), id, Held);
    }
}

struct Phold {
    processes: RefCell<Vec<Luck>>,
    counts: Shared,
}

#[derive(Debug)]
struct Visited {
    process: u32,
}

fn start_phold(sim: &mut Simulation, counts: &Shared) {
    let mut processes: Vec<Luck> =
        (0..Workload::PHOLD_PROCESS_COUNT).map(|process| Luck::new(process.into())).collect();
    let delays: Vec<u64> = processes.iter_mut().map(Luck::delay_ns_of_1s).collect();
    let processes = RefCell::new(processes);
    let id = sim.add_component(Phold { processes, counts: counts.clone() });
    for (process, delay_ns) in (0..).zip(delays) {
        sim.schedule(Duration::from_nanos(delay_ns), id, Visited { process });
    }
}

impl Component for Phold {
    type Event = Visited;

    fn process_event(
        &self,
        id: ComponentId<Visited>,
        event: &Visited,
        scheduler: &mut Scheduler,
        _state: &mut State,
    ) {
        let mut counts = self.counts.borrow_mut();
        counts.event_count += 1;
        counts.check += u64::from(event.process) + 1;
        let luck = &mut self.processes.borrow_mut()[event.process as usize];
        let process = next_process(event.process, luck.word());
        let delay_ns = luck.delay_ns_of_1s();
        scheduler.schedule(Duration::from_nanos(delay_ns), id, Visited { process });
    }
}

struct Mm1 {
    state: RefCell<Mm1State>,
    counts: Shared,
}

struct Mm1State {
    luck: Luck,
    arrived_at: VecDeque<Duration>,
    is_busy: bool,
}

#[derive(Debug)]
enum Mm1Event {
    Arrived,
    Served,
}

fn start_mm1(sim: &mut Simulation, counts: &Shared) {
    let mut luck = Luck::new(1);
    let first_ns = luck.delay_ns(Workload::MM1_ARRIVAL_NS);
    let state = RefCell::new(Mm1State { luck, arrived_at: VecDeque::new(), is_busy: false });
    let id = sim.add_component(Mm1 { state, counts: counts.clone() });
    sim.schedule(Duration::from_nanos(first_ns), id, Mm1Event::Arrived);
}

impl Mm1State {
    fn serve(&mut self, id: ComponentId<Mm1Event>, scheduler: &mut Scheduler) {
        let service_ns = self.luck.delay_ns(Workload::MM1_SERVICE_NS);
        scheduler.schedule(Duration::from_nanos(service_ns), id, Mm1Event::Served);
    }
}

impl Component for Mm1 {
    type Event = Mm1Event;

    fn process_event(
        &self,
        id: ComponentId<Mm1Event>,
        event: &Mm1Event,
        scheduler: &mut Scheduler,
        _state: &mut State,
    ) {
        let mut counts = self.counts.borrow_mut();
        counts.event_count += 1;
        let mut state = self.state.borrow_mut();
        match event {
            Mm1Event::Arrived => {
                let delay_ns = state.luck.delay_ns(Workload::MM1_ARRIVAL_NS);
                scheduler.schedule(Duration::from_nanos(delay_ns), id, Mm1Event::Arrived);
                if state.is_busy {
                    state.arrived_at.push_back(scheduler.time());
                } else {
                    state.is_busy = true;
                    state.serve(id, scheduler);
                }
            }
            Mm1Event::Served => match state.arrived_at.pop_front() {
                Some(arrived_at) => {
                    counts.check += (scheduler.time() - arrived_at).as_nanos() as u64;
                    state.serve(id, scheduler);
                }
                None => state.is_busy = false,
            },
        }
    }
}

struct Timers {
    state: RefCell<(Luck, Vec<bool>)>,
    counts: Shared,
}

#[derive(Debug)]
enum TimerEvent {
    Ticked { idx: u32 },
    TimedOut { idx: u32 },
}

fn start_timers(sim: &mut Simulation, counts: &Shared) {
    let mut luck = Luck::new(1);
    let phases: Vec<u64> =
        (0..Workload::TIMER_COUNT).map(|_| luck.word() % Workload::TIMER_PERIOD_NS).collect();
    let state = RefCell::new((luck, vec![false; Workload::TIMER_COUNT as usize]));
    let id = sim.add_component(Timers { state, counts: counts.clone() });
    for (idx, phase_ns) in (0..).zip(phases) {
        sim.schedule(Duration::from_nanos(phase_ns), id, TimerEvent::Ticked { idx });
    }
}

impl Component for Timers {
    type Event = TimerEvent;

    fn process_event(
        &self,
        id: ComponentId<TimerEvent>,
        event: &TimerEvent,
        scheduler: &mut Scheduler,
        _state: &mut State,
    ) {
        let mut counts = self.counts.borrow_mut();
        let (luck, has_cancelled) = &mut *self.state.borrow_mut();
        match *event {
            TimerEvent::Ticked { idx } => {
                counts.event_count += 1;
                has_cancelled[idx as usize] = !luck.word().is_multiple_of(10);
                let timeout = Duration::from_nanos(Workload::TIMEOUT_NS);
                scheduler.schedule(timeout, id, TimerEvent::TimedOut { idx });
                let period = Duration::from_nanos(Workload::TIMER_PERIOD_NS);
                scheduler.schedule(period, id, TimerEvent::Ticked { idx });
            }
            TimerEvent::TimedOut { idx } => {
                if !has_cancelled[idx as usize] {
                    counts.event_count += 1;
                    counts.check += u64::from(idx) + 1;
                }
            }
        }
    }
}
