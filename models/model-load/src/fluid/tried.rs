//! Flows that meet tries in vain on their way: how many come through, when, and what is lost.

use sim_kernel::SimSpan;

use super::delay::Delay;
use crate::entrance::Way;

/// What becomes of the attempts of a call.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Answers {
    pub(super) answered: f64,
    /// Of the attempts, those that are answered well in time.
    pub(super) succeeds: f64,
    /// Of those.
    pub(super) delay: Delay,
}

/// A share of answers that come later by some time, and for each of these so many by twice as much, and
/// so on.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Late {
    pub(super) share: f64,
    pub(super) by: f64,
    pub(super) again: f64,
    /// How often at most.
    pub(super) times: u32,
}

impl Late {
    /// How often those are late in the mean that are.
    fn times_mean(self) -> f64 {
        let (mut all, mut times, mut part) = (0.0, 0.0, 1.0);
        for count in 1..=self.times.max(1) {
            all += part;
            times += part * f64::from(count);
            part *= self.again;
        }
        times / all
    }

    /// Of all answers.
    pub(super) fn mean(self) -> f64 {
        self.share * self.by * self.times_mean()
    }

    /// As a delay that some meet.
    pub(super) fn as_delay(self) -> Delay {
        Delay { fixed: 0.0, waits: self.share, mean: self.by * self.times_mean(), variance: 0.0 }
    }

    /// One after the other. The share that is late at all, and the mean, are kept.
    pub(super) fn then(self, next: Self) -> Self {
        if next.share <= 0.0 {
            return self;
        }
        if self.share <= 0.0 {
            return next;
        }
        let share = 1.0 - (1.0 - self.share) * (1.0 - next.share);
        let longer = if self.mean() > next.mean() { self } else { next };
        let mean = self.mean() + next.mean();
        Self { share, by: mean / (share * longer.times_mean()), ..longer }
    }
}

/// What becomes of attempts that something is before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Through {
    /// Share of the attempts that come through while their callers wait.
    pub(super) entered: f64,
    /// Of all attempts.
    pub(super) answers: Answers,
    /// Of the answers in time.
    pub(super) late: Late,
    /// Of the attempts that do not come through, those whose callers wait until their time is over, as
    /// a share of all attempts; others count for the part of that time.
    pub(super) silent: f64,
}

/// Share of the attempts that come through while their callers wait.
pub(super) fn entered(way: Option<Way>, timeout: Option<SimSpan>) -> f64 {
    match way {
        None => 1.0,
        Some(Way::Silent | Way::Closed) => 0.0,
        Some(Way::Tries(tries)) => {
            let (mut entered, mut misses) = (0.0, 1.0);
            for count in 0..tries.count {
                if timeout.is_some_and(|timeout| tries.span_of(count) >= timeout) {
                    break;
                }
                entered += misses * (1.0 - tries.miss);
                misses *= tries.miss;
            }
            entered
        }
    }
}

/// What becomes of attempts, of which those that come through so much later are answered `at` that.
pub(super) fn through(
    way: Option<Way>,
    timeout: Option<SimSpan>,
    at: impl Fn(f64) -> Answers,
) -> Through {
    let Some(way) = way else {
        return Through { entered: 1.0, answers: at(0.0), ..Through::default() };
    };
    let tries = match way {
        Way::Silent => return Through { silent: 1.0, ..Through::default() },
        Way::Closed => return Through::default(),
        Way::Tries(tries) => tries,
    };
    let mut all = Through::default();
    let (mut misses, mut late, mut times) = (1.0, 0.0, 1);
    for count in 0..tries.count {
        let span = tries.span_of(count);
        if misses <= 0.0 || timeout.is_some_and(|timeout| span >= timeout) {
            break;
        }
        let part = misses * (1.0 - tries.miss);
        let answers = at(span.as_secs_f64());
        let succeeds = part * answers.succeeds;
        all.entered += part;
        all.answers.answered += part * answers.answered;
        all.answers.succeeds += succeeds;
        if count == 0 {
            all.answers.delay = answers.delay;
        } else {
            let of_all =
                if all.answers.succeeds > 0.0 { succeeds / all.answers.succeeds } else { 0.0 };
            all.answers.delay = all.answers.delay.or(answers.delay, of_all);
            late += succeeds;
            times = count;
        }
        misses *= tries.miss;
    }
    if late > 0.0 {
        all.late = Late {
            share: late / all.answers.succeeds,
            by: tries.each.as_secs_f64(),
            again: tries.miss,
            times,
        };
    }
    // Who still waits when all tries were in vain hears of it then.
    let lost = 1.0 - all.entered;
    let hears = tries.span_of(tries.count);
    all.silent = match timeout {
        Some(timeout) if hears < timeout => lost * hears.as_secs_f64() / timeout.as_secs_f64(),
        _ => lost,
    };
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entrance::Tries;

    fn of_tries(miss: f64, timeout: Option<u64>) -> Through {
        let tries = Tries { miss, count: 4, each: SimSpan::from_secs(5) };
        let timeout = timeout.map(SimSpan::from_secs);
        let way = Some(Way::Tries(tries));
        let all = through(way, timeout, |_| Answers {
            answered: 1.0,
            succeeds: 1.0,
            delay: Delay::fixed(0.01),
        });
        assert!((all.entered - entered(way, timeout)).abs() < 1e-12);
        all
    }

    #[test]
    fn tries_come_through_one_after_the_other() {
        let third = 1.0 / 3.0;
        let patient = of_tries(third, None);
        assert!((patient.entered - (1.0 - 1.0 / 81.0)).abs() < 1e-12);
        // Those that came through at the second, third and fourth try, of all that came through.
        let later = (2.0 / 9.0 * 5.0 + 2.0 / 27.0 * 10.0 + 2.0 / 81.0 * 15.0) / patient.entered;
        assert!((patient.late.mean() - later).abs() < 1e-9, "{:?}", patient.late);
        let hasty = of_tries(third, Some(3));
        assert!(
            (hasty.entered - 2.0 * third).abs() < 1e-12 && (hasty.silent - third).abs() < 1e-12
        );
        assert!(hasty.late == Late::default());
        assert!((of_tries(1.0, Some(40)).silent - 0.5).abs() < 1e-12, "closed after 20 s of 40");
        assert!(of_tries(0.0, None).late == Late::default());
    }

    #[test]
    fn what_is_late_twice_keeps_its_mean() {
        let one = Late { share: 0.2, by: 1.0, again: 0.0, times: 1 };
        let other = Late { share: 0.3, by: 5.0, again: 0.25, times: 3 };
        let both = one.then(other);
        assert!((both.mean() - one.mean() - other.mean()).abs() < 1e-12);
        assert!((both.share - 0.44).abs() < 1e-12);
        assert!(one.then(Late::default()) == one);
    }
}
