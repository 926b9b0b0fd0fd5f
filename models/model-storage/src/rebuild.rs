//! Making anew what is missing: how many bytes, in which order, how fast.
//!
//! # Modelled
//! Chunks of disks that are out are made anew on others. Groups that nobody can read go first, then
//! those that one more loss would take, then the rest; all disks of the zones that chunks are made anew
//! in take part, each at its rate. Where the work stands at a moment follows from the time that it began.
//! # Not modelled
//! Reservations (`osd_max_backfills` 1) one by one; what clients write meanwhile; networks between
//! zones. Simplified: a chunk that is not done when something else fails begins anew.
//! # Defaults and their sources
//! Ceph 19 `src/osd/osd_types.h` (`OSD_RECOVERY_INACTIVE_PRIORITY_BASE` above
//! `OSD_RECOVERY_PRIORITY_BASE`), OS-5 of the specification of platform services (20 MB/s a spinning
//! disk, **assumption**); clients are slower by 1.5 to 3 meanwhile, an **assumption** there too.
//! # Invariants
//! What is done never goes back, and never exceeds what was planned.
//! # Checked against
//! A rebuild worked out by hand, in the tests below.

use model_api::storage::Pool;
use sim_kernel::{SimSpan, SimTime};

use crate::placement::Osd;

/// By how much clients are slower while chunks are made anew, in thousandths: at least and at most.
pub const SLOWDOWN_MILLI: (u32, u32) = (1_500, 3_000);

/// How pressing a chunk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Urgency {
    /// Nothing of its group is read or written until it is there.
    Inactive,
    /// One more loss takes its group.
    AtOne,
    /// Its group has fewer chunks than it should.
    Missing,
}

/// A chunk that is made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) urgency: Urgency,
    pub(crate) group: u32,
    pub(crate) slot: u32,
    pub(crate) target: Osd,
}

/// Chunks that are made anew, in the order of their turn.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rebuild {
    pub(crate) items: Vec<Item>,
    /// So many of them are done.
    pub(crate) done: usize,
    since: SimTime,
    each: SimSpan,
}

impl Rebuild {
    /// Begins; `None` when there is nothing to do, or nobody to do it.
    pub(crate) fn begin(
        mut items: Vec<Item>,
        pool: &Pool,
        disk_count: u32,
        now: SimTime,
    ) -> Option<Self> {
        let each = chunk_span(pool, disk_count)?;
        items.sort_by_key(|item| (item.urgency, item.group, item.slot));
        (!items.is_empty()).then_some(Self { items, done: 0, since: now, each })
    }

    /// How many of them are done by then.
    pub(crate) fn done_by(&self, now: SimTime) -> usize {
        let elapsed = now.saturating_since(self.since).as_nanos();
        let count = elapsed.checked_div(self.each.as_nanos()).unwrap_or(u64::MAX);
        usize::try_from(count).unwrap_or(usize::MAX).min(self.items.len())
    }

    /// When the first so many of them are done.
    pub(crate) fn done_at(&self, count: usize) -> SimTime {
        self.since.saturating_add(self.each.saturating_mul(count as u64))
    }

    /// After how many of them the next thing changes: the most pressing ones are done, or all.
    pub(crate) fn next_mark(&self) -> usize {
        let urgency = self.items.get(self.done).map(|item| item.urgency);
        self.items.partition_point(|item| Some(item.urgency) <= urgency)
    }
}

/// Bytes of a chunk.
pub fn chunk_bytes(pool: &Pool) -> u64 {
    let chunks = u64::from(pool.group_count.max(1)) * u64::from(pool.redundancy.needed().max(1));
    pool.stored_bytes / chunks
}

/// How long so many bytes take that so many disks make anew; `None` when there are none.
pub fn rebuild_span(pool: &Pool, bytes: u64, disk_count: u32) -> Option<SimSpan> {
    let rate = u128::from(pool.rebuild_bytes_per_second) * u128::from(disk_count);
    let nanos = (u128::from(bytes) * 1_000_000_000).checked_div(rate)?;
    Some(SimSpan::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
}

fn chunk_span(pool: &Pool, disk_count: u32) -> Option<SimSpan> {
    let span = rebuild_span(pool, chunk_bytes(pool), disk_count)?;
    Some(span.max(SimSpan::from_nanos(1)))
}

#[cfg(test)]
mod tests {
    use model_api::storage::Redundancy;

    use super::*;

    fn pool(redundancy: Redundancy) -> Pool {
        Pool {
            redundancy,
            group_count: 100,
            stored_bytes: 10_000_000_000,
            rebuild_bytes_per_second: 20_000_000,
            ..Pool::default()
        }
    }

    #[test]
    fn chunks_of_a_code_are_smaller_than_copies() {
        let copies = pool(Redundancy::Replicated { size: 3 });
        let code = pool(Redundancy::Erasure { k: 4, m: 2 });
        assert_eq!((chunk_bytes(&copies), chunk_bytes(&code)), (100_000_000, 25_000_000));
        // Bytes over rate of all disks: OS-5.
        assert_eq!(rebuild_span(&copies, 1_000_000_000, 10), Some(SimSpan::from_secs(5)));
        assert_eq!(rebuild_span(&copies, 1_000_000_000, 0), None);
    }

    #[test]
    fn the_most_pressing_go_first() {
        let item = |urgency, group| Item { urgency, group, slot: 0, target: Osd(9) };
        let items = vec![
            item(Urgency::Missing, 1),
            item(Urgency::AtOne, 5),
            item(Urgency::Missing, 0),
            item(Urgency::Inactive, 7),
        ];
        let pool = pool(Redundancy::Replicated { size: 3 });
        let start = SimTime::from_secs(600);
        let mut rebuild = Rebuild::begin(items, &pool, 5, start).expect("there is work");
        let order: Vec<u32> = rebuild.items.iter().map(|item| item.group).collect();
        assert_eq!(order, [7, 5, 0, 1]);
        // A second each: 100 MB at 5 × 20 MB/s.
        let at = |secs: u64| SimTime::from_secs(600 + secs);
        assert_eq!([0, 1, 3, 9].map(|secs| rebuild.done_by(at(secs))), [0, 1, 3, 4]);
        let mut marks = Vec::new();
        while rebuild.done < rebuild.items.len() {
            rebuild.done = rebuild.next_mark();
            marks.push((rebuild.done, rebuild.done_at(rebuild.done)));
        }
        assert_eq!(marks, [(1, at(1)), (2, at(2)), (4, at(4))]);
        assert!(Rebuild::begin(Vec::new(), &pool, 5, start).is_none());
    }
}
