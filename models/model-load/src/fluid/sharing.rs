//! How long requests take that share workers, in the long run.
//!
//! How many are inside does not depend on how the work of one varies (Kelly 1979, symmetric queues:
//! M/G/c with processor sharing has the states of M/M/c), and a request of given work takes in the
//! mean as much longer as it has more work. How much the time varies is exact for exponential work:
//! from the equations of a request that is followed until it is done. For other work the part of the
//! variance that is not due to the work itself is scaled as in M/M/1, where it is known for a request
//! of given work (Coffman, Muntz and Trotter 1970): exact there; for constant work too high, by less than
//! a tenth and least near saturation (against Ott 1984).

/// States that are looked at; with more of them the number inside changes little while a request is
/// worked on, and what it finds is what it keeps.
const STATE_COUNT_MAX: usize = 2048;
/// States less likely than this are not looked at.
const UNLIKELY: f64 = 1e-10;

/// Workers that are shared, with the mean work of a request as the unit of time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shared {
    pub(super) servers: u32,
    /// Requests that may be inside beyond the workers.
    pub(super) room: f64,
    /// Load, as a multiple of what the workers can do.
    pub(super) ratio: f64,
    /// Square of the coefficient of variation of the work.
    pub(super) variation_squared: f64,
    /// How long a request takes in the mean.
    pub(super) mean: f64,
    /// Variance of the number that are ahead of one that finds all workers busy: for many states.
    pub(super) ahead_variance: f64,
}

impl Shared {
    /// Variance of the time that a request takes.
    pub(super) fn variance(&self) -> f64 {
        let Self { servers, variation_squared, mean, .. } = *self;
        let (of_sharing, scale) = match self.square() {
            Some(square) => ((square - 2.0 * mean * mean).max(0.0), self.scale()),
            None => {
                let spread = self.ahead_variance / (f64::from(servers) * f64::from(servers));
                (2.0 * spread, f64::midpoint(1.0, variation_squared))
            }
        };
        of_sharing * scale + variation_squared * mean * mean
    }

    /// How much the part that is not due to the work itself is, relative to exponential work: a
    /// request of work x sees a load that is remembered for as long as the wait in line of the same
    /// requests lasts (Ott 1984): `1 / (1 - ratio)` of work for exponential work, and longer for work that
    /// varies more. The variance grows as `y - 1 + exp(-y)` of x over that time, and as its square; work as
    /// gamma-distributed.
    fn scale(&self) -> f64 {
        let (pace, variation) = (1.0 - self.ratio, self.variation_squared);
        let longer = f64::midpoint(1.0, variation).max(1.0);
        if pace < 0.01 {
            return f64::midpoint(1.0, variation);
        }
        let slow = pace / longer;
        let decay = if variation < 1e-6 {
            libm::exp(-slow)
        } else {
            libm::pow(1.0 + slow * variation, -1.0 / variation)
        };
        longer * longer * (slow - 1.0 + decay) / (pace - 1.0 + 1.0 / (1.0 + pace))
    }

    /// The mean square of the time that a request of exponential work takes; `None` when there are
    /// too many states.
    fn square(&self) -> Option<f64> {
        let servers = self.servers as usize;
        let tail = libm::log(UNLIKELY) / libm::log(self.ratio.min(1.0 - 1e-12));
        let room = if self.ratio < 1.0 { self.room.min(tail + 1.0) } else { self.room };
        // Others that one may find when it comes.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
        let count = servers + room as usize;
        if count > STATE_COUNT_MAX {
            return None;
        }
        let speed = |others: usize| servers.min(others + 1) as f64 / (others + 1) as f64;
        let arrivals = self.ratio * f64::from(self.servers);
        // Each row: (out) x[n] = known[n] + arrivals x[n + 1] + n speed(n) x[n - 1]; from below, so
        // that x[n] = factor[n] x[n + 1] + fixed[n]. First with what passes, then with its square.
        let solve = |known: &dyn Fn(usize) -> f64| {
            let mut rows: Vec<(f64, f64)> = Vec::with_capacity(count);
            for others in 0..count {
                let rises = if others + 1 < count { arrivals } else { 0.0 };
                let falls = others as f64 * speed(others);
                let out = rises + falls + speed(others);
                let (factor, fixed) = rows.last().copied().unwrap_or_default();
                let left = out - falls * factor;
                rows.push((rises / left, (known(others) + falls * fixed) / left));
            }
            let mut times = vec![0.0; count + 1];
            for others in (0..count).rev() {
                times[others] = rows[others].0 * times[others + 1] + rows[others].1;
            }
            times
        };
        let times = solve(&|_| 1.0);
        let squares = solve(&|others| 2.0 * times[others]);
        // Relative to the most likely state, so that none overflows.
        let logs = (0..count).scan(0.0, |log, others| {
            if others > 0 {
                *log += libm::log(arrivals / servers.min(others) as f64);
            }
            Some(*log)
        });
        let logs: Vec<f64> = logs.collect();
        let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights = logs.iter().map(|log| libm::exp(log - most));
        let (mut total, mut sum) = (0.0, 0.0);
        for (weight, square) in weights.zip(&squares) {
            total += weight;
            sum += weight * square;
        }
        Some(sum / total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(servers: u32, ratio: f64, variation_squared: f64, mean: f64) -> Shared {
        Shared { servers, room: 1e6, ratio, variation_squared, mean, ahead_variance: 0.0 }
    }

    #[test]
    fn one_worker_varies_as_coffman_muntz_and_trotter_say() {
        for ratio in [0.1, 0.5, 0.75, 0.9, 0.98] {
            let mean = 1.0 / (1.0 - ratio);
            let exact = mean * mean * (2.0 + ratio) / (2.0 - ratio);
            let found = shared(1, ratio, 1.0, mean).variance();
            assert!((found / exact - 1.0).abs() < 1e-5, "{ratio}: {found}, exactly {exact}");
        }
    }

    #[test]
    fn constant_work_varies_nearly_as_ott_says() {
        for ratio in [0.3_f64, 0.5, 0.75, 0.9] {
            let mean = 1.0 / (1.0 - ratio);
            let paths = 2.0 * (1.0 - ratio) * (libm::exp(ratio) - 1.0 - ratio) / (ratio * ratio);
            let exact = mean * mean * (1.0 - paths);
            let found = shared(1, ratio, 0.0, mean).variance();
            assert!((found / exact - 1.0).abs() < 0.1, "{ratio}: {found}, exactly {exact}");
        }
    }

    #[test]
    fn enough_workers_share_nothing() {
        let found = shared(100, 0.2, 1.0, 1.0).variance();
        assert!((found - 1.0).abs() < 1e-6, "{found}");
    }

    #[test]
    fn many_states_vary_as_few_do() {
        let full = |room: f64| Shared {
            servers: 10,
            room,
            ratio: 1.5,
            variation_squared: 1.0,
            // Nearly always full.
            mean: (10.0 + room - 2.0) / 10.0,
            ahead_variance: 6.0,
        };
        let (few, many) = (full(2000.0), full(2100.0));
        let relative = |shared: Shared| shared.variance() / (shared.mean * shared.mean);
        assert!((relative(few) - 1.0).abs() < 0.01, "{}", relative(few));
        assert!((relative(many) - 1.0).abs() < 0.01, "{}", relative(many));
    }
}
