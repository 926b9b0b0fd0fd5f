//! Clients that a name leads, or does not.

use model_api::observation::LossReason;
use sim_kernel::{Purpose, SimTime};

use super::{Call, Caller, Engine, Outcome, Sent};
use crate::curve::Side;
use crate::edges;
use crate::lookup::News;

pub(super) const NAME: Purpose = Purpose::new("what a name says to a client");

impl Engine {
    /// Clients of a source get to know something.
    pub(in crate::request) fn hear_of(&mut self, source: usize, news: News) {
        let now = self.calendar.now();
        self.known.lookups[source] = self.known.lookups[source].hear(news, now);
    }

    /// Services that look up whom they call get to know something.
    pub(in crate::request) fn hear_inside(&mut self, news: News) {
        self.known.inside = self.known.inside.hear(news, self.calendar.now());
    }

    /// Whether a name leads a client to the entrance of a source.
    #[inline(never)]
    pub(super) fn is_led(&mut self, source: usize, now: SimTime) -> bool {
        let weight = self.known.lookups[source].weight(now, Side::After);
        weight >= 1.0 || weight > 0.0 && self.names[source].draw().chance(weight)
    }

    /// Makes an attempt of a client that a name leads; `None` when it finds its entrance.
    #[inline(never)]
    pub(super) fn look_up(&mut self, call: &Call, now: SimTime) -> Option<Sent> {
        let graph = &self.plan.parts[self.part];
        let (lookup, names) = match graph.edges.all[call.edge as usize].from {
            edges::Caller::Client(source) => (self.known.lookups[source], &mut self.names[source]),
            edges::Caller::Service(_) => {
                (self.known.inside, &mut self.edges[call.edge as usize].names)
            }
            edges::Caller::Gateway(_) => return None,
        };
        let found = lookup.found(now, Side::After);
        if call.caller == Caller::Nobody
            || found >= 1.0
            || found > 0.0 && names.draw().chance(found)
        {
            return None;
        }
        let deadline = self.edges[call.edge as usize].deadline(now).filter(|_| lookup.is_silent);
        Some(match deadline {
            Some(at) => Sent::Ends(at, Outcome::Lost),
            None => Sent::Refused(LossReason::Name),
        })
    }
}
