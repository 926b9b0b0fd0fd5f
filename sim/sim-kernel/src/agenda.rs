//! The agenda: what will happen, in which order, unless it is cancelled.
//!
//! Promises:
//!
//! - **Total order.** Pending events are handled by `(time, priority, sequence)`.
//!   The sequence is the order of scheduling ([`TieBreak::Fifo`]) or a random but
//!   reproducible order of it ([`TieBreak::Shuffled`]).
//! - **Exact cancellation.** [`cancel`](Agenda::cancel) returns true exactly when it
//!   prevented the event; a timer that fired or was cancelled can never hit another.
//! - **Bounded memory.** Pending events have a limit, and cancelled ones that still lie
//!   about are never more than were pending at the peak (or [`DEAD_COUNT_MIN`]).
//!
//! A key is 128 bits, so that one comparison decides:
//!
//! ```text
//! | time: 64 ns | priority: 4 | tie: 38 | token: 22 |
//!                 `------------- rank ------------'
//! ```
//!
//! `tie` is the sequence number or its shuffled image. `token` is zero for an event that
//! cannot be cancelled, and costs it nothing; else it names a slot in `ranks_by_token`
//! that holds the very rank of the timer while it is pending. Firing or cancelling
//! clears the slot, so an entry whose rank is not in its slot is dead: it is dropped when
//! next met, or swept out when the dead outnumber the living.

mod ladder;

use std::fmt;

use crate::digest::{GOLDEN_GAMMA, mix};
use crate::journal::Link;
use crate::time::SimTime;
use ladder::{Entry, Ladder};

const TOKEN_BITS: u32 = 22;
const TIE_BITS: u32 = 38;
const TOKEN_MASK: u64 = (1 << TOKEN_BITS) - 1;
const TIE_MASK: u64 = (1 << TIE_BITS) - 1;
const _: () = assert!(TOKEN_BITS + TIE_BITS + Priority::BITS == u64::BITS);

/// Most events that can be pending, because each may be a timer with a token.
pub(crate) const PENDING_CAP: usize = (1 << TOKEN_BITS) - 1;

/// Sweep only when at least so many dead entries lie about. Measured: 64, 256 or 1,024
/// make no difference; a sweep of fewer is not worth its visit to every bucket.
const DEAD_COUNT_MIN: usize = 256;

/// The turn of an event within its instant: lower levels first.
///
/// What the levels mean is the model's business and part of it, for example "a node is
/// lost before its probes run". An event scheduled for the current instant with a lower
/// level than the event being handled still runs at this instant, as the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(u8);

impl Priority {
    const BITS: u32 = 4;
    /// How many levels there are: 16.
    pub const LEVEL_COUNT: u8 = 1 << Self::BITS;
    /// Before everything else at its instant.
    pub const FIRST: Self = Self::new(0);
    /// The middle, and the default.
    pub const NORMAL: Self = Self::new(8);
    /// After everything else at its instant.
    pub const LAST: Self = Self::new(Self::LEVEL_COUNT - 1);

    /// The turn number `level`. Panics from 16 on: four bits of the key are set aside.
    pub const fn new(level: u8) -> Self {
        assert!(level < Self::LEVEL_COUNT, "a priority is a level from 0 to 15");
        Priority(level)
    }

    /// The level, 0 to 15.
    pub const fn level(self) -> u8 {
        self.0
    }

    /// The level in the top bits of a rank.
    const fn of_rank(rank: u64) -> Self {
        Priority((rank >> (TIE_BITS + TOKEN_BITS)) as u8)
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self::NORMAL
    }
}

/// The number of an event, in the order of scheduling, from 1; unique in a run.
///
/// A cause always has a smaller number than its effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(u64);

impl EventId {
    /// No event: what comes from outside the simulation has this cause.
    pub const NONE: Self = EventId(0);

    /// From a number, for reading back what was written.
    pub const fn new(value: u64) -> Self {
        EventId(value)
    }

    /// The number; zero for [`EventId::NONE`].
    pub const fn value(self) -> u64 {
        self.0
    }

    /// Whether this is [`EventId::NONE`].
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// A handle with which a pending event can be cancelled. Eight bytes, `Copy`; keeping it
/// after the event fired is harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Timer {
    rank: u64,
}

impl Timer {
    /// A timer that is not pending and never was.
    pub const NONE: Self = Timer { rank: 0 };
}

impl Default for Timer {
    fn default() -> Self {
        Self::NONE
    }
}

/// The order of events with the same time and priority.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TieBreak {
    /// In the order of scheduling.
    #[default]
    Fifo,
    /// In an order drawn from this seed, another for each seed. Shows whether a result
    /// rests on the order of ties, which nature does not promise.
    Shuffled(u64),
}

/// A bijection of 38-bit numbers that looks like chance: multiplications by odd numbers
/// and a shift by half the width, each of which can be undone.
#[derive(Clone, Copy, Debug)]
struct Shuffle {
    offset: u64,
}

impl Shuffle {
    const FACTORS: [(u64, u64); 2] = [with_inverse(0x27_D4EB_2F8D), with_inverse(0x16_5667_B1E5)];

    fn new(seed: u64) -> Self {
        Shuffle { offset: mix(seed ^ GOLDEN_GAMMA) & TIE_MASK }
    }

    fn tie(self, sequence: u64) -> u64 {
        Self::FACTORS.iter().fold(sequence ^ self.offset, |word, (factor, _)| {
            let word = word.wrapping_mul(*factor) & TIE_MASK;
            word ^ (word >> (TIE_BITS / 2))
        })
    }

    fn sequence(self, tie: u64) -> u64 {
        let word = Self::FACTORS.iter().rev().fold(tie, |word, (_, inverse)| {
            // A shift by half the width undoes itself.
            let word = word ^ (word >> (TIE_BITS / 2));
            word.wrapping_mul(*inverse) & TIE_MASK
        });
        word ^ self.offset
    }
}

/// An odd factor with its inverse modulo 2^64, by Newton's iteration, which doubles the
/// number of right bits: 3, 6, 12, 24, 48, 96.
const fn with_inverse(factor: u64) -> (u64, u64) {
    let mut inverse = factor;
    let mut round = 0;
    while round < 5 {
        inverse = inverse.wrapping_mul(2_u64.wrapping_sub(factor.wrapping_mul(inverse)));
        round += 1;
    }
    assert!(factor.wrapping_mul(inverse) == 1, "only odd factors have an inverse");
    (factor, inverse)
}

/// An event whose time has come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Due<E, L> {
    pub(crate) id: EventId,
    pub(crate) priority: Priority,
    pub(crate) link: L,
    pub(crate) event: E,
}

/// Counters of the agenda, all since the start of the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct AgendaStats {
    pub(crate) cancelled: u64,
    pub(crate) pending_peak: usize,
}

/// The pending events of one simulation, and its clock.
#[derive(Debug)]
pub(crate) struct Agenda<E, L> {
    ladder: Ladder<E, L>,
    /// By token: the rank of the pending timer, or zero while the token is free.
    ranks_by_token: Vec<u64>,
    free_tokens: Vec<u32>,
    last_sequence: u64,
    pending_count: usize,
    pending_count_max: usize,
    is_refusing: bool,
    shuffle: Option<Shuffle>,
    stats: AgendaStats,
}

impl<E: Copy, L: Link> Agenda<E, L> {
    pub(crate) fn new(pending_count_max: usize, tie_break: TieBreak) -> Self {
        let mut agenda = Agenda {
            ladder: Ladder::new(),
            // Token zero is never given out: it marks what cannot be cancelled.
            ranks_by_token: vec![0],
            free_tokens: Vec::new(),
            last_sequence: 0,
            pending_count: 0,
            pending_count_max: pending_count_max.min(PENDING_CAP),
            is_refusing: false,
            shuffle: None,
            stats: AgendaStats::default(),
        };
        agenda.set_tie_break(tie_break);
        agenda
    }

    /// Changes the order of ties. Only before anything was scheduled: ranks are not redone.
    pub(crate) fn set_tie_break(&mut self, tie_break: TieBreak) {
        assert!(self.last_sequence == 0, "the order of ties is chosen before the first event");
        self.shuffle = match tie_break {
            TieBreak::Fifo => None,
            TieBreak::Shuffled(seed) => Some(Shuffle::new(seed)),
        };
    }

    /// Empties the agenda and sets the clock to the start; limits and memory stay.
    pub(crate) fn reset(&mut self) {
        self.ladder.reset();
        self.ranks_by_token.truncate(1);
        self.free_tokens.clear();
        self.last_sequence = 0;
        self.pending_count = 0;
        self.is_refusing = false;
        self.stats = AgendaStats::default();
    }

    #[inline]
    pub(crate) fn now(&self) -> SimTime {
        SimTime::from_nanos(self.ladder.now())
    }

    pub(crate) fn pending_count(&self) -> usize {
        self.pending_count
    }

    pub(crate) fn scheduled_count(&self) -> u64 {
        self.last_sequence
    }

    pub(crate) fn stats(&self) -> AgendaStats {
        self.stats
    }

    /// Whether an event was refused because the limit was reached.
    #[inline]
    pub(crate) fn is_refusing(&self) -> bool {
        self.is_refusing
    }

    /// Schedules what cannot be cancelled. [`EventId::NONE`] when the limit is reached.
    #[inline]
    pub(crate) fn schedule(
        &mut self,
        at: SimTime,
        priority: Priority,
        link: L,
        event: E,
    ) -> EventId {
        let Some(sequence) = self.admit(at) else { return EventId::NONE };
        let rank = self.rank(priority, sequence, 0);
        self.ladder.push(Entry { time: at.as_nanos(), rank, link, event });
        EventId(sequence)
    }

    /// Schedules what can be cancelled. [`Timer::NONE`] when the limit is reached.
    #[inline]
    pub(crate) fn start_timer(
        &mut self,
        at: SimTime,
        priority: Priority,
        link: L,
        event: E,
    ) -> Timer {
        let Some(sequence) = self.admit(at) else { return Timer::NONE };
        let token = match self.free_tokens.pop() {
            Some(token) => token,
            None => self.new_token(),
        };
        let rank = self.rank(priority, sequence, u64::from(token));
        self.ranks_by_token[token as usize] = rank;
        self.ladder.push(Entry { time: at.as_nanos(), rank, link, event });
        Timer { rank }
    }

    /// Counts one more pending event and gives it its sequence number, unless a limit
    /// forbids it.
    #[inline]
    fn admit(&mut self, at: SimTime) -> Option<u64> {
        assert!(at >= self.now(), "an event was scheduled for {at}, before now, {}", self.now());
        if self.pending_count >= self.pending_count_max || self.last_sequence >= TIE_MASK {
            self.is_refusing = true;
            return None;
        }
        self.pending_count += 1;
        self.stats.pending_peak = self.stats.pending_peak.max(self.pending_count);
        self.last_sequence += 1;
        Some(self.last_sequence)
    }

    #[inline]
    fn rank(&self, priority: Priority, sequence: u64, token: u64) -> u64 {
        let tie = match self.shuffle {
            None => sequence,
            Some(shuffle) => shuffle.tie(sequence),
        };
        u64::from(priority.level()) << (TIE_BITS + TOKEN_BITS) | tie << TOKEN_BITS | token
    }

    #[cold]
    fn new_token(&mut self) -> u32 {
        let token = self.ranks_by_token.len();
        self.ranks_by_token.push(0);
        u32::try_from(token).expect("tokens are no more than pending events, which fit 22 bits")
    }

    /// Cancels a timer; whether it was pending until now.
    #[inline]
    pub(crate) fn cancel(&mut self, timer: Timer) -> bool {
        if !self.is_pending(timer) {
            return false;
        }
        self.release(timer.rank);
        self.pending_count -= 1;
        self.stats.cancelled += 1;
        let dead_count = self.ladder.len() - self.pending_count;
        if dead_count >= DEAD_COUNT_MIN && dead_count > self.pending_count {
            let ranks_by_token = &self.ranks_by_token;
            self.ladder.retain(|rank| is_alive(ranks_by_token, rank));
        }
        true
    }

    /// Whether a timer has neither fired nor been cancelled.
    #[inline]
    pub(crate) fn is_pending(&self, timer: Timer) -> bool {
        // A timer of another simulation may name a token that this one never had.
        let token = (timer.rank & TOKEN_MASK) as usize;
        token != 0 && self.ranks_by_token.get(token) == Some(&timer.rank)
    }

    #[inline]
    fn release(&mut self, rank: u64) {
        let token = rank & TOKEN_MASK;
        self.ranks_by_token[token as usize] = 0;
        self.free_tokens.push(token as u32);
    }

    /// Takes the next event at or before `horizon` and sets the clock to its time.
    #[inline]
    pub(crate) fn pop(&mut self, horizon: SimTime) -> Option<Due<E, L>> {
        let ranks_by_token = &self.ranks_by_token;
        let entry = self.ladder.pop(horizon.as_nanos(), |rank| is_alive(ranks_by_token, rank))?;
        if entry.rank & TOKEN_MASK != 0 {
            self.release(entry.rank);
        }
        self.pending_count -= 1;
        let tie = entry.rank >> TOKEN_BITS & TIE_MASK;
        let sequence = match self.shuffle {
            None => tie,
            Some(shuffle) => shuffle.sequence(tie),
        };
        let priority = Priority::of_rank(entry.rank);
        Some(Due { id: EventId(sequence), priority, link: entry.link, event: entry.event })
    }

    /// When the next event is due, without taking it. Slower than [`Agenda::pop`].
    pub(crate) fn next_time(&self) -> Option<SimTime> {
        let next = self.ladder.next_time(|rank| is_alive(&self.ranks_by_token, rank));
        next.map(SimTime::from_nanos)
    }

    /// Moves the clock on to `at`, before which nothing may be due.
    pub(crate) fn advance_to(&mut self, at: SimTime) {
        debug_assert!(self.next_time().is_none_or(|next| next > at));
        self.ladder.advance_to(at.as_nanos());
    }

    /// The same agenda with another kind of link, for a branch with another recorder.
    pub(crate) fn with_links<L2: Link>(&self) -> Agenda<E, L2> {
        Agenda {
            ladder: self.ladder.with_links(|link| L2::new(link.cause())),
            ranks_by_token: self.ranks_by_token.clone(),
            free_tokens: self.free_tokens.clone(),
            last_sequence: self.last_sequence,
            pending_count: self.pending_count,
            pending_count_max: self.pending_count_max,
            is_refusing: self.is_refusing,
            shuffle: self.shuffle,
            stats: self.stats,
        }
    }
}

/// Whether an entry of that rank is still to happen.
#[inline]
fn is_alive(ranks_by_token: &[u64], rank: u64) -> bool {
    let token = (rank & TOKEN_MASK) as usize;
    token == 0 || ranks_by_token[token] == rank
}

impl<E: Copy, L: Link> Clone for Agenda<E, L> {
    fn clone(&self) -> Self {
        self.with_links()
    }
}

#[cfg(test)]
mod tests;
