//! Cases of decisions of the real components, put to the models.
//!
//! A case file is a YAML list. Each case has a name, a source, what is given (objects as the API
//! prints them) and what is expected. [`read()`] reads files with their places; [`check`] finds the
//! area of a case, lets its adapter put the question to the model that answers it in every run, and
//! says what differs. One adapter an area, one model behind it: nothing is decided here.
//!
//! Results that were measured on a real PostgreSQL are another kind of file: [`read_results`] reads
//! them, [`compare_results`] simulates each repetition many times and compares.
//!
//! Start reading at [`check`]; then [`read()`], and `case.rs` for what adapters share.

mod amounts;
mod area;
mod case;
mod cluster_autoscaler;
mod controllers;
mod file;
mod hpa;
mod object;
mod postgres;
mod report;
mod scheduling;
mod tree;
mod vpa;

pub use area::check;
pub use case::{Difference, Outcome};
pub use file::{CaseFile, CaseNode, Read, read};
pub use postgres::{RULE, RUN_COUNT, Results, compare_results, read_results};
pub use report::report;
