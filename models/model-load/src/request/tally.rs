//! What became of the requests to one Service.

use std::collections::VecDeque;

use hdrhistogram::Histogram;
use model_api::observation::LossReason;
use sim_kernel::{SimSpan, SimTime};

/// Shortest and longest latency that is told apart: a microsecond and an hour.
const LATENCY_NS: (u64, u64) = (1_000, 3_600_000_000_000);
/// Significant digits of a latency.
const DIGITS: u8 = 3;

/// Outcomes by the window in which requests were sent, and latencies of the whole run.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    /// Windows that were not told yet, the last of which goes on.
    windows: VecDeque<Window>,
    /// The number of the first of them.
    first: u32,
    ended: u64,
    served: u64,
    latencies: Histogram<u32>,
    latency_sum_ns: u128,
    /// Windows that were told and that somebody looks back at: start, ended, served.
    recent: VecDeque<(SimTime, u64, u64)>,
    /// How far back.
    looks_back: SimSpan,
    /// What became of the requests of the last window that had any.
    known: Known,
}

/// Requests that were sent in a stretch of time.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    pub(super) from: SimTime,
    pub(super) until: SimTime,
    /// Requests that clients ask for at both ends, per 1000 s, when nobody else asks.
    pub(super) asked_millirps: Option<(u64, u64)>,
    asked: u64,
    pub(super) ended: u64,
    pub(super) served: u64,
    /// What piled up before waited still when it ended.
    pub(super) is_piled_up: bool,
    /// What became of the last requests before it, where nobody asked in it.
    known: Known,
    /// Lost, by reason; few.
    lost: Vec<(LossReason, u64)>,
    /// Requests that came from another zone, where that is told: the sum of their probabilities.
    crossed: f64,
}

/// What is known of a Service from the last requests of which anything is.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    ended: u64,
    served: u64,
    limited: u64,
    loss: LossReason,
}

impl Tally {
    /// Nothing yet; windows are kept for as long as somebody looks back.
    pub(super) fn new(looks_back: SimSpan) -> Self {
        let latencies = Histogram::new_with_bounds(LATENCY_NS.0, LATENCY_NS.1, DIGITS);
        Self {
            windows: VecDeque::from([Window::default()]),
            first: 0,
            ended: 0,
            served: 0,
            recent: VecDeque::new(),
            looks_back,
            known: Known::default(),
            latencies: latencies.expect("the bounds are in order and the digits are few"),
            latency_sum_ns: 0,
        }
    }

    /// A request was sent now.
    #[inline]
    pub(super) fn asked(&mut self) {
        self.windows.back_mut().expect("one window goes on").asked += 1;
    }

    /// It came from another zone with this probability.
    #[inline]
    pub(super) fn crossed(&mut self, probability: f64) {
        self.windows.back_mut().expect("one window goes on").crossed += probability;
    }

    /// One that was sent in this window was answered well.
    #[inline]
    pub(super) fn answered(&mut self, window: u32, latency: SimSpan) {
        self.ended += 1;
        self.served += 1;
        let window = self.window(window);
        window.ended += 1;
        window.served += 1;
        self.latencies.saturating_record(latency.as_nanos());
        self.latency_sum_ns += u128::from(latency.as_nanos());
    }

    pub(super) fn lost(&mut self, window: u32, reason: LossReason) {
        self.ended += 1;
        let window = self.window(window);
        window.ended += 1;
        match window.lost.iter_mut().find(|(other, _)| *other == reason) {
            Some((_, count)) => *count += 1,
            None => window.lost.push((reason, 1)),
        }
    }

    #[inline]
    fn window(&mut self, number: u32) -> &mut Window {
        &mut self.windows[(number - self.first) as usize]
    }

    /// Ends the window that goes on, and begins another.
    pub(super) fn close_window(
        &mut self,
        now: SimTime,
        asked_millirps: Option<(u64, u64)>,
        is_piled_up: bool,
    ) {
        let window = self.windows.back_mut().expect("one window goes on");
        (window.until, window.asked_millirps) = (now, asked_millirps);
        window.is_piled_up = is_piled_up;
        self.windows.push_back(Window { from: now, ..Window::default() });
    }

    /// Requests that were sent so far in the window that goes on.
    pub(super) fn asked_count(&self) -> u64 {
        self.windows.back().map_or(0, |window| window.asked)
    }

    /// When the window that goes on began.
    pub(super) fn window_from(&self) -> SimTime {
        self.windows.back().map_or(SimTime::ZERO, |window| window.from)
    }

    /// Takes the oldest window out, once it is over and all its requests have ended; or in any case,
    /// when nothing will end any more.
    pub(super) fn take_window(&mut self, is_final: bool) -> Option<Window> {
        let oldest = self.windows.front()?;
        let is_known = self.windows.len() > 1 && (oldest.asked == oldest.ended || is_final);
        if !is_known {
            return None;
        }
        self.first += 1;
        let mut window = self.windows.pop_front()?;
        if window.ended > 0 {
            let Window { ended, served, .. } = window;
            let (limited, loss) = (window.limited(), window.largest_loss());
            self.known = Known { ended, served, limited, loss };
        }
        window.known = self.known;
        if !self.looks_back.is_zero() {
            let oldest = window.from.saturating_sub(self.looks_back);
            self.recent.retain(|(from, ..)| *from >= oldest);
            self.recent.push_back((window.from, window.ended, window.served));
        }
        Some(window)
    }

    /// Requests that were sent since an instant and ended, and of these answered well; by windows.
    pub(super) fn ended_and_served_since(&self, from: SimTime) -> (u64, u64) {
        let told = self.recent.iter().copied();
        let untold = self.windows.iter().map(|window| (window.from, window.ended, window.served));
        told.chain(untold)
            .filter(|(start, ..)| *start >= from)
            .fold((0, 0), |sum, (_, ended, served)| (sum.0 + ended, sum.1 + served))
    }

    /// Requests that ended so far, and of these answered well.
    pub(super) fn ended_and_served(&self) -> (u64, u64) {
        (self.ended, self.served)
    }

    /// The sum of all latencies, in nanoseconds.
    pub(super) fn latency_sum_ns(&self) -> u128 {
        self.latency_sum_ns
    }

    /// Latencies of the run so far.
    pub(super) fn latencies(&self) -> &Histogram<u32> {
        &self.latencies
    }
}

impl Window {
    /// Of a million requests that were sent, how many came from another zone.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is a share, and `as` saturates"
    )]
    pub(super) fn crossing_ppm(&self) -> u32 {
        if self.asked == 0 { 0 } else { (self.crossed / self.asked as f64 * 1e6 + 0.5) as u32 }
    }

    /// Of so many requests, those that would be answered well: as those of the window were, and as the
    /// last ones before where nobody asked in it. Before the first one all.
    pub(super) fn answered_of(&self, offered: u64) -> u64 {
        let Known { ended, served, .. } = self.known;
        if ended == 0 { offered } else { part(offered, served, ended) }
    }

    /// The same of those that a rate limit would refuse.
    pub(super) fn limited_of(&self, offered: u64) -> u64 {
        let Known { ended, limited, .. } = self.known;
        if ended == 0 { 0 } else { part(offered, limited, ended) }
    }

    /// Requests that a rate limit refused.
    pub(super) fn limited(&self) -> u64 {
        let limited = self.lost.iter().find(|(reason, _)| *reason == LossReason::RateLimited);
        limited.map_or(0, |(_, count)| *count)
    }

    /// Why most of those are lost that [`Self::answered_of`] leaves out.
    pub(super) fn loss(&self) -> LossReason {
        self.known.loss
    }

    /// Why most are lost; the first reason of equals, so that the order of losses does not matter.
    fn largest_loss(&self) -> LossReason {
        let by_count = |(reason, count): &&(LossReason, u64)| (*count, std::cmp::Reverse(*reason));
        self.lost.iter().max_by_key(by_count).map_or(LossReason::None, |(reason, _)| *reason)
    }
}

/// Of so many requests, as many as a part of a whole, rounded down.
fn part(requests: u64, part: u64, whole: u64) -> u64 {
    let part = u128::from(requests) * u128::from(part) / u128::from(whole);
    u64::try_from(part).expect("no more than all of them")
}
