//! The only crate that knows all models: owns the World and its events, and wires the models.
//!
//! A pure function from inputs to a run: no file, no thread, no clock. Start reading at [`Plan`]
//! (what is simulated), then [`World`] (who tells whom what).

mod event;
mod fault;
mod plan;
mod rare;
mod takeover;
mod world;

use model_api::SimSpan;
use model_api::storage::Pool;
pub use model_storage::durability::Durability;

pub use event::Event;
pub use fault::FaultEvent;
pub use plan::{Fidelity, Plan, RunEnd};
pub use takeover::{Takeover, TakeoverTrials};
pub use world::World;

/// How durable a storage pool is, and how long a lost disk is missing: this needs no run.
pub fn pool_durability(pool: &Pool) -> (Durability, SimSpan) {
    let repair = model_storage::durability::repair_span(pool);
    (model_storage::durability::durability(pool, repair), repair)
}
