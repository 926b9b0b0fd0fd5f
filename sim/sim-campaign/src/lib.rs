//! Many runs of one plan: made in parallel, folded in order.
//!
//! The only crate that starts threads. A run does not know which thread makes it, and results are
//! folded in the order of run indices on one thread, so that the bytes of a result do not depend on
//! how many threads there were.
//!
//! Start reading at [`Campaign`]; a map of loads is many small campaigns ([`LoadMapping`]).

mod campaign;
mod clients;
mod exposure;
mod load_map;
mod members;
mod recommendation;
mod result;
mod storage;

pub use campaign::{Campaign, CampaignError, MEMORY_BYTES_MAX, in_order};
pub use load_map::{LoadMapping, MapError, MapProgress};
pub use result::Naming;
pub use sim_kernel::SimSpan;
