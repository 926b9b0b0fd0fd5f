//! What the quota of a pod leaves over from period to period, exactly: laws on a lattice of CPU time.
//!
//! Where a quota is few requests, what is left at the start of a period is far from any law that its first
//! moments tell. Here it is the stationary law of `V' = max(0, V + A - quota)` itself, found by going from
//! period to period until nothing changes, with the compound Poisson law of the work `A` that comes in one
//! (Panjer 1981). The steps of the lattice keep the mean of the work of a request (the method of local
//! moments, Gerber 1982).

use super::Pod;
use crate::delay::gamma_share;

/// Steps of a quota, at least, and of the work of a request in the mean.
const QUOTA_STEPS: f64 = 40.0;
const WORK_STEPS: f64 = 3.0;
/// A quota of more requests has a law that moments tell well enough.
pub(super) const REQUESTS_MAX: f64 = 40.0;
/// A load above this share of the quota leaves so much over that a lattice becomes long; what it leaves has
/// a plain law then.
pub(super) const RATIO_MAX: f64 = 0.9;
/// Steps of a law at most, and what is cut off at its end.
const COUNT_MAX: usize = 6_000;
const TAIL: f64 = 1e-7;
/// Periods until nothing changes, at most.
const PERIOD_COUNT_MAX: u32 = 2_000;

/// Shares of amounts of work: of none, of one step, and so on.
#[derive(Clone, Debug)]
struct Law(Vec<f64>);

/// What requests find that come in a period.
#[derive(Clone, Debug)]
pub(super) struct Ahead {
    step: f64,
    /// Steps of work beyond which a quota is used up.
    used_up: f64,
    /// By part of a period: what is ahead of those that come in it, without and with their own work, as
    /// the share of them that finds so much or more.
    phases: Vec<[Vec<f64>; 2]>,
    /// Share of the periods in which there is anything to do, and more than the quota.
    pub(super) active: f64,
    pub(super) throttled: f64,
}

impl Ahead {
    /// For so many requests per second, in so many parts of a period; `None` where moments do.
    pub(super) fn of(pod: &Pod, rate: f64, phase_count: u32) -> Option<Self> {
        let ratio = rate * pod.period * pod.work / pod.quota;
        if pod.quota > REQUESTS_MAX * pod.work || ratio > RATIO_MAX {
            return None;
        }
        let steps = libm::ceil(WORK_STEPS.max(QUOTA_STEPS * pod.work / pod.quota));
        let step = pod.work / steps;
        let work = work_of(pod, step);
        let quota = pod.quota / step;
        let comes = sum_of(rate * pod.period, &work);
        let left = stationary(&comes, quota);
        let active = 1.0 - left.and(&comes).0[0];
        // Constant work may use a quota up to its end and leave nothing to do: that is no throttling.
        let used_up = if pod.variation_squared > 0.0 { quota } else { quota + 0.5 };
        let throttled = left.and(&comes).beyond(used_up);
        let phases = (0..phase_count).map(|phase| {
            let since = (f64::from(phase) + 0.5) / f64::from(phase_count) * pod.period;
            let ahead = left.and(&sum_of(rate * since, &work));
            let with_own = ahead.and(&work);
            [ahead.tails(), with_own.tails()]
        });
        Some(Self { step, used_up, phases: phases.collect(), active, throttled })
    }

    /// Share of those that come in a part of a period that find more than this ahead; with their own
    /// work, where that counts.
    pub(super) fn beyond(&self, phase: u32, has_own: bool, secs: f64) -> f64 {
        beyond(&self.phases[phase as usize][usize::from(has_own)], secs / self.step)
    }

    /// Probability that there was more to do than the quota by a part of a period.
    pub(super) fn uses_up(&self, phase: u32) -> f64 {
        beyond(&self.phases[phase as usize][0], self.used_up)
    }
}

impl Law {
    /// Both.
    fn and(&self, other: &Self) -> Self {
        let (Self(one), Self(other)) = (self, other);
        let mut sum = vec![0.0; (one.len() + other.len() - 1).min(COUNT_MAX)];
        for (at, share) in one.iter().enumerate().filter(|(_, share)| **share > 0.0) {
            for (sum, part) in sum.iter_mut().skip(at).zip(other) {
                *sum += share * part;
            }
        }
        Self(sum).cut()
    }

    /// Without an end that hardly anything is in.
    fn cut(mut self) -> Self {
        let mut tail = 0.0;
        while let Some(last) = self.0.last().filter(|_| self.0.len() > 1) {
            tail += last;
            if tail > TAIL {
                break;
            }
            self.0.pop();
        }
        self
    }

    /// What is left of it when so many steps are taken away.
    fn less(&self, quota: f64) -> Self {
        // Between two steps, as much of each that the mean is kept.
        let low = libm::floor(quota);
        let part = quota - low;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "short lattices"
        )]
        let low = low as usize;
        let mut left = vec![0.0; self.0.len().saturating_sub(low).max(1)];
        for (at, share) in self.0.iter().enumerate() {
            left[at.saturating_sub(low)] += share * (1.0 - part);
            left[at.saturating_sub(low + 1)] += share * part;
        }
        Self(left).cut()
    }

    /// By step: the share that is so much or more, of what is anything at all.
    fn tails(&self) -> Vec<f64> {
        let mut tails = self.0.clone();
        tails[0] = 0.0;
        for at in (1..tails.len()).rev() {
            tails[at - 1] += tails[at];
        }
        tails
    }

    fn beyond(&self, steps: f64) -> f64 {
        beyond(&self.tails(), steps)
    }
}

/// Share above a level; what is at a step lies evenly around it.
fn beyond(tails: &[f64], steps: f64) -> f64 {
    let at = steps.max(0.0) + 0.5;
    let low = libm::floor(at);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
    let idx = low as usize;
    let tail = |idx: usize| tails.get(idx).copied().unwrap_or(0.0);
    if idx == 0 { tail(1) } else { tail(idx) + (at - low) * (tail(idx + 1) - tail(idx)) }
}

/// The work of a request.
fn work_of(pod: &Pod, step: f64) -> Law {
    if pod.variation_squared <= 0.0 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "few steps")]
        let steps = libm::round(pod.work / step) as usize;
        let mut law = vec![0.0; steps + 1];
        law[steps] = 1.0;
        return Law(law);
    }
    let shape = 1.0 / pod.variation_squared;
    // The mean of what is cut at a level.
    let cut = |level: f64| {
        let point = shape * level / pod.work;
        pod.work * gamma_share(shape + 1.0, point) + level * (1.0 - gamma_share(shape, point))
    };
    let mut law = vec![1.0 - cut(step) / step];
    let (mut before, mut here) = (0.0, cut(step));
    let mut left = 1.0 - law[0];
    for at in 1..COUNT_MAX {
        let next = cut(step * (at + 1) as f64);
        let share = ((2.0 * here - before - next) / step).max(0.0);
        law.push(share);
        left -= share;
        (before, here) = (here, next);
        if left < TAIL / 10.0 {
            break;
        }
    }
    Law(law)
}

/// The work of a Poisson number of requests with this mean (Panjer's recursion).
fn sum_of(count: f64, work: &Law) -> Law {
    let Law(work) = work;
    let first = libm::exp(-count * (1.0 - work[0]));
    let mut sum = vec![first];
    let mut left = 1.0 - first;
    while left > TAIL && sum.len() < COUNT_MAX {
        let at = sum.len();
        let terms = work.iter().enumerate().take(at + 1).skip(1);
        let share: f64 = terms.map(|(steps, part)| steps as f64 * part * sum[at - steps]).sum();
        sum.push(count / at as f64 * share);
        left -= sum[at];
    }
    Law(sum)
}

/// What is left at the start of a period in the long run.
fn stationary(comes: &Law, quota: f64) -> Law {
    let mut left = Law(vec![1.0]);
    for _ in 0..PERIOD_COUNT_MAX {
        let next = left.and(comes).less(quota);
        let change: f64 = (0..next.0.len().max(left.0.len()))
            .map(|at| {
                let of = |law: &Law| law.0.get(at).copied().unwrap_or(0.0);
                (of(&next) - of(&left)).abs()
            })
            .sum();
        left = next;
        if change < 1e-5 {
            break;
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(work: f64, variation_squared: f64) -> Pod {
        Pod { period: 0.1, quota: 0.05, threads: 20.0, work, variation_squared, own: 0.02 }
    }

    fn mean(law: &Law, step: f64) -> f64 {
        law.0.iter().enumerate().map(|(at, share)| at as f64 * step * share).sum()
    }

    #[test]
    fn laws_keep_their_means() {
        for variation_squared in [0.0, 0.5, 1.0, 2.0] {
            let pod = pod(0.01, variation_squared);
            let step = 0.01 / 8.0;
            let work = work_of(&pod, step);
            assert!((mean(&work, step) / 0.01 - 1.0).abs() < 1e-4, "{variation_squared}");
            let sum = sum_of(3.0, &work);
            assert!((mean(&sum, step) / 0.03 - 1.0).abs() < 1e-4, "{variation_squared}");
            assert!((sum.0.iter().sum::<f64>() - 1.0).abs() < 1e-6);
            let less = sum.less(0.013 / step);
            let wanted: f64 = mean(&sum, step) - 0.013;
            assert!(mean(&less, step) >= wanted, "nothing is negative");
        }
    }

    #[test]
    fn what_is_left_is_as_in_a_simulation_of_two_hundred_thousand_periods() {
        // Half a core, 60 % used: P(V > 0) 0.276, E[V] 7.5 ms.
        let step = 0.01 / 8.0;
        let work = work_of(&pod(0.01, 1.0), step);
        let left = stationary(&sum_of(3.0, &work), 0.05 / step);
        let some = 1.0 - left.0[0];
        assert!((some / 0.276 - 1.0).abs() < 0.05, "{some}");
        assert!((mean(&left, step) / 0.0075 - 1.0).abs() < 0.03, "{}", mean(&left, step));
    }
}
