//! When no zone had power, so that no design over these zones could have answered anybody.
//!
//! A zone that is merely cut off still runs, and a design may have all it needs in it.

use model_api::ZoneId;
use sim_kernel::{SimSpan, SimTime};

/// When all zones were without power at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dark {
    zone_count: usize,
    without_power: Vec<ZoneId>,
    since: Option<SimTime>,
    stretches: Vec<(SimTime, SimTime)>,
}

impl Dark {
    pub(crate) fn new(zone_count: usize) -> Self {
        Self { zone_count, ..Self::default() }
    }

    /// A zone has no power any more.
    pub(crate) fn lose(&mut self, zone: ZoneId, at: SimTime) {
        if !self.without_power.contains(&zone) {
            self.without_power.push(zone);
        }
        if self.without_power.len() >= self.zone_count {
            self.since.get_or_insert(at);
        }
    }

    /// A zone is back.
    pub(crate) fn restore(&mut self, zone: ZoneId, at: SimTime) {
        self.without_power.retain(|without| *without != zone);
        if self.without_power.len() < self.zone_count {
            self.close(at);
        }
    }

    /// The run is over.
    pub(crate) fn close(&mut self, at: SimTime) {
        if let Some(since) = self.since.take()
            && at > since
        {
            self.stretches.push((since, at));
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.stretches.is_empty() && self.since.is_none()
    }

    /// The dark parts of a stretch of time that is over, in order; each of them lasts.
    pub(crate) fn within(
        &self,
        from: SimTime,
        until: SimTime,
    ) -> impl Iterator<Item = (SimTime, SimTime)> + '_ {
        let open = self.since.map(|since| (since, until.max(since)));
        let all = self.stretches.iter().copied().chain(open);
        all.map(move |(start, end)| (start.max(from), end.min(until)))
            .filter(|(start, end)| end > start)
    }

    /// The longest dark part of a stretch of time.
    pub(crate) fn longest_within(&self, from: SimTime, until: SimTime) -> SimSpan {
        self.within(from, until).map(|(start, end)| end - start).max().unwrap_or_default()
    }

    /// Whether a moment lies in the dark, its first and last moment included: what breaks with the last
    /// zone breaks because of it.
    pub(crate) fn contains(&self, at: SimTime) -> bool {
        self.stretches.iter().any(|(start, end)| (*start..=*end).contains(&at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(at: u64) -> SimTime {
        SimTime::from_secs(at)
    }

    #[test]
    fn it_is_dark_while_no_zone_has_power() {
        let mut dark = Dark::new(2);
        dark.lose(ZoneId(0), secs(10));
        assert!(dark.is_empty(), "a zone is left");
        dark.lose(ZoneId(1), secs(20));
        let open: Vec<_> = dark.within(secs(0), secs(25)).collect();
        assert_eq!(open, [(secs(20), secs(25))]);
        dark.restore(ZoneId(0), secs(30));
        dark.restore(ZoneId(1), secs(40));
        dark.lose(ZoneId(0), secs(50));
        dark.lose(ZoneId(1), secs(55));
        dark.close(secs(60));
        let all: Vec<_> = dark.within(secs(25), secs(100)).collect();
        assert_eq!(all, [(secs(25), secs(30)), (secs(55), secs(60))]);
        assert_eq!(dark.longest_within(secs(0), secs(100)), SimSpan::from_secs(10));
        let inside: Vec<bool> = [19, 20, 30, 31].map(|at| dark.contains(secs(at))).to_vec();
        assert_eq!(inside, [false, true, true, false]);
    }
}
