//! Caches before calls: which share of the requests they answer, and how they fill.
//!
//! A cache has what was asked for before. While nothing of it is known, every request needs the call, and each
//! call that is answered puts one more thing into it. So it fills only as fast as whoever is called can answer:
//! where it answers nothing to a flood of such calls, the cache stays empty, and the flood goes on (Bronson,
//! Aghayev, Charapko and Zhu 2021, HotOS, "look-aside cache").
//!
//! # Modelled
//! Of `K` things that are asked for alike, the share that a cache has not falls with `n` answered requests as
//! `(1 - 1/K)^n`, which is `exp(-n/K)`: the coupon collector's. What it answers when it is full is stated, and
//! has in it what expires, is thrown out or is asked for once only.
//! # Not modelled
//! Things that are asked for more often than others: those are back sooner than this law has it. Requests
//! for one thing that wait for one call (coalescing); what a look-up in a cache costs, and that it fails.
//! # Defaults and their sources
//! None: what a cache answers when it is full, and of how many things, is stated.
//! # Invariants
//! What is not there never becomes more while the same pods hold it.
//! # Checked against
//! The tests below; `tests/it/agreement/cached.rs` plays both engines.

use model_api::path::{Cache, CallPolicy};

const WHOLE: f64 = 1e6;
/// A cache that has all but this share is full.
const COLD_MIN: f64 = 0.005;
/// What is not there falls by an eighth in a step, or less.
const STEP: f64 = 0.125;
const STEP_SECS_MIN: f64 = 0.1;
const STEP_SECS_MAX: f64 = 2.0;

/// Of a million requests, how many need a call when all caches are full.
pub(crate) fn needed_ppm(policy: CallPolicy) -> u32 {
    policy.cache.map_or(1_000_000, |cache| 1_000_000 - cache.hits_ppm.min(1_000_000))
}

/// One pod's part of a cache.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Held<K> {
    pod: K,
    /// Which share of what it could have it has not.
    cold: f64,
    /// Nobody comes to it now.
    is_away: bool,
}

/// What the pods that hold a cache have of it; `K` names a pod, and another one after each start.
#[derive(Clone, Debug, PartialEq)]
pub struct Contents<K> {
    cache: Cache,
    held: Vec<Held<K>>,
    /// How fast what each has not becomes less, per second.
    fills: f64,
}

impl<K: Copy + PartialEq> Contents<K> {
    /// A cache that is full, in these pods.
    pub fn full(cache: Cache, pods: &[K]) -> Self {
        let held = pods.iter().map(|&pod| Held { pod, cold: 0.0, is_away: false }).collect();
        Self { cache, held, fills: 0.0 }
    }

    /// The pods that requests come to.
    fn there(&self) -> impl Iterator<Item = &Held<K>> {
        self.held.iter().filter(|held| !held.is_away)
    }

    /// Leaves those that requests come to only this share of what they have.
    fn keep(&mut self, share: f64) {
        for held in self.held.iter_mut().filter(|held| !held.is_away) {
            held.cold = 1.0 - (1.0 - held.cold) * share;
        }
    }

    /// Lets it fill for so many seconds as fast as it did last.
    pub fn advance(&mut self, secs: f64) {
        let left = libm::exp(-self.fills * secs);
        for held in self.held.iter_mut().filter(|held| !held.is_away) {
            held.cold *= left;
            if held.cold < COLD_MIN {
                held.cold = 0.0;
            }
        }
    }

    /// From now on requests come to these pods of it; whichever else `runs` keeps what it has. A pod that is
    /// new has nothing. Where pods hold parts, those that are left take over what those that went had, and
    /// have not got it; a pod that comes takes its part from all.
    pub fn hold(&mut self, pods: &[K], runs: impl Fn(K) -> bool) {
        let before = self.there().count();
        self.held.retain(|held| pods.contains(&held.pod) || runs(held.pod));
        let mut stayed = 0;
        for held in &mut self.held {
            let was_there = !held.is_away;
            held.is_away = !pods.contains(&held.pod);
            stayed += usize::from(was_there && !held.is_away);
        }
        if self.cache.held_by.is_some() && stayed < before {
            self.keep(stayed as f64 / before as f64);
        }
        for &pod in pods {
            if !self.held.iter().any(|held| held.pod == pod) {
                self.held.push(Held { pod, cold: 1.0, is_away: false });
            }
        }
    }

    /// Loses this share of all that it has.
    pub fn lose(&mut self, share_ppm: u32) {
        self.keep(1.0 - f64::from(share_ppm) / WHOLE);
    }

    /// Callers ask so many times in 1000 s, and of a million calls so many are answered well. Returns for how
    /// many seconds that tells how it fills; `None` once it is full, or where nobody holds it.
    pub fn fill(&mut self, asked_millirps: u64, answered_ppm: u32) -> Option<f64> {
        let pods =
            if self.cache.held_by.is_some() { 1.0 } else { self.there().count().max(1) as f64 };
        let answered = asked_millirps as f64 / 1000.0 * f64::from(answered_ppm) / WHOLE;
        self.fills = answered / pods / self.cache.key_count.max(1) as f64;
        let is_filling = self.there().any(|held| held.cold > 0.0);
        let secs = if self.fills > 0.0 { STEP / self.fills } else { STEP_SECS_MAX };
        is_filling.then(|| secs.clamp(STEP_SECS_MIN, STEP_SECS_MAX))
    }

    /// Of a million requests, how many need the call.
    pub fn needed_ppm(&self) -> u32 {
        let there: f64 = self.there().map(|held| 1.0 - held.cold).sum();
        let there = there / self.there().count().max(1) as f64;
        let hits = libm::round(f64::from(self.cache.hits_ppm) * there);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of at most a million"
        )]
        let hits = hits as u32;
        1_000_000_u32.saturating_sub(hits)
    }
}

#[cfg(test)]
mod tests {
    use model_api::ServiceId;

    use super::*;

    fn cache(held_by: Option<ServiceId>) -> Cache {
        Cache { hits_ppm: 900_000, key_count: 1_000, held_by }
    }

    #[test]
    fn what_is_new_fills_with_what_is_answered() {
        // Both pods get half of 200 a second.
        let mut contents = Contents::full(cache(None), &[1, 2]);
        assert_eq!((contents.needed_ppm(), contents.fill(200_000, 1_000_000)), (100_000, None));
        contents.hold(&[1, 3], |_| false);
        assert_eq!(contents.needed_ppm(), 550_000, "one of two has nothing");
        assert!(contents.fill(200_000, 1_000_000).is_some());
        contents.advance(10.0);
        // A thousand of a thousand things: all but 1/e of them.
        let hits = 450_000.0 + 450_000.0 * (1.0 - libm::exp(-1.0));
        assert!((f64::from(contents.needed_ppm()) - (1e6 - hits)).abs() <= 1.0);
        contents.fill(200_000, 0);
        contents.advance(1e6);
        assert!(contents.needed_ppm() > 200_000, "nothing is answered, and nothing kept");
        contents.fill(200_000, 1_000_000);
        contents.advance(60.0);
        assert_eq!((contents.needed_ppm(), contents.fill(200_000, 1_000_000)), (100_000, None));
    }

    #[test]
    fn who_holds_parts_loses_the_part_of_a_pod() {
        let mut contents = Contents::full(cache(Some(ServiceId(0))), &[1, 2, 3]);
        contents.hold(&[1, 2], |_| false);
        assert_eq!(contents.needed_ppm(), 400_000, "a third of what was there is not");
        contents.fill(1_000, 1_000_000);
        contents.advance(1e9);
        contents.hold(&[1, 2, 4], |_| false);
        assert_eq!(contents.needed_ppm(), 400_000);
        contents.hold(&[], |_| false);
        assert_eq!(contents.needed_ppm(), 1_000_000);
        contents.hold(&[5], |_| false);
        contents.advance(0.0);
        contents.lose(500_000);
        assert_eq!(contents.needed_ppm(), 1_000_000);
    }

    #[test]
    fn a_pod_that_was_away_still_has_what_it_had() {
        for (held_by, while_away) in [(None, 100_000), (Some(ServiceId(0)), 550_000)] {
            let mut contents = Contents::full(cache(held_by), &[1, 2]);
            contents.hold(&[1], |_| true);
            assert_eq!(contents.needed_ppm(), while_away);
            contents.fill(1_000, 1_000_000);
            contents.advance(1e9);
            contents.hold(&[1, 2], |_| true);
            assert_eq!((contents.needed_ppm(), contents.fill(1, 1)), (100_000, None));
        }
    }
}
