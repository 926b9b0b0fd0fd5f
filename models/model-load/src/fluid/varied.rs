//! How long requests wait in line when their work varies more than exponential work.
//!
//! Rare long work keeps one worker of several, while the others go on: waits are shorter than those of one
//! worker as fast as all of them, the more so the less busy they are. Two moments of the work do not tell by
//! how much (Gupta, Harchol-Balter, Dai and Zwart 2010), so the queue is worked out: lognormal work is taken
//! for a mixture of two or three exponential kinds with the same moments of the orders that count, and of such a
//! queue everything is known from matrices (Neuts 1981, M/H/c as a quasi-birth-death process).
//!
//! The mixture: lognormal work of the variation `c` is nearly exponential work that is stretched by a
//! lognormal factor with the second moment `(1 + c²) / 2`. Of the factor three kinds have the moments of the
//! orders 0, ½, 1, 1½, 2 and 2½ (the points of Gauss for its root), and two those of 0, 1, 1½ and 2: the work
//! has the same mean and variance. Its third moment is of work so rare that several workers hardly meet it.
//! Against ten million requests of M/G/c with a variation of 2 and 3, 3 to 20 workers that are 50 to 90 % busy:
//! the share that waits within 1 %, the mean wait of those within 8 % (13 % for 8 workers at half their
//! capacity), where the formula of Allen and Cunneen has up to three times as much.
//!
//! Where each pod has a line, it is the line of one pod to which requests come by chance.
//!
//! Simplified: more workers than [`SERVER_COUNT_MAX`] wait as that many do at the same utilization. What a
//! limit of the queue changes is as for other work.

mod matrix;

use std::sync::{Arc, OnceLock};

use model_api::path::{Balancing, Discipline, Serving, Work};

use super::quota::{gamma_through, levels_of};
use crate::evaluation::Endpoints;
use crate::request::line_count;
use matrix::Matrix;

/// Work that varies less is as good as exponential to the formulas for it.
const VARIATION_MIN: f64 = 1.2;
/// Workers of which three kinds of work are looked at: 45 ways to be busy.
const OF_THREE_KINDS_MAX: u32 = 8;
/// More workers than this are looked at as that many.
const SERVER_COUNT_MAX: u32 = 48;
/// Utilizations at which waits are worked out; between them they are interpolated.
const RATIOS: [f64; 9] = [0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98];
/// Numbers of workers of a Service, and laws of its work, that are remembered.
const TABLE_COUNT_MAX: u32 = 64;
const ROUND_COUNT_MAX: u32 = 64;
const PRECISION: f64 = 1e-12;
/// Requests that are waited for, at most.
const LEVEL_COUNT_MAX: u32 = 20_000;
const HALVING_COUNT: u32 = 80;

/// What requests meet in line, relative to exponential work.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Varied {
    /// Share that waits, as a multiple.
    pub(super) waits: f64,
    /// Mean wait of those, as a multiple.
    pub(super) mean: f64,
    /// Square of the coefficient of variation of the gamma law with the same shares beyond the points that
    /// the 95th and the 99th percentile depend on.
    pub(super) variation_squared: f64,
}

/// Workers and the law of their work.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Kind {
    servers: u32,
    variation: f64,
}

/// What requests meet at each utilization, worked out when it is asked for.
#[derive(Clone, Debug)]
pub(super) struct Table {
    kind: Kind,
    points: Arc<[OnceLock<Varied>; RATIOS.len()]>,
}

/// Those of the pods that a Service has had, shared by all runs.
#[derive(Debug, Default)]
pub(crate) struct VariedTables {
    first: OnceLock<Table>,
    others: OnceLock<Box<VariedTables>>,
}

impl VariedTables {
    /// `None` where nothing is to be worked out.
    pub(super) fn of(&self, serving: &Serving, endpoints: Endpoints) -> Option<Table> {
        let Work::Lognormal { variation } = serving.work else { return None };
        let lines = line_count(serving, endpoints.live_count);
        let servers =
            (endpoints.live_count / lines).saturating_mul(serving.workers).min(SERVER_COUNT_MAX);
        let is_by_chance = matches!(serving.balancing, Balancing::Shared | Balancing::Random)
            || endpoints.live_count == 1;
        let is_line = serving.discipline == Discipline::FirstCome
            && serving.quota_period.is_none()
            && is_by_chance;
        if !is_line || servers == 0 || variation < VARIATION_MIN {
            return None;
        }
        let kind = Kind { servers, variation };
        let mut tables = self;
        for _ in 0..TABLE_COUNT_MAX {
            let first = tables.first.get_or_init(|| Table::new(kind));
            if first.kind == kind {
                return Some(first.clone());
            }
            tables = tables.others.get_or_init(Box::default);
        }
        Some(Table::new(kind))
    }
}

impl Table {
    fn new(kind: Kind) -> Self {
        Self { kind, points: Arc::new([const { OnceLock::new() }; RATIOS.len()]) }
    }

    /// What requests meet at this utilization, below one.
    pub(super) fn met(&self, ratio: f64) -> Varied {
        let at = |idx: usize| *self.points[idx].get_or_init(|| self.kind.met(RATIOS[idx]));
        let above = RATIOS.iter().position(|known| ratio <= *known);
        let Some(above) = above else { return at(RATIOS.len() - 1) };
        let high = at(above);
        if above == 0 {
            return high;
        }
        let low = at(above - 1);
        let part = (ratio - RATIOS[above - 1]) / (RATIOS[above] - RATIOS[above - 1]);
        let even = |of: fn(&Varied) -> f64| of(&low) + part * (of(&high) - of(&low));
        Varied {
            waits: even(|it| it.waits),
            mean: even(|it| it.mean),
            variation_squared: even(|it| it.variation_squared),
        }
    }
}

impl Kind {
    fn met(&self, ratio: f64) -> Varied {
        let rate = ratio * f64::from(self.servers);
        let found = Line::new(self.servers, rate, self.parts()).waits();
        let exponential = Line::new(self.servers, rate, vec![(1.0, 1.0)]).waits();
        let levels = levels_of(found.waits);
        let points = levels.map(|level| found.point_beyond(level, rate));
        let shares = levels.map(|level| 1.0 - level / found.waits);
        let (mean, shape) = gamma_through(points, shares);
        Varied {
            waits: found.waits / exponential.waits,
            mean: mean / exponential.mean,
            variation_squared: 1.0 / shape,
        }
    }

    /// Kinds of work: how often each comes, and its mean.
    fn parts(&self) -> Vec<(f64, f64)> {
        let spread = libm::log(f64::midpoint(1.0, self.variation * self.variation));
        if self.servers <= OF_THREE_KINDS_MAX { three_kinds(spread) } else { two_kinds(spread) }
    }
}

/// What is known of waits: of those who wait, mean and variance, and which share of all finds so many in line.
struct Found {
    waits: f64,
    mean: f64,
    variance: f64,
    in_line: Vec<f64>,
}

impl Found {
    /// Beyond which wait this share of all is.
    ///
    /// Whoever starts leaves as many in line as came while it waited, and that has the law of the number that
    /// one finds who comes (Haji and Newell 1971): chance makes it vary besides.
    fn point_beyond(&self, level: f64, rate: f64) -> f64 {
        let mut beyond = self.waits;
        let mut count = 0.0;
        for share in &self.in_line {
            if beyond - share < level {
                count += (beyond - level) / share;
                break;
            }
            beyond -= share;
            count += 1.0;
        }
        // Of those who find `n`, the waits are spread around `n + 1/2` gaps.
        let about = (count - 0.5).max(0.0) / rate;
        let part = self.variance / (self.variance + self.mean / rate);
        (self.mean + (about - self.mean) * libm::sqrt(part)).max(about / 2.0)
    }
}

/// A moment of the factor by which exponential work is stretched, whose logarithm has this variance.
fn moment(order: f64, spread: f64) -> f64 {
    libm::exp(order * (order - 1.0) / 2.0 * spread)
}

/// Times the power of its order less 1¼ the moments are the same from either end, and so are the points.
fn three_kinds(spread: f64) -> Vec<(f64, f64)> {
    let middle = libm::exp(0.75 * spread);
    let tilted = |order: f64| moment(order, spread) * libm::pow(middle, 1.25 - order);
    let [none, half, one] = [0.0, 0.5, 1.0].map(tilted);
    let width = 2.0 * libm::acosh((none - half) / (half - one) / 2.0);
    let outer = (none - half) / 2.0 / (libm::cosh(1.25 * width) - libm::cosh(0.75 * width));
    let inner = none - 2.0 * outer * libm::cosh(1.25 * width);
    [(outer, -width), (inner, 0.0), (outer, width)]
        .map(|(weight, at)| (weight * libm::exp(-1.25 * at) * libm::pow(middle, -1.25), at))
        .map(|(share, at)| (share, middle * libm::exp(at)))
        .to_vec()
}

fn two_kinds(spread: f64) -> Vec<(f64, f64)> {
    let variance = moment(2.0, spread) - 1.0;
    // Mean and variance are given; the rarer the long kind, the longer.
    let of = |rare: f64| {
        let others = 1.0 - rare;
        let long = 1.0 + libm::sqrt(variance * others / rare);
        let short = (1.0 - libm::sqrt(variance * rare / others)).max(0.0);
        [(rare, long), (others, short)]
    };
    let wanted = moment(1.5, spread);
    let (mut low, mut high) = (-30.0, -libm::log(1.0 + variance));
    for _ in 0..HALVING_COUNT {
        let middle = f64::midpoint(low, high);
        let parts = of(libm::exp(middle));
        let all: f64 = parts.iter().map(|(share, mean)| share * libm::pow(*mean, 1.5)).sum();
        if all < wanted { low = middle } else { high = middle }
    }
    of(libm::exp(low)).to_vec()
}

/// Workers, and how many of them work on each kind of work.
struct Line {
    servers: u32,
    rate: f64,
    parts: Vec<(f64, f64)>,
}

/// How many of the busy workers work on each kind.
type Busy = [u32; 3];

impl Line {
    fn new(servers: u32, rate: f64, parts: Vec<(f64, f64)>) -> Self {
        Self { servers, rate, parts }
    }

    /// All ways in which so many workers are busy.
    fn ways(&self, busy: u32) -> Vec<Busy> {
        match self.parts.len() {
            1 => vec![[busy, 0, 0]],
            2 => (0..=busy).map(|first| [first, busy - first, 0]).collect(),
            _ => (0..=busy)
                .flat_map(|first| {
                    (0..=busy - first).map(move |second| [first, second, busy - first - second])
                })
                .collect(),
        }
    }

    /// The rate at which the first of some ways become others of the second, as `each` tells it.
    fn matrix(
        &self,
        from: &[Busy],
        to: &[Busy],
        mut each: impl FnMut(&Busy, &mut dyn FnMut(Busy, f64)),
    ) -> Matrix {
        let mut all = Matrix::zero(from.len(), to.len());
        for (row, way) in from.iter().enumerate() {
            each(way, &mut |next, rate| {
                let column = to.binary_search(&next).expect("all ways are listed, in order");
                *all.at(row, column) += rate;
            });
        }
        all
    }

    /// A worker is done and takes nothing new.
    fn down(&self, busy: u32) -> Matrix {
        self.matrix(&self.ways(busy), &self.ways(busy - 1), |way, tell| {
            self.each_done(way, tell);
        })
    }

    fn each_done(&self, way: &Busy, tell: &mut dyn FnMut(Busy, f64)) {
        for (kind, (_, mean)) in self.parts.iter().enumerate().filter(|(kind, _)| way[*kind] > 0) {
            let mut next = *way;
            next[kind] -= 1;
            tell(next, f64::from(way[kind]) / mean);
        }
    }

    /// A request comes to an idle worker.
    fn each_begun(&self, way: &Busy, rate: f64, tell: &mut dyn FnMut(Busy, f64)) {
        for (kind, (share, _)) in self.parts.iter().enumerate() {
            let mut next = *way;
            next[kind] += 1;
            tell(next, rate * share);
        }
    }

    fn done_rates(&self, ways: &[Busy]) -> Vec<f64> {
        let of = |way: &Busy| {
            let parts = self.parts.iter().zip(way);
            parts.map(|((_, mean), count)| f64::from(*count) / mean).sum()
        };
        ways.iter().map(of).collect()
    }

    fn waits(&self) -> Found {
        let ways = self.ways(self.servers);
        let done = self.done_rates(&ways);
        // All are busy: whoever is done takes the next one.
        let turn = self.matrix(&ways, &ways, |way, tell| {
            self.each_done(way, &mut |next, rate| self.each_begun(&next, rate, tell));
        });
        let grows = self.growth(&done, &turn);
        let (mut here, below) = self.first_full(&done, &turn, &grows);
        let (mut means, mut squares) = (vec![0.0; ways.len()], vec![0.0; ways.len()]);
        let (mut waits, mut first, mut second) = (0.0, 0.0, 0.0);
        let mut in_line = Vec::new();
        for _ in 0..LEVEL_COUNT_MAX {
            // One more is waited for.
            let after = |known: &[f64], row: usize| -> f64 {
                turn.row(row).iter().zip(known).map(|(rate, it)| rate * it).sum::<f64>() / done[row]
            };
            let next: Vec<f64> =
                (0..ways.len()).map(|row| 1.0 / done[row] + after(&means, row)).collect();
            squares = (0..ways.len())
                .map(|row| 2.0 * next[row] / done[row] + after(&squares, row))
                .collect();
            means = next;
            let share: f64 = here.iter().sum();
            waits += share;
            in_line.push(share);
            first += here.iter().zip(&means).map(|(share, it)| share * it).sum::<f64>();
            second += here.iter().zip(&squares).map(|(share, it)| share * it).sum::<f64>();
            if share < PRECISION * waits {
                break;
            }
            here = grows.after(&here);
        }
        let mean = first / waits;
        let whole = below + waits;
        in_line.iter_mut().for_each(|share| *share /= whole);
        let variance = second / waits - mean * mean;
        Found { waits: waits / whole, mean, variance, in_line }
    }

    /// How much likelier each way is with one more in line (Neuts' matrix R), from how the line becomes
    /// shorter by one (G, by logarithmic reduction: Latouche and Ramaswami 1993).
    fn growth(&self, done: &[f64], turn: &Matrix) -> Matrix {
        let count = done.len();
        let one = Matrix::diagonal((0..count).map(|_| 1.0));
        let left = || Matrix::diagonal(done.iter().map(|done| 1.0 / (self.rate + done)));
        let mut high = left().scaled(self.rate);
        let mut low = left().times(turn);
        let (mut shorter, mut so_far) = (low.clone(), high.clone());
        for _ in 0..ROUND_COUNT_MAX {
            let back = high.times(&low).with(&low.times(&high), |one, other| one + other);
            let rest = one.clone().with(&back, |one, back| one - back).inverse();
            high = rest.times(&high.times(&high));
            low = rest.times(&low.times(&low));
            let more = so_far.times(&low);
            let is_done = more.largest() < PRECISION;
            shorter = shorter.with(&more, |one, other| one + other);
            if is_done {
                break;
            }
            so_far = so_far.times(&high);
        }
        let out = Matrix::diagonal(done.iter().map(|done| self.rate + done));
        out.with(&shorter.scaled(self.rate), |out, back| out - back).inverse().scaled(self.rate)
    }

    /// How likely each way is in which all are busy and nobody is in line, and how likely it is that some
    /// worker is idle: as multiples of how likely nobody is there.
    fn first_full(&self, done: &[f64], turn: &Matrix, grows: &Matrix) -> (Vec<f64>, f64) {
        let mut steps = Vec::new();
        let (mut done, mut back) = (done.to_vec(), grows.times(turn));
        for busy in (1..=self.servers).rev() {
            let out = Matrix::diagonal(done.iter().map(|done| self.rate + done));
            let stay = out.with(&back, |out, back| out - back).inverse();
            let (fewer, ways) = (self.ways(busy - 1), self.ways(busy));
            let begin = self.matrix(&fewer, &ways, |way, tell| {
                self.each_begun(way, self.rate, tell);
            });
            let step = begin.times(&stay);
            back = step.times(&self.down(busy));
            done = self.done_rates(&fewer);
            steps.push(step);
        }
        let (mut here, mut below) = (vec![1.0], 0.0);
        for step in steps.iter().rev() {
            below += here.iter().sum::<f64>();
            here = step.after(&here);
        }
        (here, below)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixtures_have_the_moments_of_the_work() {
        for variation in [1.2_f64, 2.0, 3.0, 5.0] {
            let spread = libm::log(f64::midpoint(1.0, variation * variation));
            for parts in [three_kinds(spread), two_kinds(spread)] {
                let of = |order: f64| {
                    let each = parts.iter().map(|(share, mean)| share * libm::pow(*mean, order));
                    each.sum::<f64>() / moment(order, spread)
                };
                for order in [0.0, 1.0, 1.5, 2.0] {
                    assert!((of(order) - 1.0).abs() < 1e-6, "{variation}: {order} {}", of(order));
                }
            }
        }
    }

    #[test]
    fn exponential_work_waits_as_erlang_says() {
        let Found { waits, mean, variance, .. } = Line::new(3, 2.1, vec![(1.0, 1.0)]).waits();
        // Erlang's C of 2.1 erlangs and three workers.
        assert!((waits - 0.492_347).abs() < 1e-5, "{waits}");
        assert!((mean * 0.9 - 1.0).abs() < 1e-9 && (variance / mean / mean - 1.0).abs() < 1e-9);
    }

    #[test]
    fn one_worker_waits_as_pollaczek_and_khinchine_say() {
        for parts in [three_kinds(libm::log(5.0)), two_kinds(libm::log(5.0))] {
            let Found { waits, mean, .. } = Line::new(1, 0.7, parts).waits();
            assert!((waits - 0.7).abs() < 1e-9, "{waits}");
            // (1 + c²) / 2 over what is idle, of a variation of 3.
            assert!((mean * 0.3 / 5.0 - 1.0).abs() < 1e-6, "{mean}");
        }
    }

    #[test]
    fn several_workers_wait_less_than_two_moments_say() {
        let of = |servers: u32, rate: f64| {
            let found = Line::new(servers, rate, three_kinds(libm::log(5.0))).waits();
            (found.mean, found.variance / (found.mean * found.mean))
        };
        // Played with ten million requests of M/G/c: 4.09 and 1.10 of the work of three and of eight workers at
        // 70 %, where two moments would have 5.56 and 2.08; and the squares of the variation.
        for (found, played) in [(of(3, 2.1), (4.09, 2.51)), (of(8, 5.6), (1.10, 2.12))] {
            assert!((found.0 / played.0 - 1.0).abs() < 0.08, "{found:?}, played {played:?}");
            assert!((found.1 / played.1 - 1.0).abs() < 0.08, "{found:?}, played {played:?}");
        }
        let more = Kind { servers: 3, variation: 3.0 }.met(0.7).waits;
        assert!((1.0..1.08).contains(&more), "{more}");
    }
}
