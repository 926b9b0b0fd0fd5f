//! Pods that each have workers and a queue of their own: a request waits in the one that it was sent to, though
//! others be idle.

use model_api::path::Discipline;
use sim_kernel::{SimSpan, SimTime};

use super::balancer::Balancer;
use super::line::Line;
use super::sharing::Sharing;
use super::station::{Refusal, Turn};

/// The pods of a Service.
#[derive(Clone, Debug)]
pub(super) struct Pods {
    balancer: Balancer,
    pods: Workers,
    /// Of these, the first ones get requests; others that share workers finish what they have.
    open_count: usize,
    worker_count: usize,
    waiting_max: usize,
    /// The pod that the request goes to that was let in last.
    chosen: usize,
}

/// The workers of each pod.
#[derive(Clone, Debug)]
enum Workers {
    InLine(Vec<Line>),
    Shared(Vec<Sharing>),
}

impl Pods {
    pub(super) fn new(discipline: Discipline, balancer: Balancer) -> Self {
        let pods = match discipline {
            Discipline::FirstCome => Workers::InLine(Vec::new()),
            Discipline::Sharing => Workers::Shared(Vec::new()),
        };
        Self { balancer, pods, open_count: 0, worker_count: 0, waiting_max: 0, chosen: 0 }
    }

    /// Takes note of the pods from now on: the workers of each and how long one keeps a request in the mean,
    /// and how many requests may wait in each. A pod that is new is empty.
    pub(super) fn set_pods(
        &mut self,
        count: u32,
        (worker_count, work_mean_ns): (usize, f64),
        waiting_max: usize,
        now: SimTime,
    ) {
        self.open_count = count as usize;
        (self.worker_count, self.waiting_max) = (worker_count, waiting_max);
        match &mut self.pods {
            Workers::InLine(lines) => {
                lines.resize_with(self.open_count, Line::default);
                lines.iter_mut().for_each(|line| line.set_workers(worker_count, now));
            }
            Workers::Shared(pods) => {
                let count = pods.len().max(self.open_count);
                pods.resize_with(count, Sharing::new);
                for (idx, pod) in pods.iter_mut().enumerate() {
                    let worker_count = if idx < self.open_count { worker_count } else { 0 };
                    pod.set_workers(worker_count, work_mean_ns, now);
                }
            }
        }
        self.forget_empty();
    }

    fn forget_empty(&mut self) {
        let Workers::Shared(pods) = &mut self.pods else { return };
        while pods.len() > self.open_count && pods.last().is_some_and(|pod| pod.inside_count() == 0)
        {
            pods.pop();
        }
    }

    /// Requests that wait now; where they share workers, those that are more than the workers of their pod.
    pub(super) fn waiting_count(&mut self, now: SimTime) -> usize {
        match &mut self.pods {
            Workers::InLine(lines) => lines.iter_mut().map(|line| line.waiting_count(now)).sum(),
            Workers::Shared(pods) => {
                let of = |pod: &Sharing| pod.inside_count().saturating_sub(self.worker_count);
                pods.iter().map(of).sum()
            }
        }
    }

    /// Gives a request that comes now its turn in the pod that it is sent to.
    #[inline(never)]
    pub(super) fn admit(
        &mut self,
        now: SimTime,
        work: impl FnOnce() -> SimSpan,
    ) -> Result<Turn, Refusal> {
        match &mut self.pods {
            Workers::InLine(lines) => {
                let chosen =
                    self.balancer.choose(self.open_count, |idx| lines[idx].inside_count(now));
                let start = lines[chosen].admit(now, self.waiting_max, work);
                start.map(Turn::Starts).ok_or(Refusal::Overload)
            }
            Workers::Shared(pods) => {
                self.chosen = self.balancer.choose(self.open_count, |idx| pods[idx].inside_count());
                let most = self.worker_count + self.waiting_max;
                let is_full = pods[self.chosen].inside_count() >= most;
                if is_full { Err(Refusal::Overload) } else { Ok(Turn::Shares) }
            }
        }
    }

    /// The request comes that was let in last, with so many times the mean work.
    pub(super) fn enter(&mut self, visit: u32, work: f64, now: SimTime) {
        match &mut self.pods {
            Workers::Shared(pods) => pods[self.chosen].enter(visit, work, now),
            Workers::InLine(_) => unreachable!("only those that share enter"),
        }
    }

    /// When the first request that shares workers is done, if none comes before.
    pub(super) fn next_at(&self) -> Option<SimTime> {
        match &self.pods {
            Workers::Shared(pods) => pods.iter().filter_map(Sharing::next_at).min(),
            Workers::InLine(_) => None,
        }
    }

    /// Takes out that request, which is done now.
    pub(super) fn leave(&mut self, now: SimTime) -> Option<u32> {
        let Workers::Shared(pods) = &mut self.pods else { return None };
        let next = pods.iter().map(Sharing::next_at).enumerate();
        let (idx, _) = next.filter_map(|(idx, at)| Some((idx, at?))).min_by_key(|(_, at)| *at)?;
        let visit = pods[idx].leave(now);
        if idx >= self.open_count {
            self.forget_empty();
        }
        visit
    }
}
