//! The workloads on desque: boxed events, integer time.
//!
//! It cannot cancel. Timers are done as its users would: a timeout
//! looks whether it was cancelled meanwhile and then does nothing. What does nothing is
//! not counted as an event, but costs what it costs.

use std::collections::VecDeque;

use benches::kernel::next_process;
use benches::{Luck, Work, Workload};
use desque::serial::{Event, Simulation};
use desque::{Result, SimState};

use crate::watch::Watch;

type Sim<S> = Simulation<S, u64>;

/// State common to all workloads. A run ends after the first event beyond the horizon,
/// which must therefore do nothing.
struct State<M> {
    horizon_ns: u64,
    event_count: u64,
    check: u64,
    model: M,
}

impl<M> SimState<u64> for State<M> {
    fn is_complete(&self, now: &u64) -> bool {
        *now > self.horizon_ns
    }
}

/// Counts an event unless it lies beyond the horizon.
fn begins<M>(sim: &mut Sim<State<M>>) -> bool {
    let is_due = *sim.current_time() <= sim.state().horizon_ns;
    sim.state_mut().event_count += u64::from(is_due);
    is_due
}

/// Runs a workload.
pub fn run(workload: Workload, watch: &mut Watch) -> Option<Work> {
    let horizon_ns = workload.horizon_ns();
    match workload {
        Workload::Hold { pending_count, .. } => {
            let mut sim = new(horizon_ns, Luck::new(1));
            (0..pending_count).for_each(|_| hold(&mut sim).expect("the future is free"));
            measured(sim, watch)
        }
        Workload::Phold { .. } => {
            let processes: Vec<_> = (0..Workload::PHOLD_PROCESS_COUNT)
                .map(|process| (Luck::new(process.into()), 0))
                .collect();
            let mut sim = new(horizon_ns, processes);
            for process in 0..Workload::PHOLD_PROCESS_COUNT {
                let delay_ns = sim.state_mut().model[process as usize].0.delay_ns_of_1s();
                sim.schedule(Visited { process }, delay_ns).expect("the future is free");
            }
            measured(sim, watch)
        }
        Workload::Mm1 { .. } => {
            let mut luck = Luck::new(1);
            let first_ns = luck.delay_ns(Workload::MM1_ARRIVAL_NS);
            let mut sim =
                new(horizon_ns, Mm1 { luck, arrived_at: VecDeque::new(), is_busy: false });
            sim.schedule(Arrived, first_ns).expect("the future is free");
            measured(sim, watch)
        }
        Workload::Timers { .. } => {
            let has_cancelled = vec![false; Workload::TIMER_COUNT as usize];
            let mut sim = new(horizon_ns, Timers { luck: Luck::new(1), has_cancelled });
            for idx in 0..Workload::TIMER_COUNT {
                let phase_ns = sim.state_mut().model.luck.word() % Workload::TIMER_PERIOD_NS;
                sim.schedule(Ticked { idx }, phase_ns).expect("the future is free");
            }
            measured(sim, watch)
        }
    }
}

fn new<M>(horizon_ns: u64, model: M) -> Sim<State<M>> {
    Simulation::new(State { horizon_ns, event_count: 0, check: 0, model }, 0)
}

/// What the model has to say at the end, beyond `State::check`.
trait Checked {
    fn check(&self) -> u64 {
        0
    }
}

fn measured<M: Checked>(mut sim: Sim<State<M>>, watch: &mut Watch) -> Option<Work> {
    watch.start();
    sim.run().expect("no event fails");
    watch.stop();
    let state = sim.state();
    Some(Work { event_count: state.event_count, check: state.check + state.model.check() })
}

#[derive(Debug)]
struct Held;

impl Checked for Luck {}

fn hold(sim: &mut Sim<State<Luck>>) -> Result {
    let delay_ns = sim.state_mut().model.delay_ns_of_1s();
    sim.state_mut().check += delay_ns;
    sim.schedule(Held, *sim.current_time() + delay_ns)
}

impl Event<State<Luck>, u64> for Held {
    fn execute(&mut self, sim: &mut Sim<State<Luck>>) -> Result {
        if begins(sim) { hold(sim) } else { Ok(()) }
    }
}

type Phold = Vec<(Luck, u64)>;

#[derive(Debug)]
struct Visited {
    process: u32,
}

impl Checked for Phold {
    fn check(&self) -> u64 {
        self.iter().zip(1..).map(|((_, visit_count), weight)| weight * visit_count).sum()
    }
}

impl Event<State<Phold>, u64> for Visited {
    fn execute(&mut self, sim: &mut Sim<State<Phold>>) -> Result {
        if !begins(sim) {
            return Ok(());
        }
        let (luck, visit_count) = &mut sim.state_mut().model[self.process as usize];
        *visit_count += 1;
        let process = next_process(self.process, luck.word());
        let delay_ns = luck.delay_ns_of_1s();
        sim.schedule(Visited { process }, *sim.current_time() + delay_ns)
    }
}

struct Mm1 {
    luck: Luck,
    arrived_at: VecDeque<u64>,
    is_busy: bool,
}

impl Checked for Mm1 {}

#[derive(Debug)]
struct Arrived;

#[derive(Debug)]
struct Served;

fn serve(sim: &mut Sim<State<Mm1>>) -> Result {
    let service_ns = sim.state_mut().model.luck.delay_ns(Workload::MM1_SERVICE_NS);
    sim.schedule(Served, *sim.current_time() + service_ns)
}

impl Event<State<Mm1>, u64> for Arrived {
    fn execute(&mut self, sim: &mut Sim<State<Mm1>>) -> Result {
        if !begins(sim) {
            return Ok(());
        }
        let now = *sim.current_time();
        let model = &mut sim.state_mut().model;
        let delay_ns = model.luck.delay_ns(Workload::MM1_ARRIVAL_NS);
        let was_busy = std::mem::replace(&mut model.is_busy, true);
        if was_busy {
            model.arrived_at.push_back(now);
        }
        sim.schedule(Arrived, now + delay_ns)?;
        if was_busy { Ok(()) } else { serve(sim) }
    }
}

impl Event<State<Mm1>, u64> for Served {
    fn execute(&mut self, sim: &mut Sim<State<Mm1>>) -> Result {
        if !begins(sim) {
            return Ok(());
        }
        let now = *sim.current_time();
        let state = sim.state_mut();
        match state.model.arrived_at.pop_front() {
            Some(arrived_at) => {
                state.check += now - arrived_at;
                serve(sim)
            }
            None => {
                state.model.is_busy = false;
                Ok(())
            }
        }
    }
}

struct Timers {
    luck: Luck,
    /// By timer: whether its latest tick cancelled the timeout before. A timeout of 15 s
    /// meets exactly one later tick, 10 s after its arming, so this is all it needs.
    has_cancelled: Vec<bool>,
}

impl Checked for Timers {}

#[derive(Debug)]
struct Ticked {
    idx: u32,
}

#[derive(Debug)]
struct TimedOut {
    idx: u32,
}

impl Event<State<Timers>, u64> for Ticked {
    fn execute(&mut self, sim: &mut Sim<State<Timers>>) -> Result {
        if !begins(sim) {
            return Ok(());
        }
        let now = *sim.current_time();
        let timers = &mut sim.state_mut().model;
        let is_cancelled = !timers.luck.word().is_multiple_of(10);
        timers.has_cancelled[self.idx as usize] = is_cancelled;
        sim.schedule(TimedOut { idx: self.idx }, now + Workload::TIMEOUT_NS)?;
        sim.schedule(Ticked { idx: self.idx }, now + Workload::TIMER_PERIOD_NS)
    }
}

impl Event<State<Timers>, u64> for TimedOut {
    fn execute(&mut self, sim: &mut Sim<State<Timers>>) -> Result {
        if *sim.current_time() > sim.state().horizon_ns {
            return Ok(());
        }
        let state = sim.state_mut();
        if !state.model.has_cancelled[self.idx as usize] {
            state.event_count += 1;
            state.check += u64::from(self.idx) + 1;
        }
        Ok(())
    }
}
