//! Which storage pools data sets and places for copies stand on.

use model_api::backup::{DataSetKind, Location, Method};
use model_api::kube::{PersistentVolumeClaim, WorkloadKind};
use model_api::{DataSetId, PlaceId, PoolId, WorkloadId, ZoneId};

use super::super::Resolver;
use crate::diagnostic::{Code, Diagnostic};
use crate::document::{DataSetSpec, PlaceSpec};
use crate::source::Spanned;

impl Resolver<'_> {
    /// A place on a pool stands where that does.
    pub(super) fn stand_on_pool(&mut self, spec: &PlaceSpec, location: &mut Location) {
        let Some(name) = &spec.pool else {
            if spec.snapshots == Some(true) {
                let message = "snapshots of volumes stand in a storage pool: name it in `pool`";
                self.report(Code::E0017, spec.name.span, message);
            }
            return;
        };
        let others = [
            spec.zones.first().map(|zone| zone.span),
            spec.zones_needed.map(|needed| needed.span),
            spec.region.as_ref().map(|region| region.span),
            spec.beside.as_ref().map(|beside| beside.span),
        ];
        if let Some(other) = others.into_iter().flatten().next() {
            let message = "a place on a storage pool stands where that does";
            let diagnostic = Diagnostic::new(Code::E0017, other, message);
            self.diagnostics.push(diagnostic.related(name.span, "besides this"));
        }
        let Some(id) = self.storage_pool_named(name) else { return };
        let pool = &self.blueprint.pools[id.index()];
        location.zones.clone_from(&pool.zones);
        location.zones_needed = pool.zones_needed();
        location.zones_needed_to_serve = pool.zones_needed_to_serve();
        location.pool = Some(id);
    }

    /// The pools that a data set stands on, and its zones, which are theirs when it states none.
    pub(super) fn pools_of(
        &mut self,
        kind: DataSetKind,
        spec: Option<&DataSetSpec>,
        zones: Vec<ZoneId>,
    ) -> (Vec<PoolId>, Vec<ZoneId>) {
        let stated = spec.and_then(|spec| spec.pool.as_ref());
        if let Some(id) = stated.and_then(|name: &Spanned<String>| self.storage_pool_named(name)) {
            let own = self.blueprint.pools[id.index()].zones.clone();
            return (vec![id], if zones.is_empty() { own } else { zones });
        }
        let pools = match kind {
            DataSetKind::Database(id) => {
                self.pools_of_volumes(self.blueprint.databases[id.index()].workload)
            }
            DataSetKind::Volumes(id) => self.pools_of_volumes(id),
            DataSetKind::Etcd | DataSetKind::Other => Vec::new(),
        };
        (pools, zones)
    }

    /// The pools that have volumes of a workload.
    fn pools_of_volumes(&self, id: WorkloadId) -> Vec<PoolId> {
        let pools = self.blueprint.pools.iter().enumerate();
        let its = pools.filter(|(_, pool)| pool.holders.contains(&id));
        its.map(|(idx, _)| PoolId::from_index(idx)).collect()
    }

    /// The StorageClass of the volumes of a workload, if it has any.
    pub(in crate::resolve) fn class_of_volumes(&self, id: WorkloadId) -> Option<String> {
        let blueprint = &self.blueprint;
        let workload = &blueprint.workloads[id.index()];
        let templates = match &workload.kind {
            WorkloadKind::StatefulSet { claims, .. } => claims.as_slice(),
            _ => &[],
        };
        let is_its = |claim: &&PersistentVolumeClaim| {
            claim.namespace == workload.namespace
                && (workload.template.spec.claim_names.contains(&claim.name)
                    || (workload.kind == WorkloadKind::DatabaseInstances
                        && claim.name == format!("{}-1", workload.name)))
        };
        let claim = templates.first().or_else(|| blueprint.claims.iter().find(is_its))?;
        let default = || {
            let found = blueprint.storage_classes.iter().find(|class| class.is_default);
            found.map(|class| class.name.clone())
        };
        claim.storage_class.clone().or_else(default)
    }

    /// Bytes that a run moves when nothing is stated: a snapshot in the pool of its volumes copies by
    /// reference.
    pub(super) fn moved_by_default(
        &mut self,
        method: &Spanned<Method>,
        data_set: DataSetId,
        to: PlaceId,
        size_bytes: u64,
    ) -> u64 {
        let protection = &self.blueprint.protection;
        let (place, source) =
            (&protection.places[to.index()], &protection.data_sets[data_set.index()]);
        if !place.has_snapshots {
            return size_bytes;
        }
        if method.value != Method::Snapshot {
            let message =
                format!("`{}` holds snapshots, and a policy puts something else there", place.name);
            self.report(Code::E0017, method.span, message);
        } else if place.location.pool.is_some_and(|pool| !source.pools.contains(&pool)) {
            let message = format!(
                "volumes of `{}` do not stand in the pool of `{}`, which holds snapshots of its own",
                source.name, place.name
            );
            self.report(Code::E0017, method.span, message);
        }
        0
    }
}
