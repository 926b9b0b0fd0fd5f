//! The cluster in virtual time: timelines as text, distributions against recordings, invariants.

mod conformance;
mod distributions;
mod invariants;
mod scheduling_cases;
mod scheduling_objects;
mod timelines;
mod world;
