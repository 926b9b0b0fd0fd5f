//! Limits of a run and the ways in which it can end.
//!
//! Promise: a run always ends, and says why. A model that loops in virtual time, that
//! schedules without end or that goes on for ever meets a limit with a name.

use crate::agenda::PENDING_CAP;
use crate::time::SimTime;

/// How much one run may do. Reaching a limit ends the run with the [`Outcome`] named
/// after it; what was simulated until then stays readable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most events that may be handled. Default: 1,000,000,000, about a minute of
    /// computing for a model with nothing else to do; a scenario of hours needs 1e5.
    pub event_count_max: u64,
    /// Most events that may be pending at once. Default and upper bound:
    /// 4,194,303 (22 bits name a timer), 128 MiB of agenda.
    pub pending_count_max: usize,
    /// Most events that may be handled at one instant. Default: 1,000,000: far above
    /// the burst after a zone loss (each pod of 10,000 nodes once), reached in
    /// milliseconds by a chain of zero delays that never ends.
    pub instant_count_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            event_count_max: 1_000_000_000,
            pending_count_max: PENDING_CAP,
            instant_count_max: 1_000_000,
        }
    }
}

/// Why a run stopped, and when in virtual time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Every event up to and including the horizon was handled; later ones are pending.
    HorizonReached {
        /// The horizon.
        at: SimTime,
    },
    /// Nothing is pending: nothing will ever happen again.
    Exhausted {
        /// When the last event was handled; the start when there was none.
        at: SimTime,
    },
    /// [`Limits::event_count_max`] events were handled and more are due.
    EventLimit {
        /// When the last event was handled.
        at: SimTime,
    },
    /// An event could not be scheduled because [`Limits::pending_count_max`] were
    /// pending. That event is lost, so the run must not be continued.
    PendingLimit {
        /// When the event that wanted to schedule was handled.
        at: SimTime,
    },
    /// [`Limits::instant_count_max`] events were handled at one instant and more are
    /// due at it: most likely a loop of zero delays.
    InstantLimit {
        /// The instant at which time stands still.
        at: SimTime,
    },
}

impl Outcome {
    /// The virtual time that goes with the reason.
    pub const fn at(self) -> SimTime {
        match self {
            Outcome::HorizonReached { at }
            | Outcome::Exhausted { at }
            | Outcome::EventLimit { at }
            | Outcome::PendingLimit { at }
            | Outcome::InstantLimit { at } => at,
        }
    }

    /// Whether the run did all it had to do: no limit cut it short.
    pub const fn is_complete(self) -> bool {
        matches!(self, Outcome::HorizonReached { .. } | Outcome::Exhausted { .. })
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (reason, at) = match self {
            Outcome::HorizonReached { at } => ("reached the horizon", at),
            Outcome::Exhausted { at } => ("ran out of events", at),
            Outcome::EventLimit { at } => ("reached the limit of events per run", at),
            Outcome::PendingLimit { at } => ("reached the limit of pending events", at),
            Outcome::InstantLimit { at } => ("reached the limit of events at one instant", at),
        };
        write!(f, "{reason} at {at}")
    }
}
