//! What pods use of a node besides CPU and memory, and what a node can run out of.

use crate::ids::WorkloadId;
use crate::memory::Growth;
use crate::source::Origin;

/// What a node can run out of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeResource {
    /// Memory, in bytes.
    Memory,
    /// The file system of the kubelet, in bytes.
    Disk,
    /// Inodes of that file system.
    Inodes,
    /// Process ids.
    Processes,
}

impl NodeResource {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Memory, Self::Disk, Self::Inodes, Self::Processes];

    /// Its position in [`Self::ALL`].
    pub const fn index(self) -> usize {
        match self {
            Self::Memory => 0,
            Self::Disk => 1,
            Self::Inodes => 2,
            Self::Processes => 3,
        }
    }

    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Disk => "disk space",
            Self::Inodes => "inodes",
            Self::Processes => "process ids",
        }
    }
}

/// What the pods of a workload use of one resource other than memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageProfile {
    /// Whose pods.
    pub workload: WorkloadId,
    /// Of what.
    pub resource: NodeResource,
    /// What a pod uses as soon as it runs.
    pub base: u64,
    /// What it takes on while it runs: so many a day. Files stay until the pod is gone, processes end
    /// with its containers.
    pub growth: Growth,
    /// How much faster or slower than that a pod may grow, in parts per million, drawn for each.
    pub variation_ppm: u32,
    /// Where a disk fills.
    pub place: DiskPlace,
    /// Where it was written.
    pub origin: Origin,
}

/// Where in a pod a disk fills.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiskPlace {
    /// The writable layer and the logs of a container: position among `containers`.
    Container(usize),
    /// An `emptyDir` volume of this name.
    EmptyDir(String),
}

impl Default for DiskPlace {
    fn default() -> Self {
        Self::Container(0)
    }
}

/// An `emptyDir` volume on the disk of the node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EmptyDir {
    /// Name of the volume.
    pub name: String,
    /// `sizeLimit`, in bytes.
    pub size_limit_bytes: Option<u64>,
}
