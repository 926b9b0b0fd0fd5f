//! What a fault does to storage pools.

use crate::fault::ZonePick;
use crate::ids::{PlaceId, PoolId};

/// A fault of storage, or what people do about one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StorageFault {
    /// Disks of a pool are away, or destroyed with what is on them.
    DiskLoss {
        /// Which pool.
        pool: PoolId,
        /// In which zone; in any when left out.
        zone: Option<ZonePick>,
        /// How many.
        count: DiskCount,
        /// They never come back.
        is_destroyed: bool,
    },
    /// A place for copies takes and gives fewer bytes a second.
    Throttle {
        /// Which place.
        place: PlaceId,
        /// Most that can be read.
        read_bytes_per_second: Option<u64>,
        /// Most that can be written.
        write_bytes_per_second: Option<u64>,
    },
    /// People let reads and writes of a pool go on with fewer chunks than before, or more.
    MinSize {
        /// Which pool.
        pool: PoolId,
        /// `min_size`.
        min_size: u32,
    },
}

/// How many disks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskCount {
    /// All.
    All,
    /// Those of so many machines, drawn at random.
    Hosts(u32),
    /// So many, drawn at random.
    Osds(u32),
}
