//! Flows that meet tries in vain on their way: how many come through, when, and what is lost.

use sim_kernel::SimSpan;

use crate::delay::Delay;
use crate::entrance::{Tries, Way};

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
    /// How often, and which share of all is late so often.
    fn law(self) -> impl Iterator<Item = (u32, f64)> {
        let times = if self.share > 0.0 { self.times.max(1) } else { 0 };
        let power = move |count: u32| libm::pow(self.again, f64::from(count - 1));
        let all: f64 = (1..=times).map(power).sum();
        let late = (1..=times).map(move |count| (count, self.share * power(count) / all));
        std::iter::once((0, 1.0 - self.share)).chain(late)
    }

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
        if self.share >= 1.0 && self.times <= 1 {
            return Delay::fixed(self.by);
        }
        Delay { waits: self.share, mean: self.by * self.times_mean(), ..Delay::default() }
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
pub(super) fn entered(way: Option<Way>, patience: Option<SimSpan>) -> f64 {
    match way {
        None => 1.0,
        Some(Way::Silent | Way::Closed) => 0.0,
        Some(Way::Tries(tries)) => {
            let (mut entered, mut misses) = (0.0, 1.0);
            for count in 0..tries.count {
                if patience.is_some_and(|patience| tries.span_of(count) >= patience) {
                    break;
                }
                entered += misses * (1.0 - tries.miss);
                misses *= tries.miss;
            }
            entered
        }
    }
}

/// What becomes of attempts, of which those that come through so much later are answered `at` that, and
/// so much later still as `steps` has it. Callers wait for `patience` in all.
pub(super) fn through(
    way: Option<Way>,
    steps: Late,
    patience: Option<SimSpan>,
    at: impl Fn(f64) -> Answers,
) -> Through {
    let tries = match way {
        None if steps.share <= 0.0 => {
            return Through { entered: 1.0, answers: at(0.0), ..Through::default() };
        }
        Some(Way::Silent) => return Through { silent: 1.0, ..Through::default() },
        Some(Way::Closed) => return Through::default(),
        Some(Way::Tries(tries)) => tries,
        None => Tries { miss: 0.0, count: 1, each: SimSpan::ZERO },
    };
    let mut all = Through::default();
    // Of what succeeds: what tries delayed, and what steps did; and how often at most.
    let (mut tried, mut stepped) = ((0.0, 1), (0.0, 1));
    let mut misses = 1.0;
    for count in 0..tries.count {
        let span = tries.span_of(count);
        if misses <= 0.0 || patience.is_some_and(|patience| span >= patience) {
            break;
        }
        let part = misses * (1.0 - tries.miss);
        all.entered += part;
        for (step, law) in steps.law() {
            let answers = at(span.as_secs_f64() + steps.by * f64::from(step));
            let succeeds = part * law * answers.succeeds;
            all.answers.answered += part * law * answers.answered;
            all.answers.succeeds += succeeds;
            if succeeds <= 0.0 {
                continue;
            }
            let of_all = succeeds / all.answers.succeeds;
            all.answers.delay = match of_all >= 1.0 {
                true => answers.delay,
                false => all.answers.delay.or(answers.delay, of_all),
            };
            if count > 0 {
                tried = (tried.0 + succeeds, tried.1.max(count));
            }
            if step > 0 {
                stepped = (stepped.0 + succeeds, stepped.1.max(step));
            }
        }
        misses *= tries.miss;
    }
    if all.answers.succeeds > 0.0 {
        let succeeds = all.answers.succeeds;
        let late = |(part, times): (f64, u32), by, again| match part > 0.0 {
            true => Late { share: part / succeeds, by, again, times },
            false => Late::default(),
        };
        let tried = late(tried, tries.each.as_secs_f64(), tries.miss);
        all.late = tried.then(late(stepped, steps.by, steps.again));
    }
    // Who still waits when all tries were in vain hears of it then.
    let lost = 1.0 - all.entered;
    let hears = tries.span_of(tries.count);
    all.silent = match patience {
        Some(patience) if hears < patience => lost * hears.as_secs_f64() / patience.as_secs_f64(),
        _ => lost,
    };
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_tries(miss: f64, timeout: Option<u64>) -> Through {
        let tries = Tries { miss, count: 4, each: SimSpan::from_secs(5) };
        let timeout = timeout.map(SimSpan::from_secs);
        let way = Some(Way::Tries(tries));
        let all = through(way, Late::default(), timeout, |_| Answers {
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
