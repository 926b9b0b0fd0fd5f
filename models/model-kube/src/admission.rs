//! What becomes of a request that a webhook does not answer.
//!
//! # Modelled
//! `failurePolicy` and `timeoutSeconds` of a webhook whose Service has no endpoint, or endpoints
//! that are dead; the retry of the controller whose request was refused.
//! # Not modelled
//! What a webhook that answers decides: it lets everything pass. Kyverno's and Gatekeeper's policies.
//! # Defaults and their sources
//! `apiserver/pkg/admission/plugin/webhook/{validating,mutating}/dispatcher.go` and
//! `client-go/util/workqueue/default_rate_limiters.go` (5 ms, doubled up to 1000 s), 1.36.
//! # Invariants
//! Under `Ignore` no request is refused, whatever the webhook does.
//! # Checked against
//! Timelines worked out by hand.

use sim_kernel::{SimSpan, SimTime};

/// What a call of a webhook comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// It answers.
    Answered,
    /// Nobody listens: the call fails at once.
    Refused,
    /// The endpoint that it was sent to is dead: the call fails when its time is out.
    TimedOut,
}

/// What the API server does with the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// It goes on.
    pub is_admitted: bool,
    /// Time that went by.
    pub span: SimSpan,
}

/// The outcome of one call.
pub fn outcome(call: Call, fails_closed: bool, timeout: SimSpan) -> Outcome {
    let span = if call == Call::TimedOut { timeout } else { SimSpan::ZERO };
    Outcome { is_admitted: call == Call::Answered || !fails_closed, span }
}

/// The outcome of a request: mutating webhooks are called one after the other until one refuses,
/// then all validating ones at once, and the slowest is waited for (`dispatcher.go` of each kind).
pub fn of_request(
    mutating: impl Iterator<Item = Outcome>,
    validating: impl Iterator<Item = Outcome>,
) -> Outcome {
    let mut whole = Outcome { is_admitted: true, span: SimSpan::ZERO };
    for outcome in mutating {
        whole.span += outcome.span;
        if !outcome.is_admitted {
            return Outcome { is_admitted: false, ..whole };
        }
    }
    let before = whole.span;
    for outcome in validating {
        whole.span = whole.span.max(before + outcome.span);
        whole.is_admitted &= outcome.is_admitted;
    }
    whole
}

/// How long a controller waits after its n-th failed sync of an object in a row, from 1
/// (`ItemExponentialFailureRateLimiter`).
pub fn retry_after(failure_count: u32) -> SimSpan {
    const LEAST: SimSpan = SimSpan::from_millis(5);
    const MOST: SimSpan = SimSpan::from_secs(1000);
    (LEAST * (1 << failure_count.saturating_sub(1).min(18))).min(MOST)
}

/// The first try at or after `now` of a request that is refused since `since`, each time after `each`, by
/// whoever pauses for [`retry_after`] and for no longer than `most`.
pub fn next_try(since: SimTime, each: SimSpan, most: SimSpan, now: SimTime) -> SimTime {
    let mut at = since;
    for failure_count in 1.. {
        at += each + retry_after(failure_count).min(most);
        if at >= now {
            break;
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_fail_refuses() {
        let timeout = SimSpan::from_secs(10);
        for call in [Call::Answered, Call::Refused, Call::TimedOut] {
            assert!(outcome(call, false, timeout).is_admitted);
            assert_eq!(outcome(call, true, timeout).is_admitted, call == Call::Answered);
        }
        assert_eq!(outcome(Call::TimedOut, false, timeout).span, timeout);
    }

    #[test]
    fn mutating_webhooks_add_up_and_validating_ones_do_not() {
        let passed = |secs| Outcome { is_admitted: true, span: SimSpan::from_secs(secs) };
        let refused = |secs| Outcome { is_admitted: false, span: SimSpan::from_secs(secs) };
        let cases = [
            (vec![], vec![], passed(0)),
            (vec![passed(1), passed(2)], vec![passed(5), passed(4)], passed(8)),
            (vec![passed(1), refused(2), passed(9)], vec![passed(5)], refused(3)),
            // All are waited for, refusals or not.
            (vec![passed(1)], vec![refused(0), passed(4)], refused(5)),
        ];
        for (mutating, validating, expected) in cases {
            assert_eq!(of_request(mutating.into_iter(), validating.into_iter()), expected);
        }
    }

    #[test]
    fn what_was_refused_comes_again_after_its_pause() {
        let secs = SimTime::from_secs;
        let next = |now, each, most| {
            next_try(secs(100), SimSpan::from_millis(each), SimSpan::from_secs(most), secs(now))
        };
        // 5 ms, 10 ms and so on add up to 5 ms * (2^n - 1).
        assert_eq!(next(100, 0, 1000), secs(100) + SimSpan::from_millis(5));
        assert_eq!(next(105, 0, 1000), secs(100) + SimSpan::from_millis(5115));
        assert_eq!(next(106, 0, 1000), secs(100) + SimSpan::from_millis(10_235));
        // Kubelets and the scheduler pause for 10 s at most; each refusal may take its time.
        let late = next(1000, 0, 10);
        assert!(late >= secs(1000) && late < secs(1010), "{late:?}");
        assert_eq!(next(101, 10_000, 1000), secs(110) + SimSpan::from_millis(5));
    }

    #[test]
    fn controllers_try_again_ever_more_slowly() {
        let waits: Vec<u64> = [1, 2, 3, 11, 18, 19].map(|n| retry_after(n).as_millis()).to_vec();
        assert_eq!(waits, [5, 10, 20, 5120, 655_360, 1_000_000]);
    }
}
