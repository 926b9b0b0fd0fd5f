//! Pods whose containers have a CFS quota: each has its own queue, threads as fast as a core, and a
//! stock of CPU time that is filled up at every period.
//!
//! Within a pod all that runs stands still and goes on together. So one clock for each pod shows how
//! long it was not throttled while it worked; a request is done when the clock shows its work more
//! than when a thread took it. The quota is used as fast as threads run. A period that changes nothing
//! costs no event: a pod is looked at when a request comes or is done, when its quota is used up, and
//! when it may go on.
//!
//! A request goes to any pod with the same probability, as kube-proxy has it, unless another rule is stated.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};

use model_api::observation::Throttling;
use sim_kernel::{SimSpan, SimTime};

use super::balancer::Balancer;
use super::station::rounded;
use crate::quota::Quota;

/// Less quota than this is none, and less work: what rounding to a nanosecond leaves over.
const NANOS_MIN: f64 = 1.0;

/// The pods of a Service.
#[derive(Clone, Debug)]
pub(super) struct Quotas {
    quota: Quota,
    worker_count: usize,
    /// Chooses pods; its luck also says when their periods begin.
    balancer: Balancer,
    pods: Vec<Pod>,
    /// Of these, the first ones get requests; the others finish what they have.
    open_count: usize,
    waiting_max: usize,
    /// The pod that the request goes to that was let in last.
    chosen: usize,
    /// Of pods that are gone.
    seen_before: Throttling,
}

/// What a request that is done still takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Done {
    pub(super) visit: u32,
    /// The CPU time that it took.
    pub(super) work: SimSpan,
}

#[derive(Clone, Debug)]
struct Pod {
    /// When its periods begin, less whole periods.
    phase_ns: u64,
    quota_ns: f64,
    left_ns: f64,
    looked_at: u64,
    /// Nanoseconds in which it worked and was not throttled.
    clock: f64,
    is_throttled: bool,
    /// Something ran in the period that was looked at last.
    was_active: bool,
    seen: Throttling,
    running: BinaryHeap<Running>,
    waiting: VecDeque<(u32, f64)>,
}

/// A request that a thread works on; the one that is done first is the largest.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Running {
    done_at: f64,
    work_ns: f64,
    visit: u32,
}

impl Eq for Running {}

impl Ord for Running {
    fn cmp(&self, other: &Self) -> Ordering {
        other.done_at.total_cmp(&self.done_at).then(other.visit.cmp(&self.visit))
    }
}

impl PartialOrd for Running {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Quotas {
    pub(super) fn new(quota: Quota, worker_count: u32, balancer: Balancer) -> Self {
        Self {
            quota,
            worker_count: worker_count as usize,
            balancer,
            pods: Vec::new(),
            open_count: 0,
            waiting_max: 0,
            chosen: 0,
            seen_before: Throttling::default(),
        }
    }

    /// Takes note of the pods from now on: what each can do, and how many may wait in it. Those that
    /// are gone finish what they have.
    pub(super) fn set_pods(
        &mut self,
        count: u32,
        capacity_millirps: u64,
        waiting_max: usize,
        now: SimTime,
    ) {
        self.open_count = count as usize;
        self.waiting_max = waiting_max;
        while self.pods.len() < self.open_count {
            // The timer of a quota begins anywhere in its period, so that not all go together:
            // `init_cfs_bandwidth` of the kernel (kernel/sched/fair.c, 6.x).
            let phase_ns = self.balancer.stream.draw().below(self.quota.period_ns());
            self.pods.push(Pod::new(phase_ns, now));
        }
        self.forget_empty();
        if count > 0 {
            let quota_ns = self.quota.of_pod(capacity_millirps, count) * 1e9;
            for pod in &mut self.pods {
                pod.look(now, self.quota.period_ns());
                // What was used of the period stays used.
                pod.left_ns = (pod.left_ns + quota_ns - pod.quota_ns).clamp(0.0, quota_ns);
                pod.quota_ns = quota_ns;
            }
        }
    }

    fn forget_empty(&mut self) {
        let is_gone = |pod: &Pod| pod.running.is_empty() && pod.waiting.is_empty();
        while self.pods.len() > self.open_count && self.pods.last().is_some_and(is_gone) {
            self.seen_before =
                self.pods.pop().map_or(self.seen_before, |pod| sum(self.seen_before, pod.seen));
        }
    }

    /// What quotas did to its pods so far.
    pub(super) fn seen(&self) -> Throttling {
        self.pods.iter().fold(self.seen_before, |seen, pod| sum(seen, pod.seen))
    }

    /// Requests that wait for a thread.
    pub(super) fn waiting_count(&self) -> usize {
        self.pods.iter().map(|pod| pod.waiting.len()).sum()
    }

    /// Chooses the pod of a request that comes now; returns whether it has room.
    pub(super) fn choose(&mut self) -> bool {
        if self.open_count == 0 {
            return false;
        }
        let inside = |idx: usize| self.pods[idx].running.len() + self.pods[idx].waiting.len();
        self.chosen = self.balancer.choose(self.open_count, inside);
        let pod = &self.pods[self.chosen];
        pod.running.len() < self.worker_count || pod.waiting.len() < self.waiting_max
    }

    /// The request comes that the pod was chosen for, with so many times the mean work.
    pub(super) fn enter(&mut self, visit: u32, work: f64, now: SimTime) {
        let work_ns = work * self.quota.work_secs * 1e9;
        let pod = &mut self.pods[self.chosen];
        pod.look(now, self.quota.period_ns());
        if pod.running.len() < self.worker_count {
            pod.begin(visit, work_ns);
        } else {
            pod.waiting.push_back((visit, work_ns));
        }
    }

    /// When something happens in some pod, if nothing comes before.
    pub(super) fn next_at(&self) -> Option<SimTime> {
        let period_ns = self.quota.period_ns();
        let next = self.pods.iter().filter_map(|pod| pod.next_at(period_ns)).min()?;
        Some(SimTime::from_nanos(next))
    }

    /// That happens now. Returns the request that is done with it, if one is.
    pub(super) fn happen(&mut self, now: SimTime) -> Option<Done> {
        let period_ns = self.quota.period_ns();
        let is_due = |pod: &Pod| pod.next_at(period_ns).is_some_and(|at| at <= now.as_nanos());
        let idx = self.pods.iter().position(is_due)?;
        let pod = &mut self.pods[idx];
        pod.look(now, period_ns);
        if let Some(done) = pod.leave() {
            if idx >= self.open_count {
                self.forget_empty();
            }
            return Some(done);
        }
        if !pod.running.is_empty() && pod.left_ns < NANOS_MIN * pod.running.len() as f64 {
            pod.is_throttled = true;
            pod.seen.throttled += 1;
            pod.seen.stood_ns += pod.period_end(now.as_nanos(), period_ns) - now.as_nanos();
        }
        None
    }
}

/// Both.
pub(super) fn sum(one: Throttling, other: Throttling) -> Throttling {
    Throttling {
        periods: one.periods + other.periods,
        throttled: one.throttled + other.throttled,
        stood_ns: one.stood_ns + other.stood_ns,
    }
}

impl Pod {
    fn new(phase_ns: u64, now: SimTime) -> Self {
        Self {
            phase_ns,
            quota_ns: 0.0,
            left_ns: 0.0,
            looked_at: now.as_nanos(),
            clock: 0.0,
            is_throttled: false,
            was_active: false,
            seen: Throttling::default(),
            running: BinaryHeap::new(),
            waiting: VecDeque::new(),
        }
    }

    /// When the period began that an instant lies in; the first began before time zero.
    fn period_start(&self, at: u64, period_ns: u64) -> u64 {
        let offset = (at + period_ns - self.phase_ns) % period_ns;
        at.saturating_sub(offset)
    }

    fn period_end(&self, at: u64, period_ns: u64) -> u64 {
        let offset = (at + period_ns - self.phase_ns) % period_ns;
        at + (period_ns - offset)
    }

    /// Lets time pass until now, in which nothing happened.
    fn look(&mut self, now: SimTime, period_ns: u64) {
        let now = now.as_nanos();
        let start = self.period_start(now, period_ns);
        let threads = self.running.len() as f64;
        if start > self.looked_at {
            // A new period began.
            let is_running = !self.running.is_empty();
            self.seen.periods += u64::from(self.was_active);
            if is_running {
                self.seen.periods += (start - 1 - self.looked_at) / period_ns;
            }
            self.was_active = is_running;
            let resumed_at = if self.is_throttled {
                // It would have been looked at when it could go on.
                self.is_throttled = false;
                start
            } else {
                self.looked_at
            };
            if !self.running.is_empty() {
                self.clock += (now - resumed_at) as f64;
            }
            self.left_ns = (self.quota_ns - threads * (now - start) as f64).max(0.0);
        } else if !self.is_throttled && !self.running.is_empty() {
            let passed = (now - self.looked_at) as f64;
            self.clock += passed;
            self.left_ns = (self.left_ns - threads * passed).max(0.0);
        }
        self.looked_at = now;
    }

    fn begin(&mut self, visit: u32, work_ns: f64) {
        if self.running.is_empty() {
            // A clock that starts over now and then stays exact.
            self.clock = 0.0;
        }
        self.was_active = true;
        self.running.push(Running { done_at: self.clock + work_ns, work_ns, visit });
    }

    /// The first that is done, if one is; the next that waits takes its thread.
    fn leave(&mut self) -> Option<Done> {
        let first = self.running.peek().filter(|it| it.done_at <= self.clock + NANOS_MIN)?;
        let done = Done { visit: first.visit, work: rounded(first.work_ns) };
        self.running.pop();
        if let Some((visit, work_ns)) = self.waiting.pop_front() {
            self.begin(visit, work_ns);
        }
        Some(done)
    }

    /// When something happens in it: a request is done, its quota is used up, it goes on.
    fn next_at(&self, period_ns: u64) -> Option<u64> {
        let first = self.running.peek()?;
        let end = self.period_end(self.looked_at, period_ns);
        if self.is_throttled {
            return Some(end);
        }
        let threads = self.running.len() as f64;
        let done = rounded((first.done_at - self.clock).max(0.0)).as_nanos();
        let lasts = rounded(self.left_ns / threads).as_nanos();
        let used_up = if self.looked_at.saturating_add(lasts) < end {
            Some(self.looked_at + lasts)
        } else if threads * period_ns as f64 > self.quota_ns + NANOS_MIN {
            Some(end + rounded(self.quota_ns / threads).as_nanos())
        } else {
            None
        };
        let done = self.looked_at.saturating_add(done);
        Some(used_up.map_or(done, |used_up| done.min(used_up)))
    }
}
