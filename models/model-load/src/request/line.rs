//! Workers whom requests wait for in line: first come, first served.
//!
//! The work of a request is drawn when it comes, so the moment at which a worker takes it is known
//! at once: the earliest moment at which any worker is free (Kiefer and Wolfowitz 1955). A visit
//! that waits costs no event of its own.

use std::collections::VecDeque;

use sim_kernel::{SimSpan, SimTime};

/// Workers, and who waits for them.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    /// When each worker is free: a binary heap, the earliest first. Without any, work takes no time.
    free_at: Vec<u64>,
    /// When those that wait are taken, in order.
    starts: VecDeque<u64>,
}

impl Line {
    /// Takes note of the workers from now on.
    pub(super) fn set_workers(&mut self, worker_count: usize, now: SimTime) {
        self.free_at.truncate(worker_count);
        while self.free_at.len() < worker_count {
            self.free_at.push(now.as_nanos());
            self.sift_up();
        }
    }

    /// Requests that wait now.
    #[inline]
    pub(super) fn waiting_count(&mut self, now: SimTime) -> usize {
        while self.starts.front().is_some_and(|start| *start <= now.as_nanos()) {
            self.starts.pop_front();
        }
        self.starts.len()
    }

    /// Requests that wait now, or that a worker has.
    pub(super) fn inside_count(&mut self, now: SimTime) -> usize {
        match self.waiting_count(now) {
            0 => self.free_at.iter().filter(|free_at| **free_at > now.as_nanos()).count(),
            waiting_count => waiting_count + self.free_at.len(),
        }
    }

    /// When a worker takes a request that comes now, and keeps it for its `work`; `None` where so many wait
    /// that it finds no room.
    #[inline]
    pub(super) fn admit(
        &mut self,
        now: SimTime,
        waiting_max: usize,
        work: impl FnOnce() -> SimSpan,
    ) -> Option<SimTime> {
        let Some(&free_at) = self.free_at.first() else { return Some(now) };
        let start = if free_at <= now.as_nanos() {
            now.as_nanos()
        } else {
            if self.waiting_count(now) >= waiting_max {
                return None;
            }
            self.starts.push_back(free_at);
            free_at
        };
        let start = SimTime::from_nanos(start);
        self.free_at[0] = start.saturating_add(work()).as_nanos();
        self.sift_down();
        Some(start)
    }

    fn sift_up(&mut self) {
        let mut idx = self.free_at.len() - 1;
        while idx > 0 && self.free_at[idx] < self.free_at[(idx - 1) / 2] {
            self.free_at.swap(idx, (idx - 1) / 2);
            idx = (idx - 1) / 2;
        }
    }

    #[inline]
    fn sift_down(&mut self) {
        let heap = self.free_at.as_mut_slice();
        let moved = heap[0];
        let mut idx = 0;
        loop {
            let mut child = 2 * idx + 1;
            if child >= heap.len() {
                break;
            }
            if child + 1 < heap.len() && heap[child + 1] < heap[child] {
                child += 1;
            }
            if moved <= heap[child] {
                break;
            }
            heap[idx] = heap[child];
            idx = child;
        }
        heap[idx] = moved;
    }
}
