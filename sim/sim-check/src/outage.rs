//! Outages of a flow of requests, as its clients see them.
//!
//! An outage starts with the first request that fails, when more than 1 % fail from then on: at
//! that moment and over the next [`RECOVERY_WINDOW`]. It ends at the start of the first stretch of
//! that length in which at least [`RECOVERY_SHARE_PERCENT`] of the requests are answered well: one
//! lucky answer does not end it, and a failure now and then does not begin one. When no such
//! stretch fits before the end of the run, the outage lasts to the end, and how long it would have
//! lasted is open: a limit that it has not passed yet is neither kept nor broken.
//!
//! Nor is an outage over while its backlog is there: requests that piled up wait still, and with them
//! all that come later, although the objective is met again. So in that good stretch nothing may wait of
//! what piled up (see [`FlowSegment::is_piled_up`]); from the moment at which enough is answered to the
//! one at which that is so, the backlog is served.
//!
//! Rates are linear between the ends of stretches, so the margin of a window is a quadratic of its
//! start between a few known moments. Its sign is computed in integers and the moment at which it
//! changes is found by halving where it changes once: nothing is sampled, nothing rounded, and a
//! moment is exact to the nanosecond.

use model_api::observation::{FlowSegment, LossReason};
use sim_kernel::{SimSpan, SimTime};

use crate::line::{Exact, Line};

/// The stretch that must be good for an outage to be over.
pub const RECOVERY_WINDOW: SimSpan = SimSpan::from_secs(30);
/// The share of requests that must be answered well in it, in percent.
pub const RECOVERY_SHARE_PERCENT: u32 = 99;

/// One outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outage {
    /// When the first request failed.
    pub from: SimTime,
    /// When the flow was good again and its backlog gone, or the end of the run.
    pub until: SimTime,
    /// When the flow was good again, whatever waited still; `None` when it was not before the end.
    pub served_at: Option<SimTime>,
    /// The flow was good again before the end of the run.
    pub is_over: bool,
    /// Why the first request failed.
    pub reason: LossReason,
}

impl Outage {
    /// How long it lasted.
    pub fn length(&self) -> SimSpan {
        self.until - self.from
    }

    /// When enough was answered, or the outage was over by the end of the run.
    pub fn bad_until(&self) -> SimTime {
        self.served_at.unwrap_or(self.until)
    }

    /// How long enough was answered and its backlog there.
    pub fn backlog(&self) -> SimSpan {
        self.until - self.bad_until()
    }
}

/// The share of requests below which a flow is bad: `share` of `whole`.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    share: u32,
    whole: u32,
}

/// A stretch of a flow as the rule sees it.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    /// 100 × answered − 99 × asked for (or as another share is wanted), in millirequests per second:
    /// below zero is bad.
    margin: Line,
    /// Twice the integral of the margin before this stretch.
    before: i128,
    /// Nobody fails at the very start.
    starts_whole: bool,
    /// What piled up waits at its start or at its end.
    is_piled_up: bool,
    reason: LossReason,
}

/// Finds the outages of one flow while it goes by. Keeps only what can still decide: nothing while
/// all is well, and nothing of an outage that has been over for a window.
#[derive(Clone, Debug)]
pub(crate) struct OutageWatch {
    wanted: Wanted,
    /// An outage lasts until its backlog is gone.
    waits_for_backlog: bool,
    stretches: Vec<Stretch>,
    /// Twice the integral of the margin over what is kept.
    sum: i128,
    /// Up to when something was bad or piled up.
    bad_until: SimTime,
    /// At the end of the last stretch something was piled up.
    is_piled_up: bool,
    outages: Vec<Outage>,
}

impl Default for OutageWatch {
    fn default() -> Self {
        let wanted = Wanted { share: RECOVERY_SHARE_PERCENT, whole: 100 };
        Self { waits_for_backlog: true, ..Self::wanting(wanted) }
    }
}

impl OutageWatch {
    /// By the same rule: when less than another share is answered, in parts per million, whatever waits.
    pub(crate) fn below(share_ppm: u32) -> Self {
        Self::wanting(Wanted { share: share_ppm, whole: 1_000_000 })
    }

    fn wanting(wanted: Wanted) -> Self {
        Self {
            wanted,
            waits_for_backlog: false,
            stretches: Vec::new(),
            sum: 0,
            bad_until: SimTime::ZERO,
            is_piled_up: false,
            outages: Vec::new(),
        }
    }

    /// Takes the next stretch in, which lasts from `segment.from` to `until`, later.
    pub(crate) fn fold(&mut self, segment: &FlowSegment, until: SimTime) {
        let (share, whole) = (i128::from(self.wanted.share), i128::from(self.wanted.whole));
        let margin =
            |served: u64, offered: u64| whole * i128::from(served) - share * i128::from(offered);
        let first = margin(segment.served_from_millirps, segment.offered_from_millirps);
        let last = margin(segment.served_until_millirps, segment.offered_until_millirps);
        let is_bad = first < 0 || last < 0;
        let was_piled_up = std::mem::replace(&mut self.is_piled_up, segment.is_piled_up);
        let is_piled_up = self.waits_for_backlog && (was_piled_up || segment.is_piled_up);
        if self.stretches.is_empty() && !is_bad {
            return;
        }
        if let Some(end) = self.end()
            && end < segment.from
        {
            // Nobody asked in between.
            let margin = Line::new(end, segment.from, 0, 0);
            self.push(margin, true, false, LossReason::None);
        }
        let starts_whole = segment.served_from_millirps >= segment.offered_from_millirps;
        let margin = Line::new(segment.from, until, first, last);
        self.push(margin, starts_whole, is_piled_up, segment.loss);
        if is_bad || is_piled_up {
            self.bad_until = until;
        } else if until.saturating_since(self.bad_until) >= RECOVERY_WINDOW {
            // A window after the last such stretch is good, so every outage has ended.
            self.conclude();
        }
    }

    /// The outages of the run that is over, in order; ready for another.
    pub(crate) fn finish(&mut self) -> Vec<Outage> {
        self.conclude();
        self.bad_until = SimTime::ZERO;
        self.is_piled_up = false;
        std::mem::take(&mut self.outages)
    }

    fn push(&mut self, margin: Line, starts_whole: bool, is_piled_up: bool, reason: LossReason) {
        let before = self.sum;
        self.stretches.push(Stretch { margin, before, starts_whole, is_piled_up, reason });
        self.sum += margin.doubled();
    }

    fn end(&self) -> Option<SimTime> {
        self.stretches.last().map(|stretch| stretch.margin.until)
    }

    fn conclude(&mut self) {
        if let Some(end) = self.end() {
            let windows = Windows { stretches: &self.stretches, end };
            windows.outages(&mut self.outages);
        }
        self.stretches.clear();
        self.sum = 0;
    }
}

/// The windows that start in a row of stretches.
struct Windows<'a> {
    stretches: &'a [Stretch],
    end: SimTime,
}

impl Windows<'_> {
    fn outages(&self, outages: &mut Vec<Outage>) {
        let mut searched_until = SimTime::ZERO;
        while let Some((from, reason)) = self.next_start(searched_until) {
            let last_start = self.end.saturating_sub(RECOVERY_WINDOW);
            let (served_at, recovered) = self.recovery(from, last_start);
            let until = recovered.unwrap_or(self.end);
            let begins_at = self.first_failure(from).max(searched_until);
            let is_over = recovered.is_some();
            outages.push(Outage { from: begins_at, until, served_at, is_over, reason });
            if recovered.is_none() {
                break;
            }
            searched_until = until;
        }
    }

    /// From when on enough is answered again, and from when on nothing waits of what piled up either;
    /// both as long as a window.
    fn recovery(&self, from: SimTime, last: SimTime) -> (Option<SimTime>, Option<SimTime>) {
        let (mut start, mut served_at) = (from, None);
        while start <= last {
            let Some(good) = self.first(start, last, true) else { return (None, None) };
            if served_at.is_none() || good > start {
                served_at = Some(good);
            }
            match self.piled_up_until(good) {
                None => return (served_at, Some(good)),
                Some(until) => start = until,
            }
        }
        (served_at, None)
    }

    /// Until when what piled up waits in the window that starts at `start`; `None` when nothing does.
    fn piled_up_until(&self, start: SimTime) -> Option<SimTime> {
        let end = start + RECOVERY_WINDOW;
        let later = self.stretches[self.position(start)..].iter();
        let in_window = later.take_while(|stretch| stretch.margin.from < end);
        let piled_up = in_window.filter(|it| it.is_piled_up && it.margin.until > start);
        piled_up.map(|stretch| stretch.margin.until).max()
    }

    /// The first moment at or after `searched_until` that is bad and starts a bad window.
    fn next_start(&self, searched_until: SimTime) -> Option<(SimTime, LossReason)> {
        self.stretches.iter().find_map(|stretch| {
            let (from, until) = stretch.margin.below_zero()?;
            let from = from.max(searched_until);
            if from >= until {
                return None;
            }
            let last = until - SimSpan::from_nanos(1);
            Some((self.first(from, last, false)?, stretch.reason))
        })
    }

    /// The first request that failed on the way to the bad moment `at`: the start of its stretch,
    /// when failures set in there.
    fn first_failure(&self, at: SimTime) -> SimTime {
        let stretch = &self.stretches[self.position(at)];
        if stretch.starts_whole { stretch.margin.from } else { at }
    }

    /// The stretch that `at` lies in; the last one for the very end.
    fn position(&self, at: SimTime) -> usize {
        let next = self.stretches.partition_point(|stretch| stretch.margin.from <= at);
        next.checked_sub(1).expect("no moment before the first stretch is asked for")
    }

    /// The first start in `[from, last]` of a window that is good (or bad, as wanted). A window
    /// that would pass the end is cut there.
    fn first(&self, from: SimTime, last: SimTime, wants_good: bool) -> Option<SimTime> {
        if from > last {
            return None;
        }
        let mut start = from;
        loop {
            let piece = self.piece(start, last);
            if let Some(found) = piece.first(start, wants_good) {
                return Some(found);
            }
            if piece.until == last {
                return None;
            }
            start = piece.until;
        }
    }

    /// The longest run of starts from `start` whose windows start in one stretch and end in one.
    fn piece(&self, start: SimTime, last: SimTime) -> Piece<'_> {
        let tail = &self.stretches[self.position(start)];
        let mut until = last.min(tail.margin.until);
        let head = (start + RECOVERY_WINDOW < self.end)
            .then(|| &self.stretches[self.position(start + RECOVERY_WINDOW)]);
        if let Some(head) = head {
            until = until.min(head.margin.until - RECOVERY_WINDOW);
        }
        let end =
            self.stretches.last().map_or(0, |stretch| stretch.before + stretch.margin.doubled());
        Piece { tail, head, until, end }
    }
}

/// Starts of windows over which the margin of the window is one quadratic.
struct Piece<'a> {
    /// Where the windows start.
    tail: &'a Stretch,
    /// Where they end; `None` when they are cut at the end of the run.
    head: Option<&'a Stretch>,
    /// The last start.
    until: SimTime,
    /// Twice the integral of the margin to the end of the run.
    end: i128,
}

impl Piece<'_> {
    /// The first start from `from` on whose window is as wanted.
    fn first(&self, from: SimTime, wants_good: bool) -> Option<SimTime> {
        let is_wanted = |start: SimTime| self.is_good(start) == wants_good;
        if is_wanted(from) {
            return Some(from);
        }
        if is_wanted(self.until) {
            return Some(halve(from, self.until, is_wanted));
        }
        // Both ends are as not wanted; a quadratic may still be as wanted around its turn.
        let approaches = |start: SimTime| {
            let toward_good = self.is_rising(start);
            if wants_good { toward_good == Some(true) } else { toward_good == Some(false) }
        };
        if !approaches(from) || approaches(self.until) {
            return None;
        }
        let turn = halve(from, self.until, |start| !approaches(start));
        let before = turn - SimSpan::from_nanos(1);
        if is_wanted(before) {
            Some(halve(from, before, is_wanted))
        } else {
            is_wanted(turn).then_some(turn)
        }
    }

    fn is_good(&self, start: SimTime) -> bool {
        let tail = self.tail.margin.doubled_until(self.tail.before, start);
        self.window_end(start) >= tail
    }

    /// Twice the integral up to the end of the window that starts at `start`.
    fn window_end(&self, start: SimTime) -> Exact {
        match self.head {
            Some(head) => head.margin.doubled_until(head.before, start + RECOVERY_WINDOW),
            None => self.tail.margin.doubled_until(self.end, self.tail.margin.from),
        }
    }

    /// Whether a later start has a better window (`Some(true)`), a worse one, or neither.
    fn is_rising(&self, start: SimTime) -> Option<bool> {
        let leaves = self.tail.margin.at(start);
        let enters = match self.head {
            Some(head) => head.margin.at(start + RECOVERY_WINDOW),
            None => Line::new(SimTime::ZERO, SimTime::MAX, 0, 0).at(SimTime::ZERO),
        };
        (enters != leaves).then(|| enters > leaves)
    }
}

/// The first nanosecond after `no` at which `is_it` holds, given that it does not at `no`, does at
/// `yes`, and changes once in between.
fn halve(no: SimTime, yes: SimTime, is_it: impl Fn(SimTime) -> bool) -> SimTime {
    let (mut low, mut high) = (no.as_nanos(), yes.as_nanos());
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if is_it(SimTime::from_nanos(middle)) {
            high = middle;
        } else {
            low = middle;
        }
    }
    SimTime::from_nanos(high)
}

#[cfg(test)]
mod tests;
