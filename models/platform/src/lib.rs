//! The only crate that knows all models: owns the World and its events, and wires the models.
//!
//! A pure function from inputs to a run: no file, no thread, no clock. Start reading at [`Plan`]
//! (what is simulated), then [`World`] (who tells whom what).

mod event;
mod fault;
mod plan;
mod rare;
mod world;

pub use event::Event;
pub use fault::FaultEvent;
pub use plan::{Fidelity, Plan, RunEnd};
pub use world::World;
