//! Timelines recorded from real control planes, beside the distribution of simulated ones.
//!
//! A trace is a folder: what was done to a cluster (`scenario.yaml`), what was seen
//! (`timeline.json`) and figures of it (`summary.yaml`). [`read()`] reads folders; [`Trace::simulate`]
//! lets the cluster of every run, [`model_kube::Cluster`], live through the same once a seed, with
//! the phases of its loops drawn anew; [`compare`] says of every recorded figure whether it lies
//! within what was simulated. Nothing is decided here, and how wide a range is follows from the loops
//! of the model, with two exceptions: the length of a pass of the node monitor is drawn from what the
//! recordings show, and a figure may lie outside of its range by a stated slack.
//!
//! Start reading at [`compare`]; then `stage.rs`, the scenario of a trace, and `rig.rs`, its run.

mod coverage;
mod election;
mod fields;
mod figures;
mod operation;
mod patch;
mod read;
mod recorded;
mod rig;
mod stage;
mod tape;

pub use coverage::{compare, report};
pub use figures::Figures;
pub use read::{Read, Trace, read};
