//! If it struck now: what would be lost, and how long to be back, as functions of time.
//!
//! Both are worked out for whole stretches of time at once. Within a stretch the moment that would be
//! restored stands still, so that the loss grows with time, or goes up in the regular steps of an
//! archive; at the ends of stretches copies become ready, are deleted or get too old. Virtual time is
//! whole nanoseconds, so a stretch `(from, until]` holds the strikes at `from + 1 ns` to `until`, its
//! greatest loss is had by a strike within it, and the greatest of all stretches is exact.
//!
//! # Modelled
//! Loss: from the restored moment to the strike, or, of a loss that is noticed later, to the moment it
//! is noticed; everything when nothing can be restored; what the best live copy lacks when one is left,
//! which whoever keeps the copies in step tells ([`model_api::stake`]).
//! Time to be back: the people and machines of this run's luck, bad copies, transfer, replay, checks.
//! # Not modelled
//! Simplified: how long to be back counts a data set by itself; queueing behind other restores, and
//! places that several of them read at once, count when a disaster really strikes. A key that is kept in
//! data which the same disaster strikes counts as gone; a restore that comes after that data finds it
//! again, and loses less. How soon a live copy takes over is not worked out
//! ([`ExposureStretch::takes_over`]): it hangs on who notices, on the operator and on what else is down. Where
//! it is promised, the platform tries it in branches of a run (`platform/src/takeover.rs`).
//! # Defaults and their sources
//! None of its own.
//! # Invariants
//! The loss at any moment is the loss of a world that is struck at that moment; where a key is kept in
//! data that is struck as well, it is the most that such a world loses.
//! # Checked against
//! `tests/it/exposure.rs`: strikes at every end of a stretch, and at random moments of 100 random
//! platforms.

use model_api::DataSetId;
use model_api::backup::{DisasterClass, Method};
use model_api::observation::{BackupFact, ExposureStretch, Lack};
use model_api::stake::Stake;
use sim_kernel::SimSpan;

use crate::restore::{Question, Stock, View, Way, newest};
use crate::runs::Copy;
use crate::stamp::Stamp;

/// A loss of everything, or a return that never comes.
pub const ALL: SimSpan = SimSpan::MAX;

/// What one disaster would do to one data set.
pub(crate) struct Subject<'a> {
    pub(crate) stock: Stock<'a>,
    pub(crate) view: View,
    /// The loss is in the content, so that the server runs on; noticed after that time.
    pub(crate) dwell: Option<SimSpan>,
    /// From the strike until a restore begins to read.
    pub(crate) lead: SimSpan,
    /// From the end of the restore until the service is back.
    pub(crate) verify: SimSpan,
    /// Nothing is written since then.
    pub(crate) stopped_at: Option<Stamp>,
}

/// What a strike at one moment costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// What is lost, in time; [`ALL`] for everything.
    pub loss: SimSpan,
    /// How long to be back; [`ALL`] for never.
    pub back: SimSpan,
}

/// A stretch of time, its first moment left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) from: Stamp,
    pub(crate) until: Stamp,
    /// Cost at its first moment.
    pub(crate) first: Cost,
    /// Cost at its last moment.
    pub(crate) last: Cost,
    pub(crate) loss_max: SimSpan,
    pub(crate) loss_max_at: Stamp,
    pub(crate) back_max: SimSpan,
    pub(crate) back_max_at: Stamp,
    /// The losses are bounds.
    pub(crate) is_bound: bool,
    /// So much less may be lost.
    pub(crate) slack: SimSpan,
    /// A live copy takes over.
    pub(crate) takes_over: bool,
}

impl Subject<'_> {
    /// What is asked of a strike.
    pub(crate) fn question(&self, at: Stamp) -> Question {
        let read_at = at.plus(self.lead);
        match self.dwell {
            None => Question {
                struck_at: at,
                ready_before: at,
                pruned_from: at,
                read_at,
                is_server_left: false,
            },
            Some(dwell) => Question {
                struck_at: at,
                ready_before: if self.view.is_attacked { at } else { read_at },
                pruned_from: at.plus(dwell),
                read_at,
                is_server_left: self.stopped_at.is_none() && !self.view.is_attacked,
            },
        }
    }

    /// What a strike at one moment costs.
    pub(crate) fn cost(&self, at: Stamp) -> Cost {
        let Some(found) = newest(&self.stock, &self.view, &self.question(at)) else {
            return Cost { loss: ALL, back: ALL };
        };
        let written_until = at.plus(self.dwell.unwrap_or_default());
        let written_until = self.stopped_at.map_or(written_until, |it| it.min(written_until));
        let back = self.lead.saturating_add(found.takes()).saturating_add(self.verify);
        Cost { loss: written_until.since(found.reach), back }
    }

    /// The stretches of `(from, until]`, in order and without gaps.
    pub(crate) fn stretches(&self, from: Stamp, until: Stamp) -> Vec<Stretch> {
        let mut ends = self.ends(from, until);
        ends.push(until);
        ends.sort_unstable();
        ends.dedup();
        let steps = self.steps();
        let mut stretches: Vec<Stretch> = Vec::new();
        let mut start = from;
        for end in ends {
            let next = self.stretch(start, end, &steps);
            start = end;
            match stretches.last_mut().filter(|last| last.goes_on_in(&next)) {
                Some(last) => last.extend(&next),
                None => stretches.push(next),
            }
        }
        stretches
    }

    fn stretch(&self, from: Stamp, until: Stamp, steps: &[crate::archive::Stairs]) -> Stretch {
        let first = self.cost(from.plus(NANOSECOND));
        let last = self.cost(until);
        let mut stretch = Stretch {
            from,
            until,
            first,
            last,
            loss_max: last.loss,
            loss_max_at: until,
            back_max: last.back,
            back_max_at: until,
            is_bound: false,
            slack: SimSpan::ZERO,
            takes_over: false,
        };
        // A strike at the very moment of a step comes before it. Between the first and the last step
        // of a stretch losses only rise or only fall.
        for stairs in steps {
            let before = stairs.count_before(from.plus(NANOSECOND));
            let after = stairs.count_before(until);
            if after > before {
                for at in [stairs.at(before), stairs.at(after - 1)] {
                    stretch.consider(at, self.cost(at));
                }
            }
        }
        stretch.consider(from.plus(NANOSECOND), first);
        stretch
    }

    /// The last strike for which something that becomes ready at `at` comes too late. A loss in the
    /// content leaves time for it, unless whoever caused it also deletes copies.
    fn seen_from(&self, at: Stamp) -> Stamp {
        let waits = self.dwell.is_some() && !self.view.is_attacked;
        if waits { at.minus(self.lead) } else { at }
    }

    /// Steps of the archive as a strike sees them.
    fn steps(&self) -> Vec<crate::archive::Stairs> {
        let (Some(way), Some((_, stairs))) = (self.view.archive, self.stock.archive) else {
            return Vec::new();
        };
        let shift = |stairs: &crate::archive::Stairs| {
            let first_at = stairs.first_at.plus(way.lag);
            crate::archive::Stairs { first_at: self.seen_from(first_at), ..*stairs }
        };
        stairs.iter().map(shift).collect()
    }

    /// Moments within `(from, until)` after which another copy, or none, would be restored.
    fn ends(&self, from: Stamp, until: Stamp) -> Vec<Stamp> {
        let mut ends = Vec::new();
        let steps = self.steps();
        let mut end = |at: Stamp| {
            if at > from && at < until {
                ends.push(at);
            }
        };
        for (policy, way) in &self.view.ways {
            let is_base = self.stock.protection.policies[policy.index()].method == Method::Base;
            let copies = &self.stock.runs.policies[policy.index()].copies;
            for copy in copies {
                self.ends_of(copy, way, &mut end);
                // A base backup is of use once the archive has passed its end; any other copy is not
                // tried any more once a base backup leads further.
                let passed = if is_base { copy.taken_at } else { copy.taken_at.plus(NANOSECOND) };
                steps.iter().filter_map(|stairs| stairs.passes(passed)).for_each(&mut end);
            }
            end(way.cut);
        }
        if let (Some(way), Some((archive, _))) = (self.view.archive, self.stock.archive) {
            for at in archive.joins() {
                end(self.seen_from(at.plus(way.lag)));
            }
        }
        for stairs in &steps {
            end(stairs.first_at);
            end(stairs.at(stairs.count - 1));
        }
        ends
    }

    fn ends_of(&self, copy: &Copy, way: &Way, end: &mut impl FnMut(Stamp)) {
        let ready_at = copy.ready_at.plus(way.lag);
        end(self.seen_from(ready_at));
        let dwell = self.dwell.unwrap_or_default();
        end(copy.pruned_at.minus(dwell));
        end(copy.ready_at.minus(dwell));
        if self.dwell.is_some() {
            end(copy.taken_at);
        }
        let read_after = if way.is_deleter_gone { SimSpan::ZERO } else { self.lead };
        end(copy.expires_at.minus(read_after));
        if let Some(lock) = way.only_locked_for {
            end(ready_at.plus(lock));
        }
    }
}

const NANOSECOND: SimSpan = SimSpan::from_nanos(1);

impl Stretch {
    /// As a run tells it.
    pub(crate) fn fact(
        &self,
        data_set: DataSetId,
        class: DisasterClass,
        lack: Option<Lack>,
    ) -> BackupFact {
        BackupFact::Exposure(ExposureStretch {
            data_set,
            class,
            from: self.from.time(),
            until: self.until.time(),
            loss_from_ns: self.first.loss.as_nanos(),
            loss_max_ns: self.loss_max.as_nanos(),
            loss_max_at: self.loss_max_at.time(),
            back_max_ns: self.back_max.as_nanos(),
            back_max_at: self.back_max_at.time(),
            is_loss_bound: self.is_bound,
            loss_sure_ns: self.loss_max.saturating_sub(self.slack).as_nanos(),
            lack,
            takes_over: self.takes_over,
        })
    }

    /// Those in which a live copy is left, so that nothing is restored: one for each piece. Where it
    /// `takes_over` from one that is gone, how soon is not foretold.
    pub(crate) fn of_stake(
        from: Stamp,
        until: Stamp,
        stake: &Stake,
        takes_over: bool,
    ) -> impl Iterator<Item = Self> + '_ {
        let start = |idx: usize| stake.pieces.get(idx).map(|piece| Stamp::of(piece.from));
        (0..stake.pieces.len().max(1)).filter_map(move |idx| {
            let before = start(idx).filter(|_| idx > 0).map_or(from, |it| it.minus(NANOSECOND));
            let last = start(idx + 1).map_or(until, |it| it.minus(NANOSECOND));
            let (from, until) = (from.max(before), until.min(last));
            (from < until).then(|| Self::of_piece(from, until, stake, (idx, takes_over)))
        })
    }

    fn of_piece(
        from: Stamp,
        until: Stamp,
        stake: &Stake,
        (idx, takes_over): (usize, bool),
    ) -> Self {
        let first_at = from.plus(NANOSECOND);
        let cost = |at: Stamp| Cost { loss: stake.at(at.time()), back: SimSpan::ZERO };
        let (first, last) = (cost(first_at), cost(until));
        let is_rising = last.loss > first.loss;
        Self {
            from,
            until,
            first,
            last,
            loss_max: first.loss.max(last.loss),
            loss_max_at: if is_rising { until } else { first_at },
            back_max: SimSpan::ZERO,
            back_max_at: first_at,
            is_bound: stake.is_bound,
            slack: stake.pieces.get(idx).map_or(SimSpan::ZERO, |piece| piece.slack),
            takes_over,
        }
    }

    fn consider(&mut self, at: Stamp, cost: Cost) {
        if cost.loss > self.loss_max || (cost.loss == self.loss_max && at < self.loss_max_at) {
            (self.loss_max, self.loss_max_at) = (cost.loss, at);
        }
        if cost.back > self.back_max || (cost.back == self.back_max && at < self.back_max_at) {
            (self.back_max, self.back_max_at) = (cost.back, at);
        }
    }

    /// Whether the end between two stretches ended nothing: the same copy would be restored.
    fn goes_on_in(&self, next: &Self) -> bool {
        let grown =
            if self.last.loss == ALL { ALL } else { self.last.loss.saturating_add(NANOSECOND) };
        self.last.back == next.first.back && (next.first.loss == grown || next.first == self.last)
    }

    fn extend(&mut self, next: &Self) {
        self.until = next.until;
        self.last = next.last;
        let (loss, back) = (next.loss_max, next.back_max);
        self.consider(next.loss_max_at, Cost { loss, back: SimSpan::ZERO });
        self.consider(next.back_max_at, Cost { loss: SimSpan::ZERO, back });
    }
}
