//! How requests are served, called and limited on their way.

use sim_kernel::SimSpan;

use crate::ids::{DatabaseId, ServiceId};

/// How a pod of a Service serves requests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Serving {
    /// Requests that one pod works on at a time. They share the pod's CPU: with twice the workers
    /// each takes twice as long. Where requests share workers: how many of them can use all of its CPU.
    pub workers: u32,
    /// What a request that finds all workers busy does.
    pub discipline: Discipline,
    /// Requests that may wait for a worker, in each pod; what comes beyond is refused at once.
    /// Without a limit as many wait as the pod works off in one second.
    pub queue_limit: Option<u32>,
    /// Which of its pods gets a request.
    pub balancing: Balancing,
    /// How the work of a request varies.
    pub work: Work,
    /// What is let in at most.
    pub rate_limit: Option<RateLimit>,
    /// Cores that a pod can use, whatever its limit: as many as it has workers, where these are
    /// stated, because a worker is a thread. Without it a pod uses all the CPU that it may.
    pub cores_max: Option<u32>,
    /// How a pod is slow at first.
    pub warm_up: Option<WarmUp>,
    /// Period of the CFS quota of a pod: threads run as fast as a core until they used up together
    /// what the CPU limit allows for a period, and then all of them stand still until the next. Without
    /// it the limit is spread evenly over workers and time.
    pub quota_period: Option<SimSpan>,
    /// Requests in a pod that dies before it could finish them are lost, as they are unless somebody says
    /// otherwise; else they are answered all the same.
    pub loses_requests: bool,
    /// Connections that clients keep open to it, where losing them costs something.
    pub reconnect: Option<Reconnect>,
    /// Its pods keep sessions in memory: a client that comes to another pod than before has lost its
    /// session, and the first request there is answered with an error.
    pub loses_sessions: bool,
}

impl Serving {
    /// Whether what becomes of a request that is worked on depends on those that come after it.
    pub fn is_worked_on_together(&self) -> bool {
        self.discipline == Discipline::Sharing || self.quota_period.is_some()
    }
}

/// Connections that are made anew when a pod or what is before it is lost: with the next request of each
/// client, which costs a pod a handshake besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reconnect {
    /// CPU time of a handshake.
    pub handshake: SimSpan,
    /// Connections that are open.
    pub connection_count: u64,
}

/// How a pod is slow after its start: its code is not compiled yet, its caches are empty.
///
/// What it can do grows linearly until it is warm, in [`WarmUp::STEPS`] steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WarmUp {
    /// From the start of its containers until it is warm.
    pub span: SimSpan,
    /// How many times as long a request takes at its start as when it is warm, in thousandths: more
    /// than a thousand.
    pub factor_milli: u64,
}

impl WarmUp {
    /// Steps in which a pod becomes warm.
    pub const STEPS: u64 = 8;

    /// What a pod of this age can do, in parts per million of what it can do when it is warm, and for
    /// how much longer; `None` once it is warm.
    pub fn speed(&self, age: SimSpan) -> Option<(u64, SimSpan)> {
        if age >= self.span {
            return None;
        }
        let (span, steps) = (u128::from(self.span.as_nanos()), u128::from(Self::STEPS));
        let step = u128::from(age.as_nanos()) * steps / span;
        let first_ppm = 1_000_000_000 / u128::from(self.factor_milli.max(1_000));
        // In the middle of the step, so that the mean over all of them is that of the line.
        let ppm = first_ppm + (1_000_000 - first_ppm) * (2 * step + 1) / (2 * steps);
        let end = (span * (step + 1)).div_ceil(steps);
        let narrow = |value: u128| u64::try_from(value).expect("no more than the span");
        Some((narrow(ppm), SimSpan::from_nanos(narrow(end)) - age))
    }
}

impl Default for Serving {
    fn default() -> Self {
        Self {
            workers: 1,
            discipline: Discipline::FirstCome,
            queue_limit: None,
            balancing: Balancing::default(),
            work: Work::Exponential,
            rate_limit: None,
            cores_max: None,
            warm_up: None,
            quota_period: None,
            loses_requests: true,
            reconnect: None,
            loses_sessions: false,
        }
    }
}

/// What the readiness probe of a Service asks for, besides the Service itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// Databases: without any of them all pods are unready.
    pub needs: Vec<DatabaseId>,
    /// From the loss of a database until the pods are unready: period times failure threshold.
    pub fails_after: SimSpan,
    /// From its return until they are ready again.
    pub returns_after: SimSpan,
}

impl Default for Readiness {
    /// A probe every ten seconds that must fail three times: Kong's Helm chart, `readinessProbe`.
    fn default() -> Self {
        Self {
            needs: Vec::new(),
            fails_after: SimSpan::from_secs(30),
            returns_after: SimSpan::from_secs(10),
        }
    }
}

/// Who works on what when there are more requests than workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Discipline {
    /// A request waits until a worker is free: a pool of threads or connections. The time that a
    /// request takes without waiting is its base latency, whatever its work.
    #[default]
    FirstCome,
    /// All are worked on at once, each as fast as the others and none faster than one worker:
    /// threads without limit, or an event loop, on the CPU of the pod. The work of a request is part
    /// of its base latency: it takes what that has beyond the mean work, and its own work stretched
    /// by those it shares with.
    Sharing,
}

/// Which pod of a Service gets a request. Unless all are one pool a request waits in its pod, whoever is idle
/// elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Balancing {
    /// Whichever has a free worker: all pods work off one queue. Only a broker has this, or pods that fetch
    /// their work.
    #[default]
    Shared,
    /// Any, with the same probability: kube-proxy. Its rules in mode iptables match with
    /// `--mode random --probability` (`pkg/proxy/iptables/proxier.go`), those of nftables ask
    /// `numgen random mod` (`pkg/proxy/nftables/proxier.go`), Kubernetes 1.36.
    Random,
    /// Each in turn: `algorithm: round-robin` of Kong 3, which is its default
    /// (`kong/runloop/balancer/round_robin.lua`), and `rr` of IPVS.
    ///
    /// Simplified: all who send requests take turns together; each worker process of a gateway has turns of its
    /// own, and many of them are as good as chance.
    RoundRobin,
    /// The one that has the fewest, the first of equals: `algorithm: least-connections` of Kong 3
    /// (`kong/runloop/balancer/least_connections.lua`), `lc` of IPVS.
    ///
    /// Simplified: those count that wait or that a worker has, and not those that the pod waits for itself.
    LeastRequests,
}

/// How the time that a request keeps a worker varies around its mean.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Work {
    /// Exponentially: the classic assumption, between constant and heavy.
    #[default]
    Exponential,
    /// Not at all.
    Constant,
    /// Log-normally, with this standard deviation divided by the mean.
    Lognormal {
        /// Coefficient of variation.
        variation: f64,
    },
}

impl Work {
    /// The square of its coefficient of variation.
    pub fn variation_squared(self) -> f64 {
        match self {
            Self::Exponential => 1.0,
            Self::Constant => 0.0,
            Self::Lognormal { variation } => variation * variation,
        }
    }
}

/// Requests that a Service lets in: so many in each window of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests in a window.
    pub limit: u64,
    /// Length of a window; windows start at multiples of it.
    pub window: SimSpan,
    /// Who counts.
    pub counts: RateLimitCounts,
}

/// Who counts the requests of a rate limit: `policy` of Kong's rate-limiting plugin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RateLimitCounts {
    /// Each pod for itself (`local`): the limit of all is the limit times the live pods.
    #[default]
    EachPod,
    /// All pods together (`redis` or `cluster`, while the store answers).
    Together,
}

/// How a caller treats one call. The default waits for ever and tries once.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CallPolicy {
    /// How long it waits for an answer, from each attempt on.
    pub timeout: Option<SimSpan>,
    /// Attempts after the first one.
    pub retries: u32,
    /// Pause before the first retry; each later one is twice as long.
    pub backoff: SimSpan,
    /// Retries that are allowed for each first attempt, in parts per million; without limit when
    /// `None`.
    pub retry_budget_ppm: Option<u32>,
    /// When calls are not even tried.
    pub breaker: Option<Breaker>,
    /// It is made at the same time as those before and after it of which this is so too: the request
    /// goes on when the slowest of them is over.
    pub is_parallel: bool,
    /// What is asked first, so that most requests need no call.
    pub cache: Option<Cache>,
}

/// A cache before a call: what it has needs no call, and what it has not is there once the call was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cache {
    /// Of a million requests, how many it answers when it is as full as it gets.
    pub hits_ppm: u32,
    /// Different things that are asked for. All are asked for alike.
    pub key_count: u64,
    /// The Service whose pods hold it, each a part; each pod of the caller has one of its own when `None`.
    pub held_by: Option<ServiceId>,
}

impl CallPolicy {
    /// Whether a call is simply made, once, and waited for.
    pub fn is_plain(&self) -> bool {
        *self == Self { backoff: self.backoff, ..Self::default() } && self.retries == 0
    }
}

/// A circuit breaker that looks at the last calls, as resilience4j's does by default
/// (`CircuitBreakerConfig.java`, 2.x: COUNT_BASED window of 100 calls, 50 %, open for 60 s, 10 calls
/// while half open).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breaker {
    /// It opens when so many of the last [`Breaker::window`] calls failed, in parts per million.
    pub failures_ppm: u32,
    /// Calls that are looked at; it never opens before so many were made.
    pub window: u32,
    /// How long it stays open.
    pub open_for: SimSpan,
    /// Calls that are let through after that, and decide.
    pub trials: u32,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { failures_ppm: 500_000, window: 100, open_for: SimSpan::from_secs(60), trials: 10 }
    }
}

/// A call that network policies deny. Packets are dropped: whoever calls waits for its timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeniedCall {
    /// A Service or gateway; clients from outside when `None`.
    pub caller: Option<ServiceId>,
    /// What it does not reach.
    pub callee: Callee,
}

/// What a Service calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Callee {
    /// Another Service.
    Service(ServiceId),
    /// A database, to write to it.
    Database(DatabaseId),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_becomes_warm_in_steps_whose_mean_is_that_of_a_line() {
        for (secs, factor_milli) in [(60, 3_000), (7, 1_500), (3_601, 10_000)] {
            let warm_up = WarmUp { span: SimSpan::from_secs(secs), factor_milli };
            let (mut age, mut steps, mut done, mut last) = (SimSpan::ZERO, 0, 0.0, 0);
            while let Some((ppm, left)) = warm_up.speed(age) {
                assert!(ppm > last && ppm < 1_000_000, "{ppm} after {last}");
                done += ppm as f64 / 1e6 * left.as_secs_f64();
                (age, steps, last) = (age.saturating_add(left), steps + 1, ppm);
            }
            assert_eq!((steps, age), (WarmUp::STEPS, warm_up.span));
            let mean = (1.0 + 1_000.0 / factor_milli as f64) / 2.0;
            assert!((done / secs as f64 - mean).abs() < 1e-5, "{done}");
        }
        let warm_up = WarmUp { span: SimSpan::from_secs(60), factor_milli: 3_000 };
        assert_eq!(warm_up.speed(SimSpan::from_secs(60)), None);
    }
}
