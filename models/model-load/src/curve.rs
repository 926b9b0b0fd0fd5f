//! How much is asked for over time: a piecewise linear curve times a factor that may ramp.

use model_api::load::LoadPoint;
use sim_kernel::{SimSpan, SimTime};

/// Highest rate that is taken, in requests per 1000 s: a billion requests per second.
pub(crate) const RATE_MAX_MILLIRPS: u64 = 1_000_000_000_000;
/// Highest factor that is taken, in thousandths: a million times.
const FACTOR_MAX_MILLI: u64 = 1_000_000_000;
/// Steps of a factor between two thousandths, so that a ramp is smooth.
const FACTOR_STEPS: i128 = 1 << 20;

/// Which side of an instant: a step in a curve has two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// What held until then.
    Before,
    /// What holds from then on.
    After,
}

/// How a quantity changes over a stretch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Shape {
    /// Not at all.
    #[default]
    Constant,
    /// Linearly.
    Linear,
    /// In some other way.
    Curved,
}

impl Shape {
    /// Of a product.
    pub(crate) fn times(self, other: Self) -> Self {
        match (self, other) {
            (Self::Constant, shape) | (shape, Self::Constant) => shape,
            _ => Self::Curved,
        }
    }

    /// Of a sum.
    pub(crate) fn plus(self, other: Self) -> Self {
        self.max(other)
    }
}

/// A stretch of a curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Piece {
    start: SimTime,
    /// [`SimTime::MAX`] for the last one, which is constant.
    end: SimTime,
    start_millirps: u64,
    end_millirps: u64,
}

impl Piece {
    pub(crate) fn shape(&self) -> Shape {
        if self.start_millirps == self.end_millirps { Shape::Constant } else { Shape::Linear }
    }

    fn rate_at(&self, at: SimTime) -> u64 {
        if self.start_millirps == self.end_millirps {
            return self.start_millirps;
        }
        let (first, last) = (i128::from(self.start_millirps), i128::from(self.end_millirps));
        let span = i128::from((self.end - self.start).as_nanos());
        let offset = i128::from(at.saturating_since(self.start).as_nanos()).min(span);
        narrow(first + nearest((last - first) * offset, span))
    }
}

/// A load curve: constant before its first point and after its last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Curve {
    /// Without gaps from time zero to [`SimTime::MAX`]; neighbors differ.
    pieces: Vec<Piece>,
}

impl Curve {
    /// The curve through these points, `None` when they are not in the order of time.
    pub(crate) fn through(points: &[LoadPoint]) -> Option<Self> {
        let mut pieces = Vec::with_capacity(points.len() + 1);
        let rate = |idx: usize| points[idx].rate_millirps.min(RATE_MAX_MILLIRPS);
        let Some(last) = points.len().checked_sub(1) else {
            push(&mut pieces, SimTime::ZERO, SimTime::MAX, 0, 0);
            return Some(Self { pieces });
        };
        push(&mut pieces, SimTime::ZERO, points[0].at, rate(0), rate(0));
        for idx in 0..last {
            if points[idx].at > points[idx + 1].at {
                return None;
            }
            push(&mut pieces, points[idx].at, points[idx + 1].at, rate(idx), rate(idx + 1));
        }
        push(&mut pieces, points[last].at, SimTime::MAX, rate(last), rate(last));
        Some(Self { pieces })
    }

    /// The piece that holds on that side of an instant.
    pub(crate) fn piece_at(&self, at: SimTime, side: Side) -> &Piece {
        let after = self.pieces.partition_point(|piece| match side {
            Side::Before => piece.start < at,
            Side::After => piece.start <= at,
        });
        &self.pieces[after.max(1) - 1]
    }

    /// Requests asked for until then, rounded down.
    pub(crate) fn request_count(&self, until: SimTime) -> u64 {
        let of_piece = |piece: &Piece| {
            let end = piece.end.min(until);
            let nanos = u128::from(end.saturating_since(piece.start).as_nanos());
            let ends = u128::from(piece.start_millirps) + u128::from(piece.rate_at(end));
            nanos * ends / 2
        };
        let sum: u128 = self.pieces.iter().map(of_piece).sum();
        u64::try_from(sum / 1_000_000_000_000).unwrap_or(u64::MAX)
    }

    /// When the curve bends next, if it does.
    pub(crate) fn next_knot(&self, after: SimTime) -> Option<SimTime> {
        let end = self.piece_at(after, Side::After).end;
        (end < SimTime::MAX).then_some(end)
    }
}

/// Appends a piece, unless it is empty or only goes on with a constant.
fn push(pieces: &mut Vec<Piece>, start: SimTime, end: SimTime, first: u64, last: u64) {
    if start == end {
        return;
    }
    let piece = Piece { start, end, start_millirps: first, end_millirps: last };
    if let Some(before) = pieces.last_mut()
        && before.shape() == Shape::Constant
        && piece.shape() == Shape::Constant
        && before.end_millirps == first
    {
        before.end = end;
        return;
    }
    pieces.push(piece);
}

/// What a load is multiplied by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Factor {
    from_milli: u64,
    until_milli: u64,
    start: SimTime,
    end: SimTime,
}

impl Factor {
    /// The load as it is.
    pub(crate) const ONE: Self =
        Self { from_milli: 1000, until_milli: 1000, start: SimTime::ZERO, end: SimTime::ZERO };

    /// From whatever it is now to another value. Rounded to thousandths where a ramp is cut short.
    pub(crate) fn ramp(self, now: SimTime, factor_milli: u64, ramp: SimSpan) -> Self {
        Self {
            from_milli: narrow(nearest(self.scaled(now, Side::After), FACTOR_STEPS)),
            until_milli: factor_milli.min(FACTOR_MAX_MILLI),
            start: now,
            end: now.saturating_add(ramp),
        }
    }

    pub(crate) fn shape(&self, at: SimTime, side: Side) -> Shape {
        let is_over = if side == Side::Before { at > self.end } else { at >= self.end };
        let is_flat = is_over || self.start == self.end || self.from_milli == self.until_milli;
        if is_flat { Shape::Constant } else { Shape::Linear }
    }

    /// When the ramp ends, if one goes on.
    pub(crate) fn next_knot(&self, after: SimTime) -> Option<SimTime> {
        (self.shape(after, Side::After) == Shape::Linear).then_some(self.end)
    }

    /// In thousandths times [`FACTOR_STEPS`].
    fn scaled(&self, at: SimTime, side: Side) -> i128 {
        let (first, last) = (i128::from(self.from_milli), i128::from(self.until_milli));
        if self.shape(at, side) == Shape::Constant {
            return last * FACTOR_STEPS;
        }
        let span = i128::from((self.end - self.start).as_nanos());
        let offset = i128::from(at.saturating_since(self.start).as_nanos());
        first * FACTOR_STEPS + nearest((last - first) * FACTOR_STEPS * offset, span)
    }

    /// What it is on that side of an instant.
    pub(crate) fn value(&self, at: SimTime, side: Side) -> f64 {
        self.scaled(at, side) as f64 / (1000 * FACTOR_STEPS) as f64
    }

    /// The rate of a curve times this factor.
    pub(crate) fn rate_of(&self, curve: &Curve, at: SimTime, side: Side) -> u64 {
        let rate = i128::from(curve.piece_at(at, side).rate_at(at));
        narrow(nearest(rate * self.scaled(at, side), 1000 * FACTOR_STEPS)).min(RATE_MAX_MILLIRPS)
    }
}

/// Division rounded to nearest, halves up.
pub(crate) fn nearest(dividend: i128, divisor: i128) -> i128 {
    (2 * dividend + divisor).div_euclid(2 * divisor)
}

fn narrow(value: i128) -> u64 {
    u64::try_from(value).expect("rates and factors are limited and never negative")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(points: &[(u64, u64)]) -> Curve {
        let points: Vec<_> = points
            .iter()
            .map(|&(secs, rate)| LoadPoint { at: SimTime::from_secs(secs), rate_millirps: rate })
            .collect();
        Curve::through(&points).expect("points are in order")
    }

    #[test]
    fn curves_are_linear_between_points_and_constant_outside() {
        let curve = curve(&[(10, 100), (20, 200), (20, 50), (30, 50), (40, 50)]);
        let at = |secs, side| {
            let at = SimTime::from_secs(secs);
            (Factor::ONE.rate_of(&curve, at, side), curve.piece_at(at, side).shape())
        };
        assert_eq!(at(0, Side::Before), (100, Shape::Constant));
        assert_eq!(at(0, Side::After), (100, Shape::Constant));
        assert_eq!(at(15, Side::After), (150, Shape::Linear));
        assert_eq!(at(20, Side::Before), (200, Shape::Linear));
        assert_eq!(at(20, Side::After), (50, Shape::Constant));
        assert_eq!(at(90, Side::After), (50, Shape::Constant));
        // 10 s at 0.1, 5 s from there to 0.15, and the rest of the ramp; 10 s at 0.05.
        let counts = [0, 10, 15, 20, 30].map(|secs| curve.request_count(SimTime::from_secs(secs)));
        assert_eq!(counts, [0, 1, 1, 2, 3]);
        let knots = [0, 10, 20, 30].map(|secs| curve.next_knot(SimTime::from_secs(secs)));
        let secs = SimTime::from_secs;
        assert_eq!(knots, [Some(secs(10)), Some(secs(20)), None, None]);
    }

    #[test]
    fn empty_curves_ask_for_nothing_and_disorder_is_refused() {
        assert_eq!(Factor::ONE.rate_of(&curve(&[]), SimTime::from_secs(5), Side::After), 0);
        let later = LoadPoint { at: SimTime::from_secs(2), rate_millirps: 1 };
        let earlier = LoadPoint { at: SimTime::from_secs(1), rate_millirps: 1 };
        assert_eq!(Curve::through(&[later, earlier]), None);
    }

    #[test]
    fn factors_ramp_from_where_they_are() {
        let curve = curve(&[(0, 1_000_000)]);
        let start = SimTime::from_secs(100);
        let doubled = Factor::ONE.ramp(start, 2000, SimSpan::from_secs(10));
        let rate =
            |factor: Factor, secs| factor.rate_of(&curve, SimTime::from_secs(secs), Side::After);
        assert_eq!(
            [100, 105, 110, 999].map(|secs| rate(doubled, secs)),
            [1_000_000, 1_500_000, 2_000_000, 2_000_000]
        );
        let back = doubled.ramp(SimTime::from_secs(105), 1000, SimSpan::from_secs(5));
        assert_eq!([105, 106, 110].map(|secs| rate(back, secs)), [1_500_000, 1_400_000, 1_000_000]);
        let step = Factor::ONE.ramp(start, 3000, SimSpan::ZERO);
        assert_eq!(rate(step, 100), 3_000_000);
        assert_eq!(step.next_knot(start), None);
        assert_eq!(doubled.next_knot(start), Some(SimTime::from_secs(110)));
    }
}
