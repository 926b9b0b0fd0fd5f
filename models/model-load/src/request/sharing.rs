//! Where requests share workers: all are worked on at once, each as fast as the others.
//!
//! One clock for each Service shows how much work any request that was there all the time got
//! (virtual time, as in Parekh and Gallager 1993). A request is done when the clock shows its work
//! more than when it came, so that one that comes or leaves changes the speed of the clock and
//! nothing about the others: a heap of readings, of which the first decides when something happens.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use sim_kernel::SimTime;

/// Requests that share the workers of a Service.
#[derive(Clone, Debug)]
pub(super) struct Sharing {
    /// What the clock showed when it was last looked at; its unit is the mean work of a request.
    reading: f64,
    looked_at: SimTime,
    /// How long one worker takes for the mean work, in nanoseconds.
    work_mean_ns: f64,
    worker_count: usize,
    inside: BinaryHeap<Inside>,
}

/// A request that is worked on; the one that is done first is the largest.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Inside {
    done_at: f64,
    visit: u32,
}

impl Eq for Inside {}

impl Ord for Inside {
    fn cmp(&self, other: &Self) -> Ordering {
        other.done_at.total_cmp(&self.done_at).then(other.visit.cmp(&self.visit))
    }
}

impl PartialOrd for Inside {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Sharing {
    pub(super) fn new() -> Self {
        Self {
            reading: 0.0,
            looked_at: SimTime::ZERO,
            work_mean_ns: 0.0,
            worker_count: 0,
            inside: BinaryHeap::new(),
        }
    }

    /// Takes note of the workers from now on.
    ///
    /// Simplified: when all workers are gone, what they worked on is finished as if they were not.
    pub(super) fn set_workers(&mut self, worker_count: usize, work_mean_ns: f64, now: SimTime) {
        self.look(now);
        if worker_count > 0 {
            (self.worker_count, self.work_mean_ns) = (worker_count, work_mean_ns);
        }
    }

    /// Requests that are worked on.
    pub(super) fn inside_count(&self) -> usize {
        self.inside.len()
    }

    /// Begins to work on a request that needs so many times the mean work.
    pub(super) fn enter(&mut self, visit: u32, work: f64, now: SimTime) {
        self.look(now);
        if self.inside.is_empty() {
            // A clock that starts over now and then stays exact.
            self.reading = 0.0;
        }
        self.inside.push(Inside { done_at: self.reading + work, visit });
    }

    /// When the first request is done, if none comes before.
    pub(super) fn next_at(&self) -> Option<SimTime> {
        let first = self.inside.peek()?;
        let left_ns = (first.done_at - self.reading).max(0.0) / self.speed();
        Some(self.looked_at.saturating_add(super::station::rounded(left_ns)))
    }

    /// Takes out the first request, which is done now.
    pub(super) fn leave(&mut self, now: SimTime) -> Option<u32> {
        let first = self.inside.pop()?;
        // By definition: what rounding to a nanosecond left over is forgotten.
        (self.reading, self.looked_at) = (first.done_at, now);
        Some(first.visit)
    }

    fn look(&mut self, now: SimTime) {
        let passed = now.saturating_since(self.looked_at).as_nanos();
        self.reading += passed as f64 * self.speed();
        self.looked_at = now;
    }

    /// How fast the clock goes, per nanosecond.
    fn speed(&self) -> f64 {
        let inside = self.inside.len().max(1);
        let workers = self.worker_count.min(inside);
        if self.work_mean_ns > 0.0 {
            workers as f64 / inside as f64 / self.work_mean_ns
        } else {
            0.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_share_a_worker_and_three_share_two() {
        let at = SimTime::from_millis;
        let mut sharing = Sharing::new();
        sharing.set_workers(1, 10e6, at(0));
        sharing.enter(0, 1.0, at(0));
        assert_eq!(sharing.next_at(), Some(at(10)));
        // Half is left of the first, and both go on at half the speed.
        sharing.enter(1, 2.0, at(5));
        assert_eq!(sharing.next_at(), Some(at(15)));
        assert_eq!(sharing.leave(at(15)), Some(0));
        assert_eq!(sharing.next_at(), Some(at(30)));
        // A second worker: nobody is faster than a worker.
        sharing.set_workers(2, 10e6, at(20));
        assert_eq!(sharing.next_at(), Some(at(30)));
        sharing.enter(2, 1.0, at(20));
        assert_eq!(sharing.next_at(), Some(at(30)));
        sharing.enter(3, 1.0, at(20));
        assert_eq!(sharing.next_at(), Some(at(35)));
        let left: Vec<_> = (0..3).map(|_| sharing.leave(at(35))).collect();
        assert_eq!(left, [Some(1), Some(2), Some(3)]);
        assert_eq!(sharing.leave(at(35)), None);
    }

    #[test]
    fn what_is_done_already_is_not_done_again_when_the_workers_go() {
        let at = SimTime::from_millis;
        let mut sharing = Sharing::new();
        sharing.set_workers(1, 10e6, at(0));
        sharing.enter(0, 1.0, at(0));
        sharing.set_workers(0, 10e6, at(6));
        assert_eq!(sharing.next_at(), Some(at(10)));
        sharing.set_workers(0, 10e6, at(8));
        assert_eq!(sharing.next_at(), Some(at(10)));
    }
}
