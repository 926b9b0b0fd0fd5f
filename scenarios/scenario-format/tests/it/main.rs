//! Tests of the whole reader.

mod autoscaling;
mod backup_objects;
mod backups;
mod bad_input;
mod canaries;
mod cluster;
mod databases;
mod explained;
mod gateways;
mod jobs;
mod library;
mod lints;
mod memory;
mod mutated;
mod network_policies;
mod off_peak;
mod overrides;
mod poolers;
mod profiles;
mod read;
mod sense;
mod skew;
mod storage;
mod strain;
mod support;
mod usage;
