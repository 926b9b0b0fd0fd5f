//! Clients who are more than anybody: counted by themselves, or waiting for answers.

use model_api::observation::LossReason;
use sim_kernel::{SimSpan, SimTime};

use super::{Call, Caller, Engine, Loss, tell};
use crate::curve::{Curve, Side};
use crate::graph::{Node, NodeIdx, RowIdx};
use crate::request::wiring::Wire;

impl Engine {
    /// Requests that clients ask for of a row on that side of an instant, per 1000 s; `None` when
    /// others ask it too.
    pub(super) fn asked(&self, row: RowIdx, at: SimTime, side: Side) -> Option<u64> {
        let graph = self.graph();
        if let Some(source) = graph.source_of(row) {
            let load = graph.load_of(source);
            let rate = self.weighted(load.source, &load.curve, at, side);
            return load.users.is_none().then_some(rate);
        }
        if graph.served_of(row).is_some() {
            return None;
        }
        let Node { loads, callers, through, .. } = &graph.nodes[row];
        let rates = loads.iter().map(|load| self.weighted(load.source, &load.curve, at, side));
        let is_asked_by_clients = !loads.is_empty()
            && callers.is_empty()
            && through.is_empty()
            && loads.iter().all(|load| load.users.is_none());
        is_asked_by_clients.then(|| rates.sum())
    }

    /// What clients of a source ask for whom a name leads, if one does, per 1000 s.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a part of a rate, and `as` saturates"
    )]
    fn weighted(&self, source: usize, curve: &Curve, at: SimTime, side: Side) -> u64 {
        let rate = self.factors[source].rate_of(curve, at, side);
        let weight = self.known.lookups[source].weight(at, side);
        if weight >= 1.0 { rate } else { (rate as f64 * weight + 0.5) as u64 }
    }

    /// A user asks, and waits for an answer.
    pub(super) fn user(&mut self, idx: usize) {
        if let Some(users) = &mut self.sources[idx].users {
            users.ask();
        }
        self.request_count += 1;
        self.call(self.sources[idx].client, Caller::Client, self.calendar.now());
        self.expect(idx);
    }

    /// A request from outside is over. What its gateway lost counts as the fault of that, which was
    /// told of it already.
    #[inline]
    pub(super) fn tell_client(&mut self, call: &Call, latency: SimSpan, loss: Loss) {
        let Wire { callee: entry, told, is_plain, is_denied, .. } =
            self.edges[call.edge as usize].wire;
        let service = told.expect("requests from outside count for the Service they ask for");
        // Without an answer in time, or without having asked, a client blames nobody; and it is told of a
        // limit, whoever keeps it.
        let is_of_client = matches!(
            loss.reason,
            LossReason::TimedOut
                | LossReason::RateLimited
                | LossReason::BreakerOpen
                | LossReason::LoadBalancer
                | LossReason::Name
        );
        let is_own = loss.is_none() || loss.at as usize == service || is_of_client || is_denied;
        let reason = if is_own {
            loss.reason
        } else {
            LossReason::Dependency(self.graph().nodes[entry].service)
        };
        if is_plain {
            tell(&mut self.tallies[service], call.window, latency, reason);
        } else {
            self.tell_more(service, call, latency, reason);
        }
    }

    /// A gateway did not take an attempt, or a dead endpoint of it did.
    pub(super) fn tell_refused(&mut self, call: &Call, reason: LossReason) {
        let Wire { callee, upstream, .. } = self.edges[call.edge as usize].wire;
        if upstream.is_some() && call.caller != Caller::Nobody {
            self.tallies[callee].asked();
            self.tallies[callee].lost(self.window, reason);
        }
    }

    /// A user knows then what became of its request.
    fn hear(&mut self, source: usize, at: SimTime) {
        if let Some(users) = &mut self.sources[source].users {
            users.hear(at);
            self.expect(source);
        }
    }

    /// What became of a request from outside, where its clients are more than anybody.
    #[inline(never)]
    pub(super) fn tell_more(
        &mut self,
        service: NodeIdx,
        call: &Call,
        latency: SimSpan,
        reason: LossReason,
    ) {
        tell(&mut self.tallies[service], call.window, latency, reason);
        let Wire { counted, users, .. } = self.edges[call.edge as usize].wire;
        if let Some(row) = counted {
            tell(&mut self.tallies[row], call.window, latency, reason);
        }
        if let Some(source) = users {
            self.hear(source as usize, call.first_at + latency);
        }
    }
}
