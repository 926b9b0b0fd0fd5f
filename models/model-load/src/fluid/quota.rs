//! How long requests wait in pods that have a CFS quota, in the long run.
//!
//! Seen from the quota, a pod is work that comes in jumps and leaves in lots: what is left at the start
//! of a period is `V' = max(0, V + A - quota)`, with the work `A` that comes in a period. The moments of
//! `V` follow from those of the sums of `A` (Spitzer 1956), each taken for gamma-distributed; where the
//! quota is few requests its law is worked out itself (`lattice`). Within a
//! period work is done at the speed of all threads until the quota is used, then not at all: by an
//! instant `v` after the start of a period, `g(v)` is done at most. A request that comes `u` after the
//! start and finds `V + A(u)` ahead waits longer than `t` when that, and its own work once the threads
//! stand still, is more than `g(u + t)`. Besides, it waits for a thread as in M/M/c, and takes its own
//! work where that is longer than what it takes without waiting.
//!
//! The law of the three is summed up by a gamma distribution with the same shares beyond two points,
//! those that the 95th and the 99th percentile depend on.
//!
//! Simplified: with a limit for the queue of a pod, the flow refuses nobody because the pod is throttled;
//! and probes wait as if all pods had one queue.

mod lattice;

use std::sync::{Arc, OnceLock};

use model_api::path::Work;

use crate::delay::{Delay, gamma_share};
use crate::evaluation::Endpoints;
use crate::graph::Node;
use lattice::Ahead;

/// Loads, relative to the quota, at which the law is worked out; between them it is interpolated.
const RATIOS: [f64; 22] = [
    0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85,
    0.9, 0.925, 0.95, 0.97, 0.985,
];
/// Parts of a period that arrivals are looked at in.
const PHASE_COUNT: u32 = 24;
/// Sums that are looked at one by one; beyond, at ever longer distances.
const SUM_COUNT: f64 = 16.0;
const SUM_GROWTH: f64 = 1.25;
const HALVING_COUNT: u32 = 40;
/// Less than this share waits: nobody does.
const WAITS_MIN: f64 = 1e-5;

/// A pod with a quota. Times in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pod {
    pub(super) period: f64,
    /// CPU time in a period.
    pub(super) quota: f64,
    pub(super) threads: f64,
    /// CPU time of a request, in the mean.
    pub(super) work: f64,
    pub(super) variation_squared: f64,
    /// How long a request takes without waiting.
    pub(super) own: f64,
}

/// What requests meet.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Met {
    /// What they wait, and how much longer they take than without waiting.
    pub(super) delay: Delay,
    /// Of the periods, the share in which something ran, and in which threads stood still.
    pub(super) active: f64,
    pub(super) throttled: f64,
    /// Share of the time in which they did.
    pub(super) stood: f64,
}

/// What requests meet at each load, worked out when it is asked for.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pod: Pod,
    points: Arc<[OnceLock<Met>; RATIOS.len()]>,
}

impl Pod {
    /// One of those behind a node, where they have quotas.
    pub(super) fn of(node: &Node, endpoints: Endpoints) -> Option<Self> {
        let quota = node.quota?;
        let Endpoints { live_count, capacity_millirps, .. } = endpoints;
        let can_work = live_count > 0 && capacity_millirps > 0 && capacity_millirps < u64::MAX;
        can_work.then(|| Self {
            period: quota.period_secs(),
            quota: quota.of_pod(capacity_millirps, live_count),
            threads: f64::from(node.serving.workers),
            work: quota.work_secs,
            variation_squared: match node.serving.work {
                Work::Constant => 0.0,
                work => work.variation_squared(),
            },
            own: node.own_latency.as_secs_f64(),
        })
    }

    /// What requests meet under a load of this ratio to the quota, below one.
    pub(super) fn met(&self, ratio: f64) -> Met {
        let rate = ratio * self.quota / (self.period * self.work);
        let ahead =
            if self.is_never_throttled() { None } else { Ahead::of(self, rate, PHASE_COUNT) };
        let left = if ahead.is_some() { Left::default() } else { self.left(rate) };
        let beyond = |secs: f64| self.beyond(rate, (left, ahead.as_ref()), secs);
        let waits = beyond(0.0);
        let (active, throttled, stood) = match &ahead {
            Some(ahead) => {
                (ahead.active, ahead.throttled, self.stood(|phase| ahead.uses_up(phase)))
            }
            None => {
                let none = (1.0 - left.some) * libm::exp(-rate * self.period);
                let stood = self.stood(|phase| self.uses_up(rate, left, self.instant(phase)));
                (1.0 - none, self.throttled(rate, left), stood)
            }
        };
        let whole = Met { delay: Delay::default(), active, throttled, stood };
        if waits < WAITS_MIN {
            return whole;
        }
        // Levels of the whole law below which the two points lie.
        let levels = if waits > 0.6 {
            [0.5, 0.03]
        } else if waits > 0.06 {
            [0.05, 0.01]
        } else if waits > 0.012 {
            [0.01, 0.002]
        } else {
            [waits * 0.3, waits * 0.05]
        };
        let points = levels.map(|level| point_beyond(&beyond, level, self.period));
        let shares = levels.map(|level| 1.0 - level / waits);
        let (mean, shape) = gamma_through(points, shares);
        Met { delay: Delay { fixed: 0.0, waits, mean, variance: mean * mean / shape }, ..whole }
    }

    /// What is left to do at the start of a period.
    fn left(&self, rate: f64) -> Left {
        let (mean, variance) = self.comes(rate, self.period);
        // Sums of so many periods: P(S > 0), E[S⁺], E[S⁺²], each over their number.
        let at = |count: f64| {
            let (mean, variance, level) = (mean * count, variance * count, self.quota * count);
            // Where nothing comes, nothing is left.
            let some = 1.0 - libm::exp(-rate * self.period * count);
            let (mean, variance) = given_some(mean, variance, some);
            let shape = mean * mean / variance;
            let point = shape * level / mean;
            let above = |moment: f64| 1.0 - gamma_share(shape + moment, point);
            let (none, first) = (above(0.0), mean * above(1.0));
            let second = mean * mean * (1.0 + 1.0 / shape) * above(2.0);
            let squared = second - 2.0 * level * first + level * level * none;
            let excess = (first - level * none).max(0.0);
            [none, excess, squared.max(0.0)].map(|moment| moment * some / count)
        };
        let mut sums = [0.0; 3];
        let mut count = 1.0;
        loop {
            let terms = at(count);
            let step =
                if count < SUM_COUNT { 1.0 } else { libm::floor(count * (SUM_GROWTH - 1.0)) };
            // A stretch of them is taken for its middle.
            let terms = if step > 1.0 { at(count + (step - 1.0) / 2.0) } else { terms };
            for (sum, term) in sums.iter_mut().zip(terms) {
                *sum += term * step;
            }
            count += step;
            if terms[0] * count < 1e-7 || count > 1e7 {
                break;
            }
        }
        let [chance, mean, variance] = sums;
        let some = 1.0 - libm::exp(-chance);
        if some <= 1e-9 || mean <= 0.0 {
            return Left::default();
        }
        let mean_of_some = mean / some;
        let square = (variance + mean * mean) / some;
        Left {
            some,
            mean: mean_of_some,
            variance: (square - mean_of_some * mean_of_some)
                .max(0.01 * mean_of_some * mean_of_some),
        }
    }

    /// Mean and variance of the work that comes in a time.
    fn comes(&self, rate: f64, secs: f64) -> (f64, f64) {
        let count = rate * secs;
        (count * self.work, count * self.work * self.work * (1.0 + self.variation_squared))
    }

    /// The most that is done until so long after the start of a period, and whether threads stand
    /// still then.
    fn done(&self, secs: f64) -> (f64, bool) {
        let periods = libm::floor(secs / self.period);
        let within = self.threads * (secs - periods * self.period);
        let most = self.quota.min(self.threads * self.period);
        (periods * most + within.min(most), within >= most && most < self.threads * self.period)
    }

    /// Share of the requests that are not done so much later than without waiting.
    fn beyond(&self, rate: f64, (left, ahead): (Left, Option<&Ahead>), secs: f64) -> f64 {
        let throttled = match ahead {
            _ if self.is_never_throttled() => 0.0,
            Some(ahead) => self.for_quota_on(ahead, secs),
            None => self.for_quota(rate, left, secs),
        };
        1.0 - (1.0 - throttled) * (1.0 - self.for_thread(rate, secs)) * (1.0 - self.longer(secs))
    }

    /// Whether the threads cannot use up the quota.
    fn is_never_throttled(&self) -> bool {
        self.threads * self.period <= self.quota * (1.0 + 1e-9)
    }

    /// Share that waits longer for what the quota has left over.
    fn for_quota(&self, rate: f64, left: Left, secs: f64) -> f64 {
        let mut sum = 0.0;
        for phase in 0..PHASE_COUNT {
            let since = (f64::from(phase) + 0.5) / f64::from(PHASE_COUNT) * self.period;
            let (done, stands) = self.done(since + secs);
            let own = f64::from(u8::from(stands)) * self.work;
            let own_variance = own * own * self.variation_squared;
            // Nobody came in this period, or somebody did.
            let none = libm::exp(-rate * since);
            let (came, came_variance) = self.comes(rate, since);
            let (came, came_variance) = given_some(came, came_variance, 1.0 - none);
            let above = |mean: f64, variance: f64| {
                none * share_above(mean + own, variance + own_variance, done)
                    + (1.0 - none)
                        * share_above(
                            mean + own + came,
                            variance + own_variance + came_variance,
                            done,
                        )
            };
            let fresh = if stands { above(0.0, 0.0) } else { 0.0 };
            let with_left = if left.some > 0.0 { above(left.mean, left.variance) } else { 0.0 };
            sum += (1.0 - left.some) * fresh + left.some * with_left;
        }
        sum / f64::from(PHASE_COUNT)
    }

    /// The same where the law of what is ahead is known.
    fn for_quota_on(&self, ahead: &Ahead, secs: f64) -> f64 {
        let of = |phase: u32| {
            let (done, stands) = self.done(self.instant(phase) + secs);
            ahead.beyond(phase, stands, done)
        };
        (0..PHASE_COUNT).map(of).sum::<f64>() / f64::from(PHASE_COUNT)
    }

    /// Share that waits longer for a thread, of as many as there are: M/M/c, with the variation of the
    /// work as Allen and Cunneen have it.
    fn for_thread(&self, rate: f64, secs: f64) -> f64 {
        let erlangs = rate * self.work;
        if erlangs >= self.threads {
            return 1.0;
        }
        let (mut blocking, mut busy) = (1.0, 1.0);
        while busy <= self.threads {
            blocking = erlangs * blocking / (busy + erlangs * blocking);
            busy += 1.0;
        }
        let used = erlangs / self.threads;
        let waits = blocking / (1.0 - used * (1.0 - blocking));
        let factor = f64::midpoint(1.0, self.variation_squared);
        waits * libm::exp(-secs * (self.threads - erlangs) / (self.work * factor))
    }

    /// Share whose own work takes so much longer than a request takes without waiting.
    fn longer(&self, secs: f64) -> f64 {
        let limit = self.own + secs;
        if self.variation_squared <= 0.0 {
            return f64::from(u8::from(self.work > limit));
        }
        let shape = 1.0 / self.variation_squared;
        1.0 - gamma_share(shape, shape * limit / self.work)
    }

    /// Share of the periods in which the quota is used up: no sooner than the threads can.
    fn throttled(&self, rate: f64, left: Left) -> f64 {
        if self.is_never_throttled() { 0.0 } else { self.uses_up(rate, left, self.period) }
    }

    /// Probability that the quota was used up so long after the start of a period.
    fn uses_up(&self, rate: f64, left: Left, secs: f64) -> f64 {
        let (mean, variance) = self.comes(rate, secs);
        let above = |mean, variance| share_above(mean, variance, self.quota);
        let with_left = above(mean + left.mean, variance + left.variance);
        (1.0 - left.some) * above(mean, variance) + left.some * with_left
    }

    /// The middle of a part of a period.
    fn instant(&self, phase: u32) -> f64 {
        (f64::from(phase) + 0.5) / f64::from(PHASE_COUNT) * self.period
    }

    /// Share of the time in which threads stand still, when the quota is used up with this probability in
    /// a part of a period: no sooner than threads can.
    fn stood(&self, uses_up: impl Fn(u32) -> f64) -> f64 {
        if self.is_never_throttled() {
            return 0.0;
        }
        let can = |phase: &u32| self.threads * self.instant(*phase) >= self.quota;
        let sum: f64 = (0..PHASE_COUNT).filter(can).map(uses_up).sum();
        sum / f64::from(PHASE_COUNT)
    }

    /// What quotas do to it while it is busy all the time.
    fn met_when_busy(&self) -> Met {
        let is_never = self.is_never_throttled();
        let stood = if is_never { 0.0 } else { 1.0 - self.quota / (self.threads * self.period) };
        let throttled = f64::from(u8::from(!is_never));
        Met { delay: Delay::default(), active: 1.0, throttled, stood }
    }
}

/// Mean and variance of something that is zero unless it is there, which it is with this probability,
/// when it is.
fn given_some(mean: f64, variance: f64, some: f64) -> (f64, f64) {
    if some <= 0.0 {
        return (0.0, 0.0);
    }
    let given = mean / some;
    (given, ((variance + mean * mean) / some - given * given).max(0.0))
}

/// Share of a gamma distribution with this mean and variance above a level.
fn share_above(mean: f64, variance: f64, level: f64) -> f64 {
    if variance <= 1e-9 * mean * mean || mean <= 0.0 {
        return f64::from(u8::from(mean > level));
    }
    let shape = mean * mean / variance;
    1.0 - gamma_share(shape, shape * level / mean)
}

/// What is left to do at the start of a period: with which probability anything, and how much then.
#[derive(Clone, Copy, Debug, Default)]
struct Left {
    some: f64,
    mean: f64,
    variance: f64,
}

/// The table of the pods that a Service has most of the time, shared by all runs: what it says follows
/// from the pods alone.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    first: OnceLock<Table>,
}

impl Tables {
    pub(super) fn of(&self, pod: Pod) -> Table {
        let first = self.first.get_or_init(|| Table::new(pod));
        if first.pod == pod { first.clone() } else { Table::new(pod) }
    }
}

impl Table {
    fn new(pod: Pod) -> Self {
        Self { pod, points: Arc::new([const { OnceLock::new() }; RATIOS.len()]) }
    }

    /// How long requests take under this load, relative to the quota, where the queue before all pods
    /// together would have them take so long: which is right where it has grown and all pods are busy.
    pub(super) fn delay(&self, ratio: f64, together: Delay) -> Delay {
        match self.met(ratio) {
            Some(met) => Delay { fixed: self.pod.own, ..met.delay },
            None => together,
        }
    }

    /// What requests meet under this load, relative to the quota; `None` where it is so much that
    /// nothing but the queue counts.
    pub(super) fn met(&self, ratio: f64) -> Option<Met> {
        if ratio <= 0.0 {
            return Some(Met::default());
        }
        let above = RATIOS.iter().position(|known| ratio <= *known)?;
        let at = |idx: usize| *self.points[idx].get_or_init(|| self.pod.met(RATIOS[idx]));
        let high = at(above);
        if above == 0 {
            return Some(high);
        }
        let low = at(above - 1);
        let part = (ratio - RATIOS[above - 1]) / (RATIOS[above] - RATIOS[above - 1]);
        if part >= 1.0 {
            return Some(high);
        }
        let even = |one: f64, other: f64| one + part * (other - one);
        // Where both are some, by their logarithms: they grow by factors.
        let grown = |one: f64, other: f64| {
            if one > 0.0 && other > 0.0 {
                libm::exp(even(libm::log(one), libm::log(other)))
            } else {
                even(one, other)
            }
        };
        let delay = Delay {
            fixed: 0.0,
            waits: grown(low.delay.waits, high.delay.waits),
            mean: grown(low.delay.mean, high.delay.mean),
            variance: grown(low.delay.variance, high.delay.variance),
        };
        Some(Met {
            delay,
            active: even(low.active, high.active),
            throttled: grown(low.throttled, high.throttled),
            stood: grown(low.stood, high.stood),
        })
    }

    /// What quotas do to a pod under this load: periods a second in which something runs and in which it
    /// is throttled, and the share of the time that it stands still.
    pub(super) fn throttling(&self, ratio: f64) -> [f64; 3] {
        let Met { active, throttled, stood, .. } =
            self.met(ratio).unwrap_or_else(|| self.pod.met_when_busy());
        [active / self.pod.period, throttled / self.pod.period, stood]
    }
}

/// Where a falling function reaches a level.
fn point_beyond(beyond: &impl Fn(f64) -> f64, level: f64, first: f64) -> f64 {
    let (mut low, mut high) = (0.0, first);
    for _ in 0..HALVING_COUNT {
        if beyond(high) < level {
            break;
        }
        (low, high) = (high, high * 2.0);
    }
    for _ in 0..HALVING_COUNT {
        let middle = f64::midpoint(low, high);
        if beyond(middle) >= level {
            low = middle
        } else {
            high = middle
        }
        if high - low < 1e-4 * high {
            break;
        }
    }
    high
}

/// Mean and shape of the gamma distribution that has these shares below these points.
fn gamma_through(points: [f64; 2], shares: [f64; 2]) -> (f64, f64) {
    let quantile = |shape: f64, share: f64| {
        let (mut low, mut high) = (0.0, shape + 1.0);
        while gamma_share(shape, high) < share {
            high *= 2.0;
        }
        for _ in 0..HALVING_COUNT {
            let middle = f64::midpoint(low, high);
            if gamma_share(shape, middle) < share { low = middle } else { high = middle }
        }
        high
    };
    let wanted = points[1] / points[0].max(1e-12);
    // The larger the shape, the closer are the points.
    let (mut low, mut high) = (libm::log(0.05), libm::log(400.0));
    for _ in 0..HALVING_COUNT / 2 {
        let middle = f64::midpoint(low, high);
        let shape = libm::exp(middle);
        let ratio = quantile(shape, shares[1]) / quantile(shape, shares[0]).max(1e-300);
        if ratio > wanted { low = middle } else { high = middle }
    }
    let shape = libm::exp(f64::midpoint(low, high));
    (points[0] * shape / quantile(shape, shares[0]).max(1e-300), shape)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(quota: f64, threads: f64) -> Pod {
        Pod { period: 0.1, quota, threads, work: 0.01, variation_squared: 1.0, own: 0.02 }
    }

    #[test]
    fn what_is_left_is_as_in_a_simulation_of_two_hundred_thousand_periods() {
        // Half a core, 60 % used: P(V > 0) 0.276, E[V] 7.5 ms.
        let left = pod(0.05, 20.0).left(30.0);
        assert!((left.some / 0.276 - 1.0).abs() < 0.05, "{left:?}");
        assert!((left.some * left.mean / 0.0075 - 1.0).abs() < 0.08, "{left:?}");
    }

    #[test]
    fn a_quota_that_the_threads_cannot_use_up_never_throttles() {
        let met = pod(0.4, 4.0).met(0.8);
        assert_eq!(met.throttled, 0.0);
        let (beyond, longer) = (met.delay.waits, pod(0.4, 4.0).longer(0.0));
        // M/M/4 at 80 %: Erlang's C is 0.596.
        assert!((beyond - (1.0 - (1.0 - 0.596) * (1.0 - longer))).abs() < 1e-3, "{met:?}");
    }

    #[test]
    fn tails_grow_long_before_the_quota_is_used_in_the_mean() {
        let p99 = |ratio| pod(0.2, 8.0).met(ratio).delay.quantile(0.99);
        assert!(p99(0.2) < 0.03, "{}", p99(0.2));
        assert!(p99(0.5) > 0.02 && p99(0.75) > 0.04, "{} {}", p99(0.5), p99(0.75));
        let throttled = pod(0.2, 8.0).met(0.75).throttled;
        assert!((0.1..0.4).contains(&throttled), "{throttled}");
    }

    #[test]
    fn a_gamma_distribution_goes_through_two_points() {
        for (shape, mean) in [(0.5, 2.0), (1.0, 0.01), (3.0, 7.0), (40.0, 1.0)] {
            let law = Delay { fixed: 0.0, waits: 1.0, mean, variance: mean * mean / shape };
            let points = [0.5, 0.97].map(|share| law.quantile(share));
            let (found_mean, found_shape) = gamma_through(points, [0.5, 0.97]);
            assert!((found_mean / mean - 1.0).abs() < 1e-2, "{found_mean}, not {mean}");
            assert!((found_shape / shape - 1.0).abs() < 2e-2, "{found_shape}, not {shape}");
        }
    }
}
