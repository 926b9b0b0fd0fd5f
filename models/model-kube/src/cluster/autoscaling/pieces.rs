//! An amount over time, as it was and as far as it is known to go on: piecewise linear.

use std::collections::VecDeque;

use sim_kernel::SimTime;

/// A stretch of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) from: SimTime,
    /// At its start.
    pub(super) first: u64,
    /// When it bends next, and what it is then; `None` when it stays as it is.
    pub(super) until: Option<(SimTime, u64)>,
}

impl Piece {
    fn at(&self, at: SimTime) -> u64 {
        let Some((end, last)) = self.until else { return self.first };
        let first = self.first;
        if first == last || end <= self.from {
            return first;
        }
        let span = u128::from((end - self.from).as_nanos());
        let offset = u128::from(at.saturating_since(self.from).as_nanos()).min(span);
        let share = u128::from(first.abs_diff(last)) * offset / span;
        let share = u64::try_from(share).expect("a part of the difference");
        if last > first { first + share } else { first - share }
    }
}

/// All that is remembered of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Pieces {
    pieces: VecDeque<Piece>,
}

impl Pieces {
    /// Begins a stretch; what came before `oldest`, and what was to come, is forgotten.
    pub(super) fn tell(&mut self, piece: Piece, oldest: SimTime) {
        self.pieces.retain(|known| known.from < piece.from);
        self.pieces.push_back(piece);
        while self.pieces.get(1).is_some_and(|next| next.from <= oldest) {
            self.pieces.pop_front();
        }
    }

    /// Goes on after the last stretch.
    pub(super) fn go_on(&mut self, piece: Piece) {
        self.pieces.push_back(piece);
    }

    /// Moments at which it bends, as far as they are remembered.
    pub(super) fn bends(&self) -> impl Iterator<Item = SimTime> {
        let until = |piece: &Piece| piece.until.map(|(at, _)| at);
        self.pieces.iter().flat_map(move |piece| [Some(piece.from), until(piece)]).flatten()
    }

    /// Whether it changes even if nothing happens.
    pub(super) fn is_changing(&self, now: SimTime) -> bool {
        self.pieces.iter().enumerate().any(|(idx, piece)| {
            let is_past = self.pieces.get(idx + 1).is_some_and(|next| next.from <= now);
            !is_past && piece.until.is_some_and(|(_, last)| last != piece.first)
        })
    }

    /// How much it is. Before the first stretch it was what it is at its start.
    pub(super) fn at(&self, at: SimTime) -> u64 {
        let piece = self.pieces.iter().rev().find(|piece| piece.from <= at);
        piece.or(self.pieces.front()).map_or(0, |piece| piece.at(at))
    }

    /// Its sum over a window, in its unit times nanoseconds.
    pub(super) fn spent(&self, from: SimTime, until: SimTime) -> u128 {
        let mut sum = 0;
        let mut start = from;
        for (idx, piece) in self.pieces.iter().enumerate() {
            let end = self.pieces.get(idx + 1).map_or(SimTime::MAX, |next| next.from).min(until);
            if end <= start {
                continue;
            }
            let length = u128::from((end - start).as_nanos());
            sum += (u128::from(piece.at(start)) + u128::from(piece.at(end))) * length / 2;
            start = end;
        }
        sum
    }

    /// How many stretches are remembered.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.pieces.len()
    }
}

/// What one of several has of an amount, which they share evenly.
pub(super) fn share(amount: u64, count: u32) -> u64 {
    amount / u64::from(count.max(1))
}
