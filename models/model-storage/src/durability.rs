//! How likely it is that a pool loses data, by disks alone and by what strikes many disks at once.
//!
//! # Modelled
//! Two figures of independent disk failures: repairs one after another (an upper bound, larger by about
//! `(m + 1)!`) and all within one window of repair; and beside them what takes all disks at once: zones
//! that are destroyed, people and software that delete. The last ones dominate, and the sum is told
//! with them: no figure of disks alone is a promise.
//! # Not modelled
//! Failures that come in bursts of like disks; latent sectors; disks that age.
//! # Defaults and their sources
//! Both formulas: OS-4 of the specification of platform services; the window formula and its test value
//! are those of Backblaze (17+3, 0.405 % a year, 6.5 days: 11 nines). Rates are those of
//! [`Pool`]: 1.36 % of disks a year (Backblaze 2025), 0.3 % of zones a year destroyed (one in three of
//! the long losses of that specification, 1 %), 0.1 % a year for mistakes: **assumptions**.
//! # Invariants
//! No function of the machine's library is used: results are the same everywhere.
//! # Checked against
//! The worked values of OS-4, in the tests below.

use model_api::storage::Pool;
use sim_kernel::SimSpan;

use crate::detection::DOWN_OUT;
use crate::rebuild::rebuild_span;

const YEAR_SECS: f64 = 365.0 * 86_400.0;

/// Probabilities of a loss of data in a year.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Durability {
    /// Of any placement group, by disks whose repairs follow each other: an upper bound.
    pub disks_serial: f64,
    /// Of any placement group, by disks that fail within one window of repair.
    pub disks_parallel: f64,
    /// By zones that are destroyed.
    pub zones: f64,
    /// By people and software.
    pub mistakes: f64,
}

impl Durability {
    /// All together, with the larger figure of disks.
    pub fn total(&self) -> f64 {
        (self.disks_serial.max(self.disks_parallel) + self.zones + self.mistakes).min(1.0)
    }

    /// Whether what strikes many disks at once outweighs disks that fail by themselves.
    pub fn is_correlated(&self) -> bool {
        self.zones + self.mistakes > self.disks_serial.max(self.disks_parallel)
    }
}

/// Losses of one placement group a year when repairs follow each other: `nλ Π (n - i)λτ` for i = 1…m, at
/// `failures` of each disk a year and `repair` for one.
pub fn serial_per_group(width: u32, spare: u32, failures: f64, repair: SimSpan) -> f64 {
    let years = repair.as_secs_f64() / YEAR_SECS;
    let first = f64::from(width) * failures;
    (1..=spare.min(width.saturating_sub(1)))
        .fold(first, |rate, gone| rate * f64::from(width - gone) * failures * years)
}

/// Probability a year that more than `spare` of `width` disks fail within one window of repair.
pub fn parallel_per_group(width: u32, spare: u32, failures: f64, repair: SimSpan) -> f64 {
    let years = repair.as_secs_f64() / YEAR_SECS;
    let chance = (failures * years).clamp(0.0, 1.0);
    if chance <= 0.0 {
        return 0.0;
    }
    let window = (spare + 1..=width)
        .map(|count| ways(width, count) * power(chance, count) * power(1.0 - chance, width - count))
        .sum();
    at_least_once(window, 1.0 / years)
}

/// Probability that something of probability `chance` happens in `times` tries, which may be no whole
/// number: `1 - (1 - chance)^times` as its binomial series, which needs no logarithm.
fn at_least_once(chance: f64, times: f64) -> f64 {
    if chance * times > 0.5 {
        // Far beyond what anybody keeps data with: halve the tries until the series converges fast.
        let half = at_least_once(chance, times / 2.0);
        return half + half - half * half;
    }
    let (mut term, mut sum) = (1.0, 0.0);
    for number in 1..=64_u32 {
        let step = f64::from(number);
        term *= -(times - step + 1.0) / step * chance;
        sum -= term;
        if term.abs() < sum.abs() * 1e-17 {
            break;
        }
    }
    sum
}

fn power(base: f64, exponent: u32) -> f64 {
    (0..exponent).fold(1.0, |product, _| product * base)
}

/// Ways to choose `count` of `all`.
fn ways(all: u32, count: u32) -> f64 {
    (0..count).fold(1.0, |product, idx| product * f64::from(all - idx) / f64::from(idx + 1))
}

/// How long a lost disk is missing: until it is given up, and until all others have made anew what was on
/// it.
pub fn repair_span(pool: &Pool) -> SimSpan {
    let on_disks =
        u128::from(pool.stored_bytes) * u128::from(pool.redundancy.overhead_milli()) / 1000;
    let of_one = on_disks / u128::from(pool.osd_count().max(1));
    let of_one = u64::try_from(of_one).unwrap_or(u64::MAX);
    let others = pool.osd_count().saturating_sub(1).max(1);
    let anew = rebuild_span(pool, of_one, others).unwrap_or(SimSpan::MAX);
    DOWN_OUT.saturating_add(anew)
}

/// The durability of a pool whose disks take `repair` to be made anew.
pub fn durability(pool: &Pool, repair: SimSpan) -> Durability {
    let (width, needed) = (pool.redundancy.width(), pool.redundancy.needed());
    let spare = width - needed;
    let failures = f64::from(pool.disk_failures_ppm_per_year) / 1e6;
    let groups = f64::from(pool.group_count);
    let zone = f64::from(pool.zone_losses_ppm_per_year) / 1e6;
    // So many zones have to go, within one year, for data to be lost.
    let zones = u32::try_from(pool.zones.len()).unwrap_or(u32::MAX);
    let gone = zones.saturating_sub(pool.zones_needed()) + 1;
    Durability {
        disks_serial: (groups * serial_per_group(width, spare, failures, repair)).min(1.0),
        disks_parallel: at_least_once(parallel_per_group(width, spare, failures, repair), groups),
        zones: (gone..=zones)
            .map(|count| ways(zones, count) * power(zone, count) * power(1.0 - zone, zones - count))
            .sum(),
        mistakes: f64::from(pool.mistakes_ppm_per_year) / 1e6,
    }
}

#[cfg(test)]
mod tests {
    use model_api::ZoneId;
    use model_api::storage::{FailureDomain, Redundancy};

    use super::*;

    fn is_near(value: f64, expected: f64) -> bool {
        (value / expected - 1.0).abs() < 0.02
    }

    #[test]
    fn worked_values() {
        let day = SimSpan::from_days(1);
        // OS-4: three copies, 1.36 % a year, a day: 1.1e-10 a group and year.
        let serial = serial_per_group(3, 2, 0.0136, day);
        assert!(is_near(serial, 1.13e-10), "{serial:e}");
        // Two copies left for a day: both fail.
        let both = power(0.0136 / 365.0, 2);
        assert!(is_near(both, 1.39e-9), "{both:e}");
        // Backblaze: 17+3, 0.405 % a year, 6.5 days: 7.35e-12.
        let window = SimSpan::from_hours(156);
        let parallel = parallel_per_group(20, 3, 0.00405, window);
        assert!(is_near(parallel, 7.35e-12), "{parallel:e}");
        // The other formula is larger by about (m + 1)!.
        let ratio = serial_per_group(20, 3, 0.00405, window) / parallel;
        assert!((20.0..28.0).contains(&ratio), "{ratio}");
    }

    #[test]
    fn chances_add_up_to_one_at_most() {
        let cases =
            [(0.5, 2.0, 0.75), (1e-9, 1e3, 1e-6), (0.1, 50.0, 0.994_846), (0.9, 100.0, 1.0)];
        for (chance, times, expected) in cases {
            let found = at_least_once(chance, times);
            assert!((found / expected - 1.0).abs() < 1e-5, "{chance} {times}: {found}");
        }
    }

    #[test]
    fn what_strikes_many_disks_at_once_dominates() {
        let redundancy = Redundancy::Erasure { k: 5, m: 4 };
        let pool = Pool {
            zones: (0..3).map(ZoneId).collect(),
            hosts_per_zone: 4,
            osds_per_host: 6,
            redundancy,
            min_size: 6,
            failure_domain: FailureDomain::Zone,
            group_count: 256,
            disk_failures_ppm_per_year: 13_600,
            zone_losses_ppm_per_year: 3_000,
            mistakes_ppm_per_year: 1_000,
            ..Pool::default()
        };
        let found = durability(&pool, SimSpan::from_hours(8));
        assert!(found.disks_serial < 1e-12 && found.is_correlated(), "{found:?}");
        // Two of three zones: 3 × 0.3 % squared.
        assert!(is_near(found.zones, 2.69e-5), "{found:?}");
        assert!(is_near(found.total(), 1.027e-3), "{found:?}");
        // In one zone every loss of it counts.
        let one = Pool { zones: vec![ZoneId(0)], ..pool };
        assert!(is_near(durability(&one, SimSpan::from_hours(8)).zones, 3e-3));
    }
}
