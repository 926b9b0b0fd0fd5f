//! Error budgets: how much of one is spent, and when an alert on its burning would page.
//!
//! An objective of 99.9 % over 30 days leaves a budget of 0.1 % of the requests of 30 days for errors.
//! The *burn rate* is how many times faster than evenly over these 30 days it is being spent.
//!
//! Alerts are those of the SRE Workbook (chapter 5, "Alerting on SLOs", multiwindow, multi-burn-rate):
//! a page when a long window burned more than a share of the budget, and a short one says that it
//! still burns. Its tickets, for slower burning, page nobody and are left out.
//!
//! Simplified: counters are scraped, and rules evaluated, at whole minutes of the run (the default
//! interval of both in Prometheus); Alertmanager sends what fires after its `group_wait` of 30 s.

use model_api::observation::{Counted, FlowSegment};
use sim_kernel::{SimSpan, SimTime};

use crate::dark::Dark;
use crate::measures::ServiceMeasures;

/// From evaluation to evaluation.
const INTERVAL: SimSpan = SimSpan::from_mins(1);
/// Alertmanager's `group_wait`.
const GROUP_WAIT: SimSpan = SimSpan::from_secs(30);

/// A page: how fast the budget burns at least, over which two windows.
#[derive(Clone, Copy, Debug)]
struct Page {
    burn_rate: f64,
    long: SimSpan,
    short: SimSpan,
}

/// 2 % of the budget in an hour, 5 % in six (SRE Workbook, table 5-8).
const PAGES: [Page; 2] = [
    Page { burn_rate: 14.4, long: SimSpan::from_hours(1), short: SimSpan::from_mins(5) },
    Page { burn_rate: 6.0, long: SimSpan::from_hours(6), short: SimSpan::from_mins(30) },
];

/// What became of the page that an objective calls for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertSeen {
    /// Errors were never so many that they should page.
    NotDue,
    /// They were, and nobody was paged before the run ended.
    Missed,
    /// Somebody was paged so long after errors began; the longest such time.
    After(SimSpan),
}

/// Requests asked for and lost since the start, over time.
#[derive(Clone, Debug)]
pub(crate) struct Errors<'a> {
    segments: &'a [(FlowSegment, SimTime)],
    /// Before each segment.
    before: Vec<Count>,
    /// All of them.
    total: Count,
}

/// One request, in units of [`Count`].
const REQUEST: u128 = 1_000_000_000_000;

/// Requests offered and lost, in units of 1e-12 requests (a request per 1000 s, for a nanosecond):
/// whole numbers, so that what was lost of what was offered is no rounding error more or less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    offered: u128,
    lost: u128,
}

impl<'a> Errors<'a> {
    pub(crate) fn of(segments: &'a [(FlowSegment, SimTime)]) -> Self {
        let mut sum = Count::default();
        let mut before = Vec::with_capacity(segments.len());
        for (segment, until) in segments {
            before.push(sum);
            sum = sum.and(spent(segment, *until, *until));
        }
        Self { segments, before, total: sum }
    }

    /// Offered and lost from the start until `at`.
    fn until(&self, at: SimTime) -> Count {
        let after = self.segments.partition_point(|(segment, _)| segment.from < at);
        let Some(idx) = after.checked_sub(1) else { return Count::default() };
        let (segment, until) = &self.segments[idx];
        self.before[idx].and(spent(segment, *until, at.min(*until)))
    }

    /// Offered in a window, and lost in it since an instant. A window that begins before the run
    /// sees no errors there, and as many requests as at its start.
    fn within(&self, until: SimTime, window: SimSpan, lost_since: SimTime) -> Count {
        let from = until.saturating_sub(window);
        let (first, last) = (self.until(from), self.until(until));
        let missing = window.saturating_sub(until - from).as_nanos();
        let at_start = self.segments.first().map_or(0, |it| it.0.offered_from_millirps);
        let before = self.until(from.max(lost_since)).lost;
        Count {
            offered: last.offered.saturating_sub(first.offered)
                + u128::from(missing) * u128::from(at_start),
            lost: last.lost.saturating_sub(before),
        }
    }

    /// The share of the requests of a window that were lost in it since an instant; none when
    /// nobody asked.
    fn rate_since(&self, until: SimTime, window: SimSpan, since: SimTime) -> f64 {
        let Count { offered, lost } = self.within(until, window, since);
        if offered > 0 { lost as f64 / offered as f64 } else { 0.0 }
    }

    /// Share of the requests of a window that were lost.
    fn rate(&self, until: SimTime, window: SimSpan) -> f64 {
        self.rate_since(until, window, SimTime::ZERO)
    }

    /// Stretches with errors; those less than `gap` apart are one.
    fn episodes(&self, gap: SimSpan) -> Vec<(SimTime, SimTime)> {
        let mut episodes: Vec<(SimTime, SimTime)> = Vec::new();
        for (segment, until) in self.segments {
            let is_lossy = segment.offered_from_millirps > segment.served_from_millirps
                || segment.offered_until_millirps > segment.served_until_millirps;
            if !is_lossy {
                continue;
            }
            match episodes.last_mut() {
                Some((_, end)) if segment.from.saturating_since(*end) < gap => *end = *until,
                _ => episodes.push((segment.from, *until)),
            }
        }
        episodes
    }
}

impl Count {
    fn and(self, other: Self) -> Self {
        Self { offered: self.offered + other.offered, lost: self.lost + other.lost }
    }
}

/// The same stretches, had all been answered but what was asked for while no zone had power.
pub(crate) fn at_best(
    segments: &[(FlowSegment, SimTime)],
    dark: &Dark,
) -> Vec<(FlowSegment, SimTime)> {
    let mut best = Vec::new();
    for (segment, until) in segments {
        let mut push = |from: SimTime, to: SimTime, is_dark: bool| {
            if to > from {
                best.push((piece(segment, *until, (from, to), is_dark), to));
            }
        };
        let mut from = segment.from;
        for (start, end) in dark.within(segment.from, *until) {
            push(from, start, false);
            push(start, end, true);
            from = end;
        }
        push(from, *until, false);
    }
    best
}

/// A part of a segment in which all are answered, or none.
fn piece(
    segment: &FlowSegment,
    until: SimTime,
    (from, to): (SimTime, SimTime),
    is_dark: bool,
) -> FlowSegment {
    let whole = u128::from((until - segment.from).as_nanos());
    let rate = |at: SimTime| {
        let passed = u128::from((at - segment.from).as_nanos());
        let first = u128::from(segment.offered_from_millirps) * (whole - passed);
        let last = u128::from(segment.offered_until_millirps) * passed;
        u64::try_from((first + last) / whole).expect("between two rates")
    };
    let counted = segment.counted.map(|Counted { asked, .. }| {
        let until_then = |at: SimTime| {
            let passed = u128::from((at - segment.from).as_nanos());
            u64::try_from(u128::from(asked) * passed / whole).expect("a part of them")
        };
        let asked = until_then(to) - until_then(from);
        Counted { asked, answered: if is_dark { 0 } else { asked }, limited: 0 }
    });
    let offered = (rate(from), rate(to));
    let served = if is_dark { (0, 0) } else { offered };
    FlowSegment {
        from,
        until: to,
        offered_from_millirps: offered.0,
        offered_until_millirps: offered.1,
        served_from_millirps: served.0,
        served_until_millirps: served.1,
        limited_from_millirps: 0,
        limited_until_millirps: 0,
        counted,
        ..*segment
    }
}

/// Offered and lost in a segment from its start until `at`.
fn spent(segment: &FlowSegment, until: SimTime, at: SimTime) -> Count {
    let whole = u128::from((until - segment.from).as_nanos());
    let part = u128::from((at - segment.from).as_nanos());
    if whole == 0 {
        return Count::default();
    }
    if let Some(Counted { asked, answered, .. }) = segment.counted {
        let amount = |count: u64| u128::from(count) * REQUEST * part / whole;
        return Count { offered: amount(asked), lost: amount(asked.saturating_sub(answered)) };
    }
    // Twice the mean rate of the part, times its length.
    let area = |first: u64, last: u64| {
        let (first, last) = (u128::from(first), u128::from(last));
        part * (first + (first * (whole - part) + last * part) / whole) / 2
    };
    let offered = (segment.offered_from_millirps, segment.offered_until_millirps);
    let lost_from = offered.0.saturating_sub(segment.served_from_millirps);
    let lost_until = offered.1.saturating_sub(segment.served_until_millirps);
    Count { offered: area(offered.0, offered.1), lost: area(lost_from, lost_until) }
}

/// When the page for an objective over 30 days would have come.
pub(crate) fn alert(errors: &Errors<'_>, objective_ppm: u32, end: SimTime) -> AlertSeen {
    let budget = f64::from(1_000_000 - objective_ppm.min(999_999)) / 1e6;
    let burns = |page: &Page, at: SimTime, window: SimSpan| {
        errors.rate(at, window) > page.burn_rate * budget
    };
    let fires = |at: SimTime| {
        let both = |page: &Page| burns(page, at, page.long) && burns(page, at, page.short);
        PAGES.iter().any(both)
    };
    // Errors that were there before have their own page: they make none due for later ones.
    let is_due = |at: SimTime, since: SimTime| {
        let burns_alone =
            |page: &Page| errors.rate_since(at, page.long, since) > page.burn_rate * budget;
        PAGES.iter().any(burns_alone)
    };
    let longest = PAGES.iter().map(|page| page.long).max().unwrap_or(SimSpan::ZERO);
    let shortest = PAGES.iter().map(|page| page.short).min().unwrap_or(SimSpan::ZERO);
    let mut seen = AlertSeen::NotDue;
    let mut episodes = errors.episodes(shortest).into_iter().peekable();
    while let Some((from, until)) = episodes.next() {
        // What comes later belongs to the next episode.
        let next = episodes.peek().map_or(end, |(start, _)| *start);
        let last = (until + longest).min(next);
        let mut at = from.next_tick(INTERVAL, SimSpan::ZERO);
        let (mut was_due, mut fired_at) = (false, None);
        while at <= last && fired_at.is_none() {
            fired_at = fires(at).then_some(at);
            was_due |= is_due(at, from);
            at += INTERVAL;
        }
        let after = match fired_at {
            // It burned already when these errors began: somebody knows.
            Some(at) if fires(from) && at <= from + INTERVAL => AlertSeen::After(SimSpan::ZERO),
            Some(at) => AlertSeen::After(at.saturating_since(from) + GROUP_WAIT),
            None if was_due => AlertSeen::Missed,
            None => AlertSeen::NotDue,
        };
        seen = worse(seen, after);
    }
    seen
}

/// A page that never came is worse than a late one, and that worse than none that was due.
fn worse(one: AlertSeen, other: AlertSeen) -> AlertSeen {
    match (one, other) {
        (AlertSeen::Missed, _) | (_, AlertSeen::Missed) => AlertSeen::Missed,
        (AlertSeen::After(a), AlertSeen::After(b)) => AlertSeen::After(a.max(b)),
        (AlertSeen::NotDue, seen) | (seen, AlertSeen::NotDue) => seen,
    }
}

/// The least share of requests answered well in any whole window of the run, in parts per million,
/// rounded down; `None` when nobody asked in any. Windows begin at the start of the run.
pub(crate) fn least_availability_ppm(
    errors: &Errors<'_>,
    window: SimSpan,
    end: SimTime,
) -> Option<u32> {
    let whole = |at: SimTime| at + window <= end;
    if errors.total.offered == 0 || window.is_zero() || !whole(SimTime::ZERO) {
        return None;
    }
    // Where nothing was lost, every window is whole.
    let mut least = 1_000_000;
    for (from, until) in errors.episodes(SimSpan::from_nanos(1)) {
        // Every window that these errors reach into; the others lost nothing.
        let first = from.as_nanos() / window.as_nanos();
        let last = until.as_nanos() / window.as_nanos();
        for number in first..=last {
            let start = SimTime::ZERO + window * number;
            if whole(start) {
                let Count { offered, lost } = errors.within(start + window, window, start);
                let served = offered.saturating_sub(lost);
                least = least.min((served * 1_000_000).checked_div(offered).unwrap_or(least));
            }
        }
    }
    Some(u32::try_from(least).expect("no more than a million"))
}

/// The share of the error budget of a period that a run of this length spent, in parts per million,
/// as if the period were as busy as the run; `None` when nobody asked. More than the whole budget is
/// more than a million.
pub(crate) fn burn_ppm(
    seen: &ServiceMeasures,
    objective_ppm: u32,
    period: SimSpan,
    length: SimSpan,
) -> Option<u64> {
    if seen.offered == 0 || period.is_zero() {
        return None;
    }
    let lost = seen.offered.saturating_sub(seen.served) as f64;
    let budget_ppm = f64::from(1_000_000 - objective_ppm.min(999_999));
    // One quotient of whole numbers, as exact as they are: what is rounded up must be more.
    let spent = lost * length.as_secs_f64() * 1e12;
    let ppm = spent / (seen.offered as f64 * budget_ppm * period.as_secs_f64());
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
    let ppm = ppm.ceil() as u64;
    Some(ppm)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::segment;

    /// 100 requests a second, of which a share is lost between two minutes.
    fn flow(stretches: &[(u64, u64, u64)], end_mins: u64) -> Vec<(FlowSegment, SimTime)> {
        let mut segments = Vec::new();
        let mut at = 0;
        let mut push = |from: u64, until: u64, lost_percent: u64| {
            if until > from {
                let time = |mins| SimTime::ZERO + SimSpan::from_mins(mins);
                let served = 100_000 - 1000 * lost_percent;
                let between = (time(from), time(until));
                segments.push((segment(between, [100_000; 2], [served; 2]), time(until)));
            }
        };
        for (from, until, lost_percent) in stretches {
            push(at, *from, 0);
            push(*from, *until, *lost_percent);
            at = *until;
        }
        push(at, end_mins, 0);
        segments
    }

    fn paged(stretches: &[(u64, u64, u64)], objective_ppm: u32) -> AlertSeen {
        let segments = flow(stretches, 2000);
        alert(&Errors::of(&segments), objective_ppm, SimTime::ZERO + SimSpan::from_mins(2000))
    }

    #[test]
    fn pages_come_as_the_workbook_computes() {
        let after = |secs| AlertSeen::After(SimSpan::from_secs(secs));
        // All requests lost: 1.44 % of an hour is 52 s, so the first whole minute after that.
        assert_eq!(paged(&[(600, 700, 100)], 999_000), after(60 + 30));
        // A tenth lost, objective 99.9 %: 14.4 % of the hour, 8.64 min.
        assert_eq!(paged(&[(600, 700, 10)], 999_000), after(9 * 60 + 30));
        // Burning at 7: too slow for the first page; 6/7 of six hours for the second.
        assert_eq!(paged(&[(600, 1100, 7)], 990_000), after(309 * 60 + 30));
        // Burning at 5 never pages.
        assert_eq!(paged(&[(600, 1100, 1)], 998_000), AlertSeen::NotDue);
        assert_eq!(paged(&[], 999_000), AlertSeen::NotDue);
        // Half of a minute is less than 1.44 % of an hour: too little for the long window.
        assert_eq!(paged(&[(600, 601, 50)], 999_000), AlertSeen::NotDue);
    }

    #[test]
    fn a_page_that_is_out_counts_for_what_follows() {
        let twice = [(600, 620, 100), (626, 640, 100)];
        assert_eq!(paged(&twice, 999_000), AlertSeen::After(SimSpan::from_secs(90)));
    }

    #[test]
    fn what_was_paged_before_makes_no_page_due() {
        // What the second episode lost is a hundredth of what would page; the hour still sees the
        // first, whose page is long out.
        let twice = [(600, 610, 100), (645, 646, 1)];
        assert_eq!(paged(&twice, 999_000), AlertSeen::After(SimSpan::from_secs(90)));
    }

    #[test]
    fn errors_that_only_a_later_hour_shows_are_missed() {
        // Half of the requests of two minutes are lost just after the load fell to a hundredth. As
        // long as the hour before counts, they are few; when it no longer does, they are over, and
        // the short window is clean.
        let mut segments = flow(&[(600, 602, 50)], 2000);
        segments[0].0.offered_from_millirps *= 100;
        segments[0].0.offered_until_millirps *= 100;
        segments[0].0.served_from_millirps *= 100;
        segments[0].0.served_until_millirps *= 100;
        let errors = Errors::of(&segments);
        let end = SimTime::ZERO + SimSpan::from_mins(2000);
        assert_eq!(alert(&errors, 999_000, end), AlertSeen::Missed);
    }

    #[test]
    fn requests_that_were_counted_count_whatever_the_rates_say() {
        // Asked once in ten seconds. The second half of the run loses all of them, and the rates of
        // stretches in which nobody asks are those of the last one.
        let mut measures = ServiceMeasures::default();
        let mut segments = flow(&[(30, 60, 100)], 60);
        for (idx, (segment, until)) in segments.iter_mut().enumerate() {
            let (asked, is_well) = ([180, 6][idx], idx == 0);
            let answered = if is_well { asked } else { 0 };
            let limited = asked - answered;
            segment.counted = Some(Counted { asked, answered, limited });
            measures.fold(segment, *until);
        }
        assert_eq!(measures.availability_ppm(), Some(967_741));
        assert_eq!((measures.lost_requests(), measures.limited_requests()), (6, 6));
        assert_eq!(measures.admitted_availability_ppm(), Some(1_000_000));
        let least = |mins| {
            let end = SimTime::ZERO + SimSpan::from_mins(60);
            least_availability_ppm(&Errors::of(&segments), SimSpan::from_mins(mins), end)
        };
        assert_eq!((least(60), least(30)), (Some(967_741), Some(0)));
    }

    #[test]
    fn the_worst_window_is_found() {
        let segments = flow(&[(30, 90, 50)], 300);
        let errors = Errors::of(&segments);
        let end = SimTime::ZERO + SimSpan::from_mins(300);
        let least = |mins| least_availability_ppm(&errors, SimSpan::from_mins(mins), end);
        assert_eq!(least(60), Some(750_000));
        assert_eq!(least(30), Some(500_000));
        assert_eq!(least(300), Some(900_000));
        assert_eq!(least(301), None, "no window is whole");
        let whole = flow(&[], 300);
        let none = Errors::of(&whole);
        assert_eq!(least_availability_ppm(&none, SimSpan::from_mins(60), end), Some(1_000_000));
    }

    #[test]
    fn shares_are_rounded_in_the_stated_direction_only() {
        let end = SimTime::ZERO + SimSpan::from_mins(100);
        let hundred = SimSpan::from_mins(100);
        for lost in 1..=100 {
            // So many percent of a minute, of a hundred: so many times a hundred parts per million.
            let segments = flow(&[(10, 11, lost)], 100);
            let least = least_availability_ppm(&Errors::of(&segments), hundred, end);
            assert_eq!(least.map(u64::from), Some(1_000_000 - 100 * lost));
            let (offered, served) = (1000, u128::from(1000 - lost));
            let seen = ServiceMeasures { offered, served, ..ServiceMeasures::default() };
            let burned = burn_ppm(&seen, 990_000, SimSpan::from_days(25), SimSpan::from_hours(6));
            assert_eq!(burned, Some(1000 * lost));
        }
    }

    #[test]
    fn budgets_are_spent_in_proportion() {
        // 1 % lost in a day, 99.9 % over 30 days: a third of the budget.
        let seen = ServiceMeasures { offered: 1000, served: 990, ..ServiceMeasures::default() };
        let day = SimSpan::from_days(1);
        assert_eq!(burn_ppm(&seen, 999_000, day * 30, day), Some(333_334));
        assert_eq!(burn_ppm(&ServiceMeasures::default(), 999_000, day * 30, day), None);
    }
}
