//! Where requests wait and are worked on by several workers: [in line](super::line), or
//! [all at once](super::sharing); those of all pods together, or [of each by itself](super::pods).

use model_api::observation::Throttling;
use model_api::path::{Balancing, Discipline, RateLimit, RateLimitCounts, Serving, Work};
use sim_kernel::{EntityKey, Purpose, SimSpan, SimTime, Stream, Streams};

use super::balancer::Balancer;
use super::line::Line;
use super::pods::Pods;
use super::quota::{Done, Quotas};
use super::sharing::Sharing;
use super::ziggurat::standard_exponential;
use crate::evaluation::Endpoints;
use crate::quota::Quota;

const POD: Purpose = Purpose::new("pod of a request, and of a period");
const WORK: Purpose = Purpose::new("work of a request");

/// Why a station does not take a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Nobody is there.
    NoEndpoints,
    /// The queue is full.
    Overload,
    /// The rate limit is reached.
    RateLimited,
}

/// What a request does that was let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// A worker takes it then, and it needs no more than its time.
    Starts(SimTime),
    /// It is worked on together with others from now on.
    Shares,
}

/// Who works on what.
#[derive(Clone, Debug)]
enum Pool {
    /// All workers of all pods, before whom one line waits.
    Line(Line),
    /// All workers of all pods, whom requests share.
    Sharing(Box<Sharing>),
    /// Pods with quotas.
    Quotas(Box<Quotas>),
    /// Pods with workers of their own.
    Pods(Box<Pods>),
}

/// The workers behind one Service, and who waits for them.
#[derive(Clone, Debug)]
pub(super) struct Station {
    serving: Serving,
    stream: Stream,
    pool: Pool,
    /// Workers of all pods; none when work takes no time.
    worker_count: usize,
    /// Mean time that a request keeps a worker, in nanoseconds; zero when work takes no time.
    work_mean_ns: f64,
    /// Requests that may wait.
    waiting_max: usize,
    live_count: u32,
    dead_share: f64,
    /// The window of the rate limit that was counted last, and what was let in.
    counted: (u64, u64),
}

impl Station {
    pub(super) fn new(
        serving: Serving,
        quota: Option<Quota>,
        entity: EntityKey,
        streams: Streams,
    ) -> Self {
        let balancer = || Balancer::new(serving.balancing, streams.stream(entity, POD));
        let pool = match (quota, serving.balancing, serving.discipline) {
            (Some(quota), ..) => {
                Pool::Quotas(Box::new(Quotas::new(quota, serving.workers, balancer())))
            }
            (None, Balancing::Shared, Discipline::FirstCome) => Pool::Line(Line::default()),
            (None, Balancing::Shared, Discipline::Sharing) => {
                Pool::Sharing(Box::new(Sharing::new()))
            }
            (None, _, discipline) => Pool::Pods(Box::new(Pods::new(discipline, balancer()))),
        };
        Self {
            serving,
            stream: streams.stream(entity, WORK),
            pool,
            worker_count: 0,
            work_mean_ns: 0.0,
            waiting_max: 0,
            live_count: 0,
            dead_share: 0.0,
            counted: (0, 0),
        }
    }

    /// Takes note of what stands behind the Service from now on.
    ///
    /// Simplified: a request that waits keeps the turn that it got; those that come later meet the
    /// new workers. Work in a pod that dies is finished.
    pub(super) fn set_endpoints(&mut self, endpoints: Endpoints, now: SimTime) {
        let Endpoints { live_count, capacity_millirps, .. } = endpoints;
        self.live_count = live_count;
        let worker_count = (live_count as usize).saturating_mul(self.serving.workers as usize);
        let is_endless = capacity_millirps == u64::MAX;
        let can_work = capacity_millirps > 0 && !is_endless;
        self.work_mean_ns =
            if can_work { worker_count as f64 * 1e12 / capacity_millirps as f64 } else { 0.0 };
        self.waiting_max = waiting_max(&self.serving, endpoints);
        self.worker_count = if can_work { worker_count } else { 0 };
        let of_pod = match &self.pool {
            Pool::Pods(_) => waiting_max_of(&self.serving, endpoints, live_count),
            _ => self.waiting_max / (live_count as usize).max(1),
        };
        let pod_count = if can_work { live_count } else { 0 };
        match &mut self.pool {
            Pool::Line(line) => line.set_workers(self.worker_count, now),
            Pool::Sharing(sharing) => {
                sharing.set_workers(self.worker_count, self.work_mean_ns, now);
            }
            Pool::Quotas(quotas) => quotas.set_pods(pod_count, capacity_millirps, of_pod, now),
            Pool::Pods(pods) => {
                let workers = self.serving.workers as usize;
                pods.set_pods(pod_count, (workers, self.work_mean_ns), of_pod, now);
            }
        }
        if live_count > 0 && capacity_millirps == 0 {
            // They live and can do nothing: as if nobody were there.
            self.live_count = 0;
        }
        let reaching = if self.live_count == 0 { Some(0.0) } else { endpoints.reaching_share() };
        self.dead_share = match reaching {
            Some(share) if endpoints.ready_count > 0 => 1.0 - share,
            _ => 0.0,
        };
    }

    /// What quotas did to its pods so far, where they have any.
    pub(super) fn throttling(&self) -> Option<Throttling> {
        match &self.pool {
            Pool::Quotas(quotas) => Some(quotas.seen()),
            Pool::Line(_) | Pool::Sharing(_) | Pool::Pods(_) => None,
        }
    }

    /// The share of the endpoints that a request may be sent to, but not answer.
    #[inline]
    pub(super) fn dead_share(&self) -> f64 {
        self.dead_share
    }

    /// Pods that do something.
    #[inline]
    pub(super) fn live_count(&self) -> u32 {
        self.live_count
    }

    /// Requests per second that its workers can do together.
    pub(super) fn capacity(&self) -> f64 {
        if self.work_mean_ns > 0.0 {
            self.worker_count as f64 * 1e9 / self.work_mean_ns
        } else {
            f64::INFINITY
        }
    }

    /// Square of the coefficient of variation of the work of a request.
    pub(super) fn variation_squared(&self) -> f64 {
        self.serving.work.variation_squared()
    }

    /// Lines before its workers, where each pod has its own; else none.
    pub(super) fn own_line_count(&self) -> u32 {
        match line_count(&self.serving, self.live_count) {
            1 => 0,
            count => count,
        }
    }

    /// Requests that wait now; where they share workers, those that are more than the workers.
    pub(super) fn waiting_count(&mut self, now: SimTime) -> usize {
        match &mut self.pool {
            Pool::Line(line) => line.waiting_count(now),
            Pool::Sharing(sharing) => sharing.inside_count().saturating_sub(self.worker_count),
            Pool::Quotas(quotas) => quotas.waiting_count(),
            Pool::Pods(pods) => pods.waiting_count(now),
        }
    }

    /// Gives a request that comes now its turn.
    #[inline]
    pub(super) fn admit(&mut self, now: SimTime) -> Result<Turn, Refusal> {
        if self.live_count == 0 {
            return Err(Refusal::NoEndpoints);
        }
        if let Some(limit) = self.serving.rate_limit {
            self.count(limit, now)?;
        }
        let (law, mean_ns, stream) = (self.serving.work, self.work_mean_ns, &mut self.stream);
        let work = || rounded(mean_ns * work_factor(law, stream));
        match &mut self.pool {
            Pool::Line(line) => {
                line.admit(now, self.waiting_max, work).map(Turn::Starts).ok_or(Refusal::Overload)
            }
            _ if self.worker_count == 0 => Ok(Turn::Starts(now)),
            Pool::Sharing(sharing) => {
                let is_full = sharing.inside_count() >= self.worker_count + self.waiting_max;
                if is_full { Err(Refusal::Overload) } else { Ok(Turn::Shares) }
            }
            Pool::Quotas(quotas) => {
                if quotas.choose() {
                    Ok(Turn::Shares)
                } else {
                    Err(Refusal::Overload)
                }
            }
            Pool::Pods(pods) => pods.admit(now, work),
        }
    }

    /// Begins to work on a visit together with others.
    pub(super) fn enter(&mut self, visit: u32, now: SimTime) {
        let work = work_factor(self.serving.work, &mut self.stream);
        match &mut self.pool {
            Pool::Sharing(sharing) => sharing.enter(visit, work, now),
            Pool::Quotas(quotas) => quotas.enter(visit, work, now),
            Pool::Pods(pods) => pods.enter(visit, work, now),
            Pool::Line(_) => unreachable!("only those that are worked on together enter"),
        }
    }

    /// When something happens to those that are worked on together, if nobody comes before.
    pub(super) fn next_at(&self) -> Option<SimTime> {
        match &self.pool {
            Pool::Line(_) => None,
            Pool::Sharing(sharing) => sharing.next_at(),
            Pool::Quotas(quotas) => quotas.next_at(),
            Pool::Pods(pods) => pods.next_at(),
        }
    }

    /// That happens now: returns the visit that is done with its work, if one is, and what it takes
    /// beyond it.
    ///
    /// Where workers are shared its own work comes on top of what it takes besides. Where there are
    /// quotas it takes as long as it takes without waiting, or its work where that is more, and what
    /// it stood still.
    pub(super) fn happen(&mut self, own_latency: SimSpan, now: SimTime) -> Option<(u32, SimSpan)> {
        let visit = match &mut self.pool {
            Pool::Line(_) => None,
            Pool::Sharing(sharing) => sharing.leave(now),
            Pool::Quotas(quotas) => {
                let Done { visit, work } = quotas.happen(now)?;
                return Some((visit, own_latency.saturating_sub(work)));
            }
            Pool::Pods(pods) => pods.leave(now),
        };
        Some((visit?, own_latency.saturating_sub(rounded(self.work_mean_ns))))
    }

    /// Kong's `rate-limiting` plugin counts in windows of the calendar (`kong/plugins/rate-limiting`,
    /// 3.x), so twice the limit may pass around a boundary.
    fn count(&mut self, limit: RateLimit, now: SimTime) -> Result<(), Refusal> {
        let window = now.as_nanos() / limit.window.as_nanos().max(1);
        if self.counted.0 != window {
            self.counted = (window, 0);
        }
        if self.counted.1 >= limit_of_all(limit, self.live_count) {
            return Err(Refusal::RateLimited);
        }
        self.counted.1 += 1;
        Ok(())
    }
}

/// Nanoseconds, rounded to whole ones, halves up.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
#[inline]
pub(super) fn rounded(nanos: f64) -> SimSpan {
    SimSpan::from_nanos((nanos + 0.5) as u64)
}

/// Requests that may wait for the workers behind a Service.
pub(crate) fn waiting_max(serving: &Serving, endpoints: Endpoints) -> usize {
    waiting_max_of(serving, endpoints, 1)
}

/// Requests that may wait in each of the lines behind a Service.
pub(crate) fn waiting_max_of_line(serving: &Serving, endpoints: Endpoints) -> usize {
    waiting_max_of(serving, endpoints, line_count(serving, endpoints.live_count))
}

/// Of so many lines that are alike, requests that may wait in each; in one of a single pod one may at least,
/// where nobody says how many.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is positive, and `as` saturates"
)]
fn waiting_max_of(serving: &Serving, endpoints: Endpoints, lines: u32) -> usize {
    let (pods, lines) = (endpoints.live_count as usize, lines.max(1));
    match serving.queue_limit {
        Some(limit) => limit as usize * (pods / lines as usize),
        None => {
            let wait = crate::wait::OVERLOAD_WAIT.as_secs_f64() / f64::from(lines);
            let most = (endpoints.capacity_millirps as f64 / 1000.0 * wait + 0.5) as usize;
            if lines > 1 { most.max(1) } else { most }
        }
    }
}

/// Lines before the workers of a Service: one before those of all pods, or one in each.
pub(crate) fn line_count(serving: &Serving, live_count: u32) -> u32 {
    match serving.balancing {
        Balancing::Shared | Balancing::LeastRequests => 1,
        Balancing::Random | Balancing::RoundRobin => live_count.max(1),
    }
}

/// What all pods together let in, in a window.
pub(crate) fn limit_of_all(limit: RateLimit, live_count: u32) -> u64 {
    match limit.counts {
        RateLimitCounts::EachPod => limit.limit.saturating_mul(live_count.into()),
        RateLimitCounts::Together => limit.limit,
    }
}

/// The work of a request, as a multiple of its mean.
#[inline]
pub(crate) fn work_factor(law: Work, stream: &mut Stream) -> f64 {
    match law {
        Work::Exponential => standard_exponential(stream),
        Work::Constant => 1.0,
        Work::Lognormal { variation } => {
            let sigma_squared = libm::log1p(variation * variation);
            let normal = stream.draw().standard_normal();
            libm::exp(libm::sqrt(sigma_squared) * normal - sigma_squared / 2.0)
        }
    }
}
