//! What is random about a load: bursts and self-similar noise, drawn once for a run.
//!
//! # Modelled
//! Markov-modulated rates (calm and burst alternate); noise of many on/off sources with Pareto times,
//! whose sum is self-similar with H = (3 - a) / 2.
//! # Not modelled
//! Noise below the rate itself: arrivals at a given rate are the engine's business.
//! # Defaults and their sources
//! Scenarios state everything. Willinger, Taqqu, Sherman, Wilson: "Self-similarity through
//! high-variability" (1997) for the sources; Fischer, Meier-Hellstern: "The MMPP cookbook" (1993).
//! # Invariants
//! A load draws from streams of its own, by the names of its Service and its tenant: another load changes nothing of
//! it. Rates are never negative. A load without bursts is left as it is.
//! # Checked against
//! Means and the dispersion of counts over windows, beside the formulas of the sources.

use model_api::Blueprint;
use model_api::load::{BurstKind, Bursts, LoadPoint};
use sim_kernel::{EntityKey, Purpose, SimSpan, SimTime, Streams};

const MARKOV: Purpose = Purpose::new("bursts of a load");
const SOURCE: Purpose = Purpose::new("source of a load");

/// A step function: the value from each moment on.
type Steps = Vec<(SimTime, f64)>;

/// The points of a load in a run: those of the blueprint, times what its bursts draw.
pub fn realized(blueprint: &Blueprint, load: usize, streams: Streams) -> Vec<LoadPoint> {
    let spec = &blueprint.loads[load];
    // Clients of all zones of a load burst together.
    let key = EntityKey::of("load").child(&blueprint.service_name(spec.service));
    let key = spec.clients.tenant.iter().fold(key, |key, name| key.child("tenant").child(name));
    let mut points = spec.points.clone();
    for bursts in blueprint.bursts.iter().filter(|bursts| bursts.load == load) {
        let steps = match bursts.kind {
            BurstKind::Markov { factor_milli, calm, burst } => {
                markov(factor_milli as f64 / 1000.0, calm, burst, bursts.until, key, streams)
            }
            BurstKind::SelfSimilar { .. } => self_similar(bursts, key, streams),
        };
        points = times(&points, &steps, bursts.until);
    }
    points
}

/// Calm and burst in turn; which comes first is as likely as it is long.
fn markov(
    factor: f64,
    calm: SimSpan,
    burst: SimSpan,
    until: SimTime,
    key: EntityKey,
    streams: Streams,
) -> Steps {
    let (calm_secs, burst_secs) = (calm.as_secs_f64(), burst.as_secs_f64());
    let mut is_burst = streams.draw(key, MARKOV, 0).chance(burst_secs / (calm_secs + burst_secs));
    let (mut at, mut steps) = (SimTime::ZERO, Vec::new());
    let mut occurrence = 1;
    while at < until {
        steps.push((at, if is_burst { factor } else { 1.0 }));
        let mean = if is_burst { burst } else { calm };
        let length = streams.draw(key, MARKOV, occurrence).exponential(mean);
        at = at.saturating_add(length.max(SimSpan::from_nanos(1)));
        occurrence += 1;
        is_burst = !is_burst;
    }
    steps
}

/// How many of the sources are on, over how many are in the mean.
fn self_similar(bursts: &Bursts, key: EntityKey, streams: Streams) -> Steps {
    let BurstKind::SelfSimilar { sources, on, off, hurst_ppm, share_ppm } = bursts.kind else {
        return vec![(SimTime::ZERO, 1.0)];
    };
    let alpha = 3.0 - 2.0 * f64::from(hurst_ppm) / 1e6;
    let share = f64::from(share_ppm) / 1e6;
    let is_on_share = on.as_secs_f64() / (on.as_secs_f64() + off.as_secs_f64());
    let mut changes: Vec<(SimTime, i64)> = Vec::new();
    for source in 0..u64::from(sources) {
        let key = key.part(source);
        let mut is_on = streams.draw(key, SOURCE, 0).chance(is_on_share);
        let (mut at, mut occurrence) = (SimTime::ZERO, 1);
        if is_on {
            changes.push((at, 1));
        }
        while at < bursts.until {
            let mean = if is_on { on } else { off };
            let draw = streams.draw(key, SOURCE, occurrence);
            // A Pareto time of that mean: its least is mean * (a - 1) / a.
            let least = mean.as_secs_f64() * (alpha - 1.0) / alpha;
            let secs = least * libm::pow(1.0 - draw.unit(), -1.0 / alpha);
            at = at.saturating_add(SimSpan::from_secs_f64_rounded(secs.clamp(1e-6, 3e9)));
            is_on = !is_on;
            changes.push((at, if is_on { 1 } else { -1 }));
            occurrence += 1;
        }
    }
    changes.sort_unstable();
    let mean = f64::from(sources) * is_on_share;
    let (mut steps, mut count): (Steps, i64) = (Vec::new(), 0);
    for (at, by) in changes {
        count += by;
        let value = 1.0 - share + share * count as f64 / mean;
        match steps.last_mut() {
            Some((last, known)) if *last == at => *known = value,
            _ => steps.push((at, value)),
        }
    }
    if steps.first().is_none_or(|(at, _)| *at > SimTime::ZERO) {
        steps.insert(0, (SimTime::ZERO, 1.0 - share));
    }
    steps
}

/// A curve times a step function, until `end`.
fn times(points: &[LoadPoint], steps: &Steps, end: SimTime) -> Vec<LoadPoint> {
    let mut product: Vec<LoadPoint> = Vec::with_capacity(points.len() + 2 * steps.len());
    let mut push = |at: SimTime, rate: f64, factor: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "never negative"
        )]
        let rate_millirps = (rate * factor).round() as u64;
        let point = LoadPoint { at, rate_millirps };
        if product.last() != Some(&point) {
            product.push(point);
        }
    };
    let mut next = 0;
    for (idx, (from, factor)) in steps.iter().enumerate() {
        let until = steps.get(idx + 1).map_or(end, |(at, _)| *at).min(end);
        push(*from, rate_at(points, *from, true), *factor);
        while next < points.len() && points[next].at < until {
            if points[next].at >= *from {
                push(points[next].at, points[next].rate_millirps as f64, *factor);
            }
            next += 1;
        }
        push(until, rate_at(points, until, false), *factor);
        if until == end {
            break;
        }
    }
    product
}

/// The rate just before or after a moment.
fn rate_at(points: &[LoadPoint], at: SimTime, is_after: bool) -> f64 {
    let next =
        points.partition_point(|point| if is_after { point.at <= at } else { point.at < at });
    match (next.checked_sub(1).map(|idx| points[idx]), points.get(next)) {
        (Some(from), Some(until)) => {
            let share = (at - from.at).as_secs_f64() / (until.at - from.at).as_secs_f64();
            let (first, last) = (from.rate_millirps as f64, until.rate_millirps as f64);
            first + (last - first) * share
        }
        (Some(point), None) => point.rate_millirps as f64,
        (None, Some(point)) => point.rate_millirps as f64,
        (None, None) => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(steps: &Steps, until: SimTime) -> f64 {
        let pairs = steps.iter().zip(steps.iter().skip(1).map(|it| it.0).chain([until]));
        let area = pairs.map(|((from, value), end)| {
            end.min(until).saturating_since(*from).as_secs_f64() * value
        });
        area.sum::<f64>() / until.as_secs_f64()
    }

    #[test]
    fn bursts_have_their_mean_and_their_dispersion() {
        let until = SimTime::ZERO + SimSpan::from_days(30);
        let (calm, burst) = (SimSpan::from_mins(9), SimSpan::from_mins(1));
        let steps = markov(5.0, calm, burst, until, EntityKey::of("x"), Streams::new(1, 0));
        // 4320 periods: the mean rate is 1.4, its standard error 4 * 0.09 / sqrt(4320 / 2) or so.
        assert!((mean(&steps, until) - 1.4).abs() < 0.05, "{}", mean(&steps, until));
        // As many switches as periods have.
        assert!((8200..9100).contains(&steps.len()), "{}", steps.len());
    }

    #[test]
    fn self_similar_noise_has_its_mean_and_dies_slowly() {
        let until = SimTime::ZERO + SimSpan::from_hours(48);
        let noise = |hurst_ppm| {
            let (on, off) = (SimSpan::from_secs(10), SimSpan::from_secs(30));
            let kind =
                BurstKind::SelfSimilar { sources: 50, on, off, hurst_ppm, share_ppm: 1_000_000 };
            let bursts = Bursts { load: 0, kind, until };
            self_similar(&bursts, EntityKey::of("x"), Streams::new(3, 0))
        };
        // Variance of the means over windows of length w falls as w^(2H - 2).
        let variance = |steps: &Steps, window: u64| {
            let count = 48 * 3600 / window;
            let whole = mean(steps, until);
            let mut idx = 0;
            let means = (0..count).map(|nth| {
                let (from, end) =
                    (SimTime::from_secs(nth * window), SimTime::from_secs((nth + 1) * window));
                while idx + 1 < steps.len() && steps[idx + 1].0 <= from {
                    idx += 1;
                }
                let mut area = 0.0;
                let mut place = idx;
                while place < steps.len() && steps[place].0 < end {
                    let until = steps.get(place + 1).map_or(end, |it| it.0).min(end);
                    let start = steps[place].0.max(from);
                    area += until.saturating_since(start).as_secs_f64() * steps[place].1;
                    place += 1;
                }
                (area / window as f64 - whole).powi(2)
            });
            means.sum::<f64>() / count as f64
        };
        let slow = noise(900_000);
        assert!((mean(&slow, until) - 1.0).abs() < 0.2, "{}", mean(&slow, until));
        let slope = |steps: &Steps| {
            let (fine, coarse) = (variance(steps, 100), variance(steps, 1600));
            libm::log(coarse / fine) / libm::log(16.0) / 2.0 + 1.0
        };
        // From two time scales, not far above the sources' own, H is estimated too near to 3/4; but a
        // large one is told from a small one, and what is left over long windows is more.
        let fast = noise(550_000);
        assert!(slope(&slow) > slope(&fast) + 0.05, "{} {}", slope(&slow), slope(&fast));
        assert!(variance(&slow, 1600) > 1.5 * variance(&fast, 1600));
    }

    #[test]
    fn a_product_keeps_slopes_and_steps() {
        let at = |secs, rate_millirps| LoadPoint { at: SimTime::from_secs(secs), rate_millirps };
        let points = [at(0, 100), at(100, 200)];
        let steps = vec![(SimTime::ZERO, 1.0), (SimTime::from_secs(50), 2.0)];
        let product = times(&points, &steps, SimTime::from_secs(200));
        assert_eq!(product, [at(0, 100), at(50, 150), at(50, 300), at(100, 400), at(200, 400)]);
    }
}
