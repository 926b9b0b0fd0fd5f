//! What piled up before the workers of Services, looked at when a window ends.
//!
//! How busy workers are in the long run follows from what clients ask for. Simplified: where others ask, it is
//! taken from how many requests were sent, over some three windows. Users who all wait for answers send as
//! many as workers can do, so that nothing of theirs is told from an overload; as a flow they are told apart.

use sim_kernel::SimTime;

use super::Engine;
use crate::backlog::waiting_by_chance;
use crate::curve::Side;
use crate::graph::{NodeIdx, RowIdx};

/// The part of the newest window in what is known of how many requests are sent.
const NEWEST: f64 = 0.3;

/// How many requests are sent to a node, and whether what piled up waits for it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    /// Requests per second.
    rate: f64,
    is_known: bool,
    is_piled_up: bool,
}

impl Engine {
    /// Looks at what waits now, when the window that goes on is about to end.
    pub(super) fn note_backlog(&mut self, now: SimTime) {
        let plan = std::sync::Arc::clone(&self.plan);
        let graph = &plan.parts[self.part];
        for node in (0..self.paces.len()).rev() {
            let asked = self.asked(node, now, Side::Before);
            let tally = &self.tallies[node];
            let secs = now.saturating_since(tally.window_from()).as_secs_f64();
            let pace = &mut self.paces[node];
            if let Some(millirps) = asked {
                pace.rate = millirps as f64 / 1000.0;
            } else if secs > 0.0 {
                let rate = tally.asked_count() as f64 / secs;
                let newest = if pace.is_known { NEWEST } else { 1.0 };
                (pace.rate, pace.is_known) = (pace.rate + newest * (rate - pace.rate), true);
            }
            if graph.nodes[node].station_of.is_some() {
                continue;
            }
            let rate = self.paces[node].rate;
            let mut is_own = false;
            for &station in graph.nodes_of(&node) {
                let share = self.share_of_station(node, station);
                let station = &mut self.stations[station];
                let (waiting, capacity) = (station.waiting_count(now), station.capacity());
                // Each has a queue of its own, which is as busy as what comes to it makes it.
                let utilization = if capacity > 0.0 { rate * share / capacity } else { 1.0 };
                let by_chance = waiting_by_chance(
                    utilization,
                    station.variation_squared(),
                    station.own_line_count(),
                );
                is_own |= waiting as f64 > by_chance;
            }
            let mut callees =
                graph.edges.of_node[node].iter().map(|it| graph.edges.all[*it].callee);
            self.paces[node].is_piled_up =
                is_own || callees.any(|callee| self.paces[callee].is_piled_up);
        }
    }

    /// Of what comes to a Service, about the share that one of its stations gets: of several callers each counts
    /// as much as another.
    fn share_of_station(&self, node: NodeIdx, station: NodeIdx) -> f64 {
        let graph = self.graph();
        if !graph.is_divided(node) {
            return 1.0;
        }
        let edges = &graph.edges.to_node[node];
        let routes = edges.iter().filter_map(|edge| self.routes.get(*edge));
        let (mut sum, mut count) = (0.0, 0.0);
        for route in routes {
            sum += route.branch_to(station).map_or(0.0, |branch| branch.share);
            count += 1.0;
        }
        if count > 0.0 { sum / count } else { 0.0 }
    }

    /// Whether what piled up waits where requests of a row come to, or are passed on to.
    pub(super) fn is_piled_up(&self, row: RowIdx) -> bool {
        let graph = self.graph();
        let is_for = |client: usize| self.paces[graph.edges.all[client].callee].is_piled_up;
        let node = graph.node_of(row);
        let through = match graph.source_of(row) {
            Some(source) => is_for(source.client),
            None if row == node => {
                let mut sources = graph.edges.sources.iter();
                sources.any(|source| source.service == node && is_for(source.client))
            }
            None => false,
        };
        self.paces[node].is_piled_up || through
    }
}
