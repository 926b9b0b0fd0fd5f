//! Attempts that meet a load balancer on their way, or a gateway that tries pods: which try accepts
//! them, and when.

use sim_kernel::{Purpose, SimSpan, SimTime};

use super::deadlines::Deadline;
use super::{Call, Caller, Engine, Loose, Outcome};
use crate::edges::EdgeIdx;
use crate::entrance::{Choice, Entrance, Way};
use crate::graph::NodeIdx;

/// How an attempt is held up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hold {
    pub(super) after: SimSpan,
    /// It ends then.
    pub(super) is_in_vain: bool,
    /// What becomes of it when it does, or when its caller gives up before.
    pub(super) lost: Outcome,
    /// Its caller may give up meanwhile.
    pub(super) is_watched: bool,
}

pub(super) const MEMBER: Purpose = Purpose::new("node or pod that is tried");

impl Engine {
    pub(in crate::request) fn set_entrance(&mut self, node: NodeIdx, entrance: Entrance) {
        self.known.entrances[node] = entrance;
    }

    pub(in crate::request) fn set_choice(&mut self, edge: EdgeIdx, choice: Choice) {
        self.known.choices[edge] = choice;
    }

    /// Lets an attempt meet what is on its way. Returns whether it does not come through at once; then
    /// its place is taken care of.
    #[inline(never)]
    pub(super) fn is_held_up(&mut self, call: &Call, place: Option<u32>, now: SimTime) -> bool {
        let edge = &mut self.edges[call.edge as usize];
        let Some(door) = edge.wire.door.filter(|_| call.caller != Caller::Nobody) else {
            return false;
        };
        if edge.wire.is_denied {
            return false;
        }
        let is_client = call.caller == Caller::Client;
        let way = if is_client {
            door.way(self.known.entrances[edge.wire.callee])
        } else {
            door.choice(self.known.choices[call.edge as usize])
        };
        let patience = edge.wire.policy.timeout.filter(|_| is_client);
        let (after, is_in_vain) = match way {
            Way::Silent => (patience.unwrap_or_default(), true),
            Way::Closed => (SimSpan::ZERO, true),
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
        let lost = match (is_client, way) {
            (true, _) => Outcome::Unconnected,
            (false, Way::Closed) => Outcome::Unknown,
            (false, _) => Outcome::Dead,
        };
        let hold = Hold { after, is_in_vain, lost, is_watched: is_client };
        self.hold(call, place, hold, now);
        true
    }

    /// Lets an attempt go on later, or end then.
    pub(super) fn hold(&mut self, call: &Call, place: Option<u32>, hold: Hold, now: SimTime) {
        let Hold { after, is_in_vain, lost, is_watched } = hold;
        let deadline = self.edges[call.edge as usize].deadline(now).filter(|_| is_watched);
        let call_idx = place.unwrap_or_else(|| self.place(*call));
        let held = &mut self.calls[call_idx as usize];
        held.held_since = Some(now);
        let (edge, serial, at) = (call.edge, held.serial, now.saturating_add(after));
        let gives_up = deadline.filter(|deadline| *deadline <= at);
        let is_lost = is_in_vain || gives_up.is_some();
        if let Some(at) = deadline {
            let outcome = if is_lost { lost } else { Outcome::TimedOut };
            self.watch(edge, Deadline { at, call: call_idx, serial, outcome });
        }
        match gives_up {
            Some(_) => {}
            None if is_in_vain => {
                self.calendar.push(at, Loose::Ended { call: call_idx, serial, outcome: lost });
            }
            None => self.calendar.push(at, Loose::Connected { call: call_idx, serial }),
        }
    }

    /// A node or pod accepts the connection, or its name is found.
    pub(super) fn connected(&mut self, call: u32) {
        self.attempt(self.calls[call as usize], Some(call), self.calendar.now());
    }

    /// When the caller of an attempt gives up that was held up.
    pub(super) fn deadline_of(&self, call: &Call) -> Option<SimTime> {
        self.edges[call.edge as usize].deadline(call.held_since?)
    }
}
