//! Which disks have the chunks of each placement group, and where a missing one is made anew.
//!
//! # Modelled
//! Groups are placed like CRUSH places them when all disks weigh the same: at random, within what the
//! failure domain allows. With zones as the domain a rule takes zones first and machines in each; with
//! machines or disks it knows no zones, so that by bad luck one zone has all of a group.
//! # Not modelled
//! Weights, device classes, upmaps, the balancer; a rule that gives up after so many tries.
//! Simplified: what was made anew elsewhere stays there when its disk comes back.
//! # Defaults and their sources
//! Ceph 19 `doc/rados/operations/crush-map.rst` (rules), `stretch-mode.rst` (two copies of three in one
//! of two zones).
//! # Invariants
//! No disk has two chunks of a group, and no failure domain more than its rule allows.
//! # Checked against
//! The tests below.

use model_api::storage::{FailureDomain, Pool};
use sim_kernel::{EntityKey, Purpose, Stream, Streams};

const PLACED: Purpose = Purpose::new("placement group");
const MOVED: Purpose = Purpose::new("placement group moves");

/// Tries at random before all disks are looked through.
const TRIES: u32 = 32;

/// A disk of a pool, by number: those of a machine follow each other, and machines of a zone do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Osd(pub(crate) u32);

impl Osd {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }

    /// The machine it is in, by number.
    pub(crate) fn host(self, pool: &Pool) -> u32 {
        self.0 / pool.osds_per_host.max(1)
    }

    /// Position of its zone in [`Pool::zones`].
    pub(crate) fn zone(self, pool: &Pool) -> usize {
        (self.0 / pool.zone_osd_count().max(1)) as usize
    }
}

/// A placement group: the disk of each of its chunks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) slots: Vec<Osd>,
}

/// All groups of a pool, before anything is lost.
pub(crate) fn place(pool: &Pool, key: EntityKey, streams: Streams) -> Vec<Group> {
    let group = |number: u32| {
        let mut luck = streams.stream(key.part(u64::from(number)), PLACED);
        Group { slots: slots(pool, &mut luck) }
    };
    (0..pool.group_count).map(group).collect()
}

fn slots(pool: &Pool, luck: &mut Stream) -> Vec<Osd> {
    let width = pool.redundancy.width() as usize;
    let hosts = pool.hosts_per_zone * u32::try_from(pool.zones.len()).unwrap_or(u32::MAX);
    let host_osd = |host: u32, luck: &mut Stream| {
        let disk = luck.draw().below(u64::from(pool.osds_per_host.max(1)));
        Osd(host * pool.osds_per_host + u32::try_from(disk).unwrap_or(0))
    };
    match pool.failure_domain {
        FailureDomain::Zone => {
            let zones = u32::try_from(pool.zones.len()).unwrap_or(u32::MAX);
            let counts = pool.chunks_by_zone();
            let mut slots = Vec::with_capacity(width);
            for (zone, count) in shuffled(zones, counts.len(), luck).into_iter().zip(counts) {
                let first = zone * pool.hosts_per_zone;
                for host in shuffled(pool.hosts_per_zone, count as usize, luck) {
                    slots.push(host_osd(first + host, luck));
                }
            }
            slots
        }
        FailureDomain::Host => {
            let hosts = shuffled(hosts, width, luck);
            hosts.into_iter().map(|host| host_osd(host, luck)).collect()
        }
        FailureDomain::Osd => {
            shuffled(pool.osd_count(), width, luck).into_iter().map(Osd).collect()
        }
    }
}

/// The first `count` of the numbers below `bound` in a random order.
fn shuffled(bound: u32, count: usize, luck: &mut Stream) -> Vec<u32> {
    let mut taken: Vec<u32> = Vec::with_capacity(count);
    let count = count.min(bound as usize);
    while taken.len() < count {
        // The position among those that are left.
        let left = u64::from(bound) - taken.len() as u64;
        let mut pick = u32::try_from(luck.draw().below(left)).unwrap_or(0);
        let mut sorted = taken.clone();
        sorted.sort_unstable();
        for known in sorted {
            pick += u32::from(known <= pick);
        }
        taken.push(pick);
    }
    taken
}

/// The disk on which a chunk of a group is made anew; `None` when the rule finds none.
pub(crate) fn replacement(
    pool: &Pool,
    group: &Group,
    slot: usize,
    is_usable: impl Fn(Osd) -> bool,
    (key, streams, occurrence): (EntityKey, Streams, u64),
) -> Option<Osd> {
    let fits = |osd: Osd| is_usable(osd) && may_take(pool, group, slot, osd);
    let count = pool.osd_count();
    for again in 0..u64::from(TRIES) {
        let number = occurrence.wrapping_mul(u64::from(TRIES)).wrapping_add(again);
        let drawn = streams.draw(key, MOVED, number).below(u64::from(count.max(1)));
        let osd = Osd(u32::try_from(drawn).unwrap_or(0));
        if fits(osd) {
            return Some(osd);
        }
    }
    (0..count).map(Osd).find(|osd| fits(*osd))
}

/// Whether a rule lets a disk have a chunk of a group in the place of the one it had before.
fn may_take(pool: &Pool, group: &Group, slot: usize, osd: Osd) -> bool {
    let others = || group.slots.iter().enumerate().filter(|(idx, _)| *idx != slot);
    let is_free = match pool.failure_domain {
        FailureDomain::Osd => others().all(|(_, other)| *other != osd),
        FailureDomain::Host | FailureDomain::Zone => {
            others().all(|(_, other)| other.host(pool) != osd.host(pool))
        }
    };
    let zone = osd.zone(pool);
    let most = pool.chunks_by_zone().first().copied().unwrap_or(1) as usize;
    let in_zone = others().filter(|(_, other)| other.zone(pool) == zone).count();
    is_free && (pool.failure_domain != FailureDomain::Zone || in_zone < most)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use model_api::ZoneId;
    use model_api::storage::Redundancy;

    use super::*;

    fn pool(redundancy: Redundancy, zones: u32, domain: FailureDomain) -> Pool {
        Pool {
            zones: (0..zones).map(ZoneId).collect(),
            hosts_per_zone: 4,
            osds_per_host: 3,
            redundancy,
            failure_domain: domain,
            group_count: 200,
            ..Pool::default()
        }
    }

    fn placed(pool: &Pool) -> Vec<Group> {
        place(pool, EntityKey::of("pool"), Streams::new(1, 0))
    }

    #[test]
    fn rules_keep_chunks_apart() {
        for domain in [FailureDomain::Zone, FailureDomain::Host, FailureDomain::Osd] {
            for redundancy in
                [Redundancy::Replicated { size: 3 }, Redundancy::Erasure { k: 5, m: 4 }]
            {
                let pool = pool(redundancy, 3, domain);
                for group in placed(&pool) {
                    let width = group.slots.len();
                    assert_eq!(width, redundancy.width() as usize);
                    let osds: BTreeSet<Osd> = group.slots.iter().copied().collect();
                    assert_eq!(osds.len(), width, "{domain:?}");
                    assert!(osds.iter().all(|osd| osd.0 < pool.osd_count()));
                    let hosts: BTreeSet<u32> = osds.iter().map(|osd| osd.host(&pool)).collect();
                    assert!(domain == FailureDomain::Osd || hosts.len() == width, "{domain:?}");
                    if domain == FailureDomain::Zone {
                        let in_zone =
                            |zone| osds.iter().filter(|osd| osd.zone(&pool) == zone).count();
                        assert_eq!([0, 1, 2].map(in_zone), [width / 3; 3]);
                    }
                }
            }
        }
    }

    #[test]
    fn machines_as_a_domain_put_some_groups_into_one_zone() {
        let pool = pool(Redundancy::Replicated { size: 3 }, 2, FailureDomain::Host);
        let groups = placed(&pool);
        let alone = groups.iter().filter(|group| {
            let zones: BTreeSet<usize> = group.slots.iter().map(|osd| osd.zone(&pool)).collect();
            zones.len() == 1
        });
        // 2 × 4·3·2 of 8·7·6 ways: one of seven.
        let share = alone.count() as f64 / groups.len() as f64;
        assert!((0.08..0.22).contains(&share), "{share}");
    }

    #[test]
    fn what_is_lost_goes_where_the_rule_allows() {
        let pool = pool(Redundancy::Replicated { size: 3 }, 3, FailureDomain::Zone);
        let luck = (EntityKey::of("pool"), Streams::new(1, 0), 0);
        for group in placed(&pool) {
            let lost = group.slots[1];
            let is_usable = |osd: Osd| osd != lost;
            let other =
                replacement(&pool, &group, 1, is_usable, luck).expect("its zone has others");
            assert_eq!(other.zone(&pool), lost.zone(&pool));
            // With its zone gone there is no zone that has no copy.
            let is_usable = |osd: Osd| osd.zone(&pool) != lost.zone(&pool);
            assert_eq!(replacement(&pool, &group, 1, is_usable, luck), None);
        }
    }

    #[test]
    fn every_number_comes_once() {
        let mut luck = Streams::new(3, 0).stream(EntityKey::of("pool"), PLACED);
        for count in [1, 4, 7] {
            let mut seen = shuffled(7, count, &mut luck);
            seen.sort_unstable();
            seen.dedup();
            assert!(seen.len() == count && seen.iter().all(|number| *number < 7));
        }
    }
}
