//! Vocabulary the models share: ids, units, Kubernetes objects, the blueprint, observations.
//!
//! Data only. Nothing here decides anything, so nobody has to wait for it; the only functions are
//! constructors, accessors and the matching rules that are part of what a Kubernetes selector *is*.
//!
//! Start reading at [`Blueprint`] (what a platform is) and [`Observation`] (what a run reports).

pub mod action;
pub mod backup;
pub mod blueprint;
pub mod calendar;
pub mod canary;
pub mod control_plane;
pub mod fault;
pub mod gateway;
pub mod guarantee;
pub mod ids;
pub mod kube;
pub mod load;
pub mod machines;
pub mod memory;
pub mod metric;
pub mod observation;
pub mod parameters;
pub mod path;
pub mod registry;
pub mod source;
pub mod stake;
pub mod storage;
pub mod time_zone;
pub mod usage;

pub use blueprint::Blueprint;
pub use ids::{
    AutoscalerId, BalancerId, BudgetId, CanaryId, DataSetId, DatabaseId, FaultId, KeyId, LoadId,
    NodeId, PlaceId, PodId, PolicyId, PoolId, PoolerId, ServiceId, VerticalAutoscalerId,
    WorkloadId, ZoneId,
};
pub use observation::Observation;
pub use parameters::Parameters;
pub use registry::Registry;
pub use sim_kernel::{SimSpan, SimTime};
pub use source::{Origin, SourceRef};
