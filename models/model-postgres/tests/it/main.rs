//! Clusters under faults: timelines with fixed timers, distributions, invariants.

mod invariants;
mod outage;
mod recorded;
mod timelines;
mod world;
