//! Quantiles of the time to answer, over the stretches of a flow.
//!
//! Each stretch says how long an answer takes without waiting, what share waits, and the mean and the
//! shape of those waits, which have a gamma distribution (exponential where the shape is one), a
//! lognormal or a normal one. A quantile of the mixture is found by bisection on its distribution
//! function, weighted by the requests answered; nothing is sampled.

use model_api::observation::{FlowSegment, WAIT_SHAPE_EXPONENTIAL, WaitLaw};
use sim_kernel::{SimSpan, SimTime};

use crate::gamma;
use crate::measures::served_millirequest_seconds;

/// Shapes of waits beyond these are taken for them: nearly all at once, and nearly equal.
const SHAPE_MIN: f64 = 1e-3;
const SHAPE_MAX: f64 = 1e4;
/// Nothing is late more often than a load balancer or a gateway tries.
const TIMES_MAX: u32 = 100;

/// The time within which this share of the answered requests was answered; `None` without any.
pub(crate) fn quantile(segments: &[(FlowSegment, SimTime)], quantile_ppm: u32) -> Option<SimSpan> {
    let weights: Vec<f64> = segments
        .iter()
        .map(|(segment, until)| served_millirequest_seconds(segment, *until))
        .collect();
    let total: f64 = weights.iter().sum();
    if total <= 0.0 {
        return None;
    }
    let wanted = f64::from(quantile_ppm) / 1e6 * total;
    let within = |limit_ns: u64| -> f64 {
        segments
            .iter()
            .zip(&weights)
            .map(|((segment, _), weight)| weight * share(segment, limit_ns))
            .sum()
    };
    let (mut low, mut high) = (0_u64, 1_u64);
    // An hour is beyond any time-out; a mixture that is slower still is reported as that.
    const LONGEST_NS: u64 = 3_600_000_000_000;
    while within(high) < wanted && high < LONGEST_NS {
        (low, high) = (high, (high * 2).min(LONGEST_NS));
    }
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if within(middle) >= wanted {
            high = middle;
        } else {
            low = middle;
        }
    }
    Some(SimSpan::from_nanos(high))
}

/// The same where it is known how many answers took at most so long, each more than the one before;
/// `None` of none.
pub(crate) fn quantile_of_counts(answered: &[(u64, u64)], quantile_ppm: u32) -> Option<SimSpan> {
    let total: u128 = answered.iter().map(|(_, count)| u128::from(*count)).sum();
    let mut so_far = 0_u128;
    answered.iter().find_map(|(within_ns, count)| {
        so_far += u128::from(*count);
        let is_enough = so_far * 1_000_000 >= total * u128::from(quantile_ppm);
        is_enough.then(|| SimSpan::from_nanos(*within_ns))
    })
}

/// Share of the stretch's answers that take at most `limit_ns`.
fn share(segment: &FlowSegment, limit_ns: u64) -> f64 {
    let at_once = share_at_once(segment, limit_ns);
    if segment.late_ppm == 0 {
        return at_once;
    }
    let late = f64::from(segment.late_ppm) / 1e6;
    at_once + late * (share_late(segment, limit_ns) - at_once)
}

/// The same of the late ones: some are later once, so many for each of them twice, and so on.
fn share_late(segment: &FlowSegment, limit_ns: u64) -> f64 {
    let again = f64::from(segment.late_again_ppm) / 1e6;
    let (mut within, mut all, mut part) = (0.0, 0.0, 1.0);
    for times in 1..=segment.late_times.clamp(1, TIMES_MAX) {
        let later_ns = segment.late_by_ns.saturating_mul(times.into());
        let earlier_ns = limit_ns.checked_sub(later_ns);
        within += part * earlier_ns.map_or(0.0, |limit_ns| share_at_once(segment, limit_ns));
        (all, part) = (all + part, part * again);
    }
    within / all
}

/// The same of the answers to first attempts.
fn share_at_once(segment: &FlowSegment, limit_ns: u64) -> f64 {
    let Some(left_ns) = limit_ns.checked_sub(segment.base_latency_ns) else { return 0.0 };
    let waits = f64::from(segment.wait_probability_ppm) / 1e6;
    if segment.wait_mean_ns == 0 {
        return 1.0;
    }
    if left_ns == 0 {
        return 1.0 - waits;
    }
    let means = left_ns as f64 / segment.wait_mean_ns as f64;
    if segment.wait_shape_milli == WAIT_SHAPE_EXPONENTIAL && segment.wait_law == WaitLaw::Gamma {
        return 1.0 - waits * libm::exp(-means);
    }
    let shape = (f64::from(segment.wait_shape_milli) / 1e3).clamp(SHAPE_MIN, SHAPE_MAX);
    match segment.wait_law {
        WaitLaw::Gamma => 1.0 - waits * gamma::share_above(shape, shape * means),
        WaitLaw::Lognormal => 1.0 - waits * lognormal_above(shape, means),
        WaitLaw::Normal => 1.0 - waits * normal_above((means - 1.0) * libm::sqrt(shape)),
    }
}

/// Share of a lognormal distribution of this shape that is above so many times its mean.
fn lognormal_above(shape: f64, means: f64) -> f64 {
    let spread = libm::sqrt(libm::log1p(1.0 / shape));
    normal_above((libm::log(means) + spread * spread / 2.0) / spread)
}

/// Share of the standard normal distribution above a point.
fn normal_above(score: f64) -> f64 {
    libm::erfc(score / std::f64::consts::SQRT_2) / 2.0
}

#[cfg(test)]
mod tests {
    use model_api::ServiceId;
    use model_api::observation::LossReason;

    use super::*;

    /// One stretch of answers that take 5 ms, and of which some wait 10 ms on top in the mean.
    fn quantile_of(
        wait_probability_ppm: u32,
        (wait_law, wait_shape_milli): (WaitLaw, u32),
        quantile_ppm: u32,
    ) -> f64 {
        let until = SimTime::from_secs(60);
        let segment = FlowSegment {
            service: ServiceId(0),
            from: SimTime::ZERO,
            until,
            offered_from_millirps: 100_000,
            offered_until_millirps: 100_000,
            served_from_millirps: 100_000,
            served_until_millirps: 100_000,
            limited_from_millirps: 0,
            limited_until_millirps: 0,
            base_latency_ns: 5_000_000,
            wait_probability_ppm,
            wait_mean_ns: 10_000_000,
            wait_law,
            wait_shape_milli,
            late_ppm: 0,
            late_by_ns: 0,
            late_again_ppm: 0,
            late_times: 1,
            is_piled_up: false,
            loss: LossReason::None,
            counted: None,
        };
        quantile(&[(segment, until)], quantile_ppm).expect("requests were answered").as_secs_f64()
    }

    #[test]
    fn who_is_late_again_takes_as_much_longer_once_more() {
        let segment = FlowSegment {
            service: ServiceId(0),
            from: SimTime::ZERO,
            until: SimTime::from_secs(60),
            offered_from_millirps: 1_000,
            offered_until_millirps: 1_000,
            served_from_millirps: 1_000,
            served_until_millirps: 1_000,
            limited_from_millirps: 0,
            limited_until_millirps: 0,
            base_latency_ns: 5,
            wait_probability_ppm: 0,
            wait_mean_ns: 0,
            wait_law: WaitLaw::Gamma,
            wait_shape_milli: WAIT_SHAPE_EXPONENTIAL,
            late_ppm: 400_000,
            late_by_ns: 100,
            late_again_ppm: 500_000,
            late_times: 3,
            is_piled_up: false,
            loss: LossReason::None,
            counted: None,
        };
        for (limit_ns, wanted) in
            [(4, 0.0), (5, 0.6), (105, 0.6 + 1.6 / 7.0), (204, 0.6 + 1.6 / 7.0), (305, 1.0)]
        {
            assert!((share(&segment, limit_ns) - wanted).abs() < 1e-12, "{limit_ns}");
        }
    }

    #[test]
    fn quantiles_are_those_of_the_law_of_the_waits() {
        let millis = |share, shape, ppm| quantile_of(share, (WaitLaw::Gamma, shape), ppm) * 1e3;
        let near = |seen: f64, wanted: f64| assert!((seen - wanted).abs() < 1e-4, "{seen}");
        // Whoever does not wait is answered after just the base latency, whatever the shape.
        for shape in [1, 500, 1000, 2000, 50_000_000] {
            near(millis(200_000, shape, 500_000), 5.0);
        }
        // Nine of ten of those that wait: ln 10 means, and the tables of chi-square with 4 degrees.
        near(millis(1_000_000, 1000, 900_000), 5.0 + 10.0 * std::f64::consts::LN_10);
        near(millis(1_000_000, 2000, 900_000), 5.0 + 10.0 * 7.779_440 / 4.0);
        near(millis(500_000, 2000, 950_000), 5.0 + 10.0 * 7.779_440 / 4.0);
        // Normal: a deviation is half the mean.
        let normal = quantile_of(1_000_000, (WaitLaw::Normal, 4_000), 950_000) * 1e3;
        near(normal, 5.0 + 10.0 * (1.0 + 1.644_853_627 / 2.0));
        // Lognormal with a variation of 3: its logarithm varies by the root of ln 10.
        let variance = std::f64::consts::LN_10;
        for (ppm, score) in [(500_000, 0.0), (950_000, 1.644_853_627), (990_000, 2.326_347_874)] {
            let seen = quantile_of(1_000_000, (WaitLaw::Lognormal, 111), ppm) * 1e3;
            let variance = (variance / (1.0 + 1.0 / 0.111_f64).ln() - 1.0).abs();
            assert!(variance < 1e-3, "a shape in thousandths is close enough");
            let spread = (1.0 + 1.0 / 0.111_f64).ln().sqrt();
            near(seen, 5.0 + 10.0 * (score * spread - spread * spread / 2.0).exp());
        }
    }
}
