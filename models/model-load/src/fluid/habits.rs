//! What callers do in the long run when calls fail: how often they try again, and after how long.

use model_api::path::CallPolicy;
use sim_kernel::SimSpan;

use super::sweep::share;
use crate::request::pause_before;

/// Shortest time in which callers get used to a change.
const HABIT_SECS_MIN: f64 = 1e-3;

/// What callers do in the long run, for each call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tries {
    /// Retries.
    pub(super) retries: f64,
    /// How long it takes until they do it, in the mean.
    pub(super) habit_secs: f64,
    /// The part of them that follows attempts whose callers waited until their time was over.
    waited_part: f64,
    /// How long it takes until callers try again who waited so, and who were told.
    waited_secs: f64,
    told_secs: f64,
    /// How much later an answer is that needed any.
    pub(super) late_by: f64,
    /// How long it takes until an attempt is known to have failed.
    pub(super) failure_secs: f64,
    /// How long callers pause before retries, in the mean of all calls.
    pub(super) pause_secs: f64,
}

impl Tries {
    /// `succeeds` is the share of attempts that are answered in time, `silent` that of those whose
    /// callers wait in vain until their time is over.
    pub(super) fn of(policy: &CallPolicy, succeeds: f64, silent: f64) -> Self {
        let fails = 1.0 - succeeds;
        let timeout_secs = policy.timeout.map_or(0.0, SimSpan::as_secs_f64);
        let waited_part = share(silent, fails).min(1.0);
        let failure_secs = timeout_secs * waited_part;
        let backoff_secs = policy.backoff.as_secs_f64();
        let (mut retries, mut weighted, mut chance) = (0.0, 0.0, 1.0);
        let (mut pause_secs, mut pauses, mut pauses_made) = (0.0, 0.0, 0.0);
        for attempt in 0..policy.retries {
            chance *= fails;
            if chance < 1e-15 {
                break;
            }
            pause_secs += pause_before(policy, attempt).as_secs_f64();
            retries += chance;
            pauses_made += chance * pause_before(policy, attempt).as_secs_f64();
            weighted += chance * f64::from(attempt + 1);
            pauses += chance * pause_secs;
        }
        let late_by = share(weighted, retries) * failure_secs + share(pauses, retries);
        Self {
            retries,
            habit_secs: (failure_secs + backoff_secs).max(HABIT_SECS_MIN),
            waited_part,
            waited_secs: (timeout_secs + backoff_secs).max(HABIT_SECS_MIN),
            told_secs: backoff_secs.max(HABIT_SECS_MIN),
            late_by,
            failure_secs,
            pause_secs: pauses_made,
        }
    }

    /// The retries per second that callers make `secs` later, of whom `aim` would in the long run: those
    /// after attempts that were waited for in vain, and all. Each kind changes as fast as callers learn
    /// of it, whatever becomes of the others.
    pub(super) fn later(&self, waited: f64, all: f64, aim: f64, secs: f64) -> (f64, f64) {
        let towards = |from: f64, aim: f64, habit_secs: f64| {
            aim + (from - aim) * libm::exp(-secs / habit_secs)
        };
        let waited_aim = aim * self.waited_part;
        let told = towards((all - waited).max(0.0), aim - waited_aim, self.told_secs);
        let waited = towards(waited, waited_aim, self.waited_secs);
        (waited, told + waited)
    }
}
