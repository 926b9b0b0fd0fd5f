//! Vocabulary the models share: ids, units, Kubernetes objects, the blueprint, observations.
//!
//! Data, and of rules only those that the reader and a model both apply or that two models share:
//! what a selector matches, when a schedule falls, what a network policy denies. No state, no draw,
//! so nobody has to wait for it.
//!
//! Start reading at [`Blueprint`] (what a platform is) and [`Observation`] (what a run reports).

pub mod action;
pub mod backup;
pub mod black_start;
pub mod blueprint;
pub mod calendar;
pub mod canary;
pub mod control_plane;
pub mod dns;
pub mod fault;
pub mod gateway;
pub mod guarantee;
pub mod ids;
pub mod kube;
pub mod limiter;
pub mod load;
pub mod machines;
pub mod memory;
pub mod metric;
pub mod observation;
pub mod parameters;
pub mod path;
pub mod registry;
pub mod session;
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
