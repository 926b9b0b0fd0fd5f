//! A Service whose requests make several calls to it, played call by call.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use sim_kernel::{EntityKey, Purpose, Stream, Streams};

use super::Bunch;
use crate::request::{standard_exponential, work_factor};

const ARRIVALS: Purpose = Purpose::new("when requests come that make several calls");
const OTHERS: Purpose = Purpose::new("when other calls come");
const WORK: Purpose = Purpose::new("work of several calls");
/// Requests that are played: more of them the busier workers are, but no more calls than this.
const COUNT_MIN: f64 = 40_000.0;
const CALL_COUNT_MAX: f64 = 900_000.0;
/// The first ones find it emptier than others do.
const WARM_UP_PART: usize = 20;

/// What requests waited in all their calls, the shortest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Played {
    waits: Vec<f64>,
    /// What calls to the Service waited, whoever made them.
    each: Vec<f64>,
}

impl Played {
    /// Where workers are so busy.
    pub(super) fn of(bunch: &Bunch, ratio: f64) -> Self {
        let most = CALL_COUNT_MAX * bunch.part / f64::from(bunch.count);
        let wanted = 2.0 * COUNT_MIN / (1.0 - ratio);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "limited")]
        let count = wanted.min(most).max(1000.0) as usize;
        let mut play = Play::new(bunch, ratio);
        while play.waits.len() < count + count / WARM_UP_PART {
            play.go_on();
        }
        let sorted = |mut waits: Vec<f64>| {
            let mut later = waits.split_off(waits.len() / WARM_UP_PART);
            later.sort_unstable_by(f64::total_cmp);
            later
        };
        Self { waits: sorted(play.waits), each: sorted(play.each) }
    }

    /// Share of the requests that wait longer in all their calls.
    pub(super) fn beyond(&self, time: f64) -> f64 {
        share_beyond(&self.waits, time)
    }

    /// Share of the calls that wait longer.
    pub(super) fn each_beyond(&self, time: f64) -> f64 {
        share_beyond(&self.each, time)
    }
}

fn share_beyond(waits: &[f64], time: f64) -> f64 {
    let sooner = waits.partition_point(|wait| *wait <= time);
    1.0 - sooner as f64 / waits.len().max(1) as f64
}

/// A call that will be made; the first is the largest.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Next {
    at: f64,
    /// Calls of the request that were made before.
    made: u32,
    waited: f64,
}

impl Eq for Next {}

impl Ord for Next {
    fn cmp(&self, other: &Self) -> Ordering {
        other.at.total_cmp(&self.at).then(other.made.cmp(&self.made))
    }
}

impl PartialOrd for Next {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// When a worker is free; the first is the largest.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Free(f64);

impl Eq for Free {}

impl Ord for Free {
    fn cmp(&self, other: &Self) -> Ordering {
        other.0.total_cmp(&self.0)
    }
}

impl PartialOrd for Free {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A Service that is played. The mean work of a call is the unit of time.
struct Play<'a> {
    bunch: &'a Bunch,
    /// Mean times between requests with several calls, and between other calls.
    gaps: [f64; 2],
    comes_at: [f64; 2],
    arrivals: [Stream; 2],
    works: Stream,
    next: BinaryHeap<Next>,
    free: BinaryHeap<Free>,
    waits: Vec<f64>,
    each: Vec<f64>,
}

impl<'a> Play<'a> {
    fn new(bunch: &'a Bunch, ratio: f64) -> Self {
        let streams = Streams::new(0, 0);
        let key = EntityKey::of("several calls");
        let rate = ratio * f64::from(bunch.servers);
        let gaps =
            [f64::from(bunch.count) / (rate * bunch.part), 1.0 / (rate * (1.0 - bunch.part))];
        let mut arrivals = [ARRIVALS, OTHERS].map(|purpose| streams.stream(key, purpose));
        let comes_at = [0, 1].map(|kind| gaps[kind] * standard_exponential(&mut arrivals[kind]));
        Self {
            bunch,
            gaps,
            comes_at,
            arrivals,
            works: streams.stream(key, WORK),
            next: BinaryHeap::new(),
            free: (0..bunch.servers).map(|_| Free(0.0)).collect(),
            waits: Vec::new(),
            each: Vec::new(),
        }
    }

    /// Lets the next call be made.
    fn go_on(&mut self) {
        let [first, other] = self.comes_at;
        let next = self.next.peek().map_or(f64::INFINITY, |next| next.at);
        if other < first && other < next {
            self.take(other);
            self.comes_at[1] += self.gaps[1] * standard_exponential(&mut self.arrivals[1]);
            return;
        }
        let call = if first < next {
            self.comes_at[0] += self.gaps[0] * standard_exponential(&mut self.arrivals[0]);
            Next { at: first, made: 0, waited: 0.0 }
        } else {
            self.next.pop().expect("it was looked at")
        };
        match self.bunch.gap {
            None => {
                let all = (0..self.bunch.count).map(|_| self.take(call.at));
                let longest = all.fold(0.0, f64::max);
                self.waits.push(longest);
            }
            Some(gap) => {
                let wait = self.take(call.at);
                let (made, waited) = (call.made + 1, call.waited + wait);
                if made < self.bunch.count {
                    self.next.push(Next { at: call.at + wait + gap, made, waited });
                } else {
                    self.waits.push(waited);
                }
            }
        }
    }

    /// A worker takes a call that is made then: returns how long that waits.
    fn take(&mut self, at: f64) -> f64 {
        let work = work_factor(self.bunch.law, &mut self.works);
        let Some(mut free) = self.free.peek_mut() else { return 0.0 };
        let start = free.0.max(at);
        free.0 = start + work;
        self.each.push(start - at);
        start - at
    }
}
