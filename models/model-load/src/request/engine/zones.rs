//! Attempts that are divided by zone, node or pod: which station they go to, and which zone answers them.

use model_api::observation::LossReason;
use sim_kernel::{Purpose, SimSpan};

use super::{Call, Engine, tell};
use crate::graph::{NodeIdx, RowIdx};
use crate::request::wiring::number;
use crate::stations::{Place, routes};

pub(super) const STATION: Purpose = Purpose::new("station of a request");
pub(super) const ZONE: Purpose = Purpose::new("zone of an endpoint");

impl Engine {
    pub(in crate::request) fn set_places(&mut self, node: NodeIdx, places: Vec<Place>) {
        self.known.places[node] = places;
        self.is_rerouted = false;
    }

    pub(in crate::request) fn set_marked(
        &mut self,
        node: NodeIdx,
        (are_hinted, are_last_resort): (bool, bool),
    ) {
        self.known.are_hinted[node] = are_hinted;
        self.known.are_last_resort[node] = are_last_resort;
        self.is_rerouted = false;
    }

    pub(in crate::request) fn set_sticky(&mut self, number: usize, shares: Vec<f64>) {
        self.known.sticky[number] = shares;
        self.is_rerouted = false;
    }

    pub(in crate::request) fn set_outside(&mut self, counts: Vec<u32>) {
        self.known.outside = counts;
        self.is_rerouted = false;
    }

    pub(in crate::request) fn set_fronts(&mut self, node: NodeIdx, counts: Vec<u32>) {
        self.known.fronts[node] = counts;
        self.is_rerouted = false;
    }

    /// Divides calls by what was told since the last time.
    pub(in crate::request) fn reroute(&mut self) {
        if !self.is_rerouted {
            self.routes = routes(self.graph(), &self.known);
            self.is_rerouted = true;
        }
    }

    /// The station that an attempt goes to; it may be dropped instead.
    #[inline(never)]
    pub(super) fn pick_station(&mut self, call: &Call) -> u32 {
        let edge = call.edge as usize;
        let callee = self.edges[edge].wire.callee;
        self.is_dropped = false;
        let Some(route) = self.routes.get(edge) else { return number(callee) };
        let branches = &route.branches;
        // Who stays with a pod tries again there, while it is known.
        if call.attempt > 0
            && self.edges[edge].wire.is_sticky
            && route.branch_to(call.node as usize).is_some()
        {
            return call.node;
        }
        let is_sure = branches.len() <= 1 && route.dropped <= 0.0;
        if is_sure {
            return number(branches.first().map_or(callee, |branch| branch.station));
        }
        let mut left = self.edges[edge].side.draw().unit();
        for branch in branches {
            left -= branch.share;
            if left < 0.0 {
                return number(branch.station);
            }
        }
        self.is_dropped = route.dropped > 0.0;
        number(branches.last().map_or(callee, |branch| branch.station))
    }

    /// An attempt comes to an endpoint of a station, or would have; returns the row of its zone.
    ///
    /// `None` where nothing is divided, or no endpoint gets requests.
    #[inline]
    pub(super) fn ask_zone(&mut self, call: &Call, is_dead: bool) -> Option<RowIdx> {
        let first = self.hops[call.node as usize].zones?;
        self.ask_zone_from(first, call, is_dead)
    }

    /// The same where the rows of the zones begin at `first`.
    #[inline(never)]
    fn ask_zone_from(&mut self, first: RowIdx, call: &Call, is_dead: bool) -> Option<RowIdx> {
        let node = call.node as usize;
        let places = &self.known.places[node];
        let of = |place: &Place| {
            if is_dead { place.ready_count - place.live_count } else { place.live_count }
        };
        let sum: u32 = places.iter().map(of).sum();
        let place = if places.iter().filter(|place| of(place) > 0).count() > 1 {
            let mut left = self.zone_draws[node].draw().below(sum.into());
            places.iter().position(|place| {
                let is_here = left < u64::from(of(place));
                left = left.saturating_sub(of(place).into());
                is_here
            })?
        } else {
            places.iter().position(|place| of(place) > 0)?
        };
        let zone = self.plan.parts[self.part].sites[places[place].site];
        let branch = self.routes[call.edge as usize].branch_to(node);
        let crossing = branch.map_or(0.0, |branch| branch.crossing[zone]);
        self.tallies[first + zone].asked();
        self.tallies[first + zone].crossed(crossing);
        Some(first + zone)
    }

    /// What became of an attempt at the endpoints of a zone.
    #[inline]
    pub(super) fn tell_zone(
        &mut self,
        row: Option<RowIdx>,
        window: u32,
        latency: SimSpan,
        reason: LossReason,
    ) {
        if let Some(row) = row {
            tell(&mut self.tallies[row], window, latency, reason);
        }
    }
}
