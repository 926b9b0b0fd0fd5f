//! Faults of single instances of databases: what becomes of the process, of its pod and of its volume.
//!
//! Simplified: a database all of whose instances lost their volumes serves from what was restored, without
//! pods of its own, as one does whose zones are gone; the load that a clone puts on nodes is not played.

use model_api::fault::{Fault, InstanceFault, InstanceHarm, InstancePick};
use model_api::{DatabaseId, Observation, PodId};
use sim_kernel::{Context, Recorder};

use super::{World, ordinal_of};
use crate::event::Event;
use crate::fault::{Struck, pick_some};
use crate::rare;

impl World {
    /// Strikes an instance; returns what is to be undone, and how many that hit.
    pub(super) fn strike_instance<R: Recorder<Observation>>(
        &mut self,
        fault: &Fault,
        kind: InstanceFault,
        ctx: &mut Context<'_, Event, R>,
    ) -> (Struck, u32) {
        let InstanceFault { database, whom, what } = kind;
        let Some(ordinal) = self.pick_instance(fault, database, whom) else {
            return (Struck::Nothing, 0);
        };
        let instance = (database, ordinal);
        match what {
            InstanceHarm::VolumeDestroyed => {
                (Struck::Nothing, u32::from(self.destroy_instance(instance, ctx)))
            }
            InstanceHarm::Frozen => {
                let is_hit = self.databases.pause(instance, ctx, &mut self.pg_notices);
                if let Some(pod) = self.pod_of(instance).filter(|_| is_hit) {
                    self.cluster.freeze_pod(pod, ctx);
                }
                (
                    if is_hit { Struck::Frozen(database, ordinal) } else { Struck::Nothing },
                    is_hit.into(),
                )
            }
            InstanceHarm::HeldBack => {
                self.databases.set_starved(instance, true, ctx, &mut self.pg_notices);
                (Struck::HeldBack(database, ordinal), 1)
            }
        }
    }

    /// Undoes what befell an instance.
    pub(super) fn mend_instance<R: Recorder<Observation>>(
        &mut self,
        struck: Struck,
        ctx: &mut Context<'_, Event, R>,
    ) {
        if self.book.struck.contains(&Some(struck)) {
            ctx.hit(&rare::OVERLAPPED);
            return;
        }
        match struck {
            Struck::Frozen(database, ordinal) => {
                let pod = self.pod_of((database, ordinal));
                let is_ended = pod.is_some_and(|pod| self.cluster.thaw_pod(pod, ctx));
                let notices = &mut self.pg_notices;
                self.databases.resume((database, ordinal), is_ended, ctx, notices);
            }
            Struck::HeldBack(database, ordinal) => {
                let notices = &mut self.pg_notices;
                self.databases.set_starved((database, ordinal), false, ctx, notices);
            }
            _ => {}
        }
    }

    fn pick_instance(&self, fault: &Fault, database: DatabaseId, whom: InstancePick) -> Option<u8> {
        let primary = self.databases.primary_ordinal(database);
        match whom {
            InstancePick::Primary => Some(primary),
            InstancePick::Instance(ordinal) => Some(ordinal),
            InstancePick::Standby => {
                let instances = self.blueprint.databases[database.index()].instances;
                let all = 0..u8::try_from(instances).expect("instances are at most 100");
                let standbys: Vec<u8> = all.filter(|ordinal| *ordinal != primary).collect();
                pick_some(fault, &standbys, Some(1), self.streams).first().copied()
            }
        }
    }

    fn destroy_instance<R: Recorder<Observation>>(
        &mut self,
        (database, ordinal): (DatabaseId, u8),
        ctx: &mut Context<'_, Event, R>,
    ) -> bool {
        let instance = (database, ordinal);
        if !self.databases.destroy_volume(instance, ctx, &mut self.pg_notices) {
            return false;
        }
        let workload = self.blueprint.databases[database.index()].workload;
        // Pods are numbered from one.
        let claimed = (workload, u32::from(ordinal) + 1);
        self.cluster.withhold(claimed, true, ctx);
        self.cluster.destroy_volumes(claimed, ctx);
        if self.databases.is_lost(database) {
            self.lose_database(database, ctx);
        }
        true
    }

    /// PostgreSQL of an instance answers: one that had copied somebody is ready, and read from.
    pub(super) fn on_instance_running<R: Recorder<Observation>>(
        &mut self,
        (database, ordinal): (DatabaseId, u8),
        ctx: &mut Context<'_, Event, R>,
    ) {
        let workload = self.blueprint.databases[database.index()].workload;
        self.cluster.withhold((workload, u32::from(ordinal) + 1), false, ctx);
        self.lead_readers(database, ctx);
    }

    /// The pod of an instance that is not about to go.
    fn pod_of(&self, (database, ordinal): (DatabaseId, u8)) -> Option<PodId> {
        let workload = self.blueprint.databases[database.index()].workload;
        let pods = self.cluster.pods_of(workload).iter().copied();
        pods.rev().find(|pod| ordinal_of(self.cluster.pod(*pod).ordinal) == ordinal)
    }
}
