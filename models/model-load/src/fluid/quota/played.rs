//! One pod with a CPU quota, played request by request, until it is known how long its requests take.
//!
//! No law is known for requests whose threads share what a period leaves over: a long one falls behind those that
//! come later, and one of many threads gets little of each period. So a pod is played as the engine of single
//! requests plays it, with luck of its own that is the same in each run and at each load.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};

use sim_kernel::{EntityKey, Purpose, Stream, Streams};

use super::Pod;
use crate::request::{standard_exponential, work_factor};

const ARRIVALS: Purpose = Purpose::new("when requests come to a pod with a quota");
const WORK: Purpose = Purpose::new("work of requests to a pod with a quota");
/// Requests that are played: more of them the busier a pod is, because what it has left over is then remembered
/// for longer.
const COUNT_MIN: f64 = 120_000.0;
const COUNT_MAX: f64 = 1_000_000.0;
/// The first ones find it emptier than others do.
const WARM_UP_PART: usize = 20;
/// Less is nothing, relative to a period.
const ROUNDING: f64 = 1e-9;

/// What was seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Played {
    /// How much later than without waiting requests were answered, in seconds, the soonest first.
    later: Vec<f64>,
    /// Of the periods, the share in which something ran, and in which threads stood still.
    pub(super) active: f64,
    pub(super) throttled: f64,
    /// Share of the time in which they did.
    pub(super) stood: f64,
}

impl Played {
    /// For so many requests per second, which use this share of the quota.
    pub(super) fn of(pod: &Pod, rate: f64, ratio: f64) -> Self {
        let mut play = Play::new(pod, rate);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "limited")]
        let count = (COUNT_MIN / (1.0 - ratio)).clamp(COUNT_MIN, COUNT_MAX) as usize;
        while play.later.len() < count + count / WARM_UP_PART {
            play.go_on();
        }
        let mut later = play.later.split_off(count / WARM_UP_PART);
        later.sort_unstable_by(f64::total_cmp);
        let periods = (play.period_end / pod.period).max(1.0);
        Self {
            later,
            active: play.active / periods,
            throttled: play.throttled / periods,
            stood: play.stood / play.period_end.max(pod.period),
        }
    }

    /// Share of the requests that are answered so much later.
    pub(super) fn beyond(&self, secs: f64) -> f64 {
        let sooner = self.later.partition_point(|later| *later <= secs);
        1.0 - sooner as f64 / self.later.len().max(1) as f64
    }
}

/// A request that a thread works on; the one that is done first is the largest.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Running {
    done_at: f64,
    work: f64,
    came: f64,
}

impl Eq for Running {}

impl Ord for Running {
    fn cmp(&self, other: &Self) -> Ordering {
        other.done_at.total_cmp(&self.done_at).then(other.came.total_cmp(&self.came))
    }
}

impl PartialOrd for Running {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A pod that is played. Times in seconds.
struct Play<'a> {
    pod: &'a Pod,
    rate: f64,
    arrivals: Stream,
    works: Stream,
    now: f64,
    next_comes: f64,
    period_end: f64,
    /// CPU time that is left of the period.
    left: f64,
    is_throttled: bool,
    is_active: bool,
    /// How long threads worked while something ran.
    clock: f64,
    running: BinaryHeap<Running>,
    waiting: VecDeque<(f64, f64)>,
    later: Vec<f64>,
    active: f64,
    throttled: f64,
    stood: f64,
}

impl<'a> Play<'a> {
    fn new(pod: &'a Pod, rate: f64) -> Self {
        let streams = Streams::new(0, 0);
        let key = EntityKey::of("pod with a quota");
        let mut arrivals = streams.stream(key, ARRIVALS);
        let next_comes = standard_exponential(&mut arrivals) / rate;
        Self {
            pod,
            rate,
            arrivals,
            works: streams.stream(key, WORK),
            now: 0.0,
            next_comes,
            period_end: pod.period,
            left: pod.quota,
            is_throttled: false,
            is_active: false,
            clock: 0.0,
            running: BinaryHeap::new(),
            waiting: VecDeque::new(),
            later: Vec::new(),
            active: 0.0,
            throttled: 0.0,
            stood: 0.0,
        }
    }

    /// Lets the next thing happen.
    fn go_on(&mut self) {
        let Some(first) = self.running.peek().copied() else {
            return self.come();
        };
        if self.is_throttled {
            if self.next_comes < self.period_end {
                self.come()
            } else {
                self.begin_period()
            }
            return;
        }
        let threads = self.running.len() as f64;
        let done = self.now + (first.done_at - self.clock).max(0.0);
        let used_up = self.now + self.left / threads;
        let until = done.min(self.next_comes).min(self.period_end);
        // What is used up just when the last request is done, or a period ends, throttles nobody.
        if used_up < until - self.pod.period * ROUNDING {
            self.pass(used_up);
            self.is_throttled = true;
            self.throttled += 1.0;
            self.stood += self.period_end - self.now;
        } else if done <= until {
            self.pass(done);
            self.leave();
        } else if self.next_comes <= until {
            self.come();
        } else {
            self.begin_period();
        }
    }

    /// Threads work until then, unless they stand still.
    fn pass(&mut self, until: f64) {
        if !self.is_throttled && !self.running.is_empty() {
            let passed = until - self.now;
            self.clock += passed;
            self.left = (self.left - passed * self.running.len() as f64).max(0.0);
        }
        self.now = until;
    }

    fn begin_period(&mut self) {
        self.pass(self.period_end);
        self.active += f64::from(u8::from(self.is_active));
        self.is_active = !self.running.is_empty();
        self.period_end += self.pod.period;
        (self.left, self.is_throttled) = (self.pod.quota, false);
    }

    /// A request comes.
    fn come(&mut self) {
        if self.running.is_empty() && self.next_comes >= self.period_end {
            self.begin_period();
            let periods = libm::floor((self.next_comes - self.now) / self.pod.period);
            self.period_end += periods * self.pod.period;
        }
        self.pass(self.next_comes);
        self.next_comes += standard_exponential(&mut self.arrivals) / self.rate;
        let work = self.pod.work * work_factor(self.pod.law, &mut self.works);
        if (self.running.len() as f64) < self.pod.threads {
            self.begin(self.now, work);
        } else {
            self.waiting.push_back((self.now, work));
        }
    }

    fn begin(&mut self, came: f64, work: f64) {
        if self.running.is_empty() {
            // A clock that starts over now and then stays exact.
            self.clock = 0.0;
        }
        self.is_active = true;
        self.running.push(Running { done_at: self.clock + work, work, came });
    }

    /// The first is done; it takes as long as it takes without waiting where that is more.
    fn leave(&mut self) {
        let Some(Running { work, came, .. }) = self.running.pop() else { return };
        let rest = (self.pod.own - work).max(0.0);
        let later = self.now - came + rest - self.pod.own;
        self.later.push(if later > self.pod.period * ROUNDING { later } else { 0.0 });
        if let Some((came, work)) = self.waiting.pop_front() {
            self.begin(came, work);
        }
    }
}
