//! One of several lines that requests are sent to in turn: the times between those that come to it are sums of
//! as many exponential ones as there are lines, so that it is an Eₖ/M/c queue in the long run.
//!
//! Without a limit the number that one finds waiting is geometric; its ratio is the root of an equation with the
//! transform of these times, and how many wait is Takács' formula for GI/M/c (Introduction to the theory of
//! queues, 1962, chapter 2). Above what the workers can do the equation has another root, with which the same
//! terms say how the places of a full line are free.

/// Steps that halve where a root is.
const HALVING_COUNT: u32 = 52;
/// A load this near to what workers can do is taken for a little less.
const EVEN: f64 = 1e-6;
/// With more workers in a line how many wait is scaled from one that gets its requests by chance. Chosen: it
/// costs a power for each worker.
const SERVERS_MAX: u32 = 256;

/// A line without a limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct InTurn {
    /// How much less likely it is to find one more that waits.
    pub(super) ratio: f64,
    /// The share of those who come that wait, and that of the time in which all workers are busy: above what they
    /// can do these are what the terms of the formula go on to, and more than one.
    pub(super) waits: f64,
    pub(super) busy: f64,
}

/// A load that is not just what workers can do, where terms are zero over zero.
pub(super) fn not_even(load: f64) -> f64 {
    if (load - 1.0).abs() < EVEN { 1.0 - EVEN } else { load }
}

impl InTurn {
    /// Of so many lines, each of so many workers, under a load that is `load` times what they can do.
    pub(super) fn of(lines: u32, servers: u32, load: f64) -> Self {
        let load = not_even(load);
        let ratio = root(lines, load);
        let waits = waits(lines, servers, load, ratio);
        Self { ratio, waits, busy: waits * load / ratio }
    }
}

/// The ratio `r` other than 1 with `r = (k load / (k load + 1 - r))^k`.
fn root(lines: u32, load: f64) -> f64 {
    let count = f64::from(lines);
    let whole = count * load;
    let excess = |ratio: f64| libm::log(ratio) + count * libm::log1p((1.0 - ratio) / whole);
    // Below 1 it is no more than the load, above no less; the function has its other zero at 1.
    let (mut low, mut high) =
        if load < 1.0 { (1e-300, load) } else { (load, (1.0 + whole) * (1.0 - 1e-15)) };
    let is_low_above = load >= 1.0;
    for _ in 0..HALVING_COUNT {
        let middle = f64::midpoint(low, high);
        if (excess(middle) > 0.0) == is_low_above { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

fn waits(lines: u32, servers: u32, load: f64, ratio: f64) -> f64 {
    let (count, workers) = (f64::from(lines), f64::from(servers));
    if servers > SERVERS_MAX {
        let blocking = (1..=servers).fold(1.0, |blocking, busy| {
            let carried = workers * load * blocking;
            carried / (f64::from(busy) + carried)
        });
        return blocking / (1.0 - load * (1.0 - blocking)) * ratio / load;
    }
    let (mut term, mut sum) = (1.0, 0.0);
    for busy in 1..=servers {
        let busy = f64::from(busy);
        // The transform of the times between two, at the speed of so many workers.
        let passed = libm::exp(-count * libm::log1p(busy / (count * load * workers)));
        term *= (workers - busy + 1.0) / busy * (1.0 - passed) / passed;
        let below = workers * (1.0 - ratio) - busy;
        if below.abs() < EVEN {
            // Zero over zero, whose limit is that of a load beside it.
            let beside = load * (1.0 + 10.0 * EVEN);
            return waits(lines, servers, beside, root(lines, beside));
        }
        sum += term / (1.0 - passed) * (workers * (1.0 - passed) - busy) / below;
    }
    1.0 / (1.0 + (1.0 - ratio) * sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_is_that_of_erlang() {
        // Erlang's C of one, two and five workers.
        for (servers, load, wanted) in [(1, 0.5, 0.5), (2, 0.5, 1.0 / 3.0), (5, 0.8, 0.5541)] {
            let found = InTurn::of(1, servers, load);
            assert!((found.ratio - load).abs() < 1e-9, "{found:?}");
            assert!((found.waits - wanted).abs() < 5e-5, "{found:?}");
        }
    }

    #[test]
    fn with_very_many_lines_requests_come_at_even_times() {
        // D/M/1: r = exp(-(1 - r) / load), and as many wait.
        for load in [0.5_f64, 0.8, 0.95] {
            let found = InTurn::of(100_000, 1, load);
            let other = libm::exp(-(1.0 - found.ratio) / load);
            assert!((found.ratio - other).abs() < 1e-4, "{found:?} {other}");
            assert!((found.waits - found.ratio).abs() < 1e-6, "{found:?}");
        }
    }

    #[test]
    fn terms_go_on_where_more_comes_than_can_be_done() {
        for servers in [1, 4, 64] {
            let (below, above) = (InTurn::of(3, servers, 0.999_9), InTurn::of(3, servers, 1.000_1));
            assert!(below.ratio < 1.0 && above.ratio > 1.0, "{below:?} {above:?}");
            assert!((above.waits + below.waits - 2.0).abs() < 1e-4, "{below:?} {above:?}");
        }
    }

    #[test]
    fn more_workers_than_are_looked_at_wait_about_as_the_others_do() {
        let (few, many) = (InTurn::of(3, 256, 0.98), InTurn::of(3, 257, 0.98));
        assert!((few.waits / many.waits - 1.0).abs() < 0.15, "{few:?} {many:?}");
    }
}
