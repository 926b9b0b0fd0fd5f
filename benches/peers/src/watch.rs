//! A stopwatch for CPU time.

use rustix::time::{ClockId, clock_gettime};

/// CPU time of the process between [`Watch::start`] and [`Watch::stop`].
pub struct Watch {
    started_ns: u64,
    stopped_ns: u64,
}

fn cpu_now_ns() -> u64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

impl Watch {
    /// A watch that shows nothing yet.
    pub fn new() -> Self {
        Watch { started_ns: 0, stopped_ns: 0 }
    }

    /// The set-up is done, the loop begins.
    pub fn start(&mut self) {
        self.started_ns = cpu_now_ns();
    }

    /// The loop is done.
    pub fn stop(&mut self) {
        self.stopped_ns = cpu_now_ns();
    }

    /// The CPU time in between.
    pub fn cpu_ns(&self) -> u64 {
        self.stopped_ns - self.started_ns
    }
}
