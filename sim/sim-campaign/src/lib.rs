//! Many runs of one plan: made in parallel, folded in order.
//!
//! The only crate that starts threads. A run does not know which thread makes it, and results are
//! folded in the order of run indices on one thread, so that the bytes of a result do not depend on
//! how many threads there were.
//!
//! Start reading at [`Campaign`].

mod campaign;
mod exposure;
mod result;

pub use campaign::{Campaign, CampaignError, in_order};
pub use result::Naming;
