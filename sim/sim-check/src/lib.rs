//! Judges a run by what it reported, and a campaign by its runs.
//!
//! The judge knows a run only through its observations; it shares no code with what it judges.
//! Start reading at [`Monitor`] (folds the observations of one run), then [`RunMeasures`] (the
//! figures of one run), then [`judge`] (figures of all runs against guarantees).
//!
//! Must never import a model other than the vocabulary, read a clock, or start a thread.

mod blame;
mod budget;
mod clients;
mod dark;
mod data;
mod eviction;
mod explain;
mod expression;
#[cfg(test)]
mod fixture;
mod gamma;
mod goodput;
mod interval;
mod jobs;
mod judge;
mod latency;
mod line;
mod measures;
mod members;
mod memory;
mod outage;
mod premise;
mod recommended;
mod signal;
mod stability;
mod storage;

pub use blame::Blamed;
pub use budget::AlertSeen;
pub use clients::{ClientMeasures, QUANTILES_PPM};
pub use data::{DataMeasures, Exposure};
pub use explain::{Moment, Story};
pub use expression::{blamed, measured, named_figures};
pub use goodput::Returned;
pub use interval::{Interval, proportion};
pub use judge::{GuaranteeJudgement, Verdict, judge};
pub use measures::{
    DatabaseMeasures, FaultMeasures, Monitor, RunMeasures, ServiceMeasures, Subjects,
    whole_requests,
};
pub use members::{MemberMeasures, Members};
pub use memory::MemoryMeasures;
pub use outage::{Outage, RECOVERY_SHARE_PERCENT, RECOVERY_WINDOW};
pub use recommended::{Amounts, ContainerAmounts, Recommended};
pub use signal::breaks;
pub use storage::PoolMeasures;
