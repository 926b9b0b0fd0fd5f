//! Storage pools: what is left of data when disks, machines and zones are not.
//!
//! A pool cuts data into placement groups and keeps the chunks of each on different disks. This crate
//! must never look at pods, databases or buckets: it is told which zones are down and which disks are
//! gone, and it says whether reads and writes go on, how fast, and what is lost.
//!
//! # For the platform
//! - Construct: [`Pools::new`] from the blueprint and the luck of the run.
//! - Inputs, each with the context and a list that notices are appended to: [`Pools::set_zone_down`],
//!   [`Pools::destroy_zone`], [`Pools::lose_disks`], [`Pools::return_disks`], [`Pools::set_min_size`].
//! - Events: [`StorageEvent`], back into [`Pools::handle`].
//! - Notices: [`StorageNotice`]; what a pool does then is asked of it: [`Pools::io`],
//!   [`Pools::slowdown_milli`].
//!
//! # Modelled
//! - Replicated pools and erasure codes over zones, machines or disks; `min_size`; monitors.
//! - Detection, peering, disks that are marked out or not, making anew, a second loss meanwhile.
//! - The durability of a pool, with what strikes many disks at once.
//! # Not modelled
//! Full disks; scrubs; cache tiers; quotas; asynchronous replication between clusters (a copy rule of a
//! place says that); gateways in front of a pool; pools whose disks are on nodes of the cluster that
//! they serve (Rook): only faults of zones and of pools reach them. Stores with another rule of quorum
//! (Swift) are described by `min_size`.
//! # Defaults and their sources
//! See the modules. Ceph 19.
//! # Invariants
//! - A pool to which nothing happens has no event and no draw.
//! - Data that is lost is never there again.
//! # Checked against
//! OS-1 to OS-5 of the specification of platform services.

pub mod detection;
mod disks;
pub mod durability;
mod group;
mod placement;
mod pools;
pub mod rare;
mod rebuild;

pub use disks::DiskPick;
pub use group::{Health, health, is_at_one};
pub use pools::{Loss, Pools, StorageEvent, StorageNotice};
pub use rebuild::{SLOWDOWN_MILLI, chunk_bytes, rebuild_span};
