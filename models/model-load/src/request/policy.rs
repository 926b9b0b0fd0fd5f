//! What keeps callers from calling: retry budgets and circuit breakers.

use std::collections::VecDeque;

use model_api::path::Breaker;
use sim_kernel::SimTime;

/// What one retry takes from a budget.
const RETRY: u64 = 1_000_000;
/// How long a deposit counts, in slots of one second: Finagle's `RetryBudget.scala` (ttl 10 s).
const SLOT_COUNT: usize = 10;

/// Retries that are paid for by first attempts, as the documentation of Finagle's `RetryBudget` has
/// it (24.2.0): deposits expire after ten seconds without being withdrawn. Without its minimum of
/// retries per second.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    deposit: u64,
    /// What is left of the deposits of each of the last seconds.
    slots: [u64; SLOT_COUNT],
    second: u64,
}

impl Budget {
    pub(super) fn new(ppm: u32) -> Self {
        Self { deposit: ppm.into(), slots: [0; SLOT_COUNT], second: 0 }
    }

    /// A first attempt.
    pub(super) fn deposit(&mut self, now: SimTime) {
        self.expire(now);
        self.slots[index(self.second)] += self.deposit;
    }

    /// Whether a retry is paid for; takes it when it is, the oldest deposits first.
    pub(super) fn withdraw(&mut self, now: SimTime) -> bool {
        self.expire(now);
        if self.slots.iter().sum::<u64>() < RETRY {
            return false;
        }
        let mut owed = RETRY;
        for passed in 1..=SLOT_COUNT as u64 {
            let slot = &mut self.slots[index(self.second + passed)];
            let taken = owed.min(*slot);
            *slot -= taken;
            owed -= taken;
        }
        true
    }

    fn expire(&mut self, now: SimTime) {
        let second = now.as_nanos() / 1_000_000_000;
        if second == self.second {
            return;
        }
        for passed in 1..=(second - self.second).min(SLOT_COUNT as u64) {
            self.slots[index(self.second + passed)] = 0;
        }
        self.second = second;
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a remainder below ten")]
fn index(second: u64) -> usize {
    (second % SLOT_COUNT as u64) as usize
}

/// A circuit breaker: `CircuitBreakerStateMachine.java` of resilience4j 2.x, COUNT_BASED.
#[derive(Clone, Debug)]
pub(super) struct BreakerState {
    spec: Breaker,
    /// Whether each of the last calls failed.
    calls: VecDeque<bool>,
    failure_count: u32,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Closed,
    Open {
        until: SimTime,
    },
    /// So many were let through and so many came back, of which so many failed.
    HalfOpen {
        let_through: u32,
        ended: u32,
        failed: u32,
    },
}

impl BreakerState {
    pub(super) fn new(spec: Breaker) -> Self {
        Self { spec, calls: VecDeque::new(), failure_count: 0, phase: Phase::Closed }
    }

    /// Whether a call may be made.
    pub(super) fn permits(&mut self, now: SimTime) -> bool {
        if let Phase::Open { until } = self.phase
            && now >= until
        {
            self.phase = Phase::HalfOpen { let_through: 0, ended: 0, failed: 0 };
        }
        match &mut self.phase {
            Phase::Closed => true,
            Phase::Open { .. } => false,
            Phase::HalfOpen { let_through, .. } => {
                *let_through += 1;
                *let_through <= self.spec.trials
            }
        }
    }

    /// A call that was permitted ended.
    pub(super) fn note(&mut self, is_failure: bool, now: SimTime) {
        match &mut self.phase {
            Phase::Closed => self.note_closed(is_failure, now),
            // A call from before it opened.
            Phase::Open { .. } => {}
            Phase::HalfOpen { ended, failed, .. } => {
                *ended += 1;
                *failed += u32::from(is_failure);
                if *ended >= self.spec.trials {
                    let is_bad = reaches(*failed, *ended, self.spec.failures_ppm);
                    self.calls.clear();
                    self.failure_count = 0;
                    self.phase = if is_bad { self.opened(now) } else { Phase::Closed };
                }
            }
        }
    }

    fn note_closed(&mut self, is_failure: bool, now: SimTime) {
        self.calls.push_back(is_failure);
        self.failure_count += u32::from(is_failure);
        if self.calls.len() > self.spec.window as usize {
            let oldest = self.calls.pop_front().expect("it holds more than none");
            self.failure_count -= u32::from(oldest);
        }
        let is_full = self.calls.len() == self.spec.window as usize;
        if is_full && reaches(self.failure_count, self.spec.window, self.spec.failures_ppm) {
            self.calls.clear();
            self.failure_count = 0;
            self.phase = self.opened(now);
        }
    }

    fn opened(&self, now: SimTime) -> Phase {
        Phase::Open { until: now.saturating_add(self.spec.open_for) }
    }
}

fn reaches(part: u32, whole: u32, ppm: u32) -> bool {
    u64::from(part) * 1_000_000 >= u64::from(whole) * u64::from(ppm)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_pays_for_its_share_of_the_last_ten_seconds() {
        let mut budget = Budget::new(200_000);
        for _ in 0..10 {
            budget.deposit(SimTime::from_secs(1));
        }
        let paid = |budget: &mut Budget, secs| budget.withdraw(SimTime::from_secs(secs));
        assert!(paid(&mut budget, 1) && paid(&mut budget, 2));
        assert!(!paid(&mut budget, 3), "two retries for ten attempts");
        for _ in 0..10 {
            budget.deposit(SimTime::from_secs(20));
        }
        assert!(!paid(&mut budget, 31), "old deposits are forgotten");
    }

    #[test]
    fn a_breaker_opens_tries_and_closes() {
        let spec = Breaker { window: 4, trials: 2, ..Breaker::default() };
        let mut breaker = BreakerState::new(spec);
        let at = SimTime::from_secs;
        for is_failure in [true, false, true] {
            assert!(breaker.permits(at(0)));
            breaker.note(is_failure, at(0));
        }
        assert!(breaker.permits(at(0)), "the window is not full");
        breaker.note(false, at(0));
        assert!(!breaker.permits(at(59)), "half of four failed");
        assert!(breaker.permits(at(60)) && breaker.permits(at(60)));
        assert!(!breaker.permits(at(60)), "two trials");
        breaker.note(true, at(61));
        breaker.note(true, at(61));
        assert!(!breaker.permits(at(120)), "they failed");
        assert!(breaker.permits(at(121)) && breaker.permits(at(121)));
        breaker.note(false, at(122));
        breaker.note(false, at(122));
        assert!(breaker.permits(at(122)) && breaker.permits(at(122)) && breaker.permits(at(122)));
    }
}
