//! Faults of one instance of a database.

use crate::ids::DatabaseId;

/// One instance of a database fails by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstanceFault {
    /// Of which database.
    pub database: DatabaseId,
    /// Which instance.
    pub whom: InstancePick,
    /// What befalls it.
    pub what: InstanceHarm,
}

/// Which instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstancePick {
    /// The one that is primary then.
    Primary,
    /// A standby drawn at random, each run its own.
    Standby,
    /// This one, counted from zero.
    Instance(u8),
}

/// What befalls an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstanceHarm {
    /// Its volume is gone with all that is on it; another pod with an empty volume takes its place.
    VolumeDestroyed,
    /// All its processes stand still until the fault is over.
    Frozen,
    /// Nothing that a primary sends reaches it until the fault is over.
    HeldBack,
}
