//! How durable the storage pools of a platform are.

use serde::{Deserialize, Serialize};

/// The durability of one pool: probabilities that data is lost in a year. What strikes many disks at once
/// stands beside the disks, because it dominates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PoolDurability {
    /// The pool.
    pub pool: String,
    /// How it keeps data: `5+4 over 3 zones`.
    pub redundancy: String,
    /// How long it takes to make a lost disk anew, in nanoseconds.
    pub repair_ns: u64,
    /// By disks that fail independently, with repairs one after another: an upper bound.
    pub disks_serial: f64,
    /// The same, by disks that fail within one window of repair.
    pub disks_parallel: f64,
    /// By zones that are destroyed.
    pub zones: f64,
    /// By people and software that delete.
    pub mistakes: f64,
    /// All together.
    pub total: f64,
}
