//! Storage pools: where volumes and buckets stand.

use model_api::storage::FailureDomain;
use serde_json::{Value as Json, json};

use crate::decode::{FromText, record};
use crate::source::Spanned;
use crate::units::{Bytes, Share};

record! {
    /// A pool of disks that volumes or buckets stand on, such as one of Ceph. What stands on it waits while its placement groups peer, stops when too few chunks are left, and is gone with its data.
    pub struct StoragePoolSpec("a storage pool") {
        /// Name.
        name: Spanned<String>,
        /// Zones that its disks stand in; all when left out.
        zones: Vec<Spanned<String>>,
        /// It keeps whole copies; three of them when neither this nor `erasureCoded` is there.
        replicated: Option<ReplicatedSpec>,
        /// It keeps chunks of an erasure code.
        erasure_coded: Option<ErasureCodedSpec>,
        /// What no two chunks of a placement group share: `zone` (spread evenly over them), `host` or `osd`; host when left out, the default of Ceph.
        failure_domain: Option<Spanned<FailureDomain>>,
        /// Machines with disks in each zone; 4 when left out.
        hosts_per_zone: Option<Spanned<u32>>,
        /// Disks in each of these; 6 when left out.
        osds_per_host: Option<Spanned<u32>>,
        /// Zone of each monitor; three, spread over the zones of the pool, when left out.
        monitors: Vec<Spanned<String>>,
        /// Bytes that users keep in it, each counted once; 10Ti when left out.
        stored: Option<Spanned<Bytes>>,
        /// Placement groups (`pg_num`); about 100 chunks a disk when left out.
        placement_groups: Option<Spanned<u32>>,
        /// Bytes a second that one disk takes in while missing chunks are made anew; 20M when left out.
        rebuild: Option<Spanned<Bytes>>,
        /// StorageClasses whose volumes stand in it. A class whose pools have one zone each is bound to zones, another one is not.
        storage_classes: Vec<Spanned<String>>,
        /// Workloads, as `namespace/name`, whose pods answer nothing while reads and writes of the pool do not go on; databases with volumes in it stall by themselves.
        stalls: Vec<Spanned<String>>,
        /// Hosts of image registries that keep their images in it.
        registries: Vec<Spanned<String>>,
        /// Most operations a second of one volume.
        volume_iops: Option<Spanned<u32>>,
        /// Most bytes a second of one volume.
        volume_bandwidth: Option<Spanned<Bytes>>,
        /// Share of disks that fail a year, for the durability; 1.36% when left out.
        disk_failures: Option<Spanned<Share>>,
        /// Share of zones that are destroyed a year, for the durability; 0.3% when left out.
        zone_losses: Option<Spanned<Share>>,
        /// Share of such pools that people or software destroy a year, for the durability; 0.1% when left out.
        mistakes: Option<Spanned<Share>>,
    }
}

record! {
    /// Whole copies.
    pub struct ReplicatedSpec("replicated") {
        /// How many.
        size: Spanned<u32>,
        /// Copies that must answer for reads and writes to go on; `size - size / 2` when left out.
        min_size: Option<Spanned<u32>>,
    }
}

record! {
    /// An erasure code.
    pub struct ErasureCodedSpec("erasureCoded") {
        /// Chunks that the data can be had from.
        k: Spanned<u32>,
        /// Chunks besides.
        m: Spanned<u32>,
        /// Chunks that must answer for reads and writes to go on; `k + 1` when left out.
        min_size: Option<Spanned<u32>>,
    }
}

impl FromText for FailureDomain {
    const EXPECTED: &'static str = "zone, host or osd";

    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "zone" => Ok(Self::Zone),
            "host" => Ok(Self::Host),
            "osd" | "none" => Ok(Self::Osd),
            _ => Err("is no failure domain that is modeled".to_owned()),
        }
    }

    fn schema() -> Json {
        json!({"enum": ["zone", "host", "osd", "none"]})
    }
}
