//! Where requests wait and are worked on by several workers: first come, first served, or
//! [all at once](super::sharing).
//!
//! First come, first served: the work of a request is drawn when it comes, so the moment at which a worker takes it is known
//! at once: the earliest moment at which any worker is free (Kiefer and Wolfowitz 1955). A visit
//! that waits costs no event of its own.

use std::collections::VecDeque;

use model_api::observation::Throttling;
use model_api::path::{Discipline, RateLimit, RateLimitCounts, Serving, Work};
use sim_kernel::{EntityKey, Purpose, SimSpan, SimTime, Stream, Streams};

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

/// The workers behind one Service, and who waits for them.
#[derive(Clone, Debug)]
pub(super) struct Station {
    serving: Serving,
    stream: Stream,
    /// When each worker is free: a binary heap, the earliest first.
    free_at: Vec<u64>,
    /// When those that wait are taken, in order.
    starts: VecDeque<u64>,
    /// Requests that share the workers, where they do.
    pub(super) sharing: Option<Box<Sharing>>,
    /// Its pods, where they have quotas.
    quotas: Option<Box<Quotas>>,
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
        let pods = streams.stream(entity, POD);
        Self {
            serving,
            stream: streams.stream(entity, WORK),
            free_at: Vec::new(),
            starts: VecDeque::new(),
            sharing: (serving.discipline == Discipline::Sharing).then(|| Box::new(Sharing::new())),
            quotas: quota.map(|quota| Box::new(Quotas::new(quota, serving.workers, pods))),
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
        let worker_count = if can_work { worker_count } else { 0 };
        if let Some(sharing) = &mut self.sharing {
            sharing.set_workers(worker_count, self.work_mean_ns, now);
        }
        if let Some(quotas) = &mut self.quotas {
            let count = if can_work { live_count } else { 0 };
            let waiting_max = self.waiting_max / (live_count as usize).max(1);
            quotas.set_pods(count, capacity_millirps, waiting_max, now);
        }
        self.free_at.truncate(worker_count);
        while self.free_at.len() < worker_count {
            self.free_at.push(now.as_nanos());
            self.sift_up();
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
        self.quotas.as_ref().map(|quotas| quotas.seen())
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
            self.free_at.len() as f64 * 1e9 / self.work_mean_ns
        } else {
            f64::INFINITY
        }
    }

    /// Square of the coefficient of variation of the work of a request.
    pub(super) fn variation_squared(&self) -> f64 {
        self.serving.work.variation_squared()
    }

    /// Requests that wait now; where they share workers, those that are more than the workers.
    pub(super) fn waiting_count(&mut self, now: SimTime) -> usize {
        if let Some(sharing) = &self.sharing {
            return sharing.inside_count().saturating_sub(self.free_at.len());
        }
        if let Some(quotas) = &self.quotas {
            return quotas.waiting_count();
        }
        while self.starts.front().is_some_and(|start| *start <= now.as_nanos()) {
            self.starts.pop_front();
        }
        self.starts.len()
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
        let Some(&free_at) = self.free_at.first() else {
            return Ok(Turn::Starts(now));
        };
        if let Some(sharing) = &self.sharing {
            let is_full = sharing.inside_count() >= self.free_at.len() + self.waiting_max;
            return if is_full { Err(Refusal::Overload) } else { Ok(Turn::Shares) };
        }
        if let Some(quotas) = &mut self.quotas {
            return if quotas.choose() { Ok(Turn::Shares) } else { Err(Refusal::Overload) };
        }
        let start = if free_at <= now.as_nanos() {
            now.as_nanos()
        } else {
            if self.waiting_count(now) >= self.waiting_max {
                return Err(Refusal::Overload);
            }
            self.starts.push_back(free_at);
            free_at
        };
        let start = SimTime::from_nanos(start);
        self.free_at[0] = start.saturating_add(self.work()).as_nanos();
        self.sift_down();
        Ok(Turn::Starts(start))
    }

    /// Begins to work on a visit together with others.
    pub(super) fn enter(&mut self, visit: u32, now: SimTime) {
        let work = work_factor(self.serving.work, &mut self.stream);
        if let Some(quotas) = &mut self.quotas {
            return quotas.enter(visit, work, now);
        }
        self.sharing.as_mut().expect("only those that share enter").enter(visit, work, now);
    }

    /// When something happens to those that are worked on together, if nobody comes before.
    pub(super) fn next_at(&self, now: SimTime) -> Option<SimTime> {
        match (&self.sharing, &self.quotas) {
            (Some(sharing), _) => sharing.next_at(now),
            (None, Some(quotas)) => quotas.next_at(),
            (None, None) => None,
        }
    }

    /// That happens now: returns the visit that is done with its work, if one is, and what it takes
    /// beyond it.
    ///
    /// Where workers are shared its own work comes on top of what it takes besides. Where there are
    /// quotas it takes as long as it takes without waiting, or its work where that is more, and what
    /// it stood still.
    pub(super) fn happen(&mut self, own_latency: SimSpan, now: SimTime) -> Option<(u32, SimSpan)> {
        if let Some(quotas) = &mut self.quotas {
            let Done { visit, work } = quotas.happen(now)?;
            return Some((visit, own_latency.saturating_sub(work)));
        }
        let visit = self.sharing.as_mut()?.leave(now)?;
        Some((visit, own_latency.saturating_sub(rounded(self.work_mean_ns))))
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

    #[inline]
    fn work(&mut self) -> SimSpan {
        let factor = work_factor(self.serving.work, &mut self.stream);
        rounded(self.work_mean_ns * factor)
    }

    fn sift_up(&mut self) {
        let mut idx = self.free_at.len() - 1;
        while idx > 0 && self.free_at[idx] < self.free_at[(idx - 1) / 2] {
            self.free_at.swap(idx, (idx - 1) / 2);
            idx = (idx - 1) / 2;
        }
    }

    #[inline]
    fn sift_down(&mut self) {
        let heap = self.free_at.as_mut_slice();
        let moved = heap[0];
        let mut idx = 0;
        loop {
            let mut child = 2 * idx + 1;
            if child >= heap.len() {
                break;
            }
            if child + 1 < heap.len() && heap[child + 1] < heap[child] {
                child += 1;
            }
            if moved <= heap[child] {
                break;
            }
            heap[idx] = heap[child];
            idx = child;
        }
        heap[idx] = moved;
    }
}

/// Nanoseconds, rounded to whole ones, halves up.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
#[inline]
pub(super) fn rounded(nanos: f64) -> SimSpan {
    SimSpan::from_nanos((nanos + 0.5) as u64)
}

/// Requests that may wait for the workers behind a Service.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is positive, and `as` saturates"
)]
pub(crate) fn waiting_max(serving: &Serving, endpoints: Endpoints) -> usize {
    match serving.queue_limit {
        Some(limit) => limit as usize * endpoints.live_count as usize,
        None => {
            let wait = crate::wait::OVERLOAD_WAIT.as_secs_f64();
            (endpoints.capacity_millirps as f64 / 1000.0 * wait + 0.5) as usize
        }
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
