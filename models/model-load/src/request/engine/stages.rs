//! The calls of a visit: one after the other, or at the same time.

use model_api::observation::LossReason;

use super::{Caller, Engine, Hop, Loss};

impl Engine {
    /// A call of a visit came back; `blamed` is what its Service says when it was lost.
    pub(super) fn resume(&mut self, visit_idx: u32, blamed: LossReason, loss: Loss) {
        if !loss.is_none() {
            self.note_failure(visit_idx, blamed, loss);
        }
        let others = &mut self.visits[visit_idx as usize].others;
        if *others > 0 {
            *others -= 1;
            return;
        }
        self.go_on(visit_idx);
    }

    /// A call of a visit, or what it was passed on to, was lost; the first such loss counts.
    fn note_failure(&mut self, visit_idx: u32, blamed: LossReason, loss: Loss) {
        let visit = &mut self.visits[visit_idx as usize];
        if visit.failed.is_none() {
            let is_upstream = visit.next as usize > self.hops[visit.node as usize].calls.len();
            let at = self.hops[visit.node as usize].owner;
            visit.failed = if is_upstream { loss } else { Loss { at, reason: blamed } };
        }
    }

    /// The next call of a visit, or those that it makes at the same time, or its answer. All calls are
    /// made even when one fails: as the flow has it.
    pub(super) fn go_on(&mut self, visit_idx: u32) {
        let visit = &mut self.visits[visit_idx as usize];
        let Hop { calls, together, .. } = &self.hops[visit.node as usize];
        let next = visit.next as usize;
        if let Some(&count) = together.get(next).filter(|count| **count > 1) {
            return self.call_together(visit_idx, count);
        }
        visit.next += 1;
        let edge = match calls.get(next) {
            Some(edge) => Some(*edge),
            None if next == calls.len() => self.pass_on(visit_idx, self.calendar.now()),
            None => None,
        };
        match edge {
            Some(edge) if self.is_cached(edge) => self.go_on(visit_idx),
            Some(edge) => self.call(edge, Caller::Visit(visit_idx), self.calendar.now()),
            None => self.answer(visit_idx),
        }
    }

    /// Makes the next so many calls of a visit at once.
    #[inline(never)]
    fn call_together(&mut self, visit_idx: u32, count: u32) {
        let visit = &mut self.visits[visit_idx as usize];
        let (node, first) = (visit.node as usize, visit.next);
        // Set before the first of them is made, which may be over at once.
        visit.others = count - 1;
        visit.next += count;
        for call in first..first + count {
            let edge = self.hops[node].calls[call as usize];
            if self.is_cached(edge) {
                self.resume(visit_idx, LossReason::None, Loss::NONE);
                continue;
            }
            self.call(edge, Caller::Visit(visit_idx), self.calendar.now());
        }
    }
}
