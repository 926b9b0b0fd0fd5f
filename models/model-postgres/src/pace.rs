//! How long it takes the software beside a database to do what no timer paces.

use model_api::parameters::Range;

use crate::instance::{FAST_SHUTDOWN, REWIND};

/// Times of everything that computes. Timers (`ttl`, `loop_wait`, time-outs) are not among them.
///
/// Small values are likelier than large ones: half of all draws lie in the lowest eighth of a
/// range. **Assumptions**, which a machine that is measured replaces: see [`Databases::with_pace`].
///
/// [`Databases::with_pace`]: crate::Databases::with_pace
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// One request of Patroni to the store or to another member, or the work between two of them.
    pub step: Range,
    /// From the request to promote until the instance takes writes; `None` takes
    /// [`Parameters::promotion`](model_api::Parameters::promotion).
    pub promotion: Option<Range>,
    /// Start of PostgreSQL that was shut down cleanly, until Patroni knows.
    pub start: Range,
    /// Recovery after a crash, in addition.
    pub crash_recovery: Range,
    /// Fast shutdown of a primary.
    pub shutdown: Range,
    /// Immediate shutdown.
    pub halt: Range,
    /// `pg_rewind`.
    pub rewind: Range,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            step: Range::millis(5, 200),
            promotion: None,
            start: Range::millis(1_000, 5_000),
            crash_recovery: Range::millis(1_000, 10_000),
            shutdown: FAST_SHUTDOWN,
            halt: Range::millis(50, 1_000),
            rewind: REWIND,
        }
    }
}
