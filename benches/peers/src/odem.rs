//! Hold and M/M/1 on odem-rs: asynchronous processes on a calendar of trees, time in
//! floating-point seconds.
//!
//! Its unit is a process that waits, not an event, so PHOLD and cancelled timers would be
//! other programs; they are left out.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::pin::pin;
use std::task::Waker;

use benches::{Luck, Work, Workload};
use odem_rs::core::ops::waker;
use odem_rs::prelude::*;

use crate::watch::Watch;

fn secs(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

/// Runs a workload if it can be written as processes that wait.
pub fn run(workload: Workload, watch: &mut Watch) -> Option<Work> {
    let horizon = secs(workload.horizon_ns());
    match workload {
        Workload::Hold { pending_count, .. } => Some(hold(pending_count as usize, horizon, watch)),
        Workload::Mm1 { .. } => Some(mm1(horizon, watch)),
        Workload::Phold { .. } | Workload::Timers { .. } => None,
    }
}

#[odem_rs::main]
async fn hold(sim: &Sim, process_count: usize, horizon: f64, watch: &mut Watch) -> Work {
    let luck = RefCell::new(Luck::new(1));
    let (event_count, check) = (Cell::new(0), Cell::new(0));
    let delay = || {
        let delay_ns = luck.borrow_mut().delay_ns_of_1s();
        check.set(check.get() + delay_ns);
        secs(delay_ns)
    };
    let (delay, event_count_ref) = (&delay, &event_count);
    let pool = pin!(Pool::with_capacity(process_count).with(Job::new));
    for _ in 0..process_count {
        let first = delay();
        sim.schedule(
            pool.alloc(async move {
                loop {
                    event_count_ref.set(event_count_ref.get() + 1);
                    sim.advance(delay()).await;
                }
            }),
            first,
        );
    }
    watch.start();
    sim.advance(horizon).await;
    watch.stop();
    Work { event_count: event_count.get(), check: check.get() }
}

/// The server of M/M/1 and its queue.
struct Server {
    luck: RefCell<Luck>,
    arrived_at: RefCell<VecDeque<f64>>,
    idle: Cell<Option<Waker>>,
    event_count: Cell<u64>,
    wait_sum: Cell<f64>,
}

impl Server {
    fn count(&self) {
        self.event_count.set(self.event_count.get() + 1);
    }

    async fn arrivals(&self, sim: &Sim) {
        let mut delay_ns = self.luck.borrow_mut().delay_ns(Workload::MM1_ARRIVAL_NS);
        loop {
            sim.advance(secs(delay_ns)).await;
            self.count();
            delay_ns = self.luck.borrow_mut().delay_ns(Workload::MM1_ARRIVAL_NS);
            self.arrived_at.borrow_mut().push_back(sim.now());
            if let Some(waker) = self.idle.take() {
                waker.wake();
            }
        }
    }

    async fn services(&self, sim: &Sim) {
        loop {
            loop {
                let Some(arrived_at) = self.arrived_at.borrow_mut().pop_front() else { break };
                self.wait_sum.set(self.wait_sum.get() + (sim.now() - arrived_at));
                let service_ns = self.luck.borrow_mut().delay_ns(Workload::MM1_SERVICE_NS);
                sim.advance(secs(service_ns)).await;
                self.count();
            }
            self.idle.set(Some(waker().await));
            sleep().await;
        }
    }
}

#[odem_rs::main]
async fn mm1(sim: &Sim, horizon: f64, watch: &mut Watch) -> Work {
    let server = Server {
        luck: RefCell::new(Luck::new(1)),
        arrived_at: RefCell::default(),
        idle: Cell::default(),
        event_count: Cell::default(),
        wait_sum: Cell::default(),
    };
    let services = pin!(Job::new(server.services(sim)));
    sim.activate(services);
    let arrivals = pin!(Job::new(server.arrivals(sim)));
    sim.activate(arrivals);
    watch.start();
    sim.advance(horizon).await;
    watch.stop();
    Work { event_count: server.event_count.get(), check: (server.wait_sum.get() * 1e9) as u64 }
}
