//! Storage pools: what becomes of whatever stands on one that waits, stops, is slow or is lost.
//!
//! Databases stall on their volumes; pods of workloads that a pool names answer nothing; registries hand
//! out no images; backups, archives and restores wait, fail or are slower; and what is lost is lost.

use std::sync::Arc;

use model_api::fault::{Fault, FaultKind, StorageFault};
use model_api::observation::{PoolIo, StorageFact};
use model_api::{FaultId, Observation, PlaceId, PodId, PoolId, ServiceId, ZoneId};
use model_storage::{DiskPick, Pools, StorageNotice};
use sim_kernel::{Context, Recorder};

use super::{World, ordinal_of};
use crate::event::Event;
use crate::fault::{Struck, pick_zone};

/// Pools, and what is asked of places on them.
#[derive(Clone, Debug)]
pub(super) struct StorageState {
    pub(super) pools: Pools,
    pub(super) notices: Vec<StorageNotice>,
    /// Faults that limit places or set what pools go on with, while they are on, in the order of their
    /// beginning.
    settings: Vec<FaultId>,
}

impl StorageState {
    pub(super) fn new(pools: Pools) -> Self {
        Self { pools, notices: Vec::new(), settings: Vec::new() }
    }
}

impl World {
    /// What pools do, for whoever looks at a run from outside.
    pub fn pools(&self) -> &Pools {
        &self.storage.pools
    }

    /// Tells everybody who cares for zones as a whole that one is without power or contact, or not.
    pub(super) fn tell_zone<R: Recorder<Observation>>(
        &mut self,
        zone: ZoneId,
        is_down: bool,
        ctx: &mut Context<'_, Event, R>,
    ) {
        let StorageState { pools, notices, .. } = &mut self.storage;
        pools.set_zone_down(zone, is_down, ctx, notices);
        self.data.backups.set_zone_down(zone, is_down, ctx);
    }

    /// The disks of a zone are gone for good.
    pub(super) fn destroy_disks<R: Recorder<Observation>>(
        &mut self,
        zone: ZoneId,
        ctx: &mut Context<'_, Event, R>,
    ) {
        let StorageState { pools, notices, .. } = &mut self.storage;
        pools.destroy_zone(zone, ctx, notices);
    }

    /// Strikes storage; returns what is to be undone, and how much was hit.
    pub(super) fn strike_storage<R: Recorder<Observation>>(
        &mut self,
        id: FaultId,
        fault: &Fault,
        kind: StorageFault,
        ctx: &mut Context<'_, Event, R>,
    ) -> (Struck, u32) {
        match kind {
            StorageFault::DiskLoss { pool, zone, count, is_destroyed } => {
                let zone = zone.map(|pick| pick_zone(fault, pick, &self.blueprint, self.streams));
                let pick = DiskPick { zone, count };
                let StorageState { pools, notices, .. } = &mut self.storage;
                let (loss, count) = pools.lose_disks(pool, pick, is_destroyed, ctx, notices);
                (if is_destroyed { Struck::Nothing } else { Struck::Disks(loss) }, count)
            }
            StorageFault::Throttle { place, .. } => {
                self.storage.settings.push(id);
                self.rate_place(place, ctx);
                (Struck::Throttle(place), 1)
            }
            StorageFault::MinSize { pool, .. } => {
                self.storage.settings.push(id);
                let targets = self.set_min_size(pool, ctx);
                (Struck::MinSize(pool), targets)
            }
        }
    }

    /// Lets a pool go on with as few chunks as the last of those that set it says, or the platform.
    fn set_min_size<R: Recorder<Observation>>(
        &mut self,
        pool: PoolId,
        ctx: &mut Context<'_, Event, R>,
    ) -> u32 {
        let set = self.storage.settings.iter().rev().find_map(|fault| {
            match self.plan.faults[fault.index()].kind {
                FaultKind::Storage(StorageFault::MinSize { pool: other, min_size })
                    if other == pool =>
                {
                    Some(min_size)
                }
                _ => None,
            }
        });
        let min_size = set.unwrap_or(self.blueprint.pools[pool.index()].min_size);
        let StorageState { pools, notices, .. } = &mut self.storage;
        pools.set_min_size(pool, min_size, ctx, notices)
    }

    /// Undoes what a fault did to storage.
    pub(super) fn mend_storage<R: Recorder<Observation>>(
        &mut self,
        fault: FaultId,
        struck: Struck,
        ctx: &mut Context<'_, Event, R>,
    ) {
        self.storage.settings.retain(|other| *other != fault);
        match struck {
            Struck::Disks(loss) => {
                let StorageState { pools, notices, .. } = &mut self.storage;
                pools.return_disks(loss, ctx, notices);
            }
            Struck::MinSize(pool) => {
                self.set_min_size(pool, ctx);
            }
            Struck::Throttle(place) => self.rate_place(place, ctx),
            _ => {}
        }
    }

    /// Carries out what became of pools.
    pub(super) fn carry_storage<R: Recorder<Observation>>(
        &mut self,
        ctx: &mut Context<'_, Event, R>,
    ) {
        for notice in std::mem::take(&mut self.storage.notices) {
            match notice {
                StorageNotice::IoChanged(pool) => self.on_pool_io(pool, ctx),
                StorageNotice::PaceChanged(pool) => {
                    for idx in 0..self.blueprint.protection.places.len() {
                        if self.blueprint.protection.places[idx].location.pool == Some(pool) {
                            self.rate_place(PlaceId::from_index(idx), ctx);
                        }
                    }
                }
                StorageNotice::DataLost(pool) => {
                    self.data.backups.lose_pool(pool, ctx);
                }
            }
        }
    }

    fn on_pool_io<R: Recorder<Observation>>(
        &mut self,
        pool: PoolId,
        ctx: &mut Context<'_, Event, R>,
    ) {
        let io = self.storage.pools.io(pool);
        let blueprint = Arc::clone(&self.blueprint);
        let spec = &blueprint.pools[pool.index()];
        self.data.backups.set_pool_io(pool, io, ctx);
        for workload in &spec.holders {
            for pod in self.cluster.pods_of(*workload).to_vec() {
                if self.pool_under(pod) == Some(pool) {
                    self.tell_stalled(pod, ctx);
                }
            }
        }
        for (idx, service) in blueprint.services.iter().enumerate() {
            let is_stalled = spec.stalled.iter().any(|workload| {
                let workload = &blueprint.workloads[workload.index()];
                service.selects(&workload.namespace, &workload.template.labels)
            });
            if is_stalled {
                self.tell_failing(ServiceId::from_index(idx));
            }
        }
        self.tell_registries(ctx);
    }

    /// Registries whose images stand on pools that stopped hand out none, whatever else ended.
    pub(super) fn tell_registries<R: Recorder<Observation>>(
        &mut self,
        ctx: &mut Context<'_, Event, R>,
    ) {
        let blueprint = Arc::clone(&self.blueprint);
        for (idx, spec) in blueprint.pools.iter().enumerate() {
            let io = self.storage.pools.io(PoolId::from_index(idx));
            for host in &spec.registries {
                let is_cut_off = self.book.is_registry_cut_off(&self.plan, host);
                let is_available = !io.is_stopped() && !is_cut_off;
                self.cluster.set_registry_available(Some(host), is_available, ctx);
            }
        }
    }

    /// Says whether the volume of a pod hangs that is an instance of a database.
    pub(super) fn tell_stalled<R: Recorder<Observation>>(
        &mut self,
        pod: PodId,
        ctx: &mut Context<'_, Event, R>,
    ) {
        let view = self.cluster.pod(pod);
        let database = self.wiring.database_by_workload[view.workload.index()];
        if let (Some(database), Some(pool)) = (database, self.pool_under(pod)) {
            let is_stalled = self.storage.pools.io(pool) != PoolIo::Runs;
            let instance = (database, ordinal_of(view.ordinal));
            self.databases.set_stalled(instance, is_stalled, ctx, &mut self.pg_notices);
        }
    }

    /// The pool that volumes of a pod stand on.
    fn pool_under(&self, pod: PodId) -> Option<PoolId> {
        let view = self.cluster.pod(pod);
        let is_its = |pool: &model_api::storage::Pool| {
            pool.holders.contains(&view.workload)
                && view.zone.is_some_and(|zone| pool.zones.len() > 1 || pool.zones.contains(&zone))
        };
        self.blueprint.pools.iter().position(is_its).map(PoolId::from_index)
    }

    /// Whether a pod answers nothing because what it stores cannot be read or written.
    pub(super) fn is_stalled(&self, pod: PodId) -> bool {
        let workload = self.cluster.pod(pod).workload;
        self.blueprint.pools.iter().enumerate().any(|(idx, pool)| {
            pool.stalled.contains(&workload)
                && self.storage.pools.io(PoolId::from_index(idx)) != PoolIo::Runs
        })
    }

    /// Works out how fast a place is: what limits it, and what its pool is busy with.
    fn rate_place<R: Recorder<Observation>>(
        &mut self,
        place: PlaceId,
        ctx: &mut Context<'_, Event, R>,
    ) {
        let spec = &self.blueprint.protection.places[place.index()];
        let (mut read, mut write) = (spec.read_bytes_per_second, spec.write_bytes_per_second);
        for fault in &self.storage.settings {
            if let FaultKind::Storage(StorageFault::Throttle {
                place: limited,
                read_bytes_per_second,
                write_bytes_per_second,
            }) = self.plan.faults[fault.index()].kind
                && limited == place
            {
                read = read.min(read_bytes_per_second.unwrap_or(u64::MAX));
                write = write.min(write_bytes_per_second.unwrap_or(u64::MAX));
            }
        }
        if let Some(pool) = spec.location.pool {
            let slowdown = u64::from(self.storage.pools.slowdown_milli(pool));
            let slowed = |rate: u64| {
                let rate = u128::from(rate) * 1000 / u128::from(slowdown.max(1));
                u64::try_from(rate).unwrap_or(u64::MAX).max(1)
            };
            (read, write) = (slowed(read), slowed(write));
        }
        let fact = StorageFact::Throttled {
            place,
            read_bytes_per_second: read,
            write_bytes_per_second: write,
        };
        ctx.observe(|| Observation::Storage(fact));
        self.data.backups.set_place_rates(place, (read, write), ctx);
    }
}
