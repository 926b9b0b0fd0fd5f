//! How long the slowest of several calls takes that one request makes at the same time.
//!
//! Requests that come close together make all their calls close together, so that all of them find long
//! queues at once: how long they wait goes together, and nobody waits for the slowest as long as if they
//! did not know of each other (Baccelli, Makowski and Shwartz 1989: fork-join delays are associated, and
//! independent ones with the same laws are an upper bound).
//!
//! What goes together is known where queues are long. The wait in a queue is the most that its work was
//! ahead of its time (Kingman 1962), and of what that varies the part `1 / (1 + c²)` is due to when requests
//! come, which is the same for all of them (c: how the work varies; Nguyen 1993, heavy traffic of networks
//! with parallel tasks). A long wait `w` comes from the last `w / (1 - utilization)` of time, so that a
//! busier queue has seen more of it than another one, and of the time that both have seen the same. So each
//! delay is taken for as far along its own law as the normal value `sqrt(share) B(span) / sqrt(span) +
//! sqrt(1 - share) noise` along the normal one, with the same Brownian motion `B` for all. Long waits in two
//! queues are then as likely together as large deviations have it.
//!
//! Simplified: of a call, what it waits where it leads to counts, and what that calls in turn is as if it
//! came by itself; calls at the same time to one Service take turns at it besides (`bunched`).

use model_api::observation::WaitLaw;

use crate::delay::{Delay, normal_share};

/// Points at which the law of the slowest is looked at.
const POINT_COUNT: u32 = 64;
/// Values of the motion that are looked at, in deviations from its mean.
const VALUE_COUNT: usize = 13;
const VALUE_STEP: f64 = 0.6;
/// A motion that changes less than this, in deviations, stays where it is.
const STAYS: f64 = 0.3;
/// No more than this follows when requests come, so that no step is ever as steep as a wall.
const SHARE_MAX: f64 = 0.98;
const HALVING_COUNT: u32 = 48;
/// Further from the mean there is nothing.
const SCORE_MAX: f64 = 9.0;

/// How far a delay follows when requests come.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Common {
    /// Which part of what it varies.
    pub(crate) share: f64,
    /// Over how long, in seconds.
    pub(crate) span: f64,
}

/// A call that is made at the same time as others, as often as `count`.
#[derive(Clone, Copy, Debug)]
struct Call {
    delay: Delay,
    common: Common,
    count: f64,
}

type Values = [f64; VALUE_COUNT];

/// The longest of several delays that begin at the same time. Nothing is shorter than the longest fixed
/// part; what goes beyond has the mean and the variance that it has in truth.
pub(crate) fn slowest(all: impl Iterator<Item = (Delay, Common)>) -> Delay {
    // Equal ones, as of a call that is made several times, are one law.
    let mut calls: Vec<Call> = Vec::new();
    for (delay, common) in all {
        match calls.iter_mut().find(|known| known.delay == delay && known.common == common) {
            Some(known) => known.count += 1.0,
            None => calls.push(Call { delay, common, count: 1.0 }),
        }
    }
    calls.sort_by(|one, other| one.common.span.total_cmp(&other.common.span));
    let fixed = calls.iter().fold(0.0, |most: f64, call| most.max(call.delay.fixed));
    let follows = calls.iter().filter(|call| call.common.share > 0.0).count() > 1;
    let steps = if follows { Steps::of(&calls) } else { Steps::default() };
    let beyond = |secs: f64| 1.0 - steps.share_over(&calls, fixed + secs);
    let waits = beyond(0.0);
    let longest = |most: f64, call: &Call| {
        let spread = libm::sqrt(call.delay.variance) * (1.0 + libm::log(call.count));
        most.max(call.delay.mean + spread)
    };
    let scale = calls.iter().fold(0.0, longest);
    if waits <= 0.0 || scale <= 0.0 {
        return Delay::fixed(fixed);
    }
    // Mean and mean square are integrals of the share that takes longer, over all times: here over
    // x / (scale + x), from zero to one.
    let (mut first, mut second) = (0.0, 0.0);
    for step in 0..POINT_COUNT {
        let at = (f64::from(step) + 0.5) / f64::from(POINT_COUNT);
        let secs = scale * at / (1.0 - at);
        let width = scale / ((1.0 - at) * (1.0 - at)) / f64::from(POINT_COUNT);
        let share = beyond(secs) * width;
        first += share;
        second += 2.0 * secs * share;
    }
    let mean = first / waits;
    let widest = calls.iter().map(|call| call.delay).reduce(|widest, delay| {
        if delay.whole_variance() > widest.whole_variance() { delay } else { widest }
    });
    let law = widest.map_or(WaitLaw::Gamma, |delay| delay.law);
    Delay { fixed, waits, mean, variance: (second / waits - mean * mean).max(0.0), law }
}

/// How the motion goes from each call to the next one that has seen more of it.
#[derive(Debug, Default)]
struct Steps {
    weights: Values,
    /// By call, without the first: where it comes from, by where it is. `None` where it stays.
    ways: Vec<Option<[Values; VALUE_COUNT]>>,
}

impl Steps {
    fn of(calls: &[Call]) -> Self {
        let mut weights = value_points().map(|value| libm::exp(-value * value / 2.0));
        let sum: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|weight| *weight /= sum);
        let way = |pair: &[Call]| {
            let [seen, all] = [pair[0].common.span, pair[1].common.span];
            let kept = if all > 0.0 { libm::sqrt(seen / all) } else { 1.0 };
            let change = libm::sqrt(1.0 - kept * kept);
            (change > STAYS).then(|| way_by(kept, change))
        };
        Self { weights, ways: calls.windows(2).map(way).collect() }
    }

    /// Probability that all of them are over after so long.
    fn share_over(&self, calls: &[Call], secs: f64) -> f64 {
        let over = |call: &Call| libm::pow(call.delay.is_over(secs), call.count);
        if self.ways.is_empty() {
            return calls.iter().map(over).product();
        }
        let mut shares = self.weights;
        for (idx, call) in calls.iter().enumerate() {
            if let Some(Some(way)) = idx.checked_sub(1).map(|before| &self.ways[before]) {
                let from = shares;
                for (to, shares) in shares.iter_mut().enumerate() {
                    *shares = from.iter().zip(way).map(|(share, way)| share * way[to]).sum();
                }
            }
            call.narrow(over(call), &mut shares);
        }
        shares.iter().sum()
    }
}

impl Call {
    /// Leaves of each value the share at which this call is over, where it is so of all with probability
    /// `over`.
    fn narrow(&self, over: f64, shares: &mut Values) {
        let part = self.common.share.clamp(0.0, SHARE_MAX);
        if part <= 0.0 || over <= 0.0 || over >= 1.0 {
            shares.iter_mut().for_each(|share| *share *= over);
            return;
        }
        let score = score_of(over);
        let (by, rest) = (libm::sqrt(part), libm::sqrt(1.0 - part));
        for (share, value) in shares.iter_mut().zip(value_points()) {
            *share *= normal_share((score - by * value) / rest);
        }
    }
}

fn value_points() -> Values {
    let middle = (VALUE_COUNT / 2) as f64;
    std::array::from_fn(|idx| (idx as f64 - middle) * VALUE_STEP)
}

/// By value, how likely a motion that keeps so much of it comes to each other one.
fn way_by(kept: f64, change: f64) -> [Values; VALUE_COUNT] {
    value_points().map(|from| {
        let mut to = value_points().map(|to| {
            let score = (to - kept * from) / change;
            libm::exp(-score * score / 2.0)
        });
        let sum: f64 = to.iter().sum();
        to.iter_mut().for_each(|share| *share /= sum);
        to
    })
}

/// The point below which this share of the standard normal distribution is.
fn score_of(share: f64) -> f64 {
    let (mut low, mut high) = (-SCORE_MAX, SCORE_MAX);
    for _ in 0..HALVING_COUNT {
        let middle = f64::midpoint(low, high);
        if normal_share(middle) < share { low = middle } else { high = middle }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(mean: f64) -> Delay {
        Delay { waits: 1.0, mean, variance: mean * mean, ..Delay::default() }
    }

    fn alone(delay: Delay) -> (Delay, Common) {
        (delay, Common::default())
    }

    #[test]
    fn the_slowest_of_exponential_waits_is_that_of_their_sums() {
        // Of n: the mean is 1 + 1/2 + … + 1/n, the variance 1 + 1/4 + … + 1/n².
        for count in [1_u32, 2, 5, 20] {
            let all = slowest((0..count).map(|_| alone(wait(3.0))));
            let sum = |power: i32| (1..=count).map(|n| f64::from(n).powi(power)).sum::<f64>();
            assert!((all.whole_mean() / 3.0 / sum(-1) - 1.0).abs() < 0.01, "{all:?} of {count}");
            assert!(
                (all.whole_variance() / 9.0 / sum(-2) - 1.0).abs() < 0.05,
                "{all:?} of {count}"
            );
        }
        // One that is always longer is all that counts.
        let long = Delay { fixed: 100.0, ..wait(1.0) };
        let both = slowest([long, wait(1.0)].into_iter().map(alone));
        assert!((both.whole_mean() - 101.0).abs() < 0.01 && (both.fixed - 100.0).abs() < 1e-12);
        let fixed = slowest([Delay::fixed(1.0), Delay::fixed(2.0)].into_iter().map(alone));
        assert!(fixed == Delay::fixed(2.0));
    }

    #[test]
    fn two_queues_near_saturation_wait_as_flatto_and_hahn_say() {
        // The mean of the longer of two times in equal queues that requests come to at once is
        // (12 - utilization) / 8 of that of each (Flatto and Hahn 1984); here at saturation, within 2 %.
        let common = |span| Common { share: 0.5, span };
        // Of another length, so that they are two laws.
        let calls = [(wait(1.0), common(1.0)), (wait(1.0 + 1e-9), common(1.0))];
        let both = slowest(calls.into_iter()).whole_mean();
        assert!((both / 1.375 - 1.0).abs() < 0.02, "{both}");
        // A queue that has seen ten times as much knows little of what the other one has seen.
        let calls = [(wait(1.0), common(1.0)), (wait(1.0 + 1e-9), common(10.0))];
        let apart = slowest(calls.into_iter()).whole_mean();
        assert!(apart > both + 0.04 && apart < 1.5, "{apart}");
    }

    #[test]
    fn what_follows_nothing_but_when_requests_come_is_as_long_as_the_longest() {
        let common = Common { share: 1.0, span: 1.0 };
        let calls = [(wait(1.0), common), (wait(1.000_001), common)];
        let both = slowest(calls.into_iter()).whole_mean();
        assert!((1.0..1.12).contains(&both), "{both}");
    }
}
