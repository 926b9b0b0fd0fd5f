//! The agenda against a sorted map that is too simple to be wrong.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::time::SimSpan;

/// What a random program does to both agendas.
#[derive(Clone, Debug)]
enum Op {
    Schedule {
        delay: u64,
        level: u8,
    },
    StartTimer {
        delay: u64,
        level: u8,
    },
    /// Many at once, every other one a timer, scattered over a span: long buckets.
    Scatter {
        count: u64,
        span: u64,
    },
    /// Cancels one of all timers ever started, also fired or cancelled ones.
    Cancel {
        choice: prop::sample::Index,
    },
    /// Cancels the timers started last, so many that the dead are swept out.
    CancelMany {
        count: usize,
    },
    PopUntil {
        span: u64,
    },
    PopMany {
        count: usize,
    },
    AdvanceTo {
        span: u64,
    },
    Clone,
    Reset,
}

/// Delays that hit every path: none, ties on a grid, edges of the digits, random scales,
/// the end of time.
fn delay() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => Just(0),
        2 => 1_u64..4,
        4 => (0_u64..5).prop_map(|secs| secs * 1_000_000_000),
        2 => (1_u32..11, -1_i64..=1)
            .prop_map(|(level, offset)| (1_u64 << (6 * level)).wrapping_add_signed(offset)),
        4 => (0_u32..45, any::<u64>()).prop_map(|(shift, word)| (word >> 19) >> shift),
        1 => (0_u64..3).prop_map(|offset| u64::MAX - offset),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let level = || prop_oneof![3 => Just(8_u8), 1 => 0_u8..16];
    prop_oneof![
        20 => (delay(), level()).prop_map(|(delay, level)| Op::Schedule { delay, level }),
        20 => (delay(), level()).prop_map(|(delay, level)| Op::StartTimer { delay, level }),
        2 => (0_u64..100, delay()).prop_map(|(count, span)| Op::Scatter { count, span }),
        8 => any::<prop::sample::Index>().prop_map(|choice| Op::Cancel { choice }),
        1 => (0_usize..600).prop_map(|count| Op::CancelMany { count }),
        6 => delay().prop_map(|span| Op::PopUntil { span }),
        6 => (1_usize..20).prop_map(|count| Op::PopMany { count }),
        2 => delay().prop_map(|span| Op::AdvanceTo { span }),
        1 => Just(Op::Clone),
        1 => Just(Op::Reset),
    ]
}

/// Both agendas. An event is its own sequence number, its link likewise.
struct Pair {
    agenda: Agenda<u64, EventId>,
    pending: BTreeMap<(u64, u8, u64), u64>,
    shuffle: Option<Shuffle>,
    now: u64,
    sequence: u64,
    timers: Vec<(Timer, (u64, u8, u64))>,
    cancelled_count: u64,
}

impl Pair {
    fn new(tie_break: TieBreak) -> Self {
        let agenda = Agenda::new(PENDING_CAP, tie_break);
        Pair {
            shuffle: agenda.shuffle,
            agenda,
            pending: BTreeMap::new(),
            now: 0,
            sequence: 0,
            timers: Vec::new(),
            cancelled_count: 0,
        }
    }

    fn schedule(&mut self, delay: u64, level: u8, is_timer: bool) {
        let time = self.now.saturating_add(delay);
        self.sequence += 1;
        let tie = self.shuffle.map_or(self.sequence, |shuffle| shuffle.tie(self.sequence));
        let key = (time, level, tie);
        self.pending.insert(key, self.sequence);

        let at = SimTime::from_nanos(time);
        let (priority, id) = (Priority::new(level), EventId(self.sequence));
        if is_timer {
            let timer = self.agenda.start_timer(at, priority, id, self.sequence);
            assert!(self.agenda.is_pending(timer));
            self.timers.push((timer, key));
        } else {
            assert_eq!(self.agenda.schedule(at, priority, id, self.sequence), id);
        }
    }

    fn cancel(&mut self, idx: usize) {
        let (timer, key) = self.timers[idx];
        let was_pending = self.pending.remove(&key).is_some();
        self.cancelled_count += u64::from(was_pending);
        assert_eq!(self.agenda.is_pending(timer), was_pending);
        assert_eq!(self.agenda.cancel(timer), was_pending);
    }

    /// Takes one event from both; whether there was one.
    fn pop(&mut self, horizon: u64) -> bool {
        let expected = self.pending.first_key_value().map(|(key, value)| (*key, *value));
        let expected = expected.filter(|(key, _)| key.0 <= horizon);
        let due = self.agenda.pop(SimTime::from_nanos(horizon));
        let Some(((time, level, tie), sequence)) = expected else {
            assert!(due.is_none(), "nothing is due by {horizon}, but got {due:?}");
            return false;
        };
        self.pending.remove(&(time, level, tie));
        self.now = time;
        let due = due.unwrap_or_else(|| panic!("#{sequence} is due at {time}"));
        assert_eq!(due.event, sequence);
        assert_eq!(due.id, EventId(sequence));
        assert_eq!(due.link, due.id);
        assert_eq!(due.priority.level(), level);
        true
    }

    fn advance_to(&mut self, time: u64) {
        let next_time = self.pending.keys().next().map(|key| key.0);
        if next_time.is_none_or(|next_time| next_time > time) {
            self.now = time;
            self.agenda.advance_to(SimTime::from_nanos(time));
        }
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Schedule { delay, level } => self.schedule(delay, level, false),
            Op::StartTimer { delay, level } => self.schedule(delay, level, true),
            Op::Scatter { count, span } => {
                for number in 0..count {
                    let delay = mix(number ^ self.sequence) % span.max(1);
                    self.schedule(delay, 8, number % 2 == 0);
                }
            }
            Op::Cancel { ref choice } if !self.timers.is_empty() => {
                self.cancel(choice.index(self.timers.len()));
            }
            Op::Cancel { .. } => {}
            Op::CancelMany { count } => {
                let first = self.timers.len().saturating_sub(count);
                (first..self.timers.len()).for_each(|idx| self.cancel(idx));
            }
            Op::PopUntil { span } => while self.pop(self.now.saturating_add(span)) {},
            Op::PopMany { count } => up_to(count, || self.pop(u64::MAX)),
            Op::AdvanceTo { span } => self.advance_to(self.now.saturating_add(span)),
            Op::Clone => self.agenda = self.agenda.clone(),
            Op::Reset => {
                self.agenda.reset();
                self.pending.clear();
                (self.now, self.sequence, self.cancelled_count) = (0, 0, 0);
                self.timers.clear();
            }
        }
        self.check();
    }

    fn check(&self) {
        assert_eq!(self.agenda.now().as_nanos(), self.now);
        assert_eq!(self.agenda.pending_count(), self.pending.len());
        assert_eq!(self.agenda.scheduled_count(), self.sequence);
        assert_eq!(self.agenda.stats().cancelled, self.cancelled_count);
        let next_time = self.pending.keys().next().map(|key| key.0);
        assert_eq!(self.agenda.next_time().map(SimTime::as_nanos), next_time);
        let dead_count = self.agenda.ladder.len() - self.pending.len();
        assert!(dead_count <= self.agenda.stats().pending_peak.max(DEAD_COUNT_MIN));
        self.agenda.ladder.check();
    }
}

/// Repeats `step` until it fails, at most `count` times.
fn up_to(count: usize, mut step: impl FnMut() -> bool) {
    let _ = (0..count).all(|_| step());
}

fn check_program(ops: &[Op], tie_break: TieBreak) {
    let mut pair = Pair::new(tie_break);
    for op in ops {
        pair.apply(op);
    }
    while pair.pop(u64::MAX) {}
    pair.check();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_a_sorted_map(ops in prop::collection::vec(op(), 0..400)) {
        check_program(&ops, TieBreak::Fifo);
    }

    #[test]
    fn agrees_with_a_sorted_map_when_ties_are_shuffled(
        seed: u64,
        ops in prop::collection::vec(op(), 0..200),
    ) {
        check_program(&ops, TieBreak::Shuffled(seed));
    }

    #[test]
    fn a_shuffle_can_be_undone(seed: u64, sequence in 0..=TIE_MASK) {
        let shuffle = Shuffle::new(seed);
        let tie = shuffle.tie(sequence);
        prop_assert!(tie <= TIE_MASK);
        prop_assert_eq!(shuffle.sequence(tie), sequence);
    }
}

/// Long runs of one mix of delays: what random programs of a few hundred steps never build.
fn check_mix(entry_count: usize, step_count: usize, delay: impl Fn(u64) -> u64) {
    let mut pair = Pair::new(TieBreak::Fifo);
    let mut word = 1;
    let mut next_delay = || {
        word = mix(word);
        delay(word)
    };
    for _ in 0..entry_count {
        pair.schedule(next_delay(), 8, false);
    }
    for step in 0..step_count {
        assert!(pair.pop(u64::MAX));
        pair.schedule(next_delay(), 8, step % 2 == 0);
    }
    pair.check();
    while pair.pop(u64::MAX) {}
}

#[test]
fn long_runs_agree_for_every_mix_of_delays() {
    const SECOND: u64 = 1_000_000_000;
    check_mix(5_000, 20_000, |word| word % SECOND);
    check_mix(5_000, 20_000, |word| if word.is_multiple_of(10) { 10 * SECOND } else { 5_000_000 });
    check_mix(5_000, 20_000, |_| 10 * SECOND);
    check_mix(5_000, 20_000, |word| word % 4 * SECOND);
    check_mix(
        5_000,
        20_000,
        |word| {
            if word.is_multiple_of(1_000) { 3_600 * SECOND } else { 1_000 }
        },
    );
    check_mix(5_000, 20_000, |word| if word.is_multiple_of(2) { 0 } else { word % 4 * SECOND });
    check_mix(10, 20_000, |word| word % 100);
    check_mix(1, 1_000, |_| 1);
}

#[test]
fn a_shuffle_changes_the_order_of_ties_only() {
    let order = |tie_break| {
        let mut agenda: Agenda<u64, ()> = Agenda::new(1_000, tie_break);
        for sequence in 0..100 {
            let at = SimTime::from_secs(sequence / 10);
            agenda.schedule(at, Priority::NORMAL, (), sequence);
        }
        std::iter::from_fn(|| agenda.pop(SimTime::MAX)).map(|due| due.event).collect::<Vec<_>>()
    };
    let fifo = order(TieBreak::Fifo);
    let shuffled = order(TieBreak::Shuffled(1));
    assert!(fifo.is_sorted());
    assert_ne!(fifo, shuffled);
    assert_ne!(shuffled, order(TieBreak::Shuffled(2)));
    assert_eq!(shuffled, order(TieBreak::Shuffled(1)));
    assert!(shuffled.iter().map(|sequence| sequence / 10).is_sorted());
}

#[test]
fn a_full_agenda_refuses_and_says_so() {
    let mut agenda: Agenda<u8, ()> = Agenda::new(2, TieBreak::Fifo);
    let at = SimTime::from_secs(1);
    let timer = agenda.start_timer(at, Priority::NORMAL, (), 0);
    agenda.schedule(at, Priority::NORMAL, (), 1);
    assert!(!agenda.is_refusing());
    assert_eq!(agenda.schedule(at, Priority::NORMAL, (), 2), EventId::NONE);
    assert_eq!(agenda.start_timer(at, Priority::NORMAL, (), 3), Timer::NONE);
    assert!(agenda.is_refusing());
    assert!(agenda.cancel(timer) && !agenda.cancel(timer) && !agenda.cancel(Timer::NONE));
    assert_eq!(agenda.stats().pending_peak, 2);
}

#[test]
fn a_timer_of_another_agenda_is_not_pending_here() {
    let mut one: Agenda<u8, ()> = Agenda::new(2, TieBreak::Fifo);
    let mut other: Agenda<u8, ()> = Agenda::new(2, TieBreak::Fifo);
    let timer = one.start_timer(SimTime::ZERO, Priority::NORMAL, (), 0);
    assert!(!other.cancel(timer));
}

#[test]
#[should_panic(expected = "before now")]
fn the_past_cannot_be_scheduled() {
    let mut agenda: Agenda<u8, ()> = Agenda::new(2, TieBreak::Fifo);
    agenda.advance_to(SimTime::ZERO + SimSpan::from_secs(2));
    agenda.schedule(SimTime::from_secs(1), Priority::NORMAL, (), 0);
}

/// A cancelled timer is due by the horizon, its neighbour in the same bucket is not: the
/// ladder must not prepare for a time that the clock has not reached.
#[test]
fn what_is_cancelled_does_not_move_the_floor() {
    let mut pair = Pair::new(TieBreak::Fifo);
    let slot = 1 << 30;
    pair.schedule(slot + 10, 8, true);
    pair.schedule(slot + 20, 8, false);
    pair.cancel(0);
    assert!(!pair.pop(slot + 15));
    pair.check();
    pair.schedule(1, 8, false);
    while pair.pop(u64::MAX) {}
    pair.check();
}

#[test]
fn what_is_due_now_is_not_due_by_an_earlier_horizon() {
    let mut pair = Pair::new(TieBreak::Fifo);
    pair.advance_to(10);
    pair.schedule(0, 8, false);
    assert!(!pair.pop(9));
    assert!(pair.pop(10));
}
