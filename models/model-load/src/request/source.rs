//! When requests come from outside.
//!
//! A Poisson process whose rate follows the load: candidates come at the highest rate of a stretch
//! and are kept with the probability of the rate at their moment (Lewis and Shedler 1979).

use model_api::load::Thinking;
use sim_kernel::{EntityKey, Purpose, SimSpan, SimTime, Stream, Streams};

use super::station::rounded;
use super::users::Users;
use super::ziggurat::standard_exponential;
use crate::curve::{Curve, Factor, Shape, Side};

const ARRIVALS: Purpose = Purpose::new("arrivals");
/// Users do not become more or fewer in shorter steps.
const STEP_MIN: SimSpan = SimSpan::from_millis(1);

/// Where requests come from.
#[derive(Clone, Debug)]
pub(super) struct Source {
    stream: Stream,
    /// The call that its clients make.
    pub(super) client: u32,
    /// Highest rate of the stretch, in requests per nanosecond, and its inverse.
    peak: f64,
    gap_mean_ns: f64,
    /// Whether every candidate comes.
    is_constant: bool,
    /// When the stretch ends.
    end: SimTime,
    /// What comes next.
    pub(super) expected: Next,
    /// Where its clients wait for answers: they.
    pub(super) users: Option<Box<Users>>,
}

/// What comes next from a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A candidate.
    Candidate(SimTime),
    /// A user that has thought.
    User(SimTime),
    /// The end of the stretch.
    Bend(SimTime),
    /// Nothing any more.
    Nothing,
}

impl Source {
    pub(super) fn new(
        client: u32,
        users: Option<Thinking>,
        entity: EntityKey,
        streams: Streams,
    ) -> Self {
        let stream = streams.stream(entity, ARRIVALS);
        Self {
            stream,
            client,
            peak: 0.0,
            gap_mean_ns: 0.0,
            is_constant: true,
            end: SimTime::ZERO,
            expected: Next::Nothing,
            users: users.map(|users| Box::new(Users::new(users, entity, streams))),
        }
    }

    /// Looks at the load from now on.
    pub(super) fn turn(&mut self, curve: &Curve, factor: Factor, now: SimTime) {
        let knot = [curve.next_knot(now), factor.next_knot(now)].into_iter().flatten().min();
        self.end = knot.unwrap_or(SimTime::MAX);
        let shape = curve.piece_at(now, Side::After).shape().times(factor.shape(now, Side::After));
        self.is_constant = shape == Shape::Constant;
        let rate = |at, side| factor.rate_of(curve, at, side) as f64;
        let first = rate(now, Side::After);
        if let Some(users) = &mut self.users {
            users.set_count(whole(first), now);
            if shape != Shape::Constant {
                // Until there is one more, or one less.
                let change = (rate(self.end, Side::Before) - first).abs() / 1000.0;
                let pace = (self.end - now).as_nanos() as f64 / change.max(1.0);
                self.end = self.end.min(now.saturating_add(rounded(pace).max(STEP_MIN)));
            }
            return;
        }
        self.peak = 1e-12
            * match shape {
                Shape::Constant => first,
                Shape::Linear => first.max(rate(self.end, Side::Before)),
                // No product is above that of the highest of each; its rounding may be.
                Shape::Curved => {
                    let (last, end) = (Side::Before, self.end);
                    let of = |at, side| Factor::ONE.rate_of(curve, at, side) as f64;
                    let base = of(now, Side::After).max(of(end, last));
                    let most = factor.value(now, Side::After).max(factor.value(end, last));
                    base * most + 1.0
                }
            };
        self.gap_mean_ns = 1.0 / self.peak;
    }

    /// What comes next after `now`, whoever the clients are.
    pub(super) fn next_of_all(&mut self, now: SimTime) -> Next {
        let Some(users) = &self.users else { return self.next(now) };
        match users.next() {
            Some(at) if at < self.end => Next::User(at),
            _ if self.end < SimTime::MAX => Next::Bend(self.end),
            _ => Next::Nothing,
        }
    }

    /// The next candidate after `now`.
    #[inline]
    pub(super) fn next(&mut self, now: SimTime) -> Next {
        let at = if self.peak > 0.0 {
            let gap_ns = standard_exponential(&mut self.stream) * self.gap_mean_ns;
            now.saturating_add(rounded(gap_ns))
        } else {
            SimTime::MAX
        };
        if at < self.end {
            Next::Candidate(at)
        } else if self.end < SimTime::MAX {
            Next::Bend(self.end)
        } else {
            Next::Nothing
        }
    }

    /// Whether every candidate comes.
    #[inline]
    pub(super) fn is_constant(&self) -> bool {
        self.is_constant
    }

    /// Whether a candidate comes that comes now, at this rate in requests per 1000 s.
    pub(super) fn keeps(&mut self, rate_millirps: u64) -> bool {
        self.stream.draw().unit() * self.peak < rate_millirps as f64 * 1e-12
    }
}

/// Users of so many thousandths.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
fn whole(milli: f64) -> usize {
    (milli / 1000.0 + 0.5) as usize
}
