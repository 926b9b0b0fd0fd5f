//! Cases of the real components, from the shared folder beside the repository, and case files that
//! are wrong.

mod autoscaling;
mod controllers;
mod postgres;
mod reading;
mod rows;
mod scheduling;
mod upstream;
