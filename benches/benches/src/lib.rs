//! Workloads for measuring discrete-event kernels, and their implementation on ours.
//!
//! - `cargo bench -p benches` measures them with criterion.
//! - `src/bin/instructions.rs` runs one of them under callgrind, for counts that do not
//!   depend on the machine's mood.
//! - The separate workspace `benches/peers` runs the same workloads in other kernels,
//!   interleaved. It is separate so that no build of ours compiles or even locks rivals.
//!
//! What was measured is in `benches/README.md`.

mod az99;
pub mod batch;
pub mod day;
mod estate;
mod guarded;
pub mod kernel;
pub mod mersenne;
mod requests;
mod workload;

pub use az99::{Az99, az99};
pub use estate::{Estate, hard_day, live_count, with_days, zone_loss};
pub use guarded::guarded;
pub use requests::Chain;
pub use workload::{Luck, Prepared, Work, Workload};
