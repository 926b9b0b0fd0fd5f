//! Attempts that pods of a revision that is tried answer, and copies of attempts that they get.

use model_api::canary::TOTAL_WEIGHT;
use model_api::observation::LossReason;
use sim_kernel::{Purpose, SimSpan, SimTime};

use super::{Call, Caller, Engine, Loss, tell};
use crate::graph::NodeIdx;
use crate::split::Split;

pub(super) const SIDE: Purpose = Purpose::new("revision that answers a request");
pub(super) const ERROR: Purpose = Purpose::new("error of a faulty revision");

impl Engine {
    pub(in crate::request) fn set_split(&mut self, node: NodeIdx, split: Split) {
        self.splits[node] = split;
    }

    pub(in crate::request) fn set_failing(&mut self, node: NodeIdx, failing_ppm: u32) {
        self.failing_ppm[node] = failing_ppm;
    }

    /// Whose pods an attempt goes to: those of the Service, or those of its twin, by weight.
    #[inline]
    pub(super) fn pick(&mut self, call: &Call) -> u32 {
        if self.edges[call.edge as usize].wire.is_divided {
            return self.pick_station(call);
        }
        let edge = &mut self.edges[call.edge as usize];
        let Some(twin) = edge.wire.twin.filter(|_| call.caller != Caller::Nobody) else {
            return call.node;
        };
        let callee = edge.wire.callee;
        let Split { weight, is_mirrored } = self.splits[callee];
        let is_sure = weight >= TOTAL_WEIGHT;
        let is_for_twin = !is_mirrored
            && weight > 0
            && (is_sure || edge.side.draw().below(u64::from(TOTAL_WEIGHT)) < u64::from(weight));
        if is_for_twin { twin } else { super::number(callee) }
    }

    /// Sends a copy of an attempt to the twin, where requests are mirrored. Nobody waits for it.
    pub(super) fn copy(&mut self, call: &Call, now: SimTime) {
        let wire = &self.edges[call.edge as usize].wire;
        let (Some(node), is_denied) = (wire.twin, wire.is_denied) else { return };
        if is_denied || call.caller == Caller::Nobody || !self.splits[wire.callee].is_mirrored {
            return;
        }
        let window = self.window;
        let copy = Call {
            caller: Caller::Nobody,
            node,
            serial: 0,
            attempt: 0,
            held_since: None,
            window,
            ..*call
        };
        self.attempt(Call { first_at: now, ..copy }, None, now);
    }

    /// Whether the pods of a node answer a request with an error.
    #[inline]
    pub(super) fn errs(&mut self, node: usize) -> bool {
        let failing_ppm = self.failing_ppm[node];
        failing_ppm > 0 && self.errors[node].draw().below(1_000_000) < u64::from(failing_ppm)
    }

    /// How a visit begins: as one that will be answered with an error, or well.
    pub(super) fn first_failure(&mut self, node: usize) -> Loss {
        if self.errs(node) {
            Loss { at: self.hops[node].owner, reason: LossReason::Errors }
        } else {
            Loss::NONE
        }
    }

    /// An attempt reached the pods of a twin, or would have.
    #[inline]
    pub(super) fn ask_twin(&mut self, node: usize) {
        if self.hops[node].is_twin {
            self.tallies[node].asked();
        }
    }

    /// What became of an attempt at the pods of a twin.
    #[inline]
    pub(super) fn tell_twin(
        &mut self,
        node: usize,
        window: u32,
        latency: SimSpan,
        reason: LossReason,
    ) {
        if self.hops[node].is_twin {
            tell(&mut self.tallies[node], window, latency, reason);
        }
    }
}
