//! Clusters under faults: timelines with fixed timers, distributions, invariants.

mod instances;
mod invariants;
mod ledger;
mod outage;
mod patroni;
mod recorded;
mod timelines;
mod update;
mod world;
