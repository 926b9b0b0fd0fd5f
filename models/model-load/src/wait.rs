//! How many requests wait where nothing limits them.

use sim_kernel::SimSpan;

/// What the queue of a Service without a limit has room for: so much work of its pods. Whoever comes to
/// a full one is refused.
///
/// **Assumption**, not an upstream fact.
pub const OVERLOAD_WAIT: SimSpan = SimSpan::from_secs(1);
