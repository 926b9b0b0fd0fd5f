//! Requests to a Service that are divided between its pods and those of a revision that is tried.
//!
//! In the graph a Service with a canary is two nodes: its own, behind which stand the pods of the
//! primary, and right behind it the node of the revision, its *twin*, with the same calls. Every call
//! to the Service goes to one of the two, by weight, each attempt anew; or, where requests are
//! mirrored, to the first, and a copy without a caller to the second.
//!
//! Simplified: network policies are looked at for pods of the primary, and hold for both. Calls from
//! within are divided too where the provider is an ingress controller, which sees none of them.

use std::collections::VecDeque;

use model_api::canary::TOTAL_WEIGHT;
use sim_kernel::{SimSpan, SimTime};

use crate::share::Share;

/// How requests to a Service are divided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Split {
    /// Of [`TOTAL_WEIGHT`], how many the twin answers.
    pub(crate) weight: u32,
    /// The twin gets copies of all, and answers none.
    pub(crate) is_mirrored: bool,
}

impl Split {
    /// The share that the twin answers.
    pub(crate) fn share(self) -> Share {
        if self.is_mirrored {
            Share::ZERO
        } else {
            Share::of(u64::from(self.weight), u64::from(TOTAL_WEIGHT))
        }
    }

    /// The share that reaches the twin.
    pub(crate) fn copies(self) -> Share {
        if self.is_mirrored { Share::ONE } else { self.share() }
    }

    /// The share that the twin answers, for flows with a memory.
    pub(crate) fn part(self) -> f64 {
        if self.is_mirrored { 0.0 } else { f64::from(self.weight) / f64::from(TOTAL_WEIGHT) }
    }

    /// The share that reaches the twin.
    pub(crate) fn part_copied(self) -> f64 {
        if self.is_mirrored { 1.0 } else { self.part() }
    }
}

/// The share of answers that are no errors.
pub(crate) fn without_errors(failing_ppm: u32) -> Share {
    const WHOLE: u64 = 1_000_000;
    Share::of(WHOLE.saturating_sub(u64::from(failing_ppm)), WHOLE)
}

/// Rates of a flow at an instant, in requests per 1000 s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rates {
    pub(crate) offered: u64,
    pub(crate) served: u64,
}

/// A stretch in which a flow is linear.
#[derive(Clone, Copy, Debug)]
struct Piece {
    from: SimTime,
    until: SimTime,
    first: Rates,
    last: Rates,
}

/// What became of the requests to a twin lately.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter {
    pieces: VecDeque<Piece>,
    /// Pieces that ended so long ago are forgotten.
    window_max: SimSpan,
}

/// Requests of a window: rates times nanoseconds, doubled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) offered: u128,
    pub(crate) served: u128,
}

impl Sums {
    /// Both.
    pub(crate) fn and(self, other: Self) -> Self {
        let offered = self.offered + other.offered;
        Self { offered, served: self.served + other.served }
    }

    /// Of a million requests, how many were answered well; `None` of none.
    pub(crate) fn success_ppm(self) -> Option<i64> {
        let ppm = (self.served * 1_000_000).checked_div(self.offered)?;
        Some(i64::try_from(ppm).expect("no more is answered than was asked"))
    }
}

impl Meter {
    pub(crate) fn new(window_max: SimSpan) -> Self {
        Self { pieces: VecDeque::new(), window_max }
    }

    /// The flow was so from one instant to another.
    pub(crate) fn tell(&mut self, (from, until): (SimTime, SimTime), first: Rates, last: Rates) {
        let oldest = until.saturating_sub(self.window_max);
        while self.pieces.front().is_some_and(|piece| piece.until <= oldest) {
            self.pieces.pop_front();
        }
        if from < until && !self.window_max.is_zero() {
            self.pieces.push_back(Piece { from, until, first, last });
        }
    }

    /// The requests of a window.
    pub(crate) fn sums(&self, from: SimTime, until: SimTime) -> Sums {
        let mut sums = Sums::default();
        for piece in &self.pieces {
            let (start, end) = (piece.from.max(from), piece.until.min(until));
            if start >= end {
                continue;
            }
            let length = u128::from((end - start).as_nanos());
            let sum = |of: fn(&Rates) -> u64| {
                let at = |at| u128::from(piece.rate_at(at, of));
                (at(start) + at(end)) * length
            };
            sums.offered += sum(|rates| rates.offered);
            sums.served += sum(|rates| rates.served);
        }
        sums.served = sums.served.min(sums.offered);
        sums
    }
}

impl Piece {
    fn rate_at(&self, at: SimTime, of: fn(&Rates) -> u64) -> u64 {
        let (first, last) = (of(&self.first), of(&self.last));
        let span = u128::from((self.until - self.from).as_nanos());
        let offset = u128::from((at - self.from).as_nanos());
        let part = u128::from(first.abs_diff(last)) * offset / span;
        let part = u64::try_from(part).expect("a part of the difference");
        if last > first { first + part } else { first - part }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(offered: u64, served: u64) -> Rates {
        Rates { offered, served }
    }

    #[test]
    fn a_window_sums_over_pieces_and_parts_of_them() {
        let at = SimTime::from_secs;
        let mut meter = Meter::new(SimSpan::from_secs(60));
        meter.tell((at(0), at(100)), rates(0, 0), rates(0, 0));
        assert_eq!(meter.sums(at(40), at(100)).success_ppm(), None);
        meter.tell((at(100), at(130)), rates(1000, 500), rates(1000, 500));
        meter.tell((at(130), at(160)), rates(1000, 1000), rates(3000, 3000));
        assert_eq!(meter.sums(at(100), at(130)).success_ppm(), Some(500_000));
        // 15 s at a half, and a ramp from 1000 to 2000 in the other 15 s.
        let sums = meter.sums(at(115), at(145));
        assert_eq!(sums.offered, 15 * 2 * 1000 * 1_000_000_000 + 15 * 3000 * 1_000_000_000);
        assert_eq!(sums.offered - sums.served, 15 * 2 * 500 * 1_000_000_000);
        meter.tell((at(160), at(200)), rates(0, 0), rates(0, 0));
        assert_eq!(meter.pieces.len(), 2, "older pieces are forgotten");
    }

    #[test]
    fn shares_of_weights_add_up() {
        for weight in 0..=TOTAL_WEIGHT {
            let split = Split { weight, is_mirrored: false };
            assert_eq!(split.share().apply(100_000), u64::from(weight) * 1000);
            assert_eq!(split.share(), split.copies());
        }
        let mirrored = Split { weight: 0, is_mirrored: true };
        assert_eq!((mirrored.share(), mirrored.copies()), (Share::ZERO, Share::ONE));
        assert_eq!(without_errors(0), Share::ONE);
    }
}
