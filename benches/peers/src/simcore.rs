//! The workloads on simcore: handlers behind `Rc<RefCell<dyn ...>>`, boxed events, time in
//! floating-point seconds.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use benches::kernel::next_process;
use benches::{Luck, Work, Workload};
use serde::Serialize;
use simcore::{Event, EventHandler, Id, Simulation, SimulationContext, cast};

use crate::watch::Watch;

fn secs(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

/// A handler that says what it has done.
trait Counted: EventHandler {
    fn event_count(&self) -> u64;
    fn check(&self) -> u64;
}

/// Runs a workload.
pub fn run(workload: Workload, watch: &mut Watch) -> Option<Work> {
    let mut sim = Simulation::new(1);
    let models = match workload {
        Workload::Hold { pending_count, .. } => hold(&mut sim, pending_count),
        Workload::Phold { .. } => phold(&mut sim),
        Workload::Mm1 { .. } => mm1(&mut sim),
        Workload::Timers { .. } => timers(&mut sim),
    };
    let horizon = secs(workload.horizon_ns());
    watch.start();
    sim.step_until_time(horizon);
    watch.stop();
    let models = || models.iter().map(|model| model.borrow());
    Some(Work {
        event_count: models().map(|model| model.event_count()).sum(),
        check: models().map(|model| model.check()).sum(),
    })
}

type Models = Vec<Rc<RefCell<dyn Counted>>>;

fn alone<M: Counted + 'static>(sim: &mut Simulation, name: &str, model: M) -> Models {
    let model = Rc::new(RefCell::new(model));
    sim.add_handler(name, model.clone());
    vec![model]
}

struct Hold {
    ctx: SimulationContext,
    luck: Luck,
    event_count: u64,
    check: u64,
}

#[derive(Clone, Serialize)]
struct Held {}

fn hold(sim: &mut Simulation, pending_count: u64) -> Models {
    let ctx = sim.create_context("hold");
    let mut hold = Hold { ctx, luck: Luck::new(1), event_count: 0, check: 0 };
    (0..pending_count).for_each(|_| hold.hold());
    alone(sim, "hold", hold)
}

impl Hold {
    fn hold(&mut self) {
        let delay_ns = self.luck.delay_ns_of_1s();
        self.check += delay_ns;
        self.ctx.emit_self(Held {}, secs(delay_ns));
    }
}

impl EventHandler for Hold {
    fn on(&mut self, event: Event) {
        cast!(match event.data {
            Held {} => {
                self.event_count += 1;
                self.hold();
            }
        })
    }
}

impl Counted for Hold {
    fn event_count(&self) -> u64 {
        self.event_count
    }
    fn check(&self) -> u64 {
        self.check
    }
}

struct Process {
    ctx: SimulationContext,
    process: u32,
    ids: Rc<RefCell<Vec<Id>>>,
    luck: Luck,
    visit_count: u64,
}

#[derive(Clone, Serialize)]
struct Visited {}

fn phold(sim: &mut Simulation) -> Models {
    let ids = Rc::new(RefCell::new(Vec::new()));
    let mut models: Models = Vec::new();
    for process in 0..Workload::PHOLD_PROCESS_COUNT {
        let name = format!("process{process}");
        let ctx = sim.create_context(&name);
        let mut luck = Luck::new(process.into());
        ctx.emit_self(Visited {}, secs(luck.delay_ns_of_1s()));
        let model = Process { ctx, process, ids: ids.clone(), luck, visit_count: 0 };
        let model = Rc::new(RefCell::new(model));
        ids.borrow_mut().push(sim.add_handler(&name, model.clone()));
        models.push(model);
    }
    models
}

impl EventHandler for Process {
    fn on(&mut self, event: Event) {
        cast!(match event.data {
            Visited {} => {
                self.visit_count += 1;
                let process = next_process(self.process, self.luck.word());
                let delay = secs(self.luck.delay_ns_of_1s());
                let id = self.ids.borrow()[process as usize];
                self.ctx.emit(Visited {}, id, delay);
            }
        })
    }
}

impl Counted for Process {
    fn event_count(&self) -> u64 {
        self.visit_count
    }
    fn check(&self) -> u64 {
        (u64::from(self.process) + 1) * self.visit_count
    }
}

struct Mm1 {
    ctx: SimulationContext,
    luck: Luck,
    arrived_at: VecDeque<f64>,
    is_busy: bool,
    event_count: u64,
    wait_sum: f64,
}

#[derive(Clone, Serialize)]
struct Arrived {}

#[derive(Clone, Serialize)]
struct Served {}

fn mm1(sim: &mut Simulation) -> Models {
    let ctx = sim.create_context("mm1");
    let mut luck = Luck::new(1);
    ctx.emit_self(Arrived {}, secs(luck.delay_ns(Workload::MM1_ARRIVAL_NS)));
    let arrived_at = VecDeque::new();
    let model = Mm1 { ctx, luck, arrived_at, is_busy: false, event_count: 0, wait_sum: 0.0 };
    alone(sim, "mm1", model)
}

impl Mm1 {
    fn arrive(&mut self) {
        let delay_ns = self.luck.delay_ns(Workload::MM1_ARRIVAL_NS);
        self.ctx.emit_self(Arrived {}, secs(delay_ns));
        if self.is_busy {
            self.arrived_at.push_back(self.ctx.time());
        } else {
            self.is_busy = true;
            self.serve();
        }
    }

    fn serve(&mut self) {
        let service_ns = self.luck.delay_ns(Workload::MM1_SERVICE_NS);
        self.ctx.emit_self(Served {}, secs(service_ns));
    }

    fn leave(&mut self) {
        match self.arrived_at.pop_front() {
            Some(arrived_at) => {
                self.wait_sum += self.ctx.time() - arrived_at;
                self.serve();
            }
            None => self.is_busy = false,
        }
    }
}

impl EventHandler for Mm1 {
    fn on(&mut self, event: Event) {
        self.event_count += 1;
        cast!(match event.data {
            Arrived {} => {
                self.arrive();
            }
            Served {} => {
                self.leave();
            }
        })
    }
}

impl Counted for Mm1 {
    fn event_count(&self) -> u64 {
        self.event_count
    }
    fn check(&self) -> u64 {
        (self.wait_sum * 1e9) as u64
    }
}

struct Timers {
    ctx: SimulationContext,
    luck: Luck,
    timeouts: Vec<Option<simcore::event::EventId>>,
    event_count: u64,
    check: u64,
}

#[derive(Clone, Serialize)]
struct Ticked {
    idx: u32,
}

#[derive(Clone, Serialize)]
struct TimedOut {
    idx: u32,
}

fn timers(sim: &mut Simulation) -> Models {
    let ctx = sim.create_context("timers");
    let mut luck = Luck::new(1);
    for idx in 0..Workload::TIMER_COUNT {
        ctx.emit_self(Ticked { idx }, secs(luck.word() % Workload::TIMER_PERIOD_NS));
    }
    let timeouts = vec![None; Workload::TIMER_COUNT as usize];
    alone(sim, "timers", Timers { ctx, luck, timeouts, event_count: 0, check: 0 })
}

impl Timers {
    fn tick(&mut self, idx: u32) {
        let timeout = &mut self.timeouts[idx as usize];
        if !self.luck.word().is_multiple_of(10)
            && let Some(event_id) = *timeout
        {
            self.ctx.cancel_event(event_id);
        }
        *timeout = Some(self.ctx.emit_self(TimedOut { idx }, secs(Workload::TIMEOUT_NS)));
        self.ctx.emit_self(Ticked { idx }, secs(Workload::TIMER_PERIOD_NS));
    }

    fn time_out(&mut self, idx: u32) {
        self.check += u64::from(idx) + 1;
    }
}

impl EventHandler for Timers {
    fn on(&mut self, event: Event) {
        self.event_count += 1;
        cast!(match event.data {
            Ticked { idx } => {
                self.tick(idx);
            }
            TimedOut { idx } => {
                self.time_out(idx);
            }
        })
    }
}

impl Counted for Timers {
    fn event_count(&self) -> u64 {
        self.event_count
    }
    fn check(&self) -> u64 {
        self.check
    }
}
