//! Clients who are more than anybody: counted by themselves, or waiting for answers.

use model_api::observation::LossReason;
use sim_kernel::{SimSpan, SimTime};

use super::{Call, Caller, Engine, tell};
use crate::curve::Side;
use crate::graph::{Node, NodeIdx, RowIdx};
use crate::request::wiring::Wire;

impl Engine {
    /// Requests that clients ask for of a row on that side of an instant, per 1000 s; `None` when
    /// others ask it too.
    pub(super) fn asked(&self, row: RowIdx, at: SimTime, side: Side) -> Option<u64> {
        let graph = self.graph();
        if let Some(source) = graph.source_of(row) {
            let load = graph.load_of(source);
            let rate = self.factors[load.source].rate_of(&load.curve, at, side);
            return load.users.is_none().then_some(rate);
        }
        if graph.served_of(row).is_some() {
            return None;
        }
        let Node { loads, callers, through, .. } = &graph.nodes[row];
        let rates =
            loads.iter().map(|load| self.factors[load.source].rate_of(&load.curve, at, side));
        let is_asked_by_clients = !loads.is_empty()
            && callers.is_empty()
            && through.is_empty()
            && loads.iter().all(|load| load.users.is_none());
        is_asked_by_clients.then(|| rates.sum())
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
