//! Tests of the whole reader.

mod autoscaling;
mod backups;
mod bad_input;
mod cluster;
mod explained;
mod jobs;
mod library;
mod lints;
mod mutated;
mod off_peak;
mod network_policies;
mod overrides;
mod profiles;
mod read;
mod support;
