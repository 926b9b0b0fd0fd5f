//! A platform that is built again once the region, or its account, is gone.
//!
//! People build the site that the first restore needs; the state of the API is restored before anything runs
//! there, where a backup of it is known, and declared anew from Git where none is. Then controllers create all
//! pods anew. Those whose volumes are restored wait for them, and for what those are restored after.
//!
//! A database is there again when its pods run on what was restored: the first of them, and the others copy it.
//!
//! Simplified: storage pools are not built again, and what stands on them stays stopped.

use model_api::backup::DataSetKind;
use model_api::{DataSetId, DatabaseId, Observation, WorkloadId};
use sim_kernel::{Context, Recorder};

use super::World;
use crate::event::Event;
use crate::fault::Struck;

/// Where the site stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Site {
    /// It was never lost, or it is there again.
    #[default]
    Whole,
    /// It is gone.
    Gone,
    /// There are machines again, and nothing on them.
    Built,
}

impl World {
    /// There is something that data can be restored to.
    pub(super) fn site_built<R: Recorder<Observation>>(&mut self, ctx: &mut Context<'_, Event, R>) {
        if self.data.site == Site::Gone {
            self.data.site = Site::Built;
        }
        self.bring_up(ctx);
    }

    /// A database is restored where pods run again: those of its instances start on that. Where none do, what
    /// was restored serves in their place.
    pub(super) fn start_instances<R: Recorder<Observation>>(
        &mut self,
        database: DatabaseId,
        ctx: &mut Context<'_, Event, R>,
    ) -> bool {
        let workload = self.blueprint.databases[database.index()].workload;
        if self.data.site != Site::Whole || !self.cluster.awaits_data(workload) {
            return false;
        }
        self.databases.restore(database, ctx, &mut self.pg_notices);
        self.cluster.release_data(workload, ctx);
        true
    }

    /// Starts what ran there, as soon as the state of the API is there.
    pub(super) fn bring_up<R: Recorder<Observation>>(&mut self, ctx: &mut Context<'_, Event, R>) {
        let data_sets = &self.blueprint.protection.data_sets;
        let awaits_state = data_sets.iter().enumerate().any(|(idx, spec)| {
            let data_set = DataSetId::from_index(idx);
            spec.kind == DataSetKind::Etcd && self.data.backups.is_coming_back(data_set)
        });
        if self.data.site != Site::Built || awaits_state {
            return;
        }
        self.data.site = Site::Whole;
        // What darkened the zones is over; what strikes them now is another matter.
        for struck in self.book.struck.iter_mut().flatten() {
            if matches!(struck, Struck::Region | Struck::ZonePower(_)) {
                *struck = Struck::Nothing;
            }
        }
        let awaiting: Vec<WorkloadId> = data_sets
            .iter()
            .enumerate()
            .filter(|(idx, _)| self.data.backups.is_lost(DataSetId::from_index(*idx)))
            .filter_map(|(_, spec)| match spec.kind {
                DataSetKind::Volumes(workload) => Some(workload),
                DataSetKind::Etcd | DataSetKind::Other | DataSetKind::Database(_) => None,
            })
            .chain(self.blueprint.databases.iter().map(|it| it.workload))
            .collect();
        self.databases.rebuild_zones();
        self.cluster.rebuild(&awaiting, ctx);
        for idx in 0..self.blueprint.databases.len() {
            let is_there = |it: DataSetId| !self.data.backups.is_lost(it);
            if self.data.sets[idx].is_some_and(is_there) {
                self.start_instances(DatabaseId::from_index(idx), ctx);
            }
        }
        for idx in 0..self.blueprint.zones.len() {
            self.tell_zone(model_api::ZoneId::from_index(idx), false, ctx);
        }
        self.tell_balancers_zones(ctx);
    }
}
