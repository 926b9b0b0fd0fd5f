//! What comes next among all requests.
//!
//! Nearly everything that single requests wait for comes in the order in which it was foreseen: a
//! Service takes requests in turn and each of them as long again, callers that wait equally long
//! give up in the order in which they called, a source has one next request. So there is a row for
//! each of these, which need not be sorted, and only the heads of the rows are compared, by a tree
//! of winners. What is left (pauses before retries) lies in a heap, the last of the rows.
//!
//! Order: by time, then by row, then as foreseen.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hash::Hasher as _;

use sim_kernel::{SimTime, StableHasher};

/// The time of a row in which nothing is due.
const NEVER: u64 = u64::MAX;

/// The heads of the rows, and what has no row.
#[derive(Clone, Debug)]
pub(super) struct Calendar<E> {
    now: u64,
    /// A tree of [heads](head): number 1 is the winner of all, n wins against its children 2 n and
    /// 2 n + 1, and the last half are the rows themselves.
    winners: Vec<u128>,
    others: BinaryHeap<Reverse<Other<E>>>,
    other_row: u32,
    other_count: u64,
    digest: StableHasher,
    handled_count: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Other<E> {
    at: u64,
    number: u64,
    what: E,
}

impl<E: Copy + Ord> Calendar<E> {
    /// With so many rows, in which nothing is due.
    pub(super) fn new(row_count: usize) -> Self {
        let size = (row_count + 1).next_power_of_two();
        let mut calendar = Self {
            now: 0,
            winners: vec![head(NEVER, 0); 2 * size],
            others: BinaryHeap::new(),
            other_row: super::wiring::number(row_count),
            other_count: 0,
            digest: StableHasher::default(),
            handled_count: 0,
        };
        for row in 0..super::wiring::number(size) {
            calendar.set(row, SimTime::MAX);
        }
        calendar
    }

    /// When the last thing happened, or up to when nothing was to happen.
    #[inline]
    pub(super) fn now(&self) -> SimTime {
        SimTime::from_nanos(self.now)
    }

    /// Says when the head of a row is due; [`SimTime::MAX`] when the row is empty.
    #[inline]
    pub(super) fn set(&mut self, row: u32, at: SimTime) {
        let winners = self.winners.as_mut_slice();
        let mut place = winners.len() / 2 + row as usize;
        let mut first = head(at.as_nanos(), row);
        winners[place] = first;
        while place > 1 {
            first = first.min(winners[place ^ 1]);
            place /= 2;
            winners[place] = first;
        }
    }

    /// Foresees something that belongs to no row.
    pub(super) fn push(&mut self, at: SimTime, what: E) {
        self.other_count += 1;
        self.others.push(Reverse(Other { at: at.as_nanos(), number: self.other_count, what }));
        self.tell_others();
    }

    /// Takes the first of what belongs to no row.
    pub(super) fn pop(&mut self) -> Option<E> {
        let first = self.others.pop();
        self.tell_others();
        first.map(|Reverse(other)| other.what)
    }

    fn tell_others(&mut self) {
        let first = self.others.peek().map_or(NEVER, |Reverse(other)| other.at);
        self.set(self.other_row, SimTime::from_nanos(first));
    }

    /// The row whose head is due next, unless that is after `until`; the clock is then there.
    #[inline]
    pub(super) fn next(&mut self, until: SimTime) -> Option<u32> {
        let (at, row) = time_and_row(self.winners[1]);
        if at > until.as_nanos() || at == NEVER {
            self.now = self.now.max(until.as_nanos());
            return None;
        }
        debug_assert!(at >= self.now, "{at} lies before {}", self.now);
        self.now = at;
        self.handled_count += 1;
        self.digest.write_u64(at.rotate_left(8) ^ u64::from(row));
        Some(row)
    }

    /// What happened so far.
    pub(super) fn handled_count(&self) -> u64 {
        self.handled_count
    }

    /// A digest of it.
    pub(super) fn digest(&self) -> u64 {
        self.digest.finish()
    }
}

/// The head of a row as one number, so that one comparison finds what is due first, and of equals the
/// first row.
#[inline]
fn head(at: u64, row: u32) -> u128 {
    u128::from(at) << 32 | u128::from(row)
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "it is taken apart as it was put together")]
fn time_and_row(head: u128) -> (u64, u32) {
    ((head >> 32) as u64, head as u32)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Rows and others come in the order of a sorted list.
        #[test]
        fn the_first_comes_first(
            rows in prop::collection::vec(prop::collection::vec(0_u64..50, 0..8), 0..9),
            others in prop::collection::vec(0_u64..50, 0..8),
        ) {
            let mut rows = rows;
            let mut expected: Vec<(u64, usize, usize)> = Vec::new();
            let mut calendar: Calendar<usize> = Calendar::new(rows.len());
            let head = |row: &[u64]| row.first().map_or(SimTime::MAX, |at| SimTime::from_nanos(*at));
            for (idx, row) in rows.iter_mut().enumerate() {
                row.sort_unstable();
                expected.extend(row.iter().map(|at| (*at, idx, 0)));
                calendar.set(u32::try_from(idx).expect("few"), head(row));
            }
            for (number, at) in others.iter().enumerate() {
                expected.push((*at, rows.len(), number));
                calendar.push(SimTime::from_nanos(*at), number);
            }
            expected.sort_unstable();
            let mut seen = Vec::new();
            while let Some(row) = calendar.next(SimTime::from_secs(1)) {
                let at = calendar.now().as_nanos();
                if row as usize == rows.len() {
                    seen.push((at, rows.len(), calendar.pop().expect("it is due")));
                } else {
                    let list = &mut rows[row as usize];
                    list.remove(0);
                    calendar.set(row, head(list));
                    seen.push((at, row as usize, 0));
                }
            }
            prop_assert_eq!(seen, expected);
            prop_assert_eq!(calendar.now(), SimTime::from_secs(1));
        }
    }
}
