//! The workloads on `sim-kernel`, without a recorder, the digest always on.

use std::collections::VecDeque;

use sim_kernel::{
    Context, Limits, Model, NoRecorder, Outcome, Priority, Recorder, SimSpan, SimTime, Simulation,
    Timer,
};

use crate::{Luck, Prepared, Work, Workload};

/// Sets a workload up.
pub fn prepare(workload: Workload) -> Prepared {
    let horizon = SimTime::from_nanos(workload.horizon_ns());
    match workload {
        Workload::Hold { pending_count, .. } => boxed(hold(pending_count), horizon),
        Workload::Phold { .. } => boxed(phold(), horizon),
        Workload::Mm1 { .. } => boxed(mm1(), horizon),
        Workload::Timers { .. } => boxed(timers(), horizon),
    }
}

/// A model that says what it has done.
trait Checked: Model<Observation = ()> {
    fn check(&self) -> u64;
}

fn boxed<M: Checked + 'static>(
    mut simulation: Simulation<M, NoRecorder>,
    horizon: SimTime,
) -> Prepared {
    Box::new(move || {
        let outcome = simulation.run_until(horizon);
        assert_eq!(outcome, Outcome::HorizonReached { at: horizon });
        let event_count = simulation.stats().handled_count;
        Work { event_count, check: simulation.model().check() }
    })
}

fn span(nanos: u64) -> SimSpan {
    SimSpan::from_nanos(nanos)
}

fn simulation<M: Checked>(
    model: M,
    start: impl FnOnce(&mut M, &mut Context<'_, M::Event, NoRecorder>),
) -> Simulation<M, NoRecorder> {
    let mut simulation = Simulation::new(model, NoRecorder, Limits::default());
    simulation.apply(start);
    simulation
}

#[derive(Clone)]
struct Hold {
    luck: Luck,
    delay_sum_ns: u64,
}

#[derive(Clone, Copy, Debug, Hash)]
struct Held;

fn hold(pending_count: u64) -> Simulation<Hold, NoRecorder> {
    simulation(Hold { luck: Luck::new(1), delay_sum_ns: 0 }, |hold, ctx| {
        for _ in 0..pending_count {
            hold.handle(Held, ctx);
        }
    })
}

impl Model for Hold {
    type Event = Held;
    type Observation = ();

    fn handle<R: Recorder<()>>(&mut self, _: Held, ctx: &mut Context<'_, Held, R>) {
        let delay_ns = self.luck.delay_ns_of_1s();
        self.delay_sum_ns = self.delay_sum_ns.wrapping_add(delay_ns);
        ctx.schedule_in(span(delay_ns), Priority::NORMAL, Held);
    }
}

impl Checked for Hold {
    fn check(&self) -> u64 {
        self.delay_sum_ns
    }
}

#[derive(Clone)]
struct Phold {
    processes: Vec<Process>,
}

#[derive(Clone)]
struct Process {
    luck: Luck,
    visit_count: u64,
}

#[derive(Clone, Copy, Debug, Hash)]
struct Visited {
    process: u32,
}

fn phold() -> Simulation<Phold, NoRecorder> {
    let processes = (0..Workload::PHOLD_PROCESS_COUNT)
        .map(|process| Process { luck: Luck::new(process.into()), visit_count: 0 })
        .collect();
    simulation(Phold { processes }, |phold, ctx| {
        for process in 0..Workload::PHOLD_PROCESS_COUNT {
            let delay_ns = phold.processes[process as usize].luck.delay_ns_of_1s();
            ctx.schedule_in(span(delay_ns), Priority::NORMAL, Visited { process });
        }
    })
}

impl Model for Phold {
    type Event = Visited;
    type Observation = ();

    fn handle<R: Recorder<()>>(&mut self, event: Visited, ctx: &mut Context<'_, Visited, R>) {
        let state = &mut self.processes[event.process as usize];
        state.visit_count += 1;
        let process = next_process(event.process, state.luck.word());
        let delay_ns = state.luck.delay_ns_of_1s();
        ctx.schedule_in(span(delay_ns), Priority::NORMAL, Visited { process });
    }
}

/// Where an event of PHOLD goes next, by the low bits of a random word.
#[inline]
pub fn next_process(process: u32, word: u64) -> u32 {
    let bits = (word & 31) as u32;
    if bits < 8 { Workload::phold_neighbour(process, bits) } else { process }
}

impl Checked for Phold {
    fn check(&self) -> u64 {
        let visits = self.processes.iter().zip(1..);
        visits.map(|(state, weight)| weight * state.visit_count).sum()
    }
}

#[derive(Clone)]
struct Mm1 {
    luck: Luck,
    arrived_at: VecDeque<SimTime>,
    is_busy: bool,
    wait_sum_ns: u64,
}

#[derive(Clone, Copy, Debug, Hash)]
enum Mm1Event {
    Arrived,
    Served,
}

fn mm1() -> Simulation<Mm1, NoRecorder> {
    let model =
        Mm1 { luck: Luck::new(1), arrived_at: VecDeque::new(), is_busy: false, wait_sum_ns: 0 };
    simulation(model, |mm1, ctx| {
        let delay_ns = mm1.luck.delay_ns(Workload::MM1_ARRIVAL_NS);
        ctx.schedule_in(span(delay_ns), Priority::NORMAL, Mm1Event::Arrived);
    })
}

impl Mm1 {
    fn serve<R: Recorder<()>>(&mut self, ctx: &mut Context<'_, Mm1Event, R>) {
        let service_ns = self.luck.delay_ns(Workload::MM1_SERVICE_NS);
        ctx.schedule_in(span(service_ns), Priority::NORMAL, Mm1Event::Served);
    }
}

impl Model for Mm1 {
    type Event = Mm1Event;
    type Observation = ();

    fn handle<R: Recorder<()>>(&mut self, event: Mm1Event, ctx: &mut Context<'_, Mm1Event, R>) {
        match event {
            Mm1Event::Arrived => {
                let delay_ns = self.luck.delay_ns(Workload::MM1_ARRIVAL_NS);
                ctx.schedule_in(span(delay_ns), Priority::NORMAL, Mm1Event::Arrived);
                if self.is_busy {
                    self.arrived_at.push_back(ctx.now());
                } else {
                    self.is_busy = true;
                    self.serve(ctx);
                }
            }
            Mm1Event::Served => match self.arrived_at.pop_front() {
                Some(arrived_at) => {
                    self.wait_sum_ns += (ctx.now() - arrived_at).as_nanos();
                    self.serve(ctx);
                }
                None => self.is_busy = false,
            },
        }
    }
}

impl Checked for Mm1 {
    fn check(&self) -> u64 {
        self.wait_sum_ns
    }
}

#[derive(Clone)]
struct Timers {
    luck: Luck,
    timeouts: Vec<Timer>,
    fired_count: u64,
}

#[derive(Clone, Copy, Debug, Hash)]
enum TimerEvent {
    Ticked { idx: u32 },
    TimedOut { idx: u32 },
}

fn timers() -> Simulation<Timers, NoRecorder> {
    let timeouts = vec![Timer::NONE; Workload::TIMER_COUNT as usize];
    let model = Timers { luck: Luck::new(1), timeouts, fired_count: 0 };
    simulation(model, |timers, ctx| {
        for idx in 0..Workload::TIMER_COUNT {
            let phase_ns = timers.luck.word() % Workload::TIMER_PERIOD_NS;
            ctx.schedule_in(span(phase_ns), Priority::NORMAL, TimerEvent::Ticked { idx });
        }
    })
}

impl Model for Timers {
    type Event = TimerEvent;
    type Observation = ();

    fn handle<R: Recorder<()>>(&mut self, event: TimerEvent, ctx: &mut Context<'_, TimerEvent, R>) {
        match event {
            TimerEvent::Ticked { idx } => {
                let timeout = &mut self.timeouts[idx as usize];
                if !self.luck.word().is_multiple_of(10) {
                    ctx.cancel(*timeout);
                }
                let due = TimerEvent::TimedOut { idx };
                *timeout = ctx.timer_in(span(Workload::TIMEOUT_NS), Priority::NORMAL, due);
                let period = span(Workload::TIMER_PERIOD_NS);
                ctx.schedule_in(period, Priority::NORMAL, TimerEvent::Ticked { idx });
            }
            TimerEvent::TimedOut { idx } => self.fired_count += u64::from(idx) + 1,
        }
    }
}

impl Checked for Timers {
    fn check(&self) -> u64 {
        self.fired_count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_workload_does_about_the_work_it_announces() {
        for (name, workload) in Workload::COLUMNS {
            let workload = workload.divided_by(20);
            let work = prepare(workload)();
            let expected = workload.event_count();
            // Timeouts that fire come on top of ticks; the rest is chance.
            assert!(work.event_count.abs_diff(expected) < expected / 8, "{name}: {work:?}");
            assert!(work.check > 0, "{name}");
        }
    }
}
