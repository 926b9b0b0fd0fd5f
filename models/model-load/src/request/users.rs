//! Users who wait for an answer, think, and ask again.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use model_api::load::{ThinkLaw, Thinking};
use sim_kernel::{EntityKey, Purpose, SimTime, Stream, Streams};

use super::station::rounded;
use super::ziggurat::standard_exponential;

const THINK: Purpose = Purpose::new("thinking of a user");

/// The users of a load.
#[derive(Clone, Debug)]
pub(super) struct Users {
    thinking: Thinking,
    stream: Stream,
    /// When those who think ask next, in nanoseconds; the first is the greatest.
    asks_at: BinaryHeap<Reverse<u64>>,
    /// Users who wait for an answer.
    waiting_count: usize,
    /// Users that there should be.
    count: usize,
}

impl Users {
    pub(super) fn new(thinking: Thinking, entity: EntityKey, streams: Streams) -> Self {
        Self {
            thinking,
            stream: streams.stream(entity, THINK),
            asks_at: BinaryHeap::new(),
            waiting_count: 0,
            count: 0,
        }
    }

    /// So many users there are from now on. Who comes is thinking already; of those who think an
    /// even choice goes, and who waits goes with its answer.
    pub(super) fn set_count(&mut self, count: usize, now: SimTime) {
        self.count = count;
        let wanted = count.saturating_sub(self.waiting_count);
        if wanted < self.asks_at.len() {
            let mut all = std::mem::take(&mut self.asks_at).into_sorted_vec();
            let there = all.len();
            let mut idx = 0;
            all.retain(|_| {
                idx += 1;
                idx * wanted / there > (idx - 1) * wanted / there
            });
            self.asks_at = BinaryHeap::from(all);
        }
        while self.asks_at.len() < wanted {
            let rest = match self.thinking.law {
                ThinkLaw::Exponential => standard_exponential(&mut self.stream),
                ThinkLaw::Constant => self.stream.draw().unit(),
            };
            self.think(rest, now);
        }
    }

    /// When the next one asks.
    pub(super) fn next(&self) -> Option<SimTime> {
        self.asks_at.peek().map(|Reverse(at)| SimTime::from_nanos(*at))
    }

    /// The next one asks now.
    pub(super) fn ask(&mut self) {
        if self.asks_at.pop().is_some() {
            self.waiting_count += 1;
        }
    }

    /// One that waited knows what became of its request, and thinks from then on.
    pub(super) fn hear(&mut self, at: SimTime) {
        self.waiting_count -= 1;
        if self.waiting_count + self.asks_at.len() < self.count {
            let factor = match self.thinking.law {
                ThinkLaw::Exponential => standard_exponential(&mut self.stream),
                ThinkLaw::Constant => 1.0,
            };
            self.think(factor, at);
        }
    }

    /// One thinks from then on, for so many times the mean.
    fn think(&mut self, factor: f64, from: SimTime) {
        let span = rounded(factor * self.thinking.mean.as_nanos() as f64);
        self.asks_at.push(Reverse(from.saturating_add(span).as_nanos()));
    }
}

#[cfg(test)]
mod tests {
    use sim_kernel::SimSpan;

    use super::*;

    #[test]
    fn users_come_and_go_and_none_is_lost() {
        let thinking = Thinking { mean: SimSpan::from_secs(1), law: ThinkLaw::Constant };
        let mut users = Users::new(thinking, EntityKey::of("x"), Streams::new(1, 0));
        let at = SimTime::from_millis;
        users.set_count(100, at(0));
        let first = users.next().expect("they think");
        assert!(first < at(100), "spread over a second");
        for _ in 0..10 {
            users.ask();
        }
        assert_eq!((users.waiting_count, users.asks_at.len()), (10, 90));
        users.set_count(40, at(200));
        assert_eq!((users.waiting_count, users.asks_at.len()), (10, 30));
        users.set_count(5, at(200));
        assert_eq!((users.waiting_count, users.asks_at.len()), (10, 0));
        for answered in 1..=10 {
            users.hear(at(300 + answered));
        }
        assert_eq!((users.waiting_count, users.asks_at.len()), (0, 5), "the last five stay");
        assert_eq!(users.next(), Some(at(1306)));
    }
}
