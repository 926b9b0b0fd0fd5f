//! Requests that meet a rate limit of the gateway they come in through.

use model_api::limiter::StoreSeen;
use model_api::observation::LossReason;
use sim_kernel::{SimSpan, SimTime};

use super::{Call, Engine, Outcome, Sent};
use crate::request::limits::Admission;

impl Engine {
    pub(in crate::request) fn set_store(&mut self, limit: usize, seen: StoreSeen) {
        self.known.stores[limit] = seen;
    }

    /// Lets an attempt meet the limit of its gateway: how long it waits for the store before it passes, or
    /// what becomes of it.
    #[inline(never)]
    pub(super) fn meet_limit(
        &mut self,
        limit: u32,
        call: &Call,
        live_count: u32,
        now: SimTime,
    ) -> Result<SimSpan, Sent> {
        let idx = limit as usize;
        let spec = &self.plan.parts[self.part].limits[idx];
        let seen = self.known.stores[idx];
        let (reason, after) = match self.limits[idx].admit(spec, seen, live_count, now) {
            Admission::Passes(after) => return Ok(after),
            Admission::Refused => (LossReason::RateLimited, SimSpan::ZERO),
            Admission::Failed(after) => (spec.store_loss(), after),
        };
        self.ask_twin(call.node as usize);
        let zone = self.ask_zone(call, false);
        self.tell_zone(zone, self.window, SimSpan::ZERO, reason);
        self.tell_twin(call.node as usize, self.window, SimSpan::ZERO, reason);
        self.tell_refused(call, reason);
        if after.is_zero() {
            return Err(Sent::Refused(reason));
        }
        let is_named = self.edges[call.edge as usize].wire.is_named;
        let deadline = if call.is_watched(is_named) {
            self.deadline_of(call)
        } else {
            self.edges[call.edge as usize].deadline(now)
        };
        let at = now.saturating_add(after);
        Err(match deadline {
            Some(deadline) if deadline < at => Sent::Ends(deadline, Outcome::TimedOut),
            _ => Sent::Ends(at, Outcome::Uncounted),
        })
    }

    /// How long requests along a call wait for a store now.
    ///
    /// Simplified: where requests share workers, what holds when one is done with its work counts, and
    /// nobody waits for a store that answers some.
    pub(super) fn held(&self, edge: u32) -> SimSpan {
        let Some(limit) = self.edges[edge as usize].wire.limit else { return SimSpan::ZERO };
        let spec = &self.plan.parts[self.part].limits[limit as usize];
        let uncounted = spec.uncounted_all(self.known.stores[limit as usize]);
        uncounted.map_or(SimSpan::ZERO, |it| it.after)
    }

    /// Why a call is lost whose limit could not be asked for.
    pub(super) fn store_loss(&self, edge: u32) -> LossReason {
        let limit = self.edges[edge as usize].wire.limit.expect("it met a limit");
        self.plan.parts[self.part].limits[limit as usize].store_loss()
    }
}
