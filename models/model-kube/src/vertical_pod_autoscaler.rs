//! Vertical pod autoscaler: what its recommender would write into `status.recommendation`.
//!
//! # Modelled
//! Histograms with linear and exponential buckets, decay by half-lives, checkpoints; one memory peak
//! per container and window; OOM events; percentiles, safety margin, confidence, the minimum of a
//! pod shared by the containers that are looked after; policies (`minAllowed`, `maxAllowed`, `mode`,
//! `controlledResources`). Containers of one name share one histogram from the start: upstream keeps
//! one for each set of labels and merges them, which gives the same shares.
//! # Not modelled
//! The updater and the admission controller (mode `Off` is the safe mode beside an HPA): nothing is
//! evicted or changed by a recommendation. History from Prometheus, which adds the same samples.
//! Aggregations of pods that are long gone (they leave after eight windows). Rounding of the values
//! shown, which is off by default.
//! # Defaults and their sources
//! vertical-pod-autoscaler `pkg/recommender/model/aggregations_config.go` ([`Aggregation`]) and
//! `pkg/recommender/logic/recommender.go` ([`Settings`]), August 2026.
//! # Invariants
//! Lower bound <= target <= upper bound, whatever the samples. Taking away a sample that is alone in
//! its bucket leaves nothing of it.
//! # Checked against
//! `conformance/vpa.yaml`, computed by upstream code, to the last byte.

mod container;
mod estimator;
mod float;
mod histogram;
mod recommendation;
mod usage;

pub use container::{Aggregate, Aggregation, ContainerUsage, MemoryOperation};
pub use estimator::{
    MAX_AMOUNT, amount_from_float, at_least, scaled, with_confidence, with_margin,
};
pub use histogram::{
    BucketScheme, Checkpoint, CheckpointError, DecayingHistogram, Histogram, SchemeError, Timestamp,
};
pub use recommendation::{
    ContainerPolicy, ContainerRecommendation, Resources, Settings, pod_minimum, recommend,
};
pub use usage::{OomKill, UsageSegment, replay};
