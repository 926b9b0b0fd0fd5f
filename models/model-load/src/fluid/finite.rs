//! M/M/c with room whose arrivals become fewer with each request inside, because whoever waits for an
//! answer asks for nothing else: the machine repairman (Palm 1947) where nobody else asks.

use super::queue::Stationary;

/// States less likely than this, relative to the likeliest, are not looked at.
const UNLIKELY: f64 = 1e-11;
/// Most states on either side of the likeliest.
const STATE_COUNT_MAX: u32 = 200_000;

/// The workers, the room before them, and who comes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Finite {
    pub(super) servers: f64,
    /// Requests that may be inside.
    pub(super) inside_max: f64,
    /// Arrivals while nobody is inside, as a multiple of what the workers can do.
    pub(super) ratio: f64,
    /// By which share of these they are fewer for each request inside.
    pub(super) decline: f64,
}

/// Moments of the long run, as states are added.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    weight: f64,
    inside: f64,
    come: f64,
    blocked: f64,
    wait: f64,
    turns: f64,
    turns_squared: f64,
}

/// What a queue is like in the long run, and the requests ahead of one that waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Met {
    /// All but the times.
    pub(super) queue: Stationary,
    /// Requests that must be done until one that waits is taken: mean and variance.
    pub(super) turns_mean: f64,
    pub(super) turns_variance: f64,
}

impl Finite {
    fn birth(&self, inside: f64) -> f64 {
        self.ratio * self.open(inside)
    }

    /// Arrivals, relative to those while nobody is inside.
    fn open(&self, inside: f64) -> f64 {
        (1.0 - self.decline * inside).max(0.0)
    }

    fn death(&self, inside: f64) -> f64 {
        inside.min(self.servers) / self.servers
    }

    /// The likeliest number inside: where as many come as leave.
    fn mode(&self) -> f64 {
        let busy =
            (self.ratio - 1.0 / self.servers) / (1.0 / self.servers + self.ratio * self.decline);
        let mode = if busy + 1.0 <= self.servers {
            busy
        } else {
            ((1.0 - 1.0 / self.ratio) / self.decline).max(self.servers - 1.0)
        };
        libm::floor(mode.clamp(0.0, self.inside_max))
    }

    /// The long run.
    pub(super) fn met(&self) -> Met {
        let mode = self.mode();
        let mut sums = Sums::default();
        self.add(&mut sums, mode, 1.0);
        let (mut inside, mut weight) = (mode, 1.0);
        for _ in 0..STATE_COUNT_MAX {
            weight *= self.birth(inside) / self.death(inside + 1.0);
            inside += 1.0;
            if inside > self.inside_max || weight < UNLIKELY {
                break;
            }
            self.add(&mut sums, inside, weight);
        }
        (inside, weight) = (mode, 1.0);
        for _ in 0..STATE_COUNT_MAX {
            if inside < 1.0 {
                break;
            }
            weight *= self.death(inside) / self.birth(inside - 1.0);
            inside -= 1.0;
            if weight < UNLIKELY {
                break;
            }
            self.add(&mut sums, inside, weight);
        }
        let taken = sums.come - sums.blocked;
        let of = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
        let turns_mean = of(sums.turns, sums.wait);
        Met {
            queue: Stationary {
                blocked: of(sums.blocked, sums.come),
                takes: taken / sums.weight,
                inside: sums.inside / sums.weight,
                waits: of(sums.wait, taken),
                ..Stationary::default()
            },
            turns_mean,
            turns_variance: of(sums.turns_squared, sums.wait) - turns_mean * turns_mean,
        }
    }

    fn add(&self, sums: &mut Sums, inside: f64, weight: f64) {
        let come = weight * self.open(inside);
        sums.weight += weight;
        sums.inside += weight * inside;
        sums.come += come;
        if inside >= self.inside_max {
            sums.blocked += come;
        } else if inside >= self.servers {
            let turns = inside - self.servers + 1.0;
            sums.wait += come;
            sums.turns += come * turns;
            sums.turns_squared += come * turns * turns;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Throughput and mean number inside of M/M/c//N from its states, one by one; workers do one
    /// request in a unit of time.
    fn exact(servers: u32, users: u32, think: f64) -> (f64, f64) {
        let mut weights = vec![1.0_f64];
        for inside in 1..=users {
            let ask = f64::from(users - inside + 1) / think;
            let before = weights[weights.len() - 1];
            weights.push(before * ask / f64::from(inside.min(servers)));
        }
        let total: f64 = weights.iter().sum();
        let mean = |of: &dyn Fn(u32) -> f64| -> f64 {
            (0..=users).map(|inside| of(inside) * weights[inside as usize] / total).sum()
        };
        (mean(&|inside| f64::from(inside.min(servers))), mean(&f64::from))
    }

    #[test]
    fn it_is_the_machine_repairman() {
        for (servers, users, think) in
            [(1, 1, 3.0), (1, 20, 20.0), (1, 40, 20.0), (8, 100, 12.5), (8, 120, 12.5), (3, 9, 0.1)]
        {
            let finite = Finite {
                servers: servers.into(),
                inside_max: 1e9,
                ratio: f64::from(users) / think / f64::from(servers),
                decline: 1.0 / f64::from(users),
            };
            let Met { queue, .. } = finite.met();
            let throughput = queue.takes * finite.ratio * finite.servers;
            let (wanted, inside) = exact(servers, users, think);
            assert!((throughput - wanted).abs() < 1e-6 * wanted, "{throughput} {wanted}");
            assert!((queue.inside - inside).abs() < 1e-6 * inside, "{} {inside}", queue.inside);
        }
    }

    #[test]
    fn one_that_asks_meets_the_queue_of_all_others() {
        // Arrival theorem: of ten, one meets what nine would make.
        let finite = |users: f64| Finite {
            servers: 2.0,
            inside_max: 1e9,
            ratio: users / 4.0 / 2.0,
            decline: 1.0 / users,
        };
        let (ten, nine) = (finite(10.0).met(), finite(9.0));
        let mut sums = Sums::default();
        let mut weight = 1.0;
        for inside in 0..=9 {
            let inside = f64::from(inside);
            nine.add(&mut sums, inside, weight);
            weight *= nine.birth(inside) / nine.death(inside + 1.0);
        }
        let all_busy = {
            let (mut busy, mut weight) = (0.0, 1.0);
            for inside in 0..=9 {
                let inside = f64::from(inside);
                busy += if inside >= 2.0 { weight } else { 0.0 };
                weight *= nine.birth(inside) / nine.death(inside + 1.0);
            }
            busy / sums.weight
        };
        assert!((ten.queue.waits - all_busy).abs() < 1e-9, "{} {all_busy}", ten.queue.waits);
    }
}
