//! Quantiles of the time to answer, over the stretches of a flow.
//!
//! Each stretch says how long an answer takes without waiting, what share waits, and how long those
//! wait in the mean (exponentially distributed). A quantile of the mixture is found by bisection on
//! its distribution function, weighted by the requests answered; nothing is sampled.

use model_api::observation::FlowSegment;
use sim_kernel::{SimSpan, SimTime};

use crate::measures::served_millirequest_seconds;

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

/// Share of the stretch's answers that take at most `limit_ns`.
fn share(segment: &FlowSegment, limit_ns: u64) -> f64 {
    let Some(left_ns) = limit_ns.checked_sub(segment.base_latency_ns) else { return 0.0 };
    let waits = f64::from(segment.wait_probability_ppm) / 1e6;
    if segment.wait_mean_ns == 0 {
        return 1.0;
    }
    1.0 - waits * libm::exp(-(left_ns as f64) / segment.wait_mean_ns as f64)
}
