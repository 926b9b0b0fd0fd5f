//! Faults of storage, and what people do about them.

use model_api::{SimSpan, SimTime};

use super::{ConditionSpec, StartKeys, WindowSpec};
use crate::decode::record;
use crate::source::Spanned;
use crate::units::Bytes;

fault_record! {
    /// Disks of a storage pool are away, or destroyed: those of machines, single ones, or all of a zone.
    pub struct DiskLossSpec("diskLoss") {
        /// Which pool.
        pool: Spanned<String>,
        /// In this zone, or `random` for another one in each run; in any when left out.
        zone: Option<Spanned<String>>,
        /// Those of so many machines, drawn at random.
        hosts: Option<Spanned<u32>>,
        /// So many, drawn at random; all when neither this nor `hosts` is there.
        osds: Option<Spanned<u32>>,
        /// They never come back, with what is on them.
        destroyed: Option<bool>,
    }
}

fault_record! {
    /// A place for copies is limited to fewer bytes a second.
    pub struct ThrottleSpec("throttle") {
        /// Which place of `backups`.
        place: Spanned<String>,
        /// Most bytes a second that can be read; as before when left out.
        read: Option<Spanned<Bytes>>,
        /// Most bytes a second that can be written; as before when left out.
        write: Option<Spanned<Bytes>>,
    }
}

fault_record! {
    /// Somebody sets the `min_size` of a pool; at the end it is as before.
    pub struct SetMinSizeSpec("setMinSize") {
        /// Which pool.
        pool: Spanned<String>,
        /// Chunks that must answer from then on.
        min_size: Spanned<u32>,
    }
}
