//! When callers give up: a queue for each call, of which the calendar holds the oldest.

use sim_kernel::SimTime;

use super::{Engine, Outcome};
use crate::request::wiring::number;

/// When the caller of an attempt gives up, if it still waits then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    pub(super) at: SimTime,
    pub(super) call: u32,
    pub(super) serial: u32,
    pub(super) outcome: Outcome,
}

impl Engine {
    /// Remembers when the caller of an attempt gives up. Those of one edge do in the order in which
    /// they called, so it is enough to wait for the oldest of them.
    #[inline]
    pub(super) fn watch(&mut self, edge: u32, deadline: Deadline) {
        let deadlines = &mut self.edges[edge as usize].deadlines;
        deadlines.push_back(deadline);
        if deadlines.len() == 1 {
            let row = self.sources.len() + self.work.len() + edge as usize;
            self.calendar.set(number(row), deadline.at);
        }
    }

    pub(super) fn deadline(&mut self, edge: u32, row: u32) {
        let now = self.calendar.now();
        while let Some(&Deadline { at, call, serial, outcome }) =
            self.edges[edge as usize].deadlines.front()
        {
            let is_awaited = self.is_awaited(call, serial);
            if is_awaited && at > now {
                return self.calendar.set(row, at);
            }
            self.edges[edge as usize].deadlines.pop_front();
            if is_awaited {
                // Nothing joins this row meanwhile: a retry comes by an event of its own, and a
                // caller that goes on calls along another edge.
                self.ended(call, outcome);
            }
        }
        self.calendar.set(row, SimTime::MAX);
    }
}
