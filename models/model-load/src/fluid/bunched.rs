//! How long a request waits in several calls that it makes to one Service, in the long run.
//!
//! Who waits in one of them is likely to wait in the next one too, because the queue is still long; and the
//! calls of a request come close together, so that they find more of each other there than calls that come by
//! themselves would. Both make the sum of the waits vary much more than that of as many waits that know
//! nothing of each other, and calls at the same time take turns. No law is known for that: such a Service is
//! [played](played) at each load that is asked for, once for all runs, and what a request waits in all its
//! calls is summed up by a gamma distribution with the same shares beyond two points.
//!
//! Simplified: calls at the same time as, or one right after, another one to the same Service are looked at,
//! not those with another call between them; the time from one to the next is rounded to a quarter of itself,
//! and the share of the Service's requests that such calls are to an eighth. Of several callers who do so the
//! one that makes most calls counts.

mod played;

use std::sync::{Arc, OnceLock};

use model_api::path::Work;

use super::quota::{gamma_through, levels_of, point_beyond};
use crate::delay::Delay;
use played::Played;

/// Utilizations at which the law is worked out; between them it is interpolated.
const RATIOS: [f64; 16] =
    [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.9, 0.95, 0.97, RATIO_MAX];
/// Where workers are busier than this, the queue that has grown counts, once it is longer.
pub(super) const RATIO_MAX: f64 = 0.985;
/// Ways to make several calls that are remembered of a Service.
const TABLE_COUNT_MAX: u32 = 1024;
/// Times between calls are rounded to powers of this.
const GAP_STEP: f64 = 1.25;
/// Times between calls that are looked at, in units of mean work: sooner is at the same time, and who comes
/// later finds nothing of what it saw.
const GAP_MIN: f64 = 0.01;
const GAP_MAX: f64 = 30.0;
const PARTS: f64 = 8.0;
/// More calls than this are looked at as that many.
const COUNT_MAX: u32 = 50;
/// Less than this share waits: nobody does.
const WAITS_MIN: f64 = 1e-5;

/// Calls of a request to one Service. The mean work of a call is the unit of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bunch {
    servers: u32,
    law: Work,
    count: u32,
    /// From when a call is taken up to when the next one is made; `None` when all are made at once.
    gap: Option<f64>,
    /// Which share of the requests of the Service such calls are.
    part: f64,
}

/// What a request waits in all of them, or in the slowest one of those at the same time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Waits {
    share: f64,
    mean: f64,
    variance: f64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Met {
    all: Waits,
    /// What a call waits, whoever makes it.
    each: Waits,
}

/// That at each utilization, worked out when it is asked for.
#[derive(Clone, Debug)]
struct Table {
    bunch: Bunch,
    points: Arc<[OnceLock<Met>; RATIOS.len()]>,
}

/// Those of a Service, shared by all runs.
#[derive(Debug, Default)]
pub(crate) struct BunchTables {
    first: OnceLock<Table>,
    others: OnceLock<Box<BunchTables>>,
}

impl Bunch {
    pub(super) fn new(servers: u32, law: Work, count: u32, part: f64) -> Self {
        let part = (libm::round(part * PARTS) / PARTS).clamp(1.0 / PARTS, 1.0);
        Self { servers, law, count: count.min(COUNT_MAX), gap: None, part }
    }

    /// With so much from one call to the next.
    pub(super) fn one_by_one(self, gap: f64) -> Self {
        let step = libm::log(GAP_STEP);
        let exponent = libm::round(libm::log(gap.clamp(GAP_MIN, GAP_MAX)) / step);
        Self { gap: Some(libm::exp(exponent * step)), ..self }
    }

    fn met(&self, ratio: f64) -> Met {
        let played = Played::of(self, ratio);
        Met {
            all: Waits::of(&|time| played.beyond(time)),
            each: Waits::of(&|time| played.each_beyond(time)),
        }
    }
}

impl Waits {
    /// Where this share waits longer than a time.
    fn of(beyond: &impl Fn(f64) -> f64) -> Self {
        let share = beyond(0.0);
        if share < WAITS_MIN {
            return Self::default();
        }
        let levels = levels_of(share);
        let points = levels.map(|level| point_beyond(beyond, level, 1.0));
        let (mean, shape) = gamma_through(points, levels.map(|level| 1.0 - level / share));
        Self { share, mean, variance: mean * mean / shape }
    }

    fn delay(self, work_secs: f64) -> Delay {
        let (mean, variance) = (self.mean * work_secs, self.variance * work_secs * work_secs);
        Delay { waits: self.share, mean, variance, ..Delay::default() }
    }
}

impl BunchTables {
    /// What a request waits in such calls, where workers are so busy and work takes so long in the mean.
    pub(super) fn wait(&self, bunch: Bunch, ratio: f64, work_secs: f64) -> Delay {
        self.of(bunch).met(ratio).all.delay(work_secs)
    }

    /// The same of what each call to the Service waits.
    pub(super) fn each(&self, bunch: Bunch, ratio: f64, work_secs: f64) -> Delay {
        self.of(bunch).met(ratio).each.delay(work_secs)
    }

    fn of(&self, bunch: Bunch) -> Table {
        let mut tables = self;
        for _ in 0..TABLE_COUNT_MAX {
            let first = tables.first.get_or_init(|| Table::new(bunch));
            if first.bunch == bunch {
                return first.clone();
            }
            tables = tables.others.get_or_init(Box::default);
        }
        Table::new(bunch)
    }
}

impl Table {
    fn new(bunch: Bunch) -> Self {
        Self { bunch, points: Arc::new([const { OnceLock::new() }; RATIOS.len()]) }
    }

    fn met(&self, ratio: f64) -> Met {
        let ratio = ratio.min(RATIO_MAX);
        let above = RATIOS.iter().position(|known| ratio <= *known).unwrap_or(RATIOS.len() - 1);
        let at = |idx: usize| *self.points[idx].get_or_init(|| self.bunch.met(RATIOS[idx]));
        let high = at(above);
        let (low, from) = match above.checked_sub(1) {
            Some(below) => (at(below), RATIOS[below]),
            None => (Met::default(), 0.0),
        };
        let part = ((ratio - from) / (RATIOS[above] - from)).clamp(0.0, 1.0);
        let between = |of: fn(&Met) -> Waits| of(&low).towards(of(&high), part);
        Met { all: between(|it| it.all), each: between(|it| it.each) }
    }
}

impl Waits {
    /// So far on the way to others: where both are some by their logarithms, as they grow by factors.
    fn towards(self, other: Self, part: f64) -> Self {
        let grown = |low: f64, high: f64| {
            if low > 0.0 && high > 0.0 {
                libm::exp(libm::log(low) + part * (libm::log(high) - libm::log(low)))
            } else {
                low + part * (high - low)
            }
        };
        Self {
            share: grown(self.share, other.share),
            mean: grown(self.mean, other.mean),
            variance: grown(self.variance, other.variance),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_far_from_each_other_wait_as_if_alone() {
        // M/M/4 at 70 %: Erlang's C is 0.4287, and those who wait do so for 1 / 1.2 of work.
        let bunch = Bunch::new(4, Work::Exponential, 3, 1.0 / PARTS).one_by_one(GAP_MAX);
        let Waits { share, .. } = bunch.met(0.7).all;
        let none = libm::pow(1.0 - 0.4287, 3.0);
        assert!((share - (1.0 - none)).abs() < 0.02, "{share}, not {}", 1.0 - none);
    }

    #[test]
    fn calls_close_to_each_other_wait_together_and_for_each_other() {
        let alone = Bunch::new(12, Work::Exponential, 3, 1.0).one_by_one(GAP_MAX).met(0.6).all;
        let close = Bunch::new(12, Work::Exponential, 3, 1.0).one_by_one(1.0).met(0.6).all;
        // Played by itself: 0.244 wait at all, and one in a hundred longer than 1.27 of work.
        assert!((close.share - 0.244).abs() < 0.01, "{close:?}");
        let delay = Delay {
            waits: close.share,
            mean: close.mean,
            variance: close.variance,
            ..Delay::default()
        };
        assert!((delay.quantile(0.99) / 1.27 - 1.0).abs() < 0.06, "{}", delay.quantile(0.99));
        assert!(close.mean > 1.3 * alone.mean, "{close:?} {alone:?}");
    }

    #[test]
    fn calls_at_once_take_turns() {
        // Twenty calls to ten idle workers: the last one waits for ten turns of a tenth of the work.
        let Waits { share, mean, .. } = Bunch::new(10, Work::Exponential, 20, 1.0).met(0.05).all;
        assert!(share > 0.99 && (0.95..1.2).contains(&mean), "{share} {mean}");
    }
}
