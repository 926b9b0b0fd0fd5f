//! Calls, their attempts that are under way, and how they were lost.

use model_api::observation::LossReason;
use sim_kernel::SimTime;

/// Where a request was lost, and why; [`LossReason::None`] when it was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Loss {
    pub(super) at: u32,
    pub(super) reason: LossReason,
}

impl Loss {
    pub(super) const NONE: Self = Self { at: 0, reason: LossReason::None };

    pub(super) fn is_none(self) -> bool {
        self.reason == LossReason::None
    }
}

/// A call with all its attempts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) edge: u32,
    /// Whose pods the last attempt went to.
    pub(super) node: u32,
    pub(super) caller: Caller,
    /// Counts attempts and reuses of this place, so that a late outcome is known as one.
    pub(super) serial: u32,
    pub(super) attempt: u32,
    pub(super) first_at: SimTime,
    /// When the last attempt was made, if a load balancer, a gateway or a look-up held it up.
    pub(super) held_since: Option<SimTime>,
    /// The window in which it was first tried.
    pub(super) window: u32,
    /// Of a million: the request that it is for writes where a larger share does.
    pub(super) luck: u32,
}

impl Call {
    /// A load balancer or a look-up held its last attempt up, and since then it is watched when its caller
    /// gives up; a gateway does not give up while it tries.
    pub(super) fn is_watched(&self, is_named: bool) -> bool {
        self.held_since.is_some() && (self.caller == Caller::Client || is_named)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    Client,
    Visit(u32),
    /// It is a copy.
    Nobody,
}

/// An attempt that is being served by a Service that calls others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Visit {
    pub(super) node: u32,
    pub(super) call: u32,
    pub(super) serial: u32,
    pub(super) next: u32,
    /// Calls that are under way at the same time, but for one.
    pub(super) others: u32,
    pub(super) came_at: SimTime,
    /// The window in which it came.
    pub(super) window: u32,
    /// That of its call.
    pub(super) luck: u32,
    /// Where a gateway passes it on to.
    pub(super) upstream: Option<u32>,
    /// The row of the zone of the endpoint, where that counts.
    pub(super) served: Option<u32>,
    pub(super) failed: Loss,
}
