//! Attempts that meet a load balancer on their way: which of its tries accepts them, and when.

use sim_kernel::{Purpose, SimTime};

use super::deadlines::Deadline;
use super::{Call, Caller, Engine, Loose, Outcome};
use crate::entrance::{Entrance, Way};
use crate::graph::NodeIdx;

pub(super) const MEMBER: Purpose = Purpose::new("member that a load balancer tries");

impl Engine {
    pub(in crate::request) fn set_entrance(&mut self, node: NodeIdx, entrance: Entrance) {
        self.known.entrances[node] = entrance;
    }

    /// Lets an attempt meet the balancer before its callee. Returns whether it does not come through at
    /// once; then its place is taken care of.
    #[inline(never)]
    pub(super) fn is_held_up(&mut self, call: &Call, place: Option<u32>, now: SimTime) -> bool {
        let edge = &mut self.edges[call.edge as usize];
        let Some(door) = edge.wire.door.filter(|_| call.caller == Caller::Client) else {
            return false;
        };
        if edge.wire.is_denied {
            return false;
        }
        let patience = edge.wire.policy.timeout;
        let (after, is_in_vain) = match door.way(self.known.entrances[edge.wire.callee]) {
            Way::Silent => (patience.unwrap_or_default(), true),
            Way::Closed => (Default::default(), true),
            Way::Tries(tries) => {
                let is_sure = tries.miss <= 0.0;
                let mut count = 0;
                while !is_sure && count < tries.count && edge.member.draw().chance(tries.miss) {
                    count += 1;
                }
                if count == 0 {
                    return false;
                }
                (tries.span_of(count), count == tries.count)
            }
        };
        // One that is not permitted is told so when it is sent.
        if edge.breaker.as_mut().is_some_and(|breaker| !breaker.permits(now)) {
            return false;
        }
        let deadline = edge.deadline(now);
        let call_idx = place.unwrap_or_else(|| self.place(*call));
        let held = &mut self.calls[call_idx as usize];
        held.held_since = Some(now);
        let (edge, serial, at) = (call.edge, held.serial, now.saturating_add(after));
        let gives_up = deadline.filter(|deadline| *deadline <= at);
        let is_lost = is_in_vain || gives_up.is_some();
        if let Some(at) = deadline {
            let outcome = if is_lost { Outcome::Unconnected } else { Outcome::TimedOut };
            self.watch(edge, Deadline { at, call: call_idx, serial, outcome });
        }
        match gives_up {
            Some(_) => {}
            None if is_in_vain => {
                let outcome = Outcome::Unconnected;
                self.calendar.push(at, Loose::Ended { call: call_idx, serial, outcome });
            }
            None => self.calendar.push(at, Loose::Connected { call: call_idx, serial }),
        }
        true
    }

    /// The balancer found a node that accepts the connection.
    pub(super) fn connected(&mut self, call: u32) {
        self.attempt(self.calls[call as usize], Some(call), self.calendar.now());
    }

    /// When the caller of an attempt gives up that was held up.
    pub(super) fn deadline_of(&self, call: &Call) -> Option<SimTime> {
        self.edges[call.edge as usize].deadline(call.held_since?)
    }
}
