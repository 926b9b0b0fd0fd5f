//! The cluster in virtual time: timelines as text, distributions against recordings, invariants.

mod api_balancer;
mod claims;
mod control_plane;
mod daemons;
mod disks;
mod distributions;
mod garbage;
mod gates;
mod invariants;
mod jobs;
mod members;
mod memory;
mod node_autoscaling;
mod node_groups;
mod off_peak;
mod overload;
mod probes;
mod restored;
mod rollouts;
mod scheduling_invariants;
mod shutdowns;
mod timelines;
mod upgrades;
mod waiting;
mod webhooks;
mod world;
