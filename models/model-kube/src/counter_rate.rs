//! The rate that a monitoring system makes of a counter: what an autoscaler sees of requests.
//!
//! # Modelled
//! `rate()` of a counter over a window: the slope between the first and the last scrape in it,
//! extended to the ends of the window where these are close, and no further back than to where the
//! counter was zero. Nothing with fewer than two scrapes.
//! # Not modelled
//! Counters that start again within a series; scrapes that fail.
//!
//! Simplified: counters count parts of requests, and all are scraped at the same moments.
//! # Defaults and their sources
//! Prometheus 3.5, `promql/functions.go` (`extrapolatedRate`); that a range leaves out its start:
//! `promql/engine.go`, since 3.0. The amount is cut to thousandths: `int64(value * 1000)` in
//! prometheus-adapter 0.12, `pkg/custom-provider/provider.go`, and KEDA 2.17,
//! `pkg/scalers/scaler.go` (`GenerateMetricInMili`).
//! # Invariants
//! A counter that grows evenly through the whole window has exactly its slope.
//! # Checked against
//! Values worked out by hand with that function.

use sim_kernel::{SimSpan, SimTime};

/// Scrapes of one counter in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scrapes {
    /// The first.
    pub first: SimTime,
    /// The last.
    pub last: SimTime,
    /// How many.
    pub count: u64,
}

impl Scrapes {
    /// Those in the window that ends at `now`, of something that is there since `began_at`, when each
    /// `interval` there is one.
    pub fn within(
        now: SimTime,
        window: SimSpan,
        interval: SimSpan,
        phase: SimSpan,
        began_at: SimTime,
    ) -> Option<Self> {
        let just_after = SimSpan::from_nanos(1);
        // A window does not hold its start.
        let start = now.checked_since(SimTime::ZERO + window);
        let from = start.map_or(SimTime::ZERO, |start| SimTime::ZERO + start + just_after);
        let first = from.max(began_at).next_tick(interval, phase);
        let next = (now + just_after).next_tick(interval, phase);
        let count = next.checked_since(first)?.as_nanos() / interval.as_nanos();
        let last = next.saturating_sub(interval);
        (count > 0).then_some(Self { first, last, count })
    }
}

/// What `rate()` makes of a counter, in thousandths a second.
///
/// `grown` is by how much it grew between the scrapes and `before` what it was at the first, `None`
/// when that is far away, both in thousandths a second times nanoseconds.
pub fn rate_milli(
    now: SimTime,
    window: SimSpan,
    scrapes: Scrapes,
    grown: u128,
    before: Option<u128>,
) -> Option<i64> {
    if scrapes.count < 2 {
        return None;
    }
    let sampled = u128::from((scrapes.last - scrapes.first).as_nanos());
    let between = sampled / u128::from(scrapes.count - 1);
    let is_far = |gap: u128| gap * 10 >= between * 11;
    let near = |gap: u128| if is_far(gap) { between / 2 } else { gap };
    let window_ns = u128::from(window.as_nanos());
    let to_end = u128::from((now - scrapes.last).as_nanos());
    let to_start = window_ns.saturating_sub(sampled + to_end);
    let mut back = near(to_start);
    if grown > 0
        && let Some(to_zero) = before.and_then(|before| before.checked_mul(sampled))
    {
        back = back.min(to_zero / grown);
    }
    let extended = sampled + back + near(to_end);
    let rate = grown.saturating_mul(extended) / (sampled * window_ns);
    Some(i64::try_from(rate).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: SimSpan = SimSpan::from_mins(2);
    const INTERVAL: SimSpan = SimSpan::from_secs(30);

    fn at(secs: u64) -> SimTime {
        SimTime::from_secs(secs)
    }

    /// A counter that grows by so many a second since it began: what its rate is seen to be, in
    /// thousandths.
    fn seen(now: u64, began_at: u64, per_second: u64) -> Option<i64> {
        let phase = SimSpan::from_secs(7);
        let scrapes = Scrapes::within(at(now), WINDOW, INTERVAL, phase, at(began_at))?;
        let milli = u128::from(per_second) * 1000;
        let grown = milli * u128::from((scrapes.last - scrapes.first).as_nanos());
        let before = milli * u128::from((scrapes.first - at(began_at)).as_nanos());
        rate_milli(at(now), WINDOW, scrapes, grown, Some(before))
    }

    #[test]
    fn a_rate_is_what_prometheus_makes_of_it() {
        let cases = [
            // Scrapes at 907, 937, 967, 997 in (900, 1020]: 90 s and all of the 120 s.
            (1020, 0, 50, Some(50_000)),
            // At 907 there is one that is as old as the window, which is not in it: 937 to 1027, 23
            // and 0 s around.
            (1027, 0, 50, Some(50_000)),
            // Began at 940: 967 and 997. The start is far away, so back by half of 30 s only.
            (1020, 940, 50, Some(28_333)),
            // Began at 930: 937, 967, 997. No further back than to its zero, 7 s.
            (1020, 930, 50, Some(37_500)),
            // One scrape is none.
            (1020, 980, 50, None),
            (1020, 1000, 50, None),
            (1020, 0, 0, Some(0)),
        ];
        for (now, began_at, per_second, expected) in cases {
            assert_eq!(seen(now, began_at, per_second), expected, "{now} {began_at} {per_second}");
        }
    }

    #[test]
    fn the_start_of_a_window_that_is_far_away_is_met_half_way() {
        // Two scrapes 30 s apart, the first of them 60 s after the start of the window, of a counter
        // that was large already: 15 s of these 60, and all 30 to the end.
        let scrapes = Scrapes { first: at(960), last: at(990), count: 2 };
        let rate = rate_milli(at(1020), WINDOW, scrapes, 30_000_000_000_000, None);
        assert_eq!(rate, Some(1000 * 75 / 120));
        // 33 s to the end are as many as eleven tenths of what is between: too far.
        let rate = rate_milli(at(1023), WINDOW, scrapes, 30_000_000_000_000, None);
        assert_eq!(rate, Some(1000 * 60 / 120));
    }

    #[test]
    fn scrapes_before_the_window_and_after_now_do_not_count() {
        let within = |now, began_at| {
            let phase = SimSpan::from_secs(7);
            Scrapes::within(at(now), WINDOW, INTERVAL, phase, at(began_at))
        };
        assert_eq!(within(1020, 0), Some(Scrapes { first: at(907), last: at(997), count: 4 }));
        assert_eq!(within(1027, 0), Some(Scrapes { first: at(937), last: at(1027), count: 4 }));
        assert_eq!(within(1026, 0), Some(Scrapes { first: at(907), last: at(997), count: 4 }));
        assert_eq!(within(1020, 997), Some(Scrapes { first: at(997), last: at(997), count: 1 }));
        assert_eq!(within(1020, 998), None);
        assert_eq!(within(60, 0), Some(Scrapes { first: at(7), last: at(37), count: 2 }));
    }
}
