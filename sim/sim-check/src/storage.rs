//! How storage pools fared: of each, how long it lacked copies, stood still, was made whole.

use model_api::observation::{PoolIo, StorageFact};
use sim_kernel::{SimSpan, SimTime};

/// What happened to one pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolMeasures {
    /// Time in which some placement group had fewer chunks than it should.
    pub below_size: SimSpan,
    /// Time in which reads and writes waited, while losses were noticed and groups peered.
    pub paused: SimSpan,
    /// Time in which they stopped: below `min_size`, without a quorum, or data lost.
    pub stopped: SimSpan,
    /// Time in which one more loss would have taken data.
    pub at_one: SimSpan,
    /// Most bytes that one more loss would have taken.
    pub at_one_bytes_max: u64,
    /// Time in which missing chunks were made anew.
    pub rebuilding: SimSpan,
    /// Bytes of data that are lost.
    pub lost_bytes: u64,
}

/// One pool, as a run goes on.
#[derive(Clone, Copy, Debug, Default)]
struct Watch {
    measures: PoolMeasures,
    below_since: Option<SimTime>,
    at_one_since: Option<SimTime>,
    rebuilding_since: Option<SimTime>,
    io: PoolIo,
    io_since: SimTime,
}

/// All pools.
#[derive(Clone, Debug)]
pub(crate) struct PoolWatch {
    pools: Vec<Watch>,
}

/// Opens or closes a stretch of time; returns its length when it closes.
fn turn(since: &mut Option<SimTime>, is_on: bool, at: SimTime) -> SimSpan {
    match (is_on, *since) {
        (true, None) => *since = Some(at),
        (false, Some(from)) => {
            *since = None;
            return at.saturating_since(from);
        }
        _ => {}
    }
    SimSpan::ZERO
}

impl Watch {
    fn set_io(&mut self, io: PoolIo, at: SimTime) {
        let length = at.saturating_since(self.io_since);
        match self.io {
            PoolIo::Runs => {}
            PoolIo::Pauses => self.measures.paused = self.measures.paused.saturating_add(length),
            _ => self.measures.stopped = self.measures.stopped.saturating_add(length),
        }
        (self.io, self.io_since) = (io, at);
    }

    fn set_redundancy(&mut self, below_ppm: u32, at_one_bytes: u64, at: SimTime) {
        let below = turn(&mut self.below_since, below_ppm > 0, at);
        let at_one = turn(&mut self.at_one_since, at_one_bytes > 0, at);
        let seen = &mut self.measures;
        seen.below_size = seen.below_size.saturating_add(below);
        seen.at_one = seen.at_one.saturating_add(at_one);
        seen.at_one_bytes_max = seen.at_one_bytes_max.max(at_one_bytes);
    }

    fn set_rebuilding(&mut self, is_on: bool, at: SimTime) {
        let length = turn(&mut self.rebuilding_since, is_on, at);
        self.measures.rebuilding = self.measures.rebuilding.saturating_add(length);
    }
}

impl PoolWatch {
    /// Nothing happened to any of so many.
    pub(crate) fn new(count: usize) -> Self {
        Self { pools: vec![Watch::default(); count] }
    }

    /// Takes a fact.
    pub(crate) fn fold(&mut self, at: SimTime, fact: &StorageFact) {
        let pools = &mut self.pools;
        match *fact {
            StorageFact::Io { pool, io } => pools[pool.index()].set_io(io, at),
            StorageFact::Redundancy { pool, below_ppm, at_one_bytes } => {
                pools[pool.index()].set_redundancy(below_ppm, at_one_bytes, at);
            }
            StorageFact::RebuildStarted { pool, .. } => {
                pools[pool.index()].set_rebuilding(true, at)
            }
            StorageFact::RebuildEnded { pool } => pools[pool.index()].set_rebuilding(false, at),
            StorageFact::DataLost { pool, bytes } => {
                let seen = &mut pools[pool.index()].measures;
                seen.lost_bytes = seen.lost_bytes.saturating_add(bytes);
            }
            StorageFact::OsdsLost { .. }
            | StorageFact::OsdsBack { .. }
            | StorageFact::OsdsOut { .. }
            | StorageFact::MinSizeSet { .. }
            | StorageFact::Throttled { .. } => {}
        }
    }

    /// The figures of a run that ended then.
    pub(crate) fn finish(self, end: SimTime) -> Vec<PoolMeasures> {
        let close = |mut watch: Watch| {
            watch.set_io(PoolIo::Runs, end);
            watch.set_redundancy(0, 0, end);
            watch.set_rebuilding(false, end);
            watch.measures
        };
        self.pools.into_iter().map(close).collect()
    }
}

#[cfg(test)]
mod tests {
    use model_api::PoolId;

    use super::*;

    #[test]
    fn stretches_are_summed_and_closed_at_the_end() {
        let pool = PoolId(0);
        let io = |io| StorageFact::Io { pool, io };
        let redundancy =
            |below_ppm, at_one_bytes| StorageFact::Redundancy { pool, below_ppm, at_one_bytes };
        let facts = [
            (10, io(PoolIo::Pauses)),
            (10, redundancy(1_000_000, 0)),
            (40, io(PoolIo::BelowMinSize)),
            (60, redundancy(1_000_000, 5)),
            (100, io(PoolIo::Runs)),
            (100, StorageFact::RebuildStarted { pool, bytes: 9, slowdown_milli: 2000 }),
            (110, redundancy(500_000, 3)),
            (130, StorageFact::RebuildEnded { pool }),
            (130, redundancy(0, 0)),
            (150, StorageFact::DataLost { pool, bytes: 7 }),
            (150, io(PoolIo::DataLost)),
        ];
        let mut watch = PoolWatch::new(1);
        for (at, fact) in facts {
            watch.fold(SimTime::from_secs(at), &fact);
        }
        let secs = SimSpan::from_secs;
        let expected = PoolMeasures {
            below_size: secs(120),
            paused: secs(30),
            stopped: secs(60 + 50),
            at_one: secs(70),
            at_one_bytes_max: 5,
            rebuilding: secs(30),
            lost_bytes: 7,
        };
        assert_eq!(watch.finish(SimTime::from_secs(200)), [expected]);
    }
}
