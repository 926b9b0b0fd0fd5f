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

use model_api::observation::FlowSegment;
use sim_kernel::{SimSpan, SimTime};

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
    /// Before each segment: requests offered and lost, in thousandths.
    before: Vec<(f64, f64)>,
    /// All of them.
    total: (f64, f64),
}

impl<'a> Errors<'a> {
    pub(crate) fn of(segments: &'a [(FlowSegment, SimTime)]) -> Self {
        let mut sum = (0.0, 0.0);
        let mut before = Vec::with_capacity(segments.len());
        for (segment, until) in segments {
            before.push(sum);
            let (offered, lost) = spent(segment, *until, *until);
            sum = (sum.0 + offered, sum.1 + lost);
        }
        Self { segments, before, total: sum }
    }

    /// Offered and lost from the start until `at`.
    fn until(&self, at: SimTime) -> (f64, f64) {
        let after = self.segments.partition_point(|(segment, _)| segment.from < at);
        let Some(idx) = after.checked_sub(1) else { return (0.0, 0.0) };
        let (segment, until) = &self.segments[idx];
        let before = self.before[idx];
        let (offered, lost) = spent(segment, *until, at.min(*until));
        (before.0 + offered, before.1 + lost)
    }

    /// Share of the requests of a window that were lost; none when nobody asked. A window that begins
    /// before the run sees no errors there, and as many requests as at its start.
    fn rate(&self, until: SimTime, window: SimSpan) -> f64 {
        let from = until.saturating_sub(window);
        let (first, last) = (self.until(from), self.until(until));
        let missing = window.saturating_sub(until - from).as_secs_f64();
        let at_start = self.segments.first().map_or(0.0, |it| it.0.offered_from_millirps as f64);
        let offered = last.0 - first.0 + missing * at_start;
        if offered > 0.0 { (last.1 - first.1).max(0.0) / offered } else { 0.0 }
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

/// Offered and lost in a segment from its start until `at`, in thousandths of a request.
fn spent(segment: &FlowSegment, until: SimTime, at: SimTime) -> (f64, f64) {
    let (length, part) = ((until - segment.from).as_secs_f64(), (at - segment.from).as_secs_f64());
    if length <= 0.0 {
        return (0.0, 0.0);
    }
    let area = |first: f64, last: f64| part * (first + (last - first) * part / length / 2.0);
    let offered = (segment.offered_from_millirps as f64, segment.offered_until_millirps as f64);
    let served = (segment.served_from_millirps as f64, segment.served_until_millirps as f64);
    let lost = ((offered.0 - served.0).max(0.0), (offered.1 - served.1).max(0.0));
    (area(offered.0, offered.1), area(lost.0, lost.1))
}

/// When the page for an objective over 30 days would have come.
pub(crate) fn alert(errors: &Errors<'_>, objective_ppm: u32, end: SimTime) -> AlertSeen {
    let budget = f64::from(1_000_000 - objective_ppm.min(999_999)) / 1e6;
    let burns = |page: &Page, at: SimTime, window: SimSpan| {
        errors.rate(at, window) > page.burn_rate * budget
    };
    let is_due = |at: SimTime| PAGES.iter().any(|page| burns(page, at, page.long));
    let fires = |at: SimTime| {
        let both = |page: &Page| burns(page, at, page.long) && burns(page, at, page.short);
        PAGES.iter().any(both)
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
            was_due |= is_due(at);
            // Once a window no longer grows and does not suffice, it never will.
            if at > until && !is_due(at) {
                break;
            }
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
    if errors.total.0 <= 0.0 || window.is_zero() || !whole(SimTime::ZERO) {
        return None;
    }
    let mut least = None;
    for (from, until) in errors.episodes(SimSpan::from_nanos(1)) {
        // Every window that these errors reach into; the others lost nothing.
        let first = from.as_nanos() / window.as_nanos();
        let last = until.as_nanos() / window.as_nanos();
        for number in first..=last {
            let start = SimTime::ZERO + window * number;
            if whole(start) {
                let ppm = 1e6 * (1.0 - errors.rate(start + window, window));
                least = Some(least.unwrap_or(1e6_f64).min(ppm));
            }
        }
    }
    // Nothing was lost: every window is whole.
    let least = least.unwrap_or(1e6).floor().clamp(0.0, 1e6);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped above")]
    let ppm = least as u32;
    Some(ppm)
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
    let lost = seen.offered.saturating_sub(seen.served) as f64 / seen.offered as f64;
    let budget = f64::from(1_000_000 - objective_ppm.min(999_999)) / 1e6;
    let ppm = 1e6 * lost / budget * length.as_secs_f64() / period.as_secs_f64();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
    let ppm = ppm.ceil() as u64;
    Some(ppm)
}

#[cfg(test)]
mod tests {
    use model_api::ServiceId;
    use model_api::observation::LossReason;

    use super::*;

    /// 100 requests a second, of which a share is lost between two minutes.
    fn flow(stretches: &[(u64, u64, u64)], end_mins: u64) -> Vec<(FlowSegment, SimTime)> {
        let mut segments = Vec::new();
        let mut at = 0;
        let mut push = |from: u64, until: u64, lost_percent: u64| {
            if until > from {
                let time = |mins| SimTime::ZERO + SimSpan::from_mins(mins);
                let served = 100_000 - 1000 * lost_percent;
                let segment = FlowSegment {
                    service: ServiceId(0),
                    from: time(from),
                    until: time(until),
                    offered_from_millirps: 100_000,
                    offered_until_millirps: 100_000,
                    served_from_millirps: served,
                    served_until_millirps: served,
                    base_latency_ns: 0,
                    wait_probability_ppm: 0,
                    wait_mean_ns: 0,
                    wait_shape_milli: 1000,
                    late_ppm: 0,
                    late_by_ns: 0,
                    loss: LossReason::None,
                };
                segments.push((segment, time(until)));
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
        // The short window forgets what is over: a blip of half a minute is no page.
        assert_eq!(paged(&[(600, 601, 50)], 999_000), AlertSeen::NotDue);
    }

    #[test]
    fn a_page_that_is_out_counts_for_what_follows() {
        let twice = [(600, 620, 100), (626, 640, 100)];
        assert_eq!(paged(&twice, 999_000), AlertSeen::After(SimSpan::from_secs(90)));
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
    fn budgets_are_spent_in_proportion() {
        // 1 % lost in a day, 99.9 % over 30 days: a third of the budget.
        let seen = ServiceMeasures { offered: 1000, served: 990, ..ServiceMeasures::default() };
        let day = SimSpan::from_days(1);
        assert_eq!(burn_ppm(&seen, 999_000, day * 30, day), Some(333_334));
        assert_eq!(burn_ppm(&ServiceMeasures::default(), 999_000, day * 30, day), None);
    }
}
