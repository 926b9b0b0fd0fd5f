//! Typed indices into the arenas of a blueprint and a world.

use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);

        impl $name {
            /// The arena position.
            pub const fn index(self) -> usize {
                self.0 as usize
            }

            /// The id of an arena position.
            ///
            /// # Panics
            /// When the position does not fit 32 bits; arenas are limited far below that.
            pub fn from_index(index: usize) -> Self {
                Self(u32::try_from(index).expect("arenas hold fewer than 2^32 entries"))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}#{}", stringify!($name), self.0)
            }
        }
    };
}

id!(
    /// A failure zone: position in [`Blueprint::zones`](crate::Blueprint::zones).
    ZoneId
);
id!(
    /// A node: position in [`Blueprint::nodes`](crate::Blueprint::nodes).
    NodeId
);
id!(
    /// A workload (Deployment, StatefulSet, ...): position in
    /// [`Blueprint::workloads`](crate::Blueprint::workloads).
    WorkloadId
);
id!(
    /// A Service: position in [`Blueprint::services`](crate::Blueprint::services).
    ServiceId
);
id!(
    /// A PodDisruptionBudget: position in [`Blueprint::budgets`](crate::Blueprint::budgets).
    BudgetId
);
id!(
    /// A horizontal autoscaler: position in
    /// [`Blueprint::autoscalers`](crate::Blueprint::autoscalers).
    AutoscalerId
);
id!(
    /// A vertical autoscaler: position in
    /// [`Blueprint::vertical_autoscalers`](crate::Blueprint::vertical_autoscalers).
    VerticalAutoscalerId
);
id!(
    /// A `Canary`: position in [`Blueprint::canaries`](crate::Blueprint::canaries).
    CanaryId
);
id!(
    /// A database cluster: position in [`Blueprint::databases`](crate::Blueprint::databases).
    DatabaseId
);
id!(
    /// A pooler before a database: position in [`Blueprint::poolers`](crate::Blueprint::poolers).
    PoolerId
);
id!(
    /// Requests from outside: position in [`Blueprint::loads`](crate::Blueprint::loads).
    LoadId
);
id!(
    /// A fault of the scenario: position in its fault plan.
    FaultId
);
id!(
    /// A pod of one run. Never reused within a run.
    PodId
);
id!(
    /// Data that can be lost: position in
    /// [`Protection::data_sets`](crate::backup::Protection::data_sets).
    DataSetId
);
id!(
    /// A place for copies: position in [`Protection::places`](crate::backup::Protection::places).
    PlaceId
);
id!(
    /// A key that copies are encrypted with: position in
    /// [`Protection::keys`](crate::backup::Protection::keys).
    KeyId
);
id!(
    /// A policy that makes copies: position in
    /// [`Protection::policies`](crate::backup::Protection::policies).
    PolicyId
);
id!(
    /// A storage pool: position in [`Blueprint::pools`](crate::Blueprint::pools).
    PoolId
);
id!(
    /// A load balancer: position in [`Blueprint::balancers`](crate::Blueprint::balancers).
    BalancerId
);
