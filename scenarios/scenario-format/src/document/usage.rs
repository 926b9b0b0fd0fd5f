//! What pods use of disks, inodes and process ids.

use model_api::memory::Growth;

use crate::decode::record;
use crate::source::Spanned;
use crate::units::{Bytes, Rate, Share};

record! {
    /// What the pods of a workload take of the disk of their node: no manifest says it. Pods of which nothing is stated take none.
    pub struct DiskSpec("a disk profile") {
        /// The workload, as `namespace/name`.
        workload: Spanned<String>,
        /// The container whose writable layer and logs take it; the first one when left out.
        container: Option<Spanned<String>>,
        /// The `emptyDir` volume that takes it, instead of a container.
        volume: Option<Spanned<String>>,
        /// What a pod takes as soon as it runs; nothing when left out.
        base: Option<Spanned<Bytes>>,
        /// What it takes on while it runs, such as `1Gi/h`; it stays until the pod is gone.
        growth: Option<Spanned<Growth>>,
        /// Files, each of which needs an inode, as soon as it runs; none when left out.
        files: Option<Spanned<u64>>,
        /// Files that it makes while it runs, such as `100/s`.
        new_files: Option<Spanned<Rate>>,
        /// How much faster or slower than that a pod may grow, drawn for each; 10% when left out.
        variation: Option<Spanned<Share>>,
    }
}

record! {
    /// Process ids that the pods of a workload take of their node. Pods of which nothing is stated take none.
    pub struct ProcessesSpec("a process profile") {
        /// The workload, as `namespace/name`.
        workload: Spanned<String>,
        /// How many a pod takes as soon as it runs.
        base: Spanned<u64>,
        /// How many more it takes while it runs, such as `10/min`; they end with its containers.
        growth: Option<Spanned<Rate>>,
        /// How much faster or slower than that a pod may grow, drawn for each; 10% when left out.
        variation: Option<Spanned<Share>>,
    }
}
