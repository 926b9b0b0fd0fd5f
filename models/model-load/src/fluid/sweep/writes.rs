//! Services of which a share of the requests writes to a database, while that takes no writes.
//!
//! Requests that write do so however often they are tried, so that they all fail, and their callers
//! try them again in vain: more of what comes to a Service are writes than of what clients ask for. The
//! requests of the smaller of two shares are among those of the larger.
//!
//! Simplified: callers get used to a change in the mean time in which attempts fail, whether they wait for that
//! or are told (`Tries::later` keeps these apart): retries in vain are counted apart already, and are nearly all
//! told of.
//!
//! Simplified: retries are spread evenly over the window of a rate limit, so that of those it lets in as many
//! are in vain as of all. In truth who is refused tries again while the window is still full, and most of what is
//! let in comes before that, retries of writers among it: where both try again at once, about a point more is lost.
//!
//! Simplified: what a gateway itself writes in vain for it takes as often from those that write behind it.

use model_api::observation::LossReason;

use super::call::{Attempts, Calls, of_retries};
use super::{EdgeState, NodeWork, Room, State, Sweep, Worst, share};
use crate::edges::{Caller, EdgeIdx};
use crate::graph::NodeIdx;

impl Sweep<'_> {
    /// Takes note of which share of the requests of each node somebody writes in vain for.
    pub(super) fn look_for_vain_writes(&self, room: &mut Room) {
        room.vain.clear();
        if !self.graph.has_part_writes {
            return;
        }
        room.vain.resize(self.graph.nodes.len(), 0.0);
        for node in (0..self.graph.nodes.len()).rev() {
            let called = self.graph.nodes[node].calls.iter().map(|call| room.vain[*call]);
            room.vain[node] = called.fold(self.own_vain(node).1, f64::max);
        }
    }

    /// The share that a node itself writes in vain for, and why that fails.
    fn own_vain(&self, node: NodeIdx) -> (LossReason, f64) {
        let writes = self.graph.nodes[node].part_writes.iter();
        writes.filter(|write| write.is_in_vain(&self.inputs.are_writable)).fold(
            (LossReason::None, 0.0),
            |most, write| {
                let part = f64::from(write.share_ppm) / 1e6;
                let reason = if write.is_denied {
                    LossReason::Denied
                } else {
                    LossReason::Database(write.database)
                };
                if part > most.1 { (reason, part) } else { most }
            },
        )
    }

    /// The share of the requests of clients that a call is made in vain for.
    fn vain_of_clients(&self, edge: EdgeIdx, room: &Room) -> f64 {
        let of = |edge: EdgeIdx| {
            room.vain.get(self.graph.edges.all[edge].callee).copied().unwrap_or(0.0)
        };
        let upstream = match self.graph.edges.all[edge].from {
            Caller::Client(source) => self.graph.edges.sources[source].upstream,
            Caller::Gateway(_) | Caller::Service(_) => None,
        };
        of(edge).max(upstream.map_or(0.0, of))
    }

    /// The same of the calls themselves.
    pub(super) fn vain(&self, edge: EdgeIdx, room: &Room) -> f64 {
        (self.vain_of_clients(edge, room) * room.edges[edge].density_first).min(1.0)
    }

    /// How much more of the attempts of a call are writes than of what clients ask for, when so many of the
    /// calls are that are made `first` a second.
    pub(super) fn density(
        &self,
        edge: EdgeIdx,
        (first, density_first): (f64, f64),
        memory: &EdgeState,
        room: &Room,
    ) -> f64 {
        let vain = self.vain_of_clients(edge, room);
        if vain <= 0.0 || first <= 0.0 {
            return density_first;
        }
        let in_vain = first * (vain * density_first).min(1.0) + memory.extra_in_vain;
        share(in_vain, first + memory.extra) / vain
    }

    /// What a node and those that it calls write in vain for.
    pub(super) fn write_in_vain(&self, node: NodeIdx, work: &mut NodeWork, room: &Room) {
        let vain = room.vain[node];
        work.vain = (vain * work.density).min(1.0);
        if work.vain <= 0.0 {
            return;
        }
        let (own, part) = self.own_vain(node);
        let reason = if part >= vain {
            own
        } else {
            let calls = self.graph.nodes[node].calls.iter();
            let worst = calls.copied().find(|call| room.vain[*call] >= vain);
            worst.map_or(own, |call| LossReason::Dependency(self.graph.nodes[call].service))
        };
        work.worst = work.worst.or(reason, work.answered * work.vain);
    }

    /// What becomes of a call of which a share is made in vain: attempts are what the others meet.
    pub(super) fn call_of_writers(
        &self,
        edge: EdgeIdx,
        attempts: Attempts,
        state: &mut State,
        secs: f64,
        room: &mut Room,
    ) {
        let policy = &self.graph.edges.all[edge].policy;
        let vain = self.vain(edge, room);
        let (tries, tries_in_vain) = (attempts.tries(policy), attempts.in_vain().tries(policy));
        let Attempts { succeeds, delay, late, worst, .. } = attempts;
        let work = &mut room.edges[edge];
        let memory = &mut state.edges[edge];
        let (first, first_in_vain) = (work.first * (1.0 - vain), work.first * vain);
        if secs > 0.0 {
            let wanted = first * tries.retries;
            let wanted_in_vain = first_in_vain * tries_in_vain.retries;
            let all = wanted + wanted_in_vain;
            let part = share(memory.afford(policy, work.first, all, secs), all);
            let later = |extra: f64, aim: f64, habit_secs: f64| {
                aim + (extra - aim) * libm::exp(-secs / habit_secs)
            };
            let others = (memory.extra - memory.extra_in_vain).max(0.0);
            memory.extra_in_vain =
                later(memory.extra_in_vain, wanted_in_vain * part, tries_in_vain.habit_secs);
            memory.extra = memory.extra_in_vain + later(others, wanted * part, tries.habit_secs);
            memory.extra_waited = memory.extra_waited.min(memory.extra);
            let rate = work.first + memory.extra;
            let in_vain = share(first_in_vain + memory.extra_in_vain, rate);
            let fails = in_vain + (1.0 - in_vain) * (1.0 - succeeds);
            let failure_secs = share(
                in_vain * tries_in_vain.failure_secs
                    + (1.0 - in_vain) * (1.0 - succeeds) * tries.failure_secs,
                fails,
            );
            self.watch_breaker(policy, Calls { rate, fails, secs }, failure_secs, memory);
        }
        let retries = share((memory.extra - memory.extra_in_vain).max(0.0), first);
        let is_open = memory.open_until.is_some_and(|until| until > self.at);
        work.fine = if is_open { 0.0 } else { ((1.0 + retries) * succeeds).min(1.0) };
        work.answered = work.fine * (1.0 - vain);
        // The last attempt of those in vain meets the limit as often as any, whatever else they meet.
        let limited = (1.0 - vain) * attempts.limited_of(work.fine)
            + vain * attempts.in_vain().limited_of(0.0);
        work.limited = if is_open { 0.0 } else { limited };
        work.delay = delay;
        (work.late, work.steps) = (of_retries(retries, tries.late_by), late);
        if secs > 0.0 {
            let answer = succeeds * (work.delay.whole_mean() + late.mean());
            let attempt = answer + (1.0 - succeeds) * tries.failure_secs;
            let response = (1.0 + retries) * attempt + tries.pause_secs;
            let in_vain = (1.0 + share(memory.extra_in_vain, first_in_vain))
                * (delay.whole_mean() + tries_in_vain.failure_secs)
                + tries_in_vain.pause_secs;
            let response = (1.0 - vain) * response + vain * in_vain;
            memory.response = if is_open { 0.0 } else { response };
        }
        work.worst =
            if is_open { Worst { reason: LossReason::BreakerOpen, share: 1.0 } } else { worst };
    }
}
