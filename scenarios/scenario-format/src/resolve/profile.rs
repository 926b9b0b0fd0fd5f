//! Load profiles: a base rate times curves, lowered to the points of one curve.
//!
//! A product of two lines bends; it is cut into as many pieces as keep it within 0.1 % of its value.

use model_api::load::{BurstKind, LoadPoint};
use model_api::{SimSpan, SimTime};

use super::Resolver;
use crate::diagnostic::{Code, Diagnostic};
use crate::document::{DailyPointSpec, Decay, LoadSpec, SeasonSpec, SpikeSpec, WeeklySpec};
use crate::source::Span;
use crate::units::Factor;

/// Most points of one load.
const POINTS_MAX: usize = 200_000;
const DAY: SimSpan = SimSpan::from_hours(24);
/// Pieces of a spike that falls exponentially: each leaves the square root of a half, all together a
/// sixty-fourth.
const DECAY_PIECES: u64 = 12;
/// By how much the chord of a product may differ from it, as a share.
const CHORD_ERROR: f64 = 0.001;
/// Sources of self-similar noise, when nothing is stated.
const SOURCES: u32 = 50;

/// A curve through points, constant before the first and after the last; two points of one time make
/// a step.
#[derive(Clone, Debug, PartialEq)]
struct Curve(Vec<(SimTime, f64)>);

impl Curve {
    /// The value just before or just after an instant.
    fn at(&self, at: SimTime, is_after: bool) -> f64 {
        let points = &self.0;
        let next =
            points.partition_point(|(time, _)| if is_after { *time <= at } else { *time < at });
        match (next.checked_sub(1).map(|idx| points[idx]), points.get(next)) {
            (Some((from, first)), Some(&(until, last))) => {
                let share = (at - from).as_secs_f64() / (until - from).as_secs_f64();
                first + (last - first) * share
            }
            (Some((_, value)), None) => value,
            (None, Some((_, value))) => *value,
            (None, None) => 1.0,
        }
    }
}

/// The product of curves from the start until `end`. `None` when it has too many points.
fn product(curves: &[Curve], end: SimTime) -> Option<Vec<(SimTime, f64)>> {
    let mut times: Vec<SimTime> = vec![SimTime::ZERO, end];
    for curve in curves {
        times.extend(curve.0.iter().map(|(at, _)| *at).filter(|at| *at < end));
    }
    times.sort_unstable();
    times.dedup();
    let value = |at, is_after| curves.iter().map(|curve| curve.at(at, is_after)).product::<f64>();
    let mut points: Vec<(SimTime, f64)> = Vec::new();
    for pair in times.windows(2) {
        let (from, until) = (pair[0], pair[1]);
        let (first, last) = (value(from, true), value(until, false));
        points.push((from, first));
        let middle = from + (until - from) / 2;
        let bend = (value(middle, true) - (first + last) / 2.0).abs();
        // The error of a chord falls with the square of the number of pieces.
        let pieces =
            (bend / (CHORD_ERROR * first.max(last).max(1e-9))).sqrt().ceil().clamp(1.0, 64.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped above"
        )]
        let pieces = pieces as u64;
        for piece in 1..pieces {
            let at = from + (until - from) / pieces * piece;
            points.push((at, value(at, true)));
        }
        points.push((until, last));
        // What neither bends nor jumps at its start is one point.
        points.dedup();
        if points.len() > POINTS_MAX {
            return None;
        }
    }
    Some(points)
}

fn factor(factor: Factor) -> f64 {
    factor.milli as f64 / 1000.0
}

fn daily(points: &[DailyPointSpec], end: SimTime) -> Curve {
    let of_day = |day: u64| {
        points.iter().map(move |point| (point.at.value + DAY * day, factor(point.factor.value)))
    };
    // The evening before the run, so that the first morning is on its way.
    let last = points.last().map(|point| point.at.value.saturating_since(SimTime::ZERO));
    let first = points.first().map(|point| (point.at.value, factor(point.factor.value)));
    let mut curve = Vec::new();
    if let (Some(last), Some((first_at, first))) = (last, first) {
        let evening = factor(points[points.len() - 1].factor.value);
        let night = (DAY.saturating_sub(last)).as_secs_f64();
        let morning = first_at.saturating_since(SimTime::ZERO).as_secs_f64();
        let share = if night + morning > 0.0 { night / (night + morning) } else { 1.0 };
        curve.push((SimTime::ZERO, evening + (first - evening) * share));
    }
    let days = end.as_nanos() / DAY.as_nanos() + 2;
    curve.extend((0..days).flat_map(of_day));
    Curve(curve)
}

fn weekly(spec: &WeeklySpec, end: SimTime) -> Curve {
    let days = [spec.mon, spec.tue, spec.wed, spec.thu, spec.fri, spec.sat, spec.sun];
    let of_day = |day: u64| {
        let place = usize::try_from(day % 7).expect("less than seven");
        days[place].map_or(1.0, |it| factor(it.value))
    };
    let count = end.as_nanos() / DAY.as_nanos() + 1;
    let steps = (0..count).flat_map(|day| {
        let (from, until) = (SimTime::ZERO + DAY * day, SimTime::ZERO + DAY * (day + 1));
        [(from, of_day(day)), (until, of_day(day))]
    });
    Curve(steps.collect())
}

fn spike(spec: &SpikeSpec) -> Curve {
    let span = |span: Option<crate::source::Spanned<SimSpan>>| {
        span.map_or(SimSpan::ZERO, |span| span.value)
    };
    let height = factor(spec.factor.value);
    let top = spec.at.value.saturating_add(span(spec.rise));
    let edge = top.saturating_add(span(spec.hold));
    let fall = span(spec.fall);
    let mut curve = vec![(spec.at.value, 1.0), (top, height), (edge, height)];
    if spec.decay.is_some_and(|decay| decay.value == Decay::Exponential) {
        let mut left = 1.0;
        for piece in 1..DECAY_PIECES {
            left *= std::f64::consts::FRAC_1_SQRT_2;
            let at = edge.saturating_add(fall / DECAY_PIECES * piece);
            curve.push((at, 1.0 + (height - 1.0) * left));
        }
    }
    curve.push((edge.saturating_add(fall), 1.0));
    Curve(curve)
}

fn season(spec: &SeasonSpec, end: SimTime) -> Curve {
    let (height, length) = (factor(spec.factor.value), spec.until.value - spec.from.value);
    let mut curve = Vec::new();
    let mut from = spec.from.value;
    while from < end {
        let until = from.saturating_add(length);
        curve.extend([(from, 1.0), (from, height), (until, height), (until, 1.0)]);
        let Some(every) = spec.every else { break };
        from = from.saturating_add(every.value);
    }
    Curve(curve)
}

impl Resolver<'_> {
    /// The rate of a load over the run: its base times everything that it states besides.
    pub(super) fn shaped(
        &mut self,
        base: Vec<LoadPoint>,
        spec: &LoadSpec,
    ) -> Option<Vec<LoadPoint>> {
        if !self.check_profile(spec) {
            return None;
        }
        let end = self.end();
        let mut curves = Vec::new();
        if !spec.daily.is_empty() {
            curves.push(daily(&spec.daily, end));
        }
        curves.extend(spec.weekly.iter().map(|weeks| weekly(weeks, end)));
        curves.extend(spec.spikes.iter().map(spike));
        curves.extend(spec.seasons.iter().map(|it| season(it, end)));
        if curves.is_empty() {
            return Some(base);
        }
        let rates = base.iter().map(|point| (point.at, point.rate_millirps as f64));
        curves.push(Curve(rates.collect()));
        let Some(points) = product(&curves, end) else {
            let message =
                format!("the load bends more than {POINTS_MAX} times before the run ends");
            self.report(Code::E0021, spec.span, message);
            return None;
        };
        let point = |(at, rate): (SimTime, f64)| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "not negative, and it saturates"
            )]
            let rate_millirps = rate.round() as u64;
            LoadPoint { at, rate_millirps }
        };
        Some(points.into_iter().map(point).collect())
    }

    fn check_profile(&mut self, spec: &LoadSpec) -> bool {
        let before = self.diagnostics.len();
        for pair in spec.daily.windows(2) {
            if pair[1].at.value <= pair[0].at.value {
                let message = "points of a day go forward in time";
                let diagnostic = Diagnostic::new(Code::E0021, pair[1].at.span, message);
                self.diagnostics.push(diagnostic.related(pair[0].at.span, "after this"));
            }
        }
        if let Some(last) = spec.daily.last().filter(|it| it.at.value >= SimTime::ZERO + DAY) {
            self.report(Code::E0021, last.at.span, "a day has 24 hours");
        }
        for season in &spec.seasons {
            if season.until.value <= season.from.value {
                let message = "the season ends before it begins";
                let diagnostic = Diagnostic::new(Code::E0021, season.until.span, message);
                self.diagnostics.push(diagnostic.related(season.from.span, "it begins here"));
            } else if let Some(every) = season.every
                && every.value < season.until.value - season.from.value
            {
                let message = "the season would begin again before it ends";
                self.report(Code::E0021, every.span, message);
            } else if let Some(every) = season.every {
                // Four points each time: into the season and out of it.
                self.check_switches(4, every.value, every.span);
            }
        }
        self.diagnostics.len() == before
    }

    /// What is random about a load.
    pub(super) fn bursts(&mut self, spec: &LoadSpec) -> Vec<BurstKind> {
        let mut bursts = Vec::new();
        if let Some(stated) = &spec.bursts {
            let (calm, burst) = (stated.calm.value, stated.burst.value);
            if self.lasts(calm, stated.calm.span) && self.lasts(burst, stated.burst.span) {
                self.check_switches(2, calm + burst, stated.span);
                let factor_milli = stated.factor.value.milli;
                bursts.push(BurstKind::Markov { factor_milli, calm, burst });
            }
        }
        if let Some(stated) = &spec.self_similar {
            let (on, off) = (stated.on.value, stated.off.value);
            let hurst_ppm = stated.hurst.value.ppm;
            if hurst_ppm <= 500_000 || hurst_ppm >= 1_000_000 {
                let message = "the Hurst parameter is more than 50% and less than 100%";
                self.report(Code::E0021, stated.hurst.span, message);
            } else if self.lasts(on, stated.on.span) && self.lasts(off, stated.off.span) {
                let sources = stated.sources.map_or(SOURCES, |it| it.value);
                if sources == 0 {
                    self.report(Code::E0021, stated.span, "there is at least one source");
                }
                self.check_switches(2 * u64::from(sources), on + off, stated.span);
                let share_ppm = stated.share.map_or(1_000_000, |it| it.value.ppm);
                bursts.push(BurstKind::SelfSimilar { sources, on, off, hurst_ppm, share_ppm });
            }
        }
        bursts
    }

    fn lasts(&mut self, span: SimSpan, place: Span) -> bool {
        if span.is_zero() {
            self.report(Code::E0021, place, "this lasts some time");
        }
        !span.is_zero()
    }

    fn check_switches(&mut self, each: u64, period: SimSpan, place: Span) {
        let count = u128::from(each) * u128::from(self.horizon.as_nanos());
        let count = count / u128::from(period.as_nanos().max(1));
        if count > POINTS_MAX as u128 {
            let message =
                format!("the load would change {count} times in a run, more than {POINTS_MAX}");
            self.report(Code::E0021, place, message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mins(at: u64) -> SimTime {
        SimTime::ZERO + SimSpan::from_mins(at)
    }

    #[test]
    fn products_are_exact_at_knots_and_near_between() {
        let rise = Curve(vec![(mins(0), 1.0), (mins(100), 3.0)]);
        let step = Curve(vec![(mins(50), 10.0), (mins(50), 20.0)]);
        let fall = Curve(vec![(mins(20), 1.0), (mins(80), 0.0)]);
        let curves = [rise, step, fall];
        let points = product(&curves, mins(120)).expect("few points");
        let whole = Curve(points);
        for at in 0..120 {
            let exact: f64 = curves.iter().map(|curve| curve.at(mins(at), true)).product();
            let found = whole.at(mins(at), true);
            assert!((exact - found).abs() <= 0.001 * exact.max(20.0), "{at}: {found} not {exact}");
        }
        assert_eq!(whole.at(mins(50), false) * 2.0, whole.at(mins(50), true));
        assert_eq!(whole.at(mins(119), true), 0.0);
    }
}
