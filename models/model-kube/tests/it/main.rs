//! The cluster in virtual time: timelines as text, distributions against recordings, invariants.

mod control_plane;
mod distributions;
mod invariants;
mod node_autoscaling;
mod node_groups;
mod restored;
mod rollouts;
mod scheduling_invariants;
mod timelines;
mod world;
