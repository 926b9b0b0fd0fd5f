//! What keeps people from places for a while: zones that are down, storage pools that stop or are slow,
//! keys that cannot be used.

use std::sync::Arc;

use model_api::observation::PoolIo;
use model_api::{KeyId, PlaceId, PolicyId, PoolId};
use sim_kernel::{Context, Recorder};

use super::{BackupEvent, Backups, Observation};
use crate::fate::Disaster;
use crate::stamp::Stamp;

/// What keeps people from a place that is not lost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Obstacles {
    pub(super) zones_down: u64,
    pub(super) pools_stopped: u64,
    pub(super) keys_disabled: u64,
    /// Nothing is down but what a disaster destroys that is only imagined.
    pub(super) is_imagined: bool,
}

impl Obstacles {
    /// None.
    pub(super) const NONE: Self =
        Self { zones_down: 0, pools_stopped: 0, keys_disabled: 0, is_imagined: false };
    /// Those of a disaster that is only imagined.
    pub(super) const IMAGINED: Self = Self { is_imagined: true, ..Self::NONE };

    /// Those of this moment.
    pub(super) fn now(backups: &Backups) -> Self {
        let (zones_down, pools_stopped) = (backups.zones_down, backups.pools_stopped);
        let keys_disabled = backups.keys_disabled;
        Self { zones_down, pools_stopped, keys_disabled, is_imagined: false }
    }

    /// Whether what is encrypted with a key can be read and written.
    pub(super) fn lets_use(self, key: Option<KeyId>) -> bool {
        key.is_none_or(|key| self.keys_disabled >> key.index() & 1 == 0)
    }
}

impl Backups {
    /// Tells that a storage pool does not read and write, or will in a moment, or does.
    pub fn set_pool_io<E, R>(&mut self, pool: PoolId, io: PoolIo, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<BackupEvent>,
        R: Recorder<Observation>,
    {
        self.look(ctx);
        let bit = 1 << pool.index();
        let with = |bits: u64, is_set: bool| if is_set { bits | bit } else { bits & !bit };
        self.pools_stopped = with(self.pools_stopped, io.is_stopped());
        self.pools_pausing = with(self.pools_pausing, io == PoolIo::Pauses);
        self.refresh(Stamp::of(ctx.now()));
        self.start_restores(ctx);
    }

    /// Tells that a key cannot be used, or can again. Returns how many policies and archives need it.
    ///
    /// Simplified: who writes asks for it each time, as object stores do that encrypt with keys of a KMS;
    /// one who keeps the key in memory goes on.
    pub fn set_key_disabled<E, R>(
        &mut self,
        key: KeyId,
        is_disabled: bool,
        ctx: &mut Context<'_, E, R>,
    ) -> u32
    where
        E: Copy + From<BackupEvent>,
        R: Recorder<Observation>,
    {
        self.look(ctx);
        let bit = 1 << key.index();
        self.keys_disabled =
            if is_disabled { self.keys_disabled | bit } else { self.keys_disabled & !bit };
        self.refresh(Stamp::of(ctx.now()));
        self.start_restores(ctx);
        let protection = self.protection();
        let policies = protection.policies.iter().filter(|it| it.key == Some(key)).count();
        let archives = protection.archives.iter().filter(|it| it.key == Some(key)).count();
        u32::try_from(policies + archives).expect("these are written by hand")
    }

    /// Tells that a place takes nothing more, or does again; what is in it can be read. Returns how many
    /// policies and archives write there.
    pub fn set_full<E, R>(
        &mut self,
        place: PlaceId,
        is_full: bool,
        ctx: &mut Context<'_, E, R>,
    ) -> u32
    where
        E: Copy + From<BackupEvent>,
        R: Recorder<Observation>,
    {
        self.look(ctx);
        let bit = 1 << place.index();
        self.places_full = if is_full { self.places_full | bit } else { self.places_full & !bit };
        self.refresh(Stamp::of(ctx.now()));
        let protection = self.protection();
        let policies = protection.policies.iter().filter(|it| it.to == place).count();
        let archives = protection.archives.iter().filter(|it| it.to == place).count();
        u32::try_from(policies + archives).expect("these are written by hand")
    }

    /// Tells that the server that makes the runs of some policies is away, or back. A run that it made
    /// then has failed, and what comes due meanwhile is made once when it is back.
    pub fn set_server_up<E, R>(
        &mut self,
        policies: &[PolicyId],
        is_up: bool,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<BackupEvent>,
        R: Recorder<Observation>,
    {
        self.look(ctx);
        if self.runs.set_server(policies, is_up, Stamp::of(ctx.now())) > 0 {
            ctx.hit(&crate::rare::RUN_CUT_SHORT);
        }
    }

    /// Whether a place takes what is written to it.
    pub(super) fn takes_more(&self, place: PlaceId) -> bool {
        self.places_full >> place.index() & 1 == 0
    }

    /// A storage pool lost data, and with it what stands on it. Returns how many data sets, places and
    /// keys are gone.
    pub fn lose_pool<E, R>(&mut self, pool: PoolId, ctx: &mut Context<'_, E, R>) -> u32
    where
        E: Copy + From<BackupEvent>,
        R: Recorder<Observation>,
    {
        self.damage_and_strike(Disaster::Node, |damage| damage.pools |= 1 << pool.index(), ctx)
    }

    /// Another rate at which a place can be read and written, in bytes a second.
    ///
    /// Simplified: a run or a restore that has begun goes on at the rate it began with.
    pub fn set_place_rates<E, R>(
        &mut self,
        place: PlaceId,
        (read, write): (u64, u64),
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<BackupEvent>,
        R: Recorder<Observation>,
    {
        self.look(ctx);
        let blueprint = Arc::clone(&self.blueprint);
        let now = Stamp::of(ctx.now());
        self.read_rates[place.index()] = read;
        self.runs.set_write_rate(place, write);
        for (spec, archive) in blueprint.protection.archives.iter().zip(&mut self.archives) {
            if spec.to == place {
                archive.set_write_rate(write, now);
            }
        }
        self.refresh(now);
    }
}
