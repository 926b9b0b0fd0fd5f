//! Storage pools: where volumes and buckets stand, and what is left of them when disks are not.
//!
//! Data, and the rules of placing that the reader warns by and `model-storage` plays.

use crate::ids::{WorkloadId, ZoneId};
use crate::source::Origin;

/// Widest placement group: `k + m` of an erasure code, or the size of a replicated pool.
pub const WIDTH_MAX: u32 = 32;
/// Most disks of a pool that are looked at one by one.
pub const OSDS_MAX: u32 = 4096;
/// Most placement groups of a pool that are looked at one by one.
pub const GROUPS_MAX: u32 = 1024;
/// Most pools of a platform: a set of them is one machine word.
pub const POOLS_MAX: usize = 64;

/// A pool of disks that volumes or buckets stand on, as Ceph makes it: data is cut into placement
/// groups, each of which has its copies (or chunks of an erasure code) on different disks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pool {
    /// Name.
    pub name: String,
    /// Zones that its disks stand in.
    pub zones: Vec<ZoneId>,
    /// Machines with disks in each zone.
    pub hosts_per_zone: u32,
    /// Disks, each with an OSD, in each of these.
    pub osds_per_host: u32,
    /// How data is kept more than once.
    pub redundancy: Redundancy,
    /// `min_size`: chunks of a placement group that must answer for reads and writes to go on.
    pub min_size: u32,
    /// What no two chunks of a placement group share.
    pub failure_domain: FailureDomain,
    /// Zone of each monitor of its cluster.
    pub monitor_zones: Vec<ZoneId>,
    /// Bytes that users keep in it, each counted once.
    pub stored_bytes: u64,
    /// `pg_num`: placement groups.
    pub group_count: u32,
    /// Bytes a second that one disk takes in while what is missing is made anew.
    pub rebuild_bytes_per_second: u64,
    /// Share of disks that fail a year, in parts per million.
    pub disk_failures_ppm_per_year: u32,
    /// Share of zones that are destroyed a year, in parts per million.
    pub zone_losses_ppm_per_year: u32,
    /// Share of such pools that people or software destroy a year, in parts per million.
    pub mistakes_ppm_per_year: u32,
    /// Classes whose volumes stand in it, by name.
    pub storage_classes: Vec<String>,
    /// Workloads that have volumes in it, database instances among them.
    pub holders: Vec<WorkloadId>,
    /// Workloads besides databases whose pods answer nothing while it does not read and write.
    pub stalled: Vec<WorkloadId>,
    /// Hosts of image registries whose images are in it.
    pub registries: Vec<String>,
    /// Most that one volume reads or writes.
    pub volume: VolumeLimits,
    /// Where it was written.
    pub origin: Origin,
}

/// What a provider limits a volume to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VolumeLimits {
    /// Operations a second.
    pub iops: Option<u32>,
    /// Bytes a second.
    pub bytes_per_second: Option<u64>,
}

/// How data is kept more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redundancy {
    /// Whole copies.
    Replicated {
        /// `size`: how many.
        size: u32,
    },
    /// An erasure code.
    Erasure {
        /// `k`: chunks that all data can be had from, whichever they are.
        k: u32,
        /// `m`: chunks besides.
        m: u32,
    },
}

impl Default for Redundancy {
    /// `osd_pool_default_size` of Ceph: 3.
    fn default() -> Self {
        Self::Replicated { size: 3 }
    }
}

impl Redundancy {
    /// Chunks (or copies) of a placement group.
    pub const fn width(self) -> u32 {
        match self {
            Self::Replicated { size } => size,
            Self::Erasure { k, m } => k + m,
        }
    }

    /// Chunks from which all of its data can be had.
    pub const fn needed(self) -> u32 {
        match self {
            Self::Replicated { .. } => 1,
            Self::Erasure { k, .. } => k,
        }
    }

    /// `min_size` of a pool that states none: of copies `size - size / 2`
    /// (`osd_pool_default_min_size` 0), of chunks `k + min(1, m - 1)` (`OSDMonitor::prepare_pool_size`
    /// of Ceph's `src/mon/OSDMonitor.cc`).
    pub const fn min_size_default(self) -> u32 {
        match self {
            Self::Replicated { size } => size - size / 2,
            Self::Erasure { k, m } => k + if m > 1 { 1 } else { 0 },
        }
    }

    /// Bytes on disks for a byte that is kept, in thousandths.
    pub const fn overhead_milli(self) -> u32 {
        self.width() * 1000 / if self.needed() == 0 { 1 } else { self.needed() }
    }
}

/// What no two chunks of a placement group share (`crush-failure-domain`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FailureDomain {
    /// Chunks are spread over zones evenly, and in a zone over machines.
    Zone,
    /// Chunks stand on different machines, whatever their zones.
    #[default]
    Host,
    /// Chunks stand on different disks, whatever their machines.
    Osd,
}

impl Pool {
    /// Disks.
    pub fn osd_count(&self) -> u32 {
        self.zone_osd_count().saturating_mul(u32::try_from(self.zones.len()).unwrap_or(u32::MAX))
    }

    /// Disks in each zone.
    pub fn zone_osd_count(&self) -> u32 {
        self.hosts_per_zone.saturating_mul(self.osds_per_host)
    }

    /// Chunks of a placement group in each of the zones that it comes to, in order, where zones are the
    /// failure domain: a rule takes all zones and so many machines in each that the chunks have room,
    /// and what is too many is cut off at the end (`choose indep 0 type zone`, `chooseleaf indep N type
    /// host` of Ceph's CRUSH rules). 7 chunks over 3 zones are 3, 3 and 1.
    pub fn chunks_by_zone(&self) -> Vec<u32> {
        let zones = u32::try_from(self.zones.len().max(1)).unwrap_or(u32::MAX);
        let each = self.redundancy.width().div_ceil(zones).max(1);
        let mut left = self.redundancy.width();
        let mut chunks = Vec::new();
        while left > 0 {
            chunks.push(left.min(each));
            left -= left.min(each);
        }
        chunks
    }

    /// The most chunks of a placement group that go with so many zones.
    pub fn most_lost_with(&self, zone_count: usize) -> u32 {
        let width = self.redundancy.width();
        let in_one = match self.failure_domain {
            FailureDomain::Zone => return self.chunks_by_zone().iter().take(zone_count).sum(),
            FailureDomain::Host => self.hosts_per_zone,
            FailureDomain::Osd => self.zone_osd_count(),
        };
        let zones = u32::try_from(zone_count).unwrap_or(u32::MAX);
        if zone_count >= self.zones.len() { width } else { width.min(in_one.saturating_mul(zones)) }
    }

    /// How many of its zones must be left for each placement group to have so many chunks, however
    /// unluckily they are placed.
    pub fn zones_needed_for(&self, chunks: u32) -> u32 {
        let all = self.zones.len();
        let width = self.redundancy.width();
        let fits = |lost: &usize| width - self.most_lost_with(*lost).min(width) >= chunks;
        let lost = (0..=all).take_while(fits).last().unwrap_or(0);
        u32::try_from(all - lost).unwrap_or(u32::MAX)
    }

    /// Zones that must be left for all data to be there.
    pub fn zones_needed(&self) -> u32 {
        self.zones_needed_for(self.redundancy.needed())
    }

    /// Zones that must be left for reads and writes to go on, monitors included.
    pub fn zones_needed_to_serve(&self) -> u32 {
        let chunks = self.zones_needed_for(self.min_size.max(self.redundancy.needed()));
        let all = u32::try_from(self.zones.len()).unwrap_or(u32::MAX);
        let loses_quorum = self.zones.iter().any(|zone| !self.has_quorum(1 << zone.index()));
        if loses_quorum && self.zones.len() > 1 { all } else { chunks }
    }

    /// Whether more than half of the monitors are left without some zones, each a bit.
    pub fn has_quorum(&self, zones_down: u64) -> bool {
        let is_up = |zone: &&ZoneId| zones_down >> zone.index() & 1 == 0;
        let up = self.monitor_zones.iter().filter(is_up).count();
        up > self.monitor_zones.len() / 2
    }

    /// The most bytes a second that one volume moves. Operations move 256 KiB each, the largest that
    /// providers count as one. **Assumption.**
    pub fn volume_bytes_per_second(&self) -> u64 {
        const BYTES_PER_OPERATION: u64 = 256 << 10;
        let by_operations = self.volume.iops.map(|iops| u64::from(iops) * BYTES_PER_OPERATION);
        let limits = by_operations.into_iter().chain(self.volume.bytes_per_second);
        limits.min().unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(redundancy: Redundancy, zones: u32, domain: FailureDomain) -> Pool {
        let zones: Vec<ZoneId> = (0..zones).map(ZoneId).collect();
        Pool {
            monitor_zones: zones.clone(),
            zones,
            hosts_per_zone: 4,
            osds_per_host: 6,
            redundancy,
            min_size: redundancy.min_size_default(),
            failure_domain: domain,
            ..Pool::default()
        }
    }

    const fn copies(size: u32) -> Redundancy {
        Redundancy::Replicated { size }
    }

    const fn code(k: u32, m: u32) -> Redundancy {
        Redundancy::Erasure { k, m }
    }

    #[test]
    fn minimal_sizes_are_those_of_ceph() {
        let expected =
            [(copies(3), 2), (copies(2), 1), (copies(4), 2), (code(4, 2), 5), (code(2, 1), 2)];
        for (redundancy, min_size) in expected {
            assert_eq!(redundancy.min_size_default(), min_size, "{redundancy:?}");
        }
    }

    #[test]
    fn which_codes_go_on_without_a_zone_of_three() {
        // OS-3 of the specification of platform services: with 2c chunks left, k + 1 must be there.
        let cases = [
            (code(4, 2), 4, true, false),
            (code(3, 3), 4, true, true),
            (code(5, 4), 6, true, true),
            (code(7, 5), 8, true, true),
            (code(5, 2), 4, false, false),
            (copies(3), 2, true, true),
            (copies(2), 1, true, true),
        ];
        for (redundancy, left, keeps, serves) in cases {
            let pool = pool(redundancy, 3, FailureDomain::Zone);
            assert_eq!(redundancy.width() - pool.most_lost_with(1), left, "{redundancy:?}");
            assert_eq!(pool.zones_needed() <= 2, keeps, "{redundancy:?}");
            assert_eq!(pool.zones_needed_to_serve() <= 2, serves, "{redundancy:?}");
        }
    }

    #[test]
    fn chunks_that_do_not_divide_evenly_are_cut_off_at_the_end() {
        let pool = pool(code(4, 3), 3, FailureDomain::Zone);
        assert_eq!(pool.chunks_by_zone(), [3, 3, 1]);
        assert_eq!([1, 2, 3].map(|zones| pool.most_lost_with(zones)), [3, 6, 7]);
    }

    #[test]
    fn machines_as_a_domain_may_put_all_copies_in_one_zone() {
        let three = pool(copies(3), 3, FailureDomain::Host);
        assert_eq!((three.most_lost_with(1), three.zones_needed()), (3, 3));
        let mut two = pool(copies(3), 2, FailureDomain::Zone);
        // One zone has two of the copies.
        assert_eq!((two.zones_needed(), two.zones_needed_to_serve()), (1, 2));
        two.min_size = 1;
        two.monitor_zones.push(ZoneId(2));
        assert_eq!(two.zones_needed_to_serve(), 1);
    }

    #[test]
    fn monitors_need_more_than_half() {
        let mut pool = pool(copies(3), 3, FailureDomain::Zone);
        assert!(pool.has_quorum(0b010) && !pool.has_quorum(0b011));
        pool.monitor_zones = vec![ZoneId(0), ZoneId(0), ZoneId(1)];
        assert!(!pool.has_quorum(0b001) && pool.has_quorum(0b010));
        assert_eq!((pool.zones_needed(), pool.zones_needed_to_serve()), (1, 3));
    }

    #[test]
    fn a_volume_is_limited_by_whatever_is_less() {
        let mut pool = Pool::default();
        assert_eq!(pool.volume_bytes_per_second(), u64::MAX);
        pool.volume = VolumeLimits { iops: Some(500), bytes_per_second: Some(64_000_000) };
        assert_eq!(pool.volume_bytes_per_second(), 64_000_000);
        pool.volume.iops = Some(100);
        assert_eq!(pool.volume_bytes_per_second(), 100 << 18);
    }
}
