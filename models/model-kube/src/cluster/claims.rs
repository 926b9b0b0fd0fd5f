//! Claims that are made and deleted during a run, and what a restore of the API makes of them.
//!
//! # Modelled
//! A claim for each pod with volumes of its own, from its first pod on. Claims made since a snapshot are
//! unknown afterwards: their volumes stay in the cloud, where nobody knows them, and the next pod of that
//! number gets new ones. Claims deleted since are back, bound to volumes that are no more: their pods are
//! bound, and never get their volumes. A claim that was there and got its volume since gets the same again, as
//! drivers name a volume by the uid of its claim.
//! # Not modelled
//! Claims that are objects of the input: nobody makes or deletes those. `reclaimPolicy: Retain` (what is deleted
//! here was destroyed before). Somebody who deletes a claim whose volume is gone, other than a restore of its
//! volumes does.
//! # Defaults and their sources
//! kubernetes-csi/external-provisioner 5 `pkg/controller/controller.go` (`makeVolumeName`: prefix and uid),
//! `pkg/controller/volume/persistentvolume/pv_controller.go` 1.36 (claims keep `spec.volumeName`), Cinder's driver
//! `pkg/csi/cinder/controllerserver.go` (`CreateVolume` looks for a volume of that name first).
//! # Invariants
//! Nothing is kept by a cluster that keeps no history.
//! # Checked against
//! `tests/it/restored.rs`.

use std::collections::{BTreeMap, BTreeSet};

use model_api::kube::WorkloadKind;
use model_api::{NodeId, Observation, WorkloadId, ZoneId};
use sim_kernel::{Context, Recorder, SimTime};

use super::history::Change;
use super::{Cluster, KubeEvent};
use crate::rare;

/// The claims of a pod, bound or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ClaimObject {
    /// Which of all that this workload ever had.
    nth: u32,
    pub(super) volumes: Volumes,
}

/// Where the volumes of an ordinal stand, and how its claims are numbered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Volumes {
    pub(super) zone: Option<ZoneId>,
    pub(super) other_zone: Option<ZoneId>,
    pub(super) node: Option<NodeId>,
    pub(super) number: Option<u32>,
}

/// The claims of a workload that are there.
#[derive(Clone, Debug, Default)]
pub(super) struct Claims {
    /// By ordinal.
    made: BTreeMap<u32, u32>,
    made_count: u32,
    /// Those that are bound to volumes that are no more.
    lost: BTreeSet<u32>,
}

impl Claims {
    /// Its volumes are no more, as a snapshot knew them.
    pub(super) fn are_lost(&self, ordinal: u32) -> bool {
        self.lost.contains(&ordinal)
    }
}

impl Cluster {
    /// The claims of a pod are made, unless they are there.
    pub(super) fn claim_volumes(&mut self, workload: WorkloadId, ordinal: u32, now: SimTime) {
        let claims = match &self.blueprint.workloads[workload.index()].kind {
            WorkloadKind::StatefulSet { claims, .. } => !claims.is_empty(),
            WorkloadKind::DatabaseInstances => true,
            _ => false,
        };
        let is_made = || self.workloads[workload.index()].claims.made.contains_key(&ordinal);
        if self.history.is_none() || !claims || is_made() {
            return;
        }
        if now > SimTime::ZERO {
            self.note_change(Change::Claims(workload, ordinal, None), now);
        }
        let claims = &mut self.workloads[workload.index()].claims;
        claims.made.insert(ordinal, claims.made_count);
        claims.made_count += 1;
    }

    /// The claims of a pod are about to be deleted, and their volumes are gone.
    pub(super) fn unclaim_volumes(&mut self, workload: WorkloadId, ordinal: u32, now: SimTime) {
        let claims = &mut self.workloads[workload.index()].claims;
        claims.lost.remove(&ordinal);
        if self.history.is_some()
            && let Some(object) = self.claim_object(workload, ordinal)
        {
            self.note_change(Change::Claims(workload, ordinal, Some(object)), now);
            self.workloads[workload.index()].claims.made.remove(&ordinal);
        }
    }

    fn claim_object(&self, workload: WorkloadId, ordinal: u32) -> Option<ClaimObject> {
        let state = &self.workloads[workload.index()];
        let nth = *state.claims.made.get(&ordinal)?;
        Some(ClaimObject { nth, volumes: state.volumes(ordinal) })
    }

    /// Puts the claims of a pod back to what a snapshot says.
    pub(super) fn restore_claims<E, R>(
        &mut self,
        (workload, ordinal): (WorkloadId, u32),
        then: Option<ClaimObject>,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let now = self.claim_object(workload, ordinal);
        if now.map(|it| it.nth) == then.map(|it| it.nth) {
            return;
        }
        let state = &mut self.workloads[workload.index()];
        self.attachments.remove(&(workload, state.volume_key(ordinal)));
        if now.is_some() {
            ctx.hit(&rare::VOLUME_ORPHANED);
            ctx.observe(|| Observation::VolumeOrphaned { workload, ordinal });
        }
        state.claims.lost.remove(&ordinal);
        match then {
            Some(then) => {
                ctx.hit(&rare::CLAIM_LOST);
                ctx.observe(|| Observation::ClaimLost { workload, ordinal });
                state.claims.made.insert(ordinal, then.nth);
                state.claims.lost.insert(ordinal);
                state.set_volumes(ordinal, then.volumes);
            }
            None => {
                state.claims.made.remove(&ordinal);
                state.set_volumes(ordinal, Volumes::default());
            }
        }
    }
}
