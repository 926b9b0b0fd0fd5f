//! What faults destroy or break: data, places of copies, keys, and the making of copies.

use std::sync::Arc;

use model_api::{DataSetId, KeyId, Observation, PlaceId, PolicyId};
use sim_kernel::{Context, Recorder, SimSpan};

use super::{BackupEvent, Backups, Breakage};
use crate::fate::{Damage, Disaster, Fates, Survivors};
use crate::restore::Gap;
use crate::stamp::Stamp;

impl Backups {
    /// Something is destroyed, and every data set with it that has no other live copy. Returns how
    /// many data sets, places and keys are gone with it.
    pub fn strike<E, R>(&mut self, disaster: Disaster, ctx: &mut Context<'_, E, R>) -> u32
    where
        E: Copy + From<BackupEvent>,
        R: Recorder<Observation>,
    {
        self.damage_and_strike(disaster, |damage| *damage = Fates::add(*damage, disaster), ctx)
    }

    pub(super) fn damage_and_strike<E, R>(
        &mut self,
        disaster: Disaster,
        hurt: impl FnOnce(&mut Damage),
        ctx: &mut Context<'_, E, R>,
    ) -> u32
    where
        E: Copy + From<BackupEvent>,
        R: Recorder<Observation>,
    {
        let now = Stamp::of(ctx.now());
        self.look(ctx);
        let before = self.survivors(&self.damage, None);
        let grounds = self.grounds();
        hurt(&mut self.damage);
        self.lose_servers(disaster, now);
        let mut gone = self.lose_grounds(&grounds, disaster, ctx);
        for idx in 0..self.sets.len() {
            if self.sets[idx].loss.is_none() && !self.stands(idx, &self.damage) {
                gone += 1;
                self.begin_loss(DataSetId::from_index(idx), disaster, None, ctx);
            }
        }
        gone += self.note_lost(before, now);
        self.refresh(now);
        self.start_restores(ctx);
        gone
    }

    /// Servers that make and delete copies go with the platform that they run in.
    fn lose_servers(&mut self, disaster: Disaster, now: Stamp) {
        let blueprint = Arc::clone(&self.blueprint);
        let policies = blueprint.protection.policies.iter().enumerate();
        let gone = policies.filter(|(_, policy)| {
            policy.server.is_some() && self.takes_site(policy.data_set.index(), disaster)
        });
        let gone: Vec<PolicyId> = gone.map(|(idx, _)| PolicyId::from_index(idx)).collect();
        self.runs.set_server(&gone, false, now);
    }

    /// Whether a disaster takes everything that a data set stands on.
    pub(super) fn takes_site(&self, idx: usize, disaster: Disaster) -> bool {
        match disaster {
            Disaster::Region => true,
            Disaster::Account(account) => account == self.fates.account_of(idx),
            Disaster::Node | Disaster::Zone(_) | Disaster::Logical | Disaster::Ransomware => false,
        }
    }

    /// The content of a data set is destroyed in every live copy, which is noticed later. Returns how
    /// many data sets that strikes: one, or none when there is no content that could be destroyed.
    pub fn corrupt<E, R>(
        &mut self,
        data_set: DataSetId,
        dwell: SimSpan,
        deletes_copies: bool,
        ctx: &mut Context<'_, E, R>,
    ) -> u32
    where
        E: Copy + From<BackupEvent>,
        R: Recorder<Observation>,
    {
        if self.sets[data_set.index()].loss.is_some() {
            return u32::from(self.corrupt_again(data_set, dwell, deletes_copies, ctx));
        }
        self.look(ctx);
        let disaster = if deletes_copies { Disaster::Ransomware } else { Disaster::Logical };
        self.begin_loss(data_set, disaster, Some(dwell), ctx);
        1
    }

    /// A place is gone with every copy in it. Returns 1, or 0 when it was gone before.
    pub fn lose_place<E, R>(&mut self, place: PlaceId, ctx: &mut Context<'_, E, R>) -> u32
    where
        E: Copy + From<BackupEvent>,
        R: Recorder<Observation>,
    {
        self.look(ctx);
        let before = self.survivors(&self.damage, None);
        self.damage.places |= 1 << place.index();
        let now = Stamp::of(ctx.now());
        let gone = self.note_lost(before, now);
        self.refresh(now);
        self.start_restores(ctx);
        gone
    }

    /// A key is gone. Returns 1, or 0 when it was gone before.
    pub fn lose_key<E, R>(&mut self, key: KeyId, ctx: &mut Context<'_, E, R>) -> u32
    where
        E: Copy + From<BackupEvent>,
        R: Recorder<Observation>,
    {
        self.look(ctx);
        let before = self.survivors(&self.damage, None);
        self.damage.keys |= 1 << key.index();
        self.start_restores(ctx);
        u32::from(before.has_key(key.index()))
    }

    /// Backups of a policy break or are mended.
    pub fn set_policy_fault<E, R>(
        &mut self,
        policy: PolicyId,
        fault: Option<Breakage>,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<BackupEvent>,
        R: Recorder<Observation>,
    {
        self.look(ctx);
        self.policy_faults[policy.index()] = fault;
        // A restore test may have found and mended it before.
        let blueprint = Arc::clone(&self.blueprint);
        let is_silent = fault == Some(Breakage::Silent);
        self.runs.set_silent(&blueprint.protection, policy, is_silent, Stamp::of(ctx.now()));
        self.refresh(Stamp::of(ctx.now()));
    }

    /// The archive of a data set breaks or is mended. Returns how many there are: 1 or 0.
    pub fn set_archive_fault<E, R>(
        &mut self,
        data_set: DataSetId,
        fault: Option<Breakage>,
        ctx: &mut Context<'_, E, R>,
    ) -> u32
    where
        E: Copy + From<BackupEvent>,
        R: Recorder<Observation>,
    {
        let Some(idx) = self.archive_idx(data_set) else { return 0 };
        self.look(ctx);
        let now = Stamp::of(ctx.now());
        let was = std::mem::replace(&mut self.archive_faults[idx], fault);
        // Whatever ends it: what was not stored meanwhile never will be.
        if was == Some(Breakage::Silent) && fault != Some(Breakage::Silent) {
            ctx.hit(&crate::rare::ARCHIVE_GAP);
            self.archives[idx].break_era(now);
        }
        self.refresh(now);
        1
    }

    /// Notes which places were lost or came back just now; returns how many places and keys were lost.
    pub(super) fn note_lost(&mut self, before: Survivors, now: Stamp) -> u32 {
        let after = self.survivors(&self.damage, None);
        for (idx, gap) in self.gaps.iter_mut().enumerate() {
            match (before.has_place(idx), after.has_place(idx)) {
                (true, false) => *gap = Gap { lost_at: now, back_at: Stamp::MAX },
                (false, true) => gap.back_at = now,
                _ => {}
            }
        }
        before.count_beyond(after)
    }
}
