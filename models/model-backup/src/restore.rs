//! What can be restored, and how long it takes: one pure decision, for strikes that happen and for
//! those that are only imagined.
//!
//! # Modelled
//! The newest restorable moment = what was scheduled, succeeded, is still kept, stands in a place that
//! is left, is encrypted with a key that is left, and (for a point in time) has an archive without a
//! gap from its base backup on. People take the newest copy that looks good; one that turns out not to
//! be costs its whole transfer, then the next older one is tried. Time: objects that are made one after
//! another, bytes over throughput, replay of the log since the base backup.
//! # Not modelled
//! Growth of data; a restore onto a timeline that was given up. Restores that read one place share what it
//! gives when a disaster really strikes; what is only imagined counts each by itself.
//! # Defaults and their sources
//! Order of phases and their sum: PG-20 of the specification of platform services; its worked
//! values (PG-22: 46 min and 3.2 h) are a test.
//! # Invariants
//! Nothing that was written after a loss is restored. With a place, a key or a copy less the restored
//! moment is never later.
//! # Checked against
//! PG-22; the property tests of `tests/it`.

use model_api::backup::{BackupPolicy, CopyRule, Method, Protection};
use model_api::observation::Lack;
use model_api::{PlaceId, PolicyId};
use sim_kernel::SimSpan;

use crate::archive::{ArchiveState, Stairs};
use crate::fate::Survivors;
use crate::runs::{Copy, Runs};
use crate::stamp::{Stamp, transfer};

/// How copies of one origin are read after a loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    /// They are there so much later than at the place they were made for.
    pub(crate) lag: SimSpan,
    /// The place they were made for was lost then: later ones were not passed on.
    pub(crate) cut: Stamp,
    /// From then on it stands again, and what is made is passed on.
    pub(crate) goes_on: Stamp,
    /// What came before then went with the place where they are read.
    pub(crate) empty_until: Stamp,
    /// Where they are read.
    pub(crate) place: PlaceId,
    /// Nothing but the lock of that place kept them from being deleted, for so long each.
    pub(crate) only_locked_for: Option<SimSpan>,
    /// Whoever deletes them is gone with what was struck.
    pub(crate) is_deleter_gone: bool,
}

impl Way {
    /// Whether a copy that was ready then has come here and is still here.
    fn has(&self, ready_at: Stamp) -> bool {
        let came_at = ready_at.plus(self.lag);
        came_at >= self.empty_until && (came_at < self.cut || ready_at >= self.goes_on)
    }
}

/// What is left of the copies of one data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct View {
    /// Policies of the data set that can be read from.
    pub(crate) ways: Vec<(PolicyId, Way)>,
    /// The archive, if it can be read.
    pub(crate) archive: Option<Way>,
    /// Whoever destroyed the data also deleted what copies could be deleted.
    pub(crate) is_attacked: bool,
}

/// When a place was gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    /// It was lost then, with all that was in it.
    pub(crate) lost_at: Stamp,
    /// It stands again from then on, empty: the data it stands beside was restored.
    pub(crate) back_at: Stamp,
}

impl Gap {
    /// It was always there.
    pub(crate) const NONE: Self = Self { lost_at: Stamp::MAX, back_at: Stamp::MIN };
}

/// The way to copies that were made for `to`: from the place that has them soonest.
pub(crate) fn way(
    to: PlaceId,
    copies: &[CopyRule],
    survivors: Survivors,
    gaps: &[Gap],
) -> Option<Way> {
    let first = CopyRule { to, lag: SimSpan::ZERO };
    let left = std::iter::once(&first).chain(copies);
    let left = left.filter(|copy| survivors.has_place(copy.to.index()));
    let best = left.min_by_key(|copy| copy.lag)?;
    let gap = if best.to == to { Gap::NONE } else { gaps[to.index()] };
    Some(Way {
        lag: best.lag,
        cut: gap.lost_at,
        goes_on: gap.back_at,
        empty_until: gaps[best.to.index()].back_at,
        place: best.to,
        only_locked_for: None,
        is_deleter_gone: false,
    })
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    /// When it struck: nothing written from then on is wanted.
    pub(crate) struck_at: Stamp,
    /// Copies must be ready before this.
    pub(crate) ready_before: Stamp,
    /// Copies must not have been pruned before this.
    pub(crate) pruned_from: Stamp,
    /// When the restore begins to read.
    pub(crate) read_at: Stamp,
    /// The database still runs when the loss is found, so that its log is archived to the end.
    pub(crate) is_server_left: bool,
}

/// What there is to choose from.
#[derive(Clone, Copy)]
pub(crate) struct Stock<'a> {
    pub(crate) protection: &'a Protection,
    pub(crate) runs: &'a Runs,
    pub(crate) archive: Option<(&'a ArchiveState, &'a [Stairs])>,
    pub(crate) size_bytes: u64,
    pub(crate) written_bytes_per_second: u64,
    /// By place: bytes a second that can be read.
    pub(crate) read_rates: &'a [u64],
    /// What the volume that is restored to takes.
    pub(crate) volume_bytes_per_second: u64,
}

/// The best that can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Everything that was written before is restored.
    pub(crate) reach: Stamp,
    /// Copies that were tried first and could not be restored.
    pub(crate) bad_count: u32,
    /// Moving bytes, those of bad copies included.
    pub(crate) fetch: SimSpan,
    /// Replaying the log.
    pub(crate) replay: SimSpan,
    /// Where the bytes come from. Simplified: those of bad copies too.
    pub(crate) place: PlaceId,
    /// The part of `fetch` that moves bytes, at so many a second.
    pub(crate) moving: SimSpan,
    pub(crate) bytes_per_second: u64,
}

impl Found {
    pub(crate) fn takes(&self) -> SimSpan {
        self.fetch.saturating_add(self.replay)
    }
}

/// The newest moment that can be restored, and what it takes; `None` when there is none.
pub(crate) fn newest(stock: &Stock<'_>, view: &View, question: &Question) -> Option<Found> {
    let mut cursors: Vec<Cursor<'_>> = view
        .ways
        .iter()
        .map(|(policy, way)| Cursor::new(stock, view, question, *policy, *way))
        .collect();
    let (mut bad_count, mut fetch, mut moving) = (0, SimSpan::ZERO, SimSpan::ZERO);
    loop {
        let best =
            cursors.iter_mut().filter(|cursor| cursor.found.is_some()).max_by_key(|cursor| {
                let (copy, reach) = cursor.found.expect("filtered");
                (reach, copy.taken_at)
            })?;
        let (copy, reach) = best.found.expect("filtered");
        fetch = fetch.saturating_add(best.fetch);
        moving = moving.saturating_add(best.moving);
        if copy.is_sound {
            let replayed = u128::from(reach.since(copy.taken_at).as_nanos())
                * u128::from(stock.written_bytes_per_second)
                / 1_000_000_000;
            let replayed = u64::try_from(replayed).unwrap_or(u64::MAX);
            let replay = match best.spec.method {
                Method::Base => {
                    transfer(replayed, stock.protection.recovery.replay_bytes_per_second)
                }
                Method::Snapshot | Method::Files => SimSpan::ZERO,
            };
            let (place, bytes_per_second) = (best.way.place, best.bytes_per_second);
            return Some(Found {
                reach,
                bad_count,
                fetch,
                replay,
                place,
                moving,
                bytes_per_second,
            });
        }
        bad_count += 1;
        best.next();
    }
}

/// What the copies lack of which none can be restored: of all policies, that which comes furthest.
pub(crate) fn lack(stock: &Stock<'_>, view: &View, question: &Question) -> Lack {
    let of = |(policy, way): &(PolicyId, Way)| {
        let mut cursor = Cursor::new(stock, view, question, *policy, *way);
        let mut copy_count = 0;
        while cursor.found.is_some() {
            copy_count += 1;
            cursor.next();
        }
        if copy_count > 0 {
            return Lack::Soundness { copy_count };
        }
        let copies = &stock.runs.policies[policy.index()].copies;
        let is_one_there = copies.iter().any(|copy| cursor.is_kept(copy) && cursor.is_there(copy));
        if is_one_there { Lack::Log } else { Lack::Copy }
    };
    view.ways.iter().map(of).max().unwrap_or(Lack::Copy)
}

/// The copies of one policy that answer a question, newest first.
struct Cursor<'a> {
    stock: &'a Stock<'a>,
    view: &'a View,
    question: &'a Question,
    spec: &'a BackupPolicy,
    way: Way,
    policy: PolicyId,
    /// Copies before this position are still to be looked at.
    left: usize,
    fetch: SimSpan,
    moving: SimSpan,
    bytes_per_second: u64,
    found: Option<(Copy, Stamp)>,
}

impl<'a> Cursor<'a> {
    fn new(
        stock: &'a Stock<'a>,
        view: &'a View,
        question: &'a Question,
        policy: PolicyId,
        way: Way,
    ) -> Self {
        let spec = &stock.protection.policies[policy.index()];
        let place = &stock.protection.places[way.place.index()];
        let copies = &stock.runs.policies[policy.index()].copies;
        let left = copies.partition_point(|copy| copy.started_at < question.struck_at);
        let rate = stock.read_rates[way.place.index()].min(stock.volume_bytes_per_second);
        // A volume that is made of a snapshot shares its blocks until they are written to.
        let moved = if place.has_snapshots { 0 } else { stock.size_bytes };
        let moving = transfer(moved, rate);
        let mut cursor = Self {
            stock,
            view,
            question,
            spec,
            way,
            policy,
            left,
            fetch: moving.saturating_add(spec.restore_overhead),
            moving,
            bytes_per_second: rate,
            found: None,
        };
        cursor.next();
        cursor
    }

    fn next(&mut self) {
        let copies = &self.stock.runs.policies[self.policy.index()].copies;
        self.found = None;
        while self.found.is_none() && self.left > 0 {
            self.left -= 1;
            let copy = &copies[self.left];
            // Copies of a policy go in the order in which they were made: all older ones are gone too.
            if !self.is_kept(copy) {
                self.left = 0;
                return;
            }
            self.found = self.reach(copy).map(|reach| (*copy, reach));
        }
    }

    /// Whether nobody has deleted a copy when it is read.
    fn is_kept(&self, copy: &Copy) -> bool {
        let expired_before = match self.way.is_deleter_gone {
            true => self.question.struck_at,
            false => self.question.read_at,
        };
        copy.expires_at >= expired_before && copy.pruned_at >= self.question.pruned_from
    }

    /// Whether a copy was made in time and is where it is read.
    fn is_there(&self, copy: &Copy) -> bool {
        let question = self.question;
        copy.taken_at < question.struck_at
            && copy.ready_at.plus(self.way.lag) < question.ready_before
            && self.way.has(copy.ready_at)
            // A run that is not over when a loss is found is ended with everything else.
            && copy.ready_at < question.pruned_from
            && self.way.only_locked_for.is_none_or(|lock| {
                copy.ready_at.plus(self.way.lag).plus(lock) >= question.struck_at
            })
    }

    /// Up to when a copy restores; `None` when it cannot be used.
    fn reach(&self, copy: &Copy) -> Option<Stamp> {
        let question = self.question;
        if !self.is_there(copy) {
            return None;
        }
        let Some((archive, stairs)) =
            self.stock.archive.filter(|_| self.spec.method == Method::Base)
        else {
            return Some(copy.taken_at);
        };
        let way = self.view.archive.filter(|way| copy.started_at >= way.empty_until)?;
        let stored = if question.is_server_left
            && archive.is_complete(copy.started_at, question.ready_before)
        {
            Some(question.struck_at)
        } else {
            let cut = if copy.started_at < way.goes_on { way.cut } else { Stamp::MAX };
            let before = question.ready_before.min(cut).minus(way.lag);
            archive.reach_from(stairs, copy.started_at, before)
        };
        let reach = stored?.min(question.struck_at);
        (reach >= copy.taken_at).then_some(reach)
    }
}
