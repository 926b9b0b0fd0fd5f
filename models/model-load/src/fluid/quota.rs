//! How long requests wait in pods that have a CFS quota, in the long run.
//!
//! A pod is [played](played) at each load that is asked for, once for all runs. The law of how much later than
//! without waiting requests are answered is summed up by a gamma distribution with the same shares beyond two
//! points, those that the 95th and the 99th percentile depend on.
//!
//! Simplified: with a limit for the queue of a pod, the flow refuses nobody because the pod is throttled;
//! and probes wait as if all pods had one queue where that is stated (`Balancing::Shared`). Those that are
//! sent in turn, or to whoever has fewest, are taken for those that are sent by chance.

mod played;

use std::sync::{Arc, OnceLock};

use model_api::path::Work;

use crate::delay::{Delay, gamma_share};
use crate::evaluation::Endpoints;
use crate::graph::Node;
use played::Played;

/// Loads, relative to the quota, at which the law is worked out; between them it is interpolated.
const RATIOS: [f64; 22] = [
    0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85,
    0.9, 0.925, 0.95, 0.97, 0.985,
];
const HALVING_COUNT: u32 = 40;
/// Kinds of pods of a Service that are remembered: those that become warm have less quota before.
const TABLE_COUNT_MAX: u32 = 32;
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
    pub(super) law: Work,
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
            quota: in_micros(quota.of_pod(capacity_millirps, live_count)),
            threads: f64::from(node.serving.workers),
            work: quota.work_secs,
            law: node.serving.work,
            own: node.own_latency.as_secs_f64(),
        })
    }

    /// What requests meet under a load of this ratio to the quota, below one.
    pub(super) fn met(&self, ratio: f64) -> Met {
        let rate = ratio * self.quota / (self.period * self.work);
        let played = Played::of(self, rate, ratio);
        let Played { active, throttled, stood, .. } = played;
        let beyond = |secs: f64| played.beyond(secs);
        let waits = beyond(0.0);
        let whole = Met { delay: Delay::default(), active, throttled, stood };
        if waits < WAITS_MIN {
            return whole;
        }
        let levels = levels_of(waits);
        let points = levels.map(|level| point_beyond(&beyond, level, self.period));
        let shares = levels.map(|level| 1.0 - level / waits);
        let (mean, shape) = gamma_through(points, shares);
        let delay = Delay { waits, mean, variance: mean * mean / shape, ..Delay::default() };
        Met { delay, ..whole }
    }

    /// Whether the threads cannot use up the quota.
    fn is_never_throttled(&self) -> bool {
        self.threads * self.period <= self.quota * (1.0 + 1e-9)
    }

    /// What quotas do to it while it is busy all the time.
    fn met_when_busy(&self) -> Met {
        let is_never = self.is_never_throttled();
        let stood = if is_never { 0.0 } else { 1.0 - self.quota / (self.threads * self.period) };
        let throttled = f64::from(u8::from(!is_never));
        Met { delay: Delay::default(), active: 1.0, throttled, stood }
    }
}

/// As `cpu.max` has it, so that as many pods of one kind are of one kind.
fn in_micros(secs: f64) -> f64 {
    libm::round(secs * 1e6) / 1e6
}

/// The tables of the pods that a Service has had, shared by all runs: what they say follows from the pods
/// alone, and costs some hundredths of a second for each load.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    first: OnceLock<Table>,
    others: OnceLock<Box<Tables>>,
}

impl Tables {
    pub(super) fn of(&self, pod: Pod) -> Table {
        let mut tables = self;
        for _ in 0..TABLE_COUNT_MAX {
            let first = tables.first.get_or_init(|| Table::new(pod));
            if first.pod == pod {
                return first.clone();
            }
            tables = tables.others.get_or_init(Box::default);
        }
        Table::new(pod)
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
            ..Delay::default()
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

/// Levels of a whole law, of which so many wait, below which the two points lie that its gamma law goes through.
pub(super) fn levels_of(waits: f64) -> [f64; 2] {
    if waits > 0.6 {
        [0.5, 0.03]
    } else if waits > 0.06 {
        [0.05, 0.01]
    } else if waits > 0.012 {
        [0.01, 0.002]
    } else {
        [waits * 0.3, waits * 0.05]
    }
}

/// Where a falling function reaches a level.
pub(super) fn point_beyond(beyond: &impl Fn(f64) -> f64, level: f64, first: f64) -> f64 {
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
pub(super) fn gamma_through(points: [f64; 2], shares: [f64; 2]) -> (f64, f64) {
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
        Pod { period: 0.1, quota, threads, work: 0.01, law: Work::Exponential, own: 0.02 }
    }

    #[test]
    fn a_quota_that_the_threads_cannot_use_up_never_throttles() {
        let met = pod(0.4, 4.0).met(0.8);
        assert_eq!(met.throttled, 0.0);
        // M/M/4 at 80 %: Erlang's C is 0.596; or its own work is longer than what it takes besides.
        let longer = libm::exp(-2.0);
        let beyond = 1.0 - (1.0 - 0.596) * (1.0 - longer);
        assert!((met.delay.waits - beyond).abs() < 0.01, "{met:?}, {beyond}");
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
            let law = Delay { waits: 1.0, mean, variance: mean * mean / shape, ..Delay::default() };
            let points = [0.5, 0.97].map(|share| law.quantile(share));
            let (found_mean, found_shape) = gamma_through(points, [0.5, 0.97]);
            assert!((found_mean / mean - 1.0).abs() < 1e-2, "{found_mean}, not {mean}");
            assert!((found_shape / shape - 1.0).abs() < 2e-2, "{found_shape}, not {shape}");
        }
    }
}
