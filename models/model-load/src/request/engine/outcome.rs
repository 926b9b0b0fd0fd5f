//! What becomes of attempts, and what of it the calendar holds without a row of its own.

use model_api::observation::LossReason;
use sim_kernel::SimTime;

/// A Service did its own part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::request) enum Worked {
    /// Of a visit, which has more to do.
    Visit(u32),
    /// Of an attempt, which is answered with it.
    Attempt { call: u32, serial: u32 },
}

/// What has no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::request) enum Loose {
    /// A Service did its own part, before somebody who came earlier.
    WorkedOff(Worked),
    /// An attempt that nobody can answer came from a caller that does not wait.
    Ended { call: u32, serial: u32, outcome: Outcome },
    /// The pause before a retry is over.
    RetryDue { call: u32, serial: u32 },
    /// A load balancer found a node for an attempt, or a resolver its name.
    Connected { call: u32, serial: u32 },
}

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::request) enum Outcome {
    Answered,
    TimedOut,
    /// Sent to an endpoint that cannot answer.
    Dead,
    /// Network policies drop its packets.
    Denied,
    /// A node without an endpoint drops it.
    NotLocal,
    /// Answered with an error.
    Erred,
    /// A load balancer found no node for it in time.
    Unconnected,
    /// A gateway knew no pod for it.
    Unknown,
    /// Its name led to nobody.
    Lost,
    /// The store of a rate limit did not answer.
    Uncounted,
    /// Nobody answered for its name, and the resolver gave up before its caller.
    GivenUp,
}

/// What becomes of an attempt, as far as it is known when it is made.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sent {
    /// The breaker is open.
    NotMade,
    Refused(LossReason),
    Ends(SimTime, Outcome),
    /// The callee did its own work then, and has more to do.
    Worked(SimTime),
    /// The callee does its own work for several at once.
    Shares,
}
