//! What pods use of the CPU, as the metrics pipeline measures it.
//!
//! Nobody samples while nothing changes: the CPU that one endpoint of a Service spends is kept as a
//! piecewise linear function of time, and what a scrape would have measured is its mean over the
//! window of that scrape.

use model_api::PodId;
use sim_kernel::{SimSpan, SimTime};

use super::pieces::{Piece, Pieces, share};

/// How often metrics-server scrapes (`--metric-resolution` of its shipped manifests), and so how long
/// a sample measures.
pub(super) const RESOLUTION: SimSpan = SimSpan::from_secs(15);
/// A container younger than a resolution is measured from its start when it is at least this old
/// (metrics-server 0.8, `pkg/storage/pod.go`).
pub(super) const FRESH_MIN: SimSpan = SimSpan::from_secs(10);

/// CPU that a Service's requests cost over a stretch of time, in nanocores for all its endpoints
/// together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceWork {
    /// At its start, which is now.
    pub from_nanocores: u64,
    /// When it bends next, and what it is then; `None` when it stays as it is.
    pub until: Option<(SimTime, u64)>,
}

/// What the endpoints of one Service spend.
#[derive(Clone, Debug, Default)]
pub(super) struct Meter {
    each: Pieces,
    /// Pods that answer requests, since when, by id.
    served: Vec<(PodId, SimTime)>,
}

impl Meter {
    /// Begins a stretch; what came before `now - 3 * RESOLUTION` is forgotten.
    pub(super) fn tell(&mut self, now: SimTime, work: ServiceWork, live_count: u32) {
        let share = |nanocores: u64| share(nanocores, live_count);
        let piece = Piece {
            from: now,
            first: share(work.from_nanocores),
            until: work.until.map(|(at, nanocores)| (at, share(nanocores))),
        };
        self.each.tell(piece, now.saturating_sub(RESOLUTION * 3));
    }

    /// Pods that answer from now on, by id.
    pub(super) fn set_served(&mut self, now: SimTime, live: impl Iterator<Item = PodId>) {
        let since = |pod: PodId| {
            let found = self.served.binary_search_by_key(&pod, |(known, _)| *known);
            found.map_or(now, |idx| self.served[idx].1)
        };
        self.served = live.map(|pod| (pod, since(pod))).collect();
    }

    /// Since when a pod has answered.
    pub(super) fn served_since(&self, pod: PodId) -> Option<SimTime> {
        let found = self.served.binary_search_by_key(&pod, |(known, _)| *known);
        found.ok().map(|idx| self.served[idx].1)
    }

    /// Moments at which what an endpoint spends bends, as far as they are remembered.
    pub(super) fn bends(&self) -> impl Iterator<Item = SimTime> {
        self.each.bends()
    }

    /// Whether what an endpoint spends changes even if nothing happens.
    pub(super) fn is_changing(&self, now: SimTime) -> bool {
        self.each.is_changing(now)
    }

    /// CPU time that an endpoint spends in a window, in nanocores times nanoseconds. Before the first
    /// stretch it spent what it spends at its start.
    pub(super) fn spent(&self, from: SimTime, until: SimTime) -> u128 {
        self.each.spent(from, until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(from_nanocores: u64, until: Option<(u64, u64)>) -> ServiceWork {
        ServiceWork { from_nanocores, until: until.map(|(at, it)| (SimTime::from_secs(at), it)) }
    }

    fn mean(meter: &Meter, from: u64, until: u64) -> u128 {
        let (from, until) = (SimTime::from_secs(from), SimTime::from_secs(until));
        meter.spent(from, until) / u128::from((until - from).as_nanos())
    }

    #[test]
    fn a_window_means_over_steps_and_ramps() {
        let mut meter = Meter::default();
        meter.tell(SimTime::from_secs(100), work(600, None), 3);
        assert_eq!(mean(&meter, 80, 95), 200, "it was so before");
        meter.tell(SimTime::from_secs(110), work(1200, None), 2);
        assert_eq!(mean(&meter, 105, 115), 400);
        meter.tell(SimTime::from_secs(120), work(600, Some((130, 1600))), 1);
        assert!(meter.is_changing(SimTime::from_secs(120)));
        assert_eq!(mean(&meter, 120, 130), 1100);
        assert_eq!(mean(&meter, 115, 125), (600 + 850) / 2);
        meter.tell(SimTime::from_secs(130), work(1600, None), 1);
        assert!(!meter.is_changing(SimTime::from_secs(131)));
        assert_eq!(mean(&meter, 130, 145), 1600);
        meter.tell(SimTime::from_secs(900), work(1600, None), 1);
        assert_eq!(meter.each.count(), 2, "older stretches are forgotten");
    }

    #[test]
    fn a_pod_that_goes_on_answering_keeps_its_start() {
        let mut meter = Meter::default();
        let pods = |ids: &[u32]| ids.iter().copied().map(PodId).collect::<Vec<_>>().into_iter();
        meter.set_served(SimTime::from_secs(1), pods(&[3, 5]));
        meter.set_served(SimTime::from_secs(2), pods(&[5, 9]));
        assert_eq!(meter.served_since(PodId(5)), Some(SimTime::from_secs(1)));
        assert_eq!(meter.served_since(PodId(9)), Some(SimTime::from_secs(2)));
        assert_eq!(meter.served_since(PodId(3)), None);
    }
}
