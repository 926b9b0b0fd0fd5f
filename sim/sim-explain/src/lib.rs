//! Why the platform decides as it does: single decisions about the user's own manifests.
//!
//! Each question has a file: [`schedule()`], [`hpa()`], [`pdb()`], [`rollout()`], [`autoscaler()`],
//! [`vpa()`], [`eviction()`]. Each takes a [`Blueprint`] and what the user adds to it, asks the pure
//! decisions of `model-kube` (those that the simulated world calls), and gives a
//! [`report_data::DecisionReport`]: the decision, the numbers it came from, the fields that made it.
//! Nothing is decided here.
//!
//! [`Blueprint`]: model_api::Blueprint

mod amount;
mod autoscaler;
mod draft;
mod eviction;
mod expanders;
mod hpa;
mod pdb;
mod placed;
mod refusal;
mod rollout;
mod schedule;
mod typed;
mod vpa;

pub use autoscaler::{AutoscalerQuestion, autoscaler};
pub use eviction::{EvictionQuestion, eviction};
pub use hpa::{HpaQuestion, MetricReading, Reading, hpa};
pub use pdb::{PdbQuestion, pdb};
pub use refusal::Refusal;
pub use rollout::{RolloutQuestion, rollout};
pub use schedule::{ScheduleQuestion, schedule};
pub use typed::{Length, Past, PodCount, Usage};
pub use vpa::{Samples, VpaQuestion, read_samples, vpa};
