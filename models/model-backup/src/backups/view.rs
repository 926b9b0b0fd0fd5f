//! What is left of copies, and who gets at it.

use model_api::{DataSetId, KeyId, PolicyId};

use super::Backups;
use super::obstacles::Obstacles;
use crate::fate::{Damage, Disaster, Survivors};
use crate::restore::{View, Way, way};

impl Backups {
    /// What is left of the copies of a data set that a disaster strikes, as long as something keeps
    /// people from them.
    pub(super) fn view(
        &self,
        idx: usize,
        disaster: Disaster,
        damage: &Damage,
        obstacles: Obstacles,
    ) -> View {
        let protection = self.protection();
        let data_set = DataSetId::from_index(idx);
        let account = &protection.data_sets[idx].account;
        let is_attacked = disaster == Disaster::Ransomware;
        let survivors = self.readable(idx, disaster, damage, obstacles);
        let has_key = |key: Option<KeyId>| {
            key.is_none_or(|key| survivors.has_key(key.index())) && obstacles.lets_use(key)
        };
        let ways = protection.policies_of(data_set).filter_map(|id| {
            let policy = &protection.policies[id.index()];
            let way = way(policy.to, &policy.copies, survivors, &self.gaps)?;
            has_key(policy.key).then_some((id, way))
        });
        let archive = protection.archive_of(data_set).and_then(|archive| {
            let way = way(archive.to, &archive.copies, survivors, &self.gaps)?;
            has_key(archive.key).then_some(way)
        });
        let takes_site = self.takes_site(idx, disaster);
        let guard = |(policy, way): (PolicyId, Way)| {
            let place = &protection.places[way.place.index()];
            let is_in_reach = is_attacked && place.location.account == *account;
            let only_locked_for = place.lock.filter(|_| is_in_reach);
            // It ran in the platform.
            let is_deleter_gone =
                takes_site && protection.policies[policy.index()].server.is_some();
            (policy, Way { only_locked_for, is_deleter_gone, ..way })
        };
        View { ways: ways.map(guard).collect(), archive, is_attacked }
    }

    /// Places that are left and can be read, and keys that are left, after a disaster.
    pub(super) fn readable(
        &self,
        idx: usize,
        disaster: Disaster,
        damage: &Damage,
        obstacles: Obstacles,
    ) -> Survivors {
        let protection = self.protection();
        let account = &protection.data_sets[idx].account;
        let is_attacked = disaster == Disaster::Ransomware;
        self.survivors(damage, Some(DataSetId::from_index(idx))).without(|place| {
            let spec = &protection.places[place];
            let is_deleted =
                is_attacked && spec.lock.is_none() && spec.location.account == *account;
            is_deleted
                || !self.is_reachable(place, obstacles)
                || (obstacles.is_imagined && !self.fates.is_served_after(place, damage))
        })
    }

    /// What is left, if this data set were lost besides those that are.
    pub(super) fn survivors(&self, damage: &Damage, lost: Option<DataSetId>) -> Survivors {
        let stands = |data_set: DataSetId| self.stands(data_set.index(), damage);
        let is_alive = |data_set: DataSetId| {
            self.sets[data_set.index()].loss.is_none() && lost != Some(data_set) && stands(data_set)
        };
        self.fates.survivors(damage, stands, is_alive)
    }

    /// Whether all of a data set is left after some damage, whatever is in it.
    ///
    /// Simplified: what was restored after the region, the account or every zone was lost stands in a
    /// place of its own, which no later loss of a zone, a region or an account strikes.
    pub(super) fn stands(&self, idx: usize, damage: &Damage) -> bool {
        let set = &self.sets[idx];
        set.is_rebuilt || self.fates.has_live_copy(idx, (set.home, set.pools), damage)
    }

    pub(super) fn is_reachable(&self, place: usize, obstacles: Obstacles) -> bool {
        if let Some(pool) = self.fates.pool_of(place) {
            return obstacles.pools_stopped >> pool.index() & 1 == 0;
        }
        self.fates.is_reachable(place, obstacles.zones_down, |data_set| {
            self.sets[data_set.index()].home & obstacles.zones_down == 0
        })
    }

    /// Whether the pool under a place waits for a moment: whoever writes to it tries again.
    pub(super) fn is_pausing(&self, place: usize) -> bool {
        self.fates.pool_of(place).is_some_and(|pool| self.pools_pausing >> pool.index() & 1 == 1)
    }
}
