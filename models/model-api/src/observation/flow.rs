//! Requests over time: how many are asked for, answered, late and lost.

use sim_kernel::SimTime;

use crate::ids::{DatabaseId, ServiceId};

/// Requests to one Service over a stretch of time, counted by when they were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FlowSegment {
    /// The Service.
    pub service: ServiceId,
    /// Start of the stretch.
    pub from: SimTime,
    /// Its end; told then, or when it is known what became of all its requests.
    pub until: SimTime,
    /// Requests asked for at its start, per 1000 s.
    pub offered_from_millirps: u64,
    /// Requests asked for at its end, per 1000 s.
    pub offered_until_millirps: u64,
    /// Requests answered well at its start, per 1000 s.
    pub served_from_millirps: u64,
    /// Requests answered well at its end, per 1000 s.
    pub served_until_millirps: u64,
    /// Of those that are not, those that a rate limit refuses (status 429) at its start, per 1000 s.
    pub limited_from_millirps: u64,
    /// The same at its end.
    pub limited_until_millirps: u64,
    /// Time to answer without waiting, in nanoseconds, the Services it calls included.
    pub base_latency_ns: u64,
    /// Share of the answered requests that wait first, in parts per million.
    pub wait_probability_ppm: u32,
    /// Mean wait of those that wait, in nanoseconds.
    pub wait_mean_ns: u64,
    /// The law of these waits.
    pub wait_law: WaitLaw,
    /// Its shape, the square of the mean over the variance, in thousandths:
    /// [`WAIT_SHAPE_EXPONENTIAL`] unless several waits add up.
    pub wait_shape_milli: u32,
    /// Share of the answered requests that were tried again first, in parts per million.
    pub late_ppm: u32,
    /// How much later these are answered in the mean, in nanoseconds.
    pub late_by_ns: u64,
    /// How many of those there are that are late once more, by as much, for each that is not, in parts
    /// per million; and so on, up to [`Self::late_times`].
    pub late_again_ppm: u32,
    /// How often an answer is late at most.
    pub late_times: u32,
    /// At its end more requests wait, here or where these are passed on to, than wait by chance under
    /// what comes then: what piled up is not served yet.
    pub is_piled_up: bool,
    /// Why requests are lost, when any are: the largest share.
    pub loss: LossReason,
    /// Where each request is an event: those that were asked and answered. The rates above are then
    /// those of the load, and of its answers as the last requests met them.
    pub counted: Option<Counted>,
}

/// Laws of random times of which mean and variance are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum WaitLaw {
    /// The gamma distribution: exponential where its shape is one.
    #[default]
    Gamma,
    /// The lognormal distribution: of work of that law that is stretched, because others share the workers.
    Lognormal,
    /// The normal distribution: of waits in a queue that is nearly always full.
    Normal,
}

/// Requests that were counted, one by one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Counted {
    /// Requests of which it is known what became of them.
    pub asked: u64,
    /// Of these, those that were answered well.
    pub answered: u64,
    /// Of these, those that a rate limit refused.
    pub limited: u64,
}

/// Waits that are exponentially distributed.
pub const WAIT_SHAPE_EXPONENTIAL: u32 = 1000;

/// What CPU quotas did to the pods behind a Service, all of them together: what `nr_periods`,
/// `nr_throttled` and `throttled_usec` of `cpu.stat` tell (kernel/sched/core.c, 6.x), and cAdvisor as
/// `container_cpu_cfs_periods_total` and so on. The kernel adds the time up over CPUs; this is how long
/// pods stood still.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Throttling {
    /// Periods in which something ran.
    pub periods: u64,
    /// Of these, those in which the quota was used up while there was more to do.
    pub throttled: u64,
    /// How long pods stood still for it, in nanoseconds.
    pub stood_ns: u64,
}

/// Why requests of a stretch are lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LossReason {
    /// None is.
    #[default]
    None,
    /// Sent to endpoints that cannot answer but are still routed to.
    DeadEndpoints,
    /// No endpoint is ready.
    NoEndpoints,
    /// More than the ready endpoints can serve.
    Overload,
    /// The caller did not wait any longer.
    TimedOut,
    /// The rate limit was reached.
    RateLimited,
    /// A circuit breaker was open.
    BreakerOpen,
    /// The name by which it is found was not found, or led to nobody.
    Name,
    /// The load balancer before it was away, or led to nodes that do not answer.
    LoadBalancer,
    /// No network policy lets the caller through.
    Denied,
    /// A Service it needs fails.
    Dependency(ServiceId),
    /// A database it writes to takes no writes.
    Database(DatabaseId),
    /// Pods of a faulty revision answer with errors.
    Errors,
    /// They came to a node without an endpoint, and the traffic policy keeps them there.
    NotLocal,
}

impl LossReason {
    /// Its name among the figures of a result.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "unknown",
            Self::DeadEndpoints => "deadEndpoints",
            Self::NoEndpoints => "noEndpoints",
            Self::Overload => "overload",
            Self::TimedOut => "timedOut",
            Self::RateLimited => "rateLimited",
            Self::BreakerOpen => "breakerOpen",
            Self::Name => "name",
            Self::LoadBalancer => "loadBalancer",
            Self::Denied => "denied",
            Self::Dependency(_) => "dependency",
            Self::Database(_) => "database",
            Self::Errors => "errors",
            Self::NotLocal => "notLocal",
        }
    }
}
