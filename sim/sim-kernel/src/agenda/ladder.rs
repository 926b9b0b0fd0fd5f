//! A radix ladder: a monotone priority queue whose cost hardly depends on its length.
//!
//! Promise: [`pop`](Ladder::pop) returns the entry with the smallest `(time, rank)` among
//! the live ones, for every mix of delays, ties and zero delays; nothing is tuned to a
//! distribution, so no distribution makes it collapse.
//!
//! Time never goes back, and that is what makes it cheap: an entry need not be sorted
//! until its time draws near. Three places hold the entries, from far to near:
//!
//! ```text
//! rungs    11 levels of 64 buckets, by digits of the time in base 64. An entry at t lies
//!          at the level of the highest digit in which t differs from `floor`, in the
//!          bucket of that digit. Unsorted: pushing is appending.
//! bottom   every entry with now < t <= `bottom_end` (and those left at now when the
//!          clock came there), sorted, the smallest last: popping is `Vec::pop`.
//! instant  entries pushed for t == now, one queue for each priority: first in, first out
//!          whatever the number of ties.
//! ```
//!
//! When instant and bottom are empty, the lowest bucket of the lowest level that is not
//! empty holds the smallest entry. If it is short, it is sorted into the bottom. If not,
//! `floor` jumps to its earliest time and its entries are dealt to lower levels. An entry
//! moves down at most 11 times, in practice twice. A bottom that grows too long, because
//! many entries are pushed close to now, is dealt out in the same way.
//!
//! Between calls: `floor <= now <= t` for every live entry, and an entry is in the bottom
//! or the instant exactly when `t <= bottom_end.max(now)`. So a new entry, which is never
//! before now, differs from `floor` at the same level or above as it does from now, and
//! the buckets stay in order.

use std::cmp::Reverse;
use std::collections::VecDeque;

use super::Priority;

/// One pending event: 32 bytes with an event of 16 and no link.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<E, L> {
    pub(super) time: u64,
    pub(super) rank: u64,
    pub(super) link: L,
    pub(super) event: E,
}

const _: () = assert!(size_of::<Entry<[u64; 2], ()>>() == 32);

impl<E, L> Entry<E, L> {
    /// Time and rank as one number, which compares without a branch.
    #[inline]
    fn key(&self) -> u128 {
        u128::from(self.time) << 64 | u128::from(self.rank)
    }
}

const DIGIT_BITS: u32 = 6;
const BUCKET_COUNT: usize = 1 << DIGIT_BITS;
const LEVEL_COUNT: usize = u64::BITS.div_ceil(DIGIT_BITS) as usize;

/// A bucket of at most so many entries is sorted rather than dealt out. Measured: 16 is
/// 5 % better for hold and 20 to 35 % worse for PHOLD and timers, 32 no better anywhere.
const SORT_COUNT_MAX: usize = 24;

/// So few entries in all need no rungs: they are sorted into the bottom together. For
/// models with a handful of pending events, such as M/M/1.
const FEW_COUNT_MAX: usize = 8;

/// A bottom longer than this is dealt out. It bounds what an insertion moves.
const BOTTOM_COUNT_MAX: usize = 4 * SORT_COUNT_MAX;

/// A queue of entries that come in no order and leave in the order of `(time, rank)`.
#[derive(Clone, Debug)]
pub(super) struct Ladder<E, L> {
    now: u64,
    floor: u64,
    bottom_end: u64,
    len: usize,
    bottom: Vec<Entry<E, L>>,
    /// Memory for [`Ladder::sort_bottom`], of no meaning between calls.
    unsorted: Vec<Entry<E, L>>,
    instant: Instant<E, L>,
    rungs: Rungs<E, L>,
}

impl<E: Copy, L: Copy> Ladder<E, L> {
    pub(super) fn new() -> Self {
        Ladder {
            now: 0,
            floor: 0,
            bottom_end: 0,
            len: 0,
            bottom: Vec::new(),
            unsorted: Vec::new(),
            instant: Instant::new(),
            rungs: Rungs::new(),
        }
    }

    /// Empties the queue and sets the clock to zero; keeps the memory.
    pub(super) fn reset(&mut self) {
        self.now = 0;
        self.floor = 0;
        self.bottom_end = 0;
        self.retain(|_| false);
    }

    #[inline]
    pub(super) fn now(&self) -> u64 {
        self.now
    }

    /// Entries held, live or dead.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Adds an entry that is not before now.
    ///
    /// Always inlined, as all that it calls on the usual path: an entry that is assembled
    /// on the stack and copied from there stalls on its own stores (5 ns per event).
    #[inline(always)]
    pub(super) fn push(&mut self, entry: Entry<E, L>) {
        debug_assert!(entry.time >= self.now);
        self.len += 1;
        if entry.time == self.now {
            self.instant.push(entry);
        } else if entry.time > self.bottom_end {
            self.rungs.push(entry, self.floor);
        } else {
            self.push_bottom(entry);
        }
    }

    #[inline(always)]
    fn push_bottom(&mut self, entry: Entry<E, L>) {
        let key = entry.key();
        let mut idx = self.bottom.len();
        self.bottom.push(entry);
        while idx > 0 && self.bottom[idx - 1].key() < key {
            self.bottom[idx] = self.bottom[idx - 1];
            idx -= 1;
        }
        self.bottom[idx] = entry;
        if self.bottom.len() > BOTTOM_COUNT_MAX {
            self.deal_bottom();
        }
    }

    /// Deals the bottom out to the rungs, but for what is due now. Moving the floor is not
    /// needed for order; it spreads the entries over lower levels.
    #[cold]
    fn deal_bottom(&mut self) {
        self.floor = self.now;
        self.bottom_end = self.now;
        let later_count = self.bottom.partition_point(|entry| entry.time > self.now);
        for entry in self.bottom.drain(..later_count) {
            self.rungs.push(entry, self.floor);
        }
    }

    /// Takes the smallest live entry if it is not after `horizon`, and sets the clock to
    /// its time. Drops the dead ones it meets.
    #[inline]
    pub(super) fn pop(
        &mut self,
        horizon: u64,
        is_alive: impl Fn(u64) -> bool,
    ) -> Option<Entry<E, L>> {
        loop {
            let entry = if self.instant.is_empty() {
                if self.bottom.is_empty() && !self.fill_bottom(horizon, &is_alive) {
                    return None;
                }
                let entry = self.bottom.pop()?;
                if entry.time > horizon {
                    self.bottom.push(entry);
                    return None;
                }
                entry
            } else if self.now <= horizon {
                self.pop_now()?
            } else {
                return None;
            };
            self.len -= 1;
            if is_alive(entry.rank) {
                self.now = entry.time;
                return Some(entry);
            }
        }
    }

    /// The smaller of the first entry of the instant and that of the bottom. All that is
    /// in the instant is due now; the bottom may hold entries of the same time.
    fn pop_now(&mut self) -> Option<Entry<E, L>> {
        let first_rank = self.instant.first()?.rank;
        match self.bottom.last() {
            Some(entry) if entry.time == self.now && entry.rank < first_rank => self.bottom.pop(),
            _ => self.instant.pop(),
        }
    }

    /// Moves the next entries from the rungs to the empty bottom. False when no live entry
    /// is due by `horizon`; then nothing changed but that dead entries may be gone, and
    /// `floor` is still not after now.
    fn fill_bottom(&mut self, horizon: u64, is_alive: impl Fn(u64) -> bool) -> bool {
        while let Some((level, digit)) = self.rungs.lowest() {
            let base = slot_base(self.floor, level, digit);
            let end = base | low_digits(level);
            let bucket = self.rungs.bucket(level, digit);
            let is_due = |entry: &Entry<E, L>| entry.time <= horizon && is_alive(entry.rank);
            if !bucket.iter().any(is_due) {
                if bucket.iter().any(|entry| is_alive(entry.rank)) || base > horizon {
                    return false;
                }
                self.len -= bucket.len();
                bucket.clear();
                self.rungs.mark_empty(level, digit);
                continue;
            }
            if self.len <= FEW_COUNT_MAX {
                self.floor = base;
                self.bottom_end = u64::MAX;
                while let Some((level, digit)) = self.rungs.lowest() {
                    self.bottom.append(self.rungs.bucket(level, digit));
                    self.rungs.mark_empty(level, digit);
                }
            } else if bucket.len() <= SORT_COUNT_MAX || level == 0 {
                self.floor = base;
                self.bottom_end = end;
                // The bottom is empty and leaves its memory to the bucket.
                std::mem::swap(bucket, &mut self.bottom);
                self.rungs.mark_empty(level, digit);
            } else {
                let held_count = bucket.len();
                bucket.retain(|entry| is_alive(entry.rank));
                self.len -= held_count - bucket.len();
                let times = bucket.iter().map(|entry| entry.time);
                self.floor = times.min().expect("one entry is due");
                self.bottom_end = self.floor;
                self.rungs.deal(level, digit, self.floor, &mut self.bottom);
            }
            self.sort_bottom();
            return true;
        }
        false
    }

    /// Sorts the bottom. A short one by counting for each entry how many come before it:
    /// more comparisons than insertion needs, but none of them a branch to mispredict.
    /// Measured: 10 to 20 % less time for PHOLD, a little for hold.
    fn sort_bottom(&mut self) {
        if self.bottom.len() > SORT_COUNT_MAX {
            self.bottom.sort_unstable_by_key(|entry| Reverse(entry.key()));
        }
        if self.bottom.len() < 2 || self.bottom.len() > SORT_COUNT_MAX {
            return;
        }
        self.unsorted.clear();
        self.unsorted.extend_from_slice(&self.bottom);
        let mut positions = [0_u8; SORT_COUNT_MAX];
        for (idx, entry) in self.unsorted.iter().enumerate() {
            let key = entry.key();
            let mut greater_count = 0;
            for (position, other) in positions.iter_mut().zip(&self.unsorted[..idx]) {
                let is_greater = u8::from(other.key() > key);
                greater_count += is_greater;
                *position += 1 - is_greater;
            }
            positions[idx] = greater_count;
        }
        for (entry, position) in self.unsorted.iter().zip(positions) {
            self.bottom[usize::from(position)] = *entry;
        }
    }

    /// The time of the smallest live entry. Changes nothing, so it reads a whole bucket.
    pub(super) fn next_time(&self, is_alive: impl Fn(u64) -> bool) -> Option<u64> {
        let alive = |entry: &&Entry<E, L>| is_alive(entry.rank);
        if self.instant.iter().any(|entry| alive(&entry)) {
            return Some(self.now);
        }
        if let Some(entry) = self.bottom.iter().rev().find(alive) {
            return Some(entry.time);
        }
        let earliest =
            |bucket: &Vec<Entry<E, L>>| bucket.iter().filter(alive).map(|entry| entry.time).min();
        self.rungs.ascending().find_map(earliest)
    }

    /// Sets the clock to a later time, before which nothing live is due.
    pub(super) fn advance_to(&mut self, now: u64) {
        self.now = now;
    }

    /// Drops the dead.
    #[cold]
    pub(super) fn retain(&mut self, is_alive: impl Fn(u64) -> bool) {
        self.bottom.retain(|entry| is_alive(entry.rank));
        self.instant.retain(&is_alive);
        self.rungs.retain(&is_alive);
        self.len = self.bottom.len() + self.instant.iter().count() + self.rungs.len();
    }

    /// Asserts what must hold between calls.
    #[cfg(test)]
    pub(super) fn check(&self) {
        assert!(self.floor <= self.now, "a new entry could lie below the floor");
        assert!(self.bottom.is_sorted_by_key(|entry| Reverse(entry.key())));
        assert!(self.bottom.iter().all(|entry| entry.time <= self.bottom_end));
        assert!(self.bottom.len() <= BOTTOM_COUNT_MAX || self.bottom_end <= self.now);
        for (number, bucket) in self.rungs.buckets.iter().enumerate() {
            let (level, digit) = (number / BUCKET_COUNT, number % BUCKET_COUNT);
            let is_occupied = self.rungs.occupied_digits[level] >> digit & 1 == 1;
            assert_eq!(is_occupied, !bucket.is_empty());
            let base = slot_base(self.floor, level, digit);
            let slot = base..=base | low_digits(level);
            assert!(bucket.iter().all(|entry| slot.contains(&entry.time)));
            assert!(bucket.iter().all(|entry| entry.time > self.bottom_end));
        }
        assert_eq!(self.len, self.bottom.len() + self.instant.iter().count() + self.rungs.len());
    }

    /// A copy whose entries have another kind of link.
    pub(super) fn with_links<L2: Copy>(&self, link: impl Fn(L) -> L2) -> Ladder<E, L2> {
        let relink = |entry: &Entry<E, L>| Entry {
            time: entry.time,
            rank: entry.rank,
            link: link(entry.link),
            event: entry.event,
        };
        Ladder {
            now: self.now,
            floor: self.floor,
            bottom_end: self.bottom_end,
            len: self.len,
            bottom: self.bottom.iter().map(relink).collect(),
            unsorted: Vec::new(),
            instant: self.instant.map(relink),
            rungs: self.rungs.map(relink),
        }
    }
}

/// All digits below `level`.
#[inline]
fn low_digits(level: usize) -> u64 {
    (1 << (DIGIT_BITS * level as u32)) - 1
}

/// The smallest time in bucket `digit` of `level`, given the digits above from `floor`.
#[inline]
fn slot_base(floor: u64, level: usize, digit: usize) -> u64 {
    let shift = DIGIT_BITS * level as u32;
    let above = floor >> shift >> DIGIT_BITS << DIGIT_BITS;
    (above | digit as u64) << shift
}

/// Entries pushed for the current instant: one queue for each priority, each sorted by
/// rank. Ranks grow with the sequence number, so sorting is appending, except under
/// `TieBreak::Shuffled`, which is for tests and may cost more.
#[derive(Clone, Debug)]
struct Instant<E, L> {
    queues: [VecDeque<Entry<E, L>>; Priority::LEVEL_COUNT as usize],
    /// Bit `p` is set when queue `p` is not empty.
    occupied: u16,
}

impl<E: Copy, L: Copy> Instant<E, L> {
    fn new() -> Self {
        Instant { queues: std::array::from_fn(|_| VecDeque::new()), occupied: 0 }
    }

    #[inline]
    fn is_empty(&self) -> bool {
        self.occupied == 0
    }

    #[inline(always)]
    fn push(&mut self, entry: Entry<E, L>) {
        let level = usize::from(Priority::of_rank(entry.rank).level());
        self.occupied |= 1 << level;
        if self.queues[level].back().is_none_or(|last| last.rank < entry.rank) {
            self.queues[level].push_back(entry);
        } else {
            self.insert(level, entry.time, entry.rank, entry.link, entry.event);
        }
    }

    /// Inserts before entries of higher rank.
    #[cold]
    fn insert(&mut self, level: usize, time: u64, rank: u64, link: L, event: E) {
        let queue = &mut self.queues[level];
        let position = queue.partition_point(|other| other.rank < rank);
        queue.insert(position, Entry { time, rank, link, event });
    }

    #[inline]
    fn first(&self) -> Option<&Entry<E, L>> {
        self.queues.get(self.occupied.trailing_zeros() as usize)?.front()
    }

    fn pop(&mut self) -> Option<Entry<E, L>> {
        let level = self.occupied.trailing_zeros() as usize;
        let queue = self.queues.get_mut(level)?;
        let entry = queue.pop_front();
        if queue.is_empty() {
            self.occupied &= !(1 << level);
        }
        entry
    }

    fn iter(&self) -> impl Iterator<Item = &Entry<E, L>> {
        self.queues.iter().flatten()
    }

    fn retain(&mut self, is_alive: impl Fn(u64) -> bool) {
        for (level, queue) in self.queues.iter_mut().enumerate() {
            queue.retain(|entry| is_alive(entry.rank));
            if queue.is_empty() {
                self.occupied &= !(1 << level);
            }
        }
    }

    fn map<L2: Copy>(&self, relink: impl Fn(&Entry<E, L>) -> Entry<E, L2>) -> Instant<E, L2> {
        Instant {
            queues: std::array::from_fn(|level| self.queues[level].iter().map(&relink).collect()),
            occupied: self.occupied,
        }
    }
}

/// The buckets of all levels, with a bit for each that is not empty.
#[derive(Clone, Debug)]
struct Rungs<E, L> {
    /// Bucket `digit` of `level` is number `level * BUCKET_COUNT + digit`.
    buckets: Vec<Vec<Entry<E, L>>>,
    occupied_digits: [u64; LEVEL_COUNT],
    /// Bit `level` is set when `occupied_digits[level]` is not zero.
    occupied_levels: u32,
    /// Memory of emptied buckets, for the next ones that fill.
    spare: Vec<Vec<Entry<E, L>>>,
}

impl<E: Copy, L: Copy> Rungs<E, L> {
    fn new() -> Self {
        Rungs {
            buckets: std::iter::repeat_with(Vec::new).take(LEVEL_COUNT * BUCKET_COUNT).collect(),
            occupied_digits: [0; LEVEL_COUNT],
            occupied_levels: 0,
            spare: Vec::new(),
        }
    }

    /// Appends an entry that differs from `floor`.
    #[inline(always)]
    fn push(&mut self, entry: Entry<E, L>, floor: u64) {
        debug_assert!(entry.time > floor);
        let level = ((entry.time ^ floor).ilog2() / DIGIT_BITS) as usize;
        let digit = (entry.time >> (DIGIT_BITS * level as u32)) as usize % BUCKET_COUNT;
        let bucket = &mut self.buckets[level * BUCKET_COUNT + digit];
        // Asked in this order, the usual case takes the one branch that `Vec::push` has.
        if bucket.len() == bucket.capacity()
            && bucket.is_empty()
            && let Some(memory) = self.spare.pop()
        {
            *bucket = memory;
        }
        bucket.push(entry);
        self.occupied_digits[level] |= 1 << digit;
        self.occupied_levels |= 1 << level;
    }

    /// Level and digit of the bucket with the smallest entries.
    #[inline]
    fn lowest(&self) -> Option<(usize, usize)> {
        let level = self.occupied_levels.trailing_zeros() as usize;
        let digits = self.occupied_digits.get(level)?;
        Some((level, digits.trailing_zeros() as usize))
    }

    #[inline]
    fn bucket(&mut self, level: usize, digit: usize) -> &mut Vec<Entry<E, L>> {
        &mut self.buckets[level * BUCKET_COUNT + digit]
    }

    /// Notes that a bucket is empty.
    #[inline]
    fn mark_empty(&mut self, level: usize, digit: usize) {
        self.occupied_digits[level] &= !(1 << digit);
        if self.occupied_digits[level] == 0 {
            self.occupied_levels &= !(1 << level);
        }
    }

    /// Deals a bucket out: entries at `first_time`, its earliest, go to `first`, the
    /// others to lower levels.
    fn deal(&mut self, level: usize, digit: usize, first_time: u64, first: &mut Vec<Entry<E, L>>) {
        let mut entries = std::mem::take(self.bucket(level, digit));
        for entry in &entries {
            if entry.time == first_time {
                first.push(*entry);
            } else {
                self.push(*entry, first_time);
            }
        }
        entries.clear();
        self.spare.push(entries);
        self.mark_empty(level, digit);
    }

    /// The buckets that are not empty, the one with the smallest entries first.
    fn ascending(&self) -> impl Iterator<Item = &Vec<Entry<E, L>>> {
        self.buckets.iter().filter(|bucket| !bucket.is_empty())
    }

    fn len(&self) -> usize {
        self.ascending().map(Vec::len).sum()
    }

    fn retain(&mut self, is_alive: impl Fn(u64) -> bool) {
        for level in 0..LEVEL_COUNT {
            let mut digits = self.occupied_digits[level];
            while digits != 0 {
                let digit = digits.trailing_zeros() as usize;
                digits &= digits - 1;
                let bucket = self.bucket(level, digit);
                bucket.retain(|entry| is_alive(entry.rank));
                if bucket.is_empty() {
                    self.mark_empty(level, digit);
                }
            }
        }
    }

    fn map<L2: Copy>(&self, relink: impl Fn(&Entry<E, L>) -> Entry<E, L2>) -> Rungs<E, L2> {
        let copied = |bucket: &Vec<Entry<E, L>>| bucket.iter().map(&relink).collect();
        Rungs {
            buckets: self.buckets.iter().map(copied).collect(),
            occupied_digits: self.occupied_digits,
            occupied_levels: self.occupied_levels,
            spare: Vec::new(),
        }
    }
}
