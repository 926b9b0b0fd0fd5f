//! Clients that a name leads, or does not.

use model_api::observation::LossReason;
use sim_kernel::{Purpose, SimSpan, SimTime};

use super::connect::Hold;
use super::{Call, Caller, Engine, Outcome, Sent};
use crate::curve::Side;
use crate::edges;
use crate::lookup::{Kept, News};

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
        let deadline = self.edges[call.edge as usize].deadline(now);
        if !lookup.is_silent {
            return Some(Sent::Refused(LossReason::Name));
        }
        let gives_up = graph
            .resolvers
            .filter(|_| matches!(call.caller, Caller::Visit(_)))
            .map(|it| now.saturating_add(it.gives_up_after));
        Some(match (deadline, gives_up) {
            (Some(at), Some(gives_up)) if gives_up < at => Sent::Ends(gives_up, Outcome::GivenUp),
            (Some(at), _) => Sent::Ends(at, Outcome::Lost),
            (None, Some(gives_up)) => Sent::Ends(gives_up, Outcome::GivenUp),
            (None, None) => Sent::Refused(LossReason::Name),
        })
    }

    /// How long Services take to look up whom they call.
    pub(in crate::request) fn set_look_up(&mut self, takes: SimSpan) {
        self.known.look_up = takes;
    }

    /// Lets an attempt of a Service wait until it found the name, unless somebody kept the answer. Returns
    /// whether it does.
    #[inline(never)]
    pub(super) fn is_looking_up(&mut self, call: &Call, place: Option<u32>, now: SimTime) -> bool {
        let takes = self.known.look_up;
        let graph = &self.plan.parts[self.part];
        let Some(resolvers) = graph.resolvers.filter(|_| !takes.is_zero()) else { return false };
        let wired = &graph.edges.all[call.edge as usize];
        let edges::Caller::Service(caller) = wired.from else { return false };
        if call.caller == Caller::Nobody || wired.is_denied {
            return false;
        }
        let edge = &mut self.edges[call.edge as usize];
        if edge.breaker.as_mut().is_some_and(|breaker| !breaker.permits(now)) {
            // It is told so when it is sent.
            return false;
        }
        let names = &mut edge.names;
        if resolvers.connecting < 1.0 && !names.draw().chance(resolvers.connecting) {
            return false;
        }
        if !resolvers.kept_for.is_zero() {
            let pods = self.known.endpoints[caller].live_count.max(1);
            let pod = if pods > 1 { names.draw().below(pods.into()) } else { 0 };
            // Calls of one Service for the same one ask the same question.
            let mut same = graph.edges.of_node[caller].iter().copied();
            let first = same.find(|it| graph.edges.all[*it].callee == wired.callee);
            let kept = &mut self.kept[first.unwrap_or(call.edge as usize)];
            let pod = usize::try_from(pod).expect("it is less than a number of pods");
            if kept.len() <= pod {
                kept.resize(pod + 1, Kept::default());
            }
            if !kept[pod].asks(now, takes, resolvers.kept_for) {
                return false;
            }
        }
        let hold =
            Hold { after: takes, is_in_vain: false, lost: Outcome::TimedOut, is_watched: true };
        self.hold(call, place, hold, now);
        true
    }
}
