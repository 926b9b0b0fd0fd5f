//! What becomes of storage pools.

use crate::ids::PoolId;

/// Something about one pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StorageFact {
    /// Disks are away, or destroyed.
    OsdsLost {
        /// Which pool.
        pool: PoolId,
        /// How many.
        count: u32,
        /// They and what is on them never come back.
        is_destroyed: bool,
    },
    /// Disks that were away are back, with what they had.
    OsdsBack {
        /// Which pool.
        pool: PoolId,
        /// How many.
        count: u32,
    },
    /// Disks that stayed away are given up: what they had is made anew.
    OsdsOut {
        /// Which pool.
        pool: PoolId,
        /// How many.
        count: u32,
    },
    /// Reads and writes go on, wait, or do not go on.
    Io {
        /// Which pool.
        pool: PoolId,
        /// What they do.
        io: PoolIo,
    },
    /// How much of what it should have a pool has, from now on.
    Redundancy {
        /// Which pool.
        pool: PoolId,
        /// Share of placement groups that lack chunks, in parts per million.
        below_ppm: u32,
        /// Bytes that one more loss would take, counted once.
        at_one_bytes: u64,
    },
    /// Missing chunks are made anew from now on.
    RebuildStarted {
        /// Which pool.
        pool: PoolId,
        /// How many bytes have to be written.
        bytes: u64,
        /// How much slower clients are meanwhile, in thousandths.
        slowdown_milli: u32,
    },
    /// That is over: done, or begun anew because something else happened.
    RebuildEnded {
        /// Which pool.
        pool: PoolId,
    },
    /// Placement groups have fewer chunks than their data can be had from.
    DataLost {
        /// Which pool.
        pool: PoolId,
        /// Bytes, counted once.
        bytes: u64,
    },
    /// People let reads and writes go on with so many chunks.
    MinSizeSet {
        /// Which pool.
        pool: PoolId,
        /// `min_size`.
        min_size: u32,
    },
    /// A place for copies takes and gives so many bytes a second from now on.
    Throttled {
        /// Which place.
        place: crate::ids::PlaceId,
        /// Bytes that can be read.
        read_bytes_per_second: u64,
        /// Bytes that can be written.
        write_bytes_per_second: u64,
    },
}

/// What reads and writes of a pool do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PoolIo {
    /// They go on.
    #[default]
    Runs,
    /// They wait until the loss or return of disks is noticed and groups have peered.
    Pauses,
    /// They stop: placement groups have fewer chunks than `min_size`.
    BelowMinSize,
    /// They stop: its monitors have no quorum, and disks are away.
    NoQuorum,
    /// They stop: some of its data is lost.
    DataLost,
}

impl PoolIo {
    /// Nothing goes on until something comes back or somebody acts.
    pub const fn is_stopped(self) -> bool {
        matches!(self, Self::BelowMinSize | Self::NoQuorum | Self::DataLost)
    }
}
