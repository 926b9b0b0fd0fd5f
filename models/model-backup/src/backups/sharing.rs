//! Restores that read one place at the same time share what it gives.
//!
//! # Modelled
//! Each gets an equal share, or as much as its volume takes, and what one does not take the others get (max-min
//! fairness: parallel connections to one store). Shares change when a restore begins or ends to move bytes.
//! # Not modelled
//! Simplified: bytes move first, objects and replay follow; a place that gets slower or faster meanwhile does so
//! for those that share it only when shares change.
//! # Defaults and their sources
//! None of its own.
//! # Invariants
//! Restores of a place get no more than it gives, and each no more than alone.
//! # Checked against
//! `tests/it/recovery.rs`: restores of one place and of two.

use model_api::{DataSetId, Observation, PlaceId};
use sim_kernel::{Context, Recorder, SimSpan, Timer};

use super::{BackupEvent, Backups, PRIORITY};
use crate::restore::Found;
use crate::stamp::Stamp;

/// A restore whose bytes move.
#[derive(Clone, Copy, Debug)]
struct Mover {
    data_set: DataSetId,
    place: PlaceId,
    /// What it reads alone, and now, in bytes a second.
    alone: u64,
    rate: u64,
    /// How long the rest of its bytes takes alone, as of `since`.
    left: SimSpan,
    since: Stamp,
    /// What comes after its bytes.
    rest: SimSpan,
}

impl Mover {
    /// How long the rest of its bytes takes at its rate.
    fn takes(&self) -> SimSpan {
        scaled(self.left, self.alone, self.rate.max(1))
    }

    fn go_on_to(&mut self, now: Stamp) {
        let gone = now.since(self.since);
        let is_over = gone >= self.takes();
        self.left = if is_over {
            SimSpan::ZERO
        } else {
            self.left.saturating_sub(scaled(gone, self.rate, self.alone.max(1)))
        };
        self.since = now;
    }
}

/// A time that grows by so much; rounded up, and for ever where that is too much.
fn scaled(span: SimSpan, by: u64, of: u64) -> SimSpan {
    let nanos = (u128::from(span.as_nanos()) * u128::from(by)).div_ceil(u128::from(of));
    SimSpan::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// Restores whose bytes move.
#[derive(Clone, Debug, Default)]
pub(super) struct Movers {
    movers: Vec<Mover>,
    timer: Timer,
}

impl Backups {
    /// A restore begins to move bytes: it ends when these are there and what follows is done.
    pub(super) fn move_bytes<E, R>(
        &mut self,
        data_set: DataSetId,
        found: &Found,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<BackupEvent>,
        R: Recorder<Observation>,
    {
        // Beyond the end of virtual time it never ends.
        if ctx.now().checked_add(found.takes()).is_none() {
            return;
        }
        self.expect(BackupEvent::RestoreDone(data_set), data_set, found.takes(), ctx);
        if found.moving.is_zero() {
            return;
        }
        self.moving.movers.push(Mover {
            data_set,
            place: found.place,
            alone: found.bytes_per_second,
            rate: found.bytes_per_second,
            left: found.moving,
            since: Stamp::of(ctx.now()),
            rest: found.takes().saturating_sub(found.moving),
        });
        self.share_places(ctx);
    }

    /// The bytes of a restore are there, or it is given up.
    pub(super) fn end_moving<E, R>(&mut self, data_set: DataSetId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<BackupEvent>,
        R: Recorder<Observation>,
    {
        let count = self.moving.movers.len();
        self.moving.movers.retain(|mover| mover.data_set != data_set);
        if self.moving.movers.len() < count {
            self.share_places(ctx);
        }
    }

    /// Gives every restore its share from now on.
    pub(super) fn share_places<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<BackupEvent>,
        R: Recorder<Observation>,
    {
        let now = Stamp::of(ctx.now());
        let mut movers = std::mem::take(&mut self.moving.movers);
        for mover in &mut movers {
            mover.go_on_to(now);
        }
        movers.retain(|mover| !mover.left.is_zero());
        ctx.cancel(self.moving.timer);
        let mut next: Option<SimSpan> = None;
        for idx in 0..movers.len() {
            let rate = self.share(&movers, idx);
            let mover = &mut movers[idx];
            if mover.rate != rate {
                mover.rate = rate;
                let takes = mover.takes().saturating_add(mover.rest);
                self.put_off(BackupEvent::RestoreDone(mover.data_set), mover.data_set, takes, ctx);
            }
            let (place, takes) = (mover.place, mover.takes());
            if movers.iter().filter(|it| it.place == place).count() > 1 {
                next = Some(next.map_or(takes, |next| next.min(takes)));
            }
        }
        self.moving.movers = movers;
        if let Some(at) = next.and_then(|span| ctx.now().checked_add(span)) {
            self.moving.timer = ctx.timer_at(at, PRIORITY, BackupEvent::SharesChange);
        }
    }

    /// What one of several restores gets of its place: max-min fair.
    fn share(&self, movers: &[Mover], idx: usize) -> u64 {
        let own = movers[idx];
        let mut alone: Vec<u64> =
            movers.iter().filter(|it| it.place == own.place).map(|it| it.alone).collect();
        if alone.len() == 1 {
            return own.alone;
        }
        alone.sort_unstable();
        let mut left = self.read_rates[own.place.index()];
        let mut count = alone.len() as u64;
        for rate in alone {
            let share = (left / count).min(rate);
            if rate == own.alone {
                return share.max(1);
            }
            (left, count) = (left - share, count - 1);
        }
        own.alone
    }
}
