//! kube-scheduler: which node a pod goes to.
//!
//! # Modelled
//! All filters of the default profile but dynamic resources; its scores with normalization and
//! weights; every plugin argument that [`Profile`] names; built-in and listed default spreading; node
//! order, sampling and the rotating start; nominated pods; a uniform choice among the best;
//! preemption with disruption budgets; the scheduling queue.
//! # Not modelled
//! Dynamic resources, extenders, pod groups, node declared features, opportunistic batching (which
//! never applies to the default profile), CSIStorageCapacity, exclusive in-tree disks.
//! # Defaults and their sources
//! kube-scheduler 1.36: `pkg/scheduler/apis/config/v1/default_plugins.go` (filters, weights),
//! `pkg/scheduler/schedule_one.go` (sampling, ties), `pkg/scheduler/backend/cache/node_tree.go`
//! (node order); each plugin names its own file.
//! # Invariants
//! What is used of a node never exceeds what is allocatable by a decision of this module. Adding and
//! removing the same pod leaves the cache as it was. Every count kept incrementally equals a recount
//! ([`SchedulerCache::is_consistent`]).
//! # Checked against
//! Upstream's own test tables and runs of its default profile, as case files ([`case`]); a slow
//! recount in property tests.
//!
//! Pods of one template are alike to the scheduler, so a template is compiled once: which selectors
//! it satisfies and which counts it changes is known before the run. For every selector and topology
//! key that some template asks about, a tally keeps the number of pods per value; adding a pod
//! changes a few numbers, and a filter reads them. No decision walks over pods.

pub mod case;
pub mod queue;

mod attempt;
mod cache;
mod catalog;
mod filter;
mod hint;
mod local;
mod node_order;
mod preemption;
mod profile;
mod request;
mod score;
mod shape;
mod topology;
mod volume;

pub use attempt::{Attempt, Diagnosis, NodeReport, Placement, Refusal};
pub use cache::{SchedulerCache, ShapeId};
pub use filter::{Code, Rejection, looks_at_pods};
pub use hint::Subject;
pub use preemption::{Budget, Candidate, Preemption};
pub use profile::{DefaultSpreading, Profile, ScoringStrategy};
pub(crate) use request::is_pod_level;
pub use request::{pod_requests, stated_requests};
pub use score::{PluginScore, ScorePlugin};
pub use shape::{PodDescription, default_selector};
pub use volume::{BoundClaim, Claim, ClaimClass, UnboundClaim, Volume, VolumesId};
