//! Faults of one instance of a database.

use model_api::{SimSpan, SimTime};

use super::{ConditionSpec, StartKeys, WindowSpec};
use crate::decode::record;
use crate::source::Spanned;

fault_record! {
    /// The volume of an instance is gone; another pod with an empty one takes its place and copies the primary.
    pub struct DestroyInstanceSpec("destroyInstance") {
        /// Which database, as `namespace/name`.
        database: Spanned<String>,
        /// Name of the instance, such as `orders-db-2`; the primary when left out.
        instance: Option<Spanned<String>>,
    }
}

fault_record! {
    /// The processes of a primary stand still, as stopped by SIGSTOP or in a sandbox that is paused; at the end they go on.
    pub struct FreezePrimarySpec("freezePrimary") {
        /// Which database, as `namespace/name`.
        database: Spanned<String>,
    }
}

fault_record! {
    /// Nothing that a primary sends reaches a standby; at the end it does again.
    pub struct HoldStandbySpec("holdStandby") {
        /// Which database, as `namespace/name`.
        database: Spanned<String>,
        /// Name of the instance, such as `orders-db-2`; a standby drawn at random when left out.
        instance: Option<Spanned<String>>,
    }
}
